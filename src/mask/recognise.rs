//! Recognisers of identifiers with a fixed form, and their check digits.
//!
//! Maskers believe no name that an upstream gives a value: what does not pass its recogniser is
//! masked fully. Full-width digits and other look-alikes pass none of them. Nothing here knows what
//! day it is, so that a birth date may lie ahead, up to the end of the century.

mod card;
mod date;
mod organisation;
mod phone;
mod resident;

pub(super) use card::{MAX_CARD_DIGITS, card_digits};
pub use card::{bank_card, luhn, luhn_check};
pub(super) use date::{date, date_digits};
pub(super) use organisation::{credit_character, credit_numeral};
pub use organisation::{credit_code, credit_code_check, organisation_code_check};
pub(super) use phone::{MOBILE_DIGITS, landline_parts, mobile_number};
pub use phone::{landline, mobile, phone};
pub use resident::{resident_id, resident_id_check};

/// The value of an ASCII digit.
#[inline]
fn digit_value(byte: u8) -> Option<u32> {
    let value = byte.wrapping_sub(b'0');
    if value < 10 { Some(u32::from(value)) } else { None }
}

/// The value of a short run of ASCII digits, and of nothing else.
#[inline]
fn digits_value(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |value, byte| value.checked_mul(10)?.checked_add(digit_value(*byte)?))
}

/// Whether two digits begin the code of a division of the first level (GB/T 2260).
fn is_province(two: &[u8]) -> bool {
    digits_value(two).is_some_and(
        |code| matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81 | 82),
    )
}

/// Whether `text` is an e-mail address (RFC 5321 without quoted local parts and address literals).
#[must_use]
pub fn email(text: &str) -> bool {
    email_parts(text).is_some()
}

/// Local part and domain of an e-mail address.
pub(super) fn email_parts(text: &str) -> Option<(&str, &str)> {
    /// RFC 5321 section 4.5.3.1: 64 octets, `@`, and a path of at most 256 octets with its brackets.
    const MAX_BYTES: usize = 254;
    /// A domain with more digits than this holds a number that should not be there, not a name like
    /// `163`.
    const MAX_DIGITS: usize = 6;
    let (local, domain) = text.rsplit_once('@')?;
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let local_is_right =
        !local.is_empty() && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    let domain_is_right = domain.contains('.')
        && domain.split('.').all(is_label)
        && domain.chars().filter(|c| c.is_numeric()).count() <= MAX_DIGITS;
    (text.len() <= MAX_BYTES && local_is_right && domain_is_right).then_some((local, domain))
}

/// Whether `text` is a vehicle number plate (机动车号牌, GA 36-2018): region, letter, five
/// characters, or six for new energy vehicles; `·`, a space or `-` may stand after the letter.
#[must_use]
pub fn plate(text: &str) -> bool {
    const REGIONS: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";
    const ENDINGS: &str = "警学港澳挂试超领";
    let mut rest = text.chars();
    let region = rest.next().is_some_and(|c| REGIONS.contains(c));
    let letter = rest.next().is_some_and(|c| c.is_ascii_uppercase());
    let rest = rest.as_str();
    let serial = rest.strip_prefix(['·', ' ', '-']).unwrap_or(rest);
    let count = serial.chars().count();
    let is_serial = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && c != 'I' && c != 'O');
    region
        && letter
        && (count == 5 || count == 6)
        && serial.chars().enumerate().all(|(i, c)| is_serial(c) || (i + 1 == count && ENDINGS.contains(c)))
}

/// Whether `text` is the number of a passport or of a travel permit for Hong Kong, Macao or Taiwan
/// (护照、往来港澳台通行证): nine characters, a letter first, then seven digits after one more letter
/// or digit. The numbers of nine digits that begin with 14 or 15 are those of older passports.
#[must_use]
pub fn passport(text: &str) -> bool {
    let Some((first, rest)) = text.as_bytes().split_first() else { return false };
    let [second, digits @ ..] = rest else { return false };
    let lettered = first.is_ascii_uppercase() && (second.is_ascii_digit() || second.is_ascii_uppercase());
    let older = *first == b'1' && matches!(second, b'4' | b'5');
    (lettered || older) && digits.len() == 7 && digits.iter().all(u8::is_ascii_digit)
}

/// A coordinate in degrees (经纬度), cut after so many decimals; nothing unless `text` is a decimal number
/// of at most 180.
pub(super) fn coordinate(text: &str, decimals: usize) -> Option<&str> {
    /// More than any coordinate means.
    const MAX_DECIMALS: usize = 20;
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (degrees, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_coordinate = degrees.len() <= 3
        && fraction.len() <= MAX_DECIMALS
        && is_digits(degrees)
        && is_digits(fraction)
        && digits_value(degrees.as_bytes()).is_some_and(|degrees| degrees <= 180);
    let whole = text.len() - unsigned.len() + degrees.len();
    let end = if decimals == 0 { whole } else { text.len().min(whole + 1 + decimals) };
    if is_coordinate { text.get(..end) } else { None }
}

#[cfg(test)]
mod tests;
