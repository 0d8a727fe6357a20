//! Fields that do not just leave as they are: taken whole, judged, masked, quoted again.

use super::super::masker::Value;
use super::super::notation::Plain;
use super::super::untyped::{Fate, keep_up_to};
use super::Scan;

impl Scan<'_> {
    /// Whether the field at hand is taken whole: what becomes of it depends on all of it.
    pub(super) fn takes_whole(&self) -> bool {
        matches!(self.state.fate, Fate::Number | Fate::Boolean | Fate::Masked | Fate::Emptied)
    }

    #[inline(always)]
    pub(super) fn drop_field(&mut self) {
        if let Some(column) = self.state.columns.get(self.state.column) {
            self.context.tally.drop(column.rule.slot);
        }
    }

    /// The field at hand, which is taken whole or may need quotes, ends before `at`.
    pub(super) fn take(&mut self, at: usize) {
        let last = self.text.get(self.from..at).unwrap_or_default();
        if self.state.carried {
            self.take_carried(at, last);
            return;
        }
        let too_long = last.len() > self.context.bounds.value && self.takes_whole();
        if !too_long && self.passes(last) {
            if last.is_empty() && self.state.leaving == 1 {
                self.flush(at);
                self.context.out.extend_from_slice(EMPTY);
            }
            return;
        }
        self.flush(self.from);
        self.replace(last, too_long);
        self.mark = at;
    }

    /// [`Scan::take`] of a field that began in an earlier piece.
    #[cold]
    fn take_carried(&mut self, at: usize, last: &str) {
        if !self.takes_whole() {
            return;
        }
        let mut value = std::mem::take(&mut self.state.value);
        keep_up_to(&mut value, last.as_bytes(), self.context.bounds.value);
        let too_long = value.len() > self.context.bounds.value;
        // Only a value that is too long can be cut inside a character.
        let raw = std::str::from_utf8(&value).unwrap_or_default();
        if !too_long && self.passes(raw) {
            self.context.out.extend_from_slice(&value);
        } else {
            let is_quoted = value.first() == Some(&b'"');
            self.replace(if raw.is_empty() && is_quoted { "\"" } else { raw }, too_long);
        }
        self.mark = at;
        value.clear();
        self.state.value = value;
    }

    /// Whether the field that is written as `raw` may leave as it is.
    #[inline(always)]
    fn passes(&mut self, raw: &str) -> bool {
        let text = if raw.starts_with('"') { decode(raw, &mut self.state.decoded) } else { raw };
        self.state.fate.passes(text)
    }

    /// Writes what leaves of a field that is written as `raw`, of which nothing is known but its
    /// quotes if it is too long.
    fn replace(&mut self, raw: &str, too_long: bool) {
        let start = self.context.out.len();
        let Some(column) = self.state.columns.get(self.state.column) else { return };
        if self.state.fate == Fate::Masked {
            let text = if too_long { "" } else { decode(raw, &mut self.state.decoded) };
            self.context.mould::<Plain>(column.rule, Value::Text(text), !too_long);
        } else {
            self.context.tally.mask(column.rule.slot);
        }
        self.quote(start, raw.starts_with('"'));
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
        let means_something = |byte: &u8| matches!(byte, b'"' | b'\r' | b'\n') || *byte == delimiter;
        if written.iter().any(means_something) {
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
