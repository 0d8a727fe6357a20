//! Stage 4, `rescue`: below it stages may fail, above it nothing does. A [`Failure`] becomes a problem
//! document; a panic becomes `gate-failed` and costs nobody else anything.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http::header::{self, HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::body::ReplyBody;
use super::exchange::{Draft, Exchange};
use super::failure::{Failure, RequestFailure, methods};
use super::identify::challenge;
use super::problem::render;
use super::reply::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::snapshot::Snapshot;

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rescue;

impl<S> Layer<S> for Rescue {
    type Service = Rescued<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Rescued { inner }
    }
}

/// A service that always answers.
#[derive(Debug, Clone)]
pub(crate) struct Rescued<S> {
    inner: S,
}

impl<S> Service<Box<Exchange>> for Rescued<S>
where
    S: Service<Box<Exchange>, Response = Response<ReplyBody>, Error = Failure>,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = RescuedFuture<S::Future>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, exchange: Box<Exchange>) -> Self::Future {
        let (draft, snapshot) = (Arc::clone(&exchange.draft), Arc::clone(&exchange.snapshot));
        let inner = std::panic::catch_unwind(AssertUnwindSafe(|| self.inner.call(exchange))).ok();
        RescuedFuture { inner, draft, snapshot }
    }
}

pin_project! {
    /// The reply of a [`Rescued`] service.
    pub(crate) struct RescuedFuture<F> {
        #[pin]
        inner: Option<F>,
        draft: Arc<Draft>,
        snapshot: Arc<Snapshot>,
    }
}

impl<F> Future for RescuedFuture<F>
where
    F: Future<Output = Result<Response<ReplyBody>, Failure>>,
{
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = match this.inner.as_pin_mut() {
            Some(inner) => std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll(cx))),
            None => Ok(Poll::Ready(Err(Failure::Gate))),
        };
        let reply = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reply)) => reply,
            Err(_panic) => {
                tracing::error!(request_id = %this.draft.request_id, trace_id = this.draft.trace_id(), "a request made the gate panic");
                Err(Failure::Gate)
            }
        };
        Poll::Ready(Ok(reply.unwrap_or_else(|failure| refuse(&failure, this.draft, this.snapshot))))
    }
}

/// The refusal of a request, noted in its draft.
pub(crate) fn refuse(failure: &Failure, draft: &Draft, snapshot: &Snapshot) -> Response<ReplyBody> {
    let code = failure.code();
    Draft::note(&draft.refusal, code);
    let detail = failure.detail(draft.language);
    let mut response = render(code, draft.language, &detail, &failure.particulars(), draft.request_id);
    let headers = response.headers_mut();
    if let Some(seconds) = failure.retry_after_secs() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    for (name, value) in hints(failure, snapshot) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response.map(ReplyBody::whole)
}

/// Header fields that say what would be right.
fn hints(failure: &Failure, snapshot: &Snapshot) -> Vec<(HeaderName, String)> {
    if let Failure::Token(error) = failure {
        return vec![(header::WWW_AUTHENTICATE, format!("{}{}", snapshot.challenge, challenge(error)))];
    }
    if let Failure::Request(RequestFailure::Method { allowed }) = failure
        && !allowed.is_empty()
    {
        return vec![(header::ALLOW, methods(allowed))];
    }
    if let Failure::Request(RequestFailure::Handshake { .. }) = failure {
        // RFC 6455, section 4.2.2: which version would do.
        return vec![(header::SEC_WEBSOCKET_VERSION, "13".to_owned())];
    }
    if let Failure::Request(failure) = failure
        && failure.doubts_framing()
    {
        // Over HTTP/2 the library drops the field: there is nothing to be doubted.
        return vec![(header::CONNECTION, "close".to_owned())];
    }
    if let Failure::Limited(exceeded) = failure
        && let Some(usage) = &exceeded.usage
    {
        return vec![
            (RATE_LIMIT.clone(), usage.rate_limit()),
            (RATE_LIMIT_POLICY.clone(), usage.rate_limit_policy().to_owned()),
        ];
    }
    Vec::new()
}

#[cfg(test)]
pub(super) mod tests;
