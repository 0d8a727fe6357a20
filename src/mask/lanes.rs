//! How readers look at many bytes at once, as well as the processor can.
//!
//! [`Vector`] is all of the readers that looks at bytes without knowing where it is. It is written
//! once for 64-bit words, which every processor has, and once for vector registers; both say the same
//! of the same bytes. [`Lanes`] chooses one of them at run time and walks a piece with it.

use super::json::text::{self, WIDTH};

/// What is asked of many bytes at once. Everything is asked about one piece, and goes forward in it.
pub(in crate::mask) trait Vector {
    /// Where the quote is that ends the text that the quote at `at` begins; nothing if a backslash, a
    /// control character or the end of the piece comes before it.
    fn text_end(&mut self, piece: &[u8], at: usize) -> Option<usize>;

    /// A text has been taken without asking where it ends.
    fn skip_text(&mut self);

    /// White space before `at` has been taken.
    fn skip_space(&mut self, at: usize);

    /// The number of white space bytes at the front.
    fn space_run(&self, bytes: &[u8]) -> usize;

    /// Whether `left` and `right` are the same in the `places` that are not zero.
    fn agree(&self, left: &[u8; WIDTH], right: &[u8; WIDTH], places: &[u8; WIDTH]) -> bool;

    /// Which of the bytes of `block` are one of `wanted` or a control character, one bit each, the first
    /// byte lowest.
    fn specials(&self, block: &[u8; 64], wanted: [u8; 3]) -> u64;
}

/// A walk that can be done with any vectors.
pub(in crate::mask) trait Walk {
    type Output;

    /// Must be inlined, so that it is compiled for the processor that the vectors are of.
    fn walk<V: Vector>(self, vector: &mut V) -> Self::Output;
}

/// Which vectors a body is walked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Words,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::HasAvx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::HasAvx2, x86::HasAvx512),
}

impl Lanes {
    /// Eight bytes at a time, on any processor.
    pub const WORDS: Self = Self(Kind::Words);

    /// The best that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::WORDS)
    }

    /// All that this processor has, for what must hold of each of them; the best comes last.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = {
            let avx2 = x86::HasAvx2::detect();
            let avx512 = avx2.zip(x86::HasAvx512::detect()).map(|(avx2, avx512)| Kind::Avx512(avx2, avx512));
            [avx2.map(Kind::Avx2), avx512]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        [Self::WORDS].into_iter().chain(vectors.into_iter().flatten().map(Self))
    }

    /// Their name, for benches and tests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Words => "words",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(..) => "avx512",
        }
    }

    /// The number of bytes before the first quote, backslash or control character.
    #[inline]
    pub(super) fn plain_run(self, bytes: &[u8]) -> usize {
        match self.0 {
            Kind::Words => text::plain_run(bytes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) | Kind::Avx512(avx2, _) => avx2.plain_run(bytes),
        }
    }

    #[inline]
    pub(in crate::mask) fn walk<W: Walk>(self, walk: W) -> W::Output {
        match self.0 {
            Kind::Words => walk.walk(&mut Words),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.walk(None, walk),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx2, avx512) => avx2.walk(Some(avx512), walk),
        }
    }
}

/// 64-bit words.
#[derive(Debug)]
struct Words;

impl Vector for Words {
    #[inline(always)]
    fn text_end(&mut self, piece: &[u8], at: usize) -> Option<usize> {
        let start = at.wrapping_add(1);
        let end = start.wrapping_add(text::plain_run(piece.get(start..)?));
        (piece.get(end) == Some(&b'"')).then_some(end)
    }

    #[inline(always)]
    fn skip_text(&mut self) {}

    #[inline(always)]
    fn skip_space(&mut self, _at: usize) {}

    #[inline(always)]
    fn space_run(&self, bytes: &[u8]) -> usize {
        text::space_run(bytes)
    }

    #[inline(always)]
    fn agree(&self, left: &[u8; WIDTH], right: &[u8; WIDTH], places: &[u8; WIDTH]) -> bool {
        let (left, right, places) =
            (left.as_chunks::<8>().0, right.as_chunks::<8>().0, places.as_chunks::<8>().0);
        let differ = left.iter().zip(right).zip(places).fold(0, |differ, ((left, right), places)| {
            let places = u64::from_ne_bytes(*places);
            differ | (u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right)) & places
        });
        differ == 0
    }

    /// The first loop has no branch and no order, so that compilers turn it into whatever instructions
    /// there are; the second gathers its flags, eight at a time.
    #[inline(always)]
    fn specials(&self, block: &[u8; 64], wanted: [u8; 3]) -> u64 {
        let [one, two, three] = wanted;
        let mut flags = [0_u8; 64];
        for (flag, &byte) in flags.iter_mut().zip(block) {
            let equal = u8::from(byte == one) | u8::from(byte == two) | u8::from(byte == three);
            *flag = equal | u8::from(byte < 0x20);
        }
        flags.as_chunks::<8>().0.iter().rev().fold(0, |bits, eight| {
            // Each flag is the lowest bit of its byte; the product has them side by side in its highest one.
            bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
        })
    }
}

/// Where the stops of a part of a piece are: quotes, backslashes and control characters.
///
/// Looking for them one after another, each search waits for the end of the one before; an index
/// finds them side by side.
#[cfg(target_arch = "x86_64")]
#[derive(Debug)]
struct Index {
    /// Where in the piece the part begins.
    base: usize,
    /// The stops from `base` on, in order.
    stops: [u16; Index::CAPACITY],
    /// How many they are; what stands behind them means nothing.
    count: usize,
    /// Which of them comes next; no more than `count`.
    next: usize,
}

#[cfg(target_arch = "x86_64")]
impl Index {
    /// The bytes that are looked at together.
    const BLOCK: usize = 64;
    /// The bytes of a part.
    const PART: usize = 768;
    /// Stops are written up to as many at a time, whether there are as many or not.
    const AT_ONCE: usize = 32;
    /// INVARIANT: there is room for all stops of a part, each byte of it one, and for what is written
    /// behind them: no stop is ever left out.
    const CAPACITY: usize = Self::PART + Self::AT_ONCE;

    fn new() -> Self {
        Self { base: 0, stops: [0; Self::CAPACITY], count: 0, next: 0 }
    }

    /// The stop that comes after the one at `at`, if both are in the index and come next.
    #[inline(always)]
    fn after(&self, at: usize) -> Option<usize> {
        let [first, second] = *self.stops.get(self.next..)?.first_chunk::<2>()?;
        let both = self.next.wrapping_add(1) < self.count;
        let is_next = both && usize::from(first) == at.wrapping_sub(self.base);
        is_next.then_some(self.base.wrapping_add(usize::from(second)))
    }

    /// Passes the next stop, if it comes before `at`.
    #[inline(always)]
    fn step(&mut self, at: usize) {
        let comes_before = |stop: &u16| usize::from(*stop) < at.wrapping_sub(self.base);
        let is_passed = self.next < self.count && self.stops.get(self.next).is_some_and(comes_before);
        self.next = self.next.wrapping_add(usize::from(is_passed));
    }

    /// Passes the stops before `at`.
    fn pass(&mut self, at: usize) {
        let place = at.wrapping_sub(self.base);
        let left = self.stops.get(self.next..self.count).unwrap_or_default();
        let passed = left.iter().take_while(|stop| usize::from(**stop) < place).count();
        self.next = self.next.wrapping_add(passed);
    }

    /// Begins anew at `at`. `write` is called for each block from there on, with where its stops must
    /// be written and what is to be added to them, and tells how many there are.
    #[inline(always)]
    fn fill(
        &mut self,
        piece: &[u8],
        at: usize,
        write: impl Fn(&[u8; Self::BLOCK], &mut [u16], u16) -> usize,
    ) {
        let rest = piece.get(at..).unwrap_or_default();
        let part = rest.get(..Self::PART).unwrap_or(rest);
        let (blocks, tail) = part.as_chunks();
        let mut count = 0_usize;
        let mut place = 0_u16;
        for block in blocks {
            let slots = self.stops.get_mut(count..).unwrap_or_default();
            count = count.wrapping_add(write(block, slots, place));
            place = place.wrapping_add(64);
        }
        if !tail.is_empty() {
            let mut block = [b' '; Self::BLOCK];
            if let Some(front) = block.get_mut(..tail.len()) {
                front.copy_from_slice(tail);
            }
            let slots = self.stops.get_mut(count..).unwrap_or_default();
            count = count.wrapping_add(write(&block, slots, place));
        }
        (self.base, self.count, self.next) = (at, count, 0);
    }
}

/// Writes `place` and the number of a bit for each bit that is set, and tells how many there are.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn write_bits(mut bits: u64, mut slots: &mut [u16], place: u16) -> usize {
    let count = usize::try_from(bits.count_ones()).unwrap_or(0);
    while bits != 0 {
        let Some((eight, rest)) = slots.split_first_chunk_mut::<8>() else { break };
        for slot in eight {
            let [low, high, ..] = bits.trailing_zeros().to_le_bytes();
            *slot = place.wrapping_add(u16::from_le_bytes([low, high]));
            bits &= bits.wrapping_sub(1);
        }
        slots = rest;
    }
    count
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "a function for a vector unit may be called only where there is one")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_testz_si256,
        _mm256_xor_si256, _mm512_add_epi16, _mm512_castsi512_si256, _mm512_cmpeq_epi8_mask,
        _mm512_cmple_epu8_mask, _mm512_cvtepu8_epi16, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
        _mm512_maskz_compress_epi8, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_storeu_si512,
        _mm512_xor_si512,
    };

    use super::{Index, Vector, WIDTH, Walk, text, write_bits};

    /// The processor has AVX2 and the bit operations of its time.
    ///
    /// INVARIANT: only [`HasAvx2::detect`] makes one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct HasAvx2(());

    impl HasAvx2 {
        pub(super) fn detect() -> Option<Self> {
            let is_there = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            is_there.then_some(Self(()))
        }

        #[inline]
        pub(super) fn plain_run(self, bytes: &[u8]) -> usize {
            // SAFETY: `self` exists, so the processor has what the function is compiled for.
            unsafe { plain_run(bytes) }
        }

        #[inline]
        pub(super) fn walk<W: Walk>(self, avx512: Option<HasAvx512>, walk: W) -> W::Output {
            // SAFETY: `self` exists, so the processor has what the function is compiled for.
            unsafe { walk_avx2(self, avx512, walk) }
        }
    }

    /// The processor has AVX-512 with the instructions that pick bytes from a vector.
    ///
    /// INVARIANT: only [`HasAvx512::detect`] makes one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct HasAvx512(());

    impl HasAvx512 {
        pub(super) fn detect() -> Option<Self> {
            let is_there = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("popcnt");
            is_there.then_some(Self(()))
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn walk_avx2<W: Walk>(avx2: HasAvx2, avx512: Option<HasAvx512>, walk: W) -> W::Output {
        walk.walk(&mut Avx { avx2, avx512, index: Index::new() })
    }

    /// Vectors of 32 bytes, and of 64 for the index if the processor has them.
    #[derive(Debug)]
    struct Avx {
        /// What the calls below rest on.
        avx2: HasAvx2,
        avx512: Option<HasAvx512>,
        index: Index,
    }

    impl Vector for Avx {
        #[inline(always)]
        fn text_end(&mut self, piece: &[u8], at: usize) -> Option<usize> {
            match self.index.after(at) {
                Some(end) if piece.get(end) == Some(&b'"') => {
                    self.index.next = self.index.next.wrapping_add(2);
                    Some(end)
                }
                Some(_) => None,
                None => self.text_end_anew(piece, at),
            }
        }

        #[inline(always)]
        fn skip_text(&mut self) {
            self.index.next = self.index.next.wrapping_add(2).min(self.index.count);
        }

        #[inline(always)]
        fn skip_space(&mut self, at: usize) {
            // The line before `at` has ended in one control character, or in two.
            self.index.step(at);
            self.index.step(at);
        }

        #[inline(always)]
        fn space_run(&self, bytes: &[u8]) -> usize {
            let HasAvx2(()) = self.avx2;
            // SAFETY: `self.avx2` exists, so the processor has what the function is compiled for.
            unsafe { space_run(bytes) }
        }

        #[inline(always)]
        fn agree(&self, left: &[u8; WIDTH], right: &[u8; WIDTH], places: &[u8; WIDTH]) -> bool {
            let HasAvx2(()) = self.avx2;
            // SAFETY: `self.avx2` exists, so the processor has what the function is compiled for.
            unsafe { agree(left, right, places) }
        }

        #[inline(always)]
        fn specials(&self, block: &[u8; 64], wanted: [u8; 3]) -> u64 {
            let HasAvx2(()) = self.avx2;
            let [front, back] = block.as_chunks::<WIDTH>().0 else { return 0 };
            // SAFETY: `self.avx2` exists, so the processor has what the function is compiled for.
            let [front, back] = [front, back].map(|chunk| u64::from(unsafe { specials(chunk, wanted) }));
            front | back << 32
        }
    }

    impl Avx {
        /// [`Vector::text_end`] where the index does not go on at `at`.
        #[inline(never)]
        fn text_end_anew(&mut self, piece: &[u8], at: usize) -> Option<usize> {
            self.index.pass(at);
            if self.index.after(at).is_none() {
                match (self.avx2, self.avx512) {
                    // SAFETY: `self.avx512` exists, so the processor has what the function is compiled for.
                    (_, Some(HasAvx512(()))) => unsafe { fill_avx512(&mut self.index, piece, at) },
                    // SAFETY: `self.avx2` exists, so the processor has what the function is compiled for.
                    (HasAvx2(()), None) => unsafe { fill_avx2(&mut self.index, piece, at) },
                }
            }
            let end = self.index.after(at).unwrap_or_else(|| {
                // The text is longer than an index.
                let start = at.wrapping_add(1);
                start.wrapping_add(self.avx2.plain_run(piece.get(start..).unwrap_or_default()))
            });
            if piece.get(end) != Some(&b'"') {
                return None;
            }
            self.index.pass(end.wrapping_add(1));
            Some(end)
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn fill_avx2(index: &mut Index, piece: &[u8], at: usize) {
        index.fill(piece, at, |block, slots, place| {
            let [front, back] = block.as_chunks::<WIDTH>().0 else { return 0 };
            let bits = u64::from(stops(front)) | u64::from(stops(back)) << 32;
            write_bits(bits, slots, place)
        });
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn fill_avx512(index: &mut Index, piece: &[u8], at: usize) {
        index.fill(piece, at, |block, slots, place| write_stops(block, slots, place));
    }

    /// Writes `place` and the number of a byte of `block` for each that is no plain one, and tells how
    /// many there are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn write_stops(block: &[u8; Index::BLOCK], slots: &mut [u16], place: u16) -> usize {
        // SAFETY: the reference is to as many bytes as are read, and need not be aligned.
        let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        // As in `stops`.
        let low =
            _mm512_cmple_epu8_mask(_mm512_xor_si512(bytes, _mm512_set1_epi8(2)), _mm512_set1_epi8(0x20));
        let bits = low | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(0x5C));
        let count = usize::try_from(bits.count_ones()).unwrap_or(0);
        // SAFETY: as above.
        let numbers = unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) };
        let picked = _mm512_maskz_compress_epi8(bits, numbers);
        let Some((front, rest)) = slots.split_first_chunk_mut() else { return 0 };
        let place = _mm512_set1_epi16(place.cast_signed());
        store(_mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(picked)), place), front);
        if count > front.len()
            && let Some(back) = rest.first_chunk_mut()
        {
            store(
                _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(picked)), place),
                back,
            );
        }
        count
    }

    /// The number of each byte of a block.
    const NUMBERS: [u8; Index::BLOCK] = {
        let mut numbers = [0; Index::BLOCK];
        let mut rest: &mut [u8] = &mut numbers;
        let mut number = 0;
        while let Some((first, after)) = rest.split_first_mut() {
            *first = number;
            number += 1;
            rest = after;
        }
        numbers
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn store(numbers: __m512i, to: &mut [u16; Index::AT_ONCE]) {
        // SAFETY: the reference is to as many bytes as are written, and need not be aligned.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), numbers) };
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn load(bytes: &[u8; WIDTH]) -> __m256i {
        // SAFETY: the reference is to as many bytes as are read, and need not be aligned.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// One bit for each byte that is no plain one.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn stops(chunk: &[u8; WIDTH]) -> u32 {
        let chunk = load(chunk);
        // With this bit turned, quotes and control characters are the bytes up to 0x20.
        let turned = _mm256_xor_si256(chunk, _mm256_set1_epi8(2));
        let low = _mm256_cmpeq_epi8(_mm256_min_epu8(turned, _mm256_set1_epi8(0x20)), turned);
        let backslash = _mm256_cmpeq_epi8(chunk, _mm256_set1_epi8(0x5C));
        _mm256_movemask_epi8(_mm256_or_si256(low, backslash)).cast_unsigned()
    }

    /// One bit for each byte that is one of `wanted` or a control character.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn specials(chunk: &[u8; WIDTH], wanted: [u8; 3]) -> u32 {
        let chunk = load(chunk);
        let [one, two, three] =
            wanted.map(|byte| _mm256_cmpeq_epi8(chunk, _mm256_set1_epi8(byte.cast_signed())));
        let control = _mm256_cmpeq_epi8(_mm256_min_epu8(chunk, _mm256_set1_epi8(0x1F)), chunk);
        let any = _mm256_or_si256(_mm256_or_si256(one, two), _mm256_or_si256(three, control));
        _mm256_movemask_epi8(any).cast_unsigned()
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn plain_run(bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some((chunk, after)) = rest.split_first_chunk::<WIDTH>() {
            let stops = stops(chunk);
            if stops != 0 {
                return (bytes.len() - rest.len()).wrapping_add(first_of(stops));
            }
            rest = after;
        }
        (bytes.len() - rest.len()).wrapping_add(text::plain_run(rest))
    }

    /// One bit for each byte that is not white space.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn tokens(chunk: &[u8; WIDTH]) -> u32 {
        let chunk = load(chunk);
        // The white space byte that has the same lower half, if there is one.
        let spaces = _mm256_setr_epi8(
            32, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 13, 0, 0, //
            32, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 13, 0, 0,
        );
        let same = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(spaces, chunk), chunk);
        !_mm256_movemask_epi8(same).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn space_run(bytes: &[u8]) -> usize {
        if let Some(chunk) = bytes.first_chunk::<WIDTH>() {
            let tokens = tokens(chunk);
            if tokens != 0 {
                return first_of(tokens);
            }
        }
        long_space_run(bytes)
    }

    #[inline(never)]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn long_space_run(bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some((chunk, after)) = rest.split_first_chunk::<WIDTH>() {
            let tokens = tokens(chunk);
            if tokens != 0 {
                return (bytes.len() - rest.len()).wrapping_add(first_of(tokens));
            }
            rest = after;
        }
        (bytes.len() - rest.len()).wrapping_add(text::space_run(rest))
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn agree(left: &[u8; WIDTH], right: &[u8; WIDTH], places: &[u8; WIDTH]) -> bool {
        let differ = _mm256_xor_si256(load(left), load(right));
        _mm256_testz_si256(differ, load(places)) != 0
    }

    /// The index of the lowest bit that is set.
    #[inline(always)]
    fn first_of(bits: u32) -> usize {
        usize::try_from(bits.trailing_zeros()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// All that vectors say of some bytes.
    #[derive(Debug, PartialEq, Eq)]
    struct Told {
        /// For the quotes that are asked about, where the text ends that they begin.
        ends: Vec<(usize, Option<usize>)>,
        spaces: Vec<usize>,
        agree: Vec<bool>,
    }

    struct Ask<'a> {
        piece: &'a [u8],
        /// Which quotes are asked about, and which are passed as names are: every so many.
        every: usize,
        passed: usize,
    }

    impl Walk for Ask<'_> {
        type Output = Told;

        #[inline(always)]
        fn walk<V: Vector>(self, vector: &mut V) -> Told {
            let quotes = || (0..self.piece.len()).filter(|at| self.piece[*at] == b'"');
            let mut ends = Vec::new();
            let mut after = 0;
            for (number, at) in quotes().enumerate() {
                if at < after || number % self.every != 0 {
                    continue;
                }
                if number % self.passed == 0 {
                    // Whether or not there is an end: what is asked next must not depend on it.
                    vector.skip_text();
                    continue;
                }
                if number % 5 == 0 {
                    vector.skip_space(at);
                }
                let end = vector.text_end(self.piece, at);
                ends.push((at, end));
                after = end.map_or(at, |end| end + 1);
            }
            let short = &self.piece[..self.piece.len().min(200)];
            let spaces = (0..=short.len()).map(|at| vector.space_run(&short[at..])).collect();
            let windows: Vec<&[u8; WIDTH]> =
                short.windows(WIDTH).map(|window| window.first_chunk().unwrap()).collect();
            let agree = windows
                .iter()
                .zip(windows.iter().skip(1))
                .map(|(left, right)| {
                    let places = std::array::from_fn(|at| if left[at] == right[at] { 255 } else { 0 });
                    let mut one_more = places;
                    one_more[usize::from(left[0]) % WIDTH] = 255;
                    assert!(vector.agree(left, right, &places));
                    vector.agree(left, right, &one_more)
                })
                .collect();
            Told { ends, spaces, agree }
        }
    }

    fn stops(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    fn check(piece: &[u8], every: usize, passed: usize) {
        let told = Lanes::WORDS.walk(Ask { piece, every, passed });
        for (at, end) in &told.ends {
            let stop = (at + 1..piece.len()).find(|at| stops(piece[*at]));
            assert_eq!(*end, stop.filter(|stop| piece[*stop] == b'"'), "from {at}");
        }
        for (at, spaces) in told.spaces.iter().enumerate() {
            let tokens = piece[at..].iter().position(|byte| !b" \t\r\n".contains(byte));
            assert_eq!(*spaces, tokens.unwrap_or(piece.len() - at).min(200_usize.saturating_sub(at)));
        }
        for lanes in Lanes::available() {
            let other = lanes.walk(Ask { piece, every, passed });
            assert_eq!(other, told, "{}", lanes.name());
            for at in 0..=piece.len().min(200) {
                let rest = &piece[at..];
                let run = rest.iter().position(|byte| stops(*byte)).unwrap_or(rest.len());
                assert_eq!(lanes.plain_run(rest), run, "{} from {at}", lanes.name());
            }
        }
    }

    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![
            12 => Just(b'a'),
            3 => Just(b'"'),
            1 => select(b" \n\t\r,:{}[]0!#".to_vec()),
            1 => select(b"\\\x00\x1f\x20\x21\x22\x23\x5b\x5d\x7f\x80\xa2\xdc\xff".to_vec()),
            1 => any::<u8>(),
        ]
    }

    proptest! {
        #[test]
        fn all_vectors_say_the_same_of_short_pieces(
            piece in proptest::collection::vec(byte(), 0..200), every in 1..4_usize, passed in 2..7_usize,
        ) {
            for start in [0, 1, 7, 31, 32, 33, 63, 64].into_iter().filter(|start| *start <= piece.len()) {
                check(&piece[start..], every, passed);
            }
        }

        #[test]
        fn all_vectors_say_the_same_of_any_bytes(piece in proptest::collection::vec(any::<u8>(), 0..200)) {
            check(&piece, 1, 2);
        }

        #[test]
        fn all_vectors_say_the_same_of_long_pieces(
            runs in proptest::collection::vec((byte(), 1..1500_usize), 0..12),
            single in proptest::collection::vec(byte(), 0..3000),
            every in 1..4_usize, passed in 2..7_usize,
        ) {
            let runs = runs.into_iter().flat_map(|(byte, length)| [vec![b'"'], vec![byte; length]].concat());
            let piece: Vec<u8> = runs.chain(single).collect();
            check(&piece, every, passed);
        }
    }

    #[test]
    fn a_part_may_be_full_of_stops() {
        for length in (0..200).chain([1023, 1024, 1025, 1088, 4096]) {
            check(&vec![b'"'; length], 1, 1000);
            check(&vec![b'"'; length], 3, 2);
        }
    }

    #[test]
    fn the_best_is_one_of_those_available() {
        assert!(Lanes::available().any(|lanes| lanes == Lanes::best()));
        assert_eq!(Lanes::available().next(), Some(Lanes::WORDS));
    }
}
