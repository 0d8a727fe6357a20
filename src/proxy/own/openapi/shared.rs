//! What operations have in common: header fields, refusals, and how a caller shows who it is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema;
use crate::config::PurposeSource;
use crate::proxy::problem::{Code, Language, Words, words};

/// The statuses of refusals that each operation lists. Every other refusal is the `default`.
const STATUSES: [u16; 8] = [400, 401, 403, 404, 429, 502, 503, 504];

/// How a client certificate is called among the schemes.
const CERTIFICATE: &str = "client-certificate";
/// How a purpose token is.
const TOKEN: &str = "purpose-token";
/// How a purpose is that a system declares itself.
const DECLARED: &str = "declared-purpose";

/// Header fields of replies: name, schema, and what they say.
const HEADERS: [(&str, &str, Words); 6] = [
    (
        "X-Request-Id",
        "string",
        words("The record of the access is found by it.", "凭它能找到这次访问的记录。"),
    ),
    ("Pinegate-Grant", "string", words("The grants that the reply rests on.", "依据的授权编号。")),
    (
        "Pinegate-Masked",
        "string",
        words("Which fields the plan masks and drops.", "处理方案：哪些字段脱敏，哪些删去。"),
    ),
    (
        "RateLimit",
        "string",
        words("What is left of the limit that is met first.", "最先碰到的限额还剩多少。"),
    ),
    ("RateLimit-Policy", "string", words("That limit.", "最先碰到的限额。")),
    ("Retry-After", "integer", words("Seconds until it is worth trying again.", "多少秒后再试。")),
];

/// The header field that only some refusals have.
const OF_REFUSALS: &str = "Retry-After";

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// All that operations point to, beside `records`, the schemas of records.
pub(super) fn components(records: Map<String, Value>, language: Language) -> Value {
    let mut schemas = records;
    schemas.extend(schema::scalars().map(|(name, schema)| (name.to_owned(), schema)));
    schemas.insert("problem".to_owned(), problem(language));
    let of = |(name, kind, about): (&str, &str, Words)| {
        let header = json!({ "description": about.to(language), "schema": { "type": kind } });
        (name.to_owned(), header)
    };
    let headers: Map<String, Value> = HEADERS.into_iter().map(of).collect();
    let about_scope = words(
        "Only these fields, apart by `|`; `a.*` and `@group` as in grants. Left out: all that is granted.",
        "只要这些字段，用 `|` 分隔；`a.*`、`@组名` 与授权中的写法相同。不写就是授权的全部。",
    );
    json!({
        "schemas": schemas,
        "headers": headers,
        "responses": problems(),
        "parameters": {
            "data-scope": {
                "name": "Data-Scope",
                "in": "header",
                "description": about_scope.to(language),
                "schema": { "type": "string" },
            },
        },
        "securitySchemes": schemes(language),
    })
}

/// How a caller shows who it is, and why it asks.
fn schemes(language: Language) -> Value {
    let certificate =
        words("A client certificate that names the registered system.", "写明已登记业务系统的客户端证书。");
    let token = words(
        "A purpose token of the exchange platform, bound to the client certificate (RFC 8705).",
        "交换平台签发的用途令牌，与客户端证书绑定（RFC 8705）。",
    );
    let declared = words("The code of the purpose, in place of a token.", "用途代码，代替令牌。");
    json!({
        CERTIFICATE: { "type": "mutualTLS", "description": certificate.to(language) },
        TOKEN: {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": token.to(language),
        },
        DECLARED: {
            "type": "apiKey", "in": "header", "name": "Data-Purpose", "description": declared.to(language),
        },
    })
}

/// What an operation that learns the purpose from `source` asks for: all of one of these.
pub(super) fn security(source: PurposeSource) -> Value {
    let with_token = json!({ CERTIFICATE: [], TOKEN: [] });
    match source {
        PurposeSource::Token => json!([with_token]),
        PurposeSource::Declared => json!([with_token, { CERTIFICATE: [], DECLARED: [] }]),
    }
}

/// The header fields of what is let out.
pub(super) fn reply_headers() -> Map<String, Value> {
    let names = HEADERS.into_iter().map(|(name, ..)| name).filter(|name| *name != OF_REFUSALS);
    names.map(|name| (name.to_owned(), reference("headers", name))).collect()
}

/// The refusals that every operation knows.
pub(super) fn refusals() -> Map<String, Value> {
    let of = |status: u16| (status.to_string(), reference("responses", &format!("problem-{status}")));
    let mut refusals: Map<String, Value> = STATUSES.into_iter().map(of).collect();
    refusals.insert("default".to_owned(), reference("responses", "problem"));
    refusals
}

/// One response for each status, with the codes that come with it.
fn problems() -> Map<String, Value> {
    let mut codes: BTreeMap<Option<u16>, Vec<&str>> = BTreeMap::new();
    for code in Code::ALL {
        let status = Some(code.status().as_u16()).filter(|status| STATUSES.contains(status));
        codes.entry(status).or_default().push(code.as_str());
    }
    let of = |(status, codes): (Option<u16>, Vec<&str>)| {
        let mut headers = Map::new();
        let mut has = |name: &str| headers.insert(name.to_owned(), reference("headers", name));
        has("X-Request-Id");
        if matches!(status, Some(429 | 503)) {
            has(OF_REFUSALS);
        }
        if status == Some(401) {
            let challenge = json!({ "schema": { "type": "string" } });
            headers.insert("WWW-Authenticate".to_owned(), challenge);
        }
        let response = json!({
            "description": codes.join(", "),
            "headers": headers,
            "content": { "application/problem+json": { "schema": reference("schemas", "problem") } },
        });
        let name = status.map_or_else(|| "problem".to_owned(), |status| format!("problem-{status}"));
        (name, response)
    };
    codes.into_iter().map(of).collect()
}

/// A problem document (RFC 9457).
fn problem(language: Language) -> Value {
    let text = |about: Words| json!({ "type": "string", "description": about.to(language) });
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": text(words("For people.", "给人看的说明。")),
            "instance": { "type": "string", "format": "uri" },
            "code": text(words("For programs; it never changes meaning, and others may be added.", "供程序判断；含义不变，以后可能增加新的。")),
            "request_id": text(words("Keep it: the gate's staff find the record by it.", "请留存：网关方凭它找到记录。")),
            "clause": { "type": "string" },
            "failing": { "type": "array", "items": { "type": "string" } },
            "nearest_grant": { "type": "string" },
            "contact": { "type": "string" },
        },
    })
}
