//! An invented exchange platform (数据共享交换平台): what stands behind the gate in the
//! demonstration, in tests and in load runs.
//!
//! It answers the routes of the four resources from [`Data`], takes leads, speaks HTTP/1.1 and HTTP/2 (by ALPN
//! under TLS, by prior knowledge without), and under `/_test/` it can be slow, stall, break off or
//! send nonsense. It checks nobody's right to anything: that is the gate's work.

mod affordances;
mod body;
mod envelope;
mod gzip;
mod leads;
mod opening;
mod query;
mod received;
mod routes;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::received::{Ticket, Watched};
use self::routes::{Dropped, Exchange};
use super::people::{Data, Resident};

pub use self::received::{Received, ReceivedLog, ReplyProgress};

/// Connections at a time; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 4_096;
/// Streams at a time in one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How long a client may take for its TLS handshake or its first bytes.
const OPENING_DEADLINE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request, and a connection may be idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(300);
/// How long replies under way may take to end once the platform is to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
/// How long to wait after a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Residents rendered ahead for `/_test/bytes`.
const RENDERED: usize = 256;
/// The size that `/_test/1k` comes near, in bytes.
const ONE_KIB: usize = 1_024;

/// How a platform runs.
#[derive(Clone)]
pub struct Options {
    /// TLS with this configuration; plaintext without. Offer `h2` and `http/1.1` by ALPN for both.
    pub tls: Option<TlsAcceptor>,
    /// How many of the last requests are kept for [`ReceivedLog`]; `None` keeps none and costs
    /// nothing.
    pub keep_received: Option<NonZeroUsize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { tls: None, keep_received: NonZeroUsize::new(1_024) }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("tls", &self.tls.is_some())
            .field("keep_received", &self.keep_received)
            .finish()
    }
}

/// Why a platform did not start.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The address is taken, or not of this machine.
    #[error("cannot listen on `{addr}`")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The records could not be written as JSON.
    #[error("cannot write the records as JSON")]
    Render(#[from] serde_json::Error),
}

/// A platform that is bound to its address and not yet serving.
#[derive(Debug)]
pub struct Platform {
    listener: TcpListener,
    local_addr: SocketAddr,
    data: Arc<Data>,
    options: Options,
    log: ReceivedLog,
    one_kib: Bytes,
    rendered: Arc<[Bytes]>,
}

impl Platform {
    /// Binds `addr`; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(addr: SocketAddr, data: Arc<Data>, options: Options) -> Result<Self, PlatformError> {
        let listen = |source| PlatformError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        let rendered =
            data.residents.records().iter().take(RENDERED).map(render).collect::<Result<Arc<[_]>, _>>()?;
        let one_kib = list_near(&rendered, ONE_KIB);
        let log = ReceivedLog::new(options.keep_received);
        Ok(Self { listener, local_addr, data, options, log, one_kib, rendered })
    }

    /// The address that clients reach it at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The log of the requests that it receives.
    #[must_use]
    pub fn received(&self) -> ReceivedLog {
        self.log.clone()
    }

    /// Serves until `stop` is cancelled, then ends replies under way within two seconds and returns
    /// once every task has ended. Stalled replies break off at once.
    ///
    /// When this future is dropped, all connections are.
    pub fn serve(self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let exchange = Arc::new(Exchange {
            data: self.data,
            stop: stop.clone(),
            one_kib: self.one_kib,
            rendered: self.rendered,
        });
        let server = Server {
            exchange,
            log: self.log,
            tls: self.options.tls,
            tracker: TaskTracker::new(),
            stop,
            abandon: CancellationToken::new(),
        };
        accept(self.listener, server)
    }
}

/// A record with the comma that separates it from the one before.
fn render(record: &Resident) -> serde_json::Result<Bytes> {
    let mut out = vec![b','];
    serde_json::to_writer(&mut out, record)?;
    Ok(out.into())
}

/// A list of the first records, as many as bring it nearest to `size` bytes; at least one.
fn list_near(rendered: &[Bytes], size: usize) -> Bytes {
    let list = |count: usize| -> Vec<u8> {
        let records = rendered.iter().take(count).flat_map(|record| record.iter().copied()).skip(1);
        let head = envelope::list_head(false).bytes();
        head.chain(records).chain(envelope::list_tail(count, 1, false).into_bytes()).collect()
    };
    let counts = 1..=rendered.len().min(8);
    counts.map(list).min_by_key(|bytes| bytes.len().abs_diff(size)).unwrap_or_else(|| list(0)).into()
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    exchange: Arc<Exchange>,
    log: ReceivedLog,
    tls: Option<TlsAcceptor>,
    tracker: TaskTracker,
    /// Stop gracefully.
    stop: CancellationToken,
    /// Stop now.
    abandon: CancellationToken,
}

async fn accept(listener: TcpListener, server: Server) {
    let abandoned_on_drop = server.abandon.clone().drop_guard();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            // Never closed, so acquiring cannot fail; if it did, the slot would just not be counted.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, stream) = tokio::select! {
            () = server.stop.cancelled() => break,
            (slot, accepted) = next => match accepted {
                Ok((stream, _)) => (slot, stream),
                Err(error) => {
                    tracing::warn!(error = %error, "the platform could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let connection = server.clone();
        server.tracker.spawn(async move {
            let abandon = connection.abandon.clone();
            tokio::select! {
                () = abandon.cancelled() => {}
                () = connection.serve(stream) => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    server.tracker.close();
    if tokio::time::timeout(DRAIN_DEADLINE, server.tracker.wait()).await.is_err() {
        server.abandon.cancel();
        server.tracker.wait().await;
    }
    drop(abandoned_on_drop);
}

impl Server {
    async fn serve(self, stream: TcpStream) {
        // Without it small replies may wait for the peer's acknowledgement; nothing else depends on it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "no TCP_NODELAY");
        }
        let Some(tls) = self.tls.clone() else {
            let opened = tokio::time::timeout(OPENING_DEADLINE, opening::sniff(stream));
            if let Some(Ok(Ok((is_h2, stream)))) = self.unless_stopped(opened).await {
                self.speak(is_h2, stream).await;
            }
            return;
        };
        let opened = tokio::time::timeout(OPENING_DEADLINE, tls.accept(stream));
        if let Some(Ok(Ok(stream))) = self.unless_stopped(opened).await {
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            self.speak(is_h2, stream).await;
        }
    }

    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            output = future => Some(output),
        }
    }

    async fn speak<S>(self, is_h2: bool, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let service = service_fn(|request| self.answer(request));
        let ended = if is_h2 {
            let tracked = Tracked { tracker: self.tracker.clone(), abandon: self.abandon.clone() };
            let mut connection = pin!(
                http2::Builder::new(tracked)
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(MAX_STREAMS)
                    .initial_stream_window_size(1 << 20)
                    .initial_connection_window_size(4 << 20)
                    .serve_connection(io, service)
            );
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = self.stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        } else {
            let mut connection = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_DEADLINE)
                    .serve_connection(io, service)
            );
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = self.stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection to the platform broke off");
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Watched>, Dropped>> + Send + 'static {
        let exchange = Arc::clone(&self.exchange);
        let ticket = self.log.arrived(&request);
        async move {
            let is_h2_head = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
            let reply = exchange.answer(request, &ticket).await?;
            Ok(finished(reply, is_h2_head, ticket))
        }
    }
}

/// The reply as it goes to the connection.
fn finished(mut reply: routes::Reply, is_h2_head: bool, ticket: Ticket) -> Response<Watched> {
    let is_without_body = reply.body().is_end_stream();
    if let Some(length) = reply.body().size_hint().exact()
        && !is_without_body
    {
        // A HEAD reply says what GET would send (RFC 9110, section 9.3.2).
        reply.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    if is_h2_head {
        // hyper drops the body of a HEAD reply in HTTP/1 only.
        reply = reply.map(|_| body::script(std::iter::empty()));
    }
    reply.map(|body| Watched::new(body, ticket))
}

/// Runs what an HTTP/2 connection spawns where the platform can wait for it.
#[derive(Clone)]
struct Tracked {
    tracker: TaskTracker,
    abandon: CancellationToken,
}

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.tracker.spawn(self.abandon.clone().run_until_cancelled_owned(future));
    }
}
