use std::net::Ipv4Addr;

use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, TE};
use http_body_util::{BodyExt, Full};
use hyper::client::conn;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::people::{Counts, PLANTED_ID};
use super::*;

/// A platform on a port of its own, stopped when dropped.
struct Running {
    addr: SocketAddr,
    data: Arc<Data>,
    log: ReceivedLog,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Answer {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Http1,
    Http2,
}

fn get(target: &str) -> Request<Full<Bytes>> {
    Request::get(target).body(Full::default()).unwrap()
}

fn post(target: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(target).body(Full::new(body.into())).unwrap()
}

impl Running {
    async fn start() -> Self {
        let counts = Counts { residents: 120, enterprises: 30, licences: 60, parcels: 20, adoptions: 3 };
        Self::start_with(Options::default(), counts).await
    }

    async fn start_with(options: Options, counts: Counts) -> Self {
        let data = Arc::new(Data::generate(7, counts));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let platform = Platform::bind(any, Arc::clone(&data), options).await.unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (addr, log) = (platform.local_addr(), platform.received());
        tasks.spawn(platform.serve(stop.clone()));
        Self { addr, data, log, tasks, stop }
    }

    /// The reply's head, its body still to be read.
    async fn send(
        &self,
        protocol: Protocol,
        mut request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        let io = TokioIo::new(TcpStream::connect(self.addr).await.unwrap());
        if protocol == Protocol::Http1 {
            request.headers_mut().insert("host", HeaderValue::from_static("platform.example"));
            let (mut sender, connection) = conn::http1::handshake(io).await?;
            self.tasks.spawn(connection);
            sender.send_request(request).await
        } else {
            *request.uri_mut() = format!("http://platform.example{}", request.uri()).parse().unwrap();
            let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await?;
            self.tasks.spawn(connection);
            sender.send_request(request).await
        }
    }

    async fn call(&self, protocol: Protocol, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        let (head, body) = self.send(protocol, request).await?.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned();
        Ok(Answer {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        })
    }

    async fn get(&self, target: &str) -> Answer {
        self.call(Protocol::Http1, get(target)).await.unwrap()
    }

    /// Everything that arrives for a request of raw bytes, until the platform closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        // A reset is as good an end as a close.
        stream.read_to_end(&mut reply).await.ok();
        String::from_utf8(reply).unwrap()
    }
}

#[tokio::test]
async fn every_list_has_its_envelope() {
    let platform = Running::start().await;
    for (target, total, key) in [
        ("/population/residents", 120, "id_card"),
        ("/legal/enterprises", 30, "credit_code"),
        ("/licences", 60, "licence_no"),
        ("/spatial/parcels", 20, "parcel_id"),
        ("/population/adoptions", 3, "adoption_no"),
    ] {
        let answer = platform.get(target).await;
        assert_eq!(answer.status, StatusCode::OK, "{target}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(answer.headers[CONTENT_LENGTH], answer.body.len().to_string());
        let json = answer.json();
        assert_eq!((&json["code"], &json["message"]), (&Value::from(0), &Value::from("成功")));
        assert_eq!((&json["total"], &json["page"]), (&Value::from(total), &Value::from(1)));
        assert_eq!(json["data"].as_array().unwrap().len(), total.min(20), "{target}");
        assert!(json["data"][0][key].is_string(), "{target}");
        assert!(json["debug_sql"].is_string(), "a member that no catalogue knows");
    }
}

#[tokio::test]
async fn single_records_by_key_and_verify() {
    let platform = Running::start().await;
    let resident = platform.data.residents.records().first().unwrap();
    let answer = platform.get(&format!("/population/residents/{}", resident.id_card)).await;
    assert_eq!(answer.json()["data"], serde_json::to_value(resident).unwrap());
    let firm = &platform.data.enterprises.records()[3];
    let answer = platform.get(&format!("/legal/enterprises/{}", firm.credit_code)).await;
    assert_eq!(answer.json()["data"], serde_json::to_value(firm).unwrap());
    let licence = &platform.data.licences.records()[3];
    let answer = platform.get(&format!("/licences/{}", licence.licence_no)).await;
    assert_eq!(answer.json()["data"], serde_json::to_value(licence).unwrap());
    let none = platform.get(&format!("/population/residents/{PLANTED_ID}")).await;
    assert_eq!((none.status, none.json()["data"].clone()), (StatusCode::NOT_FOUND, Value::Null));
    assert_eq!(platform.get("/nowhere").await.status, StatusCode::NOT_FOUND);

    for (name, is_match) in [(resident.name.as_str(), true), ("无此人", false)] {
        let claim = serde_json::json!({ "name": name, "id_card": resident.id_card }).to_string();
        let answer = platform.call(Protocol::Http1, post("/population/verify", claim)).await.unwrap();
        assert_eq!(answer.json()["data"]["match"], is_match);
    }
    for (body, status) in [("{", 400), ("{\"name\":\"x\"}", 400), (&*" ".repeat(70_000), 413)] {
        let answer =
            platform.call(Protocol::Http1, post("/population/verify", body.to_owned())).await.unwrap();
        assert_eq!(answer.status, status);
    }
    let wrong = platform.call(Protocol::Http1, post("/licences", "")).await.unwrap();
    assert_eq!((wrong.status.as_u16(), wrong.headers[ALLOW].to_str().unwrap()), (405, "GET, HEAD"));
}

#[tokio::test]
async fn leads_get_a_receipt() {
    let platform = Running::start().await;
    let resident = platform.data.residents.records().first().unwrap();
    for (name, is_accepted) in [(resident.name.as_str(), true), ("无此人", false)] {
        let lead = serde_json::json!({ "name": name, "id_card": resident.id_card, "kind": "medical" });
        let answer = platform.call(Protocol::Http1, post("/aid/leads", lead.to_string())).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["accepted"], is_accepted);
        assert!(answer.json()["receipt"].as_str().unwrap().starts_with("XS-"));
    }
    for (body, status) in [("{", 400), ("{\"name\":\"x\"}", 400), (&*" ".repeat(70_000), 413)] {
        let answer = platform.call(Protocol::Http1, post("/aid/leads", body.to_owned())).await.unwrap();
        assert_eq!(answer.status, status);
    }
    assert_eq!(platform.get("/aid/leads").await.headers[ALLOW], "POST");
}

#[tokio::test]
async fn filters_and_pages_agree_with_the_data() {
    let platform = Running::start().await;
    let wanted: Vec<&str> = platform
        .data
        .residents
        .records()
        .iter()
        .filter(|resident| resident.ext.area_code.starts_with("3410") && resident.ext.year == 2025)
        .map(|resident| resident.id_card.as_str())
        .collect();
    assert!(wanted.len() > 7, "else the pages below say nothing");
    let mut seen = Vec::new();
    for page in 1.. {
        let target = format!("/population/residents?area=3410&year=2025&page={page}&size=5");
        let json = platform.get(&target).await.json();
        assert_eq!(json["total"], wanted.len());
        let records = json["data"].as_array().unwrap().clone();
        seen.extend(records.iter().map(|record| record["id_card"].as_str().unwrap().to_owned()));
        if records.is_empty() {
            break;
        }
    }
    assert_eq!(seen, wanted);
    let json = platform.get("/licences?kind=vehicle-licence&size=60").await.json();
    assert!(json["data"].as_array().unwrap().iter().all(|record| record["plate"].is_string()));
    assert_eq!(platform.get("/population/residents?area=99").await.json()["total"], 0);
    for bad in ["page=x", "size=-1", "year=2025&year=2024"] {
        assert_eq!(platform.get(&format!("/population/residents?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn pretty_and_compact_say_the_same() {
    let platform = Running::start().await;
    let id_card = &platform.data.residents.records()[0].id_card;
    for target in ["/spatial/parcels", "/licences?kind=none", &format!("/population/residents/{id_card}")] {
        let separator = if target.contains('?') { '&' } else { '?' };
        let pretty = platform.get(&format!("{target}{separator}pretty=1")).await;
        let compact = platform.get(target).await;
        assert_eq!(pretty.json(), compact.json(), "{target}");
        assert!(pretty.body.len() > compact.body.len() && pretty.body.contains(&b'\n'));
    }
}

#[tokio::test]
async fn long_lists_come_in_chunks_and_short_ones_whole() {
    let counts = Counts { residents: 400, enterprises: 0, licences: 0, parcels: 0, adoptions: 0 };
    let platform = Running::start_with(Options::default(), counts).await;
    let answer = platform.get("/population/residents?size=400").await;
    assert!(answer.body.len() > 128 << 10 && !answer.headers.contains_key(CONTENT_LENGTH));
    let records = serde_json::to_value(platform.data.residents.records()).unwrap();
    assert_eq!(answer.json()["data"], records);
    assert_eq!(platform.get("/legal/enterprises").await.json()["data"], serde_json::json!([]));
}

#[tokio::test]
async fn entity_tags() {
    let platform = Running::start().await;
    let first = platform.get("/licences?page=2").await;
    let etag = first.headers[ETAG].clone();
    assert_ne!(platform.get("/licences?page=1").await.headers[ETAG], etag);
    for known in [etag.to_str().unwrap(), "*", &format!("\"x\", W/{}", etag.to_str().unwrap())] {
        let mut again = get("/licences?page=2");
        again.headers_mut().insert("if-none-match", known.parse().unwrap());
        let answer = platform.call(Protocol::Http1, again).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.headers[ETAG], etag);
    }
}

#[tokio::test]
async fn both_protocols_and_head() {
    let platform = Running::start().await;
    for (protocol, version) in [(Protocol::Http1, Version::HTTP_11), (Protocol::Http2, Version::HTTP_2)] {
        let whole = platform.call(protocol, get("/_test/1k")).await.unwrap();
        assert_eq!(whole.version, version);
        assert!((824..1_224).contains(&whole.body.len()), "{}", whole.body.len());
        assert!(whole.json()["data"][0]["id_card"].is_string());
        for target in ["/_test/1k", "/_test/bytes?n=200000"] {
            let request = Request::head(target).body(Full::default()).unwrap();
            let head = platform.call(protocol, request).await.unwrap();
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
            let length = head.headers.get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
            assert_eq!(length, (target == "/_test/1k").then(|| whole.body.len().to_string()));
        }
    }
}

#[tokio::test]
async fn the_log_shows_what_came() {
    let platform = Running::start().await;
    let mut request = post("/_test/echo?q=%E6%9D%BE&q=2", "hello");
    request.headers_mut().append("pinegate-system", HeaderValue::from_static("sys:a"));
    request.headers_mut().append("pinegate-system", HeaderValue::from_static("sys:b"));
    let json = platform.call(Protocol::Http1, request).await.unwrap().json();
    assert_eq!((&json["method"], &json["query"]), (&Value::from("POST"), &Value::from("q=%E6%9D%BE&q=2")));
    assert_eq!(json["headers"]["pinegate-system"], serde_json::json!(["sys:a", "sys:b"]));
    assert_eq!(json["body_len"], 5);
    let received = platform.log.last().unwrap();
    assert_eq!((received.method.as_str(), received.body_len), ("POST", Some(5)));
    assert_eq!(received.path_and_query, "/_test/echo?q=%E6%9D%BE&q=2");
    assert_eq!(received.headers.get_all("pinegate-system").iter().count(), 2);
    platform.log.until(|all| all.iter().all(|received| received.reply == ReplyProgress::Whole)).await;

    let options = Options { keep_received: NonZeroUsize::new(2), ..Options::default() };
    let platform = Running::start_with(options, Counts::default()).await;
    for page in 1..=5 {
        platform.get(&format!("/licences?page={page}")).await;
    }
    let kept: Vec<String> = platform.log.all().into_iter().map(|received| received.path_and_query).collect();
    assert_eq!((kept, platform.log.total()), (vec!["/licences?page=4".into(), "/licences?page=5".into()], 5));
    platform.log.clear();
    assert_eq!((platform.log.all().len(), platform.log.total()), (0, 5));

    let silent = Options { keep_received: None, ..Options::default() };
    let platform = Running::start_with(silent, Counts::default()).await;
    platform.get("/licences").await;
    assert!(platform.log.last().is_none());
}

#[tokio::test]
async fn bytes_of_any_size() {
    let platform = Running::start().await;
    for n in [0, 1_000, 70_000, 3_000_000] {
        let answer = platform.get(&format!("/_test/bytes?n={n}")).await;
        assert!((n..n + 2_000).contains(&answer.body.len()), "{n}: {}", answer.body.len());
        assert_eq!(answer.headers.contains_key(CONTENT_LENGTH), n <= 60_000);
        let json = answer.json();
        assert_eq!(json["total"], json["data"].as_array().unwrap().len());
    }
}

#[tokio::test]
async fn uploads_are_counted_and_digested() {
    let platform = Running::start().await;
    let body = vec![b'x'; 3 << 20];
    let expected = crate::kernel::id::Digest::of(&body).to_hex();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let answer = platform.call(protocol, post("/_test/upload", body.clone())).await.unwrap();
        assert_eq!(answer.json()["data"]["bytes"], body.len());
        assert_eq!(answer.json()["data"]["sha256"], expected);
        assert_eq!(platform.log.last().unwrap().body_len, Some(3 << 20));
    }
    let chunked = "POST /_test/upload HTTP/1.1\r\nhost: p\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\
                   expect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\nx-after: 1\r\n\r\n";
    let reply = platform.raw(chunked).await;
    assert!(reply.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{reply}");
    assert!(reply.contains("\"bytes\":3") && reply.contains("\"x-after\":\"1\""), "{reply}");
}

#[tokio::test]
async fn broken_replies_are_broken() {
    let platform = Running::start().await;
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: p\r\n\r\n");
    let died = platform.raw(&request("/_test/die")).await;
    assert!(died.contains("transfer-encoding: chunked") && died.contains("id_card"), "{died}");
    assert!(!died.contains("\r\n0\r\n\r\n"), "no last chunk: {died}");
    let short = platform.raw(&request("/_test/short")).await;
    let (head, body) = short.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len() + 100)), "{short}");
    assert_eq!(platform.raw(&request("/_test/drop")).await, "");
    platform.log.until(|all| all.iter().filter(|one| one.reply == ReplyProgress::Cut).count() == 1).await;

    for target in ["/_test/die", "/_test/short", "/_test/drop"] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            assert!(platform.call(protocol, get(target)).await.is_err(), "{target}");
        }
    }
}

#[tokio::test]
async fn hostile_replies_hold_the_planted_number() {
    let platform = Running::start().await;
    let planted = |answer: &Answer| answer.body.windows(18).any(|window| window == PLANTED_ID.as_bytes());
    let kinds = ["cut", "tail", "bare", "utf8", "deep"].map(|kind| format!("/_test/badjson?kind={kind}"));
    for target in &kinds {
        let answer = platform.get(target).await;
        assert!(planted(&answer), "{target}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json; charset=utf-8");
        assert!(serde_json::from_slice::<Value>(&answer.body).is_err(), "{target}");
    }
    assert!(platform.get("/_test/badjson?kind=?").await.json()["message"].is_string());
    for code in [200, 404, 429, 500, 503, 999] {
        let answer = platform.get(&format!("/_test/status/{code}")).await;
        assert_eq!(answer.status, code);
        assert_eq!(answer.json()["data"]["id_card"], PLANTED_ID);
        assert_eq!(answer.headers.contains_key("retry-after"), matches!(code, 429 | 503));
    }
    for (code, status) in [("204", 204), ("304", 304), ("101", 400), ("x", 400)] {
        assert_eq!(platform.get(&format!("/_test/status/{code}")).await.status, status);
    }
    let html = platform.get("/_test/html").await;
    assert!(planted(&html) && html.headers[CONTENT_TYPE] == "text/html; charset=utf-8");
    let gzip = platform.get("/_test/gzip").await;
    assert_eq!(gzip.headers["content-encoding"], "gzip");
    assert!(gzip.body.starts_with(&[0x1f, 0x8b]) && planted(&gzip));
}

#[tokio::test]
async fn trailers_follow_the_body() {
    let platform = Running::start().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut request = get("/_test/trailers");
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        let answer = platform.call(protocol, request).await.unwrap();
        let digest = crate::kernel::id::Digest::of(&answer.body).to_hex();
        assert_eq!(answer.trailers.unwrap()["x-checksum"], digest);
    }
}

#[tokio::test]
async fn a_stalled_reply_ends_with_the_platform() {
    let platform = Running::start().await;
    let mut body = platform.send(Protocol::Http1, get("/_test/stall")).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"{\"code\":0"));
    let slow = platform.send(Protocol::Http2, get("/_test/slow?ms=600000"));
    let stop = async {
        platform.log.until(|all| all.len() == 2).await;
        platform.stop.cancel();
    };
    let (slow, ()) = tokio::join!(slow, stop);
    assert!(slow.is_err());
    assert!(body.frame().await.unwrap().is_err(), "cut off, not ended");
    platform.log.until(|all| all.iter().any(|one| one.reply == ReplyProgress::Cut)).await;
    platform.tasks.close();
    platform.tasks.wait().await;
    assert!(TcpStream::connect(platform.addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_client_that_goes_away_is_seen() {
    let platform = Running::start().await;
    let reply = platform.send(Protocol::Http2, get("/_test/stall")).await.unwrap();
    drop(reply);
    platform.log.until(|all| all.iter().any(|one| one.reply == ReplyProgress::Cut)).await;
}

#[tokio::test]
async fn dropping_the_future_drops_the_connections() {
    let data = Arc::new(Data::generate(1, Counts::default()));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let platform = Platform::bind(any, data, Options::default()).await.unwrap();
    let (addr, log) = (platform.local_addr(), platform.received());
    let serving = platform.serve(CancellationToken::new());
    let client = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET /_test/stall HTTP/1.1\r\nhost: p\r\n\r\n").await.unwrap();
        log.until(|all| all.len() == 1).await;
        stream
    };
    let mut stream = tokio::select! {
        () = serving => panic!("nobody stopped it"),
        stream = client => stream,
    };
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    log.until(|all| all[0].reply == ReplyProgress::Cut).await;
}

#[tokio::test]
async fn a_taken_address_is_an_error() {
    let platform = Running::start().await;
    let error =
        Platform::bind(platform.addr, Arc::clone(&platform.data), Options::default()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{}`", platform.addr));
}

/// TLS for `platform.example` with a certificate of its own, and a client that trusts it.
fn tls(alpn: &[u8]) -> (TlsAcceptor, tokio_rustls::TlsConnector) {
    let signed = rcgen::generate_simple_self_signed(["platform.example".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![alpn.to_vec()];
    (TlsAcceptor::from(Arc::new(server)), tokio_rustls::TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn tls_chooses_by_alpn() {
    for (alpn, version) in [(&b"h2"[..], Version::HTTP_2), (b"http/1.1", Version::HTTP_11)] {
        let (acceptor, connector) = tls(alpn);
        let options = Options { tls: Some(acceptor), ..Options::default() };
        let platform = Running::start_with(options, Counts::default()).await;
        let name = "platform.example".try_into().unwrap();
        let stream = TcpStream::connect(platform.addr).await.unwrap();
        let io = TokioIo::new(connector.connect(name, stream).await.unwrap());
        let request = get("https://platform.example/licences");
        let reply = if version == Version::HTTP_2 {
            let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            platform.tasks.spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = conn::http1::handshake(io).await.unwrap();
            platform.tasks.spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!((reply.status(), reply.version()), (StatusCode::OK, version));
        let json: Value =
            serde_json::from_slice(&reply.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(json["total"], 400);
    }
}
