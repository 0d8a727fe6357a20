//! TLS towards clients.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};

use super::anchors::{Anchors, Loaded, certificates, private_key};
use super::client_verifier::ClientVerifier;
use super::revocation::{Revocation, lists};
use super::{KeyFile, PemFile, RustlsClock, TlsError, provider};
use crate::kernel::time::{Clock, Timestamp};

/// All that TLS towards clients is made of.
#[derive(Debug)]
pub struct ServerTlsInputs<'i> {
    /// The gate's own certificate and the intermediates up to its root, leaf first.
    pub certificate_chain: &'i PemFile,
    /// The private key of the gate's certificate.
    pub key: &'i KeyFile,
    /// The roots of the systems' certificates.
    pub client_authorities: &'i PemFile,
    /// Intermediates between those roots and the systems, where clients do not send them or they
    /// issue revocation lists of their own.
    pub client_intermediates: Option<&'i PemFile>,
    /// How revocation is checked.
    pub revocation: &'i Revocation,
}

/// When what TLS rests on ends, for metrics and warnings.
#[derive(Debug, Clone, Default)]
pub struct TlsDates {
    /// The gate's own certificate: subject and end.
    pub certificate: Option<(Arc<str>, Timestamp)>,
    /// The roots: subjects and ends.
    pub authorities: Vec<(Arc<str>, Timestamp)>,
    /// The revocation lists: issuers and when the next ones are due.
    pub lists: Vec<(Arc<str>, Option<Timestamp>)>,
}

/// TLS towards clients, ready to accept.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// What an accepted connection is given.
    pub config: Arc<ServerConfig>,
    /// The verifier within it, to check living connections again.
    pub verifier: Arc<ClientVerifier>,
    /// When what it rests on ends.
    pub dates: TlsDates,
}

impl ServerTls {
    /// Builds it whole, or not at all.
    ///
    /// # Errors
    /// When a file is not what it should be, a certificate or list is not in force at the clock's
    /// now, the key is another certificate's, or a list is of none of the authorities.
    pub fn new(inputs: &ServerTlsInputs<'_>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let (now, provider) = (clock.now(), provider());
        let anchors = Anchors::read(inputs.client_authorities, now)?;
        let intermediates = match inputs.client_intermediates {
            Some(file) => certificates(file, "PEM certificates of intermediate authorities", now)?,
            None => Vec::new(),
        };
        let authorities: Vec<_> = anchors.roots().iter().chain(&intermediates).collect();
        let lists = lists(inputs.revocation, &authorities, now)?;

        let chain = certificates(inputs.certificate_chain, "the gate's PEM certificate chain", now)?;
        let mut dates = TlsDates {
            certificate: chain.first().map(|own| (Arc::clone(&own.facts.subject), own.facts.not_after)),
            lists: lists
                .iter()
                .map(|list| (Arc::clone(&list.facts.issuer), list.facts.next_update))
                .collect(),
            authorities: Vec::new(),
        };
        dates.authorities =
            authorities.iter().map(|ca| (Arc::clone(&ca.facts.subject), ca.facts.not_after)).collect();

        let verifier = Arc::new(ClientVerifier::new(
            anchors,
            &intermediates,
            lists,
            inputs.revocation,
            Arc::clone(&provider),
        )?);
        let client_verifier: Arc<dyn ClientCertVerifier> = Arc::<ClientVerifier>::clone(&verifier);
        // Last: where the key alone is not known, all else has been looked at.
        let own = certified(chain, inputs.certificate_chain, inputs.key, &provider)?;
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(RustlsClock(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Setup)?
            .with_client_cert_verifier(client_verifier)
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session presents no certificate: revocation and expiry would not bite.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), verifier, dates })
    }
}

/// TLS towards anyone: no client is asked for a certificate.
///
/// # Errors
/// When a file is not what it should be, a certificate is not in force at the clock's now, or the key is
/// another certificate's.
pub fn open_server(
    certificate_chain: &PemFile,
    key: &KeyFile,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let chain = certificates(certificate_chain, "the server's PEM certificate chain", clock.now())?;
    let own = certified(chain, certificate_chain, key, &provider)?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(RustlsClock(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// A chain with the private key of its first certificate.
fn certified(
    chain: Vec<Loaded>,
    file: &PemFile,
    key: &KeyFile,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let private = private_key(key)?;
    let chain = chain.into_iter().map(|certificate| certificate.der).collect::<Vec<_>>();
    CertifiedKey::from_der(chain, private, provider).map_err(|error| {
        let key = Arc::clone(&key.name);
        if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            TlsError::KeyMismatch { certificate: Arc::clone(&file.name), key }
        } else {
            TlsError::Key { file: key }
        }
    })
}
