//! `pinegate top` at a gate that serves.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::city::{ANY_PORT, Call, Plan, program, run_to_end, until};
use crate::skip::skip;

/// Runs `pinegate top` with `arguments`, and gives what it printed.
async fn top(arguments: Vec<String>) -> String {
    let ran = tokio::task::spawn_blocking(move || {
        program().arg("top").args(arguments).stdin(Stdio::null()).output().unwrap()
    });
    let output = ran.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers in the row of `name`.
fn row(frame: &str, name: &str) -> Vec<String> {
    let row =
        frame.lines().find_map(|line| line.split_once(name)).unwrap_or_else(|| panic!("{name}:\n{frame}"));
    row.1.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frame_shows_what_a_gate_has_done() {
    let city = Plan::new().start().await;
    for _ in 0..3 {
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
    assert_eq!(city.call(Call::survey("/nowhere")).await.status, 404);
    let url = format!("http://{}", city.gate.metrics);
    let arguments = |source: [&str; 2]| {
        ["--once", "--interval", "100ms"].into_iter().chain(source).map(str::to_owned).collect()
    };
    let frame = top(arguments(["--url", &url])).await;
    assert!(frame.starts_with("pinegate ") && frame.contains(&url), "{frame}");
    assert_eq!(row(&frame, "population.resident ").last().unwrap(), "3", "{frame}");
    assert_eq!(row(&frame, "sys:ziran-map ").last().unwrap(), "4", "{frame}");
    assert_eq!(row(&frame, "resource-unknown ").last().unwrap(), "1", "{frame}");
    assert_eq!(row(&frame, "requests ")[0], "0/s", "{frame}");
    for words in [
        "durable yes",
        "waiting 0",
        "in work 0",
        "gate's certificate in",
        "revocation lists in",
        "1 of 1 asked",
    ] {
        assert!(frame.contains(words), "{words}\n{frame}");
    }
    assert!(!frame.contains('\u{1b}'), "{frame}");

    // The configuration says where the gate is; nothing else in it has to be right.
    let files = city.files();
    let listeners =
        format!("[metrics]\naddress = \"{}\"\n[admin]\nsocket = \"admin.sock\"\n", city.gate.metrics);
    files.write("elsewhere.toml", &listeners);
    let near = files.at("elsewhere.toml");
    let frame = top(arguments(["--config", near.to_str().unwrap()])).await;
    assert_eq!(row(&frame, "population.resident ").last().unwrap(), "3", "{frame}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shown_is_said() {
    let run = async |arguments: &[&str]| {
        let arguments: Vec<&OsStr> = ["top"].iter().chain(arguments).map(OsStr::new).collect();
        run_to_end(&arguments).await
    };
    let closed = std::net::TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let (code, said) = run(&["--once", "--url", &url]).await;
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&format!("the metrics at {url} cannot be read: no connection")), "{said}");
    let (code, said) = run(&["--url", &url]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no terminal") && said.contains("--once"), "{said}");
    let (code, said) = run(&["--once", "--config", "/nowhere/gateway.toml"]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("`[metrics]`") && said.contains("--url"), "{said}");
    for bad in [["--interval", "1ms"], ["--url", "https://gate"]] {
        assert_eq!(run(&bad).await.0, Some(2), "{bad:?}");
    }
    // A gate's other pages are none.
    let city = Plan::new().start().await;
    for (path, why) in [("/healthz", "line 1 of the page"), ("/nowhere", "it answers 404")] {
        let url = format!("http://{}{path}", city.gate.metrics);
        let (code, said) = run(&["--once", "--url", &url]).await;
        assert_eq!(code, Some(69), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

/// What programs send to a terminal to use its other screen, to leave it, and to show the cursor again.
const TAKE: &str = "\u{1b}[?1049h";
const GIVE_BACK: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

/// A terminal with a program on it.
struct Terminal {
    script: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// `None` where there is no program `script`, which makes terminals.
    fn start(url: &str) -> Option<Self> {
        let top = format!(
            "stty cols 120 rows 40; exec {} top --url {url} --interval 100ms",
            env!("CARGO_BIN_EXE_pinegate")
        );
        let mut script = Command::new("script");
        script.args(["-qefc", &top, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = match script.spawn() {
            Ok(script) => script,
            Err(error) => {
                skip("script", &error.to_string());
                return None;
            }
        };
        let (mut out, shown) = (script.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut part) {
                kept.lock().unwrap().extend_from_slice(&part[..read]);
            }
        });
        Some(Self { script, shown })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    async fn shows(&self, text: &str) {
        until(text, async || self.text().contains(text).then_some(())).await;
    }

    fn press(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// The program on it.
    fn pid(&self) -> Pid {
        let pid = self.script.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        Pid::from_raw(children.split_whitespace().next().unwrap().parse().unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_stays_where_the_terminal_is_gone() {
    let city = Plan::new().start().await;
    let url = format!("http://{}", city.gate.metrics);
    let Some(mut terminal) = Terminal::start(&url) else { return };
    terminal.shows(TAKE).await;
    let program = terminal.pid();
    terminal.script.kill().unwrap();
    let _status = terminal.script.wait();
    // What is over may wait for whoever takes its parent's place.
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.as_raw_nonzero()));
        stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
    };
    until("its end", async || (!lives()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_is_given_back() {
    let city = Plan::new().start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let url = format!("http://{}", city.gate.metrics);
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP)] {
        let Some(mut terminal) = Terminal::start(&url) else { return };
        terminal.shows(TAKE).await;
        terminal.shows("population.resident").await;
        terminal.press("?");
        terminal.shows("leave").await;
        match signal {
            None => terminal.press("q"),
            Some(signal) => terminal.signal(signal),
        }
        let ended = until("its end", async || terminal.script.try_wait().unwrap()).await;
        assert_eq!(ended.code(), Some(0), "{signal:?}: {}", terminal.text());
        terminal.shows(GIVE_BACK).await;
        let text = terminal.text();
        let (_, after) = text.split_once(GIVE_BACK).unwrap();
        assert!(after.contains(CURSOR) && !after.contains(TAKE), "{signal:?}: {after:?}");
    }
}
