//! Requests that two readers could take for different ones: every vector of three public corpora, sent to the
//! gate as it stands there, and judged by the bytes that the platform received.

mod corpora;
mod http2;
mod recorder;
mod strict;
mod written;

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::city::{City, Client, Plan, SURVEY, SURVEYOR, soon};
use recorder::Recorder;
use strict::{Read, Request, read};

/// How many connections are open at once.
const AT_ONCE: usize = 8;

/// Bytes to be sent on a connection of their own.
struct Vector {
    id: String,
    bytes: Vec<u8>,
}

/// What came of a vector.
struct Came {
    id: String,
    /// Whether they end in the middle of something, so that nothing need come of it.
    is_open: bool,
    /// The statuses of all replies.
    statuses: Vec<u16>,
    reply: String,
    /// What a strict reader finds in the bytes, up to where they cease to be clear.
    clear: Vec<Request>,
    /// Of these, what the platform was sent.
    forwarded: Vec<Request>,
}

/// A city in which every path but `/` is a route, and every method that a route may have.
async fn open_city() -> (City, Recorder) {
    let recorder = Recorder::start().await;
    let mut plan = Plan::new().unlimited();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let action = if method == "GET" { "query" } else { "submit" };
        for path in ["/{a}", "/{a}/{b}", "/{a}/{b}/{c}"] {
            plan = plan.more_config(&format!(
                "\n[[route]]\nmethod = \"{method}\"\npath = \"{path}\"\nresource = \"test.file\"\n\
                 action = \"{action}\"\nupstream = \"platform\"\n"
            ));
        }
    }
    (plan.start_before(recorder.at).await, recorder)
}

/// Gives every head in `bytes` what the gate asks for: a token, and the id of the vector in a field that is
/// forwarded; and a host, where `wants_host` and there is none. Hidden heads have them too, so that they would be
/// served if they were taken for requests.
fn dressed(bytes: &[u8], id: usize, token: &str, wants_host: bool) -> Vec<u8> {
    let mut fields = format!("Authorization: Bearer {token}\r\nIdempotency-Key: v{id}\r\n").into_bytes();
    // No route is `/`.
    let bytes = &replaced(bytes, "/ HTTP/", "/x HTTP/");
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let has_host = text.to_ascii_lowercase().contains("\nhost:");
    if !has_host && wants_host {
        fields.extend_from_slice(b"Host: localhost\r\n");
    }
    let mut dressed = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let is_host = |line: &[u8]| line.len() >= 5 && line[..5].eq_ignore_ascii_case(b"host:");
        let is_start = !has_host && is_request_line(line);
        if is_host(line) {
            dressed.extend_from_slice(&fields);
        }
        dressed.extend_from_slice(line);
        if is_start {
            dressed.extend_from_slice(&fields);
        }
    }
    dressed
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn is_request_line(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.trim_end().split(' ').collect();
    matches!(words[..], [method, _, version] if !method.is_empty() && version.starts_with("HTTP/"))
}

/// What a strict reader finds in `bytes`, and how it ends.
fn clear(mut bytes: &[u8]) -> (Vec<Request>, Option<Read>) {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        // One empty line is passed over (RFC 9112, section 2.2).
        bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        if bytes.is_empty() {
            break;
        }
        match read(bytes) {
            Read::Whole(request, length) => {
                requests.push(request);
                bytes = &bytes[length..];
            }
            other @ (Read::Begun | Read::Unclear) => return (requests, Some(other)),
        }
    }
    (requests, None)
}

/// Sends all of `vectors` and waits for what comes of them.
async fn send(city: &City, recorder: &Recorder, vectors: Vec<Vector>, wants_host: bool) -> Vec<Came> {
    let token = city.files().token(SURVEYOR, SURVEY);
    let client = Arc::new(city.client(SURVEYOR));
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut calls = tokio::task::JoinSet::new();
    for (number, vector) in vectors.into_iter().enumerate() {
        let mut bytes = dressed(&vector.bytes, number, &token, wants_host);
        let (requests, end) = clear(&bytes);
        let is_open = matches!(end, Some(Read::Begun));
        if !is_open {
            // Whatever came before it, it ends the connection.
            let last = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            bytes.extend_from_slice(&dressed(last, number, &token, true));
        }
        let (client, places) = (Arc::clone(&client), Arc::clone(&places));
        calls.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let reply = exchange(&client, &vector.id, &bytes, is_open).await;
            (
                number,
                Came {
                    id: vector.id,
                    is_open,
                    statuses: statuses(&reply),
                    reply,
                    clear: requests,
                    forwarded: Vec::new(),
                },
            )
        });
    }
    let mut all: Vec<(usize, Came)> = calls.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    let (received, _) = recorder.requests();
    for request in received {
        let id = request.field("idempotency-key").expect("nothing else is sent");
        let number: usize = id.strip_prefix('v').unwrap().parse().unwrap();
        if request.target != "/last" {
            all[number].1.forwarded.push(request);
        }
    }
    all.into_iter().map(|(_, came)| came).collect()
}

/// Sends `bytes`; unless they are open, in the middle of something, the gate ends the connection.
async fn exchange(client: &Client, id: &str, bytes: &[u8], is_open: bool) -> String {
    let mut stream = client.open(b"http/1.1").await.unwrap();
    let (mut from, mut to) = tokio::io::split(&mut stream);
    let mut reply = Vec::new();
    let write = async {
        // The gate may hang up before it has taken all of it.
        let _taken = to.write_all(bytes).await;
        let _flushed = to.flush().await;
    };
    if is_open {
        write.await;
    } else {
        let _end =
            soon(&format!("the end of {id}"), async { tokio::join!(write, from.read_to_end(&mut reply)) })
                .await;
    }
    String::from_utf8_lossy(&reply).into_owned()
}

fn statuses(reply: &str) -> Vec<u16> {
    reply.split("HTTP/1.").skip(1).filter_map(|part| part.get(2..5)?.parse().ok()).collect()
}

/// What no vector may do, whatever it is: the platform is sent nothing but what a strict reader finds in the bytes,
/// each request once, with its own body.
fn assert_nothing_smuggled(came: &Came) {
    let mut clear = came.clear.clone();
    for request in &came.forwarded {
        let found = clear.iter().position(|known| {
            (&known.method, &known.body) == (&request.method, &request.body)
                && known.target.strip_prefix("http://localhost").unwrap_or(&known.target) == request.target
        });
        clear.remove(found.unwrap_or_else(|| panic!("`{}` sent the platform {request:?}", came.id)));
    }
    let framing = ["content-length", "transfer-encoding"];
    for request in &came.forwarded {
        let framed = request.fields.iter().filter(|(name, _)| framing.contains(&name.as_str())).count();
        assert!(framed <= 1, "`{}`: {request:?}", came.id);
        for name in ["connection", "te", "trailer", "upgrade", "keep-alive"] {
            assert_eq!(request.field(name), None, "`{}`: {request:?}", came.id);
        }
    }
}
