//! The Merkle tree of RFC 6962, section 2.1: leaf and node hashes, and a tree that only grows.

use aws_lc_rs::digest::{Context, SHA256};

use crate::kernel::id::Digest;

/// What stands before a leaf's bytes and before a node's two hashes, so that neither can pass for the
/// other (RFC 6962, section 2.1).
const LEAF: u8 = 0;
const NODE: u8 = 1;

fn finish(context: Context) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

/// The hash of an entry as a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&[LEAF]);
    context.update(entry);
    finish(context)
}

/// The hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [NODE; 65];
    let (_, children) = bytes.split_at_mut(1);
    let (first, second) = children.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Digest::of(&bytes)
}

/// The root of the tree without leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// A tree that only grows, as the roots of its complete subtrees: one hash for each bit of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Largest subtree first.
    peaks: Vec<Digest>,
}

impl Tree {
    /// The tree of `size` leaves with these roots of complete subtrees, largest first; `None` if they
    /// are not as many as the size has bits.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (u32::try_from(peaks.len()).ok()? == size.count_ones()).then_some(Self { size, peaks })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            // As many peaks as there are bits: there is one for each trailing one.
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut smallest_first = self.peaks.iter().rev();
        let Some(last) = smallest_first.next() else { return empty_root() };
        smallest_first.fold(*last, |right, left| node_hash(left, &right))
    }
}
