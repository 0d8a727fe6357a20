//! FF1 (NIST SP 800-38G) over AES-256, on numbers that stand for strings of numerals.
//!
//! The numbers fit machine words, so that nothing is allocated. What the crate `fpe` does between the
//! two halves of a string is the standard's; what a half is, is said here.

use std::fmt;
use std::ops::Range;

use aes::Aes256Enc;
use fpe::ff1::{FF1, NumeralString, Operations};

/// How often a number is encrypted again because it fell outside its set. Every set here is more than
/// half of its numbers, so that a value without a stand-in is not expected to be met.
const MAX_WALK: usize = 100;

/// A number, written with this many numerals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) value: u128,
    pub(super) numerals: u32,
}

/// FF1 under one key, in one radix.
pub(super) struct Cipher {
    ff1: FF1<Aes256Enc>,
    radix: u32,
}

impl Cipher {
    /// Nothing if FF1 knows no such radix.
    pub(super) fn new(key: &[u8; 32], radix: u32) -> Option<Self> {
        Some(Self { ff1: FF1::new(key, radix).ok()?, radix })
    }

    /// The number of `set` that stands for `number`, which is in it: a bijection on `set` for each tweak.
    pub(super) fn encrypt(&self, tweak: &[u8], number: Number, set: &Range<u128>) -> Option<u128> {
        self.walk(number, set, |numerals| self.ff1.encrypt(tweak, numerals).ok())
    }

    /// What [`Cipher::encrypt`] made `number` from.
    #[cfg(test)]
    pub(super) fn decrypt(&self, tweak: &[u8], number: Number, set: &Range<u128>) -> Option<u128> {
        self.walk(number, set, |numerals| self.ff1.decrypt(tweak, numerals).ok())
    }

    /// Cycle walking: a permutation of all numbers is one of `set` too, if its cycles are followed until
    /// they come back into it.
    fn walk(
        &self,
        number: Number,
        set: &Range<u128>,
        turn: impl Fn(&Numerals) -> Option<Numerals>,
    ) -> Option<u128> {
        let back = number.numerals.div_ceil(2);
        let unit = u128::from(u64::from(self.radix).checked_pow(back)?);
        let mut numerals = Numerals {
            front: Half { value: u64::try_from(number.value / unit).ok()?, numerals: number.numerals - back },
            back: Half { value: u64::try_from(number.value % unit).ok()?, numerals: back },
        };
        for _ in 0..MAX_WALK {
            numerals = turn(&numerals)?;
            let value = u128::from(numerals.front.value) * unit + u128::from(numerals.back.value);
            if set.contains(&value) {
                return Some(value);
            }
        }
        None
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher(radix {}, ***)", self.radix)
    }
}

/// A string of numerals in its two halves, as FF1 divides it; the back one has the odd numeral.
#[derive(Debug, Clone, Copy)]
struct Numerals {
    front: Half,
    back: Half,
}

/// A half: the number that its numerals write. INVARIANT: radix to the power of `numerals` fits 64 bits.
#[derive(Debug, Clone, Copy)]
struct Half {
    value: u64,
    numerals: u32,
}

impl NumeralString for Numerals {
    type Ops = Half;

    fn is_valid(&self, radix: u32) -> bool {
        [self.front, self.back].iter().all(|half| half.value < half.modulus(radix))
    }

    fn numeral_count(&self) -> usize {
        self.front.numeral_count() + self.back.numeral_count()
    }

    fn split(&self) -> (Half, Half) {
        (self.front, self.back)
    }

    fn concat(front: Half, back: Half) -> Self {
        Self { front, back }
    }
}

impl Half {
    fn modulus(self, radix: u32) -> u64 {
        u64::from(radix).saturating_pow(self.numerals)
    }
}

impl Operations for Half {
    type Bytes = Bytes;

    fn numeral_count(&self) -> usize {
        usize::try_from(self.numerals).unwrap_or(usize::MAX)
    }

    fn to_be_bytes(&self, _: u32, count: usize) -> Bytes {
        Bytes { bytes: u128::from(self.value).to_be_bytes(), count }
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, radix: u32, _: usize) -> Self {
        let modulus = self.modulus(radix);
        self.with(u128::from(self.value) + u128::from(residue(other, modulus)), modulus)
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, radix: u32, _: usize) -> Self {
        let modulus = self.modulus(radix);
        self.with(u128::from(self.value) + u128::from(modulus - residue(other, modulus)), modulus)
    }
}

impl Half {
    fn with(self, value: u128, modulus: u64) -> Self {
        let value = value % u128::from(modulus);
        Self { value: u64::try_from(value).unwrap_or_default(), ..self }
    }
}

/// The big-endian number in `bytes` modulo `modulus`.
fn residue(bytes: impl Iterator<Item = u8>, modulus: u64) -> u64 {
    /// Beyond it the next byte would not fit.
    const FULL: u128 = 1 << 120;
    let modulus = u128::from(modulus);
    let sum = bytes.fold(0_u128, |sum, byte| {
        let sum = if sum < FULL { sum } else { sum % modulus };
        (sum << 8) | u128::from(byte)
    });
    u64::try_from(sum % modulus).unwrap_or_default()
}

/// The last `count` bytes of a big-endian number: never more than 8 are asked of a [`Half`].
#[derive(Debug)]
struct Bytes {
    bytes: [u8; 16],
    count: usize,
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.bytes.len().saturating_sub(self.count)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [
        0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C, 0xEF,
        0x43, 0x59, 0xD8, 0xD5, 0x80, 0xAA, 0x4F, 0x7F, 0x03, 0x6D, 0x6F, 0x04, 0xFC, 0x6A, 0x94,
    ];

    fn number(text: &str, radix: u32) -> Number {
        let numerals = u32::try_from(text.len()).unwrap();
        Number { value: u128::from_str_radix(text, radix).unwrap(), numerals }
    }

    /// Samples 7 to 9 of NIST's examples for FF1, those with AES-256.
    #[test]
    fn the_samples_of_nist() {
        for (radix, tweak, plain, encrypted) in [
            (10, "", "0123456789", "6657667009"),
            (10, "9876543210", "0123456789", "1001623463"),
            (36, "7777pqrs777", "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
        ] {
            let cipher = Cipher::new(&KEY, radix).unwrap();
            let (plain, encrypted) = (number(plain, radix), number(encrypted, radix));
            let all = 0..u128::MAX;
            assert_eq!(cipher.encrypt(tweak.as_bytes(), plain, &all), Some(encrypted.value));
            assert_eq!(cipher.decrypt(tweak.as_bytes(), encrypted, &all), Some(plain.value));
        }
    }

    /// What the strings of the crate `fpe` itself, which are not used here, make of numbers in the radices
    /// that are: NIST has samples of 10 and 36 alone.
    #[test]
    fn numbers_are_what_strings_of_numerals_are() {
        const LONG: &str = "91340100, and twenty-four more";
        for (radix, numerals, value, tweak, encrypted) in [
            (31, 8, 0, "", 612_399_495_562),
            (31, 8, 852_891_037_440, "3", 624_107_309_619),
            (31, 8, 121_841_576_777, "341002", 499_695_861_257),
            (31, 8, 568_594_024_960, LONG, 657_447_056_936),
            (824, 4, 0, "", 288_034_067_555),
            (824, 4, 461_008_408_575, "3", 74_803_726_661),
            (824, 4, 65_858_344_082, "341002", 256_140_238_004),
            (824, 4, 307_338_939_050, LONG, 6_652_692_457),
            (6_784, 2, 0, "", 7_385_278),
            (6_784, 2, 46_022_655, "3", 21_098_559),
            (6_784, 2, 6_574_665, "341002", 30_378_281),
            (6_784, 2, 30_681_770, LONG, 32_160_614),
        ] {
            let cipher = Cipher::new(&KEY, radix).unwrap();
            let all = 0..u128::from(radix).pow(numerals);
            let number = Number { value, numerals };
            assert_eq!(cipher.encrypt(tweak.as_bytes(), number, &all), Some(encrypted), "{radix} {value}");
        }
    }

    #[test]
    fn too_few_values_are_refused() {
        // NIST SP 800-38G revision 1: at least a million values.
        let cipher = Cipher::new(&KEY, 10).unwrap();
        assert_eq!(cipher.encrypt(b"", Number { value: 1, numerals: 5 }, &(0..100_000)), None);
        assert!(cipher.encrypt(b"", Number { value: 1, numerals: 6 }, &(0..1_000_000)).is_some());
        assert!(Cipher::new(&KEY, 1).is_none());
    }

    #[test]
    fn a_set_that_cannot_be_walked_gives_nothing() {
        let cipher = Cipher::new(&KEY, 10).unwrap();
        assert_eq!(cipher.encrypt(b"", Number { value: 1, numerals: 18 }, &(1..2)), None);
    }

    #[test]
    fn it_prints_no_key() {
        assert_eq!(format!("{:?}", Cipher::new(&KEY, 10).unwrap()), "Cipher(radix 10, ***)");
    }

    proptest! {
        /// A small set is permuted: nothing leaves it, everything comes back.
        #[test]
        fn a_set_is_permuted(value in 0_u128..600_000, tweak in "[a-z]{0,20}") {
            let cipher = Cipher::new(&KEY, 1000).unwrap();
            let set = 0..600_000;
            let encrypted = cipher.encrypt(tweak.as_bytes(), Number { value, numerals: 2 }, &set).unwrap();
            prop_assert!(set.contains(&encrypted));
            let number = Number { value: encrypted, numerals: 2 };
            prop_assert_eq!(cipher.decrypt(tweak.as_bytes(), number, &set), Some(value));
        }
    }
}
