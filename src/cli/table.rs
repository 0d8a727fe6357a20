//! Columns that align on a terminal, Chinese characters being two cells wide.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::screen::{Screen, Tone};

/// What stands for a character that a terminal must not be sent.
const REPLACEMENT: char = '\u{fffd}';

/// A cell: its text and its tone.
pub(super) type Cell = (Option<Tone>, String);

/// A cell as it is printed.
#[derive(Debug)]
struct Placed {
    tone: Option<Tone>,
    text: String,
    /// How many cells of a terminal it takes.
    width: usize,
}

/// Rows of cells, printed with two spaces between columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Placed>>,
    /// How wide columns were in rows that are gone.
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let placed = |(tone, text): Cell| {
            // Most text is plain: it is shown as it is, and is as wide as it is long.
            let text = if is_plain(&text) { text } else { shown(&text) };
            let width = if is_plain(&text) { text.len() } else { text.width() };
            Placed { tone, text, width }
        };
        self.rows.push(cells.into_iter().map(placed).collect());
    }

    /// The lines, each indented by `indent` spaces and without spaces at its end.
    pub(super) fn lines(&self, screen: &Screen<'_>, indent: usize) -> Vec<String> {
        let widths = self.widths();
        let line = |row: &Vec<Placed>| {
            let mut line = " ".repeat(indent);
            push_line(screen, row, &widths, &mut line);
            line
        };
        self.rows.iter().map(line).collect()
    }

    /// The same as one text, and forgets the rows: those that come later align with them where they can.
    pub(super) fn take_text(&mut self, screen: &Screen<'_>) -> String {
        self.widths = self.widths();
        let cells: usize = self.rows.iter().flatten().map(|cell| cell.text.len() + 4).sum();
        let mut text = String::with_capacity(cells);
        for row in self.rows.drain(..) {
            push_line(screen, &row, &self.widths, &mut text);
            text.push('\n');
        }
        text
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = self.widths.clone();
        for row in &self.rows {
            // Nothing stands behind the last cell of a row, so that it needs no column.
            let padded = row.len().saturating_sub(1);
            for (column, cell) in row.iter().take(padded).enumerate() {
                match widths.get_mut(column) {
                    Some(width) => *width = cell.width.max(*width),
                    None => widths.push(cell.width),
                }
            }
        }
        widths
    }
}

/// Appends a row, without spaces at its end.
fn push_line(screen: &Screen<'_>, row: &[Placed], widths: &[usize], line: &mut String) {
    let mut owed = 0;
    for (cell, width) in row.iter().zip(widths.iter().chain(std::iter::repeat(&0))) {
        if !cell.text.is_empty() {
            line.extend(std::iter::repeat_n(' ', owed));
            owed = 0;
            match cell.tone.filter(|_| screen.is_coloured()) {
                Some(tone) => line.push_str(&screen.paint(tone, &cell.text)),
                None => line.push_str(&cell.text),
            }
        }
        owed += width.saturating_sub(cell.width) + 2;
    }
}

/// Whether `text` is of printable ASCII alone.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A plain cell.
pub(super) fn plain(text: impl Into<String>) -> Cell {
    (None, text.into())
}

/// A cell with a tone.
pub(super) fn toned(tone: Tone, text: impl Into<String>) -> Cell {
    (Some(tone), text.into())
}

/// `text` without characters that move a terminal's cursor, switch its modes, or let text appear in
/// another order than it has.
pub(super) fn shown(text: &str) -> String {
    // A control character has no width.
    text.chars().map(|c| if c.width().is_none() || turns(c) { REPLACEMENT } else { c }).collect()
}

/// Whether a character is invisible and turns the direction of what follows.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_however_wide_their_characters_are() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let screen = Screen::plain(&mut out, &mut err);
        let mut table = Table::default();
        table.row([plain("民政"), plain("a\u{1b}b"), plain("last")]);
        table.row([plain("abcdef"), plain(""), plain("é")]);
        table.row([plain("x"), plain("y"), plain("")]);
        let lines = ["民政    a\u{fffd}b  last", "abcdef       é", "x       y"];
        assert_eq!(table.lines(&screen, 1), lines.map(|line| format!(" {line}")));
        assert_eq!(table.take_text(&screen), lines.map(|line| format!("{line}\n")).concat());
        // What comes later aligns with what is gone.
        assert_eq!(table.len(), 0);
        table.row([plain("z"), plain("z"), plain("z")]);
        assert_eq!(table.take_text(&screen), "z       z    z\n");
    }

    #[test]
    fn nothing_shown_moves_the_cursor_or_turns_the_text() {
        assert_eq!(
            shown("民政 é\u{1b}[2J\n\u{9b}\u{202e}\u{2066}"),
            "民政 é\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
        );
    }
}
