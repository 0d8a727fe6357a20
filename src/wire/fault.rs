//! What is wrong with bytes that have no single reading.

use thiserror::Error;

/// Why bytes are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// RFC 9112, section 2.2: a recipient may take it for the end of a line, and need not.
    #[error("a line ends with LF alone")]
    BareLf,
    /// RFC 9112, section 2.2: it is invalid, or a blank.
    #[error("a CR stands without its LF")]
    BareCr,
    /// RFC 9112, section 2.2: one empty line is passed over, for old clients that end bodies with one.
    #[error("there are empty lines, or a blank, before the request line")]
    Leading,
    /// RFC 9112, section 3.
    #[error("the request line is not a method, a target and a version with one blank between each")]
    RequestLine,
    /// RFC 9110, section 9.3.6: nothing here is a tunnel; and a bound that no method reaches.
    #[error("the method opens a tunnel, or is too long")]
    Method,
    /// RFC 9112, section 3.2: neither origin-form nor absolute-form, or with a byte that no URI has.
    #[error("the target is not a path or an `http` URI in plain ASCII, or it has a fragment")]
    Target,
    /// A bound of the gate.
    #[error("the target is too long")]
    TargetTooLong,
    /// RFC 9112, section 2.3.
    #[error("the version is not HTTP/1.1")]
    Version,
    /// RFC 9112, section 5.2 (obs-fold), and section 2.2 for the first line.
    #[error("a field line begins with a blank")]
    Fold,
    /// RFC 9112, section 5.1.
    #[error("a blank stands before the colon of a field line")]
    BlankBeforeColon,
    /// RFC 9112, section 5; RFC 9110, section 5.1.
    #[error("a field line has no name, no colon, or a name with a character that none may have")]
    FieldName,
    /// RFC 9110, section 5.5.
    #[error("a field value has a control character")]
    Control,
    /// A bound of the gate (RFC 6585, section 5).
    #[error("the head has more than {limit} bytes")]
    TooLarge {
        /// How many it may have.
        limit: usize,
    },
    /// A bound of the gate (RFC 6585, section 5).
    #[error("the head has more than {limit} fields")]
    TooManyFields {
        /// How many it may have.
        limit: usize,
    },
    /// RFC 9110, section 8.6.
    #[error("`Content-Length` is not one plain number")]
    Length,
    /// RFC 9112, section 6.3.
    #[error("`Content-Length` comes twice")]
    LengthTwice,
    /// RFC 9112, sections 6.1 and 7; HTTP/1.0 has none.
    #[error("`Transfer-Encoding` is not one plain `chunked`, or comes twice, or with HTTP/1.0")]
    Coding,
    /// RFC 9112, section 6.1.
    #[error("`Content-Length` and `Transfer-Encoding` come together")]
    LengthAndCoding,
    /// RFC 9112, section 7.1.
    #[error("the size of a chunk is not up to eight hexadecimal digits alone")]
    ChunkSize,
    /// RFC 9112, section 7.1.1: they may be passed over, and differently.
    #[error("a chunk has extensions")]
    ChunkExtension,
    /// RFC 9112, section 7.1.
    #[error("the data of a chunk does not end where its size says")]
    ChunkEnd,
    /// RFC 9110, section 6.5.1: fields that a head must have are not for trailers.
    #[error("a trailer is a field that only a head may have")]
    Trailer,
    /// A bound of the gate.
    #[error("the trailers are too many or too large")]
    TooManyTrailers,
}
