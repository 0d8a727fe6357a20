//! What a streamed reply hangs on: as long as it leaves, what was decided must hold.
//!
//! A reply in hand leaves at once. One that streams may take hours, in which a certificate is revoked, a
//! system switched off, a grant withdrawn or over. Its connection asks again then, and cuts it off here;
//! below the record, so that the record says why.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::body::{BodyError, Stream};
use super::exchange::Draft;
use super::failure::denial_code;
use super::identify;
use super::problem::Code;
use super::snapshot::Snapshot;
use crate::catalog::BodyFormat;
use crate::grant::{Permit, ReleasedField, Request, Treatment};
use crate::identity::Peer;
use crate::kernel::id::GrantId;
use crate::kernel::time::Timestamp;
use crate::policy::Policy;

/// What was asked, what was answered, and for how long that is so.
#[derive(Debug)]
pub(crate) struct Decided {
    request: Request,
    fields: Arc<[ReleasedField]>,
    /// The most records of the reply, and of the day.
    rows: (Option<u64>, Option<u64>),
    revision: u64,
    until: Option<Timestamp>,
    draft: Arc<Draft>,
    /// Whether a session hangs on it, which its route must allow.
    is_session: bool,
}

impl Decided {
    /// `permit` was the answer to `request` under the snapshot of this revision.
    pub(crate) fn new(request: Request, permit: &Permit, revision: u64, draft: Arc<Draft>) -> Self {
        let rows = (permit.rows_per_reply, permit.rows_per_day);
        let (fields, until) = (Arc::clone(&permit.fields), permit.valid_until);
        Self { request, fields, rows, revision, until, draft, is_session: false }
    }

    /// The same, for a session to hang on.
    pub(crate) fn of_session(self) -> Self {
        Self { is_session: true, ..self }
    }

    /// Asks once more: until when the same is decided, or what is decided instead.
    fn again(&self, snapshot: &Snapshot, peer: &Peer, now: Timestamp) -> Result<Option<Timestamp>, Code> {
        let caller = identify::caller(snapshot, peer, now).map_err(|(failure, _)| failure.code())?;
        if caller.system.id != self.request.system {
            return Err(Code::IdentityUnknown);
        }
        if !snapshot.catalog.purposes.contains_key(&self.request.purpose) {
            return Err(Code::PurposeUnknown);
        }
        let query = self.request.query(&caller.department.id);
        let permit = snapshot.policy.permit(&query, now).map_err(denial_code)?;
        // The masks and bounds at work are those of the first answer.
        if permit.fields != self.fields || (permit.rows_per_reply, permit.rows_per_day) != self.rows {
            return Err(Code::ScopeExceeded);
        }
        if let Some(route) = self.draft.route.get() {
            let is_file = route.resource.body.format == BodyFormat::Opaque;
            if is_file && !leaves_whole(&snapshot.policy, &permit.grants) {
                return Err(Code::ScopeExceeded);
            }
            if self.is_session && !snapshot.routes.opens_sessions(&route.template) {
                return Err(Code::RequestUpgrade);
            }
        }
        let not_after = peer.certificate.not_after;
        Ok(Some(permit.valid_until.map_or(not_after, |until| until.min(not_after))))
    }
}

/// Whether what these grants give may leave as it is: a file has no fields to be masked, and no records to be counted.
pub(super) fn leaves_whole(policy: &Policy, grants: &[GrantId]) -> bool {
    grants.iter().all(|id| {
        policy.grant(id).is_some_and(|grant| {
            let scope = grant.scope();
            let asks_for_masks =
                scope.items.iter().any(|item| matches!(item.treatment, Some(Treatment::Masked(_))));
            !asks_for_masks && scope.rows_per_reply.is_none() && scope.rows_per_day.is_none()
        })
    })
}

/// What keeps a streamed reply going; let go of by whoever sees that it may not go on.
#[derive(Debug)]
pub(crate) struct Tether {
    decided: Decided,
    began: Instant,
    /// Under which revision what was decided was found to hold, and until when, in milliseconds since 1970.
    holds_under: AtomicU64,
    holds_until_ms: AtomicI64,
    why: OnceLock<&'static str>,
    cut: CancellationToken,
}

impl Tether {
    pub(crate) fn new(decided: Decided) -> Self {
        Self {
            began: Instant::now(),
            holds_under: AtomicU64::new(decided.revision),
            holds_until_ms: AtomicI64::new(milliseconds(decided.until)),
            why: OnceLock::new(),
            cut: CancellationToken::new(),
            decided,
        }
    }

    /// Since when there is something to send.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Whether it was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.why.get().is_some()
    }

    /// Cuts it, for a reason that stands in the record. The first reason stands.
    pub(crate) fn cut(&self, why: &'static str) {
        Draft::note(&self.decided.draft.aborted, why);
        self.why.get_or_init(|| why);
        self.cut.cancel();
    }

    /// What is decided by now in place of what was, if that holds no longer. The policy is asked after a
    /// reload, and when the time of an answer is over.
    pub(crate) fn judge(&self, snapshot: &Snapshot, peer: &Peer, now: Timestamp) -> Result<(), Code> {
        let is_same = self.holds_under.load(Ordering::Relaxed) == snapshot.revision;
        let until = self.holds_until_ms.load(Ordering::Relaxed);
        if is_same && now.as_millisecond() < until && now <= peer.certificate.not_after {
            return Ok(());
        }
        let until = self.decided.again(snapshot, peer, now)?;
        self.holds_until_ms.store(milliseconds(until), Ordering::Relaxed);
        self.holds_under.store(snapshot.revision, Ordering::Relaxed);
        Ok(())
    }
}

fn milliseconds(until: Option<Timestamp>) -> i64 {
    until.map_or(i64::MAX, Timestamp::as_millisecond)
}

/// A body that ends with its tether.
pub(crate) struct Tied {
    inner: Stream,
    tether: Arc<Tether>,
    /// Wakes whoever waits for the next part.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Tied {
    pub(crate) fn new(inner: Stream, tether: Arc<Tether>) -> Self {
        let cut = Box::pin(tether.cut.clone().cancelled_owned());
        Self { inner, tether, cut }
    }
}

impl Body for Tied {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(why) = self.tether.why.get() {
            return Poll::Ready(Some(Err(BodyError::Withdrawn(why))));
        }
        let polled = self.inner.as_mut().poll_frame(cx);
        if polled.is_pending() && self.cut.as_mut().poll(cx).is_ready() {
            let why = self.tether.why.get().copied().unwrap_or("withdrawn");
            return Poll::Ready(Some(Err(BodyError::Withdrawn(why))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
