//! What the platform sends is believed only where it is what was asked for.

use pinegate::demo::people::PLANTED_ID;

use super::{Came, refuse};
use crate::city::{Call, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_do_not_leave() {
    let city = Plan::new().config("response_timeout = \"10s\"", "response_timeout = \"500ms\"").start().await;
    for (target, expected) in [
        ("/_test/status/206", (502, "upstream-invalid")),
        ("/_test/status/302", (502, "upstream-invalid")),
        ("/_test/status/304", (502, "upstream-invalid")),
        ("/_test/status/999", (502, "upstream-invalid")),
        ("/_test/status/500", (502, "upstream-failed")),
        ("/_test/status/503", (502, "upstream-failed")),
        ("/_test/status/400", (422, "upstream-rejected")),
        ("/_test/status/401", (422, "upstream-rejected")),
        ("/_test/status/404", (404, "upstream-not-found")),
        ("/_test/status/410", (404, "upstream-not-found")),
        ("/_test/html", (502, "mask-media-type")),
        ("/_test/die", (502, "upstream-invalid")),
        ("/_test/short", (502, "upstream-invalid")),
        ("/_test/stall", (502, "upstream-invalid")),
        ("/_test/slow?ms=5000", (504, "upstream-timeout")),
        ("/_test/badjson?kind=cut", (502, "mask-body")),
        ("/_test/badjson?kind=tail", (502, "mask-body")),
        ("/_test/badjson?kind=bare", (502, "mask-body")),
        ("/_test/badjson?kind=utf8", (502, "mask-body")),
        ("/_test/badjson?kind=utf16", (502, "mask-body")),
        ("/_test/badjson?kind=deep", (502, "mask-body")),
        ("/_test/badjson?kind=empty", (502, "mask-body")),
    ] {
        eprintln!("{target}");
        let (reply, record) = refuse(&city, Call::survey(target), expected, Came::ToThePlatform).await;
        assert!(!reply.text().contains(PLANTED_ID), "{target}: {}", reply.text());
        assert!(!format!("{:?}", reply.headers).contains(PLANTED_ID), "{target}");
        assert_eq!(record.decision.as_deref(), Some("permit"), "{target}: what was decided");
        assert_eq!(record.grants, ["TEST-1"], "{target}");
        assert_eq!(record.aborted, None, "{target}: the client has the whole refusal");
        let counts = (record.masked.len() + record.dropped.len(), record.records.unwrap_or(0));
        assert_eq!((counts, record.unclassified), ((0, 0), Some(0)), "{target}: nothing left");
    }
    for treatment in ["masked", "dropped", "unclassified"] {
        let resource = "resource=\"population.resident\"";
        let series = format!("pinegate_fields_total{{{resource},treatment=\"{treatment}\"}}");
        assert!(city.gate.metric(&series).await < 0.5, "{series} counts what was refused");
    }
    assert!(!city.gate.log_text().contains(PLANTED_ID), "the log holds a number of the platform's");
    city.call(Call::survey("/_test/1k")).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_grant_asks_for_what_a_file_cannot_keep() {
    let granted = "test.file, *, planning.survey, *, always";
    for scope in ["*;rows<=1", "*;rows/day<=1", "*:full"] {
        let narrowed = format!("test.file, *, planning.survey, {scope}, always");
        let city = Plan::new().policy("grants.csv", granted, &narrowed).start().await;
        let (_, record) =
            refuse(&city, Call::survey("/_test/echo"), (503, "mask-unavailable"), Came::ToTheGate).await;
        assert_eq!(record.grants, ["TEST-2"], "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_hangs_up() {
    // A request that may have been read is sent again where that is harmless, as often as the upstream allows.
    let once = "response_timeout = \"10s\"\n[upstream.retry]\ntries = 1";
    let city = Plan::new().config("response_timeout = \"10s\"", once).start().await;
    let (_, record) =
        refuse(&city, Call::survey("/_test/drop"), (502, "upstream-invalid"), Came::ToThePlatform).await;
    assert_eq!(record.decision.as_deref(), Some("permit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_is_gone() {
    let city = Plan::new().start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    city.stop_platform();
    let reply = crate::city::until("the platform to be gone", async || {
        let reply = city.call(Call::survey("/_test/1k")).await;
        (reply.status == 502 && reply.code() == "upstream-unreachable").then_some(reply)
    })
    .await;
    super::check(&reply, 502, "upstream-unreachable");
    assert_eq!(city.record_of(&reply).await.reason.as_deref(), Some("upstream-unreachable"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_takes_too_long() {
    let city = Plan::new().start().await;
    // The route's bound is shorter than the upstream's.
    let (reply, _) =
        refuse(&city, Call::survey("/_test/slow?ms=20000"), (504, "request-timeout"), Came::ToThePlatform)
            .await;
    assert!(reply.broken.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_where_records_should_be() {
    let city = Plan::new().start().await;
    let reply = city.call(Call::survey("/_test/badjson?kind=text")).await;
    assert!(!reply.text().contains(PLANTED_ID), "{reply:?}");
}
