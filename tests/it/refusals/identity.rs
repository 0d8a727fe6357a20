//! A certificate that chains is not yet a system.

use std::time::Duration;

use pinegate::pki::{ClientName, Overwrite};

use super::{Came, check, refuse};
use crate::city::{Call, DAYS, Http, Plan, now, spiffe, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_no_registered_system() {
    let city = Plan::new().start().await;
    let strangers = "pinegate_unidentified_refusals_total";
    let before = city.gate.metric(strangers).await;
    let call = Call::get("nobody-knows", "social-aid.eligibility", "/population/residents?area=3410");
    let reply = city.call(call).await;
    check(&reply, 403, "identity-unknown");
    assert_eq!(city.received().total(), 0);
    assert!(city.gate.metric(strangers).await > before);
    // A stranger must not be able to fill the disk: a later call is on record, this one is not.
    let known = city.call(Call::aid("/population/residents?area=3410&size=1")).await;
    city.record_of(&known).await;
    assert!(city.records().iter().all(|record| record.request != Some(reply.request_id())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_is_switched_off() {
    let city = Plan::new().start().await;
    let call = Call::get("minzheng-old", "social-aid.eligibility", "/population/residents?area=3410");
    let (_, record) = refuse(&city, call, (403, "identity-disabled"), Came::ToTheGate).await;
    assert_eq!(record.system.as_deref(), Some("sys:minzheng-old"));
    assert_eq!(record.decision.as_deref(), Some("deny"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_names_two_systems() {
    let plan = Plan::new();
    let both = [spiffe("minzheng", "minzheng-aid"), spiffe("ziran", "ziran-map")];
    plan.files.issue_client_with_uris("two-systems", &[&both[0], &both[1]]);
    let city = plan.start().await;
    let call = Call::get("two-systems", "social-aid.eligibility", "/population/residents?area=3410");
    let reply = city.call(call).await;
    check(&reply, 403, "identity-ambiguous");
    assert_eq!(city.received().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_have_no_pages_either() {
    let city = Plan::new().start().await;
    for page in ["grants", "catalog", "openapi.json"] {
        let target = format!("/.well-known/pinegate/{page}");
        let reply = city.call(Call::get("nobody-knows", "social-aid.eligibility", &target).no_token()).await;
        check(&reply, 403, "identity-unknown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_while_its_connection_lives() {
    let city = Plan::new().start().await;
    let lifetime = Duration::from_secs(u64::from(DAYS) * 86_400);
    let issued = now().checked_sub(lifetime - Duration::from_secs(5)).unwrap();
    let uri = spiffe("minzheng", "minzheng-aid");
    let authority = city.files().authority();
    authority.issue_client("short", ClientName::SanUri(&uri), DAYS, issued, Overwrite::Refuse).unwrap();
    let claims = city.files().claims("short", "social-aid.eligibility").with("sub", "sys:minzheng-aid");
    let token = city.files().sign(&claims).text();
    let connection = city.client("short").connect(Http::Two).await.unwrap();
    let call = || Call::aid("/population/residents?area=3410&size=1").over(Http::Two).token(token.clone());
    city.call_on(&connection, call()).await.assert_data();
    let refused = until("the certificate to end", async || {
        let reply = city.call_on(&connection, call()).await;
        (reply.status != 200).then_some(reply)
    })
    .await;
    check(&refused, 403, "identity-expired");
    assert_eq!(city.record_of(&refused).await.system.as_deref(), Some("sys:minzheng-aid"));
}
