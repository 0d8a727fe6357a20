//! An invented city in a temporary directory: an authority, certificates, token keys, policies, a
//! platform in this process, and the real gate in its own.

mod call;
mod files;
mod gate;
mod schema;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pinegate::audit::ParsedRecord;
use pinegate::demo::people::{Counts, DEMO_SEED, Data};
use pinegate::demo::platform::{Options, Platform, Received, ReceivedLog};
use pinegate::journal::read;
use pinegate::kernel::time::{Clock as _, SystemClock, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) use call::{Call, Reply};
pub(crate) use files::{AUDIT_KEY, DAYS, Files, spiffe};
pub(crate) use gate::{Gate, program, run_to_end};
pub(crate) use schema::assert_valid;
pub(crate) use wire::{Body, Client, Connection, Http, in_parts, nothing, trailers, whole};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often something that changes by itself is looked at.
pub(crate) const GLANCE: Duration = Duration::from_millis(10);

/// Localhost, and whichever port is free.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The system whose grants the tests choose, and its purpose.
pub(crate) const SURVEYOR: &str = "ziran-map";
/// What it says it is for.
pub(crate) const SURVEY: &str = "planning.survey";

/// `future`, or a failed test.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_elapsed) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// What `look` finds, as soon as it finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    soon(what, async {
        let mut glances = tokio::time::interval(GLANCE);
        loop {
            glances.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    })
    .await
}

/// Now, by the clock that the gate has.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// The records of the platform, made once.
pub(crate) fn data() -> Arc<Data> {
    static DATA: OnceLock<Arc<Data>> = OnceLock::new();
    let counts = Counts { residents: 300, enterprises: 40, licences: 40, parcels: 40, adoptions: 5 };
    Arc::clone(DATA.get_or_init(|| Arc::new(Data::generate(DEMO_SEED, counts))))
}

/// A city in the making.
pub(crate) struct Plan {
    pub(crate) files: Files,
    options: Options,
    /// Whether the gate is told of the city's own platform.
    has_platform: bool,
}

impl Plan {
    /// The example policies, with a resource and grants for tests.
    pub(crate) fn new() -> Self {
        Self { files: Files::create(), options: Options::default(), has_platform: true }
    }

    /// Replaces `from`, which must be there, by `to` in a policy file.
    pub(crate) fn policy(self, file: &str, from: &str, to: &str) -> Self {
        self.files.edit_policy(file, from, to);
        self
    }

    /// Adds lines to a policy file.
    pub(crate) fn more_policy(self, file: &str, lines: &str) -> Self {
        self.files.add_policy(file, lines);
        self
    }

    /// No limit that a test could run into.
    pub(crate) fn unlimited(self) -> Self {
        let limits = "[[limit]]\nname = \"each-system\"\nby = [\"system\"]\nper_day = 900_000_000\n";
        self.files.write("policies/limits.toml", limits);
        self
    }

    /// Replaces `from`, which must be there, by `to` in the gateway configuration.
    pub(crate) fn config(mut self, from: &str, to: &str) -> Self {
        self.files.edit_config(from, to);
        self
    }

    /// Adds a section to the gateway configuration.
    pub(crate) fn more_config(mut self, text: &str) -> Self {
        self.files.add_config(text);
        self
    }

    /// TLS on the platform.
    pub(crate) fn platform_tls(mut self, tls: tokio_rustls::TlsAcceptor) -> Self {
        self.options.tls = Some(tls);
        self
    }

    /// Starts the gate before whatever listens at `at`.
    pub(crate) async fn start_before(mut self, at: SocketAddr) -> City {
        // The platform of the city is there and is asked nothing.
        self.files.edit_config("http://PLATFORM", &format!("http://{at}"));
        self.has_platform = false;
        self.start().await
    }

    /// Starts the gate before whatever the configuration names.
    pub(crate) async fn start_without_platform(mut self) -> City {
        self.has_platform = false;
        self.start().await
    }

    /// Starts the platform and the gate.
    pub(crate) async fn start(self) -> City {
        let city = self.start_platform().await;
        city.start_gate().await
    }

    /// Starts the platform only.
    pub(crate) async fn start_platform(mut self) -> Site {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let platform = Platform::bind(ANY_PORT, data(), self.options).await.unwrap();
        let at = platform.local_addr();
        // By name, since certificates are for names.
        if self.has_platform {
            self.files.edit_config("http://PLATFORM", &format!("{scheme}://localhost:{}", at.port()));
        }
        let received = platform.received();
        let stop = CancellationToken::new();
        tokio::spawn(platform.serve(stop.clone()));
        Site { files: self.files, received, stop }
    }
}

/// A platform, and the files of a gate that is not running.
pub(crate) struct Site {
    pub(crate) files: Files,
    received: ReceivedLog,
    stop: CancellationToken,
}

impl Site {
    /// Starts the gate, and kills it as soon as `is_time`, however far it is.
    pub(crate) async fn start_gate_until(&self, is_time: impl AsyncFn() -> bool) {
        Gate::start_until(&self.files.config_path(), is_time).await;
    }

    /// Starts the gate.
    pub(crate) async fn start_gate(self) -> City {
        let gate = Gate::start(&self.files.config_path()).await;
        City { gate, site: self }
    }
}

/// A running city.
pub(crate) struct City {
    pub(crate) gate: Gate,
    site: Site,
}

impl Drop for City {
    fn drop(&mut self) {
        self.site.stop.cancel();
        // A test that fails already has said enough.
        if !std::thread::panicking() {
            assert_valid(&self.files().audit());
        }
    }
}

impl City {
    pub(crate) fn files(&self) -> &Files {
        &self.site.files
    }

    /// The requests that the platform has received.
    pub(crate) fn received(&self) -> &ReceivedLog {
        &self.site.received
    }

    /// The newest of them.
    pub(crate) fn last_received(&self) -> Received {
        self.site.received.last().expect("nothing reached the platform")
    }

    /// Ends the platform at once.
    pub(crate) fn stop_platform(&self) {
        self.site.stop.cancel();
    }

    /// A client with the certificate of `system`.
    pub(crate) fn client(&self, system: &str) -> Client {
        let (certificate, key) = self.files().client(system);
        Client::new(&self.gate, &self.files().ca(), Some((&certificate, &key)))
    }

    /// Makes one call on a connection of its own.
    pub(crate) async fn call(&self, call: Call) -> Reply {
        let connection = self.client(call.certificate()).connect(call.http()).await.unwrap();
        self.call_on(&connection, call).await
    }

    /// Makes one call on `connection`.
    pub(crate) async fn call_on(&self, connection: &Connection, call: Call) -> Reply {
        let request = call.request(self.files());
        let response = soon("the head of a reply", connection.send(request)).await.unwrap();
        soon("a whole reply", Reply::read(response)).await
    }

    /// Another gate before the same platform, with the configuration in `files`.
    pub(crate) async fn beside(&self, files: &Files) -> City {
        let (received, stop) = (self.site.received.clone(), self.site.stop.child_token());
        Site { files: files.clone(), received, stop }.start_gate().await
    }

    /// Stops the gate as a crash would, and gives back the rest.
    pub(crate) fn crash(mut self) -> Site {
        self.gate.kill();
        let Self { site, .. } = &mut self;
        let site =
            Site { files: site.files.clone(), received: site.received.clone(), stop: site.stop.clone() };
        std::mem::forget(self);
        site
    }

    /// Every record so far.
    pub(crate) fn records(&self) -> Vec<ParsedRecord> {
        records(&self.files().audit())
    }

    /// The records of one request, as soon as there is one that says how it ended.
    pub(crate) async fn records_of(&self, request: &str) -> Vec<ParsedRecord> {
        until(&format!("the record of request {request}"), async || {
            let found: Vec<_> = self
                .records()
                .into_iter()
                .filter(|record| record.request.as_deref() == Some(request))
                .collect();
            found.iter().any(|record| record.status.is_some()).then_some(found)
        })
        .await
    }

    /// The one record of a request that has one.
    pub(crate) async fn record_of(&self, reply: &Reply) -> ParsedRecord {
        let records = self.records_of(&reply.request_id()).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.into_iter().next().unwrap()
    }

    /// The record of how a request with an intent ended, which follows that of the intent.
    pub(crate) async fn outcome_of(&self, reply: &Reply) -> ParsedRecord {
        let mut records = self.records_of(&reply.request_id()).await;
        let kinds: Vec<_> = records.iter().map(|record| record.kind.as_str()).collect();
        assert_eq!(kinds, ["intent", "outcome"], "{records:#?}");
        records.pop().unwrap()
    }
}

/// Every record in an audit directory.
pub(crate) fn records(audit: &Path) -> Vec<ParsedRecord> {
    let mut all = Vec::new();
    read::since(audit, Timestamp::MIN, &mut |record| {
        all.push(record);
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

/// Fails unless the audit log is as it was written.
pub(crate) fn assert_intact(audit: &Path) -> read::VerifyReport {
    let report = read::verify(audit).unwrap();
    assert!(report.is_intact(), "{report:#?}");
    assert_valid(audit);
    report
}

/// A directory that lasts as long as whoever holds it.
#[derive(Clone)]
pub(crate) struct Ground(Arc<TempDir>);

impl Ground {
    fn new() -> Self {
        Self(Arc::new(tempfile::Builder::new().prefix("city-").tempdir().unwrap()))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }
}
