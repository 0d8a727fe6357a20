//! From the configuration to clients: what keeps one from being made is found before the gate serves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;

use crate::config::FileContent;
use crate::kernel::id::{IdError, UpstreamId};
use crate::kernel::secret::Secret;
use crate::kernel::time::Clock;
use crate::tls::{KeyFile, PemFile, TlsError, UpstreamTls, UpstreamTlsInputs};
use crate::upstream::{Client, ClientSettings, SettingsError};

/// The longest that setting up a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Why a sink or witness cannot be spoken to as configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its TLS cannot be set up.
    #[error("its TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// TLS is asked for, and nobody is trusted.
    #[error("its certificate is vouched for by nobody: set `ca`")]
    NoAuthorities,
    /// Its address is none.
    #[error("its address cannot be connected to")]
    Address(#[from] SettingsError),
    /// Its host is no name that a certificate could have.
    #[error("`{0}` is neither a host name nor an address")]
    Host(String),
    /// Its name is none.
    #[error("it cannot be named")]
    Name(#[from] IdError),
    /// The token is none.
    #[error("its token has characters that no header field can have")]
    Token,
}

/// TLS towards whoever `ca` vouches for.
pub(crate) fn tls_towards(
    ca: &FileContent,
    own: Option<&(FileContent, Secret)>,
    clock: &Arc<dyn Clock>,
) -> Result<UpstreamTls, TlsError> {
    let own = own.map(|(certificate, key)| {
        let name = Arc::from(format!("the key of `{}`", certificate.path.display()));
        (pem(certificate), KeyFile { name, pem: key.clone() })
    });
    let inputs = UpstreamTlsInputs {
        authorities: &pem(ca),
        lists: &[],
        client: own.as_ref().map(|(certificate, key)| (certificate, key)),
    };
    UpstreamTls::new(&inputs, Arc::clone(clock))
}

fn pem(file: &FileContent) -> PemFile {
    PemFile { name: Arc::from(file.path.display().to_string()), bytes: Arc::clone(&file.bytes) }
}

/// A client of whatever listens at `url`.
pub(super) fn client(
    url: &http::Uri,
    ca: Option<&FileContent>,
    own: Option<&(FileContent, Secret)>,
    timeout: Duration,
    clock: &Arc<dyn Clock>,
) -> Result<Client<Full<Bytes>>, SetupError> {
    let tls = ca.map(|ca| tls_towards(ca, own, clock)).transpose()?;
    let settings = ClientSettings {
        // Errors of the client are told in other words, by other names.
        id: UpstreamId::parse("audit")?,
        url: url.clone(),
        address: None,
        tls: tls.map(|tls| Arc::unwrap_or_clone(tls.config)),
        http2: false,
        connect_timeout: CONNECT.min(timeout),
        response_timeout: timeout,
        idle_timeout: IDLE,
        max_idle: 1,
        max_connections: 16,
        announces: false,
    };
    Ok(Client::new(settings)?)
}
