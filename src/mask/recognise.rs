//! Recognisers of identifiers with a fixed form, and their check digits.
//!
//! Maskers believe no name that an upstream gives a value: what does not pass its recogniser is
//! masked fully. Full-width digits and other look-alikes pass none of them.

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

/// Whether `text` is a resident identity number (公民身份号码): 18 characters, a region of the first
/// level, a date that was or can be, the right check character (`X` or `x`).
#[must_use]
pub fn resident_id(text: &str) -> bool {
    let Some((first17, [check])) = text.split_at_checked(17).map(|(front, back)| (front, back.as_bytes()))
    else {
        return false;
    };
    let date = text.get(6..14).and_then(date_digits).is_some_and(|date| (1850..2100).contains(&date.year));
    date && text.get(..2).is_some_and(is_region)
        && resident_id_check(first17) == Some(char::from(check.to_ascii_uppercase()))
}

/// Whether two digits begin the code of a province (GB/T 2260), of a residence permit of Hong Kong,
/// Macao or Taiwan residents (81 to 83), or of a foreigner's permanent residence (9).
pub(super) fn is_region(two: &str) -> bool {
    digits_value(two.as_bytes()).is_some_and(|code| {
        matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91..=99)
    })
}

/// The check character of a unified social credit code (GB 32100-2015, MOD 31) from its first 17
/// characters; nothing unless they are 17 characters of its alphabet.
#[must_use]
pub fn credit_code_check(first17: &str) -> Option<char> {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    if first17.len() != 17 {
        return None;
    }
    let mut sum: usize = 0;
    let mut weight = 1;
    for character in first17.chars() {
        sum += ALPHABET.find(character)? * weight;
        weight = weight * 3 % 31;
    }
    ALPHABET.chars().nth((31 - sum % 31) % 31)
}

/// Whether `text` is a unified social credit code (统一社会信用代码) with the right check character.
#[must_use]
pub fn credit_code(text: &str) -> bool {
    text.split_at_checked(17).is_some_and(|(first17, check)| {
        credit_code_check(first17).is_some_and(|right| check.chars().eq([right]))
    })
}

/// The check digit (Luhn, ISO/IEC 7812-1) that follows `payload`; nothing unless that is digits.
#[must_use]
pub fn luhn_check(payload: &str) -> Option<char> {
    if payload.is_empty() {
        return None;
    }
    let mut sum = 0;
    for (place, digit) in payload.chars().rev().enumerate() {
        let digit = digit.to_digit(10)?;
        sum += match (place % 2, digit * 2) {
            (0, doubled) => doubled / 10 + doubled % 10,
            _ => digit,
        };
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
#[must_use]
pub fn bank_card(text: &str) -> bool {
    let mut digits = [0; 19];
    let mut free = digits.iter_mut();
    for group in text.split([' ', '-']) {
        if group.is_empty() {
            return false;
        }
        for byte in group.bytes() {
            match free.next() {
                Some(place) if byte.is_ascii_digit() => *place = byte,
                _ => return false,
            }
        }
    }
    let count = 19 - free.len();
    count >= 13 && digits.get(..count).and_then(|digits| std::str::from_utf8(digits).ok()).is_some_and(luhn)
}

/// Whether `text` is a mobile number (手机号码): `1`, a digit from 3 to 9 and nine more, in groups
/// separated by single spaces or hyphens if need be, after `+86`, `86` or `0086` or without.
#[must_use]
pub fn mobile(text: &str) -> bool {
    mobile_number(text).is_some()
}

/// A mobile number after its country code.
pub(super) fn mobile_number(text: &str) -> Option<&str> {
    if let [b'1', b'3'..=b'9', rest @ ..] = text.as_bytes()
        && rest.len() == 9
        && rest.iter().all(u8::is_ascii_digit)
    {
        return Some(text);
    }
    let is_separator = |c: char| c == ' ' || c == '-';
    let after = ["+86", "0086", "86"].iter().find_map(|code| text.strip_prefix(code));
    let number = after.map_or(text, |rest| rest.strip_prefix(is_separator).unwrap_or(rest));
    let mut digits = number.bytes().filter(u8::is_ascii_digit);
    let begins_right = digits.next() == Some(b'1') && digits.next().is_some_and(|second| second >= b'3');
    let grouped = number
        .split(is_separator)
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    (begins_right && grouped && digits.count() == 9).then_some(number)
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

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u16,
    pub(super) month: u8,
}

/// A date of the Gregorian calendar, if there is one like this.
fn real_date(year: u16, month: u8, day: u8) -> Option<Date> {
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day).then_some(Date { year, month })
}

/// A date as eight digits, `19900307`.
pub(super) fn date_digits(text: &str) -> Option<Date> {
    let (year, day) = text.as_bytes().split_first_chunk::<4>()?;
    let (month, day) = day.split_first_chunk::<2>()?;
    if day.len() != 2 {
        return None;
    }
    let number = |digits| digits_value(digits).and_then(|number| u8::try_from(number).ok());
    real_date(u16::try_from(digits_value(year)?).ok()?, number(month)?, number(day)?)
}

/// A date as people and systems write it: `1990-03-07`, `1990/3/7`, `1990.03.07`, `19900307`,
/// `1990年3月7日`, or the first form and a time after `T` or a space.
pub(super) fn date(text: &str) -> Option<Date> {
    const MAX_TIME_BYTES: usize = 32;
    let number = |part: &str, digits: std::ops::RangeInclusive<usize>| -> Option<u16> {
        let right = digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if right { part.parse().ok() } else { None }
    };
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let is_time = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | '+' | '-' | 'Z');
    if time.len() > MAX_TIME_BYTES || !time.chars().all(is_time) {
        return None;
    }
    let (year, rest) = match day.split_once(['-', '/', '.', '年']) {
        Some(parts) => parts,
        None => return date_digits(day),
    };
    let separator = day.get(year.len()..)?.chars().next()?;
    let (month, day) = match separator {
        '年' => rest.strip_suffix('日')?.split_once('月')?,
        other => rest.split_once(other)?,
    };
    let month = u8::try_from(number(month, 1..=2)?).ok()?;
    real_date(number(year, 4..=4)?, month, u8::try_from(number(day, 1..=2)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_ids() {
        // The example of GB 11643-1999, and one whose check character is X.
        assert_eq!(resident_id_check("11010519491231002"), Some('X'));
        assert_eq!(resident_id_check("44052418800101001"), Some('4'));
        for right in ["11010519491231002X", "11010519491231002x", "440524188001010014"] {
            assert!(resident_id(right), "{right}");
        }
        for wrong in [
            "",
            "110105194912310021",
            "11010519490231002X",
            "1101051949123100",
            "１１010519491231002X",
            "11010519491231002X ",
            "010105194912310029",
            "110105491231002",
            "11010519491231002X1",
            "身份证身份证",
        ] {
            assert!(!resident_id(wrong), "{wrong}");
        }
    }

    #[test]
    fn credit_codes() {
        for right in ["91350100M000100Y43", "91110000600037341L"] {
            assert!(credit_code(right), "{right}");
        }
        for wrong in
            ["", "91350100M000100Y44", "91350100m000100y43", "91350100I000100Y43", "91350100M000100Y4"]
        {
            assert!(!credit_code(wrong), "{wrong}");
        }
    }

    #[test]
    fn cards() {
        assert_eq!(luhn_check("7992739871"), Some('3'));
        assert_eq!(luhn_check(""), None);
        for right in ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111"] {
            assert!(bank_card(right), "{right}");
        }
        for wrong in [
            "",
            "4111111111111112",
            "4111  111111111111",
            "411111111111",
            "41111111111111111111",
            "4111 1111 1111 111x",
            " 4111111111111111",
        ] {
            assert!(!bank_card(wrong), "{wrong}");
        }
    }

    #[test]
    fn mobiles() {
        for right in [
            "13800138000",
            "+8613800138000",
            "+86 13800138000",
            "008613800138000",
            "86-138-0013-8000",
            "138 0013 8000",
        ] {
            assert!(mobile(right), "{right}");
        }
        for wrong in [
            "",
            "12800138000",
            "1380013800",
            "138001380001",
            "138  00138000",
            "１3800138000",
            "0551-63605678",
            "+8713800138000",
            "13800138000 ",
        ] {
            assert!(!mobile(wrong), "{wrong}");
        }
    }

    #[test]
    fn emails() {
        for right in ["a@b.cn", "li.lei+x@163.com", "张三@例子.中国"] {
            assert!(email(right), "{right}");
        }
        for wrong in [
            "",
            "a@b",
            "@b.cn",
            "a b@c.cn",
            "\"a b\"@c.cn",
            "a@b..cn",
            "a@13800138000.cn",
            "a@b.cn ",
            "a@b@c.cn",
        ] {
            assert!(!email(wrong), "{wrong}");
        }
    }

    #[test]
    fn plates() {
        for right in ["皖A12345", "皖A·12345", "皖AD12345", "京A1234警", "粤Z1234港"] {
            assert!(plate(right), "{right}");
        }
        for wrong in
            ["", "皖A1234", "皖a12345", "皖A1234567", "XA12345", "皖A警1234", "皖A12I45", "皖A··12345"]
        {
            assert!(!plate(wrong), "{wrong}");
        }
    }

    #[test]
    fn dates() {
        for right in [
            "1990-03-07",
            "1990/3/7",
            "1990.03.07",
            "19900307",
            "1990年3月7日",
            "1990-03-07T10:00:00Z",
            "1990-03-07 10:00:00.000",
        ] {
            assert_eq!(date(right), Some(Date { year: 1990, month: 3 }), "{right}");
        }
        for wrong in [
            "",
            "1990",
            "1990-02-29",
            "1990-13-01",
            "90-03-07",
            "1990-03/07",
            "19900230",
            "1990-03-07 secret",
            "1990年3月7",
            "+990-03-07",
            "1990-3",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }
}
