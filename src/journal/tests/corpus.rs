//! The tamper corpus: everything that somebody may do to a published log, each with what verification must
//! say to it. What it cannot see is here too, so that the documentation says no more than is true.

mod ends;
mod forged;
mod hashes;
mod heads;
mod records;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use super::publish::signer;
use super::*;
use crate::audit::{Chain, Event, genesis};
use crate::journal::read::{Act, Against, Finding, Known, VerifyReport, verify, verify_against};
use crate::kernel::secret::Secret;
use crate::kernel::time::ManualClock;
use crate::tlog::cosignature::cosign;
use crate::tlog::note::SignatureKind;
use crate::tlog::{Checkpoint, Growth, NoteSigner, Policy, leaf_hash};

#[derive(Debug)]
struct Deaf;

impl PublishObserver for Deaf {
    fn signed(&self, _: &SignedHead) {}
    fn refused(&self, why: &Refusal) {
        panic!("{why}");
    }
    fn failed(&self, error: &JournalError) {
        panic!("{error}");
    }
}

impl KeepObserver for Deaf {
    fn compressed(&self, _: u64, _: u64) {}
    fn pruned(&self, _: u64) {}
    fn failed(&self, failure: &KeepFailure) {
        panic!("{failure}");
    }
}

fn witness() -> NoteSigner {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let secret = Secret::new(pair.to_pkcs8().unwrap().as_ref().to_vec());
    NoteSigner::from_pkcs8("regulator", SignatureKind::Cosignature, &secret).unwrap()
}

/// The log's key, and a witness that must have cosigned.
fn trust() -> Policy {
    Policy::new(vec![signer(1).key().clone()], vec![witness().key().clone()], 1).unwrap()
}

fn tree(audit: &Path) -> PathBuf {
    audit.join("gate-1.tlog")
}

fn journal_config(audit: &Path) -> JournalConfig {
    let mut config = JournalConfig::new(audit.to_owned(), NodeId::parse("gate-1").unwrap());
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config
}

/// Begins a generation of one record that nobody published, as somebody would write it who has not the key.
fn forge_generation(audit: &Path, number: u32, event: Event, detail: &[(&'static str, &str)]) {
    let node = NodeId::parse("gate-1").unwrap();
    let mut chain = Chain::new(node, number);
    let at = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000 * 86_400);
    let entry = Lifecycle { at, event, actor: "z", detail, policy: None, config: None };
    let mut line = Vec::new();
    chain.begin_batch();
    chain.seal(&entry.encode(), &mut line);
    let directory = generation(audit, number);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(layout::segment_name(0)), line).unwrap();
}

/// Writes one generation of `count` records, and publishes it if `is_published`; then compresses all before.
fn write_generation(audit: &Path, count: usize, name: &str, is_published: bool) {
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let opened =
        Journal::open(journal_config(audit), Arc::clone(&storage), Arc::new(clock.clone()), Arc::new(Quiet));
    let (journal, _) = opened.unwrap();
    for n in 0..count {
        journal.submit(event(&format!("{name}{n}"))).unwrap();
    }
    let progress = journal.progress();
    journal.close().unwrap();
    if is_published {
        let settings = PublishSettings {
            directory: audit.to_owned(),
            signer: signer(1),
            every: Duration::from_secs(10),
            records: 1_000_000,
        };
        let clock = Arc::new(clock);
        Publisher::new(settings, Arc::clone(&storage), clock, progress.clone(), Arc::new(Deaf)).finish();
    }
    Keeper::new(audit.to_owned(), storage, progress, Arc::new(Deaf)).pass(&AtomicBool::new(false));
}

/// How many records the generations have: each but the first begins with what it says of those before.
const FIRST: u64 = 400;
const SECOND: u64 = 351;
const THIRD: u64 = 152;

/// Two published generations, the first of them witnessed, and a third that no head covers. The segments of
/// the first two are compressed.
fn pristine() -> &'static Path {
    static LOG: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = LOG.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit");
        write_generation(&audit, 400, "a", true);
        let head = fs::read_to_string(tree(&audit).join("checkpoint")).unwrap();
        fs::write(tree(&audit).join("witnessed"), witnessed(&head)).unwrap();
        fs::copy(tree(&audit).join("checkpoint"), dir.path().join("old")).unwrap();
        write_generation(&audit, 350, "b", true);
        write_generation(&audit, 150, "c", false);
        fs::create_dir(audit.join("aside")).unwrap();
        dir
    });
    dir.path()
}

/// A head with the witness's signature.
fn witnessed(head: &str) -> String {
    let (text, _) = head.split_once("\n\n").unwrap();
    let at = Timestamp::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    format!("{head}{}", cosign(&format!("{text}\n"), &witness(), at).unwrap())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn generation(audit: &Path, number: u32) -> PathBuf {
    audit.join(format!("gate-1.{number:06}"))
}

fn segment(audit: &Path, number: u32, at: usize) -> PathBuf {
    layout::segments(&DiskStorage, &generation(audit, number)).unwrap()[at].path.clone()
}

fn first_of(path: &Path) -> u64 {
    path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().parse().unwrap()
}

fn lines_of(path: &Path) -> Vec<Vec<u8>> {
    let mut bytes = fs::read(path).unwrap();
    if path.extension().unwrap() == "zst" {
        bytes = zstd::decode_all(&*bytes).unwrap();
    }
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn write_lines(path: &Path, lines: &[Vec<u8>]) {
    let mut bytes = lines.concat();
    if path.extension().unwrap() == "zst" {
        bytes = zstd::encode_all(&*bytes, 3).unwrap();
    }
    fs::write(path, bytes).unwrap();
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines = lines_of(path);
    change(&mut lines);
    write_lines(path, &lines);
}

/// Changes who did it, which leaves the length as it is.
fn forge(line: &mut [u8]) {
    let at = memchr::memmem::find(line, b"\"actor\":\"").unwrap() + 9;
    line[at] = b'z';
}

/// Makes a line's checksum right.
fn make_sum_right(line: &mut [u8]) {
    let at = memchr::memmem::find(line, b"\"sum\":\"").unwrap() + 7;
    let end = line.len() - 1;
    let sum = format!("{:08x}", crc32fast::hash(&line[at + 10..end]));
    line[at..at + 8].copy_from_slice(sum.as_bytes());
}

/// What somebody does who can write all files but has not the key: all lines of all generations are chained
/// anew, and what later ones say of earlier ones is made right. Everything is plain then, without manifests.
fn rewrite(audit: &Path, change: impl FnOnce(&mut Vec<Vec<Vec<u8>>>)) -> Vec<Digest> {
    let node = NodeId::parse("gate-1").unwrap();
    let mut all: Vec<Vec<Vec<u8>>> = (1..=3)
        .map(|number| {
            let files = layout::segments(&DiskStorage, &generation(audit, number)).unwrap();
            files.iter().flat_map(|file| lines_of(&file.path)).collect()
        })
        .collect();
    change(&mut all);
    let mut leaves = Vec::new();
    let mut heads: Vec<(usize, String)> = Vec::new();
    for (number, lines) in (1..).zip(&mut all) {
        let mut head = genesis(&node, number);
        let mut batch = (String::new(), 0);
        for (seq, line) in lines.iter_mut().enumerate() {
            let text = String::from_utf8(line.clone()).unwrap();
            // What was committed together stays together.
            let (before, rest) = text.split_once(",\"prev\":\"").unwrap();
            let (_, of) = before.split_once("\"batch\":").unwrap();
            if batch.0 != of {
                batch = (of.to_owned(), seq);
            }
            let (batch, (_, rest)) = (batch.1, rest.split_at(64));
            let mut text = format!("{{\"v\":1,\"seq\":{seq},\"batch\":{batch},\"prev\":\"{head}{rest}");
            if let Some((before, rest)) = text.clone().split_once("\"detail\":{\"generation\":\"") {
                let earlier: usize = rest.split('"').next().unwrap().parse().unwrap();
                let (records, known) = &heads[earlier - 1];
                text = format!(
                    "{before}\"detail\":{{\"generation\":\"{earlier}\",\"records\":\"{records}\",\"head\":\"{known}\"}}}}\n"
                );
            }
            let mut bytes = text.into_bytes();
            make_sum_right(&mut bytes);
            head = leaf_hash(&bytes[..bytes.len() - 1]);
            leaves.push(head);
            *line = bytes;
        }
        heads.push((lines.len(), head.to_hex()));
        let directory = generation(audit, number);
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name != "LOCK") {
                fs::remove_file(path).unwrap();
            }
        }
        write_lines(&directory.join(layout::segment_name(0)), lines);
        let mark = format!("{{\"v\":1,\"records\":{},\"head\":\"{head}\"}}\n", lines.len());
        fs::write(directory.join("CLOSED"), mark).unwrap();
    }
    leaves
}

/// Writes tiles over `leaves` as the publisher would, and says the root.
fn write_tiles(audit: &Path, leaves: &[Digest]) -> Digest {
    let mut growth = Growth::default();
    let mut tiles = Vec::new();
    leaves.iter().for_each(|leaf| growth.push(*leaf, &mut tiles));
    tiles.extend(growth.partial());
    fs::remove_dir_all(tree(audit).join("tile")).unwrap();
    for tile in tiles {
        let path = tree(audit).join(tile.path.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tile.bytes).unwrap();
    }
    growth.root()
}

/// What verification is given beside the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Nothing,
    /// The public keys.
    Keys,
    /// What was verified before.
    Known,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| verify(&pristine().join("audit")).unwrap().known)
}

fn check(audit: &Path, given: Given) -> VerifyReport {
    let policy = trust();
    let against = Against {
        trust: (given == Given::Keys).then_some(&policy),
        known: (given == Given::Known).then(known),
    };
    verify_against(audit, against, &mut |_| {}).unwrap()
}

/// Something done to a log, and what must be said to it first.
struct Attack {
    name: &'static str,
    act: fn(&Path),
    given: Given,
    /// What is said to have been done; none where it cannot be seen.
    verdict: Option<Act>,
    /// In which generation and at which record.
    at: Option<(u32, u64)>,
    /// What the words must contain.
    says: &'static str,
}

const fn attack(name: &'static str, act: fn(&Path), given: Given) -> Attack {
    Attack { name, act, given, verdict: None, at: None, says: "" }
}

impl Attack {
    const fn is(mut self, verdict: Act, says: &'static str) -> Self {
        self.verdict = Some(verdict);
        self.says = says;
        self
    }

    const fn at(mut self, generation: u32, seq: u64) -> Self {
        self.at = Some((generation, seq));
        self
    }
}

fn run(attacks: &[Attack]) {
    for attack in attacks {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit");
        copy(&pristine().join("audit"), &audit);
        (attack.act)(&audit);
        let report = check(&audit, attack.given);
        let Attack { name, given, .. } = attack;
        let Some(verdict) = attack.verdict else {
            assert!(report.is_intact(), "{name}, given {given:?}: {:?}", report.damage);
            continue;
        };
        let all: Vec<String> = report.damage.iter().map(ToString::to_string).collect();
        let is_it = |found: &&Finding| found.act() == verdict && found.why.to_string().contains(attack.says);
        let Some(found) = report.damage.iter().find(is_it) else {
            panic!("{name}, given {given:?}: {all:?}");
        };
        if let Some((generation, seq)) = attack.at {
            assert_eq!((found.generation, found.seq), (Some(generation), seq), "{name}: {all:?}");
            assert_eq!(report.damage.len(), 1, "{name}: {all:?}");
        }
    }
}

#[test]
fn what_nobody_touched_is_intact() {
    let audit = pristine().join("audit");
    for given in [Given::Nothing, Given::Keys, Given::Known] {
        let report = check(&audit, given);
        assert!(report.is_intact(), "{given:?}: {:?}", report.damage);
        assert_eq!(report.records, FIRST + SECOND + THIRD);
        let tree = &report.trees[0];
        assert_eq!((tree.size, tree.uncovered, tree.witnessed), (FIRST + SECOND, THIRD, Some(FIRST)));
        assert_eq!(tree.is_signature_checked, given == Given::Keys);
        let by: &[&str] = if given == Given::Keys { &["regulator"] } else { &[] };
        assert_eq!(tree.cosigned_by, by);
        // What was verified before is not read again, and says the same of where it was.
        assert!(report.generations.iter().all(|done| done.is_read == (given != Given::Known)));
        assert_eq!(&report.known, known());
    }
    assert_eq!(&Known::decode(&known().encode().unwrap()).unwrap(), known());
}
