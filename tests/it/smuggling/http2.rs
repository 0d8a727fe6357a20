//! HTTP/2 frames that a client library would not send, and what of them becomes HTTP/1.1 towards the platform.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Recorder, open_city};
use crate::city::{Call, City, Http, SURVEY, SURVEYOR, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What the gate did with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It, or its connection, was reset.
    Reset,
    /// It was answered, with this status if that has an index of its own (RFC 7541, appendix A).
    Answered(u16),
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that no table remembers (RFC 7541, section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        // Lengths from 127 go on in a second byte.
        let length = text.chars().count();
        let mut bytes = match u8::try_from(length) {
            Ok(short @ ..127) => vec![short],
            _ => {
                let rest = length - 127;
                vec![127, u8::try_from(rest % 128).unwrap() | 0x80, u8::try_from(rest / 128).unwrap()]
            }
        };
        bytes.extend(text.chars().map(|c| u8::try_from(c).unwrap()));
        bytes
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// Sends `frames` on a connection of their own, and waits for what becomes of stream 1.
async fn talk(city: &City, frames: &[u8]) -> Outcome {
    let mut stream = city.client(SURVEYOR).open(b"h2").await.unwrap();
    let hello =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[]), frames].concat();
    stream.write_all(&hello).await.unwrap();
    soon("an end of stream 1", async {
        let mut head = [0; 9];
        loop {
            if stream.read_exact(&mut head).await.is_err() {
                return Outcome::Reset;
            }
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.unwrap();
            let status = match payload.first() {
                Some(0x88) => 200,
                Some(0x8c) => 400,
                Some(0x8d) => 404,
                _ => 0,
            };
            match head[3] {
                HEADERS => return Outcome::Answered(status),
                RST_STREAM | GOAWAY => return Outcome::Reset,
                _ => {}
            }
        }
    })
    .await
}

/// A request by its fields, with nothing after them.
async fn ask(city: &City, fields: &[(&str, &str)]) -> Outcome {
    talk(city, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))).await
}

async fn assert_alive(city: &City, recorder: &Recorder) {
    let (whole, _) = recorder.requests();
    assert_eq!(whole, [], "the platform was sent something");
    city.call(Call::survey("/x").over(Http::Two)).await.assert_data();
    assert_eq!(recorder.requests().0.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_http2_forbids() {
    let (city, recorder) = open_city().await;
    let token = format!("Bearer {}", city.files().token(SURVEYOR, SURVEY));
    let good = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/x"),
        ("authorization", &token),
    ];
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("Upper", "a"),
        ("a b", "c"),
        ("a:b", "c"),
        ("a\r\nb", "c"),
        ("", "c"),
        ("a", "b\r\nhost: other"),
        ("a", "b\nc"),
        ("a", "b\0c"),
        (":status", "200"),
        (":unknown", "a"),
        (":path", "/y"),
        (":method", "POST"),
        (":authority", "other"),
    ] {
        let fields = [&good[..], &[field]].concat();
        let outcome = ask(&city, &fields).await;
        assert!(matches!(outcome, Outcome::Reset | Outcome::Answered(400)), "{field:?}: {outcome:?}");
    }
    for field in [("host", "other"), ("host", "localhost:1"), ("x_y", "z"), ("a", "\u{e9}")] {
        assert_eq!(ask(&city, &[&good[..], &[field]].concat()).await, Outcome::Answered(400), "{field:?}");
    }
    assert_alive(&city, &recorder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pseudo_header_fields_with_other_readings() {
    let (city, recorder) = open_city().await;
    let token = format!("Bearer {}", city.files().token(SURVEYOR, SURVEY));
    let (auth, https) = (("authorization", token.as_str()), (":scheme", "https"));
    let (get, host, path) = ((":method", "GET"), (":authority", "localhost"), (":path", "/x"));
    for fields in [
        vec![https, host, path, auth],
        vec![get, host, path, auth],
        vec![get, https, host, auth],
        vec![get, https, path, auth],
        vec![get, https, host, (":path", ""), auth],
        vec![get, https, host, (":path", "x"), auth],
        vec![get, https, host, (":path", "*"), auth],
        vec![get, https, host, (":path", "/x y"), auth],
        vec![get, https, host, (":path", "/x HTTP/1.1\r\nHost: other"), auth],
        vec![get, https, host, (":path", "https://other/x"), auth],
        vec![get, https, host, (":path", "/x/../y"), auth],
        vec![get, https, host, (":path", "/x%2fy"), auth],
        vec![get, https, host, (":path", "//x"), auth],
        vec![(":method", "GET / HTTP/1.1\r\n"), https, host, path, auth],
        vec![(":method", ""), https, host, path, auth],
        vec![(":method", "CONNECT"), host, auth],
        vec![(":method", "CONNECT"), (":protocol", "websocket"), https, host, path, auth],
        vec![get, https, (":authority", "user@localhost"), path, auth],
        vec![get, https, (":authority", "a, b"), path, auth],
        vec![get, https, (":authority", ""), path, auth],
        vec![get, https, path, auth, ("host", "localhost"), ("host", "localhost")],
        vec![get, https, path, auth, host],
    ] {
        let outcome = ask(&city, &fields).await;
        assert_ne!(outcome, Outcome::Answered(200), "{fields:?}");
    }
    assert_alive(&city, &recorder).await;
    // The library drops a fragment before anything sees it: what is judged is what goes on, without it.
    let fields = [get, https, host, (":path", "/y#/../../z"), auth];
    assert_eq!(ask(&city, &fields).await, Outcome::Answered(200));
    let (whole, _) = recorder.requests();
    assert_eq!(whole.last().map(|request| request.target.as_str()), Some("/y"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_that_lie() {
    let (city, recorder) = open_city().await;
    let token = format!("Bearer {}", city.files().token(SURVEYOR, SURVEY));
    let post = |method: &'static str, lengths: &[&str]| {
        let mut fields = vec![
            (":method", method),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/x"),
            ("authorization", token.as_str()),
        ];
        fields.extend(lengths.iter().map(|length| ("content-length", *length)));
        block(&fields)
    };
    let hello = frame(DATA, END_STREAM, 1, b"hello");
    for (method, lengths) in [
        ("POST", vec!["4"]),
        ("POST", vec!["6"]),
        ("POST", vec!["0"]),
        ("POST", vec!["5", "5"]),
        ("POST", vec!["5", "6"]),
        ("POST", vec!["5, 5"]),
        ("POST", vec!["+5"]),
        ("POST", vec!["-5"]),
        ("POST", vec!["0x5"]),
        ("POST", vec!["05"]),
        ("POST", vec!["0000000000000000005"]),
        ("POST", vec![""]),
        ("GET", vec!["5"]),
        ("GET", vec![]),
        ("HEAD", vec!["5"]),
    ] {
        let outcome =
            talk(&city, &[frame(HEADERS, END_HEADERS, 1, &post(method, &lengths)), hello.clone()].concat())
                .await;
        assert_ne!(outcome, Outcome::Answered(200), "{method} {lengths:?}");
    }
    // A length and no content at all.
    for length in ["5", "", "00"] {
        let none = frame(HEADERS, END_HEADERS | END_STREAM, 1, &post("POST", &[length]));
        assert_ne!(talk(&city, &none).await, Outcome::Answered(200), "{length:?}");
    }
    assert_alive(&city, &recorder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pseudo_header_fields_after_the_body() {
    let (city, recorder) = open_city().await;
    let token = format!("Bearer {}", city.files().token(SURVEYOR, SURVEY));
    let post = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/x"),
        ("authorization", &token),
    ]);
    let trailers = [
        [(":path", "/admin"), ("x-sum", "1")],
        [(":method", "DELETE"), ("x-sum", "1")],
        [(":authority", "other"), ("content-length", "0")],
        [("authorization", "Bearer other"), ("host", "other")],
    ];
    for fields in &trailers {
        let end = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields));
        let request = [frame(HEADERS, END_HEADERS, 1, &post), frame(DATA, 0, 1, b"hello"), end].concat();
        // Whether the library minds or not, nothing of it is read as a head.
        talk(&city, &request).await;
    }
    let (whole, _) = recorder.requests();
    for request in &whole {
        let (method, target, body) = (request.method.as_str(), request.target.as_str(), &request.body[..]);
        assert_eq!((method, target, body), ("POST", "/x", b"hello".as_slice()));
        let text = format!("{request:?}");
        assert!(!["admin", "x-sum", "other"].iter().any(|word| text.contains(word)), "{text}");
    }
    city.call(Call::survey("/x").over(Http::Two)).await.assert_data();
    assert_eq!(recorder.requests().0.len(), whole.len() + 1);
}
