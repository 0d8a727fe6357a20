//! The characters of XML: which are legal, what a name is, how far text runs.

use memchr::memchr3;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The number of bytes before the first character that no XML document may hold (XML 1.0 section
/// 2.2): control characters but tab, line feed and carriage return, U+FFFE and U+FFFF. `bytes` is
/// UTF-8 and begins and ends with whole characters.
pub(super) fn legal_run(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let (shifted, _) = bytes.get(1..).unwrap_or_default().as_chunks::<BLOCK>();
    let mut done = 0;
    for (block, next) in blocks.iter().zip(shifted) {
        let hit = block
            .iter()
            .zip(next)
            .fold(false, |hit, (&byte, &next)| hit | is_control(byte) | ((byte == 0xEF) & (next == 0xBF)));
        if hit && let Some(at) = illegal_within(bytes, done, BLOCK) {
            return at;
        }
        done += BLOCK;
    }
    illegal_within(bytes, done, bytes.len() - done).unwrap_or(bytes.len())
}

/// Where the first illegal character of `count` bytes from `from` on begins.
fn illegal_within(bytes: &[u8], from: usize, count: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let found = (0..count).find(|&at| match rest.get(at..) {
        Some([0xEF, 0xBF, 0xBE | 0xBF, ..]) => true,
        Some([byte, ..]) => is_control(*byte),
        Some([]) | None => false,
    });
    found.map(|at| from + at)
}

#[inline(always)]
const fn is_control(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r')
}

/// Whether `c` may stand in a document.
pub(super) const fn is_legal(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// The number of bytes before the first `<`, `&` or `]`.
#[inline(always)]
pub(super) fn text_run(bytes: &[u8]) -> usize {
    run_before(bytes, [b'<', b'&', b']'])
}

/// The number of bytes before the first of these.
#[inline(always)]
pub(super) fn run_before(bytes: &[u8], [one, two, three]: [u8; 3]) -> usize {
    /// Short texts are the rule; from here on a vector search pays.
    const SHORT: usize = 4;
    let mut rest = bytes;
    for _ in 0..SHORT {
        let Some((word, after)) = rest.split_first_chunk::<8>() else { break };
        let word = u64::from_le_bytes(*word);
        let hit = (zero(word ^ eight(one)) | zero(word ^ eight(two)) | zero(word ^ eight(three))) & HIGH;
        if hit != 0 {
            let first = usize::try_from(hit.trailing_zeros() >> 3).unwrap_or(0);
            return (bytes.len() - rest.len()).wrapping_add(first);
        }
        rest = after;
    }
    let done = bytes.len() - rest.len();
    done.wrapping_add(memchr3(one, two, three, rest).unwrap_or(rest.len()))
}

#[inline(always)]
fn eight(byte: u8) -> u64 {
    LOW.wrapping_mul(u64::from(byte))
}

/// The high bit of each byte that is zero, and perhaps of some above it: the lowest is exact.
#[inline(always)]
const fn zero(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word
}

const START: u8 = 1;
const PART: u8 = 2;
const SPACE: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    let mut rest: &mut [u8] = &mut table;
    while let Some((first, after)) = rest.split_first_mut() {
        *first = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => START | PART,
            b'0'..=b'9' | b'-' | b'.' => PART,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
}

#[inline(always)]
fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Whether `byte` is white space (XML 1.0 production 3).
#[inline(always)]
pub(super) fn is_space(byte: u8) -> bool {
    class(byte) == SPACE
}

/// The number of white space bytes at the front.
#[inline(always)]
pub(super) fn space_run(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_space(byte)).unwrap_or(bytes.len())
}

/// The number of bytes at the front that can only be those of a name in ASCII.
#[inline(always)]
pub(super) fn ascii_name_run(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| class(byte) & PART == 0).unwrap_or(bytes.len())
}

/// The length in bytes of the name without colon (NCName) at the front; 0 if there is none.
#[inline(always)]
fn part_run(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = ascii_name_run(bytes);
    if bytes.get(run).is_some_and(|byte| !byte.is_ascii()) {
        return any_part_run(text);
    }
    if bytes.first().is_some_and(|&byte| class(byte) & START != 0) { run } else { 0 }
}

#[cold]
fn any_part_run(text: &str) -> usize {
    if !text.starts_with(is_start) {
        return 0;
    }
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Whether a name may begin with `c` (XML 1.0 production 4, without the colon).
fn is_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
        | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// Whether `c` may stand in a name (production 4a, without the colon).
fn is_part(c: char) -> bool {
    is_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Whether `text` is a name without colon, as elements and attributes have it behind their prefix.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && part_run(text) == text.len()
}

/// A name with its prefix, if it has one (QName).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'t> {
    pub(super) text: &'t str,
    /// Where the colon is.
    pub(super) colon: Option<usize>,
}

impl<'t> Name<'t> {
    /// The name at the front of `text`; nothing if there is none, or something else with a colon.
    #[inline(always)]
    pub(super) fn front(text: &'t str) -> Option<Self> {
        let first = part_run(text);
        if first == 0 {
            return None;
        }
        if text.as_bytes().get(first) != Some(&b':') {
            return Some(Self { text: text.get(..first)?, colon: None });
        }
        let second = part_run(text.get(first + 1..)?);
        let end = first + 1 + second;
        if second == 0 || text.as_bytes().get(end) == Some(&b':') {
            return None;
        }
        Some(Self { text: text.get(..end)?, colon: Some(first) })
    }

    #[inline(always)]
    pub(super) fn prefix(self) -> Option<&'t str> {
        self.text.get(..self.colon?)
    }

    #[inline(always)]
    pub(super) fn local(self) -> &'t str {
        self.colon.and_then(|colon| self.text.get(colon + 1..)).unwrap_or(self.text)
    }
}

/// The longest reference between `&` and `;`, in bytes. A character needs 8; zeros may stand before it.
pub(super) const REFERENCE_MAX_BYTES: usize = 32;

/// Whether `text`, what stands between `&` and `;`, means a character without a document type: one of
/// the five entities, or a legal character by its number.
pub(super) fn is_reference(text: &str) -> bool {
    let digits = match text.strip_prefix('#') {
        None => return matches!(text, "amp" | "lt" | "gt" | "quot" | "apos"),
        Some(digits) => digits,
    };
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    text.len() <= REFERENCE_MAX_BYTES
        && digits.chars().all(|digit| digit.is_digit(radix))
        && u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).is_some_and(is_legal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for name in ["a", "_", "a1", "a-b.c", "字段", "é", "a\u{B7}", "a\u{300}", "\u{10000}"] {
            assert!(is_name(name), "{name}");
        }
        for name in
            ["", "1", "-a", ".a", "a:b", ":a", "a b", "a<", "\u{B7}", "×", "\u{F0000}", "a字(", "\u{37e}"]
        {
            assert!(!is_name(name), "{name}");
        }
        let parts = |text| Name::front(text).map(|name| (name.prefix(), name.local()));
        assert_eq!(parts("a b"), Some((None, "a")));
        assert_eq!(parts("p:a>"), Some((Some("p"), "a")));
        assert_eq!(parts("市:区/>"), Some((Some("市"), "区")));
        for bad in ["p:", ":a", "p:1", "p:a:b", "p:a:", "p::a"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn references() {
        for good in
            ["amp", "lt", "gt", "quot", "apos", "#65", "#x41", "#x10FFFF", "#9", "#xA", "#13", "#0000065"]
        {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            "nbsp",
            "AMP",
            "#",
            "#x",
            "#X41",
            "#0",
            "#1",
            "#xB",
            "#xFFFE",
            "#xFFFF",
            "#xD800",
            "#x110000",
            "#+65",
            "#x+41",
            "#4294967361",
            "#-1",
            "#1F",
            " amp",
            "#00000000000000000000000000000000000065",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn runs_end_where_a_plain_search_does(
            text in "[a-z<&\\]]{0,3}([a-z]{0,40}[<&\\]中]?){0,3}",
            illegal in "([ -~中￥\t\r\n]{0,70}[\u{0}-\u{1f}\u{fffd}\u{fffe}\u{ffff}\u{ffe5}]?){0,4}",
        ) {
            let expected = text.find(['<', '&', ']']).unwrap_or(text.len());
            prop_assert_eq!(text_run(text.as_bytes()), expected);
            let expected = illegal.find(|c| !is_legal(c)).unwrap_or(illegal.len());
            prop_assert_eq!(legal_run(illegal.as_bytes()), expected);
        }
    }
}
