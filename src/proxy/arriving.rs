//! A body as it arrives, from a client or from the platform: [`Arriving`].

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A body whose end is told from a cut.
///
/// Over HTTP/2 a sender may reset its stream and call that no error (RFC 9113, section 8.1). hyper takes that
/// for the end of the body, wherever it stood.
#[derive(Debug)]
pub(crate) struct Arriving {
    inner: Incoming,
    over_http2: bool,
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
}

impl Arriving {
    /// Nothing of `inner` was taken yet, which belongs to a message of this version.
    pub(crate) fn new(inner: Incoming, version: Version) -> Self {
        Self { inner, over_http2: version == Version::HTTP_2 }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
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
