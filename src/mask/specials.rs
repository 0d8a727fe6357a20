//! Where in a text something stands that a format gives a meaning: [`specials`].
//!
//! A format without nesting is walked from one such byte to the next, so what lies between costs
//! next to nothing.

/// The bytes that are looked at together.
const BLOCK: usize = 64;

/// Which of the bytes of `block` are one of `wanted` or a control character (below U+0020), one bit
/// each, the first byte lowest.
///
/// The first loop has no branch and no order, so that compilers turn it into vector instructions of
/// any machine; the second gathers its flags, eight at a time.
#[inline(always)]
fn specials(block: &[u8; BLOCK], wanted: [u8; 3]) -> u64 {
    let [one, two, three] = wanted;
    let mut flags = [0_u8; BLOCK];
    for (flag, &byte) in flags.iter_mut().zip(block) {
        *flag =
            u8::from(byte == one) | u8::from(byte == two) | u8::from(byte == three) | u8::from(byte < 0x20);
    }
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |bits, eight| {
        // Each flag is the lowest bit of its byte; the product has them side by side in its highest one.
        bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// Calls `visit` with the position of every special byte of `piece`, in order, until one fails.
#[inline(always)]
pub(super) fn for_each_special<E>(
    piece: &[u8],
    wanted: [u8; 3],
    mut visit: impl FnMut(usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut visit_all = |mut bits: u64, base: usize| {
        while bits != 0 {
            let place = usize::try_from(bits.trailing_zeros()).unwrap_or_default();
            bits &= bits.wrapping_sub(1);
            visit(base.wrapping_add(place))?;
        }
        Ok(())
    };
    let (blocks, rest) = piece.as_chunks::<BLOCK>();
    let mut base: usize = 0;
    for block in blocks {
        visit_all(specials(block, wanted), base)?;
        base = base.wrapping_add(BLOCK);
    }
    if rest.is_empty() {
        return Ok(());
    }
    // A space is special nowhere.
    let mut last = [b' '; BLOCK];
    if let Some(front) = last.get_mut(..rest.len()) {
        front.copy_from_slice(rest);
    }
    visit_all(specials(&last, wanted), base)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn obvious(block: &[u8; BLOCK], wanted: [u8; 3]) -> u64 {
        block.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(*byte < 0x20 || wanted.contains(byte)))
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for place in 0..BLOCK {
                for around in [b' ', 0xFF, 0x80, b'a'] {
                    let mut block = [around; BLOCK];
                    block[place] = byte;
                    let wanted = [b',', b'"', 0xFE];
                    assert_eq!(specials(&block, wanted), obvious(&block, wanted), "{byte} at {place}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bits_equal_the_obvious(block in any::<[[u8; 32]; 2]>(), wanted in any::<[u8; 3]>()) {
            let block = std::array::from_fn(|at| block[at / 32][at % 32]);
            prop_assert_eq!(specials(&block, wanted), obvious(&block, wanted));
        }

        #[test]
        fn every_special_byte_is_visited_in_order(piece in proptest::collection::vec(0..64_u8, 0..200)) {
            let mut visited = Vec::new();
            for_each_special(&piece, *b",\"&", |at| { visited.push(at); Ok::<(), ()>(()) }).unwrap();
            let all = (0..piece.len()).filter(|at| piece[*at] < 0x20 || b",\"&".contains(&piece[*at]));
            prop_assert_eq!(visited, all.collect::<Vec<_>>());
        }
    }
}
