//! Sets of small numbers.

/// A set of numbers below a length that is fixed when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// The numbers below `length` for which `holds`.
    pub(super) fn of(length: usize, holds: impl Fn(usize) -> bool) -> Self {
        let mut words = vec![0_u64; length.div_ceil(64)].into_boxed_slice();
        for number in (0..length).filter(|&number| holds(number)) {
            if let Some(word) = words.get_mut(number / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Self(words)
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
}
