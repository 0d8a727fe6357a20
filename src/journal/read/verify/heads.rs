//! Reads the signed heads of a log, and says whether they are to be believed.

use super::report::{Before, Finding, Wrong};
use super::state::KnownTree;
use super::tree::Mark;
use crate::journal::publish::{CHECKPOINT, Span, WITNESSED};
use crate::journal::read::{Published, ReadError};
use crate::journal::storage::Storage;
use crate::kernel::id::{Digest, NodeId};
use crate::tlog::note::{Note, NoteError};
use crate::tlog::policy::{Policy, Refused};
use crate::tlog::{Checkpoint, VerifierKey};

/// The heads of a log, as far as they can be read.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// The last that the log signed.
    pub(super) last: Option<Checkpoint>,
    pub(super) is_signature_checked: bool,
    /// The last that others have signed too.
    pub(super) witnessed: Option<Checkpoint>,
    pub(super) cosigned_by: Vec<String>,
    /// Where generations begin in the tree; none where that cannot be read.
    pub(super) spans: Option<Vec<Span>>,
}

impl Heads {
    /// Reads what was published, and says what is wrong with it by itself.
    pub(super) fn read(
        published: &Published<&dyn Storage>,
        node: &NodeId,
        trust: Option<&Policy>,
        known: Option<&KnownTree>,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, ReadError> {
        let mut heads = Self::default();
        let mut wrong = |file: &str, why| {
            let file = published.directory().join(file);
            findings.push(Finding { node: node.clone(), generation: None, file, offset: 0, seq: 0, why });
        };
        let last = published.checkpoint()?;
        if let Some(bytes) = &last {
            match open(bytes, trust) {
                Ok(last) => heads.last = Some(last),
                Err((why, last)) => {
                    wrong(CHECKPOINT, Wrong::Unsigned(why));
                    heads.last = last;
                }
            }
            heads.is_signature_checked = trust.is_some() && heads.last.is_some();
        }
        match published.witnessed()? {
            Some(bytes) => match trust.map(|trust| trust.open(&bytes)) {
                None => heads.witnessed = open(&bytes, None).ok(),
                Some(Ok(trusted)) => {
                    let by = trusted.cosigned.iter().map(|(key, _)| key.name().to_owned());
                    heads.cosigned_by = by.collect();
                    heads.witnessed = Some(trusted.checkpoint);
                }
                Some(Err(why)) => wrong(WITNESSED, Wrong::Unsigned(why)),
            },
            None => {
                // Where cosignatures are asked for, a head without any is none.
                let last = last.as_deref().zip(trust).map(|(bytes, trust)| trust.open(bytes));
                if let Some(Err(why @ Refused::NoQuorum { .. })) = last {
                    wrong(WITNESSED, Wrong::Unsigned(why));
                }
            }
        }
        heads.spans = match published.spans() {
            Ok(spans) => Some(spans).filter(|spans| !spans.is_empty()),
            Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        let has_tree = heads.spans.is_some() || heads.witnessed.is_some() || known.is_some();
        if heads.last.is_none() && (trust.is_some() || has_tree) {
            wrong(CHECKPOINT, Wrong::Headless);
        }
        if let Some(last) = &heads.last {
            let newer = known.map(|known| (known.size, Before::Verified));
            let witnessed = heads.witnessed.as_ref().map(|seen| (seen.size, Before::Witnessed));
            for (known, before) in newer.into_iter().chain(witnessed) {
                if known > last.size {
                    wrong(CHECKPOINT, Wrong::Old { size: last.size, known, before });
                }
            }
            if last.size > 0 && heads.spans.is_none() {
                wrong(crate::journal::publish::SPANS, Wrong::Spans);
            }
        }
        Ok(heads)
    }

    /// The roots that the tree must have.
    pub(super) fn marks(&self, known: Option<&KnownTree>) -> Vec<Mark> {
        let mark = |head: &Checkpoint, before| Mark { size: head.size, root: head.root, before };
        let mut marks = Vec::new();
        marks.extend(self.last.as_ref().map(|head| mark(head, None)));
        marks.extend(self.witnessed.as_ref().map(|head| mark(head, Some(Before::Witnessed))));
        marks.extend(known.and_then(|known| {
            let root = Digest::parse_hex(&known.root).ok()?;
            Some(Mark { size: known.size, root, before: Some(Before::Verified) })
        }));
        marks
    }
}

/// Reads a head, which a log of `trust` must have signed; after one that is not to be believed, what it says.
fn open(bytes: &[u8], trust: Option<&Policy>) -> Result<Checkpoint, (Refused, Option<Checkpoint>)> {
    let note = Note::parse(bytes).map_err(|why| (why.into(), None))?;
    let said = Checkpoint::parse(note.text()).map_err(|why| (why.into(), None))?;
    let Some(trust) = trust else { return Ok(said) };
    let keys: Vec<&VerifierKey> = trust.logs().iter().filter(|key| key.name() == said.origin).collect();
    let mut refused = Refused::UnknownLog(said.origin.clone());
    for key in keys {
        match note.verify(key) {
            Ok(_) => return Ok(said),
            Err(why @ NoteError::Wrong(_)) => return Err((why.into(), Some(said))),
            Err(why) => refused = why.into(),
        }
    }
    Err((refused, Some(said)))
}
