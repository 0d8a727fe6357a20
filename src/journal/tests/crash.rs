//! Every crash at every call: what was acknowledged is there afterwards, or the log says why not.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::sim::{Fault, SimDisk};
use super::{access, event_with};
use crate::audit::{Entry, Kind, ParsedRecord};
use crate::journal::log::Log;
use crate::journal::read::verify_on;
use crate::journal::recover::{Opened, open};
use crate::journal::scan::scan;
use crate::journal::storage::Storage;
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
    open(&config(), &storage, &ManualClock::new(Timestamp::UNIX_EPOCH), false)
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

/// Plays the script until the disk crashes and says what was acknowledged.
fn play(disk: &SimDisk, script: &[Vec<(String, Entry)>]) -> BTreeSet<String> {
    let mut acked = BTreeSet::new();
    let Ok(mut opened) = start(disk) else { return acked };
    for batch in script {
        if commit(&mut opened.log, batch, &mut acked).is_err() {
            return acked;
        }
    }
    // A failed close leaves the generation to the next start.
    opened.log.close().ok();
    acked
}

/// The names of all records of all generations.
fn present(disk: &SimDisk) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let directory = Path::new("/audit");
    for place in crate::journal::layout::generations(disk, directory).unwrap() {
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

/// What is wrong after recovery, if anything.
fn check(disk: &SimDisk, acked: &BTreeSet<String>) -> Result<(), String> {
    let mut opened = start(disk).map_err(|error| format!("refused: {error}"))?;
    opened.log.close().map_err(|error| error.to_string())?;
    let report = verify_on(disk, Path::new("/audit")).map_err(|error| error.to_string())?;
    if !report.is_intact() {
        return Err(format!("damaged: {:?}", report.damage));
    }
    let found = present(disk);
    if let Some(missing) = acked.difference(&found).next() {
        return Err(format!("`{missing}` was acknowledged and is gone"));
    }
    let is_id = |name: &str| name.parse::<crate::kernel::id::RequestId>().is_ok();
    match found.iter().find(|name| is_id(name) && !found.contains(&format!("{name} outcome"))) {
        Some(open) => Err(format!("the intent `{open}` was left open")),
        None => Ok(()),
    }
}

/// How many calls the script makes without any fault.
fn calls(script: &[Vec<(String, Entry)>]) -> usize {
    let disk = SimDisk::default();
    let acked = play(&disk, script);
    assert_eq!(acked.len(), script.iter().flatten().count());
    check(&disk, &acked).unwrap();
    assert!(verify_on(&disk, Path::new("/audit")).unwrap().records > 20);
    disk.calls()
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    let script = script();
    for call in 0..calls(&script) {
        let disk = SimDisk::default();
        disk.plan(call, Fault::Crash);
        let acked = play(&disk, &script);
        for seed in 0..12 {
            let after = disk.reboot(seed);
            check(&after, &acked).unwrap_or_else(|why| panic!("crash at {call}, seed {seed}: {why}"));
        }
    }
}

#[test]
fn an_error_at_any_call_and_a_crash_later_lose_nothing_acknowledged() {
    let script = script();
    let calls = calls(&script);
    for code in [EIO, ENOSPC] {
        for call in 0..calls {
            let crashes = [call + 1, call + 2, call + 3, call + 4, call + 6, call + 9, call + 14, usize::MAX];
            for crash in crashes {
                let disk = SimDisk::default();
                disk.plan(call, Fault::Error(code));
                disk.plan(crash, Fault::Crash);
                let acked = play(&disk, &script);
                let after = disk.reboot(u64::try_from(call).unwrap());
                check(&after, &acked)
                    .unwrap_or_else(|why| panic!("error {code} at {call}, crash at {crash}: {why}"));
            }
        }
    }
}

#[test]
fn a_crash_during_recovery_loses_nothing_acknowledged() {
    let script = script();
    let calls = calls(&script);
    for first in (0..calls).step_by(5) {
        let disk = SimDisk::default();
        disk.plan(first, Fault::Crash);
        let acked = play(&disk, &script);
        let mut second = 0;
        loop {
            let again = disk.reboot(7);
            again.plan(second, Fault::Crash);
            // The crash may come before or after the recovery has ended.
            start(&again).ok();
            let recovered = !again.state_is_crashed();
            let after = again.reboot(11);
            check(&after, &acked)
                .unwrap_or_else(|why| panic!("crash at {first} and again at {second}: {why}"));
            if recovered {
                break;
            }
            second += 1;
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let script = script();
    let mut caught = 0;
    for call in 0..calls(&script) {
        let disk = SimDisk::default();
        disk.lie();
        disk.plan(call, Fault::Crash);
        let acked = play(&disk, &script);
        caught += usize::from(check(&disk.reboot(1), &acked).is_err());
    }
    assert!(caught > 10, "the simulated disk forgets too little to prove anything: {caught}");
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_space_returns() {
    let disk = SimDisk::default();
    let mut opened = start(&disk).unwrap();
    disk.limit_space(Some(80 * 1024));
    let mut acked = BTreeSet::new();
    let script = script();
    let failed = script.iter().position(|batch| commit(&mut opened.log, batch, &mut acked).is_err());
    let failed = failed.expect("three segments do not fit");
    assert!(opened.log.restore().is_err());
    disk.limit_space(None);
    opened.log.restore().unwrap();
    for batch in &script[failed..] {
        commit(&mut opened.log, batch, &mut acked).unwrap();
    }
    drop(opened);
    check(&disk, &acked).unwrap();
}
