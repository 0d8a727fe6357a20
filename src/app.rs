//! Build, start, reload, drain: the only module that sees all others.
//!
//! [`load`] reads a policy directory; [`assemble`](assemble::assemble) makes everything that reloads together,
//! or says all that keeps it from being made; `check` runs the very same code. [`run`](run::run) serves until it is told to stop.

pub mod assemble;
pub mod load;
pub mod run;

mod keeping;
mod levels;
mod operate;
mod overdue;
mod restore;
mod signals;
mod sockets;
mod strangers;
mod upstreams;

pub(crate) use levels::Levels;
pub(crate) use sockets::Inherited;
