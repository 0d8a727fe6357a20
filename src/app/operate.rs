//! What operators do to a running gate, and what it shows them.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::assemble::{Assembled, assemble};
use crate::admin::{Operations, Readiness, Reloaded};
use crate::audit::{Admitted, Entry, Lifecycle, ParsedRecord};
use crate::config::{Bounds, Config, ReloadTrigger};
use crate::journal::{Observer, read};
use crate::kernel::diagnostic::Severity;
use crate::kernel::id::{GrantId, ResourceId, SystemId};
use crate::kernel::time::Timestamp;
use crate::proxy::{Gate, Snapshot};
use crate::quota::limiter::{Limiter, Past};
use crate::telemetry::{Metrics, Reload, ShadowState};
use crate::tls::TlsDates;

/// How often figures that change by themselves are shown anew.
const REFRESH: Duration = Duration::from_secs(10);

/// The gate, and what it was told.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) gate: Arc<Gate>,
    /// Written by a reload, which is rare; read by nothing on a request's path.
    config: RwLock<Arc<Config>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

impl Operator {
    pub(super) fn new(gate: Arc<Gate>, config: Config, dates: &TlsDates) -> Self {
        let operator =
            Self { gate, config: RwLock::new(Arc::new(config)), reloading: tokio::sync::Mutex::new(()) };
        operator.show(dates);
        operator
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A lifecycle record under what is live now.
    pub(super) fn lifecycle(
        &self,
        event: &'static str,
        actor: &str,
        detail: &[(&'static str, &str)],
    ) -> Entry {
        let snapshot = self.gate.snapshot.load();
        let (policy, config) = (Some(&*snapshot.policy_digest_hex), Some(&*snapshot.config_digest_hex));
        let mut detail = detail.to_vec();
        detail.extend(snapshot.shadow.as_ref().map(|shadow| ("shadow", &*shadow.digest_hex)));
        Lifecycle { at: self.gate.clock.now(), event, actor, detail: &detail, policy, config }.encode()
    }

    async fn rebuild(&self, actor: &str) -> Reloaded {
        let _one_at_a_time = self.reloading.lock().await;
        let (path, gate) = (self.config().path.clone(), Arc::clone(&self.gate));
        let built = tokio::task::spawn_blocking(move || {
            let (config, mut report) = Config::load(&path);
            let previous = gate.snapshot.load_full();
            let assembled = config.as_ref().and_then(|config| {
                let (assembled, found) = assemble(config, Some(&previous), &gate.metrics, &gate.clock);
                report.merge(found);
                assembled
            });
            (config, assembled, report)
        })
        .await;
        let refused = |report: String| {
            self.gate.metrics.reload(Reload::Refused);
            tracing::error!(actor, report, "a reload was refused; what was live stays");
            self.record("reload-refused", actor);
            Reloaded::Refused { report }
        };
        let (config, assembled, report) = match built {
            Ok(built) => built,
            Err(error) => return refused(error.to_string()),
        };
        let (Some(config), Some(assembled)) = (config, assembled) else { return refused(report.to_string()) };
        self.swap(config, assembled);
        self.record("reload", actor);
        let snapshot = self.gate.snapshot.load();
        let warnings = if report.count(Severity::Warning) > 0 { report.to_string() } else { String::new() };
        tracing::info!(actor, revision = snapshot.revision, policy = snapshot.policy_digest_hex, "reloaded");
        Reloaded::Applied {
            revision: snapshot.revision,
            policy: snapshot.policy_digest_hex.clone(),
            shadow: snapshot.shadow.as_ref().map(|shadow| shadow.digest_hex.clone()),
            warnings,
        }
    }

    fn record(&self, event: &'static str, actor: &str) {
        if let Err(error) = self.gate.journal.submit(self.lifecycle(event, actor, &[])) {
            tracing::error!(%error, event, "could not be put on record");
        }
    }

    fn swap(&self, config: Config, assembled: Assembled) {
        let Assembled { snapshot, tls, dates } = assembled;
        self.warn_of_restart(&config);
        // New connections are verified by the new trust before the new policy judges them; a connection
        // that slips between the two is checked again on its first request.
        self.gate.tls.store(tls);
        self.gate.snapshot.store(Arc::new(snapshot));
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.gate.metrics.reload(Reload::Applied);
        self.show(&dates);
    }

    /// What a reload cannot change is said aloud rather than passed over.
    fn warn_of_restart(&self, new: &Config) {
        let old = self.config();
        let watched = |config: &Config| {
            let policy = &config.policy;
            (policy.reload == ReloadTrigger::Watch).then(|| (policy.directory.clone(), policy.shadow.clone()))
        };
        let changed = [
            ("[listen]", old.listen != new.listen),
            ("[metrics]", old.metrics.address != new.metrics.address),
            ("[admin]", old.admin.socket != new.admin.socket),
            ("[audit]", old.audit.directory != new.audit.directory || old.audit.node != new.audit.node),
            ("[bounds]", of_the_start(&old.bounds) != of_the_start(&new.bounds)),
            ("what [policy] watches", watched(&old) != watched(new)),
            (
                "[telemetry]",
                old.telemetry.log != new.telemetry.log || old.telemetry.format != new.telemetry.format,
            ),
        ];
        for (section, _) in changed.iter().filter(|(_, is_changed)| *is_changed) {
            tracing::warn!(section, "has changed and takes effect at the next start");
        }
    }

    fn show(&self, dates: &TlsDates) {
        let metrics = &self.gate.metrics;
        let snapshot = self.gate.snapshot.load();
        metrics.show_digests(snapshot.policy_digest, snapshot.config_digest);
        let is_configured = self.config().policy.shadow.is_some();
        metrics.show_shadow(match &snapshot.shadow {
            Some(shadow) => ShadowState::Loaded(shadow.digest),
            None if is_configured => ShadowState::Broken,
            None => ShadowState::Absent,
        });
        if is_configured && snapshot.shadow.is_none() {
            tracing::warn!(
                "the candidate policy does not load and is not evaluated; `pinegate check` says why"
            );
        }
        metrics.last_reload.set(seconds(self.gate.clock.now()));
        if let Some((_, at)) = &dates.certificate {
            metrics.show_expiry("server", seconds(*at));
        }
        if let Some(at) = dates.authorities.iter().map(|(_, at)| *at).min() {
            metrics.show_expiry("client_ca", seconds(at));
        }
        if let Some(at) = dates.lists.iter().filter_map(|(_, at)| *at).min() {
            metrics.show_expiry("crl", seconds(at));
        }
        self.show_grants(&snapshot);
    }

    fn show_grants(&self, snapshot: &Snapshot) {
        let now = self.gate.clock.now();
        let within = |days: i64| {
            now.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
        };
        let (mut live, mut ended, mut soon) = (0_i64, 0_i64, [0_i64; 3]);
        let mut next: Option<Timestamp> = None;
        for grant in snapshot.policy.grants() {
            match grant.expires() {
                Some(at) if at <= now => ended += 1,
                Some(at) => {
                    live += 1;
                    next = Some(next.map_or(at, |known| known.min(at)));
                    for (count, days) in soon.iter_mut().zip([30, 7, 1]) {
                        *count += i64::from(at <= within(days));
                    }
                }
                None => live += 1,
            }
        }
        let metrics = &self.gate.metrics;
        metrics.show_grants("live", live);
        metrics.show_grants("ended", ended);
        for (state, count) in ["ends_in_30_days", "ends_in_7_days", "ends_in_1_day"].into_iter().zip(soon) {
            metrics.show_grants(state, count);
        }
        metrics.next_grant_expiry.set(next.map_or(0.0, seconds));
    }
}

/// The bounds that a reload cannot change. Each bound is named, so that none can be forgotten.
fn of_the_start(bounds: &Bounds) -> impl PartialEq + use<> {
    let Bounds {
        connections,
        handshake_timeout,
        header_timeout,
        stall_timeout,
        connection_age,
        header_bytes,
        header_fields,
        http2_streams,
        drain,
        // These are of the snapshot and take effect with it.
        requests: _,
        whole_reply: _,
        decoded_reply: _,
        decoded_ratio: _,
        decision_body: _,
        whole_request: _,
    } = *bounds;
    let times = [handshake_timeout, header_timeout, stall_timeout, connection_age, drain];
    (times, connections, header_bytes, header_fields, http2_streams)
}

fn seconds(at: Timestamp) -> f64 {
    jiff::SignedDuration::from_millis(at.as_millisecond()).as_secs_f64()
}

impl Operations for Operator {
    fn reload(&self, actor: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>> {
        Box::pin(async move { self.rebuild(&actor).await })
    }

    fn readiness(&self) -> Readiness {
        if self.gate.draining.is_cancelled() {
            return Readiness::Unready("draining".to_owned());
        }
        let health = self.gate.journal.health();
        if health.durable {
            Readiness::Ready
        } else {
            Readiness::Unready("audit records cannot be made durable".to_owned())
        }
    }

    fn metrics(&self) -> Result<Vec<u8>, String> {
        self.gate.metrics.encode().map_err(|error| error.to_string())
    }
}

/// Shows anew what changes by itself, until `stop`.
pub(super) async fn refresh(operator: Arc<Operator>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => operator.show_grants(&operator.gate.snapshot.load()),
        }
    }
}

/// The journal's figures, as metrics.
#[derive(Debug)]
pub(super) struct AuditMetrics(pub(super) Arc<Metrics>);

impl Observer for AuditMetrics {
    fn committed(&self, records: usize, bytes: usize, took: Duration) {
        self.0.audit_records.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        self.0.audit_bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.0.audit_commit_seconds.observe(took.as_secs_f64());
    }

    fn durable(&self, yes: bool) {
        self.0.audit_durable.set(i64::from(yes));
    }

    fn queued(&self, records: usize) {
        self.0.audit_queue.set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

/// Counts again what the audit log has of today, so that a restart gives nobody a second quota.
pub(super) fn restore_quotas(config: &Config, snapshot: &Snapshot, now: Timestamp) {
    let zone = &config.policy.zone;
    let midnight = zone.to_datetime(now).date().to_datetime(jiff::civil::Time::midnight());
    let Ok(since) = zone.to_timestamp(midnight) else { return };
    let mut restored = 0_u64;
    let read = read::since(&config.audit.directory, since, &mut |record| {
        restored += u64::from(restore(&snapshot.limiter, now, &record));
        ControlFlow::Continue(())
    });
    match read {
        Ok(()) => tracing::info!(restored, "quotas of today restored"),
        Err(error) => tracing::error!(%error, "quotas could not be restored from the audit log"),
    }
}

/// Counts one record again; whether it counts at all.
fn restore(limiter: &Limiter, now: Timestamp, record: &ParsedRecord) -> bool {
    let (Some(at), Some(system), Some(resource)) = (record.instant(), &record.system, &record.resource)
    else {
        return false;
    };
    let ids = (SystemId::parse(system), ResourceId::parse(resource));
    let (Ok(system), Ok(resource)) = ids else { return false };
    let grants: Vec<GrantId> = record.grants.iter().filter_map(|grant| GrantId::parse(grant).ok()).collect();
    let past = Past { at, system: &system, grants: &grants };
    let admitted = match record.admitted.as_deref() {
        // A record of before there was this member. Who had a permit was counted.
        None => (!grants.is_empty()).then_some(Admitted::Grants),
        Some(word) => Admitted::parse(word),
    };
    let Some(admitted) = admitted else { return false };
    // An outcome was counted as a call by its intent.
    if record.kind != "outcome" {
        let grants = if admitted == Admitted::Grants { past.grants } else { &[] };
        limiter.restore_call(now, Past { grants, ..past }, &resource);
    }
    // Records were charged as they left, those of a long reply on more than one day: they count for the
    // last of them, so that nobody gets more of that.
    let at = record.ended().unwrap_or(at);
    limiter.restore_rows(now, Past { at, ..past }, record.records.unwrap_or(0));
    true
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::kernel::id::{DepartmentId, LimitName};
    use crate::kernel::time::TimeZone;
    use crate::quota::limit::{Dimension, Limit, Selection};
    use crate::quota::population::Population;

    /// Limits of 100 calls by system and by grant, and 100 rows.
    fn limiter() -> Limiter {
        let limit = |name: &str, by| Limit {
            name: LimitName::parse(name).unwrap(),
            by: vec![by],
            only: Selection::default(),
            rate: None,
            concurrency: None,
            per_day: NonZeroU64::new(100),
        };
        let population = Population {
            systems: vec![(SystemId::parse("sys:a").unwrap(), DepartmentId::parse("dept:d").unwrap())],
            resources: vec![ResourceId::parse("r").unwrap()],
            grants: vec![(GrantId::parse("G").unwrap(), Some(100))],
        };
        let limits = [limit("own", Dimension::System), limit("each", Dimension::Grant)];
        let clock = governor::clock::DefaultClock::default();
        Limiter::new(&limits, &population, TimeZone::UTC, clock).unwrap()
    }

    #[test]
    fn a_record_restores_what_it_was_counted_for() {
        let now: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let (today, eve) = ("2026-03-02T01:00:00Z", "2026-03-01T23:59:50Z");
        let permit = r#""grants":["G"],"records":7"#;
        for (kind, at, rest, counted) in [
            ("access", today, r#""admitted":"grants",PERMIT,"total_us":5"#, (1, 1, 7)),
            // An outcome is no second call.
            ("intent", today, r#""admitted":"grants","grants":["G"]"#, (1, 1, 0)),
            ("outcome", today, r#""admitted":"grants",PERMIT,"total_us":5"#, (0, 0, 7)),
            // Refused by a limit of its grants, by the policy, by a limit of its own, by none.
            ("access", today, r#""admitted":"call","reason":"quota-exhausted","grants":["G"]"#, (1, 0, 0)),
            ("access", today, r#""admitted":"call","reason":"resource-unknown""#, (1, 0, 0)),
            ("access", today, r#""reason":"quota-exhausted""#, (0, 0, 0)),
            ("access", today, r#""reason":"resource-unknown""#, (0, 0, 0)),
            // Of before records said so.
            ("access", today, r#"PERMIT,"total_us":5"#, (1, 1, 7)),
            // Of a word that a later program may write.
            ("access", today, r#""admitted":"later",PERMIT"#, (0, 0, 0)),
            // A call belongs to the day it came on, records to that on which the reply had ended.
            ("access", eve, r#""admitted":"grants",PERMIT,"total_us":9000000"#, (0, 0, 0)),
            ("access", eve, r#""admitted":"grants",PERMIT,"total_us":11000000"#, (0, 0, 7)),
            ("outcome", eve, r#""admitted":"grants",PERMIT,"total_us":11000000"#, (0, 0, 7)),
        ] {
            let rest = rest.replace("PERMIT", permit);
            let line = format!(
                r#"{{"v":1,"seq":0,"batch":0,"prev":"","node":"n","sum":"","kind":"{kind}","at":"{at}",
                "system":"sys:a","resource":"r",{rest}}}"#
            );
            let record = ParsedRecord::parse(line.as_bytes()).unwrap();
            let limiter = limiter();
            restore(&limiter, now, &record);
            let (system, resource) = (SystemId::parse("sys:a").unwrap(), ResourceId::parse("r").unwrap());
            let grants = [GrantId::parse("G").unwrap()];
            let left = |admission: crate::quota::limiter::Admission| admission.usage.unwrap().remaining();
            let own = 99 - left(limiter.throttle(now, &system, &resource).unwrap());
            let each = 99 - left(limiter.admit_grants(now, &system, &resource, &grants).unwrap());
            let rows = 100 - limiter.rows_left(now, &system, &grants).unwrap();
            assert_eq!((own, each, rows), counted, "{line}");
        }
    }
}
