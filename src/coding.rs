//! Content codings (RFC 9110, section 8.4): a coded body and the plain one it stands for.
//!
//! Both directions take bytes in pieces of any size and hold a bounded amount of memory, whatever they
//! are given: a [`Decoder`] gives what comes out in pieces of its own, so that a few bytes that stand for very
//! many never become them at once. It reads one coding, one stream of it, and nothing after its end, and it
//! keeps a bound on how much may come of how little. Bodies, header fields and who asks are not known here.

mod accept;
mod decoder;
mod encoder;

pub use accept::Accepted;
pub use decoder::{Bounds, Decoder};
pub use encoder::Encoder;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Zstandard (RFC 8878), with a window of at most 8 MiB (RFC 9659).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// Gzip (RFC 1952).
    Gzip,
}

/// More than one coding, or one that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of `zstd`, `br` and `gzip`")]
pub struct UnknownCoding;

impl Coding {
    /// Every coding, those that cost least for what they save first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in header fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding called `name`, in any case.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, UnknownCoding> {
        // RFC 9110, section 8.4.1.3.
        let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.as_str())).ok_or(UnknownCoding)
    }

    /// The coding that the values of `Content-Encoding` name, if they name any.
    ///
    /// # Errors
    /// When they name two, or one that is not known.
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Result<Option<Self>, UnknownCoding> {
        let mut only = None;
        for name in values.into_iter().flat_map(|value| value.split(',')).map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            if only.replace(Self::parse(name)?).is_some() {
                return Err(UnknownCoding);
            }
        }
        Ok(only)
    }
}

/// Why a body cannot be decoded or encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodingError {
    /// It is not what its coding says, or asks for more memory than its coding allows.
    #[error("the body is not what its content coding `{coding}` says")]
    Broken {
        /// What it should be.
        coding: &'static str,
        /// What is wrong, in the words of its decoder.
        #[source]
        source: std::io::Error,
    },
    /// It asks for a window beyond what its coding allows.
    #[error("the content coding `{coding}` asks for a window that is too large")]
    Window {
        /// What it should be.
        coding: &'static str,
    },
    /// It ends too early.
    #[error("the body ends before its content coding `{coding}` does")]
    Truncated {
        /// What it should be.
        coding: &'static str,
    },
    /// Something comes after the end of the coding.
    #[error("the body goes on after the end of its content coding `{coding}`")]
    Trailing {
        /// What it should be.
        coding: &'static str,
    },
    /// Too much comes of too little.
    #[error("the body decodes to more than {max} times its size")]
    Ratio {
        /// The bound.
        max: u64,
    },
    /// Too much comes of it.
    #[error("the body decodes to more than {max} bytes")]
    Size {
        /// The bound.
        max: u64,
    },
    /// It could not be encoded.
    #[error("the body could not be encoded as `{coding}`")]
    Encoder {
        /// What it should become.
        coding: &'static str,
        /// What is wrong, in the words of its encoder.
        #[source]
        source: std::io::Error,
    },
}

impl CodingError {
    /// The reason as one kebab-case word, for problem codes, metrics and records.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Broken { .. } => "coding-broken",
            Self::Window { .. } => "coding-window",
            Self::Truncated { .. } => "coding-truncated",
            Self::Trailing { .. } => "coding-trailing",
            Self::Ratio { .. } => "coding-ratio",
            Self::Size { .. } => "coding-size",
            Self::Encoder { .. } => "coding-failed",
        }
    }
}

#[cfg(test)]
mod tests;
