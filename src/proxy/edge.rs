//! The outer stages, which wait or watch: `observe`, `record`, `admit`, `deadline`, and `oblige` at the
//! bottom. Each is a tower layer; a request costs two boxed futures in all.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::Timeout;
use tower::{Layer, Service};

use super::body::ReplyBody;
use super::exchange::{Draft, Exchange};
use super::failure::{Failure, RequestFailure};
use super::forward::X_REQUEST_ID;
use super::problem::Code;
use super::record::{Recorder, SealOnDrop};
use super::reply::oblige;
use super::rescue::refuse;
use super::resolve::Routed;
use super::sift::Sifted;
use super::snapshot::Snapshot;
use super::strangers::Strangers;
use super::traced::spans;
use super::websocket::places::SessionPlaces;
use crate::audit::Reached;
use crate::telemetry::{
    IntCounter, Metrics, Outcome, Refused, ResourceMetrics, SpanSink, Stage, StageMetrics,
};

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, E>> + Send>>;

/// The layer `observe`.
#[derive(Debug, Clone)]
pub(crate) struct Observe {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stages: StageMetrics,
    pub(crate) nowhere: ResourceMetrics,
    /// The counter of each problem code, in the order of [`Code::ALL`].
    pub(crate) refusals: Vec<IntCounter>,
    pub(crate) strangers: Strangers,
    /// Who gets the spans of sampled requests.
    pub(crate) spans: Option<Arc<dyn SpanSink>>,
}

impl Observe {
    /// Resolves every counter that requests touch.
    pub(crate) fn new(metrics: Arc<Metrics>, strangers: Strangers, spans: Option<Arc<dyn SpanSink>>) -> Self {
        let refusals = Code::ALL.iter().map(|code| metrics.refusals(code.as_str())).collect();
        Self {
            stages: metrics.stages(),
            nowhere: metrics.resource(None),
            refusals,
            strangers,
            spans,
            metrics,
        }
    }

    fn count_refusal(&self, code: Code) {
        let position = Code::ALL.iter().position(|known| *known == code);
        if let Some(counter) = position.and_then(|position| self.refusals.get(position)) {
            counter.inc();
        }
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { observe: Arc::new(self.clone()), inner }
    }
}

/// A service whose requests are counted until their replies have ended.
#[derive(Debug, Clone)]
pub(crate) struct Observed<S> {
    observe: Arc<Observe>,
    inner: S,
}

impl<S> Service<Box<Exchange>> for Observed<S>
where
    S: Service<Box<Exchange>, Response = Response<ReplyBody>, Error = Infallible>,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = ObservedFuture<S::Future>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, exchange: Box<Exchange>) -> Self::Future {
        self.observe.metrics.in_flight.inc();
        let watch = Watch {
            observe: Arc::clone(&self.observe),
            draft: Arc::clone(&exchange.draft),
            snapshot: Arc::clone(&exchange.snapshot),
            address: exchange.peer.remote.ip(),
            answered: None,
        };
        ObservedFuture { inner: self.inner.call(exchange), watch: Some(watch) }
    }
}

pin_project! {
    /// The reply of an [`Observed`] service.
    pub(crate) struct ObservedFuture<F> {
        #[pin]
        inner: F,
        watch: Option<Watch>,
    }
}

impl<F> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response<ReplyBody>, Infallible>>,
{
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if let Some(mut watch) = this.watch.take() {
            watch.answered = Some(response.status());
            response.body_mut().guard(watch);
        }
        Poll::Ready(Ok(response))
    }
}

/// Counts a request when it has ended.
struct Watch {
    observe: Arc<Observe>,
    draft: Arc<Draft>,
    snapshot: Arc<Snapshot>,
    address: IpAddr,
    /// The status of the reply, if there was one.
    answered: Option<StatusCode>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Self { observe, draft, snapshot, address, answered } = self;
        let refusal = draft.refusal.get();
        let outcome = match refusal {
            Some(code) => code.outcome(),
            None if answered.is_none() || draft.aborted.get().is_some() => Outcome::Aborted,
            None => Outcome::Allowed,
        };
        if let Some(code) = refusal {
            observe.count_refusal(*code);
        }
        let resource = draft.route.get().map_or(&observe.nowhere, |route| &route.metrics);
        resource.count(outcome);
        if let Some(summary) = draft.masked.get() {
            if draft.has_left() {
                resource.masked.inc_by(summary.masked());
                resource.dropped.inc_by(summary.dropped());
                resource.unclassified.inc_by(summary.unclassified());
                resource.records.inc_by(summary.records());
            } else {
                give_back(draft, snapshot, summary.records());
            }
            if let Some(egress) = draft.route.get().and_then(|route| route.egress.as_ref()) {
                summary.findings().for_each(|finding| egress.count(finding.kind, finding.count));
            }
        }
        match draft.caller.get() {
            Some(caller) => {
                caller.metrics.count(outcome, if refusal.is_some() { Refused::Yes } else { Refused::No });
            }
            None => {
                observe.metrics.strangers.inc();
                let reason = refusal.map_or("given-up", |code| code.as_str());
                observe.strangers.note(Reached::Request, reason, *address, draft.received);
            }
        }
        let took = draft.started.elapsed();
        // How long a session is open tells nothing of how fast anybody answers.
        if *answered != Some(StatusCode::SWITCHING_PROTOCOLS) {
            observe.metrics.request_seconds.observe(took.as_secs_f64());
        }
        let stages = [
            (Stage::Decide, draft.decided_us()),
            (Stage::Upstream, draft.upstream_us()),
            (Stage::Mask, draft.masked_us()),
        ];
        for (stage, micros) in stages {
            if micros > 0 {
                observe.stages.observe(stage, std::time::Duration::from_micros(micros));
            }
        }
        if let (Some(sink), Some(notes)) = (&observe.spans, draft.spans.get()) {
            sink.offer(spans(draft, snapshot, notes, outcome, *answered));
        }
        observe.metrics.in_flight.dec();
    }
}

/// Gives back the records that were charged for a reply of which nothing left.
fn give_back(draft: &Draft, snapshot: &Snapshot, records: u64) {
    if let (Some(at), Some(caller), Some(permit)) =
        (draft.charged.get(), draft.caller.get(), draft.permit.get())
    {
        snapshot.limiter.refund_rows(*at, &caller.system.id, &permit.grants, records);
    }
}

/// The layer `record`.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) recorder: Arc<Recorder>,
}

impl<S> Layer<S> for Record {
    type Service = RecordedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RecordedService { recorder: Arc::clone(&self.recorder), inner }
    }
}

/// A service whose replies leave after their record.
#[derive(Debug, Clone)]
pub(crate) struct RecordedService<S> {
    recorder: Arc<Recorder>,
    inner: S,
}

impl<S> Service<Box<Exchange>> for RecordedService<S>
where
    S: Service<Box<Exchange>, Response = Response<ReplyBody>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Answer<Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, exchange: Box<Exchange>) -> Self::Future {
        let about = exchange.circumstances();
        if about.draft.caller.get().is_some() && !self.recorder.is_durable() {
            // Asking the platform would only fetch what may not leave.
            let mut response = refuse(&Failure::Audit { asked: false }, &about.draft, &about.snapshot);
            common_fields(response.headers_mut(), &about.draft);
            return Box::pin(std::future::ready(Ok(response)));
        }
        let mut seal = SealOnDrop::new(Arc::clone(&self.recorder), about);
        let inner = self.inner.call(exchange);
        Box::pin(async move {
            let Ok(response) = inner.await;
            let (recorder, about) = seal.parts();
            let released = recorder.release(about, response).await;
            let mut response = released.unwrap_or_else(|failure| {
                // Without a record nothing may leave, whatever it was.
                refuse(&failure, &about.draft, &about.snapshot)
            });
            common_fields(response.headers_mut(), &about.draft);
            seal.disarm();
            Ok(response)
        })
    }
}

/// Header fields of every reply: findable, never cached, never guessed at.
fn common_fields(headers: &mut HeaderMap, draft: &Draft) {
    if let Ok(id) = HeaderValue::from_str(draft.request_id.encode(&mut [0; 36])) {
        headers.insert(X_REQUEST_ID.clone(), id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The layer `admit`: a bound on requests in work, shed at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admit {
    in_work: Arc<AtomicUsize>,
}

impl<S> Layer<S> for Admit {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admitted { in_work: Arc::clone(&self.in_work), inner }
    }
}

/// A service that sheds what is too much.
#[derive(Debug, Clone)]
pub(crate) struct Admitted<S> {
    in_work: Arc<AtomicUsize>,
    inner: S,
}

impl<S> Service<Box<Exchange>> for Admitted<S>
where
    S: Service<Box<Exchange>, Response = Response<ReplyBody>, Error = Failure>,
{
    type Response = Response<ReplyBody>;
    type Error = Failure;
    type Future = AdmittedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Box<Exchange>) -> Self::Future {
        let place = WorkPlace(Arc::clone(&self.in_work));
        if self.in_work.fetch_add(1, Ordering::Relaxed) >= exchange.snapshot.bounds.requests {
            return AdmittedFuture { inner: None, place: Some(place) };
        }
        AdmittedFuture { inner: Some(self.inner.call(exchange)), place: Some(place) }
    }
}

/// One request in work.
struct WorkPlace(Arc<AtomicUsize>);

impl Drop for WorkPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// The reply of an [`Admitted`] service.
    pub(crate) struct AdmittedFuture<F> {
        #[pin]
        inner: Option<F>,
        place: Option<WorkPlace>,
    }
}

impl<F> Future for AdmittedFuture<F>
where
    F: Future<Output = Result<Response<ReplyBody>, Failure>>,
{
    type Output = Result<Response<ReplyBody>, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(Err(Failure::Overloaded)) };
        let mut response = ready!(inner.poll(cx));
        if let (Ok(response), Some(place)) = (&mut response, this.place.take()) {
            response.body_mut().guard(place);
        }
        Poll::Ready(response)
    }
}

/// The layer `deadline`: the bound of the route on everything up to the head of the reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline;

impl<S> Layer<S> for Deadline {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timed { inner }
    }
}

/// A service that answers in time.
#[derive(Debug, Clone)]
pub(crate) struct Timed<S> {
    inner: S,
}

impl<S> Service<Routed> for Timed<S>
where
    S: Service<Routed, Response = Response<ReplyBody>, Error = Failure>,
{
    type Response = Response<ReplyBody>;
    type Error = Failure;
    type Future = TimedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed) -> Self::Future {
        let within = routed.route().timeout;
        TimedFuture { inner: tokio::time::timeout(within, self.inner.call(routed)) }
    }
}

pin_project! {
    /// The reply of a [`Timed`] service.
    pub(crate) struct TimedFuture<F> {
        #[pin]
        inner: Timeout<F>,
    }
}

impl<F> Future for TimedFuture<F>
where
    F: Future<Output = Result<Response<ReplyBody>, Failure>>,
{
    type Output = Result<Response<ReplyBody>, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(self.project().inner.poll(cx));
        Poll::Ready(reply.unwrap_or_else(|_elapsed| Err(RequestFailure::Timeout.into())))
    }
}

/// The bottom of the stack: `oblige` around `forward`.
#[derive(Debug, Clone)]
pub(crate) struct Oblige {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) sessions: Arc<SessionPlaces>,
}

impl Service<Sifted> for Oblige {
    type Response = Response<ReplyBody>;
    type Error = Failure;
    type Future = Answer<Failure>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, sifted: Sifted) -> Self::Future {
        Box::pin(oblige(Arc::clone(&self.recorder), Arc::clone(&self.sessions), sifted))
    }
}
