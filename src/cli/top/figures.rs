//! What a page of metrics says about a gate, by the names of `docs/metrics.md`.

use std::collections::BTreeMap;

use super::page::{Page, Series};

/// Requests of one system or for one resource, since the gate began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) requests: f64,
    /// Those that no data left for.
    pub(super) refused: f64,
}

/// Observations by upper bound, since the gate began.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Histogram(Vec<(f64, f64)>);

/// Where a share of the observations lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Quantile {
    /// At about this many seconds.
    At(f64),
    /// Beyond the highest bound, which is so many.
    Beyond(f64),
}

impl Histogram {
    fn of<'p>(series: impl Iterator<Item = &'p Series>) -> Self {
        let bound = |series: &Series| Some((series.label("le")?.parse().ok()?, series.value));
        let mut buckets: Vec<(f64, f64)> = series.filter_map(bound).collect();
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Self(buckets)
    }

    /// How many there are.
    pub(super) fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// Those that came after `earlier`. Other bounds are another program's: then all are new.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let is_alike = self.0.len() == earlier.0.len() && self.count() >= earlier.count();
        if !is_alike {
            return self.clone();
        }
        let both = self.0.iter().zip(&earlier.0);
        Self(both.map(|((bound, now), (_, then))| (*bound, (now - then).max(0.0))).collect())
    }

    /// Where `share` of them lies, as if they were spread evenly within their bucket.
    pub(super) fn quantile(&self, share: f64) -> Option<Quantile> {
        let rank = self.count() * share;
        if rank <= 0.0 {
            return None;
        }
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= rank {
                if bound.is_infinite() {
                    return Some(Quantile::Beyond(lower));
                }
                let part = (rank - below) / (count - below).max(f64::MIN_POSITIVE);
                return Some(Quantile::At(lower + (bound - lower) * part));
            }
            (lower, below) = (*bound, *count);
        }
        None
    }
}

/// A sink, and what it has yet to take.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sink {
    pub(super) name: String,
    pub(super) records: f64,
    pub(super) seconds: f64,
}

/// How a gate stood when its page was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) version: String,
    /// The digest of the live policy.
    pub(super) policy: String,
    /// When the process began, where the system tells.
    pub(super) started: Option<f64>,
    pub(super) resources: BTreeMap<String, Tally>,
    pub(super) systems: BTreeMap<String, Tally>,
    pub(super) outcomes: BTreeMap<String, f64>,
    pub(super) refusals: BTreeMap<String, f64>,
    /// Handshakes, connections turned away and things cut off: what went wrong before there was a request.
    pub(super) handshakes: f64,
    pub(super) handshakes_failed: f64,
    pub(super) turned_away: f64,
    pub(super) cut_off: f64,
    pub(super) requests: Histogram,
    pub(super) stages: BTreeMap<String, Histogram>,
    pub(super) commits: Histogram,
    pub(super) in_flight: f64,
    pub(super) connections: f64,
    pub(super) audit_records: f64,
    pub(super) audit_queue: f64,
    pub(super) audit_durable: bool,
    pub(super) audit_free: f64,
    pub(super) audit_space_low: bool,
    pub(super) signing_refused: bool,
    pub(super) sinks: Vec<Sink>,
    pub(super) grants: BTreeMap<String, f64>,
    /// When the first grant ends, and certificates and lists do, in seconds since 1970.
    pub(super) expiries: BTreeMap<String, f64>,
    /// Endpoints of all upstreams, and those of them that are asked.
    pub(super) endpoints: f64,
    pub(super) endpoints_ready: f64,
    pub(super) breakers_open: f64,
}

/// A page that no gate has written.
#[derive(Debug, thiserror::Error)]
#[error("the page has no `pinegate_build_info`: it is not a gate's")]
pub(crate) struct NoGate;

/// The name under which the first end of a grant stands among the expiries.
pub(super) const FIRST_GRANT: &str = "grant";

impl Figures {
    /// Reads what is shown out of a page.
    pub(super) fn of(page: &Page) -> Result<Self, NoGate> {
        let text = |name: &str, label: &str| {
            page.series(name).first().and_then(|series| series.label(label)).map(str::to_owned)
        };
        let gauge = |name: &str| page.value(name).unwrap_or_default();
        let is_set = |name: &str| page.value(name).is_some_and(|value| value > 0.0);
        let handshakes = by(page, "pinegate_tls_handshakes_total", "result");
        let completed = handshakes.get("completed").copied().unwrap_or_default();
        let mut figures = Self {
            version: text("pinegate_build_info", "version").ok_or(NoGate)?,
            policy: text("pinegate_policy_info", "policy_digest").unwrap_or_default(),
            started: page.value("process_start_time_seconds").filter(|at| at.is_finite()),
            resources: BTreeMap::new(),
            systems: systems(page),
            outcomes: by(page, "pinegate_requests_total", "outcome"),
            refusals: by(page, "pinegate_refusals_total", "code"),
            handshakes: completed,
            handshakes_failed: handshakes.values().sum::<f64>() - completed,
            turned_away: sum(page, "pinegate_connections_turned_away_total"),
            cut_off: sum(page, "pinegate_cut_off_total"),
            requests: Histogram::of(page.series("pinegate_request_duration_seconds_bucket").iter()),
            stages: stages(page),
            commits: Histogram::of(page.series("pinegate_audit_commit_duration_seconds_bucket").iter()),
            in_flight: gauge("pinegate_requests_in_flight"),
            connections: gauge("pinegate_connections"),
            audit_records: gauge("pinegate_audit_records_total"),
            audit_queue: gauge("pinegate_audit_queue_records"),
            audit_durable: is_set("pinegate_audit_durable"),
            audit_free: gauge("pinegate_audit_free_bytes"),
            audit_space_low: is_set("pinegate_audit_space_low"),
            signing_refused: is_set("pinegate_audit_signing_refused"),
            sinks: sinks(page),
            grants: by(page, "pinegate_grants", "state"),
            expiries: by(page, "pinegate_certificate_expiry_timestamp_seconds", "kind"),
            endpoints: sum(page, "pinegate_upstream_endpoints"),
            endpoints_ready: by(page, "pinegate_upstream_endpoints", "state")
                .get("ready")
                .copied()
                .unwrap_or_default(),
            breakers_open: sum(page, "pinegate_upstream_breaker_open"),
        };
        for series in page.series("pinegate_requests_total") {
            let (Some(resource), Some(outcome)) = (series.label("resource"), series.label("outcome")) else {
                continue;
            };
            let tally = figures.resources.entry(resource.to_owned()).or_default();
            tally.requests += series.value;
            tally.refused += if outcome == "allowed" { 0.0 } else { series.value };
        }
        if let Some(at) = page.value("pinegate_next_grant_expiry_timestamp_seconds").filter(|at| *at > 0.0) {
            figures.expiries.insert(FIRST_GRANT.to_owned(), at);
        }
        Ok(figures)
    }

    /// Whether the process that `earlier` was read of is gone.
    pub(super) fn is_another_than(&self, earlier: &Self) -> bool {
        // The requests tell it too, where the system does not say when the process began.
        self.started != earlier.started || self.requests.count() < earlier.requests.count()
    }
}

/// The values of a family, added up by one label.
fn by(page: &Page, name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for series in page.series(name) {
        if let Some(value) = series.label(label) {
            *sums.entry(value.to_owned()).or_default() += series.value;
        }
    }
    sums
}

fn sum(page: &Page, name: &str) -> f64 {
    page.series(name).iter().map(|series| series.value).sum()
}

fn systems(page: &Page) -> BTreeMap<String, Tally> {
    let refused = by(page, "pinegate_system_refusals_total", "system");
    let tally = |(system, requests): (String, f64)| {
        let refused = refused.get(&system).copied().unwrap_or_default();
        (system, Tally { requests, refused })
    };
    by(page, "pinegate_system_requests_total", "system").into_iter().map(tally).collect()
}

fn stages(page: &Page) -> BTreeMap<String, Histogram> {
    const BUCKETS: &str = "pinegate_stage_duration_seconds_bucket";
    let of = |stage: String| {
        let own = page.series(BUCKETS).iter().filter(|series| series.label("stage") == Some(stage.as_str()));
        let histogram = Histogram::of(own);
        (stage, histogram)
    };
    by(page, BUCKETS, "stage").into_keys().map(of).collect()
}

fn sinks(page: &Page) -> Vec<Sink> {
    let seconds = by(page, "pinegate_audit_sink_lag_seconds", "sink");
    let of = |(name, records): (String, f64)| {
        let seconds = seconds.get(&name).copied().unwrap_or_default();
        Sink { name, records, seconds }
    };
    by(page, "pinegate_audit_sink_lag_records", "sink").into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[(f64, f64)]) -> Histogram {
        Histogram(buckets.to_vec())
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let spread = histogram(&[(0.1, 50.0), (0.2, 90.0), (f64::INFINITY, 100.0)]);
        assert_eq!(spread.quantile(0.5), Some(Quantile::At(0.1)));
        assert_eq!(spread.quantile(0.25), Some(Quantile::At(0.05)));
        let Some(Quantile::At(within)) = spread.quantile(0.7) else { panic!("it is bounded") };
        assert!((within - 0.15).abs() < 1e-9, "{within}");
        assert_eq!(spread.quantile(0.99), Some(Quantile::Beyond(0.2)));
        assert_eq!(histogram(&[(0.1, 0.0), (f64::INFINITY, 0.0)]).quantile(0.5), None);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn a_histogram_that_shrank_is_new() {
        let then = histogram(&[(0.1, 5.0), (f64::INFINITY, 6.0)]);
        let now = histogram(&[(0.1, 7.0), (f64::INFINITY, 9.0)]);
        assert_eq!(now.since(&then), histogram(&[(0.1, 2.0), (f64::INFINITY, 3.0)]));
        assert_eq!(then.since(&now), then);
        assert_eq!(now.since(&Histogram::default()), now);
    }

    #[test]
    fn another_programs_page_is_none() {
        let page = Page::parse(b"node_load1 0.5\n").unwrap();
        assert_eq!(
            Figures::of(&page).unwrap_err().to_string(),
            "the page has no `pinegate_build_info`: it is not a gate's"
        );
    }
}
