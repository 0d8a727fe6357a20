//! How far the log of this process is: what is durable, and which segments are closed.
//!
//! Whoever reads what the writer writes (the publisher, the sinks, the keeper of old segments) follows
//! it here. Following costs the writer an atomic load and a short lock for each commit and holds nothing open.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kernel::id::{Digest, NodeId};

/// Nobody waits.
const NOBODY: u64 = u64::MAX;
/// How many of the last leaf hashes are at hand, 32 bytes each. Who is further behind reads the records; so do most tests.
const RECENT: usize = if cfg!(test) { 64 } else { 1 << 13 };

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
    recent: Mutex<Recent>,
}

/// The leaf hashes of the last durable records.
#[derive(Debug, Default)]
struct Recent {
    /// The `seq` of the record after them.
    next: u64,
    leaves: VecDeque<Digest>,
}

impl Recent {
    /// Those of the records before `next`, of which `leaves` are the last.
    fn append(&mut self, next: u64, leaves: &[Digest]) {
        let surplus = (self.leaves.len() + leaves.len()).saturating_sub(RECENT);
        self.leaves.drain(..surplus.min(self.leaves.len()));
        self.leaves.extend(leaves.iter().skip(leaves.len().saturating_sub(RECENT)));
        self.next = next;
    }

    /// Up to `most` from record `seq` on; none if that one is not among them.
    fn from(&self, seq: u64, most: u64) -> Vec<Digest> {
        let behind = usize::try_from(self.next.saturating_sub(seq)).unwrap_or(usize::MAX);
        let Some(skip) = self.leaves.len().checked_sub(behind) else { return Vec::new() };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.leaves.iter().skip(skip).take(most).copied().collect()
    }
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
            recent: Mutex::default(),
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

    /// The leaf hashes of durable records from `seq` on, up to `most`, as they were written; none if that one was
    /// written too long ago.
    pub(super) fn leaves(&self, seq: u64, most: u64) -> Vec<Digest> {
        self.recent().from(seq, most)
    }

    /// So many records are durable, the last of which have these leaf hashes.
    pub(super) fn reach(&self, durable: u64, leaves: &[Digest]) {
        self.recent().append(durable, leaves);
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

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let guard = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.wanted.store(NOBODY, Ordering::SeqCst);
        drop(guard);
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_leaves_are_at_hand(
            batches in prop::collection::vec(0..RECENT + 3, 1..5), seq in 0..4 * RECENT, most in 0..2 * RECENT,
        ) {
            let leaf = |seq: usize| Digest::of(&seq.to_be_bytes());
            let (mut recent, mut all) = (Recent::default(), Vec::new());
            for batch in batches {
                let new: Vec<_> = (all.len()..all.len() + batch).map(leaf).collect();
                all.extend(&new);
                recent.append(u64::try_from(all.len()).unwrap(), &new);
                prop_assert!(recent.leaves.len() <= RECENT);
            }
            let given = recent.from(u64::try_from(seq).unwrap(), u64::try_from(most).unwrap());
            let is_recent = seq + RECENT >= all.len();
            let wanted = all.get(seq..).filter(|_| is_recent).unwrap_or_default();
            prop_assert_eq!(given, &wanted[..wanted.len().min(most)]);
        }
    }
}
