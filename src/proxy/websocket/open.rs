//! The bottom of the stack for a request that opens a session: what is granted whole is offered to the platform, and
//! its yes is the reply.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use super::places::SessionPlaces;
use super::pump::Moved;
use super::{Offer, Ours};
use crate::proxy::authorize::Cleared;
use crate::proxy::body::ReplyBody;
use crate::proxy::failure::{Failure, MaskFailure, UpstreamFailure};
use crate::proxy::forward::{forward, joined};
use crate::proxy::record::SessionRecord;
use crate::proxy::reply::{describe_permit, judge, may_leave_whole};
use crate::proxy::tether::Tether;
use crate::telemetry::SessionMetrics;

/// A session that the platform has taken and the client has yet to hear of.
pub(crate) struct Opening {
    /// The connection to the platform.
    pub(crate) platform: OnUpgrade,
    /// Whether bits of frames have a meaning that extensions give them.
    pub(crate) has_extensions: bool,
    /// What it hangs on.
    pub(crate) tether: Tether,
    /// How much has gone each way.
    pub(crate) moved: Arc<Moved>,
    pub(crate) metrics: SessionMetrics,
    /// Its record. There is one before the client hears of it.
    pub(crate) record: Option<SessionRecord>,
}

/// Opens a session, or says why not.
pub(crate) async fn open(
    places: Arc<SessionPlaces>,
    mut cleared: Cleared,
    offer: Offer,
) -> Result<Response<ReplyBody>, Failure> {
    // Nobody masks or counts what is in frames.
    if !may_leave_whole(&cleared) {
        return Err(MaskFailure::Session { contact: cleared.route.provider.contact.clone() }.into());
    }
    let place = places.take(&cleared.caller.system.id)?;
    let decided = cleared.decided.take().ok_or(Failure::Gate)?;
    let ours = Ours::new().ok_or(Failure::Gate)?;
    let grants = HeaderValue::try_from(joined(&cleared.permit.grants)).map_err(|_| Failure::Gate)?;
    let (mut response, held) = forward(&mut cleared, &grants, Some(&ours.fields(&offer))).await?;
    let (draft, in_flight) = (&cleared.exchange.draft, std::mem::take(&mut cleared.admission.in_flight));
    let platform = hyper::upgrade::on(&mut response);
    let (head, _nothing) = response.into_parts();
    if head.status != StatusCode::SWITCHING_PROTOCOLS && !head.status.is_success() {
        judge(head.status)?;
    }
    let yes = ours.judge(&head, &offer).map_err(|why| {
        tracing::warn!(
            request_id = %draft.request_id, trace_id = draft.trace_id(), status = head.status.as_u16(),
            why = why.to(crate::proxy::problem::Language::En), "the platform did not open a session"
        );
        Failure::from(UpstreamFailure::Invalid { why })
    })?;
    let mut headers: HeaderMap = yes.fields(&offer);
    describe_permit(&mut headers, grants, cleared.admission.usage.as_ref());
    let mut reply = ReplyBody::session(Opening {
        platform,
        has_extensions: yes.has_extensions(),
        tether: Tether::new(decided.of_session()),
        moved: Arc::default(),
        metrics: places.metrics.clone(),
        record: None,
    });
    reply.guard((in_flight, held, place));
    let mut response = Response::new(reply);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    Ok(response)
}
