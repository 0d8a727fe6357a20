//! A load generator for mutual TLS, bounded in count, for comparing proxies in one run:
//!
//! `cargo bench --bench load -- --url https://localhost:8443/path --ca ca.pem --cert client.pem --key
//! client.key [--token FILE] [--connections 64] [--requests 100000] [--pid PID,PID]`
//!
//! Prints requests a second, latency percentiles, statuses, and the CPU seconds that the processes of
//! `--pid` took meanwhile, for 100,000 requests. Speaks HTTP/1.1 with keep-alive.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a measuring tool that may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

fn main() {
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(name) = words.next() {
        let name = name.strip_prefix("--").expect("options begin with --").to_owned();
        given.insert(name, words.next().expect("every option has a value"));
    }
    if given.is_empty() {
        println!("load: nothing to do; see the head of benches/load.rs");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(load(given));
}

async fn load(given: BTreeMap<String, String>) {
    let number = |name: &str, usual: i64| given.get(name).map_or(usual, |text| text.parse().unwrap());
    let url: http::Uri = given["url"].parse().unwrap();
    let (host, port) = (url.host().unwrap().to_owned(), url.port_u16().unwrap_or(443));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&given["ca"]).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let chain = CertificateDer::pem_file_iter(&given["cert"]).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&given["key"]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let token =
        given.get("token").map(|file| format!("Bearer {}", std::fs::read_to_string(file).unwrap().trim()));
    let (connections, requests) = (number("connections", 64), number("requests", 100_000));
    let left = Arc::new(AtomicI64::new(requests));
    let pids: Vec<String> =
        given.get("pid").map_or_else(Vec::new, |t| t.split(',').map(str::to_owned).collect());

    let mut senders = Vec::new();
    for _ in 0..connections {
        let stream = tokio::net::TcpStream::connect((host.as_str(), port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(host.clone()).unwrap();
        let stream = tls.connect(name, stream).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        senders.push(sender);
    }
    let before: f64 = pids.iter().map(|pid| cpu_seconds(pid)).sum();
    let started = Instant::now();
    let mut tasks = Vec::new();
    for mut sender in senders {
        let (left, url, token) = (Arc::clone(&left), url.clone(), token.clone());
        tasks.push(tokio::spawn(async move {
            let (mut latencies, mut statuses, mut bytes) = (Vec::new(), BTreeMap::<u16, u64>::new(), 0_u64);
            while left.fetch_sub(1, Ordering::Relaxed) > 0 {
                let mut request = http::Request::get(url.path_and_query().unwrap().as_str())
                    .header("host", url.authority().unwrap().as_str());
                if let Some(token) = &token {
                    request = request.header("authorization", token);
                }
                let sent = Instant::now();
                sender.ready().await.unwrap();
                let response =
                    sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
                *statuses.entry(response.status().as_u16()).or_default() += 1;
                bytes += response.into_body().collect().await.unwrap().to_bytes().len() as u64;
                latencies.push(sent.elapsed());
            }
            (latencies, statuses, bytes)
        }));
    }
    let (mut latencies, mut statuses, mut bytes) = (Vec::new(), BTreeMap::<u16, u64>::new(), 0);
    for task in tasks {
        let (more, by_status, more_bytes) = task.await.unwrap();
        latencies.extend(more);
        bytes += more_bytes;
        for (status, count) in by_status {
            *statuses.entry(status).or_default() += count;
        }
    }
    let took = started.elapsed();
    let spent: f64 = pids.iter().map(|pid| cpu_seconds(pid)).sum::<f64>() - before;
    latencies.sort_unstable();
    let at = |part: f64| {
        latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or(Duration::ZERO)
    };
    let count = latencies.len() as f64;
    println!(
        "{:.0} requests/s, p50 {:?}, p99 {:?}, {} body bytes each, statuses {statuses:?}, CPU s per 100,000: {:.2}",
        count / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        bytes / latencies.len().max(1) as u64,
        spent / count * 100_000.0
    );
}

/// User and system time of a process so far, in seconds (proc(5), fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
