//! The seam between the journal and the disk, so that tests can break every call.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Where the journal's files are. Paths are those given to the journal, joined with file names.
pub trait Storage: Debug + Send + Sync {
    /// Creates one directory.
    ///
    /// # Errors
    /// `AlreadyExists` if it is there; anything the disk says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that is not there yet, to read and write.
    ///
    /// # Errors
    /// `AlreadyExists` if it is there; anything the disk says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;
    /// Opens a file to read and write.
    ///
    /// # Errors
    /// Anything the disk says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;
    /// Opens a file to read only.
    ///
    /// # Errors
    /// Anything the disk says.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;
    /// Gives a file another name in the same directory, replacing what had it.
    ///
    /// # Errors
    /// Anything the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Anything the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// Anything the disk says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Anything the disk says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// Anything the disk says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// How many bytes are free for this process.
    ///
    /// # Errors
    /// Anything the disk says.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
    /// Takes the lock at `path`, creating the file, until the guard is dropped; `None` if another
    /// holds it.
    ///
    /// # Errors
    /// Anything the disk says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// A lock that is held while it lives.
pub trait Lock: Debug + Send + Sync {}

/// An open file.
pub trait StorageFile: Debug + Send {
    /// Writes some of `bytes` at `offset` and says how many.
    ///
    /// # Errors
    /// Anything the disk says.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Reads some bytes at `offset` and says how many; 0 at the end.
    ///
    /// # Errors
    /// Anything the disk says.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes the bytes, and the length needed to read them, durable.
    ///
    /// # Errors
    /// Anything the disk says. The file must then not be used any more: a second try may report
    /// success although the bytes are lost.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Cuts or grows the file.
    ///
    /// # Errors
    /// Anything the disk says.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;
    /// The file's length in bytes.
    ///
    /// # Errors
    /// Anything the disk says.
    fn byte_len(&self) -> io::Result<u64>;
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// Anything the disk says; `WriteZero` if it takes no more.
pub fn write_all_at(file: &mut dyn StorageFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset = offset.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `bytes` from `offset` on as far as the file goes and says how many there were.
///
/// # Errors
/// Anything the disk says.
pub fn read_up_to(file: &dyn StorageFile, bytes: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read_at(space, offset) {
            Ok(0) => break,
            Ok(read) => {
                filled += read;
                offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a small file whole; `None` if it is not there.
///
/// # Errors
/// Anything the disk says; `InvalidData` if it is longer than `most` bytes.
pub(super) fn read_small(storage: &dyn Storage, path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = vec![0; most + 1];
    let read = read_up_to(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    if read > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is longer than any that is written",
        ));
    }
    Ok(Some(bytes))
}

/// Records are for the gate's own account to write and for its group to read.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskStorage;

#[derive(Debug)]
struct DiskFile(File);

impl StorageFile for DiskFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}

/// Held by the open file; the operating system lets go of it when the process ends, however it
/// ends.
#[derive(Debug)]
struct DiskLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock for DiskLock {}

impl Storage for DiskStorage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(DiskFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(DiskFile(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // A name that is not UTF-8 is none of the journal's.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        super::probe::free_space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(DiskLock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
