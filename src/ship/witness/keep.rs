//! The newest head, and the newest that was cosigned, as files.

use crate::journal::read::{Published, ReadError};
use crate::kernel::time::Timestamp;
use crate::ship::store::{self, StoreError};
use crate::tlog::cosignature::cosigned_at;
use crate::tlog::note::{Note, Signature};
use crate::tlog::{Checkpoint, NoteError, VerifierKey};

/// Why a head cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] StoreError),
    /// Too many have signed.
    #[error("what witnesses answered does not fit below a checkpoint")]
    Lines(#[source] NoteError),
    /// Somebody has not signed it as is said.
    #[error("what witnesses answered does not cosign the last checkpoint")]
    Cosigned(#[source] NoteError),
    /// The log has not signed it.
    #[error("the last checkpoint is none of this log's")]
    Checkpoint(#[source] NoteError),
}

/// A head that the log has signed.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) checkpoint: Checkpoint,
    /// With the log's signature alone.
    pub(super) note: Note,
}

impl Head {
    /// The newest; `None` if there is none, or it has no records.
    pub(super) fn read(published: &Published, log: &VerifierKey) -> Result<Option<Self>, KeepError> {
        let Some(bytes) = published.checkpoint()? else { return Ok(None) };
        let (checkpoint, note) = Checkpoint::open(&bytes, log).map_err(KeepError::Checkpoint)?;
        Ok((checkpoint.size > 0).then_some(Self { checkpoint, note }))
    }
}

/// A head with cosignatures.
#[derive(Debug)]
pub(super) struct Kept {
    size: u64,
    note: Note,
}

impl Kept {
    /// What was kept; `None` if that is nothing, not this log's, or one of `witnesses` has not signed it as it
    /// says.
    pub(super) fn read(
        published: &Published,
        log: &VerifierKey,
        witnesses: &[VerifierKey],
    ) -> Result<Option<Self>, KeepError> {
        let bytes = published.witnessed()?;
        let opened = bytes.and_then(|bytes| Checkpoint::open(&bytes, log).ok());
        let opened = opened.filter(|(_, note)| check(note, witnesses).is_ok());
        Ok(opened.map(|(checkpoint, note)| Self { size: checkpoint.size, note }))
    }

    /// What is to be kept once `lines` cosign `head`: a newer head replaces an older one, and for the same
    /// one the cosignatures of others stay. Nothing is kept that one of `witnesses` has signed wrongly: whoever
    /// checks it refuses it whole.
    pub(super) fn with(
        before: Option<&Self>,
        head: &Head,
        lines: &str,
        witnesses: &[&VerifierKey],
    ) -> Result<Self, KeepError> {
        let size = head.checkpoint.size;
        let new =
            Note::parse(format!("{}\n{lines}", head.note.text()).as_bytes()).map_err(KeepError::Lines)?;
        let mut all = head.note.to_string();
        if let Some(kept) = before.filter(|kept| kept.note.text() == head.note.text()) {
            for old in kept.note.signatures() {
                let is_same = |known: &&Signature| known.name == old.name && known.id == old.id;
                let mut known = head.note.signatures().iter().chain(new.signatures());
                if known.find(is_same).is_none() {
                    all.push_str(&old.to_string());
                }
            }
        }
        all.push_str(lines);
        let note = Note::parse(all.as_bytes()).map_err(KeepError::Lines)?;
        if note.text() != head.note.text() {
            return Err(KeepError::Lines(NoteError::Form("they are more than signature lines")));
        }
        check(&note, witnesses.iter().copied()).map_err(KeepError::Cosigned)?;
        Ok(Self { size, note })
    }

    /// How many records the head has.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// When the witness of `key` cosigned it, if it has.
    pub(super) fn cosigned_at(&self, key: &VerifierKey) -> Option<Timestamp> {
        cosigned_at(&self.note, key).ok()
    }

    /// Makes it the witnessed head in the directory of the tree.
    pub(super) fn write(&self, published: &Published) -> Result<(), KeepError> {
        let (path, bytes) = (published.witnessed_path(), self.note.to_string());
        let temporary = path.with_extension("tmp");
        Ok(store::replace(published.directory(), &path, &temporary, bytes.as_bytes())?)
    }
}

/// Fails if one of `witnesses` stands below a note that it has not signed.
fn check<'k>(note: &Note, witnesses: impl IntoIterator<Item = &'k VerifierKey>) -> Result<(), NoteError> {
    witnesses.into_iter().try_for_each(|key| match cosigned_at(note, key) {
        Ok(_) | Err(NoteError::Unsigned(_)) => Ok(()),
        Err(error) => Err(error),
    })
}
