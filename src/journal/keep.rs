//! What becomes of records after they were written: closed segments are compressed.
//!
//! A pass looks at every generation of this node: at that of this process as far as its segments are closed,
//! and under their locks at earlier ones that are closed as a whole. What fails is reported and tried again
//! with the next pass; the writer never learns of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::compress::{CompressError, compress};
use super::layout::{CLOSED, Form, GenerationDir, LOCK, SegmentFile, generations, segments};
use super::manifest::Manifests;
use super::read::read_closed;
use super::scan::{Damage, DamageKind};
use super::{Progress, Storage};
use crate::audit::Chain;

/// Is told what becomes of closed segments. Calls come from the keeper's thread.
pub trait KeepObserver: std::fmt::Debug + Send + Sync {
    /// A segment was compressed: how many bytes its records have, and how many the file has now.
    fn compressed(&self, plain_bytes: u64, bytes: u64);
    /// Something could not be done and is tried again later.
    fn failed(&self, failure: &KeepFailure);
}

/// What the keeper could not do.
#[derive(Debug, thiserror::Error)]
pub enum KeepFailure {
    /// The disk refused.
    #[error("cannot keep the closed segments of `{directory}`")]
    Io {
        /// Which generation.
        directory: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// A closed segment is not as it was written: it stays as it is.
    #[error("the audit log is damaged: {0}; it stays as it is until somebody has looked")]
    Damaged(Damage),
    /// Too little space is free.
    #[error("too little space is free to compress the closed segments of `{0}`")]
    NoSpace(PathBuf),
}

/// Keeps the closed segments of one node.
#[derive(Debug)]
pub struct Keeper {
    directory: PathBuf,
    storage: Arc<dyn Storage>,
    progress: Progress,
    observer: Arc<dyn KeepObserver>,
    /// How far the manifests of each generation have been read.
    manifests: BTreeMap<u32, Manifests>,
    /// Earlier generations of which nothing is left to compress.
    done: BTreeSet<u32>,
}

/// Why a generation is left for the next pass.
enum Left {
    Failed(KeepFailure),
    Stopped,
}

impl Keeper {
    /// Keeps what is below `directory`, beside the writer that `progress` tells of.
    #[must_use]
    pub fn new(
        directory: PathBuf,
        storage: Arc<dyn Storage>,
        progress: Progress,
        observer: Arc<dyn KeepObserver>,
    ) -> Self {
        Self { directory, storage, progress, observer, manifests: BTreeMap::new(), done: BTreeSet::new() }
    }

    /// Does what there is to do, until that is done or `stop` is set.
    pub fn pass(&mut self, stop: &AtomicBool) {
        let places = match generations(&*self.storage, &self.directory) {
            Ok(places) => places,
            Err(source) => {
                self.observer.failed(&KeepFailure::Io { directory: self.directory.clone(), source });
                return;
            }
        };
        let node = self.progress.node().clone();
        for place in places.iter().filter(|place| place.node == node) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(Left::Failed(failure)) = self.keep(place, stop) {
                self.observer.failed(&failure);
            }
        }
    }

    fn keep(&mut self, place: &GenerationDir, stop: &AtomicBool) -> Result<(), Left> {
        let failed = |source| Left::Failed(KeepFailure::Io { directory: place.path.clone(), source });
        if place.number == self.progress.generation() {
            let end = self.progress.closed_before();
            return self.compress_all(place, None, end, stop);
        }
        if self.done.contains(&place.number) {
            return Ok(());
        }
        let names = self.storage.list(&place.path).map_err(failed)?;
        if !names.iter().any(|name| name == CLOSED) {
            return Ok(());
        }
        // Nobody writes there any more; the lock keeps two keepers apart.
        let Some(_lock) = self.storage.lock(&place.path.join(LOCK)).map_err(failed)? else { return Ok(()) };
        let mark = read_closed(&*self.storage, &place.path.join(CLOSED)).map_err(failed)?;
        self.compress_all(place, Some(mark.records), u64::MAX, stop)?;
        self.done.insert(place.number);
        self.manifests.remove(&place.number);
        Ok(())
    }

    /// Compresses the segments that begin before record `closed`; the last one ends before record `end`.
    fn compress_all(
        &mut self,
        place: &GenerationDir,
        end: Option<u64>,
        closed: u64,
        stop: &AtomicBool,
    ) -> Result<(), Left> {
        let failed = |source| Left::Failed(KeepFailure::Io { directory: place.path.clone(), source });
        let files = segments(&*self.storage, &place.path).map_err(failed)?;
        let mut rest = files.iter().peekable();
        while let Some(file) = rest.next() {
            let Some(end) = rest.peek().map(|next| next.first).or(end) else { break };
            let is_empty = end == file.first;
            if file.first >= closed || file.form == Form::Compressed || is_empty {
                continue;
            }
            self.compress_one(place, file, end, stop)?;
        }
        Ok(())
    }

    fn compress_one(
        &mut self,
        place: &GenerationDir,
        file: &SegmentFile,
        end: u64,
        stop: &AtomicBool,
    ) -> Result<(), Left> {
        let failed = |source| Left::Failed(KeepFailure::Io { directory: place.path.clone(), source });
        let manifests = self
            .manifests
            .entry(place.number)
            .or_insert_with(|| Manifests::new(&place.path, Chain::new(place.node.clone(), place.number)));
        read_up_to(&*self.storage, manifests, file, &place.path)?;
        match compress(&*self.storage, file, end, manifests, stop) {
            Ok(done) => {
                self.observer.compressed(done.plain_bytes, done.bytes);
                Ok(())
            }
            Err(CompressError::Io(source)) => Err(failed(source)),
            Err(CompressError::Damaged(damage)) => Err(Left::Failed(KeepFailure::Damaged(damage))),
            Err(CompressError::NoSpace) => Err(Left::Failed(KeepFailure::NoSpace(place.path.clone()))),
            Err(CompressError::Stopped) => Err(Left::Stopped),
        }
    }
}

/// Reads manifests up to the segment `file`.
fn read_up_to(
    storage: &dyn Storage,
    manifests: &mut Manifests,
    file: &SegmentFile,
    directory: &Path,
) -> Result<(), Left> {
    let damaged = |file: &Path, seq, why| {
        Left::Failed(KeepFailure::Damaged(Damage { file: file.to_owned(), offset: 0, seq, why }))
    };
    while manifests.chain().next() < file.first {
        let seq = manifests.chain().next();
        let next = manifests.next(storage);
        match next
            .map_err(|source| Left::Failed(KeepFailure::Io { directory: directory.to_owned(), source }))?
        {
            Some(Ok(_)) => {}
            Some(Err(bad)) => return Err(damaged(&bad.path, seq, DamageKind::Manifest(bad.why))),
            None => return Err(damaged(directory, seq, DamageKind::NoManifest)),
        }
    }
    if manifests.chain().next() == file.first {
        return Ok(());
    }
    Err(damaged(&file.path, manifests.chain().next(), DamageKind::Beginning { found: file.first }))
}
