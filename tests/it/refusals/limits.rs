//! How much, how fast, how many records.

use super::{Came, check, refuse};
use crate::city::{Call, City, Http, Plan, Reply, until};

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
    let slow = Reply::read(slow.unwrap()).await;
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

/// What the survey is granted; the tests below leave it names alone, with row duties.
pub(crate) const SURVEYED: &str = "planning.survey, name|id_card:clear|phone|birth_date|address.district";

/// How many records there are in what came of a list of names.
fn records_in(text: &str) -> u64 {
    u64::try_from(text.matches('{').count().saturating_sub(1)).unwrap()
}

/// What is left of the day's records, as the gate's own page says.
pub(crate) async fn left_today(city: &City) -> u64 {
    let reply = city.call(Call::survey("/.well-known/pinegate/grants").no_token()).await;
    let grants = reply.json()["grants"].as_array().unwrap().clone();
    let grant = grants.into_iter().find(|grant| grant["id"] == "TEST-1").unwrap();
    grant["rows_left_today"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_list_is_cut_off_at_the_records_of_a_reply() {
    let plan = Plan::new().unlimited().policy(
        "grants.csv",
        SURVEYED,
        "planning.survey, name;rows<=5000;rows/day<=1000000",
    );
    let city = plan.start().await;
    let mut left = left_today(&city).await;
    for http in [Http::One, Http::Two] {
        let reply = city.call(Call::survey("/_test/bytes?n=5000000").over(http)).await;
        assert_eq!(reply.status, 200);
        assert!(reply.broken.is_some(), "{http:?}: it ended as if it were whole");
        let came = records_in(reply.text());
        let outcome = city.outcome_of(&reply).await;
        assert_eq!(outcome.aborted.as_deref(), Some("too-many-records"));
        // What has left the gate may be lost with the connection that is cut off.
        let records = outcome.records.unwrap();
        assert!(1 <= came && came <= records && records <= 5000, "{came} of {records}");
        assert!(outcome.bytes_out >= u64::try_from(reply.body.len()).ok());
        assert_eq!((outcome.sent_sha256, outcome.reason), (None, None));
        let now = left_today(&city).await;
        assert_eq!(left - now, records, "what is charged is what is on record");
        left = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_refused_whole_charges_nothing() {
    let plan = Plan::new().unlimited().policy(
        "grants.csv",
        SURVEYED,
        "planning.survey, name;rows<=40;rows/day<=1000",
    );
    let city = plan.more_config("\n[bounds]\nwhole_reply = \"4MiB\"\n").start().await;
    for http in [Http::One, Http::Two] {
        let call = Call::survey("/_test/bytes?n=1000000").over(http);
        let (reply, record) = refuse(&city, call, (403, "quota-rows"), Came::ToThePlatform).await;
        assert_eq!(record.kind, "access");
        assert_eq!(record.records, Some(0));
        assert!(!reply.text().contains("\"name\""));
        assert_eq!(left_today(&city).await, 1000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_cut_off_at_the_records_of_a_reply() {
    let catalog = "
[[resource]]
id = \"test.lines\"
name = \"逐行\"
provider = \"dept:shuju\"
class = \"测试\"
sharing = \"conditional\"
mode = [\"query\"]
format = \"ndjson\"
fields = [{ name = \"no\", label = \"编号\", type = \"number\", level = 1 }]
";
    let grant = "\np, LINES-1, sys:ziran-map, test.lines, query, planning.survey, no;rows<=25;rows/day<=60, always, allow\n";
    let route = "\n[[route]]\nmethod = \"GET\"\npath = \"/lines\"\nresource = \"test.lines\"\naction = \"query\"\n\
                 upstream = \"platform\"\n";
    let lines = |count: u64| (0..count).map(|no| format!("{{\"no\":{no}}}\n")).collect::<String>();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = |parts: &[String]| {
        let parts: String = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
        format!("{head}{parts}0\r\n\r\n").into_bytes()
    };
    let plan = || {
        let plan = Plan::new().unlimited().more_policy("catalog.toml", catalog);
        plan.more_policy("grants.csv", grant).more_config(route)
    };
    // As many as are granted are whole; one more is too much, in one part or in many.
    for (count, part) in [(25, 25), (26, 26), (26, 1), (40, 10)] {
        let parts: Vec<String> = lines(count).lines().map(|line| format!("{line}\n")).collect();
        let parts: Vec<String> = parts.chunks(part).map(|part| part.concat()).collect();
        let city = plan().start_before(super::bytes::platform(chunked(&parts)).await).await;
        for http in [Http::One, Http::Two] {
            let connection = city.client("ziran-map").connect(http).await.unwrap();
            let sent = connection.send(Call::survey("/lines").request(city.files())).await;
            // Where the very first part is too much, HTTP/1.1 closes before the head has left.
            let came = match sent {
                Err(_) => 0,
                Ok(response) => {
                    let reply = Reply::read(response).await;
                    assert_eq!(reply.broken.is_some(), count > 25, "{http:?}: {reply:?}");
                    u64::try_from(reply.text().matches('{').count()).unwrap()
                }
            };
            let outcome = until("the outcome", async || {
                city.records().into_iter().rfind(|record| record.kind != "intent" && record.request.is_some())
            })
            .await;
            let records = outcome.records.unwrap();
            assert!(came <= records && records <= 25, "{came} of {records}: {count} by {part}");
            assert!(count > 25 || came == 25, "{came} of {count}");
            assert_eq!(outcome.aborted.as_deref(), (count > 25).then_some("too-many-records"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_list_is_cut_off_at_the_records_of_a_day() {
    let plan = Plan::new().unlimited().policy("grants.csv", SURVEYED, "planning.survey, name;rows/day<=9000");
    let mut city = plan.start().await;
    let mut came = 0;
    for (http, is_cut) in [(Http::One, false), (Http::Two, true), (Http::One, true)] {
        let reply = city.call(Call::survey("/_test/bytes?n=3000000").over(http)).await;
        if reply.status == 429 {
            check(&reply, 429, "quota-exhausted");
            break;
        }
        assert_eq!(reply.broken.is_some(), is_cut, "{came} before: {:?}", reply.broken);
        let outcome = city.outcome_of(&reply).await;
        let records = outcome.records.unwrap();
        assert!(records_in(reply.text()) <= records);
        came += records;
        assert_eq!(outcome.aborted.as_deref(), is_cut.then_some("rows-exhausted"));
        assert_eq!(left_today(&city).await, 9000 - came);
        // Neither a reload nor a restart gives anybody records.
        city.gate.reloaded().await;
        assert_eq!(left_today(&city).await, 9000 - came);
        city = city.crash().start_gate().await;
        assert_eq!(left_today(&city).await, 9000 - came);
    }
    assert!(came <= 9000);
    // What a reload takes away is gone at once.
    city.files().edit_policy("grants.csv", "rows/day<=9000", "rows/day<=10");
    city.gate.reloaded().await;
    let reply = city.call(Call::survey("/_test/1k")).await;
    check(&reply, 429, "quota-exhausted");
    assert_eq!(city.record_of(&reply).await.records, Some(0));
    assert_eq!(left_today(&city).await, 0);
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
    Reply::read(slow.unwrap()).await.assert_data();
    city.call(Call::survey("/_test/1k")).await.assert_data();
}
