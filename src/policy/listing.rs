//! What a system may do, for the system itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Policy;
use super::terms::Grant;
use crate::catalog::Sharing;
use crate::grant::{Effect, Treatment};
use crate::kernel::id::{Action, FieldPath, GrantId, ParameterName, PurposeCode, ResourceId, SystemId};
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

/// What the grants of one system come to on one resource and action, taken together. What one request gets rests on
/// those of them that match it, and is never more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// The grants, in file order.
    pub grants: Vec<GrantId>,
    /// The purposes that one of them holds for.
    pub purposes: BTreeSet<PurposeCode>,
    /// The fields that one of them gives, and every way in which they may leave.
    pub fields: BTreeMap<FieldPath, Vec<Treatment>>,
    /// The parameters that each of them constrains, so that no request does without, and the values of all.
    pub constrained: BTreeMap<ParameterName, BTreeSet<String>>,
}

/// The grants of one system by resource, at one instant.
#[derive(Debug)]
pub struct Holdings<'p> {
    policy: &'p Policy,
    by_place: HashMap<u32, Vec<&'p Grant>>,
}

impl Holdings<'_> {
    /// What they come to on `resource` and `action`; nothing on a resource of sharing type `none`.
    #[must_use]
    pub fn of(&self, resource: &ResourceId, action: &Action) -> Entitlement {
        let vocabulary = &self.policy.vocabulary;
        let number = vocabulary.place_ids.get(resource);
        let place = number.and_then(|&number| vocabulary.place(number)).filter(|place| place.is_shared);
        let (Some(number), Some(place)) = (number, place) else { return Entitlement::default() };
        let held = self.by_place.get(number).map_or(&[][..], Vec::as_slice);
        let mut entitlement = Entitlement::default();
        let covers = |grant: &Grant| grant.action.as_ref().is_none_or(|granted| granted == action);
        for grant in held.iter().filter(|grant| covers(grant)) {
            entitlement.constrain(grant);
            entitlement.grants.push(grant.id.clone());
            entitlement.purposes.extend(self.policy.purposes_of(grant).cloned());
            let selection = place.schema.select(&grant.scope.items);
            for field in &*place.schema.release(&[&selection], None) {
                let ways = entitlement.fields.entry(field.path.clone()).or_default();
                if !ways.contains(&field.treatment) {
                    ways.push(field.treatment.clone());
                }
            }
        }
        entitlement
    }
}

impl Entitlement {
    /// Keeps what `grant`, which is yet to be listed, constrains too.
    fn constrain(&mut self, grant: &Grant) {
        let constraints = &grant.scope.constraints;
        if self.grants.is_empty() {
            self.constrained = constraints.iter().map(|it| (it.parameter.clone(), BTreeSet::new())).collect();
        }
        self.constrained.retain(|name, values| {
            let Some(constraint) = constraints.iter().find(|it| it.parameter == *name) else { return false };
            values.extend(constraint.patterns.iter().map(ToString::to_string));
            true
        });
    }
}

impl Policy {
    /// The allow lines given to `system`, its department or its groups that have not ended at
    /// `now`, in file order. Resources of sharing type `none` are left out.
    #[must_use]
    pub fn grants_of(&self, system: &SystemId, now: Timestamp) -> Vec<GrantSummary> {
        self.held_by(system, now)
            .map(|grant| self.summary(grant))
            .filter(|summary| !summary.resources.is_empty())
            .collect()
    }

    /// The same grants by resource, for whoever asks about many of them.
    #[must_use]
    pub fn holdings(&self, system: &SystemId, now: Timestamp) -> Holdings<'_> {
        let mut by_place: HashMap<u32, Vec<&Grant>> = HashMap::new();
        for grant in self.held_by(system, now) {
            for &number in self.vocabulary.members(grant.resource_node) {
                by_place.entry(number).or_default().push(grant);
            }
        }
        Holdings { policy: self, by_place }
    }

    fn held_by(&self, system: &SystemId, now: Timestamp) -> impl Iterator<Item = &Grant> {
        let roles = self.vocabulary.systems.get(system).map_or(&[][..], |subject| subject.roles.as_slice());
        self.grants
            .iter()
            .filter(|grant| grant.effect == Effect::Allow && roles.contains(&grant.subject_node))
            .filter(move |grant| grant.expires().is_none_or(|expires| now < expires))
    }

    fn purposes_of(&self, grant: &Grant) -> impl Iterator<Item = &PurposeCode> {
        let covered = self.vocabulary.purpose_range(&grant.purposes);
        let numbered = self.vocabulary.purposes.iter().zip(0..);
        numbered.filter(move |(_, number)| covered.contains(number)).map(|(code, _)| code)
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
        GrantSummary {
            id: grant.id.clone(),
            subject: grant.subject.to_string(),
            resources,
            actions: actions.into_iter().cloned().collect(),
            purposes: self.purposes_of(grant).cloned().collect(),
            scope: grant.scope.to_string(),
            window: grant.window.text().to_owned(),
            begins: grant.window.begins(),
            expires: grant.expires(),
            rows_per_reply: grant.scope.rows_per_reply,
            rows_per_day: grant.scope.rows_per_day,
        }
    }
}
