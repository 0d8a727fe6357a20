//! What is counted of a body while it streams.

use super::automaton::NAMELESS;

/// Counters by slot: [`NAMELESS`] first, then one for each path of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) masked: Vec<u64>,
    pub(super) dropped: Vec<u64>,
}

impl Tally {
    /// Nothing yet, for a plan of so many paths.
    pub(super) fn new(paths: usize) -> Self {
        let counters = paths + 1;
        Self { records: 0, masked: vec![0; counters], dropped: vec![0; counters] }
    }

    /// A value left as something else than it was.
    #[inline]
    pub(super) fn mask(&mut self, slot: u16) {
        if let Some(count) = self.masked.get_mut(usize::from(slot)) {
            *count += 1;
        }
    }

    /// A member did not leave.
    #[inline]
    pub(super) fn drop(&mut self, slot: u16) {
        if let Some(count) = self.dropped.get_mut(usize::from(slot)) {
            *count += 1;
        }
    }

    /// What has no path of its own.
    pub(super) fn nameless(&self) -> u64 {
        let at = usize::from(NAMELESS);
        [&self.masked, &self.dropped].into_iter().filter_map(|counts| counts.get(at)).sum()
    }

    /// The memory that the counters hold, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        (self.masked.capacity() + self.dropped.capacity()) * 8
    }
}
