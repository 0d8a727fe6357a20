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

    /// What to do about it, for whoever looks into it here: the client is told no more than TLS has an alert for.
    #[must_use]
    pub fn mend(self) -> &'static str {
        match self {
            Self::NoCertificate => "the client has to send its certificate, with curl `--cert` and `--key`",
            Self::UnknownAuthority => {
                "add the authority that issued it to `[tls] client_ca` if it is to be trusted; else the client has to \
                 use the certificate that was issued for here, its intermediates included"
            }
            Self::Expired => {
                "the client has to renew its certificate; if it is in force, see to the clock of this machine"
            }
            Self::NotYetValid => "see to the clock of this machine and of whoever issued the certificate",
            Self::Revoked => "the client has to use the certificate that replaces it",
            Self::RevocationUnknown => {
                "add the revocation list of the authority that issued it to `[tls] crls`"
            }
            Self::RevocationStale => {
                "fetch the authority's newest revocation list into its place, and `pinegate reload`: until then whoever it \
                 covers is refused"
            }
            Self::WrongUsage => {
                "the client needs a certificate for client authentication (extended key usage `clientAuth`)"
            }
            Self::WeakKey => {
                "the client needs a key on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more"
            }
            Self::BadCertificate => "`openssl x509 -text` shows it; certs/README.md says what it must be",
            Self::BadSignature => "certificate and key of the client have to belong together",
            Self::Incompatible => "the client has to speak TLS 1.2 or 1.3, with HTTP/1.1 or HTTP/2",
            Self::PeerAlert => {
                "the client does not trust the gate: it has to be told of the authority of `[tls] certificate`, with curl \
                 `--cacert`, and to call the gate by a name in it"
            }
            Self::Protocol => "the client has to speak TLS here: `https://`, not `http://`",
            Self::Timeout => "the client began, and did not go on; look at what lies between it and the gate",
            Self::Closed => "the client, a probe or what lies between went away; nothing, unless it goes on",
            Self::Other => "look at the lines of the log around it",
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
