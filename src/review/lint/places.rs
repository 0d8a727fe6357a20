//! Where things stand in the policy files, looked up when a finding needs it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use super::PolicySources;
use crate::document::{At, Document};
use crate::kernel::diagnostic::{LineIndex, Source};
use crate::policy::csv::{self, Cell, Row, Section};

/// A column of a `p` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Purpose,
    Scope,
}

impl Column {
    fn index(self) -> usize {
        match self {
            Self::Purpose => 4,
            Self::Scope => 5,
        }
    }
}

/// The policy files with indices of what stands where.
#[derive(Debug)]
pub(super) struct Places<'i> {
    pub(super) sources: PolicySources<'i>,
    lines: LineIndex,
    resources: OnceCell<HashMap<String, ResourcePlace>>,
    systems: OnceCell<HashMap<String, Range<usize>>>,
    purposes: OnceCell<HashMap<String, Range<usize>>>,
}

#[derive(Debug)]
struct ResourcePlace {
    id: Range<usize>,
    fields: HashMap<String, Range<usize>>,
}

impl<'i> Places<'i> {
    pub(super) fn new(sources: PolicySources<'i>) -> Self {
        Self {
            sources,
            lines: LineIndex::new(&sources.grants.text),
            resources: OnceCell::new(),
            systems: OnceCell::new(),
            purposes: OnceCell::new(),
        }
    }

    /// Line `line` of `grants.csv`.
    pub(super) fn line(&self, line: usize) -> Range<usize> {
        self.lines.span(&self.sources.grants.text, line)
    }

    /// What of line `line` the bytes `at` of its column were read from; all of the column where `at`
    /// is `None`, all of the line where it has no such column.
    pub(super) fn cell(&self, line: usize, column: Column, at: Option<&Range<usize>>) -> Range<usize> {
        let span = self.line(line);
        let row = self.row(span.clone());
        let Some(cell) = row.as_ref().and_then(|row| row.cells.get(column.index())) else { return span };
        let place = at.map_or_else(|| cell.span.clone(), |at| cell.place(at.clone()));
        span.start + place.start..span.start + place.end
    }

    fn row(&self, span: Range<usize>) -> Option<Row> {
        let line = Source::new("", self.sources.grants.text.get(span)?);
        let (rows, _) = csv::read(&line);
        rows.into_iter().next()
    }

    /// The first role line of `section` that `names` in either column.
    pub(super) fn role(&self, section: Section, name: &str) -> Range<usize> {
        let text = &self.sources.grants.text;
        let mut as_member = None;
        for line in 1..=self.lines.count() {
            let span = self.line(line);
            let is_role = text.get(span.clone()).is_some_and(|text| text.trim_start().starts_with('g'));
            let Some(row) = is_role.then(|| self.row(span.clone())).flatten() else { continue };
            let is_named = |cell: &Cell| cell.text == name;
            match row.cells.as_slice() {
                [_, group] if row.section == section && is_named(group) => return span,
                [member, _] if row.section == section && is_named(member) => {
                    as_member.get_or_insert(span);
                }
                _ => {}
            }
        }
        as_member.unwrap_or(0..0)
    }

    /// Where `catalog.toml` declares a resource.
    pub(super) fn resource(&self, id: &str) -> Range<usize> {
        self.resources().get(id).map_or(0..0, |place| place.id.clone())
    }

    /// Where `catalog.toml` declares a field.
    pub(super) fn field(&self, resource: &str, path: &str) -> Range<usize> {
        let place = self.resources().get(resource).and_then(|place| place.fields.get(path));
        place.cloned().unwrap_or_else(|| self.resource(resource))
    }

    fn resources(&self) -> &HashMap<String, ResourcePlace> {
        self.resources.get_or_init(|| {
            let document = Document::parse(self.sources.catalog);
            let place = |table: crate::document::Table<'_, '_>| {
                let id = table.text("id")?;
                let fields = table.tables("fields").into_iter().filter_map(|field| name(field.text("name")));
                Some((id.value.to_owned(), ResourcePlace { id: id.span, fields: fields.collect() }))
            };
            document.root().tables("resource").into_iter().filter_map(place).collect()
        })
    }

    /// Where `registry.toml` declares a system.
    pub(super) fn system(&self, id: &str) -> Range<usize> {
        let systems = self.systems.get_or_init(|| names(self.sources.registry, "system", "id"));
        systems.get(id).cloned().unwrap_or(0..0)
    }

    /// Where `purposes.toml` declares a purpose.
    pub(super) fn purpose(&self, code: &str) -> Range<usize> {
        let purposes = self.purposes.get_or_init(|| names(self.sources.purposes, "purpose", "code"));
        purposes.get(code).cloned().unwrap_or(0..0)
    }

    /// The maskers that `masks.toml` declares, and where.
    pub(super) fn maskers(&self) -> HashMap<String, Range<usize>> {
        names(self.sources.masks, "masker", "name")
    }
}

fn names(source: &Source, tables: &'static str, key: &'static str) -> HashMap<String, Range<usize>> {
    let document = Document::parse(source);
    document.root().tables(tables).into_iter().filter_map(|table| name(table.text(key))).collect()
}

fn name(text: Option<At<&str>>) -> Option<(String, Range<usize>)> {
    text.map(|text| (text.value.to_owned(), text.span))
}
