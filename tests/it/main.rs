//! The integration tests: one binary, because linking is what costs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking, in its helpers too"
)]

mod corpus;
mod tidy;
