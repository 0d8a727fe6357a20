//! A transparency log: what binds records so that somebody who trusts neither the gate nor whoever runs
//! it can check them.
//!
//! Pure. The tree is that of RFC 6962 with SHA-256, [`proof`] what can be shown of it, [`tile`] how it
//! lies on disk (C2SP `tlog-tiles`), [`note`] how heads are signed (C2SP `signed-note`), [`checkpoint`]
//! what a signed head says (C2SP `tlog-checkpoint`), [`cosignature`] how others sign it too (C2SP
//! `tlog-cosignature`), [`policy`] whose signatures are asked for (C2SP `tlog-policy`), [`receipt`] a
//! proof with its signed head in one file (C2SP `tlog-proof`), [`witness`] what a witness answers (C2SP
//! `tlog-witness`). Knows nothing of what the entries are.

pub mod checkpoint;
pub mod cosignature;
pub mod growth;
pub mod note;
pub mod policy;
pub mod proof;
pub mod receipt;
pub mod tile;
pub mod tree;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use growth::{Growth, Tile};
pub use note::{NoteError, NoteSigner, VerifierKey};
pub use policy::Policy;
pub use receipt::Receipt;
pub use tile::{TileNodes, TilePath};
pub use tree::{Nodes, Tree, empty_root, leaf_hash, node_hash};

mod text;

#[cfg(test)]
mod tests;
