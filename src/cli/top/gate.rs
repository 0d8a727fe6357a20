//! Where a gate's page of metrics is, and how it is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::figures::{Figures, NoGate};
use super::page::{Page, PageError};
use crate::kernel::diagnostic::chain;

/// The largest page: some megabytes for thousands of resources.
const MAX_PAGE_BYTES: usize = 32 << 20;
/// The bound on connecting and on the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where gates have their page.
const PATH: &str = "/metrics";

/// A page of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// `host:port`, as one connects to it.
    authority: String,
    path: String,
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadingError {
    #[error("no connection")]
    Unreachable(#[source] std::io::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    #[error("it cannot be asked for")]
    Request(#[source] http::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("the answer is cut short, or larger than {} MiB", MAX_PAGE_BYTES >> 20)]
    Body,
    #[error(transparent)]
    Page(#[from] PageError),
    #[error(transparent)]
    NoGate(#[from] NoGate),
}

impl Source {
    /// The page of the gate whose `[metrics]` listener is at `address`, on this machine.
    pub(super) fn local(address: SocketAddr) -> Self {
        // What listens everywhere is asked where it is near.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        Self { authority: SocketAddr::new(ip, address.port()).to_string(), path: PATH.to_owned() }
    }

    /// Reads `http://HOST:PORT`, with or without a path.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected a URL such as `http://gate.example:9464`: metrics are plain HTTP";
        let url: Uri = text.parse().map_err(|_| EXPECTED)?;
        let authority =
            url.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(EXPECTED)?;
        if url.scheme_str() != Some("http") {
            return Err(EXPECTED);
        }
        let path = match url.path_and_query().map_or("/", |path| path.as_str()) {
            "/" => PATH,
            path => path,
        };
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { authority: format!("{}:{port}", authority.host()), path: path.to_owned() })
    }

    /// As people know it.
    pub(super) fn shown(&self) -> String {
        let path = if self.path == PATH { "" } else { self.path.as_str() };
        format!("http://{}{path}", self.authority)
    }

    /// Asks for the page and reads what is on it.
    pub(super) async fn figures(&self) -> Result<Figures, ReadingError> {
        match tokio::time::timeout(PATIENCE, self.page()).await {
            Ok(page) => Ok(Figures::of(&Page::parse(&page?)?)?),
            Err(_elapsed) => Err(ReadingError::Timeout),
        }
    }

    async fn page(&self) -> Result<Bytes, ReadingError> {
        // A connection for each reading: one that is kept would hide that another gate answers now.
        let stream = TcpStream::connect(&self.authority).await.map_err(ReadingError::Unreachable)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ReadingError::Broken)?;
        let request = Request::get(self.path.as_str())
            .header(header::HOST, self.authority.as_str())
            .header(header::USER_AGENT, concat!("pinegate/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(ReadingError::Request)?;
        let talk = async {
            let answer = sender.send_request(request).await.map_err(ReadingError::Broken)?;
            if answer.status() != StatusCode::OK {
                return Err(ReadingError::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), MAX_PAGE_BYTES).collect().await;
            Ok(body.map_err(|_| ReadingError::Body)?.to_bytes())
        };
        // A connection that ends early fails the exchange itself, which says so better.
        let carry = async {
            connection.await.unwrap_or(());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            page = talk => page,
            () = carry => Err(ReadingError::Body),
        }
    }
}

/// The words of an error, all of them.
pub(super) fn why(error: &ReadingError) -> String {
    chain(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_address() {
        for (text, shown) in [
            ("http://gate.example:9464", "http://gate.example:9464"),
            ("http://gate.example:9464/", "http://gate.example:9464"),
            ("http://gate.example/metrics", "http://gate.example:80"),
            ("http://[::1]:9464/gate/a?x=1", "http://[::1]:9464/gate/a?x=1"),
        ] {
            assert_eq!(Source::parse(text).unwrap().shown(), shown);
        }
        for bad in ["", "gate:9464", "https://gate:9464", "http://", "/metrics", "http://u:p@gate"] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
        for (listens, asked) in [
            ("0.0.0.0:9464", "http://127.0.0.1:9464"),
            ("[::]:9464", "http://[::1]:9464"),
            ("10.0.0.7:1", "http://10.0.0.7:1"),
        ] {
            assert_eq!(Source::local(listens.parse().unwrap()).shown(), asked);
        }
    }
}
