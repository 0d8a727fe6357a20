//! From files to an enforcer: everything that is wrong, at once.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::DateTime;

use super::definition::{Definitions, Reader, RoleDefinition, within};
use super::effect::Effect;
use super::function::Patterns;
use super::graph::{Condition, Graph, GraphProblem, Graphs, MAX_PATTERN_NAMES};
use super::index::{Index, Plan};
use super::lines::{self, Field, Record};
use super::order::{self, NoOrder};
use super::program::Slot;
use super::syntax::{self, Matcher, Names, Wanted};
use super::types::{Type, sure};
use super::{Line, Loaded, Options};
use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};
use crate::policy::csv::MAX_FINDINGS;
use crate::policy::model::Model;
use crate::policy::problem::Problem;

/// A line with its place.
struct Placed {
    cells: Vec<Arc<str>>,
    fields: Vec<Field>,
    at: Range<usize>,
}

struct Loader<'l> {
    /// Whether role names that look like patterns are reported.
    doubts_patterns: bool,
    source: &'l Source,
    definitions: &'l Definitions,
    findings: Vec<Diagnostic>,
    texts: HashMap<String, Arc<str>>,
    /// Lines seen, as Casbin compares them: joined by commas.
    seen: HashMap<String, Vec<String>>,
    lines: Vec<Placed>,
    /// Links of each role definition: member, role, domain.
    links: Vec<Vec<(String, String, String)>>,
    graphs: Vec<Graph>,
    patterns: Patterns,
}

/// Loads an enforcer's parts.
pub(super) fn load(model_source: &Source, policy: &Source, options: &Options) -> Result<Loaded, Report> {
    let mut report = Report::new();
    report.add_source(model_source);
    report.add_source(policy);
    let refused = |mut report: Report, findings: Vec<Diagnostic>| {
        findings.into_iter().for_each(|finding| report.push(finding));
        report
    };
    let model = match Model::read(model_source) {
        Ok(model) => model,
        Err(findings) => return Err(refused(report, findings)),
    };
    let mut reader = Reader { model: &model, source: model_source, options, findings: Vec::new() };
    let definitions = reader.read();
    let Some(definitions) = definitions.filter(|_| reader.findings.is_empty()) else {
        return Err(refused(report, reader.findings));
    };
    let (records, findings) = lines::read(policy);
    let mut loader = Loader::new(policy, &definitions, findings);
    loader.doubts_patterns =
        !options.literal_names && options.role_matching.is_empty() && options.domain_matching.is_empty();
    records.iter().for_each(|record| loader.record(record));
    loader.sort();
    loader.settle();
    let graphs = Graphs(std::mem::take(&mut loader.graphs));
    let names = Names {
        request: &definitions.request,
        policy: definitions.policies.get(definitions.policy).map_or(&[], |policy| &policy.columns),
        roles: &definitions.roles.iter().map(|role| role.key.clone()).collect::<Vec<String>>(),
        graphs: &graphs,
        is_gate: false,
    };
    let matcher = match syntax::matcher(&definitions.matcher.value, names) {
        Ok(matcher) => matcher,
        Err(problem) => {
            loader.findings.push(within(model_source, &definitions.matcher, problem));
            return Err(refused(report, loader.findings));
        }
    };
    let mut objects = matcher.objects.clone();
    let (lines, rules_are_sure) = loader.lines(&matcher, names, &mut objects);
    let empty = loader.empty_line(&matcher);
    if !loader.findings.is_empty() {
        let mut findings = loader.findings;
        findings.truncate(MAX_FINDINGS);
        return Err(refused(report, findings));
    }
    let plan = Plan::of(&matcher.root, &graphs, &|slot| rules_are_sure.get(slot) == Some(&true));
    let index = if definitions.speaks_of_lines {
        Index::build(&plan.keys, lines.iter().map(|line| &*line.cells))
    } else {
        None
    };
    let Matcher { root, wanted, .. } = matcher;
    Ok(Loaded { definitions, root, wanted, objects, lines, empty, graphs, plan, index })
}

impl<'l> Loader<'l> {
    fn new(source: &'l Source, definitions: &'l Definitions, findings: Vec<Diagnostic>) -> Self {
        Self {
            source,
            definitions,
            findings,
            texts: HashMap::new(),
            seen: HashMap::new(),
            lines: Vec::new(),
            doubts_patterns: false,
            links: definitions.roles.iter().map(|_| Vec::new()).collect(),
            graphs: definitions.roles.iter().map(|role| Graph::new(role.shape)).collect(),
            patterns: Patterns::default(),
        }
    }

    fn report(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Diagnostic::error(code, self.source, at, message).help(help));
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.insert(text.to_owned(), Arc::clone(&new));
        new
    }

    fn record(&mut self, record: &Record) {
        let Some((section, fields)) = record.fields.split_first() else { return };
        let policy = self.definitions.policies.iter().position(|policy| policy.key == section.text);
        let role = self.definitions.roles.iter().position(|role| role.key == section.text);
        let columns = match (policy, role) {
            (Some(policy), _) => {
                self.definitions.policies.get(policy).map_or(0, |policy| policy.columns.len())
            }
            (None, Some(role)) => self.definitions.roles.get(role).map_or(0, |role| role.columns),
            (None, None) => {
                self.unknown_section(section);
                return;
            }
        };
        if fields.len() != columns {
            let (section, given) = (&section.text, fields.len());
            let message =
                format!("a `{section}` line has {columns} fields after the section, this one has {given}");
            let help = "a comma inside a field needs quotes";
            self.report("wrong-number-of-fields", record.at.clone(), message, help);
            return;
        }
        if !self.is_new(record) {
            return;
        }
        if policy == Some(self.definitions.policy) {
            let cells = fields.iter().map(|field| self.text(&field.text)).collect();
            self.lines.push(Placed { cells, fields: fields.to_vec(), at: record.at.clone() });
        } else if let Some(role) = role {
            self.link(role, fields);
        }
    }

    fn unknown_section(&mut self, section: &Field) {
        let known: Vec<&str> = self
            .definitions
            .policies
            .iter()
            .map(|policy| policy.key.as_str())
            .chain(self.definitions.roles.iter().map(|role| role.key.as_str()))
            .collect();
        let help = match did_you_mean(&section.text.to_lowercase(), known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the model defines {}", known.join(", ")),
        };
        self.report(
            "unknown-section",
            section.at.clone(),
            format!("unknown section `{}`", section.text),
            help,
        );
    }

    /// Whether a line stands here for the first time. Casbin takes a line for known if its fields,
    /// joined by commas, are.
    fn is_new(&mut self, record: &Record) -> bool {
        let texts: Vec<String> = record.fields.iter().map(|field| field.text.clone()).collect();
        match self.seen.get(&texts.join(",")) {
            None => {
                self.seen.insert(texts.join(","), texts);
                true
            }
            Some(known) => {
                if *known != texts {
                    let message = "Casbin takes this line for one before it, with commas elsewhere";
                    self.report("look-alike-line", record.at.clone(), message, "use no commas inside fields");
                }
                false
            }
        }
    }

    fn link(&mut self, role: usize, fields: &[Field]) {
        let Some(RoleDefinition { shape, has_conditions, .. }) = self.definitions.roles.get(role) else {
            return;
        };
        let mut fields = fields.iter();
        let (Some(member), Some(above)) = (fields.next(), fields.next()) else { return };
        let domain_field = if shape.has_domains { fields.next() } else { None };
        let domain = domain_field.map_or("", |field| &field.text);
        let condition = if *has_conditions {
            let (after, before) = (fields.next(), fields.next());
            Some(Condition { after: self.time(after), before: self.time(before) })
        } else {
            None
        };
        if self.doubts_patterns {
            let names = [member, above].into_iter().filter(|_| shape.matching.is_none());
            let domains = domain_field.filter(|_| shape.domain_matching.is_none());
            for field in names.chain(domains).filter(|field| looks_like_pattern(&field.text)) {
                self.doubt(field);
            }
        }
        if let Some(graph) = self.graphs.get_mut(role) {
            graph.link(&member.text, &above.text, domain, condition);
        }
        if let Some(links) = self.links.get_mut(role) {
            links.push((member.text.clone(), above.text.clone(), domain.to_owned()));
        }
    }

    /// By themselves names of roles are no patterns, in Go as here: a line that was written for a
    /// function which nobody named would silently give nothing.
    fn doubt(&mut self, field: &Field) {
        let message = format!("`{}` looks like a pattern, and nothing says what it matches", field.text);
        let help = "`--role-matching g=keyMatch2` or `--domain-matching g=keyMatch` says it, `--literal-names` that it is none";
        self.report("role-pattern", field.at.clone(), message, help);
    }

    /// A time of a conditional role; `None` for `_`.
    fn time(&mut self, field: Option<&Field>) -> Option<DateTime> {
        let field = field.filter(|field| field.text != "_")?;
        let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", &field.text).ok();
        if time.is_none() || field.text.len() != 19 {
            let message = format!("`{}` is not a time", field.text);
            self.report(
                "not-a-time",
                field.at.clone(),
                message,
                "write `2026-12-31 18:00:00` in UTC, or `_`",
            );
        }
        time
    }

    /// Puts lines in the order in which they speak.
    fn sort(&mut self) {
        let Some(policy) = self.definitions.policies.get(self.definitions.policy) else { return };
        if self.definitions.is_by_subject {
            let domain = policy.column("dom");
            let Some(g) = self.definitions.roles.iter().position(|role| role.key == "g") else {
                self.report("missing-definition", 0..0, "priority by subject needs `g`", "define `g = _, _`");
                return;
            };
            match order::depths(self.links.get(g).map_or(&[], Vec::as_slice)) {
                Ok(depths) => {
                    let cell = |placed: &Placed, column: usize| {
                        placed.cells.get(column).map_or(String::new(), ToString::to_string)
                    };
                    order::by_subject(&mut self.lines, &depths, |placed| {
                        (domain.map_or(String::new(), |column| cell(placed, column)), cell(placed, 0))
                    });
                }
                Err(NoOrder::Circle(name)) => {
                    let message = format!("`{name}` is in a circle of roles, so that subjects have no order");
                    self.report("role-cycle", 0..0, message, "remove one of the links");
                }
                Err(NoOrder::Ambiguous(name)) => {
                    let message = format!("`{name}` is at different depths below two roots");
                    let help =
                        "Casbin's order then changes from run to run: give it one root, or equal depths";
                    self.report("ambiguous-order", 0..0, message, help);
                }
            }
        }
        if let Some(column) = policy.column("priority") {
            let number = |placed: &Placed| placed.cells.get(column).and_then(|cell| cell.parse::<i64>().ok());
            let wrong: Vec<Field> = self
                .lines
                .iter()
                .filter(|placed| number(placed).is_none())
                .filter_map(|placed| placed.fields.get(column).cloned())
                .collect();
            for field in wrong {
                let message = format!("`{}` is not a priority", field.text);
                let help = "a priority is a whole number; the lowest speaks first";
                self.report("not-a-priority", field.at, message, help);
            }
            self.lines.sort_by_cached_key(number);
        }
    }

    /// Finishes graphs after their last link.
    fn settle(&mut self) {
        let definitions = self.definitions;
        let mut graphs = std::mem::take(&mut self.graphs);
        for (graph, role) in graphs.iter_mut().zip(&definitions.roles) {
            match graph.settle() {
                Ok(()) => {}
                Err(GraphProblem::TooManyNames) => {
                    let message =
                        format!("`{}` has more than {MAX_PATTERN_NAMES} names that are patterns", role.key);
                    self.report("too-much", 0..0, message, "match names in the matcher instead");
                }
                Err(GraphProblem::NotAPattern { name, why }) => {
                    let message = format!("`{name}` in `{}` is not a pattern", role.key);
                    self.report("not-a-pattern", 0..0, message, why);
                }
            }
            // Go looks for circles where there are no domains.
            if !role.shape.has_domains {
                let mut names: Vec<String> = graph.on_a_circle().into_iter().collect();
                names.sort();
                if let Some(first) = names.first() {
                    let message =
                        format!("roles of `{}` go round in a circle: {}", role.key, names.join(", "));
                    let at = self.place_of_link(&role.key, first);
                    self.report("role-cycle", at, message, "remove one of the links");
                }
            }
        }
        self.graphs = graphs;
    }

    /// Where a link of `member` stands, as far as the text tells.
    fn place_of_link(&self, section: &str, member: &str) -> Range<usize> {
        let (records, _) = lines::read(self.source);
        let found = records.into_iter().find(|record| {
            let mut fields = record.fields.iter().map(|field| field.text.as_str());
            fields.next() == Some(section) && fields.next() == Some(member)
        });
        found.map_or(0..0, |record| record.at)
    }

    /// The lines with what they bring for the matcher; and per slot, whether its rules never fail.
    fn lines(
        &mut self,
        matcher: &Matcher,
        names: Names<'_>,
        objects: &mut BTreeSet<usize>,
    ) -> (Vec<Line>, Vec<bool>) {
        let effect_column =
            self.definitions.policies.get(self.definitions.policy).and_then(|policy| policy.column("eft"));
        let mut are_sure = vec![true; matcher.wanted.len()];
        let placed = std::mem::take(&mut self.lines);
        let mut lines = Vec::with_capacity(placed.len());
        for Placed { cells, fields, at } in placed {
            if self.findings.len() >= MAX_FINDINGS {
                break;
            }
            let effect = effect_column.map_or(Some(Effect::Allow), |column| {
                let effect = cells.get(column).and_then(|cell| Effect::read(cell));
                if effect.is_none() {
                    let field = fields.get(column);
                    let message = format!("`{}` is not an effect", field.map_or("", |field| &field.text));
                    let at = field.map_or(at.clone(), |field| field.at.clone());
                    self.report("unknown-effect", at, message, "write `allow` or `deny`");
                }
                effect
            });
            let mut slots = Vec::with_capacity(matcher.wanted.len());
            for (wanted, is_sure) in matcher.wanted.iter().zip(&mut are_sure) {
                match self.slot(*wanted, names, &cells, objects) {
                    Ok(slot) => {
                        if let Slot::Rule(rule) = &slot {
                            *is_sure &= sure(rule, &|_| false) == Some(Type::Truth);
                        }
                        slots.push(slot);
                    }
                    Err(problem) => {
                        let (Wanted::Pattern(_, column) | Wanted::Rule(column)) = *wanted;
                        self.cell_problem(fields.get(column), problem);
                    }
                }
            }
            if let Some(effect) = effect {
                lines.push(Line { cells: cells.into(), slots: slots.into(), effect });
            }
        }
        (lines, are_sure)
    }

    fn cell_problem(&mut self, field: Option<&Field>, problem: Problem) {
        let Some(field) = field else { return };
        let at = if field.is_verbatim && problem.at.end <= field.text.len() && !problem.at.is_empty() {
            field.at.start + problem.at.start..field.at.start + problem.at.end
        } else {
            field.at.clone()
        };
        self.report(problem.code, at, problem.message, problem.help);
    }

    fn slot(
        &mut self,
        wanted: Wanted,
        names: Names<'_>,
        cells: &[Arc<str>],
        objects: &mut BTreeSet<usize>,
    ) -> Result<Slot, Problem> {
        match wanted {
            Wanted::Rule(column) => {
                let cell = cells.get(column).cloned().unwrap_or_default();
                let (rule, read) = syntax::rule(&cell, names, cells)?;
                objects.extend(read);
                Ok(Slot::Rule(Arc::new(rule)))
            }
            Wanted::Pattern(function, column) => {
                let cell = cells.get(column).cloned().unwrap_or_default();
                self.patterns.compiled(function, &cell).map(Slot::Pattern)
            }
        }
    }

    /// What the matcher is held against where there is no line: every cell is empty.
    fn empty_line(&mut self, matcher: &Matcher) -> Line {
        let columns = self.definitions.policies.get(self.definitions.policy).map_or(0, |p| p.columns.len());
        let slots = matcher.wanted.iter().map(|wanted| match wanted {
            Wanted::Pattern(function, _) => {
                function.pattern("").map_or(Slot::None, |pattern| Slot::Pattern(Arc::new(pattern)))
            }
            Wanted::Rule(_) => Slot::None,
        });
        let cells: Vec<Arc<str>> = vec![Arc::from(""); columns];
        Line { cells: cells.into(), slots: slots.collect(), effect: Effect::Allow }
    }
}

/// Whether a name looks like a pattern of the `keyMatch` family: `*`, `/:name`, `{name}`.
fn looks_like_pattern(name: &str) -> bool {
    name.contains(['*', '{']) || name.contains("/:")
}
