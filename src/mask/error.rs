//! Why a body is refused.

/// Why a body is refused. `at` is the offset in bytes from the start of the body.
///
/// Which error a body gets does not depend on how it was cut into pieces. No variant holds
/// anything that was read from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// Something other than the grammar of RFC 8259 allows here.
    #[error("not JSON at byte {at}: expected {expected}")]
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
    /// A byte order mark, which RFC 8259 section 8.1 forbids to senders; other formats follow it.
    #[error("the body begins with a byte order mark; it is sent without one")]
    ByteOrderMark,
    /// An unescaped control character in a string.
    #[error("unescaped control character in a string at byte {at}")]
    Control {
        /// Where.
        at: u64,
    },
    /// An escape other than those of RFC 8259 section 7.
    #[error("unknown escape in a string at byte {at}")]
    Escape {
        /// Where the escape stops being one.
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
    #[error("the XML declaration says another encoding than UTF-8")]
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
}

impl MaskError {
    /// The reason as one kebab-case word, for problem codes, metrics and records.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Xml { .. } => "syntax",
            Self::Utf8 { .. } => "utf8",
            Self::ByteOrderMark => "byte-order-mark",
            Self::Control { .. } => "control-character",
            Self::Escape { .. } => "escape",
            Self::Surrogate { .. } => "surrogate",
            Self::Depth { .. } => "depth",
            Self::KeyTooLong { .. } => "key-too-long",
            Self::SpaceTooLong { .. } => "space-too-long",
            Self::Trailing { .. } => "trailing",
            Self::Truncated { .. } => "truncated",
            Self::Character { .. } => "character",
            Self::DocumentType { .. } => "document-type",
            Self::Namespace { .. } => "namespace",
            Self::DeclaredEncoding => "declared-encoding",
            Self::DocumentElement { .. } => "document-element",
            Self::TagTooLong { .. } => "tag-too-long",
            Self::TooManyAttributes { .. } => "too-many-attributes",
            Self::TooManyRecords { .. } => "too-many-records",
        }
    }
}
