//! What leaves of a body: a streaming, byte-preserving engine for six formats, and the maskers it applies.
//!
//! [`Plan::compile`] turns a catalogue entry and the fields that a permit releases into an automaton over
//! names. A [`Transform`] runs one body through it, in pieces of any size: what may leave is copied byte for
//! byte (number text, order, white space), a masked value is decoded, masked and encoded again, and
//! everything else is dropped together with its separator. The output and the verdict are the same however
//! the body is cut into pieces. Memory is O(depth + longest name + longest masked value), each with a bound in
//! [`Bounds`].
//!
//! Every format has a reader (`json`, `csv`, `xml`, `form`, `events`) and a `notation` in which values are
//! written; plan, maskers and counters are the same for all.
//!
//! It does not know of HTTP, of content codings or of who asks. A body that it refuses must not
//! leave: what it wrote so far is true, but the rest is not known.
//!
//! # Invariants
//!
//! - A byte leaves only if it is grammar, around the records and named by the catalogue, or part of a field
//!   that is released; a value of another type than the catalogue declares never leaves. Beside that leave
//!   prefixes and declarations of namespaces that the catalogue names, and the `retry` of event streams.
//! - No body is accepted that its format does not allow, whatever part of it is dropped. Of JSON that is RFC
//!   8259: full grammar, UTF-8, no control characters in strings, no lone surrogate escapes, no byte order
//!   mark, nothing but white space after the end.
//! - Names are compared after their escapes are decoded, without Unicode normalisation: byte for byte, or with
//!   case and width folded where the catalogue says so. Every occurrence of a doubled name is treated the same.
//!
//! # What a value of JSON becomes
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
//! The place of the records itself is declared as an object. What values of the other formats become is said
//! in `docs/masking.md`. Where a plan searches, a text or number that leaves clear leaves as it is all the
//! same, and what is found in it is counted, or refuses the body.

mod automaton;
mod bounds;
mod charset;
mod context;
mod csv;
mod detect;
mod error;
mod events;
mod form;
mod json;
mod keys;
mod lanes;
mod masker;
mod mould;
mod notation;
mod place;
mod plan;
mod pseudonym;
pub mod recognise;
mod specials;
mod tally;
mod transform;
mod untyped;
mod xml;

pub use bounds::Bounds;
pub use error::MaskError;
pub use keys::{DatedSecret, KeysError, PseudonymKeys};
pub use lanes::Lanes;
pub use masker::{FittedKey, Masker, MaskerError, Maskers, Technique, Value};
pub use place::Place;
pub use plan::{Plan, PlanError, PlanSpec};
pub use pseudonym::PseudonymKey;
pub use transform::{FieldCount, FindingCount, Summary, Transform};
pub use xml::{XML_NAMESPACE, is_name as is_xml_name};

#[cfg(test)]
mod tests;
