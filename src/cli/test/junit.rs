//! A test run in JUnit's form, as Jenkins and GitLab read it.
//!
//! There is no standard; what is written is what both take: suites with counts, a suite for each
//! file, cases with `name`, `classname`, `file`, `line`, and a failure with a message and a text.

use std::io;
use std::path::Path;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::show::look_further;
use super::{Outcome, Run};
use crate::review::case::Comparison;

/// The report as XML.
pub(super) fn report(run: &Run<'_>) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let attributes = counts("pinegate test", &run.outcomes);
    writer.create_element("testsuites").with_attributes(pairs(&attributes)).write_inner_content(
        |writer| {
            for (file, outcomes) in run.by_file() {
                let attributes = counts(file, outcomes);
                let suite = writer.create_element("testsuite").with_attributes(pairs(&attributes));
                suite.write_inner_content(|writer| {
                    outcomes.iter().try_for_each(|outcome| case(run, outcome, writer))
                })?;
            }
            Ok(())
        },
    )?;
    let mut report = writer.into_inner();
    report.push(b'\n');
    Ok(report)
}

type Attributes = Vec<(&'static str, String)>;

fn pairs(attributes: &Attributes) -> impl Iterator<Item = (&str, &str)> {
    attributes.iter().map(|(name, value)| (*name, value.as_str()))
}

fn counts(name: &str, outcomes: &[Outcome<'_>]) -> Attributes {
    let failures = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    vec![
        ("name", allowed(name)),
        ("tests", outcomes.len().to_string()),
        ("failures", failures.to_string()),
        ("errors", "0".to_owned()),
    ]
}

fn case(run: &Run<'_>, outcome: &Outcome<'_>, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
    let case = outcome.case;
    let stem = Path::new(&*case.file).file_stem().unwrap_or_default().to_string_lossy();
    let attributes = vec![
        ("name", allowed(&case.name)),
        ("classname", allowed(&stem)),
        ("file", allowed(&case.file)),
        ("line", case.line.to_string()),
    ];
    let element = writer.create_element("testcase").with_attributes(pairs(&attributes));
    if outcome.passed() {
        return element.write_empty().map(drop);
    }
    let failed: Vec<String> =
        outcome.compared.iter().filter(|comparison| !comparison.holds).map(difference).collect();
    let text = format!("{}\n\n{}\n", failed.join("\n"), look_further(run, case));
    let attributes = vec![
        ("message", allowed(failed.first().map_or("", String::as_str))),
        ("type", "expectation".to_owned()),
    ];
    element
        .write_inner_content(|writer| {
            let failure = writer.create_element("failure").with_attributes(pairs(&attributes));
            failure.write_text_content(BytesText::new(&allowed(&text))).map(drop)
        })
        .map(drop)
}

fn difference(comparison: &Comparison) -> String {
    let Comparison { key, expected, actual, difference, .. } = comparison;
    let difference = if difference.is_empty() { String::new() } else { format!(" ({difference})") };
    format!("{key}: expected {expected}, actual {actual}{difference}")
}

/// `text` without the characters that XML 1.0 does not have at all, escaped or not.
fn allowed(text: &str) -> String {
    let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is_char(c) { c } else { '\u{fffd}' }).collect()
}
