//! No byte without a record, whatever happens to the gate, the client, the platform and the disk.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use pinegate::demo::platform::ReplyProgress;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::city::{Call, City, Gate, Http, Plan, Reply, SURVEYOR, Site, assert_intact, records, soon, until};
use crate::refusals::check;
use crate::refusals::limits::{SURVEYED, left_today};
use crate::skip::skip;

/// How often the gate is killed under load, unless `AUDIT_KILLS` says otherwise.
const KILLS: usize = 5;

/// How many calls are answered before a kill: each round another number.
const fn calls_before(round: usize) -> usize {
    1 + (round * 29 + 11) % 61
}

/// Calls in a loop until the connection ends; notes the id of each that was answered with data.
async fn call_until_killed(
    connection: crate::city::Connection,
    request: impl Fn() -> http::Request<crate::city::Body>,
    answered: &Mutex<Vec<String>>,
) {
    loop {
        let Ok(response) = soon("an end of the load", connection.send(request())).await else { return };
        assert_eq!(response.status(), 200);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        // With the head the first bytes may have come.
        answered.lock().unwrap().push(id);
        if soon("the rest of a reply", Reply::read(response)).await.broken.is_some() {
            return;
        }
    }
}

/// Kills a gate under load, after so many calls were answered; notes the id of each that was answered with data.
pub(crate) async fn load_and_kill(city: City, calls: usize, answered: &Arc<Mutex<Vec<String>>>) -> Site {
    let mut tasks = JoinSet::new();
    let before = answered.lock().unwrap().len();
    for (http, target) in [
        (Http::One, "/_test/1k"),
        (Http::Two, "/_test/1k"),
        (Http::One, "/_test/bytes?n=300000"),
        (Http::Two, "/_test/bytes?n=300000"),
    ] {
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        let token = city.files().token("ziran-map", "planning.survey");
        let (files, answered) = (city.files().clone(), Arc::clone(answered));
        tasks.spawn(async move {
            let request = || Call::survey(target).token(token.clone()).request(&files);
            call_until_killed(connection, request, &answered).await;
        });
    }
    until("calls under load", async || (answered.lock().unwrap().len() >= before + calls).then_some(()))
        .await;
    let site = city.crash();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    site
}

/// Fails unless the log is intact and has every request that was answered.
fn assert_on_record(audit: &Path, answered: &Mutex<Vec<String>>) {
    let report = assert_intact(audit);
    let records = records(audit);
    assert_eq!(report.records, u64::try_from(records.len()).unwrap());
    let known: HashSet<&str> = records.iter().filter_map(|record| record.request.as_deref()).collect();
    for id in answered.lock().unwrap().iter() {
        assert!(known.contains(id.as_str()), "request {id} was answered and is not on record");
    }
}

/// How many generations there are.
fn generations(audit: &Path) -> usize {
    let names = std::fs::read_dir(audit).unwrap().map(|entry| entry.unwrap().file_name());
    let number = |name: &str| name.rsplit_once('.').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
    names.filter(|name| number(name.to_str().unwrap())).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_nothing_that_left_is_missing() {
    let kills = std::env::var("AUDIT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let answered = Arc::new(Mutex::new(Vec::new()));
    let plan = Plan::new().unlimited().config("segment_bytes = \"4MiB\"", "segment_bytes = \"64KiB\"");
    let mut city = plan.start().await;
    let mut starts = 1;
    for round in 0..kills {
        let site = load_and_kill(city, calls_before(round), &answered).await;
        // The log is whole for readers before anybody recovers it; it grows, so not every round looks.
        if round % 10 == 0 {
            assert_on_record(&site.files.audit(), &answered);
        }
        if round % 3 == 2 {
            // Another dies while it recovers what the one before left.
            let before = generations(&site.files.audit());
            site.start_gate_until(async || generations(&site.files.audit()) > before).await;
            assert_on_record(&site.files.audit(), &answered);
        }
        city = site.start_gate().await;
        starts += 1;
        assert_on_record(&city.files().audit(), &answered);
        let records = city.records();
        let with = |kind: &str| records.iter().filter(|record| record.kind == kind).count();
        assert_eq!(with("intent"), with("outcome"), "round {round}: an intent without an outcome");
    }
    let records = city.records();
    let events = records.iter().filter(|record| record.event.as_deref() == Some("start")).count();
    // One that was killed while it started may have come to say so.
    assert!((starts..=starts + kills / 3).contains(&events), "{events} starts");
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_in_the_middle() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        let request = Call::survey(&format!("/_test/bytes?n={}", 64 << 20)).request(city.files());
        let response = connection.send(request).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        drop((response, connection));
        let outcome = city.records_of(&id).await.pop().unwrap();
        assert_eq!((outcome.kind.as_str(), outcome.aborted.as_deref()), ("outcome", Some("client-gone")));
        assert_eq!(outcome.sent_sha256, None, "nobody has the whole");
        assert!(outcome.bytes_out < Some(32 << 20), "{outcome:#?}");
        until("the platform to be let go", async || {
            (city.last_received().reply == ReplyProgress::Cut).then_some(())
        })
        .await;
    }
    let aborted = "pinegate_requests_total{outcome=\"aborted\",resource=\"population.resident\"}";
    until("two aborts to be counted", async || (city.gate.metric(aborted).await > 1.5).then_some(())).await;
    until("nothing to be in work", async || {
        (city.gate.metric("pinegate_requests_in_flight").await < 0.5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_cut_off() {
    let city = Plan::new().more_config("[bounds]\nstall_timeout = \"400ms\"\n").start().await;
    for http in [Http::One, Http::Two] {
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        let request = Call::survey(&format!("/_test/bytes?n={}", 64 << 20)).request(city.files());
        // The reply is held and never read: flow control stops it, and nothing else would end it.
        let held = connection.send(request).await.unwrap();
        let id = held.headers()["x-request-id"].to_str().unwrap().to_owned();
        let ended = until("the untaken reply to be given up", async || {
            city.records_of(&id).await.into_iter().find(|record| record.kind == "outcome")
        });
        let ended = ended.await;
        assert_eq!(ended.aborted.as_deref(), Some("client-gone"), "{http:?}");
        assert!(ended.bytes_out < Some(64 << 20), "{ended:#?}");
        drop((held, connection));
    }
    // Others are served meanwhile and after.
    city.call(Call::survey("/_test/1k")).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_before_the_answer() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        let before = city.records().len();
        city.received().clear();
        let request = Call::survey("/_test/slow?ms=900").request(city.files());
        {
            let mut call = std::pin::pin!(connection.send(request));
            tokio::select! {
                reply = call.as_mut() => panic!("{reply:?}"),
                () = city.received().until(|received| !received.is_empty()) => {}
            }
        }
        drop(connection);
        let ended = until("the record of a call given up", async || {
            city.records().into_iter().skip(before).find(|record| record.status == Some(499))
        });
        let ended = ended.await;
        assert_eq!(ended.aborted.as_deref(), Some("client-gone"));
        assert_eq!(ended.grants, ["TEST-1"]);
        assert_eq!(ended.bytes_out, Some(0));
    }
}

/// Fails unless a broken transfer looks broken, and is on record so: the reason.
async fn cut(city: &City, call: Call, http: Http) -> String {
    let outcomes =
        || city.records().into_iter().filter(|record| record.kind == "outcome").collect::<Vec<_>>();
    let before = outcomes().len();
    let connection = city.client("ziran-map").connect(http).await.unwrap();
    // What broke before the head was on its way ends the connection, or the stream, without one.
    if let Ok(response) = connection.send(call.request(city.files())).await {
        let reply = soon("a broken reply", Reply::read(response)).await;
        assert!(reply.broken.is_some(), "a cut reply looks whole: {} bytes", reply.body.len());
    }
    let outcome = until("the record of a cut reply", async || outcomes().into_iter().nth(before)).await;
    assert_eq!((outcome.status, &outcome.sent_sha256), (Some(200), &None), "{outcome:#?}");
    outcome.aborted.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_breaks_off_never_looks_whole() {
    let city = Plan::new()
        .config("response_timeout = \"10s\"", "response_timeout = \"500ms\"")
        .more_config("\n[bounds]\nwhole_reply = \"1B\"\n")
        .start()
        .await;
    for http in [Http::One, Http::Two] {
        for (target, reason) in [
            ("/_test/die", "upstream-broken"),
            ("/_test/short", "upstream-broken"),
            ("/_test/stall", "upstream-stalled"),
            ("/_test/badjson?kind=cut", "truncated"),
        ] {
            assert_eq!(cut(&city, Call::survey(target), http).await, reason, "{http:?} {target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_dies_in_a_long_reply() {
    for http in [Http::One, Http::Two] {
        let city = Plan::new().start().await;
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        let request = Call::survey(&format!("/_test/bytes?n={}", 64 << 20)).request(city.files());
        let response = connection.send(request).await.unwrap();
        city.stop_platform();
        let is_cut = |received: &[pinegate::demo::platform::Received]| {
            received.last().is_some_and(|last| last.reply == ReplyProgress::Cut)
        };
        soon("the platform's end", city.received().until(is_cut)).await;
        let reply = soon("the rest of the reply", Reply::read(response)).await;
        assert!(reply.broken.is_some(), "{http:?}: a cut reply looks whole: {} bytes", reply.body.len());
        let outcome = city.outcome_of(&reply).await;
        assert_eq!(outcome.aborted.as_deref(), Some("upstream-broken"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_survive_a_crash_and_a_restart() {
    let limit = "\n[[limit]]\nname = \"three-a-day\"\nby = [\"system\"]\nsystem = [\"sys:minzheng-aid\"]\nper_day = 3\n";
    let rows = ("rows<=100;rows/day<=5000", "rows<=100;rows/day<=30");
    let mut city =
        Plan::new().more_policy("limits.toml", limit).policy("grants.csv", rows.0, rows.1).start().await;
    let call = || Call::aid("/population/residents?area=3410&size=1");
    let list = |size: u32| {
        Call::get("water-billing", "utility.account", &format!("/population/residents?area=3410&size={size}"))
    };
    city.call(call()).await.assert_data();
    city.call(list(20)).await.assert_data();
    let city_after_crash = city.crash().start_gate().await;
    city = city_after_crash;
    city.call(call()).await.assert_data();
    city.call(call()).await.assert_data();
    check(&city.call(call()).await, 429, "quota-exhausted");
    city.call(list(10)).await.assert_data();
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    city = city.crash().start_gate().await;
    check(&city.call(call()).await, 429, "quota-exhausted");
    check(&city.call(list(1)).await, 429, "quota-exhausted");
    let grants = Call::get("water-billing", "x.y", "/.well-known/pinegate/grants").no_token();
    let own = city.call(grants).await.json();
    let limited =
        own["grants"].as_array().unwrap().iter().find(|grant| grant["id"] == "WT-2026-0002").unwrap();
    assert_eq!(limited["rows_left_today"], 0, "{own}");
}

/// Calls of every kind there is for the limits, and how many of them one that everybody shares has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_counts_what_was_counted_and_nothing_else() {
    let plan = Plan::new();
    let limits = "
[[limit]]
name = \"shared\"
by = [\"resource\"]
per_day = 40

[[limit]]
name = \"own\"
by = [\"system\"]
system = [\"sys:minzheng-aid\"]
per_day = 5

[[limit]]
name = \"granted\"
by = [\"grant\"]
grant = [\"HS-2026-0117\"]
per_day = 2
";
    plan.files.write("policies/limits.toml", limits);
    let city = plan.start().await;
    let left = async |city: &City| {
        let reply = city.call(Call::survey("/_test/1k")).await;
        reply.assert_data();
        let usage = reply.header("ratelimit").unwrap().to_owned();
        let left = usage.strip_prefix("\"shared.day\";r=").unwrap().split(';').next().unwrap();
        left.parse::<u64>().unwrap()
    };
    let call = || Call::aid("/population/residents?area=3410&size=1");
    for _ in 0..2 {
        city.call(call()).await.assert_data();
    }
    let mut admitted = Vec::new();
    // Three are refused by the limit of the grant and counted by the others, the rest by the system's own.
    for number in 0..10 {
        let reply = city.call(call()).await;
        check(&reply, 429, "quota-exhausted");
        let record = city.record_of(&reply).await;
        assert_eq!(record.grants.is_empty(), number >= 3, "{record:#?}");
        admitted.push(record.admitted);
    }
    assert_eq!(admitted, [vec![Some("call".to_owned()); 3], vec![None; 7]].concat());
    // What the policy refuses has counted; what says nothing of its purpose has not.
    let denied = city.call(Call::get(SURVEYOR, "social-aid.eligibility", "/_test/1k")).await;
    assert_eq!(denied.status, 403);
    assert_eq!(city.record_of(&denied).await.admitted.as_deref(), Some("call"));
    check(&city.call(Call::survey("/_test/1k").no_token()).await, 401, "token-missing");
    assert_eq!(left(&city).await, 40 - 2 - 3 - 1 - 1);
    let city = city.crash().start_gate().await;
    assert_eq!(left(&city).await, 40 - 2 - 3 - 1 - 2, "a restart changed what is left to others");
    check(&city.call(call()).await, 429, "quota-exhausted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gates_keep_their_records_apart() {
    let city = Plan::new().start().await;
    let mut files = city.files().clone();
    files.edit_config("admin.sock", "second.sock");
    // An upgrade may overlap: the second begins a generation of its own and leaves the first alone.
    let second = city.beside(&files).await;
    let first_reply = city.call(Call::survey("/_test/1k")).await;
    let second_reply = second.call(Call::survey("/_test/1k")).await;
    for reply in [&first_reply, &second_reply] {
        reply.assert_data();
        city.record_of(reply).await;
    }
    let report = assert_intact(&files.audit());
    assert_eq!(report.generations.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_gate_drains_beside_a_new_one() {
    let mut old = Plan::new().start().await;
    let connection = old.client("ziran-map").connect(Http::One).await.unwrap();
    let target = format!("/_test/bytes?n={}", 24 << 20);
    let response = connection.send(Call::survey(&target).request(old.files())).await.unwrap();
    old.gate.signal(Signal::TERM);
    until("the old gate to drain", async || old.gate.logged("draining")).await;
    let mut files = old.files().clone();
    files.edit_config("admin.sock", "second.sock");
    let mut new = old.beside(&files).await;
    let during = new.call(Call::survey("/_test/1k")).await;
    during.assert_data();
    let opened = new.gate.logged("the audit log is open").unwrap()["recovery"].to_string();
    assert!(opened.contains("recovered: [], live: [1]"), "{opened}");
    let reply = soon("the reply in work", Reply::read(response)).await;
    reply.assert_data();
    assert_eq!(old.gate.ended().await.code(), Some(0));
    assert_eq!(old.outcome_of(&reply).await.aborted, None);
    // The new one's log is not the end of the old one's: each closes its own.
    let report = assert_intact(&files.audit());
    let closed: Vec<_> = report.generations.iter().map(|generation| generation.closed).collect();
    assert_eq!(closed, [true, false]);
    new.gate.signal(Signal::TERM);
    assert_eq!(new.gate.ended().await.code(), Some(0));
    assert!(assert_intact(&files.audit()).generations.iter().all(|generation| generation.closed));
    new.record_of(&during).await;
}

/// A small file system of its own; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, said aloud, where this process may not mount.
    fn mount(at: PathBuf) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            Ok(output) => {
                skip("mount", &String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                skip("mount", &error.to_string());
                None
            }
        }
    }

    /// Leaves no room.
    fn fill(&self) {
        let ballast = self.0.join("ballast");
        let mut size = 1 << 20;
        let mut bytes = Vec::new();
        while size >= 512 {
            let more = [bytes.clone(), vec![0; size]].concat();
            if std::fs::write(&ballast, &more).is_ok() {
                bytes = more;
            } else {
                size /= 2;
            }
        }
        // A write that failed half-way has taken the rest.
        assert!(std::fs::write(self.0.join("more"), [0; 8192]).is_err());
    }

    fn relieve(&self) {
        for file in ["ballast", "more"] {
            std::fs::remove_file(self.0.join(file)).unwrap();
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_data_until_it_is_relieved() {
    let plan = Plan::new()
        .unlimited()
        .policy("grants.csv", SURVEYED, "planning.survey, name;rows/day<=1000000")
        .config("segment_bytes = \"4MiB\"", "segment_bytes = \"64KiB\"");
    let Some(disk) = SmallDisk::mount(plan.files.audit()) else { return };
    let city = plan.start().await;
    let call = || Call::survey("/_test/1k");
    city.call(call()).await.assert_data();
    // The megabyte it has is below what the alarm asks for, which refuses nothing.
    until("the alarm", async || (city.gate.metric("pinegate_audit_space_low").await > 0.5).then_some(()))
        .await;
    assert!(city.gate.metric("pinegate_audit_free_bytes").await > 0.5);
    assert_eq!(city.gate.page("/readyz").await.status, 200);
    // One reply is in work while the disk fills, and nobody reads on yet.
    let connection = city.client("ziran-map").connect(Http::One).await.unwrap();
    let target = format!("/_test/bytes?n={}", 24 << 20);
    let begun = connection.send(Call::survey(&target).request(city.files())).await.unwrap();
    assert_eq!(begun.status(), 200);
    disk.fill();
    // What is set aside for records is used up first.
    let refused = until("the disk to be full", async || {
        let reply = city.call(call()).await;
        if reply.status == 200 {
            reply.assert_data();
            return None;
        }
        Some(reply)
    })
    .await;
    check(&refused, 503, "audit-unavailable");
    assert!(refused.header("retry-after").is_some());
    let unready = until("the gate to be unready", async || {
        let page = city.gate.page("/readyz").await;
        (page.status == 503).then_some(page.text)
    });
    let why = "audit records cannot be made durable: no space is left for another segment of the audit log\n";
    assert_eq!(unready.await, why);
    assert!(city.gate.metric("pinegate_audit_durable").await < 0.5);
    let before = city.received().total();
    for _ in 0..3 {
        check(&city.call(call()).await, 503, "audit-unavailable");
    }
    assert_eq!(city.received().total(), before, "the platform was asked for what could not leave");
    assert_eq!(city.gate.page("/healthz").await.status, 200, "it is unready, not dead");
    // What has begun ends, and on record, although the disk is full.
    let begun = soon("the reply in work", Reply::read(begun)).await;
    begun.assert_data();
    assert_eq!(city.outcome_of(&begun).await.aborted, None);
    assert_eq!(city.gate.page("/readyz").await.status, 503);

    disk.relieve();
    until("the gate to be ready again", async || {
        (city.gate.page("/readyz").await.status == 200).then_some(())
    })
    .await;
    let reply = city.call(call()).await;
    reply.assert_data();
    city.record_of(&reply).await;
    // What was refused for want of a record has cost nothing.
    let left = left_today(&city).await;
    let released: u64 = city.records().iter().filter_map(|record| record.records).sum();
    assert!(released > 0);
    assert_eq!(1_000_000 - left, released, "what is charged is what is on record");
    assert_intact(&city.files().audit());
    drop(city);
}

/// A tracer that does something to every sync of a gate; gone when dropped.
struct Syncs(Child);

impl Syncs {
    /// `None`, said aloud, where this process may not trace another.
    async fn meddle_with(gate: &Gate, how: &str) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=fdatasync", "-o", "/dev/null", "-e"]);
        strace.arg(format!("inject=fdatasync:{how}")).arg("-p");
        let spawned = strace.arg(gate.pid().to_string()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                skip("strace", &error.to_string());
                return None;
            }
        };
        // It says that it is attached, or why it cannot be.
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            line
        });
        let line = soon("the tracer", line).await.unwrap();
        if line.contains("attached") {
            return Some(Self(child));
        }
        skip("ptrace", &line);
        let _status = child.wait();
        None
    }
}

impl Drop for Syncs {
    fn drop(&mut self) {
        // Asked to end, it lets the gate go on as it was.
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        let _status = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_stops_data_until_it_works_again() {
    let city = Plan::new().unlimited().start().await;
    let call = || Call::survey("/_test/1k");
    let mut answered = vec![city.call(call()).await];
    let Some(failing) = Syncs::meddle_with(&city.gate, "error=EIO").await else { return };
    // Which sync is the first to fail is the tracer's to say.
    let refused = until("a sync to fail", async || {
        let reply = city.call(call()).await;
        if reply.status == 200 {
            answered.push(reply);
            return None;
        }
        Some(reply)
    });
    check(&refused.await, 503, "audit-unavailable");
    let unready = city.gate.page("/readyz").await;
    assert_eq!(unready.status, 503);
    let why = "audit records cannot be made durable: the disk failed: Input/output error (os error 5)\n";
    assert_eq!(unready.text, why);
    check(&city.call(call()).await, 503, "audit-unavailable");
    // What cannot be put on record does not happen.
    let page = city.gate.operate_with(Method::PUT, "/log", "{\"log\": \"debug\"}".to_owned()).await;
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(page.text.contains("the change cannot be put on record"), "{}", page.text);
    assert_eq!(city.gate.operate(Method::GET, "/log").await.json()["log"], "info");
    drop(failing);
    until("the gate to be ready again", async || {
        (city.gate.page("/readyz").await.status == 200).then_some(())
    })
    .await;
    answered.push(city.call(call()).await);
    for reply in &answered {
        reply.assert_data();
        city.record_of(reply).await;
    }
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_slow_slows_and_loses_nothing() {
    const SYNC: Duration = Duration::from_millis(300);
    let city = Plan::new().unlimited().start().await;
    let call = || Call::survey("/_test/1k");
    city.call(call()).await.assert_data();
    let how = format!("delay_exit={}", SYNC.as_micros());
    let Some(slow) = Syncs::meddle_with(&city.gate, &how).await else { return };
    let began = Instant::now();
    let city = Arc::new(city);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let city = Arc::clone(&city);
        calls.spawn(async move { city.call(Call::survey("/_test/1k")).await });
    }
    // Who asks whether it is well waits for no disk.
    let asked = Instant::now();
    assert_eq!(city.gate.page("/healthz").await.status, 200);
    assert!(asked.elapsed() < SYNC, "{:?}", asked.elapsed());
    while let Some(reply) = calls.join_next().await {
        let reply = reply.unwrap();
        reply.assert_data();
        city.record_of(&reply).await;
    }
    // They waited, and for each other's syncs: twenty in a row would be six seconds.
    let took = began.elapsed();
    assert!(took >= SYNC && took < 15 * SYNC, "{took:?}");
    drop(slow);
    assert_intact(&city.files().audit());
}
