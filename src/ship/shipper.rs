//! Brings the log to one sink: what comes next, how often to try, and how far it is.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::blocking;
use super::cursor::{Cursor, Oddity};
use super::lag::Lag;
use super::pace::Pace;
use super::reach::Reach;
use super::sink::{Sink, SinkError, Taken};
use super::source::{Filled, Next, Source};
use super::store::{CursorFile, Held, StoreError};
use crate::journal::Progress;
use crate::journal::read::{GenerationState, Missing, ReadError, generation_states};
use crate::kernel::diagnostic::chain;
use crate::kernel::id::NodeId;
use crate::kernel::time::Clock;
use crate::telemetry::SinkFailure;

/// Why records were not brought to a sink.
#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error("the sink has not taken records")]
    Sink(#[from] SinkError),
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// A sink that must have every record is not brought past one that nobody can tell of.
    #[error(
        "records {first} to {last} of generation {generation} are damaged, or gone without having been removed in \
         time: put them back from a copy; `pinegate audit verify` says what is wrong, and where"
    )]
    Damaged { generation: u32, first: u64, last: u64 },
    #[error("its cursor cannot be kept")]
    Store(#[from] StoreError),
    #[error("a thread of it has ended")]
    Thread(#[from] tokio::task::JoinError),
}

impl ShipError {
    fn reason(&self) -> SinkFailure {
        match self {
            Self::Sink(error) => error.reason(),
            Self::Read(_) | Self::Damaged { .. } | Self::Store(_) | Self::Thread(_) => SinkFailure::Local,
        }
    }

    /// How long to wait after the `failures`th failure in a row.
    fn wait(&self, pace: &Pace, failures: u32) -> Duration {
        match self {
            Self::Sink(SinkError::Busy { after: Some(after), .. }) => (*after).min(pace.asked),
            Self::Sink(error) if error.reason() == SinkFailure::Refused => pace.refused,
            Self::Sink(_) | Self::Read(_) | Self::Damaged { .. } | Self::Store(_) | Self::Thread(_) => {
                pace.again(failures)
            }
        }
    }
}

/// What a step has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Another may follow at once.
    More,
    /// Nothing to do for now.
    Idle,
}

/// All that a shipper works with.
#[derive(Debug)]
pub(super) struct Tools {
    /// The name of the sink.
    pub(super) name: NodeId,
    /// The audit directory.
    pub(super) audit: PathBuf,
    /// How far the log of this process is.
    pub(super) own: Progress,
    /// Whether it must have every record.
    pub(super) is_mandatory: bool,
    /// The most records sent at once.
    pub(super) batch_records: usize,
    pub(super) pace: Pace,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lag: Arc<Lag>,
    /// Asks to send what is left and end.
    pub(super) stop: CancellationToken,
}

/// Brings the log to one sink. A process sends its own generation as long as it lives, and one process at a
/// time, the heir, those that are closed.
///
/// INVARIANT: the cursor on disk never says more than what the sink has taken.
#[derive(Debug)]
pub(super) struct Shipper<S> {
    sink: S,
    tools: Tools,
    file: CursorFile,
    /// Lent to a thread while it reads.
    source: Option<Source>,
    most: usize,
    reach: Reach,
    /// Whether there was no cursor when this process began.
    is_new: bool,
    heir: Option<Held>,
    surveyed: Option<Duration>,
    /// Records that were read and not sent yet.
    batch: Option<Filled>,
}

impl<S: Sink> Shipper<S> {
    pub(super) fn new(sink: S, tools: Tools) -> Self {
        Self {
            sink,
            file: CursorFile::new(&tools.audit, tools.name.clone()),
            source: Some(Source::new(&tools.audit, tools.own.node().clone(), tools.is_mandatory)),
            most: tools.batch_records,
            reach: Reach::new(tools.own.node().clone(), tools.own.generation()),
            tools,
            is_new: false,
            heir: None,
            surveyed: None,
            batch: None,
        }
    }

    /// Sends until it is asked to stop; then what is left, as long as the sink takes it.
    pub(super) async fn run(mut self) {
        let mut failures: u32 = 0;
        loop {
            let is_last = self.tools.stop.is_cancelled();
            let wait = match self.step().await {
                Ok(step) => {
                    if failures > 0 {
                        tracing::info!(sink = %self.tools.name, "the sink takes records again");
                    }
                    failures = 0;
                    match step {
                        Step::More => continue,
                        Step::Idle if is_last => return,
                        Step::Idle => self.tools.pace.glance,
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.back(&error);
                    let wait = error.wait(&self.tools.pace, failures);
                    self.say(&error, (!is_last).then_some(wait));
                    if is_last {
                        return;
                    }
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.tools.stop.cancelled() => {}
            }
        }
    }

    fn say(&self, error: &ShipError, again_in: Option<Duration>) {
        let (sink, why) = (&self.tools.name, error.reason());
        self.tools.lag.metrics.failed(why);
        self.show();
        let error = chain(error);
        let Some(again_in) = again_in else {
            tracing::warn!(%sink, error, "audit records are left for the next process to send");
            return;
        };
        if why == SinkFailure::Refused || why == SinkFailure::Local {
            tracing::error!(%sink, error, ?again_in, "audit records are not sent until somebody sees to it");
        } else {
            tracing::warn!(%sink, error, ?again_in, "audit records are kept and sent again");
        }
    }

    /// After an error, what was not settled is sent again, from the cursor on.
    fn back(&mut self, error: &ShipError) {
        if matches!(error, ShipError::Sink(_)) && self.reach.is_ahead() {
            self.reach.fall_back();
            self.batch = None;
        }
        if matches!(error, ShipError::Store(StoreError::Content { .. })) {
            // Somebody has changed the file: it is looked at as at the beginning.
            (self.reach.cursor, self.heir, self.surveyed) = (None, None, None);
        }
    }

    async fn step(&mut self) -> Result<Step, ShipError> {
        self.begin().await?;
        self.survey().await?;
        self.save().await?;
        let (now, pace) = (self.tools.clock.monotonic(), &self.tools.pace);
        if self.reach.is_far_ahead(pace.settle_records, pace.settle_after, now) {
            self.settle().await?;
        }
        let is_last = self.tools.stop.is_cancelled();
        let Some(filled) = self.next().await? else {
            if is_last && self.reach.is_ahead() {
                self.settle().await?;
                return Ok(Step::More);
            }
            return Ok(Step::Idle);
        };
        let is_full = filled.is_full;
        match self.sink.send(&filled.batch).await {
            Ok(Taken::Yes) => {
                self.reach.take(&filled.batch);
                self.have_taken(filled.batch.records).await?;
            }
            Ok(Taken::OnceSettled) => self.reach.go_ahead(&filled.batch, self.tools.clock.monotonic()),
            Err(SinkError::TooLarge { records, .. }) if records > 1 => {
                self.most = usize::try_from(records / 2).unwrap_or(1);
                tracing::warn!(sink = %self.tools.name, records = self.most, "smaller batches are sent");
                return Ok(Step::More);
            }
            Err(error) => {
                self.batch = Some(filled);
                return Err(error.into());
            }
        }
        Ok(if is_full || is_last { Step::More } else { Step::Idle })
    }

    /// Looks at the cursor for the first time.
    async fn begin(&mut self) -> Result<(), ShipError> {
        if self.reach.cursor.is_some() {
            return Ok(());
        }
        let (file, node, own) =
            (self.file.clone(), self.tools.own.node().clone(), self.tools.own.generation());
        let begun = blocking(move || {
            file.prepare()?;
            let mut aside = None;
            let is_new = match file.read() {
                Ok(found) => found.is_none(),
                Err(error @ StoreError::Content { .. }) => {
                    aside = Some((chain(&error), file.put_aside()?));
                    false
                }
                Err(error) => return Err(error),
            };
            let mut odd = Vec::new();
            let cursor = file.update(|cursor| odd = cursor.begin(&node, own))?;
            Ok((cursor, is_new, odd, aside))
        });
        let (cursor, is_new, odd, aside) = begun.await??;
        if let Some((error, aside)) = aside {
            let (sink, aside) = (&self.tools.name, aside.display());
            tracing::error!(%sink, error, %aside, "the whole log is sent again, for want of a cursor");
        }
        self.say_odd(&odd);
        (self.reach.cursor, self.is_new) = (Some(cursor), is_new);
        Ok(())
    }

    fn say_odd(&self, odd: &[Oddity]) {
        for oddity in odd {
            let message = "a sink's cursor does not fit the log";
            match oddity {
                // Whoever archives generations takes them away.
                Oddity::Unknown { .. } => tracing::warn!(sink = %self.tools.name, %oddity, message),
                Oddity::Ahead { .. } | Oddity::Future { .. } => {
                    tracing::error!(sink = %self.tools.name, %oddity, message);
                }
            }
        }
    }

    /// Looks now and then for generations that are closed, and takes them over if nobody else has.
    async fn survey(&mut self) -> Result<(), ShipError> {
        let now = self.tools.clock.monotonic();
        if self.surveyed.is_some_and(|at| now.saturating_sub(at) < self.tools.pace.survey) {
            return Ok(());
        }
        let (file, audit, node) =
            (self.file.clone(), self.tools.audit.clone(), self.tools.own.node().clone());
        let is_heir = self.heir.is_some();
        let from = self.reach.cursor.as_ref().map_or(0, |cursor| cursor.all_before(&node));
        let found = blocking(move || -> Result<Option<Survey>, ShipError> {
            if is_heir {
                return Ok(Some((generation_states(&audit, &node, from)?, None)));
            }
            let Some(held) = file.inherit()? else { return Ok(None) };
            // The file is looked at anew: whoever was the heir before has moved it on. What is there is
            // listed under the lock, so that no generation that is in the file can be missing.
            let (mut odd, mut states) = (Vec::new(), Ok(Vec::new()));
            let cursor = file.update(|cursor| {
                states = generation_states(&audit, &node, cursor.all_before(&node));
                if let Ok(states) = &states {
                    odd = cursor.fit(&node, states);
                }
            })?;
            Ok(Some((states?, Some((held, cursor, odd)))))
        });
        if let Some((states, inherited)) = found.await?? {
            self.reach.states = states;
            if let Some((held, cursor, odd)) = inherited {
                (self.heir, self.reach.cursor) = (Some(held), Some(cursor));
                self.say_odd(&odd);
            }
        }
        self.surveyed = Some(now);
        self.show();
        Ok(())
    }

    /// What was taken is put into the file.
    async fn save(&mut self) -> Result<(), ShipError> {
        if let Some(change) = self.reach.unsaved() {
            let file = self.file.clone();
            let cursor = blocking(move || file.update(change)).await??;
            self.reach.saved(cursor);
        }
        Ok(())
    }

    /// The records that come next; `None` if there are none yet.
    async fn next(&mut self) -> Result<Option<Filled>, ShipError> {
        if let Some(filled) = self.batch.take() {
            return Ok(Some(filled));
        }
        loop {
            let Some(work) = self.reach.work(self.tools.own.durable()) else { return Ok(None) };
            let node = self.tools.own.node().clone();
            let (audit, is_checked) = (&self.tools.audit, self.tools.is_mandatory);
            let mut source = self.source.take().unwrap_or_else(|| Source::new(audit, node, is_checked));
            let most = self.most;
            let (source, read) = blocking(move || {
                let read = source.read(work, most);
                (source, read)
            })
            .await?;
            self.source = Some(source);
            match read? {
                Next::Records(filled) => {
                    if !self.reach.is_ahead() {
                        self.tools.lag.set_oldest(filled.at);
                    }
                    return Ok(Some(filled));
                }
                Next::Missing(missing) => {
                    let (generation, records) = (work.generation, &missing.records);
                    if self.tools.is_mandatory && !missing.is_pruned {
                        let (first, last) = (records.start, records.end.saturating_sub(1));
                        return Err(ShipError::Damaged { generation, first, last });
                    }
                    self.say_missing(generation, &missing);
                    self.reach.pass_over(generation, records.end);
                    self.save().await?;
                }
            }
        }
    }

    fn say_missing(&self, generation: u32, missing: &Missing) {
        let Range { start: first, end } = missing.records;
        let (sink, last) = (&self.tools.name, end.saturating_sub(1));
        if self.is_new && missing.is_pruned {
            tracing::info!(%sink, generation, first, last, "records were removed before there was the sink");
            return;
        }
        self.tools.lag.metrics.missing.inc_by(end.saturating_sub(first));
        let why = if missing.is_pruned {
            "records were removed in time before the sink had them"
        } else {
            "records are damaged or gone before the sink had them: `pinegate audit verify` says more"
        };
        tracing::error!(%sink, generation, first, last, why, "a sink misses records");
    }

    async fn settle(&mut self) -> Result<(), ShipError> {
        self.sink.settle().await?;
        let records = self.reach.settle();
        self.have_taken(records).await
    }

    /// The sink has taken records.
    async fn have_taken(&mut self, records: u64) -> Result<(), ShipError> {
        let metrics = &self.tools.lag.metrics;
        metrics.records.inc_by(records);
        let now = self.tools.clock.now();
        metrics.last_success.set(jiff::SignedDuration::from_millis(now.as_millisecond()).as_secs_f64());
        self.tools.lag.set_oldest(None);
        self.show();
        self.save().await
    }

    fn show(&self) {
        let (own_taken, others) = self.reach.lag();
        self.tools.lag.set(own_taken, others);
        self.tools.lag.show(self.tools.clock.now());
    }
}

/// What there is, and with it, if it was just inherited, the lock, the cursor, and what does not fit in it.
type Survey = (Vec<GenerationState>, Option<(Held, Cursor, Vec<Oddity>)>);
