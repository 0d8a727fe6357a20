use super::*;
use crate::audit::Lifecycle;
use crate::kernel::time::{SystemClock, Timestamp};

#[derive(Debug)]
struct Quiet;
impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: bool) {}
    fn queued(&self, _: usize) {}
}

fn config(directory: &std::path::Path) -> JournalConfig {
    JournalConfig::new(directory.join("audit"), NodeId::parse("gate-1").unwrap())
}

fn event(text: &str) -> crate::audit::Entry {
    Lifecycle {
        at: Timestamp::UNIX_EPOCH,
        event: "start",
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
