//! Who has which role: a graph of its own for each of `g`, `g2`, …, as in Go Casbin.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::civil::DateTime;

use super::function::{Function, Pattern};
use super::value::Fault;

/// The longest chain of roles that is followed, in links, as in Go Casbin.
pub(super) const MAX_LINKS: usize = 10;
/// The most names of a graph whose names are patterns: each is held against each.
pub(super) const MAX_PATTERN_NAMES: usize = 2000;

/// A link that holds from one instant to another only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Condition {
    pub(super) after: Option<DateTime>,
    pub(super) before: Option<DateTime>,
}

impl Condition {
    fn holds(self, now: DateTime) -> bool {
        self.after.is_none_or(|after| now > after) && self.before.is_none_or(|before| now < before)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    to: u32,
    domain: u32,
    condition: Option<Condition>,
}

/// What a graph is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub(super) has_domains: bool,
    pub(super) matching: Option<Function>,
    pub(super) domain_matching: Option<Function>,
}

/// The names of one role definition and the links between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    shape: Shape,
    names: Names,
    above: Vec<Vec<Link>>,
    /// The place of each link among those of its member: by member, role and domain.
    places: HashMap<(u32, u32, u32), usize>,
    domains: Names,
    domain_patterns: Vec<Pattern>,
    /// With names that are patterns: the pattern, whom it matches, and which match it.
    patterns: Vec<Pattern>,
    matched: Vec<Vec<u32>>,
    matched_by: Vec<Vec<u32>>,
    /// In which domains a name occurs.
    present: Vec<HashSet<u32>>,
}

#[derive(Debug, Default)]
struct Names {
    all: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
}

impl Names {
    fn id(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        // INVARIANT: the bound on lines keeps the number of names far below 2^32.
        let id = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = Arc::from(name);
        self.all.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    fn name(&self, id: u32) -> &str {
        at(&self.all, id).map_or("", |name| name)
    }
}

fn at<T>(list: &[T], id: u32) -> Option<&T> {
    list.get(usize::try_from(id).ok()?)
}

/// Why a graph cannot be used.
pub(super) enum GraphProblem {
    /// A name that should be a pattern is none.
    NotAPattern {
        name: Arc<str>,
        why: String,
    },
    TooManyNames,
}

/// Which domains' links count.
enum Domains {
    One(u32),
    Some(Vec<bool>),
    None,
}

impl Domains {
    fn has(&self, domain: u32) -> bool {
        match self {
            Self::One(one) => *one == domain,
            Self::Some(some) => at(some, domain) == Some(&true),
            Self::None => false,
        }
    }
}

impl Graph {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, ..Self::default() }
    }

    /// Makes `member` a member of `role` in `domain`. The last condition of a link counts.
    pub(super) fn link(&mut self, member: &str, role: &str, domain: &str, condition: Option<Condition>) {
        let (from, to, domain) = (self.names.id(member), self.names.id(role), self.domains.id(domain));
        self.above.resize_with(self.names.all.len(), Vec::new);
        self.present.resize_with(self.names.all.len(), HashSet::new);
        if let Some(links) = usize::try_from(from).ok().and_then(|from| self.above.get_mut(from)) {
            let place = *self.places.entry((from, to, domain)).or_insert(links.len());
            match links.get_mut(place) {
                Some(known) => known.condition = condition,
                None => links.push(Link { to, domain, condition }),
            }
        }
        for end in [from, to] {
            if let Some(present) = usize::try_from(end).ok().and_then(|end| self.present.get_mut(end)) {
                present.insert(domain);
            }
        }
    }

    /// Compiles what names and domains match, after the last link.
    pub(super) fn settle(&mut self) -> Result<(), GraphProblem> {
        let compile = |function: Option<Function>, names: &[Arc<str>]| {
            let Some(function) = function else { return Ok(Vec::new()) };
            if names.len() > MAX_PATTERN_NAMES {
                return Err(GraphProblem::TooManyNames);
            }
            let compiled = names.iter().map(|name| {
                function
                    .pattern(name)
                    .map_err(|why| GraphProblem::NotAPattern { name: Arc::clone(name), why })
            });
            compiled.collect::<Result<Vec<Pattern>, GraphProblem>>()
        };
        self.domain_patterns = compile(self.shape.domain_matching, &self.domains.all)?;
        self.patterns = compile(self.shape.matching, &self.names.all)?;
        let ids = || (0_u32..).zip(&self.names.all);
        self.matched = self
            .patterns
            .iter()
            .zip(&self.names.all)
            .map(|(pattern, own)| {
                ids().filter(|(_, name)| *name != own && pattern.matches(name)).map(|(id, _)| id).collect()
            })
            .collect();
        self.matched_by = ids()
            .map(|(_, name)| {
                let patterns = (0_u32..).zip(&self.patterns).zip(&self.names.all);
                let matching = patterns.filter(|((_, pattern), own)| *own != name && pattern.matches(name));
                matching.map(|((id, _), _)| id).collect()
            })
            .collect();
        Ok(())
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Every link: member, role, domain.
    pub(super) fn links(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.names.all.iter().zip(&self.above).flat_map(|(member, links)| {
            links.iter().map(|link| (&**member, self.names.name(link.to), self.domains.name(link.domain)))
        })
    }

    /// Whether there are circles of links, whatever their domains; a name on one, or between two.
    pub(super) fn on_a_circle(&self) -> HashSet<String> {
        let mut left: HashSet<u32> = (0_u32..).take(self.names.all.len()).collect();
        let (mut up, mut down) = (HashMap::<u32, Vec<u32>>::new(), HashMap::<u32, Vec<u32>>::new());
        for (member, links) in (0_u32..).zip(&self.above) {
            for link in links {
                up.entry(member).or_default().push(link.to);
                down.entry(link.to).or_default().push(member);
            }
        }
        // Nothing leads to, or from, the ends of what is no circle: they go, one after the other.
        for (ways, back) in [(&up, &down), (&down, &up)] {
            let mut open: HashMap<u32, usize> = ways.iter().map(|(&id, next)| (id, next.len())).collect();
            let mut ends: Vec<u32> = left.iter().filter(|id| !open.contains_key(id)).copied().collect();
            while let Some(end) = ends.pop() {
                left.remove(&end);
                for &id in back.get(&end).into_iter().flatten() {
                    let Some(count) = open.get_mut(&id) else { continue };
                    *count -= 1;
                    if *count == 0 {
                        ends.push(id);
                    }
                }
            }
        }
        left.into_iter().map(|id| self.names.name(id).to_owned()).collect()
    }

    /// Whether no chain has more than `limit` links, and none goes round in a circle.
    pub(super) fn is_within(&self, limit: usize) -> bool {
        let mut level: HashSet<u32> = (0_u32..).take(self.names.all.len()).collect();
        for _ in 0..=limit {
            if level.is_empty() {
                return true;
            }
            level =
                level.iter().filter_map(|id| at(&self.above, *id)).flatten().map(|link| link.to).collect();
        }
        level.is_empty()
    }

    fn domains(&self, domain: &str) -> Domains {
        let domain = if self.shape.has_domains { domain } else { "" };
        if self.domain_patterns.is_empty() {
            return self.domains.find(domain).map_or(Domains::None, Domains::One);
        }
        let matching = self.domain_patterns.iter().zip(&self.domains.all);
        Domains::Some(matching.map(|(pattern, own)| &**own == domain || pattern.matches(domain)).collect())
    }

    fn above<'g>(&'g self, id: u32, domains: &'g Domains, now: DateTime) -> impl Iterator<Item = u32> + 'g {
        at(&self.above, id)
            .into_iter()
            .flatten()
            .filter(move |link| {
                domains.has(link.domain) && link.condition.is_none_or(|condition| condition.holds(now))
            })
            .map(|link| link.to)
    }

    /// `member` and the roles it has, for graphs whose names are no patterns.
    fn closure(&self, member: &str, domain: &str, now: DateTime) -> Vec<u32> {
        let Some(start) = self.names.find(member) else { return Vec::new() };
        let domains = self.domains(domain);
        let mut found = HashSet::from([start]);
        let mut all = vec![start];
        let mut level = vec![start];
        for _ in 0..MAX_LINKS {
            let next: Vec<u32> = level
                .iter()
                .flat_map(|&id| self.above(id, &domains, now))
                .filter(|&id| found.insert(id))
                .collect();
            if next.is_empty() {
                break;
            }
            all.extend(&next);
            level = next;
        }
        all
    }

    fn is_present(&self, id: u32, domains: &Domains) -> bool {
        at(&self.present, id).is_some_and(|present| present.iter().any(|&domain| domains.has(domain)))
    }

    /// Reachability where names are patterns. Names that the graph does not know take part for the
    /// time of the question, as in Go.
    fn reaches_by_pattern(
        &self,
        (member, role, domain): (&str, &str, &str),
        matches_role: &dyn Fn(&str) -> Result<bool, Fault>,
        now: DateTime,
    ) -> Result<bool, Fault> {
        let domains = self.domains(domain);
        let here = |name: &str| self.names.find(name).filter(|&id| self.is_present(id, &domains));
        let function = self.shape.matching.unwrap_or(Function::KeyMatch);
        let of_patterns = |patterns: &mut dyn Iterator<Item = u32>| -> HashSet<u32> {
            patterns
                .filter(|&id| self.is_present(id, &domains))
                .flat_map(|id| self.above(id, &domains, now))
                .collect()
        };
        let is_unknown_role = here(role).is_none();
        let mut level: HashSet<u32> = match here(member) {
            Some(id) => HashSet::from([id]),
            None => {
                // Go tries every new name as a pattern too.
                function.pattern(member).map_err(|_| Fault::NotAPattern {
                    text: member.chars().take(64).collect(),
                    function: function.as_str(),
                })?;
                let patterns = (0_u32..).zip(&self.patterns).filter(|(_, pattern)| pattern.matches(member));
                of_patterns(&mut patterns.map(|(id, _)| id))
            }
        };
        let mut seen = level.clone();
        let mut links = usize::from(here(member).is_none());
        while !level.is_empty() && links <= MAX_LINKS {
            let mut next = HashSet::new();
            for &id in &level {
                let name = self.names.name(id);
                if name == role || matches_role(name)? {
                    return Ok(true);
                }
                for above in self.above(id, &domains, now) {
                    let pattern = at(&self.patterns, above);
                    if is_unknown_role && links < MAX_LINKS && pattern.is_some_and(|p| p.matches(role)) {
                        return Ok(true);
                    }
                    next.insert(above);
                    let matched = at(&self.matched, above).into_iter().flatten().copied();
                    next.extend(matched.filter(|&id| self.is_present(id, &domains)));
                }
                next.extend(of_patterns(&mut at(&self.matched_by, id).into_iter().flatten().copied()));
            }
            level = next.into_iter().filter(|&id| seen.insert(id)).collect();
            links += 1;
        }
        Ok(false)
    }
}

/// The roles that one name has in one domain of one graph.
#[derive(Debug)]
struct Closure {
    graph: usize,
    member: String,
    domain: String,
    roles: HashSet<u32>,
}

/// When a request is decided, and what has been found out about it.
#[derive(Debug)]
pub(super) struct Moment {
    now: DateTime,
    /// Lines ask of the same subject again and again.
    known: RefCell<Vec<Closure>>,
}

/// The most closures that are kept for one request.
const MAX_CLOSURES: usize = 8;

impl Moment {
    pub(super) fn new(now: DateTime) -> Self {
        Self { now, known: RefCell::default() }
    }
}

/// The graph of each role definition.
#[derive(Debug, Default)]
pub(super) struct Graphs(pub(super) Vec<Graph>);

impl Graphs {
    pub(super) fn shape(&self, graph: usize) -> Shape {
        self.0.get(graph).map(Graph::shape).unwrap_or_default()
    }

    pub(super) fn matching(&self, graph: usize) -> Option<Function> {
        self.shape(graph).matching
    }

    /// Whether `member` has `role` in `domain`; `matches_role` holds a name against `role` as a pattern.
    pub(super) fn reaches(
        &self,
        graph: usize,
        (member, role, domain): (&str, &str, &str),
        matches_role: &dyn Fn(&str) -> Result<bool, Fault>,
        moment: &Moment,
    ) -> Result<bool, Fault> {
        if member == role {
            return Ok(true);
        }
        let Some(found) = self.0.get(graph) else { return Ok(false) };
        if found.shape.matching.is_some() {
            return Ok(matches_role(member)?
                || found.reaches_by_pattern((member, role, domain), matches_role, moment.now)?);
        }
        let Some(role) = found.names.find(role) else { return Ok(false) };
        let Ok(mut known) = moment.known.try_borrow_mut() else { return Ok(false) };
        let is_same = |closure: &&Closure| {
            closure.graph == graph && closure.member == member && closure.domain == domain
        };
        if let Some(closure) = known.iter().find(is_same) {
            return Ok(closure.roles.contains(&role));
        }
        let roles: HashSet<u32> = found.closure(member, domain, moment.now).into_iter().collect();
        let has = roles.contains(&role);
        if known.len() >= MAX_CLOSURES {
            known.remove(0);
        }
        known.push(Closure { graph, member: member.to_owned(), domain: domain.to_owned(), roles });
        Ok(has)
    }

    /// `member` and every role it has in `domain`, by name.
    pub(super) fn roles<'g>(
        &'g self,
        graph: usize,
        member: &'g str,
        domain: &str,
        moment: &Moment,
    ) -> Vec<&'g str> {
        let Some(found) = self.0.get(graph) else { return vec![member] };
        let mut names: Vec<&str> =
            found.closure(member, domain, moment.now).into_iter().map(|id| found.names.name(id)).collect();
        if names.is_empty() {
            names.push(member);
        }
        names
    }
}
