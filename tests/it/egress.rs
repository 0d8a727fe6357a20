//! Identifiers in fields that the catalogue calls harmless.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::city::{ANY_PORT, Call, City, Plan, assert_intact, until};
use crate::refusals::check;

const MOBILE: &str = "13800138000";
const RESIDENT_ID: &str = "11010519491231002X";

/// A record whose number may leave as it is, with some district.
fn record(district: &str) -> String {
    format!(
        r#"{{"name":"张三","id_card":"{RESIDENT_ID}","phone":"{MOBILE}","address":{{"district":"{district}"}}}}"#
    )
}

fn list(message: &str, records: &[String]) -> String {
    format!(r#"{{"code":0,"message":"{message}","data":[{}]}}"#, records.join(","))
}

/// Answers every request with this body.
async fn platform(body: String) -> SocketAddr {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            // The gate hangs up on what it refuses.
            let _sent = stream.write_all(body.as_bytes()).await;
        }
    });
    at
}

/// A city whose residents are searched, before a platform that answers with `body`.
async fn city(egress: &str, body: String) -> City {
    let (requirements, at) = ("requirements = \"仅用于申请时注明的事项", platform(body).await);
    let searched = format!("egress = \"{egress}\"\n{requirements}");
    Plan::new().policy("catalog.toml", requirements, &searched).start_before(at).await
}

fn call() -> Call {
    Call::survey("/_test/1k").english()
}

async fn counted(city: &City, kind: &str, action: &str) -> f64 {
    let series = format!(
        "pinegate_egress_findings_total{{action=\"{action}\",kind=\"{kind}\",resource=\"population.resident\"}}"
    );
    city.gate.metric(&series).await
}

/// What the log says of findings; it has no value in it.
fn told(city: &City) -> Vec<Value> {
    let log = city.gate.log_text();
    assert!(!log.contains(MOBILE) && !log.contains(RESIDENT_ID), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["message"].as_str().is_some_and(|it| it.contains("unmasked identifier")))
        .collect()
}

/// The same, once it has come through the pipe from the gate.
async fn once_told(city: &City) -> Vec<Value> {
    until("a line of the log", async || Some(told(city)).filter(|lines| !lines.is_empty())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_reported_and_change_nothing() {
    let records = [
        record("屯溪区"),
        record(&format!("屯溪区，电话{MOBILE}")),
        record("１３８００１３８００１ 138-0013-8002"),
    ];
    let city = city("report", list(&format!("见 {RESIDENT_ID}"), &records)).await;
    let reply = city.call(call()).await;
    reply.assert_data();
    let expected = records
        .map(|record| record.replace("张三", "张**").replace(&format!("\"{MOBILE}\""), "\"138****8000\""));
    assert_eq!(reply.text(), list(&format!("见 {RESIDENT_ID}"), &expected));
    let record = city.record_of(&reply).await;
    let found: Vec<_> = record.egress.iter().map(|(what, count)| (what.as_str(), *count)).collect();
    // A number that a grant gives out on purpose is not searched for itself.
    assert_eq!(found, [("address.district:mobile", 3), ("message:resident-id", 1)]);
    assert_eq!(
        (counted(&city, "mobile", "report").await, counted(&city, "resident-id", "report").await),
        (3.0, 1.0)
    );
    assert_eq!(counted(&city, "mobile", "block").await, 0.0);
    let told = once_told(&city).await;
    assert_eq!(told.len(), 1, "once a reply");
    assert_eq!(told[0]["request_id"], reply.request_id());
    assert_eq!(told[0]["resource"], "population.resident");
    assert_eq!(told[0]["field"], "address.district");
    assert_eq!(told[0]["kind"], "mobile");
    assert_eq!(told[0]["findings"], 4);
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_reply_is_refused_whole() {
    let city = city("block", list("ok", &[record("屯溪区"), record(MOBILE)])).await;
    let reply = city.call(call()).await;
    check(&reply, 502, "mask-egress");
    for told in ["district", "mobile", MOBILE, "138"] {
        assert!(!reply.json()["detail"].as_str().unwrap().contains(told), "{}", reply.text());
    }
    let record = city.record_of(&reply).await;
    assert_eq!((record.status, record.reason.as_deref()), (Some(502), Some("mask-egress")));
    assert_eq!(record.decision.as_deref(), Some("permit"));
    assert_eq!(Vec::from_iter(&record.egress), [(&"address.district:mobile".to_owned(), &1)]);
    assert_eq!(counted(&city, "mobile", "block").await, 1.0);
    assert_eq!(city.gate.metric("pinegate_refusals_total{code=\"mask-egress\"}").await, 1.0);
    assert_eq!(once_told(&city).await.len(), 1);
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reply_is_cut_off_before_it() {
    let mut records = vec![record("屯溪区"); 20_000];
    records.push(record(&format!("屯溪区{MOBILE}")));
    records.extend(vec![record("屯溪区"); 20_000]);
    let city = city("block", list("ok", &records)).await;
    let reply = city.call(call()).await;
    assert_eq!(reply.status, 200);
    assert!(reply.broken.is_some(), "cut off, never ended as if it were whole");
    assert!(!reply.text().contains(&format!("屯溪区{MOBILE}")));
    let outcome = city.outcome_of(&reply).await;
    assert_eq!(outcome.aborted.as_deref(), Some("egress"));
    assert_eq!(Vec::from_iter(&outcome.egress), [(&"address.district:mobile".to_owned(), &1)]);
    assert_eq!(counted(&city, "mobile", "block").await, 1.0);
    assert_eq!(once_told(&city).await.len(), 1);
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_searched_unless_the_catalogue_says_so() {
    let at = platform(list("ok", &[record(MOBILE)])).await;
    let city = Plan::new().start_before(at).await;
    let reply = city.call(call()).await;
    reply.assert_data();
    assert!(reply.text().contains(&format!("\"district\":\"{MOBILE}\"")));
    assert!(city.record_of(&reply).await.egress.is_empty());
    assert!(told(&city).is_empty());
    let page = city.gate.page("/metrics").await.text;
    assert!(!page.contains("pinegate_egress_findings_total{"), "{page}");
}
