//! Bodies that are played step by step, so that a reply may also stall, break off or end early.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The body of every reply.
pub(super) type ReplyBody = UnsyncBoxBody<Bytes, Cut>;

/// A body that was cut off: what was sent of it is not the whole.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut off")]
pub(super) struct Cut;

/// A body up to this size is sent whole, with its length; a longer one in chunks. In bytes.
const WHOLE_MAX: usize = 64 << 10;

/// One step of a body.
#[derive(Debug)]
pub(super) enum Step {
    /// Bytes to send.
    Send(Bytes),
    /// Waits until the connection had its chance to flush what was sent so far.
    Flush,
    /// Breaks the connection off.
    Break,
    /// Sends nothing more until the platform stops.
    Silence(CancellationToken),
    /// Trailers, which end the body.
    Trailers(HeaderMap),
}

/// A body of bytes at hand.
pub(super) fn whole(bytes: impl Into<Bytes>) -> ReplyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose length nobody is told beforehand.
pub(super) fn script<I>(steps: I) -> ReplyBody
where
    I: Iterator<Item = Step> + Send + Unpin + 'static,
{
    Script { steps, silence: None }.boxed_unsync()
}

/// A body that is whole if it is short and in chunks if it is long; never more than [`WHOLE_MAX`]
/// and one step of it are held.
pub(super) fn sized<I>(mut steps: I) -> ReplyBody
where
    I: Iterator<Item = Step> + Send + Unpin + 'static,
{
    let mut held = Vec::new();
    while held.len() <= WHOLE_MAX {
        match steps.next() {
            None => return whole(held),
            Some(Step::Send(bytes)) => held.extend_from_slice(&bytes),
            Some(other) => {
                return script([Step::Send(held.into()), other].into_iter().chain(steps));
            }
        }
    }
    script(std::iter::once(Step::Send(held.into())).chain(steps))
}

struct Script<I> {
    steps: I,
    silence: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<I: Iterator<Item = Step> + Unpin> Body for Script<I> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(silence) = &mut self.silence {
            return silence.as_mut().poll(cx).map(|()| Some(Err(Cut)));
        }
        match self.steps.next() {
            None => Poll::Ready(None),
            Some(Step::Send(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Break) => Poll::Ready(Some(Err(Cut))),
            Some(Step::Flush) => {
                // The connection flushes what it holds whenever its body is not ready.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Silence(stop)) => {
                let mut silence = Box::pin(stop.cancelled_owned());
                let ended = silence.as_mut().poll(cx);
                self.silence = Some(silence);
                ended.map(|()| Some(Err(Cut)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
