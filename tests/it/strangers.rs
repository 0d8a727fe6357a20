//! Whoever the registry does not name leaves a count, and cannot fill a disk.

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::city::{Call, City, Client, Plan, assert_intact, soon, until};

/// The lines about strangers so far: how far they came, why no further, from where, how often.
fn lines(city: &City) -> Vec<(String, String, String, u64)> {
    let directory = city.files().audit().join("strangers");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    let told = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| line[name].as_str().unwrap().to_owned();
        assert_eq!((&line["v"], word("node").as_str()), (&1.into(), "test"));
        let times = ["from", "first", "last", "until"].map(word);
        assert!(times.is_sorted(), "{line}");
        (word("reached"), word("reason"), word("network"), line["count"].as_u64().unwrap())
    };
    text.lines().map(told).collect()
}

/// Speaks to the gate without a certificate until it is turned away.
async fn knock(city: &City) {
    let client = Client::to(city.gate.address, &city.files().ca());
    let mut stream = client.open(b"http/1.1").await.unwrap();
    drop(stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await);
    soon("an alert", stream.read_u8()).await.unwrap_err();
}

/// Stops the gate, which writes down what is left to write.
async fn stop(city: &mut City) {
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_do_is_written_down() {
    let mut city = Plan::new().start().await;
    for _ in 0..3 {
        knock(&city).await;
    }
    let mut garbage = TcpStream::connect(city.gate.address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    soon("the end of a connection", garbage.read_to_end(&mut rest)).await.unwrap();
    let before = city.records().len();
    for _ in 0..2 {
        let call = Call::get("nobody-knows", "social-aid.eligibility", "/population/residents?area=3410");
        assert_eq!(city.call(call).await.status, 403);
    }
    // Whoever is known has records and no line.
    city.call(Call::survey("/_test/1k")).await.assert_data();
    assert_eq!(city.call(Call::survey("/nowhere")).await.status, 404);
    assert_eq!(city.records().len(), before + 2);
    stop(&mut city).await;
    let own = "127.0.0.0/24".to_owned();
    let line =
        |reached: &str, reason: &str, count| (reached.to_owned(), reason.to_owned(), own.clone(), count);
    assert_eq!(
        lines(&city),
        [
            line("handshake", "no-certificate", 3),
            line("handshake", "protocol", 1),
            line("request", "identity-unknown", 2)
        ]
    );
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_too_many_are_written_down() {
    let mut city = Plan::new().more_config("\n[bounds]\nconnections = 1\ndrain = \"1s\"\n").start().await;
    let held = TcpStream::connect(city.gate.address).await.unwrap();
    until("the one connection to be taken", async || {
        (city.gate.metric("pinegate_connections").await > 0.5).then_some(())
    })
    .await;
    for _ in 0..4 {
        let mut refused = TcpStream::connect(city.gate.address).await.unwrap();
        // Closed at once, with or without a word.
        let read = soon("a closed connection", refused.read_u8()).await;
        read.unwrap_err();
    }
    stop(&mut city).await;
    drop(held);
    let found = lines(&city);
    let own = ("connection".to_owned(), "too-many-connections".to_owned(), "127.0.0.0/24".to_owned(), 4);
    assert!(found.contains(&own), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_strangers_that_cannot_be_written_stops_nothing() {
    let plan = Plan::new();
    plan.files.write("audit/strangers", "a file where the directory should be");
    let mut city = plan.start().await;
    knock(&city).await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    stop(&mut city).await;
    let said = "what strangers did could not be written down and is lost";
    assert!(city.gate.logged(said).is_some(), "{}", city.gate.log_text());
    let events: Vec<_> = city.records().into_iter().filter_map(|record| record.event).collect();
    assert_eq!(events, ["start", "drain", "stop"]);
}
