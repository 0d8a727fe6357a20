//! Lines, and the fields that stand on them.

use memchr::{memchr, memchr2};

use super::fault::Fault;

/// The longest name of a field, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Which bytes may stand in a method or the name of a field (`tchar`: RFC 9110, section 5.6.2).
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~", true);

/// Which bytes a target may have: those of ASCII that show, but for five that a URI never has
/// (RFC 3986, appendix A) and that libraries refuse or, as `#`, cut off. Others that it has not are for who reads the path.
const TARGET: [bool; 256] = table(b"!$%&'()*+,-./:;=?@[\\]^_{|}~", true);

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a table is made at compile time, where a fault shows, and `From` is not"
)]
const fn table(others: &[u8], value: bool) -> [bool; 256] {
    let mut table = [!value; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = value;
        }
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = value;
        at += 1;
    }
    table
}

/// Whether all bytes are in `table`.
fn are_all_in(table: &[bool; 256], bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| table.get(usize::from(byte)).copied().unwrap_or(false))
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && are_all_in(&TOKEN, bytes)
}

pub(super) fn is_target(bytes: &[u8]) -> bool {
    are_all_in(&TARGET, bytes)
}

/// How far lines have been read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Where the next line begins.
    next: usize,
    /// Up to where it was searched for its end.
    searched: usize,
}

impl Lines {
    /// The next whole line of `bytes`, without its CRLF; they begin where the first line did. The lines
    /// together have at most `limit` bytes, or `too_large` is wrong with them.
    pub(super) fn next<'b>(
        &mut self,
        bytes: &'b [u8],
        limit: usize,
        too_large: Fault,
    ) -> Result<Option<&'b [u8]>, Fault> {
        let within = bytes.get(..limit).unwrap_or(bytes);
        let rest = within.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr2(b'\r', b'\n', rest) else {
            self.searched = within.len();
            return if bytes.len() > limit { Err(too_large) } else { Ok(None) };
        };
        let end = self.searched + found;
        if within.get(end) == Some(&b'\n') {
            return Err(Fault::BareLf);
        }
        match within.get(end + 1) {
            Some(b'\n') => {
                let line = within.get(self.next..end).unwrap_or_default();
                self.next = end + 2;
                self.searched = self.next;
                Ok(Some(line))
            }
            Some(_) => Err(Fault::BareCr),
            None if bytes.len() > limit => Err(too_large),
            None => {
                self.searched = end;
                Ok(None)
            }
        }
    }

    /// How many bytes the lines so far have.
    pub(super) fn bytes(&self) -> usize {
        self.next
    }
}

/// The name of a field line and what follows its colon.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::Fold);
    }
    let (name, value) =
        memchr(b':', line).and_then(|colon| line.split_at_checked(colon)).ok_or(Fault::FieldName)?;
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(Fault::BlankBeforeColon);
    }
    if name.len() > MAX_NAME_BYTES || !is_token(name) {
        return Err(Fault::FieldName);
    }
    let value = value.get(1..).unwrap_or_default();
    // Without a way out on the first hit, so that it is done many bytes at a time.
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    if value.iter().fold(false, |found, &byte| found | is_control(byte)) {
        return Err(Fault::Control);
    }
    Ok((name, value))
}

/// The value of a field by which a body is framed: blanks around it are allowed (RFC 9112, section 5),
/// and trimmed differently by different programs, so but for the one that everybody sends there is none.
pub(super) fn strict(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}
