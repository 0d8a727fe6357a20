//! TLS towards clients and towards the platform: who is trusted, and what is spoken.
//!
//! Everything is built whole from bytes already read and never changes: a reload builds another
//! [`ServerTls`] and hands it to the connections accepted from then on. The crypto provider is named
//! explicitly everywhere; nothing depends on a process default.
//!
//! INVARIANT: no session is ever resumed, and no early data taken, so that every connection has
//! verified its client's certificate against the roots and revocation lists in force when it began.

mod anchors;
mod by_roots;
mod client_verifier;
mod error;
mod handshake;
mod revocation;
mod server;
mod server_verifier;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

pub use client_verifier::{ClientVerifier, MAX_PRESENTED_CERTIFICATES, Refusal};
pub use error::TlsError;
pub use handshake::HandshakeFailure;
pub use revocation::{OnGap, Revocation};
pub use server::{ServerTls, ServerTlsInputs, TlsDates, open_server};
pub use upstream::{UpstreamTls, UpstreamTlsInputs};

use crate::kernel::secret::Secret;
use crate::kernel::time::{Clock, Timestamp};

/// A PEM file as it was read, with the name that errors show.
#[derive(Debug, Clone)]
pub struct PemFile {
    /// The file's name.
    pub name: Arc<str>,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

/// A private key file as it was read, with the name that errors show.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The file's name.
    pub name: Arc<str>,
    /// Its content.
    pub pem: Secret,
}

/// The one crypto provider: aws-lc-rs, X25519MLKEM768 offered first.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The gate's clock, as rustls asks for it.
#[derive(Debug)]
struct RustlsClock(Arc<dyn Clock>);

impl TimeProvider for RustlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        unix_time(self.0.now())
    }
}

/// `None` before 1970: rustls then fails the handshake.
fn unix_time(now: Timestamp) -> Option<UnixTime> {
    let seconds = u64::try_from(now.as_second()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

fn timestamp(time: UnixTime) -> Timestamp {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
