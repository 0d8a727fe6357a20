//! A policy as tools look through it: which lines bear on whom and on what, and what each gives.
//!
//! Read off the lines and the role graphs themselves, not off the engine's table. What scopes and
//! windows mean is asked where the decision asks it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Time;

use super::Policy;
use super::decide::holds;
use super::roles::{Node, Roles};
use super::schedule::{Days, Hours};
use super::schema::Selection;
use super::scope::Constraint;
use super::terms::{Grant, Purposes};
use super::vocabulary::Place;
use super::window::Window;
use crate::grant::{Effect, ReleasedField};
use crate::kernel::id::{FieldPath, PurposeCode, ResourceId, SystemId};
use crate::kernel::time::Timestamp;

/// A policy with its lines by subject and resource.
#[derive(Debug)]
pub struct Reading<'p> {
    policy: &'p Policy,
    lines: HashMap<(Node, Node), Vec<usize>>,
}

/// What one line gives of one resource.
#[derive(Debug)]
pub struct Given<'p> {
    place: &'p Place,
    selection: Selection,
}

impl<'p> Reading<'p> {
    /// Sorts the lines of `policy`.
    #[must_use]
    pub fn new(policy: &'p Policy) -> Self {
        let mut lines: HashMap<(Node, Node), Vec<usize>> = HashMap::new();
        for (order, grant) in policy.grants().iter().enumerate() {
            lines.entry((grant.subject_node, grant.resource_node)).or_default().push(order);
        }
        Self { policy, lines }
    }

    /// The policy that is read.
    #[must_use]
    pub fn policy(&self) -> &'p Policy {
        self.policy
    }

    /// The system itself, its department and its groups; none if it is unknown or disabled.
    #[must_use]
    pub fn roles_of_system(&self, system: &SystemId) -> Vec<Arc<str>> {
        names(&self.policy.vocabulary.subjects, &self.system_nodes(system))
    }

    /// The resource itself, its sharing type and its themes; none if it is unknown.
    #[must_use]
    pub fn roles_of_resource(&self, resource: &ResourceId) -> Vec<Arc<str>> {
        names(&self.policy.vocabulary.themes, &self.resource_nodes(resource))
    }

    /// Every link of one role graph, member first: of subjects, then of resources.
    #[must_use]
    pub fn links(&self) -> [Vec<(&'p str, &'p str)>; 2] {
        let vocabulary = &self.policy.vocabulary;
        [&vocabulary.subjects, &vocabulary.themes].map(|roles| roles.links().collect())
    }

    fn system_nodes(&self, system: &SystemId) -> Vec<Node> {
        let vocabulary = &self.policy.vocabulary;
        let is_enabled = vocabulary.systems.contains_key(system);
        let node = vocabulary.subjects.find(system.as_str()).filter(|_| is_enabled);
        node.map(|node| vocabulary.subjects.closure(node)).unwrap_or_default()
    }

    fn resource_nodes(&self, resource: &ResourceId) -> Vec<Node> {
        let themes = &self.policy.vocabulary.themes;
        let node = themes.find(resource.as_str()).filter(|_| self.place(resource).is_some());
        node.map(|node| themes.closure(node)).unwrap_or_default()
    }

    fn place(&self, resource: &ResourceId) -> Option<&'p Place> {
        let vocabulary = &self.policy.vocabulary;
        vocabulary.place(*vocabulary.place_ids.get(resource)?)
    }

    /// The lines given to `system` or any of its roles about `resource` or any of its, by their
    /// place in the file.
    #[must_use]
    pub fn near(&self, system: &SystemId, resource: &ResourceId) -> Vec<usize> {
        let resources = self.resource_nodes(resource);
        let mut found: Vec<usize> = self
            .system_nodes(system)
            .into_iter()
            .flat_map(|subject| resources.iter().filter_map(move |&at| self.lines.get(&(subject, at))))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found
    }

    /// The purposes that `purposes` covers.
    #[must_use]
    pub fn covered(&self, purposes: &Purposes) -> &'p [PurposeCode] {
        let vocabulary = &self.policy.vocabulary;
        let range = vocabulary.purpose_range(purposes);
        let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        vocabulary.purposes.get(index(range.start)..index(range.end)).unwrap_or(&[])
    }

    /// The fields of `resource` that can leave, each as the catalogue lets it leave.
    #[must_use]
    pub fn defaults(&self, resource: &ResourceId) -> Arc<[ReleasedField]> {
        let Some(place) = self.place(resource) else { return Arc::from([]) };
        place.schema.release(&[&place.schema.everything()], None)
    }

    /// What `grant` gives of `resource`; `None` if the resource is unknown.
    #[must_use]
    pub fn given(&self, resource: &ResourceId, grant: &Grant) -> Option<Given<'p>> {
        let place = self.place(resource)?;
        Some(Given { place, selection: place.schema.select(&grant.scope.items) })
    }
}

fn names(roles: &Roles, nodes: &[Node]) -> Vec<Arc<str>> {
    nodes.iter().map(|&node| roles.name(node)).collect()
}

impl Given<'_> {
    /// Whether it gives anything to a request for whatever there is.
    #[must_use]
    pub fn is_something(&self) -> bool {
        self.selection.gives(None)
    }

    /// Whether it gives the field at `path`, one that has none below it.
    #[must_use]
    pub fn has(&self, path: &FieldPath) -> bool {
        self.place.schema.named(path.as_str()).is_some_and(|leaf| self.selection.gives(Some(leaf)))
    }

    /// What leaves when all of `given`, which are about one resource and in file order, hold
    /// together.
    #[must_use]
    pub fn together(given: &[&Self]) -> Arc<[ReleasedField]> {
        let Some(first) = given.first() else { return Arc::from([]) };
        let selections: Vec<&Selection> = given.iter().map(|given| &given.selection).collect();
        first.place.schema.release(&selections, None)
    }
}

impl Constraint {
    /// Whether it holds on a line of `effect` for a request with these values of the parameter.
    #[must_use]
    pub fn holds(&self, values: &[String], effect: Effect) -> bool {
        holds(self, &[(self.parameter.clone(), values.to_vec())], effect)
    }
}

impl Window {
    /// Whether it holds at `now`, without remembering: for looking at many instants in turn.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
            && self.schedule.as_ref().is_none_or(|schedule| schedule.contains(now))
    }

    /// The local times of day at which it may begin or end to hold; `None` if it asks for no days
    /// and hours at all.
    #[must_use]
    pub fn turns(&self) -> Option<Vec<Time>> {
        let hours = self.schedule.as_ref()?.hours;
        let times = [Some(Time::midnight()), hours.map(Hours::start), hours.and_then(Hours::end)];
        Some(times.into_iter().flatten().collect())
    }
}

/// The days of the week for which `is_meant`, counted from Monday as 0, as windows write them.
#[must_use]
pub fn weekdays(is_meant: impl Fn(usize) -> bool) -> String {
    Days::of_week(is_meant).to_string()
}
