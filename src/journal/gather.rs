//! When the writer waits a moment for others to join a commit.
//!
//! A commit costs much the same for one record as for fifty. Where records are few, nobody must wait for anybody;
//! where they are many, a writer that runs at once would commit a handful at a time, and spend on the disk what
//! the gate needs for requests. So the writer looks how fast records come and how many there were lately. If they
//! come fast, it waits until as many are there again, and no longer than a commit takes.
//!
//! Whether it waits goes by how fast they come, not by how many wait: where the processor is short, few records wait
//! long, and waiting for more of them would keep it so.

use std::time::Duration;

/// The longest that a writer waits for others, and no longer than a commit takes: what came during a wait counts as
/// company of the next, so that nothing else would end it.
const LONGEST: Duration = Duration::from_micros(250);
/// Records that come no faster than this, one after another, are not waited for: there would be two in the longest wait,
/// which saves less than it costs.
const FAST: Duration = Duration::from_micros(125);
/// The slowest that counts: after an hour without any, the next rush is to be seen as one.
const SLOWEST: Duration = Duration::from_millis(2);

/// Means are kept in 256ths, and move by an eighth of what is new.
const UNIT: usize = 256;
const INERTIA: u8 = 8;

/// Who appended lately, and how fast.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How many were there at the end of a commit: in it, or waiting for the next.
    company: usize,
    /// From one record to the next.
    pace: Duration,
    /// How long a commit takes.
    took: Duration,
    /// When the last commit ended.
    last: Duration,
}

impl Crowd {
    /// Nobody was there yet.
    pub(super) const fn new() -> Self {
        Self { company: UNIT, pace: SLOWEST, took: Duration::ZERO, last: Duration::ZERO }
    }

    /// A commit of `records` took from `start` to `end`, when `queued` were waiting.
    pub(super) fn note(&mut self, records: usize, queued: usize, start: Duration, end: Duration) {
        let here = records.saturating_add(queued).saturating_mul(UNIT);
        let sum = self.company.saturating_mul(usize::from(INERTIA - 1)).saturating_add(here);
        self.company = sum / usize::from(INERTIA);
        let since = end.saturating_sub(std::mem::replace(&mut self.last, end));
        let each = since / u32::try_from(records).unwrap_or(u32::MAX).max(1);
        let mean = |before: Duration, new: Duration| {
            (before * u32::from(INERTIA - 1) + new.min(SLOWEST)) / u32::from(INERTIA)
        };
        self.pace = mean(self.pace, each);
        self.took = mean(self.took, end.saturating_sub(start));
    }

    /// How many records to wait for, and how long; `None` if whoever is there should be served at once.
    pub(super) fn expected(&self) -> Option<(usize, Duration)> {
        let expected = self.company / UNIT;
        (expected > 1 && self.pace < FAST).then_some((expected, self.took.min(LONGEST)))
    }
}
