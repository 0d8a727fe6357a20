//! The matcher and effect of a model that gates traffic and is not the shipped one.
//!
//! Request, policy and role definitions are the shipped ones, and `g(r.sub, p.sub)` and
//! `g2(r.res, p.res)` are among the conditions: so the lines near a query are found as for the
//! shipped model, and what a grant gives is worked out alike. The rest of the matcher is worked out
//! here on canonical texts.

use std::sync::Arc;

use jiff::civil::DateTime;

use super::Options;
use super::definition::{Reader, within};
use super::effect::Combination;
use super::function::Patterns;
use super::graph::{Graph, Graphs, Moment, Shape};
use super::index::Plan;
use super::program::{Node, PatternFrom, Scene, Slot};
use super::syntax::{self, Names, Wanted};
use super::value::{Fault, Value};
use crate::kernel::diagnostic::{Diagnostic, Source};
use crate::policy::csv::MAX_FINDINGS;
use crate::policy::model::Model;
use crate::policy::problem::Problem;

/// The columns of the shipped policy definition that a line is found by.
const SUBJECT: usize = 1;
const RESOURCE: usize = 2;

/// Links of one graph: member and role.
pub(crate) type Links<'l> = Vec<(&'l str, &'l str)>;

/// A line of the file: its number, and its cells.
pub(crate) type Numbered = (usize, Vec<String>);

/// How lines that match become one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// All allow lines; deny lines say nothing.
    Allows,
    /// All allow lines, unless a line denies.
    UnlessDenied,
    /// The allow lines before the first deny line.
    UntilDenied,
}

/// A matcher that is not the shipped one.
#[derive(Debug)]
pub(crate) struct Gate {
    conditions: Vec<Node>,
    joined: Joined,
    /// Whether casbin-rs reads the matcher as it stands, and as Go Casbin does.
    is_plain: bool,
    graphs: Graphs,
    /// Per line, in file order.
    slots: Vec<Box<[Slot]>>,
}

impl Gate {
    /// Reads the matcher and effect of `model`, for grants whose texts are `lines`.
    pub(crate) fn read(
        model: &Model,
        (source, grants): (&Source, &Source),
        (subjects, themes): (Links<'_>, Links<'_>),
        lines: impl Iterator<Item = Numbered>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let options = Options::default();
        let mut reader = Reader { model, source, options: &options, findings: Vec::new() };
        let definitions = reader.read();
        let Some(definitions) = definitions.filter(|_| reader.findings.is_empty()) else {
            return Err(reader.findings);
        };
        let refused = |message: &str, help: &str| {
            let whole = 0..definitions.matcher.value.len();
            vec![within(source, &definitions.matcher, Problem::new("model-not-served", whole, message, help))]
        };
        let joined = match definitions.combination {
            Combination::AllowOverride => Joined::Allows,
            Combination::AllowAndDeny => Joined::UnlessDenied,
            Combination::Priority => Joined::UntilDenied,
            Combination::DenyOverride | Combination::SubjectPriority => {
                let place = model.definition("e").map_or(0..0, |effect| effect.span.clone());
                let message = "this policy effect cannot gate traffic: what leaves has to rest on a grant";
                let help = "use `some(where (p.eft == allow)) && !some(where (p.eft == deny))`";
                return Err(vec![Diagnostic::error("model-not-served", source, place, message).help(help)]);
            }
        };
        let graph = |links: Links<'_>| {
            let mut graph = Graph::new(Shape::default());
            links.into_iter().for_each(|(member, role)| graph.link(member, role, "", None));
            graph
        };
        let graphs = Graphs(vec![graph(subjects), graph(themes)]);
        let policy = definitions.policies.first().map_or(&[][..], |policy| &policy.columns);
        let roles = ["g".to_owned(), "g2".to_owned()];
        let names =
            Names { request: &definitions.request, policy, roles: &roles, graphs: &graphs, is_gate: true };
        let matcher = syntax::matcher(&definitions.matcher.value, names)
            .map_err(|problem| vec![within(source, &definitions.matcher, problem)])?;
        let has_rules = matcher.wanted.iter().any(|wanted| matches!(wanted, Wanted::Rule(_)));
        if has_rules || !matcher.objects.is_empty() {
            let message = "attributes and `eval` cannot gate traffic: requests at the gate are texts";
            return Err(refused(message, "compare columns"));
        }
        let Some(conditions) = without_keys(&matcher.root) else {
            let message =
                "`g(r.sub, p.sub)` and `g2(r.res, p.res)` are not among the conditions joined by `&&`";
            let help = "a grant is given to its subject about its resource: join both to the rest by `&&`";
            return Err(refused(message, help));
        };
        let slots = slots(&matcher.wanted, lines, grants)?;
        // Single quotes are no text to casbin-rs.
        let is_plain = !definitions.matcher.value.contains('\'') && is_plain(&matcher.root);
        Ok(Self { conditions, joined, is_plain, graphs, slots })
    }

    /// How matching lines are joined.
    pub(crate) fn joined(&self) -> Joined {
        self.joined
    }

    /// Whether casbin-rs can be asked about the matcher too.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// How many patterns its lines hold, equal ones that share their memory counted once.
    #[cfg(test)]
    pub(crate) fn patterns(&self) -> usize {
        let patterns = self.slots.iter().flatten().filter_map(|slot| match slot {
            Slot::Pattern(pattern) => Some(Arc::as_ptr(pattern)),
            Slot::Rule(_) | Slot::None => None,
        });
        patterns.collect::<std::collections::HashSet<_>>().len()
    }

    /// Whether line number `order`, which is near the query, matches: both as canonical texts.
    pub(crate) fn matches(&self, order: usize, line: &[Arc<str>], request: &[Value]) -> Result<bool, Fault> {
        let slots = self.slots.get(order).map_or(&[][..], |slots| slots);
        // Roles have no times here.
        let moment = Moment::new(DateTime::ZERO);
        let scene = Scene { request, cells: line, slots, graphs: &self.graphs, moment: &moment };
        for condition in &self.conditions {
            if !condition.worked_out(scene)?.truth("&&")? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether `node` is made of what casbin-rs does as Go Casbin does: texts compared, roles, and the
/// functions of the shipped model.
fn is_plain(node: &Node) -> bool {
    match node {
        Node::Text(_) | Node::Truth(_) | Node::Request(_) | Node::Policy(_) => true,
        Node::Not(inner) => is_plain(inner),
        Node::And(parts) | Node::Or(parts) => parts.iter().all(is_plain),
        Node::Compared(comparison, sides) => !comparison.is_of_order() && sides.iter().all(is_plain),
        Node::Called { function, text, pattern: PatternFrom::Node(pattern), name: None } => {
            function.is_of_gate() && is_plain(text) && is_plain(pattern)
        }
        Node::Role { pattern: None, domain: None, member, role, .. } => is_plain(member) && is_plain(role),
        Node::Number(_)
        | Node::Attribute(..)
        | Node::Negated(_)
        | Node::Computed(..)
        | Node::Among(..)
        | Node::In(_)
        | Node::Called { .. }
        | Node::Unmatched { .. }
        | Node::Role { .. }
        | Node::Rule(_) => false,
    }
}

/// The conditions of `root` but for the two by which lines are found; `None` without those.
fn without_keys(root: &Node) -> Option<Vec<Node>> {
    let is_key = |node: &Node, wanted: usize, place: usize, column: usize| {
        matches!(node, Node::Role { graph, member, role, pattern: None, domain: None }
            if *graph == wanted
                && matches!(**member, Node::Request(found) if found == place)
                && matches!(**role, Node::Policy(found) if found == column))
    };
    let (mut by_subject, mut by_resource) = (false, false);
    let mut rest = Vec::new();
    for node in Plan::conditions(root) {
        if is_key(node, 0, 0, SUBJECT) {
            by_subject = true;
        } else if is_key(node, 1, 1, RESOURCE) {
            by_resource = true;
        } else {
            rest.push(node.clone());
        }
    }
    (by_subject && by_resource).then_some(rest)
}

fn slots(
    wanted: &[Wanted],
    lines: impl Iterator<Item = Numbered>,
    grants: &Source,
) -> Result<Vec<Box<[Slot]>>, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let mut patterns = Patterns::default();
    let mut all = Vec::new();
    for (number, cells) in lines {
        let mut slots = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let Wanted::Pattern(function, column) = *wanted else {
                slots.push(Slot::None);
                continue;
            };
            let cell = Arc::from(cells.get(column).map_or("", String::as_str));
            match patterns.compiled(function, &cell) {
                Ok(pattern) => slots.push(Slot::Pattern(pattern)),
                Err(Problem { code, message, help, .. }) if findings.len() < MAX_FINDINGS => {
                    let message = format!("line {number}: {message}");
                    findings.push(Diagnostic::error(code, grants, 0..0, message).help(help));
                }
                Err(_) => {}
            }
        }
        all.push(slots.into());
    }
    if findings.is_empty() { Ok(all) } else { Err(findings) }
}
