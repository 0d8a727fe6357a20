//! Who waits for whom.

use std::time::Duration;

use super::super::gather::Crowd;

/// What is expected after many commits of `records` each, one every `every`, with `queued` left over.
fn after(records: usize, queued: usize, every: Duration) -> Option<usize> {
    let mut crowd = Crowd::new();
    let mut now = Duration::from_secs(7);
    for _ in 0..200 {
        now += every;
        crowd.note(records, queued, now - every / 2, now);
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
            crowd.note(records, 2, *now - every / 2, *now);
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
        let now = Duration::from_micros(n);
        crowd.note(usize::MAX, usize::MAX, now, now);
    }
    assert!(crowd.expected().is_some());
}

/// Records that come one every `pace`, on a disk that commits in `commit`: how long they wait, at the mean.
fn open_load(pace: Duration, commit: Duration) -> Duration {
    let mut crowd = Crowd::new();
    let (mut now, mut next, mut waits, mut count) = (Duration::from_secs(1), 1_u32, Duration::ZERO, 0);
    let came = |n: u32| Duration::from_secs(1) + pace * n;
    let until =
        |now: Duration| u32::try_from((now - Duration::from_secs(1)).as_nanos() / pace.as_nanos()).unwrap();
    while next < 20_000 {
        now = now.max(came(next));
        if let Some((expected, most)) = crowd.expected() {
            // Until so many are there, or so much time has passed.
            let full = came(next + u32::try_from(expected).unwrap() - 1);
            now = now.max(full.min(now + most));
        }
        let last = until(now);
        let (start, end) = (now, now + commit);
        waits += (next..=last).map(|n| end - came(n)).sum::<Duration>();
        count += last + 1 - next;
        let records = usize::try_from(last + 1 - next).unwrap();
        next = last + 1;
        now = end;
        crowd.note(records, usize::try_from(until(now) + 1 - next).unwrap(), start, end);
    }
    waits / count
}

#[test]
fn nobody_waits_much_longer_than_commits_take() {
    for pace in [20, 60, 120, 500] {
        for commit in [60, 100, 300, 2_000] {
            let (pace, commit) = (Duration::from_micros(pace), Duration::from_micros(commit));
            let waits = open_load(pace, commit);
            // One commit that is under way, one wait, and the own commit.
            assert!(waits <= commit * 5 / 2 + pace, "{pace:?} {commit:?}: {waits:?}");
        }
    }
    let few = open_load(Duration::from_micros(500), Duration::from_micros(100));
    assert_eq!(few, Duration::from_micros(100), "who comes alone");
}
