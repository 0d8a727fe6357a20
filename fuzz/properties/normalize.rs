//! Heads of requests, as stage 7 of the gate reads them.
//!
//! Input: a line of method and target, with a third word for HTTP/2, and a line for each header field.

use std::collections::BTreeSet;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use percent_encoding::percent_decode_str;
use pinegate::proxy::{NormalHead, read_head};

/// Fields that never go on, whatever they say.
const STRIPPED: [&str; 16] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "range",
    "if-none-match",
    "accept-encoding",
    "cookie",
    "client-cert",
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-url",
    "x-http-method-override",
];

/// What the names of such fields begin with.
const PREFIXES: [&str; 3] = ["pinegate-", "x-forwarded-", "x-ssl-"];

/// Fields that come once, or not at all.
const SINGULAR: [&str; 6] =
    ["authorization", "content-type", "content-length", "host", "data-purpose", "data-scope"];

pub(crate) fn check(data: &[u8]) {
    let Some(parts) = head(data) else { return };
    let mut read = parts.clone();
    let head = match read_head(&mut read) {
        Ok(head) => head,
        Err(code) => return assert!(code.as_str().starts_with("request-"), "{}", code.as_str()),
    };
    check_path(&parts, &head);
    check_query(&parts, &head);
    check_fields(&parts.headers, &read.headers);
    assert_eq!((&read.method, &read.uri), (&parts.method, &parts.uri), "another request");

    let mut again = read.clone();
    let twice = read_head(&mut again).expect("what was read is read again");
    assert_eq!((twice.path, twice.query), (head.path, head.query), "there is one reading");
    assert_eq!(again.headers, read.headers, "nothing is left to be dropped");
}

/// The head, if HTTP itself allows it.
fn head(data: &[u8]) -> Option<Parts> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(words.next()?).ok()?;
    parts.uri = Uri::try_from(words.next()?).ok()?;
    parts.version = if words.next().is_some() { Version::HTTP_2 } else { Version::HTTP_11 };
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), line[colon + 1..].trim_ascii());
        parts.headers.try_append(name.ok()?, HeaderValue::from_bytes(value).ok()?).ok()?;
    }
    Some(parts)
}

/// The path goes on as it came, and decodes into as many segments, of which none leads elsewhere.
fn check_path(parts: &Parts, head: &NormalHead) {
    let (path, raw) = (&head.path, parts.uri.path());
    assert_eq!(percent_decode_str(raw).decode_utf8().as_deref(), Ok(&*path.decoded));
    assert!(
        path.decoded.starts_with('/')
            && !path.decoded.chars().any(|c| c.is_control() || "\\;%?#".contains(c))
    );
    let segments: Vec<&str> = path.decoded.split('/').skip(1).collect();
    assert_eq!(segments.len(), raw.split('/').count() - 1, "a separator was encoded");
    for segment in &segments {
        assert!(!segment.ends_with(['.', ' ']), "a segment of dots");
        assert!(!segment.is_empty() || raw == "/", "an empty segment");
    }
}

/// The parameters are those of the query, in their order, by the form encoding.
fn check_query(parts: &Parts, head: &NormalHead) {
    let raw = parts.uri.query();
    let pairs: Vec<&str> =
        raw.filter(|raw| !raw.is_empty()).map_or_else(Vec::new, |raw| raw.split('&').collect());
    assert_eq!(head.query.parameters.len(), pairs.len());
    for (pair, (name, value)) in pairs.iter().zip(&head.query.parameters) {
        let plain = pair.replace('+', " ");
        let (raw_name, raw_value) = plain.split_once('=').unwrap_or((&plain, ""));
        assert_eq!(percent_decode_str(raw_name).decode_utf8().as_deref(), Ok(&**name));
        assert_eq!(percent_decode_str(raw_value).decode_utf8().as_deref(), Ok(&**value));
        assert!(!name.is_empty() && !name.chars().chain(value.chars()).any(char::is_control));
    }
}

/// What is left of the fields is as it was, and nothing by which a client could be somebody else.
fn check_fields(before: &HeaderMap, after: &HeaderMap) {
    let named: BTreeSet<String> = before
        .get_all("connection")
        .iter()
        .flat_map(|value| value.to_str().unwrap().split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !SINGULAR.contains(&name.as_str()) && !name.starts_with("data-"))
        .collect();
    for name in after.keys() {
        let text = name.as_str();
        assert!(after.get_all(name).iter().eq(before.get_all(name)), "`{name}` was changed");
        assert!(
            !STRIPPED.contains(&text) && !PREFIXES.iter().any(|prefix| text.starts_with(prefix)),
            "`{name}` is left"
        );
        assert!(!named.contains(text), "`{name}` is of this connection");
        assert!(!text.contains('_'), "`{name}` has two readings");
        assert!(!SINGULAR.contains(&text) || after.get_all(name).iter().count() == 1, "`{name}` came twice");
        let is_plain = |value: &HeaderValue| value.to_str().is_ok();
        assert!(after.get_all(name).iter().all(is_plain));
    }
}
