//! What is withdrawn while a reply streams ends it, on the connection that is open.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::*;
use crate::city::{Connection, DAYS, Http, Plan, SURVEYOR, now, soon};
use crate::refusals::check;

/// What the survey is granted, as far as the tests take something out of it.
const SURVEYED: &str = "planning.survey, name|id_card:clear|phone";

/// A download that will not end soon.
struct Download {
    response: Response<Incoming>,
    connection: Connection,
    id: String,
}

impl Download {
    async fn begin(city: &City, http: Http) -> Self {
        let connection = city.client(SURVEYOR).connect(http).await.unwrap();
        let request = Call::survey("/_test/bytes?n=4000000000").over(http).request(city.files());
        let response = soon("the head of a reply", connection.send(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let mut download = Self { response, connection, id };
        assert!(download.part().await.is_some(), "nothing came");
        download
    }

    /// The next part, if the download goes on.
    async fn part(&mut self) -> Option<usize> {
        let part = soon("a part, or the end", self.response.body_mut().frame()).await;
        let part = part.expect("it ended as if it were whole");
        part.ok().map(|frame| frame.data_ref().map_or(0, bytes::Bytes::len))
    }
}

/// What is done to whoever downloads, and what the record says of it.
type Withdrawal = (&'static str, fn(&City), &'static str);

/// The end of what the survey is granted.
const WHEN: &str = "address.district, always, allow";

const WITHDRAWALS: [Withdrawal; 7] = [
    (
        "a certificate is revoked",
        |city| drop(city.files().authority().revoke(SURVEYOR, DAYS, now()).unwrap()),
        "identity-revoked",
    ),
    (
        "a system is switched off",
        |city| {
            let name = "name = \"一张图系统\"";
            city.files().edit_policy("registry.toml", name, &format!("{name}\nenabled = false"));
        },
        "identity-disabled",
    ),
    (
        "a grant is withdrawn",
        |city| city.files().edit_policy("grants.csv", "\np, TEST-1,", "\n# p, TEST-1,"),
        // Another grant is left to the system, for one area.
        "scope-parameter",
    ),
    (
        "a purpose is taken out of a grant",
        |city| {
            city.files().edit_policy(
                "grants.csv",
                "query, planning.survey, name|",
                "query, social-aid.eligibility, name|",
            )
        },
        "scope-parameter",
    ),
    (
        "a field is taken out of a grant",
        |city| city.files().edit_policy("grants.csv", SURVEYED, "planning.survey, name|phone"),
        "scope-exceeded",
    ),
    // Far above what the reply has let out by then: what was promised under another bound ends.
    (
        "a reply may have fewer records",
        |city| {
            let capped = WHEN.replace("district", "district;rows<=900000000");
            city.files().edit_policy("grants.csv", WHEN, &capped);
        },
        "scope-exceeded",
    ),
    (
        "a day may have fewer records",
        |city| {
            let capped = WHEN.replace("district", "district;rows/day<=900000000");
            city.files().edit_policy("grants.csv", WHEN, &capped);
        },
        "scope-exceeded",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_ends_with_what_it_rests_on() {
    for (what, withdraw, reason) in WITHDRAWALS {
        let city = Plan::new().unlimited().start().await;
        let mut downloads = Vec::new();
        for http in [Http::One, Http::Two] {
            downloads.push((http, Download::begin(&city, http).await));
        }
        // What has nothing to do with it changes nothing.
        city.files().add_policy("grants.csv", "# a word\n");
        city.gate.reloaded().await;
        for (http, download) in &mut downloads {
            for _ in 0..200 {
                assert!(download.part().await.is_some(), "{http:?}: it ended before {what}");
            }
        }
        let before = city.gate.metric(&cut("withdrawn")).await;
        withdraw(&city);
        city.gate.reloaded().await;
        let reloaded = Instant::now();
        let ends = downloads.iter_mut().map(async |(_, download)| while download.part().await.is_some() {});
        for end in ends.collect::<Vec<_>>() {
            soon(what, end).await;
        }
        let took = reloaded.elapsed();
        eprintln!("{what}: cut off {took:?} after the reload");
        // Half a second, and what a busy machine adds to it.
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
        for (http, download) in &downloads {
            let outcome = city.records_of(&download.id).await.pop().unwrap();
            assert_eq!(outcome.aborted.as_deref(), Some(reason), "{http:?}: {what}");
            assert_eq!((outcome.status, &outcome.sent_sha256), (Some(200), &None));
            assert!(outcome.records > Some(0), "{outcome:?}");
        }
        assert!(city.gate.metric(&cut("withdrawn")).await > before + 1.5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_cut_off_all_the_same() {
    for http in [Http::One, Http::Two] {
        let city = Plan::new().unlimited().start().await;
        let download = Download::begin(&city, http).await;
        let (_, switch_off, reason) = WITHDRAWALS[1];
        switch_off(&city);
        city.gate.reloaded().await;
        // Long before it has stalled.
        let outcome =
            until("the outcome", async || city.records().into_iter().find(|record| record.kind == "outcome"))
                .await;
        assert_eq!(outcome.aborted.as_deref(), Some(reason), "{http:?}");
        drop(download);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_beside_it_goes_on() {
    // Two resources on one connection: one grant is withdrawn, the other is not.
    let city = Plan::new().unlimited().start().await;
    let mut download = Download::begin(&city, Http::Two).await;
    let (_, withdraw, _) = WITHDRAWALS[2];
    withdraw(&city);
    city.gate.reloaded().await;
    soon("the end of a download", async { while download.part().await.is_some() {} }).await;
    let refused = city.call_on(&download.connection, Call::survey("/_test/1k").over(Http::Two)).await;
    check(&refused, 403, "scope-parameter");
    let echo = Call::survey("/_test/echo").over(Http::Two);
    assert_eq!(city.call_on(&download.connection, echo).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_ends_with_the_time_of_its_grant() {
    let end = now().checked_add(jiff::SignedDuration::from_secs(4)).unwrap();
    let window = format!("../{end}");
    let city = Plan::new()
        .unlimited()
        .policy(
            "grants.csv",
            "address.district, always, allow",
            &format!("address.district, {window}, allow"),
        )
        .start()
        .await;
    let mut download = Download::begin(&city, Http::One).await;
    soon("the end of a download", async { while download.part().await.is_some() {} }).await;
    assert!(now() >= end);
    let outcome = city.records_of(&download.id).await.pop().unwrap();
    assert_eq!(outcome.aborted.as_deref(), Some("scope-parameter"));
}
