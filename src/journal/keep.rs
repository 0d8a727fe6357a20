//! What becomes of records after they were written: closed segments are compressed, and removed once they
//! are old enough.
//!
//! A pass looks at every generation of this node: at that of this process as far as its segments are closed,
//! and under their locks at earlier ones that are closed as a whole. What fails is reported and tried again
//! with the next pass; the writer never learns of it.

mod check;
mod prune;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::compress::{CompressError, compress};
use super::layout::{CLOSED, Form, GenerationDir, LOCK, SegmentFile, generations, segments};
use super::manifest::Manifests;
use super::read::read_closed;
use super::scan::{Damage, DamageKind};
use super::{AppendError, JournalError, Progress, Storage};
use crate::audit::Chain;
use crate::kernel::time::{Clock, Timestamp};

use self::prune::Pruner;
pub use self::prune::{Announce, Hold, Retention};

/// How often closed segments are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How far the keeper steps back behind whoever serves, as of `nice`.
const NICE: i32 = 10;

/// Is told what becomes of closed segments. Calls come from the keeper's thread.
pub trait KeepObserver: std::fmt::Debug + Send + Sync {
    /// A segment was compressed: how many bytes its records have, and how many the file has now.
    fn compressed(&self, plain_bytes: u64, bytes: u64);
    /// Records were removed, as they were old enough: how many.
    fn pruned(&self, records: u64);
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
    /// The clock is too far ahead for records to be removed by it.
    #[error(
        "nothing is removed by a clock that says {now} while the newest record before the start is of \
         {newest}; if the clock is right, start the gate again"
    )]
    Clock {
        /// What the clock says.
        now: Timestamp,
        /// The newest record of earlier generations.
        newest: Timestamp,
    },
    /// What was to be removed could not be put on record: it stays.
    #[error("what is old enough to be removed stays, since it could not be put on record")]
    Unannounced(#[source] AppendError),
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
    pruner: Option<Pruner>,
}

/// Why a generation is left for the next pass.
enum Left {
    Failed(KeepFailure),
    Stopped,
}

impl Left {
    fn io(directory: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        |source| Self::Failed(KeepFailure::Io { directory: directory.to_owned(), source })
    }

    fn damaged(file: &Path, seq: u64, why: DamageKind) -> Self {
        Self::Failed(KeepFailure::Damaged(Damage { file: file.to_owned(), offset: 0, seq, why }))
    }
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
        let (manifests, done, pruner) = (BTreeMap::new(), BTreeSet::new(), None);
        Self { directory, storage, progress, observer, manifests, done, pruner }
    }

    /// Also removes what is older than it has to be kept, as of `clock`. Without it everything stays.
    #[must_use]
    pub fn prune(mut self, retention: Retention, clock: Arc<dyn Clock>) -> Self {
        self.pruner = Some(Pruner::new(retention, clock));
        self
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
        let mut places = places;
        places.retain(|place| place.node == *self.progress.node());
        for place in &places {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(Left::Failed(failure)) = self.keep(place, stop) {
                self.observer.failed(&failure);
            }
        }
        if let Some(pruner) = &mut self.pruner
            && let Err(Left::Failed(failure)) =
                pruner.prune(&*self.storage, &places, &self.progress, &*self.observer)
        {
            self.observer.failed(&failure);
        }
    }

    /// Keeps on a thread of its own, behind whoever serves, until it is told to stop.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn(mut self) -> Result<Keeping, JournalError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || {
            // On Linux this is of the thread alone. Where it is refused the keeper is as the others are.
            rustix::process::nice(NICE).ok();
            while !stopped.load(Ordering::Acquire) {
                self.pass(&stopped);
                std::thread::park_timeout(LOOK_EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("journal-keep".to_owned()).spawn(work);
        Ok(Keeping { thread: thread.map_err(JournalError::Thread)?, stop })
    }

    fn keep(&mut self, place: &GenerationDir, stop: &AtomicBool) -> Result<(), Left> {
        let failed = || Left::io(&place.path);
        if place.number == self.progress.generation() {
            let end = self.progress.closed_before();
            return self.compress_all(place, None, end, stop);
        }
        if self.done.contains(&place.number) {
            return Ok(());
        }
        let names = self.storage.list(&place.path).map_err(failed())?;
        if !names.iter().any(|name| name == CLOSED) {
            return Ok(());
        }
        // Nobody writes there any more; the lock keeps two keepers apart.
        let Some(_lock) = self.storage.lock(&place.path.join(LOCK)).map_err(failed())? else { return Ok(()) };
        let mark = read_closed(&*self.storage, &place.path.join(CLOSED)).map_err(failed())?;
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
        let failed = || Left::io(&place.path);
        let files = segments(&*self.storage, &place.path).map_err(failed())?;
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
        let failed = || Left::io(&place.path);
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
            Err(CompressError::Io(source)) => Err(failed()(source)),
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
    let damaged = Left::damaged;
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

/// A keeper at work.
#[derive(Debug)]
pub struct Keeping {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Keeping {
    /// Has it leave what it does undone, and waits until it has ended. Whether it came to its end.
    #[must_use]
    pub fn stop(self) -> bool {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().is_ok()
    }
}
