//! The gate's own pages, for those whose systems call it.

use boon::{Compiler, Schemas};
use http::Method;
use serde_json::Value;

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

/// Fails unless `value` is as the schema at `place` of `document` says.
#[track_caller]
fn assert_as_described(document: &Value, place: &str, value: &Value) {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("http://gate/openapi.json", document.clone()).unwrap();
    let schema = compiler.compile(&format!("http://gate/openapi.json#{place}"), &mut schemas).unwrap();
    if let Err(error) = schemas.validate(value, schema) {
        panic!("{error:#}\n{value:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_it_is_called() {
    let city = Plan::new().start().await;
    let reply = city.call(page("minzheng-aid", "openapi.json")).await;
    reply.assert_data();
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(
        document["info"]["version"],
        city.call(page("minzheng-aid", "catalog")).await.json()["policy"]
    );
    for hidden in ["adoption", "收养", "WT-2026", "TEST-1"] {
        assert!(!reply.text().contains(hidden), "`{hidden}` is shown");
    }
    assert_eq!(city.received().total(), 0);
    assert_eq!(city.record_of(&reply).await.decision.as_deref(), Some("permit"));
    for header in ["content-type", "cache-control", "ratelimit"] {
        let sibling = city.call(page("minzheng-aid", "catalog")).await;
        assert_eq!(reply.header(header), sibling.header(header), "{header}");
    }

    let place = "/paths/~1population~1residents/get";
    let operation = document.pointer(place).unwrap();
    assert!(
        operation["x-pinegate-grants"].as_array().unwrap().contains(&"HS-2026-0117".into()),
        "{operation:#}"
    );
    let residents = city.call(Call::aid("/population/residents?area=3410&size=3")).await;
    residents.assert_data();
    let place = format!("{place}/responses/200/content/application~1json/schema");
    assert_as_described(&document, &place, &residents.json());

    let refusal = city.call(Call::aid("/population/residents?area=3101")).await;
    assert_eq!(refusal.status, 403);
    assert_as_described(&document, "/components/schemas/problem", &refusal.json());
    assert!(
        document["components"]["responses"]["problem-403"]["description"]
            .as_str()
            .unwrap()
            .contains(&refusal.code())
    );

    let another = city.call(page("water-billing", "openapi.json").english()).await;
    assert!(another.text().contains("WT-2026-0002") && !another.text().contains("HS-2026"));
    assert!(another.text().contains("What may be called") && reply.text().contains("可以经本网关调用"));
    let missed = city.call(page("water-billing", "openapi").english()).await;
    assert!(missed.text().contains("/.well-known/pinegate/openapi.json"), "{}", missed.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_in_a_reply_are_as_described() {
    let city = Plan::new().start().await;
    let document = city.call(page("ziran-map", "openapi.json")).await.json();
    let parcels = city.call(Call::survey("/spatial/parcels?area=3410&size=3")).await;
    parcels.assert_data();
    let place = "/paths/~1spatial~1parcels/get/responses/200/content/application~1json/schema";
    assert_as_described(&document, place, &parcels.json());
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
