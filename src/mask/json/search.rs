//! Values that leave as they came and are searched on their way, whatever their length.

use super::super::detect::{Detector, Found};
use super::super::masker::Value;
use super::Scan;

/// How many bytes of a value are not written as long as they may be of an identifier: its characters,
/// each of which may be written as six, and an escape that is not whole.
const HELD_BACK: usize = 6 * (Detector::UNDECIDED + 1);

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
    has_begun: bool,
    /// All of the value so far, if it is no text and may be short enough to be looked at as a number.
    number: Option<String>,
}

impl Search {
    /// Takes the next bytes of the value as they are written.
    fn take(&mut self, part: &str) {
        if part.is_empty() {
            return;
        }
        if !self.has_begun {
            self.has_begun = true;
            self.number = (!part.starts_with('"')).then(String::new);
        }
        if let Some(number) = &mut self.number {
            if number.len() + part.len() <= Detector::LONGEST_NUMBER {
                return number.push_str(part);
            }
            self.detector.text(number);
            self.number = None;
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
            (Escape::Begun, 't') => self.detector.character('\t'),
            // The others stand for characters that no identifier has either.
            (Escape::Begun | Escape::None, _) => self.detector.character('\n'),
        }
        Escape::None
    }

    /// Ends the value.
    fn end(&mut self) -> Found {
        self.has_begun = false;
        match self.number.take() {
            Some(number) => Detector::find_in_number(&number),
            None => self.detector.end(),
        }
    }

    /// The memory that the growing parts hold, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.number.as_ref().map_or(0, String::capacity)
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
        if !search.has_begun && !rest.starts_with('"') {
            self.context.search(state.rule, Value::Number(rest));
        } else if search.has_begun || rest.len() >= Detector::SHORTEST {
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
