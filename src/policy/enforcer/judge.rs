//! casbin-rs as an engine, where it is known to decide as Go Casbin does.
//!
//! The model is written anew for it: columns by number, texts escaped, `in` as comparisons, and its
//! functions replaced by ours, because its own panic on some texts. What it is known to get wrong is
//! refused with the reason.

use std::fmt;
use std::sync::{Arc, LazyLock};

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, Model as _};
use quick_cache::sync::Cache;

use super::effect::{Combination, Combining, Verdict};
use super::function::{Function, Pattern};
use super::program::{Node, PatternFrom};
use super::value::{Fault, Seen, Value};
use super::{Line, Loaded};
use crate::policy::oracle::ready;

/// The longest chain of roles that casbin-rs follows; Go Casbin follows one more.
const MAX_LINKS: usize = 9;

/// casbin-rs with a model, its roles, and lines.
pub(super) struct Judge {
    /// Holds all lines, if all are asked.
    whole: Option<Enforcer>,
    /// Holds the lines of one question.
    few: Enforcer,
    effect_column: Option<usize>,
    combination: Combination,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge for what was loaded, of all lines or of those that an index names; or why there is none.
    pub(super) fn new(loaded: &Loaded, is_whole: bool) -> Result<Self, String> {
        if !loaded.definitions.speaks_of_lines {
            return Err(
                "the matcher speaks of no column of the policy, and casbin-rs applies effects all the same"
                    .into(),
            );
        }
        if loaded.lines.is_empty() {
            return Err("there is no policy line".into());
        }
        let policy =
            loaded.definitions.policies.get(loaded.definitions.policy).ok_or("there is no policy")?;
        let mut writer = Writer { loaded, effect: policy.column("eft"), graph: None };
        let matcher = writer.truth(&loaded.root)?;
        let effect_column = writer.effect;
        let mut combination = loaded.definitions.combination;
        if combination == Combination::SubjectPriority {
            // Lines have been sorted; casbin-rs knows no other order than theirs.
            combination = Combination::Priority;
        }
        let definitions = writer.definitions(policy.columns.len(), combination, &matcher)?;
        let few = enforcer(definitions)?;
        let whole = if is_whole {
            let mut whole = enforcer(writer.definitions(policy.columns.len(), combination, &matcher)?)?;
            fill(&mut whole, loaded.lines.iter().map(cells))?;
            Some(whole)
        } else {
            None
        };
        Ok(Self { whole, few, effect_column, combination })
    }

    /// What casbin-rs decides over `candidates`, or over all lines.
    pub(super) fn verdict(
        &mut self,
        request: &[Value],
        lines: &[Line],
        candidates: Option<&[u32]>,
    ) -> Result<Verdict, Fault> {
        let request: Vec<String> = request
            .iter()
            .map(|value| value.seen().text("casbin-rs").map(str::to_owned))
            .collect::<Result<_, _>>()?;
        let chosen: Vec<(usize, &Line)> = match candidates {
            Some(candidates) => candidates
                .iter()
                .filter_map(|&number| usize::try_from(number).ok())
                .filter_map(|number| Some((number, lines.get(number)?)))
                .collect(),
            None => lines.iter().enumerate().collect(),
        };
        if chosen.is_empty() {
            // Without any line casbin-rs would ask the matcher about empty texts.
            return Ok(Combining::new(self.combination).end());
        }
        let allow = match &self.whole {
            Some(whole) => whole.enforce(request.clone()).map_err(|error| fault(&error))?,
            None => self.decides(&request, chosen.iter().map(|(_, line)| cells(line)))?,
        };
        Ok(Verdict { allow, line: self.decisive(&request, &chosen, allow)? })
    }

    fn decides(
        &mut self,
        request: &[String],
        lines: impl Iterator<Item = Vec<String>>,
    ) -> Result<bool, Fault> {
        fill(&mut self.few, lines).map_err(Fault::Casbin)?;
        self.few.enforce(request.to_vec()).map_err(|error| fault(&error))
    }

    /// The line that decided: casbin-rs says of each alone whether it matches.
    fn decisive(
        &mut self,
        request: &[String],
        chosen: &[(usize, &Line)],
        allow: bool,
    ) -> Result<Option<usize>, Fault> {
        let denies = self.combination == Combination::DenyOverride;
        if denies && (allow || self.effect_column.is_none()) {
            return Ok(None);
        }
        let mut combining = Combining::new(self.combination);
        for &(number, line) in chosen {
            let mut alone = cells(line);
            if let Some(effect) = self.effect_column.and_then(|column| alone.get_mut(column)) {
                (if denies { "deny" } else { "allow" }).clone_into(effect);
            }
            let matches = self.decides(request, std::iter::once(alone))? != denies;
            if matches && let Some(verdict) = combining.matched(number, line.effect) {
                return Ok(verdict.line);
            }
        }
        Ok(combining.end().line)
    }
}

fn cells(line: &Line) -> Vec<String> {
    line.cells.iter().map(ToString::to_string).collect()
}

fn fault(error: &casbin::Error) -> Fault {
    Fault::Casbin(error.to_string())
}

fn fill(enforcer: &mut Enforcer, lines: impl Iterator<Item = Vec<String>>) -> Result<(), String> {
    let model = enforcer.get_mut_model().get_mut_model();
    let policy = model.get_mut("p").and_then(|section| section.get_mut("p")).ok_or("there is no policy")?;
    policy.get_mut_policy().clear();
    policy.get_mut_policy().extend(lines);
    Ok(())
}

fn enforcer(definitions: DefaultModel) -> Result<Enforcer, String> {
    let made =
        ready(Enforcer::new_raw(definitions, MemoryAdapter::default())).map_err(|error| error.to_string())?;
    let mut enforcer = made.map_err(|error| error.to_string())?;
    enforcer.build_role_links().map_err(|error| error.to_string())?;
    for function in Function::ALL {
        enforcer.add_function(function.as_str(), operator(function));
    }
    Ok(enforcer)
}

/// Writes a model for casbin-rs.
struct Writer<'l> {
    loaded: &'l Loaded,
    effect: Option<usize>,
    /// The one graph that the matcher asks.
    graph: Option<usize>,
}

impl Writer<'_> {
    fn definitions(
        &self,
        columns: usize,
        combination: Combination,
        matcher: &str,
    ) -> Result<DefaultModel, String> {
        let mut model = DefaultModel::default();
        let list = |name: &dyn Fn(usize) -> String, count: usize| {
            (0..count).map(name).collect::<Vec<_>>().join(", ")
        };
        let column = |column: usize| self.column(column).replacen("p_", "", 1);
        model.add_def("r", "r", &list(&|place| format!("v{place}"), self.loaded.definitions.request.len()));
        model.add_def("p", "p", &list(&column, columns));
        model.add_def("e", "e", combination.as_str());
        model.add_def("m", "m", matcher);
        let Some(graph) = self.graph else { return Ok(model) };
        let graph = self.loaded.graphs.0.get(graph).ok_or("there is no such graph")?;
        let has_domains = graph.shape().has_domains;
        model.add_def("g", "g", if has_domains { "_, _, _" } else { "_, _" });
        for (member, role, domain) in graph.links() {
            let mut link = vec![member.to_owned(), role.to_owned()];
            link.extend(has_domains.then(|| domain.to_owned()));
            model.add_policy("g", "g", link);
        }
        Ok(model)
    }

    fn column(&self, column: usize) -> String {
        if Some(column) == self.effect { "p_eft".to_owned() } else { format!("p_c{column}") }
    }

    fn truth(&mut self, node: &Node) -> Result<String, String> {
        Ok(match node {
            Node::Truth(truth) => truth.to_string(),
            Node::Not(inner) => format!("!({})", self.truth(inner)?),
            Node::And(parts) | Node::Or(parts) => {
                let sign = if matches!(node, Node::And(_)) { " && " } else { " || " };
                let parts: Vec<String> = parts
                    .iter()
                    .map(|part| Ok(format!("({})", self.truth(part)?)))
                    .collect::<Result<_, String>>()?;
                parts.join(sign)
            }
            Node::Compared(comparison, sides) => {
                let [left, right] = &**sides;
                format!("{} {} {}", self.text(left)?, comparison.as_str(), self.text(right)?)
            }
            Node::Among(one, list) => {
                let one = self.text(one)?;
                let equal = list.iter().map(|member| Ok(format!("{one} == {}", self.text(member)?)));
                format!("({})", equal.collect::<Result<Vec<String>, String>>()?.join(" || "))
            }
            Node::Called { function, .. } if !function.yields_text() => self.call(node)?,
            Node::Unmatched { text, pattern } => {
                let pattern = self.pattern(pattern)?;
                format!("!regexMatch({}, {pattern})", self.text(text)?)
            }
            Node::Role { .. } => self.role(node)?,
            Node::Rule(_) => {
                return Err("casbin-rs compiles `eval` anew for each line, and reads it otherwise".into());
            }
            Node::Text(_)
            | Node::Number(_)
            | Node::Request(_)
            | Node::Policy(_)
            | Node::Attribute(..)
            | Node::Negated(_)
            | Node::Computed(..)
            | Node::In(_)
            | Node::Called { .. } => {
                return Err("the matcher works with more than texts, where casbin-rs differs from Go".into());
            }
        })
    }

    fn text(&mut self, node: &Node) -> Result<String, String> {
        if let Node::Text(text) = node {
            Ok(quoted(text))
        } else if let Node::Request(place) = node {
            Ok(format!("r_v{place}"))
        } else if let Node::Policy(column) = node {
            Ok(self.column(*column))
        } else if matches!(node, Node::Called { function, .. } if function.yields_text()) {
            self.call(node)
        } else {
            Err("the matcher works with more than texts, where casbin-rs differs from Go".into())
        }
    }

    fn call(&mut self, node: &Node) -> Result<String, String> {
        let Node::Called { function, text, pattern, name } = node else { return Err("not a call".into()) };
        let mut arguments = vec![self.text(text)?, self.pattern(pattern)?];
        if let Some(name) = name {
            arguments.push(self.text(name)?);
        }
        Ok(format!("{}({})", function.as_str(), arguments.join(", ")))
    }

    fn pattern(&mut self, pattern: &PatternFrom) -> Result<String, String> {
        match pattern {
            PatternFrom::Node(node) => self.text(node),
            PatternFrom::Slot(slot) => match self.loaded.wanted_column(*slot) {
                Some(column) => Ok(self.column(column)),
                None => Err("a pattern without a column".into()),
            },
            PatternFrom::Fixed(_, text) => Ok(quoted(text)),
        }
    }

    fn role(&mut self, node: &Node) -> Result<String, String> {
        let Node::Role { graph, member, role, domain, .. } = node else { return Err("not a role".into()) };
        if self.graph.is_some_and(|known| known != *graph) {
            return Err("the matcher asks two role definitions, and casbin-rs keeps them in one graph".into());
        }
        self.graph = Some(*graph);
        let found = self.loaded.graphs.0.get(*graph).ok_or("there is no such graph")?;
        let shape = found.shape();
        if shape.matching.is_some() || shape.domain_matching.is_some() {
            return Err("names of roles or domains are patterns, which casbin-rs matches otherwise".into());
        }
        let timed = self.loaded.definitions.roles.get(*graph).is_some_and(|role| role.has_conditions);
        if timed {
            return Err("casbin-rs has no roles with times".into());
        }
        if shape.has_domains != domain.is_some() {
            return Err("a role definition is asked with another number of fields than it has".into());
        }
        if !found.is_within(MAX_LINKS) {
            return Err(format!(
                "there are circles, or chains of more than {MAX_LINKS} roles, which casbin-rs cuts"
            ));
        }
        let mut arguments = vec![self.text(member)?, self.text(role)?];
        if let Some(domain) = domain {
            arguments.push(self.text(domain)?);
        }
        Ok(format!("g({})", arguments.join(", ")))
    }
}

/// A text as rhai reads it. Everything but letters and digits is escaped, so that casbin-rs finds
/// nothing in it to rewrite.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            quoted.push(c);
        } else {
            quoted.push_str(&format!("\\U{:08X}", u32::from(c)));
        }
    }
    quoted.push('"');
    quoted
}

/// By function and text; `None` where the text is no pattern.
type Patterns = Cache<(Function, String), Option<Arc<Pattern>>>;

/// Patterns that our functions have compiled for casbin-rs, which hands them over as texts.
static COMPILED: LazyLock<Patterns> = LazyLock::new(|| Cache::new(MAX_COMPILED));
/// The most of them that are kept.
const MAX_COMPILED: usize = 4096;

/// `function` as casbin-rs calls it. It yields nothing where it fails, which casbin-rs takes for an
/// error as soon as it is used.
fn called(function: Function, text: &Dynamic, pattern: &Dynamic, name: &str) -> Dynamic {
    let (text, pattern) = (dynamic_to_str(text), dynamic_to_str(pattern));
    let key = (function, pattern.to_string());
    let compiled = COMPILED.get(&key).unwrap_or_else(|| {
        let compiled = function.pattern(&pattern).ok().map(Arc::new);
        COMPILED.insert(key, compiled.clone());
        compiled
    });
    match compiled.map(|pattern| pattern.apply(&text, name)) {
        Some(Ok(Seen::Truth(truth))) => truth.into(),
        Some(Ok(Seen::Text(text))) => text.into_owned().into(),
        _ => Dynamic::UNIT,
    }
}

fn operator(function: Function) -> OperatorFunction {
    use OperatorFunction::{Arg2, Arg3};
    match function {
        Function::KeyMatch => Arg2(|a, b| called(Function::KeyMatch, &a, &b, "")),
        Function::KeyGet => Arg2(|a, b| called(Function::KeyGet, &a, &b, "")),
        Function::KeyMatch2 => Arg2(|a, b| called(Function::KeyMatch2, &a, &b, "")),
        Function::KeyGet2 => Arg3(|a, b, c| called(Function::KeyGet2, &a, &b, &dynamic_to_str(&c))),
        Function::KeyMatch3 => Arg2(|a, b| called(Function::KeyMatch3, &a, &b, "")),
        Function::KeyGet3 => Arg3(|a, b, c| called(Function::KeyGet3, &a, &b, &dynamic_to_str(&c))),
        Function::KeyMatch4 => Arg2(|a, b| called(Function::KeyMatch4, &a, &b, "")),
        Function::KeyMatch5 => Arg2(|a, b| called(Function::KeyMatch5, &a, &b, "")),
        Function::RegexMatch => Arg2(|a, b| called(Function::RegexMatch, &a, &b, "")),
        Function::IpMatch => Arg2(|a, b| called(Function::IpMatch, &a, &b, "")),
        Function::GlobMatch => Arg2(|a, b| called(Function::GlobMatch, &a, &b, "")),
        Function::PurposeMatch => Arg2(|a, b| called(Function::PurposeMatch, &a, &b, "")),
        Function::ScopeMatch => Arg2(|a, b| called(Function::ScopeMatch, &a, &b, "")),
        Function::InWindow => Arg2(|a, b| called(Function::InWindow, &a, &b, "")),
    }
}
