//! How forms write text (WHATWG URL, sections 5.1 and 5.2).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::super::notation::Notation;

/// What is escaped: all but letters, digits and `*-._`. A space is written `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// The text that `raw` writes; nothing if it is not UTF-8.
pub(super) fn decode(raw: &[u8]) -> Option<Cow<'_, str>> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok().map(Cow::Owned)
}

/// Escaped text, nothing around it, and nothing at all for the absence of a value.
#[derive(Debug)]
pub(super) struct Form;

impl Notation for Form {
    fn open(_: &mut Vec<u8>) {}

    fn text(piece: &str, out: &mut Vec<u8>) {
        Self::plain(piece.as_bytes(), out);
    }

    fn plain(piece: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        for part in percent_encode(piece, ESCAPED) {
            out.extend_from_slice(part.as_bytes());
        }
        for byte in out.iter_mut().skip(start).filter(|byte| **byte == b' ') {
            *byte = b'+';
        }
    }

    fn close(_: &mut Vec<u8>) {}

    fn null(_: &mut Vec<u8>) {}
}
