//! A gate that changes while it serves, and ends without dropping anyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::Method;
use pinegate::tlog::note::new_private_key;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::city::{Call, City, Http, Plan, Reply, assert_intact, records, soon, until};
use crate::refusals::check;

/// Calls that go on until they are told to stop.
struct Load {
    tasks: JoinSet<Vec<Reply>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Load {
    async fn start(city: &City) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for http in [Http::One, Http::One, Http::Two, Http::Two] {
            let connection = city.client("ziran-map").connect(http).await.unwrap();
            let token = city.files().token("ziran-map", "planning.survey");
            let (files, stop, done) = (city.files().clone(), Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                let mut replies = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let request = Call::survey("/_test/1k").token(token.clone()).request(&files);
                    let response = soon("a reply under load", connection.send(request)).await.unwrap();
                    replies.push(soon("a whole reply under load", Reply::read(response)).await);
                    done.fetch_add(1, Ordering::Relaxed);
                }
                replies
            });
        }
        Self { tasks, stop, done }
    }

    /// Waits for `more` calls to have ended.
    async fn goes_on(&self, more: u64) {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        until("calls under load", async || (self.done.load(Ordering::Relaxed) >= wanted).then_some(())).await;
    }

    /// Ends it; fails unless every call got data.
    async fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut count = 0;
        while let Some(replies) = self.tasks.join_next().await {
            for reply in replies.unwrap() {
                reply.assert_data();
                count += 1;
            }
        }
        count
    }
}

async fn digest(city: &City) -> String {
    let page = city.gate.page("/metrics").await.text;
    let info = page.lines().find(|line| line.starts_with("pinegate_policy_info{") && line.ends_with(" 1"));
    info.unwrap_or_else(|| panic!("no digest in\n{page}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_fail_no_request() {
    let city = Plan::new().unlimited().start().await;
    let load = Load::start(&city).await;
    load.goes_on(20).await;
    let applied = "pinegate_reloads_total{result=\"applied\"}";
    for round in 0..3_u32 {
        city.files().add_policy("grants.csv", &format!("# round {round}\n"));
        let (before, live) = (city.gate.metric(applied).await, digest(&city).await);
        if round == 1 {
            city.gate.signal(Signal::HUP);
        } else {
            let page = city.gate.reload().await;
            assert_eq!(page.status, 200, "{}", page.text);
            assert_eq!(page.json()["applied"], true);
        }
        until("the reload", async || (city.gate.metric(applied).await > before + 0.5).then_some(())).await;
        assert_ne!(digest(&city).await, live, "another policy, the same digest");
        load.goes_on(20).await;
    }
    assert!(load.end().await >= 80);
    let reloads: Vec<_> =
        city.records().into_iter().filter(|record| record.event.as_deref() == Some("reload")).collect();
    assert_eq!(reloads.len(), 3);
    assert!(reloads[1].actor.as_deref().unwrap().starts_with("signal SIGHUP from uid "));
    assert!(reloads[0].actor.as_deref().unwrap().starts_with("uid "));
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_policy_changes_nothing() {
    let city = Plan::new().start().await;
    let live = digest(&city).await;
    let good = city.files().read("policies/grants.csv");
    for broken in ["p, X-1, sys:nobody, population.resident\n", "\u{feff}", "q, X-1\n"] {
        city.files().add_policy("grants.csv", broken);
        let refused = "pinegate_reloads_total{result=\"refused\"}";
        let before = city.gate.metric(refused).await;
        let page = city.gate.reload().await;
        assert_eq!(page.status, 409, "{}", page.text);
        assert_eq!(page.json()["applied"], false);
        assert!(page.json()["report"].as_str().unwrap().contains("grants.csv"), "{}", page.text);
        assert!((city.gate.metric(refused).await - before - 1.0).abs() < 0.1);
        assert_eq!(digest(&city).await, live);
        city.call(Call::survey("/_test/1k")).await.assert_data();
        city.files().write("policies/grants.csv", &good);
    }
    let certificate = city.files().read("certs/server.pem");
    city.files().write("certs/server.pem", "nonsense");
    assert_eq!(city.gate.reload().await.status, 409);
    city.files().write("certs/server.pem", &certificate);
    let crl = city.files().read("certs/crl.pem");
    city.files().write("certs/crl.pem", "");
    assert_eq!(city.gate.reload().await.status, 409);
    city.files().write("certs/crl.pem", &crl);
    let refused = until("the refused reloads on record", async || {
        let of = |record: &pinegate::audit::ParsedRecord| record.event.as_deref() == Some("reload-refused");
        let count = city.records().iter().filter(|record| of(record)).count();
        (count == 5).then_some(count)
    });
    refused.await;
    city.gate.reloaded().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_grant_ends_on_open_connections() {
    let city = Plan::new().start().await;
    let call = || Call::aid("/population/residents?area=3410&size=1");
    let connection = city.client("minzheng-aid").connect(Http::One).await.unwrap();
    let before = city.call_on(&connection, call()).await;
    before.assert_data();
    city.files().edit_policy("grants.csv", "p, HS-2026-0117", "# p, HS-2026-0117");
    city.call_on(&connection, call()).await.assert_data();
    city.gate.reloaded().await;
    let after = city.call_on(&connection, call()).await;
    check(&after, 403, "grant-none");
    let (before, after) = (city.record_of(&before).await, city.record_of(&after).await);
    assert_ne!(before.policy, after.policy, "which policy decided is on record");
    assert_eq!(before.config, after.config);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_is_switched_off_is_off_at_once() {
    let city = Plan::new().start().await;
    let connection = city.client("ziran-map").connect(Http::Two).await.unwrap();
    let call = || Call::survey("/_test/1k").over(Http::Two);
    city.call_on(&connection, call()).await.assert_data();
    let name = "name = \"一张图系统\"";
    city.files().edit_policy("registry.toml", name, &format!("{name}\nenabled = false"));
    city.gate.reloaded().await;
    check(&city.call_on(&connection, call()).await, 403, "identity-disabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watched_files_take_effect_when_they_are_saved() {
    let city = Plan::new().config("reload = \"signal\"", "reload = \"watch\"").start().await;
    let call = || Call::aid("/population/residents?area=3410&size=1");
    city.call(call()).await.assert_data();
    city.files().edit_policy("grants.csv", "p, HS-2026-0117", "# p, HS-2026-0117");
    let refused = until("the edit to take effect", async || {
        let reply = city.call(call()).await;
        (reply.status == 403).then_some(reply)
    });
    check(&refused.await, 403, "grant-none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_what_is_in_work() {
    let mut city = Plan::new().start().await;
    let connection = city.client("ziran-map").connect(Http::One).await.unwrap();
    let target = format!("/_test/bytes?n={}", 24 << 20);
    let response = connection.send(Call::survey(&target).request(city.files())).await.unwrap();
    assert_eq!(response.status(), 200);
    // Nobody reads on yet: the reply is in work when the gate is told to stop.
    city.gate.signal(Signal::TERM);
    until("the gate to be unready", async || {
        let page = city.gate.page("/readyz").await;
        (page.status == 503).then_some(()).inspect(|()| assert!(page.text.contains("draining")))
    })
    .await;
    until("new connections to be refused", async || {
        city.client("ziran-map").open(b"http/1.1").await.is_err().then_some(())
    })
    .await;
    let reply = soon("the reply in work", Reply::read(response)).await;
    reply.assert_data();
    assert!(reply.body.ends_with(b"\"page\":1}"), "{} bytes", reply.body.len());
    let status = city.gate.ended().await;
    assert_eq!(status.code(), Some(0), "{}", city.gate.log_text());
    let records = records(&city.files().audit());
    let events: Vec<_> = records.iter().filter_map(|record| record.event.as_deref()).collect();
    assert_eq!(events, ["start", "drain", "stop"]);
    let outcome = records.iter().find(|record| record.kind == "outcome").unwrap();
    assert_eq!((outcome.aborted.as_deref(), outcome.status), (None, Some(200)));
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_gate_ends_at_once() {
    let mut city = Plan::new().start().await;
    let one = city.client("ziran-map").connect(Http::One).await.unwrap();
    let two = city.client("ziran-map").connect(Http::Two).await.unwrap();
    city.call_on(&one, Call::survey("/_test/1k")).await.assert_data();
    city.call_on(&two, Call::survey("/_test/1k").over(Http::Two)).await.assert_data();
    // The default drain is as long as a test's patience: idle connections must not use it up.
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_has_an_end_and_what_it_cuts_off_is_on_record() {
    for http in [Http::One, Http::Two] {
        let plan = Plan::new().more_config("\n[bounds]\ndrain = \"200ms\"\n");
        let mut city = plan.start().await;
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        let target = format!("/_test/bytes?n={}", 64 << 20);
        let response = connection.send(Call::survey(&target).request(city.files())).await.unwrap();
        // Another waits for the platform, and a third connection for nothing.
        let seen = city.received().all().len();
        let waiting = city.client("ziran-map").connect(http).await.unwrap();
        let slow = Call::survey("/_test/slow?ms=20000").request(city.files());
        let unanswered = tokio::spawn(async move { waiting.send(slow).await.is_err() });
        city.received().until(|all| all.len() > seen).await;
        let _idle = city.client("ziran-map").connect(http).await.unwrap();

        city.gate.signal(Signal::TERM);
        assert_eq!(city.gate.ended().await.code(), Some(0));
        let reply = soon("the rest", Reply::read(response)).await;
        assert!(reply.broken.is_some(), "a reply that was cut off looks whole");
        assert!(soon("the end of the other", unanswered).await.unwrap(), "an answer came after the end");

        let outcome = city.outcome_of(&reply).await;
        assert_eq!((outcome.status, outcome.aborted.as_deref()), (Some(200), Some("gate-stopped")));
        assert!(outcome.records > Some(0) && outcome.sent_sha256.is_none(), "{outcome:#?}");
        let records = city.records();
        let ended = records.iter().find(|record| record.kind == "access").unwrap();
        assert_eq!((ended.status, ended.aborted.as_deref()), (Some(503), Some("gate-stopped")));
        let events: Vec<_> = records.iter().filter_map(|record| record.event.as_deref()).collect();
        assert_eq!(events, ["start", "drain", "stop"]);
        assert_eq!(records.last().unwrap().event.as_deref(), Some("stop"), "{http:?}: records after the end");
        assert!(!city.gate.log_text().contains("could not be recorded"), "{}", city.gate.log_text());
        assert_intact(&city.files().audit());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_twice_does_not_wait() {
    let mut city = Plan::new().more_config("\n[bounds]\ndrain = \"1h\"\n").start().await;
    let connection = city.client("ziran-map").connect(Http::One).await.unwrap();
    let target = format!("/_test/bytes?n={}", 64 << 20);
    let response = connection.send(Call::survey(&target).request(city.files())).await.unwrap();
    city.gate.signal(Signal::TERM);
    until("the drain", async || city.gate.logged("draining")).await;
    city.gate.signal(Signal::INT);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    let reply = soon("the rest", Reply::read(response)).await;
    let outcome = city.outcome_of(&reply).await;
    assert_eq!(outcome.aborted.as_deref(), Some("gate-stopped"));
    assert_eq!(city.records().last().unwrap().event.as_deref(), Some("stop"));
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_that_a_reload_cannot_change_is_said() {
    let city = Plan::new().start().await;
    let (mut files, later) = (city.files().clone(), "has changed and takes effect at the next start");
    let at_once =
        ["whole_reply", "decision_body", "whole_request"].map(|name| format!("{name} = \"2KiB\"\n"));
    files.add_config(&format!(
        "\n[bounds]\nrequests = 17\ndecoded_reply = \"1GiB\"\ndecoded_ratio = 30\n{}",
        at_once.concat()
    ));
    city.gate.reloaded().await;
    files.edit_config("requests = 17", "requests = 17\ndrain = \"7s\"");
    city.gate.reloaded().await;
    let said = until("the warning", async || city.gate.logged(later)).await;
    assert_eq!(said["section"], "[bounds]");
    // It is said for as long as it waits, and no longer.
    let pending = "pinegate_restart_pending{section=\"[bounds]\"}";
    assert!(city.gate.metric(pending).await > 0.5);
    for (from, to, waits) in [("requests = 17", "requests = 18", true), ("drain = \"7s\"", "", false)] {
        files.edit_config(from, to);
        let answer: serde_json::Value = serde_json::from_str(&city.gate.reload().await.text).unwrap();
        let sections: &[&str] = if waits { &["[bounds]"] } else { &[] };
        assert_eq!(answer["restart"], serde_json::json!(sections), "{answer}");
        assert_eq!(city.gate.metric(pending).await > 0.5, waits);
    }
    // Each change is in the log once: there, and back.
    assert_eq!(city.gate.log_text().matches(later).count(), 2, "{}", city.gate.log_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_audit_log_a_reload_cannot_change_is_said() {
    let city = Plan::new().start().await;
    let mut files = city.files().clone();
    let said = || -> Vec<String> {
        let text = city.gate.log_text();
        let lines = text.lines().filter(|line| line.contains("takes effect at the next start"));
        let sections = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        sections.map(|line| line["section"].as_str().unwrap().to_owned()).collect()
    };
    for name in ["checkpoint.key", "other.key"] {
        files.write(name, std::str::from_utf8(new_private_key().unwrap().expose()).unwrap());
    }
    files.write("audit.key", "another key, which a reload takes at once");
    city.gate.reloaded().await;
    files.add_config("\n[audit.checkpoint]\nkey = \"checkpoint.key\"\n");
    let mut expected = vec!["[audit.checkpoint]"];
    city.gate.reloaded().await;
    for (from, to) in [
        ("\"checkpoint.key\"", "\"other.key\""),
        ("\"other.key\"", "\"other.key\"\norigin = \"city.example\""),
        ("origin = ", "every = \"20s\"\norigin = "),
        ("origin = ", "records = 1000\norigin = "),
    ] {
        files.edit_config(from, to);
        city.gate.reloaded().await;
        expected.push("[audit.checkpoint]");
    }
    for (from, to) in [
        ("directory = \"audit\"", "directory = \"elsewhere\""),
        ("node = \"test\"", "node = \"another\""),
        ("segment_bytes = \"4MiB\"", "segment_bytes = \"8MiB\""),
        ("[audit]\n", "[audit]\nretention_days = 400\n"),
        ("[audit]\n", "[audit]\nlow_space = \"1MiB\"\n"),
        ("[audit]\n", "[audit]\nwriter_priority = \"raised\"\n"),
    ] {
        files.edit_config(from, to);
        city.gate.reloaded().await;
        expected.push("[audit]");
    }
    until("the warnings", async || (said().len() >= expected.len()).then_some(())).await;
    assert_eq!(said(), expected, "{}", city.gate.log_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_and_liveness() {
    let city = Plan::new().start().await;
    for (path, text) in [("/readyz", "ready\n"), ("/healthz", "ok\n")] {
        let page = city.gate.page(path).await;
        assert_eq!((page.status.as_u16(), page.text.as_str()), (200, text));
    }
    assert!(city.gate.page("/version").await.text.starts_with("pinegate "));
    // Only the operators' socket reloads.
    assert_eq!(city.gate.page("/reload").await.status, 405);
    assert_eq!(city.gate.operate(Method::GET, "/reload").await.status, 405);
    assert_eq!(city.gate.operate(Method::GET, "/readyz").await.status, 200);
    assert_eq!(city.gate.page("/").await.status, 404);
}

mod start {
    use crate::city::{Call, Files, Plan, run_to_end};

    async fn run(files: &Files) -> (Option<i32>, String) {
        run_to_end(&["run".as_ref(), "--config".as_ref(), files.config_path().as_ref()]).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_bound_where_something_is_wrong() {
        for (from, to) in [
            ("[listen]", "[listen]\nport = 1"),
            ("issuer = \"https://exchange.city.example\"\n", ""),
            ("certs/crl.pem", "certs/none.pem"),
            ("population.resident", "population.residents"),
        ] {
            let site = Plan::new().config(from, to).start_platform().await;
            let (code, said) = run(&site.files).await;
            assert_eq!(code, Some(64), "{said}");
            assert!(said.contains("gateway.toml"), "{said}");
            assert!(!said.contains("\"serving\""), "{said}");
            assert!(!site.files.at("admin.sock").exists(), "the operators' socket was bound");
            assert!(std::fs::read_dir(site.files.audit()).unwrap().next().is_none(), "a record was written");
        }
        let site = Plan::new().more_policy("grants.csv", "p, X-1\n").start_platform().await;
        assert_eq!(run(&site.files).await.0, Some(64));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_taken_port_is_said() {
        let city = Plan::new().start().await;
        let mut files = city.files().clone();
        files.edit_config("admin.sock", "second.sock");
        files.edit_config("[\"127.0.0.1:0\"]", &format!("[\"{}\"]", city.gate.address));
        let (code, said) = run(&files).await;
        assert_eq!(code, Some(70), "{said}");
        assert!(said.contains(&city.gate.address.to_string()), "{said}");
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
}
