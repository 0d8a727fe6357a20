//! How the formats write text: what a masker leaves is the same, its quoting is not.

use super::json::text::write_inside;
use super::masker::Value;

/// How one format writes what is left of a value.
///
/// Pieces of a text come between [`Notation::open`] and [`Notation::close`], in order.
pub(super) trait Notation {
    /// A text begins.
    fn open(out: &mut Vec<u8>);
    /// A piece of a text, to be escaped as the format demands.
    fn text(piece: &str, out: &mut Vec<u8>);
    /// A piece of a text of letters, digits and punctuation that no format escapes.
    #[inline]
    fn plain(piece: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(piece);
    }
    /// A text ends.
    fn close(out: &mut Vec<u8>);
    /// The absence of a value.
    fn null(out: &mut Vec<u8>);
    /// A value as it is, where its own bytes are not at hand.
    fn value(value: Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Text(text) => {
                Self::open(out);
                Self::text(text, out);
                Self::close(out);
            }
            Value::Number(number) => Self::plain(number.as_bytes(), out),
            Value::Boolean(true) => Self::plain(b"true", out),
            Value::Boolean(false) => Self::plain(b"false", out),
            Value::Null => Self::null(out),
        }
    }
}

/// JSON: strings in quotes, and `null`.
#[derive(Debug)]
pub(super) struct Json;

impl Notation for Json {
    #[inline]
    fn open(out: &mut Vec<u8>) {
        out.push(b'"');
    }

    #[inline]
    fn text(piece: &str, out: &mut Vec<u8>) {
        write_inside(piece, out);
    }

    #[inline]
    fn close(out: &mut Vec<u8>) {
        out.push(b'"');
    }

    #[inline]
    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }
}

/// The text alone, without anything around it: who writes it quotes it afterwards, if it must be.
#[derive(Debug)]
pub(super) struct Plain;

impl Notation for Plain {
    #[inline]
    fn open(_: &mut Vec<u8>) {}

    #[inline]
    fn text(piece: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(piece.as_bytes());
    }

    #[inline]
    fn close(_: &mut Vec<u8>) {}

    #[inline]
    fn null(_: &mut Vec<u8>) {}
}
