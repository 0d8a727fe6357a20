//! What nobody may do too much, too long or too slowly; and how little memory it takes to say so.

mod http2;
mod places;
mod raw;
mod slow;
mod withdrawn;

use crate::city::{Call, City, until};

const MIB: u64 = 1 << 20;

/// The most by which the memory of the gate may grow under one attack, in bytes.
const GROWTH: u64 = 16 * MIB;

/// Why something was cut off, as a series of metrics.
fn cut(reason: &str) -> String {
    format!("pinegate_cut_off_total{{reason=\"{reason}\"}}")
}

/// Why a connection was not taken, likewise.
fn turned_away(reason: &str) -> String {
    format!("pinegate_connections_turned_away_total{{reason=\"{reason}\"}}")
}

/// Waits for a series to pass `before`.
async fn counted(city: &City, series: &str, before: f64) {
    until(series, async || (city.gate.metric(series).await > before + 0.5).then_some(())).await;
}

/// Fails unless the gate is as good as before: it answers, has let go of what it held, and has not grown.
async fn assert_alive(city: &City, what: &str, before: u64) {
    assert_alive_within(GROWTH, city, what, before).await;
}

/// The same with another bound.
async fn assert_alive_within(bound: u64, city: &City, what: &str, before: u64) {
    city.call(Call::survey("/_test/1k")).await.assert_data();
    assert_eq!(city.gate.page("/healthz").await.status, 200);
    until("nothing to be in work", async || {
        (city.gate.metric("pinegate_requests_in_flight").await < 0.5).then_some(())
    })
    .await;
    let peak = city.gate.memory().peak;
    let growth = peak.saturating_sub(before);
    eprintln!("{what}: {} MiB before, {} at most", before / MIB, peak / MIB);
    assert!(growth < bound, "{what}: the gate grew by {growth} bytes");
}

/// What its memory is before an attack.
fn memory_before(city: &City) -> u64 {
    city.gate.forget_peak();
    city.gate.memory().now
}
