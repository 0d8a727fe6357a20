//! Bodies beyond the bound: they stream, and are cut off at what may not go on.

use super::*;
use crate::city::until;

const MIB: usize = 1 << 20;

/// A list of at least `bytes` bytes, `last` its last record.
fn list(bytes: usize, last: &str) -> (String, u64) {
    let record = r#"{"name":"王云","id_card":"11010519491231002X","age":77},"#;
    let count = bytes / record.len() + 1;
    (format!("[{}{last}]", record.repeat(count)), u64::try_from(count + 1).unwrap())
}

/// The same as masks leave it.
fn masked(text: &str) -> String {
    text.replace("王云", "王**").replace("11010519491231002X", "1****************X")
}

/// A plan whose platform speaks this version of HTTP.
fn before(upstream: Http) -> Plan {
    let plan = plan();
    match upstream {
        Http::One => plan,
        Http::Two => plan.config("response_timeout = \"10s\"", "response_timeout = \"10s\"\nhttp2 = true"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_goes_on_as_it_streams() {
    for upstream in [Http::One, Http::Two] {
        let city = before(upstream).start().await;
        let (body, records) = list(5 * MIB, "{}");
        for http in [Http::One, Http::Two] {
            let reply = city.call(restrict(&body).over(http)).await;
            let record = arrived(&city, &reply, &body).await;
            assert_eq!((record.submitted, record.bytes_in), (Some(records), u64::try_from(body.len()).ok()));
            assert!(!city.last_received().headers.contains_key("content-length"));
            let (parts, feed) = pieces(&body, 7_001);
            let reply = city.call(send(Method::POST, "mask", parts).over(http)).await;
            let record = arrived(&city, &reply, &masked(&body)).await;
            assert_eq!(record.submitted_masked.get("name"), Some(&(records - 1)));
            feed.await.unwrap();
        }
        assert_intact(&city.files().audit());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_late_cuts_the_request_off() {
    for upstream in [Http::One, Http::Two] {
        let city = before(upstream).start().await;
        for (place, last, status, code) in [
            ("restrict", r#"{"diagnosis":"geheim"}"#, 403, "scope-exceeded"),
            ("restrict", r#"{"age":"geheim"}"#, 400, "request-body"),
            ("restrict", r#"{"name":"geheim"}]"#, 400, "request-body"),
            ("mask", r#"{"name":"geheim"}}"#, 400, "request-body"),
        ] {
            let (body, records) = list(MIB, last);
            for http in [Http::One, Http::Two] {
                let call = send(Method::POST, place, whole(body.clone())).over(http);
                let (reply, outcome) = refuse(&city, call, (status, code), Came::ToThePlatform).await;
                assert!(!reply.text().contains("geheim"), "{}", reply.text());
                assert_eq!(city.last_received().body_len, None, "{place}: it ended as if it were whole");
                let kinds: Vec<_> = city
                    .records_of(&reply.request_id())
                    .await
                    .into_iter()
                    .map(|record| record.kind)
                    .collect();
                assert_eq!(kinds, ["intent", "outcome"]);
                let submitted = outcome.submitted.unwrap();
                assert!((1..records).contains(&submitted), "{submitted} of {records}");
                if code == "scope-exceeded" {
                    let failing = format!("record {records} has `diagnosis`");
                    assert!(reply.json()["detail"].as_str().unwrap().contains(&failing), "{}", reply.text());
                    assert_eq!(outcome.submitted_dropped.get("diagnosis"), Some(&1));
                }
            }
        }
        // The connection to the platform serves others.
        city.call(restrict("{}")).await.assert_data();
        assert_intact(&city.files().audit());
    }
}

/// Sends `parts` and then stays open without an end: a client that is cut off while it still writes may
/// lose the reply.
fn unended(parts: Vec<Bytes>) -> (Body, tokio::task::JoinHandle<()>) {
    let (sender, body) = in_parts();
    let feed = tokio::spawn(async move {
        for part in parts {
            sender.send(Ok(Frame::data(part))).await.unwrap();
        }
        sender.closed().await;
    });
    (body, feed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_decides_what_reaches_the_platform() {
    let city = plan().more_config("\n[bounds]\nwhole_request = \"4KiB\"\n").start().await;
    let outside = Bytes::from_static(br#"{"diagnosis":1},"#);
    for http in [Http::One, Http::Two] {
        let front = |length| {
            let (front, _) = list(length, "{}");
            Bytes::from(front[..front.len() - 3].to_owned())
        };
        let (body, feed) = unended(vec![front(1 << 10), outside.clone()]);
        let call = send(Method::POST, "restrict", body).over(http);
        refuse(&city, call, (403, "scope-exceeded"), Came::ToTheGate).await;
        feed.await.unwrap();
        // Once more than the bound has come, the platform sees a request, and never its end.
        let (sender, body) = in_parts();
        let call = send(Method::POST, "restrict", body).over(http);
        let (received, seen) = (city.received().clone(), city.received().all().len());
        let (front, outside) = (front(8 << 10), outside.clone());
        let feed = tokio::spawn(async move {
            sender.send(Ok(Frame::data(front))).await.unwrap();
            received.until(|all| all.len() > seen).await;
            sender.send(Ok(Frame::data(outside))).await.unwrap();
            sender.closed().await;
        });
        refuse(&city, call, (403, "scope-exceeded"), Came::ToThePlatform).await;
        assert_eq!(city.last_received().body_len, None);
        feed.await.unwrap();
        // What becomes too large on the way.
        let spaces = Bytes::from(vec![b' '; MIB]);
        let mut parts = vec![spaces; 32];
        parts.push(Bytes::from_static(b" "));
        let (body, feed) = unended(parts);
        let call = send(Method::POST, "restrict", body).over(http);
        let (_, record) = refuse(&city, call, (413, "request-too-large"), Came::ToThePlatform).await;
        assert_eq!(record.bytes_in, Some((32 << 20) + 1));
        assert_eq!(city.last_received().body_len, None);
        feed.await.unwrap();
    }
}

/// Breaks a body off in the middle, when the platform has begun to read it: how that is on record.
async fn broken_off(http: Http) -> ParsedRecord {
    let city = plan().start().await;
    let (text, _) = list(MIB, "{}");
    let (sender, body) = in_parts();
    let received = city.received().clone();
    let feed = async move {
        let front = Bytes::copy_from_slice(&text.as_bytes()[..200 << 10]);
        sender.send(Ok(Frame::data(front))).await.unwrap();
        received.until(|all| !all.is_empty()).await;
        sender.send(Err(std::io::Error::other("gone"))).await.unwrap();
    };
    let connection = city.client(SURVEYOR).connect(http).await.unwrap();
    let request = send(Method::POST, "restrict", body).request(city.files());
    let (reply, ()) = tokio::join!(connection.send(request), feed);
    assert!(reply.is_err(), "who breaks off hears nothing: {reply:?}");
    let outcome =
        until("the outcome", async || city.records().into_iter().find(|record| record.kind == "outcome"))
            .await;
    assert_eq!(city.last_received().body_len, None);
    // It had begun to stream, and did not come to its end.
    assert!((64 << 10..=200 << 10).contains(&outcome.bytes_in.unwrap()), "{outcome:#?}");
    assert_intact(&city.files().audit());
    outcome
}

/// The end of a connection looks like a body that is wrong, whose sender may wait for a reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_refused() {
    let outcome = broken_off(Http::One).await;
    assert_eq!((outcome.status, outcome.reason.as_deref()), (Some(400), Some("request-body")));
    assert_eq!(outcome.aborted, None);
}

/// Who resets a stream wants no reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_reset_is_given_up() {
    let outcome = broken_off(Http::Two).await;
    assert_eq!((outcome.status, outcome.aborted.as_deref()), (Some(499), Some("client-gone")));
    assert_eq!(outcome.reason, None);
}
