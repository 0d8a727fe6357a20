//! Two counts over the last seconds, without a lock: a ring of seconds, each one word.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many seconds are looked back on.
pub const WINDOW_SECONDS: u64 = 10;

/// The size of one count in a word; the seconds have what is left.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SECOND_MAX: u64 = (1 << (u64::BITS - 2 * COUNT_BITS)) - 1;

/// What happened in a second. A count stops at about a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How much there was of everything.
    pub all: u64,
    /// How much of it was special.
    pub special: u64,
}

/// What happened in the last [`WINDOW_SECONDS`].
#[derive(Debug, Default)]
pub struct Window {
    slots: [AtomicU64; 10],
}

impl Window {
    /// Adds to the counts of `second`.
    pub fn add(&self, second: u64, more: Tally) {
        self.change(second, |tally| Tally {
            all: tally.all.saturating_add(more.all).min(COUNT_MAX),
            special: tally.special.saturating_add(more.special).min(COUNT_MAX),
        });
    }

    /// Takes back what was added.
    pub fn remove(&self, second: u64, less: Tally) {
        self.change(second, |tally| Tally {
            all: tally.all.saturating_sub(less.all),
            special: tally.special.saturating_sub(less.special),
        });
    }

    fn change(&self, second: u64, change: impl Fn(Tally) -> Tally) {
        let Some(slot) = usize::try_from(second % WINDOW_SECONDS).ok().and_then(|at| self.slots.get(at))
        else {
            return;
        };
        let mut before = slot.load(Ordering::Relaxed);
        loop {
            let (of, tally) = unpack(before);
            let tally = if of == second & SECOND_MAX { tally } else { Tally::default() };
            let after = pack(second, change(tally));
            match slot.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }

    /// The counts of the window that ends with `second`.
    #[must_use]
    pub fn sum(&self, second: u64) -> Tally {
        let mut sum = Tally::default();
        for slot in &self.slots {
            let (of, tally) = unpack(slot.load(Ordering::Relaxed));
            let age = (second & SECOND_MAX).wrapping_sub(of) & SECOND_MAX;
            if age < WINDOW_SECONDS {
                sum.all = sum.all.saturating_add(tally.all);
                sum.special = sum.special.saturating_add(tally.special);
            }
        }
        sum
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for slot in &self.slots {
            slot.store(0, Ordering::Relaxed);
        }
    }
}

fn pack(second: u64, tally: Tally) -> u64 {
    ((second & SECOND_MAX) << (2 * COUNT_BITS)) | (tally.all << COUNT_BITS) | tally.special
}

fn unpack(word: u64) -> (u64, Tally) {
    let tally = Tally { all: (word >> COUNT_BITS) & COUNT_MAX, special: word & COUNT_MAX };
    (word >> (2 * COUNT_BITS), tally)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sums_what_a_list_of_all_events_sums(
            steps in prop::collection::vec((0..4_u64, 0..3_u64, 0..3_u64), 1..80),
        ) {
            let (window, mut events, mut now) = (Window::default(), Vec::new(), 1_000_u64);
            for (later, all, special) in steps {
                now += later;
                window.add(now, Tally { all, special });
                events.push((now, all, special));
                let recent = || events.iter().filter(|(at, ..)| now - at < WINDOW_SECONDS);
                let expected = Tally {
                    all: recent().map(|(_, all, _)| all).sum(),
                    special: recent().map(|(.., special)| special).sum(),
                };
                prop_assert_eq!(window.sum(now), expected);
            }
            prop_assert_eq!(window.sum(now + WINDOW_SECONDS), Tally::default());
        }
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let window = Window::default();
        window.add(7, Tally { all: 3, special: 2 });
        window.remove(7, Tally { all: 0, special: 1 });
        assert_eq!(window.sum(7), Tally { all: 3, special: 1 });
        window.remove(7, Tally { all: 9, special: 9 });
        assert_eq!(window.sum(7), Tally::default());
    }

    #[test]
    fn a_count_stops_and_spills_nowhere() {
        let window = Window::default();
        window.add(1, Tally { all: u64::MAX, special: 1 });
        window.add(1, Tally { all: 5, special: COUNT_MAX });
        assert_eq!(window.sum(1), Tally { all: COUNT_MAX, special: COUNT_MAX });
        window.clear();
        assert_eq!(window.sum(1), Tally::default());
    }
}
