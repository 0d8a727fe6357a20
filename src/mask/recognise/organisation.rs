//! Unified social credit codes (统一社会信用代码, GB 32100-2015).

use super::is_province;

/// The characters of a code: no I, O, S, V, Z.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The place of a character in [`ALPHABET`].
pub(in crate::mask) const fn credit_numeral(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'H' => Some(byte - b'A' + 10),
        b'J'..=b'N' => Some(byte - b'J' + 18),
        b'P'..=b'R' => Some(byte - b'P' + 23),
        b'T' | b'U' => Some(byte - b'T' + 26),
        b'W'..=b'Y' => Some(byte - b'W' + 28),
        _ => None,
    }
}

/// The character at a place of [`ALPHABET`].
pub(in crate::mask) fn credit_character(numeral: usize) -> Option<u8> {
    ALPHABET.get(numeral).copied()
}

/// The registering authority (登记管理部门) and the categories of bodies (机构类别) that it registers.
const REGISTERS: [(u8, &[u8]); 12] = [
    (b'1', b"1239"),
    (b'2', b"19"),
    (b'3', b"123459"),
    (b'4', b"19"),
    (b'5', b"1239"),
    (b'6', b"129"),
    (b'7', b"129"),
    (b'8', b"19"),
    (b'9', b"123"),
    (b'A', b"19"),
    (b'N', b"1239"),
    (b'Y', b"1"),
];

/// What stands for a region where the State's own register is meant.
const NATIONAL: &[u8; 6] = b"100000";

/// The check character of a unified social credit code (GB 32100-2015, MOD 31) from its first 17
/// characters; nothing unless they are 17 characters of its alphabet.
#[must_use]
pub fn credit_code_check(first17: &str) -> Option<char> {
    const WEIGHTS: [u16; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let first17: &[u8; 17] = first17.as_bytes().try_into().ok()?;
    let mut sum = 0;
    for (byte, weight) in first17.iter().zip(WEIGHTS) {
        sum += u16::from(credit_numeral(*byte)?) * weight;
    }
    credit_character(usize::from((31 - sum % 31) % 31)).map(char::from)
}

/// The check character of an organisation code (组织机构代码, GB 11714-1997, MOD 11) from its first 8
/// characters; nothing unless they are 8 digits or capital letters.
#[must_use]
pub fn organisation_code_check(first8: &str) -> Option<char> {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    if first8.len() != WEIGHTS.len() {
        return None;
    }
    let mut sum = 0;
    for (character, weight) in first8.chars().zip(WEIGHTS) {
        sum += character.to_digit(36).filter(|_| !character.is_ascii_lowercase())? * weight;
    }
    match (11 - sum % 11) % 11 {
        10 => Some('X'),
        digit => char::from_digit(digit, 10),
    }
}

/// Whether `text` is a unified social credit code (统一社会信用代码): an authority and a category of
/// bodies that it registers, six digits for a region of the first level or for the State, an
/// organisation code with the right check character, and the right check character at the end.
#[must_use]
pub fn credit_code(text: &str) -> bool {
    let register = text.as_bytes().split_first_chunk::<2>().filter(|_| text.len() == 18);
    let Some(([authority, category], rest)) = register else { return false };
    let Some((region, [.., body_check, check])) = rest.split_first_chunk::<6>() else { return false };
    let is_register = REGISTERS.iter().any(|(known, of)| known == authority && of.contains(category));
    let is_region = region.iter().all(u8::is_ascii_digit)
        && (region == NATIONAL || region.first_chunk::<2>().is_some_and(|two| is_province(two)));
    let is = |right: Option<char>, byte: u8| right == Some(char::from(byte));
    is_register
        && is_region
        && is(text.get(8..16).and_then(organisation_code_check), *body_check)
        && is(text.get(..17).and_then(credit_code_check), *check)
}
