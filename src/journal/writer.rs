//! The one thread that writes.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::answers::Sorted;
use super::gather::Crowd;
use super::handle::{AWAKE, AppendError, Fault, Intake, Item, Queue, Shared};
use super::log::{Log, RestoreError};
use super::priority::{Priority, raise};
use super::progress::Progress;
use super::storage::Lock;
use super::upkeep::Upkeep;
use super::{JournalConfig, Observer};
use crate::audit::Kind;
use crate::kernel::time::Clock;

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    log: Log,
    /// Held while this process writes the generation.
    _lock: Box<dyn Lock>,
    retry_first: Duration,
    retry_most: Duration,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// The thread that does what goes on beside writing.
    upkeep: Option<JoinHandle<()>>,
    /// Whether new accesses are refused for want of a segment after this one.
    is_short: bool,
    is_raised: bool,
    /// `None` if nobody is waited for.
    crowd: Option<Crowd>,
    answers: Sorted,
}

/// Says that the writer has ended, however it ends.
struct Farewell(Arc<Shared>, Progress, Arc<Upkeep>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closing = true;
        self.0.set_intake(Intake::Submitted);
        self.0.why.store(Some(Arc::new(Fault::Stopped)));
        // Waiters learn it from their senders' end.
        queue.items.clear();
        self.0.queued.store(0, Ordering::Relaxed);
        drop(queue);
        self.1.end();
        self.2.stop();
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
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        upkeep: JoinHandle<()>,
    ) -> Self {
        Self {
            shared,
            log,
            _lock: lock,
            retry_first: config.retry_first,
            retry_most: config.retry_most,
            clock,
            observer,
            upkeep: Some(upkeep),
            is_short: false,
            is_raised: config.raised_priority,
            crowd: config.gathers.then_some(Crowd::new()),
            answers: Sorted::default(),
        }
    }

    /// Writes until the journal is closed.
    pub(super) fn run(mut self) {
        let upkeep = Arc::clone(self.log.upkeep());
        let farewell = Farewell(Arc::clone(&self.shared), self.log.progress().clone(), Arc::clone(&upkeep));
        let priority = if self.is_raised { raise() } else { Priority::Normal };
        self.observer.priority(priority);
        self.observer.durable(None);
        let mut batch = VecDeque::new();
        while self.take(&mut batch) {
            self.weigh(&mut batch);
            while !batch.is_empty() && self.write(&mut batch) {}
            if !batch.is_empty() {
                self.shared.queue().lost += batch.len();
                batch.clear();
            }
        }
        upkeep.stop();
        // What it left undone is tried once more by closing. What is not marked closed then is closed by the
        // next process: nothing is lost.
        drop(self.upkeep.take().map(JoinHandle::join));
        drop(self.log.close());
        drop(farewell);
    }

    /// Waits for records and takes all there are, or none if the reserve is to be looked at; `false` when
    /// closed and empty.
    fn take(&self, batch: &mut VecDeque<Item>) -> bool {
        let mut queue = self.shared.queue();
        while queue.items.is_empty() && !queue.stirred {
            if queue.closing {
                return false;
            }
            queue.wake_at = 1;
            queue = self.shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some((expected, most)) = self.crowd.as_ref().and_then(Crowd::expected)
            && queue.items.len() < expected
        {
            queue.wake_at = expected;
            let alone = |queue: &mut Queue| queue.items.len() < expected && !queue.closing && !queue.stirred;
            let waited = self.shared.wake.wait_timeout_while(queue, most, alone);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.wake_at = AWAKE;
        queue.stirred = false;
        queue.bytes = 0;
        std::mem::swap(&mut queue.items, batch);
        self.shared.queued.store(0, Ordering::Relaxed);
        drop(queue);
        self.observer.queued(batch.len());
        true
    }

    /// Refuses new accesses while no segment can follow the active one and its rest is needed for the ends of
    /// what has begun.
    fn weigh(&mut self, batch: &mut VecDeque<Item>) {
        let upkeep = self.log.upkeep();
        if upkeep.is_ready() {
            if self.is_short {
                self.accept_again();
            }
            return;
        }
        if !self.is_short {
            let intents = batch.iter().filter(|item| matches!(item.entry.half(), Some((Kind::Intent, _))));
            let intents = intents.count();
            let bytes = batch.iter().map(|item| self.log.chain().sealed_bytes(&item.entry)).sum();
            // A segment in the making is waited for.
            if self.log.lacks_room(bytes, intents) && !upkeep.settle() {
                self.is_short = true;
                self.refuse_from_now_on(Intake::Ends, Fault::NoReserve);
            }
        }
        if self.is_short {
            refuse(batch, |item| item.is_awaited() && !item.is_end());
        }
    }

    /// Commits a first part of `batch` and answers its waiters; after an error waits until the log
    /// can go on. `false` if it cannot and the journal is being closed.
    fn write(&mut self, batch: &mut VecDeque<Item>) -> bool {
        let first = self.log.chain().next();
        let start = self.clock.monotonic();
        match self.log.commit(batch.iter().map(|item| &item.entry)) {
            Ok((count, bytes)) => {
                let end = self.clock.monotonic();
                self.observer.committed(count, bytes, end.saturating_sub(start));
                if let Some(crowd) = &mut self.crowd {
                    crowd.note(count, self.shared.queued.load(Ordering::Relaxed), start, end);
                }
                for (seq, item) in (first..).zip(batch.drain(..count)) {
                    if let Some(waiter) = item.waiter {
                        self.answers.push(waiter, Ok(seq));
                    }
                }
                self.answers.hand_over(&self.shared.desks);
                true
            }
            Err(error) => {
                self.fail(batch, fault(&error));
                self.recover()
            }
        }
    }

    fn refuse_from_now_on(&self, intake: Intake, why: Fault) {
        let why = Arc::new(why);
        self.shared.why.store(Some(Arc::clone(&why)));
        self.shared.set_intake(intake);
        self.observer.durable(Some(&why));
    }

    fn accept_again(&mut self) {
        self.is_short = false;
        self.shared.why.store(None);
        self.shared.set_intake(Intake::All);
        self.observer.durable(None);
    }

    /// Refuses what waits and everything that comes, but keeps what nobody waits for.
    fn fail(&self, batch: &mut VecDeque<Item>, why: Fault) {
        self.refuse_from_now_on(Intake::Submitted, why);
        let mut queue = self.shared.queue();
        batch.append(&mut queue.items);
        queue.bytes = 0;
        self.shared.queued.store(0, Ordering::Relaxed);
        drop(queue);
        refuse(batch, Item::is_awaited);
    }

    /// Tries to go on until it succeeds; `false` if the journal is being closed and a last try
    /// failed.
    fn recover(&mut self) -> bool {
        let mut wait = self.retry_first;
        loop {
            let closing = self.pause(wait);
            match self.log.restore() {
                Ok(()) => {
                    self.accept_again();
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

/// Tells those whose records meet `condition` that they are not written, and keeps the rest.
fn refuse(batch: &mut VecDeque<Item>, condition: impl Fn(&Item) -> bool) {
    for item in std::mem::take(batch) {
        if !condition(&item) {
            batch.push_back(item);
        } else if let Some(waiter) = item.waiter {
            waiter.answer(Err(AppendError::Unavailable));
        }
    }
}
