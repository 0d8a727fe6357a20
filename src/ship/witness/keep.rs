//! The newest head, and the newest that was cosigned, as files.

use std::path::Path;

use crate::journal::read::{Published, ReadError};
use crate::kernel::time::Timestamp;
use crate::ship::store::{self, StoreError};
use crate::tlog::cosignature::cosigned_at;
use crate::tlog::note::{Note, Signature};
use crate::tlog::{Checkpoint, NoteError, VerifierKey};

/// The file of the cosigned head, beside the log's own.
const WITNESSED: &str = "witnessed";

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
    /// What was kept; `None` if that is nothing, or not this log's.
    pub(super) fn read(published: &Published, log: &VerifierKey) -> Result<Option<Self>, KeepError> {
        let bytes = published.witnessed()?;
        let opened = bytes.and_then(|bytes| Checkpoint::open(&bytes, log).ok());
        Ok(opened.map(|(checkpoint, note)| Self { size: checkpoint.size, note }))
    }

    /// What is to be kept once `lines` cosign `head`: a newer head replaces an older one, and for the same
    /// one the cosignatures of others stay.
    pub(super) fn with(before: Option<&Self>, head: &Head, lines: &str) -> Result<Self, KeepError> {
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
        Ok(Self { size, note: Note::parse(all.as_bytes()).map_err(KeepError::Lines)? })
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
    pub(super) fn write(&self, directory: &Path) -> Result<(), KeepError> {
        let temporary = directory.join(format!("{WITNESSED}.tmp"));
        Ok(store::replace(
            directory,
            &directory.join(WITNESSED),
            &temporary,
            self.note.to_string().as_bytes(),
        )?)
    }
}
