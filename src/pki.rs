//! A certification authority for development and demos: certificates, a revocation list, token keys.
//!
//! Its private key lies in a file beside everything else; nothing real may ever trust it. It writes
//! files and returns what it wrote; it prints nothing. `certs/README.md` shows the layout.

mod authority;
mod files;
mod index;
mod tokens;

use std::path::{Path, PathBuf};

pub use authority::{ClientName, DevelopmentCa};
pub use files::Overwrite;
pub use index::IssuedKind;
pub use tokens::{IssuedTokenKey, issue_token_key};

use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;

/// Why the development authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file is there already.
    #[error("`{}` exists already; ask for it to be overwritten, or choose another directory", path.display())]
    Exists {
        /// Which one.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("`{}` cannot be {action}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what this authority wrote.
    #[error("`{}` is not as this authority writes it; expected {expected}", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A name that cannot be a file's name.
    #[error(
        "`{name}` cannot name a file; use up to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A name that cannot stand in a certificate.
    #[error("`{name}` cannot stand in a certificate; expected {expected}")]
    Subject {
        /// The name.
        name: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A validity that cannot be.
    #[error("a certificate cannot be valid for {days} days from {from}")]
    Validity {
        /// From when.
        from: Timestamp,
        /// For how long.
        days: u32,
    },
    /// No certificate has the serial number or name.
    #[error("no certificate that this authority issued has the serial number or name `{asked}`")]
    NotIssued {
        /// What was asked for.
        asked: String,
    },
    /// The certificate, list or key cannot be made.
    #[error("the certificate, list or key cannot be made")]
    Make(#[source] rcgen::Error),
    /// Randomness failed.
    #[error("the system gives no random bytes")]
    Random,
    /// The token key cannot be used.
    #[error("the token key cannot be used")]
    TokenKey(#[source] crate::identity::token::MintError),
}

/// A certificate that was issued, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PKCS#8 PEM, readable by its owner only.
    pub key: PathBuf,
    /// Its serial number in lower-case hexadecimal.
    pub serial: String,
    /// Its SHA-256 fingerprint.
    pub fingerprint: Digest,
    /// The last instant of its validity.
    pub not_after: Timestamp,
}

fn join(directory: &Path, name: &str, ending: &str) -> Result<PathBuf, PkiError> {
    const MAX_NAME_BYTES: usize = 64;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let right = name.len() <= MAX_NAME_BYTES
        && name.bytes().all(plain)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if right {
        Ok(directory.join(format!("{name}.{ending}")))
    } else {
        Err(PkiError::Name { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests;
