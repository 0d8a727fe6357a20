//! Strict TOML: every key asked for by name, every other key an error, all errors at once.
//!
//! A [`Table`] is asked for its keys one by one; what was never asked for is reported by
//! [`Table::finish`] with the nearest name that would have been right. Nothing here knows what the
//! keys mean. It stands beside serde's derive because that stops at the first error.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};

/// A value and the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At { value: f(self.value), span: self.span }
    }
}

/// Whether `text` is TOML at all, whatever it says.
#[must_use]
pub fn is_toml(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok()
}

/// Whether two texts are TOML and say the same: the same values under the same keys.
#[must_use]
pub fn says_the_same(one: &str, other: &str) -> bool {
    match (one.parse::<toml::Table>(), other.parse::<toml::Table>()) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// One TOML file being read.
#[derive(Debug)]
pub struct Document<'s> {
    source: &'s Source,
    root: Spanned<DeTable<'s>>,
    report: RefCell<Report>,
}

impl<'s> Document<'s> {
    /// Parses `source`; syntax errors are in the report and what could be read is still read.
    #[must_use]
    pub fn parse(source: &'s Source) -> Self {
        let mut report = Report::new();
        report.add_source(source);
        let (root, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            report.push(Diagnostic::error("toml-syntax", source, span, error.message().trim().to_owned()));
        }
        Self { source, root, report: RefCell::new(report) }
    }

    /// The top of the document.
    #[must_use]
    pub fn root(&self) -> Table<'_, 's> {
        Table {
            document: self,
            path: String::new(),
            span: self.root.span(),
            entries: self.root.get_ref(),
            asked: RefCell::default(),
            all_asked: Cell::new(false),
        }
    }

    /// The file being read.
    #[must_use]
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Reports an error at `span`.
    pub fn error(
        &self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Diagnostic::error(code, self.source, span, message).help(help));
    }

    /// Adds a finding.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.report.borrow_mut().push(diagnostic);
    }

    /// All that was found.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report.into_inner()
    }
}

/// One table of a document, asked key by key.
#[derive(Debug)]
pub struct Table<'d, 's> {
    document: &'d Document<'s>,
    path: String,
    span: Range<usize>,
    entries: &'d DeTable<'s>,
    asked: RefCell<BTreeSet<&'static str>>,
    all_asked: Cell<bool>,
}

impl<'d, 's> Table<'d, 's> {
    /// The document it is part of.
    #[must_use]
    pub fn document(&self) -> &'d Document<'s> {
        self.document
    }

    /// Where the table stands.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The dotted path of `key` in this table, as a person would name it.
    #[must_use]
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn value(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'s>>> {
        self.asked.borrow_mut().insert(key);
        self.entries.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'s>>, expected: &str) {
        let found = value.get_ref().type_str();
        self.document.push(
            Diagnostic::error(
                "wrong-type",
                self.document.source,
                value.span(),
                format!("`{}` is of the wrong type", self.path_of(key)),
            )
            .label(format!("found {found}"))
            .help(format!("write {expected}")),
        );
    }

    /// Reports that a key which must be there is not.
    pub fn missing(&self, key: &str, expected: &str) {
        let end = self
            .document
            .source
            .text
            .get(self.span.clone())
            .map_or(self.span.end, |text| self.span.start + text.find('\n').unwrap_or(text.len()));
        self.document.error(
            "missing-key",
            self.span.start..end,
            format!("`{}` is missing", self.path_of(key)),
            format!("add `{key} = …`: {expected}"),
        );
    }

    /// Whether the table has `key`, which counts as asked.
    #[must_use]
    pub fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Whether `key` is there and holds a text.
    #[must_use]
    pub fn is_text(&self, key: &'static str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_str())
    }

    /// Whether `key` is there and holds a table.
    #[must_use]
    pub fn is_table(&self, key: &'static str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Whether `key` is there and holds a list.
    #[must_use]
    pub fn is_list(&self, key: &'static str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_array())
    }

    /// Where the value of `key` stands; the whole table if it is not there.
    #[must_use]
    pub fn span_of(&self, key: &'static str) -> Range<usize> {
        self.value(key).map_or_else(|| self.span(), Spanned::span)
    }

    /// A text, if the key is there.
    #[must_use]
    pub fn text(&self, key: &'static str) -> Option<At<&'d str>> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(At { value: text, span: value.span() }),
            None => {
                self.wrong_type(key, value, "a text in quotes");
                None
            }
        }
    }

    /// A text read by `parse`, if the key is there.
    pub fn parsed<T, E: fmt::Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        match parse(text.value) {
            Ok(value) => Some(At { value, span: text.span }),
            Err(error) => {
                self.bad_value(key, text.span, &error);
                None
            }
        }
    }

    /// Reports that the value of `key` at `span` is not what it should be.
    pub fn bad_value(&self, key: &str, span: Range<usize>, expected: &dyn fmt::Display) {
        self.document.error(
            "bad-value",
            span,
            format!("`{}` has a value that cannot be used", self.path_of(key)),
            expected.to_string(),
        );
    }

    /// A text read by `parse`; the key must be there.
    pub fn required<T, E: fmt::Display>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        if !self.has(key) {
            self.missing(key, expected);
        }
        self.parsed(key, parse)
    }

    /// A text of at least one character that is not blank; the key must be there.
    #[must_use]
    pub fn required_text(&self, key: &'static str, expected: &str) -> Option<At<String>> {
        self.required(key, expected, |text| {
            if text.trim().is_empty() { Err("write at least one character") } else { Ok(text.to_owned()) }
        })
    }

    /// `true` or `false`, if the key is there.
    #[must_use]
    pub fn flag(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.value(key)?;
        match value.get_ref().as_bool() {
            Some(flag) => Some(At { value: flag, span: value.span() }),
            None => {
                self.wrong_type(key, value, "`true` or `false`");
                None
            }
        }
    }

    /// A whole number within `range`, if the key is there.
    #[must_use]
    pub fn integer(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<At<i64>> {
        let value = self.value(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(key, value, "a whole number");
            return None;
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(At { value: number, span: value.span() }),
            _ => {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                self.bad_value(key, value.span(), &expected);
                None
            }
        }
    }

    /// A list of texts, empty if the key is not there.
    #[must_use]
    pub fn texts(&self, key: &'static str) -> Vec<At<&'d str>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of texts, such as `[\"a\", \"b\"]`");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push(At { value: text, span: item.span() }),
                None => self.wrong_type(key, item, "a text in quotes"),
            }
        }
        texts
    }

    /// A list of texts, each read by `parse`; empty if the key is not there.
    pub fn parsed_list<T, E: fmt::Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<At<T>> {
        let mut values = Vec::new();
        for text in self.texts(key) {
            match parse(text.value) {
                Ok(value) => values.push(At { value, span: text.span }),
                Err(error) => self.bad_value(key, text.span, &error),
            }
        }
        values
    }

    fn child(&self, path: String, span: Range<usize>, entries: &'d DeTable<'s>) -> Table<'d, 's> {
        Table {
            document: self.document,
            path,
            span,
            entries,
            asked: RefCell::default(),
            all_asked: Cell::new(false),
        }
    }

    /// A table within this one, if the key is there.
    #[must_use]
    pub fn table(&self, key: &'static str) -> Option<Table<'d, 's>> {
        let value = self.value(key)?;
        match value.get_ref().as_table() {
            Some(entries) => Some(self.child(self.path_of(key), value.span(), entries)),
            None => {
                self.wrong_type(key, value, &format!("a table `[{}]`", self.path_of(key)));
                None
            }
        }
    }

    /// The tables of a list `[[key]]`, empty if the key is not there.
    #[must_use]
    pub fn tables(&self, key: &'static str) -> Vec<Table<'d, 's>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &format!("tables headed `[[{}]]`", self.path_of(key)));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(entries) => {
                    tables.push(self.child(format!("{}[{index}]", self.path_of(key)), item.span(), entries));
                }
                None => self.wrong_type(key, item, "a table"),
            }
        }
        tables
    }

    /// The entries of a table whose keys are names of the user's choosing, each key with its place.
    /// All of them count as asked.
    #[must_use]
    pub fn named_tables(&self, key: &'static str) -> Vec<(At<&'d str>, Table<'d, 's>)> {
        let Some(table) = self.table(key) else { return Vec::new() };
        let mut named = Vec::new();
        for (name, value) in table.entries {
            match value.get_ref().as_table() {
                Some(entries) => named.push((
                    At { value: name.get_ref().as_ref(), span: name.span() },
                    self.child(table.path_of(name.get_ref()), value.span(), entries),
                )),
                None => self.wrong_type(&table.path_of(name.get_ref()), value, "a table"),
            }
        }
        named.sort_by_key(|(name, _)| name.span.start);
        named
    }

    /// The entries of a table of texts whose keys are names of the user's choosing.
    #[must_use]
    pub fn named_texts(&self, key: &'static str) -> Vec<(At<&'d str>, At<&'d str>)> {
        let Some(table) = self.table(key) else { return Vec::new() };
        let mut named = Vec::new();
        for (name, value) in table.entries {
            match value.get_ref().as_str() {
                Some(text) => named.push((
                    At { value: name.get_ref().as_ref(), span: name.span() },
                    At { value: text, span: value.span() },
                )),
                None => self.wrong_type(&table.path_of(name.get_ref()), value, "a text in quotes"),
            }
        }
        named.sort_by_key(|(name, _)| name.span.start);
        named
    }

    /// The entries of a table of lists of texts whose keys are names of the user's choosing.
    #[must_use]
    pub fn named_lists(&self, key: &'static str) -> Vec<(At<&'d str>, Vec<At<&'d str>>)> {
        let Some(table) = self.table(key) else { return Vec::new() };
        let mut named = Vec::new();
        for (name, value) in table.entries {
            let Some(array) = value.get_ref().as_array() else {
                self.wrong_type(&table.path_of(name.get_ref()), value, "a list of texts");
                continue;
            };
            let mut texts = Vec::new();
            for item in array.iter() {
                match item.get_ref().as_str() {
                    Some(text) => texts.push(At { value: text, span: item.span() }),
                    None => self.wrong_type(&table.path_of(name.get_ref()), item, "a text in quotes"),
                }
            }
            named.push((At { value: name.get_ref().as_ref(), span: name.span() }, texts));
        }
        named.sort_by_key(|(name, _)| name.span.start);
        named
    }

    /// The entries of a table whose keys are names of the user's choosing, each a text or a list of
    /// texts.
    #[must_use]
    pub fn named_texts_or_lists(&self, key: &'static str) -> Vec<(At<&'d str>, Vec<At<&'d str>>)> {
        let Some(table) = self.table(key) else { return Vec::new() };
        let mut named = Vec::new();
        for (name, value) in table.entries {
            let wrong = |value| {
                let expected = "a text in quotes, or a list of texts";
                table.wrong_type(name.get_ref(), value, expected);
            };
            let mut texts = Vec::new();
            match (value.get_ref().as_str(), value.get_ref().as_array()) {
                (Some(text), _) => texts.push(At { value: text, span: value.span() }),
                (None, Some(list)) => {
                    for item in list.iter() {
                        match item.get_ref().as_str() {
                            Some(text) => texts.push(At { value: text, span: item.span() }),
                            None => wrong(item),
                        }
                    }
                }
                (None, None) => {
                    wrong(value);
                    continue;
                }
            }
            named.push((At { value: name.get_ref().as_ref(), span: name.span() }, texts));
        }
        named.sort_by_key(|(name, _)| name.span.start);
        named
    }

    /// Every key not asked for before, with its value as text: a text, a whole number, or a list of
    /// these joined by `,`. For tables whose further keys are checked by whoever knows them. All of
    /// them count as asked.
    #[must_use]
    pub fn other_scalars(&self) -> Vec<(At<String>, At<String>)> {
        fn scalar(value: &DeValue<'_>) -> Option<String> {
            let integer = value.as_integer().and_then(|it| i64::from_str_radix(it.as_str(), it.radix()).ok());
            value.as_str().map(ToOwned::to_owned).or_else(|| integer.map(|number| number.to_string()))
        }
        self.all_asked.set(true);
        let asked = self.asked.borrow();
        let mut others = Vec::new();
        for (name, value) in self.entries {
            let word: &str = name.get_ref();
            if asked.contains(word) {
                continue;
            }
            let text = match value.get_ref().as_array() {
                Some(list) => list
                    .iter()
                    .map(|item| scalar(item.get_ref()))
                    .collect::<Option<Vec<_>>>()
                    .map(|items| items.join(",")),
                None => scalar(value.get_ref()),
            };
            match text {
                Some(text) => others.push((
                    At { value: word.to_owned(), span: name.span() },
                    At { value: text, span: value.span() },
                )),
                None => self.wrong_type(word, value, "a text, a whole number or a list of these"),
            }
        }
        others.sort_by_key(|(name, _)| name.span.start);
        others
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        if self.all_asked.get() {
            return;
        }
        let asked = self.asked.into_inner();
        for (name, _) in self.entries {
            let word: &str = name.get_ref();
            if asked.contains(word) {
                continue;
            }
            let path = if self.path.is_empty() { word.to_owned() } else { format!("{}.{word}", self.path) };
            let help = match did_you_mean(word, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", asked.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.document.error("unknown-key", name.span(), format!("unknown key `{path}`"), help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bound::{ByteLimit, parse_duration};

    #[test]
    fn all_errors_come_at_once_with_their_places() {
        let source = Source::new(
            "gateway.toml",
            "[listen]\naddres = \"127.0.0.1:1\"\nbacklog = \"many\"\nidle = \"5 parsecs\"\n\n[[route]]\npath = 7\n",
        );
        let document = Document::parse(&source);
        let root = document.root();
        let listen = root.table("listen").unwrap();
        assert!(listen.required_text("address", "where to listen").is_none());
        assert!(listen.integer("backlog", 1..=10).is_none());
        assert!(listen.parsed("idle", parse_duration).is_none());
        assert!(listen.parsed("body", ByteLimit::parse).is_none());
        listen.finish();
        for route in root.tables("route") {
            assert!(route.text("path").is_none());
            route.finish();
        }
        root.finish();
        insta::assert_snapshot!(document.into_report().to_string(), @r"
        gateway.toml:1:1: error[missing-key]: `listen.address` is missing; add `address = …`: where to listen
        gateway.toml:2:1: error[unknown-key]: unknown key `listen.addres`; did you mean `address`?
        gateway.toml:3:11: error[wrong-type]: `listen.backlog` is of the wrong type (found string); write a whole number
        gateway.toml:4:8: error[bad-value]: `listen.idle` has a value that cannot be used; expected a length of time such as `250ms`, `30s`, `5m`, `24h` or `180d`, above zero
        gateway.toml:7:8: error[wrong-type]: `route[0].path` is of the wrong type (found integer); write a text in quotes
        ");
    }
}
