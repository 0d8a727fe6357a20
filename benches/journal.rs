//! How fast the audit log is: encoding, durable appends at several numbers of waiters, checking,
//! searching. CPU times are those of the one thread that does the work, so that they hold on a busy
//! machine too; rates are wall time. Run with `cargo bench --bench journal`; set `JOURNAL_BENCH_DIR` to choose the disk.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::missing_docs_in_private_items,
    reason = "a bench measures real time on a real disk, prints, and stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinegate::audit::{Access, Chain, Entry, Kind, Outcome};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::journal::read::{Filter, Order, Search, verify};
use pinegate::journal::{DiskStorage, Journal, JournalConfig, Observer};
use pinegate::kernel::id::*;
use pinegate::kernel::time::{Clock as _, SystemClock};

#[derive(Debug)]
struct Quiet;
impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: bool) {}
    fn queued(&self, _: usize) {}
}

/// What a usual access to the demo's residents is made of.
struct Words {
    system: SystemId,
    department: DepartmentId,
    resource: ResourceId,
    action: Action,
    purpose: PurposeCode,
    token: TokenId,
    grants: Vec<GrantId>,
    released: Vec<ReleasedField>,
    digest: Digest,
    hex: String,
}

impl Words {
    fn new() -> Self {
        let field = |path, treatment| ReleasedField { path: FieldPath::parse(path).unwrap(), treatment };
        let masked = |masker| Treatment::Masked(MaskerName::parse(masker).unwrap());
        let digest = Digest([0xab; 32]);
        Self {
            system: SystemId::parse("sys:minzheng-aid").unwrap(),
            department: DepartmentId::parse("dept:minzheng").unwrap(),
            resource: ResourceId::parse("population.resident").unwrap(),
            action: Action::parse("query").unwrap(),
            purpose: PurposeCode::parse("social-aid.eligibility").unwrap(),
            token: TokenId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap(),
            grants: vec![GrantId::parse("HS-2026-0117").unwrap()],
            released: vec![
                field("name", masked("name")),
                field("phone", masked("mobile")),
                field("address.district", Treatment::Clear),
            ],
            digest,
            hex: digest.to_hex(),
        }
    }

    fn encode(&self, request_id: RequestId) -> Entry {
        let masked: Vec<_> = self.released.iter().map(|field| (&field.path, 10)).take(2).collect();
        self.access(request_id, &masked).encode()
    }

    fn access<'a>(&'a self, request_id: RequestId, masked: &'a [(&'a FieldPath, u64)]) -> Access<'a> {
        Access {
            kind: Kind::Access,
            at: SystemClock.now(),
            request_id,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            system: Some(&self.system),
            department: Some(&self.department),
            certificate: &self.digest,
            address: std::net::IpAddr::from([192, 0, 2, 17]),
            method: "GET",
            route: Some("/population/residents"),
            resource: Some(&self.resource),
            provider: Some(&self.department),
            action: Some(&self.action),
            purpose: Some(&self.purpose),
            purpose_source: Some("token"),
            token_id: Some(&self.token),
            requested: &[],
            parameters: &[],
            withheld: &[],
            subjects: None,
            narrowed_to: None,
            decision: "permit",
            reason: None,
            admitted: None,
            grants: &self.grants,
            denied_by: &[],
            released: &self.released,
            policy: &self.hex,
            config: &self.hex,
            shadow: None,
            outcome: Some(Outcome {
                status: 200,
                bytes_in: 0,
                bytes_out: 4096,
                records: Some(10),
                masked,
                dropped: &[],
                egress: &[],
                unclassified: 0,
                submitted: None,
                received_hmac: None,
                sent_sha256: Some(self.digest),
                total_us: 1500,
                decide_us: 40,
                upstream_us: 1100,
                aborted: None,
            }),
        }
    }
}

/// The CPU time of the thread called `name`, or of the main thread; Linux only, else zero.
fn cpu(name: Option<&str>) -> Duration {
    let of = |directory: &Path| -> Option<Duration> {
        let text = std::fs::read_to_string(directory.join("schedstat")).ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    };
    let Some(name) = name else { return of(Path::new("/proc/self")).unwrap_or_default() };
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut named = tasks.map(|task| task.path()).filter(|path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|found| found.trim_end() == name)
    });
    named.next().and_then(|path| of(&path)).unwrap_or_default()
}

fn encoding() {
    const ROUNDS: u32 = 200_000;
    let words = Words::new();
    let id = RequestId::generate();
    let start = cpu(None);
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        bytes += std::hint::black_box(words.encode(id)).as_bytes().len();
    }
    println!(
        "encode: {:?} CPU per record of {} bytes",
        (cpu(None) - start) / ROUNDS,
        bytes / ROUNDS as usize
    );
    let entry = words.encode(id);
    let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), 1);
    let mut out = Vec::new();
    let start = cpu(None);
    for _ in 0..ROUNDS {
        out.clear();
        chain.seal(std::hint::black_box(&entry), &mut out);
    }
    println!("seal: {:?} CPU per line of {} bytes", (cpu(None) - start) / ROUNDS, out.len());
}

fn appends(directory: PathBuf, waiters: usize, each: usize) {
    let config = JournalConfig::new(directory, NodeId::parse("gate-1").unwrap());
    let (journal, _) =
        Journal::open(config, Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Quiet)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let start = Instant::now();
    let mut times: Vec<Duration> = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..waiters {
            let journal = journal.clone();
            let words = Words::new();
            tasks.spawn(async move {
                let mut times = Vec::with_capacity(each);
                for _ in 0..each {
                    let entry = words.encode(RequestId::generate());
                    let start = Instant::now();
                    journal.append(entry).await.unwrap();
                    times.push(start.elapsed());
                }
                times
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    });
    let took = start.elapsed();
    let writer = cpu(Some("journal")) / u32::try_from(times.len()).unwrap();
    journal.close().unwrap();
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    let rate = times.len() as f64 / took.as_secs_f64();
    println!(
        "append: {waiters} waiters: {rate:.0}/s, p50 {:?}, p99 {:?}, writer CPU {writer:?} per record",
        at(50),
        at(99)
    );
}

fn reading(directory: &Path) {
    let start = cpu(None);
    let report = verify(directory).unwrap();
    let took = (cpu(None) - start).as_secs_f64();
    assert!(report.is_intact());
    println!("verify: {} records, {:.0} per CPU second", report.records, report.records as f64 / took);
    let filter = Filter { system: Some(SystemId::parse("sys:ziran-map").unwrap()), ..Filter::default() };
    let start = cpu(None);
    let mut search = Search::begin(directory, &filter, Order::OldestFirst).unwrap();
    while search.step().unwrap().is_some() {}
    let took = (cpu(None) - start).as_secs_f64();
    println!("search, none found: {:.0} records per CPU second", search.passed().lines as f64 / took);
}

fn main() {
    encoding();
    let dir = match std::env::var_os("JOURNAL_BENCH_DIR") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let audit = dir.path().join("audit");
    for (waiters, each) in [(1, 2_000), (8, 2_000), (64, 5_000), (512, 1_000)] {
        appends(audit.clone(), waiters, each);
    }
    reading(&audit);
}
