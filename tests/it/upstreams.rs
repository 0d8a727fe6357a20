//! Upstreams of several endpoints that fail in every way: what is tried again and what is not, who is
//! left out, what is refused, and what a reload changes.

mod server;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::city::{ANY_PORT, Call, City, Http, Plan, SURVEY, SURVEYOR, in_parts, soon, spiffe, until, whole};
use crate::refusals::bytes::platform;
use crate::refusals::check;
use crate::tls::service_tls;
use server::{DATA, Mood, Server};

/// A city before `servers`, with `more` said of the upstream.
async fn city(servers: &[&Server], more: &str) -> City {
    let mut plan = Plan::new().unlimited();
    for method in ["GET", "POST"] {
        plan = plan.more_config(&format!(
            "\n[[route]]\nmethod = \"{method}\"\npath = \"/_up/{{case}}\"\nresource = \"population.resident\"\n\
             action = \"query\"\nupstream = \"platform\"\n"
        ));
    }
    plan.config("url = \"http://PLATFORM\"", &endpoints(servers))
        .config("response_timeout = \"10s\"", &format!("response_timeout = \"10s\"\n{more}"))
        .start_without_platform()
        .await
}

fn endpoints(servers: &[&Server]) -> String {
    let each: Vec<String> =
        servers.iter().map(|server| format!("{{ url = \"{}\" }}", server.url())).collect();
    format!("endpoints = [{}]", each.join(", "))
}

fn get() -> Call {
    Call::survey("/_up/it").english()
}

fn post(body: &'static str) -> Call {
    Call::post(SURVEYOR, SURVEY, "/_up/it", whole(body)).english()
}

async fn metric(city: &City, name: &str, labels: &str) -> f64 {
    city.gate.metric(&format!("pinegate_upstream_{name}{{{labels}}}")).await
}

async fn shows(city: &City, name: &str, labels: &str, value: f64) {
    let what = format!("{name} {{{labels}}} to be {value}");
    until(&what, async || ((metric(city, name, labels).await - value).abs() < 0.1).then_some(())).await;
}

const READY: &str = "state=\"ready\",upstream=\"platform\"";
const EJECTED: &str = "state=\"ejected\",upstream=\"platform\"";
const DOWN: &str = "state=\"down\",upstream=\"platform\"";
const MADE: &str = "result=\"made\",upstream=\"platform\"";
const REFUSED: &str = "result=\"refused\",upstream=\"platform\"";
const ONE: &str = "upstream=\"platform\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_one_of_two_is_killed_and_revived() {
    let (mut one, other) = (Server::start(Mood::Well).await, Server::start(Mood::Well).await);
    let city =
        city(&[&one, &other], "[upstream.ejection]\nbase = \"300ms\"\nlongest = \"300ms\"\nfailures = 2")
            .await;
    until("both to be asked", async || {
        city.call(get()).await.assert_data();
        (!one.came().is_empty() && !other.came().is_empty()).then_some(())
    })
    .await;
    one.kill().await;
    let mut attempts = Vec::new();
    until("it to be left out", async || {
        let reply = city.call(get()).await;
        reply.assert_data();
        attempts.extend(city.record_of(&reply).await.attempts);
        (metric(&city, "ejections_total", ONE).await > 0.5).then_some(())
    })
    .await;
    assert!(attempts.len() >= 2 && attempts.iter().all(|&count| count == 2), "{attempts:?}");
    // A body that is still coming was not asked for when there was no connection.
    let (parts, body) = in_parts();
    let sending = async {
        parts.send(Ok(Frame::data(Bytes::from_static(b"{\"a\":")))).await.unwrap();
        parts.send(Ok(Frame::data(Bytes::from_static(b"1}")))).await.unwrap();
        drop(parts);
    };
    let call = Call::post(SURVEYOR, SURVEY, "/_up/streamed", body);
    let (reply, ()) = tokio::join!(city.call(call), sending);
    reply.assert_data();
    let came: Vec<_> = other.came().into_iter().filter(|came| came.path == "/_up/streamed").collect();
    assert_eq!(came.iter().map(|came| came.length).collect::<Vec<_>>(), [7]);

    one.revive().await;
    let before = one.came().len();
    until("it to be asked again", async || {
        city.call(get()).await.assert_data();
        (one.came().len() > before).then_some(())
    })
    .await;
    shows(&city, "endpoints", READY, 2.0).await;
    assert!((metric(&city, "retries_total", REFUSED).await).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_sent_again_only_where_that_is_harmless() {
    let (one, other) = (Server::start(Mood::HangUp).await, Server::start(Mood::HangUp).await);
    let city = city(&[&one, &other], "[upstream.ejection]\nfailures = 1000").await;
    let total = || one.came().len() + other.came().len();
    let reply = city.call(get()).await;
    check(&reply, 502, "upstream-invalid");
    assert_eq!((one.came().len(), other.came().len()), (1, 1), "the other was asked the second time");
    assert_eq!(city.record_of(&reply).await.attempts, Some(2));
    for _ in 0..4 {
        let before = total();
        let reply = city.call(post("{\"a\":1}")).await;
        check(&reply, 502, "upstream-invalid");
        assert_eq!(total(), before + 1, "a POST that was sent is not sent again");
        assert_eq!(city.outcome_of(&reply).await.attempts, None);
    }
    // One who answers, however badly, has answered.
    one.feels(Mood::Status(503));
    other.feels(Mood::Status(503));
    let before = total();
    check(&city.call(get()).await, 502, "upstream-failed");
    assert_eq!(total(), before + 1);
    assert!((metric(&city, "retries_total", MADE).await - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_finds_no_connection_goes_elsewhere() {
    let (mut one, other) = (Server::start(Mood::Well).await, Server::start(Mood::Well).await);
    one.kill().await;
    let city = city(&[&one, &other], "[upstream.ejection]\nfailures = 1000").await;
    let mut again = 0;
    for _ in 0..12 {
        let (parts, body) = in_parts();
        let sending = async {
            parts.send(Ok(Frame::data(Bytes::from_static(b"{\"a\":1}")))).await.unwrap();
            drop(parts);
        };
        let (reply, ()) = tokio::join!(city.call(Call::post(SURVEYOR, SURVEY, "/_up/it", body)), sending);
        reply.assert_data();
        again += u32::from(city.outcome_of(&reply).await.attempts == Some(2));
    }
    assert!(again > 0, "twelve draws of two never took the first");
    assert_eq!(other.came().len(), 12);
    assert!(other.came().iter().all(|came| came.length == 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_have_a_budget() {
    let one = Server::start(Mood::HangUp).await;
    let more = "[upstream.retry]\nbudget_percent = 1\nbudget_floor = 2\n[upstream.ejection]\nfailures = 1000";
    let city = city(&[&one], more).await;
    for _ in 0..8 {
        check(&city.call(get()).await, 502, "upstream-invalid");
    }
    assert_eq!(one.came().len(), 8 + 2);
    assert!((metric(&city, "retries_total", REFUSED).await - 6.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_503_is_left_out_and_asked_again_later() {
    let (one, other) = (Server::start(Mood::Status(503)).await, Server::start(Mood::Well).await);
    let city =
        city(&[&one, &other], "[upstream.ejection]\nfailures = 3\nbase = \"1h\"\nlongest = \"1h\"").await;
    until("it to be left out", async || {
        let reply = city.call(get()).await;
        assert!([200, 502].contains(&reply.status.as_u16()), "{reply:?}");
        (one.came().len() == 3).then_some(())
    })
    .await;
    for _ in 0..20 {
        city.call(get()).await.assert_data();
    }
    assert_eq!(one.came().len(), 3);
    shows(&city, "endpoints", EJECTED, 1.0).await;
    // Half of two is one: the last one stays, however it does.
    other.feels(Mood::Status(503));
    for _ in 0..6 {
        check(&city.call(get()).await, 502, "upstream-failed");
    }
    shows(&city, "ejections_total", ONE, 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_gets_no_more_to_do() {
    let released = Arc::new(Notify::new());
    let (slow, fast) =
        (Server::start(Mood::Wait(Arc::clone(&released))).await, Server::start(Mood::Well).await);
    let city = Arc::new(city(&[&slow, &fast], "").await);
    let mut hanging = JoinSet::new();
    until("one request to hang", async || {
        let city = Arc::clone(&city);
        let before = (slow.came().len(), fast.came().len());
        hanging.spawn(async move { city.call(get()).await });
        until("it to come", async || (before != (slow.came().len(), fast.came().len())).then_some(())).await;
        (slow.came().len() == 1).then_some(())
    })
    .await;
    for _ in 0..20 {
        city.call(get()).await.assert_data();
    }
    assert_eq!(slow.came().len(), 1, "of two the one with less to do");
    released.notify_waiters();
    while let Some(reply) = hanging.join_next().await {
        reply.unwrap().assert_data();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulkhead_holds_and_has_a_short_queue() {
    let released = Arc::new(Notify::new());
    let one = Server::start(Mood::Wait(Arc::clone(&released))).await;
    let more = "max_requests = 1\nmax_waiting = 1\nwait_timeout = \"20s\"";
    let city = Arc::new(city(&[&one], more).await);
    let call = || {
        let city = Arc::clone(&city);
        tokio::spawn(async move { city.call(get()).await })
    };
    let first = call();
    until("the first to come", async || (one.came().len() == 1).then_some(())).await;
    let second = call();
    shows(&city, "requests_waiting", ONE, 1.0).await;
    let third = city.call(get()).await;
    check(&third, 503, "upstream-busy");
    assert_eq!(third.header("retry-after"), Some("1"));
    assert_eq!(city.record_of(&third).await.reason.as_deref(), Some("upstream-busy"));
    assert!((metric(&city, "shed_total", "reason=\"full\",upstream=\"platform\"").await - 1.0).abs() < 0.1);
    one.feels(Mood::Well);
    released.notify_waiters();
    for reply in [first, second] {
        soon("a reply", reply).await.unwrap().assert_data();
    }
    assert_eq!(one.came().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_has_places_of_its_own() {
    let released = Arc::new(Notify::new());
    let one = Server::start(Mood::Wait(Arc::clone(&released))).await;
    let more = "provider_requests = 1\nmax_waiting = 1\nwait_timeout = \"20ms\"";
    let city = Arc::new(city(&[&one], more).await);
    let first = {
        let city = Arc::clone(&city);
        tokio::spawn(async move { city.call(get()).await })
    };
    until("the first to come", async || (one.came().len() == 1).then_some(())).await;
    check(&city.call(get()).await, 503, "upstream-busy");
    // A file of another provider goes on.
    one.feels(Mood::Well);
    let reply = city.call(Call::survey("/_test/echo").english()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    released.notify_waiters();
    soon("the first reply", first).await.unwrap().assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded() {
    let released = Arc::new(Notify::new());
    let one = Server::start(Mood::Wait(Arc::clone(&released))).await;
    let city = Arc::new(city(&[&one], "max_connections = 2").await);
    let mut calls = JoinSet::new();
    for count in 1..=2 {
        let city = Arc::clone(&city);
        calls.spawn(async move { city.call(get()).await });
        until("it to come", async || (one.came().len() == count).then_some(())).await;
    }
    let reply = city.call(get()).await;
    check(&reply, 503, "upstream-unavailable");
    one.feels(Mood::Well);
    released.notify_waiters();
    while let Some(reply) = calls.join_next().await {
        reply.unwrap().assert_data();
    }
    let reply = until("a connection to be free", async || {
        let reply = city.call(get()).await;
        (reply.status != 503).then_some(reply)
    });
    reply.await.assert_data();
    assert_eq!((one.connections(), one.came().len()), (2, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_opens_and_closes() {
    let one = Server::start(Mood::Status(503)).await;
    let more = "[upstream.breaker]\nrequests = 4\nfailure_percent = 100\nopen = \"400ms\"";
    let city = city(&[&one], more).await;
    for _ in 0..4 {
        check(&city.call(get()).await, 502, "upstream-failed");
    }
    let reply = city.call(get()).await;
    check(&reply, 503, "upstream-unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(one.came().len(), 4, "it is left alone");
    shows(&city, "breaker_open", ONE, 1.0).await;
    one.feels(Mood::Well);
    let reply = until("it to be asked again", async || {
        let reply = city.call(get()).await;
        (reply.status != 503).then_some(reply)
    });
    reply.await.assert_data();
    city.call(get()).await.assert_data();
    shows(&city, "breaker_open", ONE, 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_say_who_is_asked() {
    let (one, other) = (Server::start(Mood::Status(500)).await, Server::start(Mood::Well).await);
    let more = "[upstream.health]\npath = \"/healthz\"\ninterval = \"20ms\"\nunhealthy = 2";
    let city = city(&[&one, &other], more).await;
    shows(&city, "endpoints", DOWN, 1.0).await;
    let before = one.came().len();
    for _ in 0..20 {
        city.call(get()).await.assert_data();
    }
    assert_eq!(one.came().len(), before);
    other.feels(Mood::Status(500));
    shows(&city, "endpoints", DOWN, 2.0).await;
    check(&city.call(get()).await, 503, "upstream-unavailable");
    one.feels(Mood::Well);
    shows(&city, "endpoints", READY, 1.0).await;
    city.call(get()).await.assert_data();
    assert!(one.came().len() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_moves_an_upstream_and_loses_nothing() {
    let released = Arc::new(Notify::new());
    let (old, new) =
        (Server::start(Mood::Wait(Arc::clone(&released))).await, Server::start(Mood::Well).await);
    let city = Arc::new(city(&[&old], "").await);
    let under_way = {
        let city = Arc::clone(&city);
        tokio::spawn(async move { city.call(get()).await })
    };
    until("it to come", async || (old.came().len() == 1).then_some(())).await;
    let config = city.files().read("gateway.toml");
    city.files().write("gateway.toml", &config.replace(&endpoints(&[&old]), &endpoints(&[&new])));
    city.gate.reloaded().await;
    city.call(get()).await.assert_data();
    assert_eq!((old.came().len(), new.came().len()), (1, 1));
    // One that changes nothing keeps the connections.
    for _ in 0..3 {
        city.gate.reloaded().await;
        city.call(get()).await.assert_data();
    }
    assert_eq!((new.came().len(), new.connections()), (4, 1));
    released.notify_waiters();
    soon("the reply that was under way", under_way).await.unwrap().assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_shows_a_new_certificate() {
    let mut plan = Plan::new().unlimited();
    let tls = TlsAcceptor::from(Arc::new(service_tls(&plan.files, "platform", "127.0.0.1", true)));
    let server = Server::start_with(Mood::Well, Some(tls)).await;
    plan.files.issue_client("gate", &spiffe("shuju", "gate"));
    let own =
        "ca = \"certs/ca.pem\"\ncertificate = \"certs/clients/gate.pem\"\nkey = \"certs/clients/gate.key\"";
    let url = format!("url = \"https://127.0.0.1:{}\"\n{own}", server.at.port());
    plan.files.edit_config("url = \"http://PLATFORM\"", &url);
    let city = plan.start_without_platform().await;
    let shown = || CertificateDer::from_pem_file(city.files().client("gate").0).unwrap().to_vec();
    let call = || Call::survey("/_test/1k");
    city.call(call()).await.assert_data();
    city.call(call()).await.assert_data();
    let first = shown();
    assert_eq!(server.certificates(), std::slice::from_ref(&first), "two requests, one connection");
    city.files().issue_client("gate", &spiffe("shuju", "gate"));
    city.call(call()).await.assert_data();
    assert_eq!(server.certificates(), std::slice::from_ref(&first), "nothing changes before a reload");
    city.gate.reloaded().await;
    city.call(call()).await.assert_data();
    assert_ne!(first, shown());
    assert_eq!(server.certificates(), [first, shown()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_cannot_be_looked_up_says_so_and_is_looked_up_again() {
    let plan = Plan::new().unlimited();
    let url = "url = \"http://nowhere.invalid:9\"\nresolve_interval = \"50ms\"";
    let city = plan.config("url = \"http://PLATFORM\"", url).start_without_platform().await;
    check(&city.call(Call::survey("/_test/1k")).await, 502, "upstream-unreachable");
    until("look-ups to go on", async || {
        (metric(&city, "lookup_failures_total", ONE).await > 1.5).then_some(())
    })
    .await;
}

/// A city before a platform at `at`, which is spoken to over TLS.
async fn behind_tls(at: std::net::SocketAddr, more: &str) -> City {
    let url = format!("url = \"https://127.0.0.1:{}\"\nca = \"certs/ca.pem\"\n{more}", at.port());
    Plan::new().unlimited().config("url = \"http://PLATFORM\"", &url).start_without_platform().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_never_ends_gives_its_place_back() {
    let silent = TcpListener::bind(ANY_PORT).await.unwrap();
    let more = "connect_timeout = \"200ms\"\nmax_connections = 1";
    let city = behind_tls(silent.local_addr().unwrap(), more).await;
    // One after the other, on the only connection there may be; each comes, is told nothing, and goes.
    for _ in 0..3 {
        let came = async {
            let (mut stream, _) = silent.accept().await.unwrap();
            let mut hello = Vec::new();
            // To its end: a connection that is left behind would never have one.
            let _reset = stream.read_to_end(&mut hello).await;
            hello.len()
        };
        let call = Call::survey("/_test/1k").english();
        let (reply, hello) = tokio::join!(city.call(call), soon("the end of a handshake", came));
        check(&reply, 502, "upstream-unreachable");
        assert!(hello > 0, "there was no handshake");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_behind_a_black_hole() {
    // Whoever comes when the queue is full is not answered, as if nobody were there.
    let hole = TcpSocket::new_v4().unwrap();
    hole.bind(ANY_PORT).unwrap();
    let hole = hole.listen(1).unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(hole.local_addr().unwrap())).await
    {
        queue.push(stream.unwrap());
    }
    let url = format!("url = \"http://{}\"\nconnect_timeout = \"200ms\"", hole.local_addr().unwrap());
    let city = Plan::new().config("url = \"http://PLATFORM\"", &url).start_without_platform().await;
    let began = Instant::now();
    let reply = city.call(Call::survey("/_test/1k").english()).await;
    check(&reply, 502, "upstream-unreachable");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(city.record_of(&reply).await.reason.as_deref(), Some("upstream-unreachable"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ended_meanwhile_is_nobodys_loss() {
    // It says nothing of it: each connection ends as soon as its answer is written.
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{DATA}",
        DATA.len()
    );
    let at = platform(answer.into_bytes()).await;
    let city = Plan::new().unlimited().start_before(at).await;
    for _ in 0..100 {
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
    // And under load, where it may end while a request is on its way.
    let city = Arc::new(city);
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let city = Arc::clone(&city);
        calls.spawn(async move {
            for _ in 0..10 {
                city.call(Call::survey("/_test/1k")).await.assert_data();
            }
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_spoils_the_trial_of_a_breaker_spoils_it_for_nobody_else() {
    let one = Server::start(Mood::Status(503)).await;
    let more = "[upstream.breaker]\nrequests = 4\nfailure_percent = 100\nopen = \"5s\"";
    let city = city(&[&one], more).await;
    for _ in 0..4 {
        check(&city.call(get()).await, 502, "upstream-failed");
    }
    check(&city.call(get()).await, 503, "upstream-unavailable");
    one.feels(Mood::Well);
    // A body that is too large shows only on its way: the trial is this request's, and tells nothing of the platform.
    let spoilt = until("the trial to be had", async || {
        let (sender, body) = in_parts();
        let feed = async move {
            let part = Bytes::from(vec![b'x'; 1 << 20]);
            while sender.send(Ok(Frame::data(part.clone()))).await.is_ok() {}
            std::future::pending().await
        };
        let reply = tokio::select! {
            reply = city.call(Call::post(SURVEYOR, SURVEY, "/_up/it", body).over(Http::Two).english()) => reply,
            never = feed => never,
        };
        (reply.status != 503).then_some(reply)
    });
    check(&spoilt.await, 413, "request-too-large");
    city.call(get()).await.assert_data();
}
