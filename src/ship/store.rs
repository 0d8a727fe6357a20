//! The files of cursors. Two processes may write one: an old gate that drains, and the new one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use crate::kernel::id::NodeId;

/// Cursors are for the gate's own account to write and for its group to read, as records are.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The directory of cursors, within the audit directory.
const CURSORS: &str = "cursors";

/// Why a cursor cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// The disk refused.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The file is no cursor.
    #[error("`{path}` is no cursor")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

fn io<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> StoreError + use<'p> {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

/// Held while it lives; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "the open file is the lock")] File);

/// The file of one sink's cursor, `<directory>/<sink>`. Files that begin with a dot stand beside it:
/// names of sinks do not.
#[derive(Debug, Clone)]
pub(super) struct CursorFile {
    directory: PathBuf,
    sink: NodeId,
}

impl CursorFile {
    /// The cursor of `sink` in the audit directory.
    pub(super) fn new(audit: &Path, sink: NodeId) -> Self {
        Self { directory: audit.join(CURSORS), sink }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(self.sink.as_str())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.directory.join(format!(".{}.{ending}", self.sink))
    }

    /// Makes the directory, if it is not there.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        prepare(&self.directory)
    }

    /// Takes over what other processes have left, unless one is about it: one process at a time sends the
    /// generations that are closed.
    pub(super) fn inherit(&self) -> Result<Option<Held>, StoreError> {
        hold(&self.beside("heir"))
    }

    /// What the file says; `None` if there is none.
    pub(super) fn read(&self) -> Result<Option<Cursor>, StoreError> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io("read", &path))?,
        };
        Cursor::parse(&bytes).map(Some).map_err(|source| StoreError::Content { path, source })
    }

    /// Puts a file that is no cursor aside and says where it is now.
    pub(super) fn put_aside(&self) -> Result<PathBuf, StoreError> {
        let (path, aside) = (self.path(), self.beside("broken"));
        fs::rename(&path, &aside).map_err(io("move", &path))?;
        Ok(aside)
    }

    /// Changes the cursor on disk, between no two steps of another process, and gives it back. It is durable
    /// when this returns.
    pub(super) fn update(&self, change: impl FnOnce(&mut Cursor)) -> Result<Cursor, StoreError> {
        let lock = self.beside("lock");
        let file = open_lock(&lock)?;
        file.lock().map_err(io("lock", &lock))?;
        let before = self.read()?;
        let is_new = before.is_none();
        let mut cursor = before.clone().unwrap_or_default();
        change(&mut cursor);
        if is_new || before.as_ref() != Some(&cursor) {
            self.write(&cursor)?;
        }
        Ok(cursor)
    }

    fn write(&self, cursor: &Cursor) -> Result<(), StoreError> {
        let (path, temporary) = (self.path(), self.beside("tmp"));
        let bytes = cursor.encode().map_err(|source| StoreError::Content { path: path.clone(), source })?;
        replace(&self.directory, &path, &temporary, &bytes)
    }
}

/// Gives a file of `directory` other bytes, all at once and durably, by way of a temporary one beside it.
pub(super) fn replace(
    directory: &Path,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io("write", temporary))?;
    fs::rename(temporary, path).map_err(io("replace", path))?;
    sync(directory).map_err(io("sync", directory))
}

/// Takes the right to ask the witnesses of the log in an audit directory, unless another process has it.
pub(super) fn hold_witnesses(audit: &Path) -> Result<Option<Held>, StoreError> {
    let directory = audit.join(CURSORS);
    prepare(&directory)?;
    // No sink has such a name.
    hold(&directory.join(".@witnesses"))
}

/// Takes a lock, unless another process has it.
fn hold(path: &Path) -> Result<Option<Held>, StoreError> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Held(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock", path)(error)),
    }
}

/// Makes the directory of cursors, if it is not there.
fn prepare(directory: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io("create", directory)(error)),
        Ok(()) => {
            let above = directory.parent().unwrap_or(Path::new("."));
            sync(above).map_err(io("sync", above))
        }
    }
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn open_lock(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(io("open", path))
}
