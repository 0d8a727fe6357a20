//! What a process left that ended beside another.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::*;
use crate::audit::ParsedRecord;
use crate::journal::layout::{CLOSED, LOCK};
use crate::journal::read::{Records, verify};

const SEGMENT: &str = "00000000000000000000.jsonl";
const TORN: &[u8] = b"{\"sum\":\"";

#[derive(Debug, Default)]
struct Told(Mutex<Vec<RecoveredGeneration>>);
impl SuccessionObserver for Told {
    fn closed(&self, left: &RecoveredGeneration) {
        self.0.lock().unwrap().push(left.clone());
    }
    fn failed(&self, failure: &SuccessionFailure) {
        panic!("{failure:?}");
    }
}

fn open(config: &JournalConfig) -> (Journal, Recovery) {
    Journal::open(config.clone(), Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Quiet)).unwrap()
}

fn successor(config: &JournalConfig, journal: &Journal) -> (Successor, Arc<Told>) {
    let told = Arc::new(Told::default());
    let (directory, clock) = (config.directory.clone(), Arc::new(SystemClock));
    let observer: Arc<Told> = Arc::clone(&told);
    (Successor::new(directory, Arc::new(DiskStorage), clock, journal.clone(), observer), told)
}

/// What a process has on disk that has begun an access and is in the midst of another record.
fn half_done() -> Vec<u8> {
    let ground = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(&config(ground.path()));
    journal.append_blocking(access(Kind::Intent, None).1).unwrap();
    journal.append_blocking(event("last")).unwrap();
    let mut segment = fs::read(recovery.directory.join(SEGMENT)).unwrap();
    journal.close().unwrap();
    let end = segment.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    segment[end..end + TORN.len()].copy_from_slice(TORN);
    segment
}

/// Puts a generation in place that is being written as long as the lock is held.
fn live(config: &JournalConfig, generation: u32, segment: &[u8]) -> (PathBuf, Box<dyn Lock>) {
    let directory = config.directory.join(format!("gate-1.{generation:06}"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(SEGMENT), segment).unwrap();
    let lock = DiskStorage.lock(&directory.join(LOCK)).unwrap().unwrap();
    (directory, lock)
}

/// All that is on record, by event or decision.
fn story(directory: &Path) -> Vec<String> {
    let mut records = Records::open(directory).unwrap();
    let mut story = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        let record = ParsedRecord::parse(line).unwrap();
        story.push(record.event.or(record.decision).unwrap());
    }
    story
}

#[test]
fn what_was_left_is_closed_as_by_a_start_once_nobody_writes_it() {
    let ground = tempfile::tempdir().unwrap();
    let config = config(ground.path());
    let segment = half_done();
    let (left, lock) = live(&config, 1, &segment);
    let (journal, recovery) = open(&config);
    assert_eq!(recovery.live, [1]);
    let (mut successor, told) = successor(&config, &journal);
    successor.look().unwrap();
    assert!(!left.join(CLOSED).exists() && told.0.lock().unwrap().is_empty());
    assert_eq!(fs::read(left.join(SEGMENT)).unwrap(), segment, "its process lives");
    drop(lock);
    for _ in 0..2 {
        successor.look().unwrap();
    }
    let cut_bytes = u64::try_from(TORN.len()).unwrap();
    let expected = RecoveredGeneration { generation: 1, records: 2, cut_bytes, repaired: None };
    assert_eq!(*told.0.lock().unwrap(), [expected]);
    let end = segment.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(fs::read(left.join(SEGMENT)).unwrap(), segment[..end]);
    assert_eq!(fs::read(left.join(format!("torn/{SEGMENT}.{end}"))).unwrap(), TORN);
    assert_eq!(story(&config.directory), ["permit", "start", "recovered", "unknown"]);
    journal.close().unwrap();
    let (third, recovery) = open(&config);
    assert_eq!((recovery.live, recovery.recovered, recovery.unknown_outcomes), (vec![], vec![], 0));
    third.close().unwrap();
    assert!(verify(&config.directory).unwrap().is_intact());
}

#[test]
fn what_a_later_process_left_is_closed_too_but_not_one_that_begins() {
    let ground = tempfile::tempdir().unwrap();
    let config = config(ground.path());
    let (journal, _) = open(&config);
    // Its directory is there, and its lock not yet.
    let beginning = config.directory.join("gate-1.000002");
    fs::create_dir(&beginning).unwrap();
    let (mut successor, told) = successor(&config, &journal);
    successor.look().unwrap();
    assert!(!beginning.join(LOCK).exists() && told.0.lock().unwrap().is_empty());
    let (second, recovery) = open(&config);
    assert_eq!((recovery.generation, recovery.live), (3, vec![1]));
    // A process that ends with an access under way does not close what it wrote.
    second.append_blocking(access(Kind::Intent, None).1).unwrap();
    successor.look().unwrap();
    assert!(!recovery.directory.join(CLOSED).exists());
    second.close().unwrap();
    assert!(!recovery.directory.join(CLOSED).exists());
    successor.look().unwrap();
    assert!(recovery.directory.join(CLOSED).exists());
    assert_eq!(told.0.lock().unwrap().len(), 1);
    journal.close().unwrap();
    assert!(verify(&config.directory).unwrap().is_intact());
}

#[test]
fn what_is_damaged_stays_and_is_said_once() {
    let ground = tempfile::tempdir().unwrap();
    let config = config(ground.path());
    let mut segment = half_done();
    let (whole, first) = live(&config, 1, &[]);
    segment[100] ^= 1;
    let (damaged, second) = live(&config, 2, &segment);
    let (journal, _) = open(&config);
    let (mut successor, told) = successor(&config, &journal);
    drop((first, second));
    let failure = successor.look().unwrap_err();
    assert!(failure.is_final(), "{failure:?}");
    assert_eq!(journal.progress().durable(), 0, "nothing is said of it");
    for _ in 0..2 {
        successor.look().unwrap();
    }
    assert_eq!(told.0.lock().unwrap().len(), 1);
    assert!(whole.join(CLOSED).exists() && !damaged.join(CLOSED).exists());
    assert_eq!(fs::read(damaged.join(SEGMENT)).unwrap(), segment);
    journal.close().unwrap();
}

#[test]
fn nothing_is_put_on_record_after_the_stop_or_twice() {
    let ground = tempfile::tempdir().unwrap();
    let config = config(ground.path());
    let (left, lock) = live(&config, 1, &half_done());
    let (journal, recovery) = open(&config);
    drop(lock);
    let closed = |left: &Path| left.join(CLOSED).exists();
    // Nothing can be closed there: what was said of it is not said again.
    let (mut hindered, _) = successor(&config, &journal);
    let obstacle = left.join(format!("{CLOSED}.tmp/obstacle"));
    fs::create_dir_all(&obstacle).unwrap();
    hindered.look().unwrap_err();
    hindered.look().unwrap_err();
    let own = |journal: &Journal| journal.progress().durable();
    assert_eq!((own(&journal), closed(&left)), (2, false));
    fs::remove_dir_all(left.join(format!("{CLOSED}.tmp"))).unwrap();
    hindered.look().unwrap();
    assert_eq!((own(&journal), closed(&left)), (2, true));
    let (late, lock) = live(&config, 9, &[]);
    drop(lock);
    let (mut stopped, _) = successor(&config, &journal);
    stopped.stop();
    stopped.look().unwrap();
    assert_eq!((own(&journal), closed(&late)), (2, false));
    journal.close().unwrap();
    assert!(closed(&recovery.directory));
}
