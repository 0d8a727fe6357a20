//! Records leave for sinks, whatever becomes of the sink, the way there and the gate.

mod http;
mod syslog;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pinegate::audit::ParsedRecord;
use pinegate::journal::read::Records;
use serde_json::Value;

use crate::city::{City, until};

/// A record by generation and `seq`, and its line.
type Named = (u64, u64, Vec<u8>);

fn named(line: &[u8]) -> Named {
    let record = ParsedRecord::parse(line).unwrap();
    (record.generation, record.seq, line.to_vec())
}

/// All lines of a log.
fn log(audit: &Path) -> BTreeSet<Named> {
    let mut records = Records::open(audit).unwrap();
    let mut all = BTreeSet::new();
    while let Some(line) = records.next_line().unwrap() {
        all.insert(named(line));
    }
    all
}

/// How a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Well,
    /// It fails by turns, each time otherwise.
    Ill,
    /// It ends each connection at once.
    Down,
    /// It wants nothing.
    Refusing,
    /// It never answers.
    Hanging,
    /// It reads all there is, and cuts the connection off.
    Cutting,
}

/// What one sink has got.
struct Receiver {
    audit: PathBuf,
    mood: Mutex<Mood>,
    turns: AtomicUsize,
    lines: Mutex<Vec<Vec<u8>>>,
    /// Up to which record it has acknowledged, by generation.
    acknowledged: Mutex<BTreeMap<u64, u64>>,
    /// What was wrong with what came.
    faults: Mutex<Vec<String>>,
}

impl Receiver {
    fn new(audit: PathBuf) -> Self {
        Self {
            audit,
            mood: Mutex::default(),
            turns: AtomicUsize::new(0),
            lines: Mutex::default(),
            acknowledged: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn turn(&self) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    fn check(&self, is_right: bool, what: &str) {
        if !is_right {
            self.faults.lock().unwrap().push(what.to_owned());
        }
    }

    /// The cursor on disk never says more than what was acknowledged.
    fn check_cursor(&self) {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        for (generation, next) in cursor(&self.audit) {
            let known = acknowledged.get(&generation).copied().unwrap_or(0);
            self.check(next <= known, &format!("the cursor of {generation} is at {next} of {known}"));
        }
    }

    fn take(&self, lines: &[Vec<u8>]) {
        self.lines.lock().unwrap().extend_from_slice(lines);
    }

    fn acknowledge(&self, lines: &[Vec<u8>]) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        for (generation, seq, _) in lines.iter().map(|line| named(line)) {
            let known = acknowledged.entry(generation).or_default();
            *known = (seq + 1).max(*known);
        }
    }

    fn got(&self) -> BTreeSet<Named> {
        self.lines.lock().unwrap().iter().map(|line| named(line)).collect()
    }

    /// Waits until it has all that there is, and fails unless each record came for the first time when all
    /// before it had.
    async fn has_all(&self) {
        until("all records at the sink", async || (self.got() == log(&self.audit)).then_some(())).await;
        let mut next: BTreeMap<u64, u64> = BTreeMap::new();
        for (generation, seq, _) in self.lines.lock().unwrap().iter().map(|line| named(line)) {
            let next = next.entry(generation).or_default();
            assert!(seq <= *next, "record {seq} of generation {generation} came before record {next}");
            *next = (seq + 1).max(*next);
        }
        assert_eq!(*self.faults.lock().unwrap(), [""; 0]);
    }
}

/// What the cursor on disk says: by generation the next record.
fn cursor(audit: &Path) -> BTreeMap<u64, u64> {
    let Ok(bytes) = std::fs::read(audit.join("cursors/siem")) else { return BTreeMap::new() };
    let cursor: Value = serde_json::from_slice(&bytes).unwrap();
    let next = cursor["nodes"]["test"]["next"].as_object().cloned().unwrap_or_default();
    next.into_iter().map(|(generation, next)| (generation.parse().unwrap(), next.as_u64().unwrap())).collect()
}

/// A figure of the sink.
async fn figure(city: &City, name: &str) -> f64 {
    city.gate.metric(&format!("pinegate_audit_sink_{name}{{sink=\"siem\"}}")).await
}
