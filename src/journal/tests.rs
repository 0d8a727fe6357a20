mod corpus;
mod crash;
mod gather;
mod keep;
mod live;
mod publish;
mod search;
mod sim;
mod since;
mod succeed;
mod tamper;

use super::*;
use crate::audit::{Access, Entry, Event, Kind, Lifecycle, Outcome};
use crate::kernel::id::{Digest, RequestId};
use crate::kernel::time::{SystemClock, Timestamp};

#[derive(Debug)]
struct Quiet;
impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: Option<&Fault>) {}
    fn queued(&self, _: usize) {}
}

fn config(directory: &std::path::Path) -> JournalConfig {
    JournalConfig::new(directory.join("audit"), NodeId::parse("gate-1").unwrap())
}

fn event_with(actor: &str, detail: &[(&'static str, &str)]) -> Entry {
    Lifecycle { at: Timestamp::UNIX_EPOCH, event: Event::Reload, actor, detail, policy: None, config: None }
        .encode()
}

fn access(kind: Kind, id: Option<RequestId>) -> (RequestId, Entry) {
    let id = id.unwrap_or_else(RequestId::generate);
    (id, access_at(kind, id, Timestamp::UNIX_EPOCH, None))
}

/// An access that came at `at` and, if it has ended, took so long.
fn access_at(kind: Kind, request_id: RequestId, at: Timestamp, took: Option<Duration>) -> Entry {
    Access {
        kind,
        at,
        request_id,
        trace_id: None,
        system: None,
        department: None,
        certificate: &Digest([7; 32]),
        address: "192.0.2.1".parse().unwrap(),
        method: "GET",
        route: Some("/population/residents"),
        resource: None,
        provider: None,
        action: None,
        purpose: None,
        purpose_source: None,
        token_id: None,
        requested: &[],
        parameters: &[],
        withheld: &[],
        subjects: None,
        narrowed_to: None,
        decision: "permit",
        reason: None,
        admitted: None,
        grants: &[],
        denied_by: &[],
        released: &[],
        policy: "aa",
        config: "bb",
        shadow: None,
        outcome: took.map(|took| Outcome {
            status: 200,
            bytes_in: 0,
            bytes_out: 0,
            records: None,
            masked: &[],
            dropped: &[],
            egress: &[],
            unclassified: 0,
            submitted: None,
            received_mac: None,
            sent_sha256: None,
            total_us: took.as_micros().try_into().unwrap(),
            decide_us: 0,
            upstream_us: 0,
            attempts: 1,
            aborted: None,
            ended_by: None,
        }),
    }
    .encode()
}

fn event(text: &str) -> Entry {
    Lifecycle {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Start,
        actor: text,
        detail: &[],
        policy: None,
        config: None,
    }
    .encode()
}

#[tokio::test]
async fn appends_are_numbered_and_survive_closing() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        || Journal::open(config(dir.path()), Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Quiet));
    let (journal, recovery) = open().unwrap();
    assert_eq!(recovery.generation, 1);
    assert_eq!(journal.append(event("a")).await, Ok(0));
    assert_eq!(journal.append(event("b")).await, Ok(1));
    journal.close().unwrap();
    assert_eq!(journal.append(event("c")).await, Err(AppendError::Closed));
    let (second, recovery) = open().unwrap();
    assert_eq!((recovery.generation, recovery.recovered), (2, vec![]));
    assert_eq!(second.append(event("d")).await, Ok(1));
    second.close().unwrap();
}
