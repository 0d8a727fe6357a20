//! The journal as the rest of the program holds it.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;

use super::answers::{Desks, Waiter};
use super::log::Log;
use super::progress::Progress;
use super::recover::{Recovery, open};
use super::storage::Storage;
use super::upkeep::Upkeep;
use super::writer::Writer;
use super::{JournalConfig, JournalError, MIN_SEGMENT_BYTES, Observer};
use crate::audit::{Entry, Kind};
use crate::kernel::time::Clock;

/// How many times the bounds of the queue what is only submitted may take: the outcome of a reply
/// whose intent was accepted must find room when no new intent does.
const SUBMIT_FACTOR: usize = 4;

/// Why a record is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much is waiting for the disk.
    #[error("the audit queue is full")]
    Full,
    /// The disk takes nothing, or did not take this record.
    #[error("the audit log cannot be written")]
    Unavailable,
    /// The journal was closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Why nothing can be made durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The disk is full.
    #[error("no space is left for the audit log")]
    NoSpace,
    /// No segment can be made to follow the last one, whose rest is kept for the ends of what has begun.
    #[error("no space is left for another segment of the audit log")]
    NoReserve,
    /// The disk reported an error.
    #[error("the disk failed: {0}")]
    Io(String),
    /// What was acknowledged cannot be read back. It is looked for again, but a person should
    /// look too.
    #[error("{0}")]
    Lost(String),
    /// The writer is gone.
    #[error("the audit writer has ended")]
    Stopped,
}

/// How the journal is.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether appends are taken and made durable.
    pub durable: bool,
    /// Why not.
    pub why: Option<Arc<Fault>>,
    /// How many records wait for the writer.
    pub queued: usize,
    /// How many bytes the disk had free when last looked at.
    pub free_bytes: u64,
    /// Whether that is fewer than there should be.
    pub is_space_low: bool,
}

/// One record on its way to the writer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) entry: Entry,
    /// Who waits; nobody for what is only submitted.
    pub(super) waiter: Option<Waiter>,
}

impl Item {
    /// Whether somebody still waits and will refuse the data if this record fails.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiter.as_ref().is_some_and(|waiter| !waiter.is_gone())
    }

    /// Whether this is how something ended whose beginning is on record.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.entry.half(), Some((Kind::Outcome, _)))
    }
}

/// What may be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Intake {
    /// What nobody waits for.
    Submitted = 0,
    /// That, and the ends of what has begun.
    Ends = 1,
    /// Everything.
    All = 2,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) items: VecDeque<Item>,
    pub(super) bytes: usize,
    /// At how many items the writer is to be woken.
    pub(super) wake_at: usize,
    pub(super) closing: bool,
    /// Whether the writer is to look at its reserve although nothing is queued.
    pub(super) stirred: bool,
    /// Records that were submitted and then lost, since the journal was closed on a failing disk.
    pub(super) lost: usize,
}

/// A [`Queue::wake_at`] that no queue reaches: the writer is awake.
pub(super) const AWAKE: usize = usize::MAX;

/// What handles and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    pub(super) desks: Desks,
    /// An [`Intake`].
    intake: AtomicU8,
    pub(super) why: ArcSwapOption<Fault>,
    pub(super) queued: AtomicUsize,
    pub(super) free_bytes: AtomicU64,
    low_space: u64,
    most_records: usize,
    most_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    /// The queue. A thread that panicked while it held the lock left nothing half done: every
    /// change is a single push, take or assignment.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_intake(&self, intake: Intake) {
        #[expect(clippy::as_conversions, reason = "the number that the variant was given")]
        self.intake.store(intake as u8, Ordering::Release);
    }

    fn takes(&self, item: &Item) -> bool {
        let least = match item.waiter {
            None => Intake::Submitted,
            Some(_) if item.is_end() => Intake::Ends,
            Some(_) => Intake::All,
        };
        #[expect(clippy::as_conversions, reason = "the number that the variant was given")]
        let least = least as u8;
        self.intake.load(Ordering::Acquire) >= least
    }

    /// Notes the free space and says whether it is low.
    pub(super) fn note_space(&self, free: u64) -> bool {
        self.free_bytes.store(free, Ordering::Relaxed);
        free < self.low_space
    }

    /// Has the writer look at its reserve.
    pub(super) fn stir(&self) {
        self.queue().stirred = true;
        self.wake.notify_all();
    }

    fn enqueue(&self, item: Item) -> Result<(), AppendError> {
        let factor = if item.waiter.is_some() { 1 } else { SUBMIT_FACTOR };
        let bytes = item.entry.as_bytes().len();
        let mut queue = self.queue();
        if queue.closing {
            return Err(AppendError::Closed);
        }
        if !self.takes(&item) {
            return Err(AppendError::Unavailable);
        }
        if queue.items.len() >= self.most_records.saturating_mul(factor)
            || queue.bytes.saturating_add(bytes) > self.most_bytes.saturating_mul(factor)
        {
            return Err(AppendError::Full);
        }
        queue.items.push_back(item);
        queue.bytes = queue.bytes.saturating_add(bytes);
        self.queued.store(queue.items.len(), Ordering::Relaxed);
        let wake = queue.items.len() >= queue.wake_at;
        if wake {
            queue.wake_at = AWAKE;
        }
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }
}

/// Starts the thread that does what goes on beside writing.
fn tend(
    config: &JournalConfig,
    shared: &Arc<Shared>,
    log: &Log,
    storage: Arc<dyn Storage>,
    observer: &Arc<dyn Observer>,
) -> Result<JoinHandle<()>, JournalError> {
    let (shared, upkeep, observer) = (Arc::clone(shared), Arc::clone(log.upkeep()), Arc::clone(observer));
    let (first, most, directory) = (config.retry_first, config.retry_most, config.directory.clone());
    let mut was_ready = false;
    let mut after = move |upkeep: &Upkeep| {
        if let Ok(free) = storage.free_space(&directory) {
            observer.space(free, shared.note_space(free));
        }
        let is_ready = upkeep.is_ready();
        if std::mem::replace(&mut was_ready, is_ready) != is_ready {
            shared.stir();
        }
    };
    std::thread::Builder::new()
        .name("journal-upkeep".to_owned())
        .spawn(move || upkeep.tend(first, most, &mut after))
        .map_err(JournalError::Thread)
}

/// The audit log of this process. Cheap to clone; all clones are the same log.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Handle>);

/// What all clones of a journal hold; the writer does not.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    progress: Progress,
}

impl Drop for Handle {
    /// Nobody can append any more: the writer writes what waits and ends by itself.
    fn drop(&mut self) {
        self.shared.queue().closing = true;
        self.shared.wake.notify_all();
    }
}

impl Journal {
    /// Begins a generation of its own in the directory, after closing those that ended without
    /// it: torn ends are cut and put aside, intents without outcome get one with the decision
    /// `unknown`. Reads every generation that was not closed; blocks while it does.
    ///
    /// # Errors
    /// When the disk refuses, the bounds make no sense, or an earlier generation is damaged and
    /// `config.repair` names nobody.
    #[expect(clippy::needless_pass_by_value, reason = "the journal keeps them all")]
    pub fn open(
        config: JournalConfig,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Self, Recovery), JournalError> {
        if config.segment_bytes < MIN_SEGMENT_BYTES {
            return Err(JournalError::SegmentTooSmall { found: config.segment_bytes });
        }
        let opened = open(&config, &storage, &*clock)?;
        let free_bytes = storage
            .free_space(&config.directory)
            .map_err(JournalError::io("measure the free space of", &config.directory))?;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                bytes: 0,
                wake_at: AWAKE,
                closing: false,
                stirred: false,
                lost: 0,
            }),
            wake: Condvar::new(),
            desks: Desks::default(),
            intake: AtomicU8::new(0),
            why: ArcSwapOption::empty(),
            queued: AtomicUsize::new(0),
            free_bytes: AtomicU64::new(free_bytes),
            low_space: config.low_space,
            most_records: config.queue_records,
            most_bytes: config.queue_bytes,
            thread: Mutex::new(None),
        });
        let progress = opened.log.progress().clone();
        shared.set_intake(Intake::All);
        let upkeep = tend(&config, &shared, &opened.log, storage, &observer)?;
        let writer =
            Writer::new(Arc::clone(&shared), opened.log, opened.lock, &config, clock, observer, upkeep);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::Thread)?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok((Self(Arc::new(Handle { shared, progress })), opened.recovery))
    }

    /// Queues `entry` now, before the future is first polled; the future ends when the record is
    /// on disk and says its `seq`. Dropping the future takes nothing back. The runtime that this is called in brings
    /// the answer: it must run, wherever the future is polled.
    ///
    /// # Errors
    /// [`AppendError::Full`] at once when too much waits, [`AppendError::Unavailable`] at once
    /// while nothing can be made durable and later when the disk did not take this record,
    /// [`AppendError::Closed`] after [`Journal::close`].
    pub fn append(
        &self,
        entry: Entry,
    ) -> impl Future<Output = Result<u64, AppendError>> + Send + 'static + use<> {
        let (waiter, receive) = self.0.shared.desks.waiter();
        let queued = self.0.shared.enqueue(Item { entry, waiter: Some(waiter) });
        async move {
            queued?;
            // The writer answers every item; an answer vanishes only if its thread ended, or the runtime that the
            // append was made in.
            receive.await.unwrap_or(Err(AppendError::Unavailable))
        }
    }

    /// Puts `entry` into the log and blocks until it is on disk; for threads of their own, not for tasks.
    ///
    /// # Errors
    /// As of [`Journal::append`].
    pub fn append_blocking(&self, entry: Entry) -> Result<u64, AppendError> {
        let (waiter, receive) = Waiter::outside();
        self.0.shared.enqueue(Item { entry, waiter: Some(waiter) })?;
        receive.blocking_recv().unwrap_or(Err(AppendError::Unavailable))
    }

    /// Queues `entry` and does not wait. It is written as soon as the disk takes it, even if that
    /// is only after a fault. There is more room for such records than for appends, so that
    /// outcomes find room where new accesses do not.
    ///
    /// # Errors
    /// [`AppendError::Full`] when even that room is full, [`AppendError::Closed`] after
    /// [`Journal::close`].
    pub fn submit(&self, entry: Entry) -> Result<(), AppendError> {
        self.0.shared.enqueue(Item { entry, waiter: None })
    }

    /// Whether appends are taken and made durable, without waiting for anything.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        #[expect(clippy::as_conversions, reason = "the number that the variant was given")]
        let all = Intake::All as u8;
        self.0.shared.intake.load(Ordering::Acquire) == all
    }

    /// How far the log is: what is durable, and which segments are closed. Does not keep the journal open.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.progress.clone()
    }

    /// How the journal is, without waiting for anything.
    #[must_use]
    pub fn health(&self) -> Health {
        let free_bytes = self.0.shared.free_bytes.load(Ordering::Relaxed);
        Health {
            durable: self.is_durable(),
            why: self.0.shared.why.load_full(),
            queued: self.0.shared.queued.load(Ordering::Relaxed),
            free_bytes,
            is_space_low: free_bytes < self.0.shared.low_space,
        }
    }

    /// Takes no more records, writes those that wait, marks the generation closed and ends the
    /// writer thread. Blocks until then. A second call does nothing.
    ///
    /// # Errors
    /// [`AppendError::Unavailable`] when records that waited could not be written.
    pub fn close(&self) -> Result<(), AppendError> {
        self.0.shared.queue().closing = true;
        self.0.shared.wake.notify_all();
        let thread = self.0.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = thread.is_none_or(|thread| thread.join().is_ok());
        if ended && self.0.shared.queue().lost == 0 { Ok(()) } else { Err(AppendError::Unavailable) }
    }
}
