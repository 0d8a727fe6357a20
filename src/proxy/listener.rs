//! From the socket to the stack: accept, TLS handshake, HTTP/1.1 or HTTP/2 by ALPN.
//!
//! [`places`] says whether there is room for a connection, [`handshake`] who is at its other end,
//! [`session`] serves what it asks, and [`drive`] sees that it ends: every wait has a deadline. Between the
//! socket and hyper, [`socket`] and [`frames`] watch the bytes, and `guard` those of HTTP/1.1.

mod drive;
mod frames;
mod handshake;
mod places;
mod session;
mod socket;
mod switched;

use std::io::ErrorKind::{ConnectionAborted, Interrupted};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Response;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use self::places::{Arrival, Places};
pub(super) use self::places::{Share, Shares};
use self::session::Session;
use super::announced::announced;
use super::body::ReplyBody;
use super::edge::Observe;
use super::exchange::Exchange;
use super::record::Recorder;
use super::snapshot::Snapshot;
use super::stack::stack;
use super::strangers::Strangers;
use super::traced::Tracing;
use super::websocket::places::SessionPlaces;
use crate::audit::Reached;
use crate::config::Bounds;
use crate::identity::Presented;
use crate::journal::Journal;
use crate::kernel::network::Network;
use crate::kernel::time::Clock;
use crate::telemetry::{Metrics, TurnedAway};

/// How long the accept loop rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The most that may wait to be accepted when a drain begins. Those who come after it could go on for ever.
const MOST_WAITING: usize = 4_096;

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
    /// Which requests a collector of traces is told of, if there is one.
    pub(crate) tracing: Option<Tracing>,
    /// What strangers do.
    pub(crate) strangers: Strangers,
    /// Every task that serves a connection, or a stream of one.
    pub(crate) tasks: TaskTracker,
    /// Set when the gate stops taking new work.
    pub(crate) draining: CancellationToken,
    /// Set when the gate waits for nothing any more: connections end where they stand.
    pub(crate) stopped: CancellationToken,
    places: Places,
    sessions: Arc<SessionPlaces>,
    presented: Presented,
}

/// What becomes of connections that wait to be accepted when a gate drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Nobody else would take them: they are served.
    Taken,
    /// The listener is also another process's, which takes them.
    Left,
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
        let sessions = SessionPlaces::new(&bounds, metrics.sessions.clone());
        Self {
            snapshot: ArcSwap::new(snapshot),
            tls: ArcSwap::new(tls),
            journal,
            metrics,
            clock,
            bounds,
            balancers: Vec::new(),
            tracing: None,
            strangers,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
            places: Places::new(bounds),
            sessions,
            presented: Presented::default(),
        }
    }

    /// Serves the connections of `listener` until the gate drains. The drain waits for this as it does for
    /// connections: one that is accepted at that moment would be cut off where nothing else is in work.
    pub(crate) fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        waiting: Waiting,
    ) -> impl Future<Output = ()> + Send + 'static {
        let accepting = self.tasks.token();
        async move {
            self.accept(listener, waiting).await;
            drop(accepting);
        }
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener, waiting: Waiting) {
        let spans = self.tracing.as_ref().map(|tracing| Arc::clone(&tracing.sink));
        let observe = Observe::new(Arc::clone(&self.metrics), self.strangers.clone(), spans);
        let stages = observe.stages.clone();
        let recorder = Recorder::new(self.journal.clone(), stages, self.stopped.clone());
        let stack = stack(observe, Arc::new(recorder), Arc::clone(&self.sessions));
        loop {
            let accepted = tokio::select! {
                // A drain does not wait for those who come.
                biased;
                () = self.draining.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => self.take(stream, remote, &stack),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        // Closing a listener resets whoever waits there. The kernel is asked who does, and not the runtime, which
        // may not have heard of them yet.
        if waiting == Waiting::Taken
            && let Ok(listener) = listener.into_std()
        {
            for _ in 0..MOST_WAITING {
                let (stream, remote) = match listener.accept() {
                    Ok(accepted) => accepted,
                    // One that waited has given up; there may be others behind it.
                    Err(error) if matches!(error.kind(), ConnectionAborted | Interrupted) => continue,
                    Err(_) => break,
                };
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    self.take(stream, remote, &stack);
                }
            }
        }
    }

    /// Serves a connection if there is a place for it.
    fn take<S: Stack>(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, stack: &S) {
        let is_announced = self.balancers.iter().any(|network| network.contains(remote.ip()));
        // A balancer has no share of its own: what it announces counts as whoever it is from.
        let address = (!is_announced).then(|| remote.ip());
        // Closing at once is the cheapest answer to too many connections.
        let arrival = match self.places.arrival(address) {
            Ok(arrival) => arrival,
            Err(reason) => return self.turn_away(reason, Reached::Connection, remote),
        };
        let (gate, stack) = (Arc::clone(self), stack.clone());
        self.tasks.spawn(async move {
            gate.metrics.connections.inc();
            tokio::select! {
                () = gate.stopped.cancelled() => {}
                () = gate.connection(stream, remote, arrival, stack) => {}
            }
            gate.metrics.connections.dec();
        });
    }

    async fn connection<S: Stack>(
        self: &Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
        arrival: Arrival,
        stack: S,
    ) {
        let deadline = Instant::now() + self.bounds.handshake_timeout;
        let Some((stream, remote, arrival)) = self.announced(stream, remote, arrival, deadline).await else {
            return;
        };
        let Arrival { connection: _place, handshake: shaking } = arrival;
        // Read before the trust that the handshake uses, and stored after it: a handshake that a reload
        // overtakes is judged again by the new trust on its first request.
        let revision = self.snapshot.load().revision;
        // The room that a handshake takes is given back after it.
        let shaken = Box::pin(self.handshake(stream, remote, deadline)).await;
        let Some((stream, peer)) = shaken else { return };
        drop(shaking);
        let taking = Arc::clone(stream.get_ref().0.taking());
        let session = Session::new(Arc::clone(self), peer, revision, taking);
        // Whom the certificate names by now; what is wrong with it is for its requests to hear.
        let system = session.system();
        let _share = match system.as_ref().map(|system| self.places.system(system)).transpose() {
            Ok(place) => place,
            Err(reason) => {
                self.metrics.refused.turn_away(reason);
                tracing::warn!(%remote, system = system.as_ref().map(tracing::field::display), "a system has all the connections it may have");
                return;
            }
        };
        if let Err(error) = session.serve(stream, stack).await {
            tracing::debug!(%remote, error = %crate::kernel::diagnostic::chain(&*error), "a connection ended badly");
        }
    }

    /// The connection and whom it is from, with the places that are whose it is.
    async fn announced(
        &self,
        mut stream: TcpStream,
        remote: SocketAddr,
        arrival: Arrival,
        deadline: Instant,
    ) -> Option<(TcpStream, SocketAddr, Arrival)> {
        if arrival.has_address() {
            return Some((stream, remote, arrival));
        }
        let why = match tokio::time::timeout_at(deadline, announced(&mut stream)).await {
            Ok(Ok(said)) => {
                let client = said.unwrap_or(remote);
                return match self.places.claim(arrival, client.ip()) {
                    Ok(arrival) => Some((stream, client, arrival)),
                    Err(reason) => {
                        self.turn_away(reason, Reached::Connection, client);
                        None
                    }
                };
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "it did not come in time".to_owned(),
        };
        self.note_stranger(Reached::Connection, "proxy-header", remote);
        tracing::warn!(%remote, why, "a balancer did not say whom its connection is from");
        None
    }

    /// Counts a connection that is not taken.
    fn turn_away(&self, reason: TurnedAway, reached: Reached, remote: SocketAddr) {
        self.metrics.refused.turn_away(reason);
        self.note_stranger(reached, reason.as_str(), remote);
    }

    /// Notes a stranger whose certificate was never seen, or is nobody's.
    fn note_stranger(&self, reached: Reached, reason: &'static str, remote: SocketAddr) {
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
