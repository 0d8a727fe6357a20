//! From the socket to the answer: accept, TLS if there is any, HTTP/1.1. Every wait has a bound.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Answerer;
use super::peers::Peers;
use super::store::Store;
use crate::kernel::time::Clock;
use crate::tlog::witness::Witness;

/// From the first byte of a connection to the end of its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From one request head to the next.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of a request head, in bytes, and of what is buffered of a body.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How many header fields a request may have.
const MAX_HEADERS: usize = 64;
/// The age at which a connection is asked to end.
const MAX_AGE: Duration = Duration::from_secs(120);
/// How long it may take to do so.
const LAST_REPLY: Duration = Duration::from_secs(10);
/// How long the listener rests when no connection could be accepted.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A witness that listens.
pub(super) struct Server {
    answerer: Arc<Answerer>,
    acceptor: Option<TlsAcceptor>,
    peers: Arc<Peers>,
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
            peers: Arc::default(),
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
                    let Some(place) = self.peers.enter(remote.ip()) else { continue };
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
        let service = service_fn(|request: Request<Incoming>| {
            let answerer = Arc::clone(&self.answerer);
            async move { Ok::<_, Infallible>(answerer.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => Ok(served),
            () = self.stop.cancelled() => Err(()),
            () = tokio::time::sleep(MAX_AGE) => Err(()),
        };
        let served = match served {
            Ok(served) => served,
            Err(()) => {
                connection.as_mut().graceful_shutdown();
                // A client that takes nothing of its reply is not waited for.
                let Ok(served) = tokio::time::timeout(LAST_REPLY, connection).await else { return };
                served
            }
        };
        if let Err(error) = served {
            tracing::debug!(%remote, %error, "a connection ended badly");
        }
    }
}
