//! What would leave by scopes at hand, whoever asks: for those who write them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Policy;
use super::problem::Problem;
use super::scope::{Scope, Selector};
use super::terms::Grant;
use super::vocabulary::Place;
use crate::grant::ReleasedField;
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::{DepartmentId, ResourceId, SystemId};

/// What would leave of a resource.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The fields, in catalogue order.
    pub fields: Arc<[ReleasedField]>,
    /// The most records of one reply, if capped.
    pub rows_per_reply: Option<u64>,
}

impl Policy {
    /// What is wrong with `scope` on `resource`, as it would be with that of a grant on it.
    #[must_use]
    pub fn unfit(&self, resource: &ResourceId, scope: &Scope) -> Vec<Problem> {
        let Some(place) = self.place_of(resource) else { return Vec::new() };
        let fields = scope.items.iter().filter_map(|item| {
            let name = item.selector.to_string();
            let known = || place.schema.names().collect::<BTreeSet<_>>();
            let (code, kind) = match item.selector {
                Selector::Group(_) => ("unknown-field-group", "field group"),
                Selector::All | Selector::Below(_) | Selector::Field(_) => ("unknown-field", "field"),
            };
            place.schema.named(&name).is_none().then(|| {
                let help = near(&name, known(), "write a field or group of catalog.toml");
                Problem::new(code, item.at.clone(), format!("unknown {kind} `{name}`"), help)
            })
        });
        let parameters = scope.constraints.iter().filter_map(|constraint| {
            let name = constraint.parameter.as_str();
            place.resource.parameter(name).is_none().then(|| {
                let known = place.resource.parameters.iter().map(|parameter| parameter.name.as_str());
                let help = near(name, known, "write a parameter of catalog.toml");
                let message = format!("unknown parameter `{name}`");
                Problem::new("unknown-parameter", constraint.at.clone(), message, help)
            })
        });
        fields.chain(parameters).collect()
    }

    /// Whether `grant` is about `resource`.
    #[must_use]
    pub fn is_about(&self, grant: &Grant, resource: &ResourceId) -> bool {
        let number = self.vocabulary.place_ids.get(resource);
        number.is_some_and(|number| self.vocabulary.members(grant.resource_node).contains(number))
    }

    /// The systems that hold all of `grants` and may call, and their departments.
    pub fn holders(&self, grants: &[&Grant]) -> impl Iterator<Item = (&SystemId, &DepartmentId)> {
        let systems = self.vocabulary.systems.iter();
        let holding = systems
            .filter(|(_, subject)| grants.iter().all(|grant| subject.roles.contains(&grant.subject_node)));
        holding.map(|(system, subject)| (system, &subject.department))
    }

    /// What leaves of `resource` where `scopes` hold together, in their order, and `wanted` is asked
    /// for: everything, if nothing is named. Constraints on parameters are taken to hold.
    ///
    /// # Errors
    /// The names in `wanted` that the scopes do not give, or not whole.
    pub fn preview(
        &self,
        resource: &ResourceId,
        scopes: &[&Scope],
        wanted: &[String],
    ) -> Result<Preview, Vec<String>> {
        let Some(place) = self.place_of(resource) else { return Err(wanted.to_vec()) };
        let schema = &place.schema;
        let selections: Vec<_> = scopes.iter().map(|scope| schema.select(&scope.items)).collect();
        let mut granted = schema.none();
        selections.iter().for_each(|selection| granted.extend(&selection.fields));
        let is_given = |name: &&String| schema.named(name).is_some_and(|set| set.is_within(&granted));
        let exceeding: Vec<String> = wanted.iter().filter(|name| !is_given(name)).cloned().collect();
        if !exceeding.is_empty() {
            return Err(exceeding);
        }
        let mut named = schema.none();
        wanted.iter().filter_map(|name| schema.named(name)).for_each(|set| named.extend(set));
        let selections: Vec<_> = selections.iter().collect();
        Ok(Preview {
            fields: schema.release(&selections, (!wanted.is_empty()).then_some(&named)),
            rows_per_reply: scopes.iter().filter_map(|scope| scope.rows_per_reply).min(),
        })
    }

    fn place_of(&self, resource: &ResourceId) -> Option<&Place> {
        self.vocabulary.place(*self.vocabulary.place_ids.get(resource)?)
    }
}

fn near<'k>(name: &str, known: impl IntoIterator<Item = &'k str>, otherwise: &str) -> String {
    match did_you_mean(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    }
}
