//! `[bounds]`: everything that is bounded, with its default and its range.

use std::time::Duration;

use super::read::{count, duration, size};
use crate::document::Table;
use crate::kernel::bound::ByteLimit;

/// `[bounds]`: everything that is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Open client connections.
    pub connections: usize,
    /// Of those, from one address; of IPv6, from one /64.
    pub connections_per_address: usize,
    /// Of those, of one system, once its certificate is known.
    pub connections_per_system: usize,
    /// TLS handshakes in work at once.
    pub handshakes: usize,
    /// Of those, from one address; of IPv6, from one /64.
    pub handshakes_per_address: usize,
    /// Requests in work at once.
    pub requests: usize,
    /// From the first byte of a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request head to its end, and from the end of a handshake to the first request.
    pub header_timeout: Duration,
    /// How long a connection may be open without a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of a reply before its connection is ended.
    pub stall_timeout: Duration,
    /// From the arrival of a request to the last byte of its reply.
    pub reply_timeout: Duration,
    /// The age at which a connection is asked to end.
    pub connection_age: Duration,
    /// The bytes a second that a client must send of a body, and take of a reply.
    pub min_rate: ByteLimit,
    /// How long a client may keep the gate waiting for bytes before `min_rate` counts.
    pub min_rate_grace: Duration,
    /// Open WebSocket sessions.
    pub sessions: usize,
    /// Of those, of one system.
    pub sessions_per_system: usize,
    /// How long a session may be open in which nothing comes from either side.
    pub session_idle_timeout: Duration,
    /// How long a session may be open.
    pub session_timeout: Duration,
    /// The size of a request head.
    pub header_bytes: ByteLimit,
    /// How many header fields a request may have.
    pub header_fields: usize,
    /// Requests in work at once on one HTTP/2 connection.
    pub http2_streams: u32,
    /// How many more requests an HTTP/2 client may give up than it lets end.
    pub http2_resets: u64,
    /// Frames without request or data that an HTTP/2 client may send beyond what its traffic explains.
    pub http2_control_frames: u64,
    /// A reply up to this size is masked whole before its first byte leaves.
    pub whole_reply: ByteLimit,
    /// The most that a coded answer may decode to.
    pub decoded_reply: ByteLimit,
    /// How many times its own size a coded answer may decode to.
    pub decoded_ratio: u64,
    /// The largest request body that is read before the decision.
    pub decision_body: ByteLimit,
    /// A request body up to this size is held against grants whole before its first byte goes on.
    pub whole_request: ByteLimit,
    /// How long the gate waits for requests in work before it stops.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 2_000,
            connections_per_system: 2_000,
            handshakes: 512,
            handshakes_per_address: 128,
            requests: 4_096,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(5 * 60),
            stall_timeout: Duration::from_secs(30),
            reply_timeout: Duration::from_secs(24 * 3_600),
            connection_age: Duration::from_secs(3_600),
            min_rate: ByteLimit::bytes(1 << 10),
            min_rate_grace: Duration::from_secs(30),
            sessions: 1_000,
            sessions_per_system: 100,
            session_idle_timeout: Duration::from_secs(5 * 60),
            session_timeout: Duration::from_secs(3_600),
            header_bytes: ByteLimit::bytes(32 << 10),
            header_fields: 100,
            http2_streams: 200,
            http2_resets: 100,
            http2_control_frames: 1_000,
            whole_reply: ByteLimit::bytes(64 << 10),
            decoded_reply: ByteLimit::bytes(16 << 30),
            decoded_ratio: 200,
            decision_body: ByteLimit::bytes(64 << 10),
            whole_request: ByteLimit::bytes(64 << 10),
            drain: Duration::from_secs(30),
        }
    }
}

/// Reads the section; what it does not say is as by default.
pub(super) fn read(table: Option<Table<'_, '_>>) -> Bounds {
    let mut bounds = Bounds::default();
    let Some(table) = table else { return bounds };
    many(&table, "connections", &mut bounds.connections);
    many(&table, "connections_per_address", &mut bounds.connections_per_address);
    many(&table, "connections_per_system", &mut bounds.connections_per_system);
    many(&table, "handshakes", &mut bounds.handshakes);
    many(&table, "handshakes_per_address", &mut bounds.handshakes_per_address);
    many(&table, "requests", &mut bounds.requests);
    many(&table, "sessions", &mut bounds.sessions);
    many(&table, "sessions_per_system", &mut bounds.sessions_per_system);
    for (key, time) in [
        ("handshake_timeout", &mut bounds.handshake_timeout),
        ("header_timeout", &mut bounds.header_timeout),
        ("idle_timeout", &mut bounds.idle_timeout),
        ("stall_timeout", &mut bounds.stall_timeout),
        ("reply_timeout", &mut bounds.reply_timeout),
        ("connection_age", &mut bounds.connection_age),
        ("session_idle_timeout", &mut bounds.session_idle_timeout),
        ("session_timeout", &mut bounds.session_timeout),
        ("min_rate_grace", &mut bounds.min_rate_grace),
        ("drain", &mut bounds.drain),
    ] {
        *time = duration(&table, key, *time);
    }
    bounds.header_fields = count(&table, "header_fields", 8..=1_000, bounds.header_fields);
    bounds.http2_streams = number(&table, "http2_streams", 1..=10_000, bounds.http2_streams);
    bounds.http2_resets = number(&table, "http2_resets", 1..=1_000_000, bounds.http2_resets);
    bounds.http2_control_frames =
        number(&table, "http2_control_frames", 100..=1_000_000, bounds.http2_control_frames);
    bounds.decoded_ratio = number(&table, "decoded_ratio", 2..=100_000, bounds.decoded_ratio);
    bounds.decoded_reply = size(&table, "decoded_reply", bounds.decoded_reply);
    bounds.header_bytes = within(&table, "header_bytes", (8 << 10, 1 << 20), bounds.header_bytes);
    bounds.min_rate = within(&table, "min_rate", (1, 1 << 20), bounds.min_rate);
    bounds.whole_reply = within(&table, "whole_reply", (1, 16 << 20), bounds.whole_reply);
    bounds.decision_body = within(&table, "decision_body", (1, 1 << 20), bounds.decision_body);
    bounds.whole_request = within(&table, "whole_request", (1, 16 << 20), bounds.whole_request);
    table.finish();
    bounds
}

/// A number of things that take memory each.
fn many(table: &Table<'_, '_>, key: &'static str, value: &mut usize) {
    *value = count(table, key, 1..=10_000_000, *value);
}

/// A number of another width.
fn number<N: Copy + TryFrom<i64>>(
    table: &Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<i64>,
    default: N,
) -> N {
    table.integer(key, range).and_then(|at| N::try_from(at.value).ok()).unwrap_or(default)
}

/// A size of at least the first and at most the second.
fn within(
    table: &Table<'_, '_>,
    key: &'static str,
    (least, most): (u64, u64),
    default: ByteLimit,
) -> ByteLimit {
    let found = size(table, key, default);
    if (least..=most).contains(&found.get()) {
        return found;
    }
    let (least, most) = (ByteLimit::bytes(least), ByteLimit::bytes(most));
    let right = if least.get() == 1 {
        format!("a size of at most `{most}`")
    } else {
        format!("a size from `{least}` to `{most}`")
    };
    table.bad_value(key, table.span(), &right);
    default
}

#[cfg(test)]
mod tests;
