//! The socket of a connection, below TLS: whether its client takes what is sent to it, and how fast.
//!
//! Whatever waits above, at the bottom a client that does not read is a socket that takes no more. So it is
//! here that nothing can be hidden from: no version of HTTP, no size of a reply, no window.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::proxy::pace::Pace;

/// How much of its replies the kernel takes for a client before it is sent. Left to itself it takes as much as fits
/// its largest buffer, usually 4 MiB, for each client that does not read: of memory that all connections of the
/// machine share, and without which they falter. What is under way to a client that reads is not bounded by this.
const UNSENT_BYTES: u32 = 128 << 10;

/// Sets up a socket that was accepted.
pub(super) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        static TOLD: Once = Once::new();
        // Clients are served all the same, and the kernel keeps more for those that do not read.
        TOLD.call_once(|| tracing::warn!(%error, "the kernel does not bound what it holds for clients"));
    }
    Ok(())
}

/// A socket whose client is watched.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// How fast the client takes what is sent.
    taking: Arc<Pace>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, taking: Arc::default() }
    }

    /// The gate's own end.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// How fast its client takes what is sent to it.
    pub(super) fn taking(&self) -> &Arc<Pace> {
        &self.taking
    }

    /// Notes what a write came to.
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.taking.wait(),
            Poll::Ready(Ok(bytes)) => self.taking.moved(u64::try_from(*bytes).unwrap_or(u64::MAX)),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
