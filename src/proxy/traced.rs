//! The trace context of requests (W3C Trace Context), and the spans of those that are sampled.
//!
//! Without a collector nothing here does more than read and write one header field.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use data_encoding::HEXLOWER;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::exchange::Draft;
use super::record::decision;
use super::snapshot::Snapshot;
use crate::telemetry::{Attribute, Outcome, Sampling, Span, SpanKind, SpanSink};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The length of the header field of version 00 (W3C Trace Context, section 3.2.1).
const TRACEPARENT_BYTES: usize = 55;
/// The flag of a trace that is sampled (W3C Trace Context, section 3.2.2.5.1).
const SAMPLED: u8 = 0x01;
/// The flag of an id whose last 56 bits are random (W3C Trace Context Level 2, section 3.2.2.5.2).
const RANDOM: u8 = 0x02;

/// Which requests are traced, and who gets their spans.
#[derive(Debug, Clone)]
pub(crate) struct Tracing {
    pub(crate) sampling: Sampling,
    pub(crate) sink: Arc<dyn SpanSink>,
}

/// A part of a request whose time is told apart in its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The wait for the platform.
    Upstream,
    /// Masking of a reply in hand.
    Mask,
    /// The wait for the intent record.
    Intent,
    /// The wait for the record of a reply.
    Record,
}

/// The notes that the spans of a sampled request are made from.
#[derive(Debug)]
pub(crate) struct SpanNotes {
    trace: u128,
    parent: Option<u64>,
    method: &'static str,
    /// By part: when it ended, since the request came, and how long it took.
    upstream: OnceLock<(Duration, Duration)>,
    mask: OnceLock<(Duration, Duration)>,
    intent: OnceLock<(Duration, Duration)>,
    record: OnceLock<(Duration, Duration)>,
}

impl SpanNotes {
    fn new(trace: u128, parent: Option<u64>, method: &Method) -> Self {
        Self {
            trace,
            parent,
            method: known(method),
            upstream: OnceLock::new(),
            mask: OnceLock::new(),
            intent: OnceLock::new(),
            record: OnceLock::new(),
        }
    }

    fn slot(&self, part: Part) -> &OnceLock<(Duration, Duration)> {
        match part {
            Part::Upstream => &self.upstream,
            Part::Mask => &self.mask,
            Part::Intent => &self.intent,
            Part::Record => &self.record,
        }
    }

    /// Notes that `part` has just ended.
    pub(crate) fn ended(&self, part: Part, at: Duration, took: Duration) {
        Draft::note(self.slot(part), (at, took));
    }
}

/// The trace id of a request, from its `traceparent` if that is well-formed, else from the request id; either way the
/// header field then says so. Where there is a collector, the field names a span of the gate's as the parent of
/// what the platform does.
pub(crate) fn begin(draft: &Draft, parts: &mut Parts, tracing: Option<&Tracing>) -> String {
    let Some(tracing) = tracing else {
        let trace = given(&parts.headers).map(|given| given.trace.to_owned());
        return trace.unwrap_or_else(|| own(draft, &mut parts.headers));
    };
    let given = given(&parts.headers).map(|given| (given.trace.to_owned(), given.read()));
    let id = draft.request_id.as_u128();
    let (text, context) = match given {
        Some((trace, Some(context))) => (trace, context),
        Some((_, None)) | None => {
            parts.headers.remove(&TRACESTATE);
            (format!("{id:032x}"), Context { trace: id, parent: None, flags: 0 })
        }
    };
    let Context { trace, parent, flags } = context;
    let is_sampled = tracing.sampling.takes(id, parent.map(|_| flags & SAMPLED != 0));
    if is_sampled {
        Draft::note(&draft.spans, Box::new(SpanNotes::new(trace, parent, &parts.method)));
    }
    let flags = (flags & RANDOM) | if is_sampled { SAMPLED } else { 0 };
    let sent = format!("00-{text}-{:016x}-{flags:02x}", ids(draft).upstream);
    if let Ok(value) = HeaderValue::from_str(&sent) {
        parts.headers.insert(TRACEPARENT.clone(), value);
    }
    text
}

/// The trace of a request that came with none.
fn own(draft: &Draft, headers: &mut HeaderMap) -> String {
    headers.remove(&TRACESTATE);
    let text = HEXLOWER.encode(&draft.request_id.as_u128().to_be_bytes());
    let mut sent = String::with_capacity(TRACEPARENT_BYTES);
    sent.extend(["00-", &text, "-"]);
    HEXLOWER.encode_append(&ids(draft).server.to_be_bytes(), &mut sent);
    sent.push_str("-00");
    if let Ok(value) = HeaderValue::try_from(sent) {
        headers.insert(TRACEPARENT.clone(), value);
    }
    text
}

/// The ids of a request's spans. They follow from the half of its id that is random, whose first bit is set.
struct Ids {
    server: u64,
    decide: u64,
    upstream: u64,
    mask: u64,
    intent: u64,
    record: u64,
}

fn ids(draft: &Draft) -> Ids {
    let server = draft.request_id.low_half();
    // Only the last bits differ: never zero, never one id twice.
    Ids {
        server,
        decide: server ^ 1,
        upstream: server ^ 2,
        mask: server ^ 3,
        intent: server ^ 4,
        record: server ^ 5,
    }
}

/// A well-formed `traceparent`, by its parts.
struct Given<'h> {
    trace: &'h str,
    parent: &'h str,
    flags: &'h str,
}

/// The same as numbers.
struct Context {
    trace: u128,
    parent: Option<u64>,
    flags: u8,
}

impl Given<'_> {
    fn read(&self) -> Option<Context> {
        Some(Context {
            trace: u128::from_str_radix(self.trace, 16).ok()?,
            parent: Some(u64::from_str_radix(self.parent, 16).ok()?),
            flags: u8::from_str_radix(self.flags, 16).ok()?,
        })
    }
}

/// The only `traceparent` of a request, if it is well-formed (W3C Trace Context, section 3.2).
fn given(headers: &HeaderMap) -> Option<Given<'_>> {
    let mut all = headers.get_all(&TRACEPARENT).iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    parse(only.to_str().ok()?)
}

fn parse(text: &str) -> Option<Given<'_>> {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let mut parts = text.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_right =
        is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let is_set = trace.bytes().any(|b| b != b'0') && parent.bytes().any(|b| b != b'0');
    let has_rest = parts.next().is_some();
    (is_right && is_set && !(version == "00" && has_rest)).then_some(Given { trace, parent, flags })
}

/// A method as it may stand in a span: a client may send any word as one.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// The spans of a request that has ended, the one of the whole first.
pub(crate) fn spans(
    draft: &Draft,
    snapshot: &Snapshot,
    notes: &SpanNotes,
    outcome: Outcome,
    status: Option<StatusCode>,
) -> Vec<Span> {
    let ids = ids(draft);
    let route = draft.route.get();
    let name =
        route.map_or_else(|| notes.method.to_owned(), |route| format!("{} {}", notes.method, route.template));
    let is_error = status.is_some_and(|status| status.is_server_error());
    let span = |id, parent, name: String, kind, (end, took): (Duration, Duration)| Span {
        trace: notes.trace,
        id,
        parent,
        name,
        kind,
        start: draft.received.checked_add(end.saturating_sub(took)).unwrap_or(draft.received),
        took,
        is_error: false,
        attributes: Vec::new(),
    };
    let whole = draft.started.elapsed();
    let mut server = span(ids.server, notes.parent, name, SpanKind::Server, (whole, whole));
    server.is_error = is_error;
    server.attributes = attributes(draft, snapshot, notes, outcome, status);
    let mut all = vec![server];
    let decided = Duration::from_micros(draft.decided_us());
    if decided > Duration::ZERO {
        all.push(span(
            ids.decide,
            Some(ids.server),
            "decide".to_owned(),
            SpanKind::Internal,
            (decided, decided),
        ));
    }
    for (part, id, name, kind) in [
        (Part::Intent, ids.intent, "record intent", SpanKind::Internal),
        (Part::Upstream, ids.upstream, "upstream", SpanKind::Client),
        (Part::Mask, ids.mask, "mask", SpanKind::Internal),
        (Part::Record, ids.record, "record", SpanKind::Internal),
    ] {
        if let Some(time) = notes.slot(part).get() {
            let mut child = span(id, Some(ids.server), name.to_owned(), kind, *time);
            if part == Part::Upstream {
                child.is_error = outcome == Outcome::Upstream;
                if let Some(route) = route {
                    let upstream = route.upstream.id().as_str().to_owned();
                    child.attributes.push(("pinegate.upstream", Attribute::Name(upstream)));
                }
            }
            all.push(child);
        }
    }
    all
}

fn attributes(
    draft: &Draft,
    snapshot: &Snapshot,
    notes: &SpanNotes,
    outcome: Outcome,
    status: Option<StatusCode>,
) -> Vec<(&'static str, Attribute)> {
    let mut all = vec![
        ("http.request.method", Attribute::Word(notes.method)),
        ("url.scheme", Attribute::Word("https")),
        ("pinegate.outcome", Attribute::Word(outcome.as_str())),
    ];
    let mut name = |key, value: &str| all.push((key, Attribute::Name(value.to_owned())));
    if let Some(route) = draft.route.get() {
        name("http.route", &route.template);
        name("pinegate.resource", route.resource.id.as_str());
    }
    if let Some(caller) = draft.caller.get() {
        name("pinegate.system", caller.system.id.as_str());
        name("pinegate.department", caller.department.id.as_str());
    }
    // Whatever a client declares is noted; what is in no list is its own choice.
    if let Some(purpose) = draft.purpose.get()
        && snapshot.catalog.purposes.contains_key(&purpose.code)
    {
        name("pinegate.purpose", purpose.code.as_str());
    }
    let refusal = draft.refusal.get().copied();
    let is_whole = status.is_some() && draft.aborted.get().is_none();
    let decided = decision(draft.permit.get().is_some(), refusal, is_whole);
    all.push(("pinegate.decision", Attribute::Word(decided)));
    if let Some(code) = refusal {
        all.push(("pinegate.reason", Attribute::Word(code.as_str())));
    }
    if let Some(status) = status {
        all.push(("http.response.status_code", Attribute::Number(status.as_u16())));
        if status.is_server_error() {
            let word = refusal.map_or("_OTHER", |code| code.as_str());
            all.push(("error.type", Attribute::Word(word)));
        }
    }
    all
}

#[cfg(test)]
mod tests;
