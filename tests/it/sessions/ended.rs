//! What ends sessions that nobody closes, and what their records say.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::*;
use crate::city::{DAYS, now};

async fn aborted(session: &Open, city: &City, why: &str) {
    let outcome = session.outcome(city).await;
    assert_eq!((outcome.aborted.as_deref(), outcome.ended_by.as_deref()), (Some(why), None), "{outcome:#?}");
}

type Withdrawal = (fn(&City), &'static str);

const WITHDRAWALS: [Withdrawal; 5] = [
    (|city| city.files().edit("gateway.toml", "\nupgrade = \"websocket\"\n", "\n"), "request-upgrade"),
    (|city| drop(city.files().authority().revoke(SURVEYOR, DAYS, now()).unwrap()), "identity-revoked"),
    (
        |city| {
            let name = "name = \"一张图系统\"";
            city.files().edit_policy("registry.toml", name, &format!("{name}\nenabled = false"));
        },
        "identity-disabled",
    ),
    (|city| city.files().edit_policy("grants.csv", "\np, TEST-2,", "\n# p, TEST-2,"), "grant-none"),
    (
        |city| {
            let purpose = "test.file, *, planning.survey, *";
            city.files().edit_policy("grants.csv", purpose, "test.file, *, social-aid.eligibility, *");
        },
        "purpose-not-granted",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_ends_a_session() {
    for (withdraw, why) in WITHDRAWALS {
        let platform = Sessions::start(Mood::echo()).await;
        let city = before(&platform, Plan::new()).await;
        let mut session = open(&city).await;
        session.echo("一").await;
        // A reload that changes nothing ends nothing.
        city.gate.reloaded().await;
        session.echo("二").await;
        withdraw(&city);
        city.gate.reloaded().await;
        let since = Instant::now();
        assert_eq!(session.closed().await, CloseCode::Policy, "{why}");
        assert!(since.elapsed() < Duration::from_secs(3), "{why}: after {:?}", since.elapsed());
        aborted(&session, &city, why).await;
        ended(&city, "withdrawn", 1.0).await;
        let cut = "pinegate_cut_off_total{reason=\"withdrawn\"}";
        assert!(city.gate.metric(cut).await > 0.5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_its_time() {
    let platform = Sessions::start(Mood::echo()).await;
    let plan = Plan::new().more_config("\n[bounds]\nsession_idle_timeout = \"700ms\"\n");
    let city = before(&platform, plan).await;
    let mut session = open(&city).await;
    session.echo("有人").await;
    assert_eq!(session.closed().await, CloseCode::Away);
    aborted(&session, &city, "idle").await;
    ended(&city, "idle", 1.0).await;

    let plan = Plan::new().more_config("\n[bounds]\nsession_timeout = \"700ms\"\n");
    let city = before(&platform, plan).await;
    let mut session = open(&city).await;
    let code = loop {
        // However much is said.
        if session.socket.send("还在".into()).await.is_err() {
            break session.closed().await;
        }
        if let Message::Close(frame) = session.next().await {
            break frame.unwrap().code;
        }
    };
    assert_eq!(code, CloseCode::Away);
    aborted(&session, &city, "too-long").await;
    ended(&city, "time", 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_so_many_and_no_more() {
    let platform = Sessions::start(Mood::echo()).await;
    let plan = Plan::new().more_config("\n[bounds]\nsessions = 3\nsessions_per_system = 2\n");
    let city = before(&platform, plan).await;
    let mut held = vec![open(&city).await, open(&city).await];
    let refusal = opened(&city, handshake(&city, SESSION)).await.err().unwrap();
    assert_eq!((refusal.status().as_u16(), code(&refusal).as_str()), (429, "rate-concurrency"));
    assert_eq!(refusal.headers()["retry-after"], "1");
    // What is held is free again once its session has ended.
    held.pop().unwrap().close().await;
    ended(&city, "client", 1.0).await;
    let mut again = open(&city).await;
    again.echo("又").await;
    assert_eq!(platform.heads().len(), 3, "what is refused is not asked of the platform");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_says_goodbye() {
    let platform = Sessions::start(Mood::echo()).await;
    let city = before(&platform, Plan::new()).await;
    let mut city = city;
    let mut session = open(&city).await;
    session.echo("在").await;
    let since = Instant::now();
    city.gate.signal(Signal::TERM);
    assert_eq!(session.closed().await, CloseCode::Away);
    drop(session.socket.close(None).await);
    assert!(city.gate.ended().await.success());
    assert!(since.elapsed() < Duration::from_secs(20), "the drain waited for its end");
    aborted(&session, &city, "gate-stopped").await;
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_in_the_middle_of_a_frame_ends_with_its_deadline() {
    let platform = Sessions::start(Mood::say(SWITCHES)).await;
    let plan = Plan::new().more_config("\n[bounds]\ndrain = \"1s\"\n");
    let mut city = before(&platform, plan).await;
    let mut session = open(&city).await;
    // The head of a frame whose content never comes.
    session.socket.get_mut().write_all(&[0x82, 0x85, 0, 0, 0, 0, b'a']).await.unwrap();
    until("half a frame", async || (platform.behind().len() == 7).then_some(())).await;
    city.gate.signal(Signal::TERM);
    assert!(city.gate.ended().await.success());
    aborted(&session, &city, "gate-stopped").await;
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_speaks_something_else_is_cut_off() {
    let platform = Sessions::start(Mood::say(&format!("{SWITCHES}HTTP/1.1 200 OK\r\n\r\n"))).await;
    let city = before(&platform, Plan::new()).await;
    let mut session = open(&city).await;
    assert!(soon("the end", session.socket.next()).await.is_none_or(|message| message.is_err()));
    aborted(&session, &city, "upstream-no-frame").await;
    assert_eq!(session.outcome(&city).await.bytes_out, Some(0), "nothing of it left");

    platform.feels(Mood::say(SWITCHES));
    let mut session = open(&city).await;
    session.socket.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(soon("the end", session.socket.next()).await.is_none_or(|message| message.is_err()));
    aborted(&session, &city, "client-no-frame").await;
    assert_eq!(platform.behind(), b"");
    ended(&city, "no-frame", 2.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_gone_is_gone() {
    let platform = Sessions::start(Mood::echo()).await;
    let city = before(&platform, Plan::new()).await;
    let mut session = open(&city).await;
    session.echo("再见").await;
    let Open { socket, id, head } = session;
    drop(socket);
    let records = city.records_of(&id).await;
    assert_eq!(records.last().unwrap().aborted.as_deref(), Some("client-gone"), "{head:?}: {records:#?}");

    let mut session = open(&city).await;
    session.echo("你好").await;
    drop(platform);
    assert!(soon("the end", session.socket.next()).await.is_none_or(|message| message.is_err()));
    aborted(&session, &city, "upstream-broken").await;
    ended(&city, "broken", 2.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_gone_before_the_answer_leaves_nothing_behind() {
    let (held, mood) = Mood::held();
    let platform = Sessions::start(mood).await;
    let city = before(&platform, Plan::new()).await;
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    // With what comes early in hand, the gate reads no more, and does not see its client go.
    let early = refused::raw(&city, "", "") + "\u{1}";
    stream.write_all(early.as_bytes()).await.unwrap();
    until("a handshake with the platform", async || (platform.heads().len() == 1).then_some(())).await;
    socket2::SockRef::from(stream.get_ref().0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    held.notify_one();
    let outcome =
        until("how it ended", async || city.records().into_iter().find(|record| record.kind == "outcome"))
            .await;
    assert_eq!(outcome.aborted.as_deref(), Some("client-gone"), "{outcome:#?}");
    for gauge in ["pinegate_sessions", "pinegate_requests_in_flight"] {
        until(gauge, async || (city.gate.metric(gauge).await < 0.5).then_some(())).await;
    }
    // Nor is the connection to the platform kept.
    until("the end of the platform's connection", async || platform.has_ended().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_nothing_holds_little_and_not_for_long() {
    let platform = Sessions::start(Mood::Flood(SWITCHES.to_owned())).await;
    let plan = Plan::new().more_config("\n[bounds]\nstall_timeout = \"1s\"\n");
    let city = before(&platform, plan).await;
    city.gate.forget_peak();
    let before = city.gate.memory().now;
    let session = open(&city).await;
    // Nobody reads.
    let outcome = session.outcome(&city).await;
    assert_eq!(outcome.aborted.as_deref(), Some("client-stalled"));
    let grown = city.gate.memory().peak.saturating_sub(before);
    assert!(grown < 16 << 20, "the gate grew by {grown} bytes");
    ended(&city, "stalled", 1.0).await;
}
