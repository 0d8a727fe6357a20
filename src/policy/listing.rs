//! What a system may do, for the system itself.

use std::collections::BTreeSet;

use super::Policy;
use super::terms::Grant;
use crate::catalog::Sharing;
use crate::grant::Effect;
use crate::kernel::id::{Action, GrantId, PurposeCode, ResourceId, SystemId};
use crate::kernel::time::Timestamp;

/// A grant as its system sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantSummary {
    /// Its approval number.
    pub id: GrantId,
    /// To whom it is given: the system, its department or a group.
    pub subject: String,
    /// The resources it is about.
    pub resources: Vec<ResourceId>,
    /// What may be done with them.
    pub actions: Vec<Action>,
    /// The purposes it holds for.
    pub purposes: Vec<PurposeCode>,
    /// How much it covers, as it stands in the policy.
    pub scope: String,
    /// When it holds, as it stands in the policy.
    pub window: String,
    /// The first instant it holds, if it has a beginning.
    pub begins: Option<Timestamp>,
    /// The first instant it no longer holds, if it ends.
    pub expires: Option<Timestamp>,
    /// The most records one reply may hold.
    pub rows_per_reply: Option<u64>,
    /// The most records one day may bring.
    pub rows_per_day: Option<u64>,
}

impl Policy {
    /// The allow lines given to `system`, its department or its groups that have not ended at
    /// `now`, in file order. Resources of sharing type `none` are left out.
    #[must_use]
    pub fn grants_of(&self, system: &SystemId, now: Timestamp) -> Vec<GrantSummary> {
        let Some(subject) = self.vocabulary.systems.get(system) else { return Vec::new() };
        self.grants
            .iter()
            .filter(|grant| grant.effect == Effect::Allow && subject.roles.contains(&grant.subject_node))
            .filter(|grant| grant.expires().is_none_or(|expires| now < expires))
            .map(|grant| self.summary(grant))
            .filter(|summary| !summary.resources.is_empty())
            .collect()
    }

    fn summary(&self, grant: &Grant) -> GrantSummary {
        let places = self
            .vocabulary
            .member_places(grant.resource_node)
            .filter(|place| place.resource.sharing != Sharing::None);
        let mut actions: BTreeSet<&Action> = BTreeSet::new();
        let mut resources = Vec::new();
        for place in places {
            let covered = |action: &&Action| grant.action.as_ref().is_none_or(|granted| granted == *action);
            let mut covered = place.resource.actions.iter().filter(covered).peekable();
            if covered.peek().is_some() {
                resources.push(place.resource.id.clone());
            }
            actions.extend(covered);
        }
        let purposes = self.vocabulary.purpose_range(&grant.purposes);
        let covered =
            self.vocabulary.purposes.iter().zip(0..).filter(|(_, number)| purposes.contains(number));
        GrantSummary {
            id: grant.id.clone(),
            subject: grant.subject.to_string(),
            resources,
            actions: actions.into_iter().cloned().collect(),
            purposes: covered.map(|(code, _)| code.clone()).collect(),
            scope: grant.scope.to_string(),
            window: grant.window.text().to_owned(),
            begins: grant.window.begins(),
            expires: grant.expires(),
            rows_per_reply: grant.scope.rows_per_reply,
            rows_per_day: grant.scope.rows_per_day,
        }
    }
}
