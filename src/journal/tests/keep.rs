//! What becomes of closed segments, on every disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::live::actors;
use super::sim::{Fault as DiskFault, SimDisk};
use super::*;
use crate::audit::ParsedRecord;
use crate::journal::layout::{Form, segments};
use crate::journal::lines::used_after;
use crate::journal::read::{Filter, Follower, Records, find, size, tail, verify, verify_on};
use crate::journal::recover::{Opened, open};
use crate::journal::scan::scan;
use crate::kernel::time::{Clock as _, ManualClock};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Counts what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<(u64, Vec<String>, u64)>);

impl KeepObserver for Told {
    fn compressed(&self, plain_bytes: u64, bytes: u64) {
        assert!(bytes < plain_bytes);
        self.0.lock().unwrap().0 += 1;
    }
    fn pruned(&self, records: u64) {
        self.0.lock().unwrap().2 += records;
    }
    fn failed(&self, failure: &KeepFailure) {
        self.0.lock().unwrap().1.push(failure.to_string());
    }
}

fn sim_config() -> JournalConfig {
    let mut config = JournalConfig::new("/audit".into(), NodeId::parse("gate-1").unwrap());
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config
}

fn start(config: &JournalConfig, storage: &Arc<dyn Storage>) -> Opened {
    open(config, storage, &ManualClock::new(Timestamp::UNIX_EPOCH)).unwrap()
}

/// Commits `count` records, long enough for a segment to hold few, and says their names.
fn write(opened: &mut Opened, prefix: &str, count: usize) -> Vec<String> {
    let long = "x".repeat(900);
    let names: Vec<String> = (0..count).map(|n| format!("{prefix}{n}")).collect();
    for name in &names {
        let entry = event_with(name, &[("a", &*long), ("b", &*long), ("c", &*long), ("d", &*long)]);
        opened.log.commit([entry].iter()).unwrap();
    }
    names
}

/// Cuts all segments of the generation being written but the last, and says that they are closed.
fn close_segments(storage: &dyn Storage, opened: &Opened) {
    let progress = opened.log.progress();
    let mut files = segments(storage, progress.directory()).unwrap();
    let last = files.pop().unwrap();
    for closed in files.iter().filter(|file| file.form == Form::Plain) {
        let mut file = storage.open(&closed.path).unwrap();
        let used = used_after(&*file, 0).unwrap();
        file.set_len(used).unwrap();
    }
    progress.close_before(last.first);
}

fn keeper(config: &JournalConfig, storage: &Arc<dyn Storage>, opened: &Opened, told: &Arc<Told>) -> Keeper {
    let (directory, told): (_, Arc<dyn KeepObserver>) = (config.directory.clone(), Arc::<Told>::clone(told));
    Keeper::new(directory, Arc::clone(storage), opened.log.progress().clone(), told)
}

fn forms(storage: &dyn Storage, directory: &Path) -> Vec<Form> {
    segments(storage, directory).unwrap().into_iter().map(|file| file.form).collect()
}

#[test]
fn every_reader_takes_either_form() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { segment_bytes: MIN_SEGMENT_BYTES, ..config(dir.path()) };
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let mut first = start(&config, &storage);
    let mut expected = write(&mut first, "a", 20);
    first.log.close().unwrap();
    drop(first);
    let mut second = start(&config, &storage);
    expected.push("system".to_owned());
    expected.extend(write(&mut second, "b", 20));
    let mut follower = Follower::from_beginning(&config.directory);
    let mut followed = follower.poll(13).unwrap();
    close_segments(&DiskStorage, &second);
    let (plain_size, report) = (size(&config.directory).unwrap(), verify(&config.directory).unwrap());
    let told = Arc::new(Told::default());
    let mut keeper = keeper(&config, &storage, &second, &told);
    keeper.pass(&AtomicBool::new(false));
    let compressed = told.0.lock().unwrap().0;
    assert!(compressed >= 4 && told.0.lock().unwrap().1.is_empty(), "{told:?}");
    assert!(
        forms(&DiskStorage, &config.directory.join("gate-1.000001")).iter().all(|f| *f == Form::Compressed)
    );
    let own = forms(&DiskStorage, &config.directory.join("gate-1.000002"));
    assert_eq!(own.iter().filter(|form| **form == Form::Plain).count(), 1);
    assert_eq!(own.last(), Some(&Form::Plain));

    assert_eq!(actors(&config.directory), expected);
    assert_eq!(size(&config.directory).unwrap(), plain_size);
    assert_eq!(verify(&config.directory).unwrap(), report);
    followed.extend(follower.poll(1000).unwrap());
    let followed: Vec<_> = followed.into_iter().map(|found| found.record.actor.unwrap()).collect();
    assert_eq!(followed, expected);
    let last = tail(&config.directory, &Filter::default(), 30).unwrap();
    let last: Vec<_> = last.into_iter().map(|found| found.record.actor.unwrap()).collect();
    assert_eq!(last, expected[expected.len() - 30..]);
    assert_eq!(find(&config.directory, &Filter::default(), 1000).unwrap().len(), expected.len());
    // A second pass finds nothing to do.
    keeper.pass(&AtomicBool::new(false));
    assert_eq!(told.0.lock().unwrap().0, compressed);
}

#[test]
fn a_reader_that_is_overtaken_looks_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { segment_bytes: MIN_SEGMENT_BYTES, ..config(dir.path()) };
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let mut opened = start(&config, &storage);
    let expected = write(&mut opened, "a", 30);
    let mut records = Records::open(&config.directory).unwrap();
    let next = |records: &mut Records| {
        let line = records.next_line().unwrap()?.to_vec();
        Some(ParsedRecord::parse(&line).unwrap().actor.unwrap())
    };
    let mut found: Vec<_> = next(&mut records).into_iter().collect();
    close_segments(&DiskStorage, &opened);
    keeper(&config, &storage, &opened, &Arc::default()).pass(&AtomicBool::new(false));
    assert_eq!(forms(&DiskStorage, opened.log.progress().directory()).first(), Some(&Form::Compressed));
    found.extend(std::iter::from_fn(|| next(&mut records)));
    assert_eq!(found, expected);
}

/// A disk with one closed generation and one that is being written, all records of which were acknowledged.
fn written() -> (SimDisk, Opened, BTreeSet<String>) {
    let disk = SimDisk::default();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let mut first = start(&sim_config(), &storage);
    let mut acked: BTreeSet<String> = write(&mut first, "a", 18).into_iter().collect();
    first.log.close().unwrap();
    drop(first);
    let mut second = start(&sim_config(), &storage);
    acked.extend(write(&mut second, "b", 18));
    close_segments(&disk, &second);
    (disk, second, acked)
}

fn present(disk: &SimDisk) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for place in layout::generations(disk, Path::new("/audit")).unwrap() {
        let scan = scan(disk, &place.path, &place.node, place.number, &mut |line| {
            names.insert(ParsedRecord::parse(line).unwrap().actor.unwrap());
        });
        assert_eq!(scan.unwrap().damage, None);
    }
    names
}

/// Starts on a disk, keeps it, and says whether all is there, compressed, and as it was written.
fn check(disk: &SimDisk, acked: &BTreeSet<String>, why: &str) {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let opened = start(&sim_config(), &storage);
    let told = Arc::new(Told::default());
    keeper(&sim_config(), &storage, &opened, &told).pass(&AtomicBool::new(false));
    assert!(told.0.lock().unwrap().1.is_empty(), "{why}: {told:?}");
    let report = verify_on(disk, Path::new("/audit")).unwrap();
    assert!(report.is_intact(), "{why}: {:?}", report.damage);
    let found = present(disk);
    assert!(acked.is_subset(&found), "{why}: {:?}", acked.difference(&found).collect::<Vec<_>>());
    for generation in ["gate-1.000001", "gate-1.000002"] {
        let forms = forms(disk, &Path::new("/audit").join(generation));
        assert!(!forms.is_empty() && forms.iter().all(|form| *form == Form::Compressed), "{why}");
    }
}

#[test]
fn a_crash_at_any_call_of_the_keeper_loses_nothing() {
    let calls = {
        let (disk, opened, _) = written();
        let before = disk.calls();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        keeper(&sim_config(), &storage, &opened, &Arc::default()).pass(&AtomicBool::new(false));
        disk.calls() - before
    };
    assert!(calls > 60, "{calls}");
    for call in 0..calls {
        let (disk, opened, acked) = written();
        disk.plan(disk.calls() + call, DiskFault::Crash);
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        keeper(&sim_config(), &storage, &opened, &Arc::default()).pass(&AtomicBool::new(false));
        for seed in 0..4 {
            check(&disk.reboot(seed), &acked, &format!("crash at {call}, seed {seed}"));
        }
    }
}

#[test]
fn an_error_at_any_call_of_the_keeper_is_reported_and_tried_again() {
    let mut call = 0;
    loop {
        let (disk, mut opened, mut acked) = written();
        let code = if call % 2 == 0 { EIO } else { ENOSPC };
        let planned = disk.calls() + call;
        disk.plan(planned, DiskFault::Error(code));
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let told = Arc::new(Told::default());
        let mut keeper = keeper(&sim_config(), &storage, &opened, &told);
        keeper.pass(&AtomicBool::new(false));
        if disk.calls() <= planned {
            break;
        }
        // The removal of what was left over is all that may fail unseen.
        let (_, failures, _) = std::mem::take(&mut *told.0.lock().unwrap());
        assert!(failures.len() <= 1, "{failures:?}");
        acked.extend(write(&mut opened, "c", 3));
        keeper.pass(&AtomicBool::new(false));
        assert!(told.0.lock().unwrap().1.is_empty(), "error at {call}: {told:?}");
        assert!(verify_on(&disk, Path::new("/audit")).unwrap().is_intact());
        drop(opened);
        check(&disk.reboot(3), &acked, &format!("error {code} at {call}"));
        call += 1;
    }
    assert!(call > 60, "{call}");
}

#[test]
fn what_is_damaged_or_does_not_fit_is_left_alone() {
    let (disk, opened, acked) = written();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let told = Arc::new(Told::default());
    let mut keeper = keeper(&sim_config(), &storage, &opened, &told);
    disk.limit_space(Some(0));
    keeper.pass(&AtomicBool::new(false));
    assert_eq!(told.0.lock().unwrap().0, 0);
    assert!(told.0.lock().unwrap().1.iter().all(|why| why.contains("too little space")), "{told:?}");
    disk.limit_space(None);
    let damaged = segments(&disk, Path::new("/audit/gate-1.000001")).unwrap().swap_remove(1);
    write_all_at(&mut *disk.open(&damaged.path).unwrap(), b"~", 400).unwrap();
    told.0.lock().unwrap().1.clear();
    keeper.pass(&AtomicBool::new(false));
    let failures = std::mem::take(&mut told.0.lock().unwrap().1);
    assert!(matches!(&failures[..], [one] if one.contains("`sum` does not match")), "{failures:?}");
    assert_eq!(forms(&disk, Path::new("/audit/gate-1.000001"))[..2], [Form::Compressed, Form::Plain]);
    drop((keeper, opened, acked));
}

#[test]
fn a_compressed_segment_that_was_changed_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { segment_bytes: MIN_SEGMENT_BYTES, ..config(dir.path()) };
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let mut opened = start(&config, &storage);
    write(&mut opened, "a", 30);
    close_segments(&DiskStorage, &opened);
    keeper(&config, &storage, &opened, &Arc::default()).pass(&AtomicBool::new(false));
    let files = segments(&DiskStorage, opened.log.progress().directory()).unwrap();
    let bytes = fs::read(&files[1].path).unwrap();
    for at in [0, 9, bytes.len() / 2, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        fs::write(&files[1].path, bad).unwrap();
        let report = verify(&config.directory).unwrap();
        let [damage] = &report.damage[..] else { panic!("byte {at}: {:?}", report.damage) };
        assert_eq!(damage.file, files[1].path, "byte {at}");
    }
    // A repair puts the file aside whole and its good records back.
    drop(opened);
    let refused = open(&config, &storage, &ManualClock::new(Timestamp::UNIX_EPOCH)).unwrap_err();
    assert!(matches!(refused, JournalError::Damaged(_)));
    let repairing = JournalConfig {
        repair: Some(Repair { actor: "zhang@example".to_owned(), reason: "a worn disk".to_owned() }),
        ..config.clone()
    };
    drop(start(&repairing, &storage));
    assert!(verify(&config.directory).unwrap().is_intact());
    let torn = fs::read_dir(config.directory.join("gate-1.000001/torn")).unwrap().count();
    assert!(torn >= 3, "{torn}");
}

/// Puts what is announced into the log, and notes it.
#[derive(Debug)]
struct Announced(Mutex<(Opened, Vec<Entry>)>);

impl Announced {
    fn new(opened: Opened) -> Arc<Self> {
        Arc::new(Self(Mutex::new((opened, Vec::new()))))
    }

    fn keeper(
        self: &Arc<Self>,
        storage: &Arc<dyn Storage>,
        told: &Arc<Told>,
        holds: Vec<Arc<dyn Hold>>,
        clock: &ManualClock,
    ) -> Keeper {
        let retention = Retention { days: 180, holds, announce: Arc::<Self>::clone(self) };
        keeper(&sim_config(), storage, &self.0.lock().unwrap().0, told)
            .prune(retention, Arc::new(clock.clone()))
    }
}

impl Announce for Announced {
    fn announce(&self, entry: Entry) -> Result<(), AppendError> {
        let (opened, entries) = &mut *self.0.lock().unwrap();
        opened.log.commit([entry.clone()].iter()).map_err(|_| AppendError::Unavailable)?;
        entries.push(entry);
        Ok(())
    }
}

/// Holds what it is told to.
#[derive(Debug)]
struct Held(u32, u64);

impl Hold for Held {
    fn first_needed(&self, _: &NodeId, generation: u32) -> u64 {
        if generation == self.0 { self.1 } else { u64::MAX }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

fn day(days: u32) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(20_000 * 86_400) + HOUR * 24 * days
}

/// Commits `count` records of one day, long enough for a segment to hold few.
fn write_on(opened: &mut Opened, at: Timestamp, count: usize) {
    let long = "x".repeat(900);
    for _ in 0..count {
        let detail = [("a", &*long), ("b", &*long), ("c", &*long), ("d", &*long)];
        let entry =
            Lifecycle { at, event: "reload", actor: "a", detail: &detail, policy: None, config: None };
        opened.log.commit([entry.encode()].iter()).unwrap();
    }
}

/// A log of three generations: days 0 to 3, day 190, and the one being written.
struct Aged {
    disk: SimDisk,
    storage: Arc<dyn Storage>,
    clock: ManualClock,
    announced: Arc<Announced>,
    told: Arc<Told>,
}

impl Aged {
    fn new() -> Self {
        let disk = SimDisk::default();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        for days in [&[0, 1, 2, 3][..], &[190]] {
            let mut opened = start(&sim_config(), &storage);
            for at in days {
                write_on(&mut opened, day(*at), 16);
            }
            opened.log.close().unwrap();
        }
        let announced = Announced::new(start(&sim_config(), &storage));
        Self { disk, storage, clock: ManualClock::new(day(200)), announced, told: Arc::default() }
    }

    fn keeper(&self, holds: Vec<Arc<dyn Hold>>) -> Keeper {
        self.announced.keeper(&self.storage, &self.told, holds, &self.clock)
    }

    /// A pass an hour later; says how many records went.
    fn pass_later(&self, keeper: &mut Keeper) -> u64 {
        self.clock.set(self.clock.now() + HOUR);
        let before = self.gone();
        keeper.pass(&AtomicBool::new(false));
        self.gone() - before
    }

    fn gone(&self) -> u64 {
        self.told.0.lock().unwrap().2
    }

    fn failures(&self) -> Vec<String> {
        std::mem::take(&mut self.told.0.lock().unwrap().1)
    }

    fn segments_of(&self, generation: u32) -> usize {
        segments(&self.disk, &Path::new("/audit").join(format!("gate-1.{generation:06}"))).unwrap().len()
    }
}

#[test]
fn what_is_old_enough_goes_little_by_little_and_is_put_on_record() {
    let aged = Aged::new();
    let mut keeper = aged.keeper(vec![]);
    keeper.pass(&AtomicBool::new(false));
    assert_eq!(aged.gone(), 0);
    assert_eq!(aged.failures(), [""; 0]);
    // A day's records in an hour, and the last day too when it is older than 180 of them.
    let mut hours = 0;
    let mut gone = 0;
    while aged.segments_of(1) > 0 {
        gone += aged.pass_later(&mut keeper);
        hours += 1;
        assert!(hours < 10, "{gone}");
    }
    assert!(hours >= 2, "{hours}");
    assert_eq!((gone, aged.failures()), (64, vec![]));
    let whole = aged.segments_of(2);
    for _ in 0..5 {
        assert_eq!(aged.pass_later(&mut keeper), 0);
    }
    assert_eq!(aged.segments_of(2), whole);
    // Nothing goes that is younger, and what is known of what went stays.
    let report = verify_on(&aged.disk, Path::new("/audit")).unwrap();
    assert!(report.is_intact(), "{:?}", report.damage);
    assert_eq!(report.generations[0].records, 64);
    let mut last = aged.announced.0.lock().unwrap().1.pop().unwrap().as_bytes().to_vec();
    last.retain(|byte| *byte != b'}');
    let text = String::from_utf8(last).unwrap();
    for part in
        ["\"event\":\"pruned\"", "\"generation\":\"1\",\"before\":\"64\"", "\"retention_days\":\"180\""]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_somebody_needs_stays() {
    let aged = Aged::new();
    let mut keeper = aged.keeper(vec![Arc::new(Held(1, 20)), Arc::new(Held(2, 0))]);
    let gone: u64 = (0..6).map(|_| aged.pass_later(&mut keeper)).sum();
    assert!(gone > 0 && gone <= 20, "{gone}");
}

#[test]
fn a_clock_that_is_far_ahead_removes_nothing() {
    let aged = Aged::new();
    aged.clock.set(day(190 + 400));
    let mut keeper = aged.keeper(vec![]);
    for _ in 0..3 {
        assert_eq!(aged.pass_later(&mut keeper), 0);
        let failures = aged.failures();
        assert!(matches!(&failures[..], [one] if one.contains("start the gate again")), "{failures:?}");
    }
    // A clock that runs on from where it was right is believed, however long.
    aged.clock.set(day(200));
    let mut keeper = aged.keeper(vec![]);
    aged.clock.set(day(600));
    assert!(aged.pass_later(&mut keeper) > 0);
    assert_eq!(aged.failures(), [""; 0]);
}

#[test]
fn a_crash_while_pruning_loses_nothing_younger() {
    let calls = {
        let aged = Aged::new();
        let mut keeper = aged.keeper(vec![]);
        keeper.pass(&AtomicBool::new(false));
        let before = aged.disk.calls();
        aged.pass_later(&mut keeper);
        aged.disk.calls() - before
    };
    assert!(calls >= 4, "{calls}");
    for call in 0..calls {
        let aged = Aged::new();
        let mut keeper = aged.keeper(vec![]);
        keeper.pass(&AtomicBool::new(false));
        aged.disk.plan(aged.disk.calls() + call, DiskFault::Crash);
        aged.pass_later(&mut keeper);
        for seed in 0..6 {
            let disk = aged.disk.reboot(seed);
            let report = verify_on(&disk, Path::new("/audit")).unwrap();
            assert!(report.is_intact(), "crash at {call}: {:?}", report.damage);
            let counts: Vec<_> = report.generations.iter().take(2).map(|found| found.records).collect();
            assert_eq!(counts, [64, 17], "crash at {call}");
        }
    }
}

#[test]
fn a_generation_that_was_not_closed_is_recovered_after_its_first_segments_have_gone() {
    let disk = SimDisk::default();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let mut opened = start(&sim_config(), &storage);
    write_on(&mut opened, day(0), 30);
    write_on(&mut opened, day(200), 30);
    close_segments(&disk, &opened);
    let (announced, told) = (Announced::new(opened), Arc::<Told>::default());
    let clock = ManualClock::new(day(200));
    let mut keeper = announced.keeper(&storage, &told, vec![], &clock);
    clock.set(day(200) + HOUR);
    keeper.pass(&AtomicBool::new(false));
    let gone = told.0.lock().unwrap().2;
    assert!(gone > 10 && gone <= 30, "{told:?}");
    drop((keeper, announced));
    let after = disk.reboot(5);
    let storage: Arc<dyn Storage> = Arc::new(after.clone());
    let again = start(&sim_config(), &storage);
    // With the record that says what went.
    assert_eq!(again.recovery.recovered[0].records, 61);
    let report = verify_on(&after, Path::new("/audit")).unwrap();
    assert!(report.is_intact(), "{:?}", report.damage);
    assert_eq!((report.generations[0].records, report.generations[0].begin), (61, gone));
}
