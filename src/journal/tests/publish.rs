//! What is published, on every disk: nothing that was signed is ever taken back.

use std::path::Path;
use std::sync::Mutex;

use super::sim::{Fault as DiskFault, SimDisk};
use super::*;
use crate::journal::layout::{generations, segment_name};
use crate::journal::publish::read_tile;
use crate::journal::read::Published;
use crate::journal::recover::{Opened, open};
use crate::journal::scan::scan;
use crate::kernel::secret::Secret;
use crate::kernel::time::ManualClock;
use crate::tlog::note::SignatureKind;
use crate::tlog::tile::new_tiles;
use crate::tlog::{Checkpoint, Growth, NoteSigner, TilePath, Tree, leaf_hash};

const EIO: i32 = 5;

/// Notes what it is told.
#[derive(Debug, Default)]
struct Told {
    signed: Mutex<Vec<Checkpoint>>,
    refused: Mutex<Vec<Refusal>>,
    failed: Mutex<Vec<String>>,
}

impl PublishObserver for Told {
    fn signed(&self, head: &SignedHead) {
        self.signed.lock().unwrap().push(head.checkpoint.clone());
    }
    fn refused(&self, why: &Refusal) {
        self.refused.lock().unwrap().push(why.clone());
    }
    fn failed(&self, error: &JournalError) {
        self.failed.lock().unwrap().push(error.to_string());
    }
}

impl Told {
    fn sizes(&self) -> Vec<u64> {
        self.signed.lock().unwrap().iter().map(|checkpoint| checkpoint.size).collect()
    }

    fn refusal(&self) -> String {
        let refused = self.refused.lock().unwrap();
        assert_eq!(refused.len(), 1, "{refused:?}");
        refused[0].to_string()
    }
}

pub(super) fn signer(seed: u8) -> Arc<NoteSigner> {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let secret = Secret::new(pair.to_pkcs8().unwrap().as_ref().to_vec());
    Arc::new(NoteSigner::from_pkcs8("gate-1", SignatureKind::Ed25519, &secret).unwrap())
}

const ROOT: &str = "/audit";

fn config() -> JournalConfig {
    let mut config = JournalConfig::new(ROOT.into(), NodeId::parse("gate-1").unwrap());
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config
}

struct Gate {
    opened: Opened,
    publisher: Publisher,
    told: Arc<Told>,
    clock: ManualClock,
    written: usize,
}

impl Gate {
    fn start(disk: &SimDisk) -> Self {
        Self::start_with(disk, signer(1), &config())
    }

    fn start_with(disk: &SimDisk, signer: Arc<NoteSigner>, config: &JournalConfig) -> Self {
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let opened = open(config, &storage, &ManualClock::new(Timestamp::UNIX_EPOCH)).unwrap();
        Self::beside(disk, opened, signer)
    }

    fn beside(disk: &SimDisk, opened: Opened, signer: Arc<NoteSigner>) -> Self {
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let settings =
            PublishSettings { directory: ROOT.into(), signer, every: Duration::from_secs(10), records: 100 };
        let (told, clock) = (Arc::new(Told::default()), ManualClock::new(Timestamp::UNIX_EPOCH));
        let observer: Arc<dyn PublishObserver> = Arc::<Told>::clone(&told);
        let publisher = Publisher::new(
            settings,
            storage,
            Arc::new(clock.clone()),
            opened.log.progress().clone(),
            observer,
        );
        Self { opened, publisher, told, clock, written: 0 }
    }

    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let entry = event(&format!("r{}", self.written));
            self.written += 1;
            self.opened.log.commit([entry].iter()).unwrap();
        }
    }

    /// Commits so many records at once.
    fn write_together(&mut self, count: usize) {
        let entries: Vec<_> = (self.written..self.written + count).map(|n| event(&format!("r{n}"))).collect();
        self.written += count;
        assert_eq!(self.opened.log.commit(entries.iter()).unwrap().0, count);
    }

    /// Ends in order; what it published stays.
    fn end(mut self) -> Arc<Told> {
        self.opened.log.close().unwrap();
        self.publisher.finish();
        self.told
    }
}

/// The leaf hashes of all records, in order.
fn leaves(disk: &SimDisk) -> Vec<Digest> {
    let mut leaves = Vec::new();
    for place in generations(disk, Path::new(ROOT)).unwrap() {
        let scan =
            scan(disk, &place.path, &place.node, place.number, &mut |line| leaves.push(leaf_hash(line)));
        assert_eq!(scan.unwrap().damage, None);
    }
    leaves
}

fn published(disk: &SimDisk) -> Published<&dyn Storage> {
    let storage: &dyn Storage = disk;
    Published::on(storage, Path::new(ROOT), &NodeId::parse("gate-1").unwrap())
}

/// The checkpoint on disk, after it and its tiles were found right; `None` if there is none.
fn checkpoint(disk: &SimDisk) -> Option<Checkpoint> {
    let published = published(disk);
    let note = published.checkpoint().unwrap()?;
    let (checkpoint, _) = Checkpoint::open(&note, signer(1).key()).unwrap();
    let leaves = leaves(disk);
    let size = usize::try_from(checkpoint.size).unwrap();
    assert_root(&leaves[..size], &checkpoint);
    let mut tree = Growth::default();
    let mut full = Vec::new();
    leaves[..size].iter().for_each(|leaf| tree.push(*leaf, &mut full));
    let right: std::collections::BTreeMap<_, _> =
        full.into_iter().chain(tree.partial()).map(|tile| (tile.path, tile.bytes)).collect();
    for path in new_tiles(0, checkpoint.size) {
        let bytes = published.tile(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(bytes.starts_with(&right[&path]), "{path}");
    }
    Some(checkpoint)
}

fn assert_root(leaves: &[Digest], checkpoint: &Checkpoint) {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    assert_eq!((tree.size(), tree.root()), (checkpoint.size, checkpoint.root));
}

#[test]
fn heads_are_signed_after_so_many_records_or_so_long_and_at_the_end() {
    let disk = SimDisk::default();
    let mut gate = Gate::start(&disk);
    gate.publisher.step();
    assert_eq!(gate.told.sizes(), [0; 0], "of nothing");
    gate.write(1);
    gate.publisher.step();
    assert_eq!(gate.told.sizes(), [1], "the first waits for nothing");
    gate.write(1);
    gate.publisher.step();
    gate.clock.set(Timestamp::UNIX_EPOCH + Duration::from_secs(9));
    gate.publisher.step();
    assert_eq!(gate.told.sizes(), [1]);
    gate.clock.set(Timestamp::UNIX_EPOCH + Duration::from_secs(10));
    gate.publisher.step();
    assert_eq!(gate.told.sizes(), [1, 2]);
    gate.publisher.step();
    gate.write(350);
    gate.publisher.step();
    assert_eq!(gate.told.sizes(), [1, 2, 102, 202, 302]);
    assert_eq!(checkpoint(&disk).unwrap().size, 302);
    let told = gate.end();
    assert_eq!(told.sizes(), [1, 2, 102, 202, 302, 352]);
    assert_eq!(checkpoint(&disk).unwrap().size, 352);
    // The next process goes on in the same tree.
    let mut gate = Gate::start(&disk);
    gate.write(70);
    let told = gate.end();
    // One record says which generation it follows.
    assert_eq!(told.sizes(), [423]);
    assert_eq!(checkpoint(&disk).unwrap().size, 423);
    let spans = published(&disk).spans().unwrap();
    assert_eq!(
        spans.iter().map(|span| (span.generation, span.index)).collect::<Vec<_>>(),
        [(1, 0), (2, 352)]
    );
    // What a partial tile had is in the full one.
    let partial = Path::new(ROOT).join("gate-1.tlog/tile/0/000.p");
    assert!(disk.list(&partial).unwrap().is_empty());
    let one = TilePath { level: 0, index: 0, width: 102 };
    let wide = read_tile(&disk, &Path::new(ROOT).join("gate-1.tlog"), one).unwrap().unwrap();
    assert_eq!(wide.len(), 8192);
}

#[test]
fn a_head_in_the_middle_of_a_commit_is_gone_on_from() {
    let disk = SimDisk::default();
    let mut gate = Gate::start(&disk);
    gate.write_together(60);
    gate.write_together(60);
    gate.publisher.step();
    // Of the second commit forty records are in the head, and the process ends without closing.
    assert_eq!(gate.told.sizes(), [100]);
    let Gate { opened, publisher, .. } = gate;
    drop((opened, publisher));
    let mut gate = Gate::start(&disk);
    gate.write(1);
    let told = gate.end();
    assert!(told.refused.lock().unwrap().is_empty(), "{told:?}");
    // One record says which generation it recovered.
    assert_eq!((told.sizes(), checkpoint(&disk).unwrap().size), (vec![122], 122));
}

#[test]
fn an_old_process_ends_its_generation_before_the_new_one_is_published() {
    let disk = SimDisk::default();
    let (mut old, mut new) = (Gate::start(&disk), Gate::start(&disk));
    old.write(3);
    old.publisher.step();
    new.write(150);
    new.publisher.step();
    assert_eq!(new.told.sizes(), [0; 0]);
    old.write(3);
    let told = old.end();
    assert_eq!(told.sizes(), [3, 6]);
    new.publisher.step();
    assert_eq!(new.told.sizes(), [106]);
    assert_eq!(new.end().sizes(), [106, 156]);
    assert_eq!(checkpoint(&disk).unwrap().size, 156);
}

#[test]
fn published_is_what_was_written_whatever_stands_on_disk_by_then() {
    let disk = SimDisk::default();
    let mut gate = Gate::start(&disk);
    gate.write(30);
    let leaves = leaves(&disk);
    let file = gate.opened.log.progress().directory().join(segment_name(0));
    let mut bytes = vec![0; 16 * 1024];
    read_up_to(&*disk.open_read(&file).unwrap(), &mut bytes, 0).unwrap();
    let at = memchr::memmem::find(&bytes, b"\"r17\"").unwrap();
    overwrite(
        &disk,
        file.strip_prefix(ROOT).unwrap().to_str().unwrap(),
        u64::try_from(at).unwrap(),
        b"\"r71\"",
    );
    gate.publisher.step();
    assert_root(&leaves, &gate.told.signed.lock().unwrap()[0]);
    assert_eq!(leaves.len(), 30);
}

/// Plays two processes, one after the other, until the disk crashes; says every head that anybody was told.
fn play(disk: &SimDisk) -> Vec<Checkpoint> {
    let mut signed = Vec::new();
    for _ in 0..2 {
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let Ok(opened) = open(&config(), &storage, &clock) else { return signed };
        let mut gate = Gate::beside(disk, opened, signer(1));
        for _ in 0..3 {
            for n in 0..90 {
                let entry = event(&format!("r{n}"));
                if gate.opened.log.commit([entry].iter()).is_err() {
                    signed.extend(gate.told.signed.lock().unwrap().drain(..));
                    return signed;
                }
            }
            gate.publisher.step();
        }
        gate.opened.log.close().ok();
        gate.publisher.finish();
        assert!(gate.told.refused.lock().unwrap().is_empty(), "{:?}", gate.told);
        signed.extend(gate.told.signed.lock().unwrap().drain(..));
    }
    signed
}

/// After a crash: what is there is right, and the next process goes on in the tree that was signed.
fn check(disk: &SimDisk, signed: &[Checkpoint], why: &str) {
    let before = checkpoint(disk).map_or(0, |checkpoint| checkpoint.size);
    let told_of = signed.last().map_or(0, |checkpoint| checkpoint.size);
    assert!(before >= told_of, "{why}: {before} of {told_of}");
    let mut gate = Gate::start(disk);
    gate.write(1);
    let told = gate.end();
    assert!(
        told.refused.lock().unwrap().is_empty() && told.failed.lock().unwrap().is_empty(),
        "{why}: {told:?}"
    );
    assert!(checkpoint(disk).unwrap().size > before, "{why}");
    let leaves = leaves(disk);
    for checkpoint in signed {
        assert_root(&leaves[..usize::try_from(checkpoint.size).unwrap()], checkpoint);
    }
}

#[test]
fn a_crash_at_any_call_takes_nothing_back_that_was_signed() {
    let calls = {
        let disk = SimDisk::default();
        let signed = play(&disk);
        assert_eq!(signed.len(), 6);
        check(&disk, &signed, "no crash");
        disk.calls()
    };
    // Calls of the writer alone are most; those are another test's. Each third of all is enough here, as the
    // publisher's come in runs.
    for call in (0..calls).step_by(3) {
        let disk = SimDisk::default();
        disk.plan(call, DiskFault::Crash);
        let signed = play(&disk);
        for seed in 0..3 {
            check(&disk.reboot(seed), &signed, &format!("crash at {call}, seed {seed}"));
        }
    }
}

#[test]
fn an_error_at_any_call_is_reported_and_tried_again() {
    let mut reported = 0;
    let mut call = 0;
    loop {
        let disk = SimDisk::default();
        let mut gate = Gate::start(&disk);
        gate.write(270);
        let planned = disk.calls() + call;
        disk.plan(planned, DiskFault::Error(EIO));
        gate.publisher.step();
        if disk.calls() <= planned {
            break;
        }
        reported += gate.told.failed.lock().unwrap().len();
        gate.publisher.step();
        let told = gate.end();
        assert!(told.refused.lock().unwrap().is_empty(), "{told:?}");
        assert_eq!(checkpoint(&disk).unwrap().size, 270, "error at {call}");
        call += 1;
    }
    assert!(call > 20 && reported > 15, "{call} {reported}");
}

/// Two generations published, 250 records and 120 with the one that names the first.
fn two_generations() -> SimDisk {
    let disk = SimDisk::default();
    for count in [250, 119] {
        let mut gate = Gate::start(&disk);
        gate.write(count);
        gate.end();
    }
    assert_eq!(checkpoint(&disk).unwrap().size, 370);
    disk
}

fn remove(disk: &SimDisk, path: &str) {
    disk.remove(&Path::new(ROOT).join("gate-1.tlog").join(path)).unwrap();
}

fn overwrite(disk: &SimDisk, path: &str, at: u64, bytes: &[u8]) {
    let path = Path::new(ROOT).join(path);
    write_all_at(&mut *disk.open(&path).unwrap(), bytes, at).unwrap();
}

/// Says what a start after `change` comes to: what it signs at its end, or why it refuses.
fn after(change: impl FnOnce(&SimDisk)) -> Result<u64, String> {
    let disk = two_generations();
    change(&disk);
    let mut gate = Gate::start(&disk);
    gate.write(9);
    gate.publisher.step();
    if gate.told.refused.lock().unwrap().is_empty() {
        let told = gate.end();
        return Ok(told.sizes().pop().unwrap());
    }
    // Records are kept all the same.
    gate.write(1);
    gate.publisher.finish();
    assert_eq!(gate.told.sizes(), [0; 0]);
    Err(gate.told.refusal())
}

#[test]
fn tiles_that_are_missing_or_wrong_are_made_again() {
    let cases: [fn(&SimDisk); 6] = [
        |_| {},
        |disk| remove(disk, "tile/0/001.p/114"),
        |disk| remove(disk, "tile/0/000"),
        |disk| overwrite(disk, "gate-1.tlog/tile/0/001.p/114", 40, b"~~"),
        |disk| overwrite(disk, "gate-1.tlog/spans", 3, b"~~"),
        |disk| remove(disk, "tile/1/000.p/1"),
    ];
    for (number, change) in cases.into_iter().enumerate() {
        assert_eq!(after(change), Ok(381), "case {number}");
    }
    // Without the checkpoint the tree is begun anew, and is the same.
    assert_eq!(after(|disk| remove(disk, "checkpoint")), Ok(381));
}

#[test]
fn what_no_longer_gives_what_was_signed_is_not_signed() {
    let segment = |disk: &SimDisk, generation: u32, at: usize| {
        let directory = Path::new(ROOT).join(format!("gate-1.{generation:06}"));
        layout::segments(disk, &directory).unwrap()[at].path.clone()
    };
    let edited = after(|disk| {
        let path = segment(disk, 1, 0);
        write_all_at(&mut *disk.open(&path).unwrap(), b"R", 439).unwrap();
    });
    assert!(
        edited.as_ref().unwrap_err().contains("generation 1 is not the one that was published"),
        "{edited:?}"
    );
    // The tile that could tell is gone as well.
    let edited = after(|disk| {
        let path = segment(disk, 1, 0);
        write_all_at(&mut *disk.open(&path).unwrap(), b"R", 439).unwrap();
        remove(disk, "tile/0/001.p/114");
    });
    assert!(edited.unwrap_err().contains("does not follow"));
    let gone = after(|disk| disk.remove(&segment(disk, 1, 1)).unwrap());
    assert!(gone.as_ref().unwrap_err().contains("of generation 1 is gone"), "{gone:?}");
    let witnessed = after(|disk| {
        let checkpoint = Checkpoint { size: 999, ..checkpoint(disk).unwrap() };
        let mut file = disk.create(&Path::new(ROOT).join("gate-1.tlog/witnessed")).unwrap();
        write_all_at(&mut *file, checkpoint.sign(&signer(1)).as_bytes(), 0).unwrap();
    });
    assert!(witnessed.unwrap_err().contains("one of 999 was witnessed"));
    let other = after(|disk| {
        let note = checkpoint(disk).unwrap().sign(&signer(2));
        overwrite(disk, "gate-1.tlog/checkpoint", 0, note.as_bytes());
    });
    assert!(other.unwrap_err().contains("not signed by the key of the configuration"));
}

#[test]
fn a_restored_backup_beside_newer_heads_is_not_signed() {
    let disk = SimDisk::default();
    let mut gate = Gate::start(&disk);
    gate.write(250);
    gate.end();
    let backup = disk.reboot(0);
    for (disk, written) in [(&disk, 250), (&backup, 900)] {
        let mut gate = Gate::start(disk);
        gate.written = written;
        gate.write(40);
        gate.end();
    }
    // The same records up to the backup, others of the same number after it.
    let newer = published(&disk).checkpoint().unwrap().unwrap();
    let mut gate = Gate::start(&backup);
    gate.write(33);
    let path = Path::new(ROOT).join("gate-1.tlog/checkpoint");
    let own = published(&backup).checkpoint().unwrap().unwrap();
    assert_ne!(own, newer);
    backup.remove(&path).unwrap();
    write_all_at(&mut *backup.create(&path).unwrap(), &newer, 0).unwrap();
    gate.publisher.step();
    assert!(gate.told.refusal().contains("no longer give the root"), "{}", gate.told.refusal());
}

#[test]
fn what_a_repair_put_aside_stays_in_the_tree() {
    let disk = SimDisk::default();
    let mut gate = Gate::start(&disk);
    gate.write(250);
    gate.publisher.step();
    let directory = Path::new(ROOT).join("gate-1.000001");
    // The process ends without closing, and a record in the middle is damaged.
    let Gate { opened, publisher, .. } = gate;
    drop((opened, publisher));
    let signed = checkpoint(&disk).unwrap().size;
    assert_eq!(signed, 200);
    let path = layout::segments(&disk, &directory).unwrap()[0].path.clone();
    write_all_at(&mut *disk.open(&path).unwrap(), b"~", 24_000).unwrap();
    let repair = Repair { actor: "zhang@example".to_owned(), reason: "a worn disk".to_owned() };
    let repairing = JournalConfig { repair: Some(repair), ..config() };
    let mut gate = Gate::start_with(&disk, signer(1), &repairing);
    gate.write(5);
    // Anybody could have written that record: a gate does not sign over what is gone for its sake.
    assert!(gate.end().refusal().contains("no published record says"));
    let mut gate = Gate::start(&disk);
    gate.publisher = gate.publisher.after_repair();
    let told = gate.end();
    assert!(told.refused.lock().unwrap().is_empty(), "{told:?}");
    // 200 that were published, the repair's own record before the five, and what the last process begins with of
    // the two before it.
    assert_eq!(told.sizes(), [208]);
    let spans = published(&disk).spans().unwrap();
    assert_eq!(spans[1], Span { generation: 2, seq: 0, index: 200 });
    // Made anew, it takes from the old tiles what is no longer in the records.
    remove(&disk, "tile/0/000.p/208");
    let mut gate = Gate::start(&disk);
    gate.write(1);
    let told = gate.end();
    assert!(told.refused.lock().unwrap().is_empty(), "{told:?}");
    assert_eq!(told.sizes(), [212]);
}

/// Fails where it should not.
#[derive(Debug, Default)]
struct Panics(Mutex<Vec<Refusal>>);

impl PublishObserver for Panics {
    fn signed(&self, _head: &SignedHead) {
        panic!("the test has the publisher fail");
    }
    fn refused(&self, why: &Refusal) {
        self.0.lock().unwrap().push(why.clone());
    }
    fn failed(&self, _error: &JournalError) {}
}

#[test]
fn a_publisher_that_ends_by_itself_says_so_at_once() {
    let disk = SimDisk::default();
    let mut gate = Gate::start(&disk);
    gate.write(100);
    let told = Arc::new(Panics::default());
    let publisher = Publisher::new(
        PublishSettings {
            directory: ROOT.into(),
            signer: signer(1),
            every: Duration::from_secs(10),
            records: 100,
        },
        Arc::new(disk.clone()),
        Arc::new(gate.clock.clone()),
        gate.opened.log.progress().clone(),
        Arc::<Panics>::clone(&told),
    );
    let publishing = publisher.spawn().unwrap();
    // The log is still open: nobody has asked the publisher to end.
    assert!(!publishing.join());
    assert_eq!(*told.0.lock().unwrap(), [Refusal::Ended]);
    drop(gate);
}
