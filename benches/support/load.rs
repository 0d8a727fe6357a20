//! Load over mutual TLS, bounded in count: HTTP/1.1 with keep-alive.
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
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// Who asks what, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) url: http::Uri,
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The value of the header field `Authorization`.
    pub(crate) authorization: Option<String>,
    pub(crate) connections: usize,
    pub(crate) requests: usize,
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
    /// Bytes of each body.
    pub(crate) bytes: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// CPU seconds of the processes for 100,000 requests.
    pub(crate) cpu: f64,
}

/// Latencies, statuses and bytes.
type Seen = (Vec<Duration>, BTreeMap<u16, u64>, u64);

impl Load {
    fn tls(&self) -> tokio_rustls::TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let chain = CertificateDer::pem_file_iter(&self.certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(tls))
    }

    async fn connect(&self) -> Vec<SendRequest<Empty<Bytes>>> {
        let (host, port) = (self.url.host().unwrap().to_owned(), self.url.port_u16().unwrap_or(443));
        let tls = self.tls();
        let mut senders = Vec::new();
        for _ in 0..self.connections {
            let stream = tokio::net::TcpStream::connect((host.as_str(), port)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let name = ServerName::try_from(host.clone()).unwrap();
            let stream = tls.connect(name, stream).await.unwrap();
            let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            senders.push(sender);
        }
        senders
    }

    async fn call(&self, mut sender: SendRequest<Empty<Bytes>>, left: &AtomicI64) -> Seen {
        let mut seen = Seen::default();
        while left.fetch_sub(1, Ordering::Relaxed) > 0 {
            let mut request = http::Request::get(self.url.path_and_query().unwrap().as_str())
                .header("host", self.url.authority().unwrap().as_str());
            if let Some(authorization) = &self.authorization {
                request = request.header("authorization", authorization);
            }
            let sent = Instant::now();
            sender.ready().await.unwrap();
            let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            *seen.1.entry(response.status().as_u16()).or_default() += 1;
            seen.2 += response.into_body().collect().await.unwrap().to_bytes().len() as u64;
            seen.0.push(sent.elapsed());
        }
        seen
    }

    /// Makes all requests, on connections that are open before the first.
    pub(crate) async fn run(self) -> Found {
        let senders = self.connect().await;
        let load = Arc::new(self);
        let left = Arc::new(AtomicI64::new(load.requests as i64));
        let cpu = || load.pids.iter().map(|pid| cpu_seconds(*pid)).sum::<f64>();
        let (before, started) = (cpu(), Instant::now());
        let mut tasks = Vec::new();
        for sender in senders {
            let (load, left) = (Arc::clone(&load), Arc::clone(&left));
            tasks.push(tokio::spawn(async move { load.call(sender, &left).await }));
        }
        let (mut latencies, mut statuses, mut bytes) = Seen::default();
        for task in tasks {
            let (more, by_status, more_bytes) = task.await.unwrap();
            latencies.extend(more);
            bytes += more_bytes;
            for (status, count) in by_status {
                *statuses.entry(status).or_default() += count;
            }
        }
        let (took, spent) = (started.elapsed(), cpu() - before);
        latencies.sort_unstable();
        let count = latencies.len() as f64;
        let at = |part: f64| latencies.get((count * part) as usize).copied().unwrap_or(Duration::ZERO);
        Found {
            rate: count / took.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            bytes: bytes / latencies.len().max(1) as u64,
            statuses,
            cpu: spent / count * 100_000.0,
        }
    }
}

/// User and system time of a process so far, in seconds (proc(5), fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
