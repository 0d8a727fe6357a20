//! `pinegate witness` and `pinegate audit key`, as processes, by what other programs see of them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pinegate::kernel::id::Digest;
use pinegate::kernel::secret::Secret;
use pinegate::kernel::time::SystemClock;
use pinegate::pki::{DevelopmentCa, Overwrite};
use pinegate::tlog::cosignature::cosigned_at;
use pinegate::tlog::note::{Note, SignatureKind, new_private_key};
use pinegate::tlog::proof::prove_consistency;
use pinegate::tlog::witness::Request;
use pinegate::tlog::{Checkpoint, NoteSigner, TileNodes, TilePath, Tree, VerifierKey, leaf_hash};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;

use crate::city::{Body, Client, program, soon, until, whole};
use crate::skip::skip;

/// A log that a test writes: of up to 256 leaves, all of one branch of history.
struct Log {
    signer: NoteSigner,
}

impl Log {
    fn new(origin: &str) -> Self {
        let signer = NoteSigner::from_pkcs8(origin, SignatureKind::Ed25519, &new_private_key().unwrap());
        Self { signer: signer.unwrap() }
    }

    fn leaves(branch: &str, count: u64) -> Vec<Digest> {
        (0..count).map(|at| leaf_hash(format!("{branch} {at}").as_bytes())).collect()
    }

    fn head(&self, branch: &str, size: u64) -> Checkpoint {
        let mut tree = Tree::default();
        Self::leaves(branch, size).into_iter().for_each(|leaf| tree.push(leaf));
        Checkpoint { origin: self.signer.key().name().to_owned(), size, root: tree.root() }
    }

    /// Asks for the head of `new` leaves of a branch, from that of `old`.
    fn request(&self, branch: &str, old: u64, new: u64) -> String {
        let leaves = Self::leaves(branch, new);
        let tile = |_: TilePath| Ok::<_, ()>(leaves.iter().flat_map(|leaf| leaf.0).collect());
        let proof = prove_consistency(&mut TileNodes::new(new, tile), old, new).unwrap();
        let note = Note::parse(self.head(branch, new).sign(&self.signer).as_bytes()).unwrap();
        Request::new(old, proof, note).unwrap().to_string()
    }
}

/// A witness in a directory of its own.
pub(crate) struct Witness {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub(crate) address: SocketAddr,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The place of a witness: its key, configuration and state.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    pub(crate) key: VerifierKey,
}

impl Place {
    fn new(logs: &[&Log], more: &str) -> Self {
        let keys: Vec<_> = logs.iter().map(|log| log.signer.key().clone()).collect();
        Self::of(&keys, more)
    }

    /// The place of one that knows the logs of `keys`.
    pub(crate) fn of(keys: &[VerifierKey], more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("witness.key");
        let made = key_command(&["--new", "--witness", "witness.example/w1"], &key);
        let key = VerifierKey::parse(&made.unwrap()).unwrap();
        let logs: String = keys.iter().map(|key| format!("[[log]]\nkey = \"{key}\"\n")).collect();
        let config = format!(
            "listen = \"127.0.0.1:0\"\ndirectory = \"state\"\nname = \"witness.example/w1\"\nkey = \"witness.key\"\n\
             {logs}[telemetry]\nformat = \"json\"\n{more}"
        );
        std::fs::write(directory.path().join("witness.toml"), config).unwrap();
        Self { directory, key }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn start(&self, arguments: &[&str]) -> Witness {
        let mut child = self.spawn(arguments);
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let said = until("the witness to serve", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the witness did not start: {status}\n{:#?}", log.lock().unwrap());
            }
            log.lock().unwrap().iter().find(|line| line["message"] == "witnessing").cloned()
        });
        let said = said.await;
        assert_eq!(said["key"], self.key.to_string());
        Witness { child, log, address: said["address"].as_str().unwrap().parse().unwrap() }
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = program();
        command.arg("witness").arg("--config").arg(self.at("witness.toml")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts one that must not start: its exit code, and what it said.
    fn refuse(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.spawn(arguments).wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

impl Witness {
    fn kill(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }

    async fn post(&self, request: impl Into<String>) -> Answer {
        self.ask(Method::POST, "/add-checkpoint", request.into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        soon("an answer", ask(stream, method, path, body)).await.unwrap()
    }

    fn logged(&self, message: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line["message"] == message).count()
    }

    /// Waits until there are so many lines with this message, since they come by another way than answers do.
    async fn logs(&self, message: &str, lines: usize) {
        until(message, async || (self.logged(message) >= lines).then_some(())).await;
        assert_eq!(self.logged(message), lines, "{message}");
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    media_type: String,
    text: String,
}

async fn ask<S>(stream: S, method: Method, path: &str, body: String) -> Result<Answer, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri(path).header("host", "localhost");
    let response = sender.send_request(request.body(whole(body)).unwrap()).await?;
    let status = response.status().as_u16();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, media_type, text: String::from_utf8(body.to_vec()).unwrap() })
}

/// Runs `pinegate audit key`; what it printed, or what it said.
/// What `pinegate audit key` prints.
pub(crate) fn key_command(arguments: &[&str], file: &Path) -> Result<String, String> {
    let output = program().args(["audit", "key"]).args(arguments).arg(file).output().unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        code => Err(format!("{code:?}: {}", String::from_utf8(output.stderr).unwrap())),
    }
}

#[test]
fn a_key_is_made_once_and_shown_as_often_as_one_likes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoint.key");
    let made = key_command(&["--new", "--log", "gate-1"], &file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = VerifierKey::parse(&made).unwrap();
    assert_eq!((key.name(), key.kind()), ("gate-1", SignatureKind::Ed25519));
    assert_eq!(key_command(&["--log", "gate-1"], &file).unwrap(), made);
    // The same key is another one's under another name, or for another use.
    assert_ne!(key_command(&["--log", "gate-2"], &file).unwrap(), made);
    let before = std::fs::read(&file).unwrap();
    let refused = key_command(&["--new", "--log", "gate-1"], &file).unwrap_err();
    assert!(refused.starts_with("Some(70)") && refused.contains("cannot be written"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let signer = NoteSigner::from_pkcs8("gate-1", SignatureKind::Ed25519, &Secret::new(before)).unwrap();
    assert_eq!(signer.key(), &key);

    let other = directory.path().join("other.key");
    let refused = key_command(&["--new", "--log", "a name"], &other).unwrap_err();
    assert!(refused.starts_with("Some(1)") && refused.contains("no spaces"), "{refused}");
    assert!(!other.exists(), "a name that is refused makes no file");
    std::fs::write(&other, "nothing").unwrap();
    let refused = key_command(&["--log", "gate-1"], &other).unwrap_err();
    assert!(refused.starts_with("Some(1)") && refused.contains("no Ed25519 private key"), "{refused}");
    assert!(key_command(&["--log", "a", "--witness", "b"], &other).unwrap_err().starts_with("Some(2)"));
}

/// The OpenSSL program reads the key, and its public half is the one that is printed.
#[test]
fn openssl_reads_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoint.key");
    let made = VerifierKey::parse(&key_command(&["--new", "--log", "gate-1"], &file).unwrap()).unwrap();
    let public =
        Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(&file).output();
    let Ok(public) = public else {
        return skip("openssl", "there is no such program");
    };
    assert!(public.status.success(), "{}", String::from_utf8_lossy(&public.stderr));
    assert!(public.stdout.ends_with(made.bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_answers_as_the_specification_says() {
    let (log, other, stranger) = (Log::new("gate-1"), Log::new("gate-2"), Log::new("gate-1"));
    let place = Place::new(&[&log, &other], "");
    let mut witness = place.start(&["--new"]).await;

    let cosigned = witness.post(log.request("a", 0, 5)).await;
    assert_eq!(cosigned.status, 200, "{cosigned:?}");
    let note = format!("{}{}", log.head("a", 5).sign(&log.signer), cosigned.text);
    let at = cosigned_at(&Note::parse(note.as_bytes()).unwrap(), &place.key).unwrap();
    assert!((at.as_second() - crate::city::now().as_second()).abs() < 60, "{at}");

    // Monitors see what was cosigned, with both signatures.
    let page = format!("/{}/checkpoint", Digest::of(b"gate-1"));
    let kept = witness.ask(Method::GET, &page, String::new()).await;
    assert_eq!((kept.status, kept.text.as_str()), (200, note.as_str()));
    let nothing = format!("/{}/checkpoint", Digest::of(b"gate-2"));
    assert_eq!(witness.ask(Method::GET, &nothing, String::new()).await.status, 404);

    let check = async |request: String, status: u16| {
        let answer = witness.post(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        answer
    };
    check(stranger.request("a", 5, 6), 403).await;
    check(Log::new("gate-3").request("a", 0, 5), 404).await;
    check("nonsense".to_owned(), 400).await;
    check(log.request("a", 0, 6).replace("old 0", "old 7"), 400).await;
    check(log.request("b", 5, 9), 422).await;
    let same = check(log.request("b", 5, 5), 409).await;
    assert_eq!((same.media_type.as_str(), same.text.as_str()), ("text/x.tlog.size", "5\n"));
    let conflict = check(log.request("b", 4, 9), 409).await;
    assert_eq!((conflict.media_type.as_str(), conflict.text.as_str()), ("text/x.tlog.size", "5\n"));
    check("x".repeat(1 << 20), 413).await;
    // The fork is kept, as the log signed it, and only the first.
    let evidence = place.at(&format!("state/{}.fork", Digest::of(b"gate-1")));
    assert_eq!(std::fs::read_to_string(&evidence).unwrap(), format!("{note}\n{}", log.request("b", 5, 9)));
    // None of this has changed anything.
    check(log.request("a", 5, 9), 200).await;
    check(other.request("z", 0, 3), 200).await;
    assert_eq!(witness.ask(Method::GET, "/add-checkpoint", String::new()).await.status, 405);
    assert_eq!(witness.ask(Method::DELETE, &page, String::new()).await.status, 405);
    assert_eq!(witness.ask(Method::GET, "/healthz", String::new()).await.text, "ok\n");
    witness.logs("cosigned", 3).await;
    assert!((1..=2).contains(&witness.logged("refused: the log has two histories")));

    kill_process(Pid::from_child(&witness.child), Signal::TERM).unwrap();
    let status = until("the witness to end", async || witness.child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
    witness.logs("stopped", 1).await;
}

/// What a stranger makes of what is public: it must neither pass for a fork nor fill log and disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_forge_no_fork_and_fill_no_log() {
    let log = Log::new("gate-1");
    let place = Place::new(&[&log], "");
    let witness = place.start(&["--new"]).await;
    assert_eq!(witness.post(log.request("a", 0, 18)).await.status, 200);
    let page = format!("/{}/checkpoint", Digest::of(b"gate-1"));
    let public = witness.ask(Method::GET, &page, String::new()).await.text;
    let state = || {
        let files = std::fs::read_dir(place.at("state")).unwrap().map(|file| file.unwrap());
        let mut files: Vec<_> =
            files.map(|file| (file.file_name(), file.metadata().unwrap().modified().unwrap())).collect();
        files.sort();
        files
    };
    let before = state();
    let started = std::time::Instant::now();
    for _ in 0..8 {
        let junk = data_encoding::BASE64.encode(&[7; 32]);
        assert_eq!(witness.post(format!("old 18\n{junk}\n\n{public}")).await.status, 422);
        assert_eq!(witness.post(format!("old 0\n\n{public}")).await.status, 409);
        assert_eq!(witness.post(format!("old 18\n\n{public}")).await.status, 200);
    }
    assert_eq!(state(), before, "strangers have files written");
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    assert!(witness.logged("refused") <= seconds, "{} lines in {seconds} s", witness.logged("refused"));
    witness.logs("cosigned", 1).await;
    assert_eq!(witness.logged("refused: the log has two histories"), 0);
    // The true fork after that is told, and kept.
    assert_eq!(witness.post(log.request("b", 18, 18)).await.status, 409);
    witness.logs("refused: the log has two histories", 1).await;
    assert!(place.at(&format!("state/{}.fork", Digest::of(b"gate-1"))).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_is_killed_forgets_nothing() {
    const KILLS: u64 = 24;
    let log = Log::new("gate-1");
    let place = Place::new(&[&log], "");
    let (mut size, mut arguments) = (0, &["--new"][..]);
    for round in 0..KILLS {
        let mut witness = place.start(arguments).await;
        arguments = &[];
        let asked = witness.post(log.request("fork", 0, 200)).await;
        // What was answered is known; what was in work may be.
        let known: u64 = if round == 0 { 0 } else { asked.text.trim().parse().unwrap() };
        if round == 0 {
            // Nothing was known, so this history is the true one now.
            assert_eq!(asked.status, 200);
            size = 200;
            let other = witness.post(log.request("a", 0, 3)).await;
            assert_eq!((other.status, other.text.as_str()), (409, "200\n"));
        } else {
            assert!(asked.status == 409 && (size..=size + 1).contains(&known), "{known} after {size}");
            size = known;
        }
        let next = witness.post(log.request("fork", size, size + 1)).await;
        assert_eq!(next.status, 200, "{next:?}");
        size += 1;
        // One more that nobody waits for, and the end at any moment of it.
        let stream = TcpStream::connect(witness.address).await.unwrap();
        let request = log.request("fork", size, size + 1);
        let in_work = tokio::spawn(ask(stream, Method::POST, "/add-checkpoint", request));
        for _ in 0..round * 40 {
            tokio::task::yield_now().await;
        }
        witness.kill();
        if let Ok(Ok(answer)) = in_work.await {
            assert_eq!(answer.status, 200, "{answer:?}");
            size += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_is_made_on_purpose_and_worked_on_by_one() {
    let log = Log::new("gate-1");
    let place = Place::new(&[&log], "");
    let (code, said) = place.refuse(&[]);
    assert_eq!(code, Some(70), "{said}");
    assert!(said.contains("holds no state of a witness") && said.contains("`--new`"), "{said}");
    let witness = place.start(&["--new"]).await;
    let (code, said) = place.refuse(&[]);
    assert!(code == Some(70) && said.contains("another witness works in"), "{said}");
    let (code, said) = place.refuse(&["--new"]);
    assert!(code == Some(70) && said.contains("is there already"), "{said}");
    assert_eq!(witness.post(log.request("a", 0, 5)).await.status, 200);
    drop(witness);

    // A log that it has cosigned and knows nothing of is not a new one.
    let kept = place.at(&format!("state/{}.checkpoint", Digest::of(b"gate-1")));
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::remove_file(&kept).unwrap();
    let (code, said) = place.refuse(&[]);
    assert!(code == Some(70) && said.contains("has cosigned `gate-1`"), "{said}");

    // A flipped bit of what it kept is not cosigned on.
    std::fs::write(&kept, text.replacen("\n5\n", "\n4\n", 1)).unwrap();
    let (code, said) = place.refuse(&[]);
    assert!(code == Some(70) && said.contains("is not what this witness kept of `gate-1`"), "{said}");

    std::fs::write(place.at("witness.toml"), "listen = 7\n").unwrap();
    let (code, said) = place.refuse(&[]);
    assert!(code == Some(64) && said.contains("`listen`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_take_only_so_many_places() {
    let log = Log::new("gate-1");
    let place = Place::new(&[&log], "");
    let witness = place.start(&["--new"]).await;
    let mut idle = Vec::new();
    for _ in 0..32 {
        idle.push(TcpStream::connect(witness.address).await.unwrap());
    }
    // The next is closed at once, with nothing read.
    let mut last = TcpStream::connect(witness.address).await.unwrap();
    let mut nothing = [0];
    let closed = soon("the end of one connection too many", last.read(&mut nothing)).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    drop(idle);
    let request = log.request("a", 0, 5);
    let cosigned = until("a free place", async || {
        let stream = TcpStream::connect(witness.address).await.ok()?;
        ask(stream, Method::POST, "/add-checkpoint", request.clone()).await.ok()
    });
    assert_eq!(cosigned.await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_speaks_tls() {
    let log = Log::new("gate-1");
    let place = Place::new(&[&log], "[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n");
    let now = pinegate::kernel::time::Clock::now(&SystemClock);
    let directory = place.directory.path();
    let ca = DevelopmentCa::create(directory, "Test CA", 30, now, Overwrite::Refuse).unwrap();
    ca.issue_server("server", &["localhost"], 30, now, Overwrite::Refuse).unwrap();
    let witness = place.start(&["--new"]).await;
    let stream = Client::to(witness.address, &ca.certificate()).open(b"http/1.1").await.unwrap();
    let answer = ask(stream, Method::POST, "/add-checkpoint", log.request("a", 0, 5)).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK.as_u16(), "{answer:?}");
    // In clear text nothing is answered.
    let plain = TcpStream::connect(witness.address).await.unwrap();
    assert!(soon("a refusal", ask(plain, Method::GET, "/healthz", String::new())).await.is_err());
}
