//! What is counted of a body while it streams.

use super::automaton::NAMELESS;
use super::detect::Found;
use super::error::MaskError;

/// Counters by slot: [`NAMELESS`] first, then one for each path of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) masked: Vec<u64>,
    pub(super) dropped: Vec<u64>,
    /// What was found in values that leave as they are; empty as long as that is nothing.
    pub(super) found: Vec<Found>,
    /// Why the body is refused, if it is for what was found.
    refused: Option<MaskError>,
}

impl Tally {
    /// Nothing yet, for a plan of so many paths.
    pub(super) fn new(paths: usize) -> Self {
        let counters = paths + 1;
        Self {
            records: 0,
            masked: vec![0; counters],
            dropped: vec![0; counters],
            found: Vec::new(),
            refused: None,
        }
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

    /// Something was found in a value that leaves as it is. What comes after a refusal is not counted:
    /// how much of it is read depends on how the body is cut.
    pub(super) fn find(&mut self, slot: u16, found: &Found, refusal: Option<MaskError>) {
        if self.refused.is_some() {
            return;
        }
        self.found.resize(self.masked.len(), Found::default());
        if let Some(count) = self.found.get_mut(usize::from(slot)) {
            count.add(found);
        }
        self.refused = refusal;
    }

    /// Why the body is refused, if it is for what was found. The readers go on to the end of their piece;
    /// this was first, however the body is cut.
    #[inline]
    pub(super) fn refused(&self) -> Option<MaskError> {
        self.refused
    }

    /// What has no path of its own.
    pub(super) fn nameless(&self) -> u64 {
        let at = usize::from(NAMELESS);
        [&self.masked, &self.dropped].into_iter().filter_map(|counts| counts.get(at)).sum()
    }

    /// The memory that the counters hold, in bytes.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        (self.masked.capacity() + self.dropped.capacity()) * 8 + self.found.capacity() * size_of::<Found>()
    }
}
