//! What the lines of all formats of the log are made of: decimal numbers and hashes, in one spelling each.

use data_encoding::BASE64;

use crate::kernel::id::Digest;

/// A decimal number without leading zeros.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if is_plain { text.parse().ok() } else { None }
}

/// A hash in base64.
pub(super) fn hash(text: &str) -> Option<Digest> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok().map(Digest)
}
