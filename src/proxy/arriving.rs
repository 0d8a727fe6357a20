//! A body as it arrives, from a client or from the platform: [`Arriving`].

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::pace::{Pace, Required};

/// A body whose end is told from a cut.
///
/// Over HTTP/2 a sender may reset its stream and call that no error (RFC 9113, section 8.1). hyper takes that
/// for the end of the body, wherever it stood.
#[derive(Debug)]
pub(crate) struct Arriving {
    inner: Incoming,
    over_http2: bool,
    /// Of a client, how fast it must send.
    demand: Option<Box<Demand>>,
}

/// How fast a body must arrive, and does.
#[derive(Debug)]
struct Demand {
    required: Required,
    pace: Pace,
    /// Wakes when the patience with the sender is over, unless more has come until then.
    end: Option<Pin<Box<Sleep>>>,
}

impl Demand {
    /// Waits on, unless it has been for too long.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pace.wait();
        loop {
            let Some(left) = self.pace.left(self.required) else { return Poll::Ready(()) };
            // What is over only at its end is over a moment later.
            let left = left + Duration::from_millis(1);
            // Set anew once it has ended: while parts come, that is once in the time of grace.
            let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
            ready!(end.as_mut().poll(cx));
            self.end = None;
        }
    }
}

/// A body that broke off, or was malformed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection ended, or what came was not HTTP.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// The stream was given up.
    #[error("the stream was reset before its end")]
    Reset,
    /// A client sends too slowly.
    #[error("it came too slowly")]
    TooSlow,
}

impl Arriving {
    /// Nothing of `inner` was taken yet, which belongs to a message of this version.
    pub(crate) fn new(inner: Incoming, version: Version) -> Self {
        Self { inner, over_http2: version == Version::HTTP_2, demand: None }
    }

    /// The same of a client, which must not be slower than `required`.
    pub(crate) fn of_client(inner: Incoming, version: Version, required: Required) -> Self {
        let arriving = Self::new(inner, version);
        let demand = Demand { required, pace: Pace::default(), end: None };
        let demand = (!arriving.inner.is_end_stream()).then(|| Box::new(demand));
        Self { demand, ..arriving }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let Poll::Ready(frame) = polled else {
            // While nobody asks, the client is not waited for.
            let Some(demand) = &mut self.demand else { return Poll::Pending };
            ready!(demand.poll_wait(cx));
            return Poll::Ready(Some(Err(Broken::TooSlow)));
        };
        if let Some(demand) = &self.demand {
            let bytes =
                frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            demand.pace.moved(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
        if frame.is_none() && self.over_http2 && !self.inner.is_end_stream() {
            return Poll::Ready(Some(Err(Broken::Reset)));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Broken::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
