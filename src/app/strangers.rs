//! What strangers do is written down once a minute, and at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::journal::StrangersLog;
use crate::kernel::diagnostic::chain;
use crate::kernel::id::NodeId;
use crate::proxy::Gate;

/// How long an interval is.
const INTERVAL: Duration = Duration::from_secs(60);

/// Where a gate writes down what strangers do.
#[derive(Debug, Clone)]
pub(super) struct StrangersWriter {
    gate: Arc<Gate>,
    log: StrangersLog,
    node: NodeId,
}

impl StrangersWriter {
    pub(super) fn new(gate: Arc<Gate>, log: StrangersLog, node: NodeId) -> Self {
        Self { gate, log, node }
    }

    /// Writes every interval down when it is over, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        // The first comes at once.
        ticks.tick().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.write().await,
            }
        }
    }

    /// Writes down what was seen since the last time. A log that cannot be written stops nothing.
    pub(super) async fn write(&self) {
        let lines = self.gate.strangers.take(&self.node, self.gate.clock.now());
        if lines.is_empty() {
            return;
        }
        let log = self.log.clone();
        let written = tokio::task::spawn_blocking(move || log.append(&lines)).await;
        let failed = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(error) => chain(&error),
        };
        self.gate.metrics.strangers_lost.inc();
        let directory = self.log.directory().display();
        tracing::error!(%directory, error = failed, "what strangers did could not be written down and is lost");
    }
}
