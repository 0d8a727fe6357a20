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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pinegate::audit::{Access, Chain, Entry, Kind, Outcome};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::journal::read::{Filter, Order, Search, verify};
use pinegate::journal::{DiskStorage, Journal, JournalConfig, Observer};
use pinegate::kernel::id::*;
use pinegate::kernel::time::{Clock as _, SystemClock};

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
                received_mac: None,
                sent_sha256: Some(self.digest),
                total_us: 1500,
                decide_us: 40,
                upstream_us: 1100,
                attempts: 1,
                aborted: None,
                ended_by: None,
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

/// The CPU time of all threads so far, ended ones included.
fn process_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
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

/// How the writer is set up.
#[derive(Debug, Clone, Copy)]
struct Manner {
    raised: bool,
    gathers: bool,
}

/// What a round of appends took.
#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
    /// CPU time of the writer, and of the process, for each record.
    writer: Duration,
    all: Duration,
    /// Records for each commit.
    batch: f64,
}

#[derive(Debug, Default)]
struct Commits(AtomicU64);
impl Observer for Commits {
    fn committed(&self, _: usize, _: usize, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn durable(&self, _: Option<&pinegate::journal::Fault>) {}
    fn queued(&self, _: usize) {}
}

fn appends(directory: PathBuf, manner: Manner, waiters: usize, each: usize) -> Figures {
    let mut config = JournalConfig::new(directory, NodeId::parse("gate-1").unwrap());
    (config.raised_priority, config.gathers) = (manner.raised, manner.gathers);
    let commits = Arc::new(Commits::default());
    let observer: Arc<dyn Observer> = Arc::<Commits>::clone(&commits);
    let (journal, _) = Journal::open(config, Arc::new(DiskStorage), Arc::new(SystemClock), observer).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (start, process) = (Instant::now(), process_cpu());
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
    let count = u32::try_from(times.len()).unwrap();
    let (writer, all) = (cpu(Some("journal")) / count, (process_cpu() - process) / count);
    journal.close().unwrap();
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    let batch = f64::from(count) / commits.0.load(Ordering::Relaxed) as f64;
    Figures { rate: f64::from(count) / took.as_secs_f64(), p50: at(50), p99: at(99), writer, all, batch }
}

/// The median of each figure.
fn median(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(figure).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let time = |figure: fn(&Figures) -> Duration| {
        let mut all: Vec<Duration> = rounds.iter().map(figure).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Figures {
        rate: of(|f| f.rate),
        p50: time(|f| f.p50),
        p99: time(|f| f.p99),
        writer: time(|f| f.writer),
        all: time(|f| f.all),
        batch: of(|f| f.batch),
    }
}

/// The manners turn by turn, so that what disturbs one disturbs all.
fn compare(directory: &Path, rounds: usize) {
    let manners = [
        Manner { raised: false, gathers: false },
        Manner { raised: false, gathers: true },
        Manner { raised: true, gathers: false },
        Manner { raised: true, gathers: true },
    ];
    for (waiters, each) in [(1, 2_000), (8, 2_000), (64, 5_000), (512, 1_000)] {
        let mut figures = vec![Vec::new(); manners.len()];
        for round in 0..rounds {
            for (found, manner) in figures.iter_mut().zip(manners) {
                let place = directory.join(format!("{waiters}.{round}"));
                found.push(appends(place.clone(), manner, waiters, each));
                std::fs::remove_dir_all(place).unwrap();
            }
        }
        for (found, manner) in figures.iter().zip(manners) {
            let Figures { rate, p50, p99, writer, all, batch } = median(found);
            let priority = if manner.raised { "raised" } else { "normal" };
            let gathers = if manner.gathers { "gathers" } else { "runs at once" };
            println!(
                "append: {waiters} waiters, {priority}, {gathers}: {rate:.0}/s, p50 {p50:?}, p99 {p99:?}, {batch:.1} a \
                 commit, CPU per record {writer:?} writer, {all:?} in all"
            );
        }
    }
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

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    encoding();
    let dir = match std::env::var_os("JOURNAL_BENCH_DIR") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let audit = dir.path().join("audit");
    let rounds = std::env::var("JOURNAL_BENCH_ROUNDS").map_or(5, |text| text.parse().unwrap());
    compare(dir.path(), rounds);
    let manner = Manner { raised: false, gathers: true };
    appends(audit.clone(), manner, 64, 12_500);
    reading(&audit);
}
