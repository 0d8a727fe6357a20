//! The policy as its authors look at it: what another policy would decide otherwise.
//!
//! Pure like the engines, and above them: it asks [`crate::policy`] and compares. It stands a layer
//! higher because it is built on an engine, not beside one.

pub mod change;
pub mod gate;
pub mod replay;
