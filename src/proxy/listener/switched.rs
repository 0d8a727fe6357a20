//! A connection that has become a session: what ends it, and how it is told.
//!
//! Up to the reply that switches, it was a connection like others; its places, and those of its request, are held on.
//! What was decided is asked again every now and then, as for a reply that streams.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

use super::session::Session;
use super::socket::Socket;
use crate::proxy::body::ReplyBody;
use crate::proxy::guard::Guarded;
use crate::proxy::record::Ended;
use crate::proxy::websocket::frames::Side;
use crate::proxy::websocket::open::Opening;
use crate::proxy::websocket::pump::{Over, Pump};
use crate::telemetry::{Cut, SessionEnd};

/// How often a session is looked at. What a reload withdraws is cut off within that time.
const LOOK: Duration = Duration::from_millis(500);

/// How long both sides may take to end their connections once one of them has said goodbye.
const CLOSING: Duration = Duration::from_secs(5);

/// How long the gate's own goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a client that was refused a session is heard out.
const REFUSAL: Duration = Duration::from_secs(2);

/// The endpoint goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;
/// A message violates a policy; as general as a code can be.
const POLICY: u16 = 1008;

/// What a request for another protocol came to.
pub(super) struct Switch {
    /// The client's connection, once nothing more of HTTP is on it.
    pub(super) client: OnUpgrade,
    /// The reply that switched, with all that is held for it; none if it was refused.
    pub(super) reply: Option<ReplyBody>,
}

/// Where the last request of a connection leaves what it came to, for whoever serves the connection on. The two share it
/// and nothing else does: a connection that fails takes it along, and what is held for a session is given back.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Box<Switch>>>>);

impl Slot {
    pub(super) fn put(&self, switch: Switch) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(switch));
    }

    pub(super) fn take(&self) -> Option<Box<Switch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How a session ends that is ended tidily.
struct Verdict {
    ended: Ended,
    /// What it says to both.
    code: Option<u16>,
}

impl Verdict {
    /// By the gate.
    fn new(how: SessionEnd, aborted: &'static str, code: u16) -> Self {
        Self { ended: Ended { how, aborted: Some(aborted) }, code: Some(code) }
    }
}

impl Session {
    /// Serves what follows a request for another protocol to its end.
    pub(super) async fn switched(self: Arc<Self>, switch: Switch) {
        let Switch { client, reply } = switch;
        // If the client went away first, the record is sealed with the reply.
        let Ok(client) = client.await else { return };
        match reply {
            Some(mut reply) => {
                if let Some(opening) = reply.take_session() {
                    self.open(client, opening).await;
                }
            }
            None => {
                let refused = timeout(REFUSAL, TokioIo::new(client).shutdown()).await;
                tracing::debug!(remote = %self.peer.remote, ?refused, "a client was refused another protocol");
            }
        }
    }

    async fn open(&self, client: Upgraded, opening: Opening) {
        let Opening { platform, has_extensions, tether, moved, record, .. } = opening;
        // Without a record there is no session.
        let Some(record) = record else { return };
        let opened = Instant::now();
        let within = self.gate.bounds.handshake_timeout;
        let Ok(Ok(platform)) = timeout(within, platform).await else {
            return record.end(broken(Side::Platform));
        };
        let Ok(parts) = client.downcast::<TokioIo<Guarded<TlsStream<Socket>>>>() else {
            return record.end(broken(Side::Client));
        };
        // The guard hands on nothing behind such a request.
        if !parts.read_buf.is_empty() {
            return record.end(broken(Side::Client));
        }
        drop(parts.read_buf);
        let (early, client) = parts.io.into_inner().into_switched();
        let pump = Pump::new((client, &early), TokioIo::new(platform), has_extensions, moved);
        // What is idle keeps no memory.
        drop(early);
        let Ok(mut pump) = pump else { return record.end(no_frame(Side::Client)) };
        let mut due = pin!(tokio::time::sleep(LOOK));
        let mut is_leaving = false;
        let verdict = loop {
            tokio::select! {
                over = poll_fn(|cx| pump.poll(cx)) => break match over {
                    Over::Closed(side) => closed(side),
                    Over::Paused => Verdict::new(SessionEnd::Drain, "gate-stopped", GOING_AWAY),
                    Over::Broken(side) => return record.end(broken(side)),
                    Over::NoFrame(side) => return record.end(no_frame(side)),
                },
                () = self.gate.draining.cancelled(), if !is_leaving => {
                    is_leaving = true;
                    pump.pause();
                    continue;
                }
                () = due.as_mut() => {}
            }
            let now = Instant::now();
            if let Some((first, since)) = pump.closing_since()
                && now.saturating_duration_since(since) > CLOSING
            {
                break closed(first);
            }
            match self.judged(&pump, opened, now).or_else(|| {
                let code = self.judge(&self.gate.snapshot.load(), &tether, self.gate.clock.now()).err()?;
                self.gate.metrics.refused.cut(Cut::Withdrawn);
                tracing::info!(remote = %self.peer.remote, reason = code.as_str(), "a session was cut off");
                Some(Verdict::new(SessionEnd::Withdrawn, code.as_str(), POLICY))
            }) {
                Some(verdict) => break verdict,
                None => due.as_mut().reset(now + LOOK),
            }
        };
        let farewell = timeout(FAREWELL, pump.farewell(verdict.code)).await;
        tracing::debug!(remote = %self.peer.remote, said = farewell.is_ok(), "a session ended");
        record.end(verdict.ended);
    }

    /// Whether its bounds end it.
    fn judged<C, P>(&self, pump: &Pump<C, P>, opened: Instant, now: Instant) -> Option<Verdict>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        P: AsyncRead + AsyncWrite + Unpin,
    {
        let bounds = &self.gate.bounds;
        let stalled = pump.stalled(bounds.stall_timeout);
        let cut = |cut| self.gate.metrics.refused.cut(cut);
        if stalled == Some(Side::Client) || self.taking.stall() > bounds.stall_timeout {
            cut(Cut::Stalled);
            return Some(Verdict::new(SessionEnd::Stalled, "client-stalled", GOING_AWAY));
        }
        if self.taking.left(self.required).is_none() {
            cut(Cut::TooSlow);
            return Some(Verdict::new(SessionEnd::Stalled, "client-stalled", GOING_AWAY));
        }
        if stalled == Some(Side::Platform) {
            return Some(Verdict::new(SessionEnd::Stalled, "upstream-stalled", GOING_AWAY));
        }
        if now.saturating_duration_since(opened) >= bounds.session_timeout {
            cut(Cut::TooLong);
            return Some(Verdict::new(SessionEnd::Time, "too-long", GOING_AWAY));
        }
        let is_idle = now.saturating_duration_since(pump.last()) >= bounds.session_idle_timeout;
        is_idle.then(|| Verdict::new(SessionEnd::Idle, "idle", GOING_AWAY))
    }
}

/// Somebody has said goodbye.
fn closed(side: Side) -> Verdict {
    let how = match side {
        Side::Client => SessionEnd::Client,
        Side::Platform => SessionEnd::Platform,
    };
    Verdict { ended: Ended { how, aborted: None }, code: None }
}

fn broken(side: Side) -> Ended {
    let why = match side {
        Side::Client => "client-gone",
        Side::Platform => "upstream-broken",
    };
    Ended { how: SessionEnd::Broken, aborted: Some(why) }
}

fn no_frame(side: Side) -> Ended {
    let why = match side {
        Side::Client => "client-no-frame",
        Side::Platform => "upstream-no-frame",
    };
    Ended { how: SessionEnd::NoFrame, aborted: Some(why) }
}
