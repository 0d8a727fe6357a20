//! A transparency log: what binds records so that somebody who trusts neither the gate nor whoever runs
//! it can check them.
//!
//! Pure. The tree is that of RFC 6962 with SHA-256; [`tile`] is how it lies on disk (C2SP `tlog-tiles`),
//! [`note`] how heads are signed (C2SP `signed-note`), [`checkpoint`] what a signed head says (C2SP
//! `tlog-checkpoint`). Knows nothing of what the entries are.

pub mod checkpoint;
pub mod growth;
pub mod note;
pub mod tile;
pub mod tree;

pub use checkpoint::Checkpoint;
pub use growth::{Growth, Tile};
pub use note::{NoteError, NoteSigner, VerifierKey};
pub use tile::TilePath;
pub use tree::{Tree, empty_root, leaf_hash, node_hash};
