//! Header fields: what would tell the unmasked content is not asked for, and does not leave.

use http::Method;

use super::scripted::{head, last_chunk};
use super::*;
use crate::city::{SURVEY, SURVEYOR};

/// Fields that tell of content, cookies, links, or of what stands behind the gate.
const TELLING: [(&str, &str); 26] = [
    ("accept-ranges", "bytes"),
    ("age", "7"),
    ("alt-svc", "h3=\":443\""),
    ("cache-control", "public, max-age=600"),
    ("content-digest", "sha-256=:13800138000:"),
    ("content-location", "/residents/13800138000"),
    ("content-md5", "13800138000"),
    ("digest", "sha-256=13800138000"),
    ("etag", "\"13800138000\""),
    ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("link", "</residents/13800138000>; rel=next"),
    ("location", "/residents/13800138000"),
    ("pinegate-grant", "FORGED-1"),
    ("repr-digest", "sha-256=:13800138000:"),
    ("server", "platform/1"),
    ("server-timing", "db;desc=13800138000"),
    ("set-cookie", "session=13800138000"),
    ("signature", "sig=:13800138000:"),
    ("signature-input", "sig=()"),
    ("sourcemap", "/13800138000.map"),
    ("via", "1.1 platform"),
    ("warning", "199 - 13800138000"),
    ("x-debug-sql", "select * from t where phone = 13800138000"),
    ("x-request-id", "13800138000"),
    ("x-total-count", "13800138000"),
];

/// Fields of a reply that are the gate's own.
const OWN: [&str; 12] = [
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "pinegate-grant",
    "pinegate-masked",
    "transfer-encoding",
    "x-content-type-options",
    "x-request-id",
];

fn telling(more: &[(&str, &str)], body: &str) -> Vec<Step> {
    answer(&[&TELLING[..], &[JSON, ("content-language", "zh-CN")], more].concat(), body)
}

fn assert_own(reply: &Reply, more: &[&str]) {
    let known = |name: &str| OWN.contains(&name) || more.contains(&name) || name.starts_with("ratelimit");
    let others: Vec<_> = reply.headers.keys().filter(|name| !known(name.as_str())).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_no_secret(reply);
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(!reply.header("pinegate-grant").unwrap().contains("FORGED"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tells_of_the_content_does_not_leave() {
    let large = list(1_000);
    let mut trailing = chunks(&[JSON, ("trailer", "digest, etag")], list(1));
    trailing.push(Step::send("0\r\ndigest: sha-256=13800138000\r\netag: \"13800138000\"\r\n\r\n"));
    let scripted = Scripted::start([
        ("small", telling(&[], &list(1))),
        ("large", telling(&[], &large)),
        ("language", answer(&[JSON, ("content-language", "13800138000")], list(1))),
        ("file", telling(&[("content-disposition", "attachment; filename=\"a.json\"")], "{}")),
        ("trailing", trailing),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        for (name, count) in [("small", 1), ("large", 1_000)] {
            let reply = city.call(Call::survey(&format!("/_x/{name}")).over(http)).await;
            reply.assert_data();
            assert_own(&reply, &[]);
            assert_eq!(reply.text(), released(count));
            assert_eq!(reply.header("content-language"), Some("zh-CN"));
            // The length that is told, if one is, is that of what leaves.
            let told = reply.header("content-length").map(|length| length.parse().unwrap());
            assert!(told.is_none_or(|length: usize| length == reply.body.len()));
        }
        let reply = city.call(Call::survey("/_x/language").over(http)).await;
        reply.assert_data();
        assert_eq!(reply.header("content-language"), None);
        let reply = city.call(Call::survey("/_file/file").over(http)).await;
        reply.assert_data();
        assert_own(&reply, &["content-disposition"]);
        for route in ["_x", "_file"] {
            let call = Call::survey(&format!("/{route}/trailing")).header("te", "trailers");
            let reply = city.call(call.over(http)).await;
            reply.assert_data();
            assert!(reply.trailers.is_empty() && reply.header("trailer").is_none(), "{reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_tells_nothing() {
    let length = [("content-length", "138"), ("content-encoding", "gzip")];
    let fields = [&TELLING[..], &[JSON, ("content-disposition", "attachment")], &length].concat();
    let scripted = Scripted::start([("head", vec![Step::send(head("200 OK", &fields))])]).await;
    let city = city(&scripted).await;
    for http in BOTH {
        for route in ["_x", "_always", "_file", "_pdf"] {
            let target = format!("/{route}/head");
            let call = Call::new(Method::HEAD, SURVEYOR, SURVEY, &target).over(http);
            let reply = city.call(call.header("accept-encoding", "gzip")).await;
            assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0), "{reply:?}");
            assert_own(&reply, &[]);
            for name in ["content-length", "content-type", "content-encoding", "content-disposition", "vary"]
            {
                let told = reply.header(name).filter(|value| *value != "0");
                assert_eq!(told, None, "{route}: {name}");
            }
            assert!(scripted.last_head().starts_with("HEAD "));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_nothing_where_something_may_have_changed() {
    let (none, length) = (("content-length", "0"), list(1).len().to_string());
    let with = |status: &str, fields: &[(&str, &str)], body: &str| {
        vec![Step::send(head(status, fields) + body), Step::Close]
    };
    let scripted = Scripted::start([
        ("200", with("200 OK", &[&TELLING[..], &[none]].concat(), "")),
        ("201", with("201 Created", &[none], "")),
        ("202", with("202 Accepted", &[JSON, none], "")),
        ("204", with("204 No Content", &[], "")),
        ("205", with("205 Reset Content", &[none], "")),
        ("205-body", with("205 Reset Content", &[JSON, ("content-length", &length)], &list(1))),
        ("untyped", with("201 Created", &[("content-length", &length)], &list(1))),
    ])
    .await;
    let city = city(&scripted).await;
    for http in BOTH {
        let call = |method: Method, target: &str| Call::new(method, SURVEYOR, SURVEY, target).over(http);
        for (name, status) in
            [("200", 200), ("201", 201), ("202", 202), ("204", 204), ("205", 205), ("205-body", 205)]
        {
            for route in ["_post", "_post-file"] {
                let reply = city.call(call(Method::POST, &format!("/{route}/{name}"))).await;
                reply.assert_data();
                assert_eq!((reply.status.as_u16(), reply.body.len()), (status, 0), "{reply:?}");
                assert_own(&reply, &[]);
                assert_eq!(reply.header("content-type"), None, "{name}");
                let outcome = city.outcome_of(&reply).await;
                assert_eq!((outcome.status, outcome.aborted), (Some(status), None), "{name}");
            }
        }
        refused(&city, call(Method::POST, "/_post/untyped"), (502, "mask-media-type")).await;
        // What only reads is told by the platform what there is, were it an empty list.
        let read = |name: &str| Call::survey(&format!("/_x/{name}")).over(http);
        refused(&city, read("201"), (502, "mask-media-type")).await;
        refused(&city, read("202"), (502, "mask-body")).await;
        let reply = city.call(read("205-body")).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (205, 0), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_asks_for_less_than_the_whole_is_not_forwarded() {
    let mut steps = chunks(&[JSON], list(1));
    steps.push(last_chunk());
    let scripted = Scripted::start([("one", steps)]).await;
    let city = city(&scripted).await;
    let conditions = [
        ("range", "bytes=0-9"),
        ("if-range", "\"x\""),
        ("if-none-match", "*"),
        ("if-match", "\"x\""),
        ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("if-unmodified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("a-im", "feed"),
        ("want-digest", "sha-256"),
        ("want-content-digest", "sha-256=10"),
        ("want-repr-digest", "sha-256=10"),
        ("accept-signature", "sig=()"),
        ("cache-control", "only-if-cached"),
        ("pragma", "no-cache"),
        ("te", "trailers"),
        ("prefer", "return=minimal"),
    ];
    for http in BOTH {
        let mut call = Call::survey("/_x/one").over(http);
        for (name, value) in conditions {
            call = call.header(name, value);
        }
        let reply = city.call(call).await;
        reply.assert_data();
        assert_eq!(reply.text(), released(1), "the whole, whatever was asked for");
        let head = scripted.last_head().to_ascii_lowercase();
        for (name, _) in conditions {
            assert!(!head.contains(&format!("\r\n{name}:")), "{name} reached the platform: {head}");
        }
    }
    assert_eq!(scripted.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_the_platforms_errors_stay_with_it() {
    let body = list(1);
    let length = body.len().to_string();
    let scripts = ["400", "401", "403", "404", "409", "410", "429", "500", "503"].map(|status| {
        let fields = [&TELLING[..], &[JSON, ("content-length", length.as_str())]].concat();
        (status, vec![Step::send(head(&format!("{status} Error"), &fields) + body.as_str())])
    });
    let scripted = Scripted::start(scripts).await;
    let city = city(&scripted).await;
    for http in BOTH {
        for (status, expected) in [
            ("400", (422, "upstream-rejected")),
            ("401", (422, "upstream-rejected")),
            ("403", (422, "upstream-rejected")),
            ("404", (404, "upstream-not-found")),
            ("409", (422, "upstream-rejected")),
            ("410", (404, "upstream-not-found")),
            ("429", (422, "upstream-rejected")),
            ("500", (502, "upstream-failed")),
            ("503", (502, "upstream-failed")),
        ] {
            for route in ["_x", "_file"] {
                refused(&city, Call::survey(&format!("/{route}/{status}")).over(http), expected).await;
            }
        }
    }
}
