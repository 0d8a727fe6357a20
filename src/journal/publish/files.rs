//! The files of the tree: tiles, signed heads, and where each generation begins.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::spans::{Span, decode, encode};
use crate::journal::log::write_file;
use crate::journal::storage::{Storage, read_small, write_all_at};
use crate::tlog::growth::{LoadError, Tile};
use crate::tlog::note::MAX_NOTE_BYTES;
use crate::tlog::tile::{TILE_BYTES, TILE_WIDTH, TilePath};

/// The signed head.
pub(in crate::journal) const CHECKPOINT: &str = "checkpoint";
/// A head that others have signed too, perhaps an older one.
pub(in crate::journal) const WITNESSED: &str = "witnessed";
/// Where each generation begins in the tree.
pub(in crate::journal) const SPANS: &str = "spans";
/// Held by the process that publishes.
pub(in crate::journal) const LOCK: &str = "LOCK";

/// The longest file of spans: as many as there can be generations.
pub(in crate::journal) const SPANS_BYTES: usize = 128 << 20;

/// What is below the directory of a tree.
#[derive(Debug)]
pub(super) struct TreeFiles {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    /// Directories that are known to be there.
    known: BTreeSet<PathBuf>,
    /// Directories whose names are not durable yet.
    unsynced: BTreeSet<PathBuf>,
}

impl TreeFiles {
    pub(super) fn new(storage: Arc<dyn Storage>, directory: PathBuf) -> Self {
        Self { storage, directory, known: BTreeSet::new(), unsynced: BTreeSet::new() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory, and its name durable.
    pub(super) fn create(&mut self) -> io::Result<()> {
        let directory = self.directory.clone();
        self.make(&directory)?;
        self.sync_names()
    }

    fn make(&mut self, directory: &Path) -> io::Result<()> {
        if self.known.contains(directory) {
            return Ok(());
        }
        match self.storage.create_dir(directory) {
            Ok(()) => {
                self.unsynced.extend(directory.parent().map(Path::to_owned));
            }
            // Perhaps made by who ended before its name was durable.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.unsynced.extend(directory.parent().map(Path::to_owned));
            }
            Err(error) => return Err(error),
        }
        self.known.insert(directory.to_owned());
        Ok(())
    }

    /// Makes the names of all that was written durable.
    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        while let Some(directory) = self.unsynced.first().cloned() {
            self.storage.sync_dir(&directory)?;
            self.unsynced.remove(&directory);
        }
        Ok(())
    }

    /// Writes a tile, whose name is durable only after [`TreeFiles::sync_names`].
    pub(super) fn write_tile(&mut self, tile: &Tile) -> io::Result<()> {
        let path = self.directory.join(tile.path.to_string());
        let below = path.strip_prefix(&self.directory).unwrap_or(&path).to_owned();
        let mut directory = self.directory.clone();
        for part in below.parent().into_iter().flat_map(Path::components) {
            directory.push(part);
            self.make(&directory)?;
        }
        let temporary = directory.join("tile.tmp");
        match self.storage.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = self.storage.create(&temporary)?;
        write_all_at(&mut *file, &tile.bytes, 0)?;
        file.sync_data()?;
        drop(file);
        self.storage.rename(&temporary, &path)?;
        self.unsynced.insert(directory);
        Ok(())
    }

    /// Removes what there is of a tile while it was not full.
    pub(super) fn remove_partial(&mut self, full: TilePath) -> io::Result<()> {
        let directory = self.directory.join(format!("{full}.p"));
        let names = match self.storage.list(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            names => names?,
        };
        for name in names {
            self.storage.remove(&directory.join(name))?;
        }
        self.known.remove(&directory);
        self.unsynced.remove(&directory);
        match self.storage.remove_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn spans(&self) -> io::Result<Vec<Span>> {
        let bytes = read_small(&*self.storage, &self.directory.join(SPANS), SPANS_BYTES)?;
        decode(&bytes.unwrap_or_default())
    }

    pub(super) fn write_spans(&self, spans: &[Span]) -> io::Result<()> {
        write_file(&*self.storage, &self.directory, SPANS, &encode(spans)?)
    }

    /// A signed head by its file name; `None` if there is none.
    pub(super) fn note(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        read_small(&*self.storage, &self.directory.join(name), MAX_NOTE_BYTES)
    }

    pub(super) fn write_checkpoint(&self, note: &str) -> io::Result<()> {
        write_file(&*self.storage, &self.directory, CHECKPOINT, note.as_bytes())
    }

    pub(super) fn tile(&self, path: TilePath) -> io::Result<Option<Vec<u8>>> {
        read_tile(&*self.storage, &self.directory, path)
    }

    pub(super) fn lock(&self) -> io::Result<Option<Box<dyn crate::journal::Lock>>> {
        self.storage.lock(&self.directory.join(LOCK))
    }
}

/// The bytes of a tile, or of a wider one of the same place; `None` if there is neither.
pub(in crate::journal) fn read_tile(
    storage: &dyn Storage,
    directory: &Path,
    path: TilePath,
) -> io::Result<Option<Vec<u8>>> {
    let full = TilePath { width: TILE_WIDTH, ..path };
    for path in [path, full] {
        let bytes = read_small(storage, &directory.join(path.to_string()), TILE_BYTES)?;
        if bytes.is_some() {
            return Ok(bytes);
        }
    }
    let partial = directory.join(format!("{full}.p"));
    let names = match storage.list(&partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        names => names?,
    };
    let widest = names.iter().filter_map(|name| name.parse::<u16>().ok()).max();
    match widest.filter(|widest| *widest >= path.width) {
        Some(widest) => read_small(storage, &partial.join(widest.to_string()), TILE_BYTES),
        None => Ok(None),
    }
}

/// Whether a tree cannot be gone on with for what is on the disk, rather than for the disk.
pub(super) fn is_content(error: &LoadError<io::Error>) -> bool {
    match error {
        LoadError::Missing(_) | LoadError::Length(_) => true,
        LoadError::Read(error) => error.kind() == io::ErrorKind::InvalidData,
    }
}
