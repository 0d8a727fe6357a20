//! Build, start, reload, drain: the only module that sees all others.
//!
//! [`assemble`](assemble::assemble) makes everything that reloads together, or says all that keeps it
//! from being made; `check` runs the very same code. [`run`](run::run) serves until it is told to stop.

pub mod assemble;
pub mod run;
