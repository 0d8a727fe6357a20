//! A test run for machines.

use serde::Serialize;

use super::{Outcome, Run};
use crate::cli::{CommandError, Screen};
use crate::proxy::problem::Code;
use crate::review::case::{Case, Comparison};
use crate::review::coverage::Line;

#[derive(Debug, Serialize)]
struct ListJson<'r> {
    tests: Vec<NamedJson<'r>>,
}

#[derive(Debug, Serialize)]
struct NamedJson<'r> {
    file: &'r str,
    line: usize,
    name: &'r str,
}

#[derive(Debug, Serialize)]
struct RunJson<'r> {
    ok: bool,
    passed: usize,
    failed: usize,
    tests: Vec<TestJson<'r>>,
    coverage: CoverageJson<'r>,
}

#[derive(Debug, Serialize)]
struct TestJson<'r> {
    #[serde(flatten)]
    named: NamedJson<'r>,
    passed: bool,
    at: String,
    /// The code that a caller gets; `None` if it is allowed.
    code: Option<&'static str>,
    compared: Vec<ComparedJson<'r>>,
}

#[derive(Debug, Serialize)]
struct ComparedJson<'r> {
    key: &'static str,
    holds: bool,
    expected: &'r str,
    actual: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    difference: &'r str,
}

#[derive(Debug, Serialize)]
struct CoverageJson<'r> {
    ok: bool,
    lines: usize,
    exercised: usize,
    percent: usize,
    missed: Vec<MissedJson<'r>>,
}

#[derive(Debug, Serialize)]
struct MissedJson<'r> {
    grant: &'r str,
    line: usize,
    effect: &'static str,
}

/// Every case with its place.
pub(super) fn list(cases: &[&Case], screen: &mut Screen<'_>) -> Result<(), CommandError> {
    screen.json(&ListJson { tests: cases.iter().map(|case| named(case)).collect() })
}

/// Every case and what came of it.
pub(super) fn run(run: &Run<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let failed = run.failures().count();
    screen.json(&RunJson {
        ok: failed == 0 && run.is_covered(),
        passed: run.outcomes.len() - failed,
        failed,
        tests: run.outcomes.iter().map(test).collect(),
        coverage: CoverageJson {
            ok: run.is_covered(),
            lines: run.coverage.lines.len(),
            exercised: run.coverage.exercised(),
            percent: run.coverage.percent(),
            missed: run.coverage.missed().map(missed).collect(),
        },
    })
}

fn named(case: &Case) -> NamedJson<'_> {
    NamedJson { file: &case.file, line: case.line, name: &case.name }
}

fn test<'r>(outcome: &'r Outcome<'_>) -> TestJson<'r> {
    TestJson {
        named: named(outcome.case),
        passed: outcome.passed(),
        at: outcome.case.at.to_string(),
        code: outcome.code.map(Code::as_str),
        compared: outcome.compared.iter().map(compared).collect(),
    }
}

fn compared(comparison: &Comparison) -> ComparedJson<'_> {
    let Comparison { key, expected, actual, difference, holds } = comparison;
    ComparedJson { key, holds: *holds, expected, actual, difference }
}

fn missed(line: &Line) -> MissedJson<'_> {
    MissedJson { grant: line.grant.as_str(), line: line.line, effect: line.effect.as_str() }
}
