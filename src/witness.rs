//! A witness as a process of its own: cosigns the heads of logs that only grow, over HTTP (C2SP
//! `tlog-witness`).
//!
//! What to cosign is decided in [`crate::tlog::witness`]; here are the socket, and the files that
//! outlive the process. It has nothing to do with a gate: two gates, or a regulator, each run one for
//! the other.
//!
//! INVARIANT: no cosignature leaves before the head it is for is durable as the last of its origin.

mod answer;
mod listener;
mod store;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::config::WitnessConfig;
use crate::kernel::time::Clock;
use crate::tlog::NoteError;
use crate::tls::{KeyFile, PemFile, TlsError, open_server};
use listener::Server;
use store::Store;

pub use store::create;

/// How long requests in work may take to end once the witness is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The runtime could not be started.
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its certificate or key cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// There is no state where it should be.
    #[error("`{}` holds no state of a witness", directory.display())]
    NoState {
        /// Where it should be.
        directory: PathBuf,
    },
    /// There is state already.
    #[error("`{}` is there already, so it is not made anew", directory.display())]
    Exists {
        /// Where.
        directory: PathBuf,
    },
    /// Another process works on the same state.
    #[error("another witness works in `{}`", directory.display())]
    Locked {
        /// Where.
        directory: PathBuf,
    },
    /// A file of the state cannot be used.
    #[error("`{}` cannot be {action}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A head that was kept is not one that this witness cosigned.
    #[error("`{}` is not what this witness kept of `{origin}`", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// Of which log.
        origin: String,
        /// What is wrong.
        #[source]
        source: NoteError,
    },
    /// What was cosigned of a log is gone.
    #[error(
        "this witness has cosigned `{origin}`, but `{}` is gone: it would cosign a second history. Put back the \
         newest copy if you are sure of it, or begin as a new witness, with a new key",
        path.display()
    )]
    Forgotten {
        /// The file that is gone.
        path: PathBuf,
        /// Of which log.
        origin: String,
    },
}

/// Serves until it is told to stop: SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub fn run(config: WitnessConfig, clock: Arc<dyn Clock>) -> Result<(), WitnessError> {
    let WitnessConfig { listen, tls, directory, witness, telemetry: _ } = config;
    let store = Store::open(&directory, &witness)?;
    let acceptor = match tls {
        None => None,
        Some((certificate, key)) => {
            let name: Arc<str> = certificate.path.display().to_string().into();
            let chain = PemFile { name: Arc::clone(&name), bytes: certificate.bytes };
            let key = KeyFile { name: format!("the key of {name}").into(), pem: key };
            Some(TlsAcceptor::from(open_server(&chain, &key, Arc::clone(&clock))?))
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(WitnessError::Runtime)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(WitnessError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(WitnessError::Runtime)?;
        let failed = |source| WitnessError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (key, is_tls) = (witness.key().to_string(), acceptor.is_some());
        let server = Arc::new(Server::new(witness, store, acceptor, clock));
        tracing::info!(%address, key, tls = is_tls, "witnessing");
        tokio::select! {
            () = Arc::clone(&server).serve(listener) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if server.stop(DRAIN).await {
            tracing::info!("stopped");
        } else {
            tracing::warn!("stopped, with requests cut off");
        }
        Ok(())
    })
}
