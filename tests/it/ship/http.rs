//! A sink that takes `POST`s.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Mood, Receiver, cursor, figure, log, named};
use crate::audit::load_and_kill;
use crate::city::{ANY_PORT, Call, Plan, run_to_end, until};
use crate::tls::service_tls;

/// Waits for ever, if the sink hangs.
async fn answer(
    receiver: Arc<Receiver>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let reply = |status: StatusCode| Response::builder().status(status).body(Full::default()).unwrap();
    let (head, body) = request.into_parts();
    let field = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let Ok(body) = body.collect().await else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
    let body = body.to_bytes();
    let lines: Vec<_> = body.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    receiver.check(lines.iter().all(|line| line.ends_with(b"\n")), "a line without its end");
    let lines: Vec<_> = lines.iter().map(|line| line[..line.len() - 1].to_vec()).collect();
    receiver.check(head.method == http::Method::POST && head.uri.path() == "/in/gest", "another request");
    receiver.check(field("authorization") == "Bearer tok-1", "no token");
    receiver.check(field("content-type") == "application/x-ndjson", "another type");
    let ((generation, first, _), (_, last, _)) = (named(&lines[0]), named(&lines[lines.len() - 1]));
    let key = format!("\"test/{generation}/{first}-{last}\"");
    receiver.check(field("idempotency-key") == key, &format!("{} for {key}", field("idempotency-key")));
    receiver.check_cursor();
    match receiver.mood() {
        Mood::Well => {}
        Mood::Ill => match receiver.turn() % 6 {
            1 => return Ok(reply(StatusCode::SERVICE_UNAVAILABLE)),
            2 => {
                let mut later = reply(StatusCode::TOO_MANY_REQUESTS);
                later.headers_mut().insert("retry-after", "0".parse().unwrap());
                return Ok(later);
            }
            4 => {
                // It has them, and nobody learns of it.
                receiver.take(&lines);
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            _ => {}
        },
        Mood::Down | Mood::Cutting => return Err(std::io::ErrorKind::BrokenPipe.into()),
        Mood::Refusing => return Ok(reply(StatusCode::FORBIDDEN)),
        Mood::Hanging => std::future::pending().await,
    }
    receiver.take(&lines);
    receiver.acknowledge(&lines);
    Ok(reply(StatusCode::NO_CONTENT))
}

/// Starts a sink that asks for the gate's certificate, and tells the gate of it.
async fn sink(plan: &mut Plan, rest: &str) -> Arc<Receiver> {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let files = &mut plan.files;
    let tls = TlsAcceptor::from(Arc::new(service_tls(files, "sink", "localhost", true)));
    files.write("certs/sink.token", "tok-1\n");
    files.add_config(&format!(
        "\n[[audit.sink]]\nname = \"siem\"\nurl = \"https://localhost:{port}/in/gest\"\nca = \"certs/ca.pem\"\n\
         certificate = \"certs/clients/ziran-map.pem\"\nkey = \"certs/clients/ziran-map.key\"\n\
         token = \"certs/sink.token\"\n{rest}\n"
    ));
    let receiver = Arc::new(Receiver::new(files.audit()));
    let serving = Arc::clone(&receiver);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if serving.mood() == Mood::Down {
                continue;
            }
            let (tls, receiver) = (tls.clone(), Arc::clone(&serving));
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let service = service_fn(|request| answer(Arc::clone(&receiver), request));
                // A connection that breaks is the gate's to see to.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_every_record_arrives_at_a_sink_that_fails() {
    let mut plan = Plan::new().unlimited().config("segment_bytes = \"4MiB\"", "segment_bytes = \"32KiB\"");
    let receiver = sink(&mut plan, "batch_records = 20").await;
    receiver.feel(Mood::Ill);
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut city = plan.start().await;
    for _ in 0..4 {
        city = load_and_kill(city, 40, &answered).await.start_gate().await;
    }
    receiver.feel(Mood::Well);
    receiver.has_all().await;
    let sent = figure(&city, "records_total").await;
    assert!(sent > 0.0 && figure(&city, "last_success_timestamp_seconds").await > 1.0, "{sent}");
    until("the figures to be shown", async || (figure(&city, "lag_records").await < 0.5).then_some(())).await;
    assert!(figure(&city, "lag_seconds").await < 0.1);

    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    receiver.has_all().await;
    let (newest, all) = (5, log(&city.files().audit()));
    let records = all.iter().filter(|(generation, ..)| *generation == newest).count();
    assert_eq!(cursor(&city.files().audit()).get(&newest), Some(&u64::try_from(records).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_down_is_waited_for() {
    let mut plan = Plan::new();
    let receiver = sink(&mut plan, "").await;
    receiver.feel(Mood::Down);
    let mut city = plan.start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let failures =
        |reason: &str| format!("pinegate_audit_sink_failures_total{{reason=\"{reason}\",sink=\"siem\"}}");
    until("a failure", async || (city.gate.metric(&failures("unreachable")).await > 0.5).then_some(())).await;
    until("the lag to show", async || (figure(&city, "lag_seconds").await > 0.0).then_some(())).await;
    until("both records to show", async || (figure(&city, "lag_records").await > 1.5).then_some(())).await;
    // It ends all the same, and the next process sends what is left.
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    assert!(receiver.got().is_empty());
    receiver.feel(Mood::Well);
    let city = city.crash().start_gate().await;
    receiver.has_all().await;
    drop(city);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gate_left_that_was_killed_beside_another_arrives() {
    let mut plan = Plan::new();
    let receiver = sink(&mut plan, "").await;
    receiver.feel(Mood::Down);
    let mut old = plan.start().await;
    old.call(Call::survey("/_test/1k")).await.assert_data();
    let mut files = old.files().clone();
    files.edit_config("admin.sock", "second.sock");
    let new = old.beside(&files).await;
    // As who upgrades it does with one that takes too long to drain.
    old.gate.kill();
    receiver.feel(Mood::Well);
    new.call(Call::survey("/_test/1k")).await.assert_data();
    receiver.has_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_refuses_or_hangs_stops_nothing() {
    for (mood, reason) in [(Mood::Refusing, "refused"), (Mood::Hanging, "timeout")] {
        let mut plan = Plan::new();
        let receiver = sink(&mut plan, "timeout = \"700ms\"").await;
        receiver.feel(mood);
        let mut city = plan.start().await;
        let series = format!("pinegate_audit_sink_failures_total{{reason=\"{reason}\",sink=\"siem\"}}");
        until("a failure", async || (city.gate.metric(&series).await > 0.5).then_some(())).await;
        if mood == Mood::Refusing {
            let message = "audit records are not sent until somebody sees to it";
            let said = until("the error to be logged", async || city.gate.logged(message)).await;
            assert!(said["error"].as_str().unwrap().contains("it answers 403"), "{said}");
        }
        city.call(Call::survey("/_test/1k")).await.assert_data();
        assert!(!city.gate.log_text().contains("tok-1"), "a token is logged");
        city.gate.signal(Signal::TERM);
        assert_eq!(city.gate.ended().await.code(), Some(0));
        assert_eq!(cursor(&city.files().audit()).values().max(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sink_takes_effect_at_the_next_start() {
    let city = Plan::new().start().await;
    let mut files = city.files().clone();
    files.add_config("\n[[audit.sink]]\nname = \"late\"\nurl = \"syslog+tcp://localhost:1\"\n");
    city.gate.reloaded().await;
    let later = "has changed and takes effect at the next start";
    let said = until("the warning", async || city.gate.logged(later)).await;
    assert_eq!(said["section"], "[[audit.sink]]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_cannot_be_spoken_to_is_found_before_the_start() {
    let mut plan = Plan::new();
    let _receiver = sink(&mut plan, "").await;
    plan.files.edit_config("ca = \"certs/ca.pem\"\ncertificate", "ca = \"certs/sink.token\"\ncertificate");
    let site = plan.start_platform().await;
    let config = site.files.config_path();
    let (code, said) = run_to_end(&["run".as_ref(), "--config".as_ref(), config.as_ref()]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("the sink `siem` cannot be set up") && said.contains("sink.token"), "{said}");
}
