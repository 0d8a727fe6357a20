//! Which platform is believed: server certificates against the configured roots only.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::anchors::Anchors;
use super::by_roots::ByRoots;
use super::client_verifier::check_presented;
use super::revocation::LoadedList;
use super::{TlsError, timestamp};

/// Verifies server certificates.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    lists: Vec<LoadedList>,
    provider: Arc<CryptoProvider>,
    inner: ByRoots<WebPkiServerVerifier>,
}

impl ServerVerifier {
    pub(super) fn new(
        anchors: Anchors,
        lists: Vec<LoadedList>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let inner = build(Arc::clone(anchors.all()), &lists, &provider)?;
        Ok(Self { lists, provider, inner: ByRoots::new(anchors, inner) })
    }
}

fn build(
    roots: Arc<RootCertStore>,
    lists: &[LoadedList],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(lists.iter().map(|list| list.der.clone()))
        .enforce_revocation_expiration()
        .build()
        .map_err(TlsError::Lists)
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check_presented(end_entity, intermediates)?;
        self.inner
            .at(timestamp(now), |roots| build(roots, &self.lists, &self.provider))
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
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
