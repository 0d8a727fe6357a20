//! Strict reader of `grants.csv`: RFC 4180 with Casbin's comments, one record a line.
//!
//! Knows columns and characters, not what they mean. What spreadsheets and input methods do to a
//! file (a BOM, `，` for `,`, invisible characters) is reported where it stands and read as what it
//! was meant to be, so that one run also shows the errors behind it. A file with any such finding
//! never loads.

use std::ops::Range;

use crate::kernel::diagnostic::{Diagnostic, Source, did_you_mean};

/// The longest cell, in bytes.
pub const MAX_CELL_BYTES: usize = 4096;
/// The most lines that hold something.
pub const MAX_ROWS: usize = 1_000_000;
/// The most findings of one file; reading stops there.
pub const MAX_FINDINGS: usize = 1000;

/// The section a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// `p`: a grant or a denial.
    P,
    /// `g`: a subject's role.
    G,
    /// `g2`: a resource's role.
    G2,
}

impl Section {
    /// Every section.
    pub const ALL: [Self; 3] = [Self::P, Self::G, Self::G2];

    /// The word in the first column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P => "p",
            Self::G => "g",
            Self::G2 => "g2",
        }
    }

    /// The columns after the first.
    #[must_use]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::P => &["id", "subject", "resource", "action", "purpose", "scope", "window", "effect"],
            Self::G => &["member", "group"],
            Self::G2 => &["resource", "theme"],
        }
    }
}

/// One column of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its text, without quotes and outer spaces.
    pub text: String,
    /// The bytes of the file it was read from, quotes excluded.
    pub span: Range<usize>,
    verbatim: bool,
}

impl Cell {
    /// The bytes of the file that `part` of the text was read from; the whole cell if quoting
    /// moved them.
    #[must_use]
    pub fn place(&self, part: Range<usize>) -> Range<usize> {
        if self.verbatim && part.end <= self.text.len() && part.start <= part.end {
            self.span.start + part.start..self.span.start + part.end
        } else {
            self.span.clone()
        }
    }
}

/// One line that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its section.
    pub section: Section,
    /// Its columns after the first, as many as the section has.
    pub cells: Vec<Cell>,
    /// The bytes of the line.
    pub span: Range<usize>,
    /// The number of the line, counted from one.
    pub line: usize,
}

/// Reads all rows of `source`, and what is wrong with it.
#[must_use]
pub fn read(source: &Source) -> (Vec<Row>, Vec<Diagnostic>) {
    let mut rows = Vec::new();
    let findings = each(source, |row| rows.push(row));
    (rows, findings)
}

/// Where a row stands. The cells of many rows at once take several times the memory of what they
/// come to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The bytes of the line.
    pub(crate) span: Range<usize>,
    /// The number of the line, counted from one.
    pub(crate) line: usize,
}

/// Reads the rows of `source` and keeps those of roles; of the others, which are grants, it keeps
/// where they stand, for [`again`].
pub(crate) fn outline(source: &Source) -> (Vec<Row>, Vec<Place>, Vec<Diagnostic>) {
    let (mut roles, mut grants) = (Vec::new(), Vec::new());
    let findings = each(source, |row| match row.section {
        Section::P => grants.push(Place { span: row.span, line: row.line }),
        Section::G | Section::G2 => roles.push(row),
    });
    (roles, grants, findings)
}

/// The row at `place`, whose findings [`outline`] has told.
pub(crate) fn again(source: &Source, place: &Place) -> Option<Row> {
    let mut reader = Reader { source, findings: Vec::new() };
    let row = reader.line(source.text.get(place.span.clone())?, place.span.clone())?;
    Some(Row { line: place.line, ..row })
}

/// Gives every row of `source` to `take`, in order; returns what is wrong with the file.
fn each(source: &Source, mut take: impl FnMut(Row)) -> Vec<Diagnostic> {
    let mut reader = Reader { source, findings: Vec::new() };
    let mut rows = 0;
    let mut start = 0;
    if source.text.starts_with('\u{feff}') {
        start = '\u{feff}'.len_utf8();
        reader.report(
            "byte-order-mark",
            0..start,
            "the file begins with a byte order mark",
            "save it as UTF-8 without BOM",
        );
    }
    for (index, line) in source.text.get(start..).unwrap_or("").split_inclusive('\n').enumerate() {
        let body = line.strip_suffix('\n').unwrap_or(line);
        let body = body.strip_suffix('\r').unwrap_or(body);
        let span = start..start + body.len();
        start += line.len();
        if let Some(row) = reader.line(body, span.clone()) {
            take(Row { line: index + 1, ..row });
            rows += 1;
        }
        if rows > MAX_ROWS || reader.findings.len() >= MAX_FINDINGS {
            let message = format!("reading stopped here: more than {MAX_ROWS} rows or {MAX_FINDINGS} errors");
            reader.report("too-much", span, message, "split the file or mend the errors above first");
            break;
        }
    }
    reader.findings
}

/// The ASCII text that a character of an East Asian keyboard or of a word processor was meant to
/// be; an empty text for what cannot be seen.
pub(crate) fn meant(c: char) -> Option<&'static str> {
    const FULL_WIDTH: &str =
        "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    match c {
        // Halfwidth and Fullwidth Forms: U+FF01..=U+FF5E mirror U+0021..=U+007E.
        '\u{ff01}'..='\u{ff5e}' => {
            let index = usize::try_from(u32::from(c) - 0xff01).ok()?;
            FULL_WIDTH.get(index..=index)
        }
        '\u{3000}' | '\u{a0}' | '\u{2002}'..='\u{200a}' => Some(" "),
        '\u{3001}' => Some("|"),
        '\u{3002}' => Some("."),
        '\u{201c}' | '\u{201d}' | '\u{300c}' | '\u{300d}' => Some("\""),
        '\u{2018}' | '\u{2019}' => Some("'"),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some("-"),
        '\u{2026}' => Some(".."),
        '\u{2264}' => Some("<="),
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => Some(""),
        _ => None,
    }
}

struct Reader<'s> {
    source: &'s Source,
    findings: Vec<Diagnostic>,
}

/// Where in a field the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Bare,
    Quoted,
    AfterQuote,
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

    fn line(&mut self, body: &str, span: Range<usize>) -> Option<Row> {
        let content = body.trim_start_matches(' ');
        if content.trim_end_matches(' ').is_empty() {
            return None;
        }
        if content.starts_with('#') {
            self.control_characters(body, span.start);
            return None;
        }
        let before = self.findings.len();
        let cells = self.cells(body, span.start);
        let broken_quotes =
            self.findings.get(before..).unwrap_or(&[]).iter().any(|finding| finding.code == "stray-quote");
        let mut cells = cells.into_iter();
        let section_cell = cells.next()?;
        let Some(section) = Section::ALL.into_iter().find(|section| section.as_str() == section_cell.text)
        else {
            let near = did_you_mean(&section_cell.text.to_lowercase(), Section::ALL.map(Section::as_str));
            let help = near.map_or_else(
                || "a line begins with `p`, `g` or `g2`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.report(
                "unknown-section",
                section_cell.span,
                format!("unknown section `{}`", section_cell.text),
                help,
            );
            return None;
        };
        let cells: Vec<Cell> = cells.collect();
        let columns = section.columns();
        if broken_quotes {
            return None;
        }
        if cells.len() != columns.len() {
            let message = format!(
                "a `{}` line has {} fields, this one has {}",
                section.as_str(),
                columns.len() + 1,
                cells.len() + 1
            );
            let help = format!(
                "write `{}, {}`; a comma inside a field needs quotes",
                section.as_str(),
                columns.join(", ")
            );
            self.report("wrong-number-of-fields", span, message, help);
            return None;
        }
        for (cell, column) in cells.iter().zip(columns) {
            if cell.text.is_empty() {
                self.report(
                    "empty-field",
                    cell.span.clone(),
                    format!("the {column} is empty"),
                    "every field needs a value",
                );
            } else if cell.text.len() > MAX_CELL_BYTES {
                self.report(
                    "field-too-long",
                    cell.span.clone(),
                    format!("the {column} is {} bytes long", cell.text.len()),
                    format!("a field has at most {MAX_CELL_BYTES} bytes"),
                );
            }
        }
        let whole = cells.iter().all(|cell| (1..=MAX_CELL_BYTES).contains(&cell.text.len()));
        whole.then_some(Row { section, cells, span, line: 0 })
    }

    fn control_characters(&mut self, text: &str, start: usize) {
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_control()) {
            let at = start + at;
            let help = if c == '\t' { "write a space" } else { "remove it" };
            let message = format!("control character U+{:04X}", u32::from(c));
            self.report("control-character", at..at + c.len_utf8(), message, help);
        }
    }

    /// Splits one line into cells, reading look-alike characters as what they were meant to be.
    fn cells(&mut self, body: &str, line_start: usize) -> Vec<Cell> {
        self.control_characters(body, line_start);
        let mut splitter = Splitter::new(line_start);
        let mut chars = body.char_indices().peekable();
        while let Some((at, original)) = chars.next() {
            let span = line_start + at..line_start + at + original.len_utf8();
            if original.is_control() {
                splitter.cell.verbatim = false;
                continue;
            }
            let mut buffer = [0; 4];
            let text: &str = match meant(original) {
                Some(text) => {
                    self.look_alike(original, text, span.clone());
                    splitter.cell.verbatim = false;
                    text
                }
                None => original.encode_utf8(&mut buffer),
            };
            if splitter.state == State::Quoted
                && text == "\""
                && chars.next_if(|&(_, next)| next == '"').is_some()
            {
                splitter.keep('"', span.start..span.end + 1);
                splitter.cell.verbatim = false;
                continue;
            }
            for c in text.chars() {
                if let Err((message, help)) = splitter.push(c, span.clone()) {
                    self.report("stray-quote", span, message, help);
                    return splitter.finish();
                }
            }
        }
        if splitter.state == State::Quoted {
            let span = splitter.quote..splitter.cell.span.end;
            self.report("stray-quote", span, "a quote that is never closed", "close it on the same line");
        }
        splitter.finish()
    }

    fn look_alike(&mut self, original: char, text: &str, span: Range<usize>) {
        let (message, help) = match text {
            "" => (format!("invisible character U+{:04X}", u32::from(original)), "remove it".to_owned()),
            " " => (
                format!("a space that is not a plain space, U+{:04X}", u32::from(original)),
                "write a plain space".to_owned(),
            ),
            _ => (format!("full-width or typographic `{original}`"), format!("write `{text}`")),
        };
        self.report("full-width-character", span, message, help);
    }
}

/// A line being split.
struct Splitter {
    cells: Vec<Cell>,
    cell: Cell,
    state: State,
    /// Where the last opening quote stands; what was meant as one may have more than one byte.
    quote: usize,
}

impl Splitter {
    fn new(start: usize) -> Self {
        let cell = Cell { text: String::new(), span: start..start, verbatim: true };
        Self { cells: Vec::new(), cell, state: State::Before, quote: start }
    }

    fn keep(&mut self, c: char, span: Range<usize>) {
        self.cell.text.push(c);
        self.cell.span.end = span.end;
    }

    /// Takes the next character; the message and help of a stray quote if it cannot stand there.
    fn push(&mut self, c: char, span: Range<usize>) -> Result<(), (&'static str, &'static str)> {
        match (self.state, c) {
            (State::Before | State::Bare | State::AfterQuote, ',') => {
                self.close();
                self.cell.span = span.end..span.end;
            }
            (State::Before, ' ') => self.cell.span = span.end..span.end,
            (State::Before, '"') => {
                self.quote = span.start;
                self.cell.span = span.end..span.end;
                self.state = State::Quoted;
            }
            (State::Quoted, '"') => self.state = State::AfterQuote,
            (State::Bare, '"') => {
                return Err((
                    "a quote inside a field without quotes",
                    "put the whole field in quotes and write `\"\"` for a quote in it",
                ));
            }
            (State::AfterQuote, _) => {
                return Err(("text after the closing quote", "end the field right after its closing quote"));
            }
            (State::Before | State::Bare, c) => {
                self.state = State::Bare;
                self.keep(c, span);
            }
            (State::Quoted, c) => self.keep(c, span),
        }
        Ok(())
    }

    /// Ends the cell, without the spaces that follow a bare text; those inside quotes stay.
    fn close(&mut self) {
        let next = Cell { text: String::new(), span: 0..0, verbatim: true };
        let mut cell = std::mem::replace(&mut self.cell, next);
        if self.state == State::Bare {
            let kept = cell.text.trim_end_matches(' ').len();
            let cut = cell.text.len() - kept;
            cell.text.truncate(kept);
            if cell.verbatim {
                cell.span.end -= cut;
            }
        }
        self.state = State::Before;
        self.cells.push(cell);
    }

    fn finish(mut self) -> Vec<Cell> {
        self.close();
        self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Result<Vec<Vec<String>>, Vec<&'static str>> {
        let (rows, findings) = read(&Source::new("grants.csv", line));
        if findings.is_empty() {
            Ok(rows.into_iter().map(|row| row.cells.into_iter().map(|cell| cell.text).collect()).collect())
        } else {
            Err(findings.iter().map(|finding| finding.code).collect())
        }
    }

    #[test]
    fn rows_as_casbin_reads_them() {
        let g = |a: &str, b: &str| Ok(vec![vec![a.to_owned(), b.to_owned()]]);
        for (line, expected) in [
            ("g, dept:a, group:b\n", g("dept:a", "group:b")),
            ("g,dept:a,group:b", g("dept:a", "group:b")),
            ("  g ,  dept:a  , group:b  \r\n", g("dept:a", "group:b")),
            ("g, \"dept:a\", \"group,b\"\n", g("dept:a", "group,b")),
            ("g, \"say \"\"a\"\"\", b\n", g("say \"a\"", "b")),
            ("# 注释，任意标点\n\n   \n", Ok(vec![])),
            ("", Ok(vec![])),
        ] {
            assert_eq!(texts(line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (line, codes) in [
            ("\u{feff}g, a, b\n", vec!["byte-order-mark"]),
            ("P, a, b\n", vec!["unknown-section"]),
            ("g3, a, b\n", vec!["unknown-section"]),
            ("g, a\n", vec!["wrong-number-of-fields"]),
            ("g, a, b, c\n", vec!["wrong-number-of-fields"]),
            ("g, a, b,\n", vec!["wrong-number-of-fields"]),
            ("g, , b\n", vec!["empty-field"]),
            ("g, \"\", b\n", vec!["empty-field"]),
            ("g, a\"x, b\n", vec!["stray-quote"]),
            ("g, \"a\"x, b\n", vec!["stray-quote"]),
            ("g, \"a\" , b\n", vec!["stray-quote"]),
            ("g, \"a, b\n", vec!["stray-quote"]),
            ("g，a，b\n", vec!["full-width-character", "full-width-character"]),
            ("g, a\u{200b}, b\n", vec!["full-width-character"]),
            ("g, a\u{3000}, b\n", vec!["full-width-character"]),
            ("g,\ta, b\n", vec!["control-character"]),
            ("g, a, b\rg, c, d\n", vec!["control-character", "wrong-number-of-fields"]),
            ("# \u{0}\n", vec!["control-character"]),
        ] {
            assert_eq!(texts(line), Err(codes), "{line:?}");
        }
    }

    #[test]
    fn look_alikes_are_named_with_what_was_meant() {
        for (wrong, right) in [
            ('，', ","),
            ('；', ";"),
            ('：', ":"),
            ('｜', "|"),
            ('（', "("),
            ('＊', "*"),
            ('＠', "@"),
            ('９', "9"),
            ('。', "."),
            ('＝', "="),
        ] {
            assert_eq!(meant(wrong), Some(right), "{wrong}");
        }
        assert_eq!(meant('名'), None);
    }

    #[test]
    fn cells_know_their_bytes() {
        let source = Source::new("grants.csv", "# 注\ng,  dept:a ,\"group:b\"\n");
        let (rows, findings) = read(&source);
        assert_eq!(findings, []);
        for cell in &rows[0].cells {
            assert_eq!(source.text.get(cell.span.clone()), Some(cell.text.as_str()));
            assert_eq!(source.text.get(cell.place(1..3)), cell.text.get(1..3));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_spans_lie_in_it(text in "[\\PC\n\r\t\",，p g2#|]{0,60}") {
            let source = Source::new("grants.csv", text.as_str());
            let (rows, findings) = read(&source);
            for span in findings.iter().map(|finding| &finding.span).chain(rows.iter().map(|row| &row.span)) {
                proptest::prop_assert!(source.text.get(span.clone()).is_some());
            }
        }
    }
}
