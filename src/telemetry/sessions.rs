//! Families of WebSocket sessions.

use prometheus::{IntCounter, IntGauge};

use super::Registrar;

labels! {
    /// How a session ended.
    SessionEnd {
        /// Its client closed it.
        Client = "client",
        /// The platform closed it.
        Platform = "platform",
        /// Nothing came from either side for too long.
        Idle = "idle",
        /// It was as old as one may be.
        Time = "time",
        /// What had been decided held no longer.
        Withdrawn = "withdrawn",
        /// One of the two took nothing for too long, or too little.
        Stalled = "stalled",
        /// A connection broke.
        Broken = "broken",
        /// One of the two sent what is no frame of WebSocket.
        NoFrame = "no-frame",
        /// The gate drained, or stopped.
        Drain = "drain",
    }
}

/// The figures of sessions.
#[derive(Debug, Clone)]
pub struct SessionMetrics {
    /// Open sessions.
    pub open: IntGauge,
    ended: Vec<IntCounter>,
}

impl SessionMetrics {
    pub(super) fn new(f: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let ended = f.counters(
            "pinegate_sessions_ended_total",
            "WebSocket sessions that have ended, by how.",
            &["how"],
        )?;
        Ok(Self {
            open: f.int_gauge("pinegate_sessions", "Open WebSocket sessions.")?,
            ended: SessionEnd::ALL.iter().map(|how| ended.with_label_values(&[how.as_str()])).collect(),
        })
    }

    /// Counts a session that has ended.
    pub fn end(&self, how: SessionEnd) {
        let position = SessionEnd::ALL.iter().position(|known| *known == how);
        if let Some(counter) = position.and_then(|position| self.ended.get(position)) {
            counter.inc();
        }
    }
}
