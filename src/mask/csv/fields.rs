//! Fields that do not just leave as they are: taken whole, judged, masked, quoted again.

use super::super::context::keep_up_to;
use super::super::masker::Value;
use super::super::notation::Plain;
use super::super::untyped::Fate;
use super::Scan;
use super::header::Column;

impl Scan<'_> {
    /// The field at hand, which is one of `column`, ends before `at`.
    #[inline(always)]
    pub(super) fn take(&mut self, at: usize, column: &Column) {
        if self.state.carried { self.take_carried(at, column) } else { self.take_here(at, column) }
    }

    /// [`Scan::take`] of a field that lies in this piece.
    #[inline(always)]
    pub(super) fn take_here(&mut self, at: usize, column: &Column) {
        match column.fate {
            Fate::Dropped => self.context.tally.drop(column.rule.slot),
            Fate::Masked => self.take_masked(at, column),
            // One in quotes does not pass here: it is no number as it is written.
            Fate::Number | Fate::Boolean => {
                let raw = self.piece.get(self.from..at).unwrap_or_default();
                let is_short = !raw.is_empty() && raw.len() <= self.context.bounds.value;
                if !is_short || !column.fate.passes(raw) {
                    self.take_unusual(at, column);
                }
            }
            Fate::Clear | Fate::Searched | Fate::SearchedNumber | Fate::Emptied => {
                self.take_unusual(at, column)
            }
        }
    }

    /// [`Scan::take`] of a field that has a masker.
    #[inline(never)]
    fn take_masked(&mut self, at: usize, column: &Column) {
        let raw = self.text.get(self.from..at).unwrap_or_default();
        // Two bytes can be an empty field in quotes.
        if raw.len() > 2 && raw.len() <= self.context.bounds.value {
            self.flush(self.from);
            self.replace(raw, column, Length::Right);
            self.mark = at;
        } else {
            self.take_unusual(at, column);
        }
    }

    /// [`Scan::take`] of any field.
    #[inline(never)]
    fn take_unusual(&mut self, at: usize, column: &Column) {
        let raw = self.text.get(self.from..at).unwrap_or_default();
        let is_too_long = raw.len() > self.context.bounds.value && column.fate.takes_whole();
        let length = if is_too_long { Length::TooLong } else { Length::Right };
        if !self.passes(raw, column, length) {
            self.flush(self.from);
            self.replace(raw, column, length);
            self.mark = at;
        } else if raw.is_empty() && self.state.leaving == 1 {
            self.flush(at);
            self.context.out.extend_from_slice(EMPTY);
        }
    }

    /// [`Scan::take`] of a field that began in an earlier piece.
    #[cold]
    fn take_carried(&mut self, at: usize, column: &Column) {
        if column.fate == Fate::Dropped {
            self.context.tally.drop(column.rule.slot);
        }
        if !column.fate.takes_whole() {
            return;
        }
        let mut value = std::mem::take(&mut self.state.value);
        keep_up_to(&mut value, self.piece.get(self.from..at).unwrap_or_default(), self.context.bounds.value);
        let length = if value.len() > self.context.bounds.value { Length::TooLong } else { Length::Right };
        // Only a value that is too long can be cut inside a character; then its quote is all it shows.
        let raw = std::str::from_utf8(&value).unwrap_or(if value.first() == Some(&b'"') { "\"" } else { "" });
        if self.passes(raw, column, length) {
            self.context.out.extend_from_slice(&value);
        } else {
            self.replace(raw, column, length);
        }
        self.mark = at;
        value.clear();
        self.state.value = value;
    }

    /// Whether a field that is written as `raw` leaves as it is. If so it has been searched.
    fn passes(&mut self, raw: &str, column: &Column, length: Length) -> bool {
        let text = decode(raw, &mut self.state.decoded);
        let passes = length == Length::Right && column.fate.passes(text.as_bytes());
        if passes && let Some(value) = column.fate.searches(text) {
            self.context.search(column.rule, value);
        }
        passes
    }

    /// Writes what leaves of a field that is written as `raw`, of which nothing is known but its
    /// quotes if it is too long.
    #[inline(always)]
    fn replace(&mut self, raw: &str, column: &Column, length: Length) {
        let start = self.context.out.len();
        if column.fate == Fate::Masked {
            let is_whole = length == Length::Right;
            let text = if is_whole { decode(raw, &mut self.state.decoded) } else { "" };
            self.context.mould::<Plain>(column.rule, Value::Text(text), is_whole);
        } else {
            self.context.tally.mask(column.rule.slot);
        }
        self.quote(start, raw.as_bytes().first() == Some(&b'"'));
    }

    /// Puts quotes around what was written from `start` on, if it had them before or needs them.
    #[inline(always)]
    fn quote(&mut self, start: usize, was_quoted: bool) {
        let (out, delimiter) = (&mut *self.context.out, self.state.delimiter);
        let written = out.get(start..).unwrap_or_default();
        if written.is_empty() {
            if self.state.leaving == 1 {
                out.extend_from_slice(EMPTY);
            }
            return;
        }
        if needs_quotes(written, delimiter) {
            let text = out.split_off(start);
            out.push(b'"');
            for byte in text {
                out.push(byte);
                if byte == b'"' {
                    out.push(byte);
                }
            }
            out.push(b'"');
        } else if was_quoted {
            out.insert(start, b'"');
            out.push(b'"');
        }
    }
}

/// Whether a value is short enough to be seen whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Right,
    TooLong,
}

/// Whether a field of these bytes can only be written in quotes.
#[inline(always)]
fn needs_quotes(bytes: &[u8], delimiter: u8) -> bool {
    // Eight at a time; the last eight may overlap with those before.
    let wanted = [b'"', delimiter].map(|byte| u64::from(byte).wrapping_mul(LOW));
    let any = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(LOW.wrapping_mul(0x20)) & !word;
        let hits = wanted.iter().fold(control, |hits, wanted| {
            let other = word ^ wanted;
            hits | (other.wrapping_sub(LOW) & !other)
        });
        hits & HIGH != 0
    };
    let (chunks, rest) = bytes.as_chunks::<8>();
    let suspect = match bytes.last_chunk::<8>() {
        Some(last) => chunks.iter().any(any) || (!rest.is_empty() && any(last)),
        None => true,
    };
    // Of control characters only line ends need quotes.
    suspect && bytes.iter().any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || *byte == delimiter)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// A field without text in a record of one field: written bare, its line would be blank.
const EMPTY: &[u8] = b"\"\"";

/// The text of a field that is written as `raw`; `decoded` holds it if it has doubled quotes.
#[inline(always)]
pub(super) fn decode<'v>(raw: &'v str, decoded: &'v mut String) -> &'v str {
    let Some(inside) = raw.strip_prefix('"') else { return raw };
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    if !inside.contains('"') {
        return inside;
    }
    decoded.clear();
    let mut rest = inside;
    while let Some((front, back)) = rest.split_once("\"\"") {
        decoded.push_str(front);
        decoded.push('"');
        rest = back;
    }
    decoded.push_str(rest);
    decoded
}
