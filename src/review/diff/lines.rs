//! What was done to the lines of `grants.csv`, cell by cell.

use std::collections::{BTreeMap, BTreeSet};

use super::meaning::Meant;
use crate::kernel::id::GrantId;
use crate::policy::Policy;
use crate::policy::terms::Grant;

/// What was done to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Done {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else, under the same id.
    Changed,
    /// It stands elsewhere among the others.
    Moved,
}

impl Done {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Moved => "moved",
        }
    }
}

/// One cell of a line, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange {
    /// Its column.
    pub column: &'static str,
    /// Its text in the old file, normalised.
    pub old: Option<String>,
    /// Its text in the new file, normalised.
    pub new: Option<String>,
}

/// One line that is not the same in both files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineChange {
    /// Its id.
    pub id: GrantId,
    /// What was done to it.
    pub done: Done,
    /// Where it stands in the old file, counted from one.
    pub old_line: Option<usize>,
    /// Where it stands in the new file.
    pub new_line: Option<usize>,
    /// The cells that differ; of a line that is new or gone, all.
    pub cells: Vec<CellChange>,
    /// Of a line that is new or gone: the one under another id that says the same.
    pub renamed: Option<GrantId>,
    /// Whether any decision is another because of it.
    pub has_effect: bool,
}

fn cells(grant: &Grant) -> [(&'static str, String); 7] {
    [
        ("subject", grant.subject().to_owned()),
        ("resource", grant.resource().to_owned()),
        ("action", grant.action().map_or_else(|| "*".to_owned(), ToString::to_string)),
        ("purpose", grant.purposes().to_string()),
        ("scope", grant.scope().to_string()),
        ("window", grant.window().text().to_owned()),
        ("effect", grant.effect().as_str().to_owned()),
    ]
}

/// Every line that is not the same in both policies, as it stands in the new file, then those that
/// are gone. `causes` are the lines that decisions differ by.
pub(super) fn changes(
    policies: [&Policy; 2],
    meant: &[Vec<Meant>; 2],
    causes: &BTreeSet<&GrantId>,
) -> Vec<LineChange> {
    let [old, new] = policies;
    let [old_meant, new_meant] = meant;
    let gone: BTreeMap<u32, &GrantId> = old
        .grants()
        .iter()
        .zip(old_meant)
        .filter(|(grant, _)| new.grant(grant.id()).is_none())
        .map(|(grant, meant)| (meant.meaning, grant.id()))
        .collect();
    let mut renamed: BTreeMap<&GrantId, &GrantId> = BTreeMap::new();
    let mut changes = Vec::new();
    for (grant, meant) in new.grants().iter().zip(new_meant) {
        let before = old.grant(grant.id());
        let done = match before {
            None => Done::Added,
            Some(before) if cells(before) != cells(grant) => Done::Changed,
            Some(_) if meant.has_moved => Done::Moved,
            Some(_) => continue,
        };
        let same = gone.get(&meant.meaning).copied().filter(|_| done == Done::Added);
        if let Some(same) = same {
            renamed.insert(same, grant.id());
        }
        changes.push(change((before, Some(grant)), done, same, causes));
    }
    for grant in old.grants().iter().filter(|grant| new.grant(grant.id()).is_none()) {
        let same = renamed.get(grant.id()).copied();
        changes.push(change((Some(grant), None), Done::Removed, same, causes));
    }
    changes.into_iter().flatten().collect()
}

fn change(
    (old, new): (Option<&Grant>, Option<&Grant>),
    done: Done,
    renamed: Option<&GrantId>,
    causes: &BTreeSet<&GrantId>,
) -> Option<LineChange> {
    let id = new.or(old)?.id();
    let (before, after) = (old.map(cells), new.map(cells));
    let columns = before.as_ref().or(after.as_ref())?.iter().map(|&(column, _)| column);
    let text = |cells: &Option<[(&'static str, String); 7]>, column: &str| {
        cells.as_ref()?.iter().find(|(name, _)| *name == column).map(|(_, text)| text.clone())
    };
    let cells = columns
        .map(|column| CellChange { column, old: text(&before, column), new: text(&after, column) })
        .filter(|cell| cell.old != cell.new);
    Some(LineChange {
        id: id.clone(),
        done,
        old_line: old.map(Grant::line),
        new_line: new.map(Grant::line),
        cells: cells.collect(),
        renamed: renamed.cloned(),
        has_effect: causes.contains(id),
    })
}
