//! What is counted of a body while it streams.

use super::automaton::NAMELESS;
use super::detect::Found;
use super::error::MaskError;
use super::place::Place;

/// Counters by slot: [`NAMELESS`] first, then one for each path of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) masked: Vec<u64>,
    pub(super) dropped: Vec<u64>,
    /// What was found in values that leave as they are; empty as long as that is nothing.
    pub(super) found: Vec<Found>,
    /// Whether a body is refused of which anything is masked or dropped.
    refuses: bool,
    /// Why the body is refused, if what was counted is a reason.
    refusal: Option<MaskError>,
}

impl Tally {
    /// Nothing yet, for a plan of so many paths that masks and drops, or refuses.
    pub(super) fn new(paths: usize, refuses: bool) -> Self {
        let counters = paths + 1;
        Self {
            records: 0,
            masked: vec![0; counters],
            dropped: vec![0; counters],
            found: Vec::new(),
            refuses,
            refusal: None,
        }
    }

    #[cold]
    fn refuse(&mut self, slot: u16, why: fn(Place) -> MaskError) {
        self.refusal.get_or_insert(why(Place::new(self.records, slot)));
    }

    /// A value left as something else than it was.
    #[inline]
    pub(super) fn mask(&mut self, slot: u16) {
        if let Some(count) = self.masked.get_mut(usize::from(slot)) {
            *count += 1;
        }
        if self.refuses {
            self.refuse(slot, |place| MaskError::WrongType { place });
        }
    }

    /// A member did not leave.
    #[inline]
    pub(super) fn drop(&mut self, slot: u16) {
        if let Some(count) = self.dropped.get_mut(usize::from(slot)) {
            *count += 1;
        }
        if self.refuses {
            self.refuse(slot, |place| MaskError::Outside { place });
        }
    }

    /// Something that is no field did not leave: no counter is about it.
    #[inline]
    pub(super) fn omit(&mut self) {
        if self.refuses {
            self.refuse(NAMELESS, |place| MaskError::Outside { place });
        }
    }

    /// Something was found in a value that leaves as it is. What comes after a refusal is not counted:
    /// how much of it is read depends on how the body is cut.
    pub(super) fn find(&mut self, slot: u16, found: &Found, refusal: Option<MaskError>) {
        if self.refusal.is_some() {
            return;
        }
        self.found.resize(self.masked.len(), Found::default());
        if let Some(count) = self.found.get_mut(usize::from(slot)) {
            count.add(found);
        }
        self.refusal = refusal;
    }

    /// The refusal, if there is one. The readers go on to the end of their piece; this was first, however
    /// the body is cut.
    #[inline]
    pub(super) fn verdict(&self) -> Result<(), MaskError> {
        self.refusal.map_or(Ok(()), Err)
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
