//! A load generator for mutual TLS, bounded in count, for comparing proxies in one run:
//!
//! `cargo bench --bench load -- --url https://localhost:8443/path --ca ca.pem --cert client.pem --key
//! client.key [--token FILE] [--connections 64] [--requests 100000] [--pid PID,PID]`
//!
//! Prints requests a second, latency percentiles, statuses, lengths of bodies, and the CPU seconds that the processes
//! of `--pid` took meanwhile, for 100,000 requests. Further options:
//!
//! - `--http2 STREAMS`: HTTP/2 with so many requests at once on each connection, in place of HTTP/1.1; keep-alive with both
//! - `--warm-up N`: so many requests first, which are not measured
//! - `--rate N`: so many requests a second, in place of as many as there can be
//! - `--pinned yes`: TLS 1.3 with X25519 and AES-128-GCM and nothing else
//! - `--only handshakes`: so many full handshakes as `--requests` says, and no request
//! - `--only hold`: one request on each connection, then says `held` and holds them until standard input ends
//! - `--json yes`: one JSON object
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool that may stop at the first surprise"
)]

#[path = "support/load.rs"]
mod load;

use std::collections::BTreeMap;

use load::{Found, Load, Wire};

fn main() {
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(name) = words.next() {
        let name = name.strip_prefix("--").expect("options begin with --").to_owned();
        given.insert(name, words.next().expect("every option has a value"));
    }
    if given.is_empty() {
        println!("load: nothing to do; see the head of benches/load.rs");
        return;
    }
    let load = asked(&given);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let found = match given.get("only").map(String::as_str) {
        None => runtime.block_on(load.run()),
        Some("handshakes") => runtime.block_on(load.shake_hands()),
        Some("hold") => return runtime.block_on(load.hold(told_to_end())),
        Some(other) => panic!("--only {other}: handshakes or hold"),
    };
    show(&found, given.contains_key("json"));
}

fn asked(given: &BTreeMap<String, String>) -> Load {
    let number = |name: &str, usual: usize| given.get(name).map_or(usual, |text| text.parse().unwrap());
    let token = given.get("token").map(|file| std::fs::read_to_string(file).unwrap());
    let pids = |text: &String| text.split(',').map(|pid| pid.parse().unwrap()).collect();
    Load {
        url: given["url"].parse().unwrap(),
        ca: given["ca"].as_str().into(),
        certificate: given["cert"].as_str().into(),
        key: given["key"].as_str().into(),
        authorization: token.map(|token| format!("Bearer {}", token.trim())),
        wire: given
            .get("http2")
            .map_or(Wire::Http1, |streams| Wire::Http2 { streams: streams.parse().unwrap() }),
        pinned: given.contains_key("pinned"),
        connections: number("connections", 64),
        requests: number("requests", 100_000),
        warm_up: number("warm-up", 0),
        rate: given.get("rate").map(|rate| rate.parse().unwrap()),
        pids: given.get("pid").map_or_else(Vec::new, pids),
    }
}

/// Says that all connections are open, and waits for the end of standard input.
async fn told_to_end() {
    println!("held");
    let waited = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    waited.await.unwrap().unwrap();
}

fn show(found: &Found, as_json: bool) {
    let Found { rate, p50, p99, bytes, lengths, statuses, cpu } = found;
    if as_json {
        let object = serde_json::json!({
            "rate": rate,
            "p50_us": p50.as_secs_f64() * 1e6,
            "p99_us": p99.as_secs_f64() * 1e6,
            "lengths": lengths,
            "statuses": statuses,
            "cpu_per_100000": cpu,
        });
        println!("{object}");
        return;
    }
    println!(
        "{rate:.0} requests/s, p50 {p50:?}, p99 {p99:?}, {bytes} body bytes each, statuses {statuses:?}, CPU s per \
         100,000: {cpu:.2}"
    );
}
