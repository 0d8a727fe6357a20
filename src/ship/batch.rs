//! What is sent at once.

use bytes::Bytes;

use crate::kernel::id::NodeId;

/// Records of one generation, one after the other, as they stand in the log. Never empty.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) node: NodeId,
    pub(super) generation: u32,
    /// The `seq` of the first record.
    pub(super) first: u64,
    /// How many records there are.
    pub(super) records: u64,
    /// The lines, a newline after each.
    pub(super) lines: Bytes,
}

impl Batch {
    /// The `seq` after the last record's.
    #[must_use]
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.records)
    }

    /// Each line, without its newline.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let inner = self.lines.strip_suffix(b"\n").unwrap_or(&self.lines);
        inner.split(|byte| *byte == b'\n')
    }
}
