//! Pooled connections to the platform, by the name that routes use.

use std::collections::HashMap;
use std::sync::Arc;

use super::at_section;
use super::trust::{pem, tls_finding};
use crate::config::Config;
use crate::kernel::diagnostic::Report;
use crate::kernel::time::Clock;
use crate::tls::{KeyFile, UpstreamTls, UpstreamTlsInputs};
use crate::upstream::{Settings, Upstream};

pub(super) type Upstreams = HashMap<String, Arc<Upstream<crate::proxy::Upload>>>;

pub(super) fn upstreams(config: &Config, clock: &Arc<dyn Clock>, report: &mut Report) -> Upstreams {
    let mut upstreams = HashMap::new();
    for configured in &config.upstreams {
        let tls = match &configured.ca {
            None => None,
            Some(ca) => {
                let own = configured.client.as_ref().map(|(certificate, key)| {
                    (pem(certificate), KeyFile { name: Arc::from("upstream.key"), pem: key.clone() })
                });
                let inputs = UpstreamTlsInputs {
                    authorities: &pem(ca),
                    lists: &[],
                    client: own.as_ref().map(|(certificate, key)| (certificate, key)),
                };
                match UpstreamTls::new(&inputs, Arc::clone(clock)) {
                    Ok(tls) => Some(Arc::unwrap_or_clone(tls.config)),
                    Err(error) => {
                        report.push(tls_finding(config, "[upstream]", &error));
                        continue;
                    }
                }
            }
        };
        let made = Upstream::new(Settings {
            id: configured.id.clone(),
            url: configured.url.clone(),
            tls,
            http2: configured.http2,
            connect_timeout: configured.connect_timeout,
            response_timeout: configured.response_timeout,
            idle_timeout: configured.idle_timeout,
            max_idle: configured.max_idle,
        });
        match made {
            Ok(upstream) => {
                upstreams.insert(configured.id.to_string(), Arc::new(upstream));
            }
            Err(error) => report.push(at_section(config, "[upstream]", "bad-upstream", error.to_string())),
        }
    }
    upstreams
}
