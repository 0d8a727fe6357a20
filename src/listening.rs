//! What small listeners have in common, those of operators and of witnesses: places for connections, and HTTP/1.1 on
//! one of them, in which every wait has a bound.
//!
//! Knows nothing of what is served. The listener of clients has bounds of its own, which operators set.

mod places;

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

pub use places::{Place, Places};

/// How long a listener rests when no connection could be accepted.
pub const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The size of a request head, in bytes, and of what is buffered of a body.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How many header fields a request may have.
const MAX_HEADERS: usize = 64;

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From one request head to the next. Does not count while a reply is being written.
    pub head: Duration,
    /// For a client that takes nothing of what is written to it.
    pub stall: Duration,
    /// The age at which a connection is asked to end.
    pub age: Duration,
    /// How long it may take to do so.
    pub last_reply: Duration,
}

impl Patience {
    /// What small listeners have.
    pub const USUAL: Self = Self {
        head: Duration::from_secs(10),
        stall: Duration::from_secs(10),
        age: Duration::from_secs(120),
        last_reply: Duration::from_secs(10),
    };
}

/// Why a connection ended before its client ended it.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It could not go on. A client that took nothing for too long is one of the causes.
    #[error(transparent)]
    Failed(#[from] hyper::Error),
    /// It was asked to end, and did not.
    #[error("the last reply was taken too slowly")]
    Slow,
}

/// Serves HTTP/1.1 on `stream` until its client ends it, or it is old, or `stop`.
///
/// # Errors
/// Why it ended otherwise.
pub async fn serve<S, A, F>(
    stream: S,
    patience: Patience,
    stop: &CancellationToken,
    answer: A,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .half_close(false)
        .serve_connection(TokioIo::new(Impatient::new(stream, patience.stall)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return Ok(served?),
        () = stop.cancelled() => {}
        () = tokio::time::sleep(patience.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A client that takes little of its reply is not waited for.
    match tokio::time::timeout(patience.last_reply, connection).await {
        Ok(served) => Ok(served?),
        Err(_elapsed) => Err(Ended::Slow),
    }
}

/// A stream that fails once its other end takes nothing of what is written for a while. hyper waits for it for ever, and
/// does not count that as waiting for a head.
struct Impatient<S> {
    stream: S,
    stall: Duration,
    /// The end of the wait. Counts only while there is one.
    until: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<S: Unpin> Impatient<S> {
    fn new(stream: S, stall: Duration) -> Self {
        Self { stream, stall, until: Box::pin(tokio::time::sleep(stall)), is_waiting: false }
    }

    /// What a wait for the other end comes to.
    fn bound<T>(
        &mut self,
        context: &mut Context<'_>,
        wait: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = wait(Pin::new(&mut self.stream), context) {
            self.is_waiting = false;
            return Poll::Ready(done);
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.until.as_mut().reset(Instant::now() + self.stall);
        }
        self.until.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.bound(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.bound(context, |stream, context| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bound(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bound(context, |stream, context| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// As long as a test waits for what has to come.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);
    const PATIENT: Patience = Patience { head: LONG, stall: LONG, age: LONG, last_reply: LONG };

    /// A listener whose replies do not fit between it and its client.
    async fn served(stream: DuplexStream, patience: Patience, stop: &CancellationToken) -> Result<(), Ended> {
        let page = || async { Response::new(Full::new(Bytes::from_static(&[b'#'; 4096]))) };
        let served = serve(stream, patience, stop, |_request| page());
        tokio::time::timeout(LONG, served).await.expect("the connection does not end")
    }

    /// A client that asks `times`, all at once.
    async fn client(times: usize) -> (DuplexStream, DuplexStream) {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(times).as_bytes()).await.unwrap();
        (client, server)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_not_waited_for() {
        let (_client, server) = client(10).await;
        let ended = served(server, Patience { stall: SHORT, ..PATIENT }, &CancellationToken::new()).await;
        assert!(matches!(ended, Err(Ended::Failed(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn a_connection_that_is_old_takes_no_new_request_and_its_last_reply_has_a_bound() {
        let old = Patience { age: SHORT, last_reply: SHORT, ..PATIENT };
        let (_client, server) = client(10).await;
        let ended = served(server, old, &CancellationToken::new()).await;
        assert!(matches!(ended, Err(Ended::Slow)), "{ended:?}");

        let (mut client, server) = client(0).await;
        let stop = CancellationToken::new();
        let (ended, taken) =
            tokio::join!(served(server, old, &stop), async { client.read_to_end(&mut Vec::new()).await });
        assert!(ended.is_ok() && taken.is_ok(), "{ended:?} {taken:?}");
    }

    #[tokio::test]
    async fn whoever_reads_gets_all_replies_and_the_one_in_work_when_it_stops() {
        let (mut client, server) = client(10).await;
        let stop = CancellationToken::new();
        let (ended, taken) = tokio::join!(served(server, PATIENT, &stop), async {
            let mut taken = vec![0; 9 * 4096];
            client.read_exact(&mut taken).await.unwrap();
            stop.cancel();
            client.read_to_end(&mut taken).await.unwrap();
            taken
        });
        assert!(ended.is_ok(), "{ended:?}");
        let bodies = taken.iter().filter(|byte| **byte == b'#').count();
        assert!(bodies > 8 * 4096 && bodies % 4096 == 0, "{bodies} bytes");
    }
}
