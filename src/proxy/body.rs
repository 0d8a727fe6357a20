//! The two bodies the gate handles: what a client uploads, and what it is answered with.
//!
//! Both stream; neither is ever held whole beyond a named bound.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::failure::Failure;
use super::normalize::is_trailer;
use super::sieve::Sieve;
use crate::kernel::id::FieldPath;
use crate::mask::MaskError;

/// Why a body broke off. The transfer is cut, never ended as if it were whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side's body broke off or was malformed.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// The client sent more than the route allows.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The platform was silent for too long in the middle of a body.
    #[error("the platform stalled in the middle of the body")]
    Stalled,
    /// The body cannot be masked.
    #[error("the body cannot be masked")]
    Mask(#[source] MaskError),
    /// The body cannot be decoded, or encoded again.
    #[error("the body's content coding failed")]
    Coding(#[source] crate::coding::CodingError),
    /// The body holds what may not go to the platform, or cannot be read for it.
    #[error("the request body may not go on")]
    Refused(#[source] MaskError),
    /// The day's records are used up.
    #[error("the day's records are used up")]
    Quota(Box<Failure>),
}

impl BodyError {
    /// The reason as it stands in a record.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Broken(_) => "upstream-broken",
            Self::TooLarge { .. } => "request-too-large",
            Self::Stalled => "upstream-stalled",
            Self::Mask(error) | Self::Refused(error) => error.reason(),
            Self::Coding(error) => error.reason(),
            Self::Quota(_) => "rows-exhausted",
        }
    }
}

/// What became of an upload; read by whoever has to say why forwarding failed.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    bytes: AtomicU64,
    fault: OnceLock<UploadFault>,
    over: Notify,
}

/// What was wrong with an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UploadFault {
    Broken,
    TooLarge {
        limit: u64,
    },
    /// It holds what may not go to the platform, or cannot be read for it.
    Refused {
        error: MaskError,
        /// The catalogue field it is about, if it has a name there.
        field: Option<FieldPath>,
    },
}

impl UploadFault {
    /// The reason as it stands in a record.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Broken => "client-gone",
            Self::TooLarge { .. } => "request-too-large",
            Self::Refused { error, .. } => error.reason(),
        }
    }
}

impl UploadState {
    /// How many bytes of it came.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What was wrong with it, if anything.
    pub(crate) fn fault(&self) -> Option<&UploadFault> {
        self.fault.get()
    }

    /// Waits until nothing more of a body that is sifted can be found wrong. One may wait.
    pub(crate) async fn sifted(&self) {
        self.over.notified().await;
    }

    /// Ends that wait.
    pub(super) fn end(&self) {
        self.over.notify_one();
    }

    /// Notes what is wrong with it; what was wrong first stands.
    pub(super) fn fail(&self, fault: UploadFault) {
        self.fault.get_or_init(|| fault);
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// It is still to be read.
    Coming(Incoming),
    /// It was read, because the decision needed it, and counted.
    Read { bytes: Bytes, trailers: Option<HeaderMap>, state: Arc<UploadState> },
    /// It is still to be read, and only what may go to the platform comes out.
    Sifting(Box<Sieve>),
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::Read { bytes: Bytes::new(), trailers: None, state: Arc::default() }
    }
}

/// A request body on its way: bounded, counted, its trailers filtered.
#[derive(Debug)]
pub(crate) struct Upload {
    inner: Parts,
    limit: u64,
    state: Arc<UploadState>,
}

/// Where the parts of an [`Upload`] come from.
#[derive(Debug)]
enum Parts {
    Coming(Incoming),
    /// In hand, counted and filtered.
    Read(Bytes, Option<HeaderMap>),
    /// Bounded and counted on its way into the sieve.
    Sifting(Box<Sieve>),
}

impl Upload {
    pub(crate) fn new(body: RequestBody, limit: u64) -> (Self, Arc<UploadState>) {
        let (inner, state) = match body {
            RequestBody::Coming(inner) => (Parts::Coming(inner), Arc::default()),
            RequestBody::Read { bytes, trailers, state } => (Parts::Read(bytes, trailers), state),
            RequestBody::Sifting(sieve) => {
                let state = Arc::clone(sieve.state());
                (Parts::Sifting(sieve), state)
            }
        };
        (Self { inner, limit, state: Arc::clone(&state) }, state)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let inner = match &mut this.inner {
            Parts::Coming(inner) => inner,
            Parts::Read(bytes, trailers) => {
                let bytes = std::mem::take(bytes);
                let data = (!bytes.is_empty()).then(|| Frame::data(bytes));
                return Poll::Ready(data.or_else(|| trailers.take().map(Frame::trailers)).map(Ok));
            }
            Parts::Sifting(sieve) => return sieve.poll_sifted(cx),
        };
        let frame = match ready!(Pin::new(inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                this.state.fail(UploadFault::Broken);
                return Poll::Ready(Some(Err(BodyError::Broken(error))));
            }
        };
        let frame = match frame.into_data() {
            Ok(data) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let bytes = this.state.bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length);
                if bytes > this.limit {
                    this.state.fail(UploadFault::TooLarge { limit: this.limit });
                    return Poll::Ready(Some(Err(BodyError::TooLarge { limit: this.limit })));
                }
                Frame::data(data)
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Frame::trailers(filtered(trailers)),
                Err(_unknown) => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Parts::Coming(inner) => inner.is_end_stream(),
            Parts::Read(bytes, trailers) => bytes.is_empty() && trailers.is_none(),
            Parts::Sifting(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Parts::Coming(inner) => inner.size_hint(),
            Parts::Read(bytes, trailers) => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let mut hint = SizeHint::with_exact(length);
                if trailers.is_some() {
                    // HTTP/1.1 has trailers only after chunks (RFC 9112, section 7.1.2).
                    hint = SizeHint::new();
                    hint.set_lower(length);
                }
                hint
            }
            // How much comes out is known at its end.
            Parts::Sifting(_) => SizeHint::new(),
        }
    }
}

/// Only the trailer fields that may pass.
pub(crate) fn filtered(mut trailers: HeaderMap) -> HeaderMap {
    let refused: Vec<HeaderName> = trailers.keys().filter(|name| !is_trailer(name)).cloned().collect();
    for name in &refused {
        trailers.remove(name);
    }
    trailers
}

/// Something that ends with a reply's body: a limit's permit, a counter of requests in work.
pub(crate) trait Guard: Send {}

impl<T: Send> Guard for T {}

/// A streamed body, boxed once a reply.
pub(crate) type Stream = Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>;

/// When the body of a reply was last asked for: a client that takes nothing asks for nothing.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    /// Milliseconds after `began`; `ENDED` once the body is gone.
    last_ms: AtomicU64,
}

/// What [`Pulse::last_ms`] holds once the body is gone.
const ENDED: u64 = u64::MAX;

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    fn beat(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(ENDED - 1);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// Whether the body is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.last_ms.load(Ordering::Relaxed) == ENDED
    }

    /// Whether nobody has asked for the body for longer than `within`.
    pub(crate) fn is_stalled(&self, within: Duration) -> bool {
        let last = self.last_ms.load(Ordering::Relaxed);
        last != ENDED && self.began.elapsed().saturating_sub(Duration::from_millis(last)) > within
    }
}

/// Ends a pulse with the body it belongs to.
struct PulseOf(Arc<Pulse>);

impl Drop for PulseOf {
    fn drop(&mut self) {
        self.0.last_ms.store(ENDED, Ordering::Relaxed);
    }
}

/// The body of a reply, and what ends with it.
pub(crate) struct ReplyBody {
    content: Content,
    pulse: Option<PulseOf>,
    guards: Vec<Box<dyn Guard>>,
}

enum Content {
    Empty,
    Whole(Bytes),
    Stream(Stream),
}

impl ReplyBody {
    /// No body at all.
    pub(crate) fn empty() -> Self {
        Self { content: Content::Empty, pulse: None, guards: Vec::new() }
    }

    /// A body that is in hand.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), pulse: None, guards: Vec::new() }
    }

    /// A body that is still coming.
    pub(crate) fn stream(stream: Stream) -> Self {
        Self { content: Content::Stream(stream), pulse: None, guards: Vec::new() }
    }

    /// Whether it is still coming.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Stream(_))
    }

    /// The bytes in hand, if it is.
    pub(crate) fn as_whole(&self) -> &[u8] {
        match &self.content {
            Content::Whole(bytes) => bytes,
            Content::Empty | Content::Stream(_) => &[],
        }
    }

    /// Wraps a body that is still coming.
    pub(crate) fn map_stream(mut self, wrap: impl FnOnce(Stream) -> Stream) -> Self {
        if let Content::Stream(stream) = self.content {
            self.content = Content::Stream(wrap(stream));
        }
        self
    }

    /// Lets somebody see whether the body is still asked for.
    pub(crate) fn watch(&mut self, pulse: Arc<Pulse>) {
        pulse.beat();
        self.pulse = Some(PulseOf(pulse));
    }

    /// Keeps `guard` until the body has ended, one way or another.
    pub(crate) fn guard(&mut self, guard: impl Guard + 'static) {
        self.guards.push(Box::new(guard));
    }
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match &self.content {
            Content::Empty => "empty",
            Content::Whole(_) => "whole",
            Content::Stream(_) => "stream",
        };
        write!(f, "ReplyBody({what})")
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(pulse) = &self.pulse {
            pulse.0.beat();
        }
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))))
            }
            Content::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Content::Stream(stream) => stream.size_hint(),
        }
    }
}
