//! The bytes of JSON strings: how far they run, what they mean, how they are written.
//!
//! [`plain_run`] and [`space_run`] are all of the scanner that looks at bytes without knowing where
//! it is; a vector index can take their place.

/// How many bytes are compared at once at most.
pub(in crate::mask) const WIDTH: usize = 32;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Eight copies of `byte`.
const fn eight(byte: u64) -> u64 {
    LOW * byte
}

/// The number of bytes before the first quote, backslash or control character.
///
/// Eight bytes at a time: for each of them the high bit of `hit` tells whether it stops the run.
/// Borrows can set further bits above a true one, never below it, so the lowest is exact.
#[inline(always)]
pub(in crate::mask) fn plain_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // With this bit turned, quotes and control characters are the bytes up to 0x20.
        let low = (word ^ eight(2)).wrapping_sub(eight(0x21));
        let backslash = (word ^ eight(0x5C)).wrapping_sub(LOW);
        let hit = (low | backslash) & !word & HIGH;
        if hit != 0 {
            return (bytes.len() - rest.len()).wrapping_add(first_of(hit));
        }
        rest = after;
    }
    let tail = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    (bytes.len() - rest.len()).wrapping_add(tail.unwrap_or(rest.len()))
}

/// The index of the byte whose high bit is the lowest set.
#[inline(always)]
fn first_of(hit: u64) -> usize {
    usize::try_from(hit.trailing_zeros() >> 3).unwrap_or(0)
}

/// Whether `byte` is white space (RFC 8259 section 2).
#[inline(always)]
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// The number of white space bytes at the front.
#[inline(always)]
pub(in crate::mask) fn space_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let other = u64::from_le_bytes(*word) ^ eight(0x20);
        if other != 0 {
            break;
        }
        rest = after;
    }
    let done = bytes.len() - rest.len();
    done.wrapping_add(rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len()))
}

/// The number of ASCII digits that the first eight bytes begin with; nothing if there are fewer than
/// eight bytes, or all are digits.
#[inline(always)]
fn digits(bytes: &[u8]) -> Option<usize> {
    let word = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    let value = word ^ eight(0x30);
    // As in `plain_run`, the lowest bit is exact.
    let hit = (value.wrapping_add(eight(0x76)) | word) & HIGH;
    if hit == 0 { None } else { Some(first_of(hit)) }
}

/// The length of the number that `bytes` begin with, if it is an everyday one: no sign, no exponent,
/// at most seven digits before and after the point, and followed by a few bytes.
#[inline(always)]
pub(super) fn number_run(bytes: &[u8]) -> Option<usize> {
    let whole = digits(bytes)?;
    if whole == 0 || (whole > 1 && bytes.first() == Some(&b'0')) {
        return None;
    }
    let after = bytes.get(whole..)?;
    match after.first()? {
        b'.' => {
            let places = digits(after.get(1..)?)?;
            let end = whole.wrapping_add(places).wrapping_add(1);
            let is_whole = places > 0 && !matches!(bytes.get(end)?, b'e' | b'E');
            is_whole.then_some(end)
        }
        b'e' | b'E' => None,
        _ => Some(whole),
    }
}

/// The length of the literal that `bytes` begin with, if it is all there.
#[inline(always)]
pub(super) fn literal_run(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    match first {
        b"true" | b"null" => Some(4),
        b"fals" if rest.first() == Some(&b'e') => Some(5),
        _ => None,
    }
}

/// The first eight bytes of `name` as a little-endian number, padded with zeros.
#[inline(always)]
pub(in crate::mask) fn prefix(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => name.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// [`prefix`] of the first `length` bytes of `rest`, in one load where there is room for it.
#[inline(always)]
pub(super) fn prefix_in(rest: &[u8], length: usize) -> u64 {
    match rest.first_chunk::<8>() {
        Some(word) if length >= 8 => u64::from_le_bytes(*word),
        Some(word) => u64::from_le_bytes(*word) & !(u64::MAX << (8 * length)),
        None => prefix(rest.get(..length).unwrap_or(rest)),
    }
}

/// The length of the `\u` escapes at the front that are all there and stand for a character each.
#[inline(always)]
pub(super) fn unicode_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(([b'\\', b'u', digits @ ..], after)) = rest.split_first_chunk::<6>()
        && stands_alone(digits)
    {
        rest = after;
    }
    bytes.len().wrapping_sub(rest.len())
}

/// Whether these are hexadecimal digits, and not of half a surrogate pair.
#[inline(always)]
fn stands_alone(digits: &[u8; 4]) -> bool {
    let [a, b, c, d] = digits.map(|digit| HEX.get(usize::from(digit)).copied().unwrap_or(u8::MAX));
    (a | b | c | d) < 16 && !(a == 0xD && b >= 8)
}

/// The length of the escape that `bytes` begin with, if it is all there and stands for a character
/// by itself: not half a surrogate pair.
#[inline(always)]
pub(super) fn escape_run(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, b'u', digits @ ..] => stands_alone(digits.first_chunk::<4>()?).then_some(6),
        [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        _ => None,
    }
}

/// The value of each hexadecimal digit, and 255 for all other bytes.
const HEX: [u8; 256] = hex_table();

const fn hex_table() -> [u8; 256] {
    let mut table = [255; 256];
    let mut byte: u8 = 0;
    let mut rest: &mut [u8] = &mut table;
    while let Some((first, after)) = rest.split_first_mut() {
        match byte {
            b'0'..=b'9' => *first = byte - b'0',
            b'a'..=b'f' => *first = byte - b'a' + 10,
            b'A'..=b'F' => *first = byte - b'A' + 10,
            _ => {}
        }
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
}

/// Decodes the inside of a JSON string onto `out`.
///
/// The scanner has checked every escape; one that is wrong all the same ends the text, so that it
/// can only grow shorter.
pub(super) fn decode(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let Some((character, after)) = decode_escape(escaped) else { return };
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
}

/// Decodes one escape, its backslash already taken, and returns what follows it.
fn decode_escape(escaped: &str) -> Option<(char, &str)> {
    let (letter, after) = escaped.split_at_checked(1)?;
    let character = match letter {
        "b" => '\u{8}',
        "f" => '\u{c}',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "\"" => '"',
        "\\" => '\\',
        "/" => '/',
        "u" => return decode_unicode(after),
        _ => return None,
    };
    Some((character, after))
}

/// Decodes the hexadecimal part of a `\u` escape, and its second half if it is a surrogate.
fn decode_unicode(hex: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text, 16).ok();
    let (digits, after) = hex.split_at_checked(4)?;
    let first = unit(digits)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, after));
    }
    let (digits, after) = after.strip_prefix("\\u")?.split_at_checked(4)?;
    let second = unit(digits)?.checked_sub(0xDC00)?;
    Some((char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + second)?, after))
}

/// Writes `text` as the inside of a JSON string.
pub(in crate::mask) fn write_inside(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, stopped) = rest.split_at_checked(plain_run(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = stopped.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                out.extend_from_slice(b"\\u00");
                out.extend([other >> 4, other & 15].map(|nibble| match nibble {
                    0..=9 => b'0' + nibble,
                    _ => b'a' + nibble - 10,
                }));
            }
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_stop_where_they_should() {
        for length in 0..40 {
            for stop in [b'"', b'\\', 0, 0x1F, b'\n'] {
                let mut bytes = vec![b'a'; length];
                bytes.push(stop);
                bytes.extend_from_slice(b"\"\\\x00tail tail tail");
                assert_eq!(plain_run(&bytes), length);
            }
            let mut bytes = vec![b' '; length];
            bytes.push(b'x');
            bytes.extend_from_slice(&[b' '; 9]);
            assert_eq!(space_run(&bytes), length);
        }
    }

    proptest! {
        #[test]
        fn runs_equal_the_obvious(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let plain = bytes.iter().position(|b| *b < 0x20 || matches!(b, b'"' | b'\\'));
            prop_assert_eq!(plain_run(&bytes), plain.unwrap_or(bytes.len()));
            let space = bytes.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
            prop_assert_eq!(space_run(&bytes), space.unwrap_or(bytes.len()));
        }

        #[test]
        fn prefixes_do_not_see_what_follows(name in proptest::collection::vec(any::<u8>(), 0..12), after in any::<[u8; 9]>()) {
            for more in 0..=after.len() {
                let rest = [&name, &after[..more]].concat();
                prop_assert_eq!(prefix_in(&rest, name.len()), prefix(&name));
            }
        }

        #[test]
        fn written_strings_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            out.push(b'"');
            write_inside(&text, &mut out);
            out.push(b'"');
            prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
            let raw = std::str::from_utf8(&out[1..out.len() - 1]).unwrap();
            let mut decoded = String::new();
            decode(raw, &mut decoded);
            prop_assert_eq!(decoded, text);
        }

        #[test]
        fn escapes_decode_as_serde_json_reads_them(units in proptest::collection::vec(any::<char>(), 0..9)) {
            let mut raw = String::new();
            for unit in units {
                for half in unit.encode_utf16(&mut [0; 2]) {
                    raw.push_str(&format!("\\u{half:04X}"));
                }
                raw.push_str(r#"\/\b\f\n\r\t\"\\"#);
            }
            let mut decoded = String::new();
            decode(&raw, &mut decoded);
            prop_assert_eq!(decoded, serde_json::from_str::<String>(&format!("\"{raw}\"")).unwrap());
        }
    }
}
