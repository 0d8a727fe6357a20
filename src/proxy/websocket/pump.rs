//! The bytes of a session, both ways. Of each direction one piece is held at most, and only while the other side does
//! not take it: until then nothing more is read, so whoever is slow slows down who sends.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::Instant;

use super::frames::{Frames, NoFrame, Side, close};

/// How much is read at once, in bytes.
const PIECE: usize = 16 << 10;

/// How many bytes have gone each way; read by whoever writes the record.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    to_client: AtomicU64,
    to_platform: AtomicU64,
}

impl Moved {
    pub(crate) fn to_client(&self) -> u64 {
        self.to_client.load(Ordering::Relaxed)
    }

    pub(crate) fn to_platform(&self) -> u64 {
        self.to_platform.load(Ordering::Relaxed)
    }
}

/// How a session ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Somebody closed it, as it is done.
    Closed(Side),
    /// Somebody's connection ended without that.
    Broken(Side),
    /// Somebody sent what is no frame.
    NoFrame(Side),
    /// Both directions stand between two frames, as was asked for.
    Paused,
}

/// Why a direction cannot go on.
enum Fault {
    Read,
    Write,
    NoFrame,
}

impl From<NoFrame> for Fault {
    fn from(NoFrame: NoFrame) -> Self {
        Self::NoFrame
    }
}

/// How far a direction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    No,
    /// Nothing more comes.
    Read,
    /// The other side knows.
    Told,
}

/// One direction.
struct Lane {
    from: Side,
    frames: Frames,
    /// What was read and not taken yet.
    held: BytesMut,
    end: End,
    /// Whether it stops at the next end of a frame.
    pauses: bool,
    is_paused: bool,
    /// Since when the other side takes nothing.
    waits_since: Option<Instant>,
}

impl Lane {
    fn new(from: Side, has_extensions: bool) -> Self {
        Self {
            from,
            frames: Frames::new(from, has_extensions),
            held: BytesMut::new(),
            end: End::No,
            pauses: false,
            is_paused: false,
            waits_since: None,
        }
    }

    /// Whether a frame of the gate's own may stand here.
    fn is_between(&self) -> bool {
        self.held.is_empty() && self.end == End::No && self.frames.is_between() && !self.frames.has_closed()
    }

    /// Takes on what came: how much of it goes on.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, NoFrame> {
        let was_between = self.frames.is_between();
        let ends = self.frames.read(bytes)?;
        // A goodbye of theirs is as good an end.
        if !self.pauses || self.frames.has_closed() || (ends == 0 && !was_between) {
            return Ok(bytes.len());
        }
        self.is_paused = true;
        // What follows the end has been read, and is nobody's any more: so is where it would have ended.
        self.frames = Frames::new(self.from, true);
        Ok(ends)
    }

    /// Writes what is held, as far as it is taken.
    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        moved: &AtomicU64,
    ) -> Poll<Result<(), Fault>> {
        while !self.held.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, &self.held) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.held.advance(written);
                    moved.fetch_add(u64::try_from(written).unwrap_or(u64::MAX), Ordering::Relaxed);
                    self.waits_since = None;
                }
                Poll::Ready(_) => return Poll::Ready(Err(Fault::Write)),
                Poll::Pending => {
                    self.waits_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        // What is idle keeps no memory.
        self.held = BytesMut::new();
        match Pin::new(to).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.waits_since = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Fault::Write)),
            Poll::Pending => {
                self.waits_since.get_or_insert_with(Instant::now);
                Poll::Pending
            }
        }
    }

    /// Goes on as far as it can; ready when it has ended, or cannot go on. Whether anything moved is noted in `last`.
    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut R, &mut W),
        moved: &AtomicU64,
        last: &mut Instant,
    ) -> Poll<Result<(), Fault>> {
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        loop {
            if self.end == End::Told {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_write(cx, to, moved))?;
            // What was held when the pause was asked for may have been the rest of a frame.
            self.is_paused |= self.pauses && self.is_between();
            match self.end {
                End::Read | End::Told => {
                    // Who is gone already need not be told.
                    let _told: io::Result<()> = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.end = End::Told;
                    continue;
                }
                End::No if self.is_paused => return Poll::Pending,
                End::No => {}
            }
            let mut buffer = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer)).map_err(|_| Fault::Read)?;
            let read = buffer.filled();
            if read.is_empty() {
                // Only who has said goodbye, or was told it, ends like this.
                if !self.frames.is_between() {
                    return Poll::Ready(Err(Fault::Read));
                }
                self.end = End::Read;
                continue;
            }
            *last = Instant::now();
            let goes_on = self.take(read)?;
            self.held.extend_from_slice(read.get(..goes_on).unwrap_or_default());
        }
    }
}

/// A session between two connections.
pub(crate) struct Pump<C, P> {
    client: C,
    platform: P,
    up: Lane,
    down: Lane,
    moved: Arc<Moved>,
    /// When anything last came.
    last: Instant,
    /// Who said goodbye first, and when.
    closed: Option<(Side, Instant)>,
}

impl<C, P> Pump<C, P>
where
    C: AsyncRead + AsyncWrite + Unpin,
    P: AsyncRead + AsyncWrite + Unpin,
{
    /// Begins one. `early` is what the client had sent before it was answered.
    pub(crate) fn new(
        (client, early): (C, &[u8]),
        platform: P,
        has_extensions: bool,
        moved: Arc<Moved>,
    ) -> Result<Self, NoFrame> {
        let (mut up, down) =
            (Lane::new(Side::Client, has_extensions), Lane::new(Side::Platform, has_extensions));
        up.take(early)?;
        up.held.extend_from_slice(early);
        Ok(Self { client, platform, up, down, moved, last: Instant::now(), closed: None })
    }

    /// When anything last came from either side.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    /// Since when one of them has said goodbye.
    pub(crate) fn closing_since(&self) -> Option<(Side, Instant)> {
        self.closed
    }

    /// Who has taken nothing for longer than `within`, though there is something for them.
    pub(crate) fn stalled(&self, within: Duration) -> Option<Side> {
        let is_stalled = |lane: &Lane| lane.waits_since.is_some_and(|since| since.elapsed() > within);
        if is_stalled(&self.down) {
            return Some(Side::Client);
        }
        is_stalled(&self.up).then_some(Side::Platform)
    }

    /// Goes on to the next end of a frame each way, and no further.
    pub(crate) fn pause(&mut self) {
        if self.closed.is_some() {
            return;
        }
        for lane in [&mut self.up, &mut self.down] {
            lane.pauses = true;
            lane.is_paused = lane.frames.is_between() && lane.held.is_empty();
        }
    }

    /// Goes on until it is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let Self { client, platform, up, down, moved, last, .. } = self;
        let polled = [
            (Side::Client, up.poll(cx, (&mut *client, &mut *platform), &moved.to_platform, last)),
            (Side::Platform, down.poll(cx, (&mut *platform, &mut *client), &moved.to_client, last)),
        ];
        for (side, lane) in [(Side::Client, &*up), (Side::Platform, &*down)] {
            if self.closed.is_none() && lane.frames.has_closed() {
                self.closed = Some((side, Instant::now()));
            }
        }
        let mut has_ended = [false; 2];
        for ((side, polled), has_ended) in polled.into_iter().zip(&mut has_ended) {
            let over = match polled {
                Poll::Pending => continue,
                Poll::Ready(Ok(())) if self.closed.is_some() => {
                    *has_ended = true;
                    continue;
                }
                Poll::Ready(Err(Fault::NoFrame)) => return Poll::Ready(Over::NoFrame(side)),
                Poll::Ready(Ok(()) | Err(Fault::Read)) => Over::Broken(side),
                Poll::Ready(Err(Fault::Write)) => Over::Broken(match side {
                    Side::Client => Side::Platform,
                    Side::Platform => Side::Client,
                }),
            };
            // After a goodbye connections end as they like.
            return Poll::Ready(self.closed.map_or(over, |(first, _)| Over::Closed(first)));
        }
        if let (Some((first, _)), [true, true]) = (self.closed, has_ended) {
            return Poll::Ready(Over::Closed(first));
        }
        if self.up.is_paused && self.down.is_paused && self.up.held.is_empty() && self.down.held.is_empty() {
            return Poll::Ready(Over::Paused);
        }
        Poll::Pending
    }

    /// Ends both connections, and says goodbye before that if it is the gate that ends them, as far as a frame of its own
    /// may stand there. Whoever writes meanwhile must not lose it to a reset, so the client is heard out.
    pub(crate) async fn farewell(mut self, code: Option<u16>) {
        let to_client = code.filter(|_| self.down.is_between()).map(|code| close(Side::Platform, code));
        let to_platform = code.filter(|_| self.up.is_between()).map(|code| close(Side::Client, code));
        let (client, platform) = (&mut self.client, &mut self.platform);
        let of_client = async {
            let _said = said(client, to_client).await;
            let mut room = [0; 1 << 10];
            while client.read(&mut room).await.is_ok_and(|taken| taken > 0) {}
        };
        let of_platform = async {
            let _said = said(platform, to_platform).await;
        };
        tokio::join!(of_client, of_platform);
    }
}

async fn said<W: AsyncWrite + Unpin>(to: &mut W, frame: Option<Vec<u8>>) -> io::Result<()> {
    if let Some(frame) = frame {
        to.write_all(&frame).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests;
