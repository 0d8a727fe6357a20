//! What strangers do, counted: nobody outside may fill the disk, and nobody's knocking goes unseen.
//!
//! A stranger is whoever the registry does not name: what it does is no access, and has no record of its
//! own. It is counted by where and why it was turned away and by the network that it came from, in
//! bounded memory, and an interval becomes a few lines. They are JSON like records, and no part of the chain.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::line::Line;
use crate::kernel::id::NodeId;
use crate::kernel::time::Timestamp;

/// The version of the lines, their member `v`.
const VERSION: u64 = 1;

/// How many kinds of sighting an interval tells apart. What is beyond is counted by reason alone.
const MAX_KINDS: usize = 1_024;

/// How many bytes a word of ours may take.
const WORD_BYTES: usize = 64;

/// How far a stranger came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Its connection was not taken.
    Connection,
    /// Its TLS handshake failed.
    Handshake,
    /// Its request was refused.
    Request,
}

impl Reached {
    /// The word in the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Handshake => "handshake",
            Self::Request => "request",
        }
    }
}

/// Where strangers come from: a network that usually has one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    /// The first 24 bits of an address.
    V4([u8; 3]),
    /// The first 64 bits of an address.
    V6([u8; 8]),
    /// Any, once there are too many to tell apart.
    Other,
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6(first) => {
                write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(u64::from_be_bytes(first)) << 64))
            }
            Self::Other => f.write_str("other"),
        }
    }
}

/// How often something was seen.
#[derive(Debug, Clone, Copy)]
struct Sightings {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// What strangers did since it was last asked.
#[derive(Debug)]
pub struct Strangers {
    began: Timestamp,
    seen: BTreeMap<(Reached, &'static str, Network), Sightings>,
}

impl Strangers {
    /// Nobody has been seen yet.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { began: now, seen: BTreeMap::new() }
    }

    /// A stranger from `address` was turned away for `reason`, which must come from a closed list.
    pub fn note(&mut self, reached: Reached, reason: &'static str, address: IpAddr, at: Timestamp) {
        let mut kind = (reached, reason, Network::of(address));
        if self.seen.len() >= MAX_KINDS && !self.seen.contains_key(&kind) {
            kind.2 = Network::Other;
        }
        let fresh = Sightings { count: 0, first: at, last: at };
        let sightings = self.seen.entry(kind).or_insert(fresh);
        sightings.count = sightings.count.saturating_add(1);
        sightings.last = at;
    }

    /// Everything seen so far as lines of `node`; the next interval begins.
    #[must_use]
    pub fn take(&mut self, node: &NodeId, now: Timestamp) -> Vec<u8> {
        let (from, seen) = (std::mem::replace(&mut self.began, now), std::mem::take(&mut self.seen));
        let instant = |at: Timestamp| format!("{at:.6}");
        let (from, until) = (instant(from), instant(now));
        let mut lines = Vec::new();
        for ((reached, reason, network), Sightings { count, first, last }) in seen {
            lines.push(b'{');
            let mut line = Line::after(lines);
            line.number("v", VERSION);
            line.text("node", node.as_str(), crate::kernel::id::MAX_ID_BYTES);
            line.text("from", &from, WORD_BYTES);
            line.text("until", &until, WORD_BYTES);
            line.text("reached", reached.as_str(), WORD_BYTES);
            line.text("reason", reason, WORD_BYTES);
            line.text("network", &network.to_string(), WORD_BYTES);
            line.number("count", count);
            line.text("first", &instant(first), WORD_BYTES);
            line.text("last", &instant(last), WORD_BYTES);
            lines = line.finish();
            lines.push(b'\n');
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn taken(strangers: &mut Strangers, now: i64) -> Vec<Value> {
        let lines = strangers.take(&NodeId::parse("gate-1").unwrap(), at(now));
        assert!(lines.is_empty() || lines.ends_with(b"\n"));
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn an_interval_is_a_few_lines() {
        let mut strangers = Strangers::new(at(0));
        for (address, second) in [("203.0.113.7", 1), ("203.0.113.250", 5), ("::ffff:203.0.113.9", 9)] {
            strangers.note(Reached::Handshake, "unknown-ca", address.parse().unwrap(), at(second));
        }
        for address in ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1:3::"] {
            strangers.note(Reached::Request, "identity-unknown", address.parse().unwrap(), at(7));
        }
        let lines = taken(&mut strangers, 60);
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            json!({
                "v": 1, "node": "gate-1",
                "from": "1970-01-01T00:00:00.000000Z", "until": "1970-01-01T00:01:00.000000Z",
                "reached": "handshake", "reason": "unknown-ca", "network": "203.0.113.0/24", "count": 3,
                "first": "1970-01-01T00:00:01.000000Z", "last": "1970-01-01T00:00:09.000000Z",
            })
        );
        assert_eq!((&lines[1]["network"], &lines[1]["count"]), (&json!("2001:db8:1:2::/64"), &json!(2)));
        assert_eq!((&lines[2]["network"], &lines[2]["count"]), (&json!("2001:db8:1:3::/64"), &json!(1)));
        assert_eq!(taken(&mut strangers, 120), [Value::Null; 0], "nothing is told twice");
    }

    #[test]
    fn however_many_come_memory_and_lines_are_bounded() {
        let mut strangers = Strangers::new(at(0));
        let many = 70_000_u32;
        for number in 0..many {
            let reason = if number % 2 == 0 { "closed" } else { "timeout" };
            strangers.note(Reached::Handshake, reason, Ipv4Addr::from_bits(number << 8).into(), at(1));
        }
        let first = Ipv4Addr::from_bits(0).into();
        strangers.note(Reached::Handshake, "closed", first, at(2));
        let lines = taken(&mut strangers, 60);
        assert_eq!(lines.len(), MAX_KINDS + 2);
        let count = |line: &Value| line["count"].as_u64().unwrap();
        assert_eq!(lines.iter().map(count).sum::<u64>(), u64::from(many) + 1);
        let others: Vec<_> = lines.iter().filter(|line| line["network"] == "other").collect();
        assert_eq!(others.len(), 2, "one for each reason");
        assert_eq!(
            lines.iter().map(count).filter(|count| *count == 2).count(),
            1,
            "who is known stays known"
        );
        assert!(serde_json::to_string(&lines).unwrap().len() < 400 * lines.len());
    }
}
