//! Whether the platform, sinks, witnesses and the collector of traces can be reached, TLS included.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::observation::Observation;
use crate::config::{Config, FileContent, SinkKind};
use crate::kernel::diagnostic::chain;
use crate::kernel::secret::Secret;
use crate::kernel::time::Clock;
use crate::ship::tls_towards;
use crate::tls::TlsError;
use crate::upstream::probe::{ProbeError, Target, probe};

/// How long any of them may take; all are tried at once.
const WITHIN: Duration = Duration::from_secs(3);

/// Somebody to reach.
struct Peer<'c> {
    check: &'static str,
    name: String,
    host: &'c str,
    port: u16,
    /// Who issues its certificate, and what it is shown, if it speaks TLS.
    tls: Option<(&'c FileContent, Option<&'c (FileContent, Secret)>)>,
    announces: bool,
}

pub(super) async fn examine(config: &Config, clock: &Arc<dyn Clock>) -> Vec<Observation> {
    let mut tries = JoinSet::new();
    for (place, peer) in peers(config).into_iter().enumerate() {
        let (check, target) = (peer.check, target(&peer, clock));
        let scheme = if peer.tls.is_some() { "TLS" } else { "TCP" };
        let subject = format!("{} {}:{} ({scheme})", peer.name, peer.host, peer.port);
        let is_elsewhere = peer.tls.and_then(|(_, own)| own).is_some_and(|(_, key)| config.stands_in(key));
        tries.spawn(async move {
            let seen = match target {
                Err(TlsError::Key { .. }) if is_elsewhere => {
                    Observation::new(check, subject, "not tried: the key to show it is not set here")
                        .unknown("run this in the gate's environment")
                }
                Ok(target) => tried(check, subject, probe(&target, WITHIN).await),
                Err(error) => Observation::new(check, subject, chain(&error))
                    .bad("mend the certificates that its section of the configuration names"),
            };
            (place, seen)
        });
    }
    let mut seen = tries.join_all().await;
    seen.sort_by_key(|(place, _)| *place);
    seen.into_iter().map(|(_, observation)| observation).collect()
}

fn tried(
    check: &'static str,
    subject: String,
    reached: Result<std::net::SocketAddr, ProbeError>,
) -> Observation {
    let error = match reached {
        Ok(address) => return Observation::new(check, subject, format!("answers at {address}")),
        Err(error) => error,
    };
    let mend = match &error {
        ProbeError::Lookup { .. } => "is the name right, and does this machine's resolver know it?",
        ProbeError::Connect { .. } | ProbeError::Timeout { .. } => {
            "does it listen there, and does every firewall on the way let this machine through?"
        }
        ProbeError::Name { .. } => "use a host name or address",
        ProbeError::Handshake(_) => {
            "is its certificate for this name and in force, and issued by what `ca` holds? does it speak TLS on this port?"
        }
        ProbeError::Refused(_) => {
            "does it know the authority of the `certificate` that the gate shows, and is that in force?"
        }
        ProbeError::Ended(_) => "its log says why; it may want a client certificate, `certificate` and `key`",
    };
    Observation::new(check, subject, chain(&error)).bad(mend)
}

fn peers(config: &Config) -> Vec<Peer<'_>> {
    let mut peers = Vec::new();
    for upstream in &config.upstreams {
        let own = upstream.client.as_ref();
        let (check, announces) = ("platform", upstream.announces);
        peers.extend(upstream.endpoints.iter().map(|endpoint| {
            let tls = upstream.ca.as_ref().filter(|_| is_https(&endpoint.url)).map(|ca| (ca, own));
            let (host, port) = place(&endpoint.url);
            Peer { check, name: upstream.id.to_string(), host, port, tls, announces }
        }));
    }
    for sink in &config.audit.sinks {
        let ((host, port), is_tls) = match &sink.kind {
            SinkKind::Http { url, .. } => (place(url), is_https(url)),
            SinkKind::Syslog { host, port, tls } => ((bare(host), *port), *tls),
        };
        let tls = sink.ca.as_ref().filter(|_| is_tls).map(|ca| (ca, sink.client.as_ref()));
        peers.push(Peer { check: "sink", name: sink.name.to_string(), host, port, tls, announces: false });
    }
    for witness in &config.audit.witnesses {
        let tls = witness.ca.as_ref().filter(|_| is_https(&witness.url)).map(|ca| (ca, None));
        let (host, port) = place(&witness.url);
        let name = witness.key.name().to_owned();
        peers.push(Peer { check: "witness", name, host, port, tls, announces: false });
    }
    if let Some(traces) = &config.traces {
        let tls = traces.ca.as_ref().filter(|_| is_https(&traces.endpoint));
        let tls = tls.map(|ca| (ca, traces.client.as_ref()));
        let (host, port) = place(&traces.endpoint);
        peers.push(Peer { check: "traces", name: "collector".to_owned(), host, port, tls, announces: false });
    }
    peers
}

fn target(peer: &Peer<'_>, clock: &Arc<dyn Clock>) -> Result<Target, TlsError> {
    let tls = peer.tls.map(|(ca, own)| tls_towards(ca, own, clock)).transpose()?.map(|tls| tls.config);
    Ok(Target { host: peer.host.to_owned(), port: peer.port, tls, announces: peer.announces })
}

fn is_https(url: &http::Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// Host and port of a URL.
fn place(url: &http::Uri) -> (&str, u16) {
    let port = url.port_u16().unwrap_or(if is_https(url) { 443 } else { 80 });
    (bare(url.host().unwrap_or_default()), port)
}

/// A host without the brackets that an address of IPv6 has in a URL.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
