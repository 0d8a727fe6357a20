//! What tools that decide much at once ask, beside the decision in full.

use super::Policy;
use super::scope::Constraint;
use crate::grant::Query;

impl Policy {
    /// The constraints of every line that matches `query` or would, if its parameters, its fields or
    /// the time were others. Whatever value a parameter has that none of them names, the answer is
    /// the same.
    #[must_use]
    pub fn constraints_near(&self, query: &Query<'_>) -> Vec<&Constraint> {
        let Ok(asked) = self.ask(query) else { return Vec::new() };
        let lines = self.table.near(&asked.subject.roles, &asked.place.roles);
        // Another matcher may compare actions and purposes otherwise, or not at all.
        let lines = lines.filter(|line| {
            !self.is_shipped() || line.covers_action(asked.action) && line.covers_purpose(asked.purpose)
        });
        lines.flat_map(|line| self.table.constraints(line)).collect()
    }
}
