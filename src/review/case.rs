//! A policy unit test: a request, a time, and what the decision should be.
//!
//! [`read()`] takes the text of a test file; [`compare`] holds a decision against what a case
//! expects. Knows neither files nor the gate: which problem code a caller gets is told to it.

mod read;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use crate::grant::{Decision, Denial, Permit, ReleasedField, Request, Treatment};
use crate::kernel::id::{DepartmentId, FieldPath, GrantId, MaskerName};
use crate::kernel::time::Timestamp;

pub use read::{Known, MAX_CASES, read};

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file it stands in.
    pub file: Arc<str>,
    /// The line it begins on, counted from one.
    pub line: usize,
    /// Its name, unique in the file.
    pub name: String,
    /// What is asked.
    pub request: Request,
    /// The department of the system that asks.
    pub department: DepartmentId,
    /// When.
    pub at: Timestamp,
    /// The time as it is written in the file.
    pub at_text: String,
    /// What should come of it.
    pub expected: Expected,
}

/// What a decision should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A permit like this.
    Allow(ExpectedPermit),
    /// A refusal like this.
    Deny(ExpectedDenial),
}

/// What a permit should say; `None` where anything is right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedPermit {
    /// Exactly these grants, in file order.
    pub grants: Option<Vec<GrantId>>,
    /// Exactly these fields leave clear.
    pub clear: Option<Vec<FieldPath>>,
    /// Exactly these fields leave masked.
    pub masked: Option<Vec<ExpectedMask>>,
    /// These fields, at least, do not leave.
    pub dropped: Option<Vec<FieldPath>>,
    /// The most rows of a reply.
    pub rows: Option<u64>,
    /// The most rows of a day.
    pub rows_per_day: Option<u64>,
}

/// A field that should leave masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedMask {
    /// Which one.
    pub path: FieldPath,
    /// By which masker; `None` if any will do.
    pub masker: Option<MaskerName>,
}

/// What a refusal should say; `None` where anything is right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedDenial {
    /// The problem code that a caller gets.
    pub code: Option<&'static str>,
    /// Exactly these deny lines, in file order.
    pub denied_by: Option<Vec<GrantId>>,
}

/// One thing that was expected, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What it is about, as the key of a case: `expect`, `grants`, `clear`…
    pub key: &'static str,
    /// What was expected.
    pub expected: String,
    /// What the policy decides.
    pub actual: String,
    /// Where lists differ, how; empty otherwise.
    pub difference: String,
    /// Whether it is as expected.
    pub holds: bool,
}

impl Comparison {
    fn new(key: &'static str, expected: String, actual: String) -> Self {
        let holds = expected == actual;
        Self { key, expected, actual, difference: String::new(), holds }
    }

    /// Two sets, each shown in its own order.
    fn sets(key: &'static str, expected: &[String], actual: &[String]) -> Self {
        let lacks = |of: &[String], other: &[String]| {
            let other: BTreeSet<&String> = other.iter().collect();
            joined(&of.iter().filter(|one| !other.contains(one)).cloned().collect::<Vec<_>>())
        };
        let (missing, besides) = (lacks(expected, actual), lacks(actual, expected));
        let mut differences = Vec::new();
        if missing != NOTHING {
            differences.push(format!("missing: {missing}"));
        }
        if besides != NOTHING {
            differences.push(format!("unexpected: {besides}"));
        }
        Self {
            key,
            expected: joined(expected),
            actual: joined(actual),
            holds: differences.is_empty(),
            difference: differences.join("; "),
        }
    }
}

/// What stands for an empty list.
const NOTHING: &str = "–";

fn joined(items: &[impl Display]) -> String {
    if items.is_empty() {
        return NOTHING.to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn texts(items: &[impl Display]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Holds `decision` against what was expected, key by key. `code` is what a caller would get of a
/// refusal. The case passes if every comparison holds.
#[must_use]
pub fn compare(expected: &Expected, decision: &Decision, code: Option<&str>) -> Vec<Comparison> {
    let decided = |expected: &str, actual: String| {
        let holds = actual == expected;
        Comparison { key: "expect", expected: expected.to_owned(), actual, difference: String::new(), holds }
    };
    match (expected, decision) {
        (Expected::Allow(_), Decision::Denial(_)) => {
            let code = code.map(|code| format!(" with {code}")).unwrap_or_default();
            vec![decided("allow", format!("deny{code}"))]
        }
        (Expected::Deny(_), Decision::Permit(permit)) => {
            vec![decided("deny", format!("allow by {}", joined(&permit.grants)))]
        }
        (Expected::Allow(expected), Decision::Permit(permit)) => {
            std::iter::once(decided("allow", "allow".to_owned())).chain(permitted(expected, permit)).collect()
        }
        (Expected::Deny(expected), Decision::Denial(denial)) => {
            std::iter::once(decided("deny", "deny".to_owned()))
                .chain(refused(expected, denial, code))
                .collect()
        }
    }
}

fn permitted(expected: &ExpectedPermit, permit: &Permit) -> Vec<Comparison> {
    let mut compared = Vec::new();
    if let Some(grants) = &expected.grants {
        let mut comparison = Comparison::sets("grants", &texts(grants), &texts(&permit.grants));
        comparison.holds = *grants == permit.grants;
        if !comparison.holds && comparison.difference.is_empty() {
            "another order".clone_into(&mut comparison.difference);
        }
        compared.push(comparison);
    }
    if let Some(clear) = &expected.clear {
        let leaves = permit.fields.iter().filter(|field| field.treatment == Treatment::Clear);
        let leaves: Vec<String> = leaves.map(|field| field.path.to_string()).collect();
        compared.push(Comparison::sets("clear", &texts(clear), &leaves));
    }
    if let Some(masked) = &expected.masked {
        compared.push(compare_masks(masked, &permit.fields));
    }
    if let Some(dropped) = &expected.dropped {
        compared.push(compare_dropped(dropped, permit));
    }
    let duties = [
        ("rows", expected.rows, permit.rows_per_reply),
        ("rows_per_day", expected.rows_per_day, permit.rows_per_day),
    ];
    for (key, expected, actual) in duties {
        if let Some(expected) = expected {
            let actual = actual.map_or_else(|| "no bound".to_owned(), |rows| rows.to_string());
            compared.push(Comparison::new(key, expected.to_string(), actual));
        }
    }
    compared
}

/// Maskers are shown where any case of the field names one.
fn compare_masks(expected: &[ExpectedMask], fields: &[ReleasedField]) -> Comparison {
    let with = |path: &FieldPath, masker: &MaskerName| format!("{path}:{masker}");
    let wanted = expected.iter().map(|mask| match &mask.masker {
        Some(masker) => with(&mask.path, masker),
        None => mask.path.to_string(),
    });
    let leaves = fields.iter().filter_map(|field| match &field.treatment {
        Treatment::Clear => None,
        Treatment::Masked(masker) => Some((&field.path, masker)),
    });
    let leaves = leaves.map(|(path, masker)| {
        let is_named = expected.iter().any(|mask| mask.path == *path && mask.masker.is_some());
        if is_named { with(path, masker) } else { path.to_string() }
    });
    Comparison::sets("masked", &wanted.collect::<Vec<_>>(), &leaves.collect::<Vec<_>>())
}

fn compare_dropped(expected: &[FieldPath], permit: &Permit) -> Comparison {
    let leaves = |path: &&FieldPath| permit.fields.iter().any(|field| field.path == **path);
    let leaving: Vec<&FieldPath> = expected.iter().filter(leaves).collect();
    let stays = expected.iter().filter(|path| !leaves(path)).collect::<Vec<_>>();
    let holds = leaving.is_empty();
    Comparison {
        key: "dropped",
        expected: joined(expected),
        actual: joined(&stays),
        difference: if holds { String::new() } else { format!("leaves: {}", joined(&leaving)) },
        holds,
    }
}

fn refused(expected: &ExpectedDenial, denial: &Denial, code: Option<&str>) -> Vec<Comparison> {
    let mut compared = Vec::new();
    if let Some(expected) = expected.code {
        compared.push(Comparison::new("code", expected.to_owned(), code.unwrap_or(NOTHING).to_owned()));
    }
    if let Some(denied_by) = &expected.denied_by {
        let mut comparison = Comparison::sets("denied_by", &texts(denied_by), &texts(&denial.denied_by));
        comparison.holds = *denied_by == denial.denied_by;
        compared.push(comparison);
    }
    compared
}

#[cfg(test)]
mod tests;
