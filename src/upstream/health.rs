//! What is known of one endpoint: how requests to it went, and how its checks do.
//!
//! A machine of counters. Time is milliseconds from any beginning; who calls has the clock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// When an endpoint is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionRules {
    /// How many failures in a row it takes.
    pub failures: u32,
    /// How long the first ejection is; each further one is twice as long.
    pub base: Duration,
    /// The longest. An endpoint that did well for so long begins anew.
    pub longest: Duration,
    /// Which share of the endpoints may be ejected at once, in percent.
    pub max_percent: u32,
}

impl EjectionRules {
    /// How many of `endpoints` may be ejected at once.
    #[must_use]
    pub fn allowed(&self, endpoints: usize) -> usize {
        let percent = usize::try_from(self.max_percent.min(100)).unwrap_or(0);
        endpoints.saturating_mul(percent) / 100
    }
}

/// How many checks in a row it takes to change what is thought of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckRules {
    /// That fail, until it is asked nothing.
    pub unhealthy: u32,
    /// That go well, until it is asked again.
    pub healthy: u32,
}

/// What is known of one endpoint.
#[derive(Debug, Default)]
pub struct Health {
    /// Failures since the last success.
    failures: AtomicU32,
    /// How often it was ejected since it began anew.
    ejections: AtomicU32,
    /// Until when it is ejected.
    until: AtomicU64,
    /// Whether its checks say that it is down.
    is_down: AtomicBool,
    /// Checks in a row that say the other. One task checks.
    contrary: AtomicU32,
}

impl Health {
    /// Whether it is ejected at `now`.
    #[must_use]
    pub fn is_ejected(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Relaxed)
    }

    /// Until when it is ejected, or was.
    #[must_use]
    pub fn ejected_until(&self) -> u64 {
        self.until.load(Ordering::Relaxed)
    }

    /// Whether its checks say that it is down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Notes a request that went well. Writes only if that changes something, as nearly none does.
    pub fn succeeded(&self, now: u64, rules: &EjectionRules) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        let until = self.until.load(Ordering::Relaxed);
        if until != 0 && now >= until.saturating_add(millis(rules.longest)) {
            self.ejections.store(0, Ordering::Relaxed);
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// Notes a request that failed: whether it should be ejected.
    #[must_use]
    pub fn failed(&self, rules: &EjectionRules) -> bool {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        before.saturating_add(1) >= rules.failures
    }

    /// Ejects it, and says for how long. Who calls has seen to it that it is not ejected, and may be.
    pub fn eject(&self, now: u64, rules: &EjectionRules) -> Duration {
        let before = self.ejections.fetch_add(1, Ordering::Relaxed).min(30);
        let long = rules.base.saturating_mul(1 << before).min(rules.longest);
        self.failures.store(0, Ordering::Relaxed);
        self.until.store(now.saturating_add(millis(long)), Ordering::Relaxed);
        long
    }

    /// Ends its ejection at `now`.
    pub fn pardon(&self, now: u64) {
        self.until.fetch_min(now, Ordering::Relaxed);
    }

    /// Notes a check: what is thought of it now, if that has changed.
    pub fn checked(&self, went_well: bool, rules: CheckRules) -> Option<bool> {
        let is_down = self.is_down.load(Ordering::Relaxed);
        if went_well != is_down {
            self.contrary.store(0, Ordering::Relaxed);
            return None;
        }
        let contrary = self.contrary.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if contrary < if is_down { rules.healthy } else { rules.unhealthy } {
            return None;
        }
        self.contrary.store(0, Ordering::Relaxed);
        self.is_down.store(!is_down, Ordering::Relaxed);
        if is_down {
            self.failures.store(0, Ordering::Relaxed);
        }
        Some(is_down)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Ejects the one at `place` if it is not ejected and enough others stay: for how long.
pub fn eject_one(all: &[&Health], place: usize, now: u64, rules: &EjectionRules) -> Option<Duration> {
    let it = all.get(place).filter(|it| !it.is_ejected(now))?;
    let ejected = all.iter().filter(|other| other.is_ejected(now)).count();
    (ejected < rules.allowed(all.len())).then(|| it.eject(now, rules))
}

/// Ends ejections until no more are ejected than may be, those first that would end first.
pub fn pardon_surplus(all: &[&Health], now: u64, rules: &EjectionRules) {
    let mut ejected: Vec<&&Health> = all.iter().filter(|it| it.is_ejected(now)).collect();
    ejected.sort_by_key(|it| it.ejected_until());
    let surplus = ejected.len().saturating_sub(rules.allowed(all.len()));
    ejected.iter().take(surplus).for_each(|it| it.pardon(now));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: EjectionRules = EjectionRules {
        failures: 3,
        base: Duration::from_secs(10),
        longest: Duration::from_secs(60),
        max_percent: 50,
    };

    #[test]
    fn failures_in_a_row_eject_for_longer_each_time() {
        let (health, other) = (Health::default(), Health::default());
        let all = [&health, &other];
        let mut now = 1_000;
        for seconds in [10, 20, 40, 60, 60] {
            assert!(!health.failed(&RULES) && !health.failed(&RULES));
            health.succeeded(now, &RULES);
            assert!(!health.failed(&RULES) && !health.failed(&RULES), "a success between counts");
            assert!(health.failed(&RULES));
            assert_eq!(eject_one(&all, 0, now, &RULES), Some(Duration::from_secs(seconds)));
            assert!(health.is_ejected(now + seconds * 1_000 - 1));
            now += seconds * 1_000;
            assert!(!health.is_ejected(now));
        }
        health.succeeded(now + 59_999, &RULES);
        assert_eq!(eject_one(&all, 0, now + 59_999, &RULES), Some(Duration::from_secs(60)));
        now += 59_999 + 60_000 + 60_000;
        health.succeeded(now, &RULES);
        assert_eq!(eject_one(&all, 0, now, &RULES), Some(Duration::from_secs(10)), "it begins anew");
    }

    #[test]
    fn checks_change_what_is_thought_after_several() {
        let (health, rules) = (Health::default(), CheckRules { unhealthy: 3, healthy: 2 });
        for (went_well, change) in [
            (true, None),
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(false)),
            (false, None),
            (true, None),
            (false, None),
            (true, None),
            (true, Some(true)),
            (true, None),
        ] {
            assert_eq!(health.checked(went_well, rules), change);
        }
        assert!(!health.is_down());
    }

    #[test]
    fn the_only_endpoint_is_never_ejected() {
        let health = Health::default();
        assert_eq!(eject_one(&[&health], 0, 5, &RULES), None);
    }

    proptest! {
        #[test]
        fn ejection_keeps_to_its_share(
            percent in 1..=100_u32,
            sizes in prop::collection::vec(1..8_usize, 1..4),
            steps in prop::collection::vec((0..20_000_u64, any::<prop::sample::Index>()), 1..60),
        ) {
            let rules = EjectionRules { max_percent: percent, ..RULES };
            let all: Vec<Health> = (0..8).map(|_| Health::default()).collect();
            let mut now = 1;
            for size in sizes {
                // The list of endpoints has changed.
                let those: Vec<&Health> = all.iter().take(size).collect();
                pardon_surplus(&those, now, &rules);
                for (later, which) in &steps {
                    now += later;
                    let place = which.index(size);
                    let was = those[place].is_ejected(now);
                    let before = those.iter().filter(|it| it.is_ejected(now)).count();
                    let done = eject_one(&those, place, now, &rules);
                    let after = those.iter().filter(|it| it.is_ejected(now)).count();
                    prop_assert!(after * 100 <= size * usize::try_from(percent).unwrap());
                    prop_assert_eq!(done.is_some(), !was && before < rules.allowed(size));
                    prop_assert_eq!(after, before + usize::from(done.is_some()));
                }
            }
        }
    }
}
