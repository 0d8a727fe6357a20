//! Why a handshake failed, in few words that are safe as metric labels.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerMisbehaved};

use super::client_verifier::Refusal;

/// Why a handshake failed. A closed list: nothing in it comes from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HandshakeFailure {
    /// The client presented no certificate.
    NoCertificate,
    /// No configured authority vouches for the certificate.
    UnknownAuthority,
    /// A certificate of the chain is over.
    Expired,
    /// A certificate of the chain has not begun.
    NotYetValid,
    /// A certificate of the chain is revoked.
    Revoked,
    /// No revocation list covers the certificate.
    RevocationUnknown,
    /// The revocation list is overdue, or is not usable.
    RevocationStale,
    /// The certificate is not for client authentication.
    WrongUsage,
    /// The key is too weak or of a kind that is not accepted.
    WeakKey,
    /// The certificate or its chain is wrong in another way: names, constraints, form.
    BadCertificate,
    /// The peer does not hold the certificate's key.
    BadSignature,
    /// No version, suite, group or protocol in common.
    Incompatible,
    /// The peer refused us with an alert.
    PeerAlert,
    /// The peer broke the protocol.
    Protocol,
    /// The deadline passed.
    Timeout,
    /// The peer went away.
    Closed,
    /// Anything else, our own faults included.
    Other,
}

impl HandshakeFailure {
    /// All of them, for metric families that begin at zero.
    pub const ALL: [Self; 17] = [
        Self::NoCertificate,
        Self::UnknownAuthority,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::RevocationUnknown,
        Self::RevocationStale,
        Self::WrongUsage,
        Self::WeakKey,
        Self::BadCertificate,
        Self::BadSignature,
        Self::Incompatible,
        Self::PeerAlert,
        Self::Protocol,
        Self::Timeout,
        Self::Closed,
        Self::Other,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::UnknownAuthority => "unknown-ca",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "crl-unknown",
            Self::RevocationStale => "crl-stale",
            Self::WrongUsage => "wrong-usage",
            Self::WeakKey => "weak-key",
            Self::BadCertificate => "bad-certificate",
            Self::BadSignature => "bad-signature",
            Self::Incompatible => "incompatible",
            Self::PeerAlert => "peer-alert",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }

    /// What a TLS error amounts to.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls's error may grow: what is new is `other`")]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::InvalidCertRevocationList(_) => Self::RevocationStale,
            Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => {
                Self::BadSignature
            }
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::AlertReceived(AlertDescription::CloseNotify | AlertDescription::UserCanceled) => {
                Self::Closed
            }
            Error::AlertReceived(_) => Self::PeerAlert,
            Error::PeerMisbehaved(_)
            | Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerSentOversizedRecord => Self::Protocol,
            _ => Self::Other,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls's error may grow: what is new is `bad`")]
    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus => Self::RevocationUnknown,
            CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::RevocationStale,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongUsage
            }
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Other(other) => match other.0.downcast_ref::<Refusal>() {
                Some(Refusal::WeakKey) => Self::WeakKey,
                Some(Refusal::Usage) => Self::WrongUsage,
                Some(Refusal::ChainTooLong | Refusal::Unreadable | Refusal::Authority) | None => {
                    Self::BadCertificate
                }
            },
            _ => Self::BadCertificate,
        }
    }

    /// What an I/O error of a handshake amounts to.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "of the many kinds of I/O error few are told apart")]
    pub fn of_io(error: &io::Error) -> Self {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return Self::of(error);
        }
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Other,
        }
    }
}
