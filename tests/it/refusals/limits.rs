//! How much, how fast, how many records.

use super::{Came, check, refuse};
use crate::city::{Call, Http, Plan};

const PARCELS: &str = "/spatial/parcels?size=1";

fn parcels() -> Call {
    Call::get("water-billing", "utility.account", PARCELS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fourth_call_of_a_minute() {
    let city = Plan::new().start().await;
    for left in [2, 1, 0] {
        let reply = city.call(parcels()).await;
        reply.assert_data();
        let limit = reply.header("ratelimit").expect("no RateLimit");
        assert!(limit.starts_with(&format!("\"water-parcels\";r={left};t=")), "{limit}");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"water-parcels\";q=3;w=180"));
    }
    let (reply, record) = refuse(&city, parcels(), (429, "rate-exceeded"), Came::ToTheGate).await;
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(reply.header("ratelimit").unwrap().starts_with("\"water-parcels\";r=0;t="));
    assert_eq!(record.decision.as_deref(), Some("deny"));
    // Another system is not held up by it.
    city.call(Call::get("ziran-map", "planning.survey", PARCELS)).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_day() {
    let limit = "\n[[limit]]\nname = \"two-a-day\"\nby = [\"system\"]\nsystem = [\"sys:minzheng-aid\"]\nper_day = 2\n";
    let city = Plan::new().more_policy("limits.toml", limit).start().await;
    let call = || Call::aid("/population/residents?area=3410&size=1");
    for _ in 0..2 {
        city.call(call()).await.assert_data();
    }
    let (reply, _) = refuse(&city, call(), (429, "quota-exhausted"), Came::ToTheGate).await;
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_at_once() {
    let limit = "\n[[limit]]\nname = \"one-at-once\"\nby = [\"system\"]\nsystem = [\"sys:ziran-map\"]\nconcurrency = 1\n";
    let city = Plan::new().more_policy("limits.toml", limit).start().await;
    let connection = city.client("ziran-map").connect(Http::Two).await.unwrap();
    let slow = Call::survey("/_test/slow?ms=600").request(city.files());
    let (slow, refused) = tokio::join!(connection.send(slow), async {
        city.received().until(|received| !received.is_empty()).await;
        city.call(Call::survey("/_test/1k")).await
    });
    check(&refused, 429, "rate-concurrency");
    assert!(refused.header("retry-after").is_some());
    let slow = crate::city::Reply::read(slow.unwrap()).await;
    slow.assert_data();
    assert_eq!(city.received().total(), 1);
    // Its place is free again.
    city.call(Call::survey("/_test/1k")).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_records_than_a_grant_allows() {
    let city = Plan::new().start().await;
    let within = Call::get("water-billing", "utility.account", "/population/residents?area=3410&size=100");
    let reply = city.call(within).await;
    reply.assert_data();
    let beyond = Call::get("water-billing", "utility.account", "/population/residents?area=3410&size=101");
    let (reply, record) = refuse(&city, beyond, (403, "quota-rows"), Came::ToThePlatform).await;
    assert!(!reply.text().contains("address"), "{reply:?}");
    assert_eq!(record.grants, ["WT-2026-0002"]);
    assert_eq!(record.decision.as_deref(), Some("permit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_of_a_day() {
    let plan = Plan::new().policy("grants.csv", "rows<=100;rows/day<=5000", "rows<=100;rows/day<=30");
    let city = plan.start().await;
    let call = |size| {
        Call::get("water-billing", "utility.account", &format!("/population/residents?area=3410&size={size}"))
    };
    city.call(call(20)).await.assert_data();
    city.call(call(10)).await.assert_data();
    let reply = city.call(call(1)).await;
    check(&reply, 429, "quota-exhausted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_the_gate_has_room_for() {
    let city = Plan::new().more_config("\n[bounds]\nrequests = 1\n").start().await;
    let connection = city.client("ziran-map").connect(Http::Two).await.unwrap();
    let slow = Call::survey("/_test/slow?ms=600").request(city.files());
    let (slow, shed) = tokio::join!(connection.send(slow), async {
        city.received().until(|received| !received.is_empty()).await;
        city.call(Call::survey("/_test/1k")).await
    });
    check(&shed, 503, "overloaded");
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert_eq!(city.record_of(&shed).await.reason.as_deref(), Some("overloaded"));
    crate::city::Reply::read(slow.unwrap()).await.assert_data();
    city.call(Call::survey("/_test/1k")).await.assert_data();
}
