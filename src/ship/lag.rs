//! How far a sink is behind, for the page of metrics: asked while the shipper waits, too.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::journal::Progress;
use crate::kernel::time::Timestamp;
use crate::telemetry::SinkMetrics;

/// No record waits.
const NONE: i64 = i64::MIN;

/// What the shipper knows, and whoever shows it.
#[derive(Debug)]
pub(super) struct Lag {
    own: Progress,
    /// How many records of this process were taken.
    own_taken: AtomicU64,
    /// How many records of other generations wait.
    others: AtomicU64,
    /// When the first record happened that waits, in milliseconds since 1970.
    oldest: AtomicI64,
    pub(super) metrics: SinkMetrics,
}

impl Lag {
    pub(super) fn new(own: Progress, metrics: SinkMetrics) -> Self {
        let (own_taken, others) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { own, own_taken, others, oldest: AtomicI64::new(NONE), metrics }
    }

    /// So many records of this process were taken, and so many of other generations wait.
    pub(super) fn set(&self, own_taken: u64, others: u64) {
        self.own_taken.store(own_taken, Ordering::Relaxed);
        self.others.store(others, Ordering::Relaxed);
    }

    /// When the first record happened that waits; `None` if it has not been read.
    pub(super) fn set_oldest(&self, at: Option<Timestamp>) {
        self.oldest.store(at.map_or(NONE, Timestamp::as_millisecond), Ordering::Relaxed);
    }

    /// Shows it.
    pub(super) fn show(&self, now: Timestamp) {
        let own = self.own.durable().saturating_sub(self.own_taken.load(Ordering::Relaxed));
        let records = own.saturating_add(self.others.load(Ordering::Relaxed));
        let oldest = self.oldest.load(Ordering::Relaxed);
        let seconds = match Timestamp::from_millisecond(oldest) {
            Ok(at) if records > 0 && oldest != NONE => now.duration_since(at).as_secs_f64().max(0.0),
            _ => 0.0,
        };
        self.metrics.lag_records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.metrics.lag_seconds.set(seconds);
    }
}
