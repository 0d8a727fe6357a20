//! Bodies that are never held whole, both ways.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{sha256, surveyed};
use crate::city::{Call, Http, Plan, assert_intact, data, in_parts, soon, trailers, whole};

const MIB: usize = 1 << 20;

/// What `/_test/bytes` becomes, said by the records themselves.
fn masked_list(wanted: usize) -> (String, u64) {
    let data = data();
    let residents: Vec<_> = data.residents.records().iter().take(256).collect();
    let sizes: Vec<usize> = residents.iter().map(|one| serde_json::to_vec(one).unwrap().len() + 1).collect();
    let tail = "],\"total\":0,\"page\":1,\"debug_sql\":\"select * from t where id_card <> ''\"}".len() + 18;
    let mut sent = "{\"code\":0,\"message\":\"成功\",\"data\":[".len() + tail;
    let (mut list, mut count) = (Vec::new(), 0);
    while sent < wanted {
        list.push(surveyed(residents[count % residents.len()]));
        sent += sizes[count % sizes.len()];
        count += 1;
    }
    let list = list.join(",");
    (
        format!("{{\"code\":0,\"message\":\"成功\",\"data\":[{list}],\"total\":{count},\"page\":1}}"),
        u64::try_from(count).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_masked_as_it_streams() {
    let city = Plan::new().start().await;
    let (expected, records) = masked_list(5 * MIB);
    for http in [Http::One, Http::Two] {
        let reply = city.call(Call::survey(&format!("/_test/bytes?n={}", 5 * MIB)).over(http)).await;
        reply.assert_data();
        assert_eq!(reply.header("content-length"), None);
        let place = reply.body.iter().zip(expected.as_bytes()).position(|(a, b)| a != b);
        assert_eq!((place, reply.body.len()), (None, expected.len()), "{http:?}");
        let outcome = city.outcome_of(&reply).await;
        assert_eq!(outcome.records, Some(records));
        assert_eq!(outcome.masked.get("name"), Some(&records));
        assert_eq!(outcome.bytes_out, Some(u64::try_from(expected.len()).unwrap()));
        assert_eq!(outcome.sent_sha256, Some(sha256(expected.as_bytes())));
        assert_eq!(outcome.aborted, None);
    }
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_of_a_masked_reply_are_dropped() {
    // Over HTTP/2 the platform need not be asked for them, and neither need the client ask.
    let plan = Plan::new().config("response_timeout = \"10s\"", "response_timeout = \"10s\"\nhttp2 = true");
    for city in [Plan::new().start().await, plan.start().await] {
        for http in [Http::One, Http::Two] {
            let reply = city.call(Call::survey("/_test/trailers").header("te", "trailers").over(http)).await;
            reply.assert_data();
            assert!(reply.trailers.is_empty(), "a digest of what the masks hide: {:?}", reply.trailers);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opaque_resource_passes_whole() {
    let city = Plan::new().start().await;
    let body = vec![0xA5; 3 * MIB];
    let call = Call::post("ziran-map", "planning.survey", "/_test/upload", whole(body.clone()));
    let reply = city.call(call).await;
    reply.assert_data();
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"), "the platform's own");
    assert_eq!(reply.header("pinegate-masked"), None);
    assert_eq!(reply.json()["data"]["sha256"], sha256(&body));
    let outcome = city.outcome_of(&reply).await;
    assert_eq!(outcome.bytes_in, Some(u64::try_from(body.len()).unwrap()));
    assert_eq!(outcome.sent_sha256, Some(sha256(&reply.body)));
}

/// A field could be one thing before a body, where it is judged, and another behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_of_an_upload_stay_at_the_gate() {
    let uploads = "\n[[route]]\nmethod = \"POST\"\npath = \"/_test/upload/passed\"\nresource = \"test.file\"\n\
                   action = \"submit\"\nupstream = \"platform\"\npass_headers = [\"x-checksum\", \"trailer\"]\n";
    let city = Plan::new().more_config(uploads).start().await;
    for (http, target) in [
        (Http::One, "/_test/upload"),
        (Http::Two, "/_test/upload"),
        (Http::One, "/_test/upload/passed"),
        (Http::Two, "/_test/upload/passed"),
    ] {
        let (sender, body) = in_parts();
        let feed = tokio::spawn(async move {
            sender.send(Ok(Frame::data(Bytes::from_static(b"hello")))).await.unwrap();
            let fields = [
                ("x-checksum", "abc"),
                ("authorization", "Bearer x"),
                ("pinegate-system", "sys:minzheng-aid"),
                ("x-forwarded-for", "203.0.113.9"),
            ];
            sender.send(Ok(trailers(&fields))).await.unwrap();
        });
        let call = Call::new(Method::POST, "ziran-map", "planning.survey", target).with_body(body);
        let names = "x-checksum, authorization, pinegate-system, x-forwarded-for";
        let reply = city.call(call.header("trailer", names).over(http)).await;
        reply.assert_data();
        feed.await.unwrap();
        let arrived = &reply.json()["data"];
        assert_eq!(arrived["bytes"], 5);
        assert_eq!(arrived["trailers"], serde_json::json!({}), "{http:?}: {arrived}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upload_is_not_the_platforms_delay() {
    const BOUND: Duration = Duration::from_millis(400);
    let bound = format!("response_timeout = \"{}ms\"", BOUND.as_millis());
    for more in ["", "\nhttp2 = true"] {
        let city = Plan::new().config("response_timeout = \"10s\"", &format!("{bound}{more}")).start().await;
        for http in [Http::One, Http::Two] {
            let (sender, body) = in_parts();
            let call = Call::post("ziran-map", "planning.survey", "/_test/upload", body).over(http);
            let mut reply = std::pin::pin!(city.call(call));
            for _ in 0..3 {
                sender.send(Ok(Frame::data(Bytes::from_static(b"hello")))).await.unwrap();
                let early = tokio::time::timeout(2 * BOUND, reply.as_mut()).await;
                assert!(early.is_err(), "{http:?}: {early:?}");
            }
            drop(sender);
            let reply = reply.await;
            reply.assert_data();
            assert_eq!(reply.json()["data"]["bytes"], 15);
        }
        // Its own it is.
        let reply = city.call(Call::survey("/_test/slow?ms=600000")).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (504, "upstream-timeout"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_waits_to_be_asked_for() {
    let city = Plan::new().start().await;
    let token = city.files().token("ziran-map", "planning.survey");
    let mut stream = city.client("ziran-map").open(b"http/1.1").await.unwrap();
    let body = vec![b'x'; 20 * MIB];
    let head = format!(
        "POST /_test/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    soon("a large upload", async {
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(&body).await.unwrap();
        let mut reply = Vec::new();
        // The end of the connection may lack a TLS close; the reply says whether it is whole.
        let _end = stream.read_to_end(&mut reply).await;
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.contains(&sha256(&body)), "{reply}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upload_is_not_asked_for() {
    let city = Plan::new().start().await;
    let mut stream = city.client("ziran-map").open(b"http/1.1").await.unwrap();
    let head = "POST /_test/upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = [0; 12];
    soon("a refusal", stream.read_exact(&mut reply)).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 401");
    assert_eq!(city.received().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_in_parts_over_http2() {
    let city = Plan::new().start().await;
    let (sender, body) = in_parts();
    let feed = tokio::spawn(async move {
        for _ in 0..20 {
            sender.send(Ok(Frame::data(Bytes::from(vec![b'y'; MIB])))).await.unwrap();
        }
    });
    let call = Call::post("ziran-map", "planning.survey", "/_test/upload", body).over(Http::Two);
    let reply = city.call(call).await;
    reply.assert_data();
    feed.await.unwrap();
    assert_eq!(reply.json()["data"]["bytes"], 20 * MIB);
    assert_eq!(reply.json()["data"]["sha256"], sha256(&vec![b'y'; 20 * MIB]));
}
