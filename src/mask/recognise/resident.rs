//! Resident identity numbers (公民身份号码, GB 11643-1999).

use super::date::date_digits;
use super::{digit_value, is_province};

/// The years that a birth date may be of.
const YEARS: std::ops::Range<u16> = 1850..2100;

/// The check character of a resident identity number (GB 11643-1999, ISO 7064 MOD 11-2) from its
/// first 17 digits; nothing unless they are 17 digits.
#[must_use]
pub fn resident_id_check(first17: &str) -> Option<char> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let first17 = first17.as_bytes().first_chunk::<17>().filter(|_| first17.len() == 17)?;
    // No early way out: all digits are looked at side by side.
    let (mut sum, mut highest) = (0, 0);
    for (byte, weight) in first17.iter().zip(WEIGHTS) {
        let digit = byte.wrapping_sub(b'0');
        highest = digit.max(highest);
        sum += u32::from(digit) * weight;
    }
    if highest > 9 {
        return None;
    }
    CHECKS.get(usize::try_from(sum % 11).ok()?).copied()
}

/// Whether `text` is a resident identity number (公民身份号码): 18 characters, a region of the first
/// level, a date that was or can be, the right check character (`X` or `x`).
///
/// Residence permits of people from Hong Kong, Macao and Taiwan and of foreigners have numbers of the
/// same form, and pass. The older form of 15 digits has no check character, so that any number could
/// be one: it does not.
#[must_use]
pub fn resident_id(text: &str) -> bool {
    let Some((first17, [check])) = text.split_at_checked(17).map(|(front, back)| (front, back.as_bytes()))
    else {
        return false;
    };
    let date = text.get(6..14).and_then(date_digits).is_some_and(|date| YEARS.contains(&date.year));
    date && text.as_bytes().get(..2).is_some_and(is_region)
        && resident_id_check(first17) == Some(char::from(check.to_ascii_uppercase()))
}

/// Whether two digits begin the code of a province (GB/T 2260), of a residence permit of Hong Kong,
/// Macao or Taiwan residents (81 to 83), or of a foreigner's permanent residence: 9 and the first digit
/// of the province that gave it.
fn is_region(two: &[u8]) -> bool {
    is_province(two)
        || two == b"83"
        || matches!(two, [b'9', second] if digit_value(*second).is_some_and(|digit| (1..=6).contains(&digit)))
}
