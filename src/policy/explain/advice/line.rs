//! A line of `grants.csv` that can be changed and written.

use std::fmt;

use crate::grant::Effect;
use crate::kernel::id::GrantId;
use crate::policy::csv::Section;
use crate::policy::scope::Scope;
use crate::policy::terms::Grant;

/// What stands in a line that is shown, in place of a value that may not be.
pub(super) const HIDDEN: &str = "VALUE";

/// A change of `grants.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEdit {
    /// The grant whose line goes; `None` if none does.
    pub replaces: Option<GrantId>,
    /// The line that comes; `None` if none does.
    pub csv: Option<String>,
    /// The line as it may be shown: `VALUE` stands for a value that may not stand in a record.
    pub shown: Option<String>,
}

/// The columns of one line.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) id: GrantId,
    pub(super) subject: String,
    pub(super) resource: String,
    pub(super) action: String,
    pub(super) purpose: String,
    pub(super) scope: Scope,
    pub(super) window: String,
    pub(super) effect: Effect,
}

impl Terms {
    pub(super) fn of(grant: &Grant) -> Self {
        Self {
            id: grant.id.clone(),
            subject: grant.subject.to_string(),
            resource: grant.resource.to_string(),
            action: grant.action.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string),
            purpose: grant.purposes.to_string(),
            scope: (*grant.scope).clone(),
            window: grant.window.text().to_owned(),
            effect: grant.effect,
        }
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = self.scope.to_string();
        let cells = [
            self.id.as_str(),
            &self.subject,
            &self.resource,
            &self.action,
            &self.purpose,
            &scope,
            &self.window,
            self.effect.as_str(),
        ];
        f.write_str(&row(Section::P, cells))
    }
}

/// A row as it is written.
pub(super) fn row<'c>(section: Section, cells: impl IntoIterator<Item = &'c str>) -> String {
    let mut text = section.as_str().to_owned();
    for cell in cells {
        text.push_str(", ");
        if cell.contains([',', '"']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(cell);
        }
    }
    text
}
