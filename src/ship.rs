//! Sends the audit log out of the gate: records to sinks, heads of the log to witnesses.
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
mod setup;
mod shipper;
mod sink;
mod source;
mod store;
mod syslog;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::hold::Hold;
use self::http::HttpSink;
use self::lag::Lag;
use self::pace::Pace;
pub use self::setup::SetupError;
use self::shipper::{Shipper, Tools};
use self::sink::Sink;
use self::syslog::SyslogSink;

use crate::config::{Audit, SinkKind, SinkSettings};
use crate::journal::Progress;
use crate::kernel::time::Clock;
use crate::telemetry::Metrics;

/// How often figures that change by themselves are shown anew.
const REFRESH: Duration = Duration::from_secs(1);

/// Why a sink cannot be spoken to.
#[derive(Debug, thiserror::Error)]
#[error("the sink `{name}` cannot be set up")]
pub struct BadSink {
    name: crate::kernel::id::NodeId,
    source: SetupError,
}

/// The sinks of the configuration, ready to be spoken to.
enum AnySink {
    Http(Box<HttpSink>),
    Syslog(SyslogSink),
}

fn sink(settings: &SinkSettings, clock: &Arc<dyn Clock>) -> Result<AnySink, BadSink> {
    let made = match &settings.kind {
        SinkKind::Http { url, token } => {
            HttpSink::new(settings, url, token.as_ref(), clock).map(Box::new).map(AnySink::Http)
        }
        SinkKind::Syslog { host, port, tls } => {
            SyslogSink::new(settings, host, *port, *tls, clock).map(AnySink::Syslog)
        }
    };
    made.map_err(|source| BadSink { name: settings.name.clone(), source })
}

/// What is wrong with the sinks of a configuration. Connects to nothing.
#[must_use]
pub fn check(audit: &Audit, clock: &Arc<dyn Clock>) -> Vec<BadSink> {
    audit.sinks.iter().filter_map(|settings| sink(settings, clock).err()).collect()
}

/// What is being sent.
#[derive(Debug)]
pub struct Shipping {
    sinks: TaskTracker,
    figures: TaskTracker,
    /// Asks to send what is left and end.
    stop: CancellationToken,
    /// Ends at once.
    abort: CancellationToken,
}

impl Shipping {
    /// Begins to send the log in `audit` to its sinks. `own` is that of this process.
    ///
    /// # Errors
    /// When a sink cannot be spoken to as configured.
    pub fn start(
        audit: &Audit,
        own: &Progress,
        metrics: &Metrics,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, BadSink> {
        let shipping = Self {
            sinks: TaskTracker::new(),
            figures: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let made = audit.sinks.iter().map(|settings| Ok((settings, sink(settings, clock)?)));
        for (settings, sink) in made.collect::<Result<Vec<_>, _>>()? {
            let tools = Tools {
                name: settings.name.clone(),
                audit: audit.directory.clone(),
                own: own.clone(),
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
        shipping.sinks.close();
        shipping.figures.close();
        Ok(shipping)
    }

    fn spawn(&self, sink: impl Sink + 'static, tools: Tools) {
        let (lag, clock) = (Arc::clone(&tools.lag), Arc::clone(&tools.clock));
        let abort = self.abort.clone();
        self.figures.spawn(async move {
            let mut ticks = tokio::time::interval(REFRESH);
            loop {
                tokio::select! {
                    () = abort.cancelled() => return,
                    _ = ticks.tick() => lag.show(clock.now()),
                }
            }
        });
        let (shipper, abort) = (Shipper::new(sink, tools), self.abort.clone());
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
        }
        self.abort.cancel();
        self.sinks.wait().await;
        self.figures.wait().await;
    }
}
