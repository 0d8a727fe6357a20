//! Cases that no corpus has.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Recorder, open_city, statuses};
use crate::city::{City, SURVEY, SURVEYOR, soon};

/// Sends `pieces` one after the other and reads to the end of the connection.
async fn talk(city: &City, pieces: &[String]) -> String {
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    for piece in pieces {
        // The gate may hang up before it has taken all of it.
        let _taken = stream.write_all(piece.as_bytes()).await;
        let _flushed = stream.flush().await;
    }
    let mut reply = Vec::new();
    let _end = soon("the end of a connection", stream.read_to_end(&mut reply)).await;
    String::from_utf8(reply).unwrap()
}

fn fields(city: &City) -> String {
    format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", city.files().token(SURVEYOR, SURVEY))
}

fn targets(recorder: &Recorder) -> Vec<String> {
    let (whole, begun) = recorder.requests();
    assert_eq!(begun, 0);
    whole.into_iter().map(|request| request.target).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_is_answered_first() {
    let (city, recorder) = open_city().await;
    let fields = fields(&city);
    let good = |target: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    let bad = format!(
        "PURGE /bad HTTP/1.1\r\n{fields}Accept-Language: en\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let all = [good("/a"), good("/b"), bad, good("/c")];
    // In one piece, and byte by byte.
    let bytes: Vec<String> = all.concat().chars().map(String::from).collect();
    for pieces in [vec![all.concat()], all.to_vec(), bytes] {
        let reply = talk(&city, &pieces).await;
        assert_eq!(statuses(&reply), [200, 200, 400], "{reply}");
        let refusal = reply.rsplit("HTTP/1.1 ").next().unwrap();
        for part in [
            "connection: close\r\n",
            "content-type: application/problem+json\r\n",
            "cache-control: private, no-store\r\n",
            "x-request-id: ",
            "\"code\":\"request-framing\"",
            "`Content-Length` and `Transfer-Encoding` come together",
        ] {
            assert!(refusal.contains(part), "no {part:?} in {refusal}");
        }
        let request = refusal.split("\"request_id\":\"").nth(1).unwrap().split('"').next().unwrap();
        let records = city.records_of(request).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        assert_eq!(records[0].reason.as_deref(), Some("request-framing"));
        assert_eq!(records[0].method.as_deref(), Some("PURGE"));
        assert_eq!(records[0].system.as_deref(), Some("sys:ziran-map"));
    }
    assert_eq!(targets(&recorder), ["/a", "/b"].repeat(3));
    assert!((city.gate.metric("pinegate_refusals_total{code=\"request-framing\"}").await - 3.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_is_never_whole() {
    let (city, recorder) = open_city().await;
    let head = format!("POST /a HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n", fields(&city));
    for rest in [
        "5\r\nhello\r\n0;x\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\r\n 0\r\n\r\n",
    ] {
        for pieces in
            [vec![format!("{head}{rest}")], vec![head.clone(), rest[..9].to_owned(), rest[9..].to_owned()]]
        {
            let reply = talk(&city, &pieces).await;
            assert_eq!(statuses(&reply), [400], "{rest:?}: {reply}");
            assert!(reply.contains("\"code\":\"request-body\""), "{reply}");
        }
    }
    let (whole, _) = recorder.requests();
    assert_eq!(whole, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_where_there_is_none() {
    let (city, recorder) = open_city().await;
    let fields = fields(&city);
    let hidden = format!("GET /smuggled HTTP/1.1\r\n{fields}\r\n");
    for method in ["GET", "HEAD"] {
        for framing in [format!("Content-Length: {}", hidden.len()), "Transfer-Encoding: chunked".to_owned()]
        {
            let request = format!("{method} /a HTTP/1.1\r\n{fields}{framing}\r\n\r\n{hidden}");
            let reply = talk(&city, &[request]).await;
            assert_eq!(statuses(&reply), [400], "{reply}");
        }
    }
    let none = format!("GET /b HTTP/1.1\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(statuses(&talk(&city, &[none]).await), [200]);
    assert_eq!(targets(&recorder), ["/b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_head_is_told_so() {
    let (city, recorder) = open_city().await;
    let fields = fields(&city);
    for more in [format!("X-A: {}\r\n", "a".repeat(100_000)), "X-A: b\r\n".repeat(101)] {
        let reply = talk(&city, &[format!("GET /a HTTP/1.1\r\n{fields}{more}\r\n")]).await;
        assert_eq!(statuses(&reply), [431], "{reply}");
        assert!(reply.contains("\"code\":\"request-head-too-large\""), "{reply}");
    }
    let path = format!("/{}", "a".repeat(20_000));
    let reply = talk(&city, &[format!("GET {path} HTTP/1.1\r\n{fields}\r\n")]).await;
    assert!(reply.contains("\"code\":\"request-path\""), "{reply}");
    // As large as it may be.
    let room = (32 << 10) - format!("GET /a HTTP/1.1\r\n{fields}X-A: \r\nConnection: close\r\n\r\n").len();
    let request =
        format!("GET /a HTTP/1.1\r\n{fields}X-A: {}\r\nConnection: close\r\n\r\n", "a".repeat(room));
    assert_eq!(statuses(&talk(&city, &[request]).await), [200]);
    assert_eq!(targets(&recorder), ["/a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_nobody_knows_is_refused_without_a_record() {
    let (city, recorder) = open_city().await;
    let mut stream = city.client("nobody-knows").open(b"http/1.1").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\nHost: a\n\n").await.unwrap();
    let mut reply = String::new();
    let _end = soon("the end of a connection", stream.read_to_string(&mut reply)).await;
    assert!(reply.contains("\"code\":\"request-syntax\""), "{reply}");
    assert_eq!(city.records().iter().filter(|record| record.reason.is_some()).count(), 0);
    assert_eq!(targets(&recorder), Vec::<String>::new());
}
