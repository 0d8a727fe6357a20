//! A gate that takes over from another, on sockets that neither of them owns.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::task::JoinSet;

use crate::city::{
    ANY_PORT, Call, Client, Gate, Http, Plan, Reply, SURVEY, SURVEYOR, Site, assert_intact, program, records,
    run_to_end, soon, until,
};

/// Files of gates, and the sockets that whoever starts them holds.
struct Ground {
    site: Site,
    clients: TcpListener,
    metrics: TcpListener,
}

impl Ground {
    async fn new() -> Self {
        let [clients, metrics] = [(); 2].map(|()| TcpListener::bind(ANY_PORT).unwrap());
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let plan = Plan::new().unlimited().config("\"127.0.0.1:0\"", &format!("\"{}\"", address(&clients)));
        let plan = plan.config("\"127.0.0.1:0\"", &format!("\"{}\"", address(&metrics)));
        Self { site: plan.start_platform().await, clients, metrics }
    }

    fn sockets(&self) -> [OwnedFd; 2] {
        [&self.clients, &self.metrics].map(|listener| listener.try_clone().unwrap().into())
    }

    /// The configuration, with an operators' socket of its own.
    fn config(&self, name: &str) -> PathBuf {
        let text = self.site.files.read("gateway.toml").replace("admin.sock", &format!("{name}.sock"));
        self.site.files.write(&format!("{name}.toml"), &text);
        self.site.files.at(&format!("{name}.toml"))
    }

    async fn gate(&self, name: &str) -> Gate {
        Gate::start_on(&self.config(name), self.sockets()).await
    }
}

/// Callers that open a connection for each request and count what fails.
struct Callers {
    tasks: JoinSet<Vec<String>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Callers {
    fn start(ground: &Ground, gate: &Gate) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for http in [Http::One, Http::Two, Http::One, Http::One] {
            let files = ground.site.files.clone();
            let (certificate, key) = files.client(SURVEYOR);
            let client = Client::new(gate, &files.ca(), Some((&certificate, &key)));
            let token = files.token(SURVEYOR, SURVEY);
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let request = Call::survey("/_test/1k").token(token.clone()).request(&files);
                    let called = async {
                        let connection = client.connect(http).await.map_err(|error| error.to_string())?;
                        let response =
                            connection.send(request).await.map_err(|error| format!("{error:?}"))?;
                        Ok::<_, String>(Reply::read(response).await)
                    };
                    match soon("a call", called).await {
                        Ok(reply) if reply.status == 200 && reply.broken.is_none() => {}
                        Ok(reply) => failures.push(format!("{http:?}: {reply:?}")),
                        Err(error) => failures.push(format!("{http:?}: {error}")),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failures
            });
        }
        Self { tasks, stop, done }
    }

    /// Waits for `more` calls to have ended.
    async fn go_on(&self, more: u64) {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        until("calls", async || (self.done.load(Ordering::Relaxed) >= wanted).then_some(())).await;
    }

    /// Ends them; fails if any call did.
    async fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(failures) = self.tasks.join_next().await {
            let failures = failures.unwrap();
            assert!(failures.is_empty(), "{} calls failed: {failures:#?}", failures.len());
        }
        self.done.load(Ordering::Relaxed)
    }
}

/// How many requests each process has on record.
fn served(ground: &Ground) -> Vec<usize> {
    let records = records(&ground.site.files.audit());
    let mut generations: Vec<u64> = records.iter().map(|record| record.generation).collect();
    generations.dedup();
    let of = |generation: &u64| {
        let is_its = |record: &&pinegate::audit::ParsedRecord| record.generation == *generation;
        records.iter().filter(is_its).filter(|record| record.status == Some(200)).count()
    };
    generations.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_takes_over_and_nobody_is_refused() {
    let ground = Ground::new().await;
    let mut gate = ground.gate("first").await;
    let callers = Callers::start(&ground, &gate);
    callers.go_on(50).await;
    for name in ["second", "third"] {
        let next = ground.gate(name).await;
        // Both take calls.
        callers.go_on(50).await;
        gate.signal(Signal::TERM);
        assert_eq!(gate.ended().await.code(), Some(0), "{}", gate.log_text());
        callers.go_on(50).await;
        gate = next;
    }
    let calls = callers.end().await;
    let served = served(&ground);
    eprintln!("{calls} calls, by process {served:?}");
    assert!(served.len() == 3 && served.iter().all(|count| *count > 20), "{served:?}");
    assert_eq!(u64::try_from(served.iter().sum::<usize>()).unwrap(), calls);
    // The metrics are answered by whoever is there.
    assert_eq!(gate.page("/readyz").await.status, 200);
    assert_intact(&ground.site.files.audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_serves_callers_wait() {
    let ground = Ground::new().await;
    let mut gate = ground.gate("first").await;
    let callers = Callers::start(&ground, &gate);
    for name in ["second", "third"] {
        callers.go_on(30).await;
        gate.signal(Signal::TERM);
        assert_eq!(gate.ended().await.code(), Some(0), "{}", gate.log_text());
        gate = ground.gate(name).await;
    }
    callers.go_on(30).await;
    callers.end().await;
    assert_eq!(served(&ground).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_socket_is_handed_over_as_well() {
    let ground = Ground::new().await;
    let socket = ground.site.files.at("admin.sock");
    let admin = UnixListener::bind(&socket).unwrap();
    let config = ground.site.files.config_path();
    drop((ground.clients, ground.metrics));
    let mut gate = Gate::start_on(&config, [admin.try_clone().unwrap().into()]).await;
    gate.reloaded().await;
    gate.signal(Signal::TERM);
    assert_eq!(gate.ended().await.code(), Some(0));
    assert!(socket.exists(), "it is not the gate's to remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_over_must_be_configured() {
    let ground = Ground::new().await;
    let other = TcpListener::bind(ANY_PORT).unwrap();
    let said = tempfile::NamedTempFile::new().unwrap();
    drop((ground.clients, ground.metrics));
    let mut child = program()
        .arg("run")
        .arg("--config")
        .arg(ground.site.files.config_path())
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .stdin(OwnedFd::from(other.try_clone().unwrap()))
        .stdout(std::process::Stdio::null())
        .stderr(said.reopen().unwrap())
        .spawn()
        .unwrap();
    let status = until("the gate to end", async || child.try_wait().unwrap()).await;
    let said = std::fs::read_to_string(said.path()).unwrap();
    assert_eq!(status.code(), Some(70), "{said}");
    assert!(said.contains(&other.local_addr().unwrap().to_string()), "{said}");
    assert!(said.contains("LISTEN_FDS"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_is_told() {
    let site = Plan::new().start_platform().await;
    let path = site.files.at("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut program = program();
    program
        .env("NOTIFY_SOCKET", &path)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let mut gate = Gate::launch(&site.files.config_path(), &mut program).await;
    let mut told = [0; 64];
    for expected in ["READY=1\n", "STOPPING=1\n"] {
        let length = soon("a word", manager.recv(&mut told)).await.unwrap();
        assert_eq!(std::str::from_utf8(&told[..length]).unwrap(), expected);
        gate.signal(Signal::TERM);
    }
    assert_eq!(gate.ended().await.code(), Some(0));
    let check = run_to_end(&["check".as_ref(), "--config".as_ref(), site.files.config_path().as_ref()]).await;
    assert!(!check.1.contains("LISTEN_FDS"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_just_before_a_drain_may_still_ask() {
    let mut city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        city.gate.signal(Signal::TERM);
        until("the drain", async || city.gate.logged("draining")).await;
        let reply = city.call_on(&connection, Call::survey("/_test/1k").over(http)).await;
        reply.assert_data();
        if http == Http::One {
            assert_eq!(reply.header("connection"), Some("close"));
        }
        drop(connection);
        assert_eq!(city.gate.ended().await.code(), Some(0));
        city = city.crash().start_gate().await;
    }
}

/// Callers that are connected, and no more: the gate is stopped in its tracks until they are told to go on.
async fn call_in_vain(client: &Client, files: &crate::city::Files) -> JoinSet<Reply> {
    let mut calls = JoinSet::new();
    let connected = Arc::new(tokio::sync::Barrier::new(4));
    for http in [Http::One, Http::Two, Http::One] {
        let (client, files, connected) = (client.clone(), files.clone(), Arc::clone(&connected));
        calls.spawn(async move {
            let request = Call::survey("/_test/1k").request(&files);
            let stream = client.reach().await;
            connected.wait().await;
            let connection = client.connect_over(stream, http).await.unwrap();
            Reply::read(soon("a reply", connection.send(request)).await.unwrap()).await
        });
    }
    connected.wait().await;
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_to_be_accepted_when_a_drain_begins_is_served() {
    let mut city = Plan::new().unlimited().start().await;
    let ground = Ground::new().await;
    let mut gate = ground.gate("0").await;
    // What is accepted just before a drain, and what just after it, is the scheduler's to say.
    for round in 1..=10 {
        // On a socket of the gate's own, nobody else would serve them.
        city.gate.signal(Signal::STOP);
        let calls = call_in_vain(&city.client(SURVEYOR), city.files()).await;
        city.gate.signal(Signal::TERM);
        city.gate.signal(Signal::CONT);
        for reply in calls.join_all().await {
            reply.assert_data();
        }
        assert_eq!(city.gate.ended().await.code(), Some(0), "{}", city.gate.log_text());
        city = city.crash().start_gate().await;

        // On one that is handed over, it does not matter who does.
        let files = &ground.site.files;
        let (certificate, key) = files.client(SURVEYOR);
        let client = Client::new(&gate, &files.ca(), Some((&certificate, &key)));
        gate.signal(Signal::STOP);
        let calls = call_in_vain(&client, files).await;
        gate.signal(Signal::TERM);
        gate.signal(Signal::CONT);
        assert_eq!(gate.ended().await.code(), Some(0), "{}", gate.log_text());
        gate = ground.gate(&round.to_string()).await;
        for reply in calls.join_all().await {
            reply.assert_data();
        }
    }
}
