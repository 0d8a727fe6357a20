//! Finds identifiers that nobody masked, in the text of values that leave as they are.
//!
//! A [`Detector`] takes a text in pieces of any size and finds the same in it however it is cut. It
//! knows words (runs of letters and digits, full-width forms included) and groups (words of digits
//! with one blank, hyphen or dot between them), and holds what one identifier can be long, no more. A
//! character that nobody sees is passed over in them, unless one is whole before it. What a word is taken
//! for is decided in [`identify`].
//!
//! Most texts have no digit: [`Detector::text`] looks for one in 32 bytes at once before it looks at
//! characters. Every character is looked at a fixed number of times, so time is linear.

mod identify;
#[cfg(test)]
mod tests;

use crate::catalog::Identifier;

use super::recognise;
use identify::{Groups, LONGEST_RUN, WORD};

/// The most letters and digits of a digest.
const LONGEST_DIGEST: usize = 128;

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
    /// The same, if it is no decimal point.
    Dot,
    /// What nobody sees. One is passed over; more of them in a row are like any other character, so that
    /// an identifier is not of any length.
    Hidden,
    Other,
}

/// Whether nobody sees `c`, of those up to U+FFFF: Unicode's `Default_Ignorable_Code_Point`.
pub(super) const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
    )
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
            Ok(b' ' | b'-' | b'\t' | 0xA0) => Self::Gap,
            Ok(b'.') => Self::Dot,
            _ => match c {
                '\u{1680}'
                | '\u{2000}'..='\u{200A}'
                | '\u{2010}'..='\u{2015}'
                | '\u{202F}'
                | '\u{205F}'
                | '\u{2212}'
                | '\u{3000}' => Self::Gap,
                _ if is_ignorable(c) => Self::Hidden,
                _ => Self::Other,
            },
        }
    }
}

/// The letters and digits at hand.
#[derive(Debug, Clone, Default)]
struct Word {
    /// The first of them, letters in upper case.
    front: [u8; WORD],
    length: usize,
    has_digits: bool,
    has_letters: bool,
    /// Whether anything is in it that the hexadecimal form of a digest has not.
    has_others_than_hex: bool,
}

impl Word {
    fn clear(&mut self) {
        self.length = 0;
        self.has_digits = false;
        self.has_letters = false;
        self.has_others_than_hex = false;
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.front.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
        self.has_digits |= byte.is_ascii_digit();
        self.has_letters |= byte.is_ascii_alphabetic();
        self.has_others_than_hex |= byte.is_ascii_alphabetic() && byte > b'F';
    }

    /// Whether it is the hexadecimal form of a digest: all of its digits are chance.
    fn is_digest(&self) -> bool {
        self.has_letters
            && !self.has_others_than_hex
            && matches!(self.length, 32 | 40 | 48 | 56 | 64 | 96 | LONGEST_DIGEST)
    }

    /// Whether it will be no digest and no credit code, whatever follows.
    fn is_neither(&self) -> bool {
        self.length > LONGEST_DIGEST || (self.has_others_than_hex && self.length > WORD)
    }

    /// Whether it is letters and nothing else.
    fn is_letters(&self) -> bool {
        self.has_letters && !self.has_digits
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
    fn clear(&mut self) {
        self.length = 0;
        self.behind = None;
    }

    fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.length) {
            *place = digit;
        }
        self.length = self.length.saturating_add(1);
    }

    /// What the digits are, with the letter behind them if it is a check character.
    fn kind(&self) -> Option<Identifier> {
        if self.behind == Some(b'X') && identify::resident_id(&[self.text(), "X"]) {
            return Some(Identifier::ResidentId);
        }
        identify::digits(self.text())
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
    groups: Groups,
    /// Whether the last character was one that nobody sees.
    hidden: bool,
    found: Found,
}

impl Detector {
    /// The fewest bytes that an identifier has.
    pub(super) const SHORTEST: usize = 11;
    /// The most characters from the first of an identifier to the one at which it [is found], both
    /// included: those of a digest that it might be a part of, and one more, with as many that nobody sees.
    ///
    /// [is found]: Self::has_found
    pub(super) const UNDECIDED: usize = 2 * (LONGEST_DIGEST + 1);
    /// The most bytes of a number that is looked at as a whole number.
    pub(super) const LONGEST_NUMBER: usize = 64;

    /// What is found in a text that is all there.
    pub(super) fn find(text: &str) -> Found {
        if text.len() < Self::SHORTEST || next_digit(text.as_bytes()) == text.len() {
            return Found::default();
        }
        let mut detector = Self::default();
        detector.text(text);
        detector.end()
    }

    /// What is found in a number as JSON and XML write it: it is looked at as a whole number, which
    /// `1.3800138E10` is too. A longer one than [`Self::LONGEST_NUMBER`] is looked at as a text, so that
    /// it need not be kept.
    pub(super) fn find_in_number(number: &str) -> Found {
        if number.len() > Self::LONGEST_NUMBER {
            return Self::find(number);
        }
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
        let symbol = Symbol::of(c);
        let after_hidden = std::mem::replace(&mut self.hidden, symbol == Symbol::Hidden);
        match symbol {
            // What is whole before it needs nothing of what follows: it may be one of a list. Nor do letters
            // before it belong to digits behind it.
            Symbol::Hidden if !after_hidden && (self.is_found() || self.word.is_letters()) => self.end_word(),
            // Nobody writes a digest like this.
            Symbol::Hidden if !after_hidden => self.word.has_others_than_hex |= self.word.length > 0,
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
            Symbol::Gap | Symbol::Dot => {
                if self.word.length > 0 {
                    self.end_word();
                } else {
                    self.groups.clear();
                }
                self.groups.gap(symbol == Symbol::Dot);
            }
            Symbol::Hidden | Symbol::Other => {
                if self.word.length > 0 {
                    self.end_word();
                }
                self.groups.clear();
            }
        }
    }

    /// Ends the text: what was found in it. Another may begin.
    pub(super) fn end(&mut self) -> Found {
        self.character('\n');
        std::mem::take(&mut self.found)
    }

    /// Whether anything was found so far, whatever follows.
    pub(super) fn has_found(&self) -> bool {
        self.found.first().is_some() || (self.within.first().is_some() && self.word.is_neither())
    }

    /// Whether nothing before the next character matters any more.
    fn is_idle(&self) -> bool {
        self.word.length == 0 && self.groups.is_empty()
    }

    /// Whether the word at hand is an identifier, or the last group of one, if it ends here.
    fn is_found(&self) -> bool {
        let completes = |end| {
            let mut groups = self.groups.clone();
            groups.push(self.run.text(), end);
            groups.completed().is_some()
        };
        self.run.kind().is_some()
            || self.word.whole().is_some_and(recognise::credit_code)
            || (!self.word.has_letters && completes(""))
            || (self.is_group_with_check() && completes("X"))
    }

    /// Whether the word at hand is digits and the check character of a resident number.
    fn is_group_with_check(&self) -> bool {
        self.run.behind == Some(b'X') && self.word.length == self.run.length + 1
    }

    /// The digits that letters stand behind are what they are.
    fn settle(&mut self) {
        if let Some(kind) = self.run.kind() {
            self.within.count(kind);
        }
        self.run.clear();
    }

    fn end_word(&mut self) {
        if self.word.has_letters {
            self.end_mixed_word();
        } else if let Some(kind) = self.run.kind() {
            self.found.count(kind);
            self.groups.clear();
        } else {
            self.end_group("");
        }
        self.word.clear();
        self.run.clear();
    }

    fn end_mixed_word(&mut self) {
        let kind = self.run.kind();
        if kind != Some(Identifier::ResidentId) && self.word.whole().is_some_and(recognise::credit_code) {
            self.within = Found::default();
            self.within.count(Identifier::CreditCode);
        } else if let Some(kind) = kind {
            self.within.count(kind);
        } else if self.is_group_with_check() {
            return self.end_group("X");
        }
        let within = std::mem::take(&mut self.within);
        if !self.word.is_digest() {
            self.found.add(&within);
        }
        self.groups.clear();
    }

    /// A word of digits and `end` is none by itself: it may be a group.
    fn end_group(&mut self, end: &str) {
        self.groups.push(self.run.text(), end);
        if let Some(kind) = self.groups.completed() {
            self.found.count(kind);
            self.groups.clear();
        }
    }
}

/// Where in `text` the word with its first digit begins; if it has none, where the letters at its end
/// do, since a digit may follow.
fn next_word(text: &str) -> usize {
    let before = text.get(..next_digit(text.as_bytes())).unwrap_or(text);
    let letters = before.chars().rev().take_while(|c| matches!(Symbol::of(*c), Symbol::Letter(_)));
    before.len() - letters.map(char::len_utf8).sum::<usize>()
}

/// Where the first digit is, in either width; the length if there is none.
fn next_digit(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    /// The bytes of a full-width digit.
    const WIDE: usize = 3;
    let is_digit = |byte: u8| byte.wrapping_sub(b'0') < 10;
    let is_wide = |a: u8, b: u8, c: u8| (a == 0xEF) & (b == 0xBC) & (c.wrapping_sub(0x90) < 10);
    let mut rest = text;
    // All of a block at once, which compilers turn into vectors.
    while let (Some((block, after)), Some(second), Some(third)) = (
        rest.split_first_chunk::<BLOCK>(),
        rest.get(1..).and_then(<[u8]>::first_chunk::<BLOCK>),
        rest.get(2..).and_then(<[u8]>::first_chunk::<BLOCK>),
    ) {
        let places = block.iter().zip(second).zip(third);
        if places.fold(false, |any, ((a, b), c)| any | is_digit(*a) | is_wide(*a, *b, *c)) {
            break;
        }
        rest = after;
    }
    let first = rest.iter().enumerate().find(|(at, byte)| {
        is_digit(**byte)
            || **byte == 0xEF && matches!(rest.get(*at..at + WIDE), Some([a, b, c]) if is_wide(*a, *b, *c))
    });
    first.map_or(text.len(), |(at, _)| text.len() - rest.len() + at)
}

/// The digits of a number that is whole, without zeros before them.
fn whole_number(number: &str) -> Option<Run> {
    let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
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
