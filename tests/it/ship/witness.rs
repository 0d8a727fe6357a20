//! Heads of the log of a gate, cosigned by a witness that is a process of its own.

use std::path::Path;

use pinegate::tlog::cosignature::cosigned_at;
use pinegate::tlog::{Checkpoint, VerifierKey};
use rustix::process::Signal;

use super::log;
use crate::city::{Call, Plan, until};
use crate::witness::{Place, key_command};

/// How many records the head of a log has, if it is signed by the log and cosigned by `witness`.
fn witnessed(audit: &Path, log: &VerifierKey, witness: &VerifierKey) -> Option<u64> {
    let bytes = std::fs::read(audit.join("test.tlog/witnessed")).ok()?;
    let (checkpoint, note) = Checkpoint::open(&bytes, log).unwrap();
    cosigned_at(&note, witness).unwrap();
    Some(checkpoint.size)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_cosigned_as_the_log_grows_over_restarts() {
    let mut plan = Plan::new();
    let key = key_command(&["--new", "--log", "test"], &plan.files.at("certs/checkpoint.key")).unwrap();
    let key = VerifierKey::parse(&key).unwrap();
    let place = Place::of(std::slice::from_ref(&key), "");
    let witness = place.start(&["--new"]).await;
    plan.files.add_config(&format!(
        "\n[audit.checkpoint]\nkey = \"certs/checkpoint.key\"\nevery = \"100ms\"\n\
         \n[[audit.witness]]\nkey = \"{}\"\nurl = \"http://{}\"\n",
        place.key, witness.address
    ));
    let audit = plan.files.audit();
    let cosigned = || witnessed(&audit, &key, &place.key);
    let mut city = plan.start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    until("two records to be witnessed", async || cosigned().filter(|size| *size >= 2)).await;
    let size = format!("pinegate_audit_witness_size{{witness=\"{}\"}}", place.key.name());
    until("the size to show", async || (city.gate.metric(&size).await > 1.5).then_some(())).await;

    // A crash, and records of another generation.
    city = city.crash().start_gate().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let records = u64::try_from(log(&audit).len()).unwrap();
    until("those to be witnessed", async || cosigned().filter(|size| *size >= records)).await;

    // The head that is signed at the end, over all there is.
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    assert_eq!(cosigned(), Some(u64::try_from(log(&audit).len()).unwrap()));
    assert!(!city.gate.log_text().contains("fork"), "{}", city.gate.log_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_without_its_witness_serves() {
    let mut plan = Plan::new();
    key_command(&["--new", "--log", "test"], &plan.files.at("certs/checkpoint.key")).unwrap();
    // It knows another log.
    let other = key_command(&["--new", "--log", "other"], &plan.files.at("certs/other.key")).unwrap();
    let place = Place::of(&[VerifierKey::parse(&other).unwrap()], "");
    let witness = place.start(&["--new"]).await;
    plan.files.add_config(&format!(
        "\n[audit.checkpoint]\nkey = \"certs/checkpoint.key\"\nevery = \"100ms\"\n\
         \n[[audit.witness]]\nkey = \"{}\"\nurl = \"http://{}\"\n",
        place.key, witness.address
    ));
    let mut city = plan.start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let refused = format!(
        "pinegate_audit_witness_failures_total{{reason=\"refused\",witness=\"{}\"}}",
        place.key.name()
    );
    until("the refusal", async || (city.gate.metric(&refused).await > 0.5).then_some(())).await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_signed_on_after_a_gate_was_killed_beside_another() {
    let mut plan = Plan::new();
    let key = key_command(&["--new", "--log", "test"], &plan.files.at("certs/checkpoint.key")).unwrap();
    let key = VerifierKey::parse(&key).unwrap();
    plan.files.add_config("\n[audit.checkpoint]\nkey = \"certs/checkpoint.key\"\nevery = \"100ms\"\n");
    let audit = plan.files.audit();
    let signed = || {
        let bytes = std::fs::read(audit.join("test.tlog/checkpoint")).ok()?;
        Some(Checkpoint::open(&bytes, &key).unwrap().0.size)
    };
    let mut old = plan.start().await;
    old.call(Call::survey("/_test/1k")).await.assert_data();
    until("two records under a head", async || signed().filter(|size| *size >= 2)).await;
    let mut files = old.files().clone();
    files.edit_config("admin.sock", "second.sock");
    let new = old.beside(&files).await;
    // As who upgrades it does with one that takes too long to drain.
    old.gate.kill();
    new.call(Call::survey("/_test/1k")).await.assert_data();
    let records = u64::try_from(log(&audit).len()).unwrap();
    until("all of them under a head", async || signed().filter(|size| *size >= records)).await;
}
