//! The integration tests: one binary, because linking is what costs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on says so by panicking, in its helpers too"
)]
#![expect(clippy::disallowed_methods, reason = "tests stop what they start")]
#![expect(clippy::print_stderr, reason = "what a test could not do is said aloud")]

mod city;

mod answers;
mod audit;
mod beginnings;
mod bodies;
mod bounds;
mod conformance;
mod corpus;
mod demo;
mod deploy;
mod docs;
mod egress;
mod handover;
mod handshakes;
mod happy;
mod large;
mod live;
mod naughty;
mod operators;
mod outside;
mod proxied;
mod refusals;
mod sessions;
mod shadow;
mod ship;
#[cfg(test)]
mod skip;
mod smuggling;
mod strangers;
mod subjects;
mod submissions;
mod threats;
mod tidy;
mod tls;
mod top;
mod traces;
mod upstreams;
mod witness;
