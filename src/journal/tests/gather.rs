//! Who waits for whom.

use std::time::Duration;

use super::super::gather::Crowd;

/// What is expected after many commits of `records` each, one every `every`, with `queued` left over.
fn after(records: usize, queued: usize, every: Duration) -> Option<usize> {
    let mut crowd = Crowd::new();
    let mut now = Duration::from_secs(7);
    for _ in 0..200 {
        now += every;
        crowd.note(records, queued, now);
    }
    crowd.expected().map(|(records, _)| records)
}

#[test]
fn a_rush_is_waited_for_and_a_trickle_is_not() {
    let every = Duration::from_micros;
    assert_eq!(after(1, 0, every(500)), None, "two thousand a second");
    assert_eq!(after(6, 4, every(5_000)), None, "as many, held up");
    assert_eq!(after(1, 0, every(50)), None, "one that appends by itself as fast as the disk is");
    assert_eq!(after(5, 3, every(300)), Some(7), "sixteen thousand a second, from eight at least");
    assert_eq!(after(64, 0, every(700)), Some(63));
}

#[test]
fn a_rush_is_seen_soon_after_a_rest_and_forgotten_soon_after_its_end() {
    let mut crowd = Crowd::new();
    let mut now = Duration::from_hours(1);
    let commits = |crowd: &mut Crowd, now: &mut Duration, records, every, wanted: bool| {
        (1..).find(|_| {
            *now += every;
            crowd.note(records, 2, *now);
            crowd.expected().is_some() == wanted
        })
    };
    let seen = commits(&mut crowd, &mut now, 8, Duration::from_micros(300), true);
    assert!(seen.unwrap() < 40, "{seen:?}");
    let forgotten = commits(&mut crowd, &mut now, 1, Duration::from_millis(2), false);
    assert!(forgotten.unwrap() < 10, "{forgotten:?}");
}

#[test]
fn what_is_too_much_to_count_is_a_crowd() {
    let mut crowd = Crowd::new();
    for n in 1..60 {
        crowd.note(usize::MAX, usize::MAX, Duration::from_micros(n));
    }
    assert!(crowd.expected().is_some());
}
