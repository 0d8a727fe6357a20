//! Requests that could be read in more than one way, sent as bytes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Came, refuse};
use crate::city::{Body, Call, City, Http, Plan, in_parts, soon, whole};

/// Sends `head` and whatever follows it, and reads until the connection ends or a reply is whole.
async fn raw(city: &City, bytes: &str) -> String {
    let mut stream = city.client("minzheng-aid").open(b"http/1.1").await.unwrap();
    // The gate may refuse, and hang up, before it has taken all of it.
    let _taken = stream.write_all(bytes.as_bytes()).await;
    let mut reply = Vec::new();
    soon("a reply to bytes", async {
        let mut part = [0; 4096];
        loop {
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(read) => reply.extend_from_slice(&part[..read]),
            }
            let text = String::from_utf8_lossy(&reply);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.is_some_and(|length| body.len() >= length.parse().unwrap()) {
                    break;
                }
            }
        }
    })
    .await;
    String::from_utf8(reply).unwrap()
}

fn bearer(city: &City) -> String {
    format!("Authorization: Bearer {}\r\n", city.files().token("minzheng-aid", "social-aid.eligibility"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_with_more_than_one_reading() {
    let city = Plan::new().start().await;
    let token = bearer(&city);
    let good = "/population/residents?area=3410";
    let host = "Host: localhost\r\n";
    for (target, fields, code) in [
        ("/population//residents", host, "request-path"),
        ("/population/./residents", host, "request-path"),
        ("/population/../population/residents", host, "request-path"),
        ("/population/%2e%2e/population/residents", host, "request-path"),
        ("/population%2fresidents", host, "request-path"),
        ("/population/%5cresidents", host, "request-path"),
        ("/population/residents%00", host, "request-path"),
        ("/population/%252e", host, "request-path"),
        ("/population/residents;a=b", host, "request-path"),
        ("/population/residents/", host, "request-path"),
        ("/population/residents.", host, "request-path"),
        ("/population/%72esidents", host, "request-path"),
        ("/population/%c0%ae", host, "request-path"),
        ("/population/residents?area=3410;x=1", host, "request-query"),
        ("/population/residents?area=%zz", host, "request-query"),
        ("/population/residents?=3410", host, "request-query"),
        ("/population/residents?area=%00", host, "request-query"),
        (good, "", "request-host"),
        (good, "Host: localhost\r\nHost: localhost\r\n", "request-host"),
        (good, "Host: \r\n", "request-host"),
        (good, "Host: localhost/x\r\n", "request-host"),
        (good, "Host: user@localhost\r\n", "request-host"),
        (good, "Host: a, b\r\n", "request-host"),
        ("http://other/population/residents?area=3410", host, "request-host"),
        (good, "Host: localhost\r\nX_Real_Ip: 1.2.3.4\r\n", "request-header"),
        (good, "Host: localhost\r\nPinegate_System: sys:x\r\n", "request-header"),
        (good, "Host: localhost\r\nX-Note: caf\u{e9}\r\n", "request-header"),
        (good, "Host: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n", "request-upgrade"),
        (good, "Host: localhost\r\nData-Purpose: a.b\r\nData-Purpose: a.b\r\n", "request-header"),
        (good, "Host: localhost\r\nExpect: the-unexpected\r\n", "request-expectation"),
    ] {
        let reply =
            raw(&city, &format!("GET {target} HTTP/1.1\r\n{fields}{token}Accept-Language: en\r\n\r\n")).await;
        let status = if code == "request-expectation" { "HTTP/1.1 417" } else { "HTTP/1.1 400" };
        assert!(reply.starts_with(status), "{target} {fields:?}: {reply}");
        assert!(reply.contains(&format!("\"code\":\"{code}\"")), "{target} {fields:?}: {reply}");
        let id = reply.split("\"request_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let records = city.records_of(id).await;
        assert_eq!(records[0].reason.as_deref(), Some(code), "{target}");
    }
    assert_eq!(city.received().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_in_which_a_cut_reply_looks_whole() {
    let city = Plan::new().start().await;
    let token = bearer(&city);
    for target in ["/population/residents?area=3410", "/.well-known/pinegate/grants"] {
        for connection in ["close", "keep-alive"] {
            let fields = format!("Host: localhost\r\n{token}Connection: {connection}\r\n");
            let reply = raw(&city, &format!("GET {target} HTTP/1.0\r\n{fields}\r\n")).await;
            assert!(reply.starts_with("HTTP/1.0 505 "), "{reply}");
            assert!(reply.contains("\"code\":\"request-version\"") && reply.contains("content-length: "));
        }
    }
    assert_eq!(city.received().total(), 0);
    let code = "pinegate_refusals_total{code=\"request-version\"}";
    assert!((city.gate.metric(code).await - 4.0).abs() < 0.1);
    let refused = city.records().into_iter().filter(|one| one.reason.as_deref() == Some("request-version"));
    assert_eq!(refused.filter(|record| record.status == Some(505)).count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_http() {
    let city = Plan::new().start().await;
    let (token, host) = (bearer(&city), "Host: localhost\r\n");
    let upload = format!("POST /_test/upload HTTP/1.1\r\n{host}{token}");
    for bytes in [
        format!("{upload}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        format!("{upload}Content-Length: +5\r\n\r\nhello"),
        format!("{upload}Content-Length: -1\r\n\r\nhello"),
        format!("{upload}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("{upload}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!("GET /population/residents?area=3410 HTTP/1.1\r\n{host}{token}Bad Name: x\r\n\r\n"),
        format!("GET /population/residents?area=3410 HTTP/1.1\r\n{host}{token} Folded: x\r\n\r\n"),
        format!("GET /population/residents?area=3410 HTTP/9.9\r\n{host}{token}\r\n"),
        format!("GET /{} HTTP/1.1\r\n{host}{token}\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X-A: b\r\n".repeat(1_000)),
        "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(),
    ] {
        let reply = raw(&city, &bytes).await;
        let shown: String = bytes.chars().take(60).collect();
        assert!(reply.starts_with("HTTP/1.1 4") || reply.starts_with("HTTP/1.1 505"), "{shown:?}: {reply}");
        assert!(reply.contains("\"code\":\"request-"), "{shown:?}: {reply}");
    }
    assert_eq!(city.received().total(), 0);
    city.call(Call::aid("/population/residents?area=3410&size=1")).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_that_a_path_does_not_answer() {
    let city = Plan::new().start().await;
    let with = |method: &str, target: &str| {
        Call::new(method.parse().unwrap(), "minzheng-aid", "social-aid.eligibility", target)
    };
    let call = with("DELETE", "/population/residents?area=3410");
    let (reply, _) = refuse(&city, call, (405, "request-method"), Came::ToTheGate).await;
    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    for method in ["OPTIONS", "TRACE", "PROPFIND"] {
        let call = with(method, "/population/residents?area=3410");
        refuse(&city, call, (405, "request-method"), Came::ToTheGate).await;
    }
    // What the path is for is judged before its method tells anything.
    let call = with("DELETE", "/population/adoptions");
    let reply = city.call(call).await;
    assert!(reply.status == 404 || reply.status == 405, "{reply:?}");
}

fn upload(target: &str, body: Body) -> Call {
    Call::post("ziran-map", "planning.survey", target, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_too_large() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        // Declared: nothing of it is forwarded.
        let call = upload("/_test/upload/small", whole(vec![b'a'; 1_025])).over(http);
        refuse(&city, call, (413, "request-too-large"), Came::ToTheGate).await;
        // Of unknown length: it is cut off where it exceeds the bound.
        let (sender, body) = in_parts();
        let feed = tokio::spawn(async move {
            for _ in 0..64 {
                let part = http_body::Frame::data(bytes::Bytes::from(vec![b'a'; 1_000]));
                if sender.send(Ok(part)).await.is_err() {
                    break;
                }
            }
        });
        let reply = city.call(upload("/_test/upload/small", body).over(http)).await;
        super::check(&reply, 413, "request-too-large");
        let record = city.outcome_of(&reply).await;
        assert_eq!(record.reason.as_deref(), Some("request-too-large"));
        feed.await.unwrap();
    }
    let within = city.call(upload("/_test/upload/small", whole(vec![b'a'; 1_024]))).await;
    within.assert_data();
    assert_eq!(within.json()["data"]["bytes"], 1_024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_break_off() {
    let city = Plan::new().start().await;
    let token = format!("Authorization: Bearer {}\r\n", city.files().token("ziran-map", "planning.survey"));
    let head = format!("POST /_test/upload HTTP/1.1\r\nHost: localhost\r\n{token}");
    let mut stream = city.client("ziran-map").open(b"http/1.1").await.unwrap();
    let bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n");
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    // What ends the connection does not matter; what was said before it does.
    let _end = soon("the end of a connection", stream.read_to_end(&mut reply)).await;
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 400") && reply.contains("request-body"), "{reply}");
    city.received().until(|received| received.iter().all(|received| received.body_len.is_none())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_body_is_no_request() {
    let city = Plan::new().start().await;
    let token = bearer(&city);
    let hidden =
        format!("GET /population/residents?area=3410&size=1 HTTP/1.1\r\nHost: localhost\r\n{token}\r\n");
    for target in ["/population/nothing", "/population/verify;x", "/population/residents"] {
        let refused = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: {}\r\n\r\n{hidden}\
             GET /a//b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            hidden.len()
        );
        let mut stream = city.client("minzheng-aid").open(b"http/1.1").await.unwrap();
        // The gate may hang up after the first refusal.
        let _taken = stream.write_all(refused.as_bytes()).await;
        let mut replies = Vec::new();
        let _end = soon("the end of a connection", stream.read_to_end(&mut replies)).await;
        let replies = String::from_utf8(replies).unwrap();
        assert!(replies.starts_with("HTTP/1.1 4"), "{target}: {replies}");
        assert!(!replies.contains("HTTP/1.1 2"), "{target}: {replies}");
    }
    assert_eq!(city.received().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_judged_one_by_one() {
    let city = Plan::new().start().await;
    let token = bearer(&city);
    let get =
        |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{token}{more}\r\n");
    let requests = [
        get("/population/residents?area=3410&size=1", ""),
        get("/population/residents?area=3101&size=1", ""),
        get("/population/residents?area=3410&size=1", "Connection: close\r\n"),
    ];
    let mut stream = city.client("minzheng-aid").open(b"http/1.1").await.unwrap();
    stream.write_all(requests.concat().as_bytes()).await.unwrap();
    let mut replies = Vec::new();
    let _end = soon("the end of a connection", stream.read_to_end(&mut replies)).await;
    let replies = String::from_utf8(replies).unwrap();
    let statuses: Vec<_> = replies.split("HTTP/1.1 ").skip(1).map(|reply| &reply[..3]).collect();
    assert_eq!(statuses, ["200", "403", "200"], "{replies}");
    assert_eq!(city.received().total(), 2);
}

/// A value that is still encoded after it was decoded once is refused, since a program that decodes twice reads another.
/// So is a name: to that program it is the name of a parameter that grants constrain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encoded_twice_has_two_readings() {
    let city = Plan::new().start().await;
    for query in [
        // A value; and the same of a name, which is `area` and `year` to who decodes twice.
        "area=34%2531",
        "area=3410&%2561rea=110105",
        "%2561rea=110105&area=3410",
        "area=3410&are%2561=110105",
        "area=3410&%2579ear=2019",
        "area=3410&area%255B%255D=110105",
    ] {
        let call = Call::aid(&format!("/population/residents?{query}"));
        let reply = city.call(call).await;
        assert_eq!(reply.code(), "request-query", "{query}: {}", reply.status);
    }
    assert_eq!(city.received().total(), 0);
}

/// Full-width letters are those of ASCII to programs that normalise what they are given, as they are to the gate itself where
/// the catalogue folds names, and in whom a request names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_full_width_is_near_to_that_of_a_parameter() {
    let city = Plan::new().start().await;
    for name in ["%EF%BD%81%EF%BD%92%EF%BD%85%EF%BD%81", "%EF%BD%81rea", "%EF%BC%A1rea"] {
        let reply = city.call(Call::aid(&format!("/population/residents?area=3410&{name}=110105"))).await;
        assert_eq!(reply.code(), "request-query", "{name}: {}", reply.status);
    }
    assert_eq!(city.received().total(), 0);
}
