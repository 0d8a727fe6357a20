//! Load over mutual TLS, bounded in count: HTTP/1.1 or HTTP/2 with keep-alive, as fast as it goes or at a given rate.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a measuring tool that may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Http1,
    /// With so many requests at once.
    Http2 {
        streams: usize,
    },
}

/// Who asks what, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) url: http::Uri,
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The value of the header field `Authorization`.
    pub(crate) authorization: Option<String>,
    pub(crate) wire: Wire,
    /// Whether to offer X25519 and AES-128-GCM of TLS 1.3 alone, so that all proxies do the same arithmetic.
    pub(crate) pinned: bool,
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    /// Requests before those that are measured.
    pub(crate) warm_up: usize,
    /// Requests a second; without it each begins when the one before has ended.
    pub(crate) rate: Option<f64>,
    /// Processes whose CPU time is taken.
    pub(crate) pids: Vec<u32>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Bytes of each body, on average.
    pub(crate) bytes: u64,
    /// How many bodies had which length.
    pub(crate) lengths: BTreeMap<u64, u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// CPU seconds of the processes for 100,000 requests.
    pub(crate) cpu: f64,
}

/// Latencies, statuses and lengths.
#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<Duration>,
    statuses: BTreeMap<u16, u64>,
    lengths: BTreeMap<u64, u64>,
}

/// One request at a time; those of one HTTP/2 connection share it.
#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: http::Request<Empty<Bytes>>) -> http::Response<Incoming> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Self::Http2(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
        }
    }
}

/// When the requests of one sender begin.
#[derive(Debug)]
enum Turns {
    /// One after the other, while any are left.
    Free(Arc<AtomicI64>),
    /// At these instants, or as soon after as the one before has ended.
    Due(mpsc::UnboundedReceiver<Instant>),
}

impl Turns {
    /// Waits for the next request, and says from when on its time counts: from when it was due if the sender was
    /// busy then, so that a slow reply is not hidden by those that waited for it.
    async fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Free(left) => (left.fetch_sub(1, Ordering::Relaxed) > 0).then(Instant::now),
            Self::Due(due) => match due.try_recv() {
                Ok(late) => Some(late),
                Err(_) => due.recv().await.map(|_| Instant::now()),
            },
        }
    }
}

impl Load {
    fn tls(&self) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let chain = CertificateDer::pem_file_iter(&self.certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let mut provider = default_provider();
        if self.pinned {
            provider.kx_groups = vec![kx_group::X25519];
            provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        }
        let versions: &[_] = if self.pinned { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        // Every handshake is a full one.
        tls.resumption = rustls::client::Resumption::disabled();
        tls.alpn_protocols = match self.wire {
            Wire::Http1 => vec![b"http/1.1".to_vec()],
            Wire::Http2 { .. } => vec![b"h2".to_vec()],
        };
        TlsConnector::from(Arc::new(tls))
    }

    async fn open(&self, tls: &TlsConnector) -> TlsStream<TcpStream> {
        let host = self.url.host().unwrap().to_owned();
        let stream = TcpStream::connect((host.as_str(), self.url.port_u16().unwrap_or(443))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        tls.connect(ServerName::try_from(host).unwrap(), stream).await.unwrap()
    }

    async fn connect(&self) -> Vec<Sender> {
        let tls = self.tls();
        let mut senders = Vec::new();
        for _ in 0..self.connections {
            let stream = TokioIo::new(self.open(&tls).await);
            match self.wire {
                Wire::Http1 => {
                    let (sender, connection) = http1::handshake(stream).await.unwrap();
                    tokio::spawn(connection);
                    senders.push(Sender::Http1(sender));
                }
                Wire::Http2 { streams } => {
                    let mut spoken = http2::Builder::new(TokioExecutor::new());
                    // Wide enough that no proxy waits for this side.
                    spoken.initial_stream_window_size(4 << 20).initial_connection_window_size(64 << 20);
                    let (sender, connection) = spoken.handshake(stream).await.unwrap();
                    tokio::spawn(connection);
                    senders.extend((0..streams).map(|_| Sender::Http2(sender.clone())));
                }
            }
        }
        senders
    }

    fn request(&self) -> http::Request<Empty<Bytes>> {
        let mut request = match self.wire {
            Wire::Http1 => http::Request::get(self.url.path_and_query().unwrap().as_str())
                .header("host", self.url.authority().unwrap().as_str()),
            Wire::Http2 { .. } => http::Request::get(self.url.clone()).version(http::Version::HTTP_2),
        };
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request.body(Empty::new()).unwrap()
    }

    async fn call(&self, mut sender: Sender, mut turns: Turns) -> (Sender, Seen) {
        let mut seen = Seen::default();
        while let Some(from) = turns.next().await {
            let response = sender.send(self.request()).await;
            *seen.statuses.entry(response.status().as_u16()).or_default() += 1;
            let mut body = response.into_body();
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                length += frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
            }
            seen.latencies.push(from.elapsed());
            *seen.lengths.entry(length).or_default() += 1;
        }
        (sender, seen)
    }

    /// Makes `requests` by all senders together.
    async fn stage(
        self: &Arc<Self>,
        senders: Vec<Sender>,
        requests: usize,
        rate: Option<f64>,
    ) -> (Vec<Sender>, Seen) {
        let left = Arc::new(AtomicI64::new(requests as i64));
        let (mut clocks, mut tasks, mut idle, mut seen) = (vec![], vec![], vec![], Seen::default());
        for sender in senders {
            let turns = if rate.is_some() {
                let (clock, due) = mpsc::unbounded_channel();
                clocks.push(clock);
                Turns::Due(due)
            } else {
                Turns::Free(Arc::clone(&left))
            };
            let load = Arc::clone(self);
            tasks.push(tokio::spawn(async move { load.call(sender, turns).await }));
        }
        if let Some(rate) = rate {
            std::thread::spawn(move || tell_when_due(&clocks, requests, rate));
        }
        for task in tasks {
            let (sender, more) = task.await.unwrap();
            idle.push(sender);
            seen.latencies.extend(more.latencies);
            more.statuses.into_iter().for_each(|(status, n)| *seen.statuses.entry(status).or_default() += n);
            more.lengths.into_iter().for_each(|(length, n)| *seen.lengths.entry(length).or_default() += n);
        }
        (idle, seen)
    }

    /// Makes all requests, on connections that are open before the first.
    pub(crate) async fn run(self) -> Found {
        let load = Arc::new(self);
        let senders = load.connect().await;
        let (senders, _) = load.stage(senders, load.warm_up, None).await;
        let (before, started) = (cpu_seconds(&load.pids), Instant::now());
        let (_senders, seen) = load.stage(senders, load.requests, load.rate).await;
        let (took, spent) = (started.elapsed(), cpu_seconds(&load.pids) - before);
        found(seen, took, spent)
    }

    /// Makes `requests` full handshakes and no request. Each connection is closed in order and waited for, so that the
    /// other side has seen the certificate, and took it: a refusal is an alert, on which this stops.
    pub(crate) async fn shake_hands(self) -> Found {
        let tls = self.tls();
        let load = Arc::new(self);
        let left = Arc::new(AtomicI64::new(load.requests as i64));
        let (before, started) = (cpu_seconds(&load.pids), Instant::now());
        let mut tasks = Vec::new();
        for _ in 0..load.connections {
            let (load, tls, left) = (Arc::clone(&load), tls.clone(), Arc::clone(&left));
            tasks.push(tokio::spawn(async move {
                let mut latencies = Vec::new();
                while left.fetch_sub(1, Ordering::Relaxed) > 0 {
                    let from = Instant::now();
                    let stream = load.open(&tls).await;
                    latencies.push(from.elapsed());
                    close(stream).await;
                }
                latencies
            }));
        }
        let mut seen = Seen::default();
        for task in tasks {
            seen.latencies.extend(task.await.unwrap());
        }
        let (took, spent) = (started.elapsed(), cpu_seconds(&load.pids) - before);
        found(seen, took, spent)
    }

    /// Opens all connections, makes one request on each, and holds them until `done`.
    pub(crate) async fn hold(self, done: impl Future<Output = ()>) {
        let load = Arc::new(self);
        let senders = load.connect().await;
        let mut held = Vec::new();
        for sender in senders {
            let (sender, seen) = load.call(sender, Turns::Free(Arc::new(AtomicI64::new(1)))).await;
            assert!(seen.statuses.keys().eq([&200]), "{:?}", seen.statuses);
            held.push(sender);
        }
        done.await;
    }
}

/// Closes a connection and waits until the other side has done so too, in whatever order; an alert is an error.
async fn close(mut stream: TlsStream<TcpStream>) {
    let mut rest = Vec::new();
    let closed = async {
        stream.shutdown().await?;
        stream.read_to_end(&mut rest).await.map(drop)
    };
    if let Err(error) = closed.await {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        assert!(matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof), "{error}");
    }
}

/// Tells the senders in turn when a request is due.
fn tell_when_due(senders: &[mpsc::UnboundedSender<Instant>], requests: usize, rate: f64) {
    let started = Instant::now();
    for (number, sender) in (0..requests).zip(senders.iter().cycle()) {
        let due = started + Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if sender.send(due).is_err() {
            return;
        }
    }
}

fn found(mut seen: Seen, took: Duration, spent: f64) -> Found {
    seen.latencies.sort_unstable();
    let count = seen.latencies.len() as f64;
    let at = |part: f64| seen.latencies.get((count * part) as usize).copied().unwrap_or(Duration::ZERO);
    let bytes: u64 = seen.lengths.iter().map(|(length, n)| length * n).sum();
    Found {
        rate: count / took.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        bytes: bytes / seen.latencies.len().max(1) as u64,
        lengths: seen.lengths,
        statuses: seen.statuses,
        cpu: spent / count * 100_000.0,
    }
}

/// User and system time of processes so far, in seconds (proc(5), fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds(pids: &[u32]) -> f64 {
    let of = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    pids.iter().map(of).sum::<f64>() / 100.0
}
