//! Domain words that everything else is made of: ids, instants, secrets, bounds, diagnostics.
//!
//! Knows nothing of files, sockets, async or any engine. No helpers live here, only nouns.

pub mod bound;
pub mod diagnostic;
pub mod id;
pub mod network;
pub mod reading;
pub mod secret;
#[cfg(test)]
#[path = "../tests/it/skip.rs"]
pub(crate) mod skip;
pub mod time;
