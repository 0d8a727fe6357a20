//! A platform that speaks badly: what it sends is bytes of a test.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::check;
use crate::city::{ANY_PORT, Call, Plan};

/// Answers every connection with `bytes`, then closes it.
pub(crate) async fn platform(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            // A peer that is gone already gets nothing, which is all the same here.
            let _read = stream.read(&mut head).await;
            let _written = stream.write_all(&bytes).await;
            let _closed = stream.shutdown().await;
        }
    });
    address
}

const JSON: &str = "Content-Type: application/json\r\n";
const BODY: &str = "{\"data\":[{\"name\":\"王云\"}]}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_no_answers() {
    let length = format!("Content-Length: {}\r\n", BODY.len());
    for (what, bytes, code) in [
        (
            "switching",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_string(),
            "upstream-invalid",
        ),
        ("nothing", String::new(), "upstream-invalid"),
        ("no HTTP", "SSH-2.0-x\r\n\r\n".to_owned(), "upstream-invalid"),
        (
            "two lengths",
            format!("HTTP/1.1 200 OK\r\n{JSON}{length}Content-Length: 5\r\n\r\n{BODY}"),
            "upstream-invalid",
        ),
        (
            "bad chunk",
            format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{BODY}"),
            "upstream-invalid",
        ),
        (
            "cut chunk",
            format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nff\r\n{BODY}"),
            "upstream-invalid",
        ),
        (
            "a large head",
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(20_000)),
            "upstream-invalid",
        ),
        (
            "a field of 2 MB",
            format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(2 << 20)),
            "upstream-invalid",
        ),
        ("a NUL", format!("HTTP/1.1 200 OK\r\n{JSON}{length}X: \0\r\n\r\n{BODY}"), "upstream-invalid"),
        ("a bare CR", format!("HTTP/1.1 200 OK\r\n{JSON}{length}X: a\rb\r\n\r\n{BODY}"), "upstream-invalid"),
        ("a fold", format!("HTTP/1.1 200 OK\r\n{JSON}X: a\r\n b\r\n{length}\r\n{BODY}"), "upstream-invalid"),
        (
            "two types",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Type: text/html\r\n{length}\r\n{BODY}"),
            "mask-media-type",
        ),
        ("no type", format!("HTTP/1.1 200 OK\r\n{length}\r\n{BODY}"), "mask-media-type"),
        (
            "another charset",
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=gbk\r\n{length}\r\n{BODY}"),
            "mask-media-type",
        ),
        (
            "a range",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Range: bytes 0-9/99\r\n{length}\r\n{BODY}"),
            "upstream-invalid",
        ),
        (
            "a redirect",
            "HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
                .to_string(),
            "upstream-invalid",
        ),
    ] {
        eprintln!("{what}");
        let city = Plan::new().start_before(platform(bytes.into_bytes()).await).await;
        let reply = city.call(Call::survey("/_test/1k")).await;
        check(&reply, 502, code);
        assert!(!reply.text().contains("王云"), "{what}: {reply:?}");
        assert_eq!(city.record_of(&reply).await.reason.as_deref(), Some(code), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_fields_of_the_platform_stay_behind() {
    let fields = "Set-Cookie: a=b\r\nETag: \"x\"\r\nServer: secret\r\nX-Id-Card: 34109920000229002X\r\nLink: </x>\r\n\
                  Content-Disposition: attachment; filename=34109920000229002X\r\nPinegate-Grant: FORGED\r\n\
                  X-Request-Id: forged\r\nCache-Control: public\r\nContent-Digest: sha-256=:AA==:\r\n";
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}{fields}Content-Length: {}\r\n\r\n{BODY}", BODY.len());
    // More than was asked for: it must reach nobody.
    let bytes = head + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra";
    let city = Plan::new().start_before(platform(bytes.into_bytes()).await).await;
    for _ in 0..2 {
        let reply = city.call(Call::survey("/_test/1k")).await;
        reply.assert_data();
        assert_eq!(reply.text(), "{\"data\":[{\"name\":\"王**\"}]}");
        assert_eq!(reply.header("pinegate-grant"), Some("TEST-1"));
        assert_eq!(reply.header("cache-control"), Some("private, no-store"));
        let known = [
            "content-type",
            "pinegate-grant",
            "pinegate-masked",
            "ratelimit",
            "ratelimit-policy",
            "x-request-id",
            "cache-control",
            "x-content-type-options",
            "content-length",
            "date",
        ];
        for name in reply.headers.keys() {
            assert!(known.contains(&name.as_str()), "`{name}` left");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_never_come_to_the_point() {
    // Interim answers, for as long as they are read.
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100);
                // What comes before the request would be an answer to none.
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await?);
                }
                while stream.write_all(&hints).await.is_ok() {}
                std::io::Result::Ok(())
            });
        }
    });
    let plan = Plan::new().config("response_timeout = \"10s\"", "response_timeout = \"500ms\"");
    let city = plan.start_before(address).await;
    city.gate.forget_peak();
    let before = city.gate.memory().now;
    let reply = city.call(Call::survey("/_test/1k")).await;
    check(&reply, 504, "upstream-timeout");
    let growth = city.gate.memory().peak.saturating_sub(before);
    assert!(growth < 8 << 20, "the gate grew by {growth} bytes");
}
