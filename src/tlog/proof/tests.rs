//! Proofs against the definitions, against three implementations from elsewhere, and their vectors.

mod oracles;

use serde_json::Value;

use super::super::tests::{leaves, nodes, root, tiles};
use super::*;

/// All vectors of a kind below `merkle/`, with their paths; none without the directory.
fn vectors(kind: &str) -> Vec<(String, Value)> {
    let Some(folder) = crate::kernel::skip::conformance() else { return Vec::new() };
    let mut folders = vec![folder.join("merkle").join(kind)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let vector = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                found.push((path.display().to_string(), vector));
            }
        }
    }
    found
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(value.as_str()?.as_bytes()).ok()
}

/// A hash of a vector; none where there are other bytes, which ours cannot even hold.
fn hash(value: &Value) -> Option<Digest> {
    Some(Digest(bytes(value)?.try_into().ok()?))
}

/// A root of a vector about two. Some have words in place of it: each stands for a root of its own.
fn root_of(value: &Value) -> Option<Digest> {
    hash(value).or_else(|| Some(Digest::of(&bytes(value)?)))
}

fn proof(value: &Value) -> Option<Vec<Digest>> {
    value["proof"].as_array().map_or(&[][..], Vec::as_slice).iter().map(hash).collect()
}

/// Holds all vectors of a kind against `verify`, and counts them.
fn check(kind: &str, count: usize, verify: impl Fn(&Value) -> Option<Result<(), ProofError>>) {
    let vectors = vectors(kind);
    for (name, vector) in &vectors {
        let is_proved = matches!(verify(vector), Some(Ok(())));
        assert_eq!(is_proved, vector["wantErr"] == false, "{name}");
    }
    assert!(vectors.is_empty() || vectors.len() == count, "{kind}: {} vectors", vectors.len());
}

#[test]
fn vectors_of_inclusion() {
    check("inclusion", 98, |vector| {
        let (leaf, root) = (hash(&vector["leafHash"])?, hash(&vector["root"])?);
        let (index, size) = (vector["leafIdx"].as_u64()?, vector["treeSize"].as_u64()?);
        Some(verify_inclusion(&leaf, index, size, &root, &proof(vector)?))
    });
}

#[test]
fn vectors_of_consistency() {
    check("consistency", 98, |vector| {
        let (old, new) = (vector["size1"].as_u64()?, vector["size2"].as_u64()?);
        let (old_root, new_root) = (root_of(&vector["root1"])?, root_of(&vector["root2"])?);
        Some(verify_consistency(old, new, &old_root, &new_root, &proof(vector)?))
    });
}

#[test]
fn vectors_of_consistency_with_subtrees() {
    check("subtreeconsistency", 118, |vector| {
        let (start, end) = (vector["start"].as_u64()?, vector["end"].as_u64()?);
        let (subtree, root) = (root_of(&vector["root1"])?, root_of(&vector["root2"])?);
        Some(verify_subtree(start, end, vector["size"].as_u64()?, &subtree, &root, &proof(vector)?))
    });
}

#[test]
fn vectors_of_inclusion_in_subtrees() {
    check("subtreeinclusion", 204, |vector| {
        let (leaf, root) = (hash(&vector["leafHash"])?, hash(&vector["root"])?);
        let (start, end) = (vector["start"].as_u64()?, vector["end"].as_u64()?);
        let size = end.checked_sub(start).filter(|_| is_subtree(start, end))?;
        let index = vector["leafIdx"].as_u64()?.checked_sub(start)?;
        Some(verify_inclusion(&leaf, index, size, &root, &proof(vector)?))
    });
}

#[test]
fn every_proof_of_small_trees_is_right_and_no_other_place_or_size_passes() {
    let leaves = leaves(20);
    let tiles = tiles(&leaves);
    let roots: Vec<Digest> = (0..=20).map(|size| root(&leaves[..size])).collect();
    for size in 1..=20_u64 {
        let at = usize::try_from(size).unwrap();
        for index in 0..size {
            let leaf = &leaves[usize::try_from(index).unwrap()];
            let proof = prove_inclusion(&mut nodes(20, &tiles), index, size).unwrap();
            for other in 0..=20 {
                let passes = verify_inclusion(leaf, other, size, &roots[at], &proof).is_ok();
                assert_eq!(passes, other == index, "leaf {index} as {other} of {size}");
            }
            assert!(verify_inclusion(leaf, index, size, &roots[at - 1], &proof).is_err());
            let longer = [&proof[..], &roots[..1]].concat();
            let length = Err(ProofError::Length { hashes: longer.len() });
            assert_eq!(verify_inclusion(leaf, index, size, &roots[at], &longer), length);
        }
        for old in 1..=size {
            let old_root = &roots[usize::try_from(old).unwrap()];
            let proof = prove_consistency(&mut nodes(20, &tiles), old, size).unwrap();
            verify_consistency(old, size, old_root, &roots[at], &proof).unwrap();
            if old < size {
                assert!(verify_consistency(old, size, &roots[at], &roots[at], &proof).is_err());
                assert!(verify_consistency(size, old, &roots[at], old_root, &proof).is_err());
            }
            let longer = [&proof[..], &roots[..1]].concat();
            assert!(verify_consistency(old, size, old_root, &roots[at], &longer).is_err());
            // What begins so does not begin otherwise; what begins otherwise is found out where the proof says it.
            let is_other =
                |from: &Digest, proof: &[Digest]| proves_other_beginning(old, size, from, &roots[at], proof);
            assert!(!is_other(old_root, &proof) && !is_other(old_root, &longer));
            let another = &roots[usize::try_from(old - 1).unwrap()];
            assert_eq!(is_other(another, &proof), old < size && !old.is_power_of_two(), "{old} of {size}");
        }
    }
}

#[test]
fn what_cannot_be_proved_is_refused() {
    let leaves = leaves(4);
    let tiles = tiles(&leaves);
    let mut nodes = nodes(4, &tiles);
    assert!(matches!(
        prove_inclusion(&mut nodes, 4, 4),
        Err(MakeError::Bounds(ProofError::NoLeaf { index: 4, size: 4 }))
    ));
    assert!(matches!(prove_inclusion(&mut nodes, 0, 0), Err(MakeError::Bounds(_))));
    assert!(matches!(prove_inclusion(&mut nodes, 0, 9), Err(MakeError::Nodes(_))));
    assert!(matches!(prove_consistency(&mut nodes, 5, 4), Err(MakeError::Bounds(_))));
    assert!(prove_consistency(&mut nodes, 0, 4).unwrap().is_empty());
    let root = root(&leaves);
    assert_eq!(verify_consistency(0, 4, &empty_root(), &root, &[]), Err(ProofError::Empty));
}

#[test]
fn sizes_at_the_limit_neither_overflow_nor_pass() {
    let hash = empty_root();
    let long = vec![hash; MAX_PROOF_HASHES + 1];
    for size in [1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX] {
        for index in [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
            for count in [0, 1, 62, 63, 64, 65] {
                assert!(verify_inclusion(&hash, index, size, &hash, &long[..count]).is_err());
                let is_same = index == size && count == 0;
                let result = verify_subtree(0, index, size, &hash, &hash, &long[..count]);
                assert_eq!(result.is_ok(), is_same || (index == 0 && count == 0), "{index} of {size}");
                assert!(
                    verify_subtree(index, size, size, &hash, &root(&[]), &long[..count]).is_err()
                        || count == 0
                );
            }
        }
    }
}
