//! Which lines of `grants.csv` the tests exercise.
//!
//! A line is exercised by a case that passed and whose decision rests on it: an allow line in G, a
//! deny line that refused. Role lines (`g`, `g2`) are no grants and are not counted.

use std::collections::BTreeSet;

use crate::grant::{Decision, Effect, Query};
use crate::kernel::id::GrantId;
use crate::kernel::time::Timestamp;
use crate::policy::Policy;

/// One line, and whether any case exercises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The grant.
    pub grant: GrantId,
    /// What the line does.
    pub effect: Effect,
    /// Where it stands in `grants.csv`, counted from one.
    pub line: usize,
    /// Whether a case exercises it.
    pub exercised: bool,
}

/// Every line of a policy, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The lines.
    pub lines: Vec<Line>,
}

impl Coverage {
    /// The lines of `policy`, those in `exercised` marked.
    #[must_use]
    pub fn of(policy: &Policy, exercised: &BTreeSet<GrantId>) -> Self {
        let lines = policy.grants().iter().map(|grant| Line {
            grant: grant.id().clone(),
            effect: grant.effect(),
            line: grant.line(),
            exercised: exercised.contains(grant.id()),
        });
        Self { lines: lines.collect() }
    }

    /// How many lines are exercised.
    #[must_use]
    pub fn exercised(&self) -> usize {
        self.lines.iter().filter(|line| line.exercised).count()
    }

    /// The lines that no case exercises.
    pub fn missed(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.exercised)
    }

    /// Whether at least `percent` of the lines are exercised; a policy without lines is whole.
    #[must_use]
    pub fn reaches(&self, percent: u8) -> bool {
        self.exercised().saturating_mul(100) >= usize::from(percent).saturating_mul(self.lines.len())
    }

    /// The share that is exercised, in whole percent, rounded down.
    #[must_use]
    pub fn percent(&self) -> usize {
        self.exercised().saturating_mul(100).checked_div(self.lines.len()).unwrap_or(100)
    }
}

/// The lines that `decision` on `query` as of `now` rests on.
#[must_use]
pub fn rests_on(policy: &Policy, query: &Query<'_>, now: Timestamp, decision: &Decision) -> Vec<GrantId> {
    match decision {
        Decision::Permit(permit) => permit.grants.clone(),
        // Both cannot be: a hidden resource is decided before any line is looked at.
        Decision::Denial(denial) if denial.denied_by.is_empty() => policy.hidden_refusals(query, now),
        Decision::Denial(denial) => denial.denied_by.clone(),
    }
}
