//! Sends things out of the gate: records of the audit log to sinks, heads of it to witnesses, spans to a collector.
//!
//! One task a sink follows the log, sends what is durable, and keeps in a cursor on disk how far the sink has
//! taken it: every record arrives at least once and in order within its generation. [`Sink`] is the seam;
//! HTTP and syslog are behind it. Nothing here can keep the gate from serving: what cannot be sent stays in
//! the log, and the figures say so.

mod batch;
mod cursor;
mod hold;
mod http;
mod lag;
mod pace;
mod reach;
mod setup;
mod shipper;
mod sink;
mod source;
mod store;
mod syslog;
mod traces;
mod witness;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::hold::SinksHold;
use self::http::HttpSink;
use self::lag::Lag;
use self::pace::Pace;
pub use self::setup::SetupError;
pub(crate) use self::setup::tls_towards;
use self::shipper::{Shipper, Tools};
use self::sink::Sink;
use self::syslog::SyslogSink;
pub use self::traces::Traces;
use self::witness::Witnesses;

use crate::config::{Audit, SinkKind, SinkSettings, TraceSettings};
use crate::journal::Progress;
use crate::kernel::id::NodeId;
use crate::kernel::time::Clock;
use crate::telemetry::Metrics;
use crate::tls::TlsError;

/// How often figures that change by themselves are shown anew.
const REFRESH: Duration = Duration::from_secs(1);

/// Does what waits for the disk where nothing else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}

/// Who cannot be spoken to as configured.
#[derive(Debug, thiserror::Error)]
pub enum BadPeer {
    /// A sink.
    #[error("the sink `{name}` cannot be set up")]
    Sink {
        /// Its name.
        name: NodeId,
        /// Why.
        source: SetupError,
    },
    /// A witness.
    #[error("the witness `{name}` cannot be set up")]
    Witness {
        /// The name of its key.
        name: String,
        /// Why.
        source: SetupError,
    },
    /// The collector of traces.
    #[error("the collector of `[traces]` cannot be set up")]
    Collector(#[source] SetupError),
}

impl BadPeer {
    /// Whether the private key that the peer is to be shown cannot be used.
    pub(crate) const fn is_of_key(&self) -> bool {
        let (Self::Sink { source, .. } | Self::Witness { source, .. } | Self::Collector(source)) = self;
        matches!(source, SetupError::Tls(TlsError::Key { .. }))
    }
}

/// The sinks of the configuration, ready to be spoken to.
enum AnySink {
    Http(Box<HttpSink>),
    Syslog(SyslogSink),
}

fn sink(settings: &SinkSettings, clock: &Arc<dyn Clock>) -> Result<AnySink, BadPeer> {
    let made = match &settings.kind {
        SinkKind::Http { url, token } => {
            HttpSink::new(settings, url, token.as_ref(), clock).map(Box::new).map(AnySink::Http)
        }
        SinkKind::Syslog { host, port, tls } => {
            SyslogSink::new(settings, host, *port, *tls, clock).map(AnySink::Syslog)
        }
    };
    made.map_err(|source| BadPeer::Sink { name: settings.name.clone(), source })
}

/// What is wrong with the sinks and witnesses of a configuration. Connects to nothing.
#[must_use]
pub fn check(audit: &Audit, traces: Option<&TraceSettings>, clock: &Arc<dyn Clock>) -> Vec<BadPeer> {
    let sinks = audit.sinks.iter().filter_map(|settings| sink(settings, clock).err());
    let witnesses = audit.witnesses.iter().filter_map(|settings| {
        let name = settings.key.name().to_owned();
        Some(BadPeer::Witness { name, source: witness::check(settings, clock)? })
    });
    let collector = traces.and_then(|settings| traces::check(settings, &audit.node, clock));
    sinks.chain(witnesses).chain(collector.map(BadPeer::Collector)).collect()
}

/// What is being sent.
#[derive(Debug)]
pub struct Shipping {
    sinks: TaskTracker,
    figures: TaskTracker,
    witnesses: TaskTracker,
    /// Asks to send what is left and end.
    stop: CancellationToken,
    /// Asks to show the last head and end.
    last_head: CancellationToken,
    /// Ends at once.
    abort_sinks: CancellationToken,
    /// Ends at once.
    abort_witnesses: CancellationToken,
}

impl Shipping {
    /// Begins to send the log in `audit` to its sinks, and its heads to its witnesses. `own` is how far the
    /// log of this process is.
    ///
    /// # Errors
    /// When a sink or witness cannot be spoken to as configured.
    pub fn start(
        audit: &Audit,
        own: &Progress,
        metrics: &Metrics,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, BadPeer> {
        let shipping = Self {
            sinks: TaskTracker::new(),
            figures: TaskTracker::new(),
            witnesses: TaskTracker::new(),
            stop: CancellationToken::new(),
            last_head: CancellationToken::new(),
            abort_sinks: CancellationToken::new(),
            abort_witnesses: CancellationToken::new(),
        };
        let made = audit.sinks.iter().map(|settings| Ok((settings, sink(settings, clock)?)));
        for (settings, sink) in made.collect::<Result<Vec<_>, _>>()? {
            let tools = Tools {
                name: settings.name.clone(),
                audit: audit.directory.clone(),
                own: own.clone(),
                is_mandatory: settings.is_mandatory,
                batch_records: settings.batch_records,
                pace: Pace::default(),
                clock: Arc::clone(clock),
                lag: Arc::new(Lag::new(own.clone(), metrics.sink(&settings.name))),
                stop: shipping.stop.clone(),
            };
            match sink {
                AnySink::Http(sink) => shipping.spawn(*sink, tools),
                AnySink::Syslog(sink) => shipping.spawn(sink, tools),
            }
        }
        let witnesses = Witnesses::new(audit, metrics, clock, shipping.last_head.clone());
        if let Some(witnesses) = witnesses.map_err(|(name, source)| BadPeer::Witness { name, source })? {
            let abort = shipping.abort_witnesses.clone();
            shipping.witnesses.spawn(async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = witnesses.run() => {}
                }
            });
        }
        shipping.sinks.close();
        shipping.figures.close();
        shipping.witnesses.close();
        Ok(shipping)
    }

    fn spawn(&self, sink: impl Sink + 'static, tools: Tools) {
        let (lag, clock) = (Arc::clone(&tools.lag), Arc::clone(&tools.clock));
        let abort = self.abort_sinks.clone();
        self.figures.spawn(async move {
            let mut ticks = tokio::time::interval(REFRESH);
            loop {
                tokio::select! {
                    () = abort.cancelled() => return,
                    _ = ticks.tick() => lag.show(clock.now()),
                }
            }
        });
        let (shipper, abort) = (Shipper::new(sink, tools), self.abort_sinks.clone());
        self.sinks.spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = shipper.run() => {}
            }
        });
    }

    /// Sends what is left, for at most so long. The journal must still be open: once it is closed, another
    /// process may send what this one has not.
    pub async fn drain(&self, most: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(most, self.sinks.wait()).await.is_err() {
            tracing::warn!("audit records are left for the next process to send");
            self.abort_sinks.cancel();
            self.sinks.wait().await;
        }
        self.abort_sinks.cancel();
        self.figures.wait().await;
    }

    /// Has the last head witnessed, for at most so long. The publisher must have ended.
    pub async fn witness_last(&self, most: Duration) {
        self.last_head.cancel();
        if tokio::time::timeout(most, self.witnesses.wait()).await.is_err() {
            tracing::warn!("the last head of the log is left for the next process to have witnessed");
        }
        self.abort_witnesses.cancel();
        self.witnesses.wait().await;
    }
}
