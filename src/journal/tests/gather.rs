//! Who waits for whom.

use std::time::Duration;

use super::super::Priority;
use super::super::gather::Crowd;

const TOOK: Duration = Duration::from_micros(100);

/// What is expected after commits of so many records, while so many queued.
fn after(commits: impl IntoIterator<Item = (usize, usize)>) -> Option<(usize, Duration)> {
    let mut crowd = Crowd::new(Priority::Normal);
    for (records, queued) in commits {
        crowd.note(records, queued, TOOK);
    }
    crowd.expected()
}

#[test]
fn whoever_appends_alone_waits_for_nobody() {
    assert_eq!(after([]), None);
    assert_eq!(after([(1, 0); 1000]), None);
    // Now and then somebody else is there, too.
    assert_eq!(after([(1, 0), (1, 0), (1, 1), (1, 0), (1, 0), (1, 0)].repeat(100)), None);
}

#[test]
fn a_crowd_waits_until_it_is_complete_and_no_longer_than_a_commit() {
    for commits in [[(1, 63), (63, 1)], [(64, 0), (64, 0)], [(32, 32), (32, 32)]] {
        let (expected, longest) = after(commits.repeat(50)).unwrap();
        assert!((60..=64).contains(&expected), "{expected}");
        assert!((80..=100).contains(&longest.as_micros()), "{longest:?}");
    }
    for (priority, longest) in
        [(Priority::Realtime, 1000), (Priority::Favoured, 250), (Priority::Normal, 250)]
    {
        let mut crowd = Crowd::new(priority);
        for _ in 0..100 {
            crowd.note(2, 2, Duration::from_millis(8));
        }
        assert_eq!(crowd.expected().unwrap().1, Duration::from_micros(longest));
    }
}

#[test]
fn a_crowd_that_has_left_is_soon_forgotten() {
    let commits = |alone| [vec![(512, 0); 100], vec![(1, 0); alone]].concat();
    assert!(after(commits(1)).is_some());
    assert_eq!(after(commits(60)), None);
}

#[test]
fn what_is_too_much_to_count_is_a_crowd() {
    assert!(after([(usize::MAX, usize::MAX); 20]).is_some());
}
