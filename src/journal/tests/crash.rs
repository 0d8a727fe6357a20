//! Every crash at every call: what was acknowledged is there afterwards, or the log says why not.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::sim::{Fault, Lies, SimDisk};
use super::{access, event_with};
use crate::audit::{Entry, Kind, ParsedRecord};
use crate::journal::layout;
use crate::journal::log::Log;
use crate::journal::read::verify_on;
use crate::journal::recover::{Opened, open};
use crate::journal::scan::scan;
use crate::journal::storage::{Storage, read_up_to};
use crate::journal::{JournalConfig, JournalError, MIN_SEGMENT_BYTES};
use crate::kernel::id::NodeId;
use crate::kernel::time::{ManualClock, Timestamp};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn config() -> JournalConfig {
    let mut config = JournalConfig::new("/audit".into(), NodeId::parse("gate-1").unwrap());
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config
}

fn start(disk: &SimDisk) -> Result<Opened, JournalError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    open(&config(), &storage, &ManualClock::new(Timestamp::UNIX_EPOCH))
}

/// Batches of different sizes, long enough together for three segments.
fn script() -> Vec<Vec<(String, Entry)>> {
    let long = "x".repeat(900);
    let record = |name: String| {
        let detail = [("a", &*long), ("b", &*long), ("c", &*long), ("d", &*long), ("e", &*long)];
        let entry = event_with(&name, &detail);
        (name, entry)
    };
    let mut batches = Vec::new();
    for batch in 0..6 {
        let mut entries: Vec<_> = (0..=batch % 4).map(|n| record(format!("r{batch}.{n}"))).collect();
        let (id, intent) = access(Kind::Intent, None);
        entries.push((id.to_string(), intent));
        if batch % 2 == 0 {
            let (_, outcome) = access(Kind::Outcome, Some(id));
            entries.push((format!("{id} outcome"), outcome));
        }
        batches.push(entries);
    }
    batches
}

/// Commits a batch whole, going on after errors as the writer does.
fn commit(log: &mut Log, batch: &[(String, Entry)], acked: &mut BTreeSet<String>) -> io::Result<()> {
    let mut rest = batch;
    while !rest.is_empty() {
        match log.commit(rest.iter().map(|(_, entry)| entry)) {
            Ok((count, _)) => {
                acked.extend(rest[..count].iter().map(|(name, _)| name.clone()));
                rest = &rest[count..];
            }
            Err(error) => {
                let mut tries = 0;
                while log.restore().is_err() {
                    tries += 1;
                    if tries > 3 {
                        return Err(error);
                    }
                }
            }
        }
    }
    Ok(())
}

/// When full segments are cut and the next one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upkeep {
    /// After each batch.
    Prompt,
    /// When a segment is full, and at the end.
    Late,
}

/// What a process promised before it ended.
#[derive(Debug, Default)]
struct Promised {
    /// Records.
    acked: BTreeSet<String>,
    /// Segments of the first generation that begin before this record are closed.
    closed_before: u64,
}

/// Plays the script until the disk crashes and says what was promised.
fn play(disk: &SimDisk, script: &[Vec<(String, Entry)>], upkeep: Upkeep) -> Promised {
    let mut promised = Promised::default();
    let Ok(mut opened) = start(disk) else { return promised };
    let mut play = || {
        for batch in script {
            commit(&mut opened.log, batch, &mut promised.acked)?;
            if upkeep == Upkeep::Prompt {
                opened.log.upkeep().step();
            }
        }
        // A failed close leaves the generation to the next start.
        opened.log.close()
    };
    drop(play());
    promised.closed_before = opened.log.progress().closed_before();
    promised
}

/// The names of all records of all generations.
fn present(disk: &SimDisk) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let directory = Path::new("/audit");
    for place in layout::generations(disk, directory).unwrap() {
        let scan = scan(disk, &place.path, &place.node, place.number, &mut |line| {
            let record = ParsedRecord::parse(line).unwrap();
            names.insert(match (&*record.kind, record.request) {
                ("intent", Some(request)) => request,
                (_, Some(request)) => format!("{request} outcome"),
                _ => record.actor.unwrap(),
            });
        });
        assert_eq!(scan.unwrap().damage, None);
    }
    names
}

/// What is wrong with the segments of the first generation that were said to be closed, if anything.
fn check_closed(disk: &SimDisk, closed_before: u64) -> Result<(), String> {
    let directory = Path::new("/audit/gate-1.000001");
    let files = match layout::segments(disk, directory) {
        // The crash came before there was a generation.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files.map_err(|error| error.to_string())?,
    };
    for pair in files.windows(2).filter(|pair| pair[0].first < closed_before) {
        let file = disk.open_read(&pair[0].path).unwrap();
        let mut bytes = vec![0; usize::try_from(file.byte_len().unwrap()).unwrap()];
        read_up_to(&*file, &mut bytes, 0).unwrap();
        let lines = u64::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap();
        if bytes.contains(&0) || lines != pair[1].first - pair[0].first {
            return Err(format!("`{}` was closed and is not whole and cut", pair[0].path.display()));
        }
    }
    Ok(())
}

/// What is wrong after recovery, if anything.
fn check(disk: &SimDisk, promised: &Promised) -> Result<(), String> {
    check_closed(disk, promised.closed_before)?;
    let mut opened = start(disk).map_err(|error| format!("refused: {error}"))?;
    opened.log.close().map_err(|error| error.to_string())?;
    let report = verify_on(disk, Path::new("/audit")).map_err(|error| error.to_string())?;
    if !report.is_intact() {
        return Err(format!("damaged: {:?}", report.damage));
    }
    // Once it is recovered, all of the first generation is closed.
    check_closed(disk, u64::MAX)?;
    let found = present(disk);
    if let Some(missing) = promised.acked.difference(&found).next() {
        return Err(format!("`{missing}` was acknowledged and is gone"));
    }
    let is_id = |name: &str| name.parse::<crate::kernel::id::RequestId>().is_ok();
    match found.iter().find(|name| is_id(name) && !found.contains(&format!("{name} outcome"))) {
        Some(open) => Err(format!("the intent `{open}` was left open")),
        None => Ok(()),
    }
}

/// How many calls the script makes without any fault.
fn calls(script: &[Vec<(String, Entry)>], upkeep: Upkeep) -> usize {
    let disk = SimDisk::default();
    let promised = play(&disk, script, upkeep);
    assert_eq!(promised.acked.len(), script.iter().flatten().count());
    assert!(promised.closed_before >= 16, "all three segments are closed: {promised:?}");
    check(&disk, &promised).unwrap();
    let report = verify_on(&disk, Path::new("/audit")).unwrap();
    assert!(report.records > 20);
    disk.calls()
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    let script = script();
    for upkeep in [Upkeep::Prompt, Upkeep::Late] {
        for call in 0..calls(&script, upkeep) {
            let disk = SimDisk::default();
            disk.plan(call, Fault::Crash);
            let promised = play(&disk, &script, upkeep);
            for seed in 0..12 {
                let after = disk.reboot(seed);
                check(&after, &promised)
                    .unwrap_or_else(|why| panic!("{upkeep:?}, crash at {call}, seed {seed}: {why}"));
            }
        }
    }
}

#[test]
fn an_error_at_any_call_and_a_crash_later_lose_nothing_acknowledged() {
    let script = script();
    let calls = calls(&script, Upkeep::Prompt);
    for fault in [Fault::Error(EIO), Fault::Error(ENOSPC), Fault::Late(EIO)] {
        for call in 0..calls {
            let crashes = [call + 1, call + 2, call + 3, call + 4, call + 6, call + 9, call + 14, usize::MAX];
            for crash in crashes {
                let disk = SimDisk::default();
                disk.plan(call, fault);
                disk.plan(crash, Fault::Crash);
                let promised = play(&disk, &script, Upkeep::Prompt);
                let after = disk.reboot(u64::try_from(call).unwrap());
                check(&after, &promised)
                    .unwrap_or_else(|why| panic!("{fault:?} at {call}, crash at {crash}: {why}"));
            }
        }
    }
}

#[test]
fn a_crash_during_recovery_loses_nothing_acknowledged() {
    let script = script();
    for first in (0..calls(&script, Upkeep::Prompt)).step_by(5) {
        let disk = SimDisk::default();
        disk.plan(first, Fault::Crash);
        let promised = play(&disk, &script, Upkeep::Prompt);
        let mut second = 0;
        loop {
            let again = disk.reboot(7);
            again.plan(second, Fault::Crash);
            // The crash may come before or after the recovery has ended.
            start(&again).ok();
            let recovered = again.is_alive();
            let after = again.reboot(11);
            check(&after, &promised)
                .unwrap_or_else(|why| panic!("crash at {first} and again at {second}: {why}"));
            if recovered {
                break;
            }
            second += 1;
        }
    }
}

#[test]
fn a_kill_at_any_call_and_a_crash_of_the_next_process_lose_nothing_acknowledged() {
    let (script, next_script) = (script(), script());
    for kill in 0..calls(&script, Upkeep::Prompt) {
        let disk = SimDisk::default();
        disk.plan(kill, Fault::Kill);
        let first = play(&disk, &script, Upkeep::Prompt);
        let written = disk.restart();
        check(&written, &first).unwrap_or_else(|why| panic!("killed at {kill}: {why}"));
        for crash in [(kill * 13) % 89, (kill * 13 + 44) % 89] {
            let disk = SimDisk::default();
            disk.plan(kill, Fault::Kill);
            let mut first = play(&disk, &script, Upkeep::Prompt);
            let next = disk.restart();
            next.plan(crash, Fault::Crash);
            first.acked.extend(play(&next, &next_script, Upkeep::Prompt).acked);
            let after = next.reboot(u64::try_from(kill + crash).unwrap());
            check(&after, &first).unwrap_or_else(|why| panic!("killed at {kill}, crash at {crash}: {why}"));
        }
    }
}

/// The negative controls: each sync that is left out, by the disk or by a build, is found out.
#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let script = script();
    for (lies, least) in [(Lies::Files, 60), (Lies::Directories, 60), (Lies::All, 60)] {
        let mut caught = 0;
        for call in 0..calls(&script, Upkeep::Prompt) {
            let disk = SimDisk::default();
            disk.lie(lies);
            disk.plan(call, Fault::Crash);
            let promised = play(&disk, &script, Upkeep::Prompt);
            caught += usize::from((0..4).any(|seed| check(&disk.reboot(seed), &promised).is_err()));
        }
        assert!(caught >= least, "{lies:?}: forgets too little to prove anything: {caught}");
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_space_returns() {
    let disk = SimDisk::default();
    let mut opened = start(&disk).unwrap();
    disk.limit_space(Some(80 * 1024));
    let mut promised = Promised::default();
    let script = script();
    let failed = script.iter().position(|batch| commit(&mut opened.log, batch, &mut promised.acked).is_err());
    let failed = failed.expect("three segments do not fit");
    assert!(opened.log.restore().is_err());
    disk.limit_space(None);
    opened.log.restore().unwrap();
    for batch in &script[failed..] {
        commit(&mut opened.log, batch, &mut promised.acked).unwrap();
    }
    drop(opened);
    check(&disk, &promised).unwrap();
}

#[test]
fn a_spare_that_something_else_cut_is_not_written_to() {
    let disk = SimDisk::default();
    let mut opened = start(&disk).unwrap();
    opened.log.upkeep().step();
    let spare = Path::new("/audit/gate-1.000001/spare.tmp");
    let mut file = disk.open(spare).unwrap();
    assert_eq!(file.byte_len().unwrap(), MIN_SEGMENT_BYTES);
    file.set_len(MIN_SEGMENT_BYTES - 1).unwrap();
    let mut promised = Promised::default();
    let mut refused = None;
    for (name, entry) in script().into_iter().flatten() {
        while let Err(error) = opened.log.commit([&entry].into_iter()) {
            assert!(refused.replace(error.to_string()).is_none(), "refused twice");
            opened.log.restore().unwrap();
        }
        promised.acked.insert(name);
    }
    let refused = refused.expect("the spare was taken as it was");
    assert_eq!(refused, "the spare segment has 32767 bytes, not 32768: something else wrote to it");
    drop(opened);
    check(&disk, &promised).unwrap();
}
