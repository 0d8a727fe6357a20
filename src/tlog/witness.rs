//! What a witness answers to a log that asks for its cosignature (C2SP `tlog-witness`, `add-checkpoint`).
//!
//! A witness cosigns a head only if the log has grown from the head it cosigned before. So a log that
//! shows different people different records needs a witness that lies with it. This module decides;
//! whoever serves it finds the latest head of the origin, asks, and has the new one on disk before it
//! answers, as one step that no other request of that origin can come between.

use std::collections::BTreeMap;

use super::checkpoint::Checkpoint;
use super::cosignature::{cosign, cosigned_at};
use super::note::{MAX_NOTE_BYTES, Note, NoteError, NoteSigner, SignatureKind, VerifierKey, signature_line};
use super::proof::{proves_other_beginning, verify_consistency};
use super::text;
use super::tree::empty_root;
use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;

/// The most hashes of a request, by the specification.
const MAX_HASHES: usize = 63;
/// The longest request that is read, in bytes.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + MAX_HASHES * 45 + 32;

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request has not the form of one (400).
    #[error("this is no add-checkpoint request: {0}")]
    Malformed(&'static str),
    /// No key that is known for the origin has signed, or one has a signature that is not its own (403).
    #[error("the checkpoint is not signed by a key that is known for `{0}`")]
    Unsigned(String),
    /// A log that the witness does not know (404).
    #[error("the log `{0}` is not known here")]
    UnknownLog(String),
    /// The proof is from another head than the one that was cosigned last (409).
    #[error("the checkpoint that was cosigned last has {latest} entries, not {old}")]
    Conflict {
        /// How many entries the head has that was cosigned last; 0 if there is none.
        latest: u64,
        /// How many it has by the request.
        old: u64,
    },
    /// It is not shown that the log has grown from what it was (422). That may be the log's fault, or of
    /// anyone who has seen the head and makes up a proof.
    #[error("it is not shown that the log of {new} entries continues the one of {old} that was cosigned")]
    Inconsistent {
        /// How many entries the head has that was cosigned last.
        old: u64,
        /// How many the submitted one has.
        new: u64,
    },
    /// The log has signed two histories: the head that was cosigned last, and one that begins otherwise (409
    /// where the two have one size, else 422).
    #[error("the log of {new} entries has another history: its first {at} are not those that were cosigned")]
    Forked {
        /// How many entries the head has that was cosigned last: of so many there are two roots.
        at: u64,
        /// How many the submitted one has.
        new: u64,
    },
    /// This witness cannot sign.
    #[error("the checkpoint cannot be cosigned")]
    Unable(#[source] NoteError),
}

impl Refusal {
    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::Conflict { .. } => 409,
            Self::Forked { at, new } if *at == *new => 409,
            Self::Inconsistent { .. } | Self::Forked { .. } => 422,
            Self::Unable(_) => 500,
        }
    }
}

/// A request to cosign, read but not believed. It shows as the body of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How many entries the head had that the witness cosigned last, by what the log knows.
    pub old: u64,
    /// That the log has grown from there.
    pub proof: Vec<Digest>,
    /// The head to cosign, signed by the log.
    pub note: Note,
    checkpoint: Checkpoint,
}

impl Request {
    /// Asks to cosign `note`, with a proof from the head of `old` entries.
    ///
    /// # Errors
    /// When `note` is no checkpoint.
    pub fn new(old: u64, proof: Vec<Digest>, note: Note) -> Result<Self, NoteError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { old, proof, note, checkpoint })
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        const NO_LINE: Refusal = Refusal::Malformed("no empty line stands before its checkpoint");
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(Refusal::Malformed("it is too long"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| Refusal::Malformed("it is not UTF-8"))?;
        let (first, mut rest) = whole.split_once('\n').ok_or(NO_LINE)?;
        let old = first.strip_prefix("old ").and_then(text::number);
        let old = old.ok_or(Refusal::Malformed("its first line is not `old` and a decimal number"))?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(NO_LINE)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == MAX_HASHES {
                return Err(Refusal::Malformed("it has more than 63 hashes"));
            }
            proof.push(text::hash(line).ok_or(Refusal::Malformed("a line of its proof is no hash"))?);
        }
        let note = Note::parse(rest.as_bytes());
        let request = note.and_then(|note| Self::new(old, proof, note));
        request.map_err(|_| Refusal::Malformed("what follows the empty line is no signed checkpoint"))
    }

    /// The head that it asks to cosign; not to be believed before [`Witness::judge`] has.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", data_encoding::BASE64.encode(&hash.0))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// What a witness has cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The head.
    pub checkpoint: Checkpoint,
    /// The head with the signatures of the log and the witness's: what is kept, and shown to monitors.
    pub note: String,
    /// The signature line of the witness: what is answered.
    pub line: String,
}

/// What was cosigned, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopened {
    /// The head.
    pub checkpoint: Checkpoint,
    /// Whether it is signed by keys of today, the log's and the witness's.
    pub is_current: bool,
}

/// A witness: its key, and the logs that it knows.
#[derive(Debug)]
pub struct Witness {
    signer: NoteSigner,
    /// By origin; more than one key while a log changes its own.
    logs: BTreeMap<String, Vec<VerifierKey>>,
}

impl Witness {
    /// A witness that cosigns with `signer` the heads of the logs that sign with `logs`.
    ///
    /// # Errors
    /// When a key is not of the kind that it must be.
    pub fn new(signer: NoteSigner, logs: impl IntoIterator<Item = VerifierKey>) -> Result<Self, NoteError> {
        if signer.key().kind() != SignatureKind::Cosignature {
            return Err(NoteError::Key("a witness signs with a witness's key"));
        }
        let mut by_origin: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for log in logs {
            if log.kind() != SignatureKind::Ed25519 {
                return Err(NoteError::Key("a log signs with a key of type 1 (Ed25519)"));
            }
            by_origin.entry(log.name().to_owned()).or_default().push(log);
        }
        Ok(Self { signer, logs: by_origin })
    }

    /// The key that it cosigns with.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        self.signer.key()
    }

    /// The logs that it knows.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// Whether a log of that origin is known.
    #[must_use]
    pub fn knows(&self, origin: &str) -> bool {
        self.logs.contains_key(origin)
    }

    /// Decides. `latest` is the head of the same origin that was cosigned last.
    ///
    /// # Errors
    /// When the head is not to be cosigned, and why.
    pub fn judge(
        &self,
        request: &Request,
        latest: Option<&Checkpoint>,
        now: Timestamp,
    ) -> Result<Cosigned, Refusal> {
        let new = &request.checkpoint;
        let origin = &new.origin;
        let keys = self.logs.get(origin).ok_or_else(|| Refusal::UnknownLog(origin.clone()))?;
        let signatures =
            log_signatures(&request.note, keys).map_err(|_| Refusal::Unsigned(origin.clone()))?;
        if request.old > new.size {
            return Err(Refusal::Malformed("its old size is more than its checkpoint's"));
        }
        let latest_size = latest.map_or(0, |latest| latest.size);
        // Two heads of one size need no proof, so that it says nothing from which head one is offered.
        let is_other = latest.is_some_and(|latest| latest.size == new.size && latest.root != new.root);
        if is_other && new.size > 0 {
            return Err(Refusal::Forked { at: latest_size, new: new.size });
        }
        if request.old != latest_size {
            return Err(Refusal::Conflict { latest: latest_size, old: request.old });
        }
        continues(latest, new, &request.proof)?;
        let text = request.note.text();
        let line = cosign(text, &self.signer, now).map_err(Refusal::Unable)?;
        let note = format!("{text}\n{signatures}{line}");
        Ok(Cosigned { checkpoint: new.clone(), note, line })
    }

    /// Reads back what was kept of [`Cosigned::note`]. It must be signed by a key that is known for its
    /// origin or by this witness (either may have been replaced since), and by neither wrongly.
    ///
    /// # Errors
    /// When it is no such note.
    pub fn reopen(&self, bytes: &[u8]) -> Result<Reopened, NoteError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        let keys = self.logs.get(&checkpoint.origin).map_or(&[][..], Vec::as_slice);
        match (log_signatures(&note, keys), cosigned_at(&note, self.key())) {
            (Err(error @ NoteError::Wrong(_)), _) | (Err(_), Err(error)) => Err(error),
            (Ok(_), Err(error @ NoteError::Wrong(_))) => Err(error),
            (by_log, by_witness) => {
                Ok(Reopened { checkpoint, is_current: by_log.is_ok() && by_witness.is_ok() })
            }
        }
    }
}

/// The signature lines of the keys that have signed `note`: at least one, and none wrong.
fn log_signatures(note: &Note, keys: &[VerifierKey]) -> Result<String, NoteError> {
    let mut lines = String::new();
    for key in keys {
        match note.verify(key) {
            Ok(_) => {
                let signatures = note.signatures_of(key).map(|found| signature_line(key, &found.bytes));
                // The same key twice says no more than once.
                lines.extend(signatures.take(1));
            }
            Err(NoteError::Unsigned(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if lines.is_empty() {
        return Err(NoteError::Unsigned(keys.first().map_or_else(String::new, |key| key.name().to_owned())));
    }
    Ok(lines)
}

/// Fails unless `new` has the root of an empty tree if it is empty, and begins with `latest`, which has the
/// size that `proof` is from.
fn continues(latest: Option<&Checkpoint>, new: &Checkpoint, proof: &[Digest]) -> Result<(), Refusal> {
    let latest = latest.filter(|latest| latest.size > 0);
    let old = latest.map_or(0, |latest| latest.size);
    let is_shown = match latest {
        _ if new.size == 0 && new.root != empty_root() => false,
        Some(latest) => verify_consistency(old, new.size, &latest.root, &new.root, proof).is_ok(),
        // Any tree continues the empty one, and no proof says so.
        None => proof.is_empty(),
    };
    if is_shown {
        return Ok(());
    }
    let is_fork = |latest: &Checkpoint| proves_other_beginning(old, new.size, &latest.root, &new.root, proof);
    Err(if latest.is_some_and(is_fork) {
        Refusal::Forked { at: old, new: new.size }
    } else {
        Refusal::Inconsistent { old, new: new.size }
    })
}

#[cfg(test)]
mod tests;
