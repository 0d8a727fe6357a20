//! The two bodies the gate handles: what a client uploads, and what it is answered with.
//!
//! Both stream; neither is ever held whole beyond a named bound.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, oneshot};

use super::arriving::{Arriving, Broken};
use super::failure::Failure;
use super::pace::{Pace, Required};
use super::sieve::Sieve;
use super::tether::{Decided, Tether, Tied};
use super::websocket::open::Opening;
use crate::kernel::id::FieldPath;
use crate::mask::MaskError;

/// Why a body broke off. The transfer is cut, never ended as if it were whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side's body broke off or was malformed.
    #[error("the body broke off")]
    Broken(#[source] Broken),
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
    /// What was decided holds no longer, or the reply has taken too long.
    #[error("the reply may not go on: {0}")]
    Withdrawn(&'static str),
    /// The client sends too slowly.
    #[error("the client sends too slowly")]
    Slow,
    /// It is no part of the request any more: the record of that is written.
    #[error("the record of the request is written already")]
    OffRecord,
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
            Self::Withdrawn(why) => why,
            Self::Slow => "request-slow",
            Self::OffRecord => "request-over",
        }
    }
}

/// Since when a part of a body that was given has been the last: who takes nothing asks for nothing.
/// While somebody waits for a part, it is not they who are slow; nobody has to ask again then, and over
/// HTTP/2 nobody does.
#[derive(Debug)]
pub(crate) struct Pulse {
    pace: Pace,
    /// Whether the body is gone.
    is_over: AtomicBool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { pace: Pace::waited_for(), is_over: AtomicBool::new(false) }
    }
}

impl Pulse {
    /// Its time begins.
    pub(crate) fn beat(&self) {
        self.pace.step(0);
    }

    /// Notes that a part was asked for: how long it was, or that it was not there.
    fn asked(&self, part: Option<usize>) {
        match part {
            Some(bytes) => self.pace.step(u64::try_from(bytes).unwrap_or(u64::MAX)),
            None => self.pace.moved(0),
        }
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.pace.moved(0);
    }

    /// Whether the body is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether nobody has asked for more of the body for longer than `within`.
    pub(crate) fn is_stalled(&self, within: Duration) -> bool {
        self.pace.stall() > within
    }

    /// Whether the body is taken slower than it must be.
    pub(crate) fn is_too_slow(&self, required: Required) -> bool {
        self.pace.left(required).is_none()
    }

    /// Until it is stalled.
    pub(crate) async fn stalled(&self, within: Duration) {
        while let Some(rest) = within.checked_sub(self.pace.stall()) {
            tokio::time::sleep(rest.saturating_add(Duration::from_millis(1))).await;
        }
    }
}

/// How long the part is that was polled, if there is one.
fn length_of(polled: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) -> Option<usize> {
    match polled {
        Poll::Pending => None,
        Poll::Ready(Some(Ok(frame))) => Some(frame.data_ref().map_or(0, Bytes::len)),
        Poll::Ready(_) => Some(0),
    }
}

/// What became of an upload; read by whoever has to say why forwarding failed.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    /// Whether it is still taken.
    pub(super) pulse: Pulse,
    /// How many came, and whether no more may: in one, so that none goes on that whoever seals a record does not see.
    bytes: AtomicU64,
    fault: OnceLock<UploadFault>,
    has_ended: AtomicBool,
    over: Notify,
    /// Who waits for more of it to come.
    waiting: AtomicWaker,
}

/// The bit of the counter of an upload that says that no more may go on.
const CLOSED: u64 = 1 << 63;

/// What was wrong with an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UploadFault {
    Broken,
    /// The client sends it too slowly.
    Slow,
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
            Self::Slow => "request-slow",
            Self::TooLarge { .. } => "request-too-large",
            Self::Refused { error, .. } => error.reason(),
        }
    }
}

impl UploadState {
    /// How many bytes of it came.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) & !CLOSED
    }

    /// Counts what came; how many that makes, if they may go on. What may not is counted as well, for nobody: the record
    /// is written by then.
    fn count(&self, bytes: u64) -> Option<u64> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        (before & CLOSED == 0).then(|| before.saturating_add(bytes))
    }

    /// Lets no byte more go on to the platform, and ends the wait for any; how many came until then. For whoever writes
    /// the last record.
    pub(crate) fn close(&self) -> u64 {
        let before = self.bytes.fetch_or(CLOSED, Ordering::Relaxed);
        self.waiting.wake();
        before & !CLOSED
    }

    /// Whether no byte more may go on; who asks is woken when that changes.
    fn is_closed(&self, cx: &Context<'_>) -> bool {
        self.waiting.register(cx.waker());
        self.bytes.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// What was wrong with it, if anything.
    pub(crate) fn fault(&self) -> Option<&UploadFault> {
        self.fault.get()
    }

    /// Whether nothing more of it comes, or can be found wrong if it is sifted.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Waits until that is so, or the platform has kept a part of it waiting for longer than `within`: whether it
    /// has ended. One may wait.
    pub(crate) async fn ended(&self, within: Duration) -> bool {
        let ended = async {
            while !self.has_ended() {
                self.over.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = ended => true,
            () = self.pulse.stalled(within) => false,
        }
    }

    /// Notes that it has ended.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.over.notify_one();
    }

    /// Notes what is wrong with it; what was wrong first stands.
    pub(super) fn fail(&self, fault: UploadFault) {
        self.fault.get_or_init(|| fault);
    }
}

/// The body of a request.
#[derive(Debug, Default)]
pub(crate) enum RequestBody {
    /// Whoever sends it on has it.
    #[default]
    Taken,
    /// It is still to be read.
    Coming(Arriving),
    /// It was read, because the decision needed it, and counted.
    Read { bytes: Bytes, state: Arc<UploadState> },
    /// It is still to be read, and only what may go to the platform comes out.
    Sifting(Box<Sieve>),
}

impl RequestBody {
    /// Whether it is known that nothing of it comes.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Coming(body) => body.is_end_stream(),
            Self::Read { bytes, .. } => bytes.is_empty(),
            Self::Sifting(_) => false,
            Self::Taken => true,
        }
    }
}

/// A request body on its way: bounded, counted, without trailers. A field behind a body is a field that
/// no stage has seen, and some servers take it for one of the head (RFC 9110, section 6.5.1).
#[derive(Debug)]
pub(crate) struct Upload {
    inner: Parts,
    limit: u64,
    state: Arc<UploadState>,
    /// Where it goes back to if nobody asks for any of it.
    home: Option<oneshot::Sender<Parts>>,
}

/// Ends an upload with what is still to come of it.
#[derive(Debug)]
struct EndOf(Arc<UploadState>);

impl Drop for EndOf {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where the parts of an [`Upload`] come from.
#[derive(Debug)]
enum Parts {
    Coming {
        inner: Arriving,
        _end: EndOf,
    },
    /// In hand and counted.
    Read(Bytes),
    /// Bounded and counted on its way into the sieve.
    Sifting(Box<Sieve>),
}

impl Parts {
    fn of(body: RequestBody) -> (Self, Arc<UploadState>) {
        match body {
            RequestBody::Taken => Self::in_hand(Bytes::new(), Arc::default()),
            RequestBody::Coming(inner) => {
                let state = Arc::<UploadState>::default();
                (Self::Coming { inner, _end: EndOf(Arc::clone(&state)) }, state)
            }
            RequestBody::Read { bytes, state } => Self::in_hand(bytes, state),
            RequestBody::Sifting(sieve) => {
                let state = Arc::clone(sieve.state());
                (Self::Sifting(sieve), state)
            }
        }
    }

    fn in_hand(bytes: Bytes, state: Arc<UploadState>) -> (Self, Arc<UploadState>) {
        state.end();
        (Self::Read(bytes), state)
    }
}

/// A request body that may have to be sent more than once. What is in hand can be; what is still coming only as long
/// as nobody has asked for any of it.
#[derive(Debug)]
pub(crate) struct Uploads {
    source: UploadSource,
    limit: u64,
    state: Arc<UploadState>,
}

#[derive(Debug)]
enum UploadSource {
    InHand(Bytes),
    Coming(Parts),
    /// It is on its way, and comes back if nobody asks for any of it.
    Lent(oneshot::Receiver<Parts>),
    Gone,
}

impl Uploads {
    pub(crate) fn new(body: RequestBody, limit: u64) -> (Self, Arc<UploadState>) {
        let (parts, state) = Parts::of(body);
        let source = match parts {
            Parts::Coming { inner, .. } if inner.is_end_stream() => UploadSource::InHand(Bytes::new()),
            Parts::Read(bytes) => UploadSource::InHand(bytes),
            coming @ (Parts::Coming { .. } | Parts::Sifting(_)) => UploadSource::Coming(coming),
        };
        (Self { source, limit, state: Arc::clone(&state) }, state)
    }

    /// The body to be sent, if it is whole.
    pub(crate) fn take(&mut self) -> Option<Upload> {
        let inner = match std::mem::replace(&mut self.source, UploadSource::Gone) {
            UploadSource::InHand(bytes) => {
                self.source = UploadSource::InHand(bytes.clone());
                return Some(self.upload(Parts::Read(bytes), None));
            }
            UploadSource::Coming(inner) => inner,
            // Whoever gave up sending it has dropped it before saying so.
            UploadSource::Lent(mut back) => back.try_recv().ok()?,
            UploadSource::Gone => return None,
        };
        let (home, back) = oneshot::channel();
        self.source = UploadSource::Lent(back);
        Some(self.upload(inner, Some(home)))
    }

    fn upload(&self, inner: Parts, home: Option<oneshot::Sender<Parts>>) -> Upload {
        Upload { inner, limit: self.limit, state: Arc::clone(&self.state), home }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let inner = std::mem::replace(&mut self.inner, Parts::Read(Bytes::new()));
        // If nobody waits for it any more, it ends here.
        drop(home.send(inner));
    }
}

impl Upload {
    /// A body that is read once.
    pub(crate) fn new(body: RequestBody, limit: u64) -> (Self, Arc<UploadState>) {
        let (inner, state) = Parts::of(body);
        (Self { inner, limit, state: Arc::clone(&state), home: None }, state)
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let inner = match &mut self.inner {
            Parts::Coming { inner, .. } => inner,
            Parts::Read(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            Parts::Sifting(sieve) => return sieve.poll_sifted(cx),
        };
        let data = loop {
            let Poll::Ready(polled) = Pin::new(&mut *inner).poll_frame(cx) else {
                // Else the platform's connection would be kept for a client that says nothing.
                if self.state.is_closed(cx) {
                    return Poll::Ready(Some(Err(BodyError::OffRecord)));
                }
                return Poll::Pending;
            };
            match polled.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Ok(Ok(data))) => break data,
                Some(Ok(Err(_trailers))) => {}
                Some(Err(Broken::TooSlow)) => {
                    self.state.fail(UploadFault::Slow);
                    return Poll::Ready(Some(Err(BodyError::Slow)));
                }
                Some(Err(error)) => {
                    self.state.fail(UploadFault::Broken);
                    return Poll::Ready(Some(Err(BodyError::Broken(error))));
                }
            }
        };
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let Some(bytes) = self.state.count(length) else {
            return Poll::Ready(Some(Err(BodyError::OffRecord)));
        };
        if bytes > self.limit {
            self.state.fail(UploadFault::TooLarge { limit: self.limit });
            return Poll::Ready(Some(Err(BodyError::TooLarge { limit: self.limit })));
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.home = None;
        let polled = self.poll_part(cx);
        self.state.pulse.asked(length_of(&polled));
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Parts::Coming { inner, .. } => inner.is_end_stream(),
            Parts::Read(bytes) => bytes.is_empty(),
            Parts::Sifting(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Parts::Coming { inner, .. } => inner.size_hint(),
            Parts::Read(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            // How much comes out is known at its end.
            Parts::Sifting(_) => SizeHint::new(),
        }
    }
}

/// Something that ends with a reply's body: a limit's permit, a counter of requests in work.
pub(crate) trait Guard: Send {}

impl<T: Send> Guard for T {}

/// A streamed body, boxed once a reply.
pub(crate) type Stream = Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>;

/// Ends a pulse with the body it belongs to.
struct PulseOf(Arc<Pulse>);

impl Drop for PulseOf {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How much of a reply is given at once, in bytes. Over HTTP/2 hyper takes a part as soon as the client
/// lets a single byte of it through, and lets go of the body with the last part: so much may lie there,
/// unwatched and counted nowhere.
const PIECE: usize = 16 << 10;

/// The next piece of what is in hand; none if there is nothing.
fn next_piece(held: &mut Bytes) -> Option<Bytes> {
    (!held.is_empty()).then(|| held.split_to(held.len().min(PIECE)))
}

/// A body in pieces, without trailers: they are fields as well, and those of a reply leave by a short list.
struct Pieces<B> {
    inner: B,
    /// What was given of it and is still in hand.
    held: Bytes,
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> Body for Pieces<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = next_piece(&mut this.held) {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)).transpose()? else {
                return Poll::Ready(None);
            };
            this.held = frame.into_data().unwrap_or_default();
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        let (coming, mut all) = (self.inner.size_hint(), SizeHint::new());
        all.set_lower(coming.lower().saturating_add(held));
        if let Some(upper) = coming.upper() {
            all.set_upper(upper.saturating_add(held));
        }
        all
    }
}

/// A reply to an upload that has not ended: the end of the one waits for that of the other.
struct AfterUpload {
    inner: Stream,
    /// The last that `inner` gave, once it has.
    last: Option<Option<Bytes>>,
    /// Whether `inner` has said that it is over.
    is_inner_over: bool,
    /// Whether the upload has ended as it should.
    ended: Pin<Box<dyn Future<Output = bool> + Send>>,
    is_over: bool,
}

impl Body for AfterUpload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.last.is_none() {
            let frame = ready!(this.inner.as_mut().poll_frame(cx)).transpose()?;
            // Whoever knows the length asks for nothing behind the last part.
            let is_last = this.inner.is_end_stream() || this.inner.size_hint().exact() == Some(0);
            if frame.is_some() && !is_last {
                return Poll::Ready(frame.map(Ok));
            }
            this.is_inner_over = frame.is_none();
            this.last = Some(frame.and_then(|frame| frame.into_data().ok()));
        }
        while !this.is_inner_over && !this.inner.is_end_stream() {
            this.is_inner_over = ready!(this.inner.as_mut().poll_frame(cx)).transpose()?.is_none();
        }
        let has_ended = ready!(this.ended.as_mut().poll(cx));
        this.is_over = true;
        if !has_ended {
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        }
        Poll::Ready(this.last.take().flatten().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        match &self.last {
            None => self.inner.size_hint(),
            Some(last) => {
                let held = last.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(held).unwrap_or(u64::MAX))
            }
        }
    }
}

/// The body of a reply, and what ends with it.
pub(crate) struct ReplyBody {
    content: Content,
    /// What the release of a body that is still coming rests on.
    tether: Option<Arc<Tether>>,
    pulse: Option<PulseOf>,
    guards: Vec<Box<dyn Guard>>,
}

enum Content {
    Empty,
    Whole(Bytes),
    Stream(Stream),
    /// None: what follows the head is a session.
    Session(Box<Opening>),
}

impl ReplyBody {
    /// No body at all.
    pub(crate) fn empty() -> Self {
        Self { content: Content::Empty, tether: None, pulse: None, guards: Vec::new() }
    }

    /// A body that is in hand.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), tether: None, pulse: None, guards: Vec::new() }
    }

    /// A body that is still coming.
    pub(crate) fn stream(inner: impl Body<Data = Bytes, Error = BodyError> + Unpin + Send + 'static) -> Self {
        let stream: Stream = Box::pin(Pieces { inner, held: Bytes::new() });
        Self { content: Content::Stream(stream), tether: None, pulse: None, guards: Vec::new() }
    }

    /// No body, but what follows in place of HTTP.
    pub(crate) fn session(opening: Opening) -> Self {
        let content = Content::Session(Box::new(opening));
        Self { content, tether: None, pulse: None, guards: Vec::new() }
    }

    /// Whether a session follows.
    pub(crate) fn is_session(&self) -> bool {
        matches!(self.content, Content::Session(_))
    }

    /// The session that follows, if one does.
    pub(crate) fn opening(&mut self) -> Option<&mut Opening> {
        match &mut self.content {
            Content::Session(opening) => Some(opening),
            Content::Empty | Content::Whole(_) | Content::Stream(_) => None,
        }
    }

    /// Takes the session that follows.
    pub(crate) fn take_session(&mut self) -> Option<Opening> {
        match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Session(opening) => Some(*opening),
            other @ (Content::Empty | Content::Whole(_) | Content::Stream(_)) => {
                self.content = other;
                None
            }
        }
    }

    /// Whether it is still coming.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Stream(_))
    }

    /// Whether it is given at once.
    pub(crate) fn is_one_piece(&self) -> bool {
        !self.is_stream() && self.as_whole().len() <= PIECE
    }

    /// The bytes in hand, if it is.
    pub(crate) fn as_whole(&self) -> &[u8] {
        match &self.content {
            Content::Whole(bytes) => bytes,
            Content::Empty | Content::Stream(_) | Content::Session(_) => &[],
        }
    }

    /// Wraps a body that is still coming.
    pub(crate) fn map_stream(mut self, wrap: impl FnOnce(Stream) -> Stream) -> Self {
        if let Content::Stream(stream) = self.content {
            self.content = Content::Stream(wrap(stream));
        }
        self
    }

    /// Has the end of a body that is still coming wait for that of an upload, of which the platform must not keep a
    /// part waiting for longer than `within`.
    pub(crate) fn after(self, upload: Arc<UploadState>, within: Duration) -> Self {
        let ended = Box::pin(async move { upload.ended(within).await && upload.fault().is_none() });
        self.map_stream(|inner| {
            Box::pin(AfterUpload { inner, last: None, is_inner_over: false, ended, is_over: false })
        })
    }

    /// Ends a body that is still coming as soon as what was decided holds no longer.
    pub(crate) fn tied(mut self, decided: Decided) -> Self {
        if self.is_stream() {
            let tether = Arc::new(Tether::new(decided));
            self.tether = Some(Arc::clone(&tether));
            self = self.map_stream(|inner| Box::pin(Tied::new(inner, tether)));
        }
        self
    }

    /// What ends it, for whoever sees to that.
    pub(crate) fn tether(&self) -> Option<&Arc<Tether>> {
        self.tether.as_ref()
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
            Content::Session(_) => "session",
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
        let polled = match &mut self.content {
            Content::Empty | Content::Session(_) => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(next_piece(bytes).map(|piece| Ok(Frame::data(piece)))),
            Content::Stream(stream) => stream.as_mut().poll_frame(cx),
        };
        if let Some(pulse) = &self.pulse {
            pulse.0.asked(length_of(&polled));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty | Content::Session(_) => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty | Content::Session(_) => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Content::Stream(stream) => stream.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use tokio::time::Instant;

    use super::*;

    /// Parts of a body; where there is none, it has to be waited for.
    struct Script(VecDeque<Option<Vec<u8>>>);

    impl Body for Script {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(None) => Poll::Pending,
                Some(Some(part)) => Poll::Ready(Some(Ok(Frame::data(part.into())))),
            }
        }
    }

    fn stream<const N: usize>(parts: [Option<Vec<u8>>; N]) -> ReplyBody {
        ReplyBody::stream(Script(parts.into()))
    }

    /// Asks for the next part.
    fn ask(body: &mut ReplyBody) -> Poll<Option<Bytes>> {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
        polled.map(|part| part.map(|part| part.unwrap().into_data().unwrap()))
    }

    /// Whether it is stalled once any time has passed.
    fn stalls(pulse: &Pulse) -> bool {
        (0..1_000_000).any(|_| pulse.is_stalled(Duration::ZERO))
    }

    #[test]
    fn nothing_is_counted_behind_the_record() {
        let state = UploadState::default();
        assert_eq!((state.count(3), state.count(4), state.bytes()), (Some(3), Some(7), 7));
        assert_eq!((state.close(), state.count(5)), (7, None));
        assert_eq!(state.count(0), None, "nor does anything go on later");
    }

    #[tokio::test]
    async fn an_upload_in_hand_has_ended_and_one_that_is_coming_has_not() {
        let long = Duration::from_mins(1);
        let (_uploads, state) = Uploads::new(RequestBody::Taken, 1);
        assert!(state.has_ended() && state.ended(long).await);
        let read = RequestBody::Read { bytes: "a".into(), state: Arc::default() };
        let (_uploads, state) = Uploads::new(read, 1);
        assert!(state.has_ended() && state.ended(long).await);
        let state = Arc::<UploadState>::default();
        let end = EndOf(Arc::clone(&state));
        assert!(!state.has_ended());
        state.pulse.beat();
        assert!(!state.ended(Duration::from_millis(1)).await, "nobody takes it");
        drop(end);
        assert!(state.ended(long).await);
    }

    #[test]
    fn only_who_could_ask_and_does_not_has_stalled() {
        let mut body = stream([Some(b"a".to_vec()), None, Some(b"b".to_vec())]);
        let pulse = Arc::new(Pulse::default());
        body.watch(Arc::clone(&pulse));
        assert!(stalls(&pulse), "nobody has asked yet");
        assert_eq!(ask(&mut body), Poll::Ready(Some("a".into())));
        assert!(stalls(&pulse), "nobody asks for more");
        assert!(!pulse.is_stalled(Duration::MAX), "but not for so long");
        assert_eq!(ask(&mut body), Poll::Pending);
        assert!(!stalls(&pulse), "it is waited for");
        assert_eq!(ask(&mut body), Poll::Ready(Some("b".into())));
        assert!(stalls(&pulse), "it is there, and nobody asks for more");
        drop(body);
        assert!(!stalls(&pulse) && pulse.has_ended());
    }

    #[tokio::test]
    async fn the_time_of_a_part_begins_when_it_is_there() {
        let (pulse, short) = (Pulse::default(), Duration::from_millis(5));
        pulse.stalled(short).await;
        pulse.asked(None);
        assert!(tokio::time::timeout(4 * short, pulse.stalled(short)).await.is_err(), "it is waited for");
        pulse.asked(Some(1));
        let since = Instant::now();
        pulse.stalled(short).await;
        assert!(since.elapsed() >= short);
    }

    #[test]
    fn a_body_ends_with_one_of_its_pieces_and_not_before() {
        let bytes: Vec<u8> = (0_u8..=250).cycle().take(3 * PIECE + 7).collect();
        let (front, back) = bytes.split_at(PIECE + 1);
        let streamed = || stream([Some(front.to_vec()), Some(Vec::new()), Some(back.to_vec())]);
        for (mut body, is_whole) in [(ReplyBody::whole(bytes.clone()), true), (streamed(), false)] {
            assert_eq!((body.is_stream(), body.is_one_piece()), (!is_whole, false));
            let (mut came, mut watched) = (Vec::new(), 0);
            while let Poll::Ready(Some(piece)) = ask(&mut body) {
                assert!(!piece.is_empty() && piece.len() <= PIECE);
                came.extend_from_slice(&piece);
                watched += usize::from(!body.is_end_stream());
                let left = u64::try_from(bytes.len() - came.len()).unwrap();
                assert!(!is_whole || body.size_hint().exact() == Some(left), "{left}");
                assert!(body.is_end_stream() == (is_whole && left == 0), "{left}");
            }
            assert!(came == bytes && watched >= 3);
        }
        assert!(ReplyBody::whole(vec![0; PIECE]).is_one_piece() && ReplyBody::empty().is_one_piece());
    }
}
