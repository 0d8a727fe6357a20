//! The gate's own pages, for those whose systems call it.

use http::Method;

use crate::city::{Call, Plan};

fn page(system: &str, page: &str) -> Call {
    Call::get(system, "planning.survey", &format!("/.well-known/pinegate/{page}")).no_token()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_i_may_do() {
    let city = Plan::new().start().await;
    let reply = city.call(page("minzheng-aid", "grants")).await;
    reply.assert_data();
    let grants = reply.json();
    let ids: Vec<_> =
        grants["grants"].as_array().unwrap().iter().map(|g| g["id"].as_str().unwrap()).collect();
    assert!(ids.starts_with(&["SHARE-0", "HS-2026-0117", "HS-2026-0118"]), "{ids:?}");
    assert!(!ids.contains(&"HS-2020-0031"), "what has ended is none");
    assert_eq!(grants["system"]["id"], "sys:minzheng-aid");
    assert!(!reply.text().contains("WT-2026"), "another system's grants: {grants}");
    assert_eq!(city.received().total(), 0);
    assert_eq!(city.record_of(&reply).await.decision.as_deref(), Some("permit"));

    let own = city.call(page("water-billing", "grants")).await.json();
    let limited =
        own["grants"].as_array().unwrap().iter().find(|grant| grant["id"] == "WT-2026-0002").unwrap();
    assert_eq!((&limited["rows_per_day"], &limited["rows_left_today"]), (&5_000.into(), &5_000.into()));
    city.call(Call::get("water-billing", "utility.account", "/population/residents?area=3410&size=7")).await;
    let own = city.call(page("water-billing", "grants")).await.json();
    let limited =
        own["grants"].as_array().unwrap().iter().find(|grant| grant["id"] == "WT-2026-0002").unwrap();
    assert_eq!(limited["rows_left_today"], 4_993);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is() {
    let city = Plan::new().start().await;
    let reply = city.call(page("water-billing", "catalog")).await;
    reply.assert_data();
    assert!(reply.text().contains("population.resident"));
    for hidden in ["adoption", "adopter", "收养"] {
        assert!(!reply.text().contains(hidden), "`{hidden}` is shown");
    }
    assert!(reply.text().contains("公安局人口管理支队"), "whom to ask is not said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_pages_and_methods() {
    let city = Plan::new().start().await;
    let nothing = city.call(page("water-billing", "secrets")).await;
    assert_eq!((nothing.status.as_u16(), nothing.code().as_str()), (404, "resource-unknown"));
    let target = "/.well-known/pinegate/grants";
    let posted =
        city.call(Call::new(Method::POST, "water-billing", "planning.survey", target).no_token()).await;
    assert_eq!((posted.status.as_u16(), posted.code().as_str()), (405, "request-method"));
    let head =
        city.call(Call::new(Method::HEAD, "water-billing", "planning.survey", target).no_token()).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}
