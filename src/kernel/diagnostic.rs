//! What is wrong with a file that a person wrote: where, what, and what would be right.
//!
//! Loaders push [`Diagnostic`]s into a [`Report`] and go on, so that one run shows all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; never stops anything.
    Note,
    /// Probably a mistake; loads all the same.
    Warning,
    /// The files do not load.
    Error,
}

impl Severity {
    /// The word that stands before the message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A text file as it was read: its name as people know it, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, as shown.
    pub name: Arc<str>,
    /// Its content.
    pub text: Arc<str>,
}

impl Source {
    /// Names a text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Line and column of byte `offset`, both counted from one, the column in characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }
}

/// A place in a text, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Where the lines of a text begin, found once for the places of many findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// Finds the lines of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let after = memchr::memchr_iter(b'\n', text.as_bytes()).map(|newline| newline + 1);
        Self { starts: std::iter::once(0).chain(after).collect() }
    }

    /// As [`Source::position`] of the text that was indexed.
    #[must_use]
    pub fn position(&self, text: &str, offset: usize) -> Position {
        let offset = if text.is_char_boundary(offset) { offset } else { text.len() };
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        Position { line, column: text.get(start..offset).unwrap_or("").chars().count() + 1 }
    }

    /// How many lines there are; what follows the last newline is one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The bytes of line `line`, counted from one, without its end.
    #[must_use]
    pub fn span(&self, text: &str, line: usize) -> Range<usize> {
        let Some(&start) = line.checked_sub(1).and_then(|index| self.starts.get(index)) else { return 0..0 };
        let end = self.starts.get(line).map_or(text.len(), |next| next - 1);
        let body = text.get(start..end).unwrap_or("");
        start..start + body.strip_suffix('\r').unwrap_or(body).len()
    }
}

/// One finding about one place in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable kebab-case name, for `--allow`, `--deny` and search.
    pub code: &'static str,
    /// What is wrong, without a full stop.
    pub message: String,
    /// The file.
    pub file: Arc<str>,
    /// The bytes of the file that it is about.
    pub span: Range<usize>,
    /// A few words at the place itself; may be empty.
    pub label: String,
    /// What would be right, or what to do; may be empty.
    pub help: String,
}

impl Diagnostic {
    /// An error at `span` of `source`.
    #[must_use]
    pub fn error(
        code: &'static str,
        source: &Source,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, source, span, message)
    }

    /// A finding of `severity` at `span` of `source`.
    #[must_use]
    pub fn of(
        severity: Severity,
        code: &'static str,
        source: &Source,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(severity, code, source, span, message)
    }

    /// A warning at `span` of `source`.
    #[must_use]
    pub fn warning(
        code: &'static str,
        source: &Source,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, code, source, span, message)
    }

    fn new(
        severity: Severity,
        code: &'static str,
        source: &Source,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            file: Arc::clone(&source.name),
            span,
            label: String::new(),
            help: String::new(),
        }
    }

    /// With a few words at the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// All findings of one run, with the texts they are about.
#[derive(Debug, Clone, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    sources: BTreeMap<Arc<str>, Source>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a text so that findings about it can be shown in place.
    pub fn add_source(&mut self, source: &Source) {
        self.sources.insert(Arc::clone(&source.name), source.clone());
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Takes over everything in `other`.
    pub fn merge(&mut self, other: Self) {
        self.diagnostics.extend(other.diagnostics);
        self.sources.extend(other.sources);
    }

    /// The same findings, none of which stops anything.
    #[must_use]
    pub fn with_errors_as_warnings(mut self) -> Self {
        for diagnostic in &mut self.diagnostics {
            diagnostic.severity = diagnostic.severity.min(Severity::Warning);
        }
        self
    }

    /// Whether anything in it stops the files from loading.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Looks at every finding anew: `revise` may change it, and says whether it stays.
    pub fn revise(&mut self, revise: impl FnMut(&mut Diagnostic) -> bool) {
        self.diagnostics.retain_mut(revise);
    }

    /// How many findings there are of `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// The findings by file and place.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        all.sort_by(|a, b| (&a.file, a.span.start, b.severity).cmp(&(&b.file, b.span.start, a.severity)));
        all
    }

    /// The text a finding is about, if it was registered.
    #[must_use]
    pub fn source(&self, file: &str) -> Option<&Source> {
        self.sources.get(file)
    }

    /// Where a finding begins.
    #[must_use]
    pub fn position(&self, diagnostic: &Diagnostic) -> Position {
        self.source(&diagnostic.file)
            .map_or(Position { line: 1, column: 1 }, |source| source.position(diagnostic.span.start))
    }
}

/// One finding a line, as `file:line:column: error[code]: message (label); help`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in self.sorted() {
            let Position { line, column } = self.position(diagnostic);
            let Diagnostic { severity, code, message, file, label, help, .. } = diagnostic;
            write!(f, "{file}:{line}:{column}: {}[{code}]: {message}", severity.as_str())?;
            if !label.is_empty() {
                write!(f, " ({label})")?;
            }
            if !help.is_empty() {
                write!(f, "; {help}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// An error with all its causes, outermost first, in words that are not those of whom a connection leads to.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = words_of(error);
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&words_of(cause));
        source = cause.source();
    }
    text
}

/// What `error` says in words that are not the other end's. One of HTTP/2 repeats the debug data of a GOAWAY (RFC 9113,
/// section 6.8), text of any kind, which may be the very data that is masked in answers.
fn words_of(error: &(dyn std::error::Error + 'static)) -> String {
    let within = || error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<h2::Error>();
    let Some(http2) = error.downcast_ref::<h2::Error>().or_else(within) else { return error.to_string() };
    match (http2.reason(), http2.get_io()) {
        (Some(reason), _) => {
            let what = if http2.is_go_away() { "connection" } else { "stream" };
            let whose = if http2.is_remote() { "the other end" } else { "this end" };
            format!("{whose} ended the HTTP/2 {what}: {reason}")
        }
        (None, Some(io)) => io.to_string(),
        (None, None) => "HTTP/2 was not kept to".to_owned(),
    }
}

/// The word among `known` that `word` was probably meant to be.
#[must_use]
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.chars().count() / 4)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = Source::new("a.toml", "名 = 1\n人口 = 2\n");
        let at = source.text.find('2').unwrap();
        assert_eq!(source.position(at), Position { line: 2, column: 6 });
        assert_eq!(source.position(9999), Position { line: 3, column: 1 });
        let text = "\n一\r\n\nx";
        let (source, index) = (Source::new("a", text), LineIndex::new(text));
        for offset in 0..text.len() + 2 {
            assert_eq!(index.position(text, offset), source.position(offset), "{offset}");
        }
        let lines: Vec<&str> = (0..6).map(|line| text.get(index.span(text, line)).unwrap()).collect();
        assert_eq!(lines, ["", "", "一", "", "x", ""]);
    }

    #[test]
    fn findings_come_out_by_place() {
        let source = Source::new("a", "one\ntwo\n");
        let mut report = Report::new();
        report.add_source(&source);
        report.push(Diagnostic::warning("late", &source, 4..7, "second").label("here"));
        report.push(Diagnostic::error("early", &source, 0..3, "first").help("write 1"));
        assert!(report.has_errors());
        assert_eq!(
            report.to_string(),
            "a:1:1: error[early]: first; write 1\na:2:1: warning[late]: second (here)\n"
        );
    }

    #[test]
    fn suggestions_are_near() {
        assert_eq!(did_you_mean("listn", ["listen", "tls"]), Some("listen"));
        assert_eq!(did_you_mean("zebra", ["listen", "tls"]), None);
    }
}
