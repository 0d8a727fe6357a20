//! What tests and drills need of a platform, under `/_test/`: replies of any size, slow ones, broken
//! ones, and a look at what arrived.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue, RETRY_AFTER, TRAILER};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::body::{Step, script, sized, whole};
use super::envelope::{list_head, list_tail, refusal};
use super::gzip;
use super::received::Ticket;
use super::routes::{Asked, Dropped, Exchange, Reply, json, json_body, method_not_allowed, typed};
use crate::demo::people::PLANTED_ID;

/// The longest that `/_test/slow` waits.
const MAX_SLOW: Duration = Duration::from_secs(600);
/// Bytes that `/_test/bytes` sends unless `n` says otherwise.
const DEFAULT_BYTES: u64 = 1 << 20;
/// What `/_test/short` leaves out of the length that it promises, in bytes.
const SHORTFALL: u64 = 100;
/// The trailer of `/_test/trailers`.
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");

/// Answers `/_test/<name>`.
pub(super) async fn answer(
    exchange: &Exchange,
    name: &str,
    rest: &[&str],
    asked: &Asked,
    request: Request<Incoming>,
    ticket: &Ticket,
) -> Result<Reply, Dropped> {
    match (name, rest) {
        ("echo", _) => return echo(asked, request, ticket).await,
        ("upload", _) => return upload(request, ticket).await,
        ("drop", []) => return Err(Dropped),
        ("slow", []) => return slow(exchange, asked).await,
        _ => {}
    }
    let partial = || Step::Send(exchange.one_kib.slice(..exchange.one_kib.len() / 2));
    Ok(match (name, rest) {
        ("1k", []) => json(StatusCode::OK, exchange.one_kib.clone()),
        ("bytes", []) => bytes(exchange, asked),
        ("stall", []) => {
            let steps = [partial(), Step::Flush, Step::Silence(exchange.stop.clone())];
            json_body(StatusCode::OK, script(steps.into_iter()))
        }
        ("die", []) => json_body(StatusCode::OK, script([partial(), Step::Flush, Step::Break].into_iter())),
        ("short", []) => short(&exchange.one_kib),
        ("status", [code]) => status(code),
        ("html", []) => typed(
            StatusCode::OK,
            "text/html; charset=utf-8",
            whole(format!("<!doctype html><title>系统维护</title><p>请联系 {PLANTED_ID}</p>")),
        ),
        ("gzip", []) => {
            let mut reply = json(StatusCode::OK, gzip::stored(&exchange.one_kib));
            reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            reply
        }
        ("badjson", []) => bad_json(asked),
        ("trailers", []) => trailers(exchange),
        _ => json(StatusCode::NOT_FOUND, refusal(404, "无此测试接口")),
    })
}

/// `/_test/bytes?n=`: a list of residents in the usual envelope, of `n` bytes or a record more.
fn bytes(exchange: &Exchange, asked: &Asked) -> Reply {
    let wanted = match asked.query.number::<u64>("n") {
        Ok(wanted) => wanted.unwrap_or(DEFAULT_BYTES),
        Err(error) => return json(StatusCode::BAD_REQUEST, refusal(400, &error.to_string())),
    };
    let rendered = Arc::clone(&exchange.rendered);
    let head = Bytes::from_static(list_head(false).as_bytes());
    let length = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut sent = length(&head) + u64::try_from(list_tail(0, 1, false).len()).unwrap_or(u64::MAX);
    let (mut count, mut is_done) = (0, rendered.is_empty());
    let records = std::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let Some(record) = (sent < wanted).then(|| rendered.get(count % rendered.len())).flatten() else {
            is_done = true;
            return Some(Step::Send(list_tail(count, 1, false).into()));
        };
        sent = sent.saturating_add(length(record));
        count += 1;
        // Every rendered record starts with the comma that the first one does without.
        Some(Step::Send(if count == 1 { record.slice(1..) } else { record.clone() }))
    });
    json_body(StatusCode::OK, sized(std::iter::once(Step::Send(head)).chain(records)))
}

/// `/_test/echo`: what arrived.
async fn echo(asked: &Asked, request: Request<Incoming>, ticket: &Ticket) -> Result<Reply, Dropped> {
    let (head, body) = request.into_parts();
    let upload = read(body, ticket).await?;
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &head.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(text);
    }
    let reply = serde_json::json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "target": asked.path_and_query,
        "authority": head.uri.authority().map(http::uri::Authority::as_str),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "body_len": upload.len,
    });
    Ok(json(StatusCode::OK, reply.to_string()))
}

/// `/_test/upload`: how many bytes arrived, their SHA-256, the trailers after them.
async fn upload(request: Request<Incoming>, ticket: &Ticket) -> Result<Reply, Dropped> {
    if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        return Ok(method_not_allowed("POST, PUT, PATCH"));
    }
    let upload = read(request.into_body(), ticket).await?;
    let trailers: BTreeMap<&str, String> = upload
        .trailers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let reply = serde_json::json!({
        "code": 0,
        "message": "成功",
        "data": { "bytes": upload.len, "sha256": upload.sha256, "trailers": trailers },
    });
    Ok(json(StatusCode::OK, reply.to_string()))
}

/// A request body that was read to its end and not kept.
struct Upload {
    len: u64,
    sha256: String,
    trailers: HeaderMap,
}

async fn read(mut body: Incoming, ticket: &Ticket) -> Result<Upload, Dropped> {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut upload = Upload { len: 0, sha256: String::new(), trailers: HeaderMap::new() };
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Dropped)?.into_data() {
            Ok(bytes) => {
                upload.len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                digest.update(&bytes);
            }
            Err(frame) => upload.trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    upload.sha256 = data_encoding::HEXLOWER.encode(digest.finish().as_ref());
    ticket.body_ended(upload.len);
    Ok(upload)
}

/// `/_test/slow?ms=`: the head comes late.
async fn slow(exchange: &Exchange, asked: &Asked) -> Result<Reply, Dropped> {
    let wait = match asked.query.number("ms") {
        Ok(ms) => Duration::from_millis(ms.unwrap_or(1_000)).min(MAX_SLOW),
        Err(error) => return Ok(json(StatusCode::BAD_REQUEST, refusal(400, &error.to_string()))),
    };
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(json(StatusCode::OK, exchange.one_kib.clone())),
        () = exchange.stop.cancelled() => Err(Dropped),
    }
}

/// `/_test/short`: the head promises more than the body holds.
fn short(bytes: &Bytes) -> Reply {
    let promised = u64::try_from(bytes.len()).unwrap_or(0) + SHORTFALL;
    let steps = [Step::Send(bytes.clone()), Step::Flush];
    let mut reply = json_body(StatusCode::OK, script(steps.into_iter()));
    reply.headers_mut().insert(CONTENT_LENGTH, promised.into());
    reply
}

/// `/_test/status/<code>`: an error whose text holds a number that must not leave.
fn status(code: &str) -> Reply {
    let Some(status) = code.parse().ok().filter(|code| (200..=999).contains(code)) else {
        return json(StatusCode::BAD_REQUEST, refusal(400, "状态码应在 200 至 999 之间"));
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        let mut reply = Reply::new(whole(Bytes::new()));
        *reply.status_mut() = status;
        return reply;
    }
    let text = format!("查询 {PLANTED_ID} 时出错");
    let body =
        serde_json::json!({ "code": status.as_u16(), "message": text, "data": { "id_card": PLANTED_ID } });
    let mut reply = json(status, body.to_string());
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
    }
    reply
}

/// `/_test/badjson?kind=`: bodies that call themselves JSON and are not, or not safely.
fn bad_json(asked: &Asked) -> Reply {
    let record = format!("{{\"name\":\"王云\",\"id_card\":\"{PLANTED_ID}\"}}");
    let head = list_head(false);
    let body: Vec<u8> = match asked.query.text("kind").ok().flatten().unwrap_or("cut") {
        "cut" => format!("{head}{record},{{\"name\":\"李").into(),
        "tail" => format!("{head}{record}]}} {record}").into(),
        "bare" => format!("{head}{{name:'王云',id_card:{PLANTED_ID}}}]}}").into(),
        "twice" => format!("{head}{{\"id_card\":1,\"id_card\":\"{PLANTED_ID}\"}}]}}").into(),
        "utf8" => {
            [head.as_bytes(), b"{\"name\":\"\xc3\x28\",\"id_card\":\"", PLANTED_ID.as_bytes(), b"\"}]}"]
                .concat()
        }
        "utf16" => format!("{head}{record}]}}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "bom" => format!("\u{feff}{head}{record}]}}").into(),
        "deep" => format!("{head}{}{record}{}]}}", "[".repeat(10_000), "]".repeat(10_000)).into(),
        "empty" => Vec::new(),
        "text" => format!("\"{PLANTED_ID}\"").into(),
        _ => {
            let kinds = "kind: cut, tail, bare, twice, utf8, utf16, bom, deep, empty, text";
            return json(StatusCode::BAD_REQUEST, refusal(400, kinds));
        }
    };
    json(StatusCode::OK, body)
}

/// `/_test/trailers`: a body in chunks and its digest after it.
fn trailers(exchange: &Exchange) -> Reply {
    let digest = crate::kernel::id::Digest::of(&exchange.one_kib).to_hex();
    let mut fields = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&digest) {
        fields.insert(CHECKSUM, value);
    }
    let steps = [Step::Send(exchange.one_kib.clone()), Step::Trailers(fields)];
    let mut reply = json_body(StatusCode::OK, script(steps.into_iter()));
    reply.headers_mut().insert(TRAILER, HeaderValue::from_static("x-checksum"));
    reply
}
