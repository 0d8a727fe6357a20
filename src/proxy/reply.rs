//! Stage 13, `oblige`: the duties of the permit are applied to the platform's answer.
//!
//! Nothing of an answer leaves unless its type is the declared one and the masks can read it. What
//! ends within a bound is masked whole, so that its failure is a clean refusal; what is longer is
//! masked as it streams and cut off, never tidily ended, when something is wrong.

mod flow;
mod framing;

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use tokio::time::Instant;

use self::flow::{Masked, Meter, Passed, Plain, Source, Unpacked};
use super::arriving::Arriving;
use super::authorize::Cleared;
use super::body::{BodyError, ReplyBody};
use super::exchange::{Draft, Exchange};
use super::failure::{Failure, MaskFailure, RequestFailure, UpstreamFailure};
use super::forward::{PINEGATE_GRANT, forward, is_unsafe, joined, taken};
use super::media::Form;
use super::problem::words;
use super::record::Recorder;
use super::routes::Route;
use super::sift::Sifted;
use super::snapshot::AnnouncedPlan;
use super::tether::leaves_whole;
use super::websocket::open::open;
use super::websocket::places::SessionPlaces;
use crate::catalog::BodyFormat;
use crate::coding::{Accepted, Coding, CodingError, Decoder, Encoder};
use crate::config::Compress;
use crate::kernel::diagnostic::chain;
use crate::mask::{Bounds, Transform};
use crate::quota::usage::Usage;

/// A reply shorter than this is not worth a coding, in bytes.
const MIN_CODED: usize = 1 << 10;

/// As many header fields a reply has as a rule, those of every reply included. A connection keeps their room.
const REPLY_FIELDS: usize = 12;

/// The longest `Content-Language` that leaves, in bytes.
const MAX_LANGUAGES: usize = 64;

static PINEGATE_MASKED: HeaderName = HeaderName::from_static("pinegate-masked");
/// How much is left of the tightest limit.
pub(crate) static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What that limit is.
pub(crate) static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Turns a cleared request into the reply that may leave.
pub(crate) async fn oblige(
    recorder: Arc<Recorder>,
    sessions: Arc<SessionPlaces>,
    sifted: Sifted,
) -> Result<Response<ReplyBody>, Failure> {
    let mut cleared = sifted.clear();
    if let Some(asked) = cleared.head.session.take() {
        let offer = asked.map_err(|why| RequestFailure::Handshake { why })?;
        return Box::pin(open(sessions, cleared, offer)).await;
    }
    let plan = plan_of(&cleared)?;
    if is_unsafe(&cleared.exchange.parts.method) {
        recorder.intend(&cleared.exchange.circumstances()).await?;
    }
    let grants = HeaderValue::try_from(joined(&cleared.permit.grants)).map_err(|_| Failure::Gate)?;
    let (response, held) = forward(&mut cleared, &grants, None).await?;
    let (parts, body) = response.into_parts();
    let body = Arriving::new(body, parts.version);
    judge(parts.status)?;
    let mut headers = HeaderMap::with_capacity(REPLY_FIELDS);
    describe_permit(&mut headers, grants, cleared.admission.usage.as_ref());
    if let Some(plan) = &plan {
        headers.insert(PINEGATE_MASKED.clone(), plan.header.clone());
    }
    let (route, in_flight) = (&cleared.route, std::mem::take(&mut cleared.admission.in_flight));
    let mut reply = if has_no_body(&cleared.exchange.parts.method, parts.status, &body) {
        ReplyBody::empty()
    } else {
        let form = route.declared.check(&parts.headers)?;
        framing::check(&parts, body.size_hint().exact(), route.resource.body.format, form)?;
        describe(&mut headers, route, &parts.headers);
        note_updated(route, &parts.headers);
        let sought = Sought::of(route, form, &cleared.head.accepted);
        let (reply, coding) = apply(&cleared, plan, form, sought, body).await?;
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        if sought.is_negotiable {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        reply
    };
    if let Some(upload) = cleared.exchange.draft.upload.get() {
        if reply.is_stream() && !upload.has_ended() {
            reply = reply.after(Arc::clone(upload), route.upstream.response_timeout());
        } else {
            // Also of one that has ended: it may have failed since the platform's answer began.
            taken(&cleared, upload).await?;
        }
    }
    if let Some(decided) = cleared.decided.take() {
        reply = reply.tied(decided);
    }
    reply.guard(in_flight);
    if reply.is_stream() {
        reply.guard(held);
    } else {
        // The platform has done its part: a client that does not read holds no place there.
        drop(held);
    }
    let mut response = Response::new(reply);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Whether there is no body to judge: by what the answer is (RFC 9110, sections 9.3.2, 15.3.5 and 15.3.6), or
/// because the platform has done what was asked and says no more. A refusal would have it done again.
fn has_no_body(method: &Method, status: StatusCode, body: &Arriving) -> bool {
    *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT)
        || (is_unsafe(method) && (body.is_end_stream() || body.size_hint().exact() == Some(0)))
}

/// Which coding a reply should leave in.
#[derive(Debug, Clone, Copy)]
struct Sought {
    coding: Option<Coding>,
    /// Whether what the client accepts makes a difference (RFC 9110, section 12.5.5).
    is_negotiable: bool,
}

impl Sought {
    fn of(route: &Route, form: Form, accepted: &Accepted) -> Self {
        let is_file = route.resource.body.format == BodyFormat::Opaque;
        let is_negotiable = match route.compress {
            Compress::Never => false,
            Compress::Always if !is_file => true,
            Compress::Coded | Compress::Always => form.coding.is_some(),
        };
        let coding = if is_file {
            // A file leaves in the coding it came in, or in none.
            form.coding.filter(|coding| accepted.accepts(*coding))
        } else {
            accepted.best()
        };
        Self { coding: coding.filter(|_| is_negotiable), is_negotiable }
    }
}

/// Header fields that say what the body is: a short list.
fn describe(headers: &mut HeaderMap, route: &Route, from: &HeaderMap) {
    if let Some(media_type) = route.declared.leaves_as(from) {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    if let Some(languages) = languages(from) {
        headers.insert(header::CONTENT_LANGUAGE, languages.clone());
    }
    if route.resource.body.format == BodyFormat::Opaque
        && let Some(disposition) = from.get(header::CONTENT_DISPOSITION)
    {
        headers.insert(header::CONTENT_DISPOSITION, disposition.clone());
    }
}

/// Notes how fresh the platform says that its data are, by `Last-Modified` (RFC 9110, section 8.8.2).
fn note_updated(route: &Route, from: &HeaderMap) {
    if let Some(updated) = &route.updated
        && let Some(text) = from.get(header::LAST_MODIFIED).and_then(|value| value.to_str().ok())
        && let Ok(at) = httpdate::parse_http_date(text)
        && let Ok(since) = at.duration_since(std::time::UNIX_EPOCH)
    {
        updated.set(since.as_secs_f64());
    }
}

/// `Content-Language`, if it holds nothing but languages, scripts and countries: other subtags (RFC 5646) may
/// be anybody's words.
fn languages(from: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = from.get_all(header::CONTENT_LANGUAGE).iter();
    let (Some(only), None) = (values.next(), values.next()) else { return None };
    let text = only.to_str().ok().filter(|text| text.len() <= MAX_LANGUAGES)?;
    let is_tag = |tag: &str| {
        let mut lengths = tag.split('-').map(|part| {
            let has_letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
            if has_letters { part.len() } else { 0 }
        });
        // One of each at most, in this order.
        let mut after = [3, 4, 2].into_iter();
        matches!(lengths.next(), Some(2 | 3)) && lengths.all(|length| after.any(|other| other == length))
    };
    text.split(',').all(|tag| is_tag(tag.trim_matches([' ', '\t']))).then_some(only)
}

/// What the masks of a permit are; none for a file, which leaves whole.
fn plan_of(cleared: &Cleared) -> Result<Option<Arc<AnnouncedPlan>>, Failure> {
    let resource = &cleared.route.resource;
    if resource.body.format == BodyFormat::Opaque {
        return if may_leave_whole(cleared) { Ok(None) } else { Err(cannot_leave_whole(cleared)) };
    }
    let Exchange { snapshot, draft, .. } = &*cleared.exchange;
    let department = &cleared.caller.department.id;
    let plan = snapshot.plans.plan(resource, department, &cleared.permit.fields, draft.received);
    plan.map(Some).map_err(|error| {
        tracing::error!(
            request_id = %draft.request_id, trace_id = draft.trace_id(), resource = %resource.id,
            %error, "the masks of a permit cannot be built"
        );
        MaskFailure::Plan.into()
    })
}

/// Does what the permit asks of the answer: the body that leaves, and the coding that it is in.
async fn apply(
    cleared: &Cleared,
    plan: Option<Arc<AnnouncedPlan>>,
    form: Form,
    sought: Sought,
    body: Arriving,
) -> Result<(ReplyBody, Option<Coding>), Failure> {
    let Cleared { exchange, route, permit, caller, .. } = cleared;
    let Exchange { snapshot, draft, .. } = &**exchange;
    let idle = route.upstream.response_timeout();
    let bounds = snapshot.bounds;
    let decoder = |coding| Decoder::new(coding, bounds.decoded);
    let source = Source::new(body, idle, Arc::clone(draft), snapshot.digests.as_ref());
    let Some(plan) = plan else {
        let body = match form.coding.filter(|coding| sought.coding != Some(*coding)) {
            None => ReplyBody::stream(Passed::new(source)),
            Some(coding) => {
                let plain = Plain::new(source, Some(decoder(coding)));
                ReplyBody::stream(Unpacked::new(plain))
            }
        };
        return Ok((body, sought.coding));
    };
    let within = Bounds { records: permit.rows_per_reply, ..Bounds::default() };
    let transform = Transform::with_charset(Arc::clone(&plan.plan), within, form.charset);
    let plain = Plain::new(source, form.coding.map(decoder));
    // Who sends lines or events without saying how many may mean to go on for as long as anybody listens.
    let is_live = match route.resource.body.format {
        BodyFormat::EventStream => true,
        BodyFormat::NdJson => plain.length().is_none(),
        BodyFormat::Json | BodyFormat::Csv | BodyFormat::Xml | BodyFormat::Form | BodyFormat::Opaque => false,
    };
    let bound = u64::try_from(bounds.whole_reply).unwrap_or(u64::MAX);
    let is_long = plain.length().is_some_and(|length| length > bound);
    let meter = Meter::new(Arc::clone(snapshot), Arc::clone(permit), Arc::clone(caller), Arc::clone(draft));
    let mut masked = Masked::new(plain, transform, meter);
    let started = Instant::now();
    let refuse = |error| failure_of(error, draft);
    let is_whole = !is_live && !is_long && masked.gather(bounds.whole_reply).await.map_err(refuse)?;
    // Nothing has left yet: what is refused whole costs nobody a record.
    masked.charge().map_err(refuse)?;
    if !is_whole {
        draft.note_masking(started.elapsed());
        return Ok((ReplyBody::stream(masked.coded(sought.coding)), sought.coding));
    }
    let (bytes, coding) = coded(masked.into_whole(), sought.coding).map_err(refuse)?;
    draft.note_masking(started.elapsed());
    Ok((ReplyBody::whole(bytes), coding))
}

/// A whole reply in its coding, where that saves anything.
fn coded(bytes: Vec<u8>, coding: Option<Coding>) -> Result<(Vec<u8>, Option<Coding>), BodyError> {
    let Some(coding) = coding.filter(|_| bytes.len() >= MIN_CODED) else { return Ok((bytes, None)) };
    let (mut encoder, mut out) = (Encoder::new(coding), Vec::new());
    encoder.push(&bytes, &mut out).map_err(BodyError::Coding)?;
    encoder.finish(&mut out).map_err(BodyError::Coding)?;
    Ok(if out.len() < bytes.len() { (out, Some(coding)) } else { (bytes, None) })
}

/// A file leaves whole or not at all: a grant that asks for masks or caps records cannot be kept there.
pub(super) fn may_leave_whole(cleared: &Cleared) -> bool {
    leaves_whole(&cleared.exchange.snapshot.policy, &cleared.permit.grants)
}

fn cannot_leave_whole(cleared: &Cleared) -> Failure {
    let draft = &cleared.exchange.draft;
    tracing::error!(
        request_id = %draft.request_id, trace_id = draft.trace_id(), resource = %cleared.route.resource.id,
        "a grant has duties that a file cannot keep"
    );
    MaskFailure::Plan.into()
}

fn insert(headers: &mut HeaderMap, name: &HeaderName, value: impl TryInto<HeaderValue>) {
    if let Ok(value) = value.try_into() {
        headers.insert(name.clone(), value);
    }
}

/// Says what it rests on, and what is left of the tightest limit.
pub(super) fn describe_permit(headers: &mut HeaderMap, grants: HeaderValue, usage: Option<&Usage>) {
    headers.insert(PINEGATE_GRANT.clone(), grants);
    if let Some(usage) = usage {
        insert(headers, &RATE_LIMIT, usage.rate_limit());
        insert(headers, &RATE_LIMIT_POLICY, usage.rate_limit_policy());
    }
}

/// What the platform's status means for the client.
pub(super) fn judge(status: StatusCode) -> Result<(), Failure> {
    let failure = match status.as_u16() {
        206 | 226 => UpstreamFailure::Invalid {
            why: words("a part of something was not asked for", "返回了未请求的部分内容"),
        },
        200..=299 => return Ok(()),
        300..=399 => {
            UpstreamFailure::Invalid { why: words("redirects are not followed", "不跟随重定向") }
        }
        404 | 410 => UpstreamFailure::NotFound,
        number @ 400..=499 => UpstreamFailure::Rejected { status: number },
        number @ 500..=599 => UpstreamFailure::Failed { status: number },
        _ => UpstreamFailure::Invalid {
            why: words("the status is not one of HTTP", "状态码不属于 HTTP")
        },
    };
    Err(failure.into())
}

fn failure_of(error: BodyError, draft: &Draft) -> Failure {
    let (request_id, trace_id) = (draft.request_id, draft.trace_id());
    match error {
        BodyError::Mask(crate::mask::MaskError::TooManyRecords { max }) => Failure::Rows { limit: max },
        // What was found is told where the masks end.
        BodyError::Mask(crate::mask::MaskError::Egress { .. }) => MaskFailure::Egress.into(),
        BodyError::Mask(error) => {
            tracing::warn!(%request_id, trace_id, %error, "an answer cannot be masked");
            MaskFailure::Body { reason: error.reason() }.into()
        }
        BodyError::Coding(CodingError::Encoder { .. }) => Failure::Gate,
        BodyError::Coding(error) => {
            tracing::warn!(%request_id, trace_id, error = %chain(&error), "an answer cannot be decoded");
            MaskFailure::Body { reason: error.reason() }.into()
        }
        BodyError::Stalled => {
            UpstreamFailure::Invalid { why: words("the answer stalled", "应答中途停滞") }.into()
        }
        BodyError::Quota(failure) => *failure,
        // The one ends what streams, the other an upload.
        BodyError::Withdrawn(_) | BodyError::Slow | BodyError::OffRecord => Failure::Gate,
        error @ (BodyError::Broken(_) | BodyError::TooLarge { .. } | BodyError::Refused(_)) => {
            tracing::warn!(%request_id, trace_id, error = %chain(&error), "an answer broke off");
            UpstreamFailure::Invalid { why: words("the answer broke off", "应答中途断开") }.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_nothing_else() {
        let long = "zh-CN, ".repeat(9) + "zh";
        for (values, leaves) in [
            (&["zh-CN"][..], true),
            (&["zh"], true),
            (&["zh-Hans-CN, en-GB\t,mi"], true),
            (&["zh-cmn-Hans-CN"], true),
            (&[], false),
            (&["zh-CN", "en"], false),
            (&[""], false),
            (&["zh-CN,"], false),
            (&["zh--CN"], false),
            (&["zh_CN"], false),
            (&["zh-x-wang"], false),
            (&["zh-13800138"], false),
            (&["13800138000"], false),
            (&["wang"], false),
            (&["li-xiao-ming"], false),
            (&["li-wang-fang"], false),
            (&["zh-CN-CN"], false),
            (&["zh; phone=13800138000"], false),
            (&["zh-\u{4e2d}"], false),
            (&[long.as_str()], false),
        ] {
            let mut from = HeaderMap::new();
            for value in values {
                from.append(header::CONTENT_LANGUAGE, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(languages(&from).is_some(), leaves, "{values:?}");
        }
    }

    #[test]
    fn statuses_mean_one_thing_each() {
        use super::super::problem::Code;
        for (status, code) in [
            (200, None),
            (201, None),
            (204, None),
            (206, Some(Code::UpstreamInvalid)),
            (302, Some(Code::UpstreamInvalid)),
            (304, Some(Code::UpstreamInvalid)),
            (404, Some(Code::UpstreamNotFound)),
            (400, Some(Code::UpstreamRejected)),
            (500, Some(Code::UpstreamFailed)),
            (101, Some(Code::UpstreamInvalid)),
            (999, Some(Code::UpstreamInvalid)),
        ] {
            let judged = judge(StatusCode::from_u16(status).unwrap()).err().map(|failure| failure.code());
            assert_eq!(judged, code, "{status}");
        }
    }
}
