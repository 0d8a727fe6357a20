//! Whether somebody can be reached: a connection is set up, TLS included, and let go again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connect::announcement;

/// How long an objection to our certificate is waited for. In TLS 1.3 it comes after the handshake.
const OBJECTION: Duration = Duration::from_millis(300);

/// Whom to reach, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// A host name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// TLS towards it, if it speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whether a connection begins by saying that it is on nobody's behalf (PROXY protocol, version 2).
    pub announces: bool,
}

/// Why it could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The name has no address.
    #[error("`{host}` has no address")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody accepts connections there.
    #[error("no connection to {address}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name is none that a certificate could have.
    #[error("`{host}` is no name that a certificate could be for")]
    Name {
        /// The name.
        host: String,
    },
    /// TLS was not agreed on.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// It objects to our certificate, or to there being none.
    #[error("it refuses the gate's certificate")]
    Refused(#[source] io::Error),
    /// It ended the connection at once.
    #[error("it ends the connection as soon as TLS is agreed on")]
    Ended(#[source] io::Error),
    /// It all took too long.
    #[error("no connection within {within:?}")]
    Timeout {
        /// The bound.
        within: Duration,
    },
}

/// Connects to `target`, shakes hands where it speaks TLS, and says at which address.
///
/// # Errors
/// When the name has no address, nobody listens, TLS fails either way, or it takes longer than `within`.
pub async fn probe(target: &Target, within: Duration) -> Result<SocketAddr, ProbeError> {
    match tokio::time::timeout(within, reach(target)).await {
        Ok(reached) => reached,
        Err(_) => Err(ProbeError::Timeout { within }),
    }
}

async fn reach(target: &Target) -> Result<SocketAddr, ProbeError> {
    let (mut stream, address) = connect(target).await?;
    if target.announces {
        let header = announcement(None).map_err(io::Error::other);
        let failed = |source| ProbeError::Connect { address, source };
        stream.write_all(&header.map_err(failed)?).await.map_err(failed)?;
    }
    let Some(tls) = &target.tls else { return Ok(address) };
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| ProbeError::Name { host: target.host.clone() })?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let mut stream = connector.connect(name, stream).await.map_err(ProbeError::Handshake)?;
    match tokio::time::timeout(OBJECTION, stream.read_u8()).await {
        // It has something to say, or waits for us.
        Err(_) | Ok(Ok(_)) => Ok(address),
        // An alert of TLS.
        Ok(Err(source)) if source.kind() == io::ErrorKind::InvalidData => Err(ProbeError::Refused(source)),
        Ok(Err(source)) => Err(ProbeError::Ended(source)),
    }
}

async fn connect(target: &Target) -> Result<(TcpStream, SocketAddr), ProbeError> {
    let lookup = |source| ProbeError::Lookup { host: target.host.clone(), source };
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(lookup)?;
    let mut failed = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(source) => failed = Some(ProbeError::Connect { address, source }),
        }
    }
    Err(failed.unwrap_or_else(|| lookup(io::Error::from(io::ErrorKind::NotFound))))
}
