//! Bodies far larger than what the gate may hold, through the real gate.
//!
//! The platform makes them up as they are asked for and the client compares what arrives as it comes, so
//! nobody ever has a whole one. `PINEGATE_LARGE_BYTES` says how large they are; without it they are as
//! large as every run can afford. `cargo test --release --test it large -- --nocapture` shows the figures.

mod format;
mod platform;

use std::sync::atomic::Ordering;

use aws_lc_rs::digest;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pinegate::audit::ParsedRecord;
use tokio::time::Instant;

use crate::city::{Call, City, GLANCE, Http, PATIENCE, Plan, assert_intact, soon};
use format::{FORMATS, Format};
use platform::{Ending, Platform};

const MIB: u64 = 1 << 20;

/// The most by which the memory of the gate may grow over a body, in bytes.
const GROWTH: u64 = 16 * MIB;

/// How large the bodies are.
fn size() -> u64 {
    let asked = std::env::var_os("PINEGATE_LARGE_BYTES");
    asked.map_or(8 * MIB, |asked| asked.to_str().unwrap().parse().unwrap())
}

/// A city before a platform that answers `size` bytes in every format.
async fn city(size: u64) -> (City, Platform) {
    let platform = Platform::start(size).await;
    let mut plan = Plan::new().unlimited();
    for format in FORMATS.iter() {
        plan = plan.more_policy("catalog.toml", &format.resource());
        plan = plan.more_policy("grants.csv", &format.grant()).more_config(&format.routes());
    }
    (plan.start_before(platform.address).await, platform)
}

/// A reply on its way, compared with what it should be.
struct Arriving<'f> {
    format: &'f Format,
    reply: Response<Incoming>,
    /// What should come next; then blocks, so many, and the tail.
    next: Vec<u8>,
    at: usize,
    blocks: u64,
    bytes: u64,
    digest: digest::Context,
}

impl<'f> Arriving<'f> {
    async fn new(city: &City, http: Http, format: &'f Format, ending: Ending, size: u64) -> Self {
        let call = Call::survey(&format.target(ending)).over(http);
        let connection = city.client(crate::city::SURVEYOR).connect(http).await.unwrap();
        let request = call.request(city.files());
        let reply = soon("the head of a reply", connection.send(request)).await.unwrap();
        assert_eq!(reply.status(), 200, "{} {http:?}", format.name);
        Self {
            format,
            reply,
            next: format.left_head.as_bytes().to_vec(),
            at: 0,
            blocks: format.blocks(size),
            bytes: 0,
            digest: digest::Context::new(&digest::SHA256),
        }
    }

    /// Takes the next part; whether there was one, or why not.
    async fn part(&mut self) -> Result<bool, hyper::Error> {
        let Some(frame) = soon("the next part of a body", self.reply.body_mut().frame()).await else {
            return Ok(false);
        };
        let Ok(data) = frame?.into_data() else { panic!("trailers of a masked reply left") };
        self.digest.update(&data);
        self.compare(&data);
        Ok(true)
    }

    fn compare(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.at == self.next.len() {
                let done = self.blocks == 0;
                self.blocks = self.blocks.saturating_sub(1);
                self.next = if done { self.format.left_tail } else { &self.format.left_block }.into();
                self.at = 0;
            }
            let both = data.len().min(self.next.len() - self.at);
            assert!(both > 0, "more came than there was");
            let (part, rest) = data.split_at(both);
            assert!(self.next[self.at..][..both] == *part, "another body, near byte {}", self.bytes);
            (self.at, self.bytes) = (self.at + both, self.bytes + u64::try_from(both).unwrap());
            data = rest;
        }
    }

    fn is_whole(&self) -> bool {
        let is_tail = self.next == self.format.left_tail.as_bytes() && self.at == self.next.len();
        self.blocks == 0 && (is_tail || self.format.left_tail.is_empty())
    }

    fn request_id(&self) -> String {
        self.reply.headers()["x-request-id"].to_str().unwrap().to_owned()
    }
}

async fn outcome(city: &City, request: &str) -> ParsedRecord {
    let mut records = city.records_of(request).await;
    let outcome = records.pop().unwrap();
    assert_eq!((records.len(), outcome.kind.as_str()), (1, "outcome"), "an intent came before it");
    outcome
}

/// Reads one reply to its end and holds it, its record and the gate's memory against what they should be.
async fn pass(city: &City, http: Http, format: &Format, size: u64) {
    // Whatever the first of its kind needs once.
    let mut small = Arriving::new(city, http, format, Ending::Small, format.small()).await;
    while small.part().await.unwrap() {}
    assert!(small.is_whole());

    city.gate.forget_peak();
    let (before, began) = (city.gate.memory(), Instant::now());
    let mut reply = Arriving::new(city, http, format, Ending::Whole, size).await;
    while reply.part().await.unwrap() {}
    assert!(reply.is_whole(), "{} {http:?}: {} bytes came", format.name, reply.bytes);
    let (took, after) = (began.elapsed(), city.gate.memory());

    let outcome = outcome(city, &reply.request_id()).await;
    let records = format.records(size);
    assert_eq!((outcome.status, outcome.aborted.as_deref()), (Some(200), None));
    assert_eq!((outcome.bytes_out, outcome.records), (Some(reply.bytes), Some(records)));
    let sent = data_encoding::HEXLOWER.encode(reply.digest.finish().as_ref());
    assert_eq!(outcome.sent_sha256, Some(sent));
    // Every record has each of these once, but for the empty ones.
    let each = records - format.empty;
    let counts = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), each)).collect();
    assert_eq!(outcome.masked, counts(&["name", "phone"]));
    assert_eq!(outcome.dropped, counts(&["note"]));
    assert_eq!(outcome.unclassified, Some(each + format.unlisted));

    let growth = after.peak.saturating_sub(before.now);
    let mib = |bytes: u64| format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB);
    eprintln!(
        "{:14} {http:?}: {} in {:.2} s; memory {} before, {} at most",
        format.name,
        mib(format.length(size)),
        took.as_secs_f64(),
        mib(before.now),
        mib(after.peak),
    );
    assert!(growth < GROWTH, "{} {http:?}: the gate grew by {growth} bytes", format.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_does_not_grow_with_a_body() {
    let size = size();
    let (city, _platform) = city(size).await;
    for format in FORMATS.iter() {
        for http in [Http::One, Http::Two] {
            pass(&city, http, format, size).await;
        }
    }
    assert_intact(&city.files().audit());
}

/// A client that takes nothing holds the platform back, not a buffer in the gate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_the_platform() {
    /// Longer than anybody could read. What the sockets hold between them is a fraction of it.
    const ENDLESS: u64 = 1 << 50;
    /// What may be under way: four buffers of sockets and the windows of HTTP/2.
    const UNDER_WAY: u64 = 64 * MIB;
    let (city, platform) = city(ENDLESS).await;
    for format in FORMATS.iter() {
        for http in [Http::One, Http::Two] {
            platform.sent.store(0, Ordering::Relaxed);
            let before = city.gate.memory().now;
            city.gate.forget_peak();
            let mut reply = Arriving::new(&city, http, format, Ending::Whole, ENDLESS).await;
            assert!(reply.part().await.unwrap());
            let held_back = come_to_rest(&platform).await;
            assert!(held_back < UNDER_WAY, "{} {http:?}: {held_back} bytes", format.name);
            // It goes on where it was, as soon as somebody reads.
            while platform.sent.load(Ordering::Relaxed) < held_back + 4 * MIB {
                assert!(reply.part().await.unwrap());
            }
            come_to_rest(&platform).await;
            let memory = city.gate.memory();
            let growth = memory.peak.saturating_sub(before);
            assert!(growth < GROWTH, "{} {http:?}: the gate grew by {growth} bytes", format.name);
            let (request, bytes) = (reply.request_id(), reply.bytes);
            drop(reply);
            let outcome = outcome(&city, &request).await;
            assert_eq!(outcome.aborted.as_deref(), Some("client-gone"));
            assert!(outcome.bytes_out >= Some(bytes), "{outcome:?}");
            assert!(outcome.records > Some(0) && outcome.masked["phone"] > 0, "{outcome:?}");
        }
    }
}

/// What the platform had sent when it could send no more.
async fn come_to_rest(platform: &Platform) -> u64 {
    /// So many glances without a byte are a rest.
    const STILL: u32 = 30;
    let mut glances = tokio::time::interval(GLANCE);
    let (mut sent, mut still) = (0, 0);
    let rest = async {
        while still < STILL {
            glances.tick().await;
            let now = platform.sent.load(Ordering::Relaxed);
            still = if now == sent { still + 1 } else { 0 };
            sent = now;
        }
    };
    tokio::time::timeout(PATIENCE, rest).await.expect("the platform went on sending to nobody");
    sent
}

/// What breaks off behind the first megabytes has left in part: it is cut off, and the record says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_goes_wrong_is_cut_off() {
    let size = 2 * MIB;
    let (city, platform) = city(size).await;
    for format in FORMATS.iter() {
        for (ending, reason) in [
            (Ending::Dies, "upstream-broken"),
            (Ending::Short, "upstream-broken"),
            (Ending::Spoiled, format.spoiled),
        ] {
            for http in [Http::One, Http::Two] {
                let mut reply = Arriving::new(&city, http, format, ending, size).await;
                let broken = loop {
                    match reply.part().await {
                        Ok(true) => {}
                        Ok(false) => break None,
                        Err(error) => break Some(error),
                    }
                };
                let what = format!("{} {ending:?} {http:?}", format.name);
                assert!(broken.is_some(), "{what}: it ended as if it were whole");
                let outcome = outcome(&city, &reply.request_id()).await;
                assert_eq!(outcome.aborted.as_deref(), Some(reason), "{what}");
                assert_eq!(outcome.status, Some(200), "{what}");
                assert!(outcome.bytes_out >= Some(reply.bytes), "{what}: {outcome:?}");
                assert!(outcome.records > Some(0) && outcome.records <= Some(format.records(size)), "{what}");
                let masked = |name: &str| outcome.masked.get(name).copied();
                assert!(masked("phone") > Some(0) && masked("phone") <= outcome.records, "{what}");
                assert!(outcome.dropped.get("note").copied() > Some(0), "{what}");
            }
        }
    }
    assert!(platform.sent.load(Ordering::Relaxed) > 0);
    assert_intact(&city.files().audit());
}
