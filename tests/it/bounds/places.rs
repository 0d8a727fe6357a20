//! Places, and who has how many of them.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;
use crate::city::{Client, Http, Plan, Reply, soon};

/// Whether the gate closes a connection at once.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = soon("the end of a connection", stream.read(&mut [0; 1])).await;
    read.map_or(true, |bytes| bytes == 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_its_share_of_connections() {
    for (bounds, reason) in
        [("connections = 3", "too-many-connections"), ("connections_per_address = 3", "address-connections")]
    {
        let city = Plan::new().more_config(&format!("\n[bounds]\n{bounds}\n")).start().await;
        let client = city.client("ziran-map");
        let mut held = Vec::new();
        for http in [Http::One, Http::Two, Http::One] {
            let connection = client.connect(http).await.unwrap();
            city.call_on(&connection, Call::survey("/_test/1k").over(http)).await.assert_data();
            held.push(connection);
        }
        let mut more = TcpStream::connect(city.gate.address).await.unwrap();
        assert!(is_closed(&mut more).await, "{bounds}");
        counted(&city, &turned_away(reason), 0.0).await;
        // Those that are there go on, and so do those who look after the gate.
        city.call_on(&held[0], Call::survey("/_test/1k")).await.assert_data();
        assert_eq!(city.gate.page("/healthz").await.status, 200);
        held.truncate(1);
        until("a place to be free", async || client.connect(Http::One).await.ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_has_its_share_of_connections() {
    let city = Plan::new().more_config("\n[bounds]\nconnections_per_system = 2\n").start().await;
    let one = city.client("ziran-map").connect(Http::One).await.unwrap();
    let two = city.client("ziran-map").connect(Http::Two).await.unwrap();
    city.call_on(&one, Call::survey("/_test/1k")).await.assert_data();
    city.call_on(&two, Call::survey("/_test/1k").over(Http::Two)).await.assert_data();
    // The handshake tells who it is; what comes after it finds the connection closed.
    let third = city.client("ziran-map").connect(Http::One).await.unwrap();
    let request = Call::survey("/_test/1k").request(city.files());
    soon("the end of the third", third.send(request)).await.unwrap_err();
    counted(&city, &turned_away("system-connections"), 0.0).await;
    // Another system has places of its own.
    city.call(Call::aid("/population/residents?area=3410&size=1")).await.assert_data();
    drop(one);
    until("a place to be free", async || {
        let connection = city.client("ziran-map").connect(Http::One).await.unwrap();
        connection.send(Call::survey("/_test/1k").request(city.files())).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_do_not_go_on_hold_their_places_alone() {
    for (bounds, reason) in
        [("handshakes = 4", "too-many-handshakes"), ("handshakes_per_address = 4", "address-handshakes")]
    {
        let config = format!("\n[bounds]\n{bounds}\nhandshake_timeout = \"2s\"\n");
        let city = Plan::new().more_config(&config).start().await;
        let before = memory_before(&city);
        let established = city.client("ziran-map").connect(Http::One).await.unwrap();
        let (mut held, mut refused) = (Vec::new(), 0);
        for _ in 0..200 {
            let mut stream = TcpStream::connect(city.gate.address).await.unwrap();
            let read = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut [0; 1])).await;
            match read {
                Ok(_closed) => refused += 1,
                Err(_silent) => held.push(stream),
            }
            if refused > 20 {
                break;
            }
        }
        assert!(refused > 20, "{bounds}: {refused} of 200");
        counted(&city, &turned_away(reason), 20.0).await;
        // Whoever is there is not held up.
        city.call_on(&established, Call::survey("/_test/1k")).await.assert_data();
        // When their time is over, there is room again.
        until("a place to be free", async || city.client("ziran-map").open(b"h2").await.ok()).await;
        drop(held);
        until("the others to end", async || {
            (city.gate.metric("pinegate_connections").await < 1.5).then_some(())
        })
        .await;
        assert_alive(&city, bounds, before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_silent_connections_are_small_and_end() {
    let config = "\n[bounds]\nheader_timeout = \"1s\"\nhandshakes_per_address = 1000\n";
    let city = Plan::new().more_config(config).start().await;
    let (certificate, key) = city.files().client("ziran-map");
    let client = Client::new(&city.gate, &city.files().ca(), Some((&certificate, &key)));
    let before = memory_before(&city);
    let mut streams = Vec::new();
    for round in 0..300 {
        let protocol: &[u8] = if round % 2 == 0 { b"h2" } else { b"http/1.1" };
        let mut stream = client.open(protocol).await.unwrap();
        if round % 4 == 0 {
            // Half of what HTTP/2 begins with.
            stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
            stream.flush().await.unwrap();
        }
        streams.push(stream);
    }
    until("all of them to end", async || {
        (city.gate.metric("pinegate_connections").await < 0.5).then_some(())
    })
    .await;
    counted(&city, &cut("silent"), 299.0).await;
    assert_alive(&city, "silent connections", before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_not_used_is_asked_to_end() {
    let city = Plan::new().more_config("\n[bounds]\nidle_timeout = \"300ms\"\n").start().await;
    for http in [Http::One, Http::Two] {
        let connection = city.client("ziran-map").connect(http).await.unwrap();
        city.call_on(&connection, Call::survey("/_test/1k").over(http)).await.assert_data();
        // A request that takes longer than that is in work all the time.
        city.call_on(&connection, Call::survey("/_test/slow?ms=700").over(http)).await.assert_data();
        until("the connection to end", async || {
            (city.gate.metric("pinegate_connections").await < 0.5).then_some(())
        })
        .await;
        let cut_off = city.gate.metric(&cut("lingering")).await + city.gate.metric(&cut("stalled")).await;
        assert!(cut_off < 0.5, "{http:?}: it was asked, and ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_answer_while_everything_is_taken() {
    let city = Plan::new().more_config("\n[bounds]\nrequests = 2\nconnections = 4\n").start().await;
    let connection = city.client("ziran-map").connect(Http::Two).await.unwrap();
    let slow = || connection.send(Call::survey("/_test/slow?ms=900").request(city.files()));
    let (one, two, ()) = tokio::join!(slow(), slow(), async {
        city.received().until(|received| received.len() == 2).await;
        let mut crowd = Vec::new();
        for _ in 0..20 {
            crowd.push(TcpStream::connect(city.gate.address).await.unwrap());
        }
        counted(&city, &turned_away("too-many-connections"), 0.0).await;
        for _ in 0..50 {
            let shed = Call::survey("/_test/1k").over(Http::Two);
            let reply = city.call_on(&connection, shed).await;
            crate::refusals::check(&reply, 503, "overloaded");
            assert_eq!(reply.header("retry-after"), Some("1"));
            assert_eq!(city.gate.page("/healthz").await.status, 200);
            assert_eq!(city.gate.page("/readyz").await.status, 200);
        }
        assert!(city.gate.metric("pinegate_refusals_total{code=\"overloaded\"}").await > 49.5);
        assert_eq!(city.received().total(), 2, "nothing was spent on them");
    });
    // What was in work got its answers.
    assert_eq!((one.unwrap().status().as_u16(), two.unwrap().status().as_u16()), (200, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_free_when_the_reply_has_ended_and_not_before() {
    let of_upstream = (
        "response_timeout = \"10s\"",
        "response_timeout = \"10s\"\nmax_requests = 1\nwait_timeout = \"20ms\"",
    );
    let of_limit =
        "[[limit]]\nname = \"one\"\nby = [\"system\"]\nsystem = [\"sys:ziran-map\"]\nconcurrency = 1\n";
    for (plan, status, code) in [
        (Plan::new().unlimited().more_config("\n[bounds]\nrequests = 1\n"), 503, "overloaded"),
        (Plan::new().unlimited().config(of_upstream.0, of_upstream.1), 503, "upstream-busy"),
        (Plan::new().unlimited().more_policy("limits.toml", of_limit), 429, "rate-concurrency"),
    ] {
        let city = plan.start().await;
        for http in [Http::One, Http::Two] {
            let connection = city.client("ziran-map").connect(http).await.unwrap();
            let call = || Call::survey("/_test/1k");
            // Its head is there, and more to come than sockets hold.
            let begin = async || {
                let long = Call::survey("/_test/bytes?n=50000000").over(http).request(city.files());
                soon("the head of a reply", connection.send(long)).await.unwrap()
            };
            let reply = begin().await;
            assert_eq!(reply.status(), 200, "{code}");
            for _ in 0..5 {
                crate::refusals::check(&city.call(call().english()).await, status, code);
            }
            let whole = soon("the rest", Reply::read(reply)).await;
            whole.assert_data();
            until("the place to be free", async || (city.call(call()).await.status == 200).then_some(()))
                .await;
            // Who goes away gives it back as well.
            let reply = begin().await;
            assert_eq!(reply.status(), 200, "{code}");
            drop((reply, connection));
            until("the place to be free", async || (city.call(call()).await.status == 200).then_some(()))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_that_run_out() {
    let city = Plan::new().unlimited().start().await;
    let established = city.client("ziran-map").connect(Http::One).await.unwrap();
    let call = || Call::survey("/_test/1k");
    city.call_on(&established, call()).await.assert_data();
    let files = format!("/proc/{}/fd", city.gate.pid());
    let open = || u64::try_from(std::fs::read_dir(&files).unwrap().count()).unwrap();
    let gate = Pid::from_raw(i32::try_from(city.gate.pid()).unwrap());
    let most = getrlimit(Resource::Nofile).maximum;
    let allow = |current: u64| {
        prlimit(gate, Resource::Nofile, Rlimit { current: Some(current), maximum: most }).unwrap();
    };
    let limit = open() + 10;
    allow(limit);
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(TcpStream::connect(city.gate.address).await.unwrap());
    }
    until("descriptors to run out", async || (open() >= limit).then_some(())).await;
    let refused = "a connection could not be accepted";
    until("it to be said", async || city.gate.logged(refused)).await;
    // Those who are there are served, and nobody runs in circles: each try is said, and there are few.
    let (began, said) = (Instant::now(), || city.gate.log_text().matches(refused).count());
    let before = said();
    while said() < before + 10 {
        city.call_on(&established, call()).await.assert_data();
    }
    let took = began.elapsed();
    assert!(took > Duration::from_millis(200), "ten tries to accept in {took:?}");
    drop(crowd);
    // There is room again, without anybody's help.
    let connection = until("a place", async || city.client("ziran-map").connect(Http::Two).await.ok()).await;
    city.call_on(&connection, call().over(Http::Two)).await.assert_data();
    assert_eq!(city.gate.page("/healthz").await.status, 200);
}
