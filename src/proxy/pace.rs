//! How fast somebody takes or gives bytes, counting only the time in which they are waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Bounds;

/// What [`Pace::since_ms`] holds while nobody is waited for.
const NOT_WAITING: u64 = u64::MAX;

/// Bytes of one party, and how long it was waited for. Written by one task and read by another; what the
/// reader sees may be a moment old.
#[derive(Debug)]
pub(crate) struct Pace {
    began: Instant,
    bytes: AtomicU64,
    /// For how long it was waited for, in milliseconds, without the wait that goes on.
    waited_ms: AtomicU64,
    /// Since when it is waited for, in milliseconds after `began`.
    since_ms: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            bytes: AtomicU64::new(0),
            waited_ms: AtomicU64::new(0),
            since_ms: AtomicU64::new(NOT_WAITING),
        }
    }
}

/// How fast somebody must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Required {
    /// Bytes a second, above zero.
    rate: u64,
    /// For how long they may be waited for before the rate counts.
    grace: Duration,
}

impl Required {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self { rate: bounds.min_rate.get(), grace: bounds.min_rate_grace }
    }

    /// For how long somebody may be waited for that has moved so many bytes.
    pub(crate) fn patience(self, bytes: u64) -> Duration {
        self.grace.saturating_add(Duration::from_millis(bytes.saturating_mul(1_000) / self.rate.max(1)))
    }
}

impl Pace {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NOT_WAITING - 1)
    }

    /// Notes that it is waited for.
    pub(crate) fn wait(&self) {
        if !self.is_waited_for() {
            self.wait_at(self.now_ms());
        }
    }

    fn wait_at(&self, now_ms: u64) {
        if !self.is_waited_for() {
            self.since_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Of a party that is waited for from now on.
    pub(crate) fn waited_for() -> Self {
        Self { since_ms: AtomicU64::new(0), ..Self::default() }
    }

    /// Notes that so many bytes were moved, and that it is waited for more.
    pub(crate) fn step(&self, bytes: u64) {
        let now_ms = self.now_ms();
        self.moved_at(now_ms, bytes);
        self.wait_at(now_ms);
    }

    /// Notes that it is not waited for any more: so many bytes were moved.
    pub(crate) fn moved(&self, bytes: u64) {
        self.moved_at(if self.is_waited_for() { self.now_ms() } else { 0 }, bytes);
    }

    fn moved_at(&self, now_ms: u64, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let since = self.since_ms.swap(NOT_WAITING, Ordering::Relaxed);
        if since != NOT_WAITING {
            self.waited_ms.fetch_add(now_ms.saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// Whether it is waited for.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.since_ms.load(Ordering::Relaxed) != NOT_WAITING
    }

    /// For how long nothing at all has moved, though it is waited for.
    pub(crate) fn stall(&self) -> Duration {
        if self.is_waited_for() { self.stall_at(self.now_ms()) } else { Duration::ZERO }
    }

    fn stall_at(&self, now_ms: u64) -> Duration {
        match self.since_ms.load(Ordering::Relaxed) {
            NOT_WAITING => Duration::ZERO,
            since => Duration::from_millis(now_ms.saturating_sub(since)),
        }
    }

    /// What is left of the patience with it; none where it is too slow.
    pub(crate) fn left(&self, required: Required) -> Option<Duration> {
        self.left_at(self.now_ms(), required)
    }

    fn left_at(&self, now_ms: u64, required: Required) -> Option<Duration> {
        let waited = Duration::from_millis(self.waited_ms.load(Ordering::Relaxed));
        let waited = waited.saturating_add(self.stall_at(now_ms));
        required.patience(self.bytes.load(Ordering::Relaxed)).checked_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bound::ByteLimit;

    const MINUTE: Duration = Duration::from_secs(60);

    fn required() -> Required {
        let min_rate = ByteLimit::bytes(1_000);
        Required::new(&Bounds { min_rate, min_rate_grace: MINUTE, ..Bounds::default() })
    }

    #[test]
    fn only_the_time_of_waits_counts() {
        let pace = Pace::default();
        assert_eq!(
            (pace.stall_at(600_000), pace.left_at(600_000, required())),
            (Duration::ZERO, Some(MINUTE))
        );
        pace.wait_at(600_000);
        // To wait on is the same wait.
        pace.wait_at(630_000);
        assert_eq!(
            (pace.stall_at(660_000), pace.left_at(660_000, required())),
            (MINUTE, Some(Duration::ZERO))
        );
        assert_eq!(pace.left_at(660_001, required()), None);
        pace.moved_at(660_000, 5_000);
        let five = Duration::from_secs(5);
        assert_eq!((pace.stall_at(660_000), pace.left_at(660_000, required())), (Duration::ZERO, Some(five)));
        assert_eq!(pace.left_at(1_000_000, required()), Some(five), "nobody waited");
        pace.wait_at(1_000_000);
        assert_eq!(pace.left_at(1_005_000, required()), Some(Duration::ZERO));
        assert_eq!(pace.left_at(1_005_001, required()), None);
    }

    #[test]
    fn a_trickle_is_too_slow_and_a_stream_is_not() {
        let (trickle, stream) = (Pace::default(), Pace::default());
        for second in 0..120 {
            for (pace, bytes) in [(&trickle, 1), (&stream, 1_000)] {
                pace.wait_at(second * 1_000);
                pace.moved_at((second + 1) * 1_000, bytes);
            }
        }
        assert_eq!(trickle.left_at(120_000, required()), None);
        assert_eq!(stream.left_at(120_000, required()), Some(MINUTE));
    }
}
