//! Where in a text something stands that a format gives a meaning: [`Specials`].
//!
//! A format without nesting is walked from one such byte to the next, so what lies between costs
//! next to nothing. Their places are found for [`WINDOW`] bytes at a time before they are walked:
//! finding them one by one would have the processor guess how many there are in each block.

use super::lanes::{Lanes, Vector, Walk};

/// The bytes that are looked at together.
const BLOCK: usize = 64;

/// How many bytes are searched at a time.
const WINDOW: usize = 2 << 10;
/// How many places are written at a time, right or not.
const STRIDE: usize = 8;

/// The places of the special bytes of one piece, in order.
#[derive(Debug)]
pub(super) struct Specials<'p> {
    lanes: Lanes,
    wanted: [u8; 3],
    /// What has not been searched.
    rest: &'p [u8],
    /// Where `rest` begins in the piece.
    at: usize,
    /// Where the window begins to which `found` counts.
    base: usize,
    found: [u16; WINDOW + BLOCK],
    taken: usize,
    count: usize,
}

impl<'p> Specials<'p> {
    /// Those of `wanted`, and control characters.
    pub(super) fn new(lanes: Lanes, piece: &'p [u8], wanted: [u8; 3]) -> Self {
        Self { lanes, wanted, rest: piece, at: 0, base: 0, found: [0; WINDOW + BLOCK], taken: 0, count: 0 }
    }

    /// The next one.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.taken == self.count {
            if self.rest.is_empty() {
                return None;
            }
            self.search();
        }
        let place = self.found.get(self.taken).copied()?;
        self.taken = self.taken.wrapping_add(1);
        Some(self.base.wrapping_add(usize::from(place)))
    }

    /// Those of the window that have not been taken, and where it begins.
    pub(super) fn window(&self) -> (usize, &[u16]) {
        (self.base, self.found.get(self.taken..self.count).unwrap_or_default())
    }

    /// So many of the window have been taken.
    pub(super) fn pass(&mut self, count: usize) {
        self.taken = self.taken.wrapping_add(count).min(self.count);
    }

    /// Finds those of the next window.
    #[inline(never)]
    fn search(&mut self) {
        let length = self.rest.len().min(WINDOW);
        let Some((window, rest)) = self.rest.split_at_checked(length) else { return };
        (self.rest, self.base) = (rest, self.at);
        self.at = self.at.wrapping_add(length);
        let search = Search { window, wanted: self.wanted, found: &mut self.found };
        (self.taken, self.count) = (0, self.lanes.walk(search));
    }
}

/// A search of one window.
struct Search<'s> {
    window: &'s [u8],
    wanted: [u8; 3],
    found: &'s mut [u16; WINDOW + BLOCK],
}

impl Walk for Search<'_> {
    /// How many places have been found.
    type Output = usize;

    #[inline(always)]
    fn walk<V: Vector>(self, vector: &mut V) -> usize {
        let (blocks, tail) = self.window.as_chunks::<BLOCK>();
        let (mut count, mut before) = (0, 0_u16);
        for block in blocks {
            count = list(self.found, count, vector.specials(block, self.wanted), before);
            before = before.wrapping_add(64);
        }
        if !tail.is_empty() {
            // A space is special nowhere.
            let mut last = [b' '; BLOCK];
            if let Some(front) = last.get_mut(..tail.len()) {
                front.copy_from_slice(tail);
            }
            count = list(self.found, count, vector.specials(&last, self.wanted), before);
        }
        count
    }
}

/// Lists the places of `bits`, counted from `before`, behind the first `count` of `found`. Returns how
/// many there are then.
#[inline(always)]
fn list(found: &mut [u16; WINDOW + BLOCK], count: usize, mut bits: u64, before: u16) -> usize {
    let after = count.wrapping_add(usize::try_from(bits.count_ones()).unwrap_or_default());
    let mut rest = found.get_mut(count..).unwrap_or_default();
    while let Some((places, behind)) = rest.split_first_chunk_mut::<STRIDE>() {
        for place in places {
            *place = before.wrapping_add(u16::try_from(bits.trailing_zeros()).unwrap_or_default());
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
        rest = behind;
    }
    after
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is found on all lanes, held against the obvious.
    fn check(piece: &[u8], wanted: [u8; 3]) {
        let all = (0..piece.len()).filter(|at| piece[*at] < 0x20 || wanted.contains(&piece[*at]));
        let all: Vec<usize> = all.collect();
        for lanes in Lanes::available() {
            let mut specials = Specials::new(lanes, piece, wanted);
            let found: Vec<usize> = std::iter::from_fn(|| specials.next()).collect();
            assert_eq!(found, all, "on {} in {piece:?}", lanes.name());
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for place in 0..BLOCK {
                for around in [b' ', 0xFF, 0x80, b'a'] {
                    let mut block = [around; BLOCK];
                    block[place] = byte;
                    check(&block, [b',', b'"', 0xFE]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_of_any_bytes(
            blocks in proptest::collection::vec(any::<[[u8; 32]; 2]>(), 1..4), wanted in any::<[u8; 3]>(),
        ) {
            check(&blocks.concat().concat(), wanted);
        }

        #[test]
        fn pieces_of_any_length(
            piece in proptest::collection::vec(prop_oneof![0..64_u8, 60..128_u8], 0..5_000), is_dense in any::<bool>(),
        ) {
            let dense = |byte| if is_dense { byte & 31 } else { byte };
            check(&piece.into_iter().map(dense).collect::<Vec<_>>(), *b",\"&");
        }
    }
}
