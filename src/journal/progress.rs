//! How far the log of this process is: what is durable, and which segments are closed.
//!
//! Whoever reads what the writer writes (the publisher, the sinks, the keeper of old segments) follows
//! it here. Following costs the writer an atomic load for each commit and holds nothing open.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::kernel::id::NodeId;

/// Nobody waits.
const NOBODY: u64 = u64::MAX;

/// How far one generation is. Cheap to clone; all clones tell of the same generation, also after its
/// journal was closed.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeId,
    generation: u32,
    directory: PathBuf,
    durable: AtomicU64,
    closed: AtomicU64,
    ended: AtomicBool,
    /// The fewest durable records that somebody waits for.
    wanted: AtomicU64,
    waiting: Mutex<()>,
    moved: Condvar,
}

impl Progress {
    pub(super) fn new(node: NodeId, generation: u32, directory: PathBuf) -> Self {
        Self(Arc::new(Inner {
            node,
            generation,
            directory,
            durable: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            wanted: AtomicU64::new(NOBODY),
            waiting: Mutex::new(()),
            moved: Condvar::new(),
        }))
    }

    /// The gate whose log this is.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.0.node
    }

    /// The number of the generation.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.0.generation
    }

    /// The directory of the generation.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// How many records are durable: each `seq` below this can be read from the segments, and stays.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.0.durable.load(Ordering::SeqCst)
    }

    /// Segments whose first record is below this number are closed: cut to their records, durable so, and
    /// never written again. No other segment of the generation may be moved, compressed or removed; it
    /// may be padded, and may be being written.
    #[must_use]
    pub fn closed_before(&self) -> u64 {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Whether the writer has ended: nothing becomes durable any more. The generation was closed if its
    /// directory has the mark `CLOSED`; otherwise the next start closes it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::SeqCst)
    }

    /// Blocks until `records` records are durable, the writer has ended, or `most` has passed; says how
    /// many are durable then.
    pub fn wait(&self, records: u64, most: Duration) -> u64 {
        let inner = &*self.0;
        let guard = inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = inner.moved.wait_timeout_while(guard, most, |()| {
            // The writer first says how far it is and then looks whether anybody waits; so the order here
            // is the other way round. Each look says anew what is waited for, as a wake ends all wishes.
            inner.wanted.fetch_min(records, Ordering::SeqCst);
            self.durable() < records && !self.has_ended()
        });
        drop(waited);
        self.durable()
    }

    /// So many records are durable.
    pub(super) fn reach(&self, durable: u64) {
        self.0.durable.store(durable, Ordering::SeqCst);
        if durable >= self.0.wanted.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// All segments that begin before `first` are closed.
    pub(super) fn close_before(&self, first: u64) {
        self.0.closed.store(first, Ordering::Release);
    }

    /// The writer has ended.
    pub(super) fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let guard = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.wanted.store(NOBODY, Ordering::SeqCst);
        drop(guard);
        self.0.moved.notify_all();
    }
}
