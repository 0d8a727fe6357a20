//! The refusals that stand behind a resource which may not be known to exist.
//!
//! A decision on such a resource ends before any line is looked at, so that no line can say more
//! than that there is no such resource. Whether a line is there at all is for its authors to know.

use super::Policy;
use super::decide::holds;
use super::window::Phase;
use crate::grant::{Effect, Query};
use crate::kernel::id::GrantId;
use crate::kernel::time::Timestamp;

impl Policy {
    /// The deny lines that would match `query` as of `now`, were its resource not hidden; in file
    /// order. None where the resource is shared: there the decision names them.
    #[must_use]
    pub fn hidden_refusals(&self, query: &Query<'_>, now: Timestamp) -> Vec<GrantId> {
        let vocabulary = &self.vocabulary;
        let place = vocabulary.place_ids.get(query.resource).and_then(|&number| vocabulary.place(number));
        let (Some(place), Some(subject)) = (place, vocabulary.systems.get(query.system)) else {
            return Vec::new();
        };
        if place.is_shared || subject.department != *query.department {
            return Vec::new();
        }
        let action = vocabulary.action(query.action);
        let purpose = vocabulary.purpose(query.purpose).unwrap_or(u32::MAX);
        let near = self.table.near(&subject.roles, &place.roles);
        let refusing = near.filter(|line| {
            line.effect == Effect::Deny
                && action.is_some_and(|action| line.covers_action(action))
                && line.covers_purpose(purpose)
                && self
                    .table
                    .constraints(line)
                    .iter()
                    .all(|constraint| holds(constraint, query.parameters, Effect::Deny))
                && self.table.window(line).is_some_and(|window| window.standing(now).phase == Phase::Inside)
        });
        let mut orders: Vec<u32> = refusing.map(|line| line.order).collect();
        orders.sort_unstable();
        orders.into_iter().filter_map(|order| Some(self.grant_at(order)?.id.clone())).collect()
    }
}
