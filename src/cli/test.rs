//! `pinegate test`: does the policy decide what its tests say?

mod json;
mod junit;
mod show;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::findings::{self, To};
use super::source::SourceArgs;
use super::{CommandError, Exit, Screen, verdict};
use crate::app::load::LoadedPolicy;
use crate::kernel::diagnostic::{Diagnostic, Report, Source};
use crate::kernel::time::Clock;
use crate::proxy::problem::Code;
use crate::review::case::{self, Case, Comparison, Known, compare};
use crate::review::coverage::{Coverage, rests_on};
use crate::snapshot::cases;

/// Run the policy's own tests
///
/// Decides the request of every case in `tests/*.toml` of the policy directory as the gate would, at
/// the time the case names, and holds the decision against what the case expects: allowed or refused,
/// by which grants, which fields leave clear, masked or not at all, which code a caller gets. Then says
/// which lines of grants.csv no passing case rests on. The format is in docs/policy-files.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate test                          the tests of the policy that config/gateway.toml names
  pinegate test --policies policies      a policy directory alone, as in its repository's CI
  pinegate test review/2026-07.toml      those, and tests of a change under review
  … --filter 社会救助                    only those with this in their name or file
  … --coverage                           show the lines that no test exercises
  … --min-coverage 100                   and fail if there is one
  … --junit report.xml                   as Jenkins and GitLab read it
  … --json | jq '.tests[] | select(.passed | not)'

Exit codes: 0 all passed, 1 a test failed or too few lines are exercised, 64 the policy or a test file
does not load.")]
pub(super) struct TestArgs {
    /// Further test files, or directories of them
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests whose name or file has this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Show the tests without running them
    #[arg(long, conflicts_with_all = ["coverage", "min_coverage", "junit"])]
    list: bool,
    /// Show every line of grants.csv that no test exercises
    #[arg(long)]
    coverage: bool,
    /// Fail unless tests exercise this share of the lines of grants.csv
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write a report in JUnit's form
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A case that was run.
#[derive(Debug)]
struct Outcome<'r> {
    case: &'r Case,
    /// What was expected and what came of it.
    compared: Vec<Comparison>,
    /// The code that a caller would get; `None` if it is allowed.
    code: Option<Code>,
}

impl Outcome<'_> {
    fn passed(&self) -> bool {
        self.compared.iter().all(|comparison| comparison.holds)
    }
}

/// All that was run.
#[derive(Debug)]
struct Run<'r> {
    args: &'r TestArgs,
    loaded: &'r LoadedPolicy,
    /// By file and place.
    outcomes: Vec<Outcome<'r>>,
    coverage: Coverage,
}

impl<'r> Run<'r> {
    fn failures(&self) -> impl Iterator<Item = &Outcome<'r>> {
        self.outcomes.iter().filter(|outcome| !outcome.passed())
    }

    /// The outcomes of each file, in order.
    fn by_file(&self) -> impl Iterator<Item = (&str, &[Outcome<'r>])> {
        let same = |one: &Outcome<'_>, other: &Outcome<'_>| one.case.file == other.case.file;
        self.outcomes.chunk_by(same).filter_map(|chunk| Some((&*chunk.first()?.case.file, chunk)))
    }

    /// Whether enough lines are exercised.
    fn is_covered(&self) -> bool {
        self.args.min_coverage.is_none_or(|percent| self.coverage.reaches(percent))
    }
}

pub(super) fn run(args: &TestArgs, clock: &dyn Clock, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let loaded = args.source.origin().policy(clock, screen)?;
    let cases = match load(args, &loaded) {
        Ok(cases) => cases,
        Err(report) => {
            findings::show(&report, To::Aside, screen)?;
            return Err(CommandError::TestsDoNotLoad);
        }
    };
    let chosen = chosen(args, &cases)?;
    if args.list {
        if args.json {
            json::list(&chosen, screen)?
        } else {
            show::list(&chosen, screen)?
        }
        return Ok(Exit::Fine);
    }
    let run = decide(args, &loaded, &chosen);
    if let Some(path) = &args.junit {
        let report = junit::report(&run).map_err(|source| unwritable(path, source))?;
        std::fs::write(path, report).map_err(|source| unwritable(path, source))?;
    }
    if args.json {
        json::run(&run, screen)?
    } else {
        show::run(&run, screen)?
    }
    let is_fine = run.failures().next().is_none() && run.is_covered();
    Ok(if is_fine { Exit::Fine } else { Exit::Refused })
}

fn unwritable(path: &Path, source: std::io::Error) -> CommandError {
    CommandError::Unwritable { path: path.to_owned(), source }
}

/// Reads all test files: all errors at once.
fn load(args: &TestArgs, loaded: &LoadedPolicy) -> Result<Vec<Case>, Report> {
    let grants = &*loaded.files.grants().name;
    let directory = Path::new(grants).parent();
    let sources = cases::read(directory, &args.files)?;
    let codes: Vec<&'static str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let known = Known {
        catalog: &loaded.vocabulary.catalog,
        policy: &loaded.policy,
        maskers: &loaded.vocabulary.masker_names(),
        codes: &codes,
    };
    let mut report = Report::new();
    let mut cases = Vec::new();
    for source in &sources {
        let (found, findings) = case::read(source, known);
        cases.extend(found);
        report.merge(findings);
    }
    if sources.is_empty() {
        let place = directory.unwrap_or(Path::new("")).join(cases::DIRECTORY);
        let place = Source::new(&*place.to_string_lossy(), "");
        report.push(
            Diagnostic::error("no-cases", &place, 0..0, "there are no policy tests").help(
                "write the first into a file such as `tests/example.toml`; docs/policy-files.md says how",
            ),
        );
    }
    if report.has_errors() { Err(report) } else { Ok(cases) }
}

/// The cases that `--filter` leaves.
fn chosen<'c>(args: &TestArgs, cases: &'c [Case]) -> Result<Vec<&'c Case>, CommandError> {
    let Some(text) = &args.filter else { return Ok(cases.iter().collect()) };
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|case| case.name.contains(text.as_str()) || case.file.contains(text.as_str()))
        .collect();
    if chosen.is_empty() {
        // A run without a test must not pass for one that went well.
        return Err(CommandError::Unknown {
            given: text.clone(),
            what: "part of the name or file of any test",
            help: "`pinegate test --list` shows them all".to_owned(),
        });
    }
    Ok(chosen)
}

fn decide<'r>(args: &'r TestArgs, loaded: &'r LoadedPolicy, cases: &[&'r Case]) -> Run<'r> {
    let catalog = &loaded.vocabulary.catalog;
    let mut exercised = BTreeSet::new();
    let mut outcomes = Vec::new();
    for case in cases {
        let query = case.request.query(&case.department);
        let decision = loaded.policy.decide(&query, case.at);
        let code = verdict::code(catalog, &case.request, &decision);
        let compared = compare(&case.expected, &decision, code.map(Code::as_str));
        let outcome = Outcome { case, compared, code };
        if outcome.passed() {
            exercised.extend(rests_on(&loaded.policy, &query, case.at, &decision));
        }
        outcomes.push(outcome);
    }
    Run { args, loaded, outcomes, coverage: Coverage::of(&loaded.policy, &exercised) }
}
