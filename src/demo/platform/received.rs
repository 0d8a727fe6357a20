//! What the platform received, for those who want to see what came through the gate.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;

use super::body::{Cut, ReplyBody};

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path and query, as they were sent.
    pub path_and_query: String,
    /// Its HTTP version.
    pub version: Version,
    /// Its headers, in the order of names' first appearance.
    pub headers: HeaderMap,
    /// Bytes of its body; `None` as long as the body has not been read to its end.
    pub body_len: Option<u64>,
    /// How far the reply got.
    pub reply: ReplyProgress,
}

/// How far a reply got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyProgress {
    /// Not ended yet.
    Open,
    /// Handed to the connection to its last byte.
    Whole,
    /// Ended before its end: broken off by the platform, or given up by the peer.
    Cut,
}

/// The last requests that arrived, oldest first. Clones show the same log.
#[derive(Debug, Clone)]
pub struct ReceivedLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many are kept; `None` keeps no log at all, for load runs.
    limit: Option<NonZeroUsize>,
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The number of the oldest entry that is kept, counted from zero since the start.
    first: u64,
    entries: VecDeque<Received>,
}

impl Ring {
    fn entry(&mut self, number: u64) -> Option<&mut Received> {
        let place = number.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(place).ok()?)
    }
}

impl ReceivedLog {
    pub(super) fn new(limit: Option<NonZeroUsize>) -> Self {
        Self(Arc::new(Shared { limit, ring: Mutex::default(), changed: watch::Sender::new(()) }))
    }

    /// The requests that are kept, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Received> {
        self.ring().entries.iter().cloned().collect()
    }

    /// The newest request.
    #[must_use]
    pub fn last(&self) -> Option<Received> {
        self.ring().entries.back().cloned()
    }

    /// How many requests arrived since the start, forgotten ones included; zero where no log is kept.
    #[must_use]
    pub fn total(&self) -> u64 {
        let ring = self.ring();
        ring.first + u64::try_from(ring.entries.len()).unwrap_or(u64::MAX)
    }

    /// Forgets everything; requests under way are forgotten too.
    pub fn clear(&self) {
        let mut ring = self.ring();
        // Numbers go on, so that the ticket of a forgotten request changes no later entry.
        ring.first += u64::try_from(ring.entries.len()).unwrap_or(u64::MAX);
        ring.entries.clear();
    }

    /// Waits until `wanted` holds of the requests that are kept; for ever if it never does.
    pub async fn until(&self, mut wanted: impl FnMut(&[Received]) -> bool) {
        let mut changes = self.0.changed.subscribe();
        while !wanted(self.ring().entries.make_contiguous()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Notes the arrival of a request.
    pub(super) fn arrived<B>(&self, request: &Request<B>) -> Ticket {
        let Some(limit) = self.0.limit else { return Ticket(None) };
        let received = Received {
            method: request.method().clone(),
            path_and_query: request
                .uri()
                .path_and_query()
                .map_or_else(|| request.uri().to_string(), ToString::to_string),
            version: request.version(),
            headers: request.headers().clone(),
            body_len: None,
            reply: ReplyProgress::Open,
        };
        let number = {
            let mut ring = self.ring();
            if ring.entries.len() >= limit.get() && ring.entries.pop_front().is_some() {
                ring.first += 1;
            }
            ring.entries.push_back(received);
            ring.first + u64::try_from(ring.entries.len() - 1).unwrap_or(u64::MAX)
        };
        self.0.changed.send_replace(());
        Ticket(Some((self.clone(), number)))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to complete one entry of the log.
#[derive(Debug, Clone)]
pub(super) struct Ticket(Option<(ReceivedLog, u64)>);

impl Ticket {
    /// The request body ended after `len` bytes.
    pub(super) fn body_ended(&self, len: u64) {
        self.change(|entry| entry.body_len = Some(len));
    }

    fn reply_ended(&self, progress: ReplyProgress) {
        self.change(|entry| entry.reply = progress);
    }

    fn change(&self, change: impl FnOnce(&mut Received)) {
        let Some((log, number)) = &self.0 else { return };
        if let Some(entry) = log.ring().entry(*number) {
            change(entry);
        }
        log.0.changed.send_replace(());
    }
}

/// A reply's body that notes in the log how it ended.
#[derive(Debug)]
pub(super) struct Watched {
    inner: ReplyBody,
    ticket: Option<Ticket>,
}

impl Watched {
    pub(super) fn new(inner: ReplyBody, ticket: Ticket) -> Self {
        let mut watched = Self { inner, ticket: Some(ticket) };
        watched.note_if_ended();
        watched
    }

    fn note_if_ended(&mut self) {
        if self.inner.is_end_stream() {
            self.note(ReplyProgress::Whole);
        }
    }

    fn note(&mut self, progress: ReplyProgress) {
        if let Some(ticket) = self.ticket.take() {
            ticket.reply_ended(progress);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.note(ReplyProgress::Cut);
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.note(ReplyProgress::Whole),
            Poll::Ready(Some(Ok(_))) => self.note_if_ended(),
            Poll::Ready(Some(Err(Cut))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
