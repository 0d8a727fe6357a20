//! A sink that speaks syslog.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Mood, Receiver, cursor, named};
use crate::audit::load_and_kill;
use crate::city::{ANY_PORT, Call, Plan};
use crate::tls::service_tls;

/// Reads one frame; `None` at the end of the connection.
async fn frame(stream: &mut (impl AsyncRead + Unpin), receiver: &Receiver) -> Option<Vec<u8>> {
    let mut stream = BufReader::with_capacity(1, stream);
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).await.ok()?;
    let length: usize = std::str::from_utf8(length.strip_suffix(b" ")?).unwrap().parse().unwrap();
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.ok()?;
    let text = String::from_utf8(message).unwrap();
    let (head, line) = text.split_once("] ").unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    let fields: Vec<_> = head.splitn(7, ' ').collect();
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let expected = [
        match text("decision").as_str() {
            "permit" => "<110>1",
            "unknown" => "<107>1",
            _ => "<109>1",
        }
        .to_owned(),
        text("at"),
        "test".to_owned(),
        "pinegate".to_owned(),
        record["generation"].to_string(),
        text("kind"),
        format!("[pinegate@32473 seq=\"{}\" generation=\"{}\"", record["seq"], record["generation"]),
    ];
    receiver.check(fields == expected, &format!("{fields:?} for {expected:?}"));
    Some(line.as_bytes().to_vec())
}

/// Reads a connection to its end, or to where the sink breaks it.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, receiver: &Receiver) {
    receiver.check_cursor();
    let most = if receiver.mood() == Mood::Ill {
        [usize::MAX, 7, usize::MAX, 40][receiver.turn() % 4]
    } else {
        usize::MAX
    };
    let mut lines = Vec::new();
    while lines.len() < most {
        match frame(&mut stream, receiver).await {
            Some(line) => {
                receiver.take(std::slice::from_ref(&line));
                lines.push(line);
            }
            None => break,
        }
    }
    if lines.len() < most && receiver.mood() != Mood::Cutting {
        receiver.acknowledge(&lines);
        // Whoever has read all says so by ending the connection.
        drop(stream.shutdown().await);
    }
}

/// Starts a sink, and tells the gate of it.
async fn sink(plan: &mut Plan, is_tls: bool) -> Arc<Receiver> {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = TlsAcceptor::from(Arc::new(service_tls(&plan.files, "sink", "localhost", true)));
    let (scheme, ca) = if is_tls {
        let own = "certificate = \"certs/clients/ziran-map.pem\"\nkey = \"certs/clients/ziran-map.key\"";
        ("syslog+tls", format!("ca = \"certs/ca.pem\"\n{own}"))
    } else {
        ("syslog+tcp", String::new())
    };
    plan.files.add_config(&format!(
        "\n[[audit.sink]]\nname = \"siem\"\nurl = \"{scheme}://localhost:{port}\"\nbatch_records = 20\n{ca}\n"
    ));
    let receiver = Arc::new(Receiver::new(plan.files.audit()));
    let serving = Arc::clone(&receiver);
    tokio::spawn(async move {
        loop {
            let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            let (tls, receiver) = (tls.clone(), Arc::clone(&serving));
            tokio::spawn(async move {
                if !is_tls {
                    serve(stream, &receiver).await;
                } else if let Ok(stream) = tls.accept(stream).await {
                    serve(stream, &receiver).await;
                }
            });
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_every_record_arrives_over_connections_that_break() {
    let mut plan = Plan::new().unlimited().config("segment_bytes = \"4MiB\"", "segment_bytes = \"32KiB\"");
    let receiver = sink(&mut plan, true).await;
    receiver.feel(Mood::Ill);
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut city = plan.start().await;
    for _ in 0..3 {
        city = load_and_kill(city, 40, &answered).await.start_gate().await;
    }
    receiver.feel(Mood::Well);
    receiver.has_all().await;
    // What is not settled at the end is not settled by the next process either, but sent again.
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    receiver.has_all().await;
    let acknowledged = receiver.acknowledged.lock().unwrap().clone();
    let last = receiver.got().last().unwrap().clone();
    assert_eq!(acknowledged[&last.0], last.1 + 1);
    assert_eq!(cursor(&city.files().audit()).get(&last.0), Some(&(last.1 + 1)), "the drain settles");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_arrive_in_clear_text_where_that_is_asked_for() {
    let mut plan = Plan::new();
    let receiver = sink(&mut plan, false).await;
    let mut city = plan.start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    receiver.has_all().await;
    let lines = receiver.lines.lock().unwrap().clone();
    let acknowledged = receiver.acknowledged.lock().unwrap().clone();
    assert_eq!(cursor(&city.files().audit()), acknowledged);
    assert_eq!(lines.iter().map(|line| named(line).1).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// Whoever sits on the way can swallow what was sent and end the connection, but not TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_off_has_taken_nothing() {
    let mut plan = Plan::new();
    let receiver = sink(&mut plan, true).await;
    receiver.feel(Mood::Cutting);
    let mut city = plan.start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    assert!(receiver.got().len() > 3, "all was sent");
    let taken = cursor(&city.files().audit());
    assert!(taken.values().all(|next| *next == 0), "{taken:?}");
    assert!(city.gate.log_text().contains("close_notify"), "{}", city.gate.log_text());
}
