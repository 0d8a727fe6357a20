//! The body of a request on its way through the masks to the platform.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::body::{BodyError, Upload, UploadFault, UploadState};
use super::exchange::Draft;
use crate::mask::{MaskError, Transform};

/// A request body of which only what may go to the platform comes out.
///
/// INVARIANT: what comes out was found right up to there; after an error nothing does.
#[derive(Debug)]
pub(crate) struct Sieve {
    inner: Upload,
    state: Arc<UploadState>,
    transform: Transform,
    draft: Arc<Draft>,
    out: Vec<u8>,
    /// The records that have come out.
    passed: u64,
    over: bool,
}

impl Sieve {
    /// Nothing of `upload` has come yet; `state` is that of it.
    pub(super) fn new(
        (inner, state): (Upload, Arc<UploadState>),
        transform: Transform,
        draft: Arc<Draft>,
    ) -> Self {
        Self { inner, state, transform, draft, out: Vec::new(), passed: 0, over: false }
    }

    /// What became of the body.
    pub(super) fn state(&self) -> &Arc<UploadState> {
        &self.state
    }

    /// Takes the body up to its end, or until more than `bound` bytes are in hand; gives all of it
    /// if that was the end.
    pub(super) async fn gather(&mut self, bound: usize) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|cx| {
            while !self.over && self.out.len() <= bound {
                ready!(self.poll_step(cx))?;
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        Ok(self.over.then(|| std::mem::take(&mut self.out).into()))
    }

    /// The next part of what comes out; `None` at its end.
    pub(super) fn poll_sifted(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while self.out.is_empty() && !self.over {
            if let Err(error) = ready!(self.poll_step(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        self.passed = self.transform.records();
        let out = std::mem::take(&mut self.out);
        Poll::Ready((!out.is_empty()).then(|| Ok(Frame::data(out.into()))))
    }

    /// Takes one part of the body. Trailers are dropped: they may be about what does not go on.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let taken = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Err(error)) => {
                self.end(self.passed);
                return Poll::Ready(Err(error));
            }
            Some(Ok(frame)) => {
                frame.data_ref().map_or(Ok(()), |data| self.transform.push(data, &mut self.out))
            }
            None => {
                // Nothing at all holds nothing that may not go on.
                let is_empty = self.state.bytes() == 0;
                let finished = if is_empty { Ok(()) } else { self.transform.close(&mut self.out) };
                if finished.is_ok() {
                    self.end(self.transform.records());
                }
                finished
            }
        };
        Poll::Ready(taken.map_err(|error| self.refuse(error)))
    }

    fn refuse(&mut self, error: MaskError) -> BodyError {
        let field = error.place().and_then(|place| self.transform.path(place)).cloned();
        self.state.fail(UploadFault::Refused { error, field });
        // What is in hand is held back, too.
        self.out.clear();
        self.end(self.passed);
        BodyError::Refused(error)
    }

    /// Nothing more is taken, and what was done is known: so many records go on.
    fn end(&mut self, records: u64) {
        self.over = true;
        Draft::note(&self.draft.submitted, self.transform.summary().with_records(records));
        self.state.end();
    }
}

impl Drop for Sieve {
    fn drop(&mut self) {
        if !self.over {
            self.end(self.passed);
        }
    }
}
