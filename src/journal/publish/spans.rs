//! Where each generation begins in the tree of its node.

use std::io;

use serde::{Deserialize, Serialize};

/// No log has as many records, so that sums of two such numbers are in bounds.
const MOST_RECORDS: u64 = 1 << 62;

/// Where the records of one generation begin in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The generation.
    pub generation: u32,
    /// The `seq` of its first record that is in the tree. Not 0 only where records had been pruned before
    /// the tree was begun.
    pub seq: u64,
    /// The index of that record in the tree.
    pub index: u64,
}

impl Span {
    /// The index of record `seq` of the generation.
    #[must_use]
    pub const fn index_of(&self, seq: u64) -> Option<u64> {
        match seq.checked_sub(self.seq) {
            Some(distance) => self.index.checked_add(distance),
            None => None,
        }
    }
}

/// One JSON line a span.
pub(in crate::journal) fn encode(spans: &[Span]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for span in spans {
        serde_json::to_writer(&mut bytes, span)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Reads spans, which must be in order.
pub(in crate::journal) fn decode(bytes: &[u8]) -> io::Result<Vec<Span>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the file of spans is not as it was written");
    let mut spans: Vec<Span> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let span: Span = serde_json::from_slice(line).map_err(|_| bad())?;
        let is_next = spans
            .last()
            .is_none_or(|before| before.generation < span.generation && before.index <= span.index);
        if !is_next || span.seq > MOST_RECORDS || span.index > MOST_RECORDS {
            return Err(bad());
        }
        spans.push(span);
    }
    Ok(spans)
}
