//! The gate as a process of its own: started, read, signalled and asked as an operator would.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{GLANCE, PATIENCE, soon, until};

/// The program under test.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pinegate"))
}

/// Runs the program with `arguments` to its end: its exit code, and what it said on standard error.
pub(crate) async fn run_to_end(arguments: &[&OsStr]) -> (Option<i32>, String) {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.reopen().unwrap())
        .spawn()
        .unwrap();
    let ended = tokio::time::timeout(PATIENCE, async {
        let mut glances = tokio::time::interval(GLANCE);
        loop {
            glances.tick().await;
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
        }
    });
    let ended = ended.await;
    if ended.is_err() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let said = std::fs::read_to_string(said.path()).unwrap();
    (ended.unwrap_or_else(|_| panic!("{arguments:?} did not end\n{said}")).code(), said)
}

/// A page of the gate's own.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// Memory that a process has in hand, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most since [`Gate::forget_peak`].
    pub(crate) peak: u64,
}

/// A gate that runs.
pub(crate) struct Gate {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    socket: PathBuf,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Gate {
    /// Starts one, and kills it as soon as `is_time`.
    pub(super) async fn start_until(config: &Path, is_time: impl AsyncFn() -> bool) {
        let mut child = program()
            .arg("run")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut glances = 0_u32;
        while !is_time().await {
            assert_eq!(child.try_wait().unwrap(), None, "the gate ended before it was time to kill it");
            glances += 1;
            assert!(glances < 1_000_000, "it was never time to kill the gate");
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) async fn start(config: &Path) -> Self {
        Self::launch(config, program().stdin(Stdio::null()).stdout(Stdio::null())).await
    }

    /// Starts one that is handed the sockets of `listeners`, of which it takes the first two as its standard
    /// input and output, as a service manager would hand them over as further descriptors.
    pub(crate) async fn start_on<const N: usize>(config: &Path, listeners: [OwnedFd; N]) -> Self {
        let mut program = program();
        program.stdin(Stdio::null()).stdout(Stdio::null());
        program.env("LISTEN_FDS", N.to_string()).env("LISTEN_FDS_FIRST_FD", "0");
        for (place, listener) in listeners.into_iter().enumerate() {
            let listener = Stdio::from(listener);
            if place == 0 {
                program.stdin(listener)
            } else {
                program.stdout(listener)
            };
        }
        Self::launch(config, &mut program).await
    }

    /// Starts `program` as a gate.
    pub(crate) async fn launch(config: &Path, program: &mut Command) -> Self {
        let mut child =
            program.arg("run").arg("--config").arg(config).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                // What is no JSON is from before logs were set up.
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                kept.lock().unwrap().push(line);
            }
        });
        let text = std::fs::read_to_string(config).unwrap();
        let socket = text.lines().find_map(|line| line.strip_prefix("socket = \"")).unwrap();
        let socket = config.parent().unwrap().join(socket.trim_end_matches('"'));
        let nowhere = super::ANY_PORT;
        let mut gate = Self { child, log, address: nowhere, metrics: nowhere, socket };
        let serving = until("the gate to serve", async || {
            if let Some(status) = gate.child.try_wait().unwrap() {
                panic!("the gate did not start: {status}\n{:#?}", gate.log.lock().unwrap());
            }
            gate.logged("serving")
        })
        .await;
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        (gate.address, gate.metrics) = (address("address"), address("metrics"));
        gate
    }

    /// The first log line with this message.
    pub(crate) fn logged(&self, message: &str) -> Option<Value> {
        self.log.lock().unwrap().iter().find(|line| line["message"] == message).cloned()
    }

    /// Everything that was logged.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Everything that was logged, as text.
    pub(crate) fn log_text(&self) -> String {
        self.log.lock().unwrap().iter().map(|line| format!("{line}\n")).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What the kernel says of its memory.
    pub(crate) fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
        };
        Memory { now: bytes("VmRSS:"), peak: bytes("VmHWM:") }
    }

    /// Its peak of memory begins anew.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        // One that has ended already is as dead as it should be.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the gate to end", async || self.child.try_wait().unwrap()).await
    }

    /// A page of the metrics listener.
    pub(crate) async fn page(&self, path: &str) -> Page {
        let stream = soon("the metrics listener", TcpStream::connect(self.metrics)).await.unwrap();
        soon("a page", ask(stream, Method::GET, path, String::new())).await
    }

    /// A page of the operators' socket.
    pub(crate) async fn operate(&self, method: Method, path: &str) -> Page {
        self.operate_with(method, path, String::new()).await
    }

    /// A page of the operators' socket, sent a body.
    pub(crate) async fn operate_with(&self, method: Method, path: &str, body: String) -> Page {
        let stream = soon("the admin socket", UnixStream::connect(&self.socket)).await.unwrap();
        soon("an operator's page", ask(stream, method, path, body)).await
    }

    /// Reloads by the operators' socket.
    pub(crate) async fn reload(&self) -> Page {
        self.operate(Method::POST, "/reload").await
    }

    /// Reloads by the operators' socket, which must succeed.
    pub(crate) async fn reloaded(&self) {
        let page = self.reload().await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    }

    /// The value of a series such as `pinegate_refusals_total{code="token-missing"}`; zero if it is
    /// not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let page = self.page("/metrics").await;
        assert_eq!(page.status, StatusCode::OK);
        let value = page.text.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.parse().unwrap())
        });
        value.unwrap_or(0.0)
    }
}

async fn ask<S>(stream: S, method: Method, path: &str, body: String) -> Page
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Page { status, text: String::from_utf8(body.to_vec()).unwrap() }
}
