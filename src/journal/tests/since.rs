//! Reading on from an instant.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::*;
use crate::journal::read::since;

/// Long replies that began before midnight end among short ones that came after it, and their outcomes
/// stand at the head of many a segment.
#[test]
fn what_ended_after_an_instant_is_found_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { segment_bytes: MIN_SEGMENT_BYTES, ..config(dir.path()) };
    let open = Journal::open(config.clone(), Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Quiet));
    let (journal, _) = open.unwrap();
    let midnight: Timestamp = "2026-03-01T16:00:00Z".parse().unwrap();
    let seconds = Duration::from_secs;
    let (before, just_before) = (midnight - seconds(3_600), midnight - seconds(1));
    let write = |kind, at, took| {
        let id = RequestId::generate();
        journal.submit(access_at(kind, id, at, took)).unwrap();
        id.to_string()
    };
    let mut wanted = BTreeSet::new();
    for n in 0..300 {
        write(Kind::Access, before + seconds(n), Some(seconds(1)));
        write(Kind::Outcome, before, Some(seconds(n)));
    }
    for n in 0..300 {
        wanted.insert(write(Kind::Access, midnight + seconds(n), Some(seconds(0))));
        wanted.insert(write(Kind::Outcome, before, Some(seconds(3_600 + n))));
        // An intent that was long in coming says nothing of the instant at which it was written.
        write(Kind::Intent, just_before, None);
    }
    journal.close().unwrap();
    let generation = config.directory.join("gate-1.000001");
    assert!(layout::segments(&DiskStorage, &generation).unwrap().len() > 4);
    let mut found = BTreeSet::new();
    since(&config.directory, midnight, &mut |record| {
        found.extend(record.request);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found.len(), wanted.len());
    assert!(found == wanted);
}
