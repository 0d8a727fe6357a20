//! Reads what was published of a log: the signed heads, the tiles, and where generations begin in the tree.

use std::io;
use std::path::{Path, PathBuf};

use super::super::layout::tree_name;
use super::super::publish::{CHECKPOINT, SPANS, Span, WITNESSED, decode_spans, read_tile};
use super::super::storage::{DiskStorage, Storage, read_small};
use super::ReadError;
use crate::kernel::id::NodeId;
use crate::tlog::TilePath;
use crate::tlog::note::MAX_NOTE_BYTES;

/// The longest file of spans: as many as there can be generations.
const SPANS_BYTES: usize = 128 << 20;

/// What was published of the log of one node. Nothing in it is to be believed before a signature and a proof
/// were checked.
#[derive(Debug)]
pub struct Published<S = DiskStorage> {
    storage: S,
    directory: PathBuf,
}

impl Published {
    /// What was published of the log of `node` below `directory`.
    #[must_use]
    pub fn new(directory: &Path, node: &NodeId) -> Self {
        Self::on(DiskStorage, directory, node)
    }
}

/// Has a storage.
pub(in crate::journal) trait OnStorage {
    /// It.
    fn storage(&self) -> &dyn Storage;
}

impl OnStorage for DiskStorage {
    fn storage(&self) -> &dyn Storage {
        self
    }
}

impl OnStorage for &dyn Storage {
    fn storage(&self) -> &dyn Storage {
        *self
    }
}

#[expect(private_bounds, reason = "others read from the machine's file system alone")]
impl<S: OnStorage> Published<S> {
    pub(in crate::journal) fn on(storage: S, directory: &Path, node: &NodeId) -> Self {
        Self { storage, directory: directory.join(tree_name(node)) }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn small(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.directory.join(name);
        read_small(self.storage.storage(), &path, most).map_err(ReadError::io(&path))
    }

    /// The head that the log signed last; `None` if it signed none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, ReadError> {
        self.small(CHECKPOINT, MAX_NOTE_BYTES)
    }

    /// The last head that others have signed too, which may be an older one; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn witnessed(&self) -> Result<Option<Vec<u8>>, ReadError> {
        self.small(WITNESSED, MAX_NOTE_BYTES)
    }

    /// Where each generation begins in the tree, in order.
    ///
    /// # Errors
    /// When the file cannot be read, or is not as it was written.
    pub fn spans(&self) -> Result<Vec<Span>, ReadError> {
        let bytes = self.small(SPANS, SPANS_BYTES)?.unwrap_or_default();
        decode_spans(&bytes).map_err(ReadError::io(&self.directory.join(SPANS)))
    }

    /// The bytes of a tile, or of a wider one of the same place.
    ///
    /// # Errors
    /// `NotFound` if there is none; anything the disk says.
    pub fn tile(&self, path: TilePath) -> io::Result<Vec<u8>> {
        let found = read_tile(self.storage.storage(), &self.directory, path)?;
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
