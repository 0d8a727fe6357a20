//! How many further tries there may be: a share of the requests, so that tries do not multiply what
//! an upstream that struggles has to bear.

use super::window::{Tally, Window};

/// The bounds on further tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRules {
    /// How often one request is tried at most, the first time included.
    pub tries: u32,
    /// Further tries as a share of the requests of the last ten seconds, in percent.
    pub budget_percent: u32,
    /// Further tries that ten seconds always have, however few requests there were.
    pub budget_floor: u32,
}

/// What was spent of a budget.
#[derive(Debug)]
pub struct RetryBudget {
    rules: RetryRules,
    /// All are requests; special are further tries.
    window: Window,
}

impl RetryBudget {
    /// A budget nothing of which is spent.
    #[must_use]
    pub fn new(rules: RetryRules) -> Self {
        Self { rules, window: Window::default() }
    }

    /// How often one request is tried at most.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.rules.tries
    }

    /// Counts a request.
    pub fn requested(&self, second: u64) {
        self.window.add(second, Tally { all: 1, special: 0 });
    }

    /// Takes a further try, if there is one. Two that ask at once for the last may both go without.
    #[must_use]
    pub fn take(&self, second: u64) -> bool {
        let one = Tally { all: 0, special: 1 };
        self.window.add(second, one);
        let Tally { all, special } = self.window.sum(second);
        let share = all.saturating_mul(u64::from(self.rules.budget_percent)) / 100;
        let is_within = special <= share.saturating_add(u64::from(self.rules.budget_floor));
        if !is_within {
            self.window.remove(second, one);
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::window::WINDOW_SECONDS;
    use super::*;

    proptest! {
        #[test]
        fn tries_stay_within_their_share(
            percent in 1..=100_u32,
            floor in 1..=5_u32,
            steps in prop::collection::vec((0..3_u64, any::<bool>()), 1..120),
        ) {
            let budget = RetryBudget::new(RetryRules { tries: 2, budget_percent: percent, budget_floor: floor });
            let (mut now, mut requests, mut taken) = (500_u64, Vec::new(), Vec::new());
            for (later, is_request) in steps {
                now += later;
                let recent = |events: &[u64]| {
                    events.iter().filter(|&&at| now - at < WINDOW_SECONDS).count()
                };
                if is_request {
                    budget.requested(now);
                    requests.push(now);
                    continue;
                }
                let allowed = recent(&requests) * usize::try_from(percent).unwrap() / 100
                    + usize::try_from(floor).unwrap();
                let expected = recent(&taken) < allowed;
                prop_assert_eq!(budget.take(now), expected);
                if expected {
                    taken.push(now);
                }
            }
        }
    }
}
