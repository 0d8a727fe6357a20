//! Receipts.
//!
//! Input: the file. Those among the seeds are of the log of `signers.rs`.

use pinegate::kernel::id::Digest;
use pinegate::tlog::proof::{MAX_PROOF_HASHES, prove_inclusion};
use pinegate::tlog::receipt::{MAX_EXTRA_BYTES, Receipt};
use pinegate::tlog::{Policy, TileNodes, TilePath};

use super::signers;

pub(crate) fn check(data: &[u8]) {
    let Ok(receipt) = Receipt::parse(data) else { return };
    assert_eq!(receipt.to_string().as_bytes(), data, "it shows as what was read");
    assert!(receipt.proof.len() <= MAX_PROOF_HASHES);
    assert!(receipt.extra.as_ref().is_none_or(|extra| extra.len() <= MAX_EXTRA_BYTES));
    let logs = vec![signers::log().key().clone()];
    let policy = Policy::new(logs, Vec::new(), 0).expect("it is a log's key");
    let branches = [signers::leaves(false), signers::leaves(true)];
    for leaf in branches.iter().flatten() {
        let Ok(trusted) = receipt.verify(leaf, &policy) else { continue };
        let head = trusted.checkpoint;
        let (size, at) = (usize::try_from(head.size), usize::try_from(receipt.index));
        let (size, at) = (size.expect("it is small"), at.expect("it is small"));
        // The log has signed this head, and the entry is where the receipt says, by its one proof.
        let is_there = branches.iter().any(|leaves| {
            signers::head(leaves, size) == head
                && leaves[at] == *leaf
                && receipt.proof == proof(leaves, receipt.index, head.size)
        });
        assert!(is_there, "entry {at} of {size} is not there");
    }
}

fn proof(leaves: &[Digest], index: u64, size: u64) -> Vec<Digest> {
    let tile = |_: TilePath| Ok::<_, ()>(leaves.iter().flat_map(|leaf| leaf.0).collect());
    prove_inclusion(&mut TileNodes::new(8, tile), index, size).expect("the entry is there")
}
