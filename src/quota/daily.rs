//! Calls on one local day.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::civil::{Date, Time};

use super::limit::Limit;
use super::population::Index;
use super::table::{Counters, Table};
use super::usage::{Published, Usage};
use super::{Bound, Exceeded};
use crate::kernel::time::{TimeZone, Timestamp};

const SECONDS_PER_DAY: i64 = 86_400;

/// A local day and the instants it lies between, `[start, end)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    /// Days since 1970-01-01, the same in every zone.
    pub(super) number: u32,
    start: Timestamp,
    end: Timestamp,
}

impl Day {
    /// The day that `now` falls on in `zone`.
    pub(super) fn of(now: Timestamp, zone: &TimeZone) -> Self {
        let date = zone.to_datetime(now).date();
        let begin = |date: Date| zone.to_timestamp(date.to_datetime(Time::midnight()));
        // Beyond the calendar's ends there is no midnight; the day then lasts this one instant.
        let start = begin(date).unwrap_or(now);
        let end = date.tomorrow().and_then(begin).unwrap_or(now);
        let days = date.duration_since(Date::constant(1970, 1, 1)).as_secs() / SECONDS_PER_DAY;
        Self { number: u32::try_from(days).unwrap_or(0), start, end }
    }

    /// How long it is until the day ends.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.end.duration_since(now)).unwrap_or(Duration::ZERO)
    }
}

/// The days of one zone; the last one asked for is kept, since it is nearly always asked again.
#[derive(Debug)]
pub(super) struct Days {
    zone: TimeZone,
    last: ArcSwap<Day>,
}

impl Days {
    pub(super) fn new(zone: TimeZone) -> Self {
        let day = Day::of(Timestamp::UNIX_EPOCH, &zone);
        Self { zone, last: ArcSwap::from_pointee(day) }
    }

    pub(super) fn of(&self, now: Timestamp) -> Day {
        let last = **self.last.load();
        if last.start <= now && now < last.end {
            return last;
        }
        let day = Day::of(now, &self.zone);
        self.last.store(Arc::new(day));
        day
    }
}

/// A day and a count in one word, so that both change together.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

const COUNT_BITS: u32 = 40;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl Tally {
    /// The day that counts and the count so far, from a stored word. A wall clock that steps back
    /// over midnight stays on the later day, so that nobody gets a day's quota twice. One that
    /// comes back from further ahead was wrong before, and nobody is locked out for it.
    fn read(word: u64, today: u32) -> (u64, u64) {
        let (stored, count) = (word >> COUNT_BITS, word & COUNT_MASK);
        let today = u64::from(today);
        if stored == today || stored == today + 1 { (stored, count) } else { (today, 0) }
    }

    fn word(day: u64, count: u64) -> u64 {
        (day << COUNT_BITS) | count.min(COUNT_MASK)
    }

    fn count(&self, today: u32) -> u64 {
        Self::read(self.0.load(Ordering::Acquire), today).1
    }

    /// Counts one more, unless `most` are counted already. The count after it.
    fn add(&self, today: u32, most: u64) -> Option<u64> {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let (day, count) = Self::read(word, today);
                (count < most).then(|| Self::word(day, count + 1))
            })
            .ok()
            .map(|before| Self::read(before, today).1 + 1)
    }

    fn remove(&self, today: u32) {
        let removed = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (day, count) = Self::read(word, today);
            Some(Self::word(day, count.saturating_sub(1)))
        });
        debug_assert!(removed.is_ok(), "the closure always gives a word");
    }
}

/// The daily quota of one limit.
#[derive(Debug)]
pub(super) struct DailyBound {
    most: NonZeroU64,
    tallies: Counters<Tally>,
    published: Arc<Published>,
}

impl DailyBound {
    /// The daily quota of `limit`, if it has one.
    pub(super) fn new(limit: &Limit, table: &Table) -> Option<Self> {
        let most = limit.per_day?;
        let published = Arc::new(Published::per_day(&limit.name, most.get()));
        Some(Self { most, tallies: Counters::new(table), published })
    }

    /// Goes on with the counts of `old`: what was called today was called, whatever the bound.
    pub(super) fn inherit(&mut self, to: (&Table, &Index), old: &Self, from: (&Table, &Index)) {
        self.tallies.share(to, &old.tallies, from);
    }

    pub(super) fn look(&self, slot: usize, now: Timestamp, day: &Day) -> Result<(), Exceeded> {
        match self.tallies.at(slot) {
            Some(tally) if tally.count(day.number) < self.most.get() => Ok(()),
            _ => Err(self.refuse(now, day)),
        }
    }

    pub(super) fn take(&self, slot: usize, now: Timestamp, day: &Day) -> Result<Usage, Exceeded> {
        let count = self.tallies.at(slot).and_then(|tally| tally.add(day.number, self.most.get()));
        let count = count.ok_or_else(|| self.refuse(now, day))?;
        Ok(Usage {
            published: Arc::clone(&self.published),
            remaining: self.most.get().saturating_sub(count),
            restored_in: Some(day.left(now)),
        })
    }

    pub(super) fn give_back(&self, slot: usize, day: &Day) {
        if let Some(tally) = self.tallies.at(slot) {
            tally.remove(day.number);
        }
    }

    /// Counts a call that was let through before, whatever the bound is now.
    pub(super) fn restore(&self, slot: usize, day: &Day) {
        if let Some(tally) = self.tallies.at(slot) {
            tally.add(day.number, COUNT_MASK);
        }
    }

    fn refuse(&self, now: Timestamp, day: &Day) -> Exceeded {
        let left = day.left(now);
        Exceeded {
            name: Arc::clone(&self.published.limit),
            bound: Bound::PerDay,
            quota: self.published.quota,
            retry_after: left,
            usage: Some(Usage {
                published: Arc::clone(&self.published),
                remaining: 0,
                restored_in: Some(left),
            }),
        }
    }
}
