//! Columns that align on a terminal, Chinese characters being two cells wide.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::screen::{Screen, Tone};

/// What stands for a character that a terminal must not be sent.
const REPLACEMENT: char = '\u{fffd}';

/// A cell: its text and its tone.
pub(super) type Cell = (Option<Tone>, String);

/// Rows of cells, printed with two spaces between columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
    /// How wide columns were in rows that are gone.
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().map(|(tone, text)| (tone, shown(&text))).collect());
    }

    /// The lines, each indented by `indent` spaces and without spaces at its end.
    pub(super) fn lines(&self, screen: &Screen<'_>, indent: usize) -> Vec<String> {
        let widths = self.widths();
        self.rows.iter().map(|row| line(screen, indent, row, &widths)).collect()
    }

    /// The same, and forgets the rows: those that come later align with them where they can.
    pub(super) fn take_lines(&mut self, screen: &Screen<'_>, indent: usize) -> Vec<String> {
        let lines = self.lines(screen, indent);
        self.widths = self.widths();
        self.rows.clear();
        lines
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
            for (column, (_, text)) in row.iter().take(padded).enumerate() {
                match widths.get_mut(column) {
                    Some(width) => *width = text.width().max(*width),
                    None => widths.push(text.width()),
                }
            }
        }
        widths
    }
}

fn line(screen: &Screen<'_>, indent: usize, row: &[Cell], widths: &[usize]) -> String {
    let mut line = " ".repeat(indent);
    let mut owed = 0;
    for ((tone, text), width) in row.iter().zip(widths.iter().chain(std::iter::repeat(&0))) {
        if !text.is_empty() {
            line.push_str(&" ".repeat(owed));
            owed = 0;
            line.push_str(&tone.map_or_else(|| text.clone(), |tone| screen.paint(tone, text)));
        }
        owed += width.saturating_sub(text.width()) + 2;
    }
    line
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
    fn nothing_shown_moves_the_cursor_or_turns_the_text() {
        assert_eq!(
            shown("民政 é\u{1b}[2J\n\u{9b}\u{202e}\u{2066}"),
            "民政 é\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
        );
    }
}
