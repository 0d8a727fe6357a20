//! Handshakes in odd pieces, by other protocols, of other times, and while the gate's own certificate changes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use pinegate::pki::Overwrite;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::city::{Call, City, Client, DAYS, Http, Plan, SURVEYOR, now, soon, until};

const MIB: u64 = 1 << 20;

/// Types of TLS records (RFC 8446, section 5.1).
const ALERT: u8 = 0x15;
const HANDSHAKE: u8 = 0x16;
const APPLICATION_DATA: u8 = 0x17;

async fn tcp(city: &City) -> TcpStream {
    let stream = TcpStream::connect(city.gate.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A socket that is written to byte by byte.
struct Dribble(TcpStream);

impl AsyncRead for Dribble {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Dribble {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What is answered to a request that no route is for.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> String {
    stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut first = [0; 12];
    soon("a reply", stream.read_exact(&mut first)).await.unwrap();
    String::from_utf8(first.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn byte_by_byte_and_in_many_records() {
    let city = Plan::new().start().await;
    for bytes in [32, 1_000] {
        let client = city.client(SURVEYOR).in_records_of(bytes);
        let stream = client.shake_hands(Dribble(tcp(&city).await), &[b"http/1.1"]).await.unwrap();
        assert_eq!(answer(stream).await, "HTTP/1.1 404");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_offers_no_protocol_speaks_http_1_1() {
    let city = Plan::new().start().await;
    let client = city.client(SURVEYOR);
    let stream = client.shake_hands(tcp(&city).await, &[]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    assert_eq!(answer(stream).await, "HTTP/1.1 404");
    // HTTP/2 on it, as if both had known before, is a version that is not spoken there.
    let mut stream = client.shake_hands(tcp(&city).await, &[]).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut reply = Vec::new();
    let _end = soon("the end of a connection", stream.read_to_end(&mut reply)).await;
    assert!(reply.starts_with(b"HTTP/1.1 505 "), "{}", String::from_utf8_lossy(&reply));
    assert!(client.shake_hands(tcp(&city).await, &[b"spdy/3"]).await.is_err());
}

/// A record, in the version that all hellos bear.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1], length.as_slice(), content].concat()
}

/// A ClientHello without extensions (RFC 5246, section 7.4.1.2).
fn hello(version: [u8; 2], suites: &[[u8; 2]], compressions: &[u8]) -> Vec<u8> {
    let counted = |bytes: usize| u8::try_from(bytes).unwrap();
    let mut body = [version.as_slice(), &[7; 32], &[0, 0, counted(2 * suites.len())]].concat();
    body.extend(suites.as_flattened());
    body.push(counted(compressions.len()));
    body.extend(compressions);
    record(HANDSHAKE, &[&[1, 0, 0, counted(body.len())], body.as_slice()].concat())
}

/// Sends `bytes` and then `again` until the gate ends the connection: what it said.
async fn sent(city: &City, bytes: &[u8], again: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = tcp(city).await.into_split();
    let mut said = Vec::new();
    let talk = async {
        let _cut_off = write.write_all(bytes).await;
        while !again.is_empty() && write.write_all(again).await.is_ok() {}
    };
    let listen = async {
        // A reset is an end as well.
        let _end = read.read_to_end(&mut said).await;
    };
    soon("the end of what is no handshake", async { tokio::join!(talk, listen) }).await;
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_handshake_ends_and_holds_nothing() {
    let city = Plan::new().more_config("\n[bounds]\nhandshake_timeout = \"2s\"\n").start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    city.gate.forget_peak();
    let before = city.gate.memory().now;
    let (tls_1_2, gcm, cbc) = ([3, 3], [0xc0, 0x2b], [0xc0, 0x09]);
    // 64 KiB are announced, of which much comes.
    let long = [&[1, 1, 0, 0], [7; 16_000].as_slice()].concat();
    let much = record(HANDSHAKE, &[7; 16_000]);
    let cases: [(&str, Vec<u8>, Vec<u8>); 11] = [
        ("SSL 3", hello([3, 0], &[gcm], &[0]), vec![]),
        ("TLS 1.0", hello([3, 1], &[gcm], &[0]), vec![]),
        ("TLS 1.1", hello([3, 2], &[gcm], &[0]), vec![]),
        ("CBC alone", hello(tls_1_2, &[cbc, [0, 0x2f]], &[0]), vec![]),
        ("no suite", hello(tls_1_2, &[], &[0]), vec![]),
        ("compression alone", hello(tls_1_2, &[gcm], &[1]), vec![]),
        ("64 KiB of a hello", record(HANDSHAKE, &long), much),
        ("data first", record(APPLICATION_DATA, &[7; 100]), vec![]),
        ("no type of records", record(0x99, &[7; 100]), vec![]),
        ("warnings without end", vec![], record(ALERT, &[1, 90]).repeat(100)),
        ("empty records without end", vec![], record(HANDSHAKE, &[]).repeat(100)),
    ];
    let failed = async || {
        let page = city.gate.page("/metrics").await.text;
        let lines = page.lines().filter(|line| line.starts_with("pinegate_tls_handshakes_total{"));
        let failed = lines.filter(|line| !line.contains("completed"));
        failed.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    for (what, bytes, again) in &cases {
        let counted = failed().await;
        let said = sent(&city, bytes, again).await;
        assert!(said.is_empty() || said[0] == ALERT, "{what}: {said:?}");
        until(what, async || (failed().await > counted + 0.5).then_some(())).await;
    }
    let growth = city.gate.memory().peak.saturating_sub(before);
    assert!(growth < 8 * MIB, "the gate grew by {growth} bytes");
    city.call(Call::survey("/_test/1k")).await.assert_data();
}

/// Clients that shake hands anew until they are told to stop.
struct Crowd {
    tasks: JoinSet<Vec<String>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Crowd {
    fn come(city: &City) -> Self {
        let (mut tasks, stop, done) = (JoinSet::new(), Arc::default(), Arc::default());
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let (certificate, key) = city.files().client(SURVEYOR);
            let ca = city.files().ca();
            let client = Client::with_versions(&city.gate, &ca, Some((&certificate, &key)), &[version]);
            let (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>) = (Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match client.open(b"http/1.1").await {
                        Ok(stream) => assert_eq!(answer(stream).await, "HTTP/1.1 404"),
                        Err(error) => failures.push(error.to_string()),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failures
            });
        }
        Self { tasks, stop, done }
    }

    /// Waits for `more` of them to have shaken hands.
    async fn go_on(&self, more: u64) {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        until("handshakes", async || (self.done.load(Ordering::Relaxed) >= wanted).then_some(())).await;
    }

    async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(failures) = self.tasks.join_next().await {
            assert_eq!(failures.unwrap(), Vec::<String>::new());
        }
    }
}

/// The certificate that the gate shows.
async fn shown(city: &City) -> Vec<u8> {
    let stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_and_no_handshake_fails() {
    let city = Plan::new().start().await;
    let on_disk = || CertificateDer::from_pem_file(city.files().at("certs/server.pem")).unwrap().to_vec();
    let issue = || {
        let names = ["localhost"];
        city.files().authority().issue_server("server", &names, DAYS, now(), Overwrite::Replace).unwrap();
    };
    let held = city.client(SURVEYOR).connect(Http::Two).await.unwrap();
    let crowd = Crowd::come(&city);
    let mut seen = vec![shown(&city).await];
    for _ in 0..4 {
        crowd.go_on(10).await;
        issue();
        assert!(!seen.contains(&on_disk()));
        assert_eq!(Some(&shown(&city).await), seen.last(), "nothing changes before a reload");
        city.gate.reloaded().await;
        assert_eq!(shown(&city).await, on_disk());
        seen.push(on_disk());
    }
    // A certificate that came without its key is no pair: the one before stays.
    let key = city.files().read("certs/server.key");
    issue();
    city.files().write("certs/server.key", &key);
    let page = city.gate.reload().await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert!(page.text.contains("is not the one"), "{}", page.text);
    assert_eq!(Some(&shown(&city).await), seen.last());
    crowd.go_on(10).await;
    crowd.leave().await;
    // Who was there before any of it has noticed nothing.
    city.call_on(&held, Call::survey("/_test/1k").over(Http::Two)).await.assert_data();
}
