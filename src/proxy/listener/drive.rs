//! What ends a connection: its own end, its age, a drain; and what cuts it off: a client that takes nothing,
//! or too little, asks for nothing, or asks too much.
//!
//! A connection that does nothing is looked at when something is due. One that has something in work is
//! looked at every now and then.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use tokio::time::Instant;

use super::frames::Streams;
use super::session::{Failed, Served, Session};
use crate::telemetry::Cut;

/// How often a connection is looked at that has something in work. What a reload withdraws is cut off within
/// that time.
const LOOK: Duration = Duration::from_millis(500);

/// How often what may stall is looked at, within the time it is allowed.
const STALL_LOOKS: u32 = 4;

/// How long a client that has connected just before a drain may still take to ask: it could not know that
/// nobody would answer.
const LAST_REQUEST: Duration = Duration::from_secs(5);

/// What a look at a connection comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoesOn,
    /// It is asked to end.
    Ends,
    CutOff(Cut),
}

/// A connection of the library that can be asked to end once what is in work has.
pub(super) trait Ends: Future<Output = hyper::Result<()>> {
    /// Asks it to.
    fn end(self: Pin<&mut Self>);
}

impl<I, B, S> Ends for http1::UpgradeableConnection<I, S>
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Failed>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: hyper::body::Body<Error: Into<Failed>> + 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S, E> Ends for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Failed>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body<Error: Into<Failed>> + 'static,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// One connection under watch.
struct Watch<'s> {
    session: &'s Session,
    streams: Option<Arc<Streams>>,
    /// Whether it has, or had at the last look, something in work.
    is_busy: bool,
    draining_since: Option<Instant>,
    ending_since: Option<Instant>,
    /// Since when streams are open that are answered, and how many had ended then.
    withheld: Option<(Instant, u64)>,
}

impl Session {
    /// Serves a connection to its end: asks it to end when the gate drains or the connection is old or
    /// idle, and ends it where it stands when its client lets nothing go on.
    pub(super) async fn drive<C: Ends>(
        &self,
        mut connection: Pin<Box<C>>,
        streams: Option<Arc<Streams>>,
    ) -> Served {
        let mut watch = Watch {
            session: self,
            streams,
            is_busy: false,
            draining_since: None,
            ending_since: None,
            withheld: None,
        };
        let mut due = pin!(tokio::time::sleep_until(watch.due(Instant::now())));
        loop {
            tokio::select! {
                served = connection.as_mut() => return watch.ended(served),
                () = self.gate.draining.cancelled(), if watch.draining_since.is_none() => {
                    watch.draining_since = Some(Instant::now());
                }
                () = self.stirred.notified(), if !watch.is_busy => {}
                () = due.as_mut() => {}
            }
            let now = Instant::now();
            match watch.look(now) {
                Verdict::GoesOn => {}
                Verdict::Ends => {
                    watch.ending_since = Some(now);
                    connection.as_mut().end();
                }
                Verdict::CutOff(cut) => {
                    watch.cut_off(cut);
                    return Ok(());
                }
            }
            due.as_mut().reset(watch.due(now));
        }
    }
}

impl Watch<'_> {
    /// How a connection ended by itself.
    fn ended(&self, served: Result<(), hyper::Error>) -> Served {
        if let Some(cut) = self.streams.as_ref().and_then(|streams| streams.fault()) {
            self.cut_off(cut);
            return Ok(());
        }
        if served.as_ref().is_err_and(hyper::Error::is_timeout) {
            self.session.gate.metrics.refused.cut(Cut::Silent);
        }
        Ok(served?)
    }

    fn cut_off(&self, cut: Cut) {
        self.session.gate.metrics.refused.cut(cut);
        let remote = self.session.peer.remote;
        if cut == Cut::Silent {
            tracing::debug!(%remote, "a client asked for nothing");
        } else {
            tracing::info!(%remote, reason = cut.as_str(), "a connection was cut off");
        }
    }

    /// When the next look is due.
    fn due(&self, now: Instant) -> Instant {
        let bounds = &self.session.gate.bounds;
        if self.is_busy {
            return now + LOOK.min(bounds.stall_timeout / STALL_LOOKS);
        }
        if let Some(since) = self.ending_since {
            return since.max(self.session.last()) + bounds.stall_timeout;
        }
        let quiet = if self.session.requests() == 0 {
            self.session.began + bounds.header_timeout
        } else {
            self.session.last() + bounds.idle_timeout
        };
        let drained = self.draining_since.map(|since| since + LAST_REQUEST);
        let old = self.session.began + bounds.connection_age;
        drained.map_or(quiet, |drained| drained.min(quiet)).min(old)
    }

    fn look(&mut self, now: Instant) -> Verdict {
        let (session, bounds) = (self.session, &self.session.gate.bounds);
        let (live, open) = (session.live(), self.streams.as_ref().map_or(0, |streams| streams.open()));
        self.is_busy = live > 0 || open > 0 || session.taking.is_waited_for();
        if self.is_busy
            && let Some(cut) = self.slow(now, open > live)
        {
            return Verdict::CutOff(cut);
        }
        let is_over = |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        if let Some(since) = self.ending_since {
            let lingers = live == 0 && is_over(since.max(session.last()), bounds.stall_timeout);
            return if lingers { Verdict::CutOff(Cut::Lingering) } else { Verdict::GoesOn };
        }
        let has_asked = session.requests() > 0;
        if !has_asked && is_over(session.began, bounds.header_timeout) {
            return Verdict::CutOff(Cut::Silent);
        }
        let is_drained =
            self.draining_since.is_some_and(|since| self.has_been_heard() || is_over(since, LAST_REQUEST));
        let is_idle = has_asked && live == 0 && is_over(session.last(), bounds.idle_timeout);
        if is_drained || is_idle || is_over(session.began, bounds.connection_age) {
            return Verdict::Ends;
        }
        Verdict::GoesOn
    }

    /// Whether the client of a drained connection has had its say. Over HTTP/1.1 it is told with the reply. Over HTTP/2
    /// the first request is answered before a goodbye comes: one that follows it closely reaches clients that are still
    /// sending it, and a library such as hyper then fails what is served.
    fn has_been_heard(&self) -> bool {
        match self.session.requests() {
            0 => false,
            1 => self.streams.is_none() || !self.is_busy,
            _ => true,
        }
    }

    /// Whether the client lets nothing go on, or too little. Ends replies that may not go on.
    fn slow(&mut self, now: Instant, has_answered: bool) -> Option<Cut> {
        let (session, bounds) = (self.session, &self.session.gate.bounds);
        if session.taking.stall() > bounds.stall_timeout {
            return Some(Cut::Stalled);
        }
        if session.taking.left(session.required).is_none() {
            return Some(Cut::TooSlow);
        }
        let (snapshot, wall) = (session.gate.snapshot.load(), session.gate.clock.now());
        let of_replies = session.replies(|replies| {
            for tether in replies.iter().filter_map(|reply| reply.tether.as_ref()) {
                if tether.is_cut() {
                    // Since the last look nobody has asked for more of it, and been told.
                    return Some(Cut::Withdrawn);
                }
                if now.saturating_duration_since(tether.began()) > bounds.reply_timeout {
                    session.gate.metrics.refused.cut(Cut::TooLong);
                    tether.cut("too-long");
                } else if let Err(code) = session.judge(&snapshot, tether, wall) {
                    session.gate.metrics.refused.cut(Cut::Withdrawn);
                    tether.cut(code.as_str());
                }
            }
            if replies.iter().any(|reply| reply.pulse.is_stalled(bounds.stall_timeout)) {
                return Some(Cut::Stalled);
            }
            let is_slow = replies.iter().any(|reply| reply.pulse.is_too_slow(session.required));
            is_slow.then_some(Cut::TooSlow)
        });
        of_replies.or_else(|| self.withheld(now, has_answered))
    }

    /// Whether no stream ends though hyper has handed over all of its reply: then its client keeps the last
    /// part of it from leaving.
    fn withheld(&mut self, now: Instant, has_answered: bool) -> Option<Cut> {
        let ended = self.streams.as_ref()?.ended();
        if !has_answered {
            self.withheld = None;
            return None;
        }
        match self.withheld {
            Some((since, before)) if before == ended => {
                let time = now.saturating_duration_since(since);
                (time > self.session.gate.bounds.stall_timeout).then_some(Cut::Withheld)
            }
            _ => {
                self.withheld = Some((now, ended));
                None
            }
        }
    }
}
