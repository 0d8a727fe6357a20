//! The sockets that a gate listens on: its own, or those that whoever started it hands over.
//!
//! A listener that is handed over (systemd's `LISTEN_FDS`) may be another gate's as well: as long as either
//! has it, nobody who connects is refused. Which is which is told by where it listens, so that the
//! configuration says it once.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use listenfd::ListenFd;
pub(super) use sd_notify::NotifyState;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::run::RunError;
use crate::config::Config;

/// How many connections may wait to be accepted on a listener of this process's own.
const BACKLOG: u32 = 1_024;

/// A listener, and where it listens.
#[derive(Debug)]
pub(super) struct Listening<L, A> {
    pub(super) listener: L,
    pub(super) address: A,
    /// Whether it was handed over, and may be another process's as well.
    pub(super) is_inherited: bool,
}

/// Every listener of a gate.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) clients: Vec<Listening<TcpListener, SocketAddr>>,
    pub(super) metrics: Listening<TcpListener, SocketAddr>,
    pub(super) admin: Listening<UnixListener, ()>,
}

/// What was handed over and not used yet.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    tcp: Vec<std::net::TcpListener>,
    unix: Vec<std::os::unix::net::UnixListener>,
}

impl Inherited {
    /// Takes what the environment names, once.
    pub(super) fn from_environment() -> Result<Self, RunError> {
        let (mut handed, mut inherited) = (ListenFd::from_env(), Self::default());
        for place in 0..handed.len() {
            // Which of the two it is shows when it is taken; the error about the second is told.
            if let Ok(Some(listener)) = handed.take_tcp_listener(place) {
                listener.set_nonblocking(true).map_err(RunError::Inherited)?;
                inherited.tcp.push(listener);
            } else if let Some(listener) = handed.take_unix_listener(place).map_err(RunError::Inherited)? {
                listener.set_nonblocking(true).map_err(RunError::Inherited)?;
                inherited.unix.push(listener);
            }
        }
        Ok(inherited)
    }

    /// Every listener that the configuration names: handed over where it was, and bound where it was not.
    pub(super) fn bind(mut self, config: &Config) -> Result<Bound, RunError> {
        let mut clients = Vec::new();
        for address in &config.listen {
            clients.push(self.tcp(*address)?);
        }
        let metrics = self.tcp(config.metrics.address)?;
        let admin = self.unix(&config.admin.socket)?;
        // Nobody would accept what comes there.
        let not_ours = |address: &dyn std::fmt::Debug| RunError::NotOurs { address: format!("{address:?}") };
        if let Some(listener) = self.tcp.first() {
            return Err(not_ours(&listener.local_addr().map_err(RunError::Inherited)?));
        }
        if let Some(listener) = self.unix.first() {
            return Err(not_ours(&listener.local_addr().map_err(RunError::Inherited)?));
        }
        Ok(Bound { clients, metrics, admin })
    }

    fn tcp(&mut self, address: SocketAddr) -> Result<Listening<TcpListener, SocketAddr>, RunError> {
        let failed = |source| cannot_listen(&address, source);
        let is_it = |listener: &std::net::TcpListener| listener.local_addr().is_ok_and(|own| own == address);
        let found = self.tcp.iter().position(is_it).map(|place| self.tcp.swap_remove(place));
        let is_inherited = found.is_some();
        let listener = found.map_or_else(|| listen(address), TcpListener::from_std).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Listening { listener, address, is_inherited })
    }

    fn unix(&mut self, path: &Path) -> Result<Listening<UnixListener, ()>, RunError> {
        let is_it = |listener: &std::os::unix::net::UnixListener| {
            listener.local_addr().is_ok_and(|own| own.as_pathname() == Some(path))
        };
        match self.unix.iter().position(is_it).map(|place| self.unix.swap_remove(place)) {
            Some(listener) => {
                let listener = UnixListener::from_std(listener)
                    .map_err(|source| cannot_listen(&path.display(), source))?;
                Ok(Listening { listener, address: (), is_inherited: true })
            }
            None => Ok(Listening { listener: listen_unix(path)?, address: (), is_inherited: false }),
        }
    }
}

/// Tells whoever started the gate how it is, if they want to know.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

pub(super) fn cannot_listen(address: &dyn std::fmt::Display, source: io::Error) -> RunError {
    RunError::Listen { address: address.to_string(), source }
}

/// A listener of this process alone. A port is free again as soon as nobody listens on it.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The admin socket, for its owner only. One that nobody listens on any more is replaced.
fn listen_unix(path: &Path) -> Result<UnixListener, RunError> {
    let failed = |source| cannot_listen(&path.display(), source);
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(failed(io::Error::from(io::ErrorKind::AddrInUse)));
    }
    // A socket has a mode only once it is bound: it is bound where nobody else can reach it, and moved.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = tempfile::Builder::new().prefix(".gate-").tempdir_in(directory).map_err(failed)?;
    let bound = private.path().join("s");
    let listener = UnixListener::bind(&bound).map_err(failed)?;
    std::fs::set_permissions(&bound, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&bound, path).map_err(failed)?;
    Ok(listener)
}
