use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::limit::{Dimension, Limit, Pace, Rate, Selection};
use super::limiter::{Admission, InFlight, Limiter, Past};
use super::population::Population;
use super::{Bound, Exceeded, QuotaError};
use crate::kernel::id::{DepartmentId, GrantId, LimitName, ResourceId, SystemId};
use crate::kernel::time::{TimeZone, Timestamp};

type TestLimiter = Limiter<FakeRelativeClock>;

fn system(name: &str) -> SystemId {
    SystemId::parse(&format!("sys:{name}")).unwrap()
}

fn resource(name: &str) -> ResourceId {
    ResourceId::parse(name).unwrap()
}

fn grant(name: &str) -> GrantId {
    GrantId::parse(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// 10:00 in Shanghai.
fn noonish() -> Timestamp {
    at("2026-03-02T02:00:00Z")
}

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

/// Systems `a`, `b` of department `one` and `c` of `two`; resources `r`, `s`; grants `G1` without
/// and `G2`, `G3` with a duty on rows.
fn population() -> Population {
    let department = |name: &str| DepartmentId::parse(&format!("dept:{name}")).unwrap();
    Population {
        systems: vec![
            (system("a"), department("one")),
            (system("b"), department("one")),
            (system("c"), department("two")),
        ],
        resources: vec![resource("r"), resource("s")],
        grants: vec![(grant("G1"), None), (grant("G2"), Some(100)), (grant("G3"), Some(60))],
    }
}

fn limit(name: &str, by: &[Dimension]) -> Limit {
    Limit {
        name: LimitName::parse(name).unwrap(),
        by: by.to_vec(),
        only: Selection::default(),
        rate: None,
        concurrency: None,
        per_day: None,
    }
}

fn rate(pace: &str, burst: u32) -> Option<Rate> {
    Some(Rate { pace: Pace::parse(pace).unwrap(), burst: NonZeroU32::new(burst).unwrap() })
}

fn limiter(limits: &[Limit]) -> (TestLimiter, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Limiter::new(limits, &population(), shanghai(), clock.clone()).unwrap(), clock)
}

fn refused(result: Result<Admission, QuotaError>) -> Exceeded {
    match result {
        Err(QuotaError::Exceeded(exceeded)) => exceeded,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_burst_lets_through_exactly_as_many_as_it_says() {
    let by_system = Limit { rate: rate("1/m", 3), ..limit("slow", &[Dimension::System]) };
    let (limiter, clock) = limiter(&[by_system]);
    let call = || limiter.throttle(noonish(), &system("a"), &resource("r"));
    for left in [2, 1, 0] {
        let usage = call().unwrap().usage.unwrap();
        assert_eq!(usage.rate_limit(), format!("\"slow\";r={left};t={}", 60 * (3 - left)));
        assert_eq!(usage.rate_limit_policy(), "\"slow\";q=3;w=180");
    }
    let exceeded = refused(call());
    assert_eq!((&*exceeded.name, exceeded.bound, exceeded.quota), ("slow", Bound::Rate, 3));
    assert_eq!(exceeded.retry_after_secs(), 60);
    assert_eq!(exceeded.usage.unwrap().rate_limit(), "\"slow\";r=0;t=180");
    // Another system has a counter of its own.
    assert!(limiter.throttle(noonish(), &system("b"), &resource("r")).is_ok());
    // A client that waits as long as it is told is let through, and not a moment before.
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(refused(call()).retry_after_secs(), 1);
    clock.advance(Duration::from_millis(1));
    assert!(call().is_ok());
    assert_eq!(refused(call()).retry_after_secs(), 60);
}

#[test]
fn every_limit_that_matches_applies_and_a_refusal_counts_nowhere() {
    let own = Limit { rate: rate("1/h", 2), ..limit("own", &[Dimension::System]) };
    let shared = Limit {
        rate: rate("1/h", 5),
        per_day: NonZeroU64::new(50),
        concurrency: NonZeroU32::new(50),
        ..limit("shared", &[Dimension::Resource])
    };
    let (limiter, _) = limiter(&[shared, own]);
    let call = |name| limiter.throttle(noonish(), &system(name), &resource("r"));
    let held: Vec<_> = (0..2).map(|_| call("a").unwrap()).collect();
    for _ in 0..20 {
        assert_eq!(&*refused(call("a")).name, "own");
    }
    // Three of five are left to the others.
    let held_too: Vec<_> = ["b", "b", "c"].map(|name| call(name).unwrap()).into();
    let exceeded = refused(call("c"));
    assert_eq!((&*exceeded.name, exceeded.bound), ("shared", Bound::Rate));
    // Where several refuse, the longest wait is told.
    assert_eq!(refused(call("a")).retry_after_secs(), 3_600);
    drop((held, held_too));
    let usage = limiter.throttle(noonish(), &system("c"), &resource("s")).unwrap().usage.unwrap();
    assert_eq!((usage.limit(), usage.remaining(), usage.quota()), ("own", 0, 2));
}

#[test]
fn tables_tell_keys_and_selections_apart() {
    use Dimension::{Department, Resource, System};
    let one = NonZeroU64::new(1);
    let cases: &[(&[Dimension], Selection, [bool; 4])] = &[
        // Whether a second call is let through: by the same system, the same system for another
        // resource, another system of the department, another department's.
        (&[System], Selection::default(), [false, false, true, true]),
        (&[Department], Selection::default(), [false, false, false, true]),
        (&[Resource], Selection::default(), [false, true, false, false]),
        (&[System, Resource], Selection::default(), [false, true, true, true]),
        (&[Department, Resource], Selection::default(), [false, true, false, true]),
        (
            &[Resource],
            Selection { systems: vec![system("a"), system("b")], ..Selection::default() },
            [false, true, false, true],
        ),
        (&[System], Selection { resources: vec![resource("s")], ..Selection::default() }, [true; 4]),
        (
            &[System],
            Selection { resources: vec![resource("r")], ..Selection::default() },
            [false, true, true, true],
        ),
        (
            &[System],
            Selection { departments: vec![DepartmentId::parse("dept:two").unwrap()], ..Selection::default() },
            [true; 4],
        ),
    ];
    for (by, only, expected) in cases {
        let seconds = [("a", "r"), ("a", "s"), ("b", "r"), ("c", "r")];
        for ((name, thing), expected) in seconds.into_iter().zip(expected) {
            let (limiter, _) = limiter(&[Limit { per_day: one, only: only.clone(), ..limit("l", by) }]);
            limiter.throttle(noonish(), &system("a"), &resource("r")).unwrap();
            let second = limiter.throttle(noonish(), &system(name), &resource(thing));
            assert_eq!(second.is_ok(), *expected, "{by:?} {only:?} {name} {thing}");
        }
    }
}

#[test]
fn calls_at_once_end_when_their_reply_does() {
    let (limiter, _) =
        limiter(&[Limit { concurrency: NonZeroU32::new(2), ..limit("wide", &[Dimension::System]) }]);
    let call = || limiter.throttle(noonish(), &system("a"), &resource("r"));
    let first = call().unwrap();
    let second = call().unwrap();
    let usage = second.usage.as_ref().unwrap();
    assert_eq!(usage.rate_limit(), "\"wide.concurrency\";r=0");
    assert_eq!(usage.rate_limit_policy(), "\"wide.concurrency\";q=2;qu=\"concurrent-requests\"");
    let exceeded = refused(call());
    assert_eq!((exceeded.bound, exceeded.retry_after_secs()), (Bound::Concurrency, 1));
    let in_flight: InFlight = first.in_flight;
    assert!(call().is_err());
    drop(in_flight);
    let third = call().unwrap();
    assert!(call().is_err());
    drop((second, third));
    assert!(call().is_ok());
}

#[test]
fn days_are_local() {
    let (limiter, _) =
        limiter(&[Limit { per_day: NonZeroU64::new(1), ..limit("daily", &[Dimension::System]) }]);
    let call = |now| limiter.throttle(at(now), &system("a"), &resource("r"));
    let usage = call("2026-03-02T15:59:58.5Z").unwrap().usage.unwrap();
    assert_eq!(usage.rate_limit(), "\"daily.day\";r=0;t=2");
    assert_eq!(usage.rate_limit_policy(), "\"daily.day\";q=1;w=86400");
    let exceeded = refused(call("2026-03-02T15:59:58.501Z"));
    assert_eq!((exceeded.bound, exceeded.retry_after_secs()), (Bound::PerDay, 2));
    assert!(call("2026-03-02T15:59:59.999Z").is_err());
    assert!(call("2026-03-02T16:00:00Z").is_ok(), "midnight in Shanghai");
    assert!(call("2026-03-02T15:59:59Z").is_err(), "a clock that steps back gives no day twice");
    assert!(call("2026-03-03T15:59:59Z").is_err());
    assert!(call("2026-03-03T16:00:00Z").is_ok());
    // A clock that ran years ahead and was set right does not lock anybody out.
    assert!(call("2031-01-01T00:00:00Z").is_ok());
    assert!(call("2026-03-04T16:00:00Z").is_ok());
}

#[test]
fn grants_have_limits_of_their_own() {
    let each = Limit { per_day: NonZeroU64::new(2), ..limit("each", &[Dimension::Grant]) };
    let (limiter, _) = limiter(&[each]);
    let call = |name, grants: &[&str]| {
        let grants: Vec<GrantId> = grants.iter().map(|name| grant(name)).collect();
        limiter.admit_grants(noonish(), &system(name), &resource("r"), &grants)
    };
    assert!(limiter.throttle(noonish(), &system("a"), &resource("r")).unwrap().usage.is_none());
    call("a", &["G1", "G2", "G1"]).unwrap();
    call("a", &["G1"]).unwrap();
    assert_eq!(&*refused(call("a", &["G1", "G3"])).name, "each");
    // The refused call did not count for G3.
    let usage = call("a", &["G3"]).unwrap().usage.unwrap();
    assert_eq!((usage.limit(), usage.remaining()), ("each", 1));
    call("a", &["G2"]).unwrap();
    assert_eq!(&*refused(call("a", &["G2"])).name, "each");
    assert!(call("b", &[]).unwrap().usage.is_none());
    assert!(matches!(call("a", &["G9"]), Err(QuotaError::Unregistered { kind: "grant", .. })));
}

#[test]
fn a_limit_that_only_selects_grants_counts_calls() {
    let some = Limit {
        per_day: NonZeroU64::new(2),
        only: Selection { grants: vec![grant("G1"), grant("G2")], ..Selection::default() },
        ..limit("some", &[Dimension::System])
    };
    let (limiter, _) = limiter(&[some]);
    let call = |grants: &[GrantId]| limiter.admit_grants(noonish(), &system("a"), &resource("r"), grants);
    call(&[grant("G1"), grant("G2"), grant("G3")]).unwrap();
    call(&[grant("G2")]).unwrap();
    assert_eq!(&*refused(call(&[grant("G1")])).name, "some");
    assert!(call(&[grant("G3")]).unwrap().usage.is_none());
}

#[test]
fn rows_are_drawn_on_all_duties_or_none() {
    let (limiter, _) = limiter(&[]);
    let (a, both) = (system("a"), [grant("G1"), grant("G2"), grant("G3")]);
    let charge = |grants: &[GrantId], rows| limiter.charge_rows(noonish(), &a, grants, rows);
    assert_eq!(limiter.rows_left(noonish(), &a, &both), Some(60));
    assert_eq!(limiter.rows_left(noonish(), &a, &[grant("G1")]), None);
    charge(&both, 50).unwrap();
    charge(&[grant("G1")], u64::MAX).unwrap();
    let Err(QuotaError::Exceeded(exceeded)) = charge(&both, 11) else { panic!("let through") };
    assert_eq!((&*exceeded.name, exceeded.bound, exceeded.quota), ("G3", Bound::RowsPerDay, 60));
    assert_eq!(exceeded.retry_after_secs(), 14 * 3_600);
    assert_eq!(limiter.rows_left(noonish(), &a, &[grant("G2")]), Some(50), "nothing was drawn");
    // What did not leave after all is given back, once and on its day.
    charge(&both, 10).unwrap();
    limiter.refund_rows(noonish(), &a, &both, 10);
    limiter.refund_rows(at("2026-03-01T15:59:59Z"), &a, &both, 50);
    assert_eq!(limiter.rows_left(noonish(), &a, &both), Some(10));
    charge(&both, 10).unwrap();
    assert_eq!(limiter.rows_left(noonish(), &a, &both), Some(0));
    // Another system and another day have their own.
    assert_eq!(limiter.rows_left(noonish(), &system("b"), &both), Some(60));
    assert_eq!(limiter.rows_left(at("2026-03-02T16:00:00Z"), &a, &both), Some(60));
}

#[test]
fn a_restart_goes_on_with_the_day() {
    let limits = [
        Limit { per_day: NonZeroU64::new(3), ..limit("own", &[Dimension::System]) },
        Limit { per_day: NonZeroU64::new(2), ..limit("each", &[Dimension::Grant]) },
    ];
    let (limiter, _) = limiter(&limits);
    let (a, gone, r) = (system("a"), system("gone"), resource("r"));
    let (none, both) = ([], [grant("G1"), grant("G2")]);
    for (instant, system, grants) in [
        ("2026-03-01T15:59:59Z", &a, &both[..]), // yesterday
        ("2026-03-01T16:00:00Z", &a, &both[..]),
        ("2026-03-02T01:00:00Z", &a, &none[..]), // refused by the policy
        ("2026-03-02T01:00:00Z", &gone, &none[..]),
    ] {
        let past = Past { at: at(instant), system, grants };
        limiter.restore_call(noonish(), past, &r);
        limiter.restore_rows(noonish(), past, 70);
    }
    assert_eq!(limiter.throttle(noonish(), &a, &r).unwrap().usage.unwrap().remaining(), 0);
    assert!(limiter.throttle(noonish(), &a, &r).is_err());
    assert_eq!(limiter.admit_grants(noonish(), &a, &r, &both).unwrap().usage.unwrap().remaining(), 0);
    assert_eq!(limiter.rows_left(noonish(), &a, &[grant("G2")]), Some(30));
}

#[test]
fn a_reload_forgets_nothing_that_still_holds() {
    let kept = Limit {
        rate: rate("1/h", 2),
        per_day: NonZeroU64::new(10),
        concurrency: NonZeroU32::new(5),
        ..limit("kept", &[Dimension::System, Dimension::Resource])
    };
    let (old, _) = limiter(std::slice::from_ref(&kept));
    let (a, r) = (system("a"), resource("r"));
    let under_way = [(); 2].map(|()| old.throttle(noonish(), &a, &r).unwrap());
    old.charge_rows(noonish(), &a, &[grant("G2")], 40).unwrap();

    // Everything has another place in the table: ids come before, between and after.
    let mut grown = population();
    grown.systems.insert(0, (system("new"), DepartmentId::parse("dept:new").unwrap()));
    grown.resources.insert(0, resource("new"));
    grown.resources.retain(|id| id.as_str() != "s");

    let same = old.reload(std::slice::from_ref(&kept), &grown, shanghai()).unwrap();
    assert_eq!(refused(same.throttle(noonish(), &a, &r)).bound, Bound::Rate);
    assert_eq!(same.rows_left(noonish(), &a, &[grant("G2")]), Some(60));
    assert!(same.throttle(noonish(), &system("new"), &r).is_ok());
    assert!(same.throttle(noonish(), &system("b"), &r).is_ok());

    // A new rate begins anew; the day and what is under way go on.
    let faster = Limit { rate: rate("1/h", 20), per_day: NonZeroU64::new(4), ..kept.clone() };
    let next = same.reload(&[faster], &grown, shanghai()).unwrap();
    let more = [(); 2].map(|()| next.throttle(noonish(), &a, &r).unwrap());
    assert_eq!(refused(next.throttle(noonish(), &a, &r)).bound, Bound::PerDay);
    let fewer = Limit { rate: None, per_day: None, concurrency: NonZeroU32::new(4), ..kept };
    let last = next.reload(&[fewer], &population(), shanghai()).unwrap();
    assert_eq!(refused(last.throttle(noonish(), &a, &r)).bound, Bound::Concurrency);
    drop(under_way);
    let usage = last.throttle(noonish(), &a, &r).unwrap().usage.unwrap();
    assert_eq!(usage.remaining(), 1);
    drop(more);
}

#[test]
fn nobody_unknown_gets_a_counter() {
    let (limiter, _) = limiter(&[Limit { rate: rate("1/s", 1), ..limit("l", &[Dimension::System]) }]);
    for n in 0..1_000 {
        let answer = limiter.throttle(noonish(), &system(&format!("x{n}")), &resource("r"));
        assert!(matches!(answer, Err(QuotaError::Unregistered { kind: "system", .. })));
    }
    let answer = limiter.throttle(noonish(), &system("a"), &resource("x"));
    assert!(matches!(answer, Err(QuotaError::Unregistered { kind: "resource", .. })));
}

#[test]
fn counters_are_bounded() {
    let many = |n: usize| Population {
        systems: (0..n).map(|i| (system(&i.to_string()), DepartmentId::parse("dept:d").unwrap())).collect(),
        resources: (0..1_024).map(|i| resource(&i.to_string())).collect(),
        grants: Vec::new(),
    };
    let by = [Dimension::System, Dimension::Resource];
    let limits = [Limit { rate: rate("1/s", 1), ..limit("wide", &by) }];
    let build = |n| Limiter::new(&limits, &many(n), TimeZone::UTC, FakeRelativeClock::default()).map(|_| ());
    assert!(build(1_024).is_ok());
    let error = build(1_025).unwrap_err();
    assert_eq!(
        error.to_string(),
        "limit `wide` brings the counters to 1049600, the most is 1048576; key it by less or select fewer ids"
    );
}

#[test]
fn paces_are_read_strictly() {
    for (text, interval_ns, burst) in [
        ("100/s", 10_000_000, 100),
        ("6000/m", 10_000_000, 100),
        ("1/m", 60_000_000_000, 1),
        ("3/s", 333_333_334, 3),
        ("50/h", 72_000_000_000, 1),
        ("1000000/s", 1_000, 1_000_000),
    ] {
        let pace = Pace::parse(text).unwrap();
        assert_eq!(pace.interval(), Duration::from_nanos(interval_ns), "{text}");
        assert_eq!(pace.calls_per_second().get(), burst, "{text}");
        assert_eq!(pace.to_string(), text);
    }
    for bad in
        ["", "0/s", "/s", "100", "100/", "100/d", "1.5/s", "-1/s", "+1/s", "1 /s", "1000001/s", "1００/s"]
    {
        assert!(Pace::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn threads_together_get_no_more_than_the_bound() {
    // The day is the narrowest: most calls pass its look and many lose the race for its last places,
    // so that what they took from the rate is given back.
    let limits = [
        Limit {
            rate: rate("1/h", 1_000),
            concurrency: NonZeroU32::new(1_000),
            ..limit("shared", &[Dimension::Resource])
        },
        Limit { per_day: NonZeroU64::new(300), ..limit("day", &[Dimension::Department]) },
    ];
    let (limiter, _) = limiter(&limits);
    let admitted = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    if let Ok(admission) = limiter.throttle(noonish(), &system("a"), &resource("r")) {
                        admitted.lock().unwrap().push(admission);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.lock().unwrap().len(), 300);
    let usage = limiter.throttle(noonish(), &system("c"), &resource("r")).unwrap().usage.unwrap();
    // `c` is of another department.
    assert_eq!((usage.limit(), usage.remaining()), ("day", 299));
    // With the day out of the way, what is left of the rate and of the places shows that nothing was
    // left behind: 1000 less 301.
    let next = limiter.reload(&limits[..1], &population(), shanghai()).unwrap();
    let mut held = Vec::new();
    while let Ok(admission) = next.throttle(noonish(), &system("c"), &resource("r")) {
        held.push(admission);
    }
    // The call of `c` above has ended, its rate has not.
    assert_eq!(held.len(), 699);
    let usage = held.last().unwrap().usage.as_ref().unwrap();
    assert_eq!((usage.limit(), usage.remaining()), ("shared", 0));
}

proptest! {
    /// Whatever comes, in no stretch of time are more calls let through than the burst and what
    /// the pace gives in it.
    #[test]
    fn no_window_has_more_than_its_bound(
        calls_per_second in 1_u32..50,
        burst in 1_u32..20,
        cap in 1_u32..8,
        steps in proptest::collection::vec((0_u64..200, 0_usize..4, any::<bool>()), 1..300),
    ) {
        let limits = [
            Limit { rate: rate(&format!("{calls_per_second}/s"), burst), ..limit("rate", &[Dimension::System]) },
            Limit { concurrency: NonZeroU32::new(cap), ..limit("wide", &[Dimension::System]) },
        ];
        let (limiter, clock) = limiter(&limits);
        let mut now_ms = 0;
        let mut admitted = Vec::new();
        let mut held = Vec::new();
        for (advance_ms, tries, release) in steps {
            clock.advance(Duration::from_millis(advance_ms));
            now_ms += advance_ms;
            if release {
                held.clear();
            }
            for _ in 0..tries {
                if let Ok(admission) = limiter.throttle(noonish(), &system("a"), &resource("r")) {
                    held.push(admission);
                    admitted.push(now_ms);
                }
                prop_assert!(held.len() <= usize::try_from(cap).unwrap());
            }
        }
        for (first, start) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let bound = u64::from(burst) + (end - start) * u64::from(calls_per_second) / 1_000;
                let calls = u64::try_from(last - first + 1).unwrap();
                prop_assert!(calls <= bound, "{calls} calls from {start} to {end}, at most {bound}");
            }
        }
    }

    /// Against a token bucket counted in milliseconds: the same calls are let through, also where
    /// refusals by another limit come in between.
    #[test]
    fn the_rate_is_a_token_bucket(
        burst in 1_u32..10,
        steps in proptest::collection::vec((0_u64..400, any::<bool>()), 1..200),
    ) {
        let interval_ms: u64 = 100;
        let few = Selection { systems: vec![system("a")], ..Selection::default() };
        let limits = [
            Limit { rate: rate("10/s", burst), ..limit("shared", &[Dimension::Resource]) },
            Limit { per_day: NonZeroU64::new(5), only: few, ..limit("few", &[Dimension::System]) },
        ];
        let (limiter, clock) = limiter(&limits);
        let full = u64::from(burst) * interval_ms;
        let (mut tokens_ms, mut calls_of_a) = (full, 0);
        for (advance_ms, by_a) in steps {
            clock.advance(Duration::from_millis(advance_ms));
            tokens_ms = full.min(tokens_ms + advance_ms);
            let day_allows = !by_a || calls_of_a < 5;
            let rate_allows = tokens_ms >= interval_ms;
            let name = if by_a { "a" } else { "b" };
            match limiter.throttle(noonish(), &system(name), &resource("r")) {
                Ok(_) => {
                    prop_assert!(day_allows && rate_allows);
                    tokens_ms -= interval_ms;
                    calls_of_a += u32::from(by_a);
                }
                Err(QuotaError::Exceeded(exceeded)) if day_allows => {
                    prop_assert!(!rate_allows);
                    prop_assert_eq!(exceeded.bound, Bound::Rate);
                    prop_assert_eq!(exceeded.retry_after, Duration::from_millis(interval_ms - tokens_ms));
                }
                Err(QuotaError::Exceeded(exceeded)) => prop_assert_eq!(exceeded.bound, Bound::PerDay),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
