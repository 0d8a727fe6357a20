//! Names that one place declares and others refer to: doubles and dangling references are errors.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;

use crate::document::{At, Document, Table};
use crate::kernel::diagnostic::did_you_mean;

/// The names of one kind that were declared, and where.
#[derive(Debug)]
pub(super) struct Declared<T> {
    kind: &'static str,
    names: BTreeMap<T, Range<usize>>,
}

impl<T: Ord + Clone + Display + Borrow<str>> Declared<T> {
    /// None yet. `kind` is the word for people, with its article: `a department`.
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, names: BTreeMap::new() }
    }

    /// Declares a name; one that was declared before is reported.
    pub(super) fn declare(&mut self, document: &Document<'_>, name: &At<T>) -> bool {
        let Some(first) = self.names.get::<str>(name.value.borrow()) else {
            self.names.insert(name.value.clone(), name.span.clone());
            return true;
        };
        let line = document.source().position(first.start).line;
        document.error(
            "duplicate-id",
            name.span.clone(),
            format!("`{}` names {} twice", name.value, self.kind),
            format!("it stands on line {line} already: remove one, or give one another name"),
        );
        false
    }

    /// Whether a name is declared; one that is not is reported.
    pub(super) fn check(&self, document: &Document<'_>, name: &At<T>) -> bool {
        let known = self.names.contains_key::<str>(name.value.borrow());
        if !known {
            let help = match did_you_mean(name.value.borrow(), self.names.keys().map(Borrow::borrow)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it, or name {} that is declared", self.kind),
            };
            let message = format!("`{}` is not the name of {}", name.value, self.kind);
            document.error("unknown-id", name.span.clone(), message, help);
        }
        known
    }
}

/// The line that begins a table, for what is wrong with all of it.
pub(super) fn head(table: &Table<'_, '_>) -> Range<usize> {
    let span = table.span();
    let text = table.document().source().text.get(span.clone()).unwrap_or("");
    span.start..span.start + text.find('\n').unwrap_or(text.len())
}
