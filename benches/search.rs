//! How fast the audit log is read by people: writes a log of a million records, plain, and compressed
//! under a signed head, then runs the commands on it as a user does. CPU times are those of the program, user and system, so that
//! they hold on a busy machine too. Run with `cargo bench --bench search`; set `SEARCH_RECORDS` for another
//! number, `JOURNAL_BENCH_DIR` to choose the disk.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    reason = "a bench measures real time on a real disk, prints, and stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pinegate::audit::{Access, Chain, Kind, Outcome};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::journal::{
    DiskStorage, Fault, Journal, JournalConfig, JournalError, KeepFailure, KeepObserver, Keeper, Observer,
    PublishObserver, PublishSettings, Publisher, Refusal, SignedHead, Storage,
};
use pinegate::kernel::id::*;
use pinegate::kernel::time::{Clock, SystemClock, Timestamp};
use pinegate::tlog::NoteSigner;
use pinegate::tlog::note::{SignatureKind, new_private_key};

const SEGMENT_BYTES: usize = 64 << 20;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

struct City {
    systems: Vec<SystemId>,
    resources: Vec<ResourceId>,
    purposes: Vec<PurposeCode>,
    grants: Vec<GrantId>,
    department: DepartmentId,
    action: Action,
    released: Vec<ReleasedField>,
}

impl City {
    fn new() -> Self {
        let field = |path, treatment| ReleasedField { path: FieldPath::parse(path).unwrap(), treatment };
        let masked = |masker| Treatment::Masked(MaskerName::parse(masker).unwrap());
        Self {
            systems: (0..50).map(|n| SystemId::parse(&format!("sys:bureau-{n}")).unwrap()).collect(),
            resources: (0..200).map(|n| ResourceId::parse(&format!("register.r{n}")).unwrap()).collect(),
            purposes: (0..20).map(|n| PurposeCode::parse(&format!("service.p{n}")).unwrap()).collect(),
            grants: (0..500).map(|n| GrantId::parse(&format!("HS-2026-{n:04}")).unwrap()).collect(),
            department: DepartmentId::parse("dept:minzheng").unwrap(),
            action: Action::parse("query").unwrap(),
            released: vec![
                field("name", masked("name")),
                field("phone", masked("mobile")),
                field("address.district", Treatment::Clear),
            ],
        }
    }

    /// The record of access `number`, one every 2.6 seconds: a million are a month.
    fn record(&self, number: i64, dice: &mut Dice, chain: &mut Chain, out: &mut Vec<u8>) {
        let at = Timestamp::from_millisecond(1_780_000_000_000 + number * 2_600).unwrap();
        let denied = dice.below(20) == 0;
        let grant = [self.grants[dice.below(500)].clone()];
        let masked: Vec<_> = self.released.iter().map(|field| (&field.path, 10)).take(2).collect();
        let (digest, token) =
            (Digest([0xab; 32]), TokenId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap());
        let hex = digest.to_hex();
        let access = Access {
            kind: Kind::Access,
            at,
            request_id: format!("01890a5d-ac96-774b-bcce-{number:012x}").parse().unwrap(),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            system: Some(&self.systems[dice.below(50)]),
            department: Some(&self.department),
            certificate: &digest,
            address: [10, 1, 2, u8::try_from(dice.below(256)).unwrap()].into(),
            method: "GET",
            route: Some("/population/residents"),
            resource: Some(&self.resources[dice.below(200)]),
            provider: Some(&self.department),
            action: Some(&self.action),
            purpose: Some(&self.purposes[dice.below(20)]),
            purpose_source: Some("token"),
            token_id: Some(&token),
            requested: &[],
            parameters: &[],
            withheld: &[],
            subjects: None,
            narrowed_to: None,
            decision: if denied { "deny" } else { "permit" },
            reason: denied.then_some("scope-exceeded"),
            admitted: None,
            grants: if denied { &[] } else { &grant },
            denied_by: &[],
            released: if denied { &[] } else { &self.released },
            policy: &hex,
            config: &hex,
            shadow: None,
            outcome: Some(Outcome {
                status: if denied { 403 } else { 200 },
                bytes_in: 0,
                bytes_out: 4096,
                records: (!denied).then_some(10),
                masked: if denied { &[] } else { &masked },
                dropped: &[],
                egress: &[],
                unclassified: 0,
                submitted: None,
                received_mac: None,
                sent_sha256: Some(digest),
                total_us: 500 + u64::try_from(dice.below(5_000)).unwrap(),
                decide_us: 40,
                upstream_us: 400,
                attempts: 1,
                aborted: None,
                ended_by: None,
            }),
        };
        chain.seal(&access.encode(), out);
    }
}

/// Writes the log below `directory`. How many bytes.
fn write(directory: &Path, records: i64) -> usize {
    let (city, mut dice) = (City::new(), Dice(7));
    let place = directory.join("gate-1.000001");
    fs::create_dir_all(&place).unwrap();
    let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), 1);
    let (mut lines, mut first, mut bytes) = (Vec::new(), 0, 0);
    for number in 0..records {
        chain.begin_batch();
        city.record(number, &mut dice, &mut chain, &mut lines);
        if lines.len() >= SEGMENT_BYTES || number + 1 == records {
            bytes += lines.len();
            fs::write(place.join(format!("{first:020}.jsonl")), &lines).unwrap();
            lines.clear();
            first = chain.next();
        }
    }
    bytes
}

#[derive(Debug)]
struct Quiet;

impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: Option<&Fault>) {}
    fn queued(&self, _: usize) {}
}

impl PublishObserver for Quiet {
    fn signed(&self, _: &SignedHead) {}
    fn refused(&self, why: &Refusal) {
        panic!("{why}");
    }
    fn failed(&self, error: &JournalError) {
        panic!("{error}");
    }
}

impl KeepObserver for Quiet {
    fn compressed(&self, _: u64, _: u64) {}
    fn pruned(&self, _: u64) {}
    fn failed(&self, failure: &KeepFailure) {
        panic!("{failure}");
    }
}

/// Has the log below `directory` closed by the next process, published, and compressed, as a gate does. The
/// key that signed its head.
fn publish(directory: &Path) -> String {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let config = JournalConfig::new(directory.to_owned(), NodeId::parse("gate-1").unwrap());
    let opened = Journal::open(config, Arc::clone(&storage), Arc::clone(&clock), Arc::new(Quiet));
    let (journal, _) = opened.unwrap();
    let progress = journal.progress();
    journal.close().unwrap();
    let signer = NoteSigner::from_pkcs8("gate-1", SignatureKind::Ed25519, &new_private_key().unwrap());
    let signer = Arc::new(signer.unwrap());
    let key = signer.key().to_string();
    let (every, records) = (Duration::from_secs(10), 1_000);
    let settings = PublishSettings { directory: directory.to_owned(), signer, every, records };
    Publisher::new(settings, Arc::clone(&storage), clock, progress.clone(), Arc::new(Quiet)).finish();
    Keeper::new(directory.to_owned(), storage, progress, Arc::new(Quiet)).pass(&AtomicBool::new(false));
    key
}

/// The CPU time of a command, user and system, as the kernel accounts it to children that have ended.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    // After the name in brackets; `cutime` and `cstime` are the 14th and 15th from there, in ticks of 10 ms.
    let fields: Vec<u64> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    Duration::from_millis((fields[12] + fields[13]) * 10)
}

fn run(what: &str, line: &[&str], log: &Path) {
    let before = cpu();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinegate"));
    let status =
        command.arg("audit").args(line).arg(log).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "{line:?}");
    println!("  {what:<44} {:>5.2} s", (cpu() - before).as_secs_f64());
}

fn main() {
    let records = std::env::var("SEARCH_RECORDS").map_or(1_000_000, |text| text.parse().unwrap());
    let dir = match std::env::var_os("JOURNAL_BENCH_DIR") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let [plain, small]: [PathBuf; 2] = ["plain", "small"].map(|name| dir.path().join(name));
    let bytes = write(&plain, records);
    write(&small, records);
    let key = publish(&small);
    println!("{records} records, {} MiB", bytes >> 20);
    let request = format!("01890a5d-ac96-774b-bcce-{:012x}", records - 1);
    for (name, log) in [("plain", &plain), ("compressed", &small)] {
        println!("{name}, CPU time:");
        run("verify", &["verify"], log);
        if name == "compressed" {
            run("verify --key, against the signed head", &["verify", "--key", &key], log);
            let state = dir.path().join("state");
            let again = ["verify", "--key", &key, "--state", state.to_str().unwrap()];
            run("verify --key --state, the first time", &again, log);
            run("verify --key --state, again", &again, log);
        }
        run("search --request, the last record", &["search", "--json", "--request", &request], log);
        run("search --system, none found", &["search", "--json", "--system", "sys:bureau-99"], log);
        run(
            "search --system, 20,000 found",
            &["search", "--json", "--limit", "2000000", "--system", "sys:bureau-7"],
            log,
        );
        run(
            "search --decision deny, 50,000 found",
            &["search", "--json", "--limit", "2000000", "--decision", "deny"],
            log,
        );
        run(
            "search --from, the last day of the month",
            &["search", "--json", "--limit", "2000000", "--from", "2026-06-26"],
            log,
        );
        run(
            "search --decision permit, 950,000 found",
            &["search", "--json", "--limit", "2000000", "--decision", "permit"],
            log,
        );
        run("search, all as a table", &["search", "--limit", "2000000"], log);
        run("tail", &["tail"], log);
        run("stats", &["stats"], log);
        run("stats --by hour,decision", &["stats", "--by", "hour,decision"], log);
        for format in ["jsonl", "csv", "ocsf", "cef"] {
            run(&format!("export --format {format}"), &["export", "--format", format], log);
        }
    }
}
