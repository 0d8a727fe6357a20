//! Clients that send or take as slowly as they can.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::raw::{DATA, END_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame};
use super::*;
use crate::city::{GLANCE, Http, PATIENCE, Plan, Reply, SURVEY, SURVEYOR, in_parts, soon};
use crate::refusals::check;

async fn city(bounds: &str) -> City {
    Plan::new().unlimited().more_config(&format!("\n[bounds]\n{bounds}")).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_in_is_refused() {
    let city = city("min_rate = \"64KiB\"\nmin_rate_grace = \"400ms\"\n").await;
    for http in [Http::One, Http::Two] {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let (parts, body) = in_parts();
        let upload = Call::post(SURVEYOR, SURVEY, "/_test/upload", body)
            .header("content-type", "application/octet-stream")
            .over(http);
        let trickle = async {
            let mut glances = tokio::time::interval(GLANCE);
            // A byte at a time is never nothing, and always too little.
            while parts.send(Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x")))).await.is_ok() {
                glances.tick().await;
            }
        };
        let reply = tokio::select! {
            reply = city.call_on(&connection, upload) => reply,
            () = async { trickle.await; std::future::pending().await } => panic!("no body goes on for ever"),
        };
        check(&reply, 408, "request-slow");
        let outcome = city.outcome_of(&reply).await;
        assert_eq!(outcome.reason.as_deref(), Some("request-slow"), "{http:?}");
    }
    // One that comes fast enough may take longer than the grace.
    let connection = city.client(SURVEYOR).connect(Http::One).await.unwrap();
    let (parts, body) = in_parts();
    let upload = Call::post(SURVEYOR, SURVEY, "/_test/upload", body)
        .header("content-type", "application/octet-stream");
    let (reply, ()) = tokio::join!(city.call_on(&connection, upload), async {
        let mut glances = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..8 {
            glances.tick().await;
            parts.send(Ok(Frame::data(vec![0; 32 << 10].into()))).await.unwrap();
        }
        drop(parts);
    });
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_trickles_out_is_cut_off() {
    let city = city("min_rate = \"1MiB\"\nmin_rate_grace = \"300ms\"\n").await;
    let before = memory_before(&city);
    // Over HTTP/1.1 the sockets hold what they hold; then a client must keep up.
    let mut stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    let token = city.files().token(SURVEYOR, SURVEY);
    let request = format!(
        "GET /_test/bytes?n=100000000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let slow = cut("too-slow");
    let mut glances = tokio::time::interval(GLANCE);
    let mut some = [0; 64];
    tokio::time::timeout(PATIENCE, async {
        while city.gate.metric(&slow).await < 0.5 {
            glances.tick().await;
            if stream.read(&mut some).await.is_err() {
                break;
            }
        }
    })
    .await
    .expect("a trickle went on for ever");
    counted(&city, &slow, 0.0).await;
    drop(stream);
    assert_alive(&city, "a trickle over HTTP/1.1", before).await;

    // Over HTTP/2 it is the window that opens byte by byte.
    let mut raw = Raw::open(&city, &[]).await;
    let request = raw.request(1, "/_test/bytes?n=100000000");
    raw.send(&request).await.unwrap();
    let more = [
        frame(WINDOW_UPDATE, 0, 0, &16_u32.to_be_bytes()),
        frame(WINDOW_UPDATE, 0, 1, &16_u32.to_be_bytes()),
    ]
    .concat();
    soon("the end of a trickle over HTTP/2", async {
        let mut glances = tokio::time::interval(GLANCE);
        loop {
            tokio::select! {
                frame = raw.frame() => if frame.is_none() { break },
                _ = glances.tick() => if raw.send(&more).await.is_err() { break },
            }
        }
    })
    .await;
    counted(&city, &slow, 1.0).await;
    assert_alive(&city, "a trickle over HTTP/2", before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_short_replies_nobody_reads() {
    let city = city("stall_timeout = \"1s\"\n").await;
    let before = memory_before(&city);
    let stream = city.client(SURVEYOR).open(b"http/1.1").await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let token = city.files().token(SURVEYOR, SURVEY);
    // A reply that the library takes over at once, and large enough to fill the sockets soon.
    let request = format!(
        "GET /_test/bytes?n=12000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let requests = request.repeat(200);
    // Until nothing more goes in, and the gate sees that nothing goes out.
    soon("the end of a client that does not read", async {
        while write.write_all(requests.as_bytes()).await.is_ok() {}
    })
    .await;
    counted(&city, &cut("stalled"), 0.0).await;
    assert_alive(&city, "unread replies", before).await;
    drop(read.read(&mut [0; 1]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_that_do_not_read_hold_little() {
    const READERS: usize = 40;
    let city = city("stall_timeout = \"20s\"\n").await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let before = memory_before(&city);
    let mut held = Vec::new();
    for reader in 0..READERS {
        let http = if reader % 2 == 0 { Http::One } else { Http::Two };
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let request = Call::survey("/_test/bytes?n=50000000").request(city.files());
        held.push((soon("the head of a reply", connection.send(request)).await.unwrap(), connection));
    }
    // Others are served as ever.
    for _ in 0..20 {
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
    drop(held);
    // For each what the gate sets aside for a reply, and what of it has come from the platform.
    let bound = 640 * 1024 * u64::try_from(READERS).unwrap();
    assert_alive_within(bound, &city, "readers that do not read", before).await;
}

/// What the kernel holds for the client at `port` that it has not taken, in bytes (proc(5), `tx_queue`).
fn held_by_the_kernel(city: &City, port: u16) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (own, remote) = (format!(":{:04X}", city.gate.address.port()), format!(":{port:04X}"));
    table.lines().find_map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let is_it = cells[1].ends_with(&own) && cells[2].ends_with(&remote);
        is_it.then(|| u64::from_str_radix(cells[4].split(':').next().unwrap(), 16).unwrap())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_read_waits_at_the_platform_and_not_in_the_kernel() {
    let city = city("").await;
    for http in [Http::One, Http::Two] {
        // Over HTTP/2 the window would hold it back: here it is open as wide as can be.
        let protocol: &[u8] = if http == Http::One { b"http/1.1" } else { b"h2" };
        let mut stream = city.client(SURVEYOR).open(protocol).await.unwrap();
        let port = stream.get_ref().0.local_addr().unwrap().port();
        let token = city.files().token(SURVEYOR, SURVEY);
        let request = match http {
            Http::One => format!(
                "GET /_test/bytes?n=100000000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
            )
            .into_bytes(),
            Http::Two => {
                let wide = u32::MAX >> 1;
                let settings = [0, 4].into_iter().chain(wide.to_be_bytes()).collect::<Vec<u8>>();
                let more = frame(WINDOW_UPDATE, 0, 0, &(wide - 65_535).to_be_bytes());
                let head = Raw::open(&city, &[]).await.request(1, "/_test/bytes?n=100000000");
                [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &settings), more, head]
                    .concat()
            }
        };
        stream.write_all(&request).await.unwrap();
        stream.flush().await.unwrap();
        // When no more comes in, all is held that will be.
        let (mut last, mut same) = (0, 0);
        let rest = until("the kernel to hold what it will", async || {
            let now = held_by_the_kernel(&city, port).expect("the connection is there");
            same = if now == last && now > 0 { same + 1 } else { 0 };
            last = now;
            (same == 30).then_some(now)
        })
        .await;
        eprintln!("{http:?}: the kernel holds {rest} bytes");
        assert!(rest < MIB / 2, "{http:?}: the kernel holds {rest} bytes for a client that does not read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_has_an_end() {
    let city = city("reply_timeout = \"500ms\"\n").await;
    for http in [Http::One, Http::Two] {
        let before = city.gate.metric(&cut("too-long")).await;
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let request = Call::survey("/_test/bytes?n=1000000000").over(http).request(city.files());
        let mut response = soon("the head of a reply", connection.send(request)).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let broken = soon("the end of a reply", async {
            loop {
                match response.body_mut().frame().await {
                    Some(Ok(_part)) => {}
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            }
        })
        .await;
        assert!(broken.is_some(), "{http:?}: it ended as if it were whole");
        let outcome = city.records_of(&id).await.pop().unwrap();
        assert_eq!(outcome.aborted.as_deref(), Some("too-long"), "{http:?}");
        counted(&city, &cut("too-long"), before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_at_leisure_but_steadily_gets_it_all() {
    let city = city("min_rate = \"64KiB\"\nmin_rate_grace = \"200ms\"\nstall_timeout = \"500ms\"\n").await;
    let mut raw = Raw::open(&city, &[]).await;
    let request = raw.request(1, "/_test/bytes?n=300000");
    raw.send(&request).await.unwrap();
    let mut came = 0;
    let mut glances = tokio::time::interval(GLANCE);
    loop {
        glances.tick().await;
        let part = soon("a part", raw.frame()).await.expect("the connection ended");
        if part.kind != DATA {
            continue;
        }
        came += part.payload.len();
        if part.flags & END_STREAM != 0 {
            break;
        }
        let more = u32::try_from(part.payload.len().max(1)).unwrap().to_be_bytes();
        let more = [frame(WINDOW_UPDATE, 0, 0, &more), frame(WINDOW_UPDATE, 0, 1, &more)].concat();
        raw.send(&more).await.unwrap();
    }
    assert!(came > 50_000, "{came}");
    let reply: Reply = city.call(Call::survey("/_test/1k")).await;
    reply.assert_data();
}
