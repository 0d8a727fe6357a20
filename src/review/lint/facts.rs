//! What the lints ask of a policy: who and what each line can meet, and how two lines lie to each other.
//!
//! Lines are found by subject and resource; whoever asks which lines cover one looks only under the
//! roles of its subject and its resource. Everything that many lines share (systems of a group,
//! resources that a scope fits, schedules) is worked out once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::catalog::{Catalog, Sharing};
use crate::grant::{Effect, Treatment};
use crate::kernel::id::{Action, SystemId};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;
use crate::policy::roles::Node;
use crate::policy::schema::{FieldSet, Schema};
use crate::policy::scope::{Constraint, Pattern, Scope};
use crate::policy::terms::Grant;
use crate::policy::vocabulary::{Place, Vocabulary};
use crate::policy::window::Window;
use crate::policy::window::compare::{Overlap, Shape, overlap};

/// The most pairs of lines, and of resources of pairs, that are compared. It bounds the time of one run.
pub(super) const MAX_COMPARED: usize = 4_000_000;

/// The systems of one subject, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Systems(Vec<u64>);

impl Systems {
    pub(super) fn add(&mut self, number: usize) {
        let word = number / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}

/// How a line stands, for all requests and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Some request may match it, now or later.
    Live,
    /// Some request could have matched it; its window has ended.
    Ended,
    /// No request can match it.
    Dead(Cause),
    /// No request can match it, as the catalogue, the registry or a warning of the loader says.
    Silent,
}

/// Why no request can match a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its subject has no enabled system.
    NoSystem,
    /// Its theme has no resource.
    NoResource,
    /// Its days never come within its span.
    NoDay,
    /// No resource has its action, one of its fields and its parameters together.
    NothingTogether,
}

/// A line with what it can meet.
#[derive(Debug)]
pub(super) struct Line<'p> {
    /// Its place in the file.
    pub(super) order: usize,
    pub(super) grant: &'p Grant,
    pub(super) purposes: Range<u32>,
    /// The shared resources on which it can match, ascending.
    pub(super) resources: Rc<[u32]>,
    pub(super) standing: Standing,
}

impl Line<'_> {
    /// Whether a request could ever match it.
    pub(super) fn can_match(&self) -> bool {
        matches!(self.standing, Standing::Live | Standing::Ended)
    }

    pub(super) fn is(&self, effect: Effect) -> bool {
        self.grant.effect == effect
    }
}

/// What decides on which resources a line can match.
type Reach<'p> = (Node, Option<&'p Action>, *const Scope, Effect);

/// The schedules of two windows.
type Shapes = (Option<Shape>, Option<Shape>);

/// Lines by what they are about.
type ByKey = HashMap<(Node, Node), Vec<usize>>;

/// The leaves of one resource that need care.
#[derive(Debug)]
pub(super) struct Sensitive {
    /// Those of level 3 and 4.
    pub(super) high: FieldSet,
    /// Those of level 4.
    pub(super) highest: FieldSet,
    /// Those that the catalogue lets leave as they are.
    pub(super) unmasked: FieldSet,
}

/// A policy, taken apart.
#[derive(Debug)]
pub(super) struct Facts<'p> {
    pub(super) vocabulary: &'p Vocabulary,
    pub(super) lines: Vec<Line<'p>>,
    /// The enabled systems, in the order of their numbers.
    pub(super) systems: Vec<&'p SystemId>,
    /// By resource number.
    pub(super) sensitive: Vec<Sensitive>,
    members: HashMap<Node, Systems>,
    allowing: ByKey,
    denying: ByKey,
    allowing_by_resource: HashMap<Node, Vec<usize>>,
    subject_roles: RefCell<HashMap<Node, Rc<[Node]>>>,
    resource_roles: RefCell<HashMap<Node, Rc<[Node]>>>,
    overlaps: RefCell<HashMap<Shapes, Overlap>>,
    /// By where the resources of a line are kept, the nodes under which lines about them are found.
    nodes: RefCell<HashMap<*const u32, Rc<[Node]>>>,
    /// The work that may still be done; `None` once there was too much.
    left: Cell<Option<usize>>,
}

impl<'p> Facts<'p> {
    pub(super) fn new(policy: &'p Policy, catalog: &'p Catalog, now: Timestamp) -> Self {
        let vocabulary = policy.vocabulary();
        let enabled = catalog.registry.systems.values().filter(|system| system.enabled);
        let systems: Vec<&SystemId> = enabled.map(|system| &system.id).collect();
        let mut members: HashMap<Node, Systems> = HashMap::new();
        for (number, id) in systems.iter().enumerate() {
            for &role in vocabulary.systems.get(*id).iter().flat_map(|subject| &subject.roles) {
                members.entry(role).or_default().add(number);
            }
        }
        let mut facts = Self {
            vocabulary,
            lines: Vec::new(),
            systems,
            sensitive: vocabulary.places.iter().map(sensitive).collect(),
            members,
            allowing: HashMap::new(),
            denying: HashMap::new(),
            allowing_by_resource: HashMap::new(),
            subject_roles: RefCell::default(),
            resource_roles: RefCell::default(),
            overlaps: RefCell::default(),
            nodes: RefCell::default(),
            left: Cell::new(Some(MAX_COMPARED)),
        };
        facts.take_lines(policy, now);
        facts
    }

    fn take_lines(&mut self, policy: &'p Policy, now: Timestamp) {
        let mut reaches: HashMap<Reach<'p>, Rc<[u32]>> = HashMap::new();
        let mut occurring: HashMap<*const Window, bool> = HashMap::new();
        for (order, grant) in policy.grants().iter().enumerate() {
            let scope: &Arc<Scope> = &grant.scope;
            let key = (grant.resource_node, grant.action.as_ref(), Arc::as_ptr(scope), grant.effect);
            let resources = Rc::clone(reaches.entry(key).or_insert_with(|| self.reach(grant)));
            let occurs =
                *occurring.entry(Arc::as_ptr(&grant.window)).or_insert_with(|| grant.window.occurs());
            let standing = self.standing(grant, &resources, occurs, now);
            let purposes = self.vocabulary.purpose_range(&grant.purposes);
            let line = Line { order, grant, purposes, resources, standing };
            if line.can_match() {
                let key = (grant.subject_node, grant.resource_node);
                match grant.effect {
                    Effect::Allow => {
                        self.allowing.entry(key).or_default().push(order);
                        self.allowing_by_resource.entry(key.1).or_default().push(order);
                    }
                    Effect::Deny => self.denying.entry(key).or_default().push(order),
                }
            }
            self.lines.push(line);
        }
    }

    /// The shared resources on which `grant` can match.
    fn reach(&self, grant: &Grant) -> Rc<[u32]> {
        let names: Vec<String> = grant.scope.items.iter().map(|item| item.selector.to_string()).collect();
        let action = grant.action.as_ref().map(|action| self.vocabulary.action(action));
        let can_match = |place: &Place| {
            let has_action = match action {
                None => !place.actions.is_empty(),
                Some(action) => action.is_some_and(|action| place.actions.contains(&action)),
            };
            let gives = || names.iter().any(|name| name == "*" || place.schema.named(name).is_some());
            let has =
                |constraint: &Constraint| place.resource.parameter(constraint.parameter.as_str()).is_some();
            let fits = grant.effect == Effect::Deny || (gives() && grant.scope.constraints.iter().all(has));
            place.is_shared && has_action && fits
        };
        let members = self.vocabulary.members(grant.resource_node).iter().copied();
        members.filter(|&number| self.vocabulary.place(number).is_some_and(can_match)).collect()
    }

    fn standing(&self, grant: &Grant, resources: &[u32], occurs: bool, now: Timestamp) -> Standing {
        let members = self.vocabulary.members(grant.resource_node);
        let mut shared = self.vocabulary.member_places(grant.resource_node).filter(|place| place.is_shared);
        if members.is_empty() && !grant.resource.starts_with("sharing:") {
            return Standing::Dead(Cause::NoResource);
        }
        // Sharing types are there before their resources, and `none` is the catalogue's own refusal.
        if shared.next().is_none() {
            return Standing::Silent;
        }
        let has_systems = self.members.get(&grant.subject_node).is_some_and(|systems| !systems.is_empty());
        match (has_systems, grant.subject.starts_with("sys:")) {
            (false, true) => return Standing::Silent,
            (false, false) => return Standing::Dead(Cause::NoSystem),
            (true, _) => {}
        }
        if resources.is_empty() {
            Standing::Dead(Cause::NothingTogether)
        } else if !occurs {
            Standing::Dead(Cause::NoDay)
        } else if grant.window.ends().is_some_and(|ends| ends <= now) {
            Standing::Ended
        } else {
            Standing::Live
        }
    }

    pub(super) fn line(&self, order: usize) -> Option<&Line<'p>> {
        self.lines.get(order)
    }

    pub(super) fn place(&self, number: u32) -> Option<&'p Place> {
        self.vocabulary.place(number)
    }

    /// The systems that a line is given to.
    pub(super) fn systems_of(&self, line: &Line<'_>) -> Option<&Systems> {
        self.members.get(&line.grant.subject_node)
    }

    /// Counts work done, one for a pair of lines; `None` once there was too much.
    pub(super) fn spend(&self, work: usize) -> Option<()> {
        let left = self.left.get().and_then(|left| left.checked_sub(work));
        self.left.set(left);
        left.map(drop)
    }

    /// Whether comparing had to stop.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get().is_none()
    }

    /// The lines of `effect`, other than `line`, that are given to its subject or a role of it, about
    /// its resource or a role of it: those that may cover it.
    pub(super) fn above(&self, line: &Line<'_>, effect: Effect) -> impl Iterator<Item = &Line<'p>> {
        let roles = &self.vocabulary.subjects;
        let subjects = cached(&self.subject_roles, line.grant.subject_node, |node| roles.closure(node));
        let themes = &self.vocabulary.themes;
        let resources = cached(&self.resource_roles, line.grant.resource_node, |node| themes.closure(node));
        let lines = if effect == Effect::Allow { &self.allowing } else { &self.denying };
        let count = subjects.len() * resources.len();
        let keys = (0..count).filter_map(move |index| {
            Some((*subjects.get(index / resources.len())?, *resources.get(index % resources.len())?))
        });
        let own = line.order;
        let orders = keys.filter_map(|key| lines.get(&key)).flatten().filter(move |&&order| order != own);
        orders.filter_map(|&order| self.line(order))
    }

    /// The allow lines that have a resource in common with `line`.
    pub(super) fn beside(&self, line: &Line<'_>) -> impl Iterator<Item = &Line<'p>> {
        // INVARIANT: `lines` keeps the resources of every line where they are.
        let nodes = Rc::clone(self.nodes.borrow_mut().entry(line.resources.as_ptr()).or_insert_with(|| {
            let places = line.resources.iter().filter_map(|&number| self.place(number));
            let nodes: BTreeSet<Node> = places.flat_map(|place| place.roles.iter().copied()).collect();
            nodes.into_iter().collect()
        }));
        let nodes = (0..nodes.len()).filter_map(move |index| nodes.get(index).copied());
        let orders = nodes.filter_map(|node| self.allowing_by_resource.get(&node)).flatten();
        orders.filter_map(|&order| self.line(order))
    }

    /// Whether `outer`, which is one of those above `inner`, matches every request that `inner`
    /// matches, if its fields give something to it.
    pub(super) fn covers(&self, outer: &Line<'_>, inner: &Line<'_>) -> bool {
        let (out, inn) = (outer.grant, inner.grant);
        outer.purposes.start <= inner.purposes.start
            && inner.purposes.end <= outer.purposes.end
            && self.covers_action(outer, inner)
            && out.scope.constraints.iter().all(|constraint| implied(constraint, &inn.scope))
            && out.window.span_covers(&inn.window)
            && self.overlap(&out.window, &inn.window).covers
    }

    fn covers_action(&self, outer: &Line<'_>, inner: &Line<'_>) -> bool {
        match (&outer.grant.action, &inner.grant.action) {
            (None, _) => true,
            (Some(outer), Some(inner)) => outer == inner,
            (Some(outer), None) => {
                let only = self.vocabulary.action(outer);
                let has_only = |place: &Place| place.actions.iter().all(|&action| Some(action) == only);
                inner.resources.iter().all(|&number| self.place(number).is_some_and(has_only))
            }
        }
    }

    /// Whether some request may match both a deny line and an allow line. No is certain.
    pub(super) fn meets(&self, deny: &Line<'_>, allow: &Line<'_>) -> bool {
        let systems = self.systems_of(deny).zip(self.systems_of(allow));
        systems.is_some_and(|(deny, allow)| deny.meets(allow))
            && deny.purposes.start < allow.purposes.end
            && allow.purposes.start < deny.purposes.end
            && match (&deny.grant.action, &allow.grant.action) {
                (Some(deny), Some(allow)) => deny == allow,
                (None, _) | (_, None) => true,
            }
            && have_common(&deny.resources, &allow.resources)
            && can_both_hold(&deny.grant.scope, &allow.grant.scope)
            && deny.grant.window.span_meets(&allow.grant.window)
            && self.overlap(&deny.grant.window, &allow.grant.window).meets
    }

    fn overlap(&self, first: &Window, second: &Window) -> Overlap {
        let key = (first.shape(), second.shape());
        *self.overlaps.borrow_mut().entry(key).or_insert_with(|| overlap(first, second))
    }
}

fn cached(
    cache: &RefCell<HashMap<Node, Rc<[Node]>>>,
    node: Node,
    closure: impl FnOnce(Node) -> Vec<Node>,
) -> Rc<[Node]> {
    Rc::clone(cache.borrow_mut().entry(node).or_insert_with(|| closure(node).into()))
}

/// Whether two ascending lists have a number in common.
fn have_common(first: &[u32], second: &[u32]) -> bool {
    let (few, many) = if first.len() <= second.len() { (first, second) } else { (second, first) };
    few.iter().any(|number| many.binary_search(number).is_ok())
}

/// Whether `constraint` holds wherever those of `scope` do.
fn implied(constraint: &Constraint, scope: &Scope) -> bool {
    let own = scope.constraints.iter().find(|own| own.parameter == constraint.parameter);
    own.is_some_and(|own| {
        own.patterns.iter().all(|inner| constraint.patterns.iter().any(|outer| pattern_covers(outer, inner)))
    })
}

fn pattern_covers(outer: &Pattern, inner: &Pattern) -> bool {
    match (outer, inner) {
        (_, Pattern::Exact(value)) => outer.allows(value),
        (Pattern::Prefix(outer), Pattern::Prefix(inner)) => inner.starts_with(outer.as_str()),
        (Pattern::Exact(_), Pattern::Prefix(_)) => false,
    }
}

/// Whether the constraints of a deny and of an allow line can hold for one request: the deny line's
/// also hold where a parameter is absent, which the allow line's does not allow.
fn can_both_hold(deny: &Scope, allow: &Scope) -> bool {
    deny.constraints.iter().all(|deny| {
        let allow = allow.constraints.iter().find(|allow| allow.parameter == deny.parameter);
        let meet = |a: &Pattern| deny.patterns.iter().any(|b| a.may_meet(b));
        allow.is_none_or(|allow| allow.patterns.iter().any(meet))
    })
}

fn sensitive(place: &Place) -> Sensitive {
    let schema: &Schema = &place.schema;
    let mut found = Sensitive { high: schema.none(), highest: schema.none(), unmasked: schema.none() };
    for (leaf, field) in schema.release(&[&schema.everything()], None).iter().enumerate() {
        let level = place.resource.field(field.path.as_str()).map_or(4, |field| field.level.get());
        if level >= 3 {
            found.high.add(leaf);
        }
        if level >= 4 {
            found.highest.add(leaf);
        }
        if field.treatment == Treatment::Clear {
            found.unmasked.add(leaf);
        }
    }
    found
}

/// Whether `place` is shared by grant.
pub(super) fn is_conditional(place: &Place) -> bool {
    place.resource.sharing == Sharing::Conditional
}
