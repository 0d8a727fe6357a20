//! When the writer waits a moment for others to join a commit.
//!
//! A commit costs much the same for one record as for fifty. Whoever appends alone must not wait for anybody;
//! where many do, a writer that runs at once would commit each by itself. So the writer looks how many there
//! were lately, and waits until as many are there again.

use std::time::Duration;

use super::priority::Priority;

/// The longest that a writer at ordinary priority waits for others, and no longer than a commit takes: slow disks
/// gather many by themselves, and so does a writer that has to wait for a processor.
const ORDINARY: Duration = Duration::from_micros(250);
/// The longest that a writer waits that gets a processor as soon as it wants one.
const REALTIME: Duration = Duration::from_millis(1);

/// Means are kept in 256ths, and move by an eighth of what is new.
const UNIT: usize = 256;
const INERTIA: u8 = 8;

/// Who appended lately, and how long commits took.
#[derive(Debug)]
pub(super) struct Crowd {
    priority: Priority,
    /// How many were there at the end of a commit: in it, or waiting for the next.
    company: usize,
    took: Duration,
}

impl Crowd {
    /// Nobody was there yet.
    pub(super) const fn new(priority: Priority) -> Self {
        Self { priority, company: UNIT, took: Duration::ZERO }
    }

    /// A commit of `records` took so long, and `queued` were waiting when it ended.
    pub(super) fn note(&mut self, records: usize, queued: usize, took: Duration) {
        let now = records.saturating_add(queued).saturating_mul(UNIT);
        let sum = self.company.saturating_mul(usize::from(INERTIA - 1)).saturating_add(now);
        self.company = sum / usize::from(INERTIA);
        self.took =
            self.took.saturating_mul(u32::from(INERTIA - 1)).saturating_add(took) / u32::from(INERTIA);
    }

    /// How many records to wait for, and how long; `None` if whoever is there should be served at once.
    pub(super) fn expected(&self) -> Option<(usize, Duration)> {
        let expected = self.company / UNIT;
        let longest = match self.priority {
            Priority::Realtime => REALTIME,
            Priority::Favoured | Priority::Normal => self.took.min(ORDINARY),
        };
        (expected > 1).then_some((expected, longest))
    }
}
