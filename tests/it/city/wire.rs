//! A client that nobody tuned to the gate: tokio-rustls and a bare hyper connection, or bare bytes.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Gate, soon};

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// No body.
pub(crate) fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body at hand.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of unknown length that is sent part by part; it ends when the sender is dropped.
pub(crate) fn in_parts() -> (mpsc::Sender<io::Result<Frame<Bytes>>>, Body) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Parts(receiver).boxed_unsync())
}

/// A frame that holds trailers.
pub(crate) fn trailers(fields: &[(&'static str, &'static str)]) -> Frame<Bytes> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, http::HeaderValue::from_static(value));
    }
    Frame::trailers(map)
}

/// HTTP over which a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

/// Who connects, and how.
#[derive(Clone)]
pub(crate) struct Client {
    tls: ClientConfig,
    server: SocketAddr,
    /// What is sent before the handshake.
    before: Vec<u8>,
}

impl Client {
    /// A client of `gate`, which trusts `ca` and shows `certificate` with its key.
    pub(crate) fn new(gate: &Gate, ca: &Path, certificate: Option<(&Path, &Path)>) -> Self {
        Self::with_versions(gate, ca, certificate, rustls::ALL_VERSIONS)
    }

    /// A client of another server, to which it shows no certificate.
    pub(crate) fn to(server: SocketAddr, ca: &Path) -> Self {
        Self::configured(server, ca, None, rustls::ALL_VERSIONS)
    }

    /// The same as [`Client::new`], limited to versions of TLS.
    pub(crate) fn with_versions(
        gate: &Gate,
        ca: &Path,
        certificate: Option<(&Path, &Path)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::configured(gate.address, ca, certificate, versions)
    }

    fn configured(
        server: SocketAddr,
        ca: &Path,
        certificate: Option<(&Path, &Path)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let tls = match certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        Self { tls, server, before: Vec::new() }
    }

    /// The same, behind somebody who says these bytes first.
    pub(crate) fn behind(self, before: Vec<u8>) -> Self {
        Self { before, ..self }
    }

    /// The same, in TLS records of at most so many bytes.
    pub(crate) fn in_records_of(mut self, bytes: usize) -> Self {
        self.tls.max_fragment_size = Some(bytes);
        self
    }

    /// A TCP connection, on which nothing is said yet.
    pub(crate) async fn reach(&self) -> TcpStream {
        soon("a connection", TcpStream::connect(self.server)).await.unwrap()
    }

    /// A TLS stream, whatever is then spoken on it.
    pub(crate) async fn open(&self, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
        let stream = soon("a connection", TcpStream::connect(self.server)).await?;
        self.open_over(stream, protocol).await
    }

    /// The same, on a TCP connection that is there.
    async fn open_over(&self, mut stream: TcpStream, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        stream.write_all(&self.before).await?;
        self.shake_hands(stream, &[protocol]).await
    }

    /// A TLS handshake on a connection that is there, offering `protocols`.
    pub(crate) async fn shake_hands<S>(&self, stream: S, protocols: &[&[u8]]) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(tls));
        let name = ServerName::try_from("localhost").unwrap();
        soon("a TLS handshake", connector.connect(name, stream)).await
    }

    /// A connection for any number of requests.
    pub(crate) async fn connect(&self, http: Http) -> io::Result<Connection> {
        let stream = soon("a connection", TcpStream::connect(self.server)).await?;
        self.connect_over(stream, http).await
    }

    /// The same, on a TCP connection that is there.
    pub(crate) async fn connect_over(&self, stream: TcpStream, http: Http) -> io::Result<Connection> {
        let protocol: &[u8] = if http == Http::Two { b"h2" } else { b"http/1.1" };
        let io = TokioIo::new(self.open_over(stream, protocol).await?);
        match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                Ok(Connection::One(tokio::sync::Mutex::new(sender)))
            }
            Http::Two => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                Ok(Connection::Two(sender))
            }
        }
    }
}

/// An open connection.
pub(crate) enum Connection {
    One(tokio::sync::Mutex<http1::SendRequest<Body>>),
    Two(http2::SendRequest<Body>),
}

impl Connection {
    /// Sends a request whose target is a path; the authority is added as the version wants it.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                request.headers_mut().entry("host").or_insert(http::HeaderValue::from_static("localhost"));
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                let mut parts = std::mem::take(request.uri_mut()).into_parts();
                parts.scheme = Some(http::uri::Scheme::HTTPS);
                parts.authority = Some(http::uri::Authority::from_static("localhost"));
                *request.uri_mut() = http::Uri::from_parts(parts).unwrap();
                let mut sender = sender.clone();
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// A body that is fed from elsewhere.
struct Parts(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx)
    }
}
