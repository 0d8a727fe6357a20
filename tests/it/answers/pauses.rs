//! A platform that pauses, and a client that waits for it or does not take what is there.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::sync::Notify;

use super::scripted::{chunk, last_chunk};
use super::*;

/// How long a client may take nothing.
const STALL: Duration = Duration::from_millis(300);

const LINE: &str = "{\"name\":\"王小明\"}\n";
const MASKED: &str = "{\"name\":\"王**\"}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_quiet_platform_has_not_stalled() {
    let next = Arc::new(Notify::new());
    let mut steps = chunks(&[("content-type", "application/x-ndjson")], LINE);
    steps.extend([Step::Wait(Arc::clone(&next)), chunk(LINE.as_bytes()), last_chunk()]);
    let scripted = Scripted::start([("lines", steps)]).await;
    let bounds = format!("\n[bounds]\nstall_timeout = \"{}ms\"\n", STALL.as_millis());
    let city = plan().more_config(&bounds).start_before(scripted.at).await;
    for http in BOTH {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let request = Call::survey("/_lines/lines").request(city.files());
        let response = soon("the head of a reply", connection.send(request)).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let mut body = response.into_body();
        let first = soon("a line", body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, MASKED);
        // Nothing comes, and nothing breaks.
        let quiet = tokio::time::timeout(3 * STALL, body.frame()).await;
        assert!(quiet.is_err(), "{http:?}: {quiet:?}");
        next.notify_one();
        let rest = soon("the rest", body.collect()).await.unwrap().to_bytes();
        assert_eq!(rest, MASKED);
        let outcome = city.records_of(&id).await.pop().unwrap();
        assert_eq!((outcome.records, outcome.aborted), (Some(2), None), "{http:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_of_a_whole_reply_has_stalled() {
    // More than sockets and windows hold.
    const RECORDS: usize = 120_000;
    let scripted = Scripted::start([("list", answer(&[JSON], list(RECORDS)))]).await;
    let bounds =
        format!("\n[bounds]\nwhole_reply = \"16MiB\"\nstall_timeout = \"{}ms\"\n", STALL.as_millis());
    let city = plan().more_config(&bounds).start_before(scripted.at).await;
    for (http, before) in [(Http::One, 0), (Http::Two, 1)] {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let request = Call::survey("/_x/list").request(city.files());
        let held = soon("the head of a reply", connection.send(request)).await.unwrap();
        let length: usize = held.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(length, released(RECORDS).len(), "it is whole");
        until("the untaken reply to be given up", async || {
            let said = city.gate.log_text();
            (said.matches("\"reason\":\"stalled\"").count() > before).then_some(())
        })
        .await;
        until("nothing to be in work", async || {
            (city.gate.metric("pinegate_requests_in_flight").await < 0.5).then_some(())
        })
        .await;
        let reply = soon("what there is of it", Reply::read(held)).await;
        assert!(reply.broken.is_some() && reply.body.len() < length, "{} of {length}", reply.body.len());
    }
}
