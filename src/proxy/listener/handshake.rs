//! The TLS handshake of a connection, and what it proved.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Gate;
use super::socket::{Socket, set_up};
use crate::audit::Reached;
use crate::identity::Peer;
use crate::telemetry::HANDSHAKE_COMPLETED;
use crate::tls::HandshakeFailure;

/// How long a client is given to take the alert that tells it why.
const LINGER: Duration = Duration::from_millis(500);

/// How much it may send meanwhile.
const LINGER_BYTES: u64 = 64 << 10;

impl Gate {
    /// The handshake, over by `deadline`, and what it proved.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        deadline: Instant,
    ) -> Option<(TlsStream<Socket>, Peer)> {
        if let Err(error) = set_up(&stream) {
            tracing::debug!(%remote, %error, "a connection ended at once");
            return None;
        }
        let acceptor = TlsAcceptor::from(self.tls.load_full());
        let shaking = acceptor.accept(Socket::new(stream)).into_fallible();
        let shaken = tokio::time::timeout_at(deadline, shaking).await;
        let (failure, stream) = match shaken {
            Ok(Ok(stream)) => (None, Some(stream)),
            Ok(Err((error, socket))) => {
                let failure = HandshakeFailure::of_io(&error);
                if failure != HandshakeFailure::Closed {
                    linger(socket, deadline).await;
                }
                (Some(failure), None)
            }
            Err(_elapsed) => (Some(HandshakeFailure::Timeout), None),
        };
        let peer = stream.and_then(|stream| {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let local = stream.get_ref().0.local_addr().ok()?;
            let peer = self.presented.peer(remote, local, certificates).ok()?;
            Some((stream, peer))
        });
        let failure = failure.or(if peer.is_none() { Some(HandshakeFailure::BadCertificate) } else { None });
        self.metrics.handshake(failure.map_or(HANDSHAKE_COMPLETED, HandshakeFailure::as_str));
        if let Some(failure) = failure {
            self.note_stranger(Reached::Handshake, failure.as_str(), remote);
            tracing::debug!(%remote, reason = failure.as_str(), mend = failure.mend(), "a handshake failed");
        }
        peer
    }
}

/// Ends a connection whose client is still to take an alert. In TLS 1.3 it has sent its request already when its
/// certificate is looked at; were the socket closed with that unread, the kernel would reset the connection, and
/// the client would hear of that in place of the alert.
async fn linger(mut socket: Socket, deadline: Instant) {
    let until = deadline.min(Instant::now() + LINGER);
    let taken = tokio::time::timeout_at(until, async {
        socket.shutdown().await?;
        tokio::io::copy(&mut socket.take(LINGER_BYTES), &mut tokio::io::sink()).await
    });
    // It has the alert by now, or does not want it.
    let _taken = taken.await;
}
