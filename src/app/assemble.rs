//! From a configuration and a policy directory to all that reloads together.

mod candidate;
mod routes;
mod trust;
mod upstreams;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use self::candidate::{candidate, shadow};
use self::routes::routes;
use self::trust::{challenge, server_tls, token_verifier};
use self::upstreams::upstreams;
use super::load::{LoadedPolicy, load_policy};
use crate::audit::DigestKey;
use crate::catalog::{Registry, System};
use crate::coding;
use crate::config::Config;
use crate::identity::Identities;
use crate::kernel::diagnostic::{Diagnostic, Report, Source, chain};
use crate::kernel::id::SystemId;
use crate::kernel::time::Clock;
use crate::proxy::{Caller, Plans, RequestBounds, Snapshot};
use crate::quota::limiter::Limiter;
use crate::ship::BadPeer;
use crate::telemetry::Metrics;
use crate::tls::TlsDates;

/// The longest time from a purpose token's `iat` to its `exp`.
pub(crate) const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Everything that reloads together.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) snapshot: Snapshot,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) dates: TlsDates,
}

/// Makes everything that reloads together, or reports all that keeps it from being made.
///
/// `previous` hands on what outlives a reload: the counters of limits that did not change.
#[must_use]
pub(crate) fn assemble(
    config: &Config,
    previous: Option<&Snapshot>,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
) -> (Option<Assembled>, Report) {
    assemble_with(config, load_policy(config.into(), &**clock), previous, metrics, clock)
}

/// As [`assemble`], with the policy directory as it was loaded already.
#[must_use]
pub(crate) fn assemble_with(
    config: &Config,
    (policy, mut report): (Option<LoadedPolicy>, Report),
    previous: Option<&Snapshot>,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
) -> (Option<Assembled>, Report) {
    report.add_source(&config.source);
    let candidate = candidate(config, &**clock, &mut report);
    let tokens = token_verifier(config, &mut report);
    let tls = server_tls(config, clock, &mut report);
    let known = previous.map(|previous| &previous.upstreams);
    let upstreams = upstreams(config, known, metrics, clock, &mut report);
    for error in crate::ship::check(&config.audit, config.traces.as_ref(), clock) {
        if lacks_its_key(config, &error) {
            continue;
        }
        let (section, code) = match error {
            BadPeer::Sink { .. } => ("[audit.sink]", "bad-sink"),
            BadPeer::Witness { .. } => ("[audit.witness]", "bad-witness"),
            BadPeer::Collector(_) => ("[traces]", "bad-collector"),
        };
        report.push(at_section(config, Section::first(section), code, chain(&error)));
    }
    let Some(policy) = policy else { return (None, report) };
    let routes = routes(config, &policy.vocabulary.catalog, &upstreams, metrics, &mut report);
    let limiter = limiter(config, &policy, previous, &mut report);
    check_subjects(config, &policy, &mut report);
    let (Some(tokens), Some(tls), Some(routes), Some(limiter)) = (tokens, tls, routes, limiter) else {
        return (None, report);
    };
    if report.has_errors() {
        return (None, report);
    }
    let LoadedPolicy { files, vocabulary, maskers, policy } = policy;
    let registry = &vocabulary.catalog.registry;
    let callers = callers(registry, metrics);
    let shadow = candidate.map(|candidate| shadow(candidate, &vocabulary.catalog, metrics));
    let snapshot = Snapshot {
        revision: previous.map_or(1, |previous| previous.revision + 1),
        policy_digest: files.digest(),
        policy_digest_hex: files.digest().to_hex(),
        config_digest: config.digest,
        config_digest_hex: config.digest.to_hex(),
        identities: Identities::new(registry),
        catalog: vocabulary.catalog,
        policy,
        shadow,
        limiter: Arc::new(limiter),
        tokens,
        challenge: challenge(config),
        client_verifier: tls.verifier,
        routes,
        upstreams,
        callers,
        plans: Plans::new(maskers, config.policy.pseudonym_keys.clone()),
        digests: config.audit.pseudonym_key.as_ref().map(DigestKey::new),
        bounds: RequestBounds {
            requests: config.bounds.requests,
            whole_reply: config.bounds.whole_reply.as_usize(),
            decoded: coding::Bounds {
                ratio: config.bounds.decoded_ratio,
                size: config.bounds.decoded_reply.get(),
            },
            decision_body: config.bounds.decision_body.get(),
            whole_request: config.bounds.whole_request.as_usize(),
        },
    };
    (Some(Assembled { snapshot, tls: tls.config, dates: tls.dates }), report)
}

/// Whoever may call. The counters of a department are there though it has no system.
fn callers(registry: &Registry, metrics: &Metrics) -> foldhash::HashMap<SystemId, Arc<Caller>> {
    let departments: HashMap<_, _> =
        registry.departments.keys().map(|id| (id, metrics.department(id))).collect();
    let of = |system: &Arc<System>| {
        let counters = metrics.caller(&system.id, departments.get(&system.department)?);
        let department = registry.departments.get(&system.department)?;
        let caller = Caller::new(Arc::clone(system), Arc::clone(department), counters)?;
        Some((system.id.clone(), Arc::new(caller)))
    };
    registry.systems.values().filter_map(of).collect()
}

fn limiter(
    config: &Config,
    policy: &LoadedPolicy,
    previous: Option<&Snapshot>,
    report: &mut Report,
) -> Option<Limiter> {
    let grants = policy.policy.grants().iter();
    let grants = grants.map(|grant| (grant.id().clone(), grant.scope().rows_per_day)).collect();
    let population = policy.vocabulary.population(grants);
    let (limits, zone) = (policy.vocabulary.limits(), config.policy.zone.clone());
    let made = match previous {
        Some(previous) => previous.limiter.reload(&limits, &population, zone),
        None => Limiter::new(&limits, &population, zone, governor::clock::DefaultClock::default()),
    };
    match made {
        Ok(limiter) => Some(limiter),
        Err(error) => {
            let source = policy.files.limits();
            report.push(Diagnostic::error("bad-limits", source, 0..0, error.to_string()));
            None
        }
    }
}

/// Whether nothing is wrong with whom records are sent to but that the private key to show them is not known here.
fn lacks_its_key(config: &Config, error: &BadPeer) -> bool {
    let own = match error {
        BadPeer::Sink { name, .. } => {
            config.audit.sinks.iter().find(|sink| sink.name == *name).and_then(|sink| sink.client.as_ref())
        }
        BadPeer::Witness { .. } => None,
        BadPeer::Collector(_) => config.traces.as_ref().and_then(|traces| traces.client.as_ref()),
    };
    error.is_of_key() && own.is_some_and(|(_, key)| config.stands_in(key))
}

/// People whom the catalogue would have on record cannot be put there without a key, and a plain digest of
/// them is as good as their number.
fn check_subjects(config: &Config, policy: &LoadedPolicy, report: &mut Report) {
    if config.audit.pseudonym_key.is_some() {
        return;
    }
    let resources = policy.vocabulary.catalog.resources.values();
    let subjects: Vec<_> = resources
        .flat_map(|resource| {
            let named = resource.parameters.iter().filter(|parameter| parameter.subject.is_some());
            named.map(|parameter| format!("`{}` of `{}`", parameter.name, resource.id))
        })
        .collect();
    let Some(first) = subjects.first() else { return };
    let more = match subjects.len() - 1 {
        0 => String::new(),
        more => format!(", as {more} more"),
    };
    let source = policy.files.catalog();
    let span = place_of(source, &(0..0), "subject");
    let message = format!(
        "{first} names people or companies (`subject`){more}, and there is no key to digest them with"
    );
    let help = "make one with `openssl rand -out audit.key 32`, and name it in `[audit]` of the gateway configuration: \
                `pseudonym_key = \"audit.key\"`";
    report.push(Diagnostic::error("audit-key-missing", source, span, message).help(help));
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A section of the configuration: which of those with this heading.
#[derive(Debug, Clone, Copy)]
struct Section<'n> {
    name: &'n str,
    place: usize,
}

impl<'n> Section<'n> {
    /// The only one of its name, or the first.
    const fn first(name: &'n str) -> Self {
        Self { name, place: 0 }
    }

    /// Where its heading stands; at the beginning where it is written in another way.
    fn heading(self, source: &Source) -> std::ops::Range<usize> {
        let heading = format!("[{}]", self.name);
        let mut offset = 0;
        let mut starts = source.text.split_inclusive('\n').filter_map(|line| {
            let written = line.trim_start();
            let start = offset + (line.len() - written.len());
            offset += line.len();
            written.starts_with(&heading).then_some(start)
        });
        let start = starts.nth(self.place).unwrap_or(0);
        start..start + heading.len()
    }
}

/// A finding about a whole section of the configuration.
fn at_section(config: &Config, section: Section<'_>, code: &'static str, message: String) -> Diagnostic {
    Diagnostic::error(code, &config.source, section.heading(&config.source), message)
}

/// A finding about `key` of a section; about the section where it is not written there.
fn at_key(
    config: &Config,
    section: Section<'_>,
    key: &str,
    code: &'static str,
    message: String,
) -> Diagnostic {
    let mut finding = at_section(config, section, code, message);
    let begin = finding.span.end;
    let body = config.source.text.get(begin..).unwrap_or("");
    let mut offset = begin;
    for line in body.split_inclusive('\n') {
        let written = line.trim_start();
        if written.starts_with('[') {
            break;
        }
        if written.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            let start = offset + (line.len() - written.len());
            finding.span = start..start + key.len();
            break;
        }
        offset += line.len();
    }
    finding
}

/// Where `name` stands within the table that begins at `span`.
fn place_of(source: &Source, span: &std::ops::Range<usize>, name: &str) -> std::ops::Range<usize> {
    let after = source.text.get(span.start..).unwrap_or("");
    match after.find(name) {
        Some(offset) => span.start + offset..span.start + offset + name.len(),
        None => span.clone(),
    }
}
