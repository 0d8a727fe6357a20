//! The frames of an HTTP/2 connection, between TLS and hyper, by their heads alone.
//!
//! What h2 does not bound is bounded here: frames that cost the gate work and the client nothing, and requests
//! that are given up as fast as they are made. And it is here alone that one sees whether a client lets the
//! end of a reply through: hyper forgets a reply once it has handed its last part over, and h2 does not tell.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::config::Bounds;
use crate::telemetry::Cut;
use crate::wire::frames::{FrameHead, FrameHeads};

/// The connection preface of a client (RFC 9113, section 3.4), which is no frame.
const PREFACE_BYTES: u64 = 24;

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;

/// The flag of the last frame of a message.
const END_STREAM: u8 = 0x1;

/// How many frames without request or data each request explains.
const CONTROL_PER_REQUEST: u64 = 10;

/// How many each second of a connection's life explains.
const CONTROL_PER_SECOND: u64 = 10;

/// How many bytes sent to a client explain one: it gives them back to a window.
const SENT_PER_CONTROL: u64 = 1 << 10;

/// What is known of the streams of a connection, for whoever drives it.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// How many have begun and not ended, either way.
    open: AtomicUsize,
    /// How many have ended.
    ended: AtomicU64,
    /// Why the client may not go on, as a place in [`Cut::ALL`] and one.
    fault: AtomicUsize,
}

impl Streams {
    /// How many have begun and not ended.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many have ended.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// What the client did too often.
    pub(super) fn fault(&self) -> Option<Cut> {
        Cut::ALL.get(self.fault.load(Ordering::Relaxed).checked_sub(1)?).copied()
    }
}

/// A client that did something too often.
#[derive(Debug, thiserror::Error)]
#[error("the client passed a bound: {}", .0.as_str())]
struct Passed(Cut);

/// What was counted of a connection.
#[derive(Debug)]
struct Counts {
    began: Instant,
    bounds: Bounds,
    /// The streams that have begun and not ended.
    open: HashSet<u32>,
    /// The last stream that the client began.
    last: u32,
    requests: u64,
    /// Streams that the client gave up.
    resets: u64,
    /// Frames without request or data.
    control: u64,
    sent: u64,
    streams: Arc<Streams>,
}

impl Counts {
    fn end(&mut self, stream: u32) {
        if self.open.remove(&stream) {
            self.streams.ended.fetch_add(1, Ordering::Relaxed);
            self.streams.open.store(self.open.len(), Ordering::Relaxed);
        }
    }

    /// The client has sent the head of a frame.
    fn received(&mut self, head: FrameHead) -> Result<(), Cut> {
        match head.kind {
            HEADERS if head.stream > self.last => {
                self.last = head.stream;
                self.requests += 1;
                self.open.insert(head.stream);
                self.streams.open.store(self.open.len(), Ordering::Relaxed);
                // Those beyond what is allowed are refused one by one, and counted by h2.
                if self.open.len() > usize::try_from(self.bounds.http2_streams).unwrap_or(usize::MAX) * 2 {
                    return Err(Cut::ControlFrames);
                }
            }
            // Trailers, and what h2 bounds by itself: the frames of a head.
            HEADERS | CONTINUATION => {}
            DATA if head.length > 0 || head.flags & END_STREAM != 0 => {}
            RST_STREAM => {
                let is_given_up = self.open.contains(&head.stream);
                self.end(head.stream);
                self.resets += u64::from(is_given_up);
                let let_end = self.streams.ended().saturating_sub(self.resets);
                if self.resets > self.bounds.http2_resets.saturating_add(let_end) {
                    return Err(Cut::Resets);
                }
                self.control += u64::from(!is_given_up);
            }
            _ => self.control += 1,
        }
        // The clock is asked only where it makes a difference.
        let explained = self.bounds.http2_control_frames
            + CONTROL_PER_REQUEST * self.requests
            + self.sent / SENT_PER_CONTROL;
        if self.control > explained
            && self.control > explained + CONTROL_PER_SECOND * self.began.elapsed().as_secs()
        {
            return Err(Cut::ControlFrames);
        }
        Ok(())
    }

    /// The gate has sent the head of a frame.
    fn sent(&mut self, head: FrameHead) {
        let is_last = matches!(head.kind, DATA | HEADERS) && head.flags & END_STREAM != 0;
        if is_last || head.kind == RST_STREAM {
            self.end(head.stream);
        }
    }
}

/// A stream of bytes whose frames are counted both ways.
#[derive(Debug)]
pub(super) struct Frames<S> {
    inner: S,
    received: FrameHeads,
    sent: FrameHeads,
    counts: Counts,
}

impl<S> Frames<S> {
    pub(super) fn new(inner: S, bounds: Bounds) -> (Self, Arc<Streams>) {
        let streams = Arc::new(Streams::default());
        let counts = Counts {
            began: Instant::now(),
            bounds,
            open: HashSet::new(),
            last: 0,
            requests: 0,
            resets: 0,
            control: 0,
            sent: 0,
            streams: Arc::clone(&streams),
        };
        let (received, sent) = (FrameHeads::new(PREFACE_BYTES), FrameHeads::new(0));
        (Self { inner, received, sent, counts }, streams)
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((head, rest)) = self.received.next(bytes) {
            bytes = rest;
            if let Err(cut) = self.counts.received(head) {
                let place = Cut::ALL.iter().position(|known| *known == cut).map_or(0, |place| place + 1);
                self.counts.streams.fault.store(place, Ordering::Relaxed);
                return Err(io::Error::other(Passed(cut)));
            }
        }
        Ok(())
    }

    fn give(&mut self, mut bytes: &[u8]) {
        self.counts.sent = self.counts.sent.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        while let Some((head, rest)) = self.sent.next(bytes) {
            bytes = rest;
            self.counts.sent(head);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.take(came))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.give(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices))?;
        let mut left = written;
        for slice in slices {
            let bytes = slice.get(..left.min(slice.len())).unwrap_or_default();
            self.give(bytes);
            left -= bytes.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
