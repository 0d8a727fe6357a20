//! The one thread that writes: drain the queue, commit what was there as one batch, wake who waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::handle::{AppendError, Command, Fault, Shared, Waiting};
use super::log::{Log, RestoreError};
use super::{JournalConfig, Observer};
use crate::audit::{Entry, Lifecycle};
use crate::kernel::time::Clock;

/// How many records are taken from the queue at once.
const DRAIN: usize = 4_096;

/// After how many batches the spare segment is looked after: a spare that could not be made is tried
/// again then, not with every batch.
const COMMITS_PER_LOOK: u32 = 256;

/// The writer thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    log: Log,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    retry_first: Duration,
    retry_most: Duration,
    /// Taken from the queue and not durable yet, in order.
    pending: Vec<Waiting>,
    /// Counts batches, to look after the spare segment now and then.
    commits: u32,
}

impl Writer {
    pub(super) fn new(
        log: Log,
        commands: mpsc::Receiver<Command>,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        config: &JournalConfig,
    ) -> Self {
        let (retry_first, retry_most) = (config.retry_first, config.retry_most);
        Self {
            log,
            commands,
            shared,
            clock,
            observer,
            retry_first,
            retry_most,
            pending: Vec::new(),
            commits: 0,
        }
    }

    /// Writes until the journal is closed, or nobody holds it any more.
    pub(super) fn run(mut self) {
        self.observer.durable(true);
        self.log.prepare();
        let mut commands = Vec::with_capacity(DRAIN);
        let closed = loop {
            commands.clear();
            if self.commands.blocking_recv_many(&mut commands, DRAIN) == 0 {
                break None;
            }
            let closed = self.take(&mut commands);
            self.commit();
            if closed.is_some() {
                break closed;
            }
            while !self.shared.durable.load(Ordering::Acquire) {
                if let Some(closed) = self.go_on() {
                    self.end(Some(closed));
                    return;
                }
            }
            self.commits = self.commits.wrapping_add(1);
            if self.commits.is_multiple_of(COMMITS_PER_LOOK) {
                self.log.prepare();
            }
        };
        self.end(closed);
    }

    /// Takes commands over into `pending`; the answer to a close among them, which comes last.
    fn take(&mut self, commands: &mut Vec<Command>) -> Option<oneshot::Sender<()>> {
        let mut closed = None;
        for command in commands.drain(..) {
            match command {
                Command::Append(waiting) => {
                    self.shared.queued_bytes.fetch_sub(waiting.entry.as_bytes().len(), Ordering::Relaxed);
                    self.pending.push(waiting);
                }
                Command::Close(done) => closed = Some(done),
            }
        }
        self.observer.queued(self.pending.len());
        closed
    }

    /// Makes `pending` durable and wakes who waits, or stops the log.
    fn commit(&mut self) {
        while !self.pending.is_empty() {
            let started = self.clock.monotonic();
            match self.log.commit(self.pending.iter().map(|waiting| &waiting.entry)) {
                Ok((records, bytes)) => {
                    self.observer.committed(records, bytes, self.clock.monotonic().saturating_sub(started));
                    let count = u64::try_from(records).unwrap_or(u64::MAX);
                    let first = self.log.chain().next().saturating_sub(count);
                    for (seq, waiting) in (first..).zip(self.pending.drain(..records)) {
                        if let Some(done) = waiting.done {
                            // Whoever waited may be gone; the record stays.
                            let _nobody_waits = done.send(Ok(seq));
                        }
                    }
                }
                Err(error) => {
                    self.stop(error.to_string());
                    return;
                }
            }
        }
        self.observer.queued(0);
    }

    /// The log is not in order: refuse who waits, keep what nobody waits for.
    fn stop(&mut self, why: String) {
        tracing::error!(why, "the audit log is stopped; no data leaves until it goes on");
        self.shared.fault.store(Some(Arc::new(Fault { at: self.clock.now(), why })));
        self.shared.durable.store(false, Ordering::Release);
        self.observer.durable(false);
        self.refuse();
    }

    fn refuse(&mut self) {
        let mut kept = Vec::new();
        for mut waiting in self.pending.drain(..) {
            match waiting.done.take() {
                Some(done) => {
                    let _nobody_waits = done.send(Err(AppendError::Unavailable));
                }
                None => kept.push(waiting),
            }
        }
        self.pending = kept;
    }

    /// Waits and tries until the log is in order again, or the journal is closed.
    fn go_on(&mut self) -> Option<oneshot::Sender<()>> {
        let mut wait = self.retry_first;
        loop {
            std::thread::park_timeout(wait);
            wait = wait.saturating_mul(2).min(self.retry_most);
            if let Some(closed) = self.refuse_queued() {
                return Some(closed);
            }
            match self.log.restore() {
                Ok(()) => break,
                Err(RestoreError::Io(error)) => {
                    tracing::error!(%error, "the audit log is still stopped");
                }
                Err(error @ RestoreError::Lost(_)) => {
                    tracing::error!(%error, "the audit log is damaged; it stays stopped");
                    self.shared
                        .fault
                        .store(Some(Arc::new(Fault { at: self.clock.now(), why: error.to_string() })));
                }
            }
        }
        let entry = self.recovered();
        self.pending.insert(0, Waiting { entry, done: None });
        self.shared.fault.store(None);
        self.shared.durable.store(true, Ordering::Release);
        self.observer.durable(true);
        tracing::info!("the audit log goes on");
        self.commit();
        None
    }

    /// The record that says that the log had stopped.
    fn recovered(&self) -> Entry {
        let fault = self.shared.fault.load_full();
        let (since, why) =
            fault.map_or_else(Default::default, |fault| (fault.at.to_string(), fault.why.clone()));
        let detail = [("since", since.as_str()), ("why", why.as_str())];
        let (at, actor) = (self.clock.now(), "journal");
        Lifecycle { at, event: "recovered", actor, detail: &detail, policy: None, config: None }.encode()
    }

    /// Refuses what came into the queue before everybody knew; a close among it ends the trying.
    fn refuse_queued(&mut self) -> Option<oneshot::Sender<()>> {
        let mut commands = Vec::new();
        while let Ok(command) = self.commands.try_recv() {
            commands.push(command);
        }
        let closed = self.take(&mut commands);
        self.refuse();
        closed
    }

    fn end(mut self, closed: Option<oneshot::Sender<()>>) {
        self.commands.close();
        self.refuse_late();
        if self.shared.durable.load(Ordering::Acquire)
            && let Err(error) = self.log.close()
        {
            tracing::error!(%error, "the audit log could not be closed; the next start closes it");
        }
        self.shared.durable.store(false, Ordering::Release);
        self.observer.durable(false);
        if let Some(done) = closed {
            let _nobody_waits = done.send(());
        }
    }

    /// What came after the close and before the queue was shut is still written if it can be.
    fn refuse_late(&mut self) {
        let mut commands = Vec::new();
        while let Ok(command) = self.commands.try_recv() {
            commands.push(command);
        }
        let _second_close = self.take(&mut commands);
        if self.shared.durable.load(Ordering::Acquire) {
            self.commit();
        }
        for waiting in self.pending.drain(..) {
            if let Some(done) = waiting.done {
                let _nobody_waits = done.send(Err(AppendError::Closed));
            }
        }
    }
}
