//! What keeps TLS from being set up, by file, with what would be right.

use std::sync::Arc;

use crate::identity::certificate::CertificateError;
use crate::kernel::time::Timestamp;

/// Why TLS cannot be set up from the given files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not PEM, or is damaged.
    #[error("`{file}` is not readable PEM; expected {expected}")]
    Pem {
        /// The file.
        file: Arc<str>,
        /// What it should hold.
        expected: &'static str,
    },
    /// The file is PEM, without what is needed.
    #[error("`{file}` holds none; expected {expected}")]
    Empty {
        /// The file.
        file: Arc<str>,
        /// What it should hold.
        expected: &'static str,
    },
    /// The file holds more than it may.
    #[error("`{file}` holds more than {limit}; expected {expected}")]
    TooMany {
        /// The file.
        file: Arc<str>,
        /// What it should hold.
        expected: &'static str,
        /// How many it may hold.
        limit: usize,
    },
    /// A certificate or revocation list cannot be read.
    #[error("`{file}` holds one that cannot be read")]
    Unreadable {
        /// The file.
        file: Arc<str>,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// A certificate is over.
    #[error("the certificate of `{subject}` in `{file}` expired at {not_after}; replace it")]
    Expired {
        /// The file.
        file: Arc<str>,
        /// Whose certificate.
        subject: Arc<str>,
        /// When it ended.
        not_after: Timestamp,
    },
    /// A certificate has not begun.
    #[error("the certificate of `{subject}` in `{file}` is not valid before {not_before}")]
    NotYetValid {
        /// The file.
        file: Arc<str>,
        /// Whose certificate.
        subject: Arc<str>,
        /// When it begins.
        not_before: Timestamp,
    },
    /// A root that is not a certification authority.
    #[error("the certificate of `{subject}` in `{file}` is not a certification authority's")]
    NotAnAuthority {
        /// The file.
        file: Arc<str>,
        /// Whose certificate.
        subject: Arc<str>,
    },
    /// A root with a rule that is not understood.
    #[error("the certificate of `{subject}` in `{file}` has a critical extension that is not understood")]
    CriticalExtension {
        /// The file.
        file: Arc<str>,
        /// Whose certificate.
        subject: Arc<str>,
    },
    /// A key that is too weak or of a kind that is not accepted.
    #[error(
        "the key of `{subject}` in `{file}` is not accepted; use P-256, P-384, P-521, Ed25519 or RSA of 2048 bits or more"
    )]
    WeakKey {
        /// The file.
        file: Arc<str>,
        /// Whose certificate.
        subject: Arc<str>,
    },
    /// A certificate that is not fit to be a trust anchor.
    #[error("`{file}` holds a certificate that cannot be a root")]
    Root {
        /// The file.
        file: Arc<str>,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The private key cannot be used.
    #[error("`{file}` is not one unencrypted private key in PEM (PKCS#8, SEC 1 or PKCS#1)")]
    Key {
        /// The file.
        file: Arc<str>,
    },
    /// The private key is another certificate's.
    #[error("the key in `{key}` is not the one that the certificate in `{certificate}` is for")]
    KeyMismatch {
        /// The certificate's file.
        certificate: Arc<str>,
        /// The key's file.
        key: Arc<str>,
    },
    /// A revocation list of nobody that is trusted.
    #[error("the revocation list of `{issuer}` in `{file}` is of no configured certification authority")]
    ListIssuer {
        /// The file.
        file: Arc<str>,
        /// Who issued it.
        issuer: Arc<str>,
    },
    /// A revocation list that its issuer did not sign, or may not.
    #[error(
        "the revocation list of `{issuer}` in `{file}` is not signed by a key of that authority that may sign lists"
    )]
    ListSignature {
        /// The file.
        file: Arc<str>,
        /// Who is said to have issued it.
        issuer: Arc<str>,
    },
    /// A revocation list that is too old.
    #[error(
        "the revocation list of `{issuer}` in `{file}` is stale since {next_update}; fetch the next one, or have stale lists accepted: `stale_crl = \"accept\"`"
    )]
    ListStale {
        /// The file.
        file: Arc<str>,
        /// Who issued it.
        issuer: Arc<str>,
        /// When the next one was due.
        next_update: Timestamp,
    },
    /// An authority without a revocation list.
    #[error("there is no revocation list of `{subject}`; add it to `crls`")]
    ListMissing {
        /// The authority.
        subject: Arc<str>,
    },
    /// Revocation lists were asked for and none given.
    #[error("no revocation list is configured; name the files, or write `crls = \"none\"`")]
    NoLists,
    /// A revocation list that the verifier cannot use.
    #[error("a revocation list cannot be used")]
    Lists(#[source] rustls::server::VerifierBuilderError),
    /// rustls refuses the whole.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}
