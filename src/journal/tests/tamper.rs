//! What somebody may do to the files, and what verification says to it.

use std::fs;
use std::path::{Path, PathBuf};

use super::live::actors;
use super::*;
use crate::journal::read::verify;
use crate::kernel::time::ManualClock;

fn open(directory: &Path, repair: Option<&str>) -> Result<(Journal, Recovery), JournalError> {
    let mut config = config(directory);
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config.repair = repair.map(|actor| Repair { actor: actor.to_owned(), reason: "a worn disk".to_owned() });
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    Journal::open(config, Arc::new(DiskStorage), clock, Arc::new(Quiet))
}

/// Two closed generations of three segments each.
fn written() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for generation in 0..2 {
        let (journal, _) = open(dir.path(), None).unwrap();
        for n in 0..330 {
            journal.submit(event(&format!("g{generation}r{n}"))).unwrap();
        }
        journal.close().unwrap();
    }
    let audit = dir.path().join("audit");
    (dir, audit)
}

fn segment(audit: &Path, generation: u32, index: usize) -> PathBuf {
    let directory = audit.join(format!("gate-1.{generation:06}"));
    let files = layout::segments(&DiskStorage, &directory).unwrap();
    assert_eq!(files.len(), 3);
    files[index].path.clone()
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let bytes = fs::read(path).unwrap();
    let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    fs::write(path, lines.concat()).unwrap();
}

/// What verification says first, after `change`.
fn verdict(change: impl FnOnce(&Path)) -> String {
    let (_dir, audit) = written();
    assert!(verify(&audit).unwrap().is_intact());
    change(&audit);
    let report = verify(&audit).unwrap();
    let first = report.damage.first().map(|damage| damage.why.to_string());
    first.unwrap_or_else(|| "intact".to_owned())
}

#[test]
fn every_kind_of_tampering_is_named() {
    type Change = fn(&Path);
    let cases: [(&str, Change, &str); 11] = [
        ("edit", |audit| edit(&segment(audit, 1, 1), |lines| lines[3][220] ^= 1), "`sum` does not match"),
        ("delete", |audit| edit(&segment(audit, 1, 1), |lines| drop(lines.remove(3))), "gap: record"),
        ("delete the last", |audit| edit(&segment(audit, 1, 2), |lines| drop(lines.pop())), "ends otherwise"),
        ("swap", |audit| edit(&segment(audit, 1, 1), |lines| lines.swap(3, 4)), "changed places"),
        (
            "double",
            |audit| edit(&segment(audit, 1, 1), |lines| lines.insert(3, lines[3].clone())),
            "out of order",
        ),
        (
            "cut a middle segment",
            |audit| edit(&segment(audit, 1, 1), |lines| lines.truncate(5)),
            "the segment ends here",
        ),
        ("remove a segment", |audit| fs::remove_file(segment(audit, 1, 1)).unwrap(), "the segment ends here"),
        ("remove the first", |audit| fs::remove_file(segment(audit, 1, 0)).unwrap(), "are missing"),
        (
            "append",
            |audit| edit(&segment(audit, 1, 1), |lines| lines.push(b"{}\n".to_vec())),
            "3 bytes follow",
        ),
        (
            "append to the last",
            |audit| edit(&segment(audit, 1, 2), |lines| lines.push(b"{}\n".to_vec())),
            "3 bytes follow",
        ),
        (
            "cut a generation and its mark",
            |audit| {
                edit(&segment(audit, 1, 2), |lines| lines.truncate(2));
                fs::remove_file(audit.join("gate-1.000001/CLOSED")).unwrap();
            },
            "the generation was closed after",
        ),
    ];
    for (name, change, expected) in cases {
        let found = verdict(change);
        assert!(found.contains(expected), "{name}: {found}");
    }
    let lost = verdict(|audit| {
        fs::rename(audit.join("gate-1.000002"), audit.join("gate-1.000003")).unwrap();
    });
    assert!(lost.contains("generation 2 is missing"), "{lost}");
}

#[test]
fn damage_names_file_offset_and_record() {
    let (_dir, audit) = written();
    let path = segment(&audit, 2, 1);
    let mut offset = 0;
    edit(&path, |lines| {
        offset = lines[..7].concat().len();
        lines[7][90] ^= 4;
    });
    let report = verify(&audit).unwrap();
    assert_eq!(report.damage.len(), 1);
    let damage = &report.damage[0];
    let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!((&damage.file, damage.offset, damage.seq), (&path, u64::try_from(offset).unwrap(), first + 7));
}

#[test]
fn a_damaged_log_is_refused_until_somebody_repairs_it() {
    let (dir, audit) = written();
    fs::remove_file(audit.join("gate-1.000002/CLOSED")).unwrap();
    let path = segment(&audit, 2, 1);
    edit(&path, |lines| lines[7][200] = b'~');
    let first: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let refused = open(dir.path(), None).unwrap_err().to_string();
    assert!(refused.contains(path.to_str().unwrap()) && refused.contains("repair"), "{refused}");
    let (journal, recovery) = open(dir.path(), Some("zhang@example")).unwrap();
    journal.close().unwrap();
    assert!(recovery.recovered[0].repaired.is_some());
    let report = verify(&audit).unwrap();
    assert!(report.is_intact(), "{:?}", report.damage);
    assert_eq!(report.generations[1].records, u64::try_from(first + 7).unwrap());
    assert_eq!(actors(&audit).last().map(String::as_str), Some("zhang@example"));
    assert_eq!(fs::read_dir(audit.join("gate-1.000002/torn")).unwrap().count(), 2);
}
