use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn frame(zone: &str) -> Frame {
    // 2026: National Day 1 to 7 October, 10 October (Saturday) worked.
    let holidays = (1..=7).map(|day| date(2026, 10, day));
    let calendar = Calendar::new([2024, 2026], holidays, [date(2026, 10, 10)]).unwrap();
    Frame { zone: TimeZone::get(zone).unwrap(), calendar: Arc::new(calendar) }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(text: &str, zone: &str, effect: Effect) -> Window {
    Window::parse(text, &frame(zone), effect).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// The window holds from each first instant to each second one, to the millisecond, and the next
/// change is always the true one.
fn check(text: &str, zone: &str, effect: Effect, spans: &[(&str, &str)]) {
    let millisecond = jiff::SignedDuration::from_millis(1);
    for &(from, until) in spans {
        let window = window(text, zone, effect);
        let (from, until) = (at(from), at(until));
        for (now, expected) in [
            (from - millisecond, false),
            (from, true),
            (until - millisecond, true),
            (until, false),
            (from, true),
        ] {
            assert_eq!(window.contains(now), expected, "`{text}` at {now}");
        }
        assert_eq!(window.next_change(from), Some(until), "`{text}` from {from}");
        assert_eq!(window.next_change(until - millisecond), Some(until), "`{text}` until {until}");
        assert_eq!(window.next_change(from - millisecond), Some(from), "`{text}` before {from}");
    }
}

#[test]
fn dates_are_local_days_and_the_last_is_included() {
    check(
        "2026-01-01/2026-12-31",
        "Asia/Shanghai",
        Effect::Allow,
        &[("2025-12-31T16:00:00Z", "2026-12-31T16:00:00Z")],
    );
    check(
        "2024-02-29/2024-02-29",
        "Asia/Shanghai",
        Effect::Allow,
        &[("2024-02-28T16:00:00Z", "2024-02-29T16:00:00Z")],
    );
    check(
        "2026-03-01T09:00:00+08:00/2026-03-01T09:00:00.5+08:00",
        "UTC",
        Effect::Allow,
        &[("2026-03-01T01:00:00Z", "2026-03-01T01:00:00.5Z")],
    );
}

#[test]
fn open_ends() {
    let now = at("2026-06-01T00:00:00Z");
    for (text, expected) in [
        ("always", true),
        ("../2026-12-31", true),
        ("../2026-05-31", false),
        ("2026-01-01/..", true),
        ("2026-06-02/..", false),
    ] {
        assert_eq!(window(text, "UTC", Effect::Allow).contains(now), expected, "{text}");
    }
    assert_eq!(window("always", "UTC", Effect::Allow).next_change(now), None);
    assert_eq!(window("2026-01-01/..", "UTC", Effect::Allow).next_change(now), None);
    assert_eq!(window("../2026-05-31", "UTC", Effect::Allow).next_change(now), None);
}

#[test]
fn hours_and_days() {
    let shanghai = "Asia/Shanghai";
    // Friday 9 October, a worked Saturday, a free Sunday.
    let workdays = [
        ("2026-10-09T00:30:00Z", "2026-10-09T10:00:00Z"),
        ("2026-10-10T00:30:00Z", "2026-10-10T10:00:00Z"),
        ("2026-10-12T00:30:00Z", "2026-10-12T10:00:00Z"),
    ];
    check("2026-01-01/2026-12-31 workday 08:30-18:00", shanghai, Effect::Allow, &workdays);
    check("workday 08:30-18:00", shanghai, Effect::Allow, &workdays);
    check("mon-fri", shanghai, Effect::Allow, &[("2026-10-04T16:00:00Z", "2026-10-09T16:00:00Z")]);
    check("holiday", shanghai, Effect::Allow, &[("2026-09-30T16:00:00Z", "2026-10-07T16:00:00Z")]);
    check(
        "sat|mon 00:00-24:00",
        shanghai,
        Effect::Allow,
        &[("2026-10-09T16:00:00Z", "2026-10-10T16:00:00Z")],
    );
    // The end of the window cuts the hours short.
    check(
        "../2026-10-09T12:00:00+08:00 workday 08:30-18:00",
        shanghai,
        Effect::Allow,
        &[("2026-10-09T00:30:00Z", "2026-10-09T04:00:00Z")],
    );
}

#[test]
fn hours_past_midnight_belong_to_the_day_they_begin_on() {
    // Friday night into Saturday; nothing from Saturday night on.
    check(
        "fri 22:00-06:00",
        "Asia/Shanghai",
        Effect::Allow,
        &[("2026-11-06T14:00:00Z", "2026-11-06T22:00:00Z")],
    );
    check("22:00-06:00", "Asia/Shanghai", Effect::Allow, &[("2026-11-07T14:00:00Z", "2026-11-07T22:00:00Z")]);
    let night = window("fri 22:00-06:00", "Asia/Shanghai", Effect::Allow);
    assert!(!night.contains(at("2026-11-05T20:00:00Z")), "Friday before dawn is Thursday's night");
}

#[test]
fn daylight_saving_time() {
    let berlin = "Europe/Berlin";
    // 2026-03-29: 02:00 becomes 03:00. The hours begin where the clock jumps to.
    check("sun 02:30-04:00", berlin, Effect::Allow, &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")]);
    // 2026-10-25: 03:00 becomes 02:00. 02:00 to 02:30 comes twice.
    check(
        "sun 02:00-02:30",
        berlin,
        Effect::Allow,
        &[("2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"), ("2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z")],
    );
    // The day is 23 hours long.
    check(
        "2026-03-29/2026-03-29",
        berlin,
        Effect::Allow,
        &[("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")],
    );
}

#[test]
fn a_year_without_calendar_fails_an_allow_and_matches_a_deny() {
    let now = at("2027-01-04T02:00:00Z");
    for (text, allow, deny) in [
        ("workday", false, true),
        ("holiday 08:00-18:00", false, true),
        ("mon-fri", true, true),
        ("workday|mon", true, true),
    ] {
        assert_eq!(window(text, "Asia/Shanghai", Effect::Allow).contains(now), allow, "{text}");
        assert_eq!(window(text, "Asia/Shanghai", Effect::Deny).contains(now), deny, "{text}");
    }
    check("workday", "Asia/Shanghai", Effect::Allow, &[("2026-12-27T16:00:00Z", "2026-12-31T16:00:00Z")]);
}

#[test]
fn a_clock_that_steps_back_is_followed() {
    let window = window("workday 08:30-18:00", "Asia/Shanghai", Effect::Allow);
    for (now, expected) in [
        ("2026-11-09T01:00:00Z", true),
        ("2026-11-09T10:00:00Z", false),
        ("2026-11-09T01:00:00Z", true),
        ("2026-11-08T01:00:00Z", false),
    ] {
        assert_eq!(window.contains(at(now)), expected, "{now}");
    }
}

#[test]
fn texts_are_normalised_and_canonical() {
    for (text, normal, canonical) in [
        ("always", "always", "../.."),
        (
            "2026-01-01/2026-12-31   workday  08:30-18:00",
            "2026-01-01/2026-12-31 workday 08:30-18:00",
            "2025-12-31T16:00:00Z/2026-12-31T16:00:00Z workday 08:30-18:00",
        ),
        ("tue|mon|wed", "mon-wed", "../.. mon|tue|wed"),
        ("sat-mon", "mon|sat|sun", "../.. mon|sat|sun"),
        ("22:00-06:00", "22:00-06:00", "../.. mon|tue|wed|thu|fri|sat|sun 22:00-06:00"),
    ] {
        let window = window(text, "Asia/Shanghai", Effect::Allow);
        assert_eq!((window.text(), window.canonical().as_str()), (normal, canonical), "{text}");
    }
    assert_eq!(window("workday", "UTC", Effect::Deny).canonical(), "../.. workday|unknown");
}

#[test]
fn what_is_refused() {
    for (text, place, code) in [
        ("", 0..0, "bad-window"),
        ("allways", 0..7, "bad-window"),
        ("../..", 0..5, "bad-window"),
        ("2026-02-30/..", 0..10, "bad-window"),
        ("2026-2-3/..", 0..8, "bad-window"),
        ("2026-01-01T00:00:00/..", 0..19, "bad-window"),
        ("2026-01-01T00:00:00+08:00[Asia/Shanghai]/..", 0..30, "bad-window"),
        ("2026-12-31/2026-01-01", 0..21, "window-ends-before-it-begins"),
        ("2026-01-01T00:00:00Z/2026-01-01T00:00:00Z", 0..41, "window-ends-before-it-begins"),
        ("always workday", 0..6, "bad-window"),
        ("workdays", 0..8, "bad-window"),
        ("8:30-18:00", 0..10, "bad-window"),
        ("24:00-08:00", 0..11, "bad-window"),
        ("08:30-24:01", 0..11, "bad-window"),
        ("08:30-08:30", 0..11, "bad-window"),
        ("08:30-18:00 workday", 12..19, "bad-window"),
        ("workday workday", 8..15, "bad-window"),
    ] {
        let problems = Window::parse(text, &frame("Asia/Shanghai"), Effect::Allow).map(|_| text).unwrap_err();
        let first = &problems[0];
        assert_eq!((first.at.clone(), first.code), (place, code), "{text:?}: {problems:?}");
    }
}

proptest! {
    /// Between now and the next change nothing changes, and the memory of the last stretch is
    /// never seen from outside.
    #[test]
    fn nothing_changes_before_the_next_change(
        text in prop::sample::select(vec![
            "workday 08:30-18:00", "holiday", "mon|wed 22:00-06:00", "2026-03-20/2026-11-05 sat-sun", "23:30-00:30", "sun 02:15-02:45",
        ]),
        zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]),
        // From December 2025 to March 2027, in seconds.
        seconds in prop::collection::vec(1_764_547_200_i64..1_803_859_200, 1..8),
        parts in prop::collection::vec(0.0..1.0_f64, 6),
    ) {
        let kept = window(text, zone, Effect::Allow);
        for now in seconds.into_iter().map(|second| Timestamp::from_second(second).unwrap()) {
            let fresh = window(text, zone, Effect::Allow);
            prop_assert_eq!(kept.contains(now), fresh.contains(now));
            let Some(change) = fresh.next_change(now) else { continue };
            prop_assert!(change > now);
            for part in &parts {
                let between = now + now.duration_until(change).mul_f64(*part);
                let between = between.min(change - jiff::SignedDuration::from_nanos(1));
                prop_assert_eq!(window(text, zone, Effect::Allow).contains(between), fresh.contains(now), "{}", between);
            }
        }
    }
}
