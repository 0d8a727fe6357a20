//! Findings as SARIF 2.1.0 (Static Analysis Results Interchange Format, OASIS Standard, 2020), for code
//! hosts and tools that collect findings.
//!
//! Derived from a few structs: the format has hundreds of members, and these are the ones that
//! consumers read.

use std::collections::BTreeMap;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::cli::findings::Texts;
use crate::kernel::diagnostic::{Diagnostic, Report, Severity};
use crate::review::lint::known::{ALL, Lint};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const VERSION: &str = "2.1.0";

/// What stands in the path of a URI as it is (RFC 3986, section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A whole log, with one run.
#[derive(Debug, Serialize)]
pub(super) struct Log<'r> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'r>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'r> {
    tool: Tool,
    /// How columns count.
    column_kind: &'static str,
    results: Vec<Outcome<'r>>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_description: Option<Text<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_description: Option<Text<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Text<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<String>,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct Text<'t> {
    text: std::borrow::Cow<'t, str>,
}

impl<'t> Text<'t> {
    fn new(text: impl Into<std::borrow::Cow<'t, str>>) -> Self {
        Self { text: text.into() }
    }
}

/// One finding.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'r> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text<'r>,
    locations: [Location; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

impl<'r> Log<'r> {
    /// All findings of `report`, by file and place, and all lints as rules.
    pub(super) fn new(report: &'r Report) -> Self {
        let mut rules: Vec<Rule> = ALL.iter().copied().map(rule_of_lint).collect();
        let mut numbers: BTreeMap<&'static str, usize> =
            (0..).zip(ALL).map(|(at, lint)| (lint.name, at)).collect();
        let mut texts = Texts::new(report);
        let mut results = Vec::new();
        for finding in report.sorted() {
            let rule_index = *numbers.entry(finding.code).or_insert_with(|| {
                rules.push(rule_of_error(finding));
                rules.len() - 1
            });
            results.push(outcome(finding, rule_index, &mut texts));
        }
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let driver = Driver { name, version, semantic_version: version, rules };
        let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results };
        Self { schema: SCHEMA, version: VERSION, runs: [run] }
    }
}

fn rule_of_lint(lint: &'static Lint) -> Rule {
    let level = lint.default.severity().map_or("none", level);
    Rule {
        id: lint.name,
        short_description: Some(Text::new(lint.meaning)),
        full_description: Some(Text::new(lint.why)),
        help: Some(Text::new(lint.mend)),
        help_uri: Some(format!("urn:pinegate:lint:{}", lint.name)),
        default_configuration: Configuration { level },
    }
}

/// The rule of a code that is no lint's.
fn rule_of_error(finding: &Diagnostic) -> Rule {
    Rule {
        id: finding.code,
        short_description: None,
        full_description: None,
        help: None,
        help_uri: None,
        default_configuration: Configuration { level: level(finding.severity) },
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn outcome<'r>(finding: &'r Diagnostic, rule_index: usize, texts: &mut Texts<'r>) -> Outcome<'r> {
    let mut message = finding.message.clone();
    for more in [&finding.label, &finding.help].into_iter().filter(|more| !more.is_empty()) {
        message.push_str("; ");
        message.push_str(more);
    }
    let region = texts.places(finding).map(|(from, to)| Region {
        start_line: from.line,
        start_column: from.column,
        end_line: to.line,
        end_column: to.column,
    });
    let artifact_location = Artifact { uri: uri(&finding.file) };
    Outcome {
        rule_id: finding.code,
        rule_index,
        level: level(finding.severity),
        message: Text::new(message),
        locations: [Location { physical_location: PhysicalLocation { artifact_location, region } }],
    }
}

/// A file's name as a URI: relative as it was given, or with its scheme if it is absolute. `..` and `.`
/// are taken out (RFC 3986, section 5.2.4), so that a file has one name however it was reached.
fn uri(file: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in file.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match parts.last() {
            Some(&last) if part == ".." && last != ".." => _ = parts.pop(),
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    let path = utf8_percent_encode(&path, PATH);
    if Path::new(file).is_absolute() { format!("file:///{path}") } else { path.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_one_name() {
        for (file, expected) in [
            ("policies/grants.csv", "policies/grants.csv"),
            ("./policies//grants.csv", "policies/grants.csv"),
            ("config/../policies/grants.csv", "policies/grants.csv"),
            ("../a/../../策略 1.csv", "../../%E7%AD%96%E7%95%A5%201.csv"),
            ("/etc/pinegate/./grants.csv", "file:///etc/pinegate/grants.csv"),
        ] {
            assert_eq!(uri(file), expected, "{file}");
        }
    }
}
