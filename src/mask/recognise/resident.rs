//! Resident identity numbers (公民身份号码, GB 11643-1999).

use super::date::date_digits;
use super::{digit_value, is_province};
pub use crate::catalog::resident_id_check;

/// The years that a birth date may be of.
const YEARS: std::ops::Range<u16> = 1850..2100;

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
