//! From a configuration and a policy directory to all that reloads together.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::ServerConfig;

use crate::catalog::{BodyFormat, BodyShape, Catalog, Resource, XmlNames};
use crate::coding;
use crate::config::{self, Config, ParameterSource};
use crate::grant::{ReleasedField, Treatment};
use crate::identity::token::{Issuer, KeySet, SignatureAlgorithm, TokenRules};
use crate::identity::{Identities, TokenVerifier};
use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};
use crate::kernel::id::{DepartmentId, GrantId};
use crate::kernel::time::{Clock, TimeZone, Timestamp};
use crate::mask::{Masker, Maskers, Plan, PlanError, PlanSpec, PseudonymKeys};
use crate::parameters::{BodyParameters, BodyPath};
use crate::policy::calendar::Calendar;
use crate::policy::model::Model;
use crate::policy::scope::Item;
use crate::policy::{Policy, PolicyInput, csv};
use crate::proxy::{Declared, Intake, Plans, RequestBounds, Route, RouteParameter, Routes, Shadow, Snapshot};
use crate::quota::limiter::Limiter;
use crate::snapshot::Vocabulary;
use crate::snapshot::files::PolicyFiles;
use crate::telemetry::Metrics;
use crate::tls::{KeyFile, OnGap, PemFile, Revocation, ServerTls, ServerTlsInputs, TlsDates, TlsError};
use crate::tls::{UpstreamTls, UpstreamTlsInputs};
use crate::upstream::{Settings, Upstream};

/// The longest time from a purpose token's `iat` to its `exp`.
pub(crate) const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How many verified tokens a snapshot remembers.
const REMEMBERED_TOKENS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// A policy directory, loaded and checked.
#[derive(Debug)]
pub(crate) struct LoadedPolicy {
    /// The files.
    pub(crate) files: PolicyFiles,
    /// What the TOML files say.
    pub(crate) vocabulary: Vocabulary,
    /// The compiled maskers.
    pub(crate) maskers: Maskers,
    /// The model and the grants.
    pub(crate) policy: Policy,
}

/// Everything that reloads together.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) snapshot: Snapshot,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) dates: TlsDates,
}

/// A policy directory and what of the gateway configuration bears on its meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolicyPlace<'p> {
    /// Where it is.
    pub(crate) directory: &'p Path,
    /// The SPIFFE trust domain of systems whose certificate the registry does not describe.
    pub(crate) trust_domain: &'p str,
    /// The zone in which its dates and hours are meant.
    pub(crate) zone: &'p TimeZone,
    /// The keys of keyed maskers.
    pub(crate) pseudonym_keys: &'p PseudonymKeys,
}

impl<'p> From<&'p Config> for PolicyPlace<'p> {
    fn from(config: &'p Config) -> Self {
        Self {
            directory: &config.policy.directory,
            trust_domain: &config.identity.trust_domain,
            zone: &config.policy.zone,
            pseudonym_keys: &config.policy.pseudonym_keys,
        }
    }
}

/// Loads the policy directory at `place`: all errors at once.
#[must_use]
pub(crate) fn load_policy(place: PolicyPlace<'_>, clock: &dyn Clock) -> (Option<LoadedPolicy>, Report) {
    match PolicyFiles::read(place.directory) {
        Ok(files) => load_files(files, place, clock),
        Err(report) => (None, report),
    }
}

/// Loads the policy in `files`, wherever they are from; `place` says what else bears on it.
#[must_use]
pub(crate) fn load_files(
    files: PolicyFiles,
    place: PolicyPlace<'_>,
    clock: &dyn Clock,
) -> (Option<LoadedPolicy>, Report) {
    let (vocabulary, mut report) = Vocabulary::load(&files, place.trust_domain);
    let Some(vocabulary) = vocabulary else {
        report.merge(form_of_policy(&files));
        return (None, report);
    };
    let maskers = maskers(&vocabulary, files.masks(), &mut report);
    let calendar = calendar(&vocabulary, files.calendar(), &mut report);
    let (policy, found) = Policy::load(PolicyInput {
        model: files.model(),
        grants: files.grants(),
        catalog: &vocabulary.catalog,
        calendar: &calendar,
        zone: place.zone.clone(),
        maskers: &vocabulary.masker_names(),
        now: clock.now(),
    });
    report.merge(found);
    let Some(policy) = policy else { return (None, report) };
    let grants: BTreeSet<GrantId> = policy.grants().iter().map(|grant| grant.id().clone()).collect();
    report.merge(vocabulary.check_limit_grants(files.limits(), &grants));
    let (keys, now) = (place.pseudonym_keys, clock.now());
    if keys.at(now).is_none() {
        check_keyed(keys, &maskers, &policy, files.grants(), &mut report);
    }
    check_plans((keys, now), &vocabulary, &maskers, files.catalog(), &mut report);
    let loaded = (!report.has_errors()).then_some(LoadedPolicy { files, vocabulary, maskers, policy });
    (loaded, report)
}

/// What is wrong with the form of the model and the grants. Whether their words exist cannot be said
/// before the files that declare them are right.
fn form_of_policy(files: &PolicyFiles) -> Report {
    let mut report = Report::new();
    report.add_source(files.model());
    report.add_source(files.grants());
    let model = Model::read(files.model()).err().unwrap_or_default();
    let (_, grants) = csv::read(files.grants());
    model.into_iter().chain(grants).for_each(|finding| report.push(finding));
    let message = "only the form of this file was checked, since other files have errors";
    report.push(
        Diagnostic::warning("checked-in-part", files.grants(), 0..0, message)
            .help("mend those, and check again"),
    );
    report
}

fn maskers(vocabulary: &Vocabulary, source: &Source, report: &mut Report) -> Maskers {
    let mut maskers = Maskers::default();
    for definition in &vocabulary.maskers {
        let parameters: Vec<(&str, &str)> = definition
            .parameters
            .iter()
            .map(|(name, value)| (name.value.as_str(), value.value.as_str()))
            .collect();
        let parsed = Masker::parse(&definition.method.value, &parameters);
        let inserted = parsed.and_then(|masker| maskers.insert(definition.name.value.clone(), masker));
        if let Err(error) = inserted {
            let span = definition.method.span.clone();
            report.push(Diagnostic::error("bad-masker", source, span, error.to_string()));
        }
    }
    maskers
}

fn calendar(vocabulary: &Vocabulary, source: &Source, report: &mut Report) -> Calendar {
    let days = &vocabulary.calendar;
    let made = Calendar::new(
        days.years.keys().copied(),
        days.holidays.iter().copied(),
        days.workdays.iter().copied(),
    );
    made.unwrap_or_else(|error| {
        report.push(Diagnostic::error("bad-calendar", source, 0..0, error.to_string()));
        Calendar::default()
    })
}

/// Compiles a plan with every field of every resource, so that no masker or key is found missing when
/// the first request needs it.
fn check_plans(
    (keys, now): (&PseudonymKeys, Timestamp),
    vocabulary: &Vocabulary,
    maskers: &Maskers,
    source: &Source,
    report: &mut Report,
) {
    let plans = Plans::new(maskers.clone(), keys.clone());
    for resource in vocabulary.catalog.resources.values() {
        let Some(department) = anyone(&vocabulary.catalog) else { continue };
        let fields: Arc<[ReleasedField]> = resource
            .fields
            .iter()
            .map(|field| ReleasedField {
                path: field.path.clone(),
                treatment: field.mask.clone().map_or(Treatment::Clear, Treatment::Masked),
            })
            .collect();
        match plans.plan(resource, &department, &fields, now) {
            Ok(_) | Err(PlanError::Opaque) => {}
            Err(error) => {
                let message = format!("the masks of `{}` cannot be built: {error}", resource.id);
                let place = source.text.find(resource.id.as_str()).unwrap_or(0);
                let span = place..place + resource.id.as_str().len();
                let found = Diagnostic::error("bad-masks", source, span, message);
                let lacks_key = matches!(error, PlanError::NoKey { .. });
                report.push(if lacks_key { found.help(lack_of(keys).1) } else { found });
            }
        }
    }
}

/// Finds the grants that let a field leave through a keyed masker, where there is no key for it.
fn check_keyed(
    keys: &PseudonymKeys,
    maskers: &Maskers,
    policy: &Policy,
    source: &Source,
    report: &mut Report,
) {
    let is_keyed = |item: &Item| match &item.treatment {
        Some(Treatment::Masked(name)) => maskers.get(name).is_some_and(Masker::is_keyed),
        Some(Treatment::Clear) | None => false,
    };
    for grant in policy.grants().iter().filter(|grant| grant.scope().items.iter().any(is_keyed)) {
        let before: usize =
            source.text.split_inclusive('\n').take(grant.line().saturating_sub(1)).map(str::len).sum();
        let line = source.text.get(before..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let (why, help) = lack_of(keys);
        let message = format!("`{}` lets a field leave as a pseudonym or encrypted, but {why}", grant.id());
        report.push(
            Diagnostic::error("pseudonym-key-missing", source, before..before + line.len(), message)
                .help(help),
        );
    }
}

/// Why there is no key at hand, and what to do.
fn lack_of(keys: &PseudonymKeys) -> (&'static str, &'static str) {
    match keys.begin() {
        None => (
            "there is no key to make it with",
            "set `pseudonym_key` in `[policy]` of the gateway configuration",
        ),
        Some(_) => (
            "the time of the first key has not begun",
            "give one `pseudonym_key` of the gateway configuration an earlier `from`, or none",
        ),
    }
}

fn anyone(catalog: &Catalog) -> Option<DepartmentId> {
    catalog.registry.departments.keys().next().cloned()
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
    let upstreams = upstreams(config, clock, &mut report);
    let Some(policy) = policy else { return (None, report) };
    let routes = routes(config, &policy.vocabulary.catalog, &upstreams, metrics, &mut report);
    let limiter = limiter(config, &policy, previous, &mut report);
    let (Some(tokens), Some(tls), Some(routes), Some(limiter)) = (tokens, tls, routes, limiter) else {
        return (None, report);
    };
    if report.has_errors() {
        return (None, report);
    }
    let LoadedPolicy { files, vocabulary, maskers, policy } = policy;
    let registry = &vocabulary.catalog.registry;
    let departments: HashMap<_, _> =
        registry.departments.keys().map(|id| (id.clone(), metrics.department(id))).collect();
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
        departments,
        plans: Plans::new(maskers, config.policy.pseudonym_keys.clone()),
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

/// Loads the candidate policy, if one is configured. Nothing that is wrong with it stops the live one.
fn candidate(config: &Config, clock: &dyn Clock, report: &mut Report) -> Option<LoadedPolicy> {
    let directory = config.policy.shadow.as_deref()?;
    let (loaded, found) = caught(|| load_policy(PolicyPlace { directory, ..config.into() }, clock));
    report.merge(found.with_errors_as_warnings());
    if loaded.is_none() {
        let heading = at_section(config, "policy", "", String::new()).span;
        let span = place_of(&config.source, &heading, "shadow");
        let message =
            format!("the candidate policy in {} does not load and is not evaluated", directory.display());
        let help = "mend what is found in it; the policy that serves is not affected";
        report.push(Diagnostic::warning("shadow-does-not-load", &config.source, span, message).help(help));
    }
    loaded
}

/// To load is total. If it were not, for a candidate that makes casbin panic, the live policy would still
/// be none of it.
fn caught<T>(load: impl FnOnce() -> (Option<T>, Report)) -> (Option<T>, Report) {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_default()
}

/// The candidate, with counters for the resources that requests can be for.
fn shadow(candidate: LoadedPolicy, live: &Catalog, metrics: &Metrics) -> Shadow {
    let LoadedPolicy { files, vocabulary, policy, .. } = candidate;
    Shadow {
        catalog: vocabulary.catalog,
        policy,
        digest: files.digest(),
        digest_hex: files.digest().to_hex(),
        metrics: live.resources.keys().map(|id| (id.clone(), metrics.shadow(id))).collect(),
    }
}

/// `WWW-Authenticate` up to the error: whose tokens are taken, and where to learn more (RFC 9728,
/// section 5.1).
fn challenge(config: &Config) -> String {
    let mut challenge = format!("Bearer realm=\"pinegate\", issuer=\"{}\"", config.purpose.issuer);
    if let Some(url) = &config.purpose.metadata_url {
        challenge.push_str(&format!(", resource_metadata=\"{url}\""));
    }
    challenge
}

fn token_verifier(config: &Config, report: &mut Report) -> Option<TokenVerifier> {
    let purpose = &config.purpose;
    let name = shown(&purpose.jwks.path);
    let Ok(text) = std::str::from_utf8(&purpose.jwks.bytes) else {
        report.push(at_section(config, "purpose", "bad-jwks", format!("{name} is not UTF-8")));
        return None;
    };
    let allowed: Vec<SignatureAlgorithm> =
        purpose.algorithms.iter().filter_map(|name| SignatureAlgorithm::parse(name)).collect();
    match KeySet::from_jwks(&Source::new(name, text), &allowed) {
        Ok((keys, warnings)) => {
            report.merge(warnings);
            let issuer = Issuer { name: Arc::from(purpose.issuer.as_str()), keys };
            let rules = TokenRules {
                audiences: vec![Arc::from(purpose.audience.as_str())],
                leeway: purpose.leeway,
                max_lifetime: MAX_TOKEN_LIFETIME,
                remembered: REMEMBERED_TOKENS,
            };
            Some(TokenVerifier::new(vec![issuer], rules))
        }
        Err(errors) => {
            report.merge(errors);
            None
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn pem(file: &config::FileContent) -> PemFile {
    PemFile { name: Arc::from(shown(&file.path)), bytes: Arc::clone(&file.bytes) }
}

/// A finding about a whole section of the configuration.
fn at_section(config: &Config, section: &str, code: &'static str, message: String) -> Diagnostic {
    let heading = format!("[{section}]");
    let start = config.source.text.find(&heading).unwrap_or(0);
    Diagnostic::error(code, &config.source, start..start + heading.len(), message)
}

fn tls_finding(config: &Config, section: &str, error: &TlsError) -> Diagnostic {
    at_section(config, section, "bad-tls", crate::kernel::diagnostic::chain(error))
}

fn server_tls(config: &Config, clock: &Arc<dyn Clock>, report: &mut Report) -> Option<ServerTls> {
    let tls = &config.tls;
    let revocation = match &tls.crls {
        None => Revocation::None,
        Some(files) => Revocation::Lists {
            files: files.iter().map(pem).collect(),
            stale: match tls.stale_crl {
                config::StaleCrl::Refuse => OnGap::Refuse,
                config::StaleCrl::Accept => OnGap::Accept,
            },
            unknown: OnGap::Refuse,
        },
    };
    let inputs = ServerTlsInputs {
        certificate_chain: &pem(&tls.certificate),
        key: &KeyFile { name: Arc::from("tls.key"), pem: tls.key.clone() },
        client_authorities: &pem(&tls.client_ca),
        client_intermediates: None,
        revocation: &revocation,
    };
    match ServerTls::new(&inputs, Arc::clone(clock)) {
        Ok(tls) => Some(tls),
        Err(error) => {
            report.push(tls_finding(config, "tls", &error));
            None
        }
    }
}

type Upstreams = HashMap<String, Arc<Upstream<crate::proxy::Upload>>>;

fn upstreams(config: &Config, clock: &Arc<dyn Clock>, report: &mut Report) -> Upstreams {
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

fn routes(
    config: &Config,
    catalog: &Catalog,
    upstreams: &Upstreams,
    metrics: &Metrics,
    report: &mut Report,
) -> Option<Routes> {
    let mut routes = Vec::new();
    for configured in &config.routes {
        if let Some(route) = route(configured, config, catalog, upstreams, metrics, report) {
            routes.push(route);
        }
    }
    match Routes::new(routes) {
        Ok(routes) => Some(routes),
        Err(conflict) => {
            report.push(at_section(
                config,
                "[route]",
                "route-conflict",
                crate::kernel::diagnostic::chain(&conflict),
            ));
            None
        }
    }
}

fn route(
    configured: &config::Route,
    config: &Config,
    catalog: &Catalog,
    upstreams: &Upstreams,
    metrics: &Metrics,
    report: &mut Report,
) -> Option<Route> {
    let source = &config.source;
    let mut unknown = |what: &str, name: &str, help: String| {
        let span = place_of(source, &configured.span, name);
        report.push(
            Diagnostic::error("unknown-id", source, span, format!("`{name}` is not {what}")).help(help),
        );
    };
    let Some(resource) = catalog.resources.get(&configured.resource) else {
        let name = configured.resource.as_str();
        let known = catalog.resources.keys().map(AsRef::<str>::as_ref);
        let help = did_you_mean(name, known).map_or_else(
            || "name a resource of `catalog.toml`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        unknown("a resource of the catalogue", name, help);
        return None;
    };
    if !resource.actions.contains(&configured.action) {
        let actions: Vec<&str> = resource.actions.iter().map(AsRef::as_ref).collect();
        let help = format!("the catalogue has for `{}`: {}", resource.id, actions.join(", "));
        unknown("an action of this resource", configured.action.as_str(), help);
    }
    let mut parameters = Vec::new();
    for (name, from) in &configured.parameters {
        match resource.parameter(name.as_str()) {
            Some(parameter) => parameters.push(RouteParameter {
                name: name.clone(),
                source: from.clone(),
                recordable: parameter.recordable,
            }),
            None => {
                let known: Vec<&str> = resource.parameters.iter().map(|it| it.name.as_str()).collect();
                let help = format!("the catalogue has for `{}`: {}", resource.id, known.join(", "));
                unknown("a parameter of this resource", name.as_str(), help);
            }
        }
    }
    let intake =
        configured.request.as_ref().and_then(|rule| intake(rule, resource, &parameters, source, report));
    let provider = catalog.registry.departments.get(&resource.provider)?;
    check_media_type(configured, source, resource, report);
    Some(Route {
        method: configured.method.as_method().clone(),
        template: configured.path.to_string(),
        resource: Arc::clone(resource),
        action: configured.action.clone(),
        provider: Arc::clone(provider),
        upstream: Arc::clone(upstreams.get(configured.upstream.as_str())?),
        accept_encoding: accept_encoding(configured, config),
        declared: Declared::new(resource.body.format, configured.media_type.clone()),
        compress: configured.compress,
        body: body_parameters(&parameters),
        intake,
        parameters,
        purpose: configured.purpose,
        denials: configured.denials,
        forward_token: configured.forward_token,
        pass_headers: configured.pass_headers.clone(),
        max_request_body: configured.max_request_body,
        timeout: configured.timeout,
        metrics: metrics.resource(Some(&resource.id)),
        egress: resource.egress.map(|action| metrics.egress(&resource.id, action)),
    })
}

/// A resource cannot come as what it is not.
fn check_media_type(configured: &config::Route, source: &Source, resource: &Resource, report: &mut Report) {
    let Some(media_type) = &configured.media_type else { return };
    let format = resource.body.format;
    let name = format.as_str();
    let message = if !format.may_be_sent_as(media_type) {
        format!("the route says `{media_type}`, and no resource of format `{name}` comes as that")
    } else if !format.may_be_in(media_type.charset().ok().flatten().unwrap_or_default()) {
        format!("the route says `{media_type}`, and a resource of format `{name}` is always UTF-8")
    } else {
        return;
    };
    let span = place_of(source, &configured.span, "media_type");
    let help = match format.media_type() {
        Some(usual) => format!("leave `media_type` out where the platform sends `{usual}`"),
        None => "name the one media type that the file has".to_owned(),
    };
    report.push(Diagnostic::error("bad-media-type", source, span, message).help(help));
}

/// What the upstream of a route is asked for (RFC 9110, section 12.5.3).
fn accept_encoding(configured: &config::Route, config: &Config) -> HeaderValue {
    let upstream = config.upstreams.iter().find(|upstream| upstream.id == configured.upstream);
    let codings = upstream.map_or(&[][..], |upstream| &upstream.accept_encoding);
    let names: Vec<&str> = codings.iter().map(|coding| coding.as_str()).collect();
    HeaderValue::from_str(&names.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("identity"))
}

/// How the bodies of a route's requests are held against permits, or what keeps them from it.
fn intake(
    rule: &config::RequestRule,
    resource: &Resource,
    parameters: &[RouteParameter],
    source: &Source,
    report: &mut Report,
) -> Option<Arc<Intake>> {
    let mut refuse = |message: String, help: &str| {
        let finding = Diagnostic::error("request-shape", source, rule.span.clone(), message);
        report.push(finding.help(help));
        None
    };
    if resource.fields.is_empty() {
        let message = format!("`{}` has no fields that a body could be held against", resource.id);
        return refuse(message, "declare them in `catalog.toml`, or remove `request`");
    }
    let format = rule.format.unwrap_or(resource.body.format);
    let in_body = |parameter: &RouteParameter| matches!(parameter.source, ParameterSource::Body(_));
    if format != BodyFormat::Json && parameters.iter().any(in_body) {
        let message = format!("parameters are in a JSON body, and this one is `{}`", format.as_str());
        return refuse(message, "write `format = \"json\"`, or take the parameters from elsewhere");
    }
    if !matches!(format, BodyFormat::Json | BodyFormat::Xml) && rule.records.is_some() {
        let message = format!("`records` means nothing where the body is `{}`", format.as_str());
        return refuse(message, "remove `records` and `envelope`, or write `format = \"json\"`");
    }
    let shape = BodyShape {
        format,
        records: rule.records.clone(),
        envelope: rule.envelope.clone(),
        xml: XmlNames { records: Vec::new(), ..resource.body.xml.clone() },
        ..resource.body.clone()
    };
    let (maskers, catalogue) = (Maskers::default(), resource.fields.as_slice());
    let spec = PlanSpec { shape: &shape, fields: &[], catalogue, maskers: &maskers, key: None, egress: None };
    if let Err(error) = Plan::refusing(&spec) {
        return refuse(format!("a body cannot be read like this: {error}"), "name each member once");
    }
    Some(Arc::new(Intake { fields: rule.fields, shape }))
}

/// What a route reads of request bodies before the decision, if anything.
fn body_parameters(parameters: &[RouteParameter]) -> Option<BodyParameters> {
    let paths: Vec<&BodyPath> = parameters
        .iter()
        .filter_map(|parameter| match &parameter.source {
            ParameterSource::Body(path) => Some(path),
            ParameterSource::Path(_) | ParameterSource::Query(_) | ParameterSource::Header(_) => None,
        })
        .collect();
    let elsewhere = parameters.iter().filter_map(|parameter| match &parameter.source {
        ParameterSource::Path(name) | ParameterSource::Query(name) => Some(name.as_str()),
        ParameterSource::Header(_) | ParameterSource::Body(_) => None,
    });
    (!paths.is_empty()).then(|| BodyParameters::new(&paths, elsewhere))
}

/// Where `name` stands within the table that begins at `span`.
fn place_of(source: &Source, span: &std::ops::Range<usize>, name: &str) -> std::ops::Range<usize> {
    let after = source.text.get(span.start..).unwrap_or("");
    match after.find(name) {
        Some(offset) => span.start + offset..span.start + offset + name.len(),
        None => span.clone(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_that_panics_is_one_that_does_not_load() {
        let (loaded, report) = caught::<()>(|| panic!("casbin"));
        assert!(loaded.is_none() && !report.has_errors());
        let (loaded, _) = caught(|| (Some(7), Report::new()));
        assert_eq!(loaded, Some(7));
    }
}
