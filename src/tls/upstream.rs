//! TLS towards the platform.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;

use super::anchors::{Anchors, certificates, private_key};
use super::revocation::{OnGap, Revocation, lists};
use super::server_verifier::ServerVerifier;
use super::{KeyFile, PemFile, RustlsClock, TlsDates, TlsError, provider};
use crate::kernel::time::Clock;

/// All that TLS towards one upstream is made of.
#[derive(Debug)]
pub struct UpstreamTlsInputs<'i> {
    /// The roots that vouch for the upstream; no others are believed.
    pub authorities: &'i PemFile,
    /// Revocation lists for the upstream's chain; empty if it is not checked.
    pub lists: &'i [PemFile],
    /// The gate's certificate chain and key there, for mutual TLS.
    pub client: Option<(&'i PemFile, &'i KeyFile)>,
}

/// TLS towards one upstream.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// What a connector is given. ALPN is left to the connector.
    pub config: Arc<ClientConfig>,
    /// When what it rests on ends.
    pub dates: TlsDates,
}

impl UpstreamTls {
    /// Builds it whole, or not at all.
    ///
    /// # Errors
    /// When a file is not what it should be, a certificate or list is not in force at the clock's
    /// now, or the key is another certificate's.
    pub fn new(inputs: &UpstreamTlsInputs<'_>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let (now, provider) = (clock.now(), provider());
        let anchors = Anchors::read(inputs.authorities, now)?;
        let roots: Vec<_> = anchors.roots().iter().collect();
        let revocation = match inputs.lists {
            [] => Revocation::None,
            files => {
                Revocation::Lists { files: files.to_vec(), stale: OnGap::Refuse, unknown: OnGap::Refuse }
            }
        };
        let lists = lists(&revocation, &roots, now)?;
        let mut dates = TlsDates {
            certificate: None,
            authorities: roots.iter().map(|ca| (Arc::clone(&ca.facts.subject), ca.facts.not_after)).collect(),
            lists: lists
                .iter()
                .map(|list| (Arc::clone(&list.facts.issuer), list.facts.next_update))
                .collect(),
        };
        let verifier = ServerVerifier::new(anchors, lists, Arc::clone(&provider))?;
        let builder = ClientConfig::builder_with_details(provider, Arc::new(RustlsClock(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Setup)?
            // The name is rustls's; the verifier demands more than rustls's own, never less.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match inputs.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let loaded = certificates(chain, "the gate's PEM certificate chain", now)?;
                dates.certificate =
                    loaded.first().map(|own| (Arc::clone(&own.facts.subject), own.facts.not_after));
                let ders = loaded.into_iter().map(|certificate| certificate.der).collect();
                builder.with_client_auth_cert(ders, private_key(key)?).map_err(|_| TlsError::KeyMismatch {
                    certificate: Arc::clone(&chain.name),
                    key: Arc::clone(&key.name),
                })?
            }
        };
        // A resumed session shows no certificate either, and pooled connections seldom need one.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), dates })
    }
}
