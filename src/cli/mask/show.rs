//! What was masked, dropped and found, for people and for machines.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Basis, Work};
use crate::catalog::Egress;
use crate::cli::findings::several;
use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain};
use crate::cli::{CommandError, Screen};
use crate::grant::Treatment;
use crate::mask::{MaskError, Summary};

/// One field: how it leaves, and how often it was met.
#[derive(Debug, Serialize)]
struct Row<'w> {
    field: &'w str,
    /// `clear`, a masker, or `null` if it does not leave.
    leaves: Option<&'w str>,
    masked: u64,
    dropped: u64,
}

/// The fields that leave, in catalogue order, and then what was dropped.
fn rows<'w>(work: &'w Work<'_>, summary: &'w Summary) -> Vec<Row<'w>> {
    let mut counts: BTreeMap<&str, (u64, u64)> =
        summary.fields().map(|count| (count.path.as_str(), (count.masked, count.dropped))).collect();
    let mut rows: Vec<Row<'w>> = Vec::new();
    for released in work.preview.fields.iter() {
        let (masked, dropped) = counts.remove(released.path.as_str()).unwrap_or_default();
        let leaves = match &released.treatment {
            Treatment::Clear => "clear",
            Treatment::Masked(masker) => masker.as_str(),
        };
        rows.push(Row { field: released.path.as_str(), leaves: Some(leaves), masked, dropped });
    }
    rows.extend(counts.into_iter().map(|(field, (masked, dropped))| Row {
        field,
        leaves: None,
        masked,
        dropped,
    }));
    rows
}

/// Shows the summary on standard error.
pub(super) fn text(work: &Work<'_>, summary: &Summary, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let number = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    let mut table = Table::default();
    table.row(["field", "leaves", "masked", "dropped"].map(plain));
    for row in rows(work, summary) {
        let leaves = row.leaves.unwrap_or("not");
        table.row([row.field, leaves, &number(row.masked), &number(row.dropped)].map(plain));
    }
    for line in table.lines(screen, 0) {
        screen.aside(line)?;
    }
    for finding in summary.findings() {
        let what = format!("{}: {} unmasked {}", finding.path, finding.count, finding.kind.as_str());
        let then = match work.resource.egress {
            Some(Egress::Block) => "the body is refused for it",
            Some(Egress::Report) | None => "it leaves, and is recorded",
        };
        let word = screen.paint_aside(Tone::Doubtful, "found");
        screen.aside(format!("{word} {what}; {then}"))?;
    }
    let records = usize::try_from(summary.records()).unwrap_or(usize::MAX);
    let mut last = format!(
        "{}, {} bytes in, {} bytes out",
        several(records, "record"),
        summary.bytes_in,
        summary.bytes_out
    );
    if summary.unclassified() > 0 {
        last.push_str(&format!(", {} unclassified and dropped", summary.unclassified()));
    }
    screen.aside(last)
}

#[derive(Debug, Serialize)]
struct MaskJson<'w> {
    ok: bool,
    resource: &'w str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grants: Vec<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    department: Option<&'w str>,
    records: u64,
    bytes_in: u64,
    bytes_out: u64,
    fields: Vec<Row<'w>>,
    /// Members dropped that the catalogue does not know.
    unclassified: u64,
    findings: Vec<FindingJson<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedJson>,
}

#[derive(Debug, Serialize)]
struct FindingJson<'w> {
    field: &'w str,
    kind: &'static str,
    count: u64,
}

#[derive(Debug, Serialize)]
struct RefusedJson {
    reason: &'static str,
    message: String,
}

/// Prints the summary on standard error as one JSON object.
pub(super) fn json(
    work: &Work<'_>,
    summary: &Summary,
    verdict: Result<(), MaskError>,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let (grants, scope) = match &work.basis {
        Basis::Grants(grants) => (grants.iter().map(|grant| grant.id().as_str()).collect(), None),
        Basis::Scope(scope) => (Vec::new(), Some(scope.to_string())),
    };
    let findings = summary.findings().map(|finding| FindingJson {
        field: finding.path.as_str(),
        kind: finding.kind.as_str(),
        count: finding.count,
    });
    screen.aside_json(&MaskJson {
        ok: verdict.is_ok(),
        resource: work.resource.id.as_str(),
        grants,
        scope,
        department: work.department.as_ref().map(|department| department.as_str()),
        records: summary.records(),
        bytes_in: summary.bytes_in,
        bytes_out: summary.bytes_out,
        fields: rows(work, summary),
        unclassified: summary.unclassified(),
        findings: findings.collect(),
        refused: verdict
            .err()
            .map(|error| RefusedJson { reason: error.reason(), message: error.to_string() }),
    })
}
