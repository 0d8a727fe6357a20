//! The TLS handshake of a connection, and what it proved.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Gate;
use super::socket::Socket;
use crate::audit::Reached;
use crate::identity::Peer;
use crate::telemetry::HANDSHAKE_COMPLETED;
use crate::tls::HandshakeFailure;

impl Gate {
    /// The handshake, over by `deadline`, and what it proved.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        deadline: Instant,
    ) -> Option<(TlsStream<Socket>, Peer)> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%remote, %error, "a connection ended at once");
            return None;
        }
        let acceptor = TlsAcceptor::from(self.tls.load_full());
        let shaking = acceptor.accept(Socket::new(stream));
        let shaken = tokio::time::timeout_at(deadline, shaking).await;
        let (failure, stream) = match shaken {
            Ok(Ok(stream)) => (None, Some(stream)),
            Ok(Err(error)) => (Some(HandshakeFailure::of_io(&error)), None),
            Err(_elapsed) => (Some(HandshakeFailure::Timeout), None),
        };
        let peer = stream.and_then(|stream| {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let chain: Vec<Vec<u8>> = certificates.iter().map(|der| der.to_vec()).collect();
            let local = stream.get_ref().0.local_addr().ok()?;
            Some((stream, Peer::new(remote, local, chain).ok()?))
        });
        let failure = failure.or(if peer.is_none() { Some(HandshakeFailure::BadCertificate) } else { None });
        self.metrics.handshake(failure.map_or(HANDSHAKE_COMPLETED, HandshakeFailure::as_str));
        if let Some(failure) = failure {
            self.note_stranger(Reached::Handshake, failure.as_str(), remote);
            tracing::debug!(%remote, reason = failure.as_str(), "a handshake failed");
        }
        peer
    }
}
