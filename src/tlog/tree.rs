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

/// What holds the nodes of a tree: tiles on a disk, or leaves in memory.
pub trait Nodes {
    /// Why a node cannot be had.
    type Error;

    /// The root of the complete subtree of 2^`height` leaves whose first leaf is `index` · 2^`height`.
    ///
    /// # Errors
    /// When it cannot be had, or the tree has not so many leaves.
    fn node(&mut self, height: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// The largest complete subtrees that the leaves from `begin` up to `end` are made of, as height and
/// index, in order.
pub(super) fn complete_subtrees(begin: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut begin = begin;
    std::iter::from_fn(move || {
        let rest = end.checked_sub(begin).filter(|rest| *rest > 0)?;
        let height = begin.trailing_zeros().min(rest.ilog2());
        let index = begin >> height;
        begin += 1 << height;
        Some((u8::try_from(height).ok()?, index))
    })
}

/// The root over the roots of complete subtrees, largest first.
pub(super) fn root_over(peaks: &[Digest]) -> Digest {
    let mut smallest_first = peaks.iter().rev();
    let Some(last) = smallest_first.next() else { return empty_root() };
    smallest_first.fold(*last, |right, left| node_hash(left, &right))
}

/// A tree that only grows, as the roots of its complete subtrees: one hash for each bit of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Largest subtree first.
    peaks: Vec<Digest>,
}

impl Tree {
    /// The tree of the first `size` leaves of a larger one.
    ///
    /// # Errors
    /// When `nodes` fails.
    pub fn load<N: Nodes>(nodes: &mut N, size: u64) -> Result<Self, N::Error> {
        let peaks = complete_subtrees(0, size).map(|(height, index)| nodes.node(height, index));
        Ok(Self { size, peaks: peaks.collect::<Result<_, _>>()? })
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
        root_over(&self.peaks)
    }
}
