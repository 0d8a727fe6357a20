//! How what is left of a value is written: always one text, in the [`Notation`] of its format.
//!
//! Each function writes nothing that is whole if it returns nothing: the caller undoes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::detect::is_ignorable;
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

/// [`write_ends`] for a text that has no form of its own and may be short; nothing if less than half of it would
/// be hidden.
pub(super) fn write_ends_of_any<N: Notation>(
    text: &str,
    ends: Ends,
    hidden: &str,
    out: &mut Vec<u8>,
) -> Option<()> {
    is_half_hidden(ends, text).then_some(())?;
    write_ends::<N>(text, ends, hidden, out)
}

/// Whether at least half of `text` is hidden behind its `ends`. What nobody sees hides nothing: blanks fill up columns of
/// fixed width.
fn is_half_hidden(ends: Ends, text: &str) -> bool {
    let kept = ends.first + ends.last;
    let hidden = text.chars().count().saturating_sub(kept);
    text.chars().skip(ends.first).take(hidden).filter(|c| !is_unseen(*c)).count() >= kept
}

/// Blanks, controls and what Unicode calls ignorable.
fn is_unseen(c: char) -> bool {
    const BEYOND: [std::ops::RangeInclusive<char>; 3] =
        ['\u{1BCA0}'..='\u{1BCA3}', '\u{1D173}'..='\u{1D17A}', '\u{E0000}'..='\u{E0FFF}'];
    c.is_whitespace() || c.is_control() || is_ignorable(c) || BEYOND.iter().any(|range| range.contains(&c))
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

/// Writes letters and digits.
pub(super) fn write_run<N: Notation>(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    N::open(out);
    N::plain(text, out);
    N::close(out);
    Some(())
}

/// A piece of a text: `text` with each digit replaced by the next of `digits`, of which there must be as
/// many. What stands between them stays where it is.
pub(super) fn write_over<N: Notation>(text: &str, digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut rest, mut digits) = (text, digits);
    while !rest.is_empty() {
        let run = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (new, left) = digits.split_at_checked(run)?;
        N::plain(new, out);
        digits = left;
        rest = rest.get(run..)?;
        let between = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        if between > 0 {
            N::text(rest.get(..between)?, out);
            rest = rest.get(between..)?;
        }
    }
    digits.is_empty().then_some(())
}

/// Country code and separators stay where they are.
pub(super) fn write_mobile<N: Notation>(text: &str, ends: Ends, out: &mut Vec<u8>) -> Option<()> {
    let number = recognise::mobile_number(text)?;
    if number.len() == recognise::MOBILE_DIGITS && text.len() == number.len() {
        let hidden = "***********".get(ends.first + ends.last..)?;
        return write_plain_ends::<N>(text, ends, hidden, out);
    }
    let mut digits = [b'*'; recognise::MOBILE_DIGITS];
    let given = number.bytes().filter(u8::is_ascii_digit);
    for (place, (digit, given)) in digits.iter_mut().zip(given).enumerate() {
        if place < ends.first || place + ends.last >= recognise::MOBILE_DIGITS {
            *digit = given;
        }
    }
    N::open(out);
    let code = text.strip_suffix(number)?;
    if !code.is_empty() {
        N::text(code, out);
    }
    if number.len() == digits.len() {
        N::plain(&digits, out);
    } else {
        write_over::<N>(number, &digits, out)?;
    }
    N::close(out);
    Some(())
}

/// A mobile number with its first 3 and `last` digits, or country and area code and the `last` digits of
/// a fixed line. Of an extension only its length is left.
pub(super) fn write_phone<N: Notation>(text: &str, last: usize, out: &mut Vec<u8>) -> Option<()> {
    const HIDDEN_DIGITS: [u8; 8] = [b'*'; 8];
    if recognise::mobile(text) {
        return write_mobile::<N>(text, Ends { first: 3, last }, out);
    }
    let [front, local, extension] = recognise::landline_parts(text)?;
    let mut digits = HIDDEN_DIGITS;
    let given = local.bytes().filter(u8::is_ascii_digit);
    let count = given.clone().count();
    for (place, (digit, given)) in digits.iter_mut().zip(given).enumerate() {
        if place + last >= count {
            *digit = given;
        }
    }
    N::open(out);
    N::text(front, out);
    write_over::<N>(local, digits.get(..count)?, out)?;
    let hidden = extension.bytes().filter(u8::is_ascii_digit).count();
    write_over::<N>(extension, HIDDEN_DIGITS.get(..hidden)?, out)?;
    N::close(out);
    Some(())
}

/// The network that an address is in: of `bits` bits of IPv4, of twice as many of IPv6. An address of 6to4 (RFC 3056) has
/// one of IPv4 behind its first 16 bits, of which no more is left than of others.
pub(super) fn write_network<N: Notation>(text: &str, bits: u32, out: &mut Vec<u8>) -> Option<()> {
    use std::io::Write;
    /// The longest network, `ffff:ffff:ffff::/48`, and to spare.
    const MAX_BYTES: usize = 64;
    let mut network = [0; MAX_BYTES];
    let mut free = network.as_mut_slice();
    match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let kept = address & Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - bits)?);
            write!(free, "{kept}/{bits}").ok()?;
        }
        IpAddr::V6(address) => {
            let bits = if address.segments().first() == Some(&0x2002) { 16 + bits } else { 2 * bits };
            let kept = address & Ipv6Addr::from_bits(u128::MAX.checked_shl(128 - bits)?);
            write!(free, "{kept}/{bits}").ok()?;
        }
    }
    let left = free.len();
    write_text::<N>(std::str::from_utf8(network.get(..MAX_BYTES - left)?).ok()?, out);
    Some(())
}

/// One or two coordinates, each cut after so many decimals.
pub(super) fn write_coordinates<N: Notation>(text: &str, decimals: usize, out: &mut Vec<u8>) -> Option<()> {
    let (one, other) = match text.split_once(',') {
        Some((one, other)) => (one, Some(other.strip_prefix(' ').unwrap_or(other))),
        None => (text, None),
    };
    N::open(out);
    N::text(recognise::coordinate(one, decimals)?, out);
    if let Some(other) = other {
        N::text(",", out);
        N::text(recognise::coordinate(other, decimals)?, out);
    }
    N::close(out);
    Some(())
}

/// A local part of which less than half would be hidden is hidden whole.
pub(super) fn write_email<N: Notation>(text: &str, first: usize, out: &mut Vec<u8>) -> Option<()> {
    let (local, domain) = recognise::email_parts(text)?;
    let kept = match local.char_indices().nth(first) {
        Some((end, _)) if is_half_hidden(Ends { first, last: 0 }, local) => local.get(..end)?,
        _ => "",
    };
    N::open(out);
    N::text(kept, out);
    N::plain(HIDDEN.as_bytes(), out);
    N::text("@", out);
    N::text(domain, out);
    N::close(out);
    Some(())
}

/// The year, or year and month.
pub(super) fn write_date<N: Notation>(text: &str, months: Months, out: &mut Vec<u8>) -> Option<()> {
    let date = recognise::date(text)?;
    N::open(out);
    N::plain(&decimal(date.year), out);
    if months == Months::Kept {
        N::text("-", out);
        let [_, _, month @ ..] = decimal(date.month.into());
        N::plain(&month, out);
    }
    N::close(out);
    Some(())
}

/// A number as four digits.
fn decimal(number: u16) -> [u8; 4] {
    [1000, 100, 10, 1].map(|unit| b'0' + u8::try_from(number / unit % 10).unwrap_or_default())
}
