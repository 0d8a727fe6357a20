//! Lints: what loads, and is probably not what its authors meant.
//!
//! [`lint()`] looks at a policy that has loaded and says what its lines come to: grants that another
//! line gives already, lines that no request can match, grants wider than the catalogue is careful,
//! systems and resources that nothing reaches. Every lint is one row of [`known::ALL`]; some are
//! found by the loader, which warns of them wherever a policy is loaded.
//!
//! INVARIANT: a line that [`known::DUPLICATE_GRANT`], [`known::SHADOWED_GRANT`],
//! [`known::OVERRULED_GRANT`], [`known::NEVER_MATCHES`] or [`known::IDLE_DENY`] names can be removed, alone or
//! with all others that they name, and every request whose token names no grants is decided with the same fields,
//! treatments and row duties, at any time. They may overlook a line; they name none wrongly.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::catalog::Catalog;
use crate::kernel::diagnostic::{Diagnostic, Report, Severity, Source};
use crate::kernel::id::GrantId;
use crate::kernel::time::Timestamp;
use crate::policy::Policy;

pub mod known;
pub mod level;

mod dead;
mod facts;
mod places;
mod reached;
mod redundant;
mod source;
mod unused;
mod width;

use facts::Facts;
use known::Lint;
use places::Places;

/// The most findings of one lint that are shown.
pub const MAX_SHOWN: usize = 200;

/// The files that findings are placed in.
#[derive(Debug, Clone, Copy)]
pub struct PolicySources<'i> {
    /// `grants.csv`.
    pub grants: &'i Source,
    /// `catalog.toml`.
    pub catalog: &'i Source,
    /// `registry.toml`.
    pub registry: &'i Source,
    /// `purposes.toml`.
    pub purposes: &'i Source,
    /// `masks.toml`.
    pub masks: &'i Source,
}

/// All that lints look at.
#[derive(Debug, Clone, Copy)]
pub struct LintInput<'i> {
    /// The policy, as it was loaded from the sources.
    pub policy: &'i Policy,
    /// The catalogue that it speaks of.
    pub catalog: &'i Catalog,
    /// Where to point.
    pub sources: PolicySources<'i>,
    /// The grants that `limits.toml` lists by name: each holds something down, whatever else is granted.
    pub limited: &'i BTreeSet<GrantId>,
    /// The instant by which windows have ended.
    pub now: Timestamp,
}

/// Looks for every lint of [`known::Stage::Check`], each finding at its lint's own level.
#[must_use]
pub fn lint(input: &LintInput<'_>) -> Report {
    let facts = Facts::new(input.policy, input.catalog, input.now);
    let mut findings =
        Findings { places: Places::new(input.sources), shown: Vec::new(), counts: BTreeMap::new() };
    dead::find(&facts, &mut findings);
    let overruled = redundant::find(&facts, input.limited, &mut findings);
    width::find(&facts, &mut findings);
    reached::find(&facts, &overruled, input.catalog, &mut findings);
    source::find(input.catalog, &mut findings);
    unused::find(&facts, input.catalog, &mut findings);
    findings.into_report()
}

/// What was found so far.
#[derive(Debug)]
struct Findings<'i> {
    places: Places<'i>,
    shown: Vec<Diagnostic>,
    /// How many there were of each lint, and the file of its first.
    counts: BTreeMap<&'static str, (&'static Lint, &'i Source, usize)>,
}

/// Where a finding is and what it says.
struct Finding {
    span: Range<usize>,
    message: String,
    help: String,
}

impl<'i> Findings<'i> {
    /// Adds a finding about `source`; `say` is asked only while there is room.
    fn add(&mut self, lint: &'static Lint, source: &'i Source, say: impl FnOnce(&Places<'i>) -> Finding) {
        let (_, _, count) = self.counts.entry(lint.name).or_insert((lint, source, 0));
        *count += 1;
        if *count <= MAX_SHOWN {
            let Finding { span, message, help } = say(&self.places);
            self.shown.push(Diagnostic::of(severity(lint), lint.name, source, span, message).help(help));
        }
    }

    /// Adds a finding about a whole line of `grants.csv`.
    fn about_line(&mut self, lint: &'static Lint, line: usize, message: String, help: String) {
        let grants = self.places.sources.grants;
        self.add(lint, grants, |places| Finding { span: places.line(line), message, help });
    }

    fn into_report(self) -> Report {
        let mut report = Report::new();
        let PolicySources { grants, catalog, registry, purposes, masks } = self.places.sources;
        for source in [grants, catalog, registry, purposes, masks] {
            report.add_source(source);
        }
        self.shown.into_iter().for_each(|finding| report.push(finding));
        for (name, (lint, source, count)) in self.counts {
            if let more @ 1.. = count.saturating_sub(MAX_SHOWN) {
                let message = format!("{more} more findings of this lint are not shown");
                let finding = Diagnostic::of(severity(lint), name, source, 0..0, message);
                report.push(finding.help("mend those that are shown, and check again"));
            }
        }
        report
    }
}

fn severity(lint: &Lint) -> Severity {
    lint.default.severity().unwrap_or(Severity::Note)
}

/// `` `a` ``, or `` `a` and 3 more ``.
fn first_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let first = names.next().unwrap_or_default();
    match names.count() {
        0 => format!("`{first}`"),
        more => format!("`{first}` and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    mod sound;
}
