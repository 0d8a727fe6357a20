//! Closes what other processes left open that ended beside this one, as the next start would.
//!
//! A process that drains beside another closes its own generation. One that is killed does not, and nobody
//! publishes, sends or compresses a generation that is open. So it is looked now and then whether the lock of one is
//! free. What is left is then read to its end, cut where it is torn, and said on record by this process, with the
//! outcomes that nobody recorded; once that is durable, the generation is marked closed.
//!
//! What is damaged stays open, and what follows it unpublished: putting it aside takes a person.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::layout::segments;
use super::recover::{Earlier, Found, RecoveredGeneration, look, read_earlier, recovery_entries};
use super::repair::generations_of;
use super::{AppendError, Journal, JournalConfig, JournalError, Storage};
use crate::audit::Entry;
use crate::kernel::time::Clock;

/// How often it is looked for generations that were left.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest wait after failures; each one doubles it.
const MOST_WAIT: Duration = Duration::from_secs(60);
/// How far the thread steps back behind whoever serves, as of `nice`.
const NICE: i32 = 10;

/// Is told what becomes of generations that were left. Calls come from the successor's thread.
pub trait SuccessionObserver: std::fmt::Debug + Send + Sync {
    /// A generation that its process had left open is closed.
    fn closed(&self, left: &RecoveredGeneration);
    /// One could not be closed.
    fn failed(&self, failure: &SuccessionFailure);
}

/// Why a generation that was left is not closed.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionFailure {
    /// It cannot be read, or put in order.
    #[error(transparent)]
    Log(#[from] JournalError),
    /// What became of it could not be put on record.
    #[error("what another process left of the audit log could not be put on record")]
    Unannounced(#[from] AppendError),
}

impl SuccessionFailure {
    /// Whether this process does not try again.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Log(JournalError::Damaged(_)))
    }
}

/// Generations under our lock, in order and read to their end.
#[derive(Debug)]
struct Taken {
    earlier: VecDeque<Earlier>,
    /// What of them is not on record yet.
    entries: VecDeque<Entry>,
}

/// Looks after what processes left that ended beside this one.
#[derive(Debug)]
pub struct Successor {
    config: JournalConfig,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    journal: Journal,
    observer: Arc<dyn SuccessionObserver>,
    /// Generations that are closed, or that this process cannot close.
    done: BTreeSet<u32>,
    /// Kept after a failure, so that nothing is put on record twice.
    taken: Option<Taken>,
    /// Whether nothing is put on record any more.
    stop: Arc<Mutex<bool>>,
}

fn stopped(stop: &Mutex<bool>) -> MutexGuard<'_, bool> {
    stop.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Successor {
    /// Looks after the generations below `directory` of the node that `journal` is of.
    #[must_use]
    pub fn new(
        directory: PathBuf,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        journal: Journal,
        observer: Arc<dyn SuccessionObserver>,
    ) -> Self {
        let config = JournalConfig::new(directory, journal.progress().node().clone());
        let (done, stop) = (BTreeSet::from([journal.progress().generation()]), Arc::default());
        Self { config, storage, clock, journal, observer, done, taken: None, stop }
    }

    /// Closes what is left open now.
    ///
    /// # Errors
    /// When it cannot be done, or not yet: what was begun is gone on with by the next call.
    pub fn look(&mut self) -> Result<(), SuccessionFailure> {
        if self.taken.is_none() {
            self.taken = self.take()?;
        }
        let Some(taken) = &mut self.taken else { return Ok(()) };
        // It stops before the first or after the last, unless the queue is full, this process is killed or its disk fails:
        // then the next to take it may say again what was said already.
        let stopped = stopped(&self.stop);
        // The last room on a disk is for what this process has begun.
        if *stopped || !self.journal.is_durable() {
            return Ok(());
        }
        while let Some(entry) = taken.entries.front().cloned() {
            if taken.entries.len() > 1 {
                self.journal.submit(entry)?;
            } else {
                // It is durable after all that was queued before it.
                self.journal.append_blocking(entry)?;
            }
            taken.entries.pop_front();
        }
        while let Some(earlier) = taken.earlier.front() {
            let closed = earlier.close(&*self.storage)?;
            taken.earlier.pop_front();
            self.done.insert(closed.generation);
            self.observer.closed(&closed);
        }
        self.taken = None;
        Ok(())
    }

    /// Takes the generations that were left, and reads them as a start does: all together, since one may have the
    /// outcomes of another.
    fn take(&mut self) -> Result<Option<Taken>, SuccessionFailure> {
        let own = self.journal.progress().generation();
        let mut left = Vec::new();
        for place in generations_of(&self.config, &*self.storage)? {
            if self.done.contains(&place.number) {
                continue;
            }
            if place.number > own {
                // Of a process that is just beginning, perhaps: it has no lock yet. Nothing is in it.
                let files = segments(&*self.storage, &place.path);
                if files.map_err(JournalError::io("list", &place.path))?.is_empty() {
                    continue;
                }
            }
            match look(&*self.storage, &place)? {
                Found::Closed => {
                    self.done.insert(place.number);
                }
                Found::Live => {}
                Found::Left(lock) => left.push((place, lock)),
            }
        }
        if left.is_empty() {
            return Ok(None);
        }
        let mut intents = BTreeMap::new();
        let mut earlier = Vec::new();
        for (place, lock) in left {
            let read = read_earlier(&self.config, &*self.storage, &place, lock, &mut intents);
            if matches!(read, Err(JournalError::Damaged(_))) {
                // The others are taken by the next look, without what it has of theirs.
                self.done.insert(place.number);
            }
            earlier.push(read?);
        }
        let now = self.clock.now();
        let entries = recovery_entries(&self.config, &*self.storage, now, &[], &earlier, &intents)?;
        Ok(Some(Taken { earlier: earlier.into(), entries: entries.into() }))
    }

    #[cfg(test)]
    pub(super) fn stop(&self) {
        *stopped(&self.stop) = true;
    }

    /// Looks on a thread of its own, behind whoever serves, until it is told to stop.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn(mut self) -> Result<Succeeding, JournalError> {
        let stop = Arc::clone(&self.stop);
        let work = move || {
            // On Linux this is of the thread alone. Where it is refused it is as the others are.
            rustix::process::nice(NICE).ok();
            let mut wait = LOOK_EVERY;
            while !*stopped(&self.stop) {
                wait = match self.look() {
                    Ok(()) => LOOK_EVERY,
                    Err(failure) => {
                        self.observer.failed(&failure);
                        wait.saturating_mul(2).min(MOST_WAIT)
                    }
                };
                std::thread::park_timeout(wait);
            }
        };
        let thread = std::thread::Builder::new().name("journal-succeed".to_owned()).spawn(work);
        Ok(Succeeding { thread: thread.map_err(JournalError::Thread)?, stop })
    }
}

/// A successor at work.
#[derive(Debug)]
pub struct Succeeding {
    thread: JoinHandle<()>,
    stop: Arc<Mutex<bool>>,
}

impl Succeeding {
    /// Has it put nothing on record any more; to be called before the journal is closed. Whether it was still at
    /// work. What it reads is not waited for: it may be long, and whoever comes next reads it again.
    #[must_use]
    pub fn stop(self) -> bool {
        let was_at_work = !self.thread.is_finished();
        *stopped(&self.stop) = true;
        self.thread.thread().unpark();
        was_at_work
    }
}
