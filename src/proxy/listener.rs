//! From the socket to the stack: accept, TLS handshake, HTTP/1.1 or HTTP/2 by ALPN.
//!
//! Every wait has a deadline: the handshake, the first request, every head, the age of a connection.
//! A connection's certificate is read once; whether it still holds is asked again after every reload
//! and, for its dates, on every request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::announced::announced;
use super::arriving::Arriving;
use super::body::{Pulse, ReplyBody, RequestBody};
use super::edge::Observe;
use super::exchange::{Caller, Draft, Exchange};
use super::failure::Failure;
use super::guard::{Guarded, Refused};
use super::identify;
use super::problem::Language;
use super::record::Recorder;
use super::snapshot::Snapshot;
use super::stack::stack;
use super::strangers::Strangers;
use crate::audit::Reached;
use crate::config::Bounds;
use crate::identity::Peer;
use crate::journal::Journal;
use crate::kernel::network::Network;
use crate::kernel::time::Clock;
use crate::telemetry::{HANDSHAKE_COMPLETED, Metrics};
use crate::tls::HandshakeFailure;
use crate::wire::Limits;

/// How long the accept loop rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How often a stalled reply is looked for within the time it is allowed.
const STALL_CHECKS: u32 = 4;

/// How many replies of one connection are watched before those that have ended are forgotten.
const MAX_WATCHED: usize = 1_024;

/// How much one HTTP/2 stream and one connection may have in flight towards the gate, in bytes.
const HTTP2_WINDOW_BYTES: u32 = 256 << 10;

/// The gate as the listener sees it: what lives as long as the process.
#[derive(Debug)]
pub(crate) struct Gate {
    /// What judges requests; swapped whole by a reload.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// TLS towards clients; swapped with the snapshot.
    pub(crate) tls: ArcSwap<ServerConfig>,
    /// Where records go.
    pub(crate) journal: Journal,
    /// What Prometheus sees.
    pub(crate) metrics: Arc<Metrics>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The bounds of connections.
    pub(crate) bounds: Bounds,
    /// Who may say whom a connection is from, and must.
    pub(crate) balancers: Vec<Network>,
    /// What strangers do.
    pub(crate) strangers: Strangers,
    /// Every task that serves a connection, or a stream of one.
    pub(crate) tasks: TaskTracker,
    /// Set when the gate stops taking new work.
    pub(crate) draining: CancellationToken,
    /// Set when the gate waits for nothing any more: connections end where they stand.
    pub(crate) stopped: CancellationToken,
    connections: Arc<Semaphore>,
}

impl Gate {
    /// A gate that serves nobody yet.
    #[must_use]
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        tls: Arc<ServerConfig>,
        journal: Journal,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
    ) -> Self {
        let strangers = Strangers::new(clock.now());
        Self {
            snapshot: ArcSwap::new(snapshot),
            tls: ArcSwap::new(tls),
            journal,
            metrics,
            clock,
            bounds,
            balancers: Vec::new(),
            strangers,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
            connections: Arc::new(Semaphore::new(bounds.connections)),
        }
    }

    /// Serves the connections of `listener` until the gate drains.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let observe = Observe::new(Arc::clone(&self.metrics), self.strangers.clone());
        let stages = observe.stages.clone();
        let recorder = Recorder::new(self.journal.clone(), stages, self.stopped.clone());
        let stack = stack(observe, Arc::new(recorder));
        loop {
            let accepted = tokio::select! {
                () = self.draining.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let Ok(place) = Arc::clone(&self.connections).try_acquire_owned() else {
                        // Closing at once is the cheapest answer to too many connections.
                        self.turned_away(Reached::Connection, "too-many-connections", remote);
                        continue;
                    };
                    let (gate, stack) = (Arc::clone(&self), stack.clone());
                    self.tasks.spawn(async move {
                        gate.metrics.connections.inc();
                        tokio::select! {
                            () = gate.stopped.cancelled() => {}
                            () = gate.connection(stream, remote, stack) => {}
                        }
                        gate.metrics.connections.dec();
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

    async fn connection<S>(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, stack: S)
    where
        S: Stack,
    {
        let Some((stream, remote)) = self.announced(stream, remote).await else { return };
        // Read before the trust that the handshake uses, and stored after it: a handshake that a reload
        // overtakes is judged again by the new trust on its first request.
        let revision = self.snapshot.load().revision;
        let Some((stream, peer)) = self.handshake(stream, remote).await else { return };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let session = Arc::new(Session {
            gate: Arc::clone(self),
            peer: Arc::new(peer),
            good_under: AtomicU64::new(revision),
            bad_under: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            replies: Mutex::default(),
            refused: Refused::default(),
        });
        let served =
            if is_http2 { session.http2(stream, stack).await } else { session.http1(stream, stack).await };
        if let Err(error) = served {
            tracing::debug!(%remote, error = %crate::kernel::diagnostic::chain(&*error), "a connection ended badly");
        }
    }

    /// The connection, and the address that it is really from.
    async fn announced(&self, mut stream: TcpStream, remote: SocketAddr) -> Option<(TcpStream, SocketAddr)> {
        if !self.balancers.iter().any(|network| network.contains(remote.ip())) {
            return Some((stream, remote));
        }
        let why = match tokio::time::timeout(self.bounds.handshake_timeout, announced(&mut stream)).await {
            Ok(Ok(said)) => return Some((stream, said.unwrap_or(remote))),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "it did not come in time".to_owned(),
        };
        self.turned_away(Reached::Connection, "proxy-header", remote);
        tracing::warn!(%remote, why, "a balancer did not say whom its connection is from");
        None
    }

    /// The handshake, and what it proved.
    async fn handshake(&self, stream: TcpStream, remote: SocketAddr) -> Option<(TlsStream<TcpStream>, Peer)> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%remote, %error, "a connection ended at once");
            return None;
        }
        let acceptor = TlsAcceptor::from(self.tls.load_full());
        let shaken = tokio::time::timeout(self.bounds.handshake_timeout, acceptor.accept(stream)).await;
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
            self.turned_away(Reached::Handshake, failure.as_str(), remote);
            tracing::debug!(%remote, reason = failure.as_str(), "a handshake failed");
        }
        peer
    }

    /// Notes a stranger whose certificate was never seen, or is nobody's.
    fn turned_away(&self, reached: Reached, reason: &'static str, remote: SocketAddr) {
        self.strangers.note(reached, reason, remote.ip(), self.clock.now());
    }
}

/// The finished stack, as a connection uses it.
pub(crate) trait Stack:
    Service<Box<Exchange>, Response = Response<ReplyBody>, Error = std::convert::Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Stack for S where
    S: Service<Box<Exchange>, Response = Response<ReplyBody>, Error = std::convert::Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Runs the streams of HTTP/2 connections where the drain waits for them.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

type Served = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// One connection.
struct Session {
    gate: Arc<Gate>,
    peer: Arc<Peer>,
    /// The last revision under which the certificate was found good.
    good_under: AtomicU64,
    /// The last revision under which it was not; revisions begin at one.
    bad_under: AtomicU64,
    requests: AtomicU64,
    /// Replies that a client could leave untaken. Shared by the streams of one connection and its driver
    /// only, and held for a push or a sweep.
    replies: Mutex<Vec<Arc<Pulse>>>,
    /// The head that the guard refused, over HTTP/1.1.
    refused: Refused,
}

impl Session {
    async fn http1<S: Stack>(self: Arc<Self>, stream: TlsStream<TcpStream>, stack: S) -> Served {
        let bounds = self.gate.bounds;
        let limits = Limits { head_bytes: bounds.header_bytes.as_usize(), fields: bounds.header_fields };
        let stream = Guarded::new(stream, limits, self.refused.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.header_timeout)
            .max_buf_size(bounds.header_bytes.as_usize())
            .max_headers(bounds.header_fields)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), self.service(stack));
        self.drive(connection).await
    }

    async fn http2<S: Stack>(self: Arc<Self>, stream: TlsStream<TcpStream>, stack: S) -> Served {
        let bounds = self.gate.bounds;
        let connection = hyper::server::conn::http2::Builder::new(Tracked(self.gate.tasks.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds.http2_streams)
            .max_header_list_size(u32::try_from(bounds.header_bytes.get()).unwrap_or(u32::MAX))
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES)
            .keep_alive_interval(bounds.header_timeout)
            .keep_alive_timeout(bounds.header_timeout)
            .serve_connection(TokioIo::new(stream), self.service(stack));
        self.drive(connection).await
    }

    /// Serves a connection to its end: asks it to end when the gate drains or the connection is old, and
    /// ends it where it stands when its client takes nothing of a reply, or never asks for anything.
    async fn drive<C>(&self, connection: C) -> Served
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let bounds = self.gate.bounds;
        let mut connection = std::pin::pin!(connection);
        let mut age = std::pin::pin!(tokio::time::sleep(bounds.connection_age));
        let mut first = std::pin::pin!(tokio::time::sleep(bounds.header_timeout));
        let mut checks = tokio::time::interval(bounds.stall_timeout / STALL_CHECKS);
        let (mut is_waiting, mut is_ending) = (true, false);
        loop {
            tokio::select! {
                served = connection.as_mut() => return Ok(served?),
                () = self.gate.draining.cancelled(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = age.as_mut(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                // HTTP/2 has no deadline of its own for a preface or a first request.
                () = first.as_mut(), if is_waiting => {
                    is_waiting = false;
                    if self.requests.load(Ordering::Relaxed) == 0 {
                        return Ok(());
                    }
                }
                _ = checks.tick() => {
                    if self.has_stalled_reply() {
                        tracing::info!(remote = %self.peer.remote, "a client took nothing of a reply for too long");
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether a reply has not been asked for longer than it may. Forgets replies that have ended.
    fn has_stalled_reply(&self) -> bool {
        let within = self.gate.bounds.stall_timeout;
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.retain(|pulse| !pulse.has_ended());
        replies.iter().any(|pulse| pulse.is_stalled(within))
    }

    /// Watches a reply that a client could leave untaken. Over HTTP/1.1 a short one is taken over by the
    /// connection at once; over HTTP/2 it waits for the stream's window.
    fn watch(&self, body: &mut ReplyBody, version: http::Version) {
        if body.is_end_stream() || (body.is_one_piece() && version != http::Version::HTTP_2) {
            return;
        }
        let pulse = Arc::new(Pulse::default());
        body.watch(Arc::clone(&pulse));
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        if replies.len() >= MAX_WATCHED {
            replies.retain(|pulse| !pulse.has_ended());
        }
        replies.push(pulse);
    }

    fn service<S: Stack>(
        self: &Arc<Self>,
        stack: S,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<ReplyBody>,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + use<S> {
        let session = Arc::clone(self);
        service_fn(move |request| {
            session.requests.fetch_add(1, Ordering::Relaxed);
            let version = request.version();
            let exchange = session.exchange(request);
            let (mut stack, session) = (stack.clone(), Arc::clone(&session));
            async move {
                let mut response = stack.call(exchange).await?;
                session.watch(response.body_mut(), version);
                Ok(response)
            }
        })
    }

    /// A request with all that is known before it is read.
    fn exchange(&self, request: Request<Incoming>) -> Box<Exchange> {
        let (mut parts, body) = request.into_parts();
        let body = Arriving::new(body, parts.version);
        let fault = self.refused.behind(&parts.uri).map(|(fault, method)| {
            parts.method = method;
            fault
        });
        if let Some(token) = parts.headers.get_mut(http::header::AUTHORIZATION) {
            token.set_sensitive(true);
        }
        let now = self.gate.clock.now();
        let language = Language::preferred(&parts.headers);
        let draft = Draft::new(now, language);
        let trace = draft.trace(&mut parts.headers);
        Draft::note(&draft.trace_id, trace);
        let snapshot = self.gate.snapshot.load_full();
        let (caller, named) = match self.caller(&snapshot, now) {
            Ok(caller) => (Ok(caller.clone()), Some(caller)),
            Err((failure, named)) => (Err(failure), named),
        };
        let draft = Arc::new(draft);
        if let Some(named) = named {
            Draft::note(&draft.caller, named);
        }
        Box::new(Exchange {
            parts,
            body: RequestBody::Coming(body),
            peer: Arc::clone(&self.peer),
            snapshot,
            caller,
            draft,
            fault,
        })
    }

    /// The system that calls; or why it may not, and its name if it has one.
    fn caller(
        &self,
        snapshot: &Snapshot,
        now: crate::kernel::time::Timestamp,
    ) -> Result<Caller, (Failure, Option<Caller>)> {
        if self.good_under.load(Ordering::Relaxed) != snapshot.revision && !self.is_still_good(snapshot, now)
        {
            let named = identify::caller(snapshot, &self.peer, now);
            return Err((Failure::Revoked, named.map_or_else(|(_, named)| named, Some)));
        }
        identify::caller(snapshot, &self.peer, now)
    }

    /// Judges the certificate by the trust of `snapshot`, once for each revision.
    fn is_still_good(&self, snapshot: &Snapshot, now: crate::kernel::time::Timestamp) -> bool {
        if self.bad_under.load(Ordering::Relaxed) == snapshot.revision {
            return false;
        }
        let judged = snapshot.client_verifier.still_good(&self.peer.chain, now);
        if let Err(error) = &judged {
            tracing::info!(
                remote = %self.peer.remote,
                serial = %self.peer.certificate.serial,
                reason = error.as_str(),
                "a connection outlived its certificate"
            );
        }
        let verdict = if judged.is_ok() { &self.good_under } else { &self.bad_under };
        verdict.store(snapshot.revision, Ordering::Relaxed);
        judged.is_ok()
    }
}
