//! What of the log is to be sent next. Blocks while it reads.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::batch::Batch;
use super::reach::Work;
use crate::audit::peek_instant;
use crate::journal::read::{Missing, ReadError, Stretch};
use crate::kernel::id::NodeId;
use crate::kernel::time::Timestamp;

/// The most bytes that are sent at once, unless a single record is longer: what many receivers take by
/// default, and the memory that a sink costs.
const BATCH_BYTES: usize = 1 << 20;

/// Records that were read.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) batch: Batch,
    /// When the first of them happened.
    pub(super) at: Option<Timestamp>,
    /// Whether no more would have been taken.
    pub(super) is_full: bool,
}

/// What follows in a generation.
#[derive(Debug)]
pub(super) enum Next {
    /// Records.
    Records(Filled),
    /// Records that are not in the log any more, or damaged.
    Missing(Missing),
}

/// Reads batches.
#[derive(Debug)]
pub(super) struct Source {
    audit: PathBuf,
    node: NodeId,
    /// Whether each record is checked.
    is_checked: bool,
    /// Where the generation that was read last is read on.
    open: Option<(u32, Stretch)>,
}

impl Source {
    pub(super) fn new(audit: &Path, node: NodeId, is_checked: bool) -> Self {
        Self { audit: audit.to_owned(), node, is_checked, open: None }
    }

    /// The next records of `work`, which is not none: at most so many.
    pub(super) fn read(&mut self, work: Work, most: usize) -> Result<Next, ReadError> {
        let Work { generation, next, until } = work;
        let mut stretch = match self.open.take() {
            Some((number, stretch)) if number == generation && stretch.next() == next => stretch,
            _ => {
                let stretch = Stretch::new(&self.audit, &self.node, generation, next);
                if self.is_checked { stretch.checked() } else { stretch }
            }
        };
        let (mut lines, mut records) = (Vec::new(), 0);
        let (mut at, mut is_full) = (None, false);
        let missing = stretch.read(until, &mut |line| {
            if records == 0 {
                at = peek_instant(line).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            }
            lines.extend_from_slice(line);
            lines.push(b'\n');
            records += 1;
            // The next one might be as long as any.
            is_full = records >= most || lines.len() + crate::audit::MAX_LINE_BYTES >= BATCH_BYTES;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.open = Some((generation, stretch));
        Ok(match missing {
            Some(missing) => Next::Missing(missing),
            None => {
                let records = u64::try_from(records).unwrap_or(u64::MAX);
                let node = self.node.clone();
                let lines = Bytes::from(lines);
                Next::Records(Filled {
                    batch: Batch { node, generation, first: next, records, lines },
                    at,
                    is_full,
                })
            }
        })
    }
}
