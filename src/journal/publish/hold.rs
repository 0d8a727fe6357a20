//! Keeps what no signed head covers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::files::{CHECKPOINT, TreeFiles};
use super::spans::Span;
use crate::journal::Hold;
use crate::journal::layout::tree_name;
use crate::journal::storage::Storage;
use crate::kernel::id::NodeId;
use crate::tlog::{Checkpoint, VerifierKey};

/// Holds every record that no signed head covers. What is on disk is asked each time, so that it is true
/// whichever process publishes.
#[derive(Debug)]
pub struct PublishedHold {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    key: VerifierKey,
}

impl PublishedHold {
    /// Holds what the heads below `directory` do not cover that `key` signed.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, directory: PathBuf, key: VerifierKey) -> Self {
        Self { storage, directory, key }
    }

    /// Whether there is a head that the key signed.
    pub(in crate::journal) fn has_head(&self, node: &NodeId) -> io::Result<bool> {
        let files = TreeFiles::new(Arc::clone(&self.storage), self.directory.join(tree_name(node)));
        Ok(files.note(CHECKPOINT)?.is_some_and(|note| Checkpoint::open(&note, &self.key).is_ok()))
    }

    fn read(&self, node: &NodeId, generation: u32) -> io::Result<u64> {
        let files = TreeFiles::new(Arc::clone(&self.storage), self.directory.join(tree_name(node)));
        let Some(note) = files.note(CHECKPOINT)? else { return Ok(0) };
        let Ok((checkpoint, _)) = Checkpoint::open(&note, &self.key) else { return Ok(0) };
        Ok(first_uncovered(&files.spans()?, checkpoint.size, generation))
    }
}

impl Hold for PublishedHold {
    fn first_needed(&self, node: &NodeId, generation: u32) -> u64 {
        // What cannot be read holds everything; the publisher says why.
        self.read(node, generation).unwrap_or(0)
    }
}

/// The first record of a generation that a tree of `size` leaves does not have.
fn first_uncovered(spans: &[Span], size: u64, generation: u32) -> u64 {
    let at = spans.partition_point(|span| span.generation < generation);
    match spans.get(at) {
        Some(span) if span.generation == generation => {
            if spans.get(at + 1).is_some_and(|next| next.index <= size) {
                return u64::MAX;
            }
            span.seq.saturating_add(size.saturating_sub(span.index))
        }
        // From before there was a tree: it never comes into it.
        Some(_) if at == 0 => u64::MAX,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tree_has_not_is_held() {
        let span = |generation, seq, index| Span { generation, seq, index };
        let spans = [span(2, 10, 0), span(3, 0, 90), span(5, 0, 200)];
        let check = |size, generation, expected| {
            assert_eq!(first_uncovered(&spans, size, generation), expected, "{size} {generation}");
        };
        check(0, 1, u64::MAX);
        check(0, 2, 10);
        check(89, 2, 99);
        check(90, 2, u64::MAX);
        check(90, 3, 0);
        check(150, 3, 60);
        check(200, 3, u64::MAX);
        // A generation of which nothing is known stays.
        check(250, 4, 0);
        check(250, 5, 50);
        check(250, 6, 0);
        assert_eq!(first_uncovered(&[], 0, 1), 0);
    }
}
