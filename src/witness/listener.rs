//! From the socket to the answer: accept, TLS if there is any, HTTP/1.1. Every wait has a bound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Answerer;
use super::store::Store;
use crate::kernel::time::Clock;
use crate::listening::{self, ACCEPT_REST, Patience, Places};
use crate::tlog::witness::Witness;

/// From the first byte of a connection to the end of its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Open connections; more are closed at once.
const MAX_CONNECTIONS: usize = 256;
/// Open connections from one address, or from one network of a subscriber.
const MAX_OF_ONE: usize = 32;

/// A witness that listens.
pub(super) struct Server {
    answerer: Arc<Answerer>,
    acceptor: Option<TlsAcceptor>,
    places: Arc<Places>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    pub(super) fn new(
        witness: Witness,
        store: Store,
        acceptor: Option<TlsAcceptor>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            answerer: Arc::new(Answerer::new(witness, store, clock)),
            acceptor,
            places: Arc::new(Places::new(MAX_CONNECTIONS, MAX_OF_ONE)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Serves the connections of `listener`, until it is dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    // Closing at once is the cheapest answer to too many connections.
                    let Some(place) = self.places.enter(remote.ip()) else { continue };
                    let server = Arc::clone(&self);
                    self.tasks.spawn(async move {
                        server.connection(stream, remote).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    /// Lets requests in work end. Whether they have, within `bound`.
    pub(super) async fn stop(&self, bound: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(bound, self.tasks.wait()).await.is_ok()
    }

    async fn connection(&self, stream: TcpStream, remote: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%remote, %error, "a connection ended at once");
            return;
        }
        match &self.acceptor {
            None => self.http(stream, remote).await,
            Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream, remote).await,
                Ok(Err(error)) => tracing::debug!(%remote, %error, "a handshake failed"),
                Err(_elapsed) => tracing::debug!(%remote, "a handshake took too long"),
            },
        }
    }

    async fn http<S>(&self, stream: S, remote: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let answer = |request| {
            let answerer = Arc::clone(&self.answerer);
            async move { answerer.answer(request).await }
        };
        if let Err(error) = listening::serve(stream, Patience::USUAL, &self.stop, answer).await {
            tracing::debug!(%remote, %error, "a connection ended badly");
        }
    }
}
