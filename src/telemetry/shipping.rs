//! Families of what is sent out of the gate: records to sinks, heads of the log to witnesses.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::Registrar;

labels! {
    /// Why a sink did not take records.
    SinkFailure {
        /// No connection could be set up.
        Unreachable = "unreachable",
        /// It did not answer in time.
        Timeout = "timeout",
        /// The connection broke, or the answer could not be read.
        Broken = "broken",
        /// It asks to be tried again later.
        Busy = "busy",
        /// It does not want them: only a person can mend that.
        Refused = "refused",
        /// The log or the cursor could not be read or written.
        Local = "local",
    }
}

labels! {
    /// Why a witness did not cosign.
    WitnessFailure {
        /// No connection, no answer in time, or an answer that it asks to try again after.
        Unreachable = "unreachable",
        /// It does not know the log, or not its key.
        Refused = "refused",
        /// It has seen another log of this name, or one that had grown further.
        Fork = "fork",
        /// What it answered is not its cosignature.
        Invalid = "invalid",
        /// The log's own files could not be read or written.
        Local = "local",
    }
}

/// The figures of one sink, resolved once.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    /// Durable records that it has not taken.
    pub lag_records: IntGauge,
    /// The age of the oldest of them.
    pub lag_seconds: Gauge,
    /// Records that it has taken.
    pub records: IntCounter,
    /// Records that were gone from the log before it had taken them.
    pub missing: IntCounter,
    /// When it last took records.
    pub last_success: Gauge,
    failures: Vec<IntCounter>,
}

impl SinkMetrics {
    /// How many tries have failed so.
    #[cfg(test)]
    pub(crate) fn failures(&self, why: SinkFailure) -> u64 {
        let position = SinkFailure::ALL.iter().position(|known| *known == why);
        position.and_then(|position| self.failures.get(position)).map_or(0, IntCounter::get)
    }

    /// Counts a try that failed.
    pub fn failed(&self, why: SinkFailure) {
        let position = SinkFailure::ALL.iter().position(|known| *known == why);
        if let Some(counter) = position.and_then(|position| self.failures.get(position)) {
            counter.inc();
        }
    }
}

/// The figures of one witness, resolved once.
#[derive(Debug, Clone)]
pub struct WitnessMetrics {
    /// How many records the head has that it cosigned last.
    pub size: IntGauge,
    /// When it did.
    pub cosigned_at: Gauge,
    failures: Vec<IntCounter>,
}

impl WitnessMetrics {
    /// Counts a try that failed.
    pub fn failed(&self, why: WitnessFailure) {
        let position = WitnessFailure::ALL.iter().position(|known| *known == why);
        if let Some(counter) = position.and_then(|position| self.failures.get(position)) {
            counter.inc();
        }
    }
}

/// The families, each by the name of a sink or witness.
#[derive(Debug)]
pub(super) struct Families {
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    records: IntCounterVec,
    missing: IntCounterVec,
    last_success: GaugeVec,
    failures: IntCounterVec,
    witness_size: IntGaugeVec,
    witness_at: GaugeVec,
    witness_failures: IntCounterVec,
}

impl Families {
    pub(super) fn new(f: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let integers = |name: &str, help: &str, label: &str| {
            IntGaugeVec::new(Opts::new(name, help), &[label]).and_then(|family| f.add(family))
        };
        Ok(Self {
            lag_records: integers(
                "pinegate_audit_sink_lag_records",
                "Durable audit records that a sink has not taken.",
                "sink",
            )?,
            lag_seconds: f.gauges(
                "pinegate_audit_sink_lag_seconds",
                "The age of the oldest audit record that a sink has not taken.",
                &["sink"],
            )?,
            records: f.counters(
                "pinegate_audit_sink_records_total",
                "Audit records that a sink has taken.",
                &["sink"],
            )?,
            missing: f.counters(
                "pinegate_audit_sink_missing_records_total",
                "Audit records that were gone before a sink had taken them.",
                &["sink"],
            )?,
            last_success: f.gauges(
                "pinegate_audit_sink_last_success_timestamp_seconds",
                "When a sink last took audit records.",
                &["sink"],
            )?,
            failures: f.counters(
                "pinegate_audit_sink_failures_total",
                "Tries to send audit records that failed.",
                &["sink", "reason"],
            )?,
            witness_size: integers(
                "pinegate_audit_witness_size",
                "How many records the head of the log has that a witness cosigned last.",
                "witness",
            )?,
            witness_at: f.gauges(
                "pinegate_audit_witness_cosigned_timestamp_seconds",
                "When a witness last cosigned a head of the log.",
                &["witness"],
            )?,
            witness_failures: f.counters(
                "pinegate_audit_witness_failures_total",
                "Tries to have a head of the log cosigned that failed.",
                &["witness", "reason"],
            )?,
        })
    }

    pub(super) fn sink(&self, name: &str) -> SinkMetrics {
        let failures = |why: &SinkFailure| self.failures.with_label_values(&[name, why.as_str()]);
        SinkMetrics {
            lag_records: self.lag_records.with_label_values(&[name]),
            lag_seconds: self.lag_seconds.with_label_values(&[name]),
            records: self.records.with_label_values(&[name]),
            missing: self.missing.with_label_values(&[name]),
            last_success: self.last_success.with_label_values(&[name]),
            failures: SinkFailure::ALL.iter().map(failures).collect(),
        }
    }

    pub(super) fn witness(&self, name: &str) -> WitnessMetrics {
        let failures = |why: &WitnessFailure| self.witness_failures.with_label_values(&[name, why.as_str()]);
        WitnessMetrics {
            size: self.witness_size.with_label_values(&[name]),
            cosigned_at: self.witness_at.with_label_values(&[name]),
            failures: WitnessFailure::ALL.iter().map(failures).collect(),
        }
    }
}
