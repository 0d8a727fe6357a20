//! From files to a policy: every line held against the catalogue, all errors at once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::calendar::Calendar;
use super::csv::{self, Cell, MAX_FINDINGS, Place};
use super::enforcer::gate::Gate;
use super::model::{Model, Path};
use super::problem::Problem;
use super::roles::Node;
use super::scope::Scope;
use super::table::Table;
use super::terms::Grant;
use super::vocabulary::Vocabulary;
use super::window::{Frame, Window};
use super::{Policy, oracle};
use crate::catalog::Catalog;
use crate::grant::Effect;
use crate::kernel::diagnostic::{Diagnostic, Report, Source};
use crate::kernel::id::{GrantId, MaskerName};
use crate::kernel::time::{TimeZone, Timestamp};

mod grants;
mod groups;
mod notices;
mod scopes;

/// All that a policy is made of.
#[derive(Debug, Clone)]
pub struct PolicyInput<'i> {
    /// `model.conf`.
    pub model: &'i Source,
    /// `grants.csv`.
    pub grants: &'i Source,
    /// Departments, systems, purposes and resources.
    pub catalog: &'i Catalog,
    /// Holidays and make-up workdays.
    pub calendar: &'i Calendar,
    /// The zone that dates and hours are read in.
    pub zone: TimeZone,
    /// The maskers that scopes may name.
    pub maskers: &'i BTreeSet<MaskerName>,
    /// The instant to warn about expiry by.
    pub now: Timestamp,
}

impl Policy {
    /// Loads a policy, or says everything that keeps it from loading. Warnings never keep it.
    #[must_use]
    pub fn load(input: PolicyInput<'_>) -> (Option<Self>, Report) {
        let (source, now) = (input.grants, input.now);
        let (compiled, mut report) = Self::compile(input);
        let Some((policy, model)) = compiled else { return (None, report) };
        let is_judged = policy.changed.as_ref().is_none_or(|gate| gate.is_plain());
        if is_judged && let Err(error) = oracle::self_test(&policy, &model, now) {
            report.push(
                Diagnostic::error("self-test-failed", source, 0..0, error.to_string())
                    .help("nothing is wrong with the file: report this with the policy directory"),
            );
            return (None, report);
        }
        (Some(policy), report)
    }

    /// Loads a policy that nobody is judged by: an edit that is tried out. It is not held against
    /// casbin.
    pub(super) fn draft(input: PolicyInput<'_>) -> Option<Self> {
        Self::compile(input).0.map(|(policy, _)| policy)
    }

    fn compile(input: PolicyInput<'_>) -> (Option<(Self, Model)>, Report) {
        let mut report = Report::new();
        report.add_source(input.model);
        report.add_source(input.grants);
        let model = match Model::read(input.model) {
            Ok(model) => {
                refuse_foreign(&model, input.model, &mut report);
                Some(model)
            }
            Err(findings) => {
                findings.into_iter().for_each(|finding| report.push(finding));
                None
            }
        };
        let PolicyInput { grants: source, catalog, calendar, zone, maskers, now, .. } = input;
        let (roles, places, findings) = csv::outline(source);
        let frame = Frame { zone, calendar: Arc::new(calendar.clone()) };
        let mut loader = Loader::new(source, catalog, maskers, frame, findings);
        loader.groups(&roles);
        loader.vocabulary.settle(catalog);
        let grants = loader.grants(&places);
        loader.notices(&places, &grants, now);
        loader.conclude();
        let table = Table::build(&loader.vocabulary, &grants);
        let Loader { findings, mut vocabulary, frame, .. } = loader;
        findings.into_iter().for_each(|finding| report.push(finding));
        let table = match table {
            Ok(table) => table,
            Err(error) => {
                report.push(Diagnostic::error("policy-too-large", source, 0..0, error.to_string()));
                return (None, report);
            }
        };
        vocabulary.keep_named(&table);
        let Some(model) = model.filter(|_| !report.has_errors()) else { return (None, report) };
        let mut policy = Self::new(frame, vocabulary, grants, table);
        if model.path() == Path::Changed
            && let Err(findings) = policy.change(&model, (input.model, source))
        {
            findings.into_iter().for_each(|finding| report.push(finding));
            return (None, report);
        }
        (Some((policy, model)), report)
    }

    /// Decides by the matcher and effect of `model` from now on.
    fn change(&mut self, model: &Model, sources: (&Source, &Source)) -> Result<(), Vec<Diagnostic>> {
        let links = (self.vocabulary.subjects.links().collect(), self.vocabulary.themes.links().collect());
        let lines = self.grants.iter().map(|grant| (grant.line, grant.texts()));
        self.changed = Some(Box::new(Gate::read(model, sources, links, lines)?));
        Ok(())
    }
}

fn refuse_foreign(model: &Model, source: &Source, report: &mut Report) {
    let Path::Foreign { differs, key, shipped } = model.path() else { return };
    let message = format!("this model cannot gate traffic: its `{key}` is not the shipped model's");
    let help = match shipped {
        Some(shipped) => format!("to gate traffic write `{key} = {shipped}`"),
        None => format!("to gate traffic remove `{key}`"),
    };
    report.push(Diagnostic::error("model-not-served", source, differs, message).help(help));
}

/// A policy being loaded.
struct Loader<'i> {
    source: &'i Source,
    catalog: &'i Catalog,
    maskers: &'i BTreeSet<MaskerName>,
    frame: Frame,
    vocabulary: Vocabulary,
    findings: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    /// Grants read so far, by id, with their lines.
    ids: HashMap<GrantId, usize>,
    /// Scopes and windows read so far, by their text.
    scopes: HashMap<String, Arc<Scope>>,
    windows: HashMap<(String, Effect), Arc<Window>>,
    /// Scopes already held against a resource or theme without any finding.
    fitting: HashSet<(Node, Effect, String)>,
}

impl<'i> Loader<'i> {
    fn new(
        source: &'i Source,
        catalog: &'i Catalog,
        maskers: &'i BTreeSet<MaskerName>,
        frame: Frame,
        findings: Vec<Diagnostic>,
    ) -> Self {
        let errors = findings.len();
        Self {
            source,
            catalog,
            maskers,
            frame,
            vocabulary: Vocabulary::new(catalog),
            findings,
            errors,
            warnings: 0,
            ids: HashMap::new(),
            scopes: HashMap::new(),
            windows: HashMap::new(),
            fitting: HashSet::new(),
        }
    }

    fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors += 1;
        if self.errors <= MAX_FINDINGS {
            self.findings.push(Diagnostic::error(code, self.source, span, message).help(help));
        }
    }

    fn warning(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.warnings += 1;
        if self.warnings <= MAX_FINDINGS {
            self.findings.push(Diagnostic::warning(code, self.source, span, message).help(help));
        }
    }

    /// Says how much is not said.
    fn conclude(&mut self) {
        let more = self.warnings.saturating_sub(MAX_FINDINGS);
        if more > 0 {
            let message = format!("{more} more warnings are not shown");
            self.findings.push(Diagnostic::warning("more-warnings", self.source, 0..0, message));
        }
        if self.errors >= MAX_FINDINGS {
            let message = format!("only the first {MAX_FINDINGS} errors are shown");
            self.findings.push(Diagnostic::error("too-much", self.source, 0..0, message));
        }
    }

    fn problems(&mut self, cell: &Cell, problems: Vec<Problem>) {
        for Problem { code, at, message, help } in problems {
            self.error(code, cell.place(at), message, help);
        }
    }

    /// Whether so much is wrong that looking further helps nobody.
    fn has_seen_enough(&self) -> bool {
        self.errors >= MAX_FINDINGS
    }

    fn grants(&mut self, places: &[Place]) -> Vec<Grant> {
        let mut grants = Vec::with_capacity(places.len());
        for place in places {
            if self.has_seen_enough() {
                break;
            }
            if let Some(row) = csv::again(self.source, place) {
                grants.extend(self.grant(&row));
            }
        }
        grants
    }
}
