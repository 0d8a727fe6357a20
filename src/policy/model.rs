//! Strict reader of `model.conf`, Casbin's model file.
//!
//! Reads any model into typed sections with positions. One model gates traffic: the shipped one,
//! which the engine decides natively; every other is refused here with the first definition that
//! differs.

use std::ops::Range;

use crate::kernel::diagnostic::{Diagnostic, Source, did_you_mean};

/// The model that gates traffic, as it stands in `policies/model.conf`.
pub const SHIPPED: &str = include_str!("../../policies/model.conf");

/// The largest model file, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// A section of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// `[request_definition]`, keys `r`, `r2`, …
    Request,
    /// `[policy_definition]`, keys `p`, `p2`, …
    Policy,
    /// `[role_definition]`, keys `g`, `g2`, …
    Role,
    /// `[policy_effect]`, keys `e`, `e2`, …
    Effect,
    /// `[matchers]`, keys `m`, `m2`, …
    Matcher,
}

impl Section {
    /// Every section, in the order Casbin's documents have them.
    pub const ALL: [Self; 5] = [Self::Request, Self::Policy, Self::Role, Self::Effect, Self::Matcher];

    /// The name in square brackets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request_definition",
            Self::Policy => "policy_definition",
            Self::Role => "role_definition",
            Self::Effect => "policy_effect",
            Self::Matcher => "matchers",
        }
    }

    /// The letter its keys begin with.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Request => "r",
            Self::Policy => "p",
            Self::Role => "g",
            Self::Effect => "e",
            Self::Matcher => "m",
        }
    }

    fn owns(self, key: &str) -> bool {
        key.strip_prefix(self.letter()).is_some_and(|number| {
            number.is_empty()
                || (number.bytes().all(|byte| byte.is_ascii_digit())
                    && !number.starts_with('0')
                    && number != "1")
        })
    }
}

/// One `key = value` of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its section.
    pub section: Section,
    /// Its key, such as `r` or `g2`.
    pub key: String,
    /// Its value, lines joined, without comments.
    pub value: String,
    /// The bytes of the file it was read from.
    pub span: Range<usize>,
}

impl Definition {
    /// The value without white space outside of quotes, to compare by.
    fn normalised(&self) -> String {
        let mut quoted = false;
        self.value
            .chars()
            .filter(|&c| {
                quoted ^= c == '"';
                quoted || !c.is_whitespace()
            })
            .collect()
    }
}

/// A model as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its definitions, in file order.
    pub definitions: Vec<Definition>,
}

/// How a model is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// The shipped model: native conditions over the index.
    Native,
    /// The shipped definitions with another matcher or policy effect: lines are found as in the
    /// shipped model, and the matcher is worked out on them.
    Changed,
    /// Any other model. Not served: `differs` is the first definition that is not the shipped one.
    Foreign {
        /// Where it differs; the whole file where something is missing.
        differs: Range<usize>,
        /// The key that differs.
        key: String,
        /// What the shipped model has there; `None` where it has nothing.
        shipped: Option<String>,
    },
}

impl Model {
    /// Reads `source`.
    ///
    /// # Errors
    /// Everything that is wrong with the file's form.
    pub fn read(source: &Source) -> Result<Self, Vec<Diagnostic>> {
        let mut reader = Reader { source, findings: Vec::new(), definitions: Vec::new(), section: None };
        reader.file();
        let Reader { findings, definitions, .. } = reader;
        if findings.is_empty() { Ok(Self { definitions }) } else { Err(findings) }
    }

    /// The definition of `key`.
    #[must_use]
    pub fn definition(&self, key: &str) -> Option<&Definition> {
        self.definitions.iter().find(|definition| definition.key == key)
    }

    /// How the model is decided. White space, comments and the order of sections do not matter.
    #[must_use]
    pub fn path(&self) -> Path {
        let Ok(shipped) = Self::read(&Source::new("model.conf", SHIPPED)) else {
            return Path::Foreign { differs: 0..0, key: "r".to_owned(), shipped: None };
        };
        let is_same = |definition: &&Definition| {
            let right = shipped.definition(&definition.key);
            right.is_some_and(|right| right.normalised() == definition.normalised())
        };
        let has_all = shipped.definitions.iter().all(|right| self.definition(&right.key).is_some());
        let mut differing = self.definitions.iter().filter(|own| !is_same(own)).peekable();
        if has_all && differing.peek().is_some() && differing.all(|own| matches!(&*own.key, "m" | "e")) {
            return Path::Changed;
        }
        for definition in &self.definitions {
            let right = shipped.definition(&definition.key);
            if right.is_none_or(|right| right.normalised() != definition.normalised()) {
                return Path::Foreign {
                    differs: definition.span.clone(),
                    key: definition.key.clone(),
                    shipped: right.map(|right| right.value.clone()),
                };
            }
        }
        for right in &shipped.definitions {
            if self.definition(&right.key).is_none() {
                return Path::Foreign {
                    differs: 0..0,
                    key: right.key.clone(),
                    shipped: Some(right.value.clone()),
                };
            }
        }
        Path::Native
    }
}

struct Reader<'s> {
    source: &'s Source,
    findings: Vec<Diagnostic>,
    definitions: Vec<Definition>,
    section: Option<Section>,
}

impl Reader<'_> {
    fn report(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings.push(Diagnostic::error(code, self.source, span, message).help(help));
    }

    fn file(&mut self) {
        let text = &*self.source.text;
        if text.len() > MAX_BYTES {
            let message = format!("the model is {} bytes long", text.len());
            self.report("model-too-long", 0..0, message, format!("a model has at most {MAX_BYTES} bytes"));
            return;
        }
        for (at, c) in text.char_indices() {
            if c == '\u{feff}' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
                let message = format!("character U+{:04X} does not belong in a model", u32::from(c));
                self.report("control-character", at..at + c.len_utf8(), message, "remove it");
            }
        }
        let mut start = 0;
        let mut lines = text.split_inclusive('\n');
        while let Some(line) = lines.next() {
            let line_start = start;
            start += line.len();
            let (mut text, begin) = trimmed(line, line_start);
            if text.is_empty() || text.starts_with(['#', ';']) {
                continue;
            }
            if text.starts_with('[') {
                self.header(text, begin);
                continue;
            }
            let mut value = String::new();
            let mut end = begin + text.len();
            // A `\` at the end of a line joins the next one to it, after a comment as well.
            while let Some(part) = text.strip_suffix('\\') {
                value.push_str(without_comment(part).trim_end());
                value.push(' ');
                let (next_text, next_begin) = trimmed(lines.clone().next().unwrap_or(""), start);
                if next_text.is_empty() || next_text.starts_with(['#', ';']) {
                    text = "";
                    break;
                }
                start += lines.next().map_or(0, str::len);
                end = next_begin + next_text.len();
                text = next_text;
            }
            value.push_str(without_comment(text));
            self.definition(&value, begin..end);
        }
        for section in Section::ALL {
            let needed = section != Section::Role;
            if needed && !self.definitions.iter().any(|definition| definition.section == section) {
                let help = format!("add `[{}]` and `{} = …`", section.as_str(), section.letter());
                self.report("missing-section", 0..0, format!("`[{}]` is missing", section.as_str()), help);
            }
        }
    }

    fn header(&mut self, text: &str, begin: usize) {
        let name = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        self.section = Section::ALL.into_iter().find(|section| section.as_str() == name);
        if self.section.is_none() {
            let names = Section::ALL.map(Section::as_str);
            let help = match did_you_mean(name, names) {
                Some(near) => format!("did you mean `[{near}]`?"),
                None => format!("sections are {}", names.map(|name| format!("`[{name}]`")).join(", ")),
            };
            self.report(
                "unknown-section",
                begin..begin + text.len(),
                format!("unknown section `{text}`"),
                help,
            );
        }
    }

    fn definition(&mut self, text: &str, span: Range<usize>) {
        let Some((key, value)) = text.split_once('=') else {
            self.report(
                "not-a-definition",
                span,
                "neither a section nor `key = value`",
                "write `key = value`",
            );
            return;
        };
        let (key, value) = (key.trim(), value.trim());
        let Some(section) = self.section else {
            self.report(
                "outside-of-sections",
                span,
                format!("`{key}` stands before any section"),
                "begin with `[request_definition]`",
            );
            return;
        };
        if !section.owns(key) {
            let letter = section.letter();
            let help = format!("`[{}]` has the keys `{letter}`, `{letter}2`, …", section.as_str());
            self.report("unknown-key", span, format!("unknown key `{key}`"), help);
            return;
        }
        if value.is_empty() {
            self.report("empty-definition", span, format!("`{key}` is empty"), "write its definition");
            return;
        }
        if self.definitions.iter().any(|other| other.key == key) {
            self.report("duplicate-key", span, format!("`{key}` is defined twice"), "keep one of them");
            return;
        }
        let (key, value) = (key.to_owned(), value.to_owned());
        self.definitions.push(Definition { section, key, value, span });
    }
}

/// A line up to its comment. Casbin sees one inside quotes as well.
fn without_comment(text: &str) -> &str {
    text.split(['#', ';']).next().unwrap_or(text)
}

/// A line without the white space around it, and where that begins.
fn trimmed(line: &str, start: usize) -> (&str, usize) {
    let text = line.trim_start();
    let begin = start + (line.len() - text.len());
    (text.trim_end(), begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Model, Vec<&'static str>> {
        Model::read(&Source::new("model.conf", text))
            .map_err(|findings| findings.iter().map(|finding| finding.code).collect())
    }

    #[test]
    fn the_shipped_model_is_native_however_it_is_spaced() {
        assert_eq!(read(SHIPPED).unwrap().path(), Path::Native);
        let respaced = SHIPPED
            .replace(" && g2", " && \\\n   g2")
            .replace("r = sub, res", "r=sub,res")
            .replace('\n', "\r\n");
        assert_eq!(read(&respaced).unwrap().path(), Path::Native);
    }

    #[test]
    fn another_matcher_or_effect_alone_is_a_change() {
        for (from, to) in [
            ("p.act == \"*\" || ", ""),
            ("p.act == \"*\"", "p.act == \" *\""),
            (" && !some(where (p.eft == deny))", ""),
        ] {
            let text = SHIPPED.replace(from, to);
            assert_ne!(text, SHIPPED);
            assert_eq!(read(&text).unwrap().path(), Path::Changed);
        }
    }

    #[test]
    fn any_other_model_is_foreign_where_it_differs() {
        for (from, to, key) in [
            ("g2 = _, _\n", "", "g2"),
            ("g2 = _, _\n", "g2 = _, _\ng3 = _, _\n", "g3"),
            ("window, eft", "eft, window", "p"),
        ] {
            let text = SHIPPED.replace(from, to);
            assert_ne!(text, SHIPPED);
            let Path::Foreign { key: found, .. } = read(&text).unwrap().path() else {
                panic!("{from} → {to}")
            };
            assert_eq!(found, key);
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, codes) in [
            (
                SHIPPED.replace("[matchers]", "[matcher]"),
                vec!["unknown-section", "outside-of-sections", "missing-section"],
            ),
            (SHIPPED.replace("m = ", "m "), vec!["unknown-key"]),
            (SHIPPED.replace("g2 = _, _", "g = _, _"), vec!["duplicate-key"]),
            (SHIPPED.replace("g2 = _, _", "g2 ="), vec!["empty-definition"]),
            (SHIPPED.replace("g2 = _, _", "g1 = _, _"), vec!["unknown-key"]),
            (format!("\u{feff}{SHIPPED}"), vec!["control-character"]),
            (format!("x = y\n{SHIPPED}"), vec!["outside-of-sections"]),
        ] {
            let found = read(&text).unwrap_err();
            for code in &codes {
                assert!(found.contains(code), "{found:?} lacks {code}\n{text}");
            }
        }
    }

    #[test]
    fn comments_end_lines_and_not_definitions() {
        let text = SHIPPED
            .replace("r = sub, res, act,", "r = sub, res, \\  \n act,")
            .replace(" && g2(", " # why \\\n && g2(")
            .replace("g = _, _", "g = _, _ ; who");
        assert_eq!(read(&text).unwrap().path(), Path::Native);
        let ended = SHIPPED.replace("r = sub", "r = sub \\\n; nothing follows \\\nq = sub");
        assert!(read(&ended).unwrap_err().contains(&"unknown-key"));
    }

    #[test]
    fn outside_models_are_read() {
        let Some(dir) = crate::kernel::skip::conformance() else { return };
        let mut read_models = 0;
        for entry in std::fs::read_dir(dir.join("casbin")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "conf") {
                let text = std::fs::read_to_string(&path).unwrap();
                let model = read(&text).unwrap_or_else(|codes| panic!("{path:?}: {codes:?}"));
                assert!(matches!(model.path(), Path::Foreign { .. }), "{path:?}");
                read_models += 1;
            }
        }
        assert!(read_models > 10);
    }
}
