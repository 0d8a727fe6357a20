//! The PROXY protocol: what balancers say of clients, and what the gate says of callers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::city::{ANY_PORT, Call, City, Http, Plan, SURVEYOR, until};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A client of the documentation's network, as a balancer announces it.
const CLIENT: [u8; 12] = [203, 0, 113, 77, 10, 0, 0, 1, 0xc3, 0x50, 0x20, 0xfb];

fn announced(command: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, 0x11], &length, rest].concat()
}

async fn city(networks: &str) -> City {
    let addresses = "addresses = [\"127.0.0.1:0\"]";
    Plan::new().config(addresses, &format!("{addresses}\nproxy_from = [{networks}]")).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_says_whom_a_connection_is_from() {
    let mut city = city("\"127.0.0.0/8\"").await;
    for (before, address) in
        [(announced(0x21, &CLIENT), "203.0.113.77"), (announced(0x20, &CLIENT), "127.0.0.1")]
    {
        let client = city.client(SURVEYOR).behind(before);
        for http in [Http::One, Http::Two] {
            let connection = client.connect(http).await.unwrap();
            let reply = city.call_on(&connection, Call::survey("/_test/1k")).await;
            reply.assert_data();
            assert_eq!(city.record_of(&reply).await.address.as_deref(), Some(address));
            let forwarded =
                city.last_received().headers.get("forwarded").unwrap().to_str().unwrap().to_owned();
            assert!(forwarded.starts_with(&format!("for={address};")), "{forwarded}");
        }
    }
    let malformed = [Vec::new(), announced(0x21, &CLIENT[..11]), announced(0x31, &CLIENT)];
    for before in malformed {
        assert!(city.client(SURVEYOR).behind(before).open(b"http/1.1").await.is_err());
    }
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0));
    let directory = city.files().audit().join("strangers");
    let files = std::fs::read_dir(directory).unwrap();
    let text: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(text.contains("\"reason\":\"proxy-header\",\"network\":\"127.0.0.0/24\",\"count\":3"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_is_that_of_the_client_and_not_of_its_balancer() {
    let addresses = "addresses = [\"127.0.0.1:0\"]";
    let plan = Plan::new().config(addresses, &format!("{addresses}\nproxy_from = [\"127.0.0.0/8\"]"));
    let city = plan.more_config("\n[bounds]\nconnections_per_address = 1\n").start().await;
    let mut other = CLIENT;
    other[3] += 1;
    let (client, other) =
        [CLIENT, other].map(|from| city.client(SURVEYOR).behind(announced(0x21, &from))).into();
    let held = client.connect(Http::One).await.unwrap();
    city.call_on(&held, Call::survey("/_test/1k")).await.assert_data();
    let beside = other.connect(Http::One).await.unwrap();
    city.call_on(&beside, Call::survey("/_test/1k")).await.assert_data();
    assert!(client.open(b"http/1.1").await.is_err(), "it has its share");
    let series = "pinegate_connections_turned_away_total{reason=\"address-connections\"}";
    assert!(city.gate.metric(series).await > 0.5);
    drop(held);
    until("its place to be free", async || client.open(b"http/1.1").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_no_balancer_says_nothing_of_itself() {
    let city = city("\"10.0.0.0/8\", \"::1\"").await;
    let liar = city.client(SURVEYOR).behind(announced(0x21, &CLIENT));
    assert!(liar.open(b"http/1.1").await.is_err());
    let reply = city.call(Call::survey("/_test/1k")).await;
    reply.assert_data();
    assert_eq!(city.record_of(&reply).await.address.as_deref(), Some("127.0.0.1"));
}

/// Remembers the first 28 bytes of each connection, and answers its requests.
async fn platform() -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let (at, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let seen_there = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen_there);
            tokio::spawn(async move {
                let mut header = vec![0; 16];
                stream.read_exact(&mut header).await.unwrap();
                header.resize(16 + usize::from(header[15]), 0);
                stream.read_exact(&mut header[16..]).await.unwrap();
                seen.lock().unwrap().push(header);
                let mut head = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        let body = r#"{"code":0,"data":[]}"#;
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (at, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_to_the_platform_says_whose_request_it_has() {
    let (at, seen) = platform().await;
    let more = "response_timeout = \"10s\"\nproxy_protocol = true\n[upstream.health]\npath = \"/healthz\"";
    let city = Plan::new().config("response_timeout = \"10s\"", more).start_before(at).await;
    let local = announced(0x20, &[]);
    let of_checks = |header: &Vec<u8>| header[12] == local[12] && header[14..] == [0, 0];
    until("a check", async || seen.lock().unwrap().iter().any(of_checks).then_some(())).await;
    let connection = city.client(SURVEYOR).connect(Http::One).await.unwrap();
    for _ in 0..2 {
        city.call_on(&connection, Call::survey("/_test/1k")).await.assert_data();
    }
    let headers: Vec<Vec<u8>> =
        seen.lock().unwrap().iter().filter(|header| !of_checks(header)).cloned().collect();
    assert_eq!(headers.len(), 2, "a connection for each request");
    for header in headers {
        assert_eq!((&header[..12], &header[12..16]), (SIGNATURE, &[0x21, 0x11, 0, 12][..]));
        assert_eq!(IpAddr::from(<[u8; 4]>::try_from(&header[16..20]).unwrap()), Ipv4Addr::LOCALHOST);
        let port = u16::from_be_bytes([header[26], header[27]]);
        assert_eq!(port, city.gate.address.port(), "the other end is the gate's");
    }
}
