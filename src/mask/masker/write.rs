//! How what is left of a value is written: always one JSON string.
//!
//! Each function writes nothing that is whole if it returns nothing: the caller undoes it.

use super::super::recognise;
use super::super::text::write_inside;

/// What stands for text that is not shown; its length tells nothing of the text's.
pub(super) const HIDDEN: &str = "***";

/// How many characters are kept at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Whether a date keeps its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Months {
    Kept,
    Dropped,
}

/// Writes `kept` and `hidden`.
pub(super) fn write_cut(kept: &str, hidden: &str, out: &mut Vec<u8>) -> Option<()> {
    out.push(b'"');
    write_inside(kept, out);
    out.extend_from_slice(hidden.as_bytes());
    out.push(b'"');
    Some(())
}

/// Writes the characters that `ends` keeps and `hidden` between them; nothing if none would be hidden.
pub(super) fn write_ends(text: &str, ends: Ends, hidden: &str, out: &mut Vec<u8>) -> Option<()> {
    let (first, last) = if text.is_ascii() {
        let last = text.len().checked_sub(ends.last)?;
        (ends.first, last)
    } else {
        let count = text.chars().count();
        let boundary = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
        (boundary(ends.first), boundary(count.checked_sub(ends.last)?))
    };
    if first >= last {
        return None;
    }
    out.push(b'"');
    write_inside(text.get(..first)?, out);
    out.extend_from_slice(hidden.as_bytes());
    write_inside(text.get(last..)?, out);
    out.push(b'"');
    Some(())
}

/// [`write_ends`] for a text of known form: ASCII, longer than both ends, nothing to escape.
pub(super) fn write_plain_ends(text: &str, ends: Ends, hidden: &str, out: &mut Vec<u8>) -> Option<()> {
    let first = text.as_bytes().get(..ends.first)?;
    let last = text.as_bytes().get(text.len().checked_sub(ends.last)?..)?;
    out.reserve(first.len() + hidden.len() + last.len() + 2);
    out.push(b'"');
    out.extend(first);
    out.extend_from_slice(hidden.as_bytes());
    out.extend(last);
    out.push(b'"');
    Some(())
}

/// Country code and separators stay where they are.
pub(super) fn write_mobile(text: &str, ends: Ends, out: &mut Vec<u8>) -> Option<()> {
    const DIGITS: usize = 11;
    let number = recognise::mobile_number(text)?;
    out.push(b'"');
    out.extend_from_slice(text.strip_suffix(number)?.as_bytes());
    let mut place = 0;
    out.extend(number.bytes().map(|byte| {
        let hidden = byte.is_ascii_digit() && {
            place += 1;
            place > ends.first && place <= DIGITS - ends.last
        };
        if hidden { b'*' } else { byte }
    }));
    out.push(b'"');
    Some(())
}

/// A local part that is no longer than what would be kept is hidden whole.
pub(super) fn write_email(text: &str, first: usize, out: &mut Vec<u8>) -> Option<()> {
    let (local, domain) = recognise::email_parts(text)?;
    let kept = match local.char_indices().nth(first) {
        Some((end, _)) => local.get(..end)?,
        None => "",
    };
    out.push(b'"');
    write_inside(kept, out);
    out.extend_from_slice(HIDDEN.as_bytes());
    out.push(b'@');
    write_inside(domain, out);
    out.push(b'"');
    Some(())
}

pub(super) fn write_date(text: &str, months: Months, out: &mut Vec<u8>) -> Option<()> {
    use std::io::Write;
    let date = recognise::date(text)?;
    match months {
        Months::Kept => write!(out, "\"{:04}-{:02}\"", date.year, date.month),
        Months::Dropped => write!(out, "\"{:04}\"", date.year),
    }
    .ok()
}
