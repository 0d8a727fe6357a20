//! One connection after its handshake: requests into the stack, replies out of it.
//!
//! A connection's certificate is read once; whether it still holds is asked again after every reload and,
//! for its dates, on every request.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::drive::Ends;
use super::frames::{Frames, Streams};
use super::socket::Socket;
use super::switched::{Slot, Switch};
use super::{Gate, Stack};
use crate::identity::Peer;
use crate::kernel::id::SystemId;
use crate::kernel::time::Timestamp;
use crate::proxy::arriving::Arriving;
use crate::proxy::body::{Pulse, ReplyBody, RequestBody};
use crate::proxy::exchange::{Caller, Draft, Exchange};
use crate::proxy::failure::{Failure, RequestFailure};
use crate::proxy::guard::{Guarded, Refused};
use crate::proxy::identify;
use crate::proxy::pace::{Pace, Required};
use crate::proxy::problem::{Code, Language};
use crate::proxy::snapshot::Snapshot;
use crate::proxy::tether::Tether;
use crate::proxy::traced::begin;
use crate::wire::Limits;

/// How many replies of one connection are watched before those that have ended are forgotten.
const MAX_WATCHED: usize = 1_024;

/// How much one HTTP/2 stream and one connection may have in flight towards the gate, in bytes.
const HTTP2_WINDOW_BYTES: u32 = 256 << 10;

/// How much of one HTTP/2 reply waits for its client's window, in bytes, at most.
const HTTP2_SEND_BYTES: usize = 64 << 10;

/// How much of the header fields of earlier requests is remembered, in bytes (RFC 7541, section 4.2).
const HTTP2_TABLE_BYTES: u32 = 4 << 10;

/// The largest frame that a client may send, in bytes: the least that there is (RFC 9113, section 4.2).
const HTTP2_FRAME_BYTES: u32 = 16 << 10;

/// As many header fields hyper takes over HTTP/1.1 without being told.
const LIBRARY_FIELDS: usize = 100;

/// How many requests may be given up before the gate has looked at them.
const HTTP2_PENDING_RESETS: usize = 20;

/// How many streams of one connection the gate may have to end for a client's faults. Whoever means
/// well makes none.
const HTTP2_FAULTS: usize = 64;

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

/// Why a connection ended badly.
pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(super) type Served = Result<(), Failed>;

/// One connection.
pub(super) struct Session {
    pub(super) gate: Arc<Gate>,
    pub(super) peer: Arc<Peer>,
    pub(super) began: Instant,
    /// How fast its client takes what is sent to it.
    pub(super) taking: Arc<Pace>,
    /// How fast it must be, both ways.
    pub(super) required: Required,
    /// The last revision under which the certificate was found good.
    good_under: AtomicU64,
    /// The last revision under which it was not; revisions begin at one.
    bad_under: AtomicU64,
    requests: AtomicU64,
    /// Requests in work: their replies have not all been taken over by hyper.
    live: AtomicUsize,
    /// When one last began or ended, in milliseconds after `began`.
    last_ms: AtomicU64,
    /// Told when one begins where there was none.
    pub(super) stirred: Notify,
    /// Replies that a client could leave untaken. Shared by the streams of one connection and its driver
    /// only, and held for a push or a sweep.
    replies: Mutex<Vec<Watched>>,
    /// The head that the guard refused, over HTTP/1.1.
    refused: Refused,
}

/// A reply that is watched.
pub(super) struct Watched {
    pub(super) pulse: Arc<Pulse>,
    pub(super) tether: Option<Arc<Tether>>,
}

/// A request in work.
struct Living(Arc<Session>);

impl Living {
    fn new(session: &Arc<Session>) -> Self {
        session.requests.fetch_add(1, Ordering::Relaxed);
        session.touch();
        if session.live.fetch_add(1, Ordering::Relaxed) == 0 {
            session.stirred.notify_one();
        }
        Self(Arc::clone(session))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.touch();
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// A connection whose certificate was found good under `revision`.
    pub(super) fn new(gate: Arc<Gate>, peer: Peer, revision: u64, taking: Arc<Pace>) -> Arc<Self> {
        Arc::new(Self {
            required: Required::new(&gate.bounds),
            gate,
            peer: Arc::new(peer),
            began: Instant::now(),
            taking,
            good_under: AtomicU64::new(revision),
            bad_under: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            live: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            stirred: Notify::new(),
            replies: Mutex::default(),
            refused: Refused::default(),
        })
    }

    /// The system that its certificate names now.
    pub(super) fn system(&self) -> Option<SystemId> {
        let (snapshot, now) = (self.gate.snapshot.load_full(), self.gate.clock.now());
        let caller = self.caller(&snapshot, now).map_or_else(|(_, named)| named, Some)?;
        Some(caller.system.id.clone())
    }

    /// Serves it to its end. What the connection is made of goes straight to a place of its own in memory: a future
    /// that moved it from hand to hand would keep room for it in each, for as long as the connection is idle.
    pub(super) fn serve<S: Stack>(
        self: &Arc<Self>,
        stream: TlsStream<Socket>,
        stack: S,
    ) -> Pin<Box<dyn Future<Output = Served> + Send>> {
        let session = Arc::clone(self);
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (connection, streams) = self.http2(stream, stack);
            Box::pin(async move { session.drive(connection, Some(streams)).await })
        } else {
            let slot = Slot::default();
            let connection = self.http1(stream, stack, slot.clone());
            Box::pin(async move {
                session.drive(connection, None).await?;
                if let Some(switch) = slot.take() {
                    // Boxed, so that connections that are none do not carry its size.
                    Box::pin(session.switched(*switch)).await;
                }
                Ok(())
            })
        }
    }

    fn http1<S: Stack>(
        self: &Arc<Self>,
        stream: TlsStream<Socket>,
        stack: S,
        slot: Slot,
    ) -> Pin<Box<impl Ends + Send + use<S>>> {
        let bounds = self.gate.bounds;
        let limits = Limits { head_bytes: bounds.header_bytes.as_usize(), fields: bounds.header_fields };
        let stream = Guarded::new(stream, limits, self.refused.clone());
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.header_timeout)
            .max_buf_size(bounds.header_bytes.as_usize())
            .half_close(false);
        if bounds.header_fields > LIBRARY_FIELDS {
            // The guard has counted them. With a bound of its own the library takes a list for each head from the heap.
            builder.max_headers(bounds.header_fields);
        }
        Box::pin(builder.serve_connection(TokioIo::new(stream), self.service(stack, slot)).with_upgrades())
    }

    fn http2<S: Stack>(
        self: &Arc<Self>,
        stream: TlsStream<Socket>,
        stack: S,
    ) -> (Pin<Box<impl Ends + Send + use<S>>>, Arc<Streams>) {
        let bounds = self.gate.bounds;
        let (stream, streams) = Frames::new(stream, bounds);
        let connection = hyper::server::conn::http2::Builder::new(Tracked(self.gate.tasks.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds.http2_streams)
            .max_header_list_size(u32::try_from(bounds.header_bytes.get()).unwrap_or(u32::MAX))
            .header_table_size(HTTP2_TABLE_BYTES)
            .max_frame_size(HTTP2_FRAME_BYTES)
            .max_send_buf_size(HTTP2_SEND_BYTES)
            .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS)
            .max_local_error_reset_streams(HTTP2_FAULTS)
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES)
            .keep_alive_interval(bounds.header_timeout)
            .keep_alive_timeout(bounds.header_timeout)
            .serve_connection(TokioIo::new(stream), self.service(stack, Slot::default()));
        (Box::pin(connection), streams)
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many of them are in work.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// When one last began or ended.
    pub(super) fn last(&self) -> Instant {
        self.began + std::time::Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// Shows `look` the replies that are watched. Forgets those that have ended.
    pub(super) fn replies<T>(&self, look: impl FnOnce(&[Watched]) -> T) -> T {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.retain(|reply| !reply.pulse.has_ended());
        look(&replies)
    }

    /// Watches a reply that a client could leave untaken. Over HTTP/1.1 a short one is taken over by the
    /// connection at once; over HTTP/2 it waits for the stream's window.
    fn watch(&self, body: &mut ReplyBody, version: Version) {
        if body.is_end_stream() || (body.is_one_piece() && version != Version::HTTP_2) {
            return;
        }
        let pulse = Arc::new(Pulse::default());
        body.watch(Arc::clone(&pulse));
        let tether = body.tether().cloned();
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        if replies.len() >= MAX_WATCHED {
            replies.retain(|reply| !reply.pulse.has_ended());
        }
        replies.push(Watched { pulse, tether });
    }

    fn service<S: Stack>(
        self: &Arc<Self>,
        stack: S,
        slot: Slot,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<ReplyBody>,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + use<S> {
        let session = Arc::clone(self);
        service_fn(move |request| {
            let living = Living::new(&session);
            let version = request.version();
            let (exchange, upgrade) = session.exchange(request);
            let mut stack = stack.clone();
            let switch = upgrade.map(|client| (client, slot.clone()));
            async move {
                let mut response = stack.call(exchange).await?;
                if response.body().is_session() {
                    let mut reply = std::mem::replace(response.body_mut(), ReplyBody::empty());
                    reply.guard(living);
                    if let Some((client, slot)) = switch {
                        slot.put(Switch { client, reply: Some(reply) });
                    }
                    return Ok(response);
                }
                if let Some((client, slot)) = switch {
                    // What follows it may be meant for another protocol, and is read by nobody.
                    response
                        .headers_mut()
                        .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
                    slot.put(Switch { client, reply: None });
                }
                living.0.watch(response.body_mut(), version);
                response.body_mut().guard(living);
                Ok(response)
            }
        })
    }

    /// A request with all that is known before it is read; and its connection, if it asks for another protocol.
    fn exchange(&self, request: Request<Incoming>) -> (Box<Exchange>, Option<OnUpgrade>) {
        let (mut parts, body) = request.into_parts();
        let upgrade = parts.extensions.remove::<OnUpgrade>().filter(|_| parts.version == Version::HTTP_11);
        let body = Arriving::of_client(body, parts.version, self.required);
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
        let trace = begin(&draft, &mut parts, self.gate.tracing.as_ref());
        Draft::note(&draft.trace_id, trace);
        let snapshot = self.gate.snapshot.load_full();
        let (caller, named) = match self.caller(&snapshot, now) {
            Ok(caller) => (Ok(Arc::clone(&caller)), Some(caller)),
            Err((failure, named)) => (Err(failure), named),
        };
        let most = self.gate.bounds.header_fields;
        // Over HTTP/1.1 they are counted before hyper; h2 bounds their bytes alone.
        let caller =
            if parts.headers.len() > most { Err(RequestFailure::Fields { most }.into()) } else { caller };
        let draft = Arc::new(draft);
        if let Some(named) = named {
            Draft::note(&draft.caller, named);
        }
        let exchange = Box::new(Exchange {
            parts,
            body: RequestBody::Coming(body),
            peer: Arc::clone(&self.peer),
            snapshot,
            caller,
            draft,
            fault,
        });
        (exchange, upgrade)
    }

    /// The system that calls; or why it may not, and its name if it has one.
    fn caller(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Arc<Caller>, (Failure, Option<Arc<Caller>>)> {
        if self.good_under.load(Ordering::Relaxed) != snapshot.revision && !self.is_still_good(snapshot, now)
        {
            let named = identify::caller(snapshot, &self.peer, now);
            return Err((Failure::Revoked, named.map_or_else(|(_, named)| named, Some)));
        }
        identify::caller(snapshot, &self.peer, now)
    }

    /// What is decided by now in place of what a reply hangs on, if that holds no longer.
    pub(super) fn judge(&self, snapshot: &Snapshot, tether: &Tether, now: Timestamp) -> Result<(), Code> {
        if self.good_under.load(Ordering::Relaxed) != snapshot.revision && !self.is_still_good(snapshot, now)
        {
            return Err(Code::IdentityRevoked);
        }
        tether.judge(snapshot, &self.peer, now)
    }

    /// Judges the certificate by the trust of `snapshot`, once for each revision.
    fn is_still_good(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
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
