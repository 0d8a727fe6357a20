//! Where in a body something is: [`Place`].

use std::fmt;

use super::automaton::NAMELESS;

/// Where in a body something is that may not be there: in which record, and which field it is. The
/// plan has the field's name ([`super::Plan::path`]); nothing here was read from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    record: u64,
    slot: u16,
}

impl Place {
    /// In this record, if it is not 0, where the plan counts in this slot.
    pub(super) const fn new(record: u64, slot: u16) -> Self {
        Self { record, slot }
    }

    /// Somewhere, and nothing that has a name.
    pub(super) const UNKNOWN: Self = Self { record: 0, slot: NAMELESS };

    /// The number of the record, from 1; none if it is around the records, or before the first.
    #[must_use]
    pub fn record(self) -> Option<u64> {
        Some(self.record).filter(|record| *record > 0)
    }

    /// Which counter of the plan it is; none if it has no path of its own.
    pub(super) fn slot(self) -> Option<usize> {
        Some(self.slot).filter(|slot| *slot != NAMELESS).map(usize::from)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.record() {
            Some(record) => write!(f, "record {record}"),
            None => f.write_str("the body"),
        }
    }
}
