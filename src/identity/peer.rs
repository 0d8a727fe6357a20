//! What TLS proved of a connection.

use core::net::SocketAddr;
use std::sync::Arc;

use super::certificate::{CertificateError, CertificateFacts};

/// The other end of a connection, after a handshake that verified its certificate.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it connected from. For records and limits of strangers; never an identity.
    pub remote: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// What its certificate says, read once per connection.
    pub certificate: Arc<CertificateFacts>,
    /// The chain it presented, leaf first, in DER: what a reload of roots or revocation lists is
    /// checked against.
    pub chain: Arc<[Vec<u8>]>,
}

/// Why a verified connection has no usable peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no certificate at all.
    #[error("the connection presented no certificate")]
    NoCertificate,
    /// The certificate cannot be read.
    #[error("the client certificate cannot be read")]
    Certificate(#[source] CertificateError),
}

impl Peer {
    /// Reads the facts of a connection whose `chain` (leaf first) was verified.
    ///
    /// # Errors
    /// When there is no leaf or it cannot be read.
    pub fn new(
        remote: SocketAddr,
        local: SocketAddr,
        chain: impl Into<Arc<[Vec<u8>]>>,
    ) -> Result<Self, PeerError> {
        let chain = chain.into();
        let leaf = chain.first().ok_or(PeerError::NoCertificate)?;
        let certificate = Arc::new(CertificateFacts::read(leaf).map_err(PeerError::Certificate)?);
        Ok(Self { remote, local, certificate, chain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_readable_leaf() {
        let remote: SocketAddr = "192.0.2.1:7".parse().unwrap();
        assert_eq!(Peer::new(remote, remote, Vec::new()).unwrap_err(), PeerError::NoCertificate);
        let error = Peer::new(remote, remote, vec![vec![1, 2]]).unwrap_err();
        assert_eq!(error, PeerError::Certificate(CertificateError::NotACertificate));
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        let peer = Peer::new(remote, remote, vec![leaf.clone(), vec![1, 2]]).unwrap();
        assert_eq!(*peer.certificate, CertificateFacts::read(&leaf).unwrap());
        assert_eq!((peer.chain.len(), peer.remote), (2, remote));
    }
}
