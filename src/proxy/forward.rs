//! Stage 14: the request goes to the platform, as the gate's own.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;

use super::authorize::Cleared;
use super::body::{RequestBody, Upload, UploadState, Uploads};
use super::exchange::{Caller, Draft, Exchange};
use super::failure::{Failure, RequestFailure, UpstreamFailure};
use super::problem::words;
use super::routes::Route;
use super::sift::{failure_of, heard};
use crate::config::ParameterSource;
use crate::kernel::diagnostic::chain;
use crate::kernel::id::{GrantId, PurposeCode, RequestId};
use crate::upstream::{ClientError, Lease, Outgoing};

static PINEGATE_SYSTEM: HeaderName = HeaderName::from_static("pinegate-system");
static PINEGATE_DEPARTMENT: HeaderName = HeaderName::from_static("pinegate-department");
/// Names the grants of a permit, towards both sides.
pub(crate) static PINEGATE_GRANT: HeaderName = HeaderName::from_static("pinegate-grant");
static PINEGATE_PURPOSE: HeaderName = HeaderName::from_static("pinegate-purpose");
/// The request id, towards both sides.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a reply holds at the platform until it has ended.
pub(crate) type Held = Lease<Upload>;

/// A request as the platform gets it, as often as it has to be sent.
struct Sending<'r> {
    exchange: &'r Exchange,
    route: &'r Route,
    caller: &'r Caller,
    purpose: &'r PurposeCode,
    /// The grants of its permit.
    grants: &'r HeaderValue,
    target: PathAndQuery,
    /// The header fields of the first attempt.
    fields: Option<HeaderMap>,
    uploads: Uploads,
    state: Arc<UploadState>,
    within: Duration,
    /// The fields of the gate's own handshake, if it opens a session.
    opening: Option<&'r HeaderMap>,
}

impl Sending<'_> {
    /// What goes on of the client's header fields, and the gate's own.
    fn fields(&self) -> Result<HeaderMap, Failure> {
        let (from, draft) = (&self.exchange.parts.headers, &self.exchange.draft);
        let mut fields = HeaderMap::with_capacity(from.len() + OWN_FIELDS);
        for (name, value) in from {
            if is_forwarded(name, self.route) {
                fields.append(name.clone(), value.clone());
            }
        }
        let text = |text: &str| HeaderValue::from_str(text).map_err(|_| Failure::Gate);
        let host = from.get(header::HOST);
        let forwarded = forwarded(self.exchange.peer.remote, host);
        fields.insert(PINEGATE_SYSTEM.clone(), self.caller.system_field.clone());
        fields.insert(PINEGATE_DEPARTMENT.clone(), self.caller.department_field.clone());
        fields.insert(PINEGATE_PURPOSE.clone(), text(self.purpose.as_str())?);
        fields.insert(PINEGATE_GRANT.clone(), self.grants.clone());
        fields.insert(header::FORWARDED, HeaderValue::try_from(forwarded).map_err(|_| Failure::Gate)?);
        fields.insert(X_REQUEST_ID.clone(), text(draft.request_id.encode(&mut [0; 36]))?);
        match self.opening {
            None => drop(fields.insert(header::ACCEPT_ENCODING, self.route.accept_encoding.clone())),
            Some(opening) => fields.extend(opening.clone()),
        }
        Ok(fields)
    }
}

impl Outgoing<Upload> for Sending<'_> {
    fn method(&self) -> &Method {
        &self.exchange.parts.method
    }

    fn request(&mut self) -> Option<Request<Upload>> {
        let fields = self.fields.take().or_else(|| self.fields().ok())?;
        let mut request = Request::new(self.uploads.take()?);
        *request.method_mut() = self.exchange.parts.method.clone();
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = fields;
        self.exchange.draft.note_attempt();
        // From here on it is for the platform to take the upload.
        self.state.pulse.beat();
        Some(request)
    }

    async fn too_long(&self) {
        self.state.pulse.stalled(self.within).await;
    }

    fn on_behalf_of(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.exchange.peer.remote, self.exchange.peer.local))
    }

    fn names(&self) -> (RequestId, Option<&str>) {
        (self.exchange.draft.request_id, self.exchange.draft.trace_id())
    }

    fn opens_session(&self) -> bool {
        self.opening.is_some()
    }

    fn is_own_fault(&self) -> bool {
        self.state.fault().is_some()
    }
}

/// Sends what is cleared, and waits for the head of the platform's answer. `grants` names those of its permit;
/// `opening` are the fields of the gate's own handshake, of a request that opens a session.
pub(crate) async fn forward(
    cleared: &mut Cleared,
    grants: &HeaderValue,
    opening: Option<&HeaderMap>,
) -> Result<(Response<Incoming>, Held), Failure> {
    let Cleared { exchange, route, caller, purpose, permit, .. } = cleared;
    let limit = route.max_request_body.get();
    if declared_length(&exchange.parts.headers).is_some_and(|length| length > limit) {
        return Err(RequestFailure::TooLarge { limit }.into());
    }
    let body = std::mem::take(&mut exchange.body);
    let is_sifted = matches!(body, RequestBody::Sifting(_));
    let (uploads, state) = Uploads::new(body, limit);
    let (exchange, draft) = (&**exchange, &exchange.draft);
    Draft::note(&draft.upload, Arc::clone(&state));
    let (started, within) = (tokio::time::Instant::now(), route.upstream.response_timeout());
    let target = target(&exchange.parts.uri)?;
    let (fields, state) = (None, &state);
    let mut sending = Sending {
        exchange,
        route,
        caller,
        purpose,
        grants,
        target,
        fields,
        uploads,
        state: Arc::clone(state),
        within,
        opening,
    };
    sending.fields = Some(sending.fields()?);
    let mut sent = route.upstream.call(&mut sending, route.partition.as_deref()).await;
    draft.note_upstream(started.elapsed());
    if is_sifted && sent.as_ref().is_ok_and(|(response, _)| response.status().is_success()) {
        // The platform may say yes before it has all; the gate has not said so yet.
        if !state.ended(within).await {
            let upstream = route.upstream.id().clone();
            sent = Err(ClientError::Timeout { upstream, within }.into());
        }
    }
    if let Some(fault) = state.fault() {
        // The platform saw a request break off because of what the client sent: the client is told so.
        heard(fault, exchange.parts.version).await;
        return Err(failure_of(fault, route, permit, &exchange.snapshot.policy));
    }
    sent.map_err(|error| {
        tracing::warn!(request_id = %draft.request_id, trace_id = draft.trace_id(), error = %chain(&error), "forwarding failed");
        UpstreamFailure::None(error).into()
    })
}

/// Waits for the end of an upload to which the platform has said yes before it had all of it: what it takes of it is to be
/// on record, and who hears the answer takes all that they sent for taken.
pub(crate) async fn taken(cleared: &Cleared, state: &UploadState) -> Result<(), Failure> {
    let Cleared { exchange, route, permit, .. } = cleared;
    let within = route.upstream.response_timeout();
    if !state.ended(within).await {
        let upstream = route.upstream.id().clone();
        return Err(UpstreamFailure::None(ClientError::Timeout { upstream, within }.into()).into());
    }
    let Some(fault) = state.fault() else { return Ok(()) };
    heard(fault, exchange.parts.version).await;
    Err(failure_of(fault, route, permit, &exchange.snapshot.policy))
}

/// What is asked of the platform: path and query as they were sent, whose one reading was decided.
fn target(uri: &Uri) -> Result<PathAndQuery, Failure> {
    if let Some(target) = uri.path_and_query().filter(|target| target.as_str().starts_with('/')) {
        return Ok(target.clone());
    }
    // A whole URL may leave the path out.
    let text = uri.query().map_or_else(|| uri.path().to_owned(), |query| format!("{}?{query}", uri.path()));
    PathAndQuery::try_from(text).map_err(|_| {
        Failure::from(RequestFailure::Path { why: words("it is no request target", "不是请求目标") })
    })
}

/// Header fields of a request that mean the same to the platform as to the gate. Everything else a
/// client sends stays at the gate, unless the route names it: a field that nobody here has heard of may be
/// one by which the platform, or something before it, takes the client for somebody else. The host is told by
/// `Forwarded`; towards the platform it is the platform's own.
static FORWARDED: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// How many header fields the gate adds, the host included.
const OWN_FIELDS: usize = 8;

fn is_forwarded(name: &HeaderName, route: &Route) -> bool {
    FORWARDED.contains(name)
        || (*name == header::AUTHORIZATION && route.forward_token)
        || route.pass_headers.contains(name)
        || route
            .parameters
            .iter()
            .any(|parameter| matches!(&parameter.source, ParameterSource::Header(known) if known == name))
}

/// Whether a request must be on record before it goes out: everything that may change something
/// (RFC 9110, section 9.2.1).
pub(crate) fn is_unsafe(method: &Method) -> bool {
    !method.is_safe()
}

/// What a request says is the length of its body.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Grant ids apart by commas.
pub(crate) fn joined(grants: &[GrantId]) -> String {
    let mut text = String::with_capacity(grants.iter().map(|grant| grant.as_str().len() + 2).sum());
    for (index, grant) in grants.iter().enumerate() {
        text.extend([if index > 0 { ", " } else { "" }, grant.as_str()]);
    }
    text
}

/// `Forwarded` (RFC 7239, sections 4 and 6); the host was checked to be plain.
fn forwarded(remote: SocketAddr, host: Option<&HeaderValue>) -> String {
    let mut text = String::with_capacity(128);
    // Writing into memory cannot fail.
    let _written = match remote.ip().to_canonical() {
        IpAddr::V4(address) => write!(text, "for={address}"),
        IpAddr::V6(address) => write!(text, "for=\"[{address}]\""),
    };
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        text.extend([";host=\"", host, "\""]);
    }
    text.push_str(";proto=https");
    text
}
