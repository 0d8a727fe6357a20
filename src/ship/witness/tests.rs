//! Witnesses over a real log and tree, and a server that decides as `tlog` does.

use std::path::PathBuf;
use std::sync::Mutex;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::audit::{Event, Lifecycle};
use crate::config::CheckpointSettings;
use crate::journal::{
    DiskStorage, Fault, Journal, JournalConfig, JournalError, Observer, PublishObserver, PublishSettings,
    Publisher, Refusal, SignedHead,
};
use crate::kernel::bound::ByteLimit;
use crate::kernel::id::{Digest, NodeId};
use crate::kernel::secret::Secret;
use crate::kernel::time::SystemClock;
use crate::tlog::note::{Note, SignatureKind};
use crate::tlog::{Checkpoint, NoteSigner, witness};

#[derive(Debug)]
struct Deaf;

impl Observer for Deaf {
    fn committed(&self, _records: usize, _bytes: usize, _took: Duration) {}
    fn durable(&self, _fault: Option<&Fault>) {}
    fn queued(&self, _records: usize) {}
}

impl PublishObserver for Deaf {
    fn signed(&self, _head: &SignedHead) {}
    fn refused(&self, why: &Refusal) {
        panic!("{why}");
    }
    fn failed(&self, error: &JournalError) {
        panic!("{error}");
    }
}

fn node() -> NodeId {
    NodeId::parse("gate-1").unwrap()
}

fn key() -> Secret {
    Secret::new(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref().to_vec())
}

fn signer(name: &str, kind: SignatureKind, key: &Secret) -> NoteSigner {
    NoteSigner::from_pkcs8(name, kind, key).unwrap()
}

/// A log that is written and published.
struct Ground {
    directory: TempDir,
    key: Secret,
    journal: Journal,
    publisher: Publisher,
}

impl Ground {
    fn new() -> Self {
        let (directory, key) = (TempDir::new().unwrap(), key());
        let audit = directory.path().join("audit");
        let config = JournalConfig::new(audit.clone(), node());
        let disk: Arc<dyn crate::journal::Storage> = Arc::new(DiskStorage);
        let (clock, deaf) = (Arc::new(SystemClock), Arc::new(Deaf));
        let opened = Journal::open(config, Arc::clone(&disk), clock.clone(), deaf.clone());
        let journal = opened.unwrap().0;
        let settings = PublishSettings {
            directory: audit,
            signer: Arc::new(signer("gate-1", SignatureKind::Ed25519, &key)),
            every: Duration::from_secs(1),
            records: 1_000,
        };
        let publisher = Publisher::new(settings, disk, clock, journal.progress(), deaf);
        Self { directory, key, journal, publisher }
    }

    fn audit(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    fn log(&self) -> VerifierKey {
        signer("gate-1", SignatureKind::Ed25519, &self.key).key().clone()
    }

    /// Writes records and signs a head over all.
    async fn grow(&mut self, records: usize) {
        for _ in 0..records {
            let at = SystemClock.now();
            let entry = Lifecycle {
                at,
                event: Event::Reload,
                actor: "test",
                detail: &[],
                policy: None,
                config: None,
            };
            self.journal.append(entry.encode()).await.unwrap();
        }
        self.publisher.finish();
    }

    fn witnesses(&self, of: &[&Server]) -> (Witnesses, Metrics) {
        let key = |server: &&Server| WitnessSettings {
            key: server.key.clone(),
            url: format!("http://{}/{}", server.at, server.key.name()).parse().unwrap(),
            ca: None,
        };
        let audit = Audit {
            directory: self.audit(),
            node: node(),
            segment_bytes: ByteLimit::bytes(1 << 20),
            retention_days: 1_095,
            low_space: ByteLimit::bytes(1),
            raised_priority: false,
            pseudonym_key: None,
            checkpoint: Some(CheckpointSettings {
                signer: Arc::new(signer("gate-1", SignatureKind::Ed25519, &self.key)),
                every: Duration::from_secs(1),
                records: 1_000,
            }),
            witnesses: of.iter().map(key).collect(),
            sinks: Vec::new(),
        };
        let metrics = Metrics::new().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let made = Witnesses::new(&audit, &metrics, &clock, CancellationToken::new());
        (made.unwrap().unwrap(), metrics)
    }

    /// The witnessed head: its size, and whose cosignatures it has.
    fn witnessed(&self, servers: &[&Server]) -> Option<(u64, Vec<String>)> {
        let bytes = std::fs::read(self.audit().join("gate-1.tlog/witnessed")).ok()?;
        let (checkpoint, note) = Checkpoint::open(&bytes, &self.log()).unwrap();
        let by =
            servers.iter().filter(|server| crate::tlog::cosignature::cosigned_at(&note, &server.key).is_ok());
        Some((checkpoint.size, by.map(|server| server.key.name().to_owned()).collect()))
    }
}

/// How a witness is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Well,
    Down,
    /// It signs with another key than its own.
    Forging,
    /// It answers with what this is no answer to.
    Babbling,
    /// It signs a text of its own, and answers so that it looks like the end of the head.
    Appending,
}

#[derive(Debug)]
struct State {
    signer: NoteSigner,
    witness: witness::Witness,
    forger: witness::Witness,
    latest: Mutex<Option<Checkpoint>>,
    mood: Mutex<Mood>,
    asked: Mutex<Vec<u64>>,
}

/// A witness that serves.
struct Server {
    at: std::net::SocketAddr,
    key: VerifierKey,
    state: Arc<State>,
}

impl Server {
    async fn start(name: &str, logs: &[VerifierKey]) -> Self {
        let signer = |secret: &Secret| signer(name, SignatureKind::Cosignature, secret);
        let witness = |secret: &Secret| witness::Witness::new(signer(secret), logs.iter().cloned()).unwrap();
        let own = key();
        let state = Arc::new(State {
            signer: signer(&own),
            witness: witness(&own),
            forger: witness(&key()),
            latest: Mutex::default(),
            mood: Mutex::default(),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (serving, path) = (Arc::clone(&state), format!("/{name}/add-checkpoint"));
        tokio::runtime::Handle::current().spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (state, path) = (Arc::clone(&serving), path.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        assert_eq!(request.uri().path(), path);
                        answer(Arc::clone(&state), request)
                    });
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self { at, key: state.witness.key().clone(), state }
    }

    fn feel(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// The sizes it was asked with since the last time.
    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mood = *state.mood.lock().unwrap();
    let reply =
        |status: u16, text: String| Ok(Response::builder().status(status).body(Full::from(text)).unwrap());
    let request = witness::Request::parse(&body).unwrap();
    state.asked.lock().unwrap().push(request.old);
    let mut latest = state.latest.lock().unwrap();
    let by = match mood {
        Mood::Well => &state.witness,
        Mood::Forging => &state.forger,
        Mood::Down => return Err(std::io::ErrorKind::BrokenPipe.into()),
        Mood::Babbling => return reply(409, "more\n".to_owned()),
        Mood::Appending => {
            let text = format!("{}\nX\n", request.note.text());
            let line = crate::tlog::cosignature::cosign(&text, &state.signer, SystemClock.now()).unwrap();
            return reply(200, format!("X\n\n{line}"));
        }
    };
    match by.judge(&request, latest.as_ref(), SystemClock.now()) {
        Ok(cosigned) => {
            *latest = Some(cosigned.checkpoint);
            // Lines of keys that nobody knows are passed over.
            reply(200, format!("— stranger AAAAAAAA\n{}", cosigned.line))
        }
        Err(witness::Refusal::Conflict { latest, .. }) => reply(409, format!("{latest}\n")),
        Err(refusal @ witness::Refusal::Forked { at, .. }) => reply(refusal.status(), format!("{at}\n")),
        Err(refusal) => reply(refusal.status(), String::new()),
    }
}

fn failures(metrics: &Metrics, server: &Server, reason: &str) -> bool {
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    let name = server.key.name();
    let series = format!("pinegate_audit_witness_failures_total{{reason=\"{reason}\",witness=\"{name}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
    line != "0"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_cosigned_as_the_log_grows() {
    let mut ground = Ground::new();
    let (one, two) =
        (Server::start("w.1", &[ground.log()]).await, Server::start("w.2", &[ground.log()]).await);
    let both = [&one, &two];
    let (mut witnesses, _) = ground.witnesses(&both);
    witnesses.round().await.unwrap();
    assert_eq!(ground.witnessed(&both), None, "there is no head yet");
    for (records, size) in [(3, 3), (260, 263), (1, 264)] {
        ground.grow(records).await;
        witnesses.round().await.unwrap();
        let names = vec!["w.1".to_owned(), "w.2".to_owned()];
        assert_eq!(ground.witnessed(&both), Some((size, names)));
    }
    witnesses.round().await.unwrap();
    assert_eq!((one.asked(), two.asked()), (vec![0, 3, 263], vec![0, 3, 263]), "nothing is asked twice");
    // The next process knows from the file what was cosigned.
    drop(witnesses);
    let (mut witnesses, _) = ground.witnesses(&both);
    witnesses.round().await.unwrap();
    ground.grow(10).await;
    witnesses.round().await.unwrap();
    assert_eq!(one.asked(), [264]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_was_away_catches_up() {
    let mut ground = Ground::new();
    let (one, two) =
        (Server::start("w.1", &[ground.log()]).await, Server::start("w.2", &[ground.log()]).await);
    let both = [&one, &two];
    let (mut witnesses, metrics) = ground.witnesses(&both);
    witnesses.pace.most = Duration::ZERO;
    two.feel(Mood::Down);
    ground.grow(5).await;
    witnesses.round().await.unwrap();
    assert_eq!(ground.witnessed(&both), Some((5, vec!["w.1".to_owned()])));
    assert!(failures(&metrics, &two, "unreachable") && !failures(&metrics, &one, "unreachable"));
    // The same head gets the second cosignature beside the first.
    two.feel(Mood::Well);
    one.feel(Mood::Down);
    witnesses.round().await.unwrap();
    assert_eq!(ground.witnessed(&both), Some((5, vec!["w.1".to_owned(), "w.2".to_owned()])));
    // One that answers what nobody hears is found to have cosigned.
    one.feel(Mood::Well);
    std::fs::remove_file(ground.audit().join("gate-1.tlog/witnessed")).unwrap();
    drop(witnesses);
    ground.grow(2).await;
    let (mut witnesses, _) = ground.witnesses(&both);
    one.asked();
    witnesses.round().await.unwrap();
    assert_eq!(ground.witnessed(&both), Some((7, vec!["w.1".to_owned(), "w.2".to_owned()])));
    assert_eq!(one.asked(), [0, 5], "asked with nothing, it says what it has");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_of_the_name_is_told_apart_from_all_else() {
    let mut ground = Ground::new();
    let server = Server::start("w.1", &[ground.log()]).await;
    ground.grow(5).await;
    let other = |size| Checkpoint { origin: "gate-1".to_owned(), size, root: Digest::of(b"another") };
    for (latest, mood, reason) in [
        (Some(other(5)), Mood::Well, "fork"),
        (Some(other(4)), Mood::Well, "fork"),
        (Some(other(9)), Mood::Well, "fork"),
        (None, Mood::Forging, "invalid"),
        (None, Mood::Babbling, "invalid"),
        (None, Mood::Appending, "invalid"),
        (None, Mood::Down, "unreachable"),
    ] {
        *server.state.latest.lock().unwrap() = latest;
        server.feel(mood);
        let (mut witnesses, metrics) = ground.witnesses(&[&server]);
        witnesses.round().await.unwrap();
        for known in WitnessFailure::ALL.iter().map(|known| known.as_str()) {
            assert_eq!(failures(&metrics, &server, known), known == reason, "{mood:?}: {known}");
        }
        assert_eq!(ground.witnessed(&[&server]), None);
    }
    let stranger = Server::start("w.2", &[]).await;
    let (mut witnesses, metrics) = ground.witnesses(&[&stranger]);
    witnesses.round().await.unwrap();
    assert!(failures(&metrics, &stranger, "refused"));
}

/// What one witness answers spoils nothing of what the others have signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_witness_that_lies_leaves_the_others_their_word() {
    let mut ground = Ground::new();
    let (one, two) =
        (Server::start("w.1", &[ground.log()]).await, Server::start("w.2", &[ground.log()]).await);
    let both = [&one, &two];
    two.feel(Mood::Appending);
    let (mut witnesses, metrics) = ground.witnesses(&both);
    ground.grow(5).await;
    witnesses.round().await.unwrap();
    assert_eq!(ground.witnessed(&both), Some((5, vec!["w.1".to_owned()])));
    let text = std::fs::read_to_string(ground.audit().join("gate-1.tlog/witnessed")).unwrap();
    assert!(!text.contains("w.2") && failures(&metrics, &two, "invalid"), "{text}");
    // What was kept with a wrong signature is not gone on from.
    drop(witnesses);
    let line = crate::tlog::cosignature::cosign("another\n", &two.state.signer, SystemClock.now()).unwrap();
    std::fs::write(ground.audit().join("gate-1.tlog/witnessed"), format!("{text}{line}")).unwrap();
    two.feel(Mood::Well);
    let (mut witnesses, _) = ground.witnesses(&both);
    witnesses.round().await.unwrap();
    assert_eq!(ground.witnessed(&both), Some((5, vec!["w.1".to_owned(), "w.2".to_owned()])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_lost_its_memory_is_not_believed() {
    let mut ground = Ground::new();
    let server = Server::start("w.1", &[ground.log()]).await;
    ground.grow(5).await;
    let (mut witnesses, _) = ground.witnesses(&[&server]);
    witnesses.round().await.unwrap();
    *server.state.latest.lock().unwrap() = None;
    ground.grow(1).await;
    server.asked();
    witnesses.round().await.unwrap();
    drop(witnesses);
    // The next process knows from the file what was cosigned.
    let (mut witnesses, metrics) = ground.witnesses(&[&server]);
    witnesses.round().await.unwrap();
    assert!(failures(&metrics, &server, "invalid"));
    assert_eq!(server.asked(), [5, 5], "it is not asked to begin anew");
    assert_eq!(ground.witnessed(&[&server]), Some((5, vec!["w.1".to_owned()])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_tree_is_shown_to_nobody() {
    let mut ground = Ground::new();
    let server = Server::start("w.1", &[ground.log()]).await;
    ground.grow(5).await;
    let tile = ground.audit().join("gate-1.tlog/tile/0/000.p/5");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&tile, &bytes).unwrap();
    let (mut witnesses, metrics) = ground.witnesses(&[&server]);
    witnesses.round().await.unwrap();
    assert!(failures(&metrics, &server, "local") && server.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_asks_at_a_time() {
    let mut ground = Ground::new();
    let server = Server::start("w.1", &[ground.log()]).await;
    ground.grow(5).await;
    let ((mut old, _), (mut new, _)) = (ground.witnesses(&[&server]), ground.witnesses(&[&server]));
    old.round().await.unwrap();
    ground.grow(1).await;
    new.round().await.unwrap();
    assert_eq!(server.asked(), [0]);
    drop(old);
    new.round().await.unwrap();
    assert_eq!(server.asked(), [5]);
}

#[test]
fn a_newer_head_replaces_an_older_one() {
    let ground = signer("gate-1", SignatureKind::Ed25519, &key());
    let head = |size| {
        let checkpoint = Checkpoint { origin: "gate-1".to_owned(), size, root: Digest::of(b"root") };
        let note = Note::parse(checkpoint.sign(&ground).as_bytes()).unwrap();
        Head { checkpoint, note }
    };
    let cosigners = ["w.1", "w.2"].map(|name| signer(name, SignatureKind::Cosignature, &key()));
    let line = |by: usize, head: &Head| {
        crate::tlog::cosignature::cosign(head.note.text(), &cosigners[by], SystemClock.now()).unwrap()
    };
    let by = |kept: &Kept| cosigners.iter().filter(|by| kept.cosigned_at(by.key()).is_some()).count();
    let first = head(5);
    let keys: Vec<_> = cosigners.iter().map(NoteSigner::key).collect();
    let one = Kept::with(None, &first, &line(0, &first), &keys).unwrap();
    let two = Kept::with(Some(&one), &first, &line(1, &first), &keys).unwrap();
    assert_eq!((one.size(), by(&one), two.size(), by(&two)), (5, 1, 5, 2));
    // The same witness again says it once.
    let again = Kept::with(Some(&two), &first, &line(1, &first), &keys).unwrap();
    assert_eq!(by(&again), 2);
    let second = head(6);
    let newer = Kept::with(Some(&two), &second, &line(0, &second), &keys).unwrap();
    assert_eq!((newer.size(), by(&newer)), (6, 1));
    // Neither a cosignature of another head, nor more than signature lines.
    assert!(matches!(Kept::with(None, &second, &line(0, &first), &keys), Err(KeepError::Cosigned(_))));
    let more = format!("X\n\n{}", line(0, &second));
    assert!(matches!(Kept::with(None, &second, &more, &keys), Err(KeepError::Lines(_))));
}
