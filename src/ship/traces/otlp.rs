//! Spans as OTLP/HTTP has them in JSON (OpenTelemetry Protocol 1.x, `opentelemetry.proto.trace.v1`): ids in
//! hexadecimal, integers of 64 bits as texts.

use std::time::Duration;

use serde::Serialize;

use crate::kernel::id::NodeId;
use crate::kernel::time::Timestamp;
use crate::telemetry::{Attribute, Span, SpanKind};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'s> {
    resource_spans: [ResourceSpans<'s>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'s> {
    resource: Resource<'s>,
    scope_spans: [ScopeSpans<'s>; 1],
}

#[derive(Serialize)]
struct Resource<'s> {
    attributes: [KeyValue<'s>; 3],
}

#[derive(Serialize)]
struct ScopeSpans<'s> {
    scope: Scope,
    spans: Vec<OneSpan<'s>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneSpan<'s> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'s str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'s>>,
    status: Status,
}

#[derive(Serialize)]
struct KeyValue<'s> {
    key: &'s str,
    value: Value<'s>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Value<'s> {
    StringValue(&'s str),
    IntValue(String),
}

#[derive(Serialize)]
struct Status {
    /// 0 is unset, 2 an error.
    code: u8,
}

/// The body of an export.
pub(super) fn body(node: &NodeId, spans: &[Span]) -> Result<Vec<u8>, serde_json::Error> {
    let text = |key, value| KeyValue { key, value: Value::StringValue(value) };
    let version = env!("CARGO_PKG_VERSION");
    serde_json::to_vec(&Request {
        resource_spans: [ResourceSpans {
            resource: Resource {
                attributes: [
                    text("service.name", "pinegate"),
                    text("service.version", version),
                    text("service.instance.id", node.as_str()),
                ],
            },
            scope_spans: [ScopeSpans {
                scope: Scope { name: "pinegate", version },
                spans: spans.iter().map(one).collect(),
            }],
        }],
    })
}

fn one(span: &Span) -> OneSpan<'_> {
    let end = span.start.checked_add(span.took).unwrap_or(span.start);
    OneSpan {
        trace_id: format!("{:032x}", span.trace),
        span_id: format!("{:016x}", span.id),
        parent_span_id: span.parent.map(|parent| format!("{parent:016x}")),
        name: &span.name,
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        },
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(end),
        attributes: span
            .attributes
            .iter()
            .map(|(key, value)| KeyValue {
                key,
                value: match value {
                    Attribute::Name(name) => Value::StringValue(name),
                    Attribute::Word(word) => Value::StringValue(word),
                    Attribute::Number(number) => Value::IntValue(number.to_string()),
                },
            })
            .collect(),
        status: Status { code: if span.is_error { 2 } else { 0 } },
    }
}

fn nanoseconds(at: Timestamp) -> String {
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_json_as_collectors_read_it() {
        let span = Span {
            trace: 0x4bf9,
            id: 0xf067,
            parent: Some(1),
            name: "GET /a".to_owned(),
            kind: SpanKind::Server,
            start: "2026-11-26T08:00:00.000001Z".parse().unwrap(),
            took: Duration::from_micros(1_500),
            is_error: true,
            attributes: vec![
                ("http.route", Attribute::Name("/a".to_owned())),
                ("pinegate.decision", Attribute::Word("permit")),
                ("http.response.status_code", Attribute::Number(502)),
            ],
        };
        let body = body(&NodeId::parse("gate-1").unwrap(), &[span]).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let text = |key: &str, value: &str| serde_json::json!({"key": key, "value": {"stringValue": value}});
        assert_eq!(
            body,
            serde_json::json!({"resourceSpans": [{
                "resource": {"attributes": [
                    text("service.name", "pinegate"),
                    text("service.version", version),
                    text("service.instance.id", "gate-1"),
                ]},
                "scopeSpans": [{
                    "scope": {"name": "pinegate", "version": version},
                    "spans": [{
                        "traceId": "00000000000000000000000000004bf9",
                        "spanId": "000000000000f067",
                        "parentSpanId": "0000000000000001",
                        "name": "GET /a",
                        "kind": 2,
                        "startTimeUnixNano": "1795680000000001000",
                        "endTimeUnixNano": "1795680000001501000",
                        "attributes": [
                            text("http.route", "/a"),
                            text("pinegate.decision", "permit"),
                            {"key": "http.response.status_code", "value": {"intValue": "502"}},
                        ],
                        "status": {"code": 2},
                    }],
                }],
            }]})
        );
    }
}
