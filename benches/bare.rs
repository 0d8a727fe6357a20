//! The floor of every comparison with other proxies: the same crates as the gate and none of its work. A reverse proxy over
//! mutual TLS that takes HTTP/1.1 and HTTP/2 and passes requests on as they are; no log, no limits, no deadlines.
//!
//! `cargo bench --bench bare -- --listen 127.0.0.1:8443 --cert server.pem --key server.key --ca ca.pem --upstream
//! 127.0.0.1:8080 [--threads 2] [--runtime cores]`
//!
//! `--runtime cores`: a runtime of its own for each thread, each with a listening socket of its own (`SO_REUSEPORT`).
//! `--runtime stealing`: one runtime whose threads take work from each other. Serves until it is ended.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measuring tool that may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.is_empty() {
        println!("bare: nothing to do; see the head of benches/bare.rs");
        return;
    }
    let given: BTreeMap<&str, &str> =
        words.chunks(2).map(|pair| (pair[0].trim_start_matches('-'), pair[1].as_str())).collect();
    let threads = given.get("threads").map_or(2, |text| text.parse().unwrap());
    let at: SocketAddr = given["listen"].parse().unwrap();
    let (tls, upstream) = (tls(&given), given["upstream"].parse().unwrap());
    let proxy = Proxy { tls, upstream };
    if given.get("runtime") == Some(&"stealing") {
        let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
        return serve(&runtime, at, &proxy);
    }
    let core = || serve(&Builder::new_current_thread().enable_all().build().unwrap(), at, &proxy);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(core))));
}

fn tls(given: &BTreeMap<&str, &str>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(given["ca"]).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = CertificateDer::pem_file_iter(given["cert"]).unwrap().map(Result::unwrap).collect();
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(given["key"]).unwrap())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(tls))
}

#[derive(Clone)]
struct Proxy {
    tls: TlsAcceptor,
    upstream: Authority,
}

fn serve(runtime: &Runtime, at: SocketAddr, proxy: &Proxy) {
    runtime.block_on(async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let listener = listen(at).expect("the address is free");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (proxy, client) = (proxy.clone(), client.clone());
            // What becomes of one connection is the business of its client.
            tokio::spawn(async move { drop(proxy.connection(stream, client).await) });
        }
    });
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(at)?;
    socket.listen(4_096)
}

type Answer = Response<Either<Incoming, Empty<Bytes>>>;
type Platform = Client<HttpConnector, Incoming>;

impl Proxy {
    async fn connection(self, stream: TcpStream, client: Platform) -> Result<(), Box<dyn std::error::Error>> {
        stream.set_nodelay(true)?;
        let stream = self.tls.accept(stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let upstream = self.upstream;
        let service = service_fn(move |request| forward(request, upstream.clone(), client.clone()));
        if is_http2 {
            let spoken = http2::Builder::new(TokioExecutor::new());
            spoken.serve_connection(TokioIo::new(stream), service).await?;
        } else {
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
        }
        Ok(())
    }
}

async fn forward(
    mut request: Request<Incoming>,
    upstream: Authority,
    client: Platform,
) -> Result<Answer, http::Error> {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(upstream));
    *request.uri_mut() = Uri::from_parts(uri)?;
    *request.version_mut() = Version::HTTP_11;
    strip(request.headers_mut());
    let Ok(mut response) = client.request(request).await else {
        return Response::builder().status(StatusCode::BAD_GATEWAY).body(Either::Right(Empty::new()));
    };
    strip(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    Ok(response.map(Either::Left))
}

/// Takes off what belongs to one connection.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION.as_str(), TRANSFER_ENCODING.as_str(), "keep-alive", "te"] {
        headers.remove(name);
    }
}
