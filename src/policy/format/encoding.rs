//! From bytes to text: UTF-8, and what spreadsheets write in its place.

use encoding_rs::{Encoding, GB18030, UTF_16BE, UTF_16LE};

use super::{Repair, Repairs};

/// A byte order mark, which is also an invisible character.
pub(super) const BOM: char = '\u{feff}';

/// Why bytes are no text for certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// They begin as UTF-16 and are not.
    #[error("the file begins as UTF-16 but is not; save it as UTF-8")]
    Utf16,
    /// They are neither UTF-8 nor what Chinese systems write.
    #[error(
        "the file is not UTF-8 (byte {0} is the first that is wrong), and not certainly GBK; save it as UTF-8"
    )]
    Unknown(usize),
    /// A text does not have such a character.
    #[error("the file has a NUL on line {0}, so that it is no text")]
    Nul(usize),
}

/// Reads `bytes`, without byte order marks and with each line ended by a line feed.
pub(super) fn decode(bytes: &[u8], repairs: &mut Repairs) -> Result<String, EncodingError> {
    let text = if let Some(encoding) = utf16(bytes) {
        repairs.add(Repair::Utf16, 1);
        strictly(encoding, bytes).ok_or(EncodingError::Utf16)?
    } else {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                repairs.add(Repair::Gbk, 1);
                gbk(bytes).ok_or(EncodingError::Unknown(error.valid_up_to() + 1))?
            }
        }
    };
    if let Some(at) = text.find('\0') {
        let before = text.get(..at).unwrap_or("");
        return Err(EncodingError::Nul(before.matches('\n').count() + 1));
    }
    let marked = text.trim_start_matches(BOM);
    if marked.len() < text.len() {
        repairs.add(Repair::ByteOrderMark, 1);
    }
    // A carriage return before a line end, or before the end of the file, is part of it.
    let mut lines = Vec::new();
    for (line, number) in marked.split('\n').zip(1..) {
        let body = line.trim_end_matches('\r');
        if body.len() < line.len() {
            repairs.add(Repair::LineEnds, number);
        }
        lines.push(body);
    }
    Ok(lines.join("\n"))
}

fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let (encoding, _) = Encoding::for_bom(bytes)?;
    [UTF_16LE, UTF_16BE].contains(&encoding).then_some(encoding)
}

fn strictly(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

/// Reads GB 18030, of which GBK is a part, if the bytes look like Chinese text for the most part:
/// other encodings decode too, into rare characters. Nine in ten of the double bytes must be of
/// GB 2312, and none may be private or control characters.
fn gbk(bytes: &[u8]) -> Option<String> {
    let text = strictly(GB18030, bytes)?;
    let is_odd =
        |c: char| matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. | '\u{80}'..='\u{9f}' | '\u{fffd}');
    if text.chars().any(is_odd) {
        return None;
    }
    let (mut common, mut all) = (0_usize, 0_usize);
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        if byte >= 0x80 {
            let trail = rest.next().copied().unwrap_or(0);
            all += 1;
            common += usize::from((0xa1..=0xf7).contains(&byte) && trail >= 0xa1);
        }
    }
    (common * 10 >= all * 9).then_some(text)
}
