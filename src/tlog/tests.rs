//! What the tests of several parts need: trees in tiles in memory, and signers made on the spot.

use std::collections::HashMap;

use super::note::SignatureKind;
use super::tile::{TILE_WIDTH, TileError, new_tiles};
use super::*;
use crate::kernel::id::Digest;
use crate::kernel::secret::Secret;

/// A signer with a new key.
pub(super) fn signer(name: &str, kind: SignatureKind) -> NoteSigner {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    NoteSigner::from_pkcs8(name, kind, &Secret::new(pair.as_ref().to_vec())).unwrap()
}

/// The hashes of so many leaves, all different.
pub(super) fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|index| leaf_hash(format!("entry {index}").as_bytes())).collect()
}

/// The root over leaves, by the definition of RFC 6962, section 2.1.
pub(super) fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// All tiles of a tree.
pub(super) fn tiles(leaves: &[Digest]) -> HashMap<TilePath, Vec<u8>> {
    let bytes = |tile: TilePath| {
        let below = 1_u64 << (8 * u32::from(tile.level));
        let first = tile.index * u64::from(TILE_WIDTH) * below;
        let hash = |at: u64| {
            let begin = usize::try_from(first + at * below).unwrap();
            root(&leaves[begin..begin + usize::try_from(below).unwrap()]).0
        };
        (0..u64::from(tile.width)).flat_map(hash).collect()
    };
    new_tiles(0, u64::try_from(leaves.len()).unwrap()).map(|tile| (tile, bytes(tile))).collect()
}

/// Nodes out of the tiles of a tree of `size` leaves.
pub(super) fn nodes(
    size: u64,
    tiles: &HashMap<TilePath, Vec<u8>>,
) -> impl Nodes<Error = TileError<TilePath>> {
    TileNodes::new(size, |tile| tiles.get(&tile).cloned().ok_or(tile))
}

#[test]
fn a_tree_is_the_same_grown_and_loaded() {
    let leaves = leaves(700);
    let tiles = tiles(&leaves);
    let mut grown = Tree::default();
    let mut nodes = nodes(700, &tiles);
    for (size, leaf) in (1..).zip(&leaves) {
        grown.push(*leaf);
        let loaded = Tree::load(&mut nodes, size).unwrap();
        assert_eq!(loaded, grown);
        assert_eq!(loaded.root(), root(&leaves[..usize::try_from(size).unwrap()]));
    }
}

#[test]
fn nodes_beyond_the_tree_and_broken_tiles_are_told() {
    let leaves = leaves(300);
    let mut tiles = tiles(&leaves);
    let mut all = nodes(300, &tiles);
    assert!(all.node(2, 74).is_ok());
    for (height, index) in [(0, 300), (2, 75), (8, 1), (9, 0), (64, 0), (255, 0), (0, u64::MAX)] {
        let absent = matches!(all.node(height, index), Err(TileError::Absent { .. }));
        assert!(absent, "node {index} of height {height}");
    }
    drop(all);
    let first = TilePath { level: 0, index: 0, width: TILE_WIDTH };
    let last = TilePath { level: 0, index: 1, width: 44 };
    tiles.remove(&first);
    tiles.get_mut(&last).unwrap().pop();
    let mut broken = nodes(300, &tiles);
    assert!(matches!(broken.node(0, 0), Err(TileError::Unread { tile, .. }) if tile == first));
    assert!(matches!(broken.node(0, 256), Err(TileError::Unfit { tile, bytes: 1407 }) if tile == last));
    // The root of the first 256 leaves stands one level higher, too.
    assert_eq!(broken.node(8, 0).unwrap(), root(&leaves[..256]));
}
