//! What the platform is told, and what it is not.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::city::{Call, City, Http, Plan, SURVEY, SURVEYOR, soon};

/// What arrived, by the platform's own account; an opaque resource, so that it comes back whole.
async fn echo(city: &City, call: Call) -> Value {
    let reply = city.call(call).await;
    reply.assert_data();
    reply.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_pretend_to_be_the_gate() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let mut call = Call::survey("/_test/echo?x=%E5%8C%BA&y=a+b").over(http);
        let forged = [
            ("pinegate-system", "sys:minzheng-aid"),
            ("pinegate-department", "dept:gongan"),
            ("pinegate-grant", "HS-2026-0117"),
            ("pinegate-purpose", "social-aid.review"),
            ("pinegate-anything", "x"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-client-cert", "Hash=00"),
            ("forwarded", "for=203.0.113.9"),
            ("x-ssl-client-verify", "SUCCESS"),
            ("ssl-client-cert", "x"),
            ("client-cert", ":AA==:"),
            ("x-real-ip", "203.0.113.9"),
            ("x-remote-user", "root"),
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("x-request-id", "mine"),
            ("x-user-id", "1"),
            ("x-tenant-id", "1"),
            ("x-nobody-knows", "what this is"),
            ("via", "1.1 x"),
            ("cookie", "session=1"),
            ("range", "bytes=0-1"),
            ("if-none-match", "*"),
            ("accept-encoding", "gzip, br"),
        ];
        for (name, value) in forged {
            call = call.header(name, value);
        }
        let arrived = echo(&city, call.header("x-department-note", "kept")).await;
        let headers = arrived["headers"].as_object().unwrap();
        let only = |name: &str| {
            let values = headers.get(name).map(|values| values.as_array().unwrap().as_slice());
            match values {
                Some([one]) => one.as_str().unwrap().to_owned(),
                other => panic!("{name}: {other:?}"),
            }
        };
        assert_eq!(only("pinegate-system"), "sys:ziran-map");
        assert_eq!(only("pinegate-department"), "dept:ziran");
        assert_eq!(only("pinegate-grant"), "TEST-2");
        assert_eq!(only("pinegate-purpose"), "planning.survey");
        assert_eq!(only("accept-encoding"), "identity");
        assert_eq!(only("x-department-note"), "kept");
        let forwarded = only("forwarded");
        assert!(forwarded.starts_with("for=127.0.0.1;") && forwarded.ends_with("proto=https"), "{forwarded}");
        assert_ne!(only("x-request-id"), "mine");
        let kept = ["pinegate-system", "pinegate-department", "pinegate-grant", "pinegate-purpose"];
        let kept = [&kept[..], &["forwarded", "x-request-id", "accept-encoding"]].concat();
        for (name, _) in forged.iter().filter(|(name, _)| !kept.contains(name)) {
            assert!(!headers.contains_key(*name), "{name} reached the platform over {http:?}");
        }
        for secret in ["authorization", "data-purpose", "data-scope"] {
            assert!(!headers.contains_key(secret), "{secret} reached the platform");
        }
        assert_eq!(arrived["target"], "/_test/echo?x=%E5%8C%BA&y=a+b", "forwarded as it was judged");
        assert_eq!(arrived["method"], "GET");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_cannot_name_what_the_gate_says() {
    let city = Plan::new().start().await;
    let named = "pinegate-system, x-request-id, authorization, forwarded, host, x-mine";
    let call = Call::survey("/_test/echo")
        .header("connection", named)
        .header("x-mine", "1")
        .header("te", "trailers");
    let arrived = echo(&city, call).await;
    for name in ["pinegate-system", "x-request-id", "forwarded", "host"] {
        assert!(arrived["headers"][name].is_array(), "{name}: {arrived}");
    }
    for name in ["x-mine", "te", "connection", "keep-alive"] {
        assert!(arrived["headers"][name].is_null(), "{name}: {arrived}");
    }
}

/// A connection may be used for another authority than the one it was made for (RFC 9110, section 7.4). Here there is
/// one site, and no name that a client gives leads anywhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_of_a_request_stays_at_the_gate() {
    let city = Plan::new().start().await;
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    let token = city.files().token(SURVEYOR, SURVEY);
    let mut told = Vec::new();
    for (target, host) in [
        ("/_test/echo", "localhost"),
        ("/_test/echo", "another-tenant.example"),
        ("http://another-tenant.example/_test/echo", "another-tenant.example"),
    ] {
        let close = if target.starts_with('/') { "" } else { "Connection: close\r\n" };
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{close}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    stream.flush().await.unwrap();
    let _end = soon("the end of a connection", stream.read_to_end(&mut told)).await;
    let told = String::from_utf8(told).unwrap();
    assert_eq!(told.matches("HTTP/1.1 200 ").count(), 3, "{told}");
    assert_eq!(told.matches("\"host\":[\"localhost:").count(), 3, "{told}");
    // What it was called is said, by the gate's own word.
    assert_eq!(told.matches("another-tenant").count(), told.matches("proto=https").count() - 1, "{told}");
    assert_eq!(told.matches("\"target\":\"/_test/echo\"").count(), 3, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on() {
    let city = Plan::new().start().await;
    let (trace, parent) =
        ("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let call = Call::survey("/_test/echo").header("traceparent", parent).header("tracestate", "a=b");
    let reply = city.call(call).await;
    assert_eq!(reply.json()["headers"]["traceparent"][0], parent);
    assert_eq!(reply.json()["headers"]["tracestate"][0], "a=b");
    assert_eq!(city.outcome_of(&reply).await.trace.as_deref(), Some(trace));
    // A malformed one is replaced.
    let call = Call::survey("/_test/echo").header("traceparent", "00-0-0-00").header("tracestate", "a=b");
    let reply = city.call(call).await;
    let arrived = reply.json()["headers"]["traceparent"][0].as_str().unwrap().to_owned();
    let trace = city.outcome_of(&reply).await.trace.unwrap();
    assert!(arrived.starts_with(&format!("00-{trace}-")), "{arrived}");
    assert!(reply.json()["headers"]["tracestate"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_goes_on_where_a_route_says_so() {
    let city = Plan::new().start().await;
    let token = city.files().token("ziran-map", "planning.survey");
    let arrived = echo(&city, Call::survey("/_test/echo/token").token(token.clone())).await;
    assert_eq!(arrived["headers"]["authorization"][0], format!("Bearer {token}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purpose_that_is_only_declared() {
    let city = Plan::new().start().await;
    let call = Call::survey("/_test/echo/declared").no_token().header("data-purpose", "planning.survey");
    let reply = city.call(call).await;
    reply.assert_data();
    let record = city.outcome_of(&reply).await;
    assert_eq!(record.purpose_source.as_deref(), Some("declared"));
    assert_eq!(record.token, None);
    // On a route that wants a token a declaration is none.
    let call = Call::survey("/_test/echo").no_token().header("data-purpose", "planning.survey");
    let reply = city.call(call).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "token-missing"));
}
