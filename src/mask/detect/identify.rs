//! What a run of digits, a word, or a row of groups is.
//!
//! [`recognise`] says what is valid. Where an identifier has one check digit and nothing else, one in
//! ten numbers of its length is valid by chance; so a bank card must also begin as cards of its length
//! do, and a credit code without letters must be right in every part that the standard gives a form.

use crate::catalog::Identifier;
use crate::mask::recognise;

/// The longest word that is an identifier by itself.
pub(super) const WORD: usize = 18;
/// The most digits of an identifier.
pub(super) const LONGEST_RUN: usize = 19;
/// The most groups of an identifier.
pub(super) const MOST_GROUPS: usize = 5;
/// The longest group.
const LONGEST_GROUP: usize = 13;
/// What stands before a mobile number.
const COUNTRY_CODES: [&str; 2] = ["86", "0086"];

/// A word of digits, or of digits and an `X`, that may be a part of an identifier.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Group {
    bytes: [u8; LONGEST_GROUP],
    length: usize,
}

impl Group {
    /// `digits` and `end`, if that is not too much.
    pub(super) fn new(digits: &str, end: &str) -> Option<Self> {
        let mut group = Self::default();
        let length = joined(&[digits, end], &mut group.bytes)?.len();
        (length > 0).then_some(Self { length, ..group })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }
}

/// How people write identifiers in groups; the longer first where one begins as another does.
const SHAPES: &[(Identifier, &[usize])] = &[
    (Identifier::ResidentId, &[6, 8, 4]),
    (Identifier::ResidentId, &[6, 4, 4, 4]),
    (Identifier::BankCard, &[4, 4, 4, 4, 1]),
    (Identifier::BankCard, &[4, 4, 4, 4, 2]),
    (Identifier::BankCard, &[4, 4, 4, 4, 3]),
    (Identifier::BankCard, &[4, 4, 4, 4]),
    (Identifier::BankCard, &[4, 6, 5]),
    (Identifier::BankCard, &[4, 6, 4]),
    (Identifier::BankCard, &[6, 10]),
    (Identifier::BankCard, &[6, 11]),
    (Identifier::BankCard, &[6, 12]),
    (Identifier::BankCard, &[6, 13]),
    (Identifier::Mobile, &[3, 4, 4]),
    (Identifier::Mobile, &[3, 3, 5]),
    (Identifier::Mobile, &[4, 3, 4]),
    (Identifier::Mobile, &[3, 8]),
];

/// What the last of `groups` complete.
pub(super) fn groups(groups: &[Group]) -> Option<Identifier> {
    SHAPES.iter().find(|(kind, shape)| fits(*kind, shape, groups)).map(|(kind, _)| *kind)
}

fn fits(kind: Identifier, shape: &[usize], groups: &[Group]) -> bool {
    let Some((_, last)) = groups.len().checked_sub(shape.len()).and_then(|at| groups.split_at_checked(at))
    else {
        return false;
    };
    let mut parts = [""; MOST_GROUPS];
    for (part, group) in parts.iter_mut().zip(last) {
        *part = group.text();
    }
    if kind == Identifier::Mobile
        && let Some(first) = parts.first_mut()
    {
        *first = without_country_code(first, shape.first().copied().unwrap_or_default());
    }
    if !parts.iter().zip(shape).all(|(part, length)| part.len() == *length) {
        return false;
    }
    let mut buffer = [0; LONGEST_RUN];
    let Some(text) = joined(&parts, &mut buffer) else { return false };
    match kind {
        // Three digits and a day are a number and a date more often than a mobile number.
        Identifier::Mobile => recognise::mobile(text) && !matches!(parts, [_, day, "", ..] if is_day(day)),
        Identifier::ResidentId => recognise::resident_id(text),
        Identifier::BankCard => is_card(text),
        Identifier::CreditCode => false,
    }
}

fn is_day(digits: &str) -> bool {
    recognise::date_digits(digits).is_some_and(|date| (1900..2100).contains(&date.year))
}

/// What comes after a country code, if `length` digits do; otherwise all of it.
fn without_country_code(digits: &str, length: usize) -> &str {
    let after = COUNTRY_CODES.iter().find_map(|code| digits.strip_prefix(code));
    after.filter(|after| after.len() == length).unwrap_or(digits)
}

/// What digits are that have letters before or behind them.
pub(super) fn run(digits: &str) -> Option<Identifier> {
    if recognise::mobile(without_country_code(digits, 11)) {
        Some(Identifier::Mobile)
    } else {
        is_card(digits).then_some(Identifier::BankCard)
    }
}

/// What digits are that have no letter before or behind them.
pub(super) fn digits(digits: &str) -> Option<Identifier> {
    if recognise::resident_id(digits) {
        Some(Identifier::ResidentId)
    } else if is_numeric_credit_code(digits) {
        Some(Identifier::CreditCode)
    } else {
        run(digits)
    }
}

/// Whether `parts` together are a resident identity number.
pub(super) fn resident_id(parts: &[&str]) -> bool {
    joined(parts, &mut [0; LONGEST_RUN]).is_some_and(recognise::resident_id)
}

/// Whether `word` is a credit code that has letters, beyond its check character: who registers, and a
/// division of digits (GB 32100-2015, 5.2 and 5.4).
pub(super) fn lettered_credit_code(word: &str) -> bool {
    word.starts_with(|c: char| matches!(c, '1'..='9' | 'A' | 'N' | 'Y'))
        && word.get(2..8).is_some_and(|division| division.bytes().all(|byte| byte.is_ascii_digit()))
        && recognise::credit_code(word)
}

/// Whether `digits` are a credit code, right in every part: who registers and what (GB 32100-2015,
/// table 1), a province or the nation (GB/T 2260), the organisation code's own check digit (GB 11714).
fn is_numeric_credit_code(digits: &str) -> bool {
    const KINDS: [&str; 27] = [
        "11", "12", "13", "19", "29", "31", "32", "33", "34", "35", "39", "41", "49", "51", "52", "53", "59",
        "61", "69", "71", "72", "79", "81", "89", "91", "92", "93",
    ];
    let province = |code: &str| code == "10" || recognise::is_province(code.as_bytes());
    digits.len() == 18
        && digits.get(..2).is_some_and(|kind| KINDS.contains(&kind))
        && digits.get(2..4).is_some_and(province)
        && digits.get(8..17).is_some_and(is_organisation_code)
        && recognise::credit_code(digits)
}

/// Whether nine digits are an organisation code (GB 11714-1997).
fn is_organisation_code(digits: &str) -> bool {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let mut values = digits.chars().filter_map(|digit| digit.to_digit(10));
    let sum: u32 = WEIGHTS.iter().zip(values.by_ref()).map(|(weight, value)| weight * value).sum();
    // A check value of 10 is written as a letter.
    values.next() == Some((11 - sum % 11) % 11)
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
