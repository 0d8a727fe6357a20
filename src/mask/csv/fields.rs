//! Fields that do not just leave as they are: taken whole, judged, masked, quoted again.

use super::super::masker::Value;
use super::super::notation::Plain;
use super::super::untyped::{Fate, keep_up_to};
use super::Scan;
use super::header::Column;

impl Scan<'_> {
    /// Whether the field at hand is taken whole: what becomes of it depends on all of it.
    pub(super) fn takes_whole(&self) -> bool {
        matches!(self.state.fate, Fate::Number | Fate::Boolean | Fate::Masked | Fate::Emptied)
    }

    /// The field at hand, which is one of `column`, ends before `at`.
    #[inline(always)]
    pub(super) fn take(&mut self, at: usize, column: Column) {
        if self.state.carried {
            self.take_carried(at, column);
            return;
        }
        let raw = self.text.get(self.from..at).unwrap_or_default();
        match column.fate {
            Fate::Dropped => self.context.tally.drop(column.rule.slot),
            Fate::Masked => self.take_masked(at, raw, column),
            Fate::Clear | Fate::Number | Fate::Boolean | Fate::Emptied => {
                let is_bare = raw.as_bytes().first() != Some(&b'"');
                let is_short = raw.len() <= self.context.bounds.value;
                let passes = is_bare && is_short && !raw.is_empty() && column.fate.passes(raw);
                if !passes {
                    self.take_unusual(at, raw, column);
                }
            }
        }
    }

    /// [`Scan::take`] of a field that has a masker.
    #[inline(never)]
    fn take_masked(&mut self, at: usize, raw: &str, column: Column) {
        if raw.len() < 3 || raw.len() > self.context.bounds.value {
            self.take_unusual(at, raw, column);
            return;
        }
        self.flush(self.from);
        self.replace(raw, column, Length::Right);
        self.mark = at;
    }

    /// [`Scan::take`] of a field that has quotes, is empty or too long, or may not leave.
    #[inline(never)]
    fn take_unusual(&mut self, at: usize, raw: &str, column: Column) {
        let too_long = raw.len() > self.context.bounds.value && column.fate != Fate::Clear;
        if too_long || !column.fate.passes(decode(raw, &mut self.state.decoded)) {
            self.flush(self.from);
            self.replace(raw, column, if too_long { Length::TooLong } else { Length::Right });
            self.mark = at;
        } else if raw.is_empty() && self.state.leaving == 1 {
            self.flush(at);
            self.context.out.extend_from_slice(EMPTY);
        }
    }

    /// [`Scan::take`] of a field that began in an earlier piece.
    #[cold]
    fn take_carried(&mut self, at: usize, column: Column) {
        match column.fate {
            Fate::Dropped => self.context.tally.drop(column.rule.slot),
            // It is not empty, and has left as far as it has come.
            Fate::Clear => {}
            Fate::Number | Fate::Boolean | Fate::Masked | Fate::Emptied => {
                let mut value = std::mem::take(&mut self.state.value);
                let last = self.piece.get(self.from..at).unwrap_or_default();
                keep_up_to(&mut value, last, self.context.bounds.value);
                self.take_gathered(&value, column);
                self.mark = at;
                value.clear();
                self.state.value = value;
            }
        }
    }

    fn take_gathered(&mut self, value: &[u8], column: Column) {
        let length = if value.len() > self.context.bounds.value { Length::TooLong } else { Length::Right };
        // Only a value that is too long can be cut inside a character; then its quote is all it shows.
        let raw = std::str::from_utf8(value).unwrap_or(if value.first() == Some(&b'"') { "\"" } else { "" });
        if length == Length::Right && column.fate.passes(decode(raw, &mut self.state.decoded)) {
            self.context.out.extend_from_slice(value);
        } else {
            self.replace(raw, column, length);
        }
    }

    /// Writes what leaves of a field that is written as `raw`, of which nothing is known but its
    /// quotes if it is too long.
    #[inline(always)]
    fn replace(&mut self, raw: &str, column: Column, length: Length) {
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
    // Sixteen at a time and without a way out, so that they are looked at side by side. The last
    // sixteen may overlap with those before.
    let any =
        |chunk: &[u8; 16]| chunk.iter().fold(false, |any, byte| any | means_something(*byte, delimiter));
    let (chunks, rest) = bytes.as_chunks::<16>();
    match bytes.last_chunk::<16>() {
        Some(last) => chunks.iter().any(any) || (!rest.is_empty() && any(last)),
        None => bytes.iter().any(|byte| means_something(*byte, delimiter)),
    }
}

#[inline(always)]
fn means_something(byte: u8, delimiter: u8) -> bool {
    (byte == b'"') | (byte == b'\n') | (byte == b'\r') | (byte == delimiter)
}

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
