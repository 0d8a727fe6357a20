//! What commands ask of a running gate: one page, over its admin socket or its metrics listener.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::CommandError;
use crate::kernel::diagnostic::chain;

/// The bound on connecting to the gate.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest answer: all metrics of a large city fit.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Where a gate is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// The socket of `[admin]`.
    Socket(&'a Path),
    /// The address of `[metrics]`.
    Address(SocketAddr),
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Nobody listens, or the socket cannot be opened.
    #[error("{0}")]
    Connect(#[source] io::Error),
    /// Too slow.
    #[error("no {what} within {} s", within.as_secs())]
    Timeout { what: &'static str, within: Duration },
    /// The connection broke before it was one.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Not an answer.
    #[error("{0}")]
    Odd(String),
}

impl AskError {
    /// The same, as the failure of a command that has no use for a gate that does not answer.
    pub(super) fn at(self, socket: &Path) -> CommandError {
        let (socket, why) = (socket.to_owned(), self.to_string());
        match self {
            Self::Odd(_) => CommandError::Answer { socket, why },
            Self::Connect(_) | Self::Timeout { .. } | Self::Broken(_) => {
                CommandError::Unreachable { socket, why }
            }
        }
    }
}

/// A runtime for one command's exchanges.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)
}

/// Asks for one page, and waits for all of it no longer than `within`.
pub(super) async fn ask(
    at: At<'_>,
    method: Method,
    path: &'static str,
    within: Duration,
) -> Result<Page, AskError> {
    send(at, method, path, Bytes::new(), within).await
}

/// Sends `body` to one page, and waits for all of the answer no longer than `within`.
pub(super) async fn send(
    at: At<'_>,
    method: Method,
    path: &'static str,
    body: Bytes,
    within: Duration,
) -> Result<Page, AskError> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "pinegate")
        .header(header::ACCEPT, "application/json")
        .body(Full::new(body))
        .map_err(|error| AskError::Odd(chain(&error)))?;
    match at {
        At::Socket(socket) => {
            let stream = connected(UnixStream::connect(socket), within).await?;
            exchange(stream, request, within).await
        }
        At::Address(address) => {
            let stream = connected(TcpStream::connect(address), within).await?;
            exchange(stream, request, within).await
        }
    }
}

async fn connected<S>(
    connecting: impl Future<Output = io::Result<S>>,
    within: Duration,
) -> Result<S, AskError> {
    let within = within.min(CONNECT_TIMEOUT);
    match tokio::time::timeout(within, connecting).await {
        Ok(connected) => connected.map_err(AskError::Connect),
        Err(_) => Err(AskError::Timeout { what: "connection", within }),
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, within: Duration) -> Result<Page, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match tokio::time::timeout(within, talk(stream, request)).await {
        Ok(page) => page,
        Err(_) => Err(AskError::Timeout { what: "answer", within }),
    }
}

async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Page, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &(dyn std::error::Error + 'static)| AskError::Broken(chain(error));
    let odd = |error: &(dyn std::error::Error + 'static)| AskError::Odd(chain(error));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let asked = async {
        let reply = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| odd(&*error))?.to_bytes();
        Ok(Page { status, body })
    };
    // A connection that ends early fails the exchange itself, which says so better.
    let carry = async {
        connection.await.unwrap_or(());
        std::future::pending::<()>().await;
    };
    tokio::select! {
        page = asked => page,
        () = carry => Err(AskError::Odd("the connection ended".to_owned())),
    }
}
