//! What the rest of the gate holds of a journal.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot};

use crate::audit::Entry;
use crate::kernel::time::Timestamp;

/// Why a record is not durable. None of these says that it will not be found: a record whose commit
/// failed half-way may or may not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Records wait for the disk up to the bound.
    #[error("too many audit records are waiting for the disk")]
    Full,
    /// The log is not in order; it goes on by itself once the disk allows.
    #[error("the audit log cannot be written at present")]
    Unavailable,
    /// The journal was closed.
    #[error("the audit log is closed")]
    Closed,
}

/// What stopped the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Timestamp,
    /// What the disk said.
    pub why: String,
}

/// How the journal does.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether appends can be made durable.
    pub durable: bool,
    /// What stopped the log, while it is stopped.
    pub fault: Option<Arc<Fault>>,
    /// How many records wait.
    pub queued: usize,
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) entry: Entry,
    /// Who waits for it; nobody for records that are only submitted.
    pub(super) done: Option<oneshot::Sender<Result<u64, AppendError>>>,
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Command {
    Append(Waiting),
    Close(oneshot::Sender<()>),
}

/// What the handles and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) durable: AtomicBool,
    pub(super) fault: ArcSwapOption<Fault>,
    pub(super) queued_bytes: AtomicUsize,
    queue_bytes: usize,
    /// Taken once, by `close`; no request ever waits for it.
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn new(queue_bytes: usize) -> Self {
        Self {
            durable: AtomicBool::new(true),
            fault: ArcSwapOption::empty(),
            queued_bytes: AtomicUsize::new(0),
            queue_bytes,
            writer: Mutex::new(None),
        }
    }
}

/// A handle on the log that is being written; clones share it.
#[derive(Debug, Clone)]
pub struct Journal {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

impl Journal {
    pub(super) fn new(commands: mpsc::Sender<Command>, shared: Arc<Shared>, writer: JoinHandle<()>) -> Self {
        *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Self { commands, shared }
    }

    /// Appends a record and waits until it is durable; gives its `seq`.
    ///
    /// The record is in the queue when this returns; dropping the future erases nothing.
    ///
    /// # Errors
    /// When the record could not be made durable, or the queue is full.
    pub fn append(
        &self,
        entry: Entry,
    ) -> impl Future<Output = Result<u64, AppendError>> + Send + 'static + use<> {
        let (done, wait) = oneshot::channel();
        let queued = if self.shared.durable.load(Ordering::Acquire) {
            self.enqueue(Waiting { entry, done: Some(done) })
        } else {
            Err(AppendError::Unavailable)
        };
        async move {
            queued?;
            wait.await.unwrap_or(Err(AppendError::Closed))
        }
    }

    /// Appends a record without waiting for it. While the log is stopped the record waits until it goes
    /// on.
    ///
    /// # Errors
    /// When the queue is full, or the journal was closed.
    pub fn submit(&self, entry: Entry) -> Result<(), AppendError> {
        self.enqueue(Waiting { entry, done: None })
    }

    fn enqueue(&self, waiting: Waiting) -> Result<(), AppendError> {
        let bytes = waiting.entry.as_bytes().len();
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if before.saturating_add(bytes) > self.shared.queue_bytes {
            Err(AppendError::Full)
        } else {
            self.commands.try_send(Command::Append(waiting)).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AppendError::Full,
                mpsc::error::TrySendError::Closed(_) => AppendError::Closed,
            })
        };
        if sent.is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        sent
    }

    /// How the journal does, without waiting for anything.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            durable: self.is_durable(),
            fault: self.shared.fault.load_full(),
            queued: self.commands.max_capacity().saturating_sub(self.commands.capacity()),
        }
    }

    /// Whether appends can be made durable.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Writes what waits and says on disk that nothing follows. Blocks; later appends fail. Records that
    /// the disk does not take are given up.
    pub fn close(&self) {
        let Some(writer) = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let (done, wait) = oneshot::channel();
        writer.thread().unpark();
        let told = self.commands.blocking_send(Command::Close(done)).is_ok();
        writer.thread().unpark();
        if told && wait.blocking_recv().is_err() {
            tracing::error!("the audit writer ended before it was told to");
        }
        if writer.join().is_err() {
            tracing::error!("the audit writer ended badly");
        }
    }
}
