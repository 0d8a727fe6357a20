//! What the lines of all formats of the log are made of: decimal numbers and hashes, in one spelling each.

use data_encoding::BASE64;

use crate::kernel::id::Digest;

/// A decimal number without leading zeros.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if is_plain { text.parse().ok() } else { None }
}

/// Bytes in base64. The decoder takes several texts one after the other, each with its padding, for one; here
/// padding ends the text.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    if text.trim_end_matches('=').contains('=') {
        return None;
    }
    BASE64.decode(text.as_bytes()).ok()
}

/// A hash in base64.
pub(super) fn hash(text: &str) -> Option<Digest> {
    base64(text)?.try_into().ok().map(Digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64("aGFzaA=="), Some(b"hash".to_vec()));
        for other in ["aA==YXNoAA==", "aA==YXNo", "aGE=c2g=", "aGFzaA=", "aGFzaA", "aGFzaB==", "aGFz\naA=="] {
            assert_eq!(base64(other), None, "{other}");
        }
        let two = format!("{}{}", BASE64.encode(&[1; 16]), BASE64.encode(&[1; 16]));
        assert_eq!((hash(&BASE64.encode(&[1; 32])), hash(&two)), (Some(Digest([1; 32])), None));
    }
}
