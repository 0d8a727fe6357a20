//! What leaves of a body: a streaming, byte-preserving JSON transformer and the maskers it applies.
//!
//! [`Plan::compile`] turns a catalogue entry and the fields that a permit releases into an
//! automaton over member names. A [`Transform`] runs one body through it, in pieces of any size:
//! what may leave is copied byte for byte (number text, key order, white space), a masked value is
//! decoded, masked and encoded again, and everything else is dropped together with its separator.
//! The output and the verdict are the same however the body is cut into pieces. Memory is
//! O(depth + longest key + longest masked value), each with a bound in [`Bounds`].
//!
//! It does not know of HTTP, of content codings or of who asks. A body that it refuses must not
//! leave: what it wrote so far is true, but the rest is not known.
//!
//! # Invariants
//!
//! - A byte leaves only if it is grammar, an envelope member that the catalogue names, or part of a
//!   field that is released; a value of another type than the catalogue declares never leaves.
//! - No body is accepted that RFC 8259 does not allow, whatever part of it is dropped: full grammar,
//!   UTF-8, no control characters in strings, no lone surrogate escapes, no byte order mark, nothing
//!   but white space after the end.
//! - Keys are compared after their escapes are decoded, byte for byte, without folding of case or
//!   Unicode normalisation. Every occurrence of a doubled key is treated the same.
//!
//! # What a value becomes
//!
//! | declared as | found | clear | masked |
//! |---|---|---|---|
//! | any | `null` | `null` | `null` |
//! | any | array | each element by this table | each element by this table |
//! | scalar | the declared type | as it is | as the masker leaves it |
//! | scalar | another scalar | `null` | as the masker leaves it |
//! | scalar | object | `null` | `null` |
//! | object | object | its released members | its released members |
//! | object | scalar | `null` | `null` |
//!
//! The place of the records itself is declared as an object. What elements and attributes of XML become
//! is said in `docs/masking.md`. Where a plan searches, a text or number that leaves clear leaves as it
//! is all the same, and what is found in it is counted, or refuses the body.

mod automaton;
mod charset;
mod context;
mod csv;
mod detect;
mod error;
mod events;
mod form;
mod json;
mod keys;
mod masker;
mod notation;
mod plan;
mod pseudonym;
pub mod recognise;
mod specials;
mod tally;
mod transform;
mod untyped;
mod xml;

pub use error::MaskError;
pub use json::Lanes;
pub use keys::{DatedSecret, KeysError, PseudonymKeys};
pub use masker::{FittedKey, Masker, MaskerError, Maskers, Technique, Value};
pub use plan::{Plan, PlanError, PlanSpec};
pub use pseudonym::PseudonymKey;
pub use tally::Place;
pub use transform::{Bounds, FieldCount, FindingCount, Summary, Transform};
pub use xml::{XML_NAMESPACE, is_name as is_xml_name};

#[cfg(test)]
mod tests;
