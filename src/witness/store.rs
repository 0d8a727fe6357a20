//! What a witness has cosigned, on disk: one file for each log, replaced whole, never behind what was
//! answered.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::WitnessError;

use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;
use crate::tlog::Checkpoint;
use crate::tlog::note::MAX_NOTE_BYTES;
use crate::tlog::witness::{Cosigned, Refusal, Request, Witness};

/// Locked by the process that works on the state. That it is there says that this is the state of a
/// witness.
const LOCK: &str = "LOCK";

/// Why a head was not cosigned.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCosigned {
    /// It must not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be kept; nothing has changed.
    #[error("the checkpoint cannot be kept")]
    Unkept(#[source] io::Error),
    /// What is kept is not known any more.
    #[error(
        "what is on disk is uncertain since a directory could not be synced; the witness must be restarted"
    )]
    Uncertain,
}

/// The heads that a witness has cosigned.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    /// Held as long as the store lives.
    _lock: File,
    origins: BTreeMap<String, Origin>,
    /// Set once a rename may or may not have become durable: a later sync that succeeds proves nothing
    /// about it, so that only reading the disk anew tells what it holds.
    is_uncertain: AtomicBool,
}

/// One log.
#[derive(Debug)]
struct Origin {
    /// The hash of its name, which names its files and its page.
    hash: String,
    /// The head that was cosigned last. Locked from before the decision until it is durable, so that no
    /// two decisions about one log rest on the same head.
    latest: Mutex<Option<Checkpoint>>,
    /// The same with its signatures, for readers, who do not wait for the disk.
    note: ArcSwapOption<String>,
}

/// Makes the directory of a new witness, which has cosigned nothing.
///
/// # Errors
/// When it is there, or cannot be made.
pub fn create(directory: &Path) -> Result<(), WitnessError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(WitnessError::Exists { directory: directory.to_owned() });
        }
        made => made.map_err(failed(directory, "made"))?,
    }
    let lock = directory.join(LOCK);
    let made = File::create_new(&lock).and_then(|file| file.sync_all());
    made.and_then(|()| sync_directory(directory)).map_err(failed(&lock, "made"))?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    sync_directory(parent).map_err(failed(parent, "synced"))
}

impl Store {
    /// Opens the state in `directory`, for the logs that `witness` knows. What is kept of others is left
    /// alone.
    pub(super) fn open(directory: &Path, witness: &Witness) -> Result<Self, WitnessError> {
        let path = directory.join(LOCK);
        let lock = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(WitnessError::NoState { directory: directory.to_owned() });
            }
            lock => lock.map_err(failed(&path, "opened"))?,
        };
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => WitnessError::Locked { directory: directory.to_owned() },
            TryLockError::Error(source) => failed(&path, "locked")(source),
        })?;
        let mut origins = BTreeMap::new();
        for name in witness.origins() {
            let hash = Digest::of(name.as_bytes()).to_hex();
            let (latest, note) = read(&checkpoint_path(directory, &hash), name, witness)?.unzip();
            let note = ArcSwapOption::new(note.map(Arc::new));
            origins.insert(name.to_owned(), Origin { hash, latest: Mutex::new(latest), note });
        }
        let is_uncertain = AtomicBool::new(false);
        Ok(Self { directory: directory.to_owned(), _lock: lock, origins, is_uncertain })
    }

    /// Decides on a request, and keeps what it comes to before it returns. Waits for the disk.
    pub(super) fn cosign(
        &self,
        witness: &Witness,
        request: &Request,
        now: Timestamp,
    ) -> Result<Cosigned, NotCosigned> {
        let name = &request.checkpoint().origin;
        let origin = self.origins.get(name).ok_or_else(|| Refusal::UnknownLog(name.clone()))?;
        let mut latest = origin.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_uncertain.load(Ordering::SeqCst) {
            return Err(NotCosigned::Uncertain);
        }
        let cosigned = witness.judge(request, latest.as_ref(), now)?;
        self.keep(&origin.hash, cosigned.note.as_bytes())?;
        *latest = Some(cosigned.checkpoint.clone());
        origin.note.store(Some(Arc::new(cosigned.note.clone())));
        Ok(cosigned)
    }

    /// Replaces what is kept of a log.
    fn keep(&self, hash: &str, note: &[u8]) -> Result<(), NotCosigned> {
        let new = self.directory.join(format!("{hash}.new"));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(note)?;
            file.sync_all()
        });
        let kept = written.and_then(|()| fs::rename(&new, checkpoint_path(&self.directory, hash)));
        kept.map_err(NotCosigned::Unkept)?;
        sync_directory(&self.directory).map_err(|error| {
            tracing::error!(%error, directory = %self.directory.display(), "a directory cannot be synced");
            self.is_uncertain.store(true, Ordering::SeqCst);
            NotCosigned::Uncertain
        })
    }

    /// Keeps a request that shows that a log misbehaves, if there is none of that log yet: an operator
    /// takes it away once it has been looked into. The file, if it was written now.
    pub(super) fn keep_evidence(&self, origin: &str, request: &Request) -> io::Result<Option<PathBuf>> {
        let Some(origin) = self.origins.get(origin) else { return Ok(None) };
        let path = self.directory.join(format!("{}.refused", origin.hash));
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            file => file?,
        };
        file.write_all(request.to_string().as_bytes())?;
        file.sync_all()?;
        Ok(Some(path))
    }

    /// The head that was cosigned last of the log whose name has this hash, as a note.
    pub(super) fn latest(&self, hash: &str) -> Option<Arc<String>> {
        self.origins.values().find(|origin| origin.hash == hash)?.note.load_full()
    }
}

fn checkpoint_path(directory: &Path, hash: &str) -> PathBuf {
    directory.join(format!("{hash}.checkpoint"))
}

/// What is kept of a log, if anything is.
fn read(path: &Path, origin: &str, witness: &Witness) -> Result<Option<(Checkpoint, String)>, WitnessError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed(path, "opened"))?,
    };
    let mut text = String::new();
    let bound = u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_string(&mut text).map_err(failed(path, "read"))?;
    let damaged = |source| WitnessError::Damaged { path: path.to_owned(), origin: origin.to_owned(), source };
    let checkpoint = witness.reopen(text.as_bytes()).map_err(damaged)?;
    if checkpoint.origin != origin {
        return Err(damaged(crate::tlog::NoteError::Form("it is another log's")));
    }
    Ok(Some((checkpoint, text)))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed<'p>(path: &'p Path, action: &'static str) -> impl FnOnce(io::Error) -> WitnessError + 'p {
    move |source| WitnessError::File { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests;
