//! Answers that are coded, and clients that want theirs to be.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use tokio::sync::Notify;

use super::scripted::{chunk, last_chunk};
use super::*;
use crate::happy::sha256;

fn coded(coding: Coding, body: &str) -> Vec<Step> {
    answer(&[JSON, ("content-encoding", coding.as_str())], encoded(coding, body.as_bytes()))
}

fn in_chunks(coding: Coding, body: &str) -> Vec<Step> {
    let coded = encoded(coding, body.as_bytes());
    let mut steps = chunks(&[JSON, ("content-encoding", coding.as_str())], coded);
    steps.push(last_chunk());
    steps
}

/// The coding of a reply, and the reply without it.
fn undone(reply: &Reply) -> (Option<&str>, Vec<u8>) {
    reply.assert_data();
    let name = reply.header("content-encoding");
    let body = match name {
        None => reply.body.to_vec(),
        Some(name) => decoded(Coding::parse(name).unwrap(), &reply.body),
    };
    (name, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_coded_leaves_as_the_client_likes() {
    let mut scripts = vec![("plain".to_owned(), answer(&[JSON], list(40)))];
    for coding in Coding::ALL {
        let name = coding.as_str();
        scripts.push((format!("few-{name}"), coded(coding, &list(1))));
        scripts.push((format!("some-{name}"), coded(coding, &list(40))));
        scripts.push((format!("many-{name}"), in_chunks(coding, &list(5_000))));
    }
    let scripted = Scripted::start(scripts).await;
    let city = city(&scripted).await;
    for http in BOTH {
        for coding in Coding::ALL {
            for (length, count) in [("few", 1), ("some", 40), ("many", 5_000)] {
                for (accepts, expected) in [
                    (None, None),
                    (Some("identity"), None),
                    (Some("gzip;q=0"), None),
                    (Some("gzip"), Some("gzip")),
                    (Some("br, gzip;q=0.9"), Some("br")),
                    (Some("gzip, br, zstd"), Some("zstd")),
                    (Some("gzip; nonsense"), None),
                ] {
                    let case = format!("{length}-{}", coding.as_str());
                    let mut call = Call::survey(&format!("/_x/{case}")).over(http);
                    if let Some(accepts) = accepts {
                        call = call.header("accept-encoding", accepts);
                    }
                    let reply = city.call(call).await;
                    assert_no_secret(&reply);
                    let (name, body) = undone(&reply);
                    assert_eq!(name, expected.filter(|_| count > 1), "{case} for {accepts:?}");
                    assert_eq!(String::from_utf8(body).unwrap(), released(count), "{case} for {accepts:?}");
                    assert_eq!(reply.header("vary"), Some("accept-encoding"));
                    let record = city.records_of(&reply.request_id()).await.pop().unwrap();
                    assert_eq!(
                        record.bytes_out,
                        u64::try_from(reply.body.len()).ok(),
                        "what left is counted"
                    );
                    assert_eq!(record.sent_sha256, Some(sha256(&reply.body)));
                    assert_eq!(record.records, u64::try_from(count).ok());
                }
            }
        }
        // What came plain leaves plain, unless the route says otherwise; and it may say never.
        for (route, case, coded) in [
            ("_x", "plain", false),
            ("_always", "plain", true),
            ("_never", "plain", false),
            ("_never", "many-gzip", false),
        ] {
            let call = Call::survey(&format!("/{route}/{case}")).over(http);
            let reply = city.call(call.header("accept-encoding", "gzip")).await;
            let (name, body) = undone(&reply);
            assert_eq!(name, coded.then_some("gzip"), "{route}");
            assert_eq!(reply.header("vary"), coded.then_some("accept-encoding"), "{route}");
            assert!(!coded || body.len() > 3 * reply.body.len());
            let count = if case == "plain" { 40 } else { 5_000 };
            assert_eq!(String::from_utf8(body).unwrap(), released(count), "{route}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_leaves_in_its_coding_or_in_none() {
    let file = "一份文件\n".repeat(20_000);
    let mut scripts = Vec::new();
    for coding in Coding::ALL {
        let coded = encoded(coding, file.as_bytes());
        let head = [("content-type", "application/pdf"), ("content-encoding", coding.as_str())];
        scripts.push((coding.as_str().to_owned(), answer(&head, &coded)));
        scripts.push((format!("cut-{}", coding.as_str()), answer(&head, &coded[..coded.len() - 4])));
    }
    let scripted = Scripted::start(scripts).await;
    let city = city(&scripted).await;
    for http in BOTH {
        for coding in Coding::ALL {
            for route in ["_file", "_pdf"] {
                let call = || Call::survey(&format!("/{route}/{}", coding.as_str())).over(http);
                let reply = city.call(call().header("accept-encoding", coding.as_str())).await;
                let (name, body) = undone(&reply);
                assert_eq!(name, Some(coding.as_str()));
                assert!(body == file.as_bytes() && reply.body.len() < 10_000);
                assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
                assert_eq!(reply.header("vary"), Some("accept-encoding"));
                let reply = city.call(call()).await;
                let (name, body) = undone(&reply);
                assert!(name.is_none() && body == file.as_bytes(), "{coding:?}");
                assert_eq!(reply.header("content-type"), Some("application/pdf"));
                let outcome = city.outcome_of(&reply).await;
                assert_eq!(outcome.sent_sha256, Some(sha256(file.as_bytes())));
            }
            // One that is not whole is cut off where it is decoded.
            let cut = format!("/_file/cut-{}", coding.as_str());
            cut_off(&city, http, Call::survey(&cut), "coding-truncated").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_do_not_wait_in_an_encoder() {
    const LINE: &str = r#"{"name":"王小明","phone":"13800138000"}"#;
    const MASKED: &str = r#"{"name":"王**","phone":"138****8000"}"#;
    let next = Arc::new(Notify::new());
    let lines = |count: usize, before: usize| -> Vec<Step> {
        let line = |number| format!("{LINE}{}\n", " ".repeat(number));
        (before..before + count).map(|number| chunk(line(number).as_bytes())).collect()
    };
    let mut steps = chunks(&[("content-type", "application/x-ndjson")], "");
    for number in 0..3 {
        steps.extend(lines(1, number));
        steps.push(Step::Wait(Arc::clone(&next)));
    }
    steps.push(last_chunk());
    let scripted = Scripted::start([("lines", steps)]).await;
    let city = city(&scripted).await;
    for http in BOTH {
        for coding in Coding::ALL {
            let connection = city.client(SURVEYOR).connect(http).await.unwrap();
            let call = Call::survey("/_lines/lines").header("accept-encoding", coding.as_str());
            let request = call.request(city.files());
            let response = soon("the head of a reply", connection.send(request)).await.unwrap();
            assert_eq!(response.headers()["content-encoding"], coding.as_str());
            let bounds = pinegate::coding::Bounds { ratio: 1_000, size: 1 << 20 };
            let (mut body, mut decoder) =
                (response.into_body(), pinegate::coding::Decoder::new(coding, bounds));
            for number in 0..3 {
                let expected = format!("{MASKED}{}\n", " ".repeat(number));
                let mut seen = Vec::new();
                while seen.len() < expected.len() {
                    let part = soon("a line", body.frame()).await.unwrap().unwrap().into_data().unwrap();
                    let mut part = &part[..];
                    loop {
                        let piece = decoder.decode(&mut part).unwrap();
                        if piece.is_empty() {
                            break;
                        }
                        seen.extend_from_slice(piece);
                    }
                }
                assert_eq!(String::from_utf8(seen).unwrap(), expected, "{coding:?} over {http:?}");
                // Only now does the platform go on.
                next.notify_one();
            }
            while let Some(part) = soon("the end", body.frame()).await {
                let part = part.unwrap().into_data().unwrap();
                assert!(decoder.decode(&mut &part[..]).unwrap().is_empty());
            }
            decoder.finish().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_is_asked_for_what_the_upstream_says() {
    let scripted = Scripted::start([("one", answer(&[JSON], list(1)))]).await;
    let plain = city(&scripted).await;
    for accepts in ["gzip", "br, *;q=0.1", "zstd, identity;q=0"] {
        plain.call(Call::survey("/_x/one").header("accept-encoding", accepts)).await.assert_data();
        let head = scripted.last_head().to_ascii_lowercase();
        assert!(head.contains("\r\naccept-encoding: identity\r\n"), "{head}");
    }
    let mut files = plain.files().clone();
    files.edit_config("admin.sock", "second.sock");
    files.edit_config(
        "response_timeout = \"10s\"",
        "response_timeout = \"10s\"\naccept_encoding = [\"zstd\", \"gzip\"]",
    );
    let coded = plain.beside(&files).await;
    coded.call(Call::survey("/_x/one").header("accept-encoding", "br")).await.assert_data();
    let head = scripted.last_head().to_ascii_lowercase();
    assert!(head.contains("\r\naccept-encoding: zstd, gzip\r\n"), "{head}");
    assert_eq!(head.matches("accept-encoding").count(), 1);
}
