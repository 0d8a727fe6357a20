//! Telephone numbers of the Chinese mainland (E.164, country code 86).

/// The digits of a mobile number.
pub(in crate::mask) const MOBILE_DIGITS: usize = 11;

/// How the country code is written.
const COUNTRY_CODES: [&str; 3] = ["+86", "0086", "86"];

/// Whether `text` is a mobile number (手机号码): `1`, a digit from 3 to 9 and nine more, in groups
/// separated by single spaces or hyphens if need be, after `+86`, `86` or `0086` or without.
#[must_use]
pub fn mobile(text: &str) -> bool {
    mobile_number(text).is_some()
}

/// Whether `text` is the number of a fixed line (固定电话), see [`phone`].
#[must_use]
pub fn landline(text: &str) -> bool {
    landline_parts(text).is_some()
}

/// Whether `text` is a telephone number (电话号码): a mobile number; an area code with its `0` and
/// perhaps in brackets, and seven or eight digits from 2 to 8 on; or ten digits that begin with 400 or
/// 800. A country code may stand first, an extension after `-` or `转` last.
///
/// The short numbers of public services (110, 12345, 95588) are nobody's, and are none of these.
#[must_use]
pub fn phone(text: &str) -> bool {
    mobile(text) || landline(text)
}

fn is_separator(c: char) -> bool {
    c == ' ' || c == '-'
}

/// What comes after the country code and its separator; all of `text` if it has none.
fn after_country_code(text: &str) -> Option<&str> {
    let after = COUNTRY_CODES.iter().find_map(|code| text.strip_prefix(code))?;
    Some(after.strip_prefix(is_separator).unwrap_or(after))
}

/// A mobile number after its country code.
pub(in crate::mask) fn mobile_number(text: &str) -> Option<&str> {
    if let [b'1', b'3'..=b'9', rest @ ..] = text.as_bytes()
        && rest.len() == MOBILE_DIGITS - 2
        && rest.iter().all(u8::is_ascii_digit)
    {
        return Some(text);
    }
    let number = after_country_code(text).unwrap_or(text);
    let mut digits = number.bytes().filter(u8::is_ascii_digit);
    let begins_right = digits.next() == Some(b'1') && digits.next().is_some_and(|second| second >= b'3');
    (begins_right && is_grouped(number) && digits.count() == MOBILE_DIGITS - 2).then_some(number)
}

/// Whether `text` is digits, in groups with one separator between two of them.
fn is_grouped(text: &str) -> bool {
    text.split(is_separator).all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number of a fixed line, in three parts that make up the whole: country and area code with what
/// separates them from the rest, the number in its area, and the extension with what precedes it.
pub(in crate::mask) fn landline_parts(text: &str) -> Option<[&str; 3]> {
    let international = after_country_code(text);
    let number = international.unwrap_or(text);
    if let Some(local) = number.strip_prefix("400").or_else(|| number.strip_prefix("800")) {
        let local = local.strip_prefix(is_separator).unwrap_or(local);
        let digits = local.bytes().filter(u8::is_ascii_digit).count();
        return (digits == 7 && is_grouped(local)).then(|| split(text, local, ""));
    }
    let (area, rest) = match number.strip_prefix('(') {
        Some(inside) => inside.split_once(')')?,
        None => number.split_at_checked(area_length(number)?)?,
    };
    // Abroad the 0 is not dialled, though many write it.
    let code = area.strip_prefix('0').or_else(|| international.and(Some(area)))?;
    if area_length(area)? != area.len() {
        return None;
    }
    let rest = rest.strip_prefix(is_separator).unwrap_or(rest);
    let local = local_number(rest)?;
    let digits = local.bytes().filter(u8::is_ascii_digit).count();
    // The cities with short area codes have eight digits.
    let fits = digits == 8 || (digits == 7 && code.len() == 3);
    let extension = rest.strip_prefix(local)?;
    (fits && is_extension(extension)).then(|| split(text, local, extension))
}

/// `text` before its `local` number and `extension`, and these.
fn split<'t>(text: &'t str, local: &'t str, extension: &'t str) -> [&'t str; 3] {
    let front = text.get(..text.len().saturating_sub(local.len() + extension.len())).unwrap_or_default();
    [front, local, extension]
}

/// The length of the area code that `text` begins with: 10 and 2x are the short ones.
fn area_length(text: &str) -> Option<usize> {
    let code = text.strip_prefix('0').unwrap_or(text);
    let digits = match code.as_bytes() {
        [b'1', b'0', ..] | [b'2', b'0'..=b'9', ..] => 2,
        [b'3'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => 3,
        _ => return None,
    };
    Some(text.len() - code.len() + digits)
}

/// The number in its area that `text` begins with: seven or eight digits, perhaps with one separator
/// before the last four.
fn local_number(text: &str) -> Option<&str> {
    let run = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let first = run(text);
    let length = match first {
        7 | 8 => first,
        3 | 4 => {
            let after = text.get(first..)?.strip_prefix(is_separator)?;
            if run(after) != 4 {
                return None;
            }
            first + 5
        }
        _ => return None,
    };
    text.get(..length).filter(|local| local.starts_with(|c: char| ('2'..='8').contains(&c)))
}

fn is_extension(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '转']).unwrap_or(text);
    text.is_empty()
        || (digits.len() < text.len()
            && (1..=6).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
