//! The platform's services, by the name that routes use.

use std::collections::HashMap;
use std::sync::Arc;

use super::trust::{pem, tls_finding};
use super::{Section, at_section};
use crate::config::{self, Config};
use crate::kernel::diagnostic::Report;
use crate::kernel::id::Digest;
use crate::kernel::secret::Secret;
use crate::kernel::time::Clock;
use crate::proxy::Upload;
use crate::telemetry::Metrics;
use crate::tls::{KeyFile, TlsError, UpstreamTls, UpstreamTlsInputs};
use crate::upstream::breaker::BreakerRules;
use crate::upstream::budget::RetryRules;
use crate::upstream::bulkhead::BulkheadRules;
use crate::upstream::health::{CheckRules, EjectionRules};
use crate::upstream::{CheckSettings, ClientSettings, Place, Settings, Upstream};

/// The platform's services, by id.
pub(crate) type Upstreams = HashMap<String, Arc<Upstream<Upload>>>;

/// Makes them. One that has not changed since `previous` is that one, with its connections and all that it knows.
pub(super) fn upstreams(
    config: &Config,
    previous: Option<&Upstreams>,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
    report: &mut Report,
) -> Upstreams {
    let mut upstreams = HashMap::new();
    for (place, configured) in config.upstreams.iter().enumerate() {
        let section = Section { name: "[upstream]", place };
        // Made in any case: what was good when it was loaded may have ended since.
        let own = configured.client.as_ref();
        let made = match client(configured, own, clock) {
            // All but the key is as it should be, and the key is not known here: nobody will connect.
            Err(TlsError::Key { .. }) if own.is_some_and(|(_, key)| config.stands_in(key)) => {
                client(configured, None, clock)
            }
            made => made,
        };
        let client = match made {
            Ok(client) => client,
            Err(error) => {
                let files = [
                    configured.ca.as_ref().map(|ca| (ca, "ca")),
                    own.map(|(certificate, _)| (certificate, "certificate")),
                ];
                report.push(tls_finding(config, section, files.into_iter().flatten(), &error));
                continue;
            }
        };
        let settings = settings(configured, client);
        let known = previous.and_then(|previous| previous.get(configured.id.as_str()));
        if let Some(same) = known.filter(|known| known.digest() == settings.digest) {
            upstreams.insert(configured.id.to_string(), Arc::clone(same));
            continue;
        }
        match Upstream::new(settings, metrics.upstream(&configured.id), known.map(Arc::as_ref)) {
            Ok(upstream) => {
                upstreams.insert(configured.id.to_string(), Arc::new(upstream));
            }
            Err(error) => report.push(at_section(config, section, "bad-upstream", error.to_string())),
        }
    }
    upstreams
}

/// What connections to an upstream are like.
fn client(
    configured: &config::Upstream,
    own: Option<&(config::FileContent, Secret)>,
    clock: &Arc<dyn Clock>,
) -> Result<ClientSettings, TlsError> {
    let tls = match &configured.ca {
        None => None,
        Some(ca) => {
            let own = own.map(|(certificate, key)| {
                (pem(certificate), KeyFile { name: Arc::from("upstream.key"), pem: key.clone() })
            });
            let inputs = UpstreamTlsInputs {
                authorities: &pem(ca),
                lists: &[],
                client: own.as_ref().map(|(certificate, key)| (certificate, key)),
            };
            Some(Arc::unwrap_or_clone(UpstreamTls::new(&inputs, Arc::clone(clock))?.config))
        }
    };
    Ok(ClientSettings {
        id: configured.id.clone(),
        url: http::Uri::default(),
        address: None,
        tls,
        http2: configured.http2,
        connect_timeout: configured.connect_timeout,
        response_timeout: configured.response_timeout,
        idle_timeout: configured.idle_timeout,
        max_idle: configured.max_idle,
        max_connections: configured.max_connections,
        announces: configured.announces,
    })
}

fn settings(configured: &config::Upstream, client: ClientSettings) -> Settings {
    let client_digest = client_digest(configured);
    let places = configured.endpoints.iter();
    let config::Upstream { retry, ejection, breaker, .. } = configured;
    Settings {
        places: places.map(|endpoint| Place::new(endpoint.url.clone(), endpoint.weight)).collect(),
        client,
        client_digest,
        // Debug shows every setting but what files and secrets hold, and that is in the other digest.
        digest: Digest::of(format!("{client_digest:?} {configured:?}").as_bytes()),
        resolve_interval: configured.resolve_interval,
        checks: configured.health.as_ref().map(|checks| CheckSettings {
            path: checks.path.clone(),
            interval: checks.interval,
            timeout: checks.timeout,
            rules: CheckRules { unhealthy: checks.unhealthy, healthy: checks.healthy },
        }),
        ejection: EjectionRules {
            failures: ejection.failures,
            base: ejection.base,
            longest: ejection.longest,
            max_percent: ejection.max_percent,
        },
        breaker: BreakerRules {
            requests: breaker.requests,
            failure_percent: breaker.failure_percent,
            open: breaker.open,
        },
        retry: RetryRules {
            tries: retry.tries,
            budget_percent: retry.budget_percent,
            budget_floor: retry.budget_floor,
        },
        bulkhead: BulkheadRules {
            requests: configured.max_requests,
            waiting: configured.max_waiting,
            wait: configured.wait_timeout,
        },
        per_provider: configured.provider_requests,
    }
}

/// What connections are made from, files and key included.
fn client_digest(configured: &config::Upstream) -> Digest {
    let config::Upstream { http2, connect_timeout, response_timeout, idle_timeout, .. } = configured;
    let config::Upstream { max_idle, max_connections, announces, ca, client, .. } = configured;
    let settings = format!(
        "{http2} {connect_timeout:?} {response_timeout:?} {idle_timeout:?} {max_idle} {max_connections} {announces}"
    );
    let file = |file: &config::FileContent| Digest::of(&file.bytes).0;
    let files = [
        ca.as_ref().map(file),
        client.as_ref().map(|(certificate, _)| file(certificate)),
        client.as_ref().map(|(_, key)| Digest::of(key.expose()).0),
    ];
    let files: Vec<u8> = files.into_iter().flat_map(Option::unwrap_or_default).collect();
    Digest::of(&[settings.as_bytes(), &files].concat())
}
