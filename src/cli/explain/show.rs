//! An explanation on a terminal, and as JSON.

use serde::Serialize;

use super::Answer;
use crate::catalog::Resource;
use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, shown, toned};
use crate::cli::{CommandError, Screen};
use crate::grant::{Clause, Decision, Denial, Effect, Permit, Treatment};
use crate::kernel::id::{FieldPath, GrantId};
use crate::kernel::time::{TimeZone, Timestamp};
use crate::policy::Held;
use crate::proxy::denial_code;
use crate::proxy::problem::{Code, Language};

/// How many lines that do not match are shown beside those that decide.
const NEAREST: usize = 3;

/// The explanation for people.
pub(super) fn text(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    head(answer, screen)?;
    match &answer.explanation.decision {
        Decision::Permit(permit) => permitted(answer, permit, screen)?,
        Decision::Denial(denial) => refused(answer, denial, screen)?,
    }
    for hint in &answer.hints {
        screen.line(format!("  {} {}", screen.paint(Tone::Doubtful, "note:"), shown(hint)))?;
    }
    lines(answer, screen)
}

fn head(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let args = answer.args;
    let verdict = match answer.code {
        None => screen.paint(Tone::Good, "allowed"),
        Some(code) => format!(
            "{} with {} ({})",
            screen.paint(Tone::Bad, "refused"),
            screen.paint(Tone::Strong, code.as_str()),
            code.status().as_u16()
        ),
    };
    let request = format!("{} may {} {} for {}", args.system, args.action, args.resource, args.purpose);
    screen.line(format!("{}? {verdict}", shown(&request)))?;
    let kind = answer.explanation.moment.split(' ').nth(2).unwrap_or_default();
    let kind = if kind == "unknown" { "a year that calendar.toml does not have" } else { kind };
    screen.line(format!("  at {}, {kind}", local(answer.zone, answer.at)))
}

fn permitted(answer: &Answer<'_>, permit: &Permit, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let mut table = Table::default();
    let mut fact = |name: &str, what: String| table.row([toned(Tone::Strong, name), plain(what)]);
    fact("grants", joined(&permit.grants));
    if let Some(rows) = permit.rows_per_reply {
        fact("rows", format!("at most {rows} in a reply"));
    }
    if let Some(rows) = permit.rows_per_day {
        fact("", format!("at most {rows} a day"));
    }
    if let Some(until) = permit.valid_until {
        fact("until", format!("{}, then it is decided anew", local(answer.zone, until)));
    }
    let resource = answer.catalog.resources.get(&answer.args.resource);
    let label = |path: &str| resource.and_then(|it| it.field(path)).map_or("", |field| field.label.as_str());
    for (index, field) in permit.fields.iter().enumerate() {
        let how = match &field.treatment {
            Treatment::Clear => toned(Tone::Good, "clear"),
            Treatment::Masked(masker) => toned(Tone::Doubtful, format!("masked by {masker}")),
        };
        let name = if index == 0 { "leaves" } else { "" };
        let path = field.path.as_str();
        table.row([toned(Tone::Strong, name), plain(path), how, toned(Tone::Faint, label(path))]);
    }
    for (index, path) in dropped(resource, permit).into_iter().enumerate() {
        let name = if index == 0 { "stays" } else { "" };
        let (how, label) = (toned(Tone::Bad, "dropped"), toned(Tone::Faint, label(path)));
        table.row([toned(Tone::Strong, name), plain(path), how, label]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))
}

/// What the local clock shows, and its offset.
pub(in crate::cli) fn local(zone: &TimeZone, at: Timestamp) -> String {
    format!("{} {}", zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S"), zone.to_offset(at))
}

/// The fields of the catalogue that do not leave.
fn dropped<'r>(resource: Option<&'r std::sync::Arc<Resource>>, permit: &Permit) -> Vec<&'r str> {
    let leaves = |path: &FieldPath| permit.fields.iter().any(|field| field.path == *path);
    let fields = resource.map(|resource| resource.fields.as_slice()).unwrap_or_default();
    fields.iter().filter(|field| !leaves(&field.path)).map(|field| field.path.as_str()).collect()
}

fn refused(answer: &Answer<'_>, denial: &Denial, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let mut table = Table::default();
    let mut fact = |name: &str, what: String| table.row([toned(Tone::Strong, name), plain(what)]);
    if let Some(code) = answer.code {
        fact("why", code.title(Language::En).to_owned());
        fact("", code.title(Language::Zh).to_owned());
    }
    // Another code speaks of something else.
    if !denial.detail.is_empty() && answer.code == Some(denial_code(denial.reason)) {
        fact("what", denial.detail.join(", "));
    }
    if !denial.denied_by.is_empty() {
        fact("by", joined(&denial.denied_by));
    }
    let provider = answer
        .catalog
        .resources
        .get(&answer.args.resource)
        .and_then(|resource| answer.catalog.registry.departments.get(&resource.provider));
    if let Some(provider) = provider {
        fact("ask", provider.contact.clone());
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))
}

fn joined(grants: &[GrantId]) -> String {
    ids(grants).join(", ")
}

/// The lines held against the request, those that decide first.
fn lines(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let explanation = &answer.explanation;
    if explanation.held.is_empty() {
        return screen.line("\nNo line of grants.csv gives this system anything of this resource.");
    }
    let allowed = matches!(explanation.decision, Decision::Permit(_));
    let mut others = 0;
    let mut hidden = explanation.more;
    for held in &explanation.held {
        if !held.matches {
            // What did not match explains a refusal; beside a permit it is only noise.
            let is_near = !allowed && others < NEAREST && held.effect == Effect::Allow;
            if !answer.args.all && !is_near {
                hidden += 1;
                continue;
            }
            others += 1;
        }
        screen.line("")?;
        line(held, screen)?;
    }
    match hidden {
        0 => Ok(()),
        hidden if answer.args.all => screen.line(format!("\n{hidden} more lines were held against it.")),
        1 => screen.line("\n1 more line was held against it and did not match: `--all` shows it."),
        hidden => screen.line(format!(
            "\n{hidden} more lines were held against it and did not match: `--all` shows them."
        )),
    }
}

fn line(held: &Held, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let id = screen.paint(Tone::Strong, held.grant.as_str());
    let (effect, line) = (held.effect.as_str(), held.line);
    let verdict = match (held.matches, held.effect) {
        (true, Effect::Allow) => screen.paint(Tone::Good, "matches"),
        (true, Effect::Deny) => screen.paint(Tone::Bad, "matches"),
        (false, _) => screen.paint(Tone::Faint, "does not match"),
    };
    screen.line(format!("{id}, grants.csv line {line}, {effect}: {verdict}"))?;
    let mut table = Table::default();
    let title = |text: &str| toned(Tone::Faint, text);
    table.row([plain(""), title("clause"), title("the line says"), title("the request has")]);
    for Clause { name, holds, granted, requested } in &held.clauses {
        let (mark, tone) = if *holds { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
        let name = if *holds { plain(*name) } else { toned(Tone::Bad, *name) };
        table.row([toned(tone, mark), name, plain(granted.as_str()), plain(requested.as_str())]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))
}

#[derive(Debug, Serialize)]
struct AnswerJson<'a> {
    allowed: bool,
    /// The code that the gate answers with, where it refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    at: String,
    grants: Vec<&'a str>,
    fields: Vec<FieldJson<'a>>,
    dropped: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_per_reply: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    detail: Vec<&'a str>,
    denied_by: Vec<&'a str>,
    notes: &'a [String],
    lines: Vec<LineJson<'a>>,
    more_lines: usize,
}

#[derive(Debug, Serialize)]
struct FieldJson<'a> {
    path: &'a str,
    /// `None` where the value leaves as it is.
    mask: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct LineJson<'a> {
    grant: &'a str,
    line: usize,
    effect: &'static str,
    matches: bool,
    clauses: Vec<ClauseJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ClauseJson<'a> {
    clause: &'static str,
    holds: bool,
    granted: &'a str,
    requested: &'a str,
}

/// The explanation for machines: every line held, `--all` or not.
pub(super) fn json(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let explanation = &answer.explanation;
    let (permit, denial) = match &explanation.decision {
        Decision::Permit(permit) => (Some(permit), None),
        Decision::Denial(denial) => (None, Some(denial)),
    };
    let resource = answer.catalog.resources.get(&answer.args.resource);
    screen.json(&AnswerJson {
        allowed: answer.code.is_none(),
        code: answer.code.map(Code::as_str),
        status: answer.code.map(|code| code.status().as_u16()),
        at: answer.at.to_string(),
        grants: permit.map(|permit| ids(&permit.grants)).unwrap_or_default(),
        fields: permit.map(|permit| permit.fields.iter().map(field).collect()).unwrap_or_default(),
        dropped: permit.map(|permit| dropped(resource, permit)).unwrap_or_default(),
        rows_per_reply: permit.and_then(|permit| permit.rows_per_reply),
        rows_per_day: permit.and_then(|permit| permit.rows_per_day),
        valid_until: permit.and_then(|permit| permit.valid_until).map(|until| until.to_string()),
        detail: denial.map(|denial| denial.detail.iter().map(String::as_str).collect()).unwrap_or_default(),
        denied_by: denial.map(|denial| ids(&denial.denied_by)).unwrap_or_default(),
        notes: &answer.hints,
        lines: explanation.held.iter().map(line_json).collect(),
        more_lines: explanation.more,
    })
}

fn ids(grants: &[GrantId]) -> Vec<&str> {
    grants.iter().map(GrantId::as_str).collect()
}

fn field(field: &crate::grant::ReleasedField) -> FieldJson<'_> {
    let mask = match &field.treatment {
        Treatment::Clear => None,
        Treatment::Masked(masker) => Some(masker.as_str()),
    };
    FieldJson { path: field.path.as_str(), mask }
}

fn line_json(held: &Held) -> LineJson<'_> {
    let clauses = held.clauses.iter().map(|clause| ClauseJson {
        clause: clause.name,
        holds: clause.holds,
        granted: &clause.granted,
        requested: &clause.requested,
    });
    LineJson {
        grant: held.grant.as_str(),
        line: held.line,
        effect: held.effect.as_str(),
        matches: held.matches,
        clauses: clauses.collect(),
    }
}
