//! Metric families and their closed label sets.
//!
//! Sole user of `prometheus`. No label is ever made from a path, an address or anything a client
//! chose: labels come from the catalogue, the registry, or the enums here. Requests touch only
//! handles resolved when a snapshot was built, so no lock of the registry is on their path.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
pub use prometheus::{Gauge, IntCounter};

use crate::catalog::{Egress, Identifier};
use crate::kernel::id::{DepartmentId, Digest, NodeId, ResourceId, SystemId, UpstreamId};

/// The label of requests that were not for any resource.
const NO_RESOURCE: &str = "none";

/// The result of a handshake that satisfied both sides; the others are the reasons of `tls`.
pub const HANDSHAKE_COMPLETED: &str = "completed";

/// Upper bounds of latency buckets, in seconds: from 50 µs, where a gate's own work lies, to 30 s.
const LATENCY_BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5,
    10.0, 30.0,
];

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value as a metric label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

labels! {
    /// How a request ended, as metrics tell it.
    Outcome {
        /// Data left the gate.
        Allowed = "allowed",
        /// The policy said no.
        Denied = "denied",
        /// The caller or its purpose could not be established.
        Unidentified = "unidentified",
        /// A rate, concurrency or quota limit.
        Limited = "limited",
        /// The request itself was not acceptable.
        Invalid = "invalid",
        /// The platform failed or answered with an error.
        Upstream = "upstream",
        /// The reply could not be masked.
        Mask = "mask",
        /// The record could not be made durable.
        Audit = "audit",
        /// The gate was too busy or failed itself.
        Overloaded = "overloaded",
        /// The client went away, or the reply broke off.
        Aborted = "aborted",
    }
}

labels! {
    /// A part of a request's life whose time is told apart.
    Stage {
        /// From the head's arrival to the decision: normalise, route, identify, throttle, authorize.
        Decide = "decide",
        /// Waiting for the platform's head.
        Upstream = "upstream",
        /// Reading and masking a reply that is masked whole.
        Mask = "mask",
        /// Waiting for the record to be durable.
        Record = "record",
    }
}

labels! {
    /// How a candidate policy would have decided beside the live one.
    ShadowChange {
        /// A caller would have seen no difference.
        None = "none",
        /// Refused by the live policy, allowed by the candidate.
        Allowed = "allowed",
        /// Allowed by the live policy, refused by the candidate.
        Refused = "refused",
        /// Allowed by both, with other fields, masks or row duties.
        Extent = "extent",
    }
}

labels! {
    /// How a reload ended.
    Reload {
        /// The new snapshot is live.
        Applied = "applied",
        /// Something was wrong; the old one stays.
        Refused = "refused",
    }
}

mod connections;
mod keeping;
mod sessions;
mod shipping;
mod spans;
mod upstreams;

pub use connections::{ConnectionMetrics, Cut, TurnedAway};
pub use keeping::{KeepingMetrics, Upkeep};
pub use sessions::{SessionEnd, SessionMetrics};
pub use shipping::{SinkFailure, SinkMetrics, WitnessFailure, WitnessMetrics};
pub use spans::{Attribute, Sampling, Span, SpanFate, SpanKind, SpanMetrics, SpanSink};
pub use upstreams::{EndpointState, RetryOutcome, Shed, UpstreamMetrics};

/// What there is to say of a candidate policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowState {
    /// None is configured.
    Absent,
    /// The one that is configured does not load.
    Broken,
    /// The one with this digest is evaluated.
    Loaded(Digest),
}

/// All metrics of one gate.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    departments: IntCounterVec,
    systems: IntCounterVec,
    system_refusals: IntCounterVec,
    refusals: IntCounterVec,
    fields: IntCounterVec,
    egress: IntCounterVec,
    update_period: GaugeVec,
    updated: GaugeVec,
    records: IntCounterVec,
    stages: HistogramVec,
    handshakes: IntCounterVec,
    reloads: IntCounterVec,
    info: GaugeVec,
    shadow_decisions: IntCounterVec,
    shadow_loaded: IntGaugeVec,
    shadow_info: GaugeVec,
    restart_pending: IntGaugeVec,
    certificate_expiry: GaugeVec,
    grants: IntGaugeVec,
    shipping: shipping::Families,
    upstreams: upstreams::Families,
    /// What becomes of audit records after they are durable.
    pub keeping: KeepingMetrics,
    /// What became of the spans of sampled requests.
    pub spans: SpanMetrics,
    /// Connections that were not taken, and what was cut off.
    pub refused: ConnectionMetrics,
    /// WebSocket sessions.
    pub sessions: SessionMetrics,
    /// Whole requests, from the head's arrival to the end of the reply.
    pub request_seconds: Histogram,
    /// Open client connections.
    pub connections: IntGauge,
    /// Requests in work.
    pub in_flight: IntGauge,
    /// Records made durable.
    pub audit_records: IntCounter,
    /// Bytes of them.
    pub audit_bytes: IntCounter,
    /// From the first write of a batch to its durability.
    pub audit_commit_seconds: Histogram,
    /// Records waiting.
    pub audit_queue: IntGauge,
    /// Whether records can be made durable, 1 or 0.
    pub audit_durable: IntGauge,
    /// Bytes free for records.
    pub audit_free_bytes: IntGauge,
    /// Whether they are fewer than there should be, 1 or 0.
    pub audit_space_low: IntGauge,
    /// Refusals of clients that were not identified, by no name at all: they may be anybody.
    pub strangers: IntCounter,
    /// Intervals of the strangers' log that could not be written.
    pub strangers_lost: IntCounter,
    /// When a snapshot last went live.
    pub last_reload: Gauge,
    /// When the first grant that is valid now will end.
    pub next_grant_expiry: Gauge,
}

/// The counters of one resource, resolved once.
#[derive(Debug, Clone)]
pub struct ResourceMetrics {
    outcomes: Vec<IntCounter>,
    /// Fields masked.
    pub masked: IntCounter,
    /// Fields dropped.
    pub dropped: IntCounter,
    /// Fields dropped that the catalogue does not know.
    pub unclassified: IntCounter,
    /// Records that left.
    pub records: IntCounter,
}

impl ResourceMetrics {
    /// Counts a request.
    pub fn count(&self, outcome: Outcome) {
        bump(&self.outcomes, Outcome::ALL, outcome);
    }
}

/// The counters of what is found in the replies of a resource that are searched, resolved once.
#[derive(Debug, Clone)]
pub struct EgressMetrics(Vec<IntCounter>);

impl EgressMetrics {
    /// Counts what was found.
    pub fn count(&self, found: Identifier, times: u64) {
        let position = Identifier::ALL.iter().position(|kind| *kind == found);
        if let Some(counter) = position.and_then(|position| self.0.get(position)) {
            counter.inc_by(times);
        }
    }
}

/// The counters of one department, resolved once.
#[derive(Debug, Clone)]
pub struct DepartmentMetrics {
    outcomes: Vec<IntCounter>,
}

impl DepartmentMetrics {
    /// Counts a request.
    pub fn count(&self, outcome: Outcome) {
        bump(&self.outcomes, Outcome::ALL, outcome);
    }
}

/// The counters of one system and of its department, resolved once.
#[derive(Debug, Clone)]
pub struct CallerMetrics {
    department: DepartmentMetrics,
    requests: IntCounter,
    refusals: IntCounter,
}

impl CallerMetrics {
    /// Counts a request.
    pub fn count(&self, outcome: Outcome, is_refused: Refused) {
        self.department.count(outcome);
        self.requests.inc();
        if is_refused == Refused::Yes {
            self.refusals.inc();
        }
    }
}

/// Whether the gate refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It answered with a problem document.
    Yes,
    /// It answered with data, or nobody waited for the answer.
    No,
}

/// The counters of what a candidate policy decides about one resource, resolved once.
#[derive(Debug, Clone)]
pub struct ShadowMetrics(Vec<IntCounter>);

impl ShadowMetrics {
    /// Counts a decision that was compared.
    pub fn count(&self, change: ShadowChange) {
        let position = ShadowChange::ALL.iter().position(|known| *known == change);
        if let Some(counter) = position.and_then(|position| self.0.get(position)) {
            counter.inc();
        }
    }
}

/// The histograms of the stages, resolved once.
#[derive(Debug, Clone)]
pub struct StageMetrics(Vec<Histogram>);

impl StageMetrics {
    /// Records how long `stage` took.
    pub fn observe(&self, stage: Stage, took: Duration) {
        let position = Stage::ALL.iter().position(|known| *known == stage);
        if let Some(histogram) = position.and_then(|position| self.0.get(position)) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

fn bump(counters: &[IntCounter], all: &[Outcome], outcome: Outcome) {
    let position = all.iter().position(|known| *known == outcome);
    if let Some(counter) = position.and_then(|position| counters.get(position)) {
        counter.inc();
    }
}

struct Registrar<'r>(&'r Registry);

impl Registrar<'_> {
    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.add(Gauge::new(name, help)?)
    }

    fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn latency(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec()))?)
    }
}

impl Metrics {
    /// All families, registered and at zero.
    ///
    /// # Errors
    /// When two families have one name, which a test rules out.
    #[expect(clippy::too_many_lines, reason = "one list of all families, to be read as a list")]
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let f = Registrar(&registry);
        let build = f.gauges("pinegate_build_info", "The running version.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let stage_opts =
            HistogramOpts::new("pinegate_stage_duration_seconds", "Time spent in a part of a request.");
        let stages = f.add(HistogramVec::new(stage_opts.buckets(LATENCY_BUCKETS.to_vec()), &["stage"])?)?;
        let metrics = Self {
            requests: f.counters(
                "pinegate_requests_total",
                "Requests by resource.",
                &["resource", "outcome"],
            )?,
            departments: f.counters(
                "pinegate_department_requests_total",
                "Requests by the caller's department.",
                &["department", "outcome"],
            )?,
            systems: f.counters(
                "pinegate_system_requests_total",
                "Requests by the system that called.",
                &["system"],
            )?,
            system_refusals: f.counters(
                "pinegate_system_refusals_total",
                "Those of them that the gate refused.",
                &["system"],
            )?,
            refusals: f.counters("pinegate_refusals_total", "Refusals by problem code.", &["code"])?,
            fields: f.counters(
                "pinegate_fields_total",
                "Fields masked, dropped, or dropped because the catalogue does not know them.",
                &["resource", "treatment"],
            )?,
            egress: f.counters(
                "pinegate_egress_findings_total",
                "Unmasked identifiers found in fields that leave as they are.",
                &["resource", "kind", "action"],
            )?,
            update_period: f.gauges(
                "pinegate_resource_update_period_seconds",
                "How old the data of a resource may be, by the catalogue.",
                &["resource"],
            )?,
            updated: f.gauges(
                "pinegate_resource_updated_timestamp_seconds",
                "When the data of a resource were last refreshed, by the platform; 0 if it has not said so.",
                &["resource"],
            )?,
            records: f.counters(
                "pinegate_records_released_total",
                "Data records that left.",
                &["resource"],
            )?,
            stages,
            handshakes: f.counters(
                "pinegate_tls_handshakes_total",
                "TLS handshakes with clients.",
                &["result"],
            )?,
            reloads: f.counters(
                "pinegate_reloads_total",
                "Reloads of policy and configuration.",
                &["result"],
            )?,
            info: f.gauges("pinegate_policy_info", "What is live.", &["policy_digest", "config_digest"])?,
            shadow_decisions: f.counters(
                "pinegate_shadow_decisions_total",
                "Decisions compared with those of the candidate policy, by how it differs.",
                &["resource", "change"],
            )?,
            shadow_loaded: f.add(IntGaugeVec::new(
                Opts::new("pinegate_shadow_loaded", "Whether the configured candidate policy is evaluated."),
                &[],
            )?)?,
            shadow_info: f.gauges(
                "pinegate_shadow_info",
                "Which candidate policy is evaluated.",
                &["policy_digest"],
            )?,
            restart_pending: f.add(IntGaugeVec::new(
                Opts::new(
                    "pinegate_restart_pending",
                    "Whether a section of the configuration says what only a start changes.",
                ),
                &["section"],
            )?)?,
            certificate_expiry: f.gauges(
                "pinegate_certificate_expiry_timestamp_seconds",
                "When a certificate, or a revocation list, stops being valid.",
                &["kind"],
            )?,
            grants: f.add(IntGaugeVec::new(Opts::new("pinegate_grants", "Grants by state."), &["state"])?)?,
            shipping: shipping::Families::new(&f)?,
            upstreams: upstreams::Families::new(&f)?,
            keeping: KeepingMetrics::new(&f)?,
            spans: SpanMetrics::new(&f)?,
            refused: ConnectionMetrics::new(&f)?,
            sessions: SessionMetrics::new(&f)?,
            request_seconds: f
                .latency("pinegate_request_duration_seconds", "Whole requests, to the end of the reply.")?,
            connections: f.int_gauge("pinegate_connections", "Open client connections.")?,
            in_flight: f.int_gauge("pinegate_requests_in_flight", "Requests in work.")?,
            audit_records: f.counter("pinegate_audit_records_total", "Audit records made durable.")?,
            audit_bytes: f.counter("pinegate_audit_bytes_total", "Bytes of audit records made durable.")?,
            audit_commit_seconds: f
                .latency("pinegate_audit_commit_duration_seconds", "One durable batch of records.")?,
            audit_queue: f
                .int_gauge("pinegate_audit_queue_records", "Audit records waiting to be durable.")?,
            audit_durable: f
                .int_gauge("pinegate_audit_durable", "Whether audit records can be made durable.")?,
            audit_free_bytes: f
                .int_gauge("pinegate_audit_free_bytes", "Bytes that the disk has free for audit records.")?,
            audit_space_low: f
                .int_gauge("pinegate_audit_space_low", "Whether they are fewer than there should be.")?,
            strangers: f.counter(
                "pinegate_unidentified_refusals_total",
                "Refusals of clients nobody has registered.",
            )?,
            strangers_lost: f.counter(
                "pinegate_strangers_log_failures_total",
                "Intervals of the log of strangers that could not be written.",
            )?,
            last_reload: f
                .gauge("pinegate_last_reload_timestamp_seconds", "When a snapshot last went live.")?,
            next_grant_expiry: f.gauge(
                "pinegate_next_grant_expiry_timestamp_seconds",
                "When the first grant that is valid now ends; 0 if none does.",
            )?,
            registry: registry.clone(),
        };
        metrics.handshakes.with_label_values(&[HANDSHAKE_COMPLETED]);
        for result in Reload::ALL {
            metrics.reloads.with_label_values(&[result.as_str()]);
        }
        Ok(metrics)
    }

    /// The counters of a resource; `None` counts requests that were for no resource.
    #[must_use]
    pub fn resource(&self, resource: Option<&ResourceId>) -> ResourceMetrics {
        let name = resource.map_or(NO_RESOURCE, ResourceId::as_str);
        let field = |treatment| self.fields.with_label_values(&[name, treatment]);
        ResourceMetrics {
            outcomes: outcomes(&self.requests, name),
            masked: field("masked"),
            dropped: field("dropped"),
            unclassified: field("unclassified"),
            records: self.records.with_label_values(&[name]),
        }
    }

    /// The gauge of when the data of `resource` were last refreshed, which should be every `period`.
    #[must_use]
    pub fn updated(&self, resource: &ResourceId, period: Duration) -> Gauge {
        self.update_period.with_label_values(&[resource.as_str()]).set(period.as_secs_f64());
        self.updated.with_label_values(&[resource.as_str()])
    }

    /// The counters of what is found in replies of `resource`, which are searched to `action`.
    #[must_use]
    pub fn egress(&self, resource: &ResourceId, action: Egress) -> EgressMetrics {
        let counter = |kind: Identifier| {
            self.egress.with_label_values(&[resource.as_str(), kind.as_str(), action.as_str()])
        };
        EgressMetrics(Identifier::ALL.map(counter).into())
    }

    /// The counters of a department.
    #[must_use]
    pub fn department(&self, department: &DepartmentId) -> DepartmentMetrics {
        DepartmentMetrics { outcomes: outcomes(&self.departments, department.as_str()) }
    }

    /// The counters of a system whose department's are `department`.
    #[must_use]
    pub fn caller(&self, system: &SystemId, department: &DepartmentMetrics) -> CallerMetrics {
        CallerMetrics {
            department: department.clone(),
            requests: self.systems.with_label_values(&[system.as_str()]),
            refusals: self.system_refusals.with_label_values(&[system.as_str()]),
        }
    }

    /// The histograms of the stages.
    #[must_use]
    pub fn stages(&self) -> StageMetrics {
        StageMetrics(
            Stage::ALL.iter().map(|stage| self.stages.with_label_values(&[stage.as_str()])).collect(),
        )
    }

    /// The counter of one problem code, which must come from a closed list.
    #[must_use]
    pub fn refusals(&self, code: &'static str) -> IntCounter {
        self.refusals.with_label_values(&[code])
    }

    /// Counts a TLS handshake by its result, which must come from a closed list.
    pub fn handshake(&self, result: &'static str) {
        self.handshakes.with_label_values(&[result]).inc();
    }

    /// Counts a reload.
    pub fn reload(&self, result: Reload) {
        self.reloads.with_label_values(&[result.as_str()]).inc();
    }

    /// Shows what is live from now on.
    pub fn show_digests(&self, policy: Digest, config: Digest) {
        self.info.reset();
        self.info.with_label_values(&[policy.to_hex().as_str(), config.to_hex().as_str()]).set(1.0);
    }

    /// The counters of what a candidate policy decides about `resource`.
    #[must_use]
    pub fn shadow(&self, resource: &ResourceId) -> ShadowMetrics {
        let counter = |change: &ShadowChange| {
            self.shadow_decisions.with_label_values(&[resource.as_str(), change.as_str()])
        };
        ShadowMetrics(ShadowChange::ALL.iter().map(counter).collect())
    }

    /// Shows which candidate policy is evaluated from now on. The families are empty where none is
    /// configured.
    pub fn show_shadow(&self, shadow: ShadowState) {
        self.shadow_loaded.reset();
        self.shadow_info.reset();
        let is_loaded = match shadow {
            ShadowState::Absent => return,
            ShadowState::Broken => false,
            ShadowState::Loaded(digest) => {
                self.shadow_info.with_label_values(&[digest.to_hex()]).set(1.0);
                true
            }
        };
        self.shadow_loaded.with_label_values::<&str>(&[]).set(i64::from(is_loaded));
    }

    /// Shows of each section of the configuration whether it says what only a start changes.
    pub fn show_restart_pending(&self, sections: &[(&'static str, bool)]) {
        for (section, is_pending) in sections {
            self.restart_pending.with_label_values(&[*section]).set(i64::from(*is_pending));
        }
    }

    /// The figures of the upstream called `id`.
    #[must_use]
    pub fn upstream(&self, id: &UpstreamId) -> UpstreamMetrics {
        self.upstreams.upstream(id.as_str())
    }

    /// The figures of the sink called `name`, which the configuration has named.
    #[must_use]
    pub fn sink(&self, name: &NodeId) -> SinkMetrics {
        self.shipping.sink(name.as_str())
    }

    /// The figures of the witness whose key is called `name` in the configuration.
    #[must_use]
    pub fn witness(&self, name: &str) -> WitnessMetrics {
        self.shipping.witness(name)
    }

    /// Shows when `kind` stops being valid, in seconds since 1970.
    pub fn show_expiry(&self, kind: &'static str, at_seconds: f64) {
        self.certificate_expiry.with_label_values(&[kind]).set(at_seconds);
    }

    /// Shows how many grants are in `state`.
    pub fn show_grants(&self, state: &'static str, count: i64) {
        self.grants.with_label_values(&[state]).set(count);
    }

    /// Everything in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// When a family cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn outcomes(family: &IntCounterVec, name: &str) -> Vec<IntCounter> {
    Outcome::ALL.iter().map(|outcome| family.with_label_values(&[name, outcome.as_str()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_reach_the_page() {
        let metrics = Metrics::new().unwrap();
        let resource = ResourceId::parse("population.resident").unwrap();
        metrics.resource(Some(&resource)).count(Outcome::Denied);
        metrics.handshake("no_certificate");
        let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
        let line = r#"pinegate_requests_total{outcome="denied",resource="population.resident"} 1"#;
        assert!(page.contains(line), "{page}");
        assert!(page.contains(r#"pinegate_tls_handshakes_total{result="no_certificate"} 1"#));
    }
}
