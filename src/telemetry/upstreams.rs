//! Families of the platform's services, each by the id of an `[[upstream]]`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::Registrar;

labels! {
    /// What became of a further try that was called for.
    RetryOutcome {
        /// It was made.
        Made = "made",
        /// The budget had none left.
        Refused = "refused",
    }
}

labels! {
    /// Why a request was not sent at all.
    Shed {
        /// As many are in work as may be, and none ended in time.
        Full = "full",
        /// The upstream failed too often and is left alone.
        Open = "open",
        /// No endpoint may be asked.
        Nowhere = "nowhere",
    }
}

labels! {
    /// What is thought of an endpoint.
    EndpointState {
        /// It is asked.
        Ready = "ready",
        /// It failed of late.
        Ejected = "ejected",
        /// Its checks fail.
        Down = "down",
    }
}

/// The figures of one upstream, resolved once.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    /// How often an endpoint was ejected.
    pub ejections: IntCounter,
    /// Look-ups of names that failed.
    pub look_ups_failed: IntCounter,
    /// Whether it is left alone, 1 or 0.
    pub breaker_open: IntGauge,
    /// Requests in work.
    pub in_flight: IntGauge,
    /// Requests that wait for a place.
    pub waiting: IntGauge,
    endpoints: Vec<IntGauge>,
    retries: Vec<IntCounter>,
    shed: Vec<IntCounter>,
}

impl UpstreamMetrics {
    /// Counts a further try.
    pub fn retried(&self, outcome: RetryOutcome) {
        let position = RetryOutcome::ALL.iter().position(|known| *known == outcome);
        if let Some(counter) = position.and_then(|position| self.retries.get(position)) {
            counter.inc();
        }
    }

    /// Counts a request that was not sent.
    pub fn shed(&self, why: Shed) {
        let position = Shed::ALL.iter().position(|known| *known == why);
        if let Some(counter) = position.and_then(|position| self.shed.get(position)) {
            counter.inc();
        }
    }

    /// Shows how many endpoints are what.
    pub fn show_endpoints(&self, ready: usize, ejected: usize, down: usize) {
        for (gauge, count) in self.endpoints.iter().zip([ready, ejected, down]) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// The families.
#[derive(Debug)]
pub(super) struct Families {
    endpoints: IntGaugeVec,
    ejections: IntCounterVec,
    retries: IntCounterVec,
    shed: IntCounterVec,
    breaker_open: IntGaugeVec,
    in_flight: IntGaugeVec,
    waiting: IntGaugeVec,
    look_ups_failed: IntCounterVec,
}

impl Families {
    pub(super) fn new(f: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let integers = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels).and_then(|family| f.add(family))
        };
        Ok(Self {
            endpoints: integers(
                "pinegate_upstream_endpoints",
                "Endpoints of an upstream by what is thought of them.",
                &["upstream", "state"],
            )?,
            ejections: f.counters(
                "pinegate_upstream_ejections_total",
                "Endpoints of an upstream that were ejected.",
                &["upstream"],
            )?,
            retries: f.counters(
                "pinegate_upstream_retries_total",
                "Further tries of requests to an upstream.",
                &["upstream", "result"],
            )?,
            shed: f.counters(
                "pinegate_upstream_shed_total",
                "Requests that were not sent to an upstream.",
                &["upstream", "reason"],
            )?,
            breaker_open: integers(
                "pinegate_upstream_breaker_open",
                "Whether an upstream failed too often and is left alone.",
                &["upstream"],
            )?,
            in_flight: integers(
                "pinegate_upstream_requests_in_flight",
                "Requests in work at an upstream.",
                &["upstream"],
            )?,
            waiting: integers(
                "pinegate_upstream_requests_waiting",
                "Requests that wait for a place at an upstream.",
                &["upstream"],
            )?,
            look_ups_failed: f.counters(
                "pinegate_upstream_lookup_failures_total",
                "Names of an upstream that could not be looked up.",
                &["upstream"],
            )?,
        })
    }

    pub(super) fn upstream(&self, id: &str) -> UpstreamMetrics {
        let endpoints = |state: &EndpointState| self.endpoints.with_label_values(&[id, state.as_str()]);
        let retries = |result: &RetryOutcome| self.retries.with_label_values(&[id, result.as_str()]);
        let shed = |reason: &Shed| self.shed.with_label_values(&[id, reason.as_str()]);
        UpstreamMetrics {
            ejections: self.ejections.with_label_values(&[id]),
            look_ups_failed: self.look_ups_failed.with_label_values(&[id]),
            breaker_open: self.breaker_open.with_label_values(&[id]),
            in_flight: self.in_flight.with_label_values(&[id]),
            waiting: self.waiting.with_label_values(&[id]),
            endpoints: EndpointState::ALL.iter().map(endpoints).collect(),
            retries: RetryOutcome::ALL.iter().map(retries).collect(),
            shed: Shed::ALL.iter().map(shed).collect(),
        }
    }
}
