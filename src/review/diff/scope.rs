//! Which systems and resources need to be compared, and that done.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::meaning::{Meanings, Meant};
use super::moments::{Almanac, Moments};
use super::outcome::Outcome;
use super::points::{Found, Line, Space};
use super::{Consequence, Side, Undetermined};
use crate::catalog::{Resource, Sharing};
use crate::grant::Request;
use crate::kernel::id::{Action, PurposeCode, ResourceId, SystemId};
use crate::kernel::time::Timestamp;
use crate::policy::reading::Reading;

/// Two policies to compare.
pub(super) struct Scope<'s, 'p> {
    pub(super) sides: [&'s Side<'p>; 2],
    pub(super) readings: [&'s Reading<'p>; 2],
    pub(super) meanings: &'s Meanings<'p>,
    /// All purposes of both.
    pub(super) purposes: &'s [PurposeCode],
    pub(super) now: Timestamp,
}

/// Who and what there is in either policy, with their roles in each.
struct Members<'s> {
    systems: Vec<&'s SystemId>,
    resources: Vec<&'s ResourceId>,
    system_roles: [Vec<Vec<Arc<str>>>; 2],
    resource_roles: [Vec<Vec<Arc<str>>>; 2],
    /// Whether a resource is not the same to decisions.
    is_other: Vec<bool>,
}

/// By role, the numbers of those that have it.
type ByRole = HashMap<Arc<str>, Vec<usize>>;

/// Times by windows, kept because many pairs ask for the same.
struct Times<'p> {
    almanac: Almanac,
    kept: HashMap<Vec<u32>, Option<Rc<Moments>>>,
    now: Timestamp,
    windows: &'p [&'p crate::policy::window::Window],
}

impl Times<'_> {
    fn of(&mut self, windows: Vec<u32>) -> Option<Rc<Moments>> {
        let Self { almanac, kept, now, windows: all } = self;
        let entry = kept.entry(windows).or_insert_with_key(|windows| {
            let index = |number: &u32| all.get(usize::try_from(*number).ok()?).copied();
            let windows: Vec<_> = windows.iter().filter_map(index).collect();
            Moments::of(&windows, almanac, *now).map(Rc::new)
        });
        entry.clone()
    }
}

fn by_role<'r>(roles: impl Iterator<Item = &'r Vec<Arc<str>>>) -> ByRole {
    let mut found = ByRole::new();
    for (number, roles) in roles.enumerate() {
        for role in roles {
            found.entry(Arc::clone(role)).or_default().push(number);
        }
    }
    found
}

/// Whether two versions of a resource are the same to decisions.
fn is_same(old: &Resource, new: &Resource) -> bool {
    let fields = |it: &Resource| {
        it.fields.iter().map(|field| (field.path.clone(), field.mask.clone())).collect::<Vec<_>>()
    };
    let parameters = |it: &Resource| it.parameters.iter().map(|it| it.name.clone()).collect::<BTreeSet<_>>();
    old.sharing == new.sharing
        && old.actions == new.actions
        && old.groups == new.groups
        && fields(old) == fields(new)
        && parameters(old) == parameters(new)
}

impl<'s, 'p> Scope<'s, 'p> {
    pub(super) fn compare(&self) -> (Vec<Consequence>, Vec<Undetermined>) {
        let members = self.members();
        let frames = self.sides.map(|side| side.policy.frame());
        let [old, new] = frames;
        let mut times = Times {
            almanac: Almanac::new(old, new),
            kept: HashMap::new(),
            now: self.now,
            windows: &self.meanings.windows,
        };
        let mut found = Vec::new();
        let mut undetermined = Vec::new();
        for (resource, systems) in self.pairs(&members) {
            let Some(&id) = members.resources.get(resource) else { continue };
            let is_other = members.is_other.get(resource).copied().unwrap_or(true);
            for (lines, systems) in self.alike(&members, id, &systems) {
                for action in self.actions(id) {
                    let lines = self.about(&lines, id, &action);
                    if !is_other && self.mean_the_same(&lines) {
                        continue;
                    }
                    match self.points(&lines, id, &mut times) {
                        Some(here) => found.extend(
                            here.into_iter().filter_map(|it| self.consequence(it, &systems, id, &action)),
                        ),
                        None => undetermined.push(Undetermined {
                            systems: systems.clone(),
                            resource: id.clone(),
                            action,
                        }),
                    }
                }
            }
        }
        let mut found = merged(found);
        for consequence in &mut found {
            consequence.whom = self.whom(&members, &consequence.systems);
        }
        (found, undetermined)
    }

    fn members(&self) -> Members<'s> {
        let [old, new] = self.sides;
        let systems: BTreeSet<&SystemId> =
            old.catalog.registry.systems.keys().chain(new.catalog.registry.systems.keys()).collect();
        let resources: BTreeSet<&ResourceId> =
            old.catalog.resources.keys().chain(new.catalog.resources.keys()).collect();
        let is_other =
            |id: &&ResourceId| match (old.catalog.resources.get(*id), new.catalog.resources.get(*id)) {
                (Some(old), Some(new)) => !is_same(old, new),
                _ => true,
            };
        let is_other = resources.iter().map(is_other).collect();
        Members {
            system_roles: self.readings.map(|it| systems.iter().map(|id| it.roles_of_system(id)).collect()),
            resource_roles: self
                .readings
                .map(|it| resources.iter().map(|id| it.roles_of_resource(id)).collect()),
            systems: systems.into_iter().collect(),
            resources: resources.into_iter().collect(),
            is_other,
        }
    }

    /// The pairs that a changed line, a changed role or a changed resource bears on, by resource.
    fn pairs(&self, members: &Members<'_>) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut pairs: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let [old_systems, new_systems] = &members.system_roles;
        let [old_resources, new_resources] = &members.resource_roles;
        // Of each system the roles it has in one policy alone.
        let lacking = |own: &[Vec<Arc<str>>], other: &[Vec<Arc<str>>]| -> Vec<Vec<Arc<str>>> {
            let roles = own.iter().zip(other);
            roles
                .map(|(own, other)| own.iter().filter(|role| !other.contains(role)).cloned().collect())
                .collect()
        };
        let sides = [
            (old_systems, new_systems, old_resources, new_resources),
            (new_systems, old_systems, new_resources, old_resources),
        ];
        for ((side, lines), (own_systems, other_systems, own_resources, other_resources)) in
            self.sides.iter().zip(&self.meanings.lines).zip(sides)
        {
            let (systems, resources) = (by_role(own_systems.iter()), by_role(own_resources.iter()));
            let moved_systems = by_role(lacking(own_systems, other_systems).iter());
            let mut moved = lacking(own_resources, other_resources);
            for ((moved, own), is_other) in moved.iter_mut().zip(own_resources).zip(&members.is_other) {
                if *is_other {
                    moved.clone_from(own);
                }
            }
            let moved_resources = by_role(moved.iter());
            let of = |roles: &ByRole, name: &str| roles.get(name).cloned().unwrap_or_default();
            for (grant, meant) in side.policy.grants().iter().zip(lines) {
                let (subject, resource) = (grant.subject(), grant.resource());
                let mut mark = |systems: &[usize], resources: &[usize]| {
                    for &resource in resources {
                        pairs.entry(resource).or_default().extend(systems);
                    }
                };
                if meant.is_changed {
                    mark(&of(&systems, subject), &of(&resources, resource));
                    continue;
                }
                if let Some(systems) = moved_systems.get(subject) {
                    mark(systems, &of(&resources, resource));
                }
                if let Some(resources) = moved_resources.get(resource) {
                    mark(&of(&systems, subject), resources);
                }
            }
        }
        pairs
    }

    /// Systems that the same lines of both policies bear on.
    fn alike(
        &self,
        members: &Members<'_>,
        resource: &ResourceId,
        systems: &BTreeSet<usize>,
    ) -> BTreeMap<[Vec<usize>; 2], Vec<SystemId>> {
        let mut alike: BTreeMap<[Vec<usize>; 2], Vec<SystemId>> = BTreeMap::new();
        for &system in systems.iter().filter_map(|&number| members.systems.get(number)) {
            let lines = self.readings.map(|reading| reading.near(system, resource));
            alike.entry(lines).or_default().push(system.clone());
        }
        alike
    }

    fn actions(&self, resource: &ResourceId) -> BTreeSet<Action> {
        let resources = self.sides.iter().filter_map(|side| side.catalog.resources.get(resource));
        resources.flat_map(|resource| resource.actions.iter().cloned()).collect()
    }

    /// Those of `lines` that can match for `action` at all.
    fn about(&self, lines: &[Vec<usize>; 2], resource: &ResourceId, action: &Action) -> [Vec<usize>; 2] {
        let [old, new] = self.sides;
        let side = |side: &Side<'p>, lines: &[usize]| -> Vec<usize> {
            let resource = side.catalog.resources.get(resource);
            let can = resource.is_some_and(|it| it.sharing != Sharing::None && it.actions.contains(action));
            let grant = |line: &usize| side.policy.grants().get(*line);
            let covers =
                |line: &usize| grant(line).is_some_and(|it| it.action().is_none_or(|it| it == action));
            lines.iter().copied().filter(|line| can && covers(line)).collect()
        };
        let [old_lines, new_lines] = lines;
        [side(old, old_lines), side(new, new_lines)]
    }

    fn meant(&self, side: usize, line: usize) -> Option<Meant> {
        self.meanings.lines.get(side)?.get(line).copied()
    }

    fn mean_the_same(&self, [old, new]: &[Vec<usize>; 2]) -> bool {
        let meaning = |side: usize, lines: &[usize]| -> Vec<Option<u32>> {
            lines.iter().map(|&line| self.meant(side, line).map(|it| it.meaning)).collect()
        };
        meaning(0, old) == meaning(1, new)
    }

    /// What is different at the points of one system, resource and action; `None` if they are too many.
    fn points(
        &self,
        lines: &[Vec<usize>; 2],
        resource: &ResourceId,
        times: &mut Times<'_>,
    ) -> Option<Vec<Found>> {
        let mut here: Vec<(usize, usize, Meant)> = Vec::new();
        for (side, lines) in lines.iter().enumerate() {
            here.extend(lines.iter().filter_map(|&line| Some((side, line, self.meant(side, line)?))));
        }
        let windows: BTreeSet<u32> = here.iter().map(|(_, _, meant)| meant.window).collect();
        let windows: Vec<u32> = windows.into_iter().collect();
        let moments = times.of(windows.clone())?;
        let line = |(side, line, meant): (usize, usize, Meant)| {
            let reading = self.readings.get(side)?;
            let grant = reading.policy().grants().get(line)?;
            Some(Line {
                is_new: side == 1,
                grant,
                meaning: meant.meaning,
                order: line,
                given: reading.given(resource, grant)?,
                purposes: self.meanings.purposes.get(usize::try_from(meant.purposes).ok()?)?.clone(),
                window: windows.binary_search(&meant.window).ok()?,
            })
        };
        let [old, new] = self.sides;
        let space = Space {
            lines: here.into_iter().filter_map(line).collect(),
            purposes: self.purposes,
            resources: [old, new].map(|side| side.catalog.resources.get(resource).map(|it| &**it)),
            moments: &moments,
            now: self.now,
        };
        space.compare()
    }

    fn consequence(
        &self,
        found: Found,
        systems: &[SystemId],
        resource: &ResourceId,
        action: &Action,
    ) -> Option<Consequence> {
        let [old, new] = self.readings;
        let [_, new_side] = self.sides;
        let mut defaults = new.defaults(resource);
        if defaults.is_empty() {
            defaults = old.defaults(resource);
        }
        Some(Consequence {
            systems: systems.to_vec(),
            whom: None,
            resources: vec![resource.clone()],
            actions: vec![action.clone()],
            weight: found.outcome.weight(&defaults, new_side),
            outcome: found.outcome,
            causes: found.causes,
            every_purpose: found.purposes.len() == self.purposes.len(),
            purposes: found.purposes,
            parameters: found.parameters,
            when: found.stretches,
            example: Request {
                system: systems.first()?.clone(),
                resource: resource.clone(),
                action: action.clone(),
                purpose: found.purpose,
                fields: Vec::new(),
                parameters: found.sample,
                narrowed_to: None,
            },
            at: found.at,
        })
    }

    /// The department or group whose enabled systems `systems` are.
    fn whom(&self, members: &Members<'_>, systems: &[SystemId]) -> Option<String> {
        if systems.len() < 2 {
            return None;
        }
        let [old, new] = &members.system_roles;
        for roles in [new, old] {
            let by_role: BTreeMap<Arc<str>, Vec<usize>> = by_role(roles.iter()).into_iter().collect();
            for (role, of) in by_role {
                let mut of = of.iter().filter_map(|&number| members.systems.get(number).copied());
                if of.by_ref().eq(systems.iter()) {
                    return Some(role.to_string());
                }
            }
        }
        None
    }
}

/// What is the same for several systems, resources or actions, said once.
fn merged(found: Vec<Consequence>) -> Vec<Consequence> {
    let found = merge(
        found,
        |it| (it.resources.clone(), it.actions.clone()),
        |into, it| {
            into.systems.extend(it.systems);
            into.systems.sort_unstable();
            into.systems.dedup();
        },
    );
    let found = merge(
        found,
        |it| (it.systems.clone(), it.actions.clone()),
        |into, it| {
            into.resources.extend(it.resources);
        },
    );
    let mut found = merge(
        found,
        |it| (it.systems.clone(), it.resources.clone()),
        |into, it| {
            into.actions.extend(it.actions);
        },
    );
    found.sort_by(|a, b| {
        let key = |it: &Consequence| {
            (it.systems.clone(), it.resources.clone(), it.actions.clone(), it.outcome.clone())
        };
        key(a).cmp(&key(b)).then_with(|| a.when.cmp(&b.when)).then_with(|| a.parameters.cmp(&b.parameters))
    });
    found
}

fn merge<K: std::hash::Hash + Eq>(
    found: Vec<Consequence>,
    rest: impl Fn(&Consequence) -> K,
    absorb: impl Fn(&mut Consequence, Consequence),
) -> Vec<Consequence> {
    type What = (Outcome, super::Weight, Vec<crate::kernel::id::GrantId>);
    type Where = (Vec<PurposeCode>, Vec<super::ParameterRange>, Vec<super::Stretch>);
    let mut places: HashMap<(What, Where, K), usize> = HashMap::new();
    let mut kept: Vec<Consequence> = Vec::new();
    for it in found {
        let what = (it.outcome.clone(), it.weight, it.causes.clone());
        let wheres = (it.purposes.clone(), it.parameters.clone(), it.when.clone());
        let place = *places.entry((what, wheres, rest(&it))).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(into) => absorb(into, it),
            None => kept.push(it),
        }
    }
    kept
}
