//! Which kind of record follows an intent.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::audit::ParsedRecord;
use crate::journal::read::Records;
use crate::journal::{DiskStorage, Fault, JournalConfig, Observer};
use crate::kernel::id::NodeId;
use crate::proxy::problem::Language;
use crate::proxy::rescue::tests::{live, peer};
use crate::telemetry::Metrics;

#[derive(Debug)]
struct Quiet;

impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: Option<&Fault>) {}
    fn queued(&self, _: usize) {}
}

/// The kinds of the records in a log, in their order.
fn kinds(directory: &Path) -> Vec<String> {
    let mut records = Records::open(directory).unwrap();
    let mut kinds = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        kinds.push(ParsedRecord::parse(line).unwrap().kind);
    }
    kinds
}

/// A log may take the refusal of a request whose intent it did not take. An outcome without an intent would be held
/// for a deletion by whoever verifies it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_intent_that_is_not_on_record_comes_no_outcome() {
    let ground = tempfile::tempdir().unwrap();
    let ((snapshot, clock), peer) = (live(), peer());
    let stages = Metrics::new().unwrap().stages();
    let recorder = |name: &str| {
        let config = JournalConfig::new(ground.path().join(name), NodeId::parse("gate-1").unwrap());
        let opened = Journal::open(config, Arc::new(DiskStorage), Arc::clone(&clock), Arc::new(Quiet));
        Arc::new(Recorder::new(opened.unwrap().0, stages.clone(), CancellationToken::new()))
    };
    let (takes, refuses) = (recorder("takes"), recorder("refuses"));
    refuses.journal.close().unwrap();
    for (intends, is_taken) in [(&takes, true), (&refuses, false)] {
        let draft = Arc::new(Draft::new(clock.now(), Language::En));
        let caller = snapshot.callers.values().next().unwrap();
        Draft::note(&draft.caller, Arc::clone(caller));
        let (snapshot, peer) = (Arc::clone(&snapshot), Arc::clone(&peer));
        let about = Circumstances { draft, snapshot, peer, method: http::Method::POST };
        assert_eq!(intends.intend(&about).await.is_ok(), is_taken);
        let reply = Response::new(ReplyBody::whole("a problem, or what the platform said"));
        assert!(takes.release(&about, reply).await.is_ok());
    }
    takes.journal.close().unwrap();
    assert_eq!(kinds(&ground.path().join("takes")), ["intent", "outcome", "access"]);
}
