//! The shipper over a real log and a sink that does as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::cursor::Cursor;
use super::lag::Lag;
use super::pace::Pace;
use super::shipper::{Shipper, Tools};
use super::sink::{Sink, SinkError, Taken};
use super::store::CursorFile;
use crate::audit::{Event, Lifecycle, ParsedRecord};
use crate::journal::read::Records;
use crate::journal::{
    DiskStorage, Fault, Journal, JournalConfig, KeepFailure, KeepObserver, Keeper, MIN_SEGMENT_BYTES,
    Observer, Progress,
};
use crate::kernel::id::NodeId;
use crate::kernel::time::{Clock as _, SystemClock};
use crate::telemetry::{Metrics, SinkFailure, SinkMetrics};

#[derive(Debug)]
struct Deaf;

impl KeepObserver for Deaf {
    fn compressed(&self, _plain_bytes: u64, _bytes: u64) {}
    fn pruned(&self, _records: u64) {}
    fn failed(&self, failure: &KeepFailure) {
        panic!("{failure}");
    }
}

impl Observer for Deaf {
    fn committed(&self, _records: usize, _bytes: usize, _took: Duration) {}
    fn durable(&self, _fault: Option<&Fault>) {}
    fn queued(&self, _records: usize) {}
}

fn node() -> NodeId {
    NodeId::parse("gate-1").unwrap()
}

fn name() -> NodeId {
    NodeId::parse("siem").unwrap()
}

/// An audit directory.
struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn audit(&self) -> PathBuf {
        self.0.path().join("audit")
    }

    /// A generation of its own, with small segments.
    fn journal(&self) -> Journal {
        let mut config = JournalConfig::new(self.audit(), node());
        config.segment_bytes = MIN_SEGMENT_BYTES;
        Journal::open(config, Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Deaf)).unwrap().0
    }

    fn cursor(&self) -> Option<Cursor> {
        CursorFile::new(&self.audit(), name()).read().unwrap()
    }

    /// All lines of the log.
    fn log(&self) -> BTreeSet<(u64, u64, Vec<u8>)> {
        let mut records = Records::open(&self.audit()).unwrap();
        let mut all = BTreeSet::new();
        while let Some(line) = records.next_line().unwrap() {
            all.insert(named(line));
        }
        all
    }
}

fn named(line: &[u8]) -> (u64, u64, Vec<u8>) {
    let record = ParsedRecord::parse(line).unwrap();
    (record.generation, record.seq, line.to_vec())
}

/// Appends records, some of them long.
async fn append(journal: &Journal, count: usize) {
    for number in 0..count {
        let text = "x".repeat(if number.is_multiple_of(7) { 4000 } else { 10 });
        let detail = [("text", text.as_str())];
        let at = SystemClock.now();
        let entry = Lifecycle {
            at,
            event: Event::Reload,
            actor: "test",
            detail: &detail,
            policy: None,
            config: None,
        };
        journal.append(entry.encode()).await.unwrap();
    }
}

/// What one sink has got, whichever process sent it.
#[derive(Default)]
struct Receiver {
    lines: Mutex<Vec<Vec<u8>>>,
    /// What it has acknowledged, by generation.
    acknowledged: Arc<Mutex<BTreeMap<u32, u64>>>,
}

impl Receiver {
    /// Another connection to the same place.
    fn beside(&self) -> Self {
        Self { lines: Mutex::default(), acknowledged: Arc::clone(&self.acknowledged) }
    }

    fn acknowledge(&self, generation: u32, end: u64) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let known = acknowledged.entry(generation).or_default();
        *known = end.max(*known);
    }

    /// Fails unless each record came for the first time when all before it had, and all of `log` came.
    fn assert_has(&self, log: &BTreeSet<(u64, u64, Vec<u8>)>) {
        let mut next: BTreeMap<u64, u64> = BTreeMap::new();
        let mut all = BTreeSet::new();
        for line in &*self.lines.lock().unwrap() {
            let (generation, seq, line) = named(line);
            let next = next.entry(generation).or_default();
            assert!(seq <= *next, "record {seq} of generation {generation} came before record {next}");
            *next = (seq + 1).max(*next);
            all.insert((generation, seq, line));
        }
        assert!(all == *log, "{} of {} records came", all.len(), log.len());
    }
}

/// What a sink does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Take,
    /// Takes some of it, and breaks.
    Break,
    Refuse,
    Busy,
    TooLarge,
}

struct Script {
    receiver: Arc<Receiver>,
    audit: PathBuf,
    /// What it does with its batches, in turn, and on and on.
    deeds: Vec<Deed>,
    calls: usize,
    /// What is to be settled; `None` if it says at once that it has taken a batch.
    open: Option<BTreeMap<u32, u64>>,
}

impl Script {
    fn new(ground: &Ground, receiver: &Arc<Receiver>, deeds: &[Deed]) -> Self {
        let (receiver, audit) = (Arc::clone(receiver), ground.audit());
        Self { receiver, audit, deeds: deeds.to_vec(), calls: 0, open: None }
    }

    fn settled_later(mut self) -> Self {
        self.open = Some(BTreeMap::new());
        self
    }

    fn deed(&mut self) -> Deed {
        self.assert_cursor();
        self.calls += 1;
        self.deeds[(self.calls - 1) % self.deeds.len()]
    }

    /// The cursor on disk never says more than what was acknowledged.
    fn assert_cursor(&self) {
        let cursor = CursorFile::new(&self.audit, name()).read().unwrap().unwrap_or_default();
        let acknowledged = self.receiver.acknowledged.lock().unwrap().clone();
        let newest = self.receiver.lines.lock().unwrap().last().map_or(1, |line| named(line).0);
        for generation in 1..=u32::try_from(newest).unwrap() {
            let next = cursor.next(&node(), generation);
            let known = acknowledged.get(&generation).copied().unwrap_or(0);
            assert!(next == u64::MAX || next <= known, "generation {generation}: {next} of {known}");
        }
    }
}

impl Sink for Script {
    async fn send(&mut self, batch: &Batch) -> Result<Taken, SinkError> {
        let deed = self.deed();
        let count = usize::try_from(batch.records).unwrap();
        let taken = match deed {
            Deed::Take => count,
            Deed::Break => count / 2,
            Deed::Refuse | Deed::Busy | Deed::TooLarge => 0,
        };
        assert_eq!(batch.lines().count(), count);
        self.receiver.lines.lock().unwrap().extend(batch.lines().take(taken).map(<[u8]>::to_vec));
        match deed {
            Deed::Take => {}
            Deed::Break => return Err(SinkError::Broken(std::io::ErrorKind::ConnectionReset.into())),
            Deed::Refuse => return Err(SinkError::Refused { status: 403 }),
            Deed::Busy => return Err(SinkError::Busy { status: 503, after: Some(Duration::ZERO) }),
            Deed::TooLarge => {
                return Err(SinkError::TooLarge { records: batch.records, bytes: batch.lines.len() });
            }
        }
        match &mut self.open {
            None => {
                self.receiver.acknowledge(batch.generation, batch.end());
                Ok(Taken::Yes)
            }
            Some(open) => {
                open.insert(batch.generation, batch.end());
                Ok(Taken::OnceSettled)
            }
        }
    }

    async fn settle(&mut self) -> Result<(), SinkError> {
        let deed = self.deed();
        let open = self.open.as_mut().unwrap();
        let sent = std::mem::take(open);
        if deed != Deed::Take {
            return Err(SinkError::Broken(std::io::ErrorKind::ConnectionReset.into()));
        }
        for (generation, end) in sent {
            self.receiver.acknowledge(generation, end);
        }
        Ok(())
    }
}

/// A shipper that runs.
struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
    metrics: SinkMetrics,
}

fn quick() -> Pace {
    Pace {
        glance: Duration::from_millis(1),
        survey: Duration::from_millis(5),
        first: Duration::from_millis(1),
        most: Duration::from_millis(4),
        refused: Duration::from_millis(2),
        asked: Duration::from_millis(2),
        settle_records: 50,
        settle_after: Duration::from_millis(20),
    }
}

fn start(sink: impl Sink + 'static, ground: &Ground, own: &Progress, batch_records: usize) -> Running {
    start_as(false, sink, ground, own, batch_records)
}

fn start_as(
    is_mandatory: bool,
    sink: impl Sink + 'static,
    ground: &Ground,
    own: &Progress,
    batch_records: usize,
) -> Running {
    let metrics = Metrics::new().unwrap().sink(&name());
    let stop = CancellationToken::new();
    let tools = Tools {
        name: name(),
        audit: ground.audit(),
        own: own.clone(),
        is_mandatory,
        batch_records,
        pace: quick(),
        clock: Arc::new(SystemClock),
        lag: Arc::new(Lag::new(own.clone(), metrics.clone())),
        stop: stop.clone(),
    };
    let task = tokio::runtime::Handle::current().spawn(Shipper::new(sink, tools).run());
    Running { task, stop, metrics }
}

impl Running {
    /// Waits until all is taken, of earlier generations too.
    async fn caught_up(&self, ground: &Ground, own: &Progress) {
        let (log, mut glances) = (own.durable(), tokio::time::interval(Duration::from_millis(2)));
        let caught_up = async {
            loop {
                glances.tick().await;
                let cursor = ground.cursor().unwrap_or_default();
                let is_whole = |earlier| cursor.next(&node(), earlier) == u64::MAX;
                let next = cursor.next(&node(), own.generation());
                if next >= log && (1..own.generation()).all(is_whole) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), caught_up).await.unwrap();
    }

    /// Waits until it has failed for want of something of its own, and failed again.
    async fn stuck(&self) {
        let mut glances = tokio::time::interval(Duration::from_millis(2));
        let before = self.metrics.failures(SinkFailure::Local);
        let stuck = async {
            while self.metrics.failures(SinkFailure::Local) < before + 3 {
                glances.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), stuck).await.unwrap();
    }

    /// Asks it to end, and waits.
    async fn end(self) -> SinkMetrics {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.unwrap().unwrap();
        self.metrics
    }

    /// Ends it in the middle of whatever it does.
    async fn kill(self) {
        self.task.abort();
        let ended = self.task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "it ended by itself");
    }
}

/// What a sink that is often not to be had does, from its `round`th deed on.
fn bad_days(is_settled: bool, round: usize) -> Vec<Deed> {
    use Deed::{Break, Busy, Refuse, Take};
    let deeds = if is_settled {
        // Some in a row must succeed before anything is settled.
        [vec![Take; 9], vec![Break], vec![Take; 12], vec![Break, Break]].concat()
    } else {
        vec![Take, Busy, Take, Break, Take, Refuse, Break, Take, Take]
    };
    let count = deeds.len();
    deeds.into_iter().cycle().skip(round).take(count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_in_order_through_failures_and_crashes() {
    const ROUNDS: u32 = 5;
    for is_settled in [false, true] {
        let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
        for round in 1..=ROUNDS {
            let journal = ground.journal();
            let count = usize::try_from(round).unwrap();
            let script = Script::new(&ground, &receiver, &bad_days(is_settled, count));
            let script = if is_settled { script.settled_later() } else { script };
            let running = start(script, &ground, &journal.progress(), 16);
            append(&journal, 40 + count).await;
            if round == ROUNDS {
                running.caught_up(&ground, &journal.progress()).await;
                running.end().await;
            } else {
                running.kill().await;
            }
            journal.close().unwrap();
        }
        receiver.assert_has(&ground.log());
        assert_eq!(ground.cursor().unwrap().all_before(&node()), ROUNDS, "nothing is behind it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_at_the_end_is_sent_and_settled() {
    for is_settled in [false, true] {
        let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
        let journal = ground.journal();
        append(&journal, 120).await;
        let script = Script::new(&ground, &receiver, &[Deed::Take]);
        let script = if is_settled { script.settled_later() } else { script };
        let metrics = start(script, &ground, &journal.progress(), 16).end().await;
        receiver.assert_has(&ground.log());
        assert_eq!(ground.cursor().unwrap().next(&node(), 1), 120);
        assert_eq!((metrics.lag_records.get(), metrics.records.get()), (0, 120));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_takes_nothing_holds_nobody_up_at_the_end() {
    for deed in [Deed::Busy, Deed::Break, Deed::Refuse] {
        let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
        let journal = ground.journal();
        append(&journal, 10).await;
        let script = Script::new(&ground, &receiver, &[deed]);
        let metrics = start(script, &ground, &journal.progress(), 16).end().await;
        assert_eq!(ground.cursor().unwrap().next(&node(), 1), 0);
        assert_eq!((metrics.lag_records.get(), metrics.records.get()), (10, 0));
        assert!(metrics.lag_seconds.get() > 0.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_become_smaller_until_the_sink_takes_them() {
    let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
    let journal = ground.journal();
    append(&journal, 40).await;
    let deeds = [vec![Deed::TooLarge; 3], vec![Deed::Take; 30]].concat();
    start(Script::new(&ground, &receiver, &deeds), &ground, &journal.progress(), 16).end().await;
    receiver.assert_has(&ground.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_process_and_a_new_one_send_one_generation_each() {
    let ground = Ground::new();
    let old = ground.journal();
    append(&old, 30).await;
    let by_old = Arc::new(Receiver::default());
    let by_new = Arc::new(by_old.beside());
    let sending = start(Script::new(&ground, &by_old, &[Deed::Take]), &ground, &old.progress(), 16);
    let new = ground.journal();
    let successor = start(Script::new(&ground, &by_new, &[Deed::Take]), &ground, &new.progress(), 16);
    append(&old, 30).await;
    append(&new, 30).await;
    sending.end().await;
    // What comes after the old one has stopped sending is for the new one.
    append(&old, 10).await;
    old.close().unwrap();
    successor.caught_up(&ground, &new.progress()).await;
    successor.end().await;
    let generations = |receiver: &Receiver| -> BTreeMap<u64, Vec<u64>> {
        let mut seqs: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for line in &*receiver.lines.lock().unwrap() {
            let (generation, seq, _) = named(line);
            seqs.entry(generation).or_default().push(seq);
        }
        seqs
    };
    assert_eq!(generations(&by_old), BTreeMap::from([(1, (0..60).collect())]));
    assert_eq!(generations(&by_new), BTreeMap::from([(1, (60..70).collect()), (2, (0..30).collect())]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_gone_are_counted_and_passed_over() {
    let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
    let journal = ground.journal();
    append(&journal, 1).await;
    let running = start(Script::new(&ground, &receiver, &[Deed::Take]), &ground, &journal.progress(), 16);
    running.caught_up(&ground, &journal.progress()).await;
    running.kill().await;
    append(&journal, 99).await;
    journal.close().unwrap();
    let generation = ground.audit().join("gate-1.000001");
    let mut files: Vec<_> =
        std::fs::read_dir(&generation).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    assert!(files.len() > 1, "{files:?}");
    std::fs::remove_file(&files[0]).unwrap();
    let log = ground.log();
    let gone = 99 - u64::try_from(log.len()).unwrap();
    // What nobody can send any more is as good as taken.
    receiver.acknowledge(1, 1 + gone);

    let journal = ground.journal();
    let running = start(Script::new(&ground, &receiver, &[Deed::Take]), &ground, &journal.progress(), 16);
    running.caught_up(&ground, &journal.progress()).await;
    let metrics = running.end().await;
    assert_eq!(metrics.missing.get(), gone);
    let sent: BTreeSet<_> = receiver.lines.lock().unwrap().iter().skip(1).map(|line| named(line)).collect();
    assert_eq!(sent, ground.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_is_none_is_put_aside_and_all_is_sent() {
    let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
    let journal = ground.journal();
    append(&journal, 20).await;
    let cursors = ground.audit().join("cursors");
    std::fs::create_dir(&cursors).unwrap();
    std::fs::write(cursors.join("siem"), "{\"v\":1,").unwrap();
    start(Script::new(&ground, &receiver, &[Deed::Take]), &ground, &journal.progress(), 16).end().await;
    receiver.assert_has(&ground.log());
    assert_eq!(std::fs::read(cursors.join(".siem.broken")).unwrap(), b"{\"v\":1,");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_put_back_is_sent_again() {
    let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
    // Two generations were taken that are no longer there.
    let file = CursorFile::new(&ground.audit(), name());
    std::fs::create_dir(ground.audit()).unwrap();
    file.prepare().unwrap();
    file.update(|cursor| {
        cursor.advance(&node(), 1, 500);
        cursor.advance(&node(), 2, 7);
    })
    .unwrap();
    let journal = ground.journal();
    append(&journal, 20).await;
    start(Script::new(&ground, &receiver, &[Deed::Take]), &ground, &journal.progress(), 16).end().await;
    receiver.assert_has(&ground.log());
    let next = |generation| ground.cursor().unwrap().next(&node(), generation);
    assert_eq!((next(1), next(2)), (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_segments_are_sent_and_damaged_ones_do_not_stop_the_rest() {
    for is_damaged in [false, true] {
        let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
        let old = ground.journal();
        append(&old, 200).await;
        old.close().unwrap();
        let log = ground.log();
        let journal = ground.journal();
        let deaf = Arc::new(Deaf);
        let mut keeper = Keeper::new(ground.audit(), Arc::new(DiskStorage), journal.progress(), deaf);
        keeper.pass(&AtomicBool::new(false));
        let generation = ground.audit().join("gate-1.000001");
        let mut files: Vec<_> =
            std::fs::read_dir(&generation).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "zst"));
        files.sort();
        assert!(files.len() > 2, "{files:?}");
        if is_damaged {
            let mut bytes = std::fs::read(&files[1]).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&files[1], bytes).unwrap();
            // What nobody can send any more is as good as taken.
            receiver.acknowledge(1, 200);
        }
        append(&journal, 5).await;
        // The cursor is there: it is no new sink.
        CursorFile::new(&ground.audit(), name()).prepare().unwrap();
        CursorFile::new(&ground.audit(), name()).update(|_| {}).unwrap();
        let running = start(Script::new(&ground, &receiver, &[Deed::Take]), &ground, &journal.progress(), 16);
        running.caught_up(&ground, &journal.progress()).await;
        let metrics = running.end().await;
        let sent: BTreeSet<_> = receiver.lines.lock().unwrap().iter().map(|line| named(line)).collect();
        let of_old =
            sent.iter().filter(|(generation, ..)| *generation == 1).cloned().collect::<BTreeSet<_>>();
        let missing = u64::try_from(log.len() - of_old.len()).unwrap();
        assert!(of_old.is_subset(&log) && of_old.last() == log.last());
        assert_eq!(metrics.missing.get(), missing);
        assert_eq!(missing > 0, is_damaged);
    }
}

/// The files of the first generation with this ending, in order.
fn files(ground: &Ground, ending: &str) -> Vec<PathBuf> {
    let generation = ground.audit().join("gate-1.000001");
    let mut files: Vec<_> =
        std::fs::read_dir(&generation).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    files.sort();
    files
}

fn first_of(segment: &std::path::Path) -> u64 {
    segment.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandatory_sink_stops_at_damage_and_goes_on_once_it_is_mended() {
    for is_settled in [false, true] {
        let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
        let old = ground.journal();
        append(&old, 99).await;
        old.close().unwrap();
        let log = ground.log();
        let segment = files(&ground, "jsonl").swap_remove(1);
        let whole = std::fs::read(&segment).unwrap();
        let newlines: Vec<_> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        let first = first_of(&segment);
        // Within the second record of the segment, and the newline after it.
        for (number, at) in [newlines[1] - 20, newlines[1]].into_iter().enumerate() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&segment, bytes).unwrap();
            let journal = ground.journal();
            let script = Script::new(&ground, &receiver, &[Deed::Take]);
            let script = if is_settled { script.settled_later() } else { script };
            let running = start_as(true, script, &ground, &journal.progress(), 16);
            running.stuck().await;
            let metrics = running.end().await;
            assert_eq!(
                (metrics.missing.get(), ground.cursor().unwrap().next(&node(), 1) <= first + 1),
                (0, true)
            );
            let taken =
                receiver.lines.lock().unwrap().iter().map(|line| named(line)).max_by_key(|line| line.1);
            assert_eq!(taken.unwrap().1, first, "{number}: all before it, and nothing after");
            let hold = super::SinksHold::of(ground.audit(), vec![name()]);
            assert!(crate::journal::Hold::first_needed(&hold, &node(), 1) <= first + 1, "it stays");
            journal.close().unwrap();
        }
        std::fs::write(&segment, &whole).unwrap();
        let journal = ground.journal();
        let script = Script::new(&ground, &receiver, &[Deed::Take]);
        let running = start_as(true, script, &ground, &journal.progress(), 16);
        running.caught_up(&ground, &journal.progress()).await;
        assert_eq!(running.end().await.missing.get(), 0);
        let sent: BTreeSet<_> = receiver.lines.lock().unwrap().iter().map(|line| named(line)).collect();
        assert!(log.is_subset(&sent), "{} of {}", sent.len(), log.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandatory_sink_is_brought_past_what_was_removed_in_time_alone() {
    for is_pruned in [false, true] {
        let (ground, receiver) = (Ground::new(), Arc::new(Receiver::default()));
        let old = ground.journal();
        append(&old, 200).await;
        old.close().unwrap();
        let journal = ground.journal();
        let (disk, progress, deaf) = (Arc::new(DiskStorage), journal.progress(), Arc::new(Deaf));
        Keeper::new(ground.audit(), disk, progress, deaf).pass(&AtomicBool::new(false));
        let segments = files(&ground, "zst");
        assert!(segments.len() > 2, "{segments:?}");
        for segment in &segments[..2] {
            std::fs::remove_file(segment).unwrap();
        }
        if !is_pruned {
            std::fs::remove_file(&files(&ground, "manifest")[1]).unwrap();
        }
        let (second, third) = (first_of(&segments[1]), first_of(&segments[2]));
        receiver.acknowledge(1, 200);
        CursorFile::new(&ground.audit(), name()).prepare().unwrap();
        CursorFile::new(&ground.audit(), name()).update(|_| {}).unwrap();
        let script = Script::new(&ground, &receiver, &[Deed::Take]);
        let running = start_as(true, script, &ground, &journal.progress(), 16);
        if is_pruned {
            running.caught_up(&ground, &journal.progress()).await;
            assert_eq!(running.end().await.missing.get(), third);
        } else {
            running.stuck().await;
            assert_eq!(running.end().await.missing.get(), second);
            assert_eq!(ground.cursor().unwrap().next(&node(), 1), second);
        }
    }
}
