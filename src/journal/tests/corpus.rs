//! The tamper corpus: everything that somebody may do to a published log, each with what verification must
//! say to it. What it cannot see is here too, so that the documentation says no more than is true.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use super::publish::signer;
use super::*;
use crate::audit::genesis;
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
    path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap()
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
    let digest = Digest::of(&line[at + 18..end]).to_hex();
    line[at..at + 16].copy_from_slice(&digest.as_bytes()[..16]);
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
            let (batch, rest) = (batch.1, &rest[64..]);
            let mut text = format!("{{\"v\":1,\"seq\":{seq},\"batch\":{batch},\"prev\":\"{head}{rest}");
            if let Some((before, rest)) = text.clone().split_once("\"detail\":{\"generation\":\"") {
                let earlier: usize = rest[..1].parse().unwrap();
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

#[test]
fn records_that_are_changed_are_named() {
    run(&[
        attack("one byte", |audit| edit(&segment(audit, 3, 0), |lines| lines[7][220] ^= 1), Given::Nothing)
            .is(Act::Edit, "`sum` does not match")
            .at(3, 7),
        attack(
            "one byte, compressed",
            |audit| edit(&segment(audit, 1, 1), |lines| forge(&mut lines[5])),
            Given::Nothing,
        )
        .is(Act::Edit, "`sum` does not match"),
        attack(
            "one byte and the checksum",
            |audit| {
                edit(&segment(audit, 1, 0), |lines| {
                    forge(&mut lines[5]);
                    make_sum_right(&mut lines[5]);
                });
            },
            Given::Nothing,
        )
        .is(Act::Edit, "not the one that was published, nor are 0 after it")
        .at(1, 5),
        attack(
            "one byte and the checksum, where no head is",
            |audit| {
                edit(&segment(audit, 3, 0), |lines| {
                    forge(&mut lines[9]);
                    make_sum_right(&mut lines[9]);
                });
            },
            Given::Nothing,
        )
        .is(Act::Edit, "its `sum` made right")
        .at(3, 9),
        attack(
            "the digest of the one before",
            |audit| edit(&segment(audit, 3, 0), |lines| lines[9][60] ^= 1),
            Given::Nothing,
        )
        .is(Act::Edit, "`prev` does not match")
        .at(3, 9),
        attack(
            "the last of a closed generation, and its checksum",
            |audit| {
                edit(&segment(audit, 3, 1), |lines| {
                    let last = lines.last_mut().unwrap();
                    forge(last);
                    make_sum_right(last);
                });
            },
            Given::Nothing,
        )
        .is(Act::Edit, "ends otherwise"),
        attack(
            "a record of another generation",
            |audit| {
                let other = lines_of(&segment(audit, 2, 0))[20].clone();
                edit(&segment(audit, 3, 0), |lines| lines[20] = other);
            },
            Given::Nothing,
        )
        .is(Act::Insertion, "belongs to generation 2")
        .at(3, 20),
        attack(
            "all, chained anew without the key",
            |audit| {
                rewrite(audit, |all| forge(&mut all[0][17]));
            },
            Given::Nothing,
        )
        .is(Act::Edit, "not the one that was published, nor are 733 after it")
        .at(1, 17),
        attack(
            "all, and the tiles",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[0][17]));
                write_tiles(audit, &leaves[..751]);
            },
            Given::Nothing,
        )
        .is(Act::Fork, "another root than the signed head of 751 records"),
        attack(
            "all, the tiles, and a head by another key",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[0][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(2))).unwrap();
                fs::remove_file(tree(audit).join("witnessed")).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "not signed by `gate-1`"),
        attack(
            "all, the tiles, and a head by the stolen key: the witness knows",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[0][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(1))).unwrap();
            },
            Given::Keys,
        )
        .is(Act::Fork, "do not begin with those that were witnessed"),
        attack(
            "after what was witnessed, with the stolen key: an earlier check knows",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[1][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(1))).unwrap();
            },
            Given::Known,
        )
        .is(Act::Fork, "do not begin with those that were verified before"),
        attack(
            "after what was witnessed, with the stolen key: nobody else knows",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[1][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(1))).unwrap();
            },
            Given::Keys,
        ),
    ]);
}

#[test]
fn records_that_are_put_in_taken_out_or_moved_are_named() {
    run(&[
        attack(
            "one taken out",
            |audit| edit(&segment(audit, 3, 0), |lines| drop(lines.remove(7))),
            Given::Nothing,
        )
        .is(Act::Deletion, "gap: record 7")
        .at(3, 7),
        attack(
            "one taken out, and all chained anew",
            |audit| {
                rewrite(audit, |all| drop(all[0].remove(30)));
            },
            Given::Nothing,
        )
        .is(Act::Edit, "not the one that was published"),
        attack("two swapped", |audit| edit(&segment(audit, 3, 0), |lines| lines.swap(7, 9)), Given::Nothing)
            .is(Act::Swap, "record 9 stands here")
            .at(3, 7),
        attack(
            "two swapped, compressed",
            |audit| edit(&segment(audit, 2, 0), |lines| lines.swap(7, 8)),
            Given::Nothing,
        )
        .is(Act::Swap, "record 8 stands here")
        .at(2, 7),
        attack(
            "one doubled",
            |audit| edit(&segment(audit, 3, 0), |lines| lines.insert(7, lines[6].clone())),
            Given::Nothing,
        )
        .is(Act::Insertion, "out of order: record 7")
        .at(3, 7),
        attack(
            "bytes appended",
            |audit| edit(&segment(audit, 3, 1), |lines| lines.push(b"{}\n".to_vec())),
            Given::Nothing,
        )
        .is(Act::Insertion, "3 bytes follow")
        .at(3, THIRD),
        attack(
            "a segment in the middle",
            |audit| fs::remove_file(segment(audit, 1, 1)).unwrap(),
            Given::Nothing,
        )
        .is(Act::Deletion, "the segment ends here"),
        attack("the first segment", |audit| fs::remove_file(segment(audit, 1, 0)).unwrap(), Given::Nothing)
            .is(Act::Deletion, "no `pruned` record says so"),
        attack(
            "the first segment and what is known of it",
            |audit| {
                let path = segment(audit, 1, 0);
                fs::remove_file(&path).unwrap();
                fs::remove_file(path.with_file_name(layout::manifest_name(0))).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Deletion, "are missing"),
        attack(
            "every segment of a generation",
            |audit| {
                for file in layout::segments(&DiskStorage, &generation(audit, 1)).unwrap() {
                    fs::remove_file(file.path).unwrap();
                }
            },
            Given::Nothing,
        )
        .is(Act::Deletion, "the records before 400 are gone"),
        attack(
            "the first generation",
            |audit| fs::remove_dir_all(generation(audit, 1)).unwrap(),
            Given::Nothing,
        )
        .is(Act::Deletion, "generation 1 is missing")
        .at(1, 0),
        attack(
            "one in the middle",
            |audit| fs::remove_dir_all(generation(audit, 2)).unwrap(),
            Given::Nothing,
        )
        .is(Act::Deletion, "generation 2 is missing")
        .at(2, 0),
        attack(
            "the last published, and all after it",
            |audit| {
                fs::remove_dir_all(generation(audit, 2)).unwrap();
                fs::remove_dir_all(generation(audit, 3)).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Deletion, "generation 2 is missing")
        .at(2, 0),
        attack(
            "the last, which no head covers",
            |audit| fs::remove_dir_all(generation(audit, 3)).unwrap(),
            Given::Known,
        )
        .is(Act::Deletion, "generation 3 is missing")
        .at(3, 0),
        attack(
            "the last, which no head covers and nobody has seen",
            |audit| fs::remove_dir_all(generation(audit, 3)).unwrap(),
            Given::Keys,
        ),
    ]);
}

/// Cuts a closed generation to its first `keep` records, and marks it closed there.
fn cut_and_close(audit: &Path, number: u32, keep: usize) {
    let files = layout::segments(&DiskStorage, &generation(audit, number)).unwrap();
    let mut head = Digest([0; 32]);
    for file in &files {
        let first = usize::try_from(file.first).unwrap();
        let mut lines = lines_of(&file.path);
        lines.truncate(keep.saturating_sub(first));
        fs::remove_file(&file.path).unwrap();
        fs::remove_file(file.path.with_file_name(layout::manifest_name(file.first))).ok();
        if let Some(last) = lines.last() {
            head = leaf_hash(&last[..last.len() - 1]);
            write_lines(&file.path.with_file_name(layout::segment_name(file.first)), &lines);
        }
    }
    let mark = format!("{{\"v\":1,\"records\":{keep},\"head\":\"{head}\"}}\n");
    fs::write(generation(audit, number).join("CLOSED"), mark).unwrap();
}

#[test]
fn an_end_that_is_cut_off_is_named() {
    run(&[
        attack(
            "the last record",
            |audit| edit(&segment(audit, 3, 1), |lines| drop(lines.pop())),
            Given::Nothing,
        )
        .is(Act::Truncation, "ends otherwise")
        .at(3, THIRD - 1),
        attack("a closed end, and its mark", |audit| cut_and_close(audit, 3, 100), Given::Known)
            .is(Act::Truncation, "there were 152 when"),
        attack(
            "a closed end and its mark, which no head covers and nobody has seen",
            |audit| cut_and_close(audit, 3, 100),
            Given::Keys,
        ),
        attack(
            "a published end, its mark, and all after it",
            |audit| {
                cut_and_close(audit, 2, 300);
                fs::remove_dir_all(generation(audit, 3)).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Truncation, "51 records that were published are gone")
        .at(2, 300),
        attack(
            "the mark",
            |audit| fs::write(generation(audit, 3).join("CLOSED"), "{}").unwrap(),
            Given::Nothing,
        )
        .is(Act::Insertion, "ends otherwise"),
    ]);
}

#[test]
fn heads_that_are_old_foreign_or_gone_are_named() {
    run(&[
        attack(
            "an old head, and an earlier check",
            |audit| {
                fs::copy(pristine().join("old"), tree(audit).join("checkpoint")).unwrap();
            },
            Given::Known,
        )
        .is(Act::OldHead, "one of 751 was verified before"),
        attack(
            "an old head, and a witness of the new one",
            |audit| {
                let head = fs::read_to_string(tree(audit).join("checkpoint")).unwrap();
                fs::write(tree(audit).join("witnessed"), witnessed(&head)).unwrap();
                fs::copy(pristine().join("old"), tree(audit).join("checkpoint")).unwrap();
            },
            Given::Keys,
        )
        .is(Act::OldHead, "one of 751 was witnessed"),
        attack(
            "an old copy of everything",
            |audit| {
                fs::remove_dir_all(generation(audit, 2)).unwrap();
                fs::remove_dir_all(generation(audit, 3)).unwrap();
                fs::remove_dir_all(tree(audit).join("tile")).unwrap();
                let leaves: Vec<Digest> = layout::segments(&DiskStorage, &generation(audit, 1))
                    .unwrap()
                    .iter()
                    .flat_map(|file| lines_of(&file.path))
                    .map(|line| leaf_hash(&line[..line.len() - 1]))
                    .collect();
                fs::create_dir(tree(audit).join("tile")).unwrap();
                write_tiles(audit, &leaves);
                fs::write(tree(audit).join("spans"), "{\"generation\":1,\"seq\":0,\"index\":0}\n").unwrap();
                fs::copy(pristine().join("old"), tree(audit).join("checkpoint")).unwrap();
            },
            Given::Known,
        )
        .is(Act::OldHead, "one of 751 was verified before"),
        attack(
            "another key of the same name",
            |audit| {
                let note = fs::read(tree(audit).join("checkpoint")).unwrap();
                let (head, _) = Checkpoint::open(&note, signer(1).key()).unwrap();
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(2))).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "not signed by `gate-1`"),
        attack(
            "a signature that is wrong",
            |audit| {
                let path = tree(audit).join("checkpoint");
                let text = fs::read_to_string(&path).unwrap().replacen("751", "752", 1);
                fs::write(path, text).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "the signature by `gate-1` is wrong"),
        attack("no head", |audit| fs::remove_file(tree(audit).join("checkpoint")).unwrap(), Given::Keys)
            .is(Act::ForeignHead, "there is no signed head"),
        attack("no tree at all", |audit| fs::remove_dir_all(tree(audit)).unwrap(), Given::Keys)
            .is(Act::ForeignHead, "there is no signed head"),
        attack(
            "no tree at all, and an earlier check",
            |audit| fs::remove_dir_all(tree(audit)).unwrap(),
            Given::Known,
        )
        .is(Act::ForeignHead, "there is no signed head"),
        attack(
            "no cosignature",
            |audit| fs::remove_file(tree(audit).join("witnessed")).unwrap(),
            Given::Keys,
        )
        .is(Act::ForeignHead, "are no quorum"),
        attack(
            "a cosignature that is wrong",
            |audit| {
                let path = tree(audit).join("witnessed");
                let head = fs::read_to_string(&path).unwrap();
                let (text, lines) = head.split_once("\n\n").unwrap();
                let other = witnessed(&fs::read_to_string(tree(audit).join("checkpoint")).unwrap());
                let foreign = other.lines().last().unwrap();
                let own = lines.lines().next().unwrap();
                fs::write(path, format!("{text}\n\n{own}\n{foreign}\n")).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "the signature by `regulator` is wrong"),
    ]);
}

#[test]
fn hashes_that_are_changed_or_gone_are_named() {
    run(&[
        attack("a full tile", |audit| flip(&tree(audit).join("tile/0/001"), 40), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/0/001` is not what the records give"),
        attack("a partial tile", |audit| flip(&tree(audit).join("tile/0/002.p/239"), 40), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/0/002.p/239` is not what"),
        attack("an upper tile", |audit| flip(&tree(audit).join("tile/1/000.p/2"), 40), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/1/000.p/2` is not what"),
        attack("a tile that is cut", |audit| cut(&tree(audit).join("tile/0/001")), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/0/001` is missing or cut off"),
        attack(
            "no full tile",
            |audit| fs::remove_file(tree(audit).join("tile/0/000")).unwrap(),
            Given::Nothing,
        )
        .is(Act::Hashes, "the tile `tile/0/000` is missing or cut off"),
        attack(
            "no upper tile",
            |audit| fs::remove_file(tree(audit).join("tile/1/000.p/2")).unwrap(),
            Given::Nothing,
        )
        .is(Act::Hashes, "the tile `tile/1/000.p/2` is missing or cut off"),
        attack("no tiles", |audit| fs::remove_dir_all(tree(audit).join("tile")).unwrap(), Given::Keys)
            .is(Act::Hashes, "the tile `tile/0/000` is missing or cut off"),
        attack("no spans", |audit| fs::remove_file(tree(audit).join("spans")).unwrap(), Given::Nothing)
            .is(Act::Hashes, "where the generations begin"),
        attack(
            "other spans",
            |audit| {
                let spans =
                    "{\"generation\":1,\"seq\":0,\"index\":0}\n{\"generation\":2,\"seq\":0,\"index\":390}\n";
                fs::write(tree(audit).join("spans"), spans).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Insertion, "records follow that were not there"),
        attack("a manifest", |audit| edit_manifest(audit, "\"records\":", "\"records\":1"), Given::Nothing)
            .is(Act::Hashes, "differ in `records`"),
        attack(
            "the head of a manifest",
            |audit| edit_manifest(audit, "\"head\":\"", "\"head\":\"0"),
            Given::Nothing,
        )
        .is(Act::Hashes, "the manifest cannot be read"),
        attack("the digest of a manifest", |audit| replace_digest(audit, "sha256"), Given::Nothing)
            .is(Act::Hashes, "differ in `sha256`"),
        attack(
            "an instant of a manifest",
            |audit| edit_manifest(audit, "\"last_at\":\"1970", "\"last_at\":\"2970"),
            Given::Nothing,
        )
        .is(Act::Hashes, "differ in `last_at`"),
        attack("the manifest before", |audit| replace_digest(audit, "before"), Given::Nothing)
            .is(Act::Hashes, "does not name the one before it"),
        attack(
            "no manifest",
            |audit| {
                let path = segment(audit, 1, 1);
                fs::remove_file(path.with_file_name(layout::manifest_name(first_of(&path)))).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Hashes, "there is no manifest"),
        attack("a compressed segment", |audit| flip(&segment(audit, 1, 1), 2_000), Given::Nothing)
            .is(Act::Edit, "cannot be read any further"),
        attack("a compressed segment that is cut", |audit| cut(&segment(audit, 2, 0)), Given::Nothing)
            .is(Act::Edit, "cannot be read any further"),
    ]);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// The last manifest of the first generation, which no later one names.
fn last_manifest(audit: &Path) -> PathBuf {
    let path = layout::segments(&DiskStorage, &generation(audit, 1)).unwrap().pop().unwrap().path;
    path.with_file_name(layout::manifest_name(first_of(&path)))
}

fn edit_manifest(audit: &Path, from: &str, to: &str) {
    let path = last_manifest(audit);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn replace_digest(audit: &Path, member: &str) {
    let path = last_manifest(audit);
    let mut text = fs::read_to_string(&path).unwrap();
    let at = text.find(&format!("\"{member}\":\"")).unwrap() + member.len() + 4;
    text.replace_range(at..at + 64, &"5".repeat(64));
    fs::write(path, text).unwrap();
}

#[test]
fn a_fork_is_seen_by_who_has_seen_the_other_branch() {
    // Two logs with the same first generation.
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (one.path().join("audit"), other.path().join("audit"));
    fs::create_dir_all(&one).unwrap();
    write_generation(&one, 300, "a", true);
    copy(&one, &other);
    write_generation(&one, 60, "b", true);
    write_generation(&other, 90, "c", true);
    assert!(verify(&one).unwrap().is_intact() && verify(&other).unwrap().is_intact());
    let before = verify(&one).unwrap().known;
    let report = verify_against(&other, Against { trust: None, known: Some(&before) }, &mut |_| {}).unwrap();
    assert!(report.damage.iter().any(|found| found.act() == Act::Fork), "{:?}", report.damage);
    // Whoever has only seen what both have sees nothing.
    let mut early = before;
    early.nodes[0].generations.truncate(1);
    let mut growth = Growth::default();
    for file in layout::segments(&DiskStorage, &generation(&one, 1)).unwrap() {
        lines_of(&file.path)
            .iter()
            .for_each(|line| growth.push(leaf_hash(&line[..line.len() - 1]), &mut Vec::new()));
    }
    let known_tree = early.nodes[0].tree.as_mut().unwrap();
    (known_tree.size, known_tree.root) = (300, growth.root().to_hex());
    let report = verify_against(&other, Against { trust: None, known: Some(&early) }, &mut |_| {}).unwrap();
    assert!(report.is_intact(), "{:?}", report.damage);
    // What was known is not read again.
    assert_eq!(report.generations.iter().map(|done| done.is_read).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_has_come_since_is_verified_alone() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    copy(&pristine().join("audit"), &audit);
    write_generation(&audit, 500, "d", true);
    let report = check(&audit, Given::Known);
    assert!(report.is_intact(), "{:?}", report.damage);
    let tree = &report.trees[0];
    assert_eq!((tree.size, tree.uncovered), (FIRST + SECOND + THIRD + 503, 0));
    // The third was verified before, but is under a head only now.
    assert_eq!(
        report.generations.iter().map(|done| done.is_read).collect::<Vec<_>>(),
        [false, false, true, true]
    );
    // What is read is held against what was known: another past of the third generation is seen.
    edit(&segment(&audit, 3, 0), |lines| {
        forge(&mut lines[9]);
        make_sum_right(&mut lines[9]);
    });
    let report = check(&audit, Given::Known);
    let places: Vec<_> =
        report.damage.iter().map(|found| (found.act(), found.generation, found.seq)).collect();
    assert_eq!(places, [(Act::Edit, Some(3), 9)]);
}
