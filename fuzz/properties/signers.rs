//! What the targets of the transparency log share: signers that are the same in every run, so that what
//! they signed can lie among the seeds, and a small log with a fork.

use pinegate::kernel::id::Digest;
use pinegate::kernel::secret::Secret;
use pinegate::tlog::note::SignatureKind;
use pinegate::tlog::{Checkpoint, NoteSigner, Tree, leaf_hash};

/// The log.
pub(crate) const ORIGIN: &str = "gate-1";

/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410, section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn signer(name: &str, kind: SignatureKind, seed: u8) -> NoteSigner {
    let der = [&PKCS8[..], &[seed; 32]].concat();
    NoteSigner::from_pkcs8(name, kind, &Secret::new(der)).expect("a key of 32 bytes")
}

/// Who signs the log's heads.
pub(crate) fn log() -> NoteSigner {
    signer(ORIGIN, SignatureKind::Ed25519, 1)
}

/// Those who cosign them.
pub(crate) fn witnesses() -> [NoteSigner; 3] {
    [2, 3, 4].map(|seed| signer(&format!("witness-{seed}"), SignatureKind::Cosignature, seed))
}

/// The hashes of the leaves of the log, or of its fork, which begins with other leaves after the third.
pub(crate) fn leaves(is_fork: bool) -> Vec<Digest> {
    let entry = |at: usize| if is_fork && at >= 3 { format!("forked {at}") } else { format!("entry {at}") };
    (0..8).map(|at| leaf_hash(entry(at).as_bytes())).collect()
}

/// The head of the first `size` leaves.
pub(crate) fn head(leaves: &[Digest], size: usize) -> Checkpoint {
    let mut tree = Tree::default();
    leaves[..size].iter().for_each(|leaf| tree.push(*leaf));
    Checkpoint { origin: ORIGIN.to_owned(), size: tree.size(), root: tree.root() }
}
