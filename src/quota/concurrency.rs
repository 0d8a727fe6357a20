//! Calls at once: a count that goes up when a call is let through and down when its reply has ended.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::limit::Limit;
use super::population::Index;
use super::table::{Counters, Table};
use super::usage::{Published, Usage};
use super::{Bound, Exceeded};

/// How long a client is told to wait for a place: nobody knows when a call will end.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The calls under way for one key.
#[derive(Debug, Default)]
pub(super) struct Running(AtomicU32);

/// One call under way; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Running>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The concurrency of one limit.
#[derive(Debug)]
pub(super) struct ConcurrencyBound {
    most: NonZeroU32,
    running: Counters<Running>,
    published: Arc<Published>,
}

impl ConcurrencyBound {
    /// The concurrency of `limit`, if it has one.
    pub(super) fn new(limit: &Limit, table: &Table) -> Option<Self> {
        let most = limit.concurrency?;
        let published = Arc::new(Published::concurrency(&limit.name, u64::from(most.get())));
        Some(Self { most, running: Counters::new(table), published })
    }

    /// Goes on with the counts of `old`: what is under way is under way, whatever the bound.
    pub(super) fn inherit(&mut self, to: (&Table, &Index), old: &Self, from: (&Table, &Index)) {
        self.running.share(to, &old.running, from);
    }

    pub(super) fn look(&self, slot: usize) -> Result<(), Exceeded> {
        match self.running.at(slot) {
            Some(running) if running.0.load(Ordering::Acquire) < self.most.get() => Ok(()),
            _ => Err(self.refuse()),
        }
    }

    pub(super) fn take(&self, slot: usize) -> Result<(Usage, Place), Exceeded> {
        let running = self.running.at(slot).ok_or_else(|| self.refuse())?;
        let before = running
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < self.most.get()).then_some(n + 1))
            .map_err(|_| self.refuse())?;
        let remaining = u64::from(self.most.get().saturating_sub(before + 1));
        let usage = Usage { published: Arc::clone(&self.published), remaining, restored_in: None };
        Ok((usage, Place(Arc::clone(running))))
    }

    fn refuse(&self) -> Exceeded {
        Exceeded {
            name: Arc::clone(&self.published.limit),
            bound: Bound::Concurrency,
            quota: self.published.quota,
            retry_after: RETRY_AFTER,
            usage: Some(Usage { published: Arc::clone(&self.published), remaining: 0, restored_in: None }),
        }
    }
}
