//! The audit record: its bytes, the chain that binds records, and the check of both.
//!
//! Pure. An [`Access`] or a [`Lifecycle`] becomes an [`Entry`], one line of canonical JSON without
//! its head. A [`Chain`] adds the head and thereby the place in the log, and checks lines that were
//! written before. [`ParsedRecord`] reads a line back. `docs/audit-record.md` describes every field.
//!
//! A line never holds a value of the data, a token or a query text; every text in it is escaped
//! and every length bounded, so that nothing a caller sends can forge or split a record.

mod chain;
mod keyed;
mod line;
mod members;
mod parsed;
mod record;
mod strangers;
#[cfg(test)]
mod tests;
mod view;

pub use chain::{Broken, Chain, Tail, genesis, is_record, judge_tail};
pub use keyed::{DigestKey, KeyId, ReceivedDigest, SubjectDigest};
pub use line::{is_dangerous, push_escaped};
pub use members::{Members, Name};
pub use parsed::{ParseError, ParsedRecord, SubjectsOf, peek_ended, peek_instant, peek_kind, peek_subjects};
pub use record::{Access, Admitted, Entry, Event, Kind, Lifecycle, Outcome, Shadow, Subjects, Submitted};
pub use strangers::{Reached, Strangers};
pub use view::{AccessView, Listed};

/// The version of the record's schema, its field `v`.
pub const SCHEMA_VERSION: u64 = 1;

/// The longest line, head included, without its newline.
pub const MAX_LINE_BYTES: usize = 16 * 1024;
