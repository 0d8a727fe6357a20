//! What becomes of a value that has to be looked at: [`Mould`].

use super::automaton::Rule;
use super::masker::{FittedKey, Masker};

/// What a value that does not leave as it is goes through.
#[derive(Debug)]
pub(super) enum Mould {
    /// A masker, with what it needs for its field.
    Masker { masker: Masker, key: Option<FittedKey> },
    /// It is a text that holds a JSON document, of which this rule says what leaves.
    Nested(Rule),
    /// Nothing: it leaves as it is, and is searched for identifiers.
    Search,
}
