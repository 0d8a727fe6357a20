//! What the demonstration shows: one request of each kind, with the result that it must have.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::layout::{Addresses, Layout, LayoutError};
use super::people::{Counts, DEMO_SEED, Data};
use super::platform::{Options, Platform, PlatformError};
use crate::app::assemble::assemble;
use crate::app::run::{RunError, Running};
use crate::app::{Inherited, Levels};
use crate::audit::{DigestKey, ParsedRecord, peek_subjects};
use crate::catalog::Subject;
use crate::config::Config;
use crate::journal::DiskStorage;
use crate::journal::read::{self, Records};
use crate::kernel::diagnostic::chain;
use crate::kernel::id::{SubjectKind, UpstreamId};
use crate::kernel::secret::Secret;
use crate::kernel::time::{Clock, SystemClock};
use crate::telemetry::Metrics;
use crate::tls::{KeyFile, PemFile, UpstreamTls, UpstreamTlsInputs};
use crate::upstream::{self, ClientSettings};

/// The most bytes of a reply that are read.
const MAX_REPLY_BYTES: usize = 1 << 20;
/// How much of a reply is printed, in characters.
const SHOWN_CHARACTERS: usize = 620;
/// Where things listen unless the port is taken.
const PORTS: [u16; 3] = [8443, 9464, 9080];

/// What the demonstration is told.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// Where its files go.
    pub directory: PathBuf,
    /// Whether to end after the requests, on ports that are free.
    pub once: bool,
}

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The files could not be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The invented platform did not start.
    #[error("the invented platform did not start")]
    Platform(#[from] PlatformError),
    /// The configuration, or an edited policy, has errors.
    #[error("the files have errors:\n{0}")]
    Files(String),
    /// The gate did not start.
    #[error("the gate did not start")]
    Gate(#[from] RunError),
    /// A client could not be set up.
    #[error("a client could not be set up: {0}")]
    Client(String),
    /// The runtime did not start, or nothing could be printed.
    #[error("input or output failed")]
    Io(#[from] io::Error),
    /// The metrics could not be made.
    #[error("the metrics could not be made")]
    Metrics(#[from] prometheus::Error),
}

/// An invented person, whom one of the requests names.
const PERSON: &str = "341094198304277603";

/// One request and what must come of it.
struct Case {
    title: &'static str,
    /// The system whose certificate is shown; none shows none.
    certificate: Option<&'static str>,
    /// The system and purpose of the token that is sent.
    token: (&'static str, &'static str),
    path: &'static str,
    scope: Option<&'static str>,
    /// The JSON that is sent with `POST`; a `GET` has none.
    body: Option<&'static str>,
    /// How often it is sent; the last result counts.
    times: usize,
    expected: Expected,
}

/// What must come of a request.
enum Expected {
    /// Data, with these texts in it and without those.
    Data { present: &'static [&'static str], absent: &'static [&'static str] },
    /// A refusal.
    Refusal { status: StatusCode, code: &'static str },
    /// A TLS alert before any reply.
    Alert,
}

/// The requests, in order.
const CASES: [Case; 12] = [
    Case {
        title: "allowed: names, phones and birth dates masked, the rest dropped",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "social-aid.eligibility"),
        path: "/population/residents?area=3410&size=2",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Data {
            present: &["\"id_card\"", "\"phone\"", "****", "\"district\""],
            absent: &["\"email\"", "\"household_size\"", "internal_note", "debug_sql", "\"detail\""],
        },
    },
    Case {
        title: "allowed: one person, by number; the record has a keyed digest of it",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "social-aid.eligibility"),
        path: "/population/residents/341094198304277603?area=3410",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Data { present: &["\"id_card\"", PERSON], absent: &["\"email\""] },
    },
    Case {
        title: "allowed: an open resource, its basic fields",
        certificate: Some("shichang-credit"),
        token: ("shichang-credit", "enterprise.credit"),
        path: "/spatial/parcels?size=1",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Data {
            present: &["\"parcel_id\"", "\"centroid\""],
            absent: &["\"boundary\"", "\"owner\""],
        },
    },
    Case {
        title: "refused: this purpose is not granted",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "planning.survey"),
        path: "/population/residents?area=3410",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Refusal { status: StatusCode::FORBIDDEN, code: "purpose-not-granted" },
    },
    Case {
        title: "refused: a field beyond the granted scope",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "social-aid.eligibility"),
        path: "/population/residents?area=3410",
        scope: Some("name|email"),
        body: None,
        times: 1,
        expected: Expected::Refusal { status: StatusCode::FORBIDDEN, code: "scope-exceeded" },
    },
    Case {
        title: "allowed: a lead that holds the fields it may hold; the answer is a receipt",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "low-income.monitoring"),
        path: "/aid/leads",
        scope: None,
        body: Some(r#"{"name":"王云","id_card":"11010519491231002X","area":"341002","kind":"medical"}"#),
        times: 1,
        expected: Expected::Data {
            present: &["\"receipt\"", "\"accepted\""],
            absent: &["\"handler\"", "internal_note", "11010519491231002X"],
        },
    },
    Case {
        title: "refused: a lead that also tells a diagnosis, which the platform never sees",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "low-income.monitoring"),
        path: "/aid/leads",
        scope: None,
        body: Some(
            r#"{"name":"王云","id_card":"11010519491231002X","area":"341002","kind":"medical","diagnosis":"…"}"#,
        ),
        times: 1,
        expected: Expected::Refusal { status: StatusCode::FORBIDDEN, code: "scope-exceeded" },
    },
    Case {
        title: "refused: an area beyond the granted scope",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "social-aid.eligibility"),
        path: "/population/residents?area=3101",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Refusal { status: StatusCode::FORBIDDEN, code: "scope-parameter" },
    },
    Case {
        title: "refused: outside the window of the grant, which ended in 2020",
        certificate: Some("minzheng-aid"),
        token: ("minzheng-aid", "licence.review"),
        path: "/licences",
        scope: Some("holder.name"),
        body: None,
        times: 1,
        expected: Expected::Refusal { status: StatusCode::FORBIDDEN, code: "grant-expired" },
    },
    Case {
        title: "refused: a fourth call at once, where three may come together and then one a minute",
        certificate: Some("water-billing"),
        token: ("water-billing", "utility.account"),
        path: "/spatial/parcels?size=1",
        scope: None,
        body: None,
        times: 4,
        expected: Expected::Refusal { status: StatusCode::TOO_MANY_REQUESTS, code: "rate-exceeded" },
    },
    Case {
        title: "refused: no client certificate, which ends the TLS handshake",
        certificate: None,
        token: ("minzheng-aid", "social-aid.eligibility"),
        path: "/population/residents?area=3410",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Alert,
    },
    Case {
        title: "refused: another system's token",
        certificate: Some("water-billing"),
        token: ("minzheng-aid", "social-aid.eligibility"),
        path: "/population/residents?area=3410",
        scope: None,
        body: None,
        times: 1,
        expected: Expected::Refusal { status: StatusCode::UNAUTHORIZED, code: "token-binding" },
    },
];

/// What came of a request.
enum Came {
    Reply { status: StatusCode, headers: Box<HeaderMap>, body: Bytes },
    Alert(String),
    Failed(String),
}

/// Lays out the files, starts the platform and the gate, sends the requests, shows records and metrics.
/// Returns whether every result was as it should be.
///
/// # Errors
/// When something did not start.
pub(crate) fn run(settings: &DemoSettings, levels: Levels, out: &mut dyn Write) -> Result<bool, DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demonstrate(settings, levels, out))
}

async fn demonstrate(
    settings: &DemoSettings,
    levels: Levels,
    out: &mut dyn Write,
) -> Result<bool, DemoError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let data = Arc::new(Data::generate(DEMO_SEED, Counts::default()));
    let platform_at = address(PORTS[2], settings.once);
    let platform = Platform::bind(platform_at, data, Options::default()).await?;
    let addresses = Addresses {
        gate: address(PORTS[0], settings.once),
        metrics: address(PORTS[1], settings.once),
        platform: platform.local_addr(),
    };
    let directory = std::path::absolute(&settings.directory)?;
    let layout = Layout::create(&directory, addresses, clock.now())?;
    let stop = CancellationToken::new();
    let platform = platform.serve(stop.clone());

    let gate = Box::pin(start_gate(&layout, &clock, levels)).await?;
    let port = gate.addresses().first().map_or(addresses.gate.port(), SocketAddr::port);
    let show = async {
        introduce(out, &directory, port, &gate)?;
        let as_expected = requests(out, &layout, port, &clock).await?;
        records(out, &layout)?;
        let as_expected = subjects(out, &layout)? && as_expected;
        metrics(out, gate.metrics_address()).await?;
        conclude(out, as_expected, settings, &layout)?;
        if !settings.once {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted?,
                _ = terminate.recv() => {}
            }
        }
        gate.drain("demo", std::future::pending()).await;
        stop.cancel();
        Ok(as_expected)
    };
    let (shown, ()) = tokio::join!(show, platform);
    shown
}

/// The usual port, or any free one.
fn address(usual: u16, any: bool) -> SocketAddr {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let usual = SocketAddr::new(localhost, usual);
    if !any && TcpListener::bind(usual).is_ok() { usual } else { SocketAddr::new(localhost, 0) }
}

async fn start_gate(layout: &Layout, clock: &Arc<dyn Clock>, levels: Levels) -> Result<Running, DemoError> {
    let metrics = Arc::new(Metrics::new()?);
    let (config, mut report) = Config::load(&layout.config());
    let assembled = config.as_ref().and_then(|config| {
        let (assembled, found) = assemble(config, None, &metrics, clock);
        report.merge(found);
        assembled
    });
    match (config, assembled) {
        (Some(config), Some(assembled)) => {
            let disk = Arc::new(DiskStorage);
            Ok(Box::pin(Running::start(
                config,
                assembled,
                metrics,
                Arc::clone(clock),
                disk,
                Inherited::default(),
                levels,
            ))
            .await?)
        }
        _ => Err(DemoError::Files(report.to_string())),
    }
}

fn introduce(out: &mut dyn Write, directory: &Path, port: u16, gate: &Running) -> io::Result<()> {
    writeln!(out, "Pinegate demo: an invented city, an invented exchange platform, a real gate.\n")?;
    writeln!(out, "  files     {}", directory.display())?;
    writeln!(out, "  gate      https://localhost:{port}   (mutual TLS)")?;
    writeln!(out, "  metrics   http://{}/metrics\n", gate.metrics_address())
}

async fn requests(
    out: &mut dyn Write,
    layout: &Layout,
    port: u16,
    clock: &Arc<dyn Clock>,
) -> Result<bool, DemoError> {
    let mut as_expected = true;
    for (number, case) in CASES.iter().enumerate() {
        writeln!(out, "{}. {}", number + 1, case.title)?;
        let token = layout.mint(case.token.0, case.token.1, clock.now())?;
        writeln!(out, "{}", curl(layout, case, port))?;
        let tls = client_tls(layout, case.certificate, clock)?;
        let result = match case.certificate {
            Some(_) => {
                let client = client(tls, port)?;
                let mut result = Came::Failed("nothing was sent".to_owned());
                for _ in 0..case.times {
                    result = send(&client, case, &token).await;
                }
                result
            }
            None => handshake(tls, port).await,
        };
        let is_right = judge(case, &result);
        as_expected &= is_right;
        print_result(out, &result, is_right)?;
    }
    Ok(as_expected)
}

/// The same request for a terminal.
fn curl(layout: &Layout, case: &Case, port: u16) -> String {
    let mut lines = vec![format!("curl --cacert {}", layout.certs().join("ca.pem").display())];
    if let Some(system) = case.certificate {
        let (certificate, key) = layout.client(system);
        lines.push(format!("--cert {} --key {}", certificate.display(), key.display()));
    }
    let token = layout.token_file(case.token.0, case.token.1);
    lines.push(format!("-H \"Authorization: Bearer $(cat {})\"", token.display()));
    if let Some(scope) = case.scope {
        lines.push(format!("-H 'Data-Scope: {scope}'"));
    }
    if let Some(body) = case.body {
        lines.push(format!("-H 'Content-Type: application/json' -d '{body}'"));
    }
    lines.push(format!("'https://localhost:{port}{}'", case.path));
    format!("   {}", lines.join(" \\\n     "))
}

type Client = upstream::Client<Full<Bytes>>;

/// TLS as a department system speaks it.
fn client_tls(
    layout: &Layout,
    system: Option<&str>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, DemoError> {
    let failed = |error: &(dyn std::error::Error + 'static)| DemoError::Client(chain(error));
    let pem = |path: PathBuf| -> Result<PemFile, LayoutError> {
        Ok(PemFile { bytes: super::layout::read(&path)?.into(), name: Arc::from(path.display().to_string()) })
    };
    let own = match system {
        Some(system) => {
            let (certificate, key) = layout.client(system);
            let name = Arc::from(key.display().to_string());
            Some((pem(certificate)?, KeyFile { name, pem: Secret::new(super::layout::read(&key)?) }))
        }
        None => None,
    };
    let inputs = UpstreamTlsInputs {
        authorities: &pem(layout.certs().join("ca.pem"))?,
        lists: &[],
        client: own.as_ref().map(|(certificate, key)| (certificate, key)),
    };
    UpstreamTls::new(&inputs, Arc::clone(clock)).map(|tls| tls.config).map_err(|error| failed(&error))
}

fn client(tls: Arc<ClientConfig>, port: u16) -> Result<Client, DemoError> {
    let failed = |error: &(dyn std::error::Error + 'static)| DemoError::Client(chain(error));
    let url: http::Uri = format!("https://localhost:{port}").parse().map_err(|error| failed(&error))?;
    Client::new(ClientSettings {
        id: UpstreamId::parse("gate").map_err(|error| failed(&error))?,
        url,
        address: None,
        tls: Some(Arc::unwrap_or_clone(tls)),
        http2: false,
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(5),
        max_idle: 1,
        max_connections: 16,
        announces: false,
    })
    .map_err(|error| failed(&error))
}

async fn send(client: &Client, case: &Case, token: &str) -> Came {
    let request = if case.body.is_some() { Request::post(case.path) } else { Request::get(case.path) };
    let mut request = request.header("authorization", format!("Bearer {token}"));
    request = request.header("accept-language", "en");
    if case.body.is_some() {
        request = request.header("content-type", "application/json");
    }
    if let Some(scope) = case.scope {
        request = request.header("data-scope", scope);
    }
    let Ok(request) = request.body(Full::from(case.body.unwrap_or_default())) else {
        return Came::Failed("the request is not one".to_owned());
    };
    match client.send(request).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            match Limited::new(body, MAX_REPLY_BYTES).collect().await {
                Ok(body) => Came::Reply {
                    status: parts.status,
                    headers: Box::new(parts.headers),
                    body: body.to_bytes(),
                },
                Err(error) => Came::Failed(error.to_string()),
            }
        }
        Err(error) => Came::Failed(chain(&error)),
    }
}

/// A handshake alone. In TLS 1.3 the client is done before the server has judged its certificate, so the
/// alert comes with the first read (RFC 8446, section 4.4.2.4).
async fn handshake(tls: Arc<ClientConfig>, port: u16) -> Came {
    let shake = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut stream = TlsConnector::from(tls).connect(name, stream).await?;
        stream.read_u8().await
    };
    match shake.await {
        Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => Came::Alert(format!("alert {alert:?}")),
            _ => Came::Failed(chain(&error)),
        },
        Ok(_) => Came::Failed("the gate spoke to a client without a certificate".to_owned()),
    }
}

fn judge(case: &Case, result: &Came) -> bool {
    match (&case.expected, result) {
        (Expected::Alert, Came::Alert(_)) => true,
        (Expected::Refusal { status, code }, Came::Reply { status: got, body, .. }) => {
            let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
            let got_code = problem.as_ref().and_then(|problem| problem.get("code")?.as_str());
            got == status && got_code == Some(code)
        }
        (Expected::Data { present, absent }, Came::Reply { status, body, .. }) => {
            let text = String::from_utf8_lossy(body);
            *status == StatusCode::OK
                && present.iter().all(|part| text.contains(part))
                && !absent.iter().any(|part| text.contains(part))
        }
        _ => false,
    }
}

fn print_result(out: &mut dyn Write, result: &Came, is_right: bool) -> io::Result<()> {
    match result {
        Came::Reply { status, headers, body } => {
            writeln!(out, "   → {status}")?;
            for name in ["pinegate-grant", "pinegate-masked", "ratelimit", "retry-after", "www-authenticate"]
            {
                if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                    writeln!(out, "     {name}: {value}")?;
                }
            }
            let text = String::from_utf8_lossy(body);
            let shown: String = text.trim_end().chars().take(SHOWN_CHARACTERS).collect();
            let rest = if text.trim_end().chars().count() > SHOWN_CHARACTERS { " …" } else { "" };
            writeln!(out, "     {}{rest}", shown.replace('\n', "\n     "))?;
        }
        Came::Alert(text) => writeln!(out, "   → TLS: {text}")?,
        Came::Failed(text) => writeln!(out, "   → {text}")?,
    }
    if is_right { writeln!(out) } else { writeln!(out, "   ✗ this is not the result it should be\n") }
}

fn records(out: &mut dyn Write, layout: &Layout) -> io::Result<()> {
    writeln!(out, "The records that these requests left ({}):", layout.audit().display())?;
    let (records, _) = read::tail(&layout.audit(), &read::Filter::default(), 16).map_err(io::Error::other)?;
    for record in records.into_iter().map(|found| found.record) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(
            out,
            "  #{:<3} {:<9} {:<7} {:<20} {:<20} {:<22} {}",
            record.seq,
            record.event.as_ref().unwrap_or(&record.kind),
            text(&record.decision),
            text(&record.system),
            text(&record.resource),
            text(&record.purpose),
            record.reason.clone().unwrap_or_else(|| record.grants.join(",")),
        )?;
    }
    match read::verify(&layout.audit()) {
        Ok(report) if report.is_intact() => {
            writeln!(out, "  verified: {} records, an unbroken chain\n", report.records)
        }
        Ok(report) => writeln!(out, "  ✗ not intact: {report:?}\n"),
        Err(error) => writeln!(out, "  ✗ could not be verified: {error}\n"),
    }
}

/// Who asked for a person: found with the key, and nowhere to be read. Whether both are so.
fn subjects(out: &mut dyn Write, layout: &Layout) -> Result<bool, DemoError> {
    let failed = |error: &(dyn std::error::Error + 'static)| DemoError::Client(chain(error));
    let kind = SubjectKind::parse("resident-id").map_err(|error| failed(&error))?;
    let key = DigestKey::new(&Secret::new(super::layout::read(&layout.audit_key())?));
    let digest = Subject::new(&kind, PERSON).map(|person| key.subject(&person).to_string());
    let digest = digest.unwrap_or_default();
    let number = layout.number_file(PERSON)?;
    writeln!(out, "Who asked for {PERSON}? Only the key of the digests finds it:")?;
    let config = layout.config();
    writeln!(out, "   pinegate audit subject --config {} --file {}", config.display(), number.display())?;
    let (mut found, mut shown) = (0_u32, 0_u32);
    let mut records = Records::open(&layout.audit()).map_err(|error| failed(&error))?;
    while let Some(line) = records.next_line().map_err(|error| failed(&error))? {
        shown += u32::from(memchr::memmem::find(line, PERSON.as_bytes()).is_some());
        if peek_subjects(line).is_some_and(|subjects| subjects.name(&digest)) {
            found += 1;
            let record = ParsedRecord::parse(line).map_err(|error| failed(&error))?;
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            writeln!(
                out,
                "  #{:<3} {} {} {digest}",
                record.seq,
                text(&record.system),
                text(&record.purpose)
            )?;
        }
    }
    writeln!(out, "  {found} found by its digest; the number itself stands in {shown} records\n")?;
    Ok(found > 0 && shown == 0)
}

async fn metrics(out: &mut dyn Write, at: SocketAddr) -> Result<(), DemoError> {
    writeln!(out, "What Prometheus sees (http://{at}/metrics), of the requests:")?;
    let url = format!("http://{at}")
        .parse()
        .map_err(|error: http::uri::InvalidUri| DemoError::Client(error.to_string()))?;
    let id = UpstreamId::parse("metrics").map_err(|error| DemoError::Client(error.to_string()))?;
    let short = Duration::from_secs(5);
    let settings = ClientSettings {
        id,
        url,
        address: None,
        tls: None,
        http2: false,
        connect_timeout: short,
        response_timeout: short,
        idle_timeout: short,
        max_idle: 1,
        max_connections: 16,
        announces: false,
    };
    let client: Client = Client::new(settings).map_err(|error| DemoError::Client(error.to_string()))?;
    let request = Request::get("/metrics").body(Full::new(Bytes::new()));
    let request = request.map_err(|error| DemoError::Client(error.to_string()))?;
    let page = client.send(request).await.map_err(|error| DemoError::Client(chain(&error)))?;
    let page =
        page.into_body().collect().await.map_err(|error| DemoError::Client(error.to_string()))?.to_bytes();
    for line in String::from_utf8_lossy(&page).lines() {
        let is_count =
            ["pinegate_requests_total", "pinegate_refusals_total", "pinegate_tls_handshakes_total"]
                .iter()
                .any(|name| line.starts_with(name));
        if is_count && !line.ends_with(" 0") {
            writeln!(out, "  {line}")?;
        }
    }
    writeln!(out)?;
    Ok(())
}

fn conclude(
    out: &mut dyn Write,
    as_expected: bool,
    settings: &DemoSettings,
    layout: &Layout,
) -> io::Result<()> {
    if as_expected {
        writeln!(out, "Every result is as it should be.")?;
    } else {
        writeln!(out, "✗ Not every result is as it should be; see above.")?;
    }
    if !settings.once {
        writeln!(
            out,
            "\nThe gate keeps serving. Edit {} and try a curl line again;\nCtrl-C ends the demonstration.",
            layout.policies().join("grants.csv").display()
        )?;
    }
    out.flush()
}
