//! Proofs over the tree (RFC 6962, section 2.1): that a leaf is in it, and that a later tree begins with
//! an earlier one. Made from whatever holds the tree's nodes, checked from hashes alone.

use super::tree::{Nodes, complete_subtrees, empty_root, node_hash, root_over};
use crate::kernel::id::Digest;

/// The most hashes that a proof of either kind has: one a level, in a tree of fewer than 2^64 leaves.
pub const MAX_PROOF_HASHES: usize = 64;

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A leaf beyond the tree.
    #[error("a tree of {size} leaves has no leaf {index}")]
    NoLeaf {
        /// Which leaf.
        index: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// Leaves that no proof can be about.
    #[error("the leaves from {start} up to {end} are no subtree of a tree of {size} leaves")]
    NoSubtree {
        /// The first leaf.
        start: u64,
        /// The leaf after the last.
        end: u64,
        /// How many leaves the tree has.
        size: u64,
    },
    /// Any tree begins with the empty one: there is nothing to prove.
    #[error("every tree begins with the tree without leaves: that proves nothing")]
    Empty,
    /// Too few hashes, or too many.
    #[error("a proof of {hashes} hashes has not the length that the sizes ask for")]
    Length {
        /// How many it has.
        hashes: usize,
    },
    /// The proof is about another tree, leaf or position.
    #[error("the proof leads to another root")]
    Root,
}

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError<E> {
    /// There is none.
    #[error(transparent)]
    Bounds(ProofError),
    /// The nodes of the tree cannot be had.
    #[error("the hashes of the tree cannot be had")]
    Nodes(#[source] E),
}

/// The hashes that lead from leaf `index` to the root of the tree of `size` leaves, the leaf's sibling
/// first (`PATH`, section 2.1.1).
///
/// # Errors
/// When there is no such leaf, or `nodes` fails.
pub fn prove_inclusion<N: Nodes>(
    nodes: &mut N,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, MakeError<N::Error>> {
    if index >= size {
        return Err(MakeError::Bounds(ProofError::NoLeaf { index, size }));
    }
    let (mut begin, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(subtree_root(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree_root(nodes, begin, middle)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that show that the tree of `new` leaves begins with that of `old` leaves (`PROOF`, section
/// 2.1.2). Where `old` is 0 or `new` there are none.
///
/// # Errors
/// When `old` is more than `new`, or `nodes` fails.
pub fn prove_consistency<N: Nodes>(
    nodes: &mut N,
    old: u64,
    new: u64,
) -> Result<Vec<Digest>, MakeError<N::Error>> {
    if old > new {
        return Err(MakeError::Bounds(ProofError::NoSubtree { start: 0, end: old, size: new }));
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut begin, mut end) = (0, new);
    let mut proof = Vec::new();
    // Down to the node on the old tree's right edge that both trees have.
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(subtree_root(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree_root(nodes, begin, middle)?);
            begin = middle;
        }
    }
    // Where that is the whole old tree, who checks has its root already.
    if begin > 0 {
        proof.push(subtree_root(nodes, begin, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// How many leaves are left of the split of a tree of `size` > 1: the largest power of two below it.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the leaves from `begin` up to `end`, which are a subtree.
fn subtree_root<N: Nodes>(nodes: &mut N, begin: u64, end: u64) -> Result<Digest, MakeError<N::Error>> {
    let complete = complete_subtrees(begin, end).map(|(height, index)| nodes.node(height, index));
    let peaks = complete.collect::<Result<Vec<_>, _>>().map_err(MakeError::Nodes)?;
    Ok(root_over(&peaks))
}

/// Checks that `leaf` is the hash of leaf `index` in the tree of `size` leaves with that root.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    let last = match size.checked_sub(1) {
        Some(last) if index <= last => last,
        _ => return Err(ProofError::NoLeaf { index, size }),
    };
    let (mut node, mut last) = (index, last);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length { hashes: proof.len() });
        }
        if is_right(node) || node == last {
            hash = node_hash(sibling, &hash);
            // On the right edge a node without sibling stands for its parent.
            let skipped = node.trailing_zeros();
            (node, last) = (node >> skipped, last >> skipped);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last > 0 {
        return Err(ProofError::Length { hashes: proof.len() });
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `new` leaves begins with the tree of `old` leaves, by their roots.
///
/// # Errors
/// When the proof does not show it, or there is nothing to show because `old` is 0.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Digest,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if old == 0 {
        return Err(ProofError::Empty);
    }
    verify_subtree(0, old, new, old_root, new_root, proof)
}

/// Whether a proof shows that the tree of `new` leaves with the root `new_root` does *not* begin with the tree
/// of `old` leaves that has the root `old_root`, but with another of that size. Nobody can make such a proof
/// of a tree that does. Where `old` is a power of two no proof shows it: the root of that beginning does not
/// stand in it.
#[must_use]
pub fn proves_other_beginning(
    old: u64,
    new: u64,
    old_root: &Digest,
    new_root: &Digest,
    proof: &[Digest],
) -> bool {
    roots(0, old, new, old_root, proof).is_ok_and(|(own, whole)| whole == *new_root && own != *old_root)
}

/// Checks that the leaves from `start` up to `end` have the root `subtree` in the tree of `size` leaves
/// with the root `root`. A beginning of the tree is the case that `start` is 0; others are the subtrees
/// whose start is a multiple of a power of two that is not below their size.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_subtree(
    start: u64,
    end: u64,
    size: u64,
    subtree: &Digest,
    root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    let length = ProofError::Length { hashes: proof.len() };
    if start == end && end <= size {
        // The root of no leaves is the same everywhere.
        return match (proof.is_empty(), *subtree == empty_root()) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
            (false, _) => Err(length),
        };
    }
    let (own, whole) = roots(start, end, size, subtree, proof)?;
    if own == *subtree && whole == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// The roots that a proof leads to: of the leaves from `start` up to `end`, and of the whole tree. `subtree`
/// takes the place of the former where that is a node of the tree, and no hash of the proof says it.
fn roots(
    start: u64,
    end: u64,
    size: u64,
    subtree: &Digest,
    proof: &[Digest],
) -> Result<(Digest, Digest), ProofError> {
    let length = ProofError::Length { hashes: proof.len() };
    if end > size || !is_subtree(start, end) {
        return Err(ProofError::NoSubtree { start, end, size });
    }
    // At each level: the node above the first leaf, that above the subtree's last, that above the tree's.
    let (mut first, mut last, mut edge) = (start, end - 1, size - 1);
    // Up to the largest node that ends where the subtree does and that both trees have.
    let height = height(end - start);
    let both = if end == size { height } else { last.trailing_ones().min(height) };
    (first, last, edge) = (shifted(first, both), shifted(last, both), shifted(edge, both));
    let mut hashes = proof.iter();
    let begin = if first == last { *subtree } else { *hashes.next().ok_or(length.clone())? };
    let (mut own, mut whole) = (begin, begin);
    for sibling in hashes {
        if edge == 0 {
            return Err(length);
        }
        if is_right(last) || last == edge {
            if first < last {
                own = node_hash(sibling, &own);
            }
            whole = node_hash(sibling, &whole);
            let skipped = last.trailing_zeros();
            (first, last, edge) = (first >> skipped, last >> skipped, edge >> skipped);
        } else {
            whole = node_hash(&whole, sibling);
        }
        (first, last, edge) = (first >> 1, last >> 1, edge >> 1);
    }
    if edge > 0 {
        return Err(length);
    }
    Ok((own, whole))
}

/// Whether the leaves from `start` up to `end` are below one node of some tree, as its first ones.
const fn is_subtree(start: u64, end: u64) -> bool {
    start < end && start.trailing_zeros() >= height(end - start)
}

/// The height of a tree of so many leaves, which are not none.
const fn height(leaves: u64) -> u32 {
    u64::BITS - (leaves - 1).leading_zeros()
}

const fn is_right(node: u64) -> bool {
    node & 1 == 1
}

/// All bits may be shifted out: a tree can have 2^64 - 1 leaves.
fn shifted(value: u64, bits: u32) -> u64 {
    value.checked_shr(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests;
