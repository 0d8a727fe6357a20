//! Which lines can match at all: derived from the conditions of the matcher.
//!
//! The matcher is taken apart at `&&`. `r.obj == p.obj` says that a column equals a value of the
//! request, `g(r.sub, p.sub)` that it is one of the subject's roles, `p.act == '*' || r.act == p.act`
//! that it is one of two texts. Together these columns are a key; a request names a few keys, and
//! only the lines under them are worked out. A condition after one that may fail is no key: passing
//! over the line would hide the failure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::graph::{Graphs, Moment};
use super::program::{Comparison, Node};
use super::types::{Type, sure};
use super::value::Value;

/// The most keys that one request may name before all lines are worked out.
const MAX_KEYS: usize = 4096;

/// More values than any request has.
const MAX_VALUES: usize = 64;

/// A text that a column may hold for a line to match.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Probe {
    Text(Arc<str>),
    Request(usize),
    /// Every role of a value of the request in a domain.
    Roles {
        graph: usize,
        member: usize,
        domain: Option<Box<Probe>>,
    },
}

/// A column and what it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    column: usize,
    probes: Vec<Probe>,
}

/// The conditions of a matcher: those that are keys, and the rest.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) keys: Vec<Key>,
    pub(super) rest: Vec<Node>,
    /// Values of the request that have to be texts for the keys to hide no failure.
    pub(super) assumed: BTreeSet<usize>,
}

impl Plan {
    /// Takes `root` apart.
    pub(super) fn of(root: &Node, graphs: &Graphs, rules: &dyn Fn(usize) -> bool) -> Self {
        let mut plan = Self { keys: Vec::new(), rest: Vec::new(), assumed: BTreeSet::new() };
        let mut is_sure = true;
        let mut read = BTreeSet::new();
        for condition in Self::conditions(root) {
            let key = key(condition, graphs).filter(|_| is_sure);
            match key {
                Some(key) if plan.keys.iter().all(|known| known.column != key.column) => {
                    plan.keys.push(key);
                    plan.assumed.extend(&read);
                }
                Some(_) | None => {
                    is_sure &= sure(condition, rules) == Some(Type::Truth);
                    places(condition, &mut read);
                    plan.rest.push(condition.clone());
                }
            }
        }
        plan
    }

    /// The conditions that `root` joins by `&&`.
    pub(super) fn conditions(root: &Node) -> Vec<&Node> {
        let mut conditions = Vec::new();
        flatten(root, &mut conditions);
        conditions
    }

    /// The columns of the key, for people.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.keys.iter().map(|key| key.column)
    }
}

fn flatten<'n>(node: &'n Node, into: &mut Vec<&'n Node>) {
    if let Node::And(parts) = node {
        parts.iter().for_each(|part| flatten(part, into));
    } else {
        into.push(node);
    }
}

/// The values of the request that `node` reads.
fn places(node: &Node, into: &mut BTreeSet<usize>) {
    if let Node::Request(place) | Node::Attribute(place, _) = node {
        into.insert(*place);
    } else if let Node::Rule(_) = node {
        // A rule may read any value.
        into.extend(0..MAX_VALUES);
    }
    node.children().into_iter().for_each(|child| places(child, into));
}

fn probe(node: &Node) -> Option<Probe> {
    if let Node::Text(text) = node {
        Some(Probe::Text(Arc::clone(text)))
    } else if let Node::Request(place) = node {
        Some(Probe::Request(*place))
    } else {
        None
    }
}

fn key(condition: &Node, graphs: &Graphs) -> Option<Key> {
    if let Node::Compared(Comparison::Equal, sides) = condition {
        let (Node::Policy(column), other) = (match &**sides {
            [column @ Node::Policy(_), other] | [other, column] => (column, other),
        }) else {
            return None;
        };
        return Some(Key { column: *column, probes: vec![probe(other)?] });
    }
    if let Node::Role { graph, member, role, pattern: None, domain } = condition {
        let (Node::Request(member), Node::Policy(column)) = (&**member, &**role) else { return None };
        let domain = match domain {
            Some(domain) if graphs.shape(*graph).has_domains => Some(Box::new(probe(domain)?)),
            Some(_) | None => None,
        };
        let probes = vec![Probe::Roles { graph: *graph, member: *member, domain }];
        return Some(Key { column: *column, probes });
    }
    let Node::Or(parts) = condition else { return None };
    let mut keys = parts.iter().map(|part| key(part, graphs));
    let mut all = keys.next()??;
    for key in keys {
        let key = key.filter(|key| key.column == all.column)?;
        all.probes.extend(key.probes);
    }
    Some(all)
}

/// The lines under each key.
#[derive(Debug)]
pub(super) struct Index {
    keys: Vec<Key>,
    /// Per key, its texts as numbers.
    texts: Vec<HashMap<Arc<str>, u32>>,
    lines: HashMap<Box<[u32]>, Vec<u32>>,
}

impl Index {
    /// The index of `lines`, the cells of each; `None` without keys.
    pub(super) fn build<'c>(keys: &[Key], lines: impl Iterator<Item = &'c [Arc<str>]>) -> Option<Self> {
        if keys.is_empty() {
            return None;
        }
        let mut index =
            Self { keys: keys.to_vec(), texts: vec![HashMap::new(); keys.len()], lines: HashMap::new() };
        for (number, cells) in (0_u32..).zip(lines) {
            let mut under = Vec::with_capacity(keys.len());
            for (key, texts) in keys.iter().zip(&mut index.texts) {
                let cell = cells.get(key.column)?;
                let next = u32::try_from(texts.len()).ok()?;
                under.push(*texts.entry(Arc::clone(cell)).or_insert(next));
            }
            index.lines.entry(under.into()).or_default().push(number);
        }
        Some(index)
    }

    /// The most lines under one key.
    pub(super) fn most(&self) -> usize {
        self.lines.values().map(Vec::len).max().unwrap_or(0)
    }

    /// The lines that may match, in order; `None` if that is not to be found out this way.
    pub(super) fn candidates(&self, request: &[Value], graphs: &Graphs, moment: &Moment) -> Option<Vec<u32>> {
        let mut columns: Vec<Vec<u32>> = Vec::with_capacity(self.keys.len());
        let mut product = 1_usize;
        for (key, texts) in self.keys.iter().zip(&self.texts) {
            let mut numbers: Vec<u32> = Vec::new();
            for probe in &key.probes {
                probe.texts(request, graphs, moment, &mut |text| numbers.extend(texts.get(text)))?;
            }
            numbers.sort_unstable();
            numbers.dedup();
            product = product.checked_mul(numbers.len()).filter(|&product| product <= MAX_KEYS)?;
            columns.push(numbers);
        }
        let mut found = Vec::new();
        let mut under = vec![0; columns.len()];
        self.collect(&columns, 0, &mut under, &mut found);
        found.sort_unstable();
        Some(found)
    }

    fn collect(&self, columns: &[Vec<u32>], at: usize, under: &mut [u32], found: &mut Vec<u32>) {
        let Some(numbers) = columns.get(at) else {
            found.extend(self.lines.get(&*under).into_iter().flatten());
            return;
        };
        for &number in numbers {
            if let Some(slot) = under.get_mut(at) {
                *slot = number;
            }
            self.collect(columns, at + 1, under, found);
        }
    }
}

impl Probe {
    /// Calls `each` with every text; `None` if a value of the request is no text.
    fn texts(
        &self,
        request: &[Value],
        graphs: &Graphs,
        moment: &Moment,
        each: &mut dyn FnMut(&str),
    ) -> Option<()> {
        let text = |place: usize| match request.get(place)? {
            Value::Text(text) => Some(text.as_str()),
            Value::Number(_) | Value::Truth(_) | Value::Nothing | Value::List(_) | Value::Object(_) => None,
        };
        match self {
            Self::Text(text) => each(text),
            Self::Request(place) => each(text(*place)?),
            Self::Roles { graph, member, domain } => {
                let domain = match domain.as_deref() {
                    None => "",
                    Some(Self::Text(text)) => text,
                    Some(Self::Request(place)) => text(*place)?,
                    Some(Self::Roles { .. }) => return None,
                };
                graphs.roles(*graph, text(*member)?, domain, moment).into_iter().for_each(each);
            }
        }
        Some(())
    }
}
