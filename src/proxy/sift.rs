//! The stage `sift`: on routes that say so, the body of a request is held against the permit before
//! the platform sees it.
//!
//! It stands last, since before the decision nobody knows what may be in the body, and over a quota
//! nothing is read. All other routes pass it at no cost. A body that ends within a bound is held
//! against the permit whole, so that of a refused one nothing at all has reached the platform. A longer
//! one streams; what is wrong with it then cuts the request off. What may pass is decided in
//! [`crate::mask`], as for replies.

use std::sync::Arc;

use bytes::Bytes;
use http::Version;
use http::header::{self, HeaderMap, HeaderName};
use http_body::Body as _;

use super::authorize::{Cleared, Metered};
use super::body::{RequestBody, Upload, UploadFault};
use super::collect::check_form;
use super::exchange::Draft;
use super::failure::{Failure, MaskFailure, Outside, RequestFailure, Unreadable};
use super::forward::declared_length;
use super::routes::{Intake, Route};
use super::sieve::Sieve;
use super::stage::{Wait, Waited};
use crate::config::Denials;
use crate::grant::Permit;
use crate::mask::{Bounds, MaskError, Transform};
use crate::policy::Policy;

/// A request whose body holds only what may go to the platform, or breaks off.
pub(crate) struct Sifted(Cleared);

impl Sifted {
    /// Gives up the proof for what it proves.
    pub(crate) fn clear(self) -> Cleared {
        self.0
    }
}

/// The stage `sift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sift;

impl Wait for Sift {
    type In = Metered;
    type Out = Sifted;

    fn wait(&self, metered: Metered) -> Waited<Sifted> {
        let cleared = metered.clear();
        match cleared.route.intake.clone() {
            None => Waited::Now(Ok(Sifted(cleared))),
            Some(intake) => Waited::Later(Box::pin(async move { sift(cleared, &intake).await.map(Sifted) })),
        }
    }
}

/// Header fields that are about the very bytes of a body, which may not be those that go on: their
/// length and their digests (RFC 9530; RFC 1864 and 3230 before it).
static OF_THE_BYTES: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

async fn sift(mut cleared: Cleared, intake: &Arc<Intake>) -> Result<Cleared, Failure> {
    let Cleared { exchange, route, caller, permit, .. } = &mut cleared;
    let limit = route.max_request_body.get();
    if declared_length(&exchange.parts.headers).is_some_and(|length| length > limit) {
        return Err(RequestFailure::TooLarge { limit }.into());
    }
    let (upload, state) = Upload::new(std::mem::take(&mut exchange.body), limit);
    Draft::note(&exchange.draft.upload, Arc::clone(&state));
    let is_empty = upload.is_end_stream();
    if !is_empty {
        check_form(&exchange.parts.headers, intake.shape.format)?;
    }
    forget_bytes(&mut exchange.parts.headers);
    let snapshot = &exchange.snapshot;
    let department = &caller.department.id;
    let draft = Arc::clone(&exchange.draft);
    let now = draft.received;
    let plan = snapshot.plans.plan_of_request(&route.resource, department, &permit.fields, intake, now);
    let plan = plan.map_err(|error| {
        tracing::error!(
            request_id = %draft.request_id, trace_id = draft.trace_id(), resource = %route.resource.id,
            %error, "the masks of a permit cannot be built"
        );
        Failure::from(MaskFailure::Plan)
    })?;
    let transform = Transform::new(plan, Bounds::default());
    let mut sieve = Sieve::new((upload, Arc::clone(&state)), transform, Arc::clone(&draft));
    let gathered =
        if is_empty { Ok(Some(Bytes::new())) } else { sieve.gather(snapshot.bounds.whole_request).await };
    if let Some(fault) = state.fault() {
        heard(fault, exchange.parts.version).await;
    }
    let whole = gathered.map_err(|error| match state.fault() {
        Some(fault) => failure_of(fault, route, permit, &snapshot.policy),
        None => {
            tracing::error!(
                request_id = %draft.request_id, trace_id = draft.trace_id(),
                %error, "the body of a request failed without a fault"
            );
            Failure::Gate
        }
    })?;
    exchange.body = match whole {
        Some(bytes) => RequestBody::Read { bytes, state },
        None => RequestBody::Sifting(Box::new(sieve)),
    };
    Ok(cleared)
}

fn forget_bytes(headers: &mut HeaderMap) {
    for name in &OF_THE_BYTES {
        headers.remove(name);
    }
}

/// Waits for somebody to hear what is wrong with an upload. Over HTTP/2 a body breaks off with its stream, or
/// with all of the connection, and nobody does: whoever drives the stream drops this request at once.
pub(super) async fn heard(fault: &UploadFault, came_by: Version) {
    if *fault == UploadFault::Broken && came_by == Version::HTTP_2 {
        std::future::pending().await
    }
}

/// What the client is told of an upload that broke off.
pub(super) fn failure_of(fault: &UploadFault, route: &Route, permit: &Permit, policy: &Policy) -> Failure {
    let (error, field) = match fault {
        UploadFault::Broken => return RequestFailure::Body.into(),
        UploadFault::Slow => return RequestFailure::Slow.into(),
        UploadFault::TooLarge { limit } => return RequestFailure::TooLarge { limit: *limit }.into(),
        UploadFault::Refused { error, field } => (*error, field.clone()),
    };
    let Some(place) = error.place() else { return Unreadable::Format(error).into() };
    let record = place.record();
    if matches!(error, MaskError::WrongType { .. }) {
        return Unreadable::WrongType { record, field }.into();
    }
    let grant = permit.grants.iter().find_map(|id| policy.grant(id));
    Failure::Outside(Box::new(Outside {
        record,
        field,
        grant: grant.map(|grant| (grant.id().clone(), grant.scope().fields_text())),
        contact: route.provider.contact.clone(),
        coarse: route.denials == Denials::Coarse,
    }))
}
