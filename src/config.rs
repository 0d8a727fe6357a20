//! The gateway configuration: from `gateway.toml` and the files it names to a [`Config`].
//!
//! Strict and whole: every unknown key, bad value and missing file of one run is reported together,
//! each with its place. A [`Config`] has no optional "default" values and no paths still to be read
//! at a worse moment: what could be wrong has been found by the time it exists. Only this module
//! reads the environment, and only for secrets that the file refers to.

mod audit;
mod bounds;
mod log;
mod read;
mod request;
mod route;
mod traces;
mod upgrade;
mod upstream;
mod witness;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::MediaType;
use crate::kernel::bound::ByteLimit;
use crate::kernel::diagnostic::{Report, Severity, Source};
use crate::kernel::id::{Action, Digest, ParameterName, ResourceId, UpstreamId};
use crate::kernel::network::Network;
use crate::kernel::secret::Secret;
use crate::kernel::time::TimeZone;
use crate::mask::PseudonymKeys;

pub use audit::{
    Audit, AuditLog, CheckpointSettings, HeadKey, MIN_DIGEST_KEY_BYTES, MIN_RETENTION_DAYS, RETENTION_DAYS,
    SinkKind, SinkSettings, WitnessSettings,
};
pub use bounds::Bounds;
pub use log::{CHANGE_OF_FILTER, LogFilter, LogFilterError, MAX_LOG_FILTER_BYTES};
pub use request::{RequestFields, RequestRule};
pub use route::{ParameterSource, PathTemplate, RouteMethod, TemplateError};
pub use traces::TraceSettings;
pub use upgrade::Upgrade;
pub use upstream::{Breaker, Ejection, Endpoint, HealthCheck, Retry, Upstream};
pub use witness::WitnessConfig;

/// The code of the finding that a secret is not in this process's environment. Another process may have it in its own.
pub const VARIABLE_UNSET: &str = "variable-unset";

/// The largest `gateway.toml`, and the largest file it may name.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// All that the gate is told by its operator.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Its text, for findings about it.
    pub source: Source,
    /// SHA-256 of that file.
    pub digest: Digest,
    /// Where department systems connect.
    pub listen: Vec<SocketAddr>,
    /// The networks of balancers that say, by the PROXY protocol, whom a connection is from.
    pub proxy_from: Vec<Network>,
    /// The gate's certificate and whom it trusts.
    pub tls: Tls,
    /// How certificates name systems.
    pub identity: Identity,
    /// Where signed purposes come from.
    pub purpose: Purpose,
    /// Which request is for which resource.
    pub routes: Vec<Route>,
    /// Where the platform's services are.
    pub upstreams: Vec<Upstream>,
    /// The policy directory.
    pub policy: PolicyDirectory,
    /// The audit log.
    pub audit: Audit,
    /// The listener for Prometheus and probes.
    pub metrics: Metrics,
    /// The listener for operators.
    pub admin: Admin,
    /// Everything that is bounded.
    pub bounds: Bounds,
    /// Where spans of requests are sent, if anywhere.
    pub traces: Option<TraceSettings>,
    /// Logs.
    pub telemetry: Telemetry,
    /// The files that secrets were read from, in the order of reading, for whoever looks who may read them.
    pub secret_files: Vec<PathBuf>,
    /// What stands in for secrets that are not in this process's environment; nothing does where it was [loaded](Config::load).
    stand_ins: Vec<Secret>,
}

/// A file named by the configuration, with its content.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent {
    /// Its path, made absolute against the configuration's directory.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for FileContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path.display(), self.bytes.len())
    }
}

/// `[tls]`: the gate's certificate and whom it trusts.
#[derive(Debug)]
pub struct Tls {
    /// The gate's certificate chain, leaf first, PEM.
    pub certificate: FileContent,
    /// Its private key, PEM.
    pub key: Secret,
    /// The certificate authorities that issue client certificates, PEM.
    pub client_ca: FileContent,
    /// Revocation lists, PEM; `None` where `crls = "none"` says that there are none.
    pub crls: Option<Vec<FileContent>>,
    /// What a revocation list past its next update means.
    pub stale_crl: StaleCrl,
}

/// What a revocation list past its next update means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleCrl {
    /// Certificates of that authority are refused until a fresh list is loaded.
    Refuse,
    /// The old list is used on.
    Accept,
}

/// `[identity]`: how certificates name systems.
#[derive(Debug)]
pub struct Identity {
    /// The SPIFFE trust domain of `spiffe://<trust-domain>/dept/<dept>/system/<system>`.
    pub trust_domain: String,
}

/// `[purpose]`: where signed purposes come from.
#[derive(Debug)]
pub struct Purpose {
    /// The exact `iss` of a purpose token.
    pub issuer: String,
    /// The exact `aud` of a purpose token.
    pub audience: String,
    /// The issuer's public keys (RFC 7517).
    pub jwks: FileContent,
    /// The algorithms that may be used at all, by their JOSE names.
    pub algorithms: Vec<String>,
    /// How far `exp` and `nbf` may be off.
    pub leeway: Duration,
    /// Where a caller learns how to get a token; named in `WWW-Authenticate`.
    pub metadata_url: Option<String>,
}

/// How a route learns the purpose of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurposeSource {
    /// From a signed token only.
    Token,
    /// From a token, or declared in `Data-Purpose`; where both are sent they must agree.
    Declared,
}

/// How much a refusal tells an identified system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denials {
    /// Which clause failed, and the caller's own grant that came nearest.
    Explained,
    /// The code alone.
    Coarse,
}

/// When a reply leaves in a content coding, to a client that accepts one.
///
/// The length of a coded reply tells how much of it is alike. Where a client can put words of somebody else's choice
/// beside what it may not learn, that length gives it away letter by letter; so a reply is not coded
/// because the gate felt like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// Never.
    Never,
    /// When the platform's answer came coded, which then tells as much already.
    Coded,
    /// Whenever it is worth it.
    Always,
}

/// `[[route]]`: which request is for which resource.
#[derive(Debug)]
pub struct Route {
    /// The method it answers; `HEAD` is answered where `GET` is.
    pub method: RouteMethod,
    /// The path, with `{names}` for its variable segments.
    pub path: PathTemplate,
    /// The catalogue resource it gives.
    pub resource: ResourceId,
    /// What it does with the resource.
    pub action: Action,
    /// Where it is forwarded to.
    pub upstream: UpstreamId,
    /// Where each parameter that grants may constrain is found in a request.
    pub parameters: Vec<(ParameterName, ParameterSource)>,
    /// What becomes of the fields in a request's body; none lets it pass as it is.
    pub request: Option<RequestRule>,
    /// Which protocol a request may ask for in place of a reply, if any.
    pub upgrade: Option<Upgrade>,
    /// How it learns the purpose.
    pub purpose: PurposeSource,
    /// How much its refusals tell.
    pub denials: Denials,
    /// Whether the client's token is passed on to the platform.
    pub forward_token: bool,
    /// Header fields that are passed on to the platform beside the usual ones.
    pub pass_headers: Vec<http::HeaderName>,
    /// What exactly the platform must send; whatever the resource's format comes as, if that is not said.
    pub media_type: Option<MediaType>,
    /// When its replies leave in a content coding.
    pub compress: Compress,
    /// The largest request body.
    pub max_request_body: ByteLimit,
    /// The bound on the whole request up to the head of the reply.
    pub timeout: Duration,
    /// Where it stands in the file, for cross-checks with the policy directory.
    pub span: std::ops::Range<usize>,
}

/// When policy files take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadTrigger {
    /// On SIGHUP and `pinegate reload` only: a half-saved edit never goes live.
    Signal,
    /// When a file changes, too.
    Watch,
}

/// `[policy]`: the policy directory.
#[derive(Debug)]
pub struct PolicyDirectory {
    /// Where it is.
    pub directory: PathBuf,
    /// The zone in which its dates and hours are meant.
    pub zone: TimeZone,
    /// A candidate directory that decides beside it and enforces nothing, if there is one.
    pub shadow: Option<PathBuf>,
    /// When it takes effect.
    pub reload: ReloadTrigger,
    /// The keys of keyed maskers; without one no field may use them.
    pub pseudonym_keys: PseudonymKeys,
}

/// `[metrics]`: the listener for Prometheus and probes.
#[derive(Debug)]
pub struct Metrics {
    /// Where it listens.
    pub address: SocketAddr,
}

/// `[admin]`: the listener for operators.
#[derive(Debug)]
pub struct Admin {
    /// The Unix socket it listens on, mode 0600.
    pub socket: PathBuf,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// `[telemetry]`: logs.
#[derive(Debug)]
pub struct Telemetry {
    /// What is logged.
    pub log: LogFilter,
    /// How it looks.
    pub format: LogFormat,
}

impl Config {
    /// Reads `path` and every file it names.
    ///
    /// The report holds what is wrong; there is a [`Config`] exactly when it has no error.
    #[must_use]
    pub fn load(path: &Path) -> (Option<Self>, Report) {
        match read::text_of(path) {
            Ok(text) => read::config(path, &Source::new(path.display().to_string(), text)),
            Err(report) => (None, report),
        }
    }

    /// As [`Config::load`], for a look from where the gate's environment need not be: a secret from a variable that is
    /// not set here is a warning, and something stands in for it. No gate can be made of a stand-in for a private key.
    #[must_use]
    pub fn look(path: &Path) -> (Option<Self>, Report) {
        match read::text_of(path) {
            Ok(text) => read::look(path, &Source::new(path.display().to_string(), text)),
            Err(report) => (None, report),
        }
    }

    /// Whether this only stands in for a secret that is not known here.
    #[must_use]
    pub fn stands_in(&self, secret: &Secret) -> bool {
        self.stand_ins.contains(secret)
    }

    /// Where `path` says that operators and monitoring ask the gate, even where the rest of it is wrong: a file that
    /// is being edited says nothing of the gate that runs.
    #[must_use]
    pub fn listeners_in(path: &Path) -> Option<(Metrics, Admin)> {
        let text = String::from_utf8(read::bounded(path).ok()?).ok()?;
        read::listeners_in(path, &Source::new(path.display().to_string(), text))
    }

    /// Where `path` says that the log of audit records is and by which public keys it is believed, even where the rest
    /// cannot be read: whoever reads the log needs none of the gate's secrets. `None` where just that is wrong.
    #[must_use]
    pub fn log_in(path: &Path) -> Option<AuditLog> {
        let text = String::from_utf8(read::bounded(path).ok()?).ok()?;
        read::log_in(path, &Source::new(path.display().to_string(), text))
    }

    /// The key of digests that `path` names, if it can be read, whatever the rest says.
    #[must_use]
    pub fn digest_key_in(path: &Path) -> Option<Secret> {
        let text = String::from_utf8(read::bounded(path).ok()?).ok()?;
        read::digest_key_in(path, &Source::new(path.display().to_string(), text))
    }

    /// Whether all that keeps a configuration from being loaded here is that secrets are not in this process's
    /// environment: the gate may have them in its own.
    #[must_use]
    pub fn lacks_only_variables(report: &Report) -> bool {
        let findings = report.sorted();
        let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error).peekable();
        errors.peek().is_some() && errors.all(|finding| finding.code == VARIABLE_UNSET)
    }

    /// What `path` says about the policy directory, even where the rest of it is wrong, so that one
    /// check can go on to the policy. `None` where just that is wrong too; [`Config::load`] says how.
    #[must_use]
    pub fn policy_in(path: &Path) -> Option<(PolicyDirectory, Identity)> {
        let text = String::from_utf8(read::bounded(path).ok()?).ok()?;
        read::policy_in(path, &Source::new(path.display().to_string(), text))
    }
}

#[cfg(test)]
mod tests;
