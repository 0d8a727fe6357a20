//! What would help, in words and as JSON.

use serde::Serialize;

use super::{Answer, CommandError, Screen};
use crate::cli::screen::Tone;
use crate::cli::table::shown;
use crate::cli::when::local;
use crate::kernel::id::GrantId;
use crate::kernel::time::TimeZone;
use crate::policy::advice::{Edit, LineEdit, Suggestion};

/// The suggestions for people.
pub(super) fn text(answer: &Answer<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let sides = [
        ("The caller can", &answer.advice.caller),
        ("Whoever grants can", &answer.advice.provider),
        ("Both together can", &answer.advice.together),
    ];
    for (who, suggestions) in sides {
        if suggestions.is_empty() {
            continue;
        }
        screen.line(format!("\n{}", screen.paint(Tone::Strong, who)))?;
        for (index, suggestion) in suggestions.iter().enumerate() {
            let edits: Vec<String> =
                suggestion.edits.iter().map(|edit| in_words(edit, answer.zone)).collect();
            let word = if index == 0 { "  - " } else { "  - or " };
            screen.line(shown(&format!("{word}{}", edits.join(", and "))))?;
            for line in &suggestion.lines {
                lines(line, screen)?;
            }
        }
    }
    Ok(())
}

fn lines(line: &LineEdit, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    if let Some(csv) = &line.shown {
        let what = match &line.replaces {
            Some(grant) => format!("for {grant}:"),
            None => "new:".to_owned(),
        };
        let what = screen.paint(Tone::Faint, &what);
        screen.line(format!("      {what} {}", shown(csv)))?;
    }
    Ok(())
}

fn quoted<T: AsRef<str>>(texts: &[T], between: &str) -> String {
    texts.iter().map(|text| format!("`{}`", text.as_ref())).collect::<Vec<_>>().join(between)
}

fn in_words(edit: &Edit, zone: &TimeZone) -> String {
    match edit {
        Edit::AskPurpose(codes) => format!("ask for the purpose {}, if that is why", quoted(codes, " or ")),
        Edit::AskAction(action) => format!("ask for the action `{action}`"),
        Edit::LeaveOut { fields, left } if left.is_empty() => {
            format!("leave out {} and name no fields, to get all that is granted", quoted(fields, ", "))
        }
        Edit::LeaveOut { fields, .. } => format!("leave out {}", quoted(fields, ", ")),
        Edit::Send { parameter, values } => format!("send `{parameter}` once, with a value of `{values}`"),
        Edit::AskAt(at) => format!("ask from {} on", local(zone, *at)),
        Edit::NameGrant(grant) => format!("use a token that names {grant}"),
        Edit::Enable(system) => format!("enable `{system}` in registry.toml"),
        Edit::Register(code) => format!("register the purpose `{code}` in purposes.toml"),
        Edit::AddPurpose { grant, purpose } => {
            format!("add the purpose `{purpose}` to {grant}: a second line with its terms")
        }
        Edit::AddAction { grant, action } => {
            format!("add the action `{action}` to {grant}: a second line with its terms")
        }
        Edit::Window { grant, from, to } => format!("widen the window of {grant} from `{from}` to `{to}`"),
        Edit::AddValue { grant, parameter, value: Some(value) } => {
            format!("let `{parameter}` be `{value}` too in {grant}")
        }
        Edit::AddValue { grant, parameter, value: None } => {
            format!("let `{parameter}` have the request's value too in {grant} (VALUE stands for it)")
        }
        Edit::DropConstraint { grant, parameter } => {
            format!("drop the constraint on `{parameter}` in {grant}, since the request does not say it once")
        }
        Edit::AddFields { grant, fields } => format!("add {} to the scope of {grant}", quoted(fields, ", ")),
        Edit::NewLine => "grant it by a line of its own".to_owned(),
        Edit::LiftDeny(grant) => {
            format!("remove the deny line {grant}, or narrow it so that it does not cover this request")
        }
    }
}

/// The suggestions for machines.
#[derive(Debug, Serialize)]
pub(super) struct AdviceJson<'a> {
    caller: Vec<SuggestionJson<'a>>,
    provider: Vec<SuggestionJson<'a>>,
    together: Vec<SuggestionJson<'a>>,
}

#[derive(Debug, Serialize)]
struct SuggestionJson<'a> {
    edits: Vec<EditJson<'a>>,
    lines: Vec<LineJson<'a>>,
}

#[derive(Debug, Serialize)]
struct EditJson<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'a str>,
    text: String,
}

#[derive(Debug, Serialize)]
struct LineJson<'a> {
    /// The grant whose line goes, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
    /// The line that comes, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<&'a str>,
}

pub(super) fn json<'a>(answer: &'a Answer<'_>) -> AdviceJson<'a> {
    let side = |suggestions: &'a [Suggestion]| {
        suggestions.iter().map(|suggestion| suggestion_json(suggestion, answer.zone)).collect()
    };
    AdviceJson {
        caller: side(&answer.advice.caller),
        provider: side(&answer.advice.provider),
        together: side(&answer.advice.together),
    }
}

fn suggestion_json<'a>(suggestion: &'a Suggestion, zone: &TimeZone) -> SuggestionJson<'a> {
    let edits = suggestion.edits.iter().map(|edit| {
        let (kind, grant) = kind(edit);
        EditJson { kind, grant: grant.map(GrantId::as_str), text: in_words(edit, zone) }
    });
    let lines = suggestion.lines.iter().map(|line| LineJson {
        replaces: line.replaces.as_ref().map(GrantId::as_str),
        csv: line.shown.as_deref(),
    });
    SuggestionJson { edits: edits.collect(), lines: lines.collect() }
}

fn kind(edit: &Edit) -> (&'static str, Option<&GrantId>) {
    match edit {
        Edit::AskPurpose(_) => ("ask-purpose", None),
        Edit::AskAction(_) => ("ask-action", None),
        Edit::LeaveOut { .. } => ("leave-out", None),
        Edit::Send { .. } => ("send", None),
        Edit::AskAt(_) => ("ask-at", None),
        Edit::NameGrant(grant) => ("name-grant", Some(grant)),
        Edit::Enable(_) => ("enable", None),
        Edit::Register(_) => ("register", None),
        Edit::AddPurpose { grant, .. } => ("add-purpose", Some(grant)),
        Edit::AddAction { grant, .. } => ("add-action", Some(grant)),
        Edit::Window { grant, .. } => ("window", Some(grant)),
        Edit::AddValue { grant, .. } => ("add-value", Some(grant)),
        Edit::DropConstraint { grant, .. } => ("drop-constraint", Some(grant)),
        Edit::AddFields { grant, .. } => ("add-fields", Some(grant)),
        Edit::NewLine => ("new-line", None),
        Edit::LiftDeny(grant) => ("lift-deny", Some(grant)),
    }
}
