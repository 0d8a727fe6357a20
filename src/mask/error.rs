//! Why a body is refused.

use super::place::Place;
use crate::catalog::Identifier;

/// Why a body is refused. `at` is the offset in bytes from the start of the body.
///
/// Which error a body gets does not depend on how it was cut into pieces. No variant holds
/// anything that was read from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// Something other than the grammar of the format allows here.
    #[error("malformed at byte {at}: expected {expected}")]
    Syntax {
        /// Where.
        at: u64,
        /// What would be right.
        expected: &'static str,
    },
    /// Not UTF-8 (RFC 3629): overlong forms, surrogates and cut characters included.
    #[error("not UTF-8 at byte {at}")]
    Utf8 {
        /// Where the bad sequence begins.
        at: u64,
    },
    /// Not a character of the declared charset.
    #[error("not of the declared charset at byte {at} as sent")]
    Charset {
        /// Where the bad sequence begins, in the bytes as they were sent.
        at: u64,
    },
    /// A byte order mark. RFC 8259 section 8.1 forbids it to senders; elsewhere some readers take it
    /// for a part of the first name.
    #[error("the body begins with a byte order mark; it is sent without one")]
    ByteOrderMark,
    /// An unescaped control character where the format has none.
    #[error("unescaped control character at byte {at}")]
    Control {
        /// Where.
        at: u64,
    },
    /// An escape that the format does not know, or one that is cut short.
    #[error("unknown escape at byte {at}")]
    Escape {
        /// Where the escape stops being one.
        at: u64,
    },
    /// A `;` that is not escaped, in a form that a client sends: some programs part pairs at it (HTML 4.01, appendix
    /// B.2.2), and read another field behind it.
    #[error("unescaped `;` at byte {at}; write it `%3B`")]
    Semicolon {
        /// Where.
        at: u64,
    },
    /// A `\u` escape of half a surrogate pair.
    #[error("half a surrogate pair in a string at byte {at}")]
    Surrogate {
        /// Where the pair stops being one.
        at: u64,
    },
    /// Objects and arrays nested too deep.
    #[error("nested deeper than {max} levels at byte {at}")]
    Depth {
        /// Where the level too many opens.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// A member name too long to be compared.
    #[error("member name longer than {max} bytes at byte {at}")]
    KeyTooLong {
        /// Where the name exceeds the bound.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// A CSV header that is too long to be held.
    #[error("header longer than {max} bytes")]
    HeaderTooLong {
        /// Where the header exceeds the bound.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// More columns in a CSV header than are kept track of.
    #[error("more than {max} columns at byte {at}")]
    TooManyColumns {
        /// Where the name too many ends.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// More white space between two members than is held back.
    #[error("more than {max} bytes of white space before byte {at}")]
    SpaceTooLong {
        /// Where the white space exceeds the bound.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// Something after the end of the document.
    #[error("more than one document: unexpected byte {at} after the end")]
    Trailing {
        /// Where.
        at: u64,
    },
    /// The body ended inside a document, or held none.
    #[error("the body ends at byte {at}, inside a document")]
    Truncated {
        /// Where it ended.
        at: u64,
    },
    /// An identifier in a value that leaves as it is, where the resource blocks that.
    #[error("an unmasked {} in a value that leaves as it is", kind.as_str())]
    Egress {
        /// What it is.
        kind: Identifier,
    },
    /// Something other than XML 1.0 allows here, without a document type.
    #[error("not XML at byte {at}: expected {expected}")]
    Xml {
        /// Where.
        at: u64,
        /// What would be right.
        expected: &'static str,
    },
    /// A character that no XML document may hold (XML 1.0 section 2.2).
    #[error("a character that XML does not allow at byte {at}")]
    Character {
        /// Where.
        at: u64,
    },
    /// A document type: what it declares could mean anything.
    #[error("a document type at byte {at}; documents with one are not read")]
    DocumentType {
        /// Where.
        at: u64,
    },
    /// A prefix without a meaning, or a declaration that Namespaces in XML 1.0 does not allow.
    #[error("bad use of namespaces at byte {at}: expected {expected}")]
    Namespace {
        /// Where.
        at: u64,
        /// What would be right.
        expected: &'static str,
    },
    /// An XML declaration that says something else than what the body is.
    #[error("the XML declaration says another encoding than the body has")]
    DeclaredEncoding,
    /// The document element is not the one that the catalogue names.
    #[error("the document element at byte {at} is not the first name of `records`")]
    DocumentElement {
        /// Where.
        at: u64,
    },
    /// A tag too long to be held.
    #[error("tag or processing instruction longer than {max} bytes at byte {at}")]
    TagTooLong {
        /// Where it exceeds the bound.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// More attributes than are compared with each other.
    #[error("more than {max} attributes at byte {at}")]
    TooManyAttributes {
        /// Where the attribute too many begins.
        at: u64,
        /// The bound.
        max: usize,
    },
    /// More records than the reply may hold.
    #[error("more than {max} records")]
    TooManyRecords {
        /// The bound.
        max: u64,
    },
    /// A member that may not be in the body, where nothing is dropped in silence.
    #[error("{place} has a member that may not be there")]
    Outside {
        /// Where.
        place: Place,
    },
    /// A value of another type than the catalogue declares, where nothing is replaced in silence.
    #[error("{place} has a value of another type than declared")]
    WrongType {
        /// Where.
        place: Place,
    },
}

impl MaskError {
    /// Where something is that may not be there, if it is refused for that.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        if let Self::Outside { place } | Self::WrongType { place } = self { Some(*place) } else { None }
    }

    /// The reason as one kebab-case word, for problem codes, metrics and records.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Xml { .. } => "syntax",
            Self::Utf8 { .. } => "utf8",
            Self::Charset { .. } => "charset",
            Self::ByteOrderMark => "byte-order-mark",
            Self::Control { .. } => "control-character",
            Self::Escape { .. } => "escape",
            Self::Semicolon { .. } => "semicolon",
            Self::Surrogate { .. } => "surrogate",
            Self::Depth { .. } => "depth",
            Self::KeyTooLong { .. } => "key-too-long",
            Self::HeaderTooLong { .. } => "header-too-long",
            Self::TooManyColumns { .. } => "too-many-columns",
            Self::SpaceTooLong { .. } => "space-too-long",
            Self::Trailing { .. } => "trailing",
            Self::Truncated { .. } => "truncated",
            Self::Egress { .. } => "egress",
            Self::Character { .. } => "character",
            Self::DocumentType { .. } => "document-type",
            Self::Namespace { .. } => "namespace",
            Self::DeclaredEncoding => "declared-encoding",
            Self::DocumentElement { .. } => "document-element",
            Self::TagTooLong { .. } => "tag-too-long",
            Self::TooManyAttributes { .. } => "too-many-attributes",
            Self::TooManyRecords { .. } => "too-many-records",
            Self::Outside { .. } => "outside",
            Self::WrongType { .. } => "wrong-type",
        }
    }
}
