//! The journal with its threads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::sim::SimDisk;
use super::*;
use crate::journal::read::{Filter, Follower, Records, find, tail, verify};
use crate::kernel::id::RequestId;
use crate::kernel::skip::skip;
use crate::kernel::time::ManualClock;

/// Passes on whether the journal is durable.
#[derive(Debug)]
struct Watch(mpsc::UnboundedSender<bool>);
impl Observer for Watch {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, fault: Option<&Fault>) {
        self.0.send(fault.is_none()).ok();
    }
    fn queued(&self, _: usize) {}
}

fn small(directory: &Path) -> JournalConfig {
    JournalConfig { segment_bytes: MIN_SEGMENT_BYTES, ..config(directory) }
}

fn open(config: &JournalConfig) -> (Journal, Recovery) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    Journal::open(config.clone(), Arc::new(DiskStorage), clock, Arc::new(Quiet)).unwrap()
}

fn open_sim(config: JournalConfig, disk: &SimDisk) -> (Journal, mpsc::UnboundedReceiver<bool>) {
    let (send, receive) = mpsc::unbounded_channel();
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (journal, _) = Journal::open(config, Arc::new(disk.clone()), clock, Arc::new(Watch(send))).unwrap();
    (journal, receive)
}

fn sim_config() -> JournalConfig {
    let mut config = JournalConfig::new("/audit".into(), NodeId::parse("gate-1").unwrap());
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config.retry_first = Duration::from_millis(1);
    config.retry_most = Duration::from_millis(4);
    config
}

/// The actors of all records of the first generation on `disk`, in order.
fn actors_on(disk: &SimDisk) -> Vec<String> {
    let mut found = Vec::new();
    let node = NodeId::parse("gate-1").unwrap();
    scan::scan(disk, Path::new("/audit/gate-1.000001"), &node, 1, &mut |line| {
        found.extend(crate::audit::ParsedRecord::parse(line).unwrap().actor);
    })
    .unwrap();
    found
}

/// The actors of all records below `directory`, in order.
pub(super) fn actors(directory: &Path) -> Vec<String> {
    let mut records = Records::open(directory).unwrap();
    let mut found = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        found.extend(crate::audit::ParsedRecord::parse(line).unwrap().actor);
    }
    found
}

fn segments(generation: &Path) -> Vec<PathBuf> {
    let files = layout::segments(&DiskStorage, generation).unwrap();
    files.into_iter().map(|file| file.path).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_appends_from_64_tasks_each_get_their_own_number() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { segment_bytes: 256 << 10, ..config(dir.path()) };
    let (journal, recovery) = open(&config);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let journal = journal.clone();
        tasks.spawn(async move {
            let mut seqs = Vec::new();
            for n in 0..157 {
                seqs.push(journal.append(event(&format!("{task}.{n}"))).await.unwrap());
            }
            seqs
        });
    }
    let seqs: BTreeSet<u64> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(seqs, (0..64 * 157).collect());
    journal.close().unwrap();
    assert!(segments(&recovery.directory).len() > 5);
    let report = verify(&config.directory).unwrap();
    assert!(report.is_intact() && report.generations[0].closed);
    assert_eq!(report.records, 64 * 157);
}

#[test]
fn a_log_being_written_verifies_and_can_be_followed() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (journal, _) = open(&config);
    let mut follower = Follower::from_beginning(&config.directory);
    let writer = journal.clone();
    let appends = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for n in 0..600 {
            runtime.block_on(writer.append(event(&n.to_string()))).unwrap();
        }
    });
    let mut followed = Vec::new();
    while !appends.is_finished() {
        let report = verify(&config.directory).unwrap();
        assert!(report.is_intact(), "{:?}", report.damage);
        followed.extend(follower.poll(1000).unwrap());
    }
    appends.join().unwrap();
    journal.close().unwrap();
    followed.extend(follower.poll(1000).unwrap());
    let followed: Vec<_> = followed.into_iter().map(|found| found.record.actor.unwrap()).collect();
    assert_eq!(followed, (0..600).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(verify(&config.directory).unwrap().records, 600);
}

#[tokio::test]
async fn a_dropped_append_is_written_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (journal, _) = open(&config);
    drop(journal.append(event("never polled")));
    journal.submit(event("submitted")).unwrap();
    journal.close().unwrap();
    assert_eq!(actors(&config.directory), ["never polled", "submitted"]);
}

#[tokio::test]
async fn dropping_every_handle_ends_the_writer_and_loses_nothing() {
    let disk = SimDisk::default();
    let (journal, mut durable) = open_sim(sim_config(), &disk);
    journal.submit(event("last words")).unwrap();
    drop(journal);
    // The observer goes when the writer does.
    while durable.recv().await.is_some() {}
    let report = read::verify_on(&disk, Path::new("/audit")).unwrap();
    assert_eq!((report.records, report.generations[0].closed), (1, true));
}

#[test]
fn two_processes_write_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (old, _) = open(&config);
    let (new, recovery) = open(&config);
    assert_eq!((recovery.generation, recovery.live), (2, vec![1]));
    old.submit(event("old")).unwrap();
    new.submit(event("new")).unwrap();
    new.close().unwrap();
    old.close().unwrap();
    let (third, recovery) = open(&config);
    assert_eq!((recovery.generation, recovery.live, recovery.recovered), (3, vec![], vec![]));
    third.close().unwrap();
    assert!(verify(&config.directory).unwrap().is_intact());
    let lock = dir.path().join("LOCK");
    let first = DiskStorage.lock(&lock).unwrap();
    assert!(first.is_some() && DiskStorage.lock(&lock).unwrap().is_none());
}

/// Appends until one is refused: how many were not.
async fn append_until_refused(journal: &Journal, append: impl Fn() -> Entry) -> u64 {
    for written in 0.. {
        match journal.append(append()).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, AppendError::Unavailable);
                return written;
            }
        }
    }
    panic!("a full disk took everything");
}

fn long_event(actor: &str) -> Entry {
    let long = "x".repeat(1000);
    event_with(actor, &[("a", &long), ("b", &long)])
}

#[tokio::test]
async fn a_full_disk_keeps_room_for_what_has_begun_and_heals_by_itself() {
    let disk = SimDisk::default();
    let (journal, mut durable) = open_sim(sim_config(), &disk);
    assert_eq!(durable.recv().await, Some(true));
    let (begun, intent) = access(Kind::Intent, None);
    journal.append(intent).await.unwrap();
    disk.limit_space(Some(0));
    let written = append_until_refused(&journal, || long_event("a")).await;
    assert_eq!(durable.recv().await, Some(false));
    let health = journal.health();
    assert!(!health.durable);
    // How much is free is looked at beside the writer.
    while !journal.health().is_space_low {
        tokio::task::yield_now().await;
    }
    assert_eq!(health.why.as_deref(), Some(&Fault::NoReserve));
    // The end of what has begun is written, whether somebody waits for it or not, and the gate's own words are.
    let end = journal.append(access(Kind::Outcome, Some(begun)).1).await.unwrap();
    assert_eq!(end, written + 1);
    journal.submit(event("drain")).unwrap();
    assert_eq!(journal.progress().wait(end + 2, Duration::from_secs(60)), end + 2);
    assert_eq!(journal.append(event("refused")).await, Err(AppendError::Unavailable));
    assert_eq!(journal.append(access(Kind::Intent, None).1).await, Err(AppendError::Unavailable));
    disk.limit_space(None);
    assert_eq!(durable.recv().await, Some(true));
    assert_eq!(journal.append(event("again")).await, Ok(end + 2));
    assert!(journal.health().durable && journal.health().why.is_none());
    journal.close().unwrap();
    let report = read::verify_on(&disk, Path::new("/audit")).unwrap();
    assert!(report.is_intact() && report.generations[0].closed);
    assert_eq!(report.records, end + 3, "what was refused is there");
}

#[tokio::test]
async fn a_reserve_that_is_used_up_refuses_everything_and_keeps_what_nobody_waits_for() {
    let disk = SimDisk::default();
    let (journal, mut durable) = open_sim(sim_config(), &disk);
    assert_eq!(durable.recv().await, Some(true));
    let (begun, intent) = access(Kind::Intent, None);
    journal.append(intent).await.unwrap();
    disk.limit_space(Some(0));
    append_until_refused(&journal, || long_event("a")).await;
    assert_eq!(durable.recv().await, Some(false));
    for _ in 0..60 {
        journal.submit(long_event("b")).unwrap();
    }
    assert_eq!(durable.recv().await, Some(false));
    assert_eq!(journal.health().why.as_deref(), Some(&Fault::NoSpace));
    let end = journal.append(access(Kind::Outcome, Some(begun)).1).await;
    assert_eq!(end, Err(AppendError::Unavailable), "there is no room for anything");
    disk.limit_space(None);
    assert_eq!(durable.recv().await, Some(true));
    journal.append(event("again")).await.unwrap();
    journal.close().unwrap();
    let report = read::verify_on(&disk, Path::new("/audit")).unwrap();
    assert!(report.is_intact());
    let lines = actors_on(&disk);
    assert_eq!(lines.iter().filter(|actor| *actor == "b").count(), 60);
    assert_eq!(lines.last().map(String::as_str), Some("again"));
}

/// Passes on each look at the free space: whether it is low. Before each, a spare is made if it can be.
#[derive(Debug)]
struct Looks(mpsc::UnboundedSender<bool>);
impl Observer for Looks {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: Option<&Fault>) {}
    fn queued(&self, _: usize) {}
    fn space(&self, _: u64, is_low: bool) {
        self.0.send(is_low).ok();
    }
}

#[tokio::test]
async fn little_space_is_said_and_refuses_nothing() {
    let disk = SimDisk::default();
    disk.limit_space(Some(1 << 20));
    let config = JournalConfig { low_space: (1 << 20) - (MIN_SEGMENT_BYTES * 2), ..sim_config() };
    let (send, mut looks) = mpsc::unbounded_channel();
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (journal, _) = Journal::open(config, Arc::new(disk.clone()), clock, Arc::new(Looks(send))).unwrap();
    for written in 0..3 * MIN_SEGMENT_BYTES / 2000 {
        assert_eq!(journal.append(long_event("a")).await, Ok(written));
    }
    while looks.recv().await != Some(true) {}
    let health = journal.health();
    assert!(health.is_space_low && health.durable && health.free_bytes < 1 << 20, "{health:?}");
    disk.limit_space(None);
    while looks.recv().await != Some(false) {}
    assert!(!journal.health().is_space_low);
    journal.close().unwrap();
}

/// Where the bytes of a file are on the disk; `None`, said aloud, where that cannot be seen.
fn extents(path: &Path) -> Option<String> {
    let shown = match std::process::Command::new("filefrag").arg("-v").arg(path).output() {
        Ok(shown) if shown.status.success() => String::from_utf8(shown.stdout).unwrap(),
        Ok(shown) => {
            skip("extents", &String::from_utf8_lossy(&shown.stderr));
            return None;
        }
        Err(error) => {
            skip("filefrag", &error.to_string());
            return None;
        }
    };
    // The lines between those that name the file: `0: 0.. 255: 1617842.. 1618097: 256: last,eof`.
    let lines = shown.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn segments_are_written_before_they_are_written_to() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { segment_bytes: 256 << 10, ..config(dir.path()) };
    let (send, mut looks) = mpsc::unbounded_channel();
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (journal, recovery) =
        Journal::open(config, Arc::new(DiskStorage), clock, Arc::new(Looks(send))).unwrap();
    looks.recv().await.unwrap();
    let (spare, first) = (recovery.directory.join(layout::SPARE), segments(&recovery.directory)[0].clone());
    for path in [&spare, &first] {
        let (bytes, metadata) = (fs::read(path).unwrap(), fs::metadata(path).unwrap());
        assert_eq!(bytes, vec![0; 256 << 10]);
        assert!(metadata.blocks() * 512 >= metadata.len(), "{} has holes", path.display());
    }
    let before = extents(&spare);
    assert!(before.iter().all(|before| !before.contains("unwritten")), "{before:?}");
    // The spare becomes the second segment. Records change neither its length nor where its bytes are.
    while segments(&recovery.directory).len() < 2 {
        journal.append(long_event("a")).await.unwrap();
    }
    for _ in 0..10 {
        journal.append(long_event("a")).await.unwrap();
    }
    let second = &segments(&recovery.directory)[1];
    assert_eq!(fs::metadata(second).unwrap().len(), 256 << 10);
    assert_eq!(extents(second), before);
    journal.close().unwrap();
}

#[tokio::test]
async fn clocks_may_jump() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let clock = ManualClock::new(at(1_000_000_000));
    let open =
        || Journal::open(config.clone(), Arc::new(DiskStorage), Arc::new(clock.clone()), Arc::new(Quiet));
    let mut expected = Vec::new();
    for generation in 0..3 {
        let (journal, _) = open().unwrap();
        // Years back, to the beginning and before it, and to the end of time.
        for second in [1_000_000_000, 900_000_000, 0, -1, 4_000_000_000, 1_000_000_001] {
            clock.set(at(second + generation));
            let id = RequestId::generate();
            journal.append(access_at(Kind::Intent, id, at(second + generation), None)).await.unwrap();
            expected.push(id);
        }
        // It ends without the outcomes: the next start, at an earlier instant, closes them.
        clock.set(at(500_000_000 - generation));
        journal.close().unwrap();
    }
    let (last, recovery) = open().unwrap();
    assert_eq!(recovery.unknown_outcomes, 6);
    last.close().unwrap();
    assert!(verify(&config.directory).unwrap().is_intact());
    let mut records = Records::open(&config.directory).unwrap();
    let mut found = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        let record = crate::audit::ParsedRecord::parse(line).unwrap();
        found.extend(record.request.filter(|_| record.kind == "intent"));
    }
    let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "the order is that of the numbers");
}

#[tokio::test]
async fn a_failed_sync_refuses_and_is_never_tried_again_on_the_same_file() {
    let disk = SimDisk::default();
    let mut config = sim_config();
    // One segment for all: no spare is made whose calls would come in between.
    config.segment_bytes = 1 << 20;
    let (journal, mut durable) = open_sim(config, &disk);
    assert_eq!(durable.recv().await, Some(true));
    journal.append(event("before")).await.unwrap();
    disk.fail_next_sync(5);
    assert_eq!(journal.append(event("lost")).await, Err(AppendError::Unavailable));
    assert_eq!(durable.recv().await, Some(false));
    assert_eq!(durable.recv().await, Some(true));
    assert_eq!(journal.append(event("after")).await, Ok(1));
    journal.close().unwrap();
    // Whatever the crash takes, both acknowledged records are there.
    for seed in 0..16 {
        let report = read::verify_on(&disk.reboot(seed), Path::new("/audit")).unwrap();
        assert!(report.is_intact());
        assert_eq!(report.records, 2);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_has_more_room_for_outcomes() {
    let disk = SimDisk::default();
    let mut config = sim_config();
    config.queue_records = 2;
    let (journal, mut durable) = open_sim(config, &disk);
    assert_eq!(durable.recv().await, Some(true));
    let mut accepted = Vec::new();
    let submitted = disk.hold(|| {
        // The writer takes once before it is held, and nobody knows when.
        for _ in 0..5 {
            accepted.push(journal.append(event("a")));
        }
        (0..20).take_while(|_| journal.submit(event("b")).is_ok()).count()
    });
    // Room for eight beside up to two appends; if it took late, that fills a second time.
    assert!((6..=6 + 8).contains(&submitted), "{submitted}");
    let mut results = Vec::new();
    for append in accepted {
        results.push(append.await);
    }
    let (taken, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!((2..=2 + 2).contains(&taken.len()), "{taken:?}");
    assert!(refused.iter().all(|result| *result == Err(AppendError::Full)), "{refused:?}");
    journal.close().unwrap();
}

#[tokio::test]
async fn closing_on_a_dead_disk_says_so() {
    let disk = SimDisk::default();
    let mut config = sim_config();
    config.retry_first = Duration::from_secs(3600);
    let (journal, mut durable) = open_sim(config, &disk);
    assert_eq!(durable.recv().await, Some(true));
    disk.kill();
    assert_eq!(journal.append(event("a")).await, Err(AppendError::Unavailable));
    journal.submit(event("an outcome")).unwrap();
    assert_eq!(journal.close(), Err(AppendError::Unavailable));
}

/// Recovers a generation whose only segment was torn after `cut` bytes, padding behind it; the
/// last whole record ends at `last`.
fn recover_torn(storage: &Arc<dyn Storage>, config: &JournalConfig, log: &[u8], last: usize, cut: usize) {
    let generation = config.directory.join("gate-1.000001");
    storage.create_dir(&config.directory).unwrap();
    storage.create_dir(&generation).unwrap();
    let name = "00000000000000000000.jsonl";
    let mut file = storage.create(&generation.join(name)).unwrap();
    write_all_at(&mut *file, &log[..cut], 0).unwrap();
    write_all_at(&mut *file, &[0; 4096], u64::try_from(cut).unwrap()).unwrap();
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let mut opened = recover::open(config, storage, &clock).unwrap();
    opened.log.close().unwrap();
    let cut_bytes = u64::try_from(cut - last).unwrap();
    let expected = RecoveredGeneration { generation: 1, records: 2, cut_bytes, repaired: None };
    assert_eq!(opened.recovery.recovered, [expected]);
    let report = read::verify_on(&**storage, &config.directory).unwrap();
    assert!(report.is_intact());
    assert_eq!(report.records, 3);
    if cut > last {
        let file = storage.open_read(&generation.join(format!("torn/{name}.{last}"))).unwrap();
        let mut kept = vec![0; log.len()];
        let read = read_up_to(&*file, &mut kept, 0).unwrap();
        assert_eq!(&kept[..read], &log[last..cut]);
    }
}

#[test]
fn a_torn_tail_is_cut_at_every_byte_and_kept_aside() {
    let source = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(&small(source.path()));
    for actor in ["one", "two", "three"] {
        journal.submit(event(actor)).unwrap();
    }
    journal.close().unwrap();
    let log = fs::read(&segments(&recovery.directory)[0]).unwrap();
    let last = log[..log.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in last..log.len() {
        let disk: Arc<dyn Storage> = Arc::new(SimDisk::default());
        recover_torn(&disk, &sim_config(), &log, last, cut);
    }
    for cut in [last, last + 1, last + 100, log.len() - 1] {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Storage> = Arc::new(DiskStorage);
        recover_torn(&disk, &small(dir.path()), &log, last, cut);
    }
}

#[test]
fn an_open_intent_is_closed_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (journal, _) = open(&config);
    let (done, intent) = access(Kind::Intent, None);
    journal.submit(intent).unwrap();
    journal.submit(access(Kind::Outcome, Some(done)).1).unwrap();
    let (open_one, intent) = access(Kind::Intent, None);
    journal.submit(intent).unwrap();
    journal.close().unwrap();
    let (second, recovery) = open(&config);
    assert_eq!(recovery.unknown_outcomes, 1);
    second.close().unwrap();
    let found = |request: RequestId| {
        let filter = Filter { request: Some(request), ..Filter::default() };
        let found = find(&config.directory, &filter, 10).unwrap().0;
        found
            .into_iter()
            .map(|found| (found.record.generation, found.record.kind, found.record.decision.unwrap()))
            .collect::<Vec<_>>()
    };
    let row = |generation, kind: &str, decision: &str| (generation, kind.to_owned(), decision.to_owned());
    assert_eq!(found(done), [row(1, "intent", "permit"), row(1, "outcome", "permit")]);
    assert_eq!(found(open_one), [row(1, "intent", "permit"), row(2, "outcome", "unknown")]);
    let (third, recovery) = open(&config);
    assert_eq!(recovery.unknown_outcomes, 0);
    third.close().unwrap();
}

#[test]
fn readers_see_rotation_and_generations_as_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let mut follower = Follower::from_beginning(&config.directory);
    let mut followed = Vec::new();
    let mut expected = Vec::new();
    for generation in 0..3 {
        let (journal, recovery) = open(&config);
        for n in 0..300 {
            journal.submit(event(&format!("{generation}.{n}"))).unwrap();
        }
        journal.close().unwrap();
        expected.extend(vec!["system".to_owned(); generation]);
        expected.extend((0..300).map(|n| format!("{generation}.{n}")));
        assert!(segments(&recovery.directory).len() > 1);
        loop {
            let new = follower.poll(70).unwrap();
            if new.is_empty() {
                break;
            }
            followed.extend(new.into_iter().map(|found| found.record.actor.unwrap()));
        }
    }
    assert_eq!(actors(&config.directory), expected);
    assert_eq!(followed, expected);
    let last: Vec<_> = tail(&config.directory, &Filter::default(), 450)
        .unwrap()
        .0
        .into_iter()
        .map(|found| found.record.actor.unwrap())
        .collect();
    assert_eq!(last, expected[expected.len() - 450..]);
    assert_eq!(tail(&config.directory, &Filter::default(), 10_000).unwrap().0.len(), expected.len());
    let mut from_end = Follower::from_end(&config.directory).unwrap();
    assert_eq!(from_end.poll(10).unwrap(), []);
    assert_eq!(find(&config.directory, &Filter::default(), 5).unwrap().0.len(), 5);
}

#[test]
fn others_follow_what_is_durable_until_the_writer_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(&small(dir.path()));
    let progress = journal.progress();
    assert_eq!((progress.generation(), progress.directory()), (1, &*recovery.directory));
    assert_eq!(progress.wait(1, Duration::ZERO), 0);
    let long = Duration::from_secs(3600);
    let follower = std::thread::spawn(move || (progress.wait(400, long), progress.wait(u64::MAX, long)));
    for _ in 0..500 {
        journal.submit(event("a")).unwrap();
    }
    let progress = journal.progress();
    assert!(progress.wait(500, long) == 500 && !progress.has_ended());
    drop(journal);
    let (soon, last) = follower.join().unwrap();
    assert!((400..=500).contains(&soon));
    assert!(last == 500 && progress.has_ended());
}
