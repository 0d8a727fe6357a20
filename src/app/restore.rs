//! What a start takes over from the day so far: the audit log says what limits had counted.

use std::ops::ControlFlow;

use crate::audit::{Admitted, ParsedRecord};
use crate::config::Config;
use crate::journal::read;
use crate::kernel::id::{GrantId, ResourceId, SystemId};
use crate::kernel::time::Timestamp;
use crate::proxy::Snapshot;
use crate::quota::limiter::{Limiter, Past};

/// Counts again what the audit log has of today, so that a restart gives nobody a second quota.
pub(super) fn quotas(config: &Config, snapshot: &Snapshot, now: Timestamp) {
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
                r#"{{"v":1,"seq":0,"batch":0,"prev":"","node":"n","generation":1,"sum":"","kind":"{kind}","at":"{at}",
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
