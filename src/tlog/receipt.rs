//! Receipts (C2SP `tlog-proof`): that an entry is in a log, in one file that is checked offline.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//! B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//!
//! gate-1
//! 109482
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//!
//! — gate-1 hI2DJ…
//! — witness.example mJirI…
//! ```

use std::fmt;

use data_encoding::BASE64;

use super::checkpoint::Checkpoint;
use super::note::{MAX_NOTE_BYTES, Note, NoteError};
use super::policy::{Policy, Refused, Trusted};
use super::proof::{MAX_PROOF_HASHES, ProofError, verify_inclusion};
use super::text;
use crate::kernel::id::Digest;

/// The most bytes of extra data.
pub const MAX_EXTRA_BYTES: usize = 64 * 1024;
/// The longest receipt that is read, in bytes.
pub const MAX_RECEIPT_BYTES: usize = MAX_NOTE_BYTES + MAX_EXTRA_BYTES * 4 / 3 + MAX_PROOF_HASHES * 45 + 128;
/// Its first line.
const HEADING: &str = "c2sp.org/tlog-proof@v1";

/// That an entry is in a log. It shows as the text of its file.
///
/// Read but not believed before [`Receipt::verify`]; the extra data is never authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What its maker added, for whatever use; nobody vouches for it.
    pub extra: Option<Vec<u8>>,
    /// Which leaf, counted from 0.
    pub index: u64,
    /// From the leaf's sibling up to below the root.
    pub proof: Vec<Digest>,
    /// The signed head of the tree that the entry is in.
    pub checkpoint: Note,
}

/// Why a text is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Longer than any receipt.
    #[error("it has more than {MAX_RECEIPT_BYTES} bytes, so it is no receipt")]
    TooLong,
    /// A line is not what must stand there.
    #[error("line {line} of the receipt is not {expected}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What must stand there.
        expected: &'static str,
    },
    /// More hashes than any proof has.
    #[error("the receipt has more than {MAX_PROOF_HASHES} hashes")]
    TooManyHashes,
    /// What follows the proof is no checkpoint.
    #[error("the receipt's checkpoint cannot be read")]
    Checkpoint(#[source] NoteError),
}

/// Why a receipt shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// The head is not trusted.
    #[error("the receipt's checkpoint is not to be trusted")]
    Checkpoint(#[from] Refused),
    /// The entry is not where the receipt says.
    #[error("the entry is not at the place in the log that the receipt names")]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// When it is not one, byte for byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > MAX_RECEIPT_BYTES {
            return Err(ReceiptError::TooLong);
        }
        let whole = std::str::from_utf8(bytes)
            .map_err(|_| ReceiptError::Line { line: 1, expected: "UTF-8, as the whole file must be" })?;
        let mut lines = Lines { rest: whole, number: 0 };
        if lines.next("ended by a newline")? != HEADING {
            return Err(lines.fault("`c2sp.org/tlog-proof@v1`"));
        }
        let mut line = lines.next("`extra` or `index`")?;
        let extra = match line.strip_prefix("extra ") {
            None => None,
            Some(encoded) => {
                let extra = text::base64(encoded);
                let extra = extra.filter(|extra| extra.len() <= MAX_EXTRA_BYTES);
                let extra = extra.ok_or_else(|| lines.fault("`extra` and at most 64 KiB in base64"))?;
                line = lines.next("`index`")?;
                Some(extra)
            }
        };
        let index = line.strip_prefix("index ").and_then(text::number);
        let index = index.ok_or_else(|| lines.fault("`index` and a decimal number"))?;
        let mut proof = Vec::new();
        loop {
            let line = lines.next("a hash or empty")?;
            if line.is_empty() {
                break;
            }
            if proof.len() == MAX_PROOF_HASHES {
                return Err(ReceiptError::TooManyHashes);
            }
            proof.push(text::hash(line).ok_or_else(|| lines.fault("a hash in base64, or empty"))?);
        }
        let checkpoint = Note::parse(lines.rest.as_bytes()).map_err(ReceiptError::Checkpoint)?;
        Checkpoint::parse(checkpoint.text()).map_err(ReceiptError::Checkpoint)?;
        Ok(Self { extra, index, proof, checkpoint })
    }

    /// Checks that the entry whose leaf hash is `leaf` is in a log that `policy` trusts, at the index of
    /// this receipt.
    ///
    /// # Errors
    /// When the checkpoint is not trusted, or the entry is not there.
    pub fn verify(&self, leaf: &Digest, policy: &Policy) -> Result<Trusted, Unproved> {
        let trusted = policy.check(&self.checkpoint)?;
        let head = &trusted.checkpoint;
        verify_inclusion(leaf, self.index, head.size, &head.root, &self.proof)?;
        Ok(trusted)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.proof {
            writeln!(f, "{}", BASE64.encode(&hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Lines from the front of a text, counted.
struct Lines<'t> {
    rest: &'t str,
    number: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self, expected: &'static str) -> Result<&'t str, ReceiptError> {
        self.number += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| self.fault(expected))?;
        self.rest = rest;
        Ok(line)
    }

    const fn fault(&self, expected: &'static str) -> ReceiptError {
        ReceiptError::Line { line: self.number, expected }
    }
}

#[cfg(test)]
mod tests;
