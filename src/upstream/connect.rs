//! Sets up connections: to an address that was looked up beforehand, and no more than there may be.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use proxy_header::{ProxiedAddress, ProxyHeader};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// There are as many connections as there may be, and none ended in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection was free within {within:?}, and there are {bound} already")]
struct NoneFree {
    bound: usize,
    within: Duration,
}

/// Looks up the addresses of a name, unless one is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pinned(pub(super) Option<SocketAddr>);

impl Service<Name> for Pinned {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Boxed<Self::Response, io::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let pinned = self.0;
        Box::pin(async move {
            match pinned {
                Some(address) => Ok(vec![address].into_iter()),
                // The port is set by who asks.
                None => {
                    Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>().into_iter())
                }
            }
        })
    }
}

/// Sets up TCP connections.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    http: HttpConnector<Pinned>,
    places: Arc<Semaphore>,
    bound: usize,
    within: Duration,
    announces: bool,
}

tokio::task_local! {
    /// The ends of the connection on whose behalf one is set up. Without a pool it is set up in the task of its request,
    /// and nothing else tells a connector of that.
    static ENDS: (SocketAddr, SocketAddr);
}

/// Whatever connection `sending` sets up is on behalf of the one between `ends`.
pub(super) async fn announcing<T>(ends: (SocketAddr, SocketAddr), sending: impl Future<Output = T>) -> T {
    ENDS.scope(ends, sending).await
}

/// How a connection says on whose behalf it is: on its own, if on nobody's.
pub(super) fn announcement(ends: Option<(SocketAddr, SocketAddr)>) -> Result<Vec<u8>, BoxError> {
    let header = match ends {
        None => ProxyHeader::with_local(),
        Some((from, to)) if from.is_ipv4() == to.is_ipv4() => {
            ProxyHeader::with_address(ProxiedAddress::stream(from, to))
        }
        // Both ends are of one family there.
        Some((from, to)) => ProxyHeader::with_address(ProxiedAddress::stream(mapped(from), mapped(to))),
    };
    let mut bytes = Vec::with_capacity(64);
    header.encode_v2(&mut bytes)?;
    Ok(bytes)
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(four) => (four.ip().to_ipv6_mapped(), four.port()).into(),
        SocketAddr::V6(_) => address,
    }
}

impl Connector {
    pub(super) fn new(address: Option<SocketAddr>, bound: usize, within: Duration, announces: bool) -> Self {
        let mut http = HttpConnector::new_with_resolver(Pinned(address));
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(within));
        let bound = bound.min(Semaphore::MAX_PERMITS);
        Self { http, places: Arc::new(Semaphore::new(bound)), bound, within, announces }
    }
}

impl Service<Uri> for Connector {
    type Response = Counted;
    type Error = BoxError;
    type Future = Boxed<Counted, BoxError>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { mut http, places, bound, within, announces } = self.clone();
        let header = announces.then(|| announcement(ENDS.try_with(|ends| *ends).ok()));
        Box::pin(async move {
            // A connection that was just used becomes free in a moment, so one waits; but not for long, since
            // who found another meanwhile goes on and leaves this wait behind.
            let place = tokio::time::timeout(within, places.acquire_owned()).await;
            let place = place.map_err(|_elapsed| NoneFree { bound, within })??;
            poll_fn(|cx| http.poll_ready(cx)).await?;
            let mut stream = http.call(uri).await?;
            if let Some(header) = header {
                stream.inner_mut().write_all(&header?).await?;
            }
            Ok(Counted { stream, _place: place })
        })
    }
}

/// A connector whose every connection is made in time, its TLS handshake included. Who found another meanwhile
/// leaves the making of one behind: without an end of its own it would hold its place for ever.
#[derive(Debug, Clone)]
pub(super) struct InTime<C> {
    pub(super) inner: C,
    pub(super) within: Duration,
}

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError, Future: Send + 'static>,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Boxed<C::Response, BoxError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // So long for a place, and so long for the connection.
        let (connecting, within) = (self.inner.call(uri), self.within.saturating_mul(2));
        Box::pin(async move { tokio::time::timeout(within, connecting).await? })
    }
}

/// A connection that is counted until it ends.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TokioIo<TcpStream>,
    _place: OwnedSemaphorePermit,
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        // What the stream would say of its ends is asked by nobody, and would be copied for every reply.
        Connected::new()
    }
}

impl Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use proxy_header::ParseConfig;

    use super::*;

    #[test]
    fn both_ends_are_of_one_family() {
        for (from, to, said) in [
            ("192.0.2.1:7", "10.0.0.1:8", "192.0.2.1:7"),
            ("[2001:db8::1]:7", "[::1]:8", "[2001:db8::1]:7"),
            ("192.0.2.1:7", "[::1]:8", "[::ffff:192.0.2.1]:7"),
        ] {
            let bytes = announcement(Some((from.parse().unwrap(), to.parse().unwrap()))).unwrap();
            let (header, length) = ProxyHeader::parse(&bytes, ParseConfig::default()).unwrap();
            assert_eq!(
                (header.proxied_address().unwrap().source, length),
                (said.parse().unwrap(), bytes.len())
            );
        }
        let bytes = announcement(None).unwrap();
        let (header, _) = ProxyHeader::parse(&bytes, ParseConfig::default()).unwrap();
        assert_eq!((header.proxied_address(), bytes.get(12)), (None, Some(&0x20)));
    }
}
