//! What TLS proved of a connection.

use core::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::certificate::{CertificateError, CertificateFacts};
use crate::kernel::id::Digest;

/// How much is remembered of chains, in bytes, and what is expected of one. Its leaf is verified; what comes with it is
/// whatever a client makes up.
const MAX_PRESENTED_BYTES: u64 = 16 * 1024 * 1024;
const USUAL_CHAIN_BYTES: u64 = 4 * 1024;

/// What is counted of a chain besides its certificates: their places, and what the leaf says.
const KNOWN_BYTES: u64 = 1024;

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

/// What was presented lately. Who calls comes again, with many connections at once: each chain is read and kept once.
#[derive(Debug)]
pub struct Presented(Cache<Digest, Known, Held>);

/// A chain and what its leaf says.
#[derive(Debug, Clone)]
struct Known {
    certificate: Arc<CertificateFacts>,
    chain: Arc<[Vec<u8>]>,
}

/// Weighs by what is held.
#[derive(Debug, Clone)]
struct Held;

impl Weighter<Digest, Known> for Held {
    fn weight(&self, _key: &Digest, known: &Known) -> u64 {
        let bytes = known.chain.iter().map(|der| u64::try_from(der.len()).unwrap_or(u64::MAX));
        bytes.fold(KNOWN_BYTES, u64::saturating_add)
    }
}

impl Default for Presented {
    fn default() -> Self {
        let expected = usize::try_from(MAX_PRESENTED_BYTES / USUAL_CHAIN_BYTES).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(expected, MAX_PRESENTED_BYTES, Held))
    }
}

impl Presented {
    /// The facts of a connection whose `chain` (leaf first) was verified.
    ///
    /// # Errors
    /// As for [`Peer::new`].
    pub fn peer(
        &self,
        remote: SocketAddr,
        local: SocketAddr,
        chain: &[impl AsRef<[u8]>],
    ) -> Result<Peer, PeerError> {
        let key = digest_of(chain);
        if let Some(Known { certificate, chain }) = self.0.get(&key) {
            return Ok(Peer { remote, local, certificate, chain });
        }
        let chain: Vec<Vec<u8>> = chain.iter().map(|der| der.as_ref().to_vec()).collect();
        let peer = Peer::new(remote, local, chain)?;
        let (certificate, chain) = (Arc::clone(&peer.certificate), Arc::clone(&peer.chain));
        self.0.insert(key, Known { certificate, chain });
        Ok(peer)
    }
}

/// Names a chain, byte for byte.
fn digest_of(chain: &[impl AsRef<[u8]>]) -> Digest {
    let mut context = Context::new(&SHA256);
    for der in chain {
        let der = der.as_ref();
        // Where one ends and the next begins is part of it.
        context.update(&der.len().to_be_bytes());
        context.update(der);
    }
    let mut digest = Digest([0; 32]);
    digest.0.copy_from_slice(context.finish().as_ref());
    digest
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

        let presented = Presented::default();
        assert_eq!(presented.peer(remote, remote, &[[1, 2]]).unwrap_err(), error);
        let (chain, elsewhere) = ([leaf.clone(), vec![1, 2]], "192.0.2.2:7".parse().unwrap());
        let first = presented.peer(remote, remote, &chain).unwrap();
        let again = presented.peer(elsewhere, remote, &chain).unwrap();
        assert!(
            Arc::ptr_eq(&first.chain, &again.chain) && Arc::ptr_eq(&first.certificate, &again.certificate)
        );
        assert_eq!(
            (&*again.certificate, &*again.chain, again.remote),
            (&*peer.certificate, &chain[..], elsewhere)
        );
        // The same bytes, parted elsewhere, are another chain.
        let other = presented.peer(remote, remote, &[leaf, vec![1], vec![2]]).unwrap();
        assert_eq!(other.chain.len(), 3);
    }

    #[test]
    fn made_up_chains_hold_no_more_than_they_may() {
        let remote: SocketAddr = "192.0.2.1:7".parse().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        let presented = Presented::default();
        let mut junk = vec![7; 15_000];
        // Three times as much as may be held.
        let chains: Vec<_> = (0..800_u64)
            .map(|nth| {
                junk[..8].copy_from_slice(&nth.to_be_bytes());
                let chain = [&leaf, &junk, &junk, &junk, &junk];
                Arc::downgrade(&presented.peer(remote, remote, &chain).unwrap().chain)
            })
            .collect();
        let held = chains.iter().filter_map(std::sync::Weak::upgrade);
        let bytes: usize = held.map(|chain| chain.iter().map(Vec::len).sum::<usize>()).sum();
        assert!(bytes > 0 && bytes <= usize::try_from(MAX_PRESENTED_BYTES).unwrap(), "{bytes} bytes");
        let honest = [leaf];
        let (first, again) = (
            presented.peer(remote, remote, &honest).unwrap(),
            presented.peer(remote, remote, &honest).unwrap(),
        );
        assert!(Arc::ptr_eq(&first.chain, &again.chain), "who makes up nothing is remembered");
    }
}
