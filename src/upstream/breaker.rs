//! The circuit breaker of one upstream: when too much of what it is asked fails, it is left alone for
//! a while, and then asked once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::window::{Tally, Window};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// How many requests of the last ten seconds it takes to judge.
    pub requests: u32,
    /// Which share of them must have failed, in percent.
    pub failure_percent: u32,
    /// How long nothing is asked then.
    pub open: Duration,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes on.
    Closed,
    /// It goes on, and what becomes of it decides whether others do, unless there was another trial since: by
    /// when that may be.
    Trial(u64),
    /// It does not; after so long another may be tried.
    Refused(Duration),
}

/// No time at which anything ends.
const CLOSED: u64 = 0;

/// A breaker. Time is milliseconds from any beginning, above zero.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    /// All are attempts; special are those that failed.
    window: Window,
    /// `CLOSED`, or until when nothing is asked.
    until: AtomicU64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(rules: BreakerRules) -> Self {
        Self { rules, window: Window::default(), until: AtomicU64::new(CLOSED) }
    }

    /// Whether it is open, which it is until a trial went well.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.until.load(Ordering::Relaxed) != CLOSED
    }

    /// For how long a request would be refused at `now`, if it would.
    #[must_use]
    pub fn refuses(&self, now: u64) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        (now < until).then(|| Duration::from_millis(until - now))
    }

    /// Lets a request through, or not. Of those that come once the time is up one is the trial; should
    /// nothing become of it, there is another after the same time.
    #[must_use]
    pub fn admit(&self, now: u64) -> Admission {
        let until = self.until.load(Ordering::Relaxed);
        if until == CLOSED {
            return Admission::Closed;
        }
        if now < until {
            return Admission::Refused(Duration::from_millis(until - now));
        }
        let later = self.after(now);
        match self.until.compare_exchange(until, later, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Admission::Trial(later),
            Err(CLOSED) => Admission::Closed,
            Err(other) => Admission::Refused(Duration::from_millis(other.saturating_sub(now))),
        }
    }

    /// Notes that an attempt went well.
    pub fn succeeded(&self, now: u64, admission: Admission) {
        self.window.add(now / 1_000, Tally { all: 1, special: 0 });
        if matches!(admission, Admission::Trial(_)) {
            self.window.clear();
            self.until.store(CLOSED, Ordering::Relaxed);
        }
    }

    /// Notes that an attempt failed: whether that opened it.
    pub fn failed(&self, now: u64, admission: Admission) -> bool {
        if let Admission::Trial(own) = admission {
            // One that took so long that others were made says nothing of what they found.
            self.until.compare_exchange(own, self.after(now), Ordering::Relaxed, Ordering::Relaxed).ok();
            return false;
        }
        self.window.add(now / 1_000, Tally { all: 1, special: 1 });
        let Tally { all, special } = self.window.sum(now / 1_000);
        let is_bad = all >= u64::from(self.rules.requests)
            && special.saturating_mul(100) >= all.saturating_mul(u64::from(self.rules.failure_percent));
        let opened = |later| self.until.compare_exchange(CLOSED, later, Ordering::Relaxed, Ordering::Relaxed);
        is_bad && opened(self.after(now)).is_ok()
    }

    /// Notes that an attempt told nothing, neither well nor ill: if it was the trial, the next request is.
    pub fn told_nothing(&self, now: u64, admission: Admission) {
        if let Admission::Trial(own) = admission {
            self.until.compare_exchange(own, now.max(1), Ordering::Relaxed, Ordering::Relaxed).ok();
        }
    }

    fn after(&self, now: u64) -> u64 {
        let open = u64::try_from(self.rules.open.as_millis()).unwrap_or(u64::MAX).max(1);
        now.saturating_add(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules =
        BreakerRules { requests: 4, failure_percent: 50, open: Duration::from_secs(5) };

    fn opened(at: u64) -> Breaker {
        let breaker = Breaker::new(RULES);
        breaker.succeeded(at, Admission::Closed);
        breaker.succeeded(at, Admission::Closed);
        assert!(!breaker.failed(at, Admission::Closed), "three are too few to judge");
        assert!(breaker.failed(at, Admission::Closed), "two of four are half");
        breaker
    }

    #[test]
    fn it_opens_by_share_and_refuses() {
        let breaker = opened(1_000);
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(3_000), Admission::Refused(Duration::from_secs(3)));
        assert_eq!(breaker.refuses(3_000), Some(Duration::from_secs(3)));
        assert_eq!(breaker.refuses(6_000), None);
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let breaker = Breaker::new(RULES);
        for second in 0..40 {
            assert!(!breaker.failed(1_000 + second * 4_000, Admission::Closed), "{second}");
        }
    }

    #[test]
    fn one_trial_decides() {
        let breaker = opened(1_000);
        assert_eq!(breaker.admit(6_000), Admission::Trial(11_000));
        assert_eq!(breaker.admit(6_000), Admission::Refused(Duration::from_secs(5)), "one at a time");
        assert!(!breaker.failed(6_500, Admission::Trial(11_000)));
        assert_eq!(breaker.admit(11_400), Admission::Refused(Duration::from_millis(100)));
        assert_eq!(breaker.admit(11_500), Admission::Trial(16_500));
        breaker.succeeded(11_600, Admission::Trial(16_500));
        assert_eq!(breaker.admit(11_600), Admission::Closed);
        assert!(!breaker.failed(11_700, Admission::Closed), "it begins anew");
    }

    #[test]
    fn a_trial_nothing_becomes_of_is_followed_by_another() {
        let breaker = opened(1_000);
        assert_eq!(breaker.admit(6_000), Admission::Trial(11_000));
        assert_eq!(breaker.admit(11_000), Admission::Trial(16_000));
    }

    #[test]
    fn a_trial_that_told_nothing_is_given_back() {
        let breaker = opened(1_000);
        let spoilt = breaker.admit(6_000);
        assert_eq!(breaker.admit(6_100), Admission::Refused(Duration::from_millis(4_900)));
        breaker.told_nothing(6_200, spoilt);
        assert!(breaker.is_open(), "nothing was learned");
        assert_eq!(breaker.refuses(6_200), None);
        let next = breaker.admit(6_200);
        assert_eq!(next, Admission::Trial(11_200));
        assert_eq!(breaker.admit(6_200), Admission::Refused(Duration::from_secs(5)), "one at a time");
        // One given back twice, or late, is not the one that is being made.
        breaker.told_nothing(6_300, spoilt);
        breaker.told_nothing(6_300, Admission::Closed);
        assert_eq!(breaker.admit(6_300), Admission::Refused(Duration::from_millis(4_900)));
        breaker.succeeded(6_400, next);
        breaker.told_nothing(6_500, next);
        assert!(!breaker.is_open());
    }

    #[test]
    fn an_old_trial_does_not_undo_a_newer_one() {
        let breaker = opened(1_000);
        let (old, new) = (breaker.admit(6_000), breaker.admit(11_000));
        breaker.succeeded(11_100, new);
        assert!(!breaker.failed(16_000, old));
        assert_eq!(breaker.admit(16_100), Admission::Closed);
        // Nor does it put off the trial that is being made.
        let breaker = opened(1_000);
        let old = breaker.admit(6_000);
        assert_eq!(breaker.admit(11_000), Admission::Trial(16_000));
        assert!(!breaker.failed(15_000, old));
        assert_eq!(breaker.admit(16_000), Admission::Trial(21_000));
    }

    #[test]
    fn what_began_before_it_opened_does_not_close_it() {
        let breaker = opened(1_000);
        breaker.succeeded(1_500, Admission::Closed);
        assert!(breaker.is_open());
    }
}
