//! Dates as people and systems write them.

use super::digits_value;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) struct Date {
    pub(in crate::mask) year: u16,
    pub(in crate::mask) month: u8,
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
pub(in crate::mask) fn date_digits(text: &str) -> Option<Date> {
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
pub(in crate::mask) fn date(text: &str) -> Option<Date> {
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
