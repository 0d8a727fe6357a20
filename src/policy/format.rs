//! Policy files as they should be: what `pinegate fmt` makes of their bytes.
//!
//! Repairs what spreadsheets, input methods and other systems do to a file, where it is certain what
//! was meant, and lays out `grants.csv` in columns. INVARIANT: no repair changes what a file says.
//! Every line that is written anew is read again, strictly, and must have the cells that the tolerant
//! reading of [`super::csv`] found; a TOML file must have the same values. What is not certain stays as
//! it is and is reported.

mod encoding;
mod plain;
mod rows;

use std::collections::BTreeMap;
use std::fmt;

use super::csv;
use super::model::Model;
use crate::document::Document;
use crate::kernel::diagnostic::{Diagnostic, Report, Source};

pub use encoding::EncodingError;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `grants.csv`.
    Grants,
    /// One of the TOML files.
    Toml,
    /// `model.conf`.
    Model,
}

impl Kind {
    /// What a file of this name is; `None` if it is no policy file.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Grants),
            "toml" => Some(Self::Toml),
            "conf" => Some(Self::Model),
            _ => None,
        }
    }
}

/// One kind of repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// It was in UTF-16.
    Utf16,
    /// It was in GBK or GB 18030.
    Gbk,
    /// It began with a byte order mark.
    ByteOrderMark,
    /// Lines ended otherwise than with a line feed.
    LineEnds,
    /// Cells were separated by tabs or semicolons.
    Separators,
    /// A whole line was one quoted cell.
    QuotedLine,
    /// Empty columns followed the last.
    EmptyColumns,
    /// Full-width, typographic or invisible characters stood for plain ones.
    LookAlikes,
    /// Tabs stood for spaces.
    Tabs,
    /// Cells were quoted that need no quotes.
    Quotes,
    /// `Allow` or `DENY` stood for `allow` or `deny`.
    Effect,
    /// A window had its dates as a spreadsheet writes them.
    Dates,
    /// A scope or window was not spelled in its normal form.
    Spelling,
    /// Columns were not aligned, or spaces stood at the end of lines.
    Layout,
    /// There were more than two blank lines together, or some at an end.
    BlankLines,
    /// The last line had no end.
    FinalNewline,
}

impl Repair {
    /// A stable kebab-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf16 => "utf-16",
            Self::Gbk => "gbk",
            Self::ByteOrderMark => "byte-order-mark",
            Self::LineEnds => "line-ends",
            Self::Separators => "separators",
            Self::QuotedLine => "quoted-lines",
            Self::EmptyColumns => "empty-columns",
            Self::LookAlikes => "look-alikes",
            Self::Tabs => "tabs",
            Self::Quotes => "quotes",
            Self::Effect => "effect",
            Self::Dates => "dates",
            Self::Spelling => "spelling",
            Self::Layout => "layout",
            Self::BlankLines => "blank-lines",
            Self::FinalNewline => "final-newline",
        }
    }
}

/// What was done, in a few words.
impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16 => "UTF-16 made UTF-8",
            Self::Gbk => "GBK made UTF-8",
            Self::ByteOrderMark => "byte order mark removed",
            Self::LineEnds => "line ends made line feeds",
            Self::Separators => "separators made commas",
            Self::QuotedLine => "quotes around whole lines removed",
            Self::EmptyColumns => "empty columns removed",
            Self::LookAlikes => "full-width and other look-alike characters replaced",
            Self::Tabs => "tabs made spaces",
            Self::Quotes => "needless quotes removed",
            Self::Effect => "effect in lower case",
            Self::Dates => "dates written with `-`",
            Self::Spelling => "scopes and windows in normal form",
            Self::Layout => "columns and spaces",
            Self::BlankLines => "blank lines taken out",
            Self::FinalNewline => "last line ended",
        })
    }
}

/// Where a repair was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// On how many lines.
    pub lines: usize,
    /// The first of them in the file as it was, counted from one.
    pub first: usize,
}

/// All repairs of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repairs(BTreeMap<Repair, Places>);

impl Repairs {
    fn add(&mut self, repair: Repair, line: usize) {
        let places = self.0.entry(repair).or_insert(Places { lines: 0, first: line });
        places.lines += 1;
    }

    /// Each kind, in the order in which they are made.
    pub fn iter(&self) -> impl Iterator<Item = (Repair, Places)> {
        self.0.iter().map(|(repair, places)| (*repair, *places))
    }

    /// Whether nothing was repaired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A file as it should be, as far as that is certain.
#[derive(Debug)]
pub struct Formatted {
    /// Its text, as it was read from the bytes.
    pub before: String,
    /// Its text as it should be.
    pub text: String,
    /// What was repaired.
    pub repairs: Repairs,
    /// What is wrong with it still, in places of `text`.
    pub left: Report,
}

/// Formats the bytes of a file. `name` stands in findings.
///
/// # Errors
/// When it is not certain which text the bytes are.
pub fn format(kind: Kind, name: &str, bytes: &[u8]) -> Result<Formatted, EncodingError> {
    let mut repairs = Repairs::default();
    let before = encoding::decode(bytes, &mut repairs)?;
    let text = match kind {
        Kind::Grants => rows::format(&before, &mut repairs),
        Kind::Toml => plain::toml(&before, &mut repairs),
        Kind::Model => plain::model(&before, &mut repairs),
    };
    let source = Source::new(name, text.as_str());
    let mut left = Report::new();
    match kind {
        Kind::Grants => {
            left.add_source(&source);
            csv::read(&source).1.into_iter().for_each(|finding| left.push(finding));
        }
        Kind::Toml => left = Document::parse(&source).into_report(),
        Kind::Model => {
            left.add_source(&source);
            let findings: Vec<Diagnostic> = Model::read(&source).err().unwrap_or_default();
            findings.into_iter().for_each(|finding| left.push(finding));
        }
    }
    Ok(Formatted { before, text, repairs, left })
}

#[cfg(test)]
mod tests;
