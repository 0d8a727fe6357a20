//! A test run on a terminal.

use super::{Outcome, Run};
use crate::cli::explain::show_line;
use crate::cli::screen::Tone;
use crate::cli::source::quoted;
use crate::cli::table::{Table, plain, shown, toned};
use crate::cli::{CommandError, Screen};
use crate::grant::{Decision, Effect};
use crate::review::case::{Case, Comparison};

/// How many lines that came near are shown of one failure.
const NEAREST: usize = 2;

/// Every case with its place.
pub(super) fn list(cases: &[&Case], screen: &mut Screen<'_>) -> Result<(), CommandError> {
    for case in cases {
        let place = screen.paint(Tone::Faint, &shown(&format!("{}:{}:", case.file, case.line)));
        screen.line(format!("{place} {}", shown(&case.name)))?;
    }
    screen.aside(tests(cases.len()))
}

/// A line for each file, every failure in full, and what it comes to.
pub(super) fn run(run: &Run<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let mut table = Table::default();
    for (file, outcomes) in run.by_file() {
        let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
        let verdict = if failed == 0 { toned(Tone::Good, "PASS") } else { toned(Tone::Bad, "FAIL") };
        let count = match failed {
            0 => tests(outcomes.len()),
            failed => format!("{}, {failed} failed", tests(outcomes.len())),
        };
        table.row([verdict, plain(file), plain(count)]);
    }
    table.lines(screen, 0).into_iter().try_for_each(|line| screen.line(line))?;
    for outcome in run.failures() {
        screen.line("")?;
        failure(run, outcome, screen)?;
    }
    coverage(run, screen)?;
    summary(run, screen)
}

fn tests(number: usize) -> String {
    if number == 1 { "1 test".to_owned() } else { format!("{number} tests") }
}

fn failure(run: &Run<'_>, outcome: &Outcome<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let case = outcome.case;
    let (word, name) = (screen.paint(Tone::Bad, "FAIL"), shown(&case.name));
    screen.line(format!("{word} {}", screen.paint(Tone::Strong, &name)))?;
    screen.line(format!("  {}:{}", shown(&case.file), case.line))?;
    screen.line(format!("  {}", shown(&question(case))))?;
    let mut table = Table::default();
    let title = |text: &str| toned(Tone::Faint, text);
    table.row([plain(""), title(""), title("expected"), title("actual")]);
    for Comparison { key, expected, actual, difference, holds } in &outcome.compared {
        let (mark, tone) = if *holds { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
        let key = if *holds { plain(*key) } else { toned(Tone::Bad, *key) };
        table.row([toned(tone, mark), key, plain(expected.as_str()), plain(actual.as_str())]);
        if !difference.is_empty() {
            table.row([plain(""), plain(""), toned(Tone::Doubtful, difference.as_str())]);
        }
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
    nearest(run, outcome, screen)?;
    let word = screen.paint(Tone::Strong, "look further:");
    screen.line(format!("  {word} {}", shown(&look_further(run, case))))
}

fn question(case: &Case) -> String {
    let request = &case.request;
    let at = &case.at_text;
    format!("{} may {} {} for {} at {at}?", request.system, request.action, request.resource, request.purpose)
}

/// The lines that decided, and of a refusal those that came nearest to allowing.
fn nearest(run: &Run<'_>, outcome: &Outcome<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let case = outcome.case;
    let explanation = run.loaded.policy.explain(&case.request.query(&case.department), case.at);
    let allowed = matches!(explanation.decision, Decision::Permit(_));
    let mut others = 0;
    for held in &explanation.held {
        if !held.matches {
            if allowed || others == NEAREST || held.effect == Effect::Deny {
                continue;
            }
            others += 1;
        }
        screen.line("")?;
        show_line(held, &[], screen)?;
    }
    if explanation.held.is_empty() {
        screen.line("  no line of grants.csv gives this system anything of this resource")?;
    } else {
        screen.line("")?;
    }
    Ok(())
}

/// The command line that explains a case in full.
pub(super) fn look_further(run: &Run<'_>, case: &Case) -> String {
    let request = &case.request;
    let mut words = vec!["pinegate".to_owned(), "explain".to_owned()];
    words.extend(run.args.source.flags());
    let mut flag = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    flag("--system", request.system.as_str());
    flag("--resource", request.resource.as_str());
    flag("--action", request.action.as_str());
    flag("--purpose", request.purpose.as_str());
    if !request.fields.is_empty() {
        flag("--fields", &request.fields.join("|"));
    }
    for (name, values) in &request.parameters {
        values.iter().for_each(|value| flag("--param", &format!("{name}={value}")));
    }
    request.narrowed_to.iter().flatten().for_each(|grant| flag("--grant", grant.as_str()));
    flag("--at", &case.at_text);
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn coverage(run: &Run<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let is_wanted = run.args.coverage || !run.is_covered();
    if !is_wanted || run.coverage.missed().next().is_none() {
        return Ok(());
    }
    let grants = run.loaded.files.grants();
    screen.line(format!("\nno test exercises these lines of {}:", shown(&grants.name)))?;
    let mut table = Table::default();
    let mut lines = grants.text.lines().enumerate();
    for missed in run.coverage.missed() {
        // Lines ascend, so that the text is walked through once.
        let text = lines.find(|(index, _)| index + 1 == missed.line).map_or("", |(_, text)| text);
        let number = format!("{:>4}", missed.line);
        table.row([toned(Tone::Faint, number), plain(text)]);
    }
    table.lines(screen, 1).into_iter().try_for_each(|line| screen.line(line))
}

fn summary(run: &Run<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let failed = run.failures().count();
    let passed = run.outcomes.len() - failed;
    let verdict = if failed == 0 {
        screen.paint(Tone::Good, &format!("{passed} passed"))
    } else {
        format!("{passed} passed, {}", screen.paint(Tone::Bad, &format!("{failed} failed")))
    };
    let (exercised, lines) = (run.coverage.exercised(), run.coverage.lines.len());
    screen.line(format!("\n{}: {verdict}", tests(run.outcomes.len())))?;
    let share =
        format!("{exercised} of {lines} lines of grants.csv are exercised ({}%)", run.coverage.percent());
    match run.args.min_coverage.filter(|_| !run.is_covered()) {
        Some(percent) => screen.line(screen.paint(Tone::Bad, &format!("{share}, fewer than {percent}%"))),
        None => screen.line(share),
    }
}
