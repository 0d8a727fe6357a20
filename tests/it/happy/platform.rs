//! What the platform is told, and what it is not.

use serde_json::Value;

use crate::city::{Call, City, Http, Plan};

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
