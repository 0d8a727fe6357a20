//! What a run of digits, a word, or a row of groups is.
//!
//! [`recognise`] says what is valid. Where an identifier has one check digit and nothing else, one in
//! ten numbers of its length is valid by chance; so a bank card must also begin as cards of its length
//! do, and a credit code without letters must be right in every part that the standard gives a form.

use crate::catalog::Identifier;
use crate::mask::recognise;

/// The longest word that is an identifier by itself.
pub(super) const WORD: usize = 18;
/// The most digits of an identifier, a country code included.
pub(super) const LONGEST_RUN: usize = 19;
/// The most groups of an identifier.
const MOST_GROUPS: usize = 5;
/// The longest group.
const LONGEST_GROUP: usize = 13;

/// A word of digits, or of digits and an `X`.
type Group = [u8; LONGEST_GROUP];

/// The last words of digits, each one gap from the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// The last one last.
    groups: [Group; MOST_GROUPS],
    /// Their lengths, four bits each, the last in the lowest; zero where there is none.
    lengths: u32,
    /// Whether the last gap is a dot.
    after_dot: bool,
}

/// How people write identifiers in groups, the first of a mobile number with or without its country
/// code.
const SHAPES: [(Identifier, Shape); 24] = [
    (Identifier::ResidentId, Shape::of(&[6, 8, 4])),
    (Identifier::ResidentId, Shape::of(&[6, 4, 4, 4])),
    (Identifier::BankCard, Shape::of(&[4, 4, 4, 4])),
    (Identifier::BankCard, Shape::of(&[4, 4, 4, 4, 1])),
    (Identifier::BankCard, Shape::of(&[4, 4, 4, 4, 2])),
    (Identifier::BankCard, Shape::of(&[4, 4, 4, 4, 3])),
    (Identifier::BankCard, Shape::of(&[4, 6, 5])),
    (Identifier::BankCard, Shape::of(&[4, 6, 4])),
    (Identifier::BankCard, Shape::of(&[6, 10])),
    (Identifier::BankCard, Shape::of(&[6, 11])),
    (Identifier::BankCard, Shape::of(&[6, 12])),
    (Identifier::BankCard, Shape::of(&[6, 13])),
    (Identifier::Mobile, Shape::of(&[3, 4, 4])),
    (Identifier::Mobile, Shape::of(&[5, 4, 4])),
    (Identifier::Mobile, Shape::of(&[7, 4, 4])),
    (Identifier::Mobile, Shape::of(&[3, 3, 5])),
    (Identifier::Mobile, Shape::of(&[5, 3, 5])),
    (Identifier::Mobile, Shape::of(&[7, 3, 5])),
    (Identifier::Mobile, Shape::of(&[4, 3, 4])),
    (Identifier::Mobile, Shape::of(&[6, 3, 4])),
    (Identifier::Mobile, Shape::of(&[8, 3, 4])),
    (Identifier::Mobile, Shape::of(&[3, 8])),
    (Identifier::Mobile, Shape::of(&[5, 8])),
    (Identifier::Mobile, Shape::of(&[7, 8])),
];

/// The lengths of groups, as [`Groups`] holds them.
#[derive(Debug, Clone, Copy)]
struct Shape {
    lengths: u32,
    mask: u32,
}

impl Shape {
    /// The mask of two groups.
    const PAIR: u32 = 0xFF;

    const fn of(mut lengths: &[u32]) -> Self {
        let mut shape = Self { lengths: 0, mask: 0 };
        while let [first, rest @ ..] = lengths {
            shape = Self { lengths: shape.lengths << 4 | *first, mask: shape.mask << 4 | 0xF };
            lengths = rest;
        }
        shape
    }
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.lengths == 0
    }

    pub(super) fn clear(&mut self) {
        self.lengths = 0;
    }

    /// The next word, `digits` and `end`. None are left if it is too long to be a group.
    pub(super) fn push(&mut self, digits: &str, end: &str) {
        let mut group = Group::default();
        let length = joined(&[digits, end], &mut group).map_or(0, str::len);
        let Some(length) = u32::try_from(length).ok().filter(|length| *length > 0) else {
            return self.clear();
        };
        self.groups.rotate_left(1);
        if let Some(last) = self.groups.last_mut() {
            *last = group;
        }
        self.lengths = (self.lengths << 4 | length) & 0xF_FFFF;
    }

    /// What separates the last of them from the next.
    pub(super) fn gap(&mut self, is_dot: bool) {
        self.after_dot = is_dot;
    }

    /// What the last of them complete.
    pub(super) fn completed(&self) -> Option<Identifier> {
        let alike = SHAPES.iter().filter(|(_, shape)| {
            // Two groups with a dot between them are a decimal number: 138.00138000.
            self.lengths & shape.mask == shape.lengths && !(self.after_dot && shape.mask == Shape::PAIR)
        });
        alike.filter(|(kind, shape)| self.are(*kind, *shape)).map(|(kind, _)| *kind).next()
    }

    fn are(&self, kind: Identifier, shape: Shape) -> bool {
        let mut parts = [""; MOST_GROUPS];
        let mut lengths = shape.lengths;
        for (part, group) in parts.iter_mut().rev().zip(self.groups.iter().rev()) {
            let length = usize::try_from(lengths & 0xF).unwrap_or_default();
            *part = std::str::from_utf8(group.get(..length).unwrap_or_default()).unwrap_or_default();
            lengths >>= 4;
        }
        let mut buffer = [0; LONGEST_RUN];
        let Some(text) = joined(&parts, &mut buffer) else { return false };
        match kind {
            // Three digits and a day are a number and a date more often than a mobile number.
            Identifier::Mobile => recognise::mobile(text) && !parts.last().is_some_and(|last| is_day(last)),
            Identifier::ResidentId => recognise::resident_id(text),
            Identifier::BankCard => is_card(text),
            Identifier::CreditCode => false,
        }
    }
}

fn is_day(digits: &str) -> bool {
    recognise::date_digits(digits).is_some_and(|date| (1900..2100).contains(&date.year))
}

/// What a run of digits is, whatever letters stand before and behind it.
pub(super) fn digits(digits: &str) -> Option<Identifier> {
    if recognise::resident_id(digits) {
        Some(Identifier::ResidentId)
    } else if recognise::credit_code(digits) {
        Some(Identifier::CreditCode)
    // With a country code or without.
    } else if matches!(digits.len(), 11 | 13 | 15) && recognise::mobile(digits) {
        Some(Identifier::Mobile)
    } else {
        is_card(digits).then_some(Identifier::BankCard)
    }
}

/// Whether `parts` together are a resident identity number.
pub(super) fn resident_id(parts: &[&str]) -> bool {
    joined(parts, &mut [0; LONGEST_RUN]).is_some_and(recognise::resident_id)
}

/// Whether `digits` are a bank card: beginning and length are those of an issuer that is in use
/// (ISO/IEC 7812-1), and the check digit is right.
fn is_card(digits: &str) -> bool {
    let first = |count: usize| digits.get(..count).and_then(|front| front.parse::<u32>().ok()).unwrap_or(0);
    let known = match digits.len() {
        14 => matches!(first(3), 300..=305 | 360..=369 | 380..=399),
        15 => matches!(first(2), 34 | 37),
        16 => {
            matches!(first(2), 40..=49 | 51..=55 | 62) || matches!(first(4), 2221..=2720 | 3528..=3589 | 6011)
        }
        17 | 18 => first(2) == 62,
        // Beside those of UnionPay, what the large banks gave out before it.
        19 => first(2) == 62 || first(3) == 955 || matches!(first(6), 436_742 | 601_382),
        _ => false,
    };
    known && recognise::luhn(digits)
}

/// `parts` one after another, if there is room for them.
fn joined<'b>(parts: &[&str], buffer: &'b mut [u8]) -> Option<&'b str> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        buffer.get_mut(length..end)?.copy_from_slice(part.as_bytes());
        length = end;
    }
    std::str::from_utf8(buffer.get(..length)?).ok()
}
