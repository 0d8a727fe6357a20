//! Bank card numbers (银行卡号, ISO/IEC 7812).

use super::digit_value;

/// The most digits of a card number.
pub(in crate::mask) const MAX_CARD_DIGITS: usize = 19;

/// The fewest digits of a card number.
const MIN_CARD_DIGITS: usize = 13;

/// The check digit (Luhn, ISO/IEC 7812-1) that follows `payload`; nothing unless that is digits.
#[must_use]
pub fn luhn_check(payload: &str) -> Option<char> {
    if payload.is_empty() {
        return None;
    }
    let mut sum = 0;
    let mut is_doubled = true;
    for byte in payload.bytes().rev() {
        let digit = digit_value(byte)?;
        sum += match digit * 2 {
            _ if !is_doubled => digit,
            doubled if doubled > 9 => doubled - 9,
            doubled => doubled,
        };
        is_doubled = !is_doubled;
    }
    char::from_digit((10 - sum % 10) % 10, 10)
}

/// Whether the last digit of `digits` is the check digit of those before it.
#[must_use]
pub fn luhn(digits: &str) -> bool {
    digits
        .len()
        .checked_sub(1)
        .and_then(|last| digits.split_at_checked(last))
        .is_some_and(|(payload, check)| luhn_check(payload).is_some_and(|right| check.chars().eq([right])))
}

/// Whether `text` is a bank card number (银行卡号): 13 to 19 digits with the right check digit,
/// alone or in groups separated by single spaces or hyphens.
///
/// It begins with 2 to 6, what ISO/IEC 7812-1 gives to banks and their like (62 is UnionPay's), or with
/// 9, which is left to each country. Milliseconds since 1970, of which every tenth has a right check
/// digit, begin with 1.
#[must_use]
pub fn bank_card(text: &str) -> bool {
    card_digits(text).is_some()
}

/// The digits of a bank card number, and how many there are.
pub(in crate::mask) fn card_digits(text: &str) -> Option<([u8; MAX_CARD_DIGITS], usize)> {
    let mut digits = [0; MAX_CARD_DIGITS];
    let mut free = digits.iter_mut();
    for group in text.split([' ', '-']) {
        if group.is_empty() {
            return None;
        }
        for byte in group.bytes() {
            match free.next() {
                Some(place) if byte.is_ascii_digit() => *place = byte,
                _ => return None,
            }
        }
    }
    let count = MAX_CARD_DIGITS - free.len();
    let is_card = count >= MIN_CARD_DIGITS
        && matches!(digits, [b'2'..=b'6' | b'9', ..])
        && digits.get(..count).and_then(|digits| std::str::from_utf8(digits).ok()).is_some_and(luhn);
    is_card.then_some((digits, count))
}
