//! Between TLS and the HTTP library, on HTTP/1.1 connections: [`Guarded`] hands on what has one reading.
//!
//! Heads are handed on whole. So when one is refused the library has seen nothing of it, and reads in its place
//! a *stand-in*: a harmless head of the gate's own, whose target `*` no head from outside can have, since
//! [`Validator`] takes it from nobody. The library answers what came before in its order, then brings the
//! stand-in to the stages like any request; there the fault that was left in [`Refused`] makes it a
//! refusal with a problem document and a record. Nothing is read after it, and the connection ends with the reply.
//!
//! A fault in the body of a request whose head was handed on is an error of the connection: the body breaks off
//! where it stands, towards the platform too.
//!
//! Behind a request for another protocol the library is handed nothing. What comes there before the answer is held, no
//! more of it than came at once, and belongs to that protocol if the answer is yes ([`Guarded::into_switched`]); if it is no,
//! to nobody: the connection ends.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::wire::{Fault, Limits, Place, Stop, Validator};

/// How long, and for how many bytes, an ended connection is still read: a client that is writing when it is
/// refused must not lose the reply to a reset (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: usize = 256 << 10;

/// The target of a stand-in.
const STAND_IN: &str = "*";

/// How a method is called in a record that could not be read.
const NO_METHOD: &[u8] = b"-";

/// The head of a connection that was refused, if one was.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused(Arc<OnceLock<Refusal>>);

#[derive(Debug)]
struct Refusal {
    fault: Fault,
    method: Method,
}

impl Refused {
    /// The fault for which `uri` stands in, and the method of the head that has it.
    pub(super) fn behind(&self, uri: &http::Uri) -> Option<(Fault, Method)> {
        let refusal = self.0.get().filter(|_| uri.path() == STAND_IN)?;
        Some((refusal.fault, refusal.method.clone()))
    }

    fn note(&self, fault: Fault, head: &[u8]) {
        let word = head.split(|&byte| byte == b' ').next().filter(|word| word.len() <= 32);
        let method = word.and_then(|word| Method::from_bytes(word).ok());
        let method = method.or_else(|| Method::from_bytes(NO_METHOD).ok()).unwrap_or_default();
        // There is one: nothing is read after it.
        let _first = self.0.set(Refusal { fault, method });
    }
}

/// A connection whose reader gets nothing that has two readings.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    validator: Validator,
    /// The beginning of a head or of trailers whose rest has yet to come.
    held: BytesMut,
    /// What is sound, and was held.
    sound: BytesMut,
    end: End,
    refused: Refused,
}

/// Whether more is read.
#[derive(Debug)]
enum End {
    No,
    /// A head was refused: its stand-in is the last thing to be read.
    Head,
    /// A body broke off.
    Body(Fault),
    /// The reply has left; what still comes is thrown away.
    Lingering {
        until: Pin<Box<Sleep>>,
        left: usize,
    },
    /// Nothing more is to be waited for.
    Over,
}

impl<S> Guarded<S> {
    /// At the beginning of a connection; what is refused is left in `refused`.
    pub(super) fn new(inner: S, limits: Limits, refused: Refused) -> Self {
        Self {
            inner,
            validator: Validator::new(limits),
            held: BytesMut::new(),
            sound: BytesMut::new(),
            end: End::No,
            refused,
        }
    }

    /// What is below, and what of it came too early, once a reply has switched to another protocol.
    pub(super) fn into_switched(self) -> (BytesMut, S) {
        (self.held, self.inner)
    }

    /// Judges what was read into `buffer` behind its first `before` bytes, and leaves in it what is sound.
    fn judge(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let read = buffer.filled().get(before..).unwrap_or_default();
        if self.held.is_empty() {
            let verdict = self.validator.read(read);
            let sound = verdict.as_ref().map_or_else(|stop| stop.sound, |&sound| sound);
            let rest = read.get(sound..).unwrap_or_default();
            match verdict {
                Ok(_) => self.held.extend_from_slice(rest),
                Err(stop) => self.stop(stop, rest),
            }
            buffer.set_filled(before + sound);
            return;
        }
        self.held.extend_from_slice(read);
        buffer.set_filled(before);
        let verdict = self.validator.read(&self.held);
        let sound = verdict.as_ref().map_or_else(|stop| stop.sound, |&sound| sound);
        self.sound = self.held.split_to(sound);
        if let Err(stop) = verdict {
            let rest = std::mem::take(&mut self.held);
            self.stop(stop, &rest);
        } else if self.held.is_empty() {
            // What is idle keeps no memory.
            self.held = BytesMut::new();
        }
    }

    /// Reads no more. `rest` begins where the fault is, or the head that has it.
    fn stop(&mut self, stop: Stop, rest: &[u8]) {
        tracing::debug!(fault = %stop.fault, "bytes with more than one reading");
        self.end = match stop.place {
            Place::Body => End::Body(stop.fault),
            Place::Head => {
                self.refused.note(stop.fault, rest);
                stand_in(&mut self.sound, rest);
                End::Head
            }
        };
    }
}

/// A head with the target `*` that has of `head` what its reply depends on: whether it may have a body, and its language.
fn stand_in(buffer: &mut BytesMut, head: &[u8]) {
    let method = if head.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    buffer.extend_from_slice(method.as_bytes());
    buffer.extend_from_slice(b" * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if let Some(languages) = languages(head) {
        buffer.extend_from_slice(b"accept-language: ");
        buffer.extend_from_slice(languages);
        buffer.extend_from_slice(b"\r\n");
    }
    buffer.extend_from_slice(b"\r\n");
}

/// The value of `Accept-Language`, if it is plain.
fn languages(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"accept-language:";
    let head = memmem::find(head, b"\r\n\r\n").and_then(|end| head.get(..end)).unwrap_or(head);
    let mut lines = head.split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    })?;
    let value = value.trim_ascii();
    let is_plain = |&byte: &u8| byte.is_ascii_graphic() || byte == b' ';
    (value.len() <= 256 && value.iter().all(is_plain)).then_some(value)
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        loop {
            if !this.sound.is_empty() {
                let part = this.sound.split_to(this.sound.len().min(buffer.remaining()));
                buffer.put_slice(&part);
                if this.sound.is_empty() {
                    this.sound = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            match &this.end {
                // Nobody is asked again: the answer decides whose it is.
                End::No if this.validator.awaits_switch() && !this.held.is_empty() => return Poll::Pending,
                End::No => {}
                End::Body(fault) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, *fault)));
                }
                // The reply to the stand-in ends the connection. An end that is read here would do so before it.
                End::Head => return Poll::Pending,
                End::Lingering { .. } | End::Over => return Poll::Ready(Ok(())),
            }
            ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            if this.validator.awaits_switch() {
                this.held.extend_from_slice(buffer.filled().get(before..).unwrap_or_default());
                buffer.set_filled(before);
                continue;
            }
            this.judge(buffer, before);
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    fn lingering() -> End {
        End::Lingering { until: Box::pin(tokio::time::sleep(LINGER)), left: MAX_LINGER_BYTES }
    }

    /// Throws away what comes until the client ends the connection too, or long enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [std::mem::MaybeUninit::uninit(); 4 << 10];
        while let End::Lingering { until, left } = &mut self.end {
            if until.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut buffer = ReadBuf::uninit(&mut room);
            let read = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer));
            let taken = buffer.filled().len();
            if read.is_err() || taken == 0 || taken >= *left {
                break;
            }
            *left -= taken;
        }
        self.end = End::Over;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !matches!(this.end, End::Lingering { .. } | End::Over) {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            this.end = match this.end {
                End::Head | End::Body(_) => Self::lingering(),
                // Its client may already speak as if it had been told yes.
                End::No if this.validator.awaits_switch() => Self::lingering(),
                End::No | End::Lingering { .. } | End::Over => End::Over,
            };
        }
        ready!(this.poll_linger(cx));
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
