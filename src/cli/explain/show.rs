//! An explanation on a terminal, and as JSON.

use std::borrow::Cow;

use serde::Serialize;

use super::Answer;
use super::advice::{self, AdviceJson};
use super::record::Told;
use crate::catalog::Resource;
use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, shown, toned};
use crate::cli::verdict::changes;
use crate::cli::when::local;
use crate::cli::{CommandError, Screen};
use crate::grant::{Clause, Decision, Denial, Effect, Had, Permit, Treatment};
use crate::kernel::id::{FieldPath, GrantId, ParameterName};
use crate::policy::Held;
use crate::proxy::denial_code;
use crate::proxy::problem::{Code, Language};
use crate::review::replay::Finding;

/// How many lines that do not match are shown beside those that decide.
const NEAREST: usize = 3;

/// The explanation for people.
pub(super) fn text(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    head(answer, screen)?;
    if let Some(told) = &answer.explained.told {
        recorded(answer, told, screen)?;
    }
    match &answer.explanation.decision {
        _ if answer.is_undetermined() => {}
        Decision::Permit(permit) => permitted(answer, permit, screen)?,
        Decision::Denial(denial) => refused(answer, denial, screen)?,
    }
    for hint in &answer.hints {
        screen.line(format!("  {} {}", screen.paint(Tone::Doubtful, "note:"), shown(hint)))?;
    }
    lines(answer, screen)?;
    advice::text(answer, screen)
}

/// What the record says, and how it compares.
fn recorded(answer: &Answer<'_>, told: &Told, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let record = &told.record;
    let mut table = Table::default();
    let mut fact = |name: &str, what: String| table.row([toned(Tone::Strong, name), plain(what)]);
    let why = match &record.reason {
        Some(reason) => format!(" with {reason}"),
        None if record.grants.is_empty() => String::new(),
        None => format!(" by {}", record.grants.join(", ")),
    };
    let policy = record.policy.as_deref().unwrap_or_default();
    let whose = if policy == answer.policy { "this policy" } else { "another policy" };
    let decision = record.decision.as_deref().unwrap_or_default();
    fact("record", format!("{decision}{why}, under {whose}"));
    fact(
        "now",
        match &told.finding {
            Finding::Same => "the same answer".to_owned(),
            Finding::Refused(_) => "it would be refused".to_owned(),
            Finding::Allowed => "it would be allowed".to_owned(),
            Finding::Changed { fields, .. } => changes(fields),
            Finding::Undetermined(_) => "whether the answer is the same cannot be told".to_owned(),
        },
    );
    for name in &told.unknown {
        fact(
            "unknown",
            format!("the value of `{name}`, which is not recorded: add it as `--param {name}=…`"),
        );
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))
}

fn head(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let request = &answer.explained.request;
    let verdict = match answer.code {
        _ if answer.is_undetermined() => screen.paint(Tone::Doubtful, "cannot be told"),
        None => screen.paint(Tone::Good, "allowed"),
        Some(code) => format!(
            "{} with {} ({})",
            screen.paint(Tone::Bad, "refused"),
            screen.paint(Tone::Strong, code.as_str()),
            code.status().as_u16()
        ),
    };
    let request =
        format!("{} may {} {} for {}", request.system, request.action, request.resource, request.purpose);
    screen.line(format!("{}? {verdict}", shown(&request)))?;
    let kind = answer.explanation.moment.split(' ').nth(2).unwrap_or_default();
    let kind = if kind == "unknown" { "a year that calendar.toml does not have" } else { kind };
    screen.line(format!("  at {}, {kind}", local(answer.zone, answer.explained.at)))
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
    let resource = answer.catalog.resources.get(&answer.explained.request.resource);
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
        .get(&answer.explained.request.resource)
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
            if !answer.all && !is_near {
                hidden += 1;
                continue;
            }
            others += 1;
        }
        screen.line("")?;
        line(held, answer.unknown(), screen)?;
    }
    match hidden {
        0 => Ok(()),
        hidden if answer.all => screen.line(format!("\n{hidden} more lines were held against it.")),
        1 => screen.line("\n1 more line was held against it and did not match: `--all` shows it."),
        hidden => screen.line(format!(
            "\n{hidden} more lines were held against it and did not match: `--all` shows them."
        )),
    }
}

/// One line held against a request, clause by clause; what hangs on a parameter of `unknown` is open.
pub(in crate::cli) fn line(
    held: &Held,
    unknown: &[ParameterName],
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let id = screen.paint(Tone::Strong, held.grant.as_str());
    let (effect, line) = (held.effect.as_str(), held.line);
    let verdict = match (held.matches, held.effect) {
        _ if may_match(held, unknown) => screen.paint(Tone::Doubtful, "may match"),
        (true, Effect::Allow) => screen.paint(Tone::Good, "matches"),
        (true, Effect::Deny) => screen.paint(Tone::Bad, "matches"),
        (false, _) => screen.paint(Tone::Faint, "does not match"),
    };
    screen.line(format!("{id}, grants.csv line {line}, {effect}: {verdict}"))?;
    let mut table = Table::default();
    let title = |text: &str| toned(Tone::Faint, text);
    table.row([plain(""), title("clause"), title("the line says"), title("the request has")]);
    for clause in &held.clauses {
        let Clause { name, holds, granted, requested } = clause;
        if is_unknown(clause, unknown) {
            let what = toned(Tone::Doubtful, "not in the record");
            table.row([toned(Tone::Doubtful, "?"), plain(*name), plain(granted.as_str()), what]);
            continue;
        }
        let (mark, tone) = if *holds { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
        let name = if *holds { plain(*name) } else { toned(Tone::Bad, *name) };
        table.row([toned(tone, mark), name, plain(granted.as_str()), plain(requested.to_string())]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))
}

/// Whether a clause is about a parameter whose value is not known.
fn is_unknown(clause: &Clause, unknown: &[ParameterName]) -> bool {
    let about = clause.granted.split_once('=').map_or("", |(name, _)| name);
    clause.name == "parameter" && unknown.iter().any(|name| name.as_str() == about)
}

/// Whether a line matches or not by what is not known alone.
fn may_match(held: &Held, unknown: &[ParameterName]) -> bool {
    let (unclear, clear): (Vec<_>, Vec<_>) =
        held.clauses.iter().partition(|clause| is_unknown(clause, unknown));
    !unclear.is_empty() && clear.iter().all(|clause| clause.holds)
}

#[derive(Debug, Serialize)]
struct RecordJson<'a> {
    request: &'a str,
    decision: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    grants: &'a [String],
    released: &'a [String],
    policy: &'a str,
    same_policy: bool,
    /// How the answer now compares: `same`, `refused`, `allowed`, `changed` or `undetermined`.
    answer: &'static str,
    /// The parameters whose values the answer may hang on and the record does not have.
    unknown: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct AnswerJson<'a> {
    /// `None` if the record does not say enough.
    allowed: Option<bool>,
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
    advice: AdviceJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RecordJson<'a>>,
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
    /// `None` if the record does not say.
    matches: Option<bool>,
    clauses: Vec<ClauseJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ClauseJson<'a> {
    clause: &'static str,
    /// `None` if the record does not say.
    holds: Option<bool>,
    granted: &'a str,
    requested: Cow<'a, str>,
}

/// The explanation for machines: every line held, `--all` or not.
pub(super) fn json(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let explanation = &answer.explanation;
    let code = answer.code.filter(|_| !answer.is_undetermined());
    let (permit, denial) = match &explanation.decision {
        _ if answer.is_undetermined() => (None, None),
        Decision::Permit(permit) => (Some(permit), None),
        Decision::Denial(denial) => (None, Some(denial)),
    };
    let resource = answer.catalog.resources.get(&answer.explained.request.resource);
    screen.json(&AnswerJson {
        allowed: (!answer.is_undetermined()).then_some(answer.code.is_none()),
        code: code.map(Code::as_str),
        status: code.map(|code| code.status().as_u16()),
        at: answer.explained.at.to_string(),
        grants: permit.map(|permit| ids(&permit.grants)).unwrap_or_default(),
        fields: permit.map(|permit| permit.fields.iter().map(field).collect()).unwrap_or_default(),
        dropped: permit.map(|permit| dropped(resource, permit)).unwrap_or_default(),
        rows_per_reply: permit.and_then(|permit| permit.rows_per_reply),
        rows_per_day: permit.and_then(|permit| permit.rows_per_day),
        valid_until: permit.and_then(|permit| permit.valid_until).map(|until| until.to_string()),
        detail: denial.map(|denial| denial.detail.iter().map(String::as_str).collect()).unwrap_or_default(),
        denied_by: denial.map(|denial| ids(&denial.denied_by)).unwrap_or_default(),
        notes: &answer.hints,
        lines: explanation.held.iter().map(|held| line_json(held, answer.unknown())).collect(),
        more_lines: explanation.more,
        advice: advice::json(answer),
        record: answer.explained.told.as_ref().map(|told| record_json(answer, told)),
    })
}

fn record_json<'a>(answer: &Answer<'_>, told: &'a Told) -> RecordJson<'a> {
    let record = &told.record;
    let policy = record.policy.as_deref().unwrap_or_default();
    RecordJson {
        request: record.request.as_deref().unwrap_or_default(),
        decision: record.decision.as_deref().unwrap_or_default(),
        code: record.reason.as_deref(),
        grants: &record.grants,
        released: &record.released,
        policy,
        same_policy: policy == answer.policy,
        answer: match &told.finding {
            Finding::Same => "same",
            Finding::Refused(_) => "refused",
            Finding::Allowed => "allowed",
            Finding::Changed { .. } => "changed",
            Finding::Undetermined(_) => "undetermined",
        },
        unknown: told.unknown.iter().map(ParameterName::as_str).collect(),
    }
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

fn line_json<'h>(held: &'h Held, unknown: &[ParameterName]) -> LineJson<'h> {
    let clauses = held.clauses.iter().map(|clause| ClauseJson {
        clause: clause.name,
        holds: (!is_unknown(clause, unknown)).then_some(clause.holds),
        granted: &clause.granted,
        requested: match &clause.requested {
            _ if is_unknown(clause, unknown) => Cow::Borrowed("not in the record"),
            Had::Value(value) => Cow::Borrowed(value),
            other @ (Had::Absent(_) | Had::Hidden(_) | Had::Repeated(..)) => Cow::Owned(other.to_string()),
        },
    });
    LineJson {
        grant: held.grant.as_str(),
        line: held.line,
        effect: held.effect.as_str(),
        matches: (!may_match(held, unknown)).then_some(held.matches),
        clauses: clauses.collect(),
    }
}
