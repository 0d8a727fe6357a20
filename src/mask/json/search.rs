//! Values that leave as they came and are searched on their way, whatever their length.

use super::super::detect::{Detector, Found};
use super::super::masker::Value;
use super::Scan;
use super::scalars::keep_up_to;

/// How many bytes of a value are not written as long as they may be of an identifier: its characters,
/// each of which may be written as six, and an escape that is not whole.
const HELD_BACK: usize = 6 * (Detector::UNDECIDED + 1);

/// The longest number that is looked at as a number. A longer one is looked at as a text.
const NUMBER: usize = 64;

/// How far an escape has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Hex {
        left: u8,
        unit: u32,
    },
}

/// A value that is searched in parts.
#[derive(Debug, Default)]
pub(super) struct Search {
    detector: Detector,
    escape: Escape,
    /// The value's first byte.
    first: Option<u8>,
    /// The front of it, if it is a number.
    number: Vec<u8>,
}

impl Search {
    /// Takes the next bytes of the value as they are written.
    fn take(&mut self, part: &str) {
        let Some(first) = self.first.or_else(|| part.bytes().next()) else { return };
        self.first = Some(first);
        if first != b'"' {
            keep_up_to(&mut self.number, part.as_bytes(), NUMBER);
        }
        let mut rest = part;
        while !rest.is_empty() {
            rest = match self.escape {
                // The quotes around it are characters like others that no identifier has.
                Escape::None => match memchr::memchr(b'\\', rest.as_bytes()) {
                    None => return self.detector.text(rest),
                    Some(at) => {
                        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
                        self.detector.text(plain);
                        self.escape = Escape::Begun;
                        escape.get(1..).unwrap_or_default()
                    }
                },
                Escape::Begun | Escape::Hex { .. } => {
                    let mut characters = rest.chars();
                    self.escape = characters.next().map_or(Escape::None, |c| self.go_on(c));
                    characters.as_str()
                }
            };
        }
    }

    /// Takes one character of an escape, which the scanner has found to be right.
    fn go_on(&mut self, c: char) -> Escape {
        match (self.escape, c) {
            (Escape::Begun, 'u') => return Escape::Hex { left: 4, unit: 0 },
            (Escape::Hex { left: left @ 2.., unit }, _) => {
                return Escape::Hex { left: left - 1, unit: unit << 4 | c.to_digit(16).unwrap_or_default() };
            }
            (Escape::Hex { unit, .. }, _) => {
                let unit = unit << 4 | c.to_digit(16).unwrap_or_default();
                // Half a surrogate pair is of a character that no identifier has.
                self.detector.character(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // The others stand for characters that no identifier has either.
            (Escape::Begun | Escape::None, _) => self.detector.character('\n'),
        }
        Escape::None
    }

    /// Ends the value.
    fn end(&mut self) -> Found {
        let found = self.detector.end();
        let is_number = self.first.take() != Some(b'"');
        let number = std::str::from_utf8(&self.number).ok();
        let number = number.filter(|number| is_number && number.len() <= NUMBER);
        let found = number.map_or(found, Detector::find_in_number);
        self.number.clear();
        found
    }

    /// The memory that the growing parts hold, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.number.capacity()
    }
}

impl Scan<'_> {
    /// The piece ends inside a value that is searched. What cannot be part of an identifier any more
    /// is written; where identifiers are only reported, everything.
    pub(super) fn search_part(&mut self) {
        let state = &mut *self.state;
        let part = self.text.get(state.value_from..).unwrap_or_default();
        let search = state.search.get_or_insert_default();
        search.take(part);
        if !self.context.plan.blocks() {
            self.context.out.extend_from_slice(part.as_bytes());
            return;
        }
        if search.detector.has_found() {
            state.value.clear();
            return;
        }
        let free = (state.value.len() + part.len()).saturating_sub(HELD_BACK);
        let held = free.min(state.value.len());
        self.context.out.extend(state.value.drain(..held));
        let (gone, kept) = part.as_bytes().split_at_checked(free - held).unwrap_or_default();
        self.context.out.extend_from_slice(gone);
        state.value.extend_from_slice(kept);
    }

    /// A value that is searched ends before `at`.
    pub(super) fn end_search(&mut self) {
        let state = &mut *self.state;
        let rest = self.text.get(state.value_from..self.at).unwrap_or_default();
        let search = state.search.get_or_insert_default();
        if search.first.is_none() && !rest.starts_with('"') {
            self.context.search(state.rule, Value::Number(rest));
        } else if search.first.is_some() || rest.len() >= Detector::SHORTEST {
            search.take(rest);
            let found = search.end();
            self.context.note(state.rule, &found);
        }
        self.context.out.append(&mut state.value);
        // What this piece has of it is copied with what follows.
        self.mark = state.value_from;
        state.copying = true;
    }
}
