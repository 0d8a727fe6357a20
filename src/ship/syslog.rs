//! A sink that speaks syslog (RFC 5424) in octet-counted frames, over TLS (RFC 5425) or plain TCP (RFC 6587).
//!
//! Syslog acknowledges nothing. But a receiver that has read a connection to its end ends it too: over TLS
//! it must (RFC 5425, section 4.4), over TCP any program does, and the kernel of one that has not read all
//! resets the connection instead. So what was sent is settled by ending the connection and waiting for the
//! other end, over TLS that of TLS itself: the end of TCP is nobody's word there. The next records go over a
//! new one.

mod message;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use self::message::push_frame;
use super::batch::Batch;
use super::setup::{SetupError, tls_towards};
use super::sink::{Sink, SinkError, Taken};
use crate::config::SinkSettings;
use crate::kernel::time::Clock;

/// How much is written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A connection, over TLS or not.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Wire for T {}

/// A syslog sink.
pub(super) struct SyslogSink {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    wire: Option<Box<dyn Wire>>,
    chunk: Vec<u8>,
}

impl std::fmt::Debug for SyslogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyslogSink")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl SyslogSink {
    pub(super) fn new(
        settings: &SinkSettings,
        host: &str,
        port: u16,
        is_tls: bool,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        // An address of version 6 stands in brackets in a URL, and nowhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if is_tls {
            let ca = settings.ca.as_ref().ok_or(SetupError::NoAuthorities)?;
            let name = ServerName::try_from(host.clone()).map_err(|_| SetupError::Host(host.clone()))?;
            Some((TlsConnector::from(tls_towards(ca, settings.client.as_ref(), clock)?.config), name))
        } else {
            None
        };
        Ok(Self { host, port, tls, timeout: settings.timeout, wire: None, chunk: Vec::new() })
    }

    async fn connect(&self) -> Result<Box<dyn Wire>, SinkError> {
        let connect = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            let wire: Box<dyn Wire> = match &self.tls {
                None => Box::new(stream),
                Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
            };
            Ok(wire)
        };
        within(self.timeout, "accept a connection", connect).await?.map_err(SinkError::Connect)
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        // The kernel takes a write to a connection that the other end has ended already.
        poll_ended(&mut *wire).await.map_err(SinkError::Broken)?;
        self.chunk.clear();
        for line in batch.lines() {
            push_frame(&mut self.chunk, batch, line);
            if self.chunk.len() >= CHUNK_BYTES {
                within(self.timeout, "take what was sent", wire.write_all(&self.chunk))
                    .await?
                    .map_err(SinkError::Broken)?;
                self.chunk.clear();
            }
        }
        let rest = async {
            wire.write_all(&self.chunk).await?;
            wire.flush().await
        };
        within(self.timeout, "take what was sent", rest).await?.map_err(SinkError::Broken)?;
        self.wire = Some(wire);
        Ok(())
    }
}

impl Sink for SyslogSink {
    async fn send(&mut self, batch: &Batch) -> Result<Taken, SinkError> {
        self.write(batch).await?;
        Ok(Taken::OnceSettled)
    }

    async fn settle(&mut self) -> Result<(), SinkError> {
        // Without a connection what was sent over it is lost.
        let lost = || SinkError::Broken(io::ErrorKind::NotConnected.into());
        let mut wire = self.wire.take().ok_or_else(lost)?;
        let end = async {
            wire.shutdown().await?;
            let mut rest = [0; 512];
            // Syslog knows no answers: whatever comes says nothing.
            while wire.read(&mut rest).await? > 0 {}
            Ok(())
        };
        let ended = within(self.timeout, "end the connection", end).await?;
        ended.map_err(|error: io::Error| {
            // Anyone on the way can end TCP: only the end of TLS is the sink's own word.
            let is_cut = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_cut { SinkError::CutOff } else { SinkError::Broken(error) }
        })
    }
}

async fn within<T>(
    most: Duration,
    what: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, SinkError> {
    tokio::time::timeout(most, future).await.map_err(|_elapsed| SinkError::Timeout { what, within: most })
}

/// Fails if the other end has ended the connection already.
async fn poll_ended(wire: &mut dyn Wire) -> io::Result<()> {
    let mut bytes = [0; 512];
    std::future::poll_fn(move |context: &mut Context<'_>| {
        loop {
            let mut rest = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *wire).poll_read(context, &mut rest) {
                Poll::Pending => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if rest.filled().is_empty() => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    })
    .await
}
