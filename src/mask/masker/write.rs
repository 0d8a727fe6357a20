//! How what is left of a value is written: always one text, in the [`Notation`] of its format.
//!
//! Each function writes nothing that is whole if it returns nothing: the caller undoes it.

use super::super::notation::Notation;
use super::super::recognise;

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

/// Writes `text` as it is.
pub(super) fn write_text<N: Notation>(text: &str, out: &mut Vec<u8>) {
    N::open(out);
    N::text(text, out);
    N::close(out);
}

/// Writes `kept` and `hidden`.
pub(super) fn write_cut<N: Notation>(kept: &str, hidden: &str, out: &mut Vec<u8>) -> Option<()> {
    N::open(out);
    N::text(kept, out);
    N::plain(hidden.as_bytes(), out);
    N::close(out);
    Some(())
}

/// Writes the characters that `ends` keeps and `hidden` between them; nothing if none would be hidden.
pub(super) fn write_ends<N: Notation>(text: &str, ends: Ends, hidden: &str, out: &mut Vec<u8>) -> Option<()> {
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
    N::open(out);
    N::text(text.get(..first)?, out);
    N::plain(hidden.as_bytes(), out);
    N::text(text.get(last..)?, out);
    N::close(out);
    Some(())
}

/// [`write_ends`] for a text of known form: ASCII, longer than both ends, nothing to escape.
pub(super) fn write_plain_ends<N: Notation>(
    text: &str,
    ends: Ends,
    hidden: &str,
    out: &mut Vec<u8>,
) -> Option<()> {
    let first = text.as_bytes().get(..ends.first)?;
    let last = text.as_bytes().get(text.len().checked_sub(ends.last)?..)?;
    out.reserve(first.len() + hidden.len() + last.len() + 2);
    N::open(out);
    N::plain(first, out);
    N::plain(hidden.as_bytes(), out);
    N::plain(last, out);
    N::close(out);
    Some(())
}

/// Country code and separators stay where they are.
pub(super) fn write_mobile<N: Notation>(text: &str, ends: Ends, out: &mut Vec<u8>) -> Option<()> {
    const DIGITS: usize = 11;
    let number = recognise::mobile_number(text)?;
    N::open(out);
    N::plain(text.strip_suffix(number)?.as_bytes(), out);
    let mut place = 0;
    for byte in number.bytes() {
        let hidden = byte.is_ascii_digit() && {
            place += 1;
            place > ends.first && place <= DIGITS - ends.last
        };
        N::plain(&[if hidden { b'*' } else { byte }], out);
    }
    N::close(out);
    Some(())
}

/// A local part that is no longer than what would be kept is hidden whole.
pub(super) fn write_email<N: Notation>(text: &str, first: usize, out: &mut Vec<u8>) -> Option<()> {
    let (local, domain) = recognise::email_parts(text)?;
    let kept = match local.char_indices().nth(first) {
        Some((end, _)) => local.get(..end)?,
        None => "",
    };
    N::open(out);
    N::text(kept, out);
    N::plain(HIDDEN.as_bytes(), out);
    N::plain(b"@", out);
    N::text(domain, out);
    N::close(out);
    Some(())
}

pub(super) fn write_date<N: Notation>(text: &str, months: Months, out: &mut Vec<u8>) -> Option<()> {
    use std::io::Write;
    let date = recognise::date(text)?;
    N::open(out);
    match months {
        Months::Kept => write!(out, "{:04}-{:02}", date.year, date.month),
        Months::Dropped => write!(out, "{:04}", date.year),
    }
    .ok()?;
    N::close(out);
    Some(())
}
