//! Families of what becomes of audit records after they are durable: signed heads, compression, retention.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};

use super::Registrar;

labels! {
    /// What goes on with audit records after they are durable.
    Upkeep {
        /// The tree and its signed heads.
        Publish = "publish",
        /// Closed segments, compressed and removed in time.
        Keep = "keep",
    }
}

/// The figures of what becomes of audit records.
#[derive(Debug)]
pub struct KeepingMetrics {
    /// How many records the last signed head covers.
    pub head_records: IntGauge,
    /// When it was signed.
    pub head_at: Gauge,
    /// Whether nothing is signed any more.
    pub refused: IntGauge,
    /// Segments that were compressed.
    pub compressed: IntCounter,
    /// Records that were removed in time.
    pub pruned: IntCounter,
    failures: IntCounterVec,
}

impl KeepingMetrics {
    pub(super) fn new(f: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            head_records: f.int_gauge(
                "pinegate_audit_head_records",
                "How many audit records the last signed head of the log covers.",
            )?,
            head_at: f.gauge(
                "pinegate_audit_head_timestamp_seconds",
                "When the last head of the log was signed, or else the gate started that signs them.",
            )?,
            refused: f.int_gauge(
                "pinegate_audit_signing_refused",
                "Whether the records no longer give what was signed, and no head is signed for it.",
            )?,
            compressed: f.counter(
                "pinegate_audit_compressed_segments_total",
                "Closed segments of the audit log that were compressed.",
            )?,
            pruned: f.counter(
                "pinegate_audit_pruned_records_total",
                "Audit records that were removed as they were old enough.",
            )?,
            failures: f.counters(
                "pinegate_audit_upkeep_failures_total",
                "What could not be done with durable audit records and is tried again.",
                &["task"],
            )?,
        };
        for task in Upkeep::ALL {
            metrics.failures.with_label_values(&[task.as_str()]);
        }
        Ok(metrics)
    }

    /// Counts what failed and is tried again.
    pub fn failed(&self, task: Upkeep) {
        self.failures.with_label_values(&[task.as_str()]).inc();
    }
}
