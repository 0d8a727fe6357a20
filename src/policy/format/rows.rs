//! `grants.csv`: each line read tolerantly, and written as the strict reader wants it, in columns.

use std::sync::LazyLock;

use unicode_width::UnicodeWidthStr;

use super::encoding::BOM;
use super::{Repair, Repairs};
use crate::grant::Effect;
use crate::kernel::diagnostic::Source;
use crate::kernel::time::TimeZone;
use crate::policy::calendar::Calendar;
use crate::policy::csv::{self, Section, meant};
use crate::policy::scope::Scope;
use crate::policy::window::{Frame, Window};

/// The widest that a cell may be and still push the columns behind it, in terminal cells.
pub(super) const MAX_COLUMN: usize = 40;

/// The most blank lines together.
const MAX_BLANK: usize = 2;

/// What one line is.
#[derive(Debug)]
enum Line {
    Blank,
    /// A comment, or what is not certain; written as it stands here.
    Verbatim(String),
    Row(Section, Vec<String>),
}

/// The file as it should be.
pub(super) fn format(text: &str, repairs: &mut Repairs) -> String {
    let unfolded = macintosh(text);
    if unfolded.is_some() {
        repairs.add(Repair::LineEnds, 1);
    }
    let text = unfolded.as_deref().unwrap_or(text);
    let separator = separator(text);
    let mut lines: Vec<(Line, &str)> = Vec::new();
    for (original, number) in text.lines().zip(1..) {
        let line = match separator {
            Some(separator) => separated(original, separator, number, repairs),
            None => line(original, number, repairs),
        };
        lines.push((line, original));
    }
    let formatted = layout(&lines, repairs);
    if !formatted.is_empty() && !text.ends_with('\n') {
        repairs.add(Repair::FinalNewline, lines.len());
    }
    formatted
}

/// A file whose lines end with a carriage return alone, if every line is then one that is read.
fn macintosh(text: &str) -> Option<String> {
    if text.contains('\n') || !text.contains('\r') {
        return None;
    }
    let unfolded = text.replace('\r', "\n");
    let is_read = |line: &str| {
        let mut unused = Repairs::default();
        match self::line(line, 1, &mut unused) {
            Line::Blank | Line::Row(..) => true,
            Line::Verbatim(text) => text.trim_start().starts_with('#'),
        }
    };
    unfolded.lines().all(is_read).then_some(unfolded)
}

/// Reads a line; notes what had to be repaired for it.
fn line(original: &str, number: usize, repairs: &mut Repairs) -> Line {
    let unmarked = original.trim_start_matches(BOM);
    if unmarked.len() < original.len() {
        // Of a file that was put behind another.
        repairs.add(Repair::ByteOrderMark, number);
    }
    let visible =
        unmarked.trim_start_matches(|c: char| meant(c).is_some_and(|meant| meant.trim().is_empty()));
    if let Some(comment) = visible.strip_prefix(['#', '＃']) {
        return comment_line(unmarked, visible, comment, number, repairs);
    }
    // Read as it is, then without what surrounds a line that a spreadsheet has saved.
    if let Some((section, cells)) = read(unmarked, number, repairs) {
        return Line::Row(section, cells);
    }
    let columns = without_empty_columns(unmarked);
    if columns.is_empty() {
        let had_columns = !unmarked.trim().is_empty();
        if had_columns {
            repairs.add(Repair::EmptyColumns, number);
        }
        return Line::Blank;
    }
    let mut wider = Repairs::default();
    if let Some((section, cells)) = read(columns, number, &mut wider) {
        repairs.take(&wider);
        repairs.add(Repair::EmptyColumns, number);
        return Line::Row(section, cells);
    }
    if let Some(inner) = unquoted(columns) {
        // One layer alone: what is quoted twice was meant to be.
        let mut within = Repairs::default();
        let line = if inner.starts_with('"') { None } else { Some(line(&inner, number, &mut within)) };
        let is_comment = inner.trim_start().starts_with(['#', '＃']);
        if let Some(line) = line.filter(|line| is_comment || matches!(line, Line::Row(..))) {
            repairs.take(&within);
            repairs.add(Repair::QuotedLine, number);
            if columns.len() < unmarked.trim_end().len() {
                repairs.add(Repair::EmptyColumns, number);
            }
            return line;
        }
    }
    Line::Verbatim(unmarked.to_owned())
}

/// A comment, without the empty columns that a spreadsheet puts behind it.
fn comment_line(unmarked: &str, visible: &str, comment: &str, number: usize, repairs: &mut Repairs) -> Line {
    // A carriage return at the end would be the half of a line end the next time.
    let kept = comment.trim_end_matches([' ', '\t', ',', '\r']);
    let cut = comment.get(kept.len()..).unwrap_or("");
    let text = if cut.contains(",,") {
        repairs.add(Repair::EmptyColumns, number);
        kept
    } else {
        comment.trim_end_matches([' ', '\t', '\r'])
    };
    let indent = unmarked.strip_suffix(visible).unwrap_or("");
    if !visible.starts_with('#') || indent.chars().any(|c| c != ' ') {
        repairs.add(Repair::LookAlikes, number);
        return Line::Verbatim(format!("#{text}"));
    }
    Line::Verbatim(format!("{indent}#{text}"))
}

/// The cells of one row, each as it should be; `None` if the line is not certainly one.
fn read(line: &str, number: usize, repairs: &mut Repairs) -> Option<(Section, Vec<String>)> {
    let spaced = line.replace('\t', " ");
    if spaced.chars().any(char::is_control) {
        return None;
    }
    let (rows, findings) = csv::read(&Source::new("", spaced.as_str()));
    let row = rows.into_iter().next()?;
    if spaced.len() == line.len() && line.contains('\t') {
        repairs.add(Repair::Tabs, number);
    }
    if findings.iter().any(|finding| finding.code == "full-width-character") {
        repairs.add(Repair::LookAlikes, number);
    }
    let mut cells: Vec<String> = row.cells.into_iter().map(|cell| cell.text).collect();
    let plain = |text: &str| text.matches('"').count();
    let needed: usize = cells.iter().map(|cell| plain(&written(cell))).sum();
    let quotes = line.chars().filter(|c| meant(*c).unwrap_or("") == "\"" || *c == '"').count();
    if needed == 0 && quotes > 0 || plain(line) > needed {
        repairs.add(Repair::Quotes, number);
    }
    if row.section == Section::P {
        terms(&mut cells, number, repairs);
    }
    Some((row.section, cells))
}

/// The local clock that windows are read by here. Their normal form is the same by every other.
static FRAME: LazyLock<Frame> =
    LazyLock::new(|| Frame { zone: TimeZone::UTC, calendar: std::sync::Arc::new(Calendar::default()) });

/// Spells effect, window and scope as they should be, where they can be read.
fn terms(cells: &mut [String], number: usize, repairs: &mut Repairs) {
    let [.., scope, window, effect] = cells else { return };
    for word in [Effect::Allow.as_str(), Effect::Deny.as_str()] {
        if effect != word && effect.eq_ignore_ascii_case(word) {
            word.clone_into(effect);
            repairs.add(Repair::Effect, number);
        }
    }
    let mut spell = |cell: &mut String, normal: String, repair| {
        if *cell != normal {
            *cell = normal;
            repairs.add(repair, number);
        }
    };
    if let Ok(read) = Scope::parse(scope) {
        spell(scope, read.to_string(), Repair::Spelling);
    }
    let normal = |text: &str| Some(Window::parse(text, &FRAME, Effect::Allow).ok()?.text().to_owned());
    if let Some(normal) = normal(window) {
        spell(window, normal, Repair::Spelling);
    } else if let Some(normal) = dates(window).and_then(|dates| normal(&dates)) {
        spell(window, normal, Repair::Dates);
    }
}

/// A window that begins with two dates in a spreadsheet's form, such as `2026/1/1-2026/12/31`, with its
/// dates as windows have them. Only years of four digits in the first place leave no doubt.
fn dates(window: &str) -> Option<String> {
    let (from, rest) = date(window)?;
    let rest = rest.trim_start_matches(' ');
    let rest = rest.strip_prefix(['/', '-', '~', '至', '到'])?.trim_start_matches(' ');
    let (to, rest) = date(rest)?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| format!("{from}/{to}{rest}"))
}

fn date(text: &str) -> Option<(String, &str)> {
    let number = |text: &str, most: usize| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, _) = text.split_at_checked(digits)?;
        ((1..=most).contains(&digits)).then(|| number.to_owned())
    };
    let year = number(text, 4).filter(|year| year.len() == 4)?;
    let rest = text.get(4..)?;
    let separator = rest.chars().next().filter(|c| "/-.".contains(*c))?;
    let rest = rest.strip_prefix(separator)?;
    let month = number(rest, 2)?;
    let rest = rest.get(month.len()..)?.strip_prefix(separator)?;
    let day = number(rest, 2)?;
    let rest = rest.get(day.len()..)?;
    Some((format!("{year}-{month:0>2}-{day:0>2}"), rest))
}

fn without_empty_columns(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', ',', '，'])
}

/// What is in a line that is one quoted cell. `None` if it is not.
fn unquoted(line: &str) -> Option<String> {
    let line = line.trim();
    let inner = line.strip_prefix('"')?.strip_suffix('"')?.trim_end_matches('\r');
    let halves = inner.replace("\"\"", "");
    (!halves.contains('"')).then(|| inner.replace("\"\"", "\""))
}

/// The separator of a file in which no comma separates anything: every line that holds something has
/// the right number of fields by it.
fn separator(text: &str) -> Option<char> {
    let holds = |line: &&str| {
        let line = line.trim_start_matches(BOM).trim();
        !without_empty_columns(line).is_empty() && !line.starts_with(['#', '＃', '"'])
    };
    ['\t', ';'].into_iter().find(|&separator| {
        let mut lines = text.lines().filter(holds).peekable();
        lines.peek().is_some() && lines.all(|line| fields(line, separator).is_some())
    })
}

/// The fields of a line by `separator`, if they are as many as its section has.
fn fields(line: &str, separator: char) -> Option<(Section, Vec<String>)> {
    let mut fields = split(line.trim_start_matches(BOM), separator)?;
    while fields.last().is_some_and(String::is_empty) {
        fields.pop();
    }
    let (first, rest) = fields.split_first()?;
    let section = Section::ALL.into_iter().find(|section| section.as_str() == first)?;
    let is_whole = rest.len() == section.columns().len() && rest.iter().all(|field| !field.is_empty());
    is_whole.then(|| (section, rest.to_vec()))
}

/// Splits by `separator` outside of quotes (RFC 4180). `None` if a quote stands where none may.
fn split(line: &str, separator: char) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(' ');
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"')?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => {
                        rest = after.trim_start_matches(' ');
                        break;
                    }
                }
            }
        } else {
            let end = rest.find(separator).unwrap_or(rest.len());
            let (part, after) = rest.split_at_checked(end)?;
            if part.contains('"') {
                return None;
            }
            field.push_str(part.trim());
            rest = after;
        }
        fields.push(field);
        if rest.is_empty() {
            return Some(fields);
        }
        rest = rest.strip_prefix(separator)?;
    }
}

/// Reads a line of a file with another separator: as the same cells between commas.
fn separated(original: &str, separator: char, number: usize, repairs: &mut Repairs) -> Line {
    let Some((section, cells)) = fields(original, separator) else { return line(original, number, repairs) };
    let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    let mut within = Repairs::default();
    match read(&format!("{},{}", section.as_str(), quoted.join(",")), number, &mut within) {
        Some((section, cells)) => {
            // The quotes are those put here.
            within.0.remove(&Repair::Quotes);
            repairs.take(&within);
            repairs.add(Repair::Separators, number);
            Line::Row(section, cells)
        }
        None => Line::Verbatim(original.to_owned()),
    }
}

impl Repairs {
    fn take(&mut self, other: &Self) {
        for (repair, places) in other.iter() {
            self.add(repair, places.first);
        }
    }
}

fn needs_quotes(cell: &str) -> bool {
    cell.contains([',', '"']) || cell != cell.trim_matches(' ')
}

fn written(cell: &str) -> String {
    if needs_quotes(cell) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// Puts the lines together: rows in columns, few blank lines.
fn layout(lines: &[(Line, &str)], repairs: &mut Repairs) -> String {
    let mut text = String::new();
    let mut blank = MAX_BLANK;
    let mut columns = Columns::default();
    let mut rest = lines;
    let mut owed = 0;
    for (number, (line, original)) in (1..).zip(lines) {
        let written = match line {
            Line::Blank => {
                // Written once a line follows, so that none stands at an end.
                let is_kept = blank < MAX_BLANK;
                owed += usize::from(is_kept);
                blank += 1;
                if !is_kept {
                    repairs.add(Repair::BlankLines, number);
                } else if !original.is_empty() && original.trim().is_empty() {
                    repairs.add(Repair::Layout, number);
                }
                rest = rest.get(1..).unwrap_or(&[]);
                continue;
            }
            Line::Verbatim(text) => {
                columns = Columns::default();
                text.clone()
            }
            Line::Row(section, cells) => {
                if columns.section != Some(*section) || blank > 0 {
                    columns = Columns::of(*section, rest);
                }
                certain(*section, cells, columns.row(cells), original)
            }
        };
        rest = rest.get(1..).unwrap_or(&[]);
        text.push_str(&"\n".repeat(std::mem::take(&mut owed)));
        let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        if written != *original && visible(&written) == visible(original) {
            repairs.add(Repair::Layout, number);
        }
        text.push_str(&written);
        text.push('\n');
        blank = 0;
    }
    if owed > 0 {
        repairs.add(Repair::BlankLines, lines.len());
    }
    text
}

/// `row`, if it reads strictly as `cells`; else the line as it was.
fn certain(section: Section, cells: &[String], row: String, original: &str) -> String {
    let (rows, findings) = csv::read(&Source::new("", row.as_str()));
    let reads = |read: &csv::Row| {
        read.section == section && read.cells.iter().map(|cell| &cell.text).eq(cells.iter())
    };
    let is_certain = findings.is_empty() && rows.len() == 1 && rows.iter().all(reads);
    if is_certain { row } else { original.to_owned() }
}

/// Where the columns of a block of rows begin.
#[derive(Debug, Default)]
struct Columns {
    section: Option<Section>,
    /// Of each column after the first, in terminal cells.
    starts: Vec<usize>,
}

impl Columns {
    /// The columns of the rows of `section` that `lines` begin with.
    fn of(section: Section, lines: &[(Line, &str)]) -> Self {
        let mut widths = vec![0; section.columns().len()];
        for (line, _) in lines {
            let Line::Row(other, cells) = line else { break };
            if *other != section {
                break;
            }
            for (width, cell) in widths.iter_mut().zip(cells) {
                let own = written(cell).width();
                // One long cell must not push all others away.
                if own <= MAX_COLUMN {
                    *width = own.max(*width);
                }
            }
        }
        let mut start = section.as_str().width() + 2;
        let starts = widths.into_iter().map(|width| {
            let own = start;
            start += width + 2;
            own
        });
        Self { section: Some(section), starts: starts.collect() }
    }

    /// One row. Behind a cell that is too long the next one comes at once, and later ones find their
    /// column again where they can.
    fn row(&self, cells: &[String]) -> String {
        let mut row = self.section.map_or("", Section::as_str).to_owned();
        let mut at = row.width();
        for (cell, start) in cells.iter().zip(&self.starts) {
            let cell = written(cell);
            let gap = start.saturating_sub(at + 1).max(1);
            row.push(',');
            row.push_str(&" ".repeat(gap));
            row.push_str(&cell);
            at += 1 + gap + cell.width();
        }
        row
    }
}
