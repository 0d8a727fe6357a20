//! What tools that decide much at once ask, beside the decision in full.

use super::Policy;
use super::decide::Refusal;
use super::scope::Constraint;
use crate::grant::{DenyReason, Permit, Query};
use crate::kernel::time::Timestamp;

impl Policy {
    /// The answer of [`Policy::decide`], with nothing of a refusal but its reason.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub fn judge(&self, query: &Query<'_>, now: Timestamp) -> Result<Permit, DenyReason> {
        let asked = self.ask(query)?;
        self.permit(query, &asked, now).map_err(|Refusal { reason, near }| {
            // With no line near there is nothing to look through.
            if near { self.reason(query, &asked, reason, now) } else { reason }
        })
    }

    /// The constraints of every line that matches `query` or would, if its parameters, its fields or
    /// the time were others. Whatever value a parameter has that none of them names, the answer is
    /// the same.
    #[must_use]
    pub fn constraints_near(&self, query: &Query<'_>) -> Vec<&Constraint> {
        let Ok(asked) = self.ask(query) else { return Vec::new() };
        let lines = self.table.near(&asked.subject.roles, &asked.place.roles);
        let lines =
            lines.filter(|line| line.covers_action(asked.action) && line.covers_purpose(asked.purpose));
        lines.flat_map(|line| self.table.constraints(line)).collect()
    }
}
