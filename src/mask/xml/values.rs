//! What a value means: its text out of what is written, and whether it reads as its type.

use std::borrow::Cow;

use memchr::memchr3;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesCData, BytesText};

use super::super::automaton::{Rule, class};
use super::super::masker::Value;
use super::super::notation::Notation;
use super::characters::{is_legal, is_space};

/// How XML is written: a text has no quotes of its own, and the absence of a value is an empty one.
///
/// What it writes may stand in an element as well as in an attribute, in quotes of either kind.
#[derive(Debug)]
pub(super) struct Xml;

impl Notation for Xml {
    #[inline]
    fn open(_out: &mut Vec<u8>) {}

    fn text(piece: &str, out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(at) = rest.find(|c| replacement(c).is_some()) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            out.extend_from_slice(plain.as_bytes());
            let mut characters = special.chars();
            if let Some(written) = characters.next().and_then(replacement) {
                out.extend_from_slice(written.as_bytes());
            }
            rest = characters.as_str();
        }
        out.extend_from_slice(rest.as_bytes());
    }

    #[inline]
    fn close(_out: &mut Vec<u8>) {}

    #[inline]
    fn null(_out: &mut Vec<u8>) {}
}

/// What is written for `c`, if not `c` itself. Line ends and tabs would be read as something else.
fn replacement(c: char) -> Option<&'static str> {
    match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '"' => Some("&quot;"),
        '\'' => Some("&apos;"),
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        legal if is_legal(legal) => None,
        // A text that was JSON can hold what XML cannot.
        _ => Some("\u{FFFD}"),
    }
}

const CDATA: &str = "<![CDATA[";

/// The text of an element from what is written in it: text with references, and CDATA sections.
/// Nothing if it is neither, which a reader has refused before.
pub(super) fn decode(written: &str) -> Option<Cow<'_, str>> {
    if memchr3(b'<', b'&', b'\r', written.as_bytes()).is_none() {
        return Some(Cow::Borrowed(written));
    }
    let mut decoded = String::with_capacity(written.len());
    let mut rest = written;
    loop {
        let (text, cdata) = rest.split_once(CDATA).map_or((rest, None), |(text, after)| (text, Some(after)));
        decoded.push_str(&unescape(&BytesText::from_escaped(text).xml10_content()).ok()?);
        let Some(cdata) = cdata else { return Some(Cow::Owned(decoded)) };
        let (content, after) = cdata.split_once("]]>")?;
        decoded.push_str(&BytesCData::new(content).xml10_content());
        rest = after;
    }
}

/// What `text` reads as, if it may leave as it is under `rule`, searched or not.
pub(super) fn reads_as(rule: Rule, text: &str) -> Option<Value<'_>> {
    let is = |wanted| (rule.copy | rule.mask) & wanted != 0;
    if is(class::TEXT) {
        return Some(Value::Text(text));
    }
    let text = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    if is(class::NUMBER) && is_number(text) {
        return Some(Value::Number(text));
    }
    (is(class::BOOLEAN) && is_boolean(text)).then_some(Value::Boolean(matches!(text, "true" | "1")))
}

/// Digits with a sign, a fraction and an exponent, each if need be (XML Schema's double, finite).
fn is_number(text: &str) -> bool {
    let (whole, rest) = digits(unsigned(text.as_bytes()));
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (0, rest),
    };
    if whole + fraction == 0 {
        return false;
    }
    match rest {
        [b'e' | b'E', exponent @ ..] => matches!(digits(unsigned(exponent)), (1.., [])),
        _ => rest.is_empty(),
    }
}

fn unsigned(text: &[u8]) -> &[u8] {
    match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    }
}

/// How many digits are at the front, and what comes after them.
fn digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, text.get(count..).unwrap_or_default())
}

/// The two values, as XML Schema spells them.
fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "false" | "1" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for good in ["0", "007", "-1", "+1", "1.10", ".5", "1.", "1E5", "1.5e-3", "12345678901234567890123"] {
            assert!(is_number(good), "{good}");
        }
        for bad in [
            "", "-", ".", "1e", "e5", "1 2", "0x1", "INF", "NaN", "--1", "+-1", "1,5", "1e5e5", "１", "1.e",
            "1..2",
        ] {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn texts() {
        for (written, text) in [
            ("", ""),
            ("张三", "张三"),
            ("1&#x33;8&amp;&lt;", "138&<"),
            ("a<![CDATA[<b>&amp;]]]>]<![CDATA[]]>&#13;\r\nc\rd", "a<b>&amp;]]\r\nc\nd"),
            ("<![CDATA[a\r\nb]]>", "a\nb"),
        ] {
            assert_eq!(decode(written).as_deref(), Some(text), "{written}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Vec::new();
        Xml::text("a<b>&\"'\t\r\n\u{fffe}\u{1}中", &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "a&lt;b&gt;&amp;&quot;&apos;&#9;&#13;&#10;\u{FFFD}\u{FFFD}中");
        assert_eq!(decode(&out).as_deref(), Some("a<b>&\"'\t\r\n\u{fffd}\u{fffd}中"));
    }
}
