//! Zstandard: how closed segments are kept, and read again in bounded memory.

use std::fmt;
use std::io::{self, BufReader, Read, Write as _};

use zstd::stream::{read, write};

use super::storage::{StorageFile, write_all_at};

/// The compression level: higher ones take many times as long and save little, since most of a record is
/// digests and ids.
const LEVEL: i32 = 3;
/// The largest window that is read, as a power of two: 8 MiB. Segments are written with less.
const WINDOW_LOG_MOST: u32 = 23;
/// How much of a file is read or written at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// A file, read from its beginning to its end.
#[derive(Debug)]
pub(super) struct Reading {
    file: Box<dyn StorageFile>,
    position: u64,
}

impl Reading {
    pub(super) const fn new(file: Box<dyn StorageFile>) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for Reading {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.position)?;
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// A compressed file, read as what it holds.
pub(super) struct Decompressed(read::Decoder<'static, BufReader<Reading>>);

impl fmt::Debug for Decompressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressed").finish_non_exhaustive()
    }
}

impl Decompressed {
    pub(super) fn new(file: Box<dyn StorageFile>) -> io::Result<Self> {
        let reader = BufReader::with_capacity(CHUNK_BYTES, Reading::new(file));
        let mut decoder = read::Decoder::with_buffer(reader)?;
        decoder.window_log_max(WINDOW_LOG_MOST)?;
        Ok(Self(decoder))
    }
}

impl Read for Decompressed {
    /// `InvalidData` says that the file is not as it was written; any other error is the disk's.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes).map_err(|error| {
            // What the disk says has a number; what the decoder says has none.
            if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
                error
            } else {
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
        })
    }
}

/// Writes to a file from its beginning on.
#[derive(Debug)]
struct Writing<'f> {
    file: &'f mut dyn StorageFile,
    position: u64,
}

impl io::Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(self.file, bytes, self.position)?;
        self.position = self.position.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A compressed file in the making.
pub(super) struct Compressing<'f>(write::Encoder<'static, Writing<'f>>);

impl fmt::Debug for Compressing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressing").finish_non_exhaustive()
    }
}

impl<'f> Compressing<'f> {
    /// Writes to `file`, which is empty.
    pub(super) fn new(file: &'f mut dyn StorageFile) -> io::Result<Self> {
        let mut encoder = write::Encoder::new(Writing { file, position: 0 }, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Writes what is left and says how long the file is. It is not durable yet.
    pub(super) fn finish(self) -> io::Result<u64> {
        self.0.finish().map(|writing| writing.position)
    }
}
