//! How durations are spread, in bounded memory and to within a percent.

use std::collections::BTreeMap;

/// How many buckets each power of two has; a power of two itself.
const PARTS: u64 = 64;
/// The same as the number of bits.
const PART_BITS: u32 = PARTS.trailing_zeros();

/// Counts of values by buckets whose width grows with the value: 1/64 of it at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Quantiles {
    buckets: BTreeMap<u16, u64>,
    count: u64,
    most: u64,
}

impl Quantiles {
    pub(super) fn add(&mut self, value: u64) {
        *self.buckets.entry(bucket(value)).or_default() += 1;
        self.count += 1;
        self.most = self.most.max(value);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
        self.most = self.most.max(other.most);
    }

    /// The value that `percent` of all values are not above; `None` without values.
    pub(super) fn at(&self, percent: u64) -> Option<u64> {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut passed = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            passed += **count;
            passed >= rank
        });
        found.map(|(bucket, _)| middle(*bucket).min(self.most))
    }

    /// The largest value.
    pub(super) fn most(&self) -> Option<u64> {
        (self.count > 0).then_some(self.most)
    }
}

/// Values below 64 have a bucket each; above, those with the same seven leading bits share one.
fn bucket(value: u64) -> u16 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PART_BITS + 1);
    let place = u64::from(shift) * PARTS + (value >> shift);
    // 57 shifts of 64 buckets, and 128.
    u16::try_from(place).unwrap_or(u16::MAX)
}

/// The value in the middle of a bucket.
fn middle(bucket: u16) -> u64 {
    let place = u64::from(bucket);
    let shift = (place / PARTS).saturating_sub(1);
    let first = (place - shift * PARTS) << shift;
    first.saturating_add((1_u64 << shift) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_near_the_middle_of_its_bucket() {
        for shift in 0..64 {
            for value in [
                1_u64 << shift,
                (1_u64 << shift) + 1,
                (1_u64 << shift) | (1 << (shift / 2)),
                u64::MAX >> shift,
            ] {
                let middle = middle(bucket(value));
                assert!(middle.abs_diff(value) <= value / 128, "{value} → {middle}");
            }
        }
        for value in 0..10_000 {
            assert!(bucket(value) <= bucket(value + 1), "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut quantiles = Quantiles::default();
        assert_eq!((quantiles.at(50), quantiles.most()), (None, None));
        let (mut low, mut high) = (Quantiles::default(), Quantiles::default());
        for value in 1..=1_000 {
            if value % 2 == 0 { &mut low } else { &mut high }.add(value);
        }
        quantiles.merge(&low);
        quantiles.merge(&high);
        for (percent, exact) in [(1, 10), (50, 500), (99, 990), (100, 1_000)] {
            let found = quantiles.at(percent).unwrap();
            assert!(found.abs_diff(exact) <= exact / 100, "{percent} % are at most {found}");
        }
        assert_eq!(quantiles.most(), Some(1_000));
        let mut one = Quantiles::default();
        one.add(7_777_777);
        assert!(one.at(1).unwrap() <= 7_777_777 && one.at(99) == one.at(1));
    }
}
