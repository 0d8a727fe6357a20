//! What operators do is on record, with who did it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pinegate::audit::ParsedRecord;
use pinegate::tlog::note::new_private_key;
use rustix::process::{Signal, getuid};

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

    let city = site.start_gate().await;
    let repair = recorded(&city, "repair").await;
    assert_eq!(repair.actor, Some(format!("Zhang\u{202e} San (uid {})", getuid().as_raw())));
    assert_eq!(repair.detail["reason"], "a \"worn\" disk; see ticket 7");
    assert_eq!((repair.detail["generation"].as_str(), repair.detail["records"].as_str()), ("1", "1"));
    assert!(repair.detail["damage"].contains(path.to_str().unwrap()), "{repair:#?}");
    // On the line itself what a terminal would obey is escaped.
    let text = std::fs::read(audit.join("test.000002/00000000000000000000.jsonl")).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains('\u{202e}'));
    city.call(Call::survey("/_test/1k")).await.assert_data();
    assert_intact(&audit);
}
