//! Finds identifiers that nobody masked, in the text of values that leave as they are.
//!
//! A [`Detector`] takes a text in pieces of any size and finds the same in it however it is cut. It
//! knows words (runs of letters and digits, full-width forms included) and groups (words of digits
//! with one space or hyphen between them), and holds what one identifier can be long, no more. What
//! it takes a word for is decided in [`identify`].
//!
//! Most texts have no digit: [`Detector::text`] looks for one in 32 bytes at once before it looks at
//! characters. Every character is looked at a fixed number of times, so time is linear.

mod identify;
#[cfg(test)]
mod tests;

use crate::catalog::Identifier;

use identify::{Group, LONGEST_RUN, MOST_GROUPS, WORD};

/// How often each kind of identifier was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found([u64; Identifier::ALL.len()]);

impl Found {
    /// How often each kind was found, those that were.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Identifier, u64)> {
        Identifier::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// The first kind that was found.
    pub(super) fn first(&self) -> Option<Identifier> {
        self.iter().next().map(|(kind, _)| kind)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    fn count(&mut self, found: Identifier) {
        for (kind, count) in Identifier::ALL.into_iter().zip(&mut self.0) {
            *count += u64::from(kind == found);
        }
    }
}

/// What a character is to the detector; letters and digits as ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Digit(u8),
    Letter(u8),
    /// What may stand once between two groups.
    Gap,
    Other,
}

impl Symbol {
    fn of(c: char) -> Self {
        // Full-width forms of ASCII, which free text has, are what they stand for.
        let narrow = match c {
            '\u{FF01}'..='\u{FF5E}' => u32::from(c) - 0xFEE0,
            _ => u32::from(c),
        };
        match u8::try_from(narrow) {
            Ok(digit @ b'0'..=b'9') => Self::Digit(digit),
            Ok(letter @ (b'A'..=b'Z' | b'a'..=b'z')) => Self::Letter(letter.to_ascii_uppercase()),
            // A no-break space is a space.
            Ok(b' ' | b'-' | 0xA0) => Self::Gap,
            _ if matches!(c, '\u{3000}' | '\u{2010}'..='\u{2013}') => Self::Gap,
            _ => Self::Other,
        }
    }

    const fn is_letter(self) -> bool {
        matches!(self, Self::Letter(_))
    }
}

/// The letters and digits at hand.
#[derive(Debug, Clone, Default)]
struct Word {
    /// The first of them, letters in upper case.
    front: [u8; WORD],
    length: usize,
    has_letters: bool,
    has_others_than_hex: bool,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.front.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
        self.has_letters |= byte.is_ascii_alphabetic();
        self.has_others_than_hex |= byte.is_ascii_alphabetic() && byte > b'F';
    }

    /// Whether it is the hexadecimal form of a digest: all of its digits are chance.
    fn is_digest(&self) -> bool {
        self.has_letters
            && !self.has_others_than_hex
            && matches!(self.length, 32 | 40 | 48 | 56 | 64 | 96 | 128)
    }

    /// All of it, if it is not longer than [`WORD`].
    fn whole(&self) -> Option<&str> {
        std::str::from_utf8(self.front.get(..self.length)?).ok()
    }
}

/// The last digits of the word at hand.
#[derive(Debug, Clone, Default)]
struct Run {
    digits: [u8; LONGEST_RUN],
    length: usize,
    /// The one letter that stands behind them.
    behind: Option<u8>,
}

impl Run {
    fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.length) {
            *place = digit;
        }
        self.length = self.length.saturating_add(1);
    }

    /// The digits; none if they are more than any identifier has.
    fn text(&self) -> &str {
        let digits = self.digits.get(..self.length).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

/// Finds identifiers in one text.
#[derive(Debug, Clone, Default)]
pub(super) struct Detector {
    word: Word,
    run: Run,
    /// What the digits within the word at hand are, if the word turns out to be nothing else.
    within: Found,
    /// The words of digits before it, each one gap from the next.
    groups: [Group; MOST_GROUPS],
    grouped: usize,
    found: Found,
}

impl Detector {
    /// The fewest bytes that an identifier has.
    const SHORTEST: usize = 11;

    /// What is found in a text that is all there.
    pub(super) fn find(text: &str) -> Found {
        if text.len() < Self::SHORTEST {
            return Found::default();
        }
        let mut detector = Self::default();
        detector.text(text);
        detector.end()
    }

    /// What is found in a number as JSON writes it (RFC 8259 section 6): it is looked at as a whole
    /// number, which `1.3800138E10` is too.
    pub(super) fn find_in_number(number: &str) -> Found {
        let mut found = Found::default();
        if let Some(kind) = whole_number(number).and_then(|run| identify::digits(run.text())) {
            found.count(kind);
        }
        found
    }

    /// Takes the next piece of the text.
    pub(super) fn text(&mut self, piece: &str) {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.is_idle() {
                rest = rest.get(next_word(rest)..).unwrap_or_default();
            }
            let mut characters = rest.chars();
            for c in characters.by_ref() {
                self.character(c);
                if self.is_idle() {
                    break;
                }
            }
            rest = characters.as_str();
        }
    }

    /// Takes the next character of the text.
    pub(super) fn character(&mut self, c: char) {
        match Symbol::of(c) {
            Symbol::Digit(digit) => {
                if self.run.behind.is_some() {
                    self.settle();
                }
                self.word.push(digit);
                self.run.push(digit);
            }
            Symbol::Letter(letter) => {
                if self.run.behind.is_some() {
                    self.settle();
                } else if self.run.length > 0 {
                    self.run.behind = Some(letter);
                }
                self.word.push(letter);
            }
            Symbol::Gap if self.word.length > 0 => self.end_word(),
            Symbol::Gap => self.grouped = 0,
            Symbol::Other => {
                if self.word.length > 0 {
                    self.end_word();
                }
                self.grouped = 0;
            }
        }
    }

    /// Ends the text: what was found in it. Another may begin.
    pub(super) fn end(&mut self) -> Found {
        self.character('\n');
        std::mem::take(&mut self.found)
    }

    /// Whether anything was found so far.
    pub(super) fn has_found(&self) -> bool {
        self.found.first().is_some()
    }

    /// Whether nothing before the next character matters any more.
    fn is_idle(&self) -> bool {
        self.word.length == 0 && self.grouped == 0
    }

    /// The digits that letters stand behind are what they are.
    fn settle(&mut self) {
        if let Some(kind) = identify::run(self.run.text()) {
            self.within.count(kind);
        }
        self.run = Run::default();
    }

    fn end_word(&mut self) {
        if self.word.has_letters {
            self.end_mixed_word();
        } else {
            let digits = self.run.text();
            let kind = identify::digits(digits);
            let group = Group::new(digits, "");
            self.end_group(kind, group);
        }
        self.word = Word::default();
        self.run = Run::default();
        self.within = Found::default();
    }

    fn end_mixed_word(&mut self) {
        let digits = self.run.text();
        let is_resident_id = match self.run.behind {
            None => identify::resident_id(&[digits]),
            Some(b'X') => identify::resident_id(&[digits, "X"]),
            Some(_) => false,
        };
        if is_resident_id {
            self.within.count(Identifier::ResidentId);
        } else if self.run.behind == Some(b'X') && self.word.length == self.run.length + 1 {
            let group = Group::new(digits, "X");
            return self.end_group(None, group);
        } else if self.word.whole().is_some_and(identify::lettered_credit_code) {
            self.within = Found::default();
            self.within.count(Identifier::CreditCode);
        } else {
            self.settle();
        }
        if !self.word.is_digest() {
            self.found.add(&self.within);
        }
        self.grouped = 0;
    }

    /// A word that can be a group ends here, and is `kind` by itself.
    fn end_group(&mut self, kind: Option<Identifier>, group: Option<Group>) {
        let Some(group) = group.filter(|_| kind.is_none()) else {
            if let Some(kind) = kind {
                self.found.count(kind);
            }
            self.grouped = 0;
            return;
        };
        if self.grouped == MOST_GROUPS {
            self.groups.rotate_left(1);
            self.grouped -= 1;
        }
        if let Some(place) = self.groups.get_mut(self.grouped) {
            *place = group;
            self.grouped += 1;
        }
        if let Some(kind) = identify::groups(self.groups.get(..self.grouped).unwrap_or_default()) {
            self.found.count(kind);
            self.grouped = 0;
        }
    }
}

/// Where in `text` the word with its first digit begins; if it has none, where the letters at its end
/// do, since a digit may follow.
fn next_word(text: &str) -> usize {
    let before = text.get(..next_digit(text.as_bytes())).unwrap_or(text);
    let letters = before.chars().rev().take_while(|c| Symbol::of(*c).is_letter());
    before.len() - letters.map(char::len_utf8).sum::<usize>()
}

/// Where the first digit is, in either width; the length if there is none.
fn next_digit(text: &[u8]) -> usize {
    /// The first byte of full-width forms, and of other characters.
    const WIDE: u8 = 0xEF;
    const BLOCK: usize = 32;
    let may_begin = |byte: u8| byte.wrapping_sub(b'0') < 10 || byte == WIDE;
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((block, after)) = rest.split_first_chunk::<BLOCK>()
            // All at once, which compilers turn into vectors.
            && !block.iter().fold(false, |any, byte| any | may_begin(*byte))
        {
            rest = after;
            continue;
        }
        let (block, _) = rest.split_at_checked(BLOCK).unwrap_or((rest, &[]));
        for (at, byte) in block.iter().enumerate().filter(|(_, byte)| may_begin(**byte)) {
            let wide = || matches!(rest.get(at + 1..at + 3), Some([0xBC, 0x90..=0x99]));
            if *byte != WIDE || wide() {
                return text.len() - rest.len() + at;
            }
        }
        rest = rest.get(block.len()..).unwrap_or_default();
    }
    text.len()
}

/// The digits of a number that is whole, without zeros before them.
fn whole_number(number: &str) -> Option<Run> {
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent.parse().ok()?)?;
    let mut run = Run::default();
    let mut place = 0_i64;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if place < point && (digit != b'0' || run.length > 0) {
            run.push(digit);
        } else if digit != b'0' {
            return None;
        }
        place += 1;
    }
    while place < point && run.length <= LONGEST_RUN {
        run.push(b'0');
        place += 1;
    }
    Some(run)
}
