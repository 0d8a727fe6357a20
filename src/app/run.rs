//! A running gate: start, serve, reload, drain.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::Watcher as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::assemble::{Assembled, assemble};
use super::keeping::Afterwards;
use super::levels::Levels;
use super::operate::Operator;
use super::signals::{Sent, Signals, Wish};
use super::sockets::{self, Bound, Inherited, Listening, NotifyState};
use super::strangers::StrangersWriter;
use super::upstreams::Keeper;
use crate::admin::{Operations as _, Reloaded, serve_admin, serve_metrics};
use crate::audit::Event;
use crate::config::{Config, ReloadTrigger};
use crate::journal::{Journal, JournalConfig, JournalError, Storage, StrangersLog};
use crate::kernel::time::{Clock, SystemClock};
use crate::proxy::{Gate, Tracing, Waiting};
use crate::ship::{BadPeer, Shipping, Traces};
use crate::telemetry::Metrics;

/// How long files must be quiet after a change before they are read.
const QUIET: std::time::Duration = std::time::Duration::from_millis(200);

/// How long what is cut off at the end of a drain may take to end.
const CUT_OFF: std::time::Duration = std::time::Duration::from_secs(5);

/// How long the last records may take to be written once everything else has stopped.
const LAST_RECORDS: std::time::Duration = std::time::Duration::from_secs(5);

/// How long what sinks have not taken by the end may still be sent.
const LAST_SHIPMENT: std::time::Duration = std::time::Duration::from_secs(5);

/// How long the last head of the log may still be shown to witnesses.
const LAST_HEAD: std::time::Duration = std::time::Duration::from_secs(5);

/// How long the last spans may still be sent.
const LAST_SPANS: std::time::Duration = std::time::Duration::from_secs(3);

/// Why a gate does not start, or ends badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The runtime could not be started.
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
    /// What a service manager handed over cannot be used.
    #[error("what was handed over in LISTEN_FDS cannot be used")]
    Inherited(#[source] io::Error),
    /// A socket was handed over that the configuration does not name.
    #[error(
        "the socket {address} was handed over in LISTEN_FDS, and is none of [listen], [metrics] and [admin]"
    )]
    NotOurs {
        /// Where it listens.
        address: String,
    },
    /// An address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address or socket.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The audit log could not be opened.
    #[error("the audit log in {} cannot be opened", directory.display())]
    Journal {
        /// Where it is.
        directory: PathBuf,
        /// Why.
        source: JournalError,
    },
    /// The policy files could not be watched.
    #[error("the policy directory {} cannot be watched", directory.display())]
    Watch {
        /// Where it is.
        directory: PathBuf,
        /// Why.
        source: notify::Error,
    },
    /// The configuration, or a file that it names, has errors.
    #[error("the files have errors:\n{0}")]
    Files(String),
    /// The metrics could not be made.
    #[error("the metrics could not be made: {0}")]
    Metrics(String),
    /// Records, heads of the log or spans could not be sent as configured.
    #[error("what leaves the gate beside replies cannot be sent")]
    Ship(#[from] BadPeer),
    /// The start could not be put on record.
    #[error("the start of the gate cannot be put on record")]
    Record(#[source] crate::journal::AppendError),
}

/// A gate that serves.
#[derive(Debug)]
pub struct Running {
    operator: Arc<Operator>,
    listeners: TaskTracker,
    shipping: Shipping,
    traces: Option<Traces>,
    strangers: StrangersWriter,
    /// Taken when it ends.
    afterwards: Mutex<Option<Afterwards>>,
    /// Ends the listeners of operators, which outlive the drain.
    last: CancellationToken,
    addresses: Vec<SocketAddr>,
    metrics_address: SocketAddr,
    drain: std::time::Duration,
    /// The operators' socket, if it is this process's own.
    socket: Option<PathBuf>,
    _watcher: Option<notify::RecommendedWatcher>,
}

/// Runs the gate of a configuration file with the audit log on `storage`, as `pinegate run` does with one on disk:
/// for benches, which measure what the disk costs.
///
/// # Errors
/// When a file has errors, or the gate cannot start.
pub fn run_on(path: &Path, storage: Arc<dyn Storage>) -> Result<(), RunError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (config, mut report) = Config::load(path);
    let metrics = Metrics::new().map_err(|error| RunError::Metrics(error.to_string()))?;
    let assembled = config.as_ref().and_then(|config| {
        let (assembled, found) = assemble(config, None, &metrics, &clock);
        report.merge(found);
        assembled
    });
    let (Some(config), Some(assembled)) = (config, assembled) else {
        return Err(RunError::Files(report.to_string()));
    };
    let levels = Levels::new(None, config.telemetry.log.clone());
    run(config, assembled, Arc::new(metrics), clock, storage, levels)
}

/// Runs a gate until it is told to stop: SIGTERM or SIGINT drain, SIGHUP reloads.
///
/// # Errors
/// When it cannot start.
pub(crate) fn run(
    config: Config,
    assembled: Assembled,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    storage: Arc<dyn Storage>,
    levels: Levels,
) -> Result<(), RunError> {
    // Before there are other threads: what names the sockets is taken out of the environment.
    let inherited = Inherited::from_environment()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Runtime)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(RunError::Runtime)?;
        let running =
            Box::pin(Running::start(config, assembled, metrics, clock, storage, inherited, levels)).await?;
        let actor = loop {
            match signals.next().await {
                Sent { wish: Wish::Reload, actor } => drop(running.reload(&actor).await),
                Sent { wish: Wish::Stop, actor } => break actor,
            }
        };
        // Who asks twice does not want to wait.
        running.drain(&actor, signals.next_stop()).await;
        Ok(())
    })
}

impl Running {
    /// Binds every listener, opens the audit log, and begins to serve.
    ///
    /// # Errors
    /// When a listener cannot be bound or the audit log cannot be opened; then nothing serves.
    pub(crate) async fn start(
        config: Config,
        assembled: Assembled,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        storage: Arc<dyn Storage>,
        inherited: Inherited,
        levels: Levels,
    ) -> Result<Self, RunError> {
        let Bound { clients, metrics: metrics_listener, admin } = inherited.bind(&config)?;
        let Assembled { snapshot, tls, dates } = assembled;
        let journal = open_journal(&config, &metrics, &clock, Arc::clone(&storage))?;
        super::restore::quotas(&config, &snapshot, clock.now());
        let shipping = Shipping::start(&config.audit, &journal.progress(), &metrics, &clock)?;
        let traces = config
            .traces
            .as_ref()
            .map(|settings| Traces::start(settings, &config.audit.node, &metrics.spans, &clock))
            .transpose()?;
        let directory = config.audit.directory.clone();
        let afterwards = Afterwards::start(&config, &journal, &metrics, &clock, storage)
            .map_err(|source| RunError::Journal { directory, source })?;
        let mut gate = Gate::new(Arc::new(snapshot), tls, journal, metrics, clock, config.bounds);
        gate.balancers.clone_from(&config.proxy_from);
        gate.tracing =
            traces.as_ref().map(|traces| Tracing { sampling: traces.sampling(), sink: traces.sink() });
        let (drain, socket, gate) = (config.bounds.drain, config.admin.socket.clone(), Arc::new(gate));
        let log = StrangersLog::new(&config.audit.directory);
        let strangers = StrangersWriter::new(Arc::clone(&gate), log, config.audit.node.clone());
        let (listeners, last) = (TaskTracker::new(), CancellationToken::new());
        let keeper = Keeper::new(listeners.clone(), last.clone());
        let operator = Arc::new(Operator::new(gate, config, keeper, &dates, levels));
        operator.gate.journal.append(operator.started()).await.map_err(RunError::Record)?;

        let mut addresses = Vec::new();
        for Listening { listener, address, is_inherited } in clients {
            addresses.push(address);
            let waiting = if is_inherited { Waiting::Left } else { Waiting::Taken };
            listeners.spawn(Arc::clone(&operator.gate).serve(listener, waiting));
        }
        // Where another process has the same listener, it answers as soon as this one drains.
        let until = |is_inherited: bool| {
            if is_inherited { operator.gate.draining.clone() } else { last.clone() }
        };
        let metrics_address = metrics_listener.address;
        let operations: Arc<dyn crate::admin::Operations> = Arc::<Operator>::clone(&operator);
        let (tasks, stop) = (listeners.clone(), last.clone());
        listeners.spawn(serve_metrics(
            metrics_listener.listener,
            Arc::clone(&operations),
            tasks.clone(),
            until(metrics_listener.is_inherited),
        ));
        listeners.spawn(serve_admin(admin.listener, operations, tasks, until(admin.is_inherited)));
        listeners.spawn(super::operate::refresh(Arc::clone(&operator), stop.clone()));
        listeners.spawn(super::operate::end_whiles(Arc::clone(&operator), stop.clone()));
        listeners.spawn(strangers.clone().run(stop));
        let watcher = watch(&operator, &listeners, &last)?;
        for address in &addresses {
            tracing::info!(%address, metrics = %metrics_address, "serving");
        }
        sockets::notify(&[NotifyState::Ready]);
        Ok(Self {
            operator,
            listeners,
            shipping,
            traces,
            strangers,
            afterwards: Mutex::new(Some(afterwards)),
            last,
            addresses,
            metrics_address,
            drain,
            socket: (!admin.is_inherited).then_some(socket),
            _watcher: watcher,
        })
    }

    /// Where department systems connect.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where Prometheus scrapes.
    #[must_use]
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// Builds everything anew and swaps it in, or says what is wrong.
    pub async fn reload(&self, actor: &str) -> Reloaded {
        self.operator.reload(actor.to_owned()).await
    }

    /// Takes no new work, lets what is in work end within the configured time and before `hurry`, cuts off
    /// the rest, and stops. What was cut off is on record before the stop is, which names who hurried.
    pub async fn drain(&self, actor: &str, hurry: impl Future<Output = String>) {
        let gate = &self.operator.gate;
        tracing::info!("draining");
        sockets::notify(&[NotifyState::Stopping]);
        let entry = self.operator.lifecycle(Event::Drain, actor, &[]);
        if let Err(error) = gate.journal.submit(entry) {
            tracing::error!(%error, "the drain could not be put on record");
        }
        gate.draining.cancel();
        gate.tasks.close();
        let mut hurried = None;
        tokio::select! {
            () = gate.tasks.wait() => {}
            () = tokio::time::sleep(self.drain) => tracing::warn!("what is still in work is cut off"),
            actor = hurry => {
                tracing::warn!(actor, "the drain is cut short, and what is still in work cut off");
                hurried = Some(actor);
            }
        }
        gate.stopped.cancel();
        if tokio::time::timeout(CUT_OFF, gate.tasks.wait()).await.is_err() {
            tracing::error!(
                tasks = gate.tasks.len(),
                "what was cut off has not ended and may lack an outcome"
            );
        }
        if tokio::time::timeout(LAST_RECORDS, self.strangers.write()).await.is_err() {
            tracing::error!("what strangers did last could not be written down in time");
        }
        let hurried: Vec<_> = hurried.iter().map(|actor| ("hurried_by", actor.as_str())).collect();
        let stop = gate.journal.append(self.operator.lifecycle(Event::Stop, actor, &hurried));
        match tokio::time::timeout(LAST_RECORDS, stop).await {
            Ok(Ok(_seq)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the stop could not be put on record"),
            Err(_elapsed) => tracing::error!("the stop could not be put on record in time"),
        }
        let last_spans = async {
            if let Some(traces) = &self.traces {
                traces.drain(LAST_SPANS).await;
            }
        };
        // As long as the journal is open, no other process sends its records.
        tokio::join!(self.shipping.drain(LAST_SHIPMENT), last_spans);
        let journal = gate.journal.clone();
        let mut afterwards = self.afterwards.lock().unwrap_or_else(PoisonError::into_inner).take();
        let close = move || {
            if let Some(afterwards) = &mut afterwards {
                afterwards.leave();
            }
            let closed = journal.close();
            // The last head is signed once the last record is durable.
            afterwards.map(Afterwards::end).unwrap_or_default();
            closed
        };
        match tokio::task::spawn_blocking(close).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the audit log could not be closed"),
            Err(error) => tracing::error!(%error, "the audit log could not be closed"),
        }
        self.shipping.witness_last(LAST_HEAD).await;
        self.last.cancel();
        self.listeners.close();
        if let Some(Err(error)) = self.socket.as_ref().map(std::fs::remove_file) {
            tracing::debug!(%error, "the admin socket was gone");
        }
        tracing::info!("stopped");
    }
}

fn open_journal(
    config: &Config,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
    storage: Arc<dyn Storage>,
) -> Result<Journal, RunError> {
    let directory = config.audit.directory.clone();
    let failed = |source| RunError::Journal { directory: directory.clone(), source };
    let mut settings = JournalConfig::new(directory.clone(), config.audit.node.clone());
    settings.segment_bytes = config.audit.segment_bytes.get();
    settings.low_space = config.audit.low_space.get();
    settings.raised_priority = config.audit.raised_priority;
    let observer = Arc::new(super::operate::AuditMetrics::new(Arc::clone(metrics)));
    let (journal, recovery) =
        Journal::open(settings, storage, Arc::clone(clock), observer).map_err(failed)?;
    tracing::info!(?recovery, "the audit log is open");
    Ok(journal)
}

/// Reloads when a policy file has changed and all have been quiet for a moment.
fn watch(
    operator: &Arc<Operator>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Option<notify::RecommendedWatcher>, RunError> {
    let config = operator.config();
    let policy = &config.policy;
    if policy.reload != ReloadTrigger::Watch {
        return Ok(None);
    }
    let directory = policy.directory.clone();
    let failed = |source| RunError::Watch { directory: directory.clone(), source };
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_change = event.is_ok_and(|event| !event.kind.is_access());
        if is_change && let Err(mpsc::error::TrySendError::Closed(())) = changed.try_send(()) {
            tracing::debug!("a policy file changed after the end");
        }
    })
    .map_err(failed)?;
    watcher.watch(&directory, notify::RecursiveMode::NonRecursive).map_err(failed)?;
    if let Some(shadow) = &policy.shadow
        && let Err(error) = watcher.watch(shadow, notify::RecursiveMode::NonRecursive)
    {
        // Nothing about a candidate keeps the gate from serving.
        tracing::warn!(directory = %shadow.display(), %error, "the candidate policy cannot be watched");
    }
    let (operator, stop) = (Arc::clone(operator), stop.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                change = changes.recv() => if change.is_none() { return },
            }
            while tokio::time::timeout(QUIET, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
            operator.reload("file change".to_owned()).await;
        }
    });
    Ok(Some(watcher))
}
