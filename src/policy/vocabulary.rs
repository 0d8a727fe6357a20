//! The catalogue as the engine holds it: resources, systems and purposes by number.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::roles::{Node, Roles};
use super::schema::Schema;
use super::table::{Spreading, Table};
use super::terms::Purposes;
use crate::catalog::{Catalog, Resource, Sharing};
use crate::kernel::id::{Action, DepartmentId, PurposeCode, ResourceId, SystemId};

/// The group that every department is in.
pub(crate) const EVERYONE: &str = "group:all";

/// The nodes that a system or resource is.
pub(crate) type Nodes = SmallVec<[Node; 4]>;

/// A resource and what the engine needs to know of it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) resource: Arc<Resource>,
    pub(crate) schema: Schema,
    /// Its actions, by number.
    pub(crate) actions: SmallVec<[u16; 8]>,
    /// Whether anybody may know of it.
    pub(crate) is_shared: bool,
    /// The resource itself, its sharing type and its themes, those that lines name.
    pub(crate) roles: Nodes,
}

/// An enabled system.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) department: DepartmentId,
    /// The system itself, its department and all its groups, those that lines name.
    pub(crate) roles: Nodes,
}

/// The catalogue by number.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    pub(crate) subjects: Roles,
    pub(crate) themes: Roles,
    pub(crate) places: Vec<Place>,
    pub(crate) place_ids: HashMap<ResourceId, u32, Spreading>,
    pub(crate) systems: HashMap<SystemId, Subject, Spreading>,
    /// In order, so that all below one prefix are neighbours.
    pub(crate) purposes: Vec<PurposeCode>,
    purpose_ids: HashMap<PurposeCode, u32, Spreading>,
    actions: Vec<Action>,
    action_ids: HashMap<Action, u16, Spreading>,
    /// The resources in each theme and sharing type; a resource is in itself.
    members: HashMap<Node, Vec<u32>>,
}

impl Vocabulary {
    /// The catalogue with the roles that need no line: systems in departments, departments in
    /// `group:all`, resources in their sharing type.
    pub(crate) fn new(catalog: &Catalog) -> Self {
        let mut vocabulary = Self::default();
        let Self { subjects, themes, .. } = &mut vocabulary;
        let everyone = subjects.node(EVERYONE);
        for department in catalog.registry.departments.keys() {
            let node = subjects.node(department.as_str());
            // A new name under the root can neither repeat nor close a circle.
            subjects.link(node, everyone).unwrap_or(());
        }
        for system in catalog.registry.systems.values() {
            let (node, department) =
                (subjects.node(system.id.as_str()), subjects.node(system.department.as_str()));
            subjects.link(node, department).unwrap_or(());
        }
        for sharing in [Sharing::Unconditional, Sharing::Conditional, Sharing::None] {
            themes.node(&sharing_name(sharing));
        }
        for resource in catalog.resources.values() {
            let (node, sharing) =
                (themes.node(resource.id.as_str()), themes.node(&sharing_name(resource.sharing)));
            themes.link(node, sharing).unwrap_or(());
        }
        vocabulary.purposes = catalog.purposes.keys().cloned().collect();
        vocabulary.purpose_ids = vocabulary.purposes.iter().cloned().zip(0..).collect();
        let actions: BTreeSet<&Action> =
            catalog.resources.values().flat_map(|resource| &resource.actions).collect();
        vocabulary.actions = actions.into_iter().cloned().collect();
        vocabulary.action_ids = vocabulary.actions.iter().cloned().zip(0..).collect();
        vocabulary
    }

    /// Settles who is in what, once all role lines are read.
    pub(crate) fn settle(&mut self, catalog: &Catalog) {
        for (resource, number) in catalog.resources.values().zip(0..) {
            let roles = self.themes.find(resource.id.as_str()).map(|node| self.themes.closure(node));
            let roles = Nodes::from_vec(roles.unwrap_or_default());
            for &role in &roles {
                self.members.entry(role).or_default().push(number);
            }
            let schema = Schema::new(resource);
            self.place_ids.insert(resource.id.clone(), number);
            let actions = resource.actions.iter().filter_map(|action| self.action(action)).collect();
            let is_shared = resource.sharing != Sharing::None;
            self.places.push(Place { resource: Arc::clone(resource), schema, actions, is_shared, roles });
        }
        for system in catalog.registry.systems.values().filter(|system| system.enabled) {
            let Some(node) = self.subjects.find(system.id.as_str()) else { continue };
            let roles = Nodes::from_vec(self.subjects.closure(node));
            let subject = Subject { department: system.department.clone(), roles };
            self.systems.insert(system.id.clone(), subject);
        }
    }

    /// Forgets the roles that no line of `table` names: they need not be looked up.
    pub(crate) fn keep_named(&mut self, table: &Table) {
        let (subjects, resources) = table.named();
        let kept = |roles: &[Node], named: &HashSet<Node>| {
            roles.iter().copied().filter(|role| named.contains(role)).collect::<Nodes>()
        };
        for subject in self.systems.values_mut() {
            subject.roles = kept(&subject.roles, &subjects);
        }
        for place in &mut self.places {
            place.roles = kept(&place.roles, &resources);
        }
    }

    pub(crate) fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(usize::try_from(number).ok()?)
    }

    /// The resources that `node` is, or that are in it.
    pub(crate) fn members(&self, node: Node) -> &[u32] {
        self.members.get(&node).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn member_places(&self, node: Node) -> impl Iterator<Item = &Place> {
        self.members(node).iter().filter_map(|&number| self.place(number))
    }

    pub(crate) fn action(&self, action: &Action) -> Option<u16> {
        self.action_ids.get(action).copied()
    }

    pub(crate) fn actions(&self) -> &[Action] {
        &self.actions
    }

    pub(crate) fn purpose(&self, code: &PurposeCode) -> Option<u32> {
        self.purpose_ids.get(code).copied()
    }

    /// The numbers of the purposes that `purposes` covers.
    pub(crate) fn purpose_range(&self, purposes: &Purposes) -> Range<u32> {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        match purposes {
            Purposes::All => 0..number(self.purposes.len()),
            Purposes::One(code) => self.purpose(code).map_or(0..0, |index| index..index + 1),
            Purposes::Below(prefix) => {
                let prefix = format!("{prefix}.");
                let start = self.purposes.partition_point(|code| code.as_str() < prefix.as_str());
                let length = self
                    .purposes
                    .get(start..)
                    .unwrap_or(&[])
                    .iter()
                    .take_while(|code| code.as_str().starts_with(&prefix))
                    .count();
                number(start)..number(start + length)
            }
        }
    }
}

/// The group of resources of one sharing type.
pub(crate) fn sharing_name(sharing: Sharing) -> String {
    format!("sharing:{}", sharing.as_str())
}
