//! A difference as JSON. `docs/commands.md` lists the keys.

use serde::Serialize;

use super::{Compared, FailOn};
use crate::cli::check::Digested;
use crate::cli::{CommandError, Screen};
use crate::grant::Treatment;
use crate::kernel::id::{GrantId, PurposeCode};
use crate::review::diff::{Capped, Consequence, LineChange, Outcome, ParameterRange, Stretch, WordChange};

#[derive(Debug, Serialize)]
struct DifferenceJson<'a> {
    old: PolicyJson<'a>,
    new: PolicyJson<'a>,
    /// Whether every request is decided alike.
    same: bool,
    gain: bool,
    loss: bool,
    clear: bool,
    changes: Vec<ChangeJson<'a>>,
    undetermined: Vec<UndeterminedJson<'a>>,
    lines: Vec<LineJson<'a>>,
    other: Vec<WordJson<'a>>,
    failed_on: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct PolicyJson<'a> {
    given: &'a str,
    digest: Digested,
}

#[derive(Debug, Serialize)]
struct ChangeJson<'a> {
    kind: &'static str,
    gain: bool,
    loss: bool,
    clear: bool,
    systems: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whom: Option<&'a str>,
    resources: Vec<&'a str>,
    actions: Vec<&'a str>,
    fields: Vec<FieldJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<RowsJson>,
    purposes: Vec<&'a str>,
    every_purpose: bool,
    parameters: Vec<ParameterJson<'a>>,
    when: Vec<StretchJson<'a>>,
    grants: Vec<&'a str>,
    example: ExampleJson<'a>,
}

/// `None` for a value that leaves as it is; a side is left out where the field does not leave.
#[derive(Debug, Serialize)]
struct FieldJson<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<MaskJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<MaskJson<'a>>,
}

#[derive(Debug, Serialize)]
struct MaskJson<'a> {
    mask: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct RowsJson {
    duty: &'static str,
    old: Option<u64>,
    new: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ParameterJson<'a> {
    parameter: &'a str,
    absent: bool,
    values: Vec<ValuesJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ValuesJson<'a> {
    pattern: &'a str,
    except: &'a [String],
}

#[derive(Debug, Serialize)]
struct StretchJson<'a> {
    from: Option<String>,
    until: Option<String>,
    within: &'a [String],
}

/// A request as `pinegate explain --request` takes it.
#[derive(Debug, Serialize)]
struct ExampleJson<'a> {
    system: &'a str,
    resource: &'a str,
    action: &'a str,
    purpose: &'a str,
    parameters: std::collections::BTreeMap<&'a str, &'a [String]>,
    at: String,
}

#[derive(Debug, Serialize)]
struct UndeterminedJson<'a> {
    systems: Vec<&'a str>,
    resource: &'a str,
    action: &'a str,
}

#[derive(Debug, Serialize)]
struct LineJson<'a> {
    grant: &'a str,
    done: &'static str,
    old_line: Option<usize>,
    new_line: Option<usize>,
    has_effect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    renamed: Option<&'a str>,
    cells: Vec<CellJson<'a>>,
}

#[derive(Debug, Serialize)]
struct CellJson<'a> {
    column: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct WordJson<'a> {
    file: &'a str,
    kind: &'a str,
    what: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
    gain: bool,
    loss: bool,
}

/// The difference for machines: all of it, `--all` or not.
pub(super) fn print(compared: &Compared<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let Compared { args, old, new, difference } = compared;
    let weight = difference.weight();
    screen.json(&DifferenceJson {
        old: PolicyJson { given: &args.old, digest: Digested(old.files.digest()) },
        new: PolicyJson { given: &args.new, digest: Digested(new.files.digest()) },
        same: difference.consequences.is_empty() && difference.undetermined.is_empty(),
        gain: weight.gain,
        loss: weight.loss,
        clear: weight.clear,
        changes: difference.consequences.iter().map(change).collect(),
        undetermined: difference
            .undetermined
            .iter()
            .map(|it| UndeterminedJson {
                systems: it.systems.iter().map(|id| id.as_str()).collect(),
                resource: it.resource.as_str(),
                action: it.action.as_str(),
            })
            .collect(),
        lines: difference.lines.iter().map(line).collect(),
        other: difference.words.iter().map(word).collect(),
        failed_on: args
            .fail_on
            .iter()
            .filter(|it| it.is_met(difference))
            .copied()
            .map(FailOn::as_str)
            .collect(),
    })
}

fn change(it: &Consequence) -> ChangeJson<'_> {
    let example = &it.example;
    ChangeJson {
        kind: it.outcome.as_str(),
        gain: it.weight.gain,
        loss: it.weight.loss,
        clear: it.weight.clear,
        systems: it.systems.iter().map(|id| id.as_str()).collect(),
        whom: it.whom.as_deref(),
        resources: it.resources.iter().map(|id| id.as_str()).collect(),
        actions: it.actions.iter().map(|action| action.as_str()).collect(),
        fields: fields(&it.outcome),
        rows: rows(&it.outcome),
        purposes: it.purposes.iter().map(PurposeCode::as_str).collect(),
        every_purpose: it.every_purpose,
        parameters: it.parameters.iter().map(parameter).collect(),
        when: it.when.iter().map(stretch).collect(),
        grants: it.causes.iter().map(GrantId::as_str).collect(),
        example: ExampleJson {
            system: example.system.as_str(),
            resource: example.resource.as_str(),
            action: example.action.as_str(),
            purpose: example.purpose.as_str(),
            parameters: example
                .parameters
                .iter()
                .map(|(name, values)| (name.as_str(), values.as_slice()))
                .collect(),
            at: it.at.to_string(),
        },
    }
}

fn mask(treatment: &Treatment) -> MaskJson<'_> {
    match treatment {
        Treatment::Clear => MaskJson { mask: None },
        Treatment::Masked(masker) => MaskJson { mask: Some(masker.as_str()) },
    }
}

fn fields(outcome: &Outcome) -> Vec<FieldJson<'_>> {
    let clear = || Some(MaskJson { mask: None });
    match outcome {
        Outcome::Allowed(list) | Outcome::Gained(list) => list
            .iter()
            .map(|it| FieldJson { path: it.path.as_str(), old: None, new: Some(mask(&it.treatment)) })
            .collect(),
        Outcome::Refused(list) | Outcome::Lost(list) => list
            .iter()
            .map(|it| FieldJson { path: it.path.as_str(), old: Some(mask(&it.treatment)), new: None })
            .collect(),
        Outcome::Unmasked(list) => list
            .iter()
            .map(|it| FieldJson { path: it.path.as_str(), old: Some(mask(&it.treatment)), new: clear() })
            .collect(),
        Outcome::Masked(list) => list
            .iter()
            .map(|it| FieldJson { path: it.path.as_str(), old: clear(), new: Some(mask(&it.treatment)) })
            .collect(),
        Outcome::Remasked(list) => list
            .iter()
            .map(|(it, was)| FieldJson {
                path: it.path.as_str(),
                old: Some(MaskJson { mask: Some(was.as_str()) }),
                new: Some(mask(&it.treatment)),
            })
            .collect(),
        Outcome::Loosened(capped) | Outcome::Tightened(capped) => {
            capped.fields.iter().map(|path| FieldJson { path: path.as_str(), old: None, new: None }).collect()
        }
    }
}

fn rows(outcome: &Outcome) -> Option<RowsJson> {
    let (Outcome::Loosened(capped) | Outcome::Tightened(capped)) = outcome else { return None };
    let Capped { duty, old, new, .. } = capped;
    Some(RowsJson { duty: duty.as_str(), old: *old, new: *new })
}

fn parameter(it: &ParameterRange) -> ParameterJson<'_> {
    let values = it.values.iter().map(|it| ValuesJson { pattern: &it.pattern, except: &it.except });
    ParameterJson { parameter: it.parameter.as_str(), absent: it.absent, values: values.collect() }
}

fn stretch(it: &Stretch) -> StretchJson<'_> {
    StretchJson {
        from: it.from.map(|at| at.to_string()),
        until: it.until.map(|at| at.to_string()),
        within: &it.within,
    }
}

fn line(it: &LineChange) -> LineJson<'_> {
    let cells = it.cells.iter().map(|cell| CellJson {
        column: cell.column,
        old: cell.old.as_deref(),
        new: cell.new.as_deref(),
    });
    LineJson {
        grant: it.id.as_str(),
        done: it.done.as_str(),
        old_line: it.old_line,
        new_line: it.new_line,
        has_effect: it.has_effect,
        renamed: it.renamed.as_ref().map(GrantId::as_str),
        cells: cells.collect(),
    }
}

fn word(it: &WordChange) -> WordJson<'_> {
    WordJson {
        file: it.file,
        kind: it.kind,
        what: &it.what,
        old: it.old.as_deref(),
        new: it.new.as_deref(),
        gain: it.weight.gain,
        loss: it.weight.loss,
    }
}
