//! What opens no session: and that nothing of it is taken for anything else.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Sends bytes on a connection of their own: all that came until its end.
async fn exchanged(city: &City, bytes: &[u8]) -> String {
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut came = Vec::new();
    // An end without a farewell of TLS would be an error.
    soon("the end of a connection", stream.read_to_end(&mut came)).await.unwrap();
    String::from_utf8_lossy(&came).into_owned()
}

/// A sound handshake as bytes, with one line in place of another.
pub(super) fn raw(city: &City, from: &str, to: &str) -> String {
    let token = city.files().token(SURVEYOR, SURVEY);
    let head = format!(
        "GET {SESSION} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept-Language: en\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert!(head.contains(from), "{from}");
    head.replacen(from, to, 1)
}

/// What somebody hopes will be read as a request of its own.
fn smuggled(city: &City) -> String {
    let token = city.files().token(SURVEYOR, SURVEY);
    format!("GET /_test/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_routes_that_say_so_open_one() {
    let platform = Sessions::start(Mood::echo()).await;
    let city = before(&platform, Plan::new()).await;
    for path in ["/_test/echo", "/.well-known/pinegate/grants"] {
        let refusal = opened(&city, handshake(&city, path)).await.err().expect(path);
        assert_eq!((refusal.status().as_u16(), code(&refusal).as_str()), (400, "request-upgrade"), "{path}");
    }
    let refusal = opened(&city, handshake(&city, "/_test/nowhere")).await.err().unwrap();
    assert_eq!(code(&refusal), "resource-unknown");
    // Whoever may not have the resource, or has no token, has no session of it either.
    let mut request = handshake(&city, SESSION);
    request.headers_mut().remove("authorization");
    assert_eq!(code(&opened(&city, request).await.err().unwrap()), "token-missing");
    city.files().edit_policy("grants.csv", "\np, TEST-2,", "\n# p, TEST-2,");
    city.gate.reloaded().await;
    let refusal = opened(&city, handshake(&city, SESSION)).await.err().unwrap();
    assert_eq!(code(&refusal), "grant-none");
    assert!(platform.heads().is_empty(), "{:#?}", platform.heads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_handshake_ends_its_connection_and_reaches_nobody() {
    let platform = Sessions::start(Mood::echo()).await;
    let city = before(&platform, Plan::new()).await;
    for (from, to, expected) in [
        ("Upgrade: websocket", "Upgrade: h2c", "request-upgrade"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c", "request-upgrade"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c", "request-upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive", "request-handshake"),
        ("Connection: Upgrade", "Connection: Upgrade, Sec-WebSocket-Key", "request-handshake"),
        ("Version: 13", "Version: 777", "request-handshake"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "request-handshake"),
        ("ZQ==\r\n", "ZQ\r\n", "request-handshake"),
        ("GET ", "POST ", "request-method"),
        ("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", "request-framing"),
        ("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "request-framing"),
    ] {
        let bytes = raw(&city, from, to) + smuggled(&city).as_str();
        let came = exchanged(&city, bytes.as_bytes()).await;
        assert!(came.contains(&format!("\"code\":\"{expected}\"")), "{to:?}: {came}");
        assert!(came.contains("connection: close"), "{to:?}: {came}");
        assert_eq!(came.matches("HTTP/1.1 ").count(), 1, "{to:?}: what follows was answered: {came}");
        if expected == "request-handshake" {
            assert!(came.contains("sec-websocket-version: 13"), "{came}");
        }
    }
    assert!(platform.heads().is_empty(), "{:#?}", platform.heads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_with_duties_opens_none() {
    let platform = Sessions::start(Mood::echo()).await;
    let duties = "test.file, *, planning.survey, *;rows<=5, always";
    let plan = Plan::new().policy("grants.csv", "test.file, *, planning.survey, *, always", duties);
    let city = before(&platform, plan).await;
    let mut request = handshake(&city, SESSION);
    request.headers_mut().insert("accept-language", "en".parse().unwrap());
    let refusal = opened(&city, request).await.err().unwrap();
    assert_eq!((refusal.status().as_u16(), code(&refusal).as_str()), (403, "mask-session"));
    let said = String::from_utf8(refusal.body().clone().unwrap()).unwrap();
    assert!(said.contains("for a grant of the whole resource"), "{said}");
    assert!(platform.heads().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_does_not_switch_gets_nothing_more() {
    let platform = Sessions::start(Mood::echo()).await;
    let city = before(&platform, Plan::new().unlimited()).await;
    for (said, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(), "upstream-invalid"),
        ("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n".to_owned(), "upstream-rejected"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "upstream-not-found"),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned(), "upstream-failed"),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_owned(), "upstream-invalid"),
        // The answer to the client's key, which a client could have put there.
        (SWITCHES.replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "upstream-invalid"),
        (SWITCHES.replace("Sec-WebSocket-Accept: ACCEPT\r\n", ""), "upstream-invalid"),
        (SWITCHES.replace("Upgrade: websocket", "Upgrade: h2c"), "upstream-invalid"),
        (SWITCHES.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x\r\n\r\n"), "upstream-invalid"),
        (SWITCHES.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n"), "upstream-invalid"),
        ("nonsense\r\n\r\n".to_owned(), "upstream-invalid"),
    ] {
        platform.feels(Mood::say(&said));
        // Early bytes: what the gate must neither read as a request nor pass on.
        let bytes = raw(&city, "", "") + smuggled(&city).as_str();
        let came = exchanged(&city, bytes.as_bytes()).await;
        assert!(came.contains(&format!("\"code\":\"{expected}\"")), "{said}: {came}");
        assert_eq!(came.matches("HTTP/1.1 ").count(), 1, "{said}: {came}");
        assert!(came.contains("connection: close") && !came.contains(" 101 "), "{came}");
    }
    assert_eq!(platform.behind(), b"", "bytes reached a platform that had not switched");
    assert!(platform.heads().iter().all(|head| head.starts_with("GET /_test/session ")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_early_is_frames_or_nothing() {
    let platform = Sessions::start(Mood::say(SWITCHES)).await;
    let city = before(&platform, Plan::new()).await;
    // A masked `hi`, and a goodbye.
    let frames = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x88, 0x80, 0, 0, 0, 0];
    let mut bytes = raw(&city, "", "").into_bytes();
    bytes.extend_from_slice(&frames);
    let came = exchanged(&city, &bytes).await;
    assert!(came.starts_with("HTTP/1.1 101 "), "{came}");
    assert!(came.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{came}");
    assert_eq!(platform.behind(), frames);

    let bytes = raw(&city, "", "") + smuggled(&city).as_str();
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut came = Vec::new();
    let _cut = soon("the end of a connection", stream.read_to_end(&mut came)).await;
    assert_eq!(String::from_utf8_lossy(&came).matches("HTTP/1.1 ").count(), 1);
    assert_eq!(platform.behind(), frames, "a request is no frame");
    ended(&city, "no-frame", 1.0).await;
}
