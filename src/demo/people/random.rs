//! Numbers that look random and are the same for the same seed.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): one addition and a mixing step per number.
///
/// Good enough to spread invented people; never used where someone must not guess the next number.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

/// The step of SplitMix64: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The numbers of record `index` of one kind, independent of every other record's.
    pub(super) fn of_record(seed: u64, kind: u64, index: u64) -> Self {
        Self(mix(mix(seed ^ mix(kind)) ^ mix(index.wrapping_add(STEP))))
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`; zero when `bound` is zero.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        // The upper half times the bound: the bias is below bound / 2^32, which nobody here sees.
        let scaled = ((self.next() >> 32) * u64::from(bound)) >> 32;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// True once in `n` times on average.
    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// One of `from`; the default only where `from` is empty.
    pub(super) fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let bound = u32::try_from(from.len()).unwrap_or(u32::MAX);
        let index = usize::try_from(self.below(bound)).unwrap_or(0);
        from.get(index).copied().unwrap_or_default()
    }

    /// `count` decimal digits.
    pub(super) fn digits(&mut self, count: usize) -> String {
        std::iter::repeat_with(|| self.pick(&['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
            .take(count)
            .collect()
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        // The first outputs for seed 1234567, as the public domain C version prints them.
        let mut random = Random(1_234_567);
        let expected: [u64; 5] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn bounds_hold_and_are_reached() {
        let mut random = Random::of_record(1, 2, 3);
        let mut seen = [false; 7];
        for _ in 0..1_000 {
            seen[usize::try_from(random.below(7)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.digits(19).len(), 19);
    }
}
