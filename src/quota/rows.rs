//! Records on one local day: the `rows/day` duty of a grant, counted for each system that uses it.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

use super::daily::Day;
use super::{Bound, Exceeded, QuotaError};
use crate::kernel::id::{GrantId, SystemId};
use crate::kernel::time::Timestamp;

/// The most pairs of grant and system that may draw rows on one day. Only grants with the duty and
/// systems they were given to make a pair.
pub(super) const MAX_TALLIES: usize = 1 << 20;

/// One grant's duty.
#[derive(Debug, Clone)]
pub(super) struct RowDuty {
    pub(super) grant: GrantId,
    pub(super) per_day: u64,
}

#[derive(Debug, Default)]
struct Book {
    day: u32,
    rows: HashMap<(GrantId, SystemId), u64>,
}

impl Book {
    /// Begins a new page when the day has changed; see `daily` for clocks that step back.
    fn turn_to(&mut self, today: u32) {
        if self.day != today && self.day != today.saturating_add(1) {
            self.day = today;
            self.rows.clear();
        }
    }

    fn drawn(&self, grant: &GrantId, system: &SystemId) -> u64 {
        self.rows.get(&(grant.clone(), system.clone())).copied().unwrap_or(0)
    }
}

/// What was drawn today. Shared by all generations of a limiter, so that a reload forgets nothing.
///
/// A lock, not a table of atomics: pairs of grants and systems are too many to lay out, several
/// duties must be met together, and it is held for a few look-ups once a reply.
#[derive(Debug, Default)]
pub(super) struct RowLedger(Mutex<Book>);

impl RowLedger {
    /// How many more rows all of `duties` allow today.
    pub(super) fn left(&self, day: &Day, system: &SystemId, duties: &[RowDuty]) -> Option<u64> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.turn_to(day.number);
        duties.iter().map(|duty| duty.per_day.saturating_sub(book.drawn(&duty.grant, system))).min()
    }

    /// Draws `rows` on all of `duties`, or on none if one of them does not allow it.
    pub(super) fn charge(
        &self,
        now: Timestamp,
        day: &Day,
        system: &SystemId,
        duties: &[RowDuty],
        rows: u64,
    ) -> Result<(), QuotaError> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.turn_to(day.number);
        for duty in duties {
            if book.drawn(&duty.grant, system).saturating_add(rows) > duty.per_day {
                return Err(QuotaError::Exceeded(Exceeded {
                    name: Arc::from(duty.grant.as_str()),
                    bound: Bound::RowsPerDay,
                    quota: duty.per_day,
                    retry_after: day.left(now),
                    usage: None,
                }));
            }
        }
        if book.rows.len().saturating_add(duties.len()) > MAX_TALLIES {
            return Err(QuotaError::TooManyTallies);
        }
        book.add(system, duties, rows);
        Ok(())
    }

    /// Gives back rows that were drawn on `day`.
    pub(super) fn refund(&self, day: &Day, system: &SystemId, duties: &[RowDuty], rows: u64) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.day == day.number {
            for duty in duties {
                if let Some(drawn) = book.rows.get_mut(&(duty.grant.clone(), system.clone())) {
                    *drawn = drawn.saturating_sub(rows);
                }
            }
        }
    }

    /// Counts rows that left before, whatever the duties allow now.
    pub(super) fn restore(&self, day: &Day, system: &SystemId, duties: &[RowDuty], rows: u64) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.turn_to(day.number);
        if book.rows.len().saturating_add(duties.len()) <= MAX_TALLIES {
            book.add(system, duties, rows);
        }
    }
}

impl Book {
    fn add(&mut self, system: &SystemId, duties: &[RowDuty], rows: u64) {
        for duty in duties {
            let drawn = self.rows.entry((duty.grant.clone(), system.clone())).or_insert(0);
            *drawn = drawn.saturating_add(rows);
        }
    }
}
