use http::{HeaderName, HeaderValue, Method, Request, Version, header};
use proptest::prelude::*;

use super::super::problem::Code;
use super::*;

fn head(target: &str) -> Parts {
    let (parts, ()) =
        Request::builder().uri(target).header("host", "gate.example:8443").body(()).unwrap().into_parts();
    parts
}

fn code_of(mut parts: Parts) -> Result<NormalHead, Code> {
    normalize(&mut parts).map_err(|failure| failure.code())
}

#[test]
fn paths_with_one_reading_pass() {
    for (raw, decoded) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a%20b", "/a b"),
        ("/%E4%BA%BA%E5%8F%A3", "/人口"),
        ("/v1.2/x", "/v1.2/x"),
        ("/a:b@c", "/a:b@c"),
    ] {
        assert_eq!(code_of(head(raw)).unwrap().path.decoded, decoded);
    }
}

#[test]
fn paths_with_two_readings_are_refused() {
    for raw in [
        "//",
        "/a//b",
        "/a/",
        "/./a",
        "/a/..",
        "/a/../b",
        "/a/.",
        "/%2e%2e/a",
        "/%2E/a",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%00b",
        "/a%0ab",
        "/a%252fb",
        "/a;x=y",
        "/a%3bx",
        "/%c0%ae",
        "/%ff",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a%+1",
        "/%61",
        "/a%7Eb",
        "/a%7f",
        "/a%20",
        "/a...",
        "/a%3F",
        "/a%23",
    ] {
        assert_eq!(code_of(head(raw)), Err(Code::RequestPath), "{raw}");
    }
}

#[test]
fn queries_are_read_once() {
    let query = code_of(head("/a?area=3410*&year=2024&year=2025&q=%E4%BA%BA+x&flag")).unwrap().query;
    let expected = [("area", "3410*"), ("year", "2024"), ("year", "2025"), ("q", "人 x"), ("flag", "")];
    assert!(query.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected));
    for bad in ["/a?x=%", "/a?x=%f", "/a?x=%ff", "/a?x=%00", "/a?x=1;y=2", "/a?=1", "/a?x=1&&y=2"] {
        assert_eq!(code_of(head(bad)), Err(Code::RequestQuery), "{bad}");
    }
    let many = format!("/a?{}", vec!["x=1"; MAX_QUERY_PARAMETERS + 1].join("&"));
    assert_eq!(code_of(head(&many)), Err(Code::RequestQuery));
}

#[test]
fn there_is_exactly_one_host() {
    let with = |hosts: &[&'static str], target: &str, version: Version| {
        let mut parts = head(target);
        parts.version = version;
        parts.headers.remove(header::HOST);
        for host in hosts {
            parts.headers.append(header::HOST, HeaderValue::from_static(host));
        }
        code_of(parts).map(|_| ())
    };
    assert_eq!(with(&["gate"], "/a", Version::HTTP_11), Ok(()));
    assert_eq!(with(&["[::1]:8443"], "/a", Version::HTTP_11), Ok(()));
    assert_eq!(with(&[], "https://gate/a", Version::HTTP_2), Ok(()));
    assert_eq!(with(&["gate"], "https://gate/a", Version::HTTP_2), Ok(()));
    for hosts in [&[][..], &["a", "a"], &["a", "b"], &[""], &["a/b"], &["u@a"], &["a,b"], &["a b"]] {
        assert_eq!(with(hosts, "/a", Version::HTTP_11), Err(Code::RequestHost), "{hosts:?}");
    }
    assert_eq!(with(&["other"], "https://gate/a", Version::HTTP_2), Err(Code::RequestHost));
    assert_eq!(with(&["other"], "http://gate/a", Version::HTTP_11), Err(Code::RequestHost));
    assert_eq!(with(&[], "https://u@gate/a", Version::HTTP_2), Err(Code::RequestHost));
}

#[test]
fn versions_that_mark_an_end() {
    for (version, is_right) in [
        (Version::HTTP_09, false),
        (Version::HTTP_10, false),
        (Version::HTTP_11, true),
        (Version::HTTP_2, true),
    ] {
        let mut parts = head("/a");
        parts.version = version;
        let refused = (!is_right).then_some(Code::RequestVersion);
        assert_eq!(code_of(parts).err(), refused, "{version:?}");
    }
}

#[test]
fn methods_and_expectations() {
    for method in ["CONNECT", "TRACE", "OPTIONS", "FOO"] {
        let mut parts = head("/a");
        parts.method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(code_of(parts), Err(Code::RequestMethod), "{method}");
    }
    let mut parts = head("/a");
    parts.headers.insert(header::EXPECT, HeaderValue::from_static("101-dance"));
    assert_eq!(code_of(parts), Err(Code::RequestExpectation));
    let mut parts = head("/a");
    parts.headers.insert(header::EXPECT, HeaderValue::from_static("100-Continue"));
    assert!(code_of(parts).is_ok());
}

#[test]
fn header_fields_that_two_servers_read_differently_are_refused() {
    for (name, value) in
        [("transfer_encoding", "chunked"), ("x_forwarded_for", "1.2.3.4"), ("x-note", "\u{e9}")]
    {
        let mut parts = head("/a");
        parts.headers.insert(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        assert_eq!(code_of(parts), Err(Code::RequestHeader), "{name}");
    }
    let mut parts = head("/a");
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("h2c"));
    assert_eq!(code_of(parts), Err(Code::RequestUpgrade));
    for name in ["authorization", "content-type", "data-purpose", "data-scope", "expect"] {
        let mut parts = head("/a");
        let name = HeaderName::from_static(name);
        parts.headers.append(&name, HeaderValue::from_static("100-continue"));
        parts.headers.append(&name, HeaderValue::from_static("100-continue"));
        assert_eq!(code_of(parts), Err(Code::RequestHeader), "{name}");
    }
}

#[test]
fn what_a_client_says_about_itself_is_dropped() {
    let mut parts = head("/a");
    for name in [
        "pinegate-system",
        "pinegate-anything",
        "x-forwarded-for",
        "x-forwarded-client-cert",
        "forwarded",
        "via",
        "x-ssl-client-dn",
        "client-cert",
        "x-request-id",
        "x-real-ip",
        "x-http-method-override",
        "range",
        "if-none-match",
        "accept-encoding",
        "te",
        "trailer",
        "keep-alive",
        "proxy-authorization",
        "cookie",
        "x-named",
    ] {
        parts.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("forged"));
    }
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("x-named, authorization, data-purpose"));
    parts.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    parts.headers.insert("data-purpose", HeaderValue::from_static("a.b"));
    parts.headers.insert("traceparent", HeaderValue::from_static("00-x"));
    normalize(&mut parts).unwrap();
    let mut left: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["authorization", "data-purpose", "host", "traceparent"]);
}

proptest! {
    /// Whatever passes has one reading: decoding again changes nothing that matters, and no segment
    /// is empty or climbs.
    #[test]
    fn a_path_that_passes_is_stable(raw in "/[ -~]{0,40}") {
        let Ok(NormalPath { decoded }) = path(&raw) else { return Ok(()) };
        prop_assert!(!decoded.contains("//") && !decoded.contains('\\') && !decoded.contains(';'));
        prop_assert!(decoded == "/" || decoded.split('/').skip(1).all(|s| !s.is_empty() && s != "." && s != ".."));
        let again = percent_encoding::utf8_percent_encode(&decoded, percent_encoding::NON_ALPHANUMERIC).to_string();
        prop_assert_eq!(percent_decode_str(&again).decode_utf8().unwrap(), decoded);
    }
}
