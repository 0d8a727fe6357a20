//! What operators do is on record, with who did it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use http::Method;
use pinegate::audit::ParsedRecord;
use pinegate::tlog::note::new_private_key;
use rustix::process::{Signal, getuid};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::city::{Call, City, Plan, assert_intact, run_to_end, until};

fn event(city: &City, name: &str) -> Option<ParsedRecord> {
    city.records().into_iter().rfind(|record| record.event.as_deref() == Some(name))
}

/// This process, as records name it.
fn this() -> String {
    format!("uid {} pid {}", getuid().as_raw(), std::process::id())
}

async fn recorded(city: &City, name: &str) -> ParsedRecord {
    until(&format!("`{name}` on record"), async || event(city, name)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_started_reloaded_and_stopped_it() {
    let mut city = Plan::new().more_config("\n[bounds]\ndrain = \"1h\"\n").start().await;
    let start = recorded(&city, "start").await;
    assert_eq!(start.actor, Some(format!("uid {}", getuid().as_raw())));
    assert_eq!(start.detail["parent_pid"], std::process::id().to_string());
    assert!(start.policy.is_some() && start.config.is_some());

    city.gate.reloaded().await;
    assert_eq!(recorded(&city, "reload").await.actor, Some(this()));
    city.gate.signal(Signal::HUP);
    let by_signal = until("a reload by a signal", async || {
        event(&city, "reload")
            .filter(|record| record.actor.as_deref().is_some_and(|it| it.contains("SIGHUP")))
    });
    assert_eq!(by_signal.await.actor, Some(format!("signal SIGHUP from {}", this())));
    city.files().add_policy("grants.csv", "q, X-1\n");
    assert_eq!(city.gate.reload().await.status, 409);
    assert_eq!(recorded(&city, "reload-refused").await.actor, Some(this()));

    // A reply that nobody takes keeps the gate from ending by itself.
    let connection = city.client("ziran-map").connect(crate::city::Http::One).await.unwrap();
    let held =
        connection.send(Call::survey(&format!("/_test/bytes?n={}", 64 << 20)).request(city.files())).await;
    city.gate.signal(Signal::TERM);
    let drain = recorded(&city, "drain").await;
    assert_eq!(drain.actor, Some(format!("signal SIGTERM from {}", this())));
    city.gate.signal(Signal::INT);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    drop(held);
    let stop = recorded(&city, "stop").await;
    assert_eq!(stop.actor, drain.actor);
    assert_eq!(stop.detail["hurried_by"], format!("signal SIGINT from {}", this()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_no_head_is_signed_any_more_is_on_record() {
    let plan = Plan::new().more_config("[audit.checkpoint]\nkey = \"checkpoint.key\"\n");
    let new_key = || String::from_utf8(new_private_key().unwrap().expose().to_vec()).unwrap();
    plan.files.write("checkpoint.key", &new_key());
    let mut city = plan.start().await;
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    assert!(event(&city, "unsigned").is_none());
    let files = city.files().clone();
    files.write("checkpoint.key", &new_key());
    let city = city.beside(&files).await;
    let unsigned = recorded(&city, "unsigned").await;
    assert_eq!((unsigned.generation, unsigned.actor.as_deref()), (2, Some("system")));
    let why = &unsigned.detail["why"];
    assert!(why.contains("test.tlog/checkpoint"), "{why}");
}

/// The newest segment of the only generation.
fn segment(audit: &Path) -> PathBuf {
    let files = std::fs::read_dir(audit.join("test.000001")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension() == Some(OsStr::new("jsonl"))).max().unwrap()
}

async fn repair(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let config = config.to_str().unwrap();
    let line = [&["audit", "repair", "--config", config], arguments].concat();
    run_to_end(&line.iter().map(OsStr::new).collect::<Vec<_>>()).await
}

const WHO_AND_WHY: [&str; 4] = ["--actor", "Zhang\u{202e} San", "--reason", "a \"worn\" disk; see ticket 7"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_says_who_did_it_and_why() {
    let city = Plan::new().start().await;
    for _ in 0..3 {
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
    let (config, audit) = (city.files().config_path(), city.files().audit());
    let (code, said) = repair(&config, &WHO_AND_WHY).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another process writes the audit log (generation 1); stop it first"), "{said}");

    let site = city.crash();
    let (code, said) = repair(&config, &WHO_AND_WHY).await;
    assert_eq!(code, Some(0), "nothing to repair: {said}");
    assert!(!audit.join("test.000002").exists(), "nothing was changed");

    let path = segment(&audit);
    let mut bytes = std::fs::read(&path).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 200] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (code, said) = run_to_end(&["run".as_ref(), "--config".as_ref(), config.as_os_str()]).await;
    assert_eq!(code, Some(70), "{said}");
    assert!(said.contains("pinegate audit repair"), "{said}");

    for missing in [&WHO_AND_WHY[..2], &WHO_AND_WHY[2..], &["--actor", "a", "--reason", " "]] {
        assert_eq!(repair(&config, missing).await.0, Some(2), "{missing:?}");
    }
    let (code, said) = repair(&config, &WHO_AND_WHY).await;
    assert_eq!(code, Some(0), "{said}");
    assert_intact(&audit);
    assert!(audit.join("test.000001/torn").read_dir().unwrap().count() > 0);
    // On the line itself what a terminal would obey is escaped. A gate that runs would compress it soon.
    let text = std::fs::read(audit.join("test.000002/00000000000000000000.jsonl")).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains('\u{202e}'));

    let city = site.start_gate().await;
    let repair = recorded(&city, "repair").await;
    assert_eq!(repair.actor, Some(format!("Zhang\u{202e} San (uid {})", getuid().as_raw())));
    assert_eq!(repair.detail["reason"], "a \"worn\" disk; see ticket 7");
    assert_eq!((repair.detail["generation"].as_str(), repair.detail["records"].as_str()), ("1", "1"));
    assert!(repair.detail["damage"].contains(path.to_str().unwrap()), "{repair:#?}");
    city.call(Call::survey("/_test/1k")).await.assert_data();
    assert_intact(&audit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_was_not_signed_is_signed_by_a_second_one() {
    let plan = Plan::new().more_config("[audit.checkpoint]\nkey = \"checkpoint.key\"\nrecords = 3\n");
    let new_key = || String::from_utf8(new_private_key().unwrap().expose().to_vec()).unwrap();
    let key = new_key();
    plan.files.write("checkpoint.key", &key);
    let city = plan.start().await;
    for _ in 0..3 {
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
    let audit = city.files().audit();
    let head = || std::fs::read_to_string(audit.join("test.tlog/checkpoint")).unwrap();
    until("a head over what will be damaged", async || {
        let text = std::fs::read_to_string(audit.join("test.tlog/checkpoint")).ok()?;
        (text.lines().nth(1)?.parse::<u64>().ok()? >= 3).then_some(())
    })
    .await;
    let config = city.files().config_path();
    let files = city.files().clone();
    drop(city.crash());
    let path = segment(&audit);
    let mut bytes = std::fs::read(&path).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 200] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    // By another key nothing can be signed.
    files.write("checkpoint.key", &new_key());
    let (code, said) = repair(&config, &WHO_AND_WHY).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not signed by the key of the configuration"), "{said}");
    let before = head();
    files.write("checkpoint.key", &key);
    let (code, said) = repair(&config, &WHO_AND_WHY).await;
    assert_eq!(code, Some(0), "{said}");
    assert_ne!(head(), before);
    let after = head();
    let (code, said) = repair(&config, &WHO_AND_WHY).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(head(), after, "nothing was changed");
}

/// Runs `pinegate log` against the gate.
async fn log(city: &City, arguments: &[&str]) -> (Option<i32>, String) {
    let config = city.files().config_path();
    let line = [&["log", "--config", config.to_str().unwrap()], arguments].concat();
    run_to_end(&line.iter().map(OsStr::new).collect::<Vec<_>>()).await
}

/// What the gate says that it logs.
async fn logged(city: &City) -> serde_json::Value {
    city.gate.operate(Method::GET, "/log").await.json()
}

/// How many lines there are once one more handshake has failed, which is worth a line at `debug`.
async fn lines_after_a_stranger(city: &City) -> usize {
    let failed = "pinegate_tls_handshakes_total{result=\"protocol\"}";
    let before = city.gate.metric(failed).await;
    let mut stranger = TcpStream::connect(city.gate.address).await.unwrap();
    stranger.write_all(b"no handshake at all\r\n\r\n").await.unwrap();
    // The gate says what is wrong, and closes.
    let mut alert = Vec::new();
    let _broken = stranger.read_to_end(&mut alert).await;
    drop(stranger);
    until("the handshake to be counted", async || (city.gate.metric(failed).await > before).then_some(()))
        .await;
    // Whatever the gate logs of it stands before what it logs of the reload.
    let reloads = |city: &City| city.gate.log_text().matches("\"reloaded\"").count();
    let known = reloads(city);
    city.gate.reloaded().await;
    until("the reload in the log", async || (reloads(city) > known).then_some(())).await;
    city.gate.log_text().matches("\"a handshake failed\"").count()
}

fn changes(city: &City) -> Vec<ParsedRecord> {
    let mut records = city.records();
    records.retain(|record| record.event.as_deref() == Some("log-level"));
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_changes_while_it_runs() {
    let city = Plan::new().start().await;
    assert_eq!(logged(&city).await, json!({ "log": "info", "configured": "info" }));
    assert_eq!(lines_after_a_stranger(&city).await, 0);

    let (code, said) = log(&city, &["info,pinegate::proxy=debug"]).await;
    assert_eq!(code, Some(0), "{said}");
    let line = until("the change in the log", async || city.gate.logged("what is logged was changed")).await;
    assert_eq!(lines_after_a_stranger(&city).await, 1);
    assert_eq!(log(&city, &["--reset"]).await.0, Some(0));
    assert_eq!(lines_after_a_stranger(&city).await, 1, "no more");

    let records = until("both on record", async || Some(changes(&city)).filter(|all| all.len() == 2)).await;
    let who = format!("uid {} pid ", getuid().as_raw());
    for record in &records {
        assert!(record.actor.as_ref().is_some_and(|actor| actor.starts_with(&who)), "{record:?}");
        assert!(record.policy.is_some() && record.config.is_some());
    }
    assert_eq!(line["actor"], records[0].actor.clone().unwrap());
    let detail = |record: &ParsedRecord| (record.detail["log"].clone(), record.detail["was"].clone());
    let (changed, usual) = ("info,pinegate::proxy=debug".to_owned(), "info".to_owned());
    assert_eq!(detail(&records[0]), (changed.clone(), usual.clone()));
    assert_eq!(detail(&records[1]), (usual, changed));

    // For a while; then what was before comes back by itself.
    assert_eq!(log(&city, &["warn"]).await.0, Some(0));
    assert_eq!(log(&city, &["trace", "--for", "1s"]).await.0, Some(0));
    let records = until("the end of it", async || Some(changes(&city)).filter(|all| all.len() == 5)).await;
    assert_eq!(records[3].detail["for_seconds"], "1");
    assert_eq!(detail(&records[4]), ("warn".to_owned(), "trace".to_owned()));
    assert_eq!(records[4].actor.as_deref(), Some("system"));
    assert_eq!(logged(&city).await, json!({ "log": "warn", "configured": "info" }));

    // A reload leaves it as it is.
    city.gate.reloaded().await;
    assert_eq!(logged(&city).await["log"], "warn");

    // That nothing is logged any more is logged.
    assert_eq!(log(&city, &["off"]).await.0, Some(0));
    let line = until("the last line", async || {
        let text = city.gate.log_text();
        let is_it = |line: &&str| line.contains("\"what is logged was changed\"") && line.contains("\"off\"");
        text.lines().find(is_it).map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line.await).unwrap();
    assert_eq!((&line["log"], &line["was"]), (&json!("off"), &json!("warn")));
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_logged_is_refused() {
    let city = Plan::new().start().await;
    for (wish, said) in [
        ("{\"log\": \"loud\"}", "`loud` is no level"),
        ("{\"log\": \"h2=trace\"}", "`h2` is another crate"),
        ("{\"log\": \"pinegate::upstraem=debug\"}", "pinegate has no module `upstraem`"),
        ("{\"log\": \"debug\", \"for_seconds\": 0}", "a while is of 1 to 86400 seconds"),
        ("{\"log\": \"debug\", \"for_seconds\": 86401}", "a while is of 1 to 86400 seconds"),
        ("{\"log\": \"debug\", \"for_seconds\": -1}", "expected `{"),
        ("{\"level\": \"debug\"}", "unknown field `level`"),
        ("", "expected `{"),
        (&format!("{{\"log\": \"{}\"}}", "a,".repeat(300)), "is longer than 512 bytes"),
        (&" ".repeat(5000), "the body cannot be read"),
    ] {
        let page = city.gate.operate_with(Method::PUT, "/log", wish.to_owned()).await;
        assert_eq!(page.status, 400, "{wish}: {}", page.text);
        assert_eq!(page.json()["applied"], false);
        assert!(page.json()["report"].as_str().unwrap().contains(said), "{wish}: {}", page.text);
    }
    assert_eq!(city.gate.operate(Method::POST, "/log").await.status, 405);
    assert_eq!(city.gate.page("/log").await.status, 405, "the metrics listener only reads");
    assert_eq!(logged(&city).await["log"], "info");
    for line in [&["loud"][..], &["debug", "--for", "25h"], &["--for", "1m"], &["debug", "--reset"]] {
        assert_eq!(log(&city, line).await.0, Some(2), "{line:?}");
    }
    assert_eq!(changes(&city).len(), 0);
}

/// A line about a request leads to its record, by either id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_the_log_leads_to_the_record() {
    let city = Plan::new().config("log = \"info\"", "log = \"trace\"").start().await;
    city.stop_platform();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    for given in [None, Some(&*traceparent)] {
        let call = Call::survey("/_test/1k?canary=QUERY-CANARY");
        let call = given.iter().fold(call, |call, given| call.header("traceparent", given));
        let reply = city.call(call).await;
        assert!(reply.status.is_server_error(), "{}", reply.status);
        let record = city.record_of(&reply).await;
        let of_it = |line: &&serde_json::Value| line["request_id"] == reply.request_id();
        let lines = until("a line about the request", async || {
            Some(city.gate.log_lines().iter().filter(of_it).cloned().collect::<Vec<_>>())
                .filter(|lines| lines.iter().any(|line| line["message"] == "forwarding failed"))
        })
        .await;
        for line in lines {
            assert_eq!(line["trace_id"].as_str(), record.trace.as_deref(), "{line}");
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        }
        assert_eq!(record.trace.as_deref() == Some(trace), given.is_some());
    }
    // Not even at `trace` does a log hold what a client sent.
    let text = city.gate.log_text();
    assert!(!text.contains("QUERY-CANARY") && !text.contains("eyJ"), "{text}");
}

/// Whatever is logged while a request is in work says which one: no test meets every line.
#[test]
fn every_line_of_the_log_about_a_request_names_it() {
    let mut seen = 0;
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proxy")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap();
            // Of connections, and of bytes that are no request yet.
            if ["listener", "listener.rs", "guard.rs"].contains(&name) {
                continue;
            }
            if entry.is_dir() {
                directories.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(&entry).unwrap();
            for level in ["info", "warn", "error", "debug"] {
                for line in text.split(&format!("tracing::{level}!(")).skip(1) {
                    let line = line.split(");\n").next().unwrap();
                    assert!(line.contains("request_id") && line.contains("trace_id"), "{entry:?}: {line}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10, "{seen} lines");
}
