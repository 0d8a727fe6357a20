//! Stage 14: the request goes to the platform, as the gate's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;

use super::authorize::Cleared;
use super::body::{RequestBody, Upload, UploadState, Uploads};
use super::exchange::{Draft, Exchange};
use super::failure::{Failure, RequestFailure, UpstreamFailure};
use super::normalize::NormalHead;
use super::problem::words;
use super::routes::Route;
use super::sift::{failure_of, heard};
use crate::config::ParameterSource;
use crate::kernel::diagnostic::chain;
use crate::kernel::id::{GrantId, RequestId};
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
struct Sending<'d> {
    parts: Parts,
    uploads: Uploads,
    state: Arc<UploadState>,
    draft: &'d Draft,
    within: Duration,
    ends: (SocketAddr, SocketAddr),
    opens_session: bool,
}

impl Outgoing<Upload> for Sending<'_> {
    fn method(&self) -> &Method {
        &self.parts.method
    }

    fn request(&mut self) -> Option<Request<Upload>> {
        let mut request = Request::new(self.uploads.take()?);
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.headers_mut() = self.parts.headers.clone();
        self.draft.note_attempt();
        // From here on it is for the platform to take the upload.
        self.state.pulse.beat();
        Some(request)
    }

    async fn too_long(&self) {
        self.state.pulse.stalled(self.within).await;
    }

    fn on_behalf_of(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some(self.ends)
    }

    fn names(&self) -> (RequestId, Option<&str>) {
        (self.draft.request_id, self.draft.trace_id())
    }

    fn opens_session(&self) -> bool {
        self.opens_session
    }

    fn is_own_fault(&self) -> bool {
        self.state.fault().is_some()
    }
}

/// Sends what is cleared, and waits for the head of the platform's answer. Of a request that opens a session, `opening`
/// are the fields of the gate's own handshake.
pub(crate) async fn forward(
    cleared: Cleared,
    opening: Option<&HeaderMap>,
) -> Result<(Response<Incoming>, Arc<Draft>, Held), Failure> {
    let Cleared { exchange, head, route, caller, purpose, permit, .. } = cleared;
    let Exchange { mut parts, body, peer, draft, snapshot, .. } = *exchange;
    let limit = route.max_request_body.get();
    if declared_length(&parts.headers).is_some_and(|length| length > limit) {
        return Err(RequestFailure::TooLarge { limit }.into());
    }
    let is_sifted = matches!(body, RequestBody::Sifting(_));
    let (uploads, state) = Uploads::new(body, limit);
    Draft::note(&draft.upload, Arc::clone(&state));

    let headers = &mut parts.headers;
    keep_only_known(headers, &route);
    set(headers, &PINEGATE_SYSTEM, caller.system.id.as_str())?;
    set(headers, &PINEGATE_DEPARTMENT, caller.department.id.as_str())?;
    set(headers, &PINEGATE_PURPOSE, purpose.as_str())?;
    set(headers, &PINEGATE_GRANT, &joined(&permit.grants))?;
    set(headers, &header::FORWARDED, &forwarded(peer.remote, headers.get(header::HOST)))?;
    set(headers, &X_REQUEST_ID, draft.request_id.encode(&mut [0; 36]))?;
    match opening {
        None => drop(headers.insert(header::ACCEPT_ENCODING, route.accept_encoding.clone())),
        Some(fields) => headers.extend(fields.clone()),
    }
    parts.uri = target(head)?;
    let (came_by, ends) = (parts.version, (peer.remote, peer.local));

    let (started, within) = (tokio::time::Instant::now(), route.upstream.response_timeout());
    let mut sending = Sending {
        parts,
        uploads,
        state: Arc::clone(&state),
        draft: &draft,
        within,
        ends,
        opens_session: opening.is_some(),
    };
    let mut sent = route.upstream.call(&mut sending, route.partition.as_deref()).await;
    draft.note_upstream(started.elapsed());
    if is_sifted && sent.as_ref().is_ok_and(|(response, _)| response.status().is_success()) {
        // The platform may say yes before it has all; the gate has not said so yet.
        tokio::select! {
            () = state.sifted() => {}
            () = state.pulse.stalled(within) => {
                let upstream = route.upstream.id().clone();
                sent = Err(ClientError::Timeout { upstream, within }.into());
            }
        }
    }
    if let Some(fault) = state.fault() {
        // The platform saw a request break off because of what the client sent: the client is told so.
        heard(fault, came_by).await;
        return Err(failure_of(fault, &route, &permit, &snapshot.policy));
    }
    match sent {
        Ok((response, held)) => Ok((response, draft, held)),
        Err(error) => {
            tracing::warn!(request_id = %draft.request_id, trace_id = draft.trace_id(), error = %chain(&error), "forwarding failed");
            Err(UpstreamFailure::None(error).into())
        }
    }
}

/// What is asked of the platform: the one reading of path and query, as it was sent.
fn target(head: NormalHead) -> Result<Uri, Failure> {
    let mut target = head.path.raw;
    if let Some(query) = &head.query.raw {
        target.push('?');
        target.push_str(query);
    }
    target.parse().map_err(|_| {
        Failure::from(RequestFailure::Path { why: words("it is no request target", "不是请求目标") })
    })
}

/// Header fields of a request that mean the same to the platform as to the gate. Everything else a
/// client sends stays at the gate, unless the route names it: a field that nobody here has heard of may be
/// one by which the platform, or something before it, takes the client for somebody else.
static FORWARDED: [HeaderName; 12] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

fn keep_only_known(headers: &mut HeaderMap, route: &Route) {
    let is_known = |name: &HeaderName| {
        FORWARDED.contains(name)
            || (*name == header::AUTHORIZATION && route.forward_token)
            || route.pass_headers.contains(name)
            || route
                .parameters
                .iter()
                .any(|parameter| parameter.source == ParameterSource::Header(name.clone()))
    };
    let unknown: Vec<HeaderName> = headers.keys().filter(|name| !is_known(name)).cloned().collect();
    for name in &unknown {
        headers.remove(name);
    }
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

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &str) -> Result<(), Failure> {
    headers.insert(name, HeaderValue::from_str(value).map_err(|_| Failure::Gate)?);
    Ok(())
}

/// Grant ids apart by commas.
pub(crate) fn joined(grants: &[GrantId]) -> String {
    grants.iter().map(GrantId::as_str).collect::<Vec<_>>().join(", ")
}

/// `Forwarded` (RFC 7239, sections 4 and 6); the host was checked to be plain.
fn forwarded(remote: SocketAddr, host: Option<&HeaderValue>) -> String {
    let address = match remote.ip().to_canonical() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    match host.and_then(|host| host.to_str().ok()) {
        Some(host) => format!("for={address};host=\"{host}\";proto=https"),
        None => format!("for={address};proto=https"),
    }
}
