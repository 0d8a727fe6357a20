//! The one thread that writes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::handle::{AppendError, Fault, Item, Shared};
use super::log::{Log, RestoreError};
use super::progress::Progress;
use super::storage::{Lock, Storage};
use super::{JournalConfig, Observer};
use crate::kernel::time::Clock;

/// After how many commits the free space is looked at.
const COMMITS_PER_LOOK: u32 = 256;

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    log: Log,
    /// Held while this process writes the generation.
    _lock: Box<dyn Lock>,
    directory: PathBuf,
    segment_bytes: u64,
    retry_first: Duration,
    retry_most: Duration,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    commits: u32,
}

/// Says that the writer has ended, however it ends.
struct Farewell(Arc<Shared>, Progress);

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closing = true;
        self.0.durable.store(false, Ordering::Release);
        self.0.why.store(Some(Arc::new(Fault::Stopped)));
        // Waiters learn it from their senders' end.
        queue.items.clear();
        self.0.queued.store(0, Ordering::Relaxed);
        self.1.end();
    }
}

fn fault(error: &std::io::Error) -> Fault {
    if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
        Fault::NoSpace
    } else {
        Fault::Io(error.to_string())
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Log,
        lock: Box<dyn Lock>,
        config: &JournalConfig,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            shared,
            log,
            _lock: lock,
            directory: config.directory.clone(),
            segment_bytes: config.segment_bytes,
            retry_first: config.retry_first,
            retry_most: config.retry_most,
            storage,
            clock,
            observer,
            commits: 0,
        }
    }

    /// Writes until the journal is closed.
    pub(super) fn run(mut self) {
        let farewell = Farewell(Arc::clone(&self.shared), self.log.progress().clone());
        self.observer.durable(true);
        self.look();
        let mut batch = VecDeque::new();
        while self.take(&mut batch) {
            while !batch.is_empty() && self.write(&mut batch) {}
            if !batch.is_empty() {
                self.shared.queue().lost += batch.len();
                batch.clear();
            }
        }
        // What is not marked closed is closed by the next process: nothing is lost.
        drop(self.log.close());
        drop(farewell);
    }

    /// Waits for records and takes all there are; `false` when closed and empty.
    fn take(&self, batch: &mut VecDeque<Item>) -> bool {
        let mut queue = self.shared.queue();
        while queue.items.is_empty() {
            if queue.closing {
                return false;
            }
            queue.idle = true;
            queue = self.shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        queue.bytes = 0;
        std::mem::swap(&mut queue.items, batch);
        self.shared.queued.store(0, Ordering::Relaxed);
        drop(queue);
        self.observer.queued(batch.len());
        true
    }

    /// Commits a first part of `batch` and answers its waiters; after an error waits until the log
    /// can go on. `false` if it cannot and the journal is being closed.
    fn write(&mut self, batch: &mut VecDeque<Item>) -> bool {
        let first = self.log.chain().next();
        let start = self.clock.monotonic();
        match self.log.commit(batch.iter().map(|item| &item.entry)) {
            Ok((count, bytes)) => {
                self.observer.committed(count, bytes, self.clock.monotonic().saturating_sub(start));
                for (seq, item) in (first..).zip(batch.drain(..count)) {
                    if let Some(waiter) = item.waiter {
                        // Whoever no longer waits has its record all the same.
                        waiter.send(Ok(seq)).ok();
                    }
                }
                self.commits = self.commits.wrapping_add(1);
                if self.commits.is_multiple_of(COMMITS_PER_LOOK) {
                    self.look();
                }
                true
            }
            Err(error) => {
                self.fail(batch, fault(&error));
                self.recover()
            }
        }
    }

    /// Looks at the free space, and has a spare segment made if there is room for it.
    fn look(&mut self) {
        if let Ok(free) = self.storage.free_space(&self.directory) {
            self.shared.free_bytes.store(free, Ordering::Relaxed);
            if free > self.segment_bytes {
                self.log.prepare();
            }
        }
    }

    /// Refuses what waits and everything that comes, but keeps what nobody waits for.
    fn fail(&self, batch: &mut VecDeque<Item>, why: Fault) {
        self.shared.why.store(Some(Arc::new(why)));
        let mut queue = self.shared.queue();
        self.shared.durable.store(false, Ordering::Release);
        batch.append(&mut queue.items);
        queue.bytes = 0;
        self.shared.queued.store(0, Ordering::Relaxed);
        drop(queue);
        self.observer.durable(false);
        let items = std::mem::take(batch);
        for item in items {
            if !item.is_awaited() {
                batch.push_back(Item { entry: item.entry, waiter: None });
            } else if let Some(waiter) = item.waiter {
                waiter.send(Err(AppendError::Unavailable)).ok();
            }
        }
    }

    /// Tries to go on until it succeeds; `false` if the journal is being closed and a last try
    /// failed.
    fn recover(&mut self) -> bool {
        let mut wait = self.retry_first;
        loop {
            let closing = self.pause(wait);
            match self.log.restore() {
                Ok(()) => {
                    self.shared.why.store(None);
                    self.shared.durable.store(true, Ordering::Release);
                    self.observer.durable(true);
                    self.look();
                    return true;
                }
                Err(RestoreError::Io(error)) => self.shared.why.store(Some(Arc::new(fault(&error)))),
                Err(RestoreError::Lost(path)) => {
                    let text = RestoreError::Lost(path).to_string();
                    self.shared.why.store(Some(Arc::new(Fault::Lost(text))));
                }
            }
            if closing {
                return false;
            }
            wait = wait.saturating_mul(2).min(self.retry_most);
        }
    }

    /// Waits, but not when the journal is being closed; says whether it is.
    fn pause(&self, wait: Duration) -> bool {
        let queue = self.shared.queue();
        let waited = self.shared.wake.wait_timeout_while(queue, wait, |queue| !queue.closing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }
}
