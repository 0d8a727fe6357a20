//! The policy as its authors look at it: what it should decide, and what another would decide otherwise.
//!
//! Pure like the engines, and above them: it asks [`crate::policy`] and compares. It stands a layer
//! higher because it is built on an engine, not beside one.

pub mod case;
pub mod change;
pub mod coverage;
pub mod diff;
pub mod gate;
pub mod lint;
pub mod replay;
