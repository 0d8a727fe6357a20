//! When the writer waits a moment for others to join a commit.
//!
//! A commit costs as much for one record as for fifty. Whoever appends alone must not wait for anybody; where
//! many do, a writer that runs at once would commit each by itself. So the writer looks how many there were
//! lately: it waits until as many are there again, and no longer than a commit takes.

use std::time::Duration;

/// Means are kept in 256ths, and move by an eighth of what is new.
const UNIT: usize = 256;
const INERTIA: u32 = 8;

/// Who appended lately, and how long commits took.
#[derive(Debug)]
pub(super) struct Crowd {
    most: Duration,
    /// How many were there at the end of a commit: in it, or waiting for the next.
    company: usize,
    took: Duration,
}

impl Crowd {
    /// Nobody was there; the writer waits no longer than `most`.
    pub(super) const fn new(most: Duration) -> Self {
        Self { most, company: UNIT, took: Duration::ZERO }
    }

    /// A commit of `records` took so long, and `queued` were waiting when it ended.
    pub(super) fn note(&mut self, records: usize, queued: usize, took: Duration) {
        let now = records.saturating_add(queued).saturating_mul(UNIT);
        let inertia = usize::try_from(INERTIA).unwrap_or(1);
        self.company = (self.company.saturating_mul(inertia - 1).saturating_add(now)) / inertia;
        self.took = (self.took.saturating_mul(INERTIA - 1).saturating_add(took)) / INERTIA;
    }

    /// How many records to wait for, and how long; `None` if whoever is there should be served at once.
    pub(super) fn expected(&self) -> Option<(usize, Duration)> {
        let expected = self.company / UNIT;
        (expected > 1).then(|| (expected, self.took.min(self.most)))
    }
}
