//! Who may connect: client certificates against roots, dates, usage and revocation lists.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use super::anchors::{Anchors, Loaded};
use super::by_roots::ByRoots;
use super::revocation::LoadedList;
use super::{HandshakeFailure, OnGap, Revocation, TlsError, timestamp, unix_time};
use crate::identity::CertificateFacts;
use crate::kernel::time::Timestamp;

/// The most certificates that a peer may present, its own included. Path building is bounded by
/// rustls as well; this bounds it before it begins.
pub const MAX_PRESENTED_CERTIFICATES: usize = 8;

/// Why a peer's certificate is refused before its chain is even built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many certificates.
    #[error("the peer presented more than {MAX_PRESENTED_CERTIFICATES} certificates")]
    ChainTooLong,
    /// The certificate cannot be read.
    #[error("the peer's certificate cannot be read")]
    Unreadable,
    /// Its key is too weak or of a kind that is not accepted.
    #[error("the peer's key is too weak or of a kind that is not accepted")]
    WeakKey,
    /// Its key usage excludes signing, which every handshake needs (RFC 5280, 4.2.1.3).
    #[error("the peer's certificate has a key usage without digitalSignature")]
    Usage,
    /// It is a certification authority's own.
    #[error("the peer's certificate is a certification authority's")]
    Authority,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

/// What holds for every peer, client or server, whoever vouches for it.
pub(super) fn check_presented(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Refusal> {
    if intermediates.len() >= MAX_PRESENTED_CERTIFICATES {
        return Err(Refusal::ChainTooLong);
    }
    let facts = CertificateFacts::read(leaf).map_err(|_| Refusal::Unreadable)?;
    if !facts.key_kind.is_strong_enough() {
        return Err(Refusal::WeakKey);
    }
    if facts.is_authority {
        return Err(Refusal::Authority);
    }
    if !facts.key_usage.signs_data {
        return Err(Refusal::Usage);
    }
    Ok(())
}

/// Verifies client certificates: in handshakes, and again later for connections that live long.
#[derive(Debug)]
pub struct ClientVerifier {
    known_intermediates: Vec<CertificateDer<'static>>,
    lists: Lists,
    provider: Arc<CryptoProvider>,
    inner: ByRoots<dyn ClientCertVerifier>,
}

/// The lists and how gaps in them are treated; kept to build the verifier anew when a root expires.
#[derive(Debug)]
struct Lists {
    lists: Vec<LoadedList>,
    stale: OnGap,
    unknown: OnGap,
}

impl ClientVerifier {
    pub(super) fn new(
        anchors: Anchors,
        known_intermediates: &[Loaded],
        lists: Vec<LoadedList>,
        revocation: &Revocation,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let (stale, unknown) = match revocation {
            Revocation::None => (OnGap::Refuse, OnGap::Refuse),
            Revocation::Lists { stale, unknown, .. } => (*stale, *unknown),
        };
        let lists = Lists { lists, stale, unknown };
        let inner = build(Arc::clone(anchors.all()), &lists, &provider)?;
        let known_intermediates = known_intermediates.iter().map(|known| known.der.clone()).collect();
        Ok(Self { known_intermediates, lists, provider, inner: ByRoots::new(anchors, inner) })
    }

    /// The verifier by the roots in force, if there are any.
    pub(super) fn by_roots_at(&self, now: Timestamp) -> Option<Arc<dyn ClientCertVerifier>> {
        self.inner.at(now, |roots| build(roots, &self.lists, &self.provider))
    }

    /// Whether a chain (leaf first, DER) that was good once is still good at `now`, against these
    /// roots and lists. For connections that outlive a reload or their own certificate.
    ///
    /// # Errors
    /// Why it is not.
    pub fn still_good(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<(), HandshakeFailure> {
        let (leaf, intermediates) = chain.split_first().ok_or(HandshakeFailure::NoCertificate)?;
        let leaf = CertificateDer::from(leaf.as_slice());
        let intermediates: Vec<_> =
            intermediates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let now = unix_time(now).ok_or(HandshakeFailure::NotYetValid)?;
        match self.verify_client_cert(&leaf, &intermediates, now) {
            Ok(_) => Ok(()),
            Err(error) => Err(HandshakeFailure::of(&error)),
        }
    }
}

fn build(
    roots: Arc<RootCertStore>,
    lists: &Lists,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(lists.lists.iter().map(|list| list.der.clone()));
    if lists.stale == OnGap::Refuse {
        builder = builder.enforce_revocation_expiration();
    }
    if lists.unknown == OnGap::Accept {
        builder = builder.allow_unknown_revocation_status();
    }
    builder.build().map_err(TlsError::Lists)
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.by_all().root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_presented(end_entity, intermediates)?;
        let mut path: Vec<CertificateDer<'_>> = intermediates.to_vec();
        path.extend(self.known_intermediates.iter().cloned());
        self.by_roots_at(timestamp(now))
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?
            .verify_client_cert(end_entity, &path, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.by_all().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.by_all().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.by_all().supported_verify_schemes()
    }
}
