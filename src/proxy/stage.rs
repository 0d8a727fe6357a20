//! The adapters that make a plain check, or one that may have to wait, a layer of the stack.
//!
//! A check takes one type of request and gives another; what it proves is in the type. No future is
//! boxed unless a request has to wait: a refusal is ready at once, and a pass is the inner service's own
//! future.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

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

/// One step of a request that, for some requests, has to wait.
pub(crate) trait Wait: Clone {
    /// What it takes.
    type In;
    /// What it gives, which only it can make.
    type Out;

    /// Lets the request pass, one fact richer, or says why not.
    fn wait(&self, request: Self::In) -> Waited<Self::Out>;
}

/// What a [`Wait`] came to.
pub(crate) enum Waited<T> {
    /// It need not wait, as most requests.
    Now(Result<T, Failure>),
    /// It has to.
    Later(Waiting<T>),
}

/// A wait of some requests only, boxed so that the others do not carry its size.
type Waiting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// A [`Wait`] as a layer.
#[derive(Debug, Clone)]
pub(crate) struct WaitStage<W>(pub(crate) W);

impl<W: Wait, S> Layer<S> for WaitStage<W> {
    type Service = Waits<W, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Waits { wait: self.0.clone(), inner }
    }
}

/// A service behind a [`Wait`].
#[derive(Debug, Clone)]
pub(crate) struct Waits<W, S> {
    wait: W,
    inner: S,
}

impl<W, S> Service<W::In> for Waits<W, S>
where
    W: Wait,
    S: Service<W::Out, Error = Failure> + Clone,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = WaitsFuture<S, W::Out>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: W::In) -> Self::Future {
        match self.wait.wait(request) {
            Waited::Now(Ok(request)) => WaitsFuture::Passed { inner: self.inner.call(request) },
            Waited::Now(Err(failure)) => WaitsFuture::Refused { failure: Some(failure) },
            Waited::Later(waiting) => {
                // The service that was asked whether it is ready is the one that is called.
                let clone = self.inner.clone();
                WaitsFuture::Waiting { waiting, inner: std::mem::replace(&mut self.inner, clone) }
            }
        }
    }
}

pin_project! {
    /// The reply of a service that may have to wait before it asks its inner service.
    #[project = WaitsProjection]
    pub(crate) enum WaitsFuture<S, T>
    where
        S: Service<T>,
    {
        Waiting { waiting: Waiting<T>, inner: S },
        Passed { #[pin] inner: S::Future },
        Refused { failure: Option<Failure> },
    }
}

impl<S, T> Future for WaitsFuture<S, T>
where
    S: Service<T, Error = Failure>,
{
    type Output = Result<S::Response, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                WaitsProjection::Waiting { waiting, inner } => match ready!(waiting.as_mut().poll(cx)) {
                    Ok(request) => Self::Passed { inner: inner.call(request) },
                    Err(failure) => Self::Refused { failure: Some(failure) },
                },
                WaitsProjection::Passed { inner } => return inner.poll(cx),
                WaitsProjection::Refused { failure } => {
                    return Poll::Ready(Err(failure.take().unwrap_or(Failure::Gate)));
                }
            };
            self.set(next);
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
