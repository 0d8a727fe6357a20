//! Stage 7: from whatever the client sent to a request that can be read in one way only.
//!
//! The path is decided here once; routing, policy, record and forwarding all use this one reading.
//! What could be read in two ways is refused, never repaired (RFC 9112, section 11.2; RFC 3986,
//! section 6). Header fields that speak of one connection, and everything by which a client could
//! pretend to be the gate, are dropped.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::failure::{Failure, RequestFailure};
use super::problem::{Code, Words, words};
use super::websocket::{self, Asked, Offer};
use crate::coding::Accepted;
use crate::wire::{self, Fault};

/// The longest path and query, in bytes.
pub(crate) const MAX_TARGET_BYTES: usize = 8 << 10;

/// The most parameters a query may have.
pub(crate) const MAX_QUERY_PARAMETERS: usize = 64;

/// A path that has one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath {
    /// Percent-decoded, for routing and parameters. It is forwarded as it was sent.
    pub decoded: String,
}

/// The parameters of a query, decoded, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Names and values, decoded. They are forwarded as they were sent.
    pub parameters: Vec<(String, String)>,
}

/// What the gate understands of a request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalHead {
    /// Its path.
    pub path: NormalPath,
    /// Its query.
    pub query: Query,
    /// The content codings that the client accepts, which is between it and the gate.
    pub accepted: Accepted,
    /// The session that is asked for in place of a reply, if one is.
    pub(crate) session: Option<Box<Result<Offer, Words>>>,
}

/// Header fields that mean one connection only (RFC 9110, section 7.6.1) and their legacy kin; and what
/// announces trailers, which stay at the gate.
static HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Header fields by which a client could pretend to be the gate or someone else, by exact name.
/// Compared in lower case; names with underscores are refused before, so no alias passes.
const FORGEABLE: [&str; 22] = [
    "client-cert",
    "client-cert-chain",
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-remote-user",
    "remote-user",
    "x-auth-request-user",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-request-id",
    "x-user",
];

/// The same, by prefix.
const FORGEABLE_PREFIXES: [&str; 5] = ["pinegate-", "x-forwarded-", "x-ssl-", "x-client-", "ssl-client-"];

/// Header fields that must not come twice: two readers could choose differently.
static SINGULAR: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::EXPECT,
    HeaderName::from_static("data-purpose"),
    HeaderName::from_static("data-scope"),
];

/// Header fields that would make the platform answer with a part, a condition, or a coding that
/// hides what is masked; the gate asks for whole and plain answers.
static WHOLE_AND_PLAIN: [HeaderName; 12] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::ACCEPT_ENCODING,
    HeaderName::from_static("a-im"),
    HeaderName::from_static("want-digest"),
    HeaderName::from_static("want-content-digest"),
    HeaderName::from_static("want-repr-digest"),
    header::COOKIE,
];

/// Reads the head of a request in place: after it, `parts` holds only what may be forwarded.
pub(crate) fn normalize(parts: &mut Parts) -> Result<NormalHead, Failure> {
    check_version(parts.version)?;
    check_method(&parts.method)?;
    check_host(parts)?;
    let dropped = check_fields(&parts.headers)?;
    let path = path(parts.uri.path())?;
    let query = query(parts.uri.query())?;
    let accepted = accepted(&parts.headers);
    let session = session(parts)?;
    strip(&mut parts.headers, &dropped);
    Ok(NormalHead { path, query, accepted, session })
}

/// [`normalize`] for who holds it against the standards: a refusal is its code.
///
/// # Errors
/// When the head has two readings, or is not one that is served.
pub fn read(parts: &mut Parts) -> Result<NormalHead, Code> {
    normalize(parts).map_err(|failure| failure.code())
}

fn accepted(headers: &HeaderMap) -> Accepted {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    // What is no text is malformed, and then nothing is accepted.
    Accepted::of(values.map(|value| value.to_str().unwrap_or("?;")))
}

/// Before HTTP/1.1 there were no chunks: what streams ended with the connection, and a client could not tell
/// a reply that was cut off from a whole one.
fn check_version(version: Version) -> Result<(), Failure> {
    if version < Version::HTTP_11 { Err(RequestFailure::Version.into()) } else { Ok(()) }
}

fn check_method(method: &Method) -> Result<(), Failure> {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => Ok(()),
        _ => Err(RequestFailure::Method { allowed: Vec::new() }.into()),
    }
}

/// One authority, from one place (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
fn check_host(parts: &Parts) -> Result<(), Failure> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let from_target = parts.uri.authority();
    let from_header = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().ok().and_then(authority).ok_or(RequestFailure::Host)?),
        (Some(_), Some(_)) => return Err(RequestFailure::Host.into()),
    };
    let agree = match (from_target, &from_header) {
        (Some(target), Some(host)) => target.as_str().eq_ignore_ascii_case(host.as_str()),
        (Some(_), None) => parts.version == Version::HTTP_2,
        (None, Some(_)) => true,
        (None, None) => false,
    };
    let is_plain = from_target.is_none_or(|target| authority(target.as_str()).is_some());
    if agree && is_plain { Ok(()) } else { Err(RequestFailure::Host.into()) }
}

/// Host and port and nothing else.
fn authority(text: &str) -> Option<Authority> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if text.is_empty() || text.len() > 255 || !text.bytes().all(is_plain) {
        return None;
    }
    text.parse().ok().filter(|authority: &Authority| !authority.host().is_empty())
}

/// Whether any of `bytes` is such. Goes on to the end without a branch, so that many are looked at together: a token is
/// long, and nearly always none is.
fn any(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |any, &byte| any | is(byte))
}

/// What its name alone makes of a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// It passes.
    Plain,
    /// It passes, and must not come twice.
    Singular,
    /// It stays at the gate.
    Dropped,
}

impl Sort {
    fn of(name: &HeaderName) -> Self {
        if SINGULAR.contains(name) {
            Self::Singular
        } else if HOP_BY_HOP.contains(name) || WHOLE_AND_PLAIN.contains(name) || is_forgeable(name) {
            Self::Dropped
        } else {
            Self::Plain
        }
    }
}

/// Names of the fields that stay at the gate: few of any request.
type Dropped = SmallVec<[HeaderName; 4]>;

/// Looks at each field once.
fn check_fields(headers: &HeaderMap) -> Result<Dropped, Failure> {
    let (mut dropped, mut before) = (Dropped::new(), None);
    // HTTP/2 has no use for it but to agree with its frames; it goes on by HTTP/1.1, where it frames.
    if headers.get(header::CONTENT_LENGTH).is_some_and(|value| wire::length(value.as_bytes()).is_none()) {
        return Err(RequestFailure::Wire(Fault::Length).into());
    }
    for (name, value) in headers {
        // Values of one name come one after another.
        let (is_again, sort) = (before == Some(name), Sort::of(name));
        before = Some(name);
        if sort == Sort::Dropped && !is_again {
            dropped.push(name.clone());
        }
        let why = if sort == Sort::Singular && is_again {
            words("it came twice", "出现了两次")
        } else if name.as_str().contains('_') {
            words(
                "names with underscores are read differently by different servers",
                "不同服务器对带下划线的名称理解不同",
            )
        } else if any(value.as_bytes(), |byte| byte != b'\t' && !(b' '..=b'~').contains(&byte)) {
            words("values must be visible ASCII", "取值必须是可见 ASCII 字符")
        } else {
            continue;
        };
        return Err(RequestFailure::Header { name: name.as_str().to_owned(), why }.into());
    }
    if let Some(expect) = headers.get(header::EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(RequestFailure::Expectation.into());
    }
    Ok(dropped)
}

/// What is asked for in place of a reply. Whether the route allows it, and hears what is wrong with it, is
/// seen once there is one; what no route allows is refused here.
fn session(parts: &Parts) -> Result<Option<Box<Result<Offer, Words>>>, Failure> {
    if !parts.headers.contains_key(header::UPGRADE) {
        return Ok(None);
    }
    match websocket::read(&parts.method, &parts.headers) {
        Asked::Session(offer) if parts.version == Version::HTTP_11 => Ok(Some(Box::new(Ok(offer)))),
        Asked::Unsound(why) if parts.version == Version::HTTP_11 => Ok(Some(Box::new(Err(why)))),
        Asked::Session(_) | Asked::Unsound(_) | Asked::Other => Err(RequestFailure::Upgrade.into()),
    }
}

/// The one reading of a path, or none.
fn path(raw: &str) -> Result<NormalPath, Failure> {
    let refuse = |why| Err(RequestFailure::Path { why }.into());
    if raw.len() > MAX_TARGET_BYTES {
        return refuse(words("it is too long", "过长"));
    }
    let Some(rest) = raw.strip_prefix('/') else {
        return refuse(words("it does not begin with `/`", "未以 `/` 开头"));
    };
    if any(raw.as_bytes(), |byte| {
        !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>')
    }) {
        return refuse(words("it has a character that must be percent-encoded", "含有必须百分号编码的字符"));
    }
    if raw.contains(';') {
        return refuse(words(
            "`;` parameters are read differently by different servers",
            "不同服务器对 `;` 参数的理解不同",
        ));
    }
    check_escapes(raw)?;
    let Ok(decoded) = percent_decode_str(raw).decode_utf8() else {
        return refuse(words("it is not UTF-8", "不是 UTF-8"));
    };
    if decoded.chars().any(char::is_control) {
        return refuse(words("it has a control character", "含有控制字符"));
    }
    let segments = rest.split('/').count();
    for (index, segment) in rest.split('/').enumerate() {
        let is_root = rest.is_empty();
        if segment.is_empty() && !is_root {
            return refuse(if index + 1 == segments {
                words("it ends with `/`", "以 `/` 结尾")
            } else {
                words("it has an empty segment", "含有空的路径段")
            });
        }
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if decoded.trim_end_matches([' ', '.']) != decoded {
            return refuse(words(
                "a segment is, or ends with, dots or blanks",
                "某一路径段是点或空白，或以其结尾",
            ));
        }
    }
    Ok(NormalPath { decoded: decoded.into_owned() })
}

/// Every `%` begins an escape of a byte that needs one: none of `/ \ % ; .`, no letter, no digit,
/// no control (RFC 3986, section 6.2.2.2: an escaped unreserved character is the same as the plain
/// one, so only one of the two spellings may pass).
fn check_escapes(raw: &str) -> Result<(), Failure> {
    let mut parts = raw.split('%');
    let _before_the_first = parts.next();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let is_hex = part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        let why = match byte {
            Some(_) if !is_hex => {
                words("a `%` is not followed by two hexadecimal digits", "`%` 之后不是两位十六进制数字")
            }
            None => words("a `%` is not followed by two hexadecimal digits", "`%` 之后不是两位十六进制数字"),
            Some(b'/' | b'\\' | b'%' | b';' | b'?' | b'#') => {
                words("it has an encoded separator", "含有编码的分隔符")
            }
            Some(byte) if byte.is_ascii_control() => {
                words("it has an encoded control character", "含有编码的控制字符")
            }
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                words("it encodes a character that needs no encoding", "对无需编码的字符做了编码")
            }
            Some(_) => continue,
        };
        return Err(RequestFailure::Path { why }.into());
    }
    Ok(())
}

/// The parameters of a query (application/x-www-form-urlencoded, WHATWG URL), strictly.
fn query(raw: Option<&str>) -> Result<Query, Failure> {
    let Some(raw) = raw else { return Ok(Query::default()) };
    let refuse = |why| Err(RequestFailure::Query { why }.into());
    if raw.len() > MAX_TARGET_BYTES {
        return refuse(words("it is too long", "过长"));
    }
    if any(raw.as_bytes(), |byte| !byte.is_ascii_graphic() || matches!(byte, b';' | b'#' | b'\\')) {
        return refuse(words("it has a character that must be percent-encoded", "含有必须百分号编码的字符"));
    }
    let mut parameters = Vec::new();
    for pair in raw.split('&').filter(|_| !raw.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (form_decode(name), form_decode(value)) else {
            return refuse(words(
                "an escape is malformed, hides a control character, or is not UTF-8",
                "转义不合法、隐藏控制字符或不是 UTF-8",
            ));
        };
        if name.is_empty() {
            return refuse(words("a parameter has no name", "某一参数没有名称"));
        }
        if parameters.len() == MAX_QUERY_PARAMETERS {
            return refuse(words("it has too many parameters", "参数过多"));
        }
        parameters.push((name, value));
    }
    Ok(Query { parameters })
}

fn form_decode(text: &str) -> Option<String> {
    let mut escapes = text.split('%');
    let _before_the_first = escapes.next();
    if !escapes.all(|part| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())) {
        return None;
    }
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    (!decoded.chars().any(char::is_control)).then(|| decoded.into_owned())
}

/// Drops what must not be forwarded: `dropped`, and what the client says is for this connection only.
fn strip(headers: &mut HeaderMap, dropped: &[HeaderName]) {
    // RFC 9110, section 7.6.1: fields named by Connection are for this connection only. The gate's
    // own fields are added after this, so naming them has no effect.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| {
            *name != header::AUTHORIZATION && *name != header::CONTENT_TYPE && *name != header::HOST
        })
        .filter(|name| *name != header::CONTENT_LENGTH && !name.as_str().starts_with("data-"))
        .collect();
    for name in dropped.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Whether a client could use `name` to pretend to be the gate or someone else.
fn is_forgeable(name: &HeaderName) -> bool {
    let name = name.as_str();
    FORGEABLE.contains(&name) || FORGEABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests;
