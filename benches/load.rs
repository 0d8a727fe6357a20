//! A load generator for mutual TLS, bounded in count, for comparing proxies in one run:
//!
//! `cargo bench --bench load -- --url https://localhost:8443/path --ca ca.pem --cert client.pem --key
//! client.key [--token FILE] [--connections 64] [--requests 100000] [--pid PID,PID]`
//!
//! Prints requests a second, latency percentiles, statuses, and the CPU seconds that the processes of
//! `--pid` took meanwhile, for 100,000 requests. Speaks HTTP/1.1 with keep-alive.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measuring tool that may stop at the first surprise"
)]

#[path = "support/load.rs"]
mod load;

use std::collections::BTreeMap;

use load::{Found, Load};

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
    let number = |name: &str, usual: usize| given.get(name).map_or(usual, |text| text.parse().unwrap());
    let token = given.get("token").map(|file| std::fs::read_to_string(file).unwrap());
    let load = Load {
        url: given["url"].parse().unwrap(),
        ca: given["ca"].as_str().into(),
        certificate: given["cert"].as_str().into(),
        key: given["key"].as_str().into(),
        authorization: token.map(|token| format!("Bearer {}", token.trim())),
        connections: number("connections", 64),
        requests: number("requests", 100_000),
        pids: given
            .get("pid")
            .map_or_else(Vec::new, |text| text.split(',').map(|pid| pid.parse().unwrap()).collect()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let Found { rate, p50, p99, bytes, statuses, cpu } = runtime.block_on(load.run());
    println!(
        "{rate:.0} requests/s, p50 {p50:?}, p99 {p99:?}, {bytes} body bytes each, statuses {statuses:?}, \
         CPU s per 100,000: {cpu:.2}"
    );
}
