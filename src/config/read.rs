//! From a document to a [`Config`], section by section, collecting every error.

mod audit;
mod traces;
mod upstream;
mod witness;

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::{Date, Time};

use super::{
    Admin, AuditLog, Compress, Config, Denials, FileContent, HeadKey, Identity, LogFilter, LogFormat,
    MAX_FILE_BYTES, Metrics, ParameterSource, PathTemplate, PolicyDirectory, Purpose, PurposeSource,
    ReloadTrigger, Route, RouteMethod, StaleCrl, Telemetry, Tls, Upstream, VARIABLE_UNSET,
};
use crate::catalog::{MediaType, MediaTypeError};
use crate::coding::Coding;
use crate::document::{At, Document, Table};
use crate::kernel::bound::{BoundError, ByteLimit, parse_duration};
use crate::kernel::diagnostic::{Diagnostic, Report, Severity, Source, did_you_mean};
use crate::kernel::id::{Action, Digest, KeyLabel, ParameterName, ResourceId, UpstreamId};
use crate::kernel::network::Network;
use crate::kernel::secret::Secret;
use crate::kernel::time::{TimeZone, Timestamp};
use crate::mask::{DatedSecret, KeysError, PseudonymKeys};

/// The most that clocks of issuer and gate may be apart.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// The most networks that balancers may be in.
const MAX_NETWORKS: usize = 64;

/// The JOSE algorithms a purpose token may be signed with.
const ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "PS256", "RS256"];

/// The content of a regular file of at most [`MAX_FILE_BYTES`].
pub(super) fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that could not be read at all.
fn unreadable(name: &str, why: &str) -> Diagnostic {
    let source = Source::new(name, "");
    Diagnostic::error("file-unreadable", &source, 0..0, format!("{name} {why}"))
        .help(
            "give its path with `--config`: without it the first of `config/gateway.toml`, `gateway.toml` and \
             `/etc/pinegate/gateway.toml` that is there is read; `pinegate init DIR` writes one to begin with",
        )
}

pub(super) use witness::witness;

/// The text of a configuration, or what keeps it from being read.
pub(super) fn text_of(path: &Path) -> Result<String, Report> {
    let name = path.display().to_string();
    let finding = match bounded(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Ok(text),
        Ok(Err(error)) => unreadable(&name, &format!("is not UTF-8: {error}")),
        Err(error) => unreadable(&name, &format!("cannot be read: {error}")),
    };
    let mut report = Report::new();
    report.push(finding);
    Err(report)
}

/// Reads the whole configuration.
pub(super) fn config(path: &Path, source: &Source) -> (Option<Config>, Report) {
    whole(path, source, None)
}

/// Reads the whole configuration where the environment need not be the gate's.
pub(super) fn look(path: &Path, source: &Source) -> (Option<Config>, Report) {
    whole(path, source, Some(RefCell::default()))
}

fn whole(path: &Path, source: &Source, stand_ins: Option<RefCell<Vec<Secret>>>) -> (Option<Config>, Report) {
    let document = Document::parse(source);
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let reader = Reader { stand_ins, ..Reader::new(document.root(), directory) };
    let config = reader.config(path, source);
    let report = document.into_report();
    (config.filter(|_| !report.has_errors()), report)
}

/// Reads what concerns the policy directory alone, without its findings.
pub(super) fn policy_in(path: &Path, source: &Source) -> Option<(PolicyDirectory, Identity)> {
    let document = Document::parse(source);
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let reader = Reader::new(document.root(), directory);
    let policy = reader.root.table("policy").and_then(|table| reader.policy(table));
    let identity = reader.root.table("identity").and_then(Reader::identity);
    policy.zip(identity)
}

/// Reads where operators and monitoring ask, without its findings.
pub(super) fn listeners_in(path: &Path, source: &Source) -> Option<(Metrics, Admin)> {
    let document = Document::parse(source);
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let reader = Reader::new(document.root(), directory);
    let metrics = reader.root.table("metrics").and_then(Reader::metrics);
    let admin = reader.root.table("admin").and_then(|table| reader.admin(table));
    metrics.zip(admin)
}

/// Reads where the log of audit records is and by which public keys it is believed, without the findings of the rest.
pub(super) fn log_in(path: &Path, source: &Source) -> Option<AuditLog> {
    let document = Document::parse(source);
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let read = {
        let reader = Reader::new(document.root(), directory);
        reader.root.table("audit").and_then(|table| reader.audit_log(&table))
    };
    let (directory, witnesses, signed) = read?;
    let key = match signed {
        None => HeadKey::Absent,
        Some(Some(key)) => HeadKey::Known(key),
        Some(None) => {
            let report = document.into_report();
            let first = report.sorted().into_iter().find(|finding| finding.severity == Severity::Error);
            HeadKey::Unknown(
                first.map_or_else(String::new, |first| format!("{}; {}", first.message, first.help)),
            )
        }
    };
    Some(AuditLog { directory, key, witnesses })
}

/// Reads the key of digests alone, without its findings.
pub(super) fn digest_key_in(path: &Path, source: &Source) -> Option<Secret> {
    let document = Document::parse(source);
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let reader = Reader::new(document.root(), directory);
    reader.root.table("audit").and_then(|table| reader.pseudonym_key(&table))
}

struct Reader<'d, 's> {
    root: Table<'d, 's>,
    directory: PathBuf,
    /// Written by whoever reads a secret, anywhere in the file.
    secret_files: RefCell<Vec<PathBuf>>,
    /// What stands in for secrets that are not in the environment, where anything may.
    stand_ins: Option<RefCell<Vec<Secret>>>,
}

impl<'d, 's> Reader<'d, 's> {
    fn new(root: Table<'d, 's>, directory: PathBuf) -> Self {
        Self { root, directory, secret_files: RefCell::default(), stand_ins: None }
    }

    fn config(self, path: &Path, source: &Source) -> Option<Config> {
        let listen = self.section("listen", "where department systems connect").and_then(Self::listen);
        let tls = self.section("tls", "the gate's certificate and whom it trusts").and_then(|t| self.tls(t));
        let identity = self.section("identity", "how certificates name systems").and_then(Self::identity);
        let purpose =
            self.section("purpose", "where signed purposes come from").and_then(|t| self.purpose(t));
        let upstreams = self.upstreams();
        let routes = self.routes(&upstreams);
        let policy = self.section("policy", "the policy directory").and_then(|t| self.policy(t));
        let audit = self.section("audit", "the audit log").and_then(|t| self.audit(t));
        let metrics =
            self.section("metrics", "the listener for Prometheus and probes").and_then(Self::metrics);
        let admin = self.section("admin", "the listener for operators").and_then(|t| self.admin(t));
        let bounds = super::bounds::read(self.root.table("bounds"));
        let telemetry = Self::telemetry(self.root.table("telemetry"));
        let traces = self.root.table("traces").map(|table| self.traces(table));
        self.root.finish();
        let (listen, proxy_from) = listen.unzip();
        let proxy_from = proxy_from.unwrap_or_default();
        Some(Config {
            path: path.to_path_buf(),
            source: source.clone(),
            digest: Digest::of(source.text.as_bytes()),
            listen: listen?,
            proxy_from,
            tls: tls?,
            identity: identity?,
            purpose: purpose?,
            routes,
            upstreams,
            policy: policy?,
            audit: audit?,
            metrics: metrics?,
            admin: admin?,
            bounds,
            traces: match traces {
                Some(traces) => Some(traces?),
                None => None,
            },
            telemetry,
            secret_files: self.secret_files.into_inner(),
            stand_ins: self.stand_ins.map(RefCell::into_inner).unwrap_or_default(),
        })
    }

    fn section(&self, key: &'static str, expected: &str) -> Option<Table<'d, 's>> {
        if !self.root.has(key) {
            self.root.document().error(
                "missing-section",
                0..0,
                format!("`[{key}]` is missing"),
                format!("add `[{key}]`: {expected}"),
            );
        }
        self.root.table(key)
    }

    fn resolve(&self, text: &str) -> PathBuf {
        self.directory.join(text)
    }

    fn file(&self, table: &Table<'d, 's>, key: &'static str, text: &At<String>) -> Option<FileContent> {
        let path = self.resolve(&text.value);
        match bounded(&path) {
            Ok(bytes) => Some(FileContent { path, bytes: bytes.into() }),
            Err(error) => {
                unreadable_value(table, key, text.span.clone(), &path, &error);
                None
            }
        }
    }

    fn required_file(&self, table: &Table<'d, 's>, key: &'static str, expected: &str) -> Option<FileContent> {
        let text = table.required_text(key, expected)?;
        self.file(table, key, &text)
    }

    /// A secret: a text names a file, `{ env = "NAME" }` an environment variable.
    fn secret(&self, table: &Table<'d, 's>, key: &'static str) -> Option<Secret> {
        if table.is_table(key) {
            let reference = table.table(key)?;
            let name = reference.required_text("env", "the environment variable that holds the secret");
            reference.finish();
            let name = name?;
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the module that may read the environment"
            )]
            return match std::env::var(&name.value) {
                Ok(value) => Some(Secret::new(value.into_bytes())),
                Err(_) => self.unset(table, key, &name),
            };
        }
        let text = table.text(key)?.map(str::to_owned);
        let file = self.file(table, key, &text)?;
        let secret = Secret::new(file.bytes.to_vec());
        self.secret_files.borrow_mut().push(file.path);
        Some(secret)
    }

    /// A secret whose variable is not set: something that stands in for it, where anything may.
    fn unset(&self, table: &Table<'d, 's>, key: &'static str, name: &At<String>) -> Option<Secret> {
        let (document, key, variable) = (table.document(), table.path_of(key), &name.value);
        let Some(stand_ins) = &self.stand_ins else {
            document.error(
                VARIABLE_UNSET,
                name.span.clone(),
                format!("`{key}` names an environment variable that is not set"),
                format!("set `{variable}` where this is run, as it is set for the gate"),
            );
            return None;
        };
        let message = format!("`{key}` comes from `{variable}`, which is not set here");
        let help = format!(
            "the gate refuses to start without it: see that `{variable}` is set where the gate is run"
        );
        document.push(
            Diagnostic::warning(VARIABLE_UNSET, document.source(), name.span.clone(), message).help(help),
        );
        // Long enough for a key of digests, fit for a header field, and another for each variable.
        let stand_in = Digest::of(format!("stands in for {variable}").as_bytes()).to_hex();
        let stand_in = Secret::new(stand_in.into_bytes());
        stand_ins.borrow_mut().push(stand_in.clone());
        Some(stand_in)
    }

    /// Whether this only stands in for a secret.
    fn stands_in(&self, secret: &Secret) -> bool {
        self.stand_ins.as_ref().is_some_and(|stand_ins| stand_ins.borrow().contains(secret))
    }

    fn listen(table: Table<'d, 's>) -> Option<(Vec<SocketAddr>, Vec<Network>)> {
        let mut addresses = Vec::new();
        for address in table.parsed_list("addresses", parse_address) {
            addresses.push(address.value);
        }
        if !table.has("addresses") {
            table.missing("addresses", "a list such as `[\"0.0.0.0:8443\"]`");
        } else if table.texts("addresses").is_empty() {
            table.bad_value("addresses", table.span(), &"at least one address, such as `[\"0.0.0.0:8443\"]`");
        }
        let proxy_from = table.parsed_list("proxy_from", Network::parse);
        if proxy_from.len() > MAX_NETWORKS {
            let expected = format!("at most {MAX_NETWORKS} networks");
            table.bad_value("proxy_from", table.span_of("proxy_from"), &expected);
        }
        let proxy_from = proxy_from.into_iter().map(|network| network.value).collect();
        table.finish();
        (!addresses.is_empty()).then_some((addresses, proxy_from))
    }

    fn tls(&self, table: Table<'d, 's>) -> Option<Tls> {
        let certificate = self.required_file(&table, "certificate", "the gate's certificate chain, PEM");
        if !table.has("key") {
            table.missing("key", "the file of the gate's private key, PEM");
        }
        let key = self.secret(&table, "key");
        let client_ca =
            self.required_file(&table, "client_ca", "the authorities that issue client certificates, PEM");
        let crls = self.crls(&table);
        let stale_crl =
            word(&table, "stale_crl", &[("refuse", StaleCrl::Refuse), ("accept", StaleCrl::Accept)]);
        table.finish();
        Some(Tls {
            certificate: certificate?,
            key: key?,
            client_ca: client_ca?,
            crls: crls?,
            stale_crl: stale_crl.unwrap_or(StaleCrl::Refuse),
        })
    }

    fn crls(&self, table: &Table<'d, 's>) -> Option<Option<Vec<FileContent>>> {
        if !table.has("crls") {
            table.missing("crls", "a list of revocation lists, or `\"none\"` where there are none");
            return None;
        }
        if table.is_text("crls") {
            let text = table.text("crls")?;
            if text.value != "none" {
                table.bad_value("crls", text.span, &"a list of files, or `\"none\"` where there are none");
                return None;
            }
            return Some(None);
        }
        let files = table.texts("crls");
        if files.is_empty() {
            table.bad_value("crls", table.span(), &"at least one file, or `\"none\"` where there are none");
            return None;
        }
        files
            .into_iter()
            .map(|text| self.file(table, "crls", &text.map(str::to_owned)))
            .collect::<Option<Vec<_>>>()
            .map(Some)
    }

    fn identity(table: Table<'d, 's>) -> Option<Identity> {
        let is_domain_byte =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let trust_domain =
            table.required("trust_domain", "the SPIFFE trust domain of client certificates", |text| {
                if !text.is_empty() && text.len() <= 255 && text.bytes().all(is_domain_byte) {
                    Ok(text.to_owned())
                } else {
                    Err("lower-case letters, digits, `.`, `-` and `_`, such as `city.example`")
                }
            });
        table.finish();
        Some(Identity { trust_domain: trust_domain?.value })
    }

    fn purpose(&self, table: Table<'d, 's>) -> Option<Purpose> {
        let issuer = table.required("issuer", "the exact `iss` of purpose tokens", visible_ascii);
        let audience = table.required("audience", "the exact `aud` of purpose tokens", visible_ascii);
        let jwks = self.required_file(&table, "jwks", "the issuer's public keys, a JSON Web Key Set");
        let mut algorithms: Vec<String> = Vec::new();
        let known = |text: &str| {
            let algorithm = ALGORITHMS.into_iter().find(|name| *name == text);
            algorithm.map(str::to_owned).ok_or("`ES256`, `EdDSA`, `PS256` or `RS256`")
        };
        for algorithm in table.parsed_list("algorithms", known) {
            algorithms.push(algorithm.value);
        }
        if !table.has("algorithms") {
            table.missing("algorithms", "a list such as `[\"ES256\", \"EdDSA\"]`");
        }
        if table.has("algorithms") && table.texts("algorithms").is_empty() {
            table.bad_value(
                "algorithms",
                table.span(),
                &"at least one of `ES256`, `EdDSA`, `PS256` and `RS256`",
            );
        }
        let leeway = duration(&table, "leeway", Duration::from_secs(30));
        if leeway > MAX_LEEWAY {
            table.bad_value("leeway", table.span(), &"at most `5m`: more would keep ended tokens alive");
        }
        let metadata_url = table.parsed("metadata_url", visible_ascii).map(|at| at.value);
        table.finish();
        Some(Purpose {
            issuer: issuer?.value,
            audience: audience?.value,
            jwks: jwks?,
            algorithms,
            leeway,
            metadata_url,
        })
    }

    fn routes(&self, upstreams: &[Upstream]) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        if !self.root.has("route") {
            self.root.document().error(
                "missing-section",
                0..0,
                "there is no `[[route]]`",
                "add `[[route]]` with `method`, `path`, `resource`, `action` and `upstream`",
            );
        }
        for table in self.root.tables("route") {
            let (span, document) = (table.span(), table.document());
            let Some(route) = Self::route(table, upstreams) else { continue };
            if routes.iter().any(|known| known.method == route.method && known.path == route.path) {
                let message = format!("two routes for `{} {}`", route.method.as_method(), route.path);
                document.error("duplicate-route", span, message, "remove one of them");
            }
            routes.push(route);
        }
        routes
    }

    fn route(table: Table<'d, 's>, upstreams: &[Upstream]) -> Option<Route> {
        let method = table.required("method", "the method it answers", RouteMethod::parse);
        let path = table.required("path", "the path it answers", PathTemplate::parse);
        let resource = table.required("resource", "the catalogue resource it gives", ResourceId::parse);
        let action =
            table.required("action", "what it does with the resource, such as `query`", Action::parse);
        let upstream = table.required("upstream", "the id of an `[[upstream]]`", |text| {
            if upstreams.iter().any(|known| known.id.as_str() == text) {
                return UpstreamId::parse(text).map_err(|error| error.to_string());
            }
            let near = did_you_mean(text, upstreams.iter().map(|known| known.id.as_str()));
            Err(near.map_or_else(
                || "the id of an `[[upstream]]`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ))
        });
        let parameters = Self::parameters(&table, path.as_ref().map(|at| &at.value));
        let upgrade = super::upgrade::read(&table, method.as_ref().map(|at| &at.value), &parameters);
        let request = super::request::read(&table, method.as_ref().map(|at| &at.value));
        let sources = [("token", PurposeSource::Token), ("declared", PurposeSource::Declared)];
        let purpose = word(&table, "purpose", &sources).unwrap_or(PurposeSource::Token);
        let denials = [("explained", Denials::Explained), ("coarse", Denials::Coarse)];
        let denials = word(&table, "denials", &denials).unwrap_or(Denials::Explained);
        let forward_token = table.flag("forward_token").is_some_and(|at| at.value);
        let pass_headers = table.parsed_list("pass_headers", |text| {
            let name = text.parse::<http::HeaderName>().map_err(|_| "the name of a header field")?;
            if name.as_str().starts_with("pinegate-") || name == http::header::AUTHORIZATION {
                return Err(
                    "a field that is neither the gate's own nor the token; `forward_token` passes that",
                );
            }
            Ok(name)
        });
        let pass_headers = pass_headers.into_iter().map(|name| name.value).collect();
        let media_type = table.parsed("media_type", media_type).map(|at| at.value);
        let compress = [("never", Compress::Never), ("coded", Compress::Coded), ("always", Compress::Always)];
        let compress = word(&table, "compress", &compress).unwrap_or(Compress::Coded);
        let max_request_body = size(&table, "max_request_body", ByteLimit::bytes(1 << 20));
        let timeout = duration(&table, "timeout", Duration::from_secs(30));
        let span = table.span();
        table.finish();
        Some(Route {
            method: method?.value,
            path: path?.value,
            resource: resource?.value,
            action: action?.value,
            upstream: upstream?.value,
            parameters,
            request,
            upgrade,
            purpose,
            denials,
            forward_token,
            pass_headers,
            media_type,
            compress,
            max_request_body,
            timeout,
            span,
        })
    }

    fn parameters(
        table: &Table<'d, 's>,
        path: Option<&PathTemplate>,
    ) -> Vec<(ParameterName, ParameterSource)> {
        let mut parameters = Vec::new();
        for (name, source) in table.named_texts("parameters") {
            let name_span = name.span.clone();
            let parsed = (ParameterName::parse(name.value), ParameterSource::parse(source.value));
            let (name, from) = match parsed {
                (Ok(name), Ok(from)) => (name, from),
                (Err(error), _) => {
                    table.bad_value("parameters", name_span, &error);
                    continue;
                }
                (_, Err(error)) => {
                    table.bad_value("parameters", source.span, &error);
                    continue;
                }
            };
            if let (ParameterSource::Path(variable), Some(path)) = (&from, path)
                && !path.names().any(|known| known == variable)
            {
                table.bad_value("parameters", source.span, &format!("`{path}` has no `{{{variable}}}`"));
            }
            parameters.push((name, from));
        }
        parameters
    }

    fn policy(&self, table: Table<'d, 's>) -> Option<PolicyDirectory> {
        let directory = table.required_text("directory", "where the policy files are");
        let zone = table.required("zone", "the zone of dates and hours, such as `Asia/Shanghai`", |text| {
            TimeZone::get(text).map_err(|_| "an IANA time zone, such as `Asia/Shanghai`")
        });
        let shadow = table.text("shadow").map(|text| self.resolve(text.value));
        let triggers = [("signal", ReloadTrigger::Signal), ("watch", ReloadTrigger::Watch)];
        let reload = word(&table, "reload", &triggers).unwrap_or(ReloadTrigger::Signal);
        let pseudonym_keys = self.pseudonym_keys(&table, zone.as_ref().map(|zone| &zone.value));
        table.finish();
        Some(PolicyDirectory {
            directory: self.resolve(&directory?.value),
            zone: zone?.value,
            shadow,
            reload,
            pseudonym_keys,
        })
    }

    /// One secret, or a list `[[policy.pseudonym_key]]` of secrets with labels and dates.
    fn pseudonym_keys(&self, policy: &Table<'d, 's>, zone: Option<&TimeZone>) -> PseudonymKeys {
        const KEY: &str = "pseudonym_key";
        let mut keys = PseudonymKeys::default();
        if !policy.is_list(KEY) {
            if policy.has(KEY)
                && let Some(secret) = self.secret(policy, KEY)
            {
                match PseudonymKeys::single(secret) {
                    Ok(only) => keys = only,
                    Err(error) => policy.bad_value(KEY, policy.span_of(KEY), &error),
                }
            }
            return keys;
        }
        for table in policy.tables(KEY) {
            let label =
                table.required("label", "what stands before its pseudonyms, such as `h2`", KeyLabel::parse);
            if !table.has("secret") {
                table.missing("secret", "the file of the key, or `{ env = \"NAME\" }`");
            }
            let secret = if table.has("secret") { self.secret(&table, "secret") } else { None };
            let from = table.parsed("from", |text| beginning(text, zone));
            let is_from_wrong = table.has("from") && from.is_none();
            if let (Some(label), Some(secret), false) = (label, secret, is_from_wrong)
                && let Err(error) =
                    keys.add(DatedSecret { label: label.value, secret, from: from.map(|from| from.value) })
            {
                let at = match error {
                    KeysError::Short | KeysError::SameSecret => "secret",
                    KeysError::SameLabel => "label",
                    KeysError::SameTime => "from",
                };
                table.bad_value(at, table.span_of(at), &error);
            }
            table.finish();
        }
        keys
    }

    fn metrics(table: Table<'d, 's>) -> Option<Metrics> {
        let address =
            table.required("address", "where Prometheus scrapes, such as `127.0.0.1:9464`", parse_address);
        table.finish();
        Some(Metrics { address: address?.value })
    }

    fn admin(&self, table: Table<'d, 's>) -> Option<Admin> {
        let socket = table.required_text("socket", "the path of a Unix socket for `pinegate reload`");
        table.finish();
        Some(Admin { socket: self.resolve(&socket?.value) })
    }

    fn telemetry(table: Option<Table<'d, 's>>) -> Telemetry {
        let mut telemetry = Telemetry { log: LogFilter::default(), format: LogFormat::Pretty };
        let Some(table) = table else { return telemetry };
        if let Some(log) = table.parsed("log", LogFilter::parse) {
            telemetry.log = log.value;
        }
        let formats = [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
        telemetry.format = word(&table, "format", &formats).unwrap_or(LogFormat::Pretty);
        table.finish();
        telemetry
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address and port, such as `127.0.0.1:8443` or `[::]:8443`")
}

/// The instant at which something begins: with a day of `zone`, or at an instant.
fn beginning(text: &str, zone: Option<&TimeZone>) -> Result<Timestamp, &'static str> {
    const EXPECTED: &str = "a date such as `2027-01-01`, or an instant such as `2027-01-01T08:00:00+08:00`";
    // jiff reads more forms of ISO 8601 than people should have to know.
    if text.len() > "2027-01-01".len() {
        return text.parse().map_err(|_| EXPECTED);
    }
    let date: Date = text.parse().ok().filter(|_| text.contains('-')).ok_or(EXPECTED)?;
    let midnight = date.to_datetime(Time::midnight());
    zone.unwrap_or(&TimeZone::UTC.clone()).to_timestamp(midnight).map_err(|_| EXPECTED)
}

fn visible_ascii(text: &str) -> Result<String, &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        Ok(text.to_owned())
    } else {
        Err("visible ASCII without blanks, quotes and backslashes")
    }
}

fn base_url(text: &str) -> Result<http::Uri, &'static str> {
    const EXPECTED: &str = "`http://host:port` or `https://host:port` and nothing after it";
    let url: http::Uri = text.parse().map_err(|_| EXPECTED)?;
    let has_base = matches!(url.scheme_str(), Some("http" | "https"));
    let is_bare = url.path_and_query().is_none_or(|rest| rest == "/");
    let authority = url.authority().filter(|authority| !authority.as_str().contains('@'));
    if has_base && is_bare && authority.is_some() { Ok(url) } else { Err(EXPECTED) }
}

/// A media type in a charset that is understood.
fn media_type(text: &str) -> Result<MediaType, MediaTypeError> {
    let media_type = MediaType::parse(text)?;
    media_type.charset().map(|_| media_type)
}

/// The codings of `accept_encoding`, each once.
fn codings(table: &Table<'_, '_>) -> Vec<Coding> {
    let mut codings = Vec::new();
    for At { value, span } in table.parsed_list("accept_encoding", Coding::parse) {
        if codings.contains(&value) {
            table.bad_value("accept_encoding", span, &"each coding once");
        }
        codings.push(value);
    }
    codings
}

fn unreadable_value(
    table: &Table<'_, '_>,
    key: &str,
    span: Range<usize>,
    path: &Path,
    error: &std::io::Error,
) {
    table.document().error(
        "file-unreadable",
        span,
        format!("`{}` names a file that cannot be read", table.path_of(key)),
        format!("{}: {error}", path.display()),
    );
}

fn word<T: Copy>(table: &Table<'_, '_>, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
    let parsed = table.parsed(key, |text| {
        words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value).ok_or_else(|| {
            let list: Vec<String> = words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
            list.join(" or ")
        })
    });
    parsed.map(|at| at.value)
}

pub(super) fn duration(table: &Table<'_, '_>, key: &'static str, default: Duration) -> Duration {
    table.parsed(key, parse_duration).map_or(default, |at| at.value)
}

pub(super) fn size(table: &Table<'_, '_>, key: &'static str, default: ByteLimit) -> ByteLimit {
    table
        .parsed(key, |text| -> Result<_, BoundError> { ByteLimit::parse(text) })
        .map_or(default, |at| at.value)
}

pub(super) fn count(
    table: &Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<i64>,
    default: usize,
) -> usize {
    table.integer(key, range).and_then(|at| usize::try_from(at.value).ok()).unwrap_or(default)
}
