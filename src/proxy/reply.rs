//! Stage 13, `oblige`: the duties of the permit are applied to the platform's answer.
//!
//! Nothing of an answer leaves unless its type is the declared one and the masks can read it. What
//! ends within a bound is masked whole, so that its failure is a clean refusal; what is longer is
//! masked as it streams and cut off, never tidily ended, when something is wrong.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::authorize::{Cleared, limited};
use super::body::{BodyError, ReplyBody};
use super::exchange::Draft;
use super::failure::{Failure, MaskFailure, UpstreamFailure};
use super::forward::{PINEGATE_GRANT, forward, is_unsafe, joined};
use super::problem::words;
use super::record::Recorder;
use super::routes::Route;
use super::sift::Sifted;
use super::snapshot::{AnnouncedPlan, Snapshot};
use crate::catalog::{BodyFormat, Egress};
use crate::grant::{Permit, Treatment};
use crate::kernel::id::SystemId;
use crate::mask::{Bounds, Summary, Transform};

static PINEGATE_MASKED: HeaderName = HeaderName::from_static("pinegate-masked");
/// How much is left of the tightest limit.
pub(crate) static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What that limit is.
pub(crate) static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Turns a cleared request into the reply that may leave.
pub(crate) async fn oblige(recorder: Arc<Recorder>, sifted: Sifted) -> Result<Response<ReplyBody>, Failure> {
    let cleared = sifted.clear();
    let duties = Duties::of(&cleared)?;
    let method = cleared.exchange.parts.method.clone();
    if is_unsafe(&method) {
        recorder.intend(&cleared.exchange.circumstances()).await?;
    }
    let Cleared { ref route, .. } = cleared;
    let route = Arc::clone(route);
    let usage = cleared.admission.usage.clone();
    let (in_flight, cleared) = cleared.split_in_flight();
    let (response, draft) = forward(cleared).await?;
    let (parts, body) = response.into_parts();
    judge(parts.status)?;
    let mut headers = duties.headers(&route, &parts.headers)?;
    if let Some(usage) = &usage {
        insert(&mut headers, &RATE_LIMIT, &usage.rate_limit());
        insert(&mut headers, &RATE_LIMIT_POLICY, usage.rate_limit_policy());
    }
    let has_body = method != Method::HEAD && parts.status != StatusCode::NO_CONTENT;
    let mut reply = if !has_body {
        headers.remove(header::CONTENT_TYPE);
        ReplyBody::empty()
    } else {
        check_media_type(route.resource.body.format, &parts.headers)?;
        duties.apply(&route, body, draft).await?
    };
    reply.guard(in_flight);
    let mut response = Response::new(reply);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// What the permit asks of the answer.
struct Duties {
    snapshot: Arc<Snapshot>,
    permit: Arc<Permit>,
    system: SystemId,
    plan: Option<Arc<AnnouncedPlan>>,
}

impl Duties {
    fn of(cleared: &Cleared) -> Result<Self, Failure> {
        let (snapshot, resource) = (&cleared.exchange.snapshot, &cleared.route.resource);
        let plan = match resource.body.format {
            BodyFormat::Opaque => {
                may_leave_whole(cleared)?;
                None
            }
            BodyFormat::Json
            | BodyFormat::NdJson
            | BodyFormat::EventStream
            | BodyFormat::Csv
            | BodyFormat::Xml
            | BodyFormat::Form => {
                let department = &cleared.caller.department.id;
                let plan = snapshot.plans.plan(resource, department, &cleared.permit.fields);
                Some(plan.map_err(|error| {
                    tracing::error!(resource = %resource.id, %error, "the masks of a permit cannot be built");
                    Failure::from(MaskFailure::Plan)
                })?)
            }
        };
        Ok(Self {
            snapshot: Arc::clone(snapshot),
            permit: Arc::clone(&cleared.permit),
            system: cleared.caller.system.id.clone(),
            plan,
        })
    }

    /// The header fields that leave: a short list of the platform's, and the gate's own.
    fn headers(&self, route: &Route, from: &HeaderMap) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::with_capacity(12);
        match route.resource.body.format.media_type() {
            Some(media_type) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            }
            None => {
                for name in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
                    if let Some(value) = from.get(&name) {
                        headers.insert(name, value.clone());
                    }
                }
            }
        }
        if let Some(language) = from.get(header::CONTENT_LANGUAGE) {
            headers.insert(header::CONTENT_LANGUAGE, language.clone());
        }
        let grants = HeaderValue::from_str(&joined(&self.permit.grants)).map_err(|_| Failure::Gate)?;
        headers.insert(PINEGATE_GRANT.clone(), grants);
        if let Some(plan) = &self.plan {
            headers.insert(PINEGATE_MASKED.clone(), plan.header.clone());
        }
        Ok(headers)
    }

    async fn apply(self, route: &Route, body: Incoming, draft: Arc<Draft>) -> Result<ReplyBody, Failure> {
        let idle = route.upstream.response_timeout();
        let Some(plan) = &self.plan else {
            return Ok(ReplyBody::stream(Box::pin(Passed::new(body, idle))));
        };
        let bounds = Bounds { records: self.permit.rows_per_reply, ..Bounds::default() };
        let transform = Transform::new(Arc::clone(&plan.plan), bounds);
        let meter = Meter { duties: self, charged: 0, draft };
        let mut masked =
            Masked { inner: body, transform, meter, idle: Idle::new(idle), out: Vec::new(), over: false };
        let bound = masked.meter.duties.snapshot.bounds.whole_reply;
        let is_long = masked.inner.size_hint().lower() > u64::try_from(bound).unwrap_or(u64::MAX);
        let streams_at_once = is_long || route.resource.body.format == BodyFormat::NdJson;
        let started = Instant::now();
        let is_whole = !streams_at_once
            && masked.gather(bound).await.map_err(|error| failure_of(error, &masked.meter))?;
        masked.meter.draft.note_masking(started.elapsed());
        // Nothing has left yet: what is refused whole costs nobody a record.
        masked.charge().map_err(|error| failure_of(error, &masked.meter))?;
        if is_whole {
            masked.meter.draft.note_masked(masked.transform.summary());
            return Ok(ReplyBody::whole(std::mem::take(&mut masked.out)));
        }
        Ok(ReplyBody::stream(Box::pin(masked)))
    }
}

/// A file leaves whole or not at all: a grant that asks for masks or caps records cannot be kept there.
fn may_leave_whole(cleared: &Cleared) -> Result<(), Failure> {
    let policy = &cleared.exchange.snapshot.policy;
    let is_plain = cleared.permit.grants.iter().all(|id| {
        policy.grant(id).is_some_and(|grant| {
            let scope = grant.scope();
            let asks_for_masks =
                scope.items.iter().any(|item| matches!(item.treatment, Some(Treatment::Masked(_))));
            !asks_for_masks && scope.rows_per_reply.is_none() && scope.rows_per_day.is_none()
        })
    });
    if is_plain {
        return Ok(());
    }
    tracing::error!(resource = %cleared.route.resource.id, "a grant has duties that a file cannot keep");
    Err(MaskFailure::Plan.into())
}

fn insert(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name.clone(), value);
    }
}

/// What the platform's status means for the client.
fn judge(status: StatusCode) -> Result<(), Failure> {
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

/// The media type is what the catalogue declares, said once, without a coding.
fn check_media_type(format: BodyFormat, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(declared) = format.media_type() else { return Ok(()) };
    if headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(MaskFailure::Coding.into());
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(UpstreamFailure::Invalid {
            why: words("a part of something was not asked for", "返回了未请求的部分内容"),
        }
        .into());
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = types.next().and_then(|value| value.to_str().ok());
    let is_declared = types.next().is_none() && media_type.is_some_and(|text| is_of_format(format, text));
    if is_declared { Ok(()) } else { Err(MaskFailure::MediaType { declared }.into()) }
}

/// Whether a media type is that of `format`, in UTF-8.
pub(super) fn is_of_format(format: BodyFormat, media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or("").to_ascii_lowercase();
    let is_right = match format {
        BodyFormat::Json => {
            essence == "application/json"
                || essence
                    .strip_prefix("application/")
                    .and_then(|subtype| subtype.strip_suffix("+json"))
                    .is_some_and(is_plain_name)
        }
        BodyFormat::NdJson => {
            matches!(essence.as_str(), "application/x-ndjson" | "application/ndjson" | "application/jsonl")
        }
        BodyFormat::Xml => matches!(essence.as_str(), "application/xml" | "text/xml"),
        BodyFormat::EventStream | BodyFormat::Csv | BodyFormat::Form => {
            format.media_type() == Some(essence.as_str())
        }
        BodyFormat::Opaque => true,
    };
    is_right
        && parts.all(|parameter| match parameter.split_once('=') {
            // Also `charset =` and `charset*=`, which lenient programs know.
            Some((name, value)) if name.to_ascii_lowercase().starts_with("charset") => {
                name.trim_end().eq_ignore_ascii_case("charset")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Whether a part of a media type is one name, and no list of media types (RFC 6838, section 4.2).
fn is_plain_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

fn failure_of(error: BodyError, meter: &Meter) -> Failure {
    let request_id = meter.draft.request_id;
    match error {
        BodyError::Mask(crate::mask::MaskError::TooManyRecords { max }) => Failure::Rows { limit: max },
        // What was found is told where the masks end.
        BodyError::Mask(crate::mask::MaskError::Egress { .. }) => MaskFailure::Egress.into(),
        BodyError::Mask(error) => {
            tracing::warn!(%request_id, %error, "an answer cannot be masked");
            MaskFailure::Body { reason: error.reason() }.into()
        }
        BodyError::Stalled => {
            UpstreamFailure::Invalid { why: words("the answer stalled", "应答中途停滞") }.into()
        }
        BodyError::Quota(failure) => *failure,
        error @ (BodyError::Broken(_) | BodyError::TooLarge { .. } | BodyError::Refused(_)) => {
            tracing::warn!(%request_id, error = %crate::kernel::diagnostic::chain(&error), "an answer broke off");
            UpstreamFailure::Invalid { why: words("the answer broke off", "应答中途断开") }.into()
        }
    }
}

/// Counts the records of an answer against the day's rows before they leave.
struct Meter {
    duties: Duties,
    charged: u64,
    draft: Arc<Draft>,
}

impl Meter {
    fn charge(&mut self, records: u64) -> Result<(), BodyError> {
        let more = records.saturating_sub(self.charged);
        if more == 0 {
            return Ok(());
        }
        let Duties { snapshot, permit, system, .. } = &self.duties;
        snapshot
            .limiter
            .charge_rows(self.draft.now(), system, &permit.grants, more)
            .map_err(|error| BodyError::Quota(Box::new(limited(error))))?;
        self.charged = records;
        Ok(())
    }

    /// Logs the first of what was found in fields that leave as they are, once a reply.
    fn tell(&self, summary: &Summary) {
        let Some(first) = summary.findings().next() else { return };
        let route = self.draft.route.get();
        tracing::warn!(
            request_id = %self.draft.request_id,
            resource = route.map(|route| route.resource.id.as_str()),
            field = %first.path,
            kind = first.kind.as_str(),
            findings = summary.findings().map(|finding| finding.count).sum::<u64>(),
            action = route.and_then(|route| route.resource.egress).map(Egress::as_str),
            "an unmasked identifier stands in a field that leaves as it is"
        );
    }
}

/// A clock that runs out when nothing comes.
struct Idle {
    sleep: Pin<Box<Sleep>>,
    within: Duration,
    /// Whether the platform is being waited for: time in which nobody asked does not count.
    is_waiting: bool,
}

impl Idle {
    fn new(within: Duration) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(within)), within, is_waiting: false }
    }

    /// Something came.
    fn wind(&mut self) {
        self.is_waiting = false;
    }

    fn poll_run_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_waiting {
            self.is_waiting = true;
            self.sleep.as_mut().reset(Instant::now() + self.within);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// The next part of the platform's body; `None` at its end.
fn poll_part(
    inner: &mut Incoming,
    idle: &mut Idle,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match Pin::new(inner).poll_frame(cx) {
        Poll::Ready(part) => {
            idle.wind();
            Poll::Ready(part.map(|part| part.map_err(BodyError::Broken)))
        }
        Poll::Pending => {
            ready!(idle.poll_run_out(cx));
            Poll::Ready(Some(Err(BodyError::Stalled)))
        }
    }
}

/// A body on its way through the masks.
struct Masked {
    inner: Incoming,
    transform: Transform,
    meter: Meter,
    idle: Idle,
    out: Vec<u8>,
    over: bool,
}

impl Masked {
    /// Masks up to the end, or until more than `bound` bytes are in hand; whether it came to the end.
    async fn gather(&mut self, bound: usize) -> Result<bool, BodyError> {
        while self.out.len() <= bound {
            let within = self.idle.within;
            let part =
                tokio::time::timeout(within, self.inner.frame()).await.map_err(|_| BodyError::Stalled)?;
            match part {
                Some(part) => self.take(&part.map_err(BodyError::Broken)?)?,
                None => {
                    self.end()?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Trailers are dropped: they may tell what the masks hide (RFC 9530 digests, signatures).
    fn take(&mut self, part: &Frame<Bytes>) -> Result<(), BodyError> {
        let Some(data) = part.data_ref() else { return Ok(()) };
        self.transform.push(data, &mut self.out).map_err(BodyError::Mask)
    }

    fn end(&mut self) -> Result<(), BodyError> {
        self.transform.finish(&mut self.out).map_err(BodyError::Mask)?;
        self.over = true;
        Ok(())
    }

    /// Counts the records in hand against the day's rows.
    fn charge(&mut self) -> Result<(), BodyError> {
        self.meter.charge(self.transform.records())
    }

    fn poll_masked(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.out).into()))));
            }
            if self.over {
                return Poll::Ready(None);
            }
            let step = match ready!(poll_part(&mut self.inner, &mut self.idle, cx)) {
                Some(Ok(part)) => self.take(&part),
                Some(Err(error)) => Err(error),
                None => self.end(),
            };
            if let Err(error) = step.and_then(|()| self.charge()) {
                // What the failing part would have let out is held back with it.
                self.out.clear();
                self.over = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl Body for Masked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_masked(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.over && self.out.is_empty()
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        let summary = self.transform.summary();
        self.meter.tell(&summary);
        // Records that were not charged have not left.
        self.meter.draft.note_masked(summary.with_records(self.meter.charged));
    }
}

/// A body that is granted whole.
struct Passed {
    inner: Incoming,
    idle: Idle,
}

impl Passed {
    fn new(inner: Incoming, idle: Duration) -> Self {
        Self { inner, idle: Idle::new(idle) }
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match ready!(poll_part(&mut this.inner, &mut this.idle, cx)) {
            Some(Ok(part)) => match part.into_trailers() {
                Ok(trailers) => Poll::Ready(Some(Ok(Frame::trailers(super::body::filtered(trailers))))),
                Err(part) => Poll::Ready(Some(Ok(part))),
            },
            other => Poll::Ready(other),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_declared_type_is_masked() {
        for (format, text, expected) in [
            (BodyFormat::Json, "application/json", true),
            (BodyFormat::Json, "Application/JSON; charset=UTF-8", true),
            (BodyFormat::Json, "application/json;charset=\"utf-8\"", true),
            (BodyFormat::Json, "application/hal+json", true),
            (BodyFormat::Json, "application/json; charset = utf-8", true),
            (BodyFormat::Json, "application/json; charset=gbk", false),
            (BodyFormat::Json, "application/json; charset =gbk", false),
            (BodyFormat::Json, "application/json; charset*=gbk", false),
            (BodyFormat::Json, "application/xml, application/x+json", false),
            (BodyFormat::Json, "text/json", false),
            (BodyFormat::Json, "text/html", false),
            (BodyFormat::Json, "application/x-ndjson", false),
            (BodyFormat::Json, "multipart/byteranges", false),
            (BodyFormat::Json, "", false),
            (BodyFormat::NdJson, "application/x-ndjson", true),
            (BodyFormat::NdJson, "application/json", false),
        ] {
            assert_eq!(is_of_format(format, text), expected, "{format:?} {text}");
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
