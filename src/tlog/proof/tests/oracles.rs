//! The same proofs by `ct-merkle` and `tlog_tiles`, which nobody here wrote.

use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::{Tile, TileHashReader, TileReader};

use super::*;
use crate::tlog::{TilePath, Tree};

type Memory = MemoryBackedTree<Sha256, Vec<u8>>;

fn concat(proof: &[Digest]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.0).collect()
}

fn root_hash(root: &Digest, size: u64) -> RootHash<Sha256> {
    RootHash::new(root.0.into(), size)
}

/// Our tiles, to be read by the other library, which holds them against the root itself.
struct Ours(HashMap<TilePath, Vec<u8>>);

impl TileReader for Ours {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| {
            let width = u16::try_from(tile.width()).unwrap();
            let path = TilePath { level: tile.level(), index: tile.level_index(), width };
            // The two libraries name the same file, but for the height that theirs says first.
            assert_eq!(path.to_string().replace("tile/", "tile/8/"), tile.path());
            self.0.get(&path).cloned().ok_or(tlog_tiles::Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn proofs_are_those_of_ct_merkle(size in 1..1200_u64, a in any::<u64>(), b in any::<u64>(), bit in any::<usize>()) {
        let leaves = leaves(size);
        let tiles = tiles(&leaves);
        let (index, old) = (a % size, b % size + 1);
        let mut memory = Memory::new();
        (0..size).for_each(|index| memory.push(format!("entry {index}").into_bytes()));
        let (old_root, new_root) = (root(&leaves[..usize::try_from(old).unwrap()]), root(&leaves));
        let their_root = memory.root();
        prop_assert_eq!(&their_root.as_bytes()[..], &new_root.0[..]);

        let proof = prove_inclusion(&mut nodes(size, &tiles), index, size).unwrap();
        let at = usize::try_from(index).unwrap();
        let theirs = memory.prove_inclusion(at);
        prop_assert_eq!(&concat(&proof)[..], theirs.as_bytes());
        let reread = InclusionProof::<Sha256>::try_from_bytes(concat(&proof)).unwrap();
        let entry = format!("entry {index}").into_bytes();
        prop_assert!(root_hash(&new_root, size).verify_inclusion(&entry, index, &reread).is_ok());
        prop_assert!(verify_inclusion(&leaves[at], index, size, &new_root, &proof).is_ok());
        for (leaf, proof, root) in spoiled(&leaves[at], &proof, &new_root, bit) {
            prop_assert!(verify_inclusion(&leaf, index, size, &root, &proof).is_err());
        }

        let proof = prove_consistency(&mut nodes(size, &tiles), old, size).unwrap();
        let theirs = memory.prove_consistency(usize::try_from(size - old).unwrap());
        prop_assert_eq!(&concat(&proof)[..], theirs.as_bytes());
        let reread = ConsistencyProof::<Sha256>::try_from_bytes(concat(&proof)).unwrap();
        let verified = root_hash(&new_root, size).verify_consistency(&root_hash(&old_root, old), &reread);
        prop_assert!(verified.is_ok());
        prop_assert!(verify_consistency(old, size, &old_root, &new_root, &proof).is_ok());
        for (old_root, proof, new_root) in spoiled(&old_root, &proof, &new_root, bit) {
            prop_assert!(verify_consistency(old, size, &old_root, &new_root, &proof).is_err());
        }
    }

    #[test]
    fn tiles_and_proofs_are_those_of_tlog_tiles(size in 1..70_000_u64, a in any::<u64>(), b in any::<u64>()) {
        let mut tree = Tree::default();
        let leaves = leaves(size);
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let tiles = tiles(&leaves);
        let (index, old) = (a % size, b % size + 1);
        let (ours, theirs) = (nodes(size, &tiles), Ours(tiles.clone()));
        let (mut ours, reader) = (ours, TileHashReader::new(size, tlog_tiles::Hash(tree.root().0), &theirs));
        let hashes = |proof: Vec<tlog_tiles::Hash>| proof.into_iter().map(|hash| Digest(hash.0)).collect::<Vec<_>>();
        let record = tlog_tiles::prove_record(size, index, &reader).unwrap();
        prop_assert_eq!(prove_inclusion(&mut ours, index, size).unwrap(), hashes(record));
        let tree = tlog_tiles::prove_tree(size, old, &reader).unwrap();
        prop_assert_eq!(prove_consistency(&mut ours, old, size).unwrap(), hashes(tree));
    }
}

/// What is left of two roots and a proof when one bit of them is another, at `bit` of each in turn.
fn spoiled(
    first: &Digest,
    proof: &[Digest],
    last: &Digest,
    bit: usize,
) -> Vec<(Digest, Vec<Digest>, Digest)> {
    let flip = |hash: &Digest| {
        let mut bytes = hash.0;
        bytes[bit / 8 % 32] ^= 1 << (bit % 8);
        Digest(bytes)
    };
    let mut all = vec![(flip(first), proof.to_vec(), *last), (*first, proof.to_vec(), flip(last))];
    for at in 0..proof.len() {
        let mut other = proof.to_vec();
        other[at] = flip(&other[at]);
        all.push((*first, other, *last));
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push((*first, shorter, *last));
    }
    all
}
