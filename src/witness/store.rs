//! What a witness has cosigned, on disk: one file for each log, replaced whole, never behind what was
//! answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::WitnessError;

use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;
use crate::tlog::note::MAX_NOTE_BYTES;
use crate::tlog::witness::{Cosigned, Refusal, Reopened, Request, Witness};

/// Locked by the process that works on the state. That it is there says that this is the state of a
/// witness.
const LOCK: &str = "LOCK";
/// The logs of which a head was ever cosigned, a name on each line: what tells a log that is new from one
/// whose file is gone.
const ORIGINS: &str = "origins";

/// Why a head was not cosigned.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCosigned {
    /// It must not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log has two histories.
    #[error("{refusal}")]
    Forked {
        /// What is answered.
        refusal: Refusal,
        /// The file of the evidence, if it was written now.
        evidence: io::Result<Option<PathBuf>>,
    },
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
    /// The names in [`ORIGINS`].
    cosigned: Mutex<BTreeSet<String>>,
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
    latest: Mutex<Option<Reopened>>,
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
    for name in [ORIGINS, LOCK] {
        let path = directory.join(name);
        let made = File::create_new(&path).and_then(|file| file.sync_all());
        made.and_then(|()| sync_directory(directory)).map_err(failed(&path, "made"))?;
    }
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
        let list = directory.join(ORIGINS);
        let cosigned = fs::read_to_string(&list).map_err(failed(&list, "read"))?;
        let cosigned: BTreeSet<_> = cosigned.lines().map(str::to_owned).collect();
        let mut origins = BTreeMap::new();
        for name in witness.origins() {
            let hash = Digest::of(name.as_bytes()).to_hex();
            let path = checkpoint_path(directory, &hash);
            let (latest, note) = read(&path, name, witness)?.unzip();
            if latest.is_none() && cosigned.contains(name) {
                return Err(WitnessError::Forgotten { path, origin: name.to_owned() });
            }
            let note = ArcSwapOption::new(note.map(Arc::new));
            origins.insert(name.to_owned(), Origin { hash, latest: Mutex::new(latest), note });
        }
        let store = Self {
            directory: directory.to_owned(),
            _lock: lock,
            origins,
            cosigned: Mutex::new(cosigned),
            is_uncertain: AtomicBool::new(false),
        };
        // The last process may have ended between the file of a log and its line in the list.
        for (name, _) in store.origins.iter().filter(|(_, origin)| origin.note.load().is_some()) {
            store.list(name).map_err(|error| failed(&list, "written")(io::Error::other(error)))?;
        }
        Ok(store)
    }

    /// Decides on a request, and keeps what it comes to before it returns. Waits for the disk, unless the head
    /// is the one that is kept: anyone can send that again.
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
        let judged = witness.judge(request, latest.as_ref().map(|latest| &latest.checkpoint), now);
        let cosigned = match judged {
            Err(refusal @ Refusal::Forked { .. }) => {
                let evidence = self.keep_evidence(origin, request);
                return Err(NotCosigned::Forked { refusal, evidence });
            }
            judged => judged?,
        };
        let Cosigned { checkpoint, note, .. } = &cosigned;
        if latest.as_ref().is_some_and(|latest| latest.is_current && latest.checkpoint == *checkpoint) {
            return Ok(cosigned);
        }
        self.keep(&checkpoint_path(&self.directory, &origin.hash), note.as_bytes())?;
        self.list(name)?;
        *latest = Some(Reopened { checkpoint: checkpoint.clone(), is_current: true });
        origin.note.store(Some(Arc::new(note.clone())));
        let (origin, size) = (name.as_str(), checkpoint.size);
        tracing::info!(origin, size, old = request.old, root = %checkpoint.root, "cosigned");
        Ok(cosigned)
    }

    /// Puts a log on the list of those of which a head was cosigned, if it is not there.
    fn list(&self, name: &str) -> Result<(), NotCosigned> {
        let mut cosigned = self.cosigned.lock().unwrap_or_else(PoisonError::into_inner);
        if cosigned.contains(name) {
            return Ok(());
        }
        let lines: String =
            cosigned.iter().map(String::as_str).chain([name]).flat_map(|name| [name, "\n"]).collect();
        self.keep(&self.directory.join(ORIGINS), lines.as_bytes())?;
        cosigned.insert(name.to_owned());
        Ok(())
    }

    /// Replaces what a file says.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), NotCosigned> {
        write(path, bytes).map_err(NotCosigned::Unkept)?;
        sync_directory(&self.directory).map_err(|error| {
            tracing::error!(%error, directory = %self.directory.display(), "a directory cannot be synced");
            self.is_uncertain.store(true, Ordering::SeqCst);
            NotCosigned::Uncertain
        })
    }

    /// Keeps the two heads that show that a log has two histories, if there is no such evidence against it yet:
    /// an operator takes it away once it has been looked into. The file, if it was written now. Nobody but the
    /// log itself can bring it about, so nobody else can take its place.
    ///
    /// The latest head of the log must be locked.
    fn keep_evidence(&self, origin: &Origin, request: &Request) -> io::Result<Option<PathBuf>> {
        let path = self.directory.join(format!("{}.fork", origin.hash));
        if path.try_exists()? {
            return Ok(None);
        }
        let Some(kept) = origin.note.load_full() else { return Ok(None) };
        write(&path, format!("{kept}\n{request}").as_bytes())?;
        sync_directory(&self.directory)?;
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

/// Gives a file other bytes, whole or not at all. Its directory is to be synced.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// What is kept of a log, if anything is.
fn read(path: &Path, origin: &str, witness: &Witness) -> Result<Option<(Reopened, String)>, WitnessError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed(path, "opened"))?,
    };
    let mut text = String::new();
    let bound = u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_string(&mut text).map_err(failed(path, "read"))?;
    let damaged = |source| WitnessError::Damaged { path: path.to_owned(), origin: origin.to_owned(), source };
    let reopened = witness.reopen(text.as_bytes()).map_err(damaged)?;
    if reopened.checkpoint.origin != origin {
        return Err(damaged(crate::tlog::NoteError::Form("it is another log's")));
    }
    Ok(Some((reopened, text)))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed<'p>(path: &'p Path, action: &'static str) -> impl FnOnce(io::Error) -> WitnessError + 'p {
    move |source| WitnessError::File { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests;
