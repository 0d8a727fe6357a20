//! The adapter that makes a plain check a layer of the stack.
//!
//! A check takes one type of request and gives another; what it proves is in the type. No future is
//! boxed: a refusal is ready at once, and a pass is the inner service's own future.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::failure::Failure;

/// One step of a request that needs no waiting.
pub(crate) trait Check: Clone {
    /// What it takes.
    type In;
    /// What it gives, which only it can make.
    type Out;

    /// Lets the request pass, one fact richer, or says why not.
    fn check(&self, request: Self::In) -> Result<Self::Out, Failure>;
}

/// A [`Check`] as a layer.
#[derive(Debug, Clone)]
pub(crate) struct Stage<C>(pub(crate) C);

impl<C: Check, S> Layer<S> for Stage<C> {
    type Service = Checked<C, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Checked { check: self.0.clone(), inner }
    }
}

/// A service behind a [`Check`].
#[derive(Debug, Clone)]
pub(crate) struct Checked<C, S> {
    check: C,
    inner: S,
}

impl<C, S> Service<C::In> for Checked<C, S>
where
    C: Check,
    S: Service<C::Out, Error = Failure>,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = CheckedFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: C::In) -> Self::Future {
        match self.check.check(request) {
            Ok(request) => CheckedFuture::Passed { inner: self.inner.call(request) },
            Err(failure) => CheckedFuture::ready(Err(failure)),
        }
    }
}

pin_project! {
    /// The reply of a service that may be refused, or answered, without its inner service.
    #[project = CheckedProjection]
    pub(crate) enum CheckedFuture<F, T> {
        Passed { #[pin] inner: F },
        Ready { reply: Option<Result<T, Failure>> },
    }
}

impl<F, T> CheckedFuture<F, T> {
    /// The reply is there at once.
    pub(crate) fn ready(reply: Result<T, Failure>) -> Self {
        Self::Ready { reply: Some(reply) }
    }
}

impl<F, T> Future for CheckedFuture<F, T>
where
    F: Future<Output = Result<T, Failure>>,
{
    type Output = Result<T, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CheckedProjection::Passed { inner } => inner.poll(cx),
            // A future that is polled after it was ready has broken its contract; it refuses.
            CheckedProjection::Ready { reply } => Poll::Ready(reply.take().unwrap_or(Err(Failure::Gate))),
        }
    }
}
