//! How fast a log is decided again: writes a log through the gate's own encoder and journal, then runs
//! `pinegate replay` on it as a user does. Run with `cargo bench --bench replay`; set `REPLAY_RECORDS`
//! for another number of records than a million, `JOURNAL_BENCH_DIR` to choose the disk.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::missing_docs_in_private_items,
    reason = "a bench measures real time on a real disk, prints, and stops at the first surprise"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinegate::audit::{Access, Entry, Kind, Outcome};
use pinegate::catalog::{Catalog, Resource, Sharing, System};
use pinegate::grant::{Decision, Query};
use pinegate::journal::{DiskStorage, Journal, JournalConfig, Observer};
use pinegate::kernel::id::*;
use pinegate::kernel::time::{SystemClock, TimeZone, Timestamp};
use pinegate::policy::calendar::Calendar;
use pinegate::policy::{Policy, PolicyInput};
use pinegate::snapshot::Vocabulary;
use pinegate::snapshot::files::PolicyFiles;

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
/// How many records are appended at once.
const TOGETHER: u64 = 4_096;

#[derive(Debug)]
struct Quiet;
impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: Option<&pinegate::journal::Fault>) {}
    fn queued(&self, _: usize) {}
}

/// The example policies, loaded.
fn loaded() -> (Policy, Catalog) {
    let files = PolicyFiles::read(Path::new(POLICIES)).unwrap();
    let (vocabulary, _) = Vocabulary::load(&files, "city.example");
    let vocabulary = vocabulary.unwrap();
    let days = &vocabulary.calendar;
    let (holidays, workdays) = (days.holidays.iter().copied(), days.workdays.iter().copied());
    let calendar = Calendar::new(days.years.keys().copied(), holidays, workdays).unwrap();
    let (policy, _) = Policy::load(PolicyInput {
        model: files.model(),
        grants: files.grants(),
        catalog: &vocabulary.catalog,
        calendar: &calendar,
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
        maskers: &vocabulary.masker_names(),
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
    });
    (policy.unwrap(), vocabulary.catalog)
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn one_of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        items.get(self.below(items.len())).unwrap()
    }
}

struct City {
    policy: Policy,
    systems: Vec<Arc<System>>,
    resources: Vec<Arc<Resource>>,
    purposes: Vec<PurposeCode>,
}

impl City {
    /// The record of some request at `at`, permitted or refused as the policy says.
    fn record(&self, dice: &mut Dice, at: Timestamp) -> Entry {
        let resource = dice.one_of(&self.resources);
        let area = format!("3410{:02}", dice.below(100));
        let (mut parameters, mut recorded, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
        for parameter in &resource.parameters {
            if dice.below(4) == 0 {
                continue;
            }
            parameters.push((parameter.name.clone(), vec![area.clone()]));
            if parameter.recordable {
                recorded.push((parameter.name.clone(), area.clone()));
            } else {
                withheld.push((parameter.name.clone(), 1));
            }
        }
        let fields: Vec<String> = match (dice.below(3), resource.fields.as_slice()) {
            (0, [_, ..]) => vec![dice.one_of(&resource.fields).path.to_string()],
            _ => Vec::new(),
        };
        let system = dice.one_of(&self.systems);
        let query = Query {
            system: &system.id,
            department: &system.department,
            resource: &resource.id,
            action: dice.one_of(&resource.actions),
            purpose: dice.one_of(&self.purposes),
            fields: &fields,
            parameters: &parameters,
            narrowed_to: None,
        };
        let decision = self.policy.decide(&query, at);
        encode(&query, &decision, &recorded, &withheld, at)
    }
}

/// The record of a whole access.
fn encode(
    query: &Query<'_>,
    decision: &Decision,
    recorded: &[(ParameterName, String)],
    withheld: &[(ParameterName, u64)],
    at: Timestamp,
) -> Entry {
    let permit = match decision {
        Decision::Permit(permit) => Some(permit),
        Decision::Denial(_) => None,
    };
    let fields = permit.into_iter().flat_map(|permit| permit.fields.iter());
    let masked: Vec<_> = fields.map(|field| (&field.path, 10)).collect();
    let digest = Digest([0xab; 32]);
    let hex = digest.to_hex();
    let request_id = RequestId::generate();
    let token = TokenId::parse(&request_id.to_string()).unwrap();
    let outcome = Outcome {
        status: if permit.is_some() { 200 } else { 403 },
        bytes_in: 0,
        bytes_out: 4096,
        records: permit.is_some().then_some(10),
        masked: &masked,
        dropped: &[],
        egress: &[],
        unclassified: 0,
        submitted: None,
        received_mac: None,
        sent_sha256: Some(digest),
        total_us: 1500,
        decide_us: 40,
        upstream_us: 1100,
        attempts: 1,
        aborted: None,
        ended_by: None,
    };
    let access = Access {
        kind: Kind::Access,
        at,
        request_id,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        system: Some(query.system),
        department: Some(query.department),
        certificate: &digest,
        address: std::net::IpAddr::from([192, 0, 2, 17]),
        method: "GET",
        route: Some("/population/residents"),
        resource: Some(query.resource),
        provider: Some(query.department),
        action: Some(query.action),
        purpose: Some(query.purpose),
        purpose_source: Some("token"),
        token_id: Some(&token),
        requested: query.fields,
        parameters: recorded,
        withheld,
        subjects: None,
        narrowed_to: None,
        decision: if permit.is_some() { "permit" } else { "deny" },
        reason: permit.is_none().then_some("grant-none"),
        admitted: None,
        grants: permit.map_or(&[], |permit| &permit.grants),
        denied_by: &[],
        released: permit.map_or(&[], |permit| &permit.fields),
        policy: &hex,
        config: &hex,
        shadow: None,
        outcome: Some(outcome),
    };
    access.encode()
}

/// The CPU time of the processes that have ended below this one; Linux only, else zero.
fn cpu_of_children() -> Duration {
    /// As Linux tells times to programs, in ticks a second.
    const TICKS: u64 = 100;
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    // Fields 16 and 17 of proc_pid_stat(5), counted from the first after the name.
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS)
}

fn write_log(directory: &Path, records: u64) {
    let (policy, catalog) = loaded();
    let city = City {
        policy,
        systems: catalog.registry.systems.values().filter(|it| it.enabled).cloned().collect(),
        resources: catalog.resources.values().filter(|it| it.sharing != Sharing::None).cloned().collect(),
        purposes: catalog.purposes.keys().cloned().collect(),
    };
    let config = JournalConfig::new(directory.to_owned(), NodeId::parse("gate-1").unwrap());
    let (journal, _) =
        Journal::open(config, Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Quiet)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut dice = Dice(1);
    let mut left = records;
    while left > 0 {
        let now = left.min(TOGETHER);
        // A year, from its first day on.
        let at = |number: u64| {
            let second = 1_767_225_600 + 31_536_000 * (records - left + number) / records;
            Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
        };
        let entries: Vec<Entry> = (0..now).map(|number| city.record(&mut dice, at(number))).collect();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for entry in entries {
                let journal = journal.clone();
                tasks.spawn_on(async move { journal.append(entry).await.unwrap() }, runtime.handle());
            }
            tasks.join_all().await
        });
        left -= now;
    }
    journal.close().unwrap();
}

/// The policies with a change in them: one grant is gone.
fn changed(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for entry in std::fs::read_dir(POLICIES).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, directory.join(path.file_name().unwrap())).unwrap();
        }
    }
    let grants = directory.join("grants.csv");
    let text = std::fs::read_to_string(&grants).unwrap();
    let mut gone = false;
    let lines = text.lines().filter(|line| {
        let goes = !gone && line.starts_with("p, ") && line.ends_with("allow");
        gone |= goes;
        !goes
    });
    let lines: Vec<&str> = lines.collect();
    std::fs::write(&grants, lines.join("\n") + "\n").unwrap();
}

fn main() {
    let records = std::env::var("REPLAY_RECORDS").map_or(1_000_000, |text| text.parse().unwrap());
    let directory = match std::env::var_os("JOURNAL_BENCH_DIR") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let (log, candidate) = (directory.path().join("audit"), directory.path().join("candidate"));
    let started = Instant::now();
    write_log(&log, records);
    println!("wrote {records} records in {:?}", started.elapsed());
    changed(&candidate);
    for extra in [&[][..], &["--against", POLICIES]] {
        let (started, cpu) = (Instant::now(), cpu_of_children());
        let output = Command::new(env!("CARGO_BIN_EXE_pinegate"))
            .args(["replay", "--policies"])
            .arg(&candidate)
            .arg("--audit")
            .arg(&log)
            .args(extra)
            .args(["--limit", "1"])
            .output()
            .unwrap();
        let took = started.elapsed();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("{}", String::from_utf8_lossy(&output.stdout));
        let cpu = cpu_of_children().saturating_sub(cpu);
        println!("replay {}: {records} records in {took:?}, {cpu:?} CPU", extra.join(" "));
    }
}
