//! Writes one JSON object, member by member, with every text escaped and every length bounded.

/// What stands where a text was cut.
const CUT: &str = "…";

/// Appends `number` in decimal.
pub(super) fn push_u64(out: &mut Vec<u8>, mut number: u64) {
    // 2^64 has 20 decimal digits.
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Appends `bytes` in lower-case hexadecimal.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len() * 2, b'0');
    if let Some(space) = out.get_mut(start..) {
        data_encoding::HEXLOWER.encode_mut(bytes, space);
    }
}

/// Whether a byte may begin something that must be escaped.
const fn may_escape(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2)
}

/// [`may_escape`] by byte: most texts are a few bytes long, too short for vectors.
const MAY_ESCAPE: [bool; 256] = may_escape_table();

const fn may_escape_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    let mut rest: &mut [bool] = &mut table;
    while let Some((first, after)) = rest.split_first_mut() {
        *first = may_escape(byte);
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
}

/// Whether no byte of `text` may begin something that must be escaped. To the end without a branch: such bytes are rare.
fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |any, byte| any | MAY_ESCAPE.get(usize::from(byte)).copied().unwrap_or(true))
}

/// Whether a character must not stand in a line as it is: beyond what JSON demands, everything
/// that a terminal, a line-based tool or a bidirectional display would obey.
#[must_use]
pub const fn is_dangerous(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '"' | '\\' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_escape(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => {
            // Every dangerous character lies in the basic plane: four digits are enough.
            let code = u16::try_from(u32::from(c)).unwrap_or(0xfffd);
            out.extend_from_slice(b"\\u");
            push_hex(out, &code.to_be_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends `text` escaped, without quotes, in at most `bound` bytes; a text that is longer ends
/// in `…`.
pub fn push_escaped(out: &mut Vec<u8>, text: &str, bound: usize) {
    if text.len() <= bound && is_plain(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let start = out.len();
    let keep = bound.saturating_sub(CUT.len());
    // Where to fall back to if the text turns out too long.
    let mut last_fit = start;
    for c in text.chars() {
        if is_dangerous(c) {
            push_escape(out, c);
        } else {
            let mut utf8 = [0; 4];
            out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        }
        let length = out.len() - start;
        if length <= keep {
            last_fit = out.len();
        } else if length > bound {
            out.truncate(last_fit);
            out.extend_from_slice(CUT.as_bytes());
            return;
        }
    }
}

/// One JSON object under construction. Members come in the order of the calls.
#[derive(Debug)]
pub(super) struct Line {
    out: Vec<u8>,
}

impl Line {
    /// Goes on from `out`, whose last byte is a `,` or `{`.
    pub(super) const fn after(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// How many bytes there are so far.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    fn key(&mut self, key: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text of at most `bound` escaped bytes.
    pub(super) fn text(&mut self, key: &str, text: &str, bound: usize) {
        self.key(key);
        self.out.push(b'"');
        push_escaped(&mut self.out, text, bound);
        self.out.extend_from_slice(b"\",");
    }

    /// A text, if there is one.
    pub(super) fn optional(&mut self, key: &str, text: Option<&str>, bound: usize) {
        if let Some(text) = text {
            self.text(key, text, bound);
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        push_u64(&mut self.out, number);
        self.out.push(b',');
    }

    /// Bytes in hexadecimal.
    pub(super) fn hex(&mut self, key: &str, bytes: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        push_hex(&mut self.out, bytes);
        self.out.extend_from_slice(b"\",");
    }

    /// A text that `write` appends and that needs no escaping.
    pub(super) fn plain(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        write(&mut self.out);
        self.out.extend_from_slice(b"\",");
    }

    /// A list or an object of at most `budget` bytes, left out if empty. What does not fit is left
    /// out from the first item that does not, and counted in the member `more`.
    pub(super) fn bounded<T>(
        &mut self,
        (key, more): (&str, &str),
        [open, close]: [u8; 2],
        items: &[T],
        budget: usize,
        mut write: impl FnMut(&mut Vec<u8>, usize, &T),
    ) {
        if items.is_empty() {
            return;
        }
        self.key(key);
        self.out.push(open);
        let start = self.out.len();
        let mut left_out = 0;
        for (index, item) in items.iter().enumerate() {
            let before = self.out.len();
            if index > 0 {
                self.out.push(b',');
            }
            write(&mut self.out, index, item);
            if self.out.len() - start > budget {
                self.out.truncate(before);
                left_out = items.len() - index;
                break;
            }
        }
        self.out.extend_from_slice(&[close, b',']);
        if left_out > 0 {
            self.number(more, u64::try_from(left_out).unwrap_or(u64::MAX));
        }
    }

    /// Closes the object.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out.push(b'}');
        self.out
    }
}
