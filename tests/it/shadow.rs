//! A candidate policy beside the live one: it is told apart everywhere and enforces nothing.

use http::Method;
use pinegate::audit::ParsedRecord;
use rustix::process::Signal;

use crate::city::{Call, City, Plan, Reply, assert_intact, until};
use crate::refusals::{Came, check, refuse};

/// A city whose candidate is what it lives by, changed by `edit`.
async fn city(edit: impl FnOnce(&crate::city::Files)) -> City {
    let mut plan = Plan::new().config("reload = \"signal\"", "reload = \"signal\"\nshadow = \"next\"");
    plan = plan.unlimited();
    plan.files.copy_policies("next");
    edit(&plan.files);
    plan.start().await
}

/// Residents of one city, which only the name, the number and so on may leave of.
fn aid() -> Call {
    Call::aid("/population/residents?area=3410&size=1").english()
}

async fn counted(city: &City, change: &str) -> f64 {
    let series =
        format!("pinegate_shadow_decisions_total{{change=\"{change}\",resource=\"population.resident\"}}");
    city.gate.metric(&series).await
}

/// Fails unless the candidate's digest is shown; gives it.
async fn digest(city: &City) -> String {
    let page = city.gate.page("/metrics").await.text;
    let line = page.lines().find(|line| line.starts_with("pinegate_shadow_info{"));
    let line = line.unwrap_or_else(|| panic!("no candidate in\n{page}"));
    line.split('"').nth(1).unwrap().to_owned()
}

/// Everything of a reply that a caller could act upon.
fn told(reply: &Reply) -> (u16, Option<&str>, Option<&str>, &[u8]) {
    (reply.status.as_u16(), reply.header("pinegate-grant"), reply.header("pinegate-masked"), &reply.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_enforces_nothing() {
    let plain = Plan::new().unlimited().start().await;
    let without = plain.call(aid()).await;
    let record = plain.record_of(&without).await;
    assert_eq!((record.shadow, record.shadow_policy), (None, None));
    let page = plain.gate.page("/metrics").await.text;
    assert!(!page.lines().any(|line| line.starts_with("pinegate_shadow_")), "{page}");
    for (from, to, change) in [
        ("p, HS-2026-0117", "# p, HS-2026-0117", Some("refused")),
        ("area=3410*", "area=3411*", Some("refused")),
        ("|id_card:clear|", "|id_card|", Some("extent")),
        ("|phone|birth_date|", "|phone|birth_date|sex|", Some("extent")),
        ("address.district;area=3410*", "address.district;area=3410*;rows<=5", Some("extent")),
        ("# 授权表", "# 授权 表", None),
    ] {
        let city = city(|files| files.edit("next/grants.csv", from, to)).await;
        let reply = city.call(aid()).await;
        assert_eq!(told(&reply), told(&without), "{to}");
        let record = city.record_of(&reply).await;
        assert_eq!(record.shadow.as_deref(), change, "{to}");
        let candidate = digest(&city).await;
        assert_eq!(record.shadow_policy, change.map(|_| candidate), "{to}");
        assert_eq!(record.decision.as_deref(), Some("permit"));
        for known in ["none", "allowed", "refused", "extent"] {
            let expected = if change.unwrap_or("none") == known { 1.0 } else { 0.0 };
            assert!((counted(&city, known).await - expected).abs() < 0.1, "{to}: {known}");
        }
        assert!((city.gate.metric("pinegate_shadow_loaded").await - 1.0).abs() < 0.1);
        assert_intact(&city.files().audit());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_candidate_would_allow_is_refused_all_the_same() {
    let more =
        "p, NEXT-1, sys:minzheng-aid, population.resident, query, planning.survey, name, always, allow\n";
    let city = city(|files| files.add("next/grants.csv", more)).await;
    let call = || Call::get("minzheng-aid", "planning.survey", "/population/residents?area=3410").english();
    let (reply, record) = refuse(&city, call(), (403, "purpose-not-granted"), Came::ToTheGate).await;
    assert_eq!(record.shadow.as_deref(), Some("allowed"));
    assert!(!reply.text().contains("NEXT-1"), "a grant that nobody was given: {}", reply.text());
    assert!((counted(&city, "allowed").await - 1.0).abs() < 0.1);
    // Both refuse, for whatever reason.
    let call = Call::get("shichang-credit", "enterprise.credit", "/population/residents").english();
    let (_, record) = refuse(&city, call, (403, "grant-none"), Came::ToTheGate).await;
    assert_eq!((record.shadow, record.shadow_policy), (None, None));
    assert!((counted(&city, "none").await - 1.0).abs() < 0.1);
    // A request that may change something is marked in its intent too.
    let city = self::city(|files| files.edit("next/grants.csv", "p, TEST-2", "# p, TEST-2")).await;
    let call = Call::post("ziran-map", "planning.survey", "/_test/upload", crate::city::whole("x"));
    let reply = city.call(call).await;
    reply.assert_data();
    let records = city.records_of(&reply.request_id()).await;
    let marks: Vec<_> = records.iter().map(|record| (&*record.kind, record.shadow.as_deref())).collect();
    assert_eq!(marks, [("intent", Some("refused")), ("outcome", Some("refused"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_has_words_of_its_own() {
    let system = "name = \"社会救助系统\"";
    for (file, from, to) in [
        ("registry.toml", system.to_owned(), format!("{system}\nenabled = false")),
        ("catalog.toml", "{ name = \"email\"".to_owned(), "{ name = \"mail\"".to_owned()),
    ] {
        let city = city(|files| files.edit(&format!("next/{file}"), &from, &to)).await;
        let reply = city.call(aid()).await;
        reply.assert_data();
        let expected = (file == "registry.toml").then_some("refused");
        assert_eq!(city.record_of(&reply).await.shadow.as_deref(), expected, "{file}");
    }
    // A city in which the system, the purpose and the resource have never been heard of.
    let city = city(|files| {
        for (file, text) in [
            (
                "registry.toml",
                "[[department]]\nid = \"dept:x\"\nname = \"x\"\ncontact = \"x\"\nkind = \"government\"\n",
            ),
            ("purposes.toml", ""),
            ("catalog.toml", ""),
            ("grants.csv", ""),
            ("limits.toml", ""),
        ] {
            files.write(&format!("next/{file}"), text);
        }
    })
    .await;
    let reply = city.call(aid()).await;
    reply.assert_data();
    let record = city.record_of(&reply).await;
    assert_eq!(record.shadow.as_deref(), Some("refused"), "{}", city.gate.log_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_candidate_stops_nothing() {
    let city = city(|files| files.add("next/grants.csv", "p, X-1, sys:nobody, population.resident\n")).await;
    let loaded = "pinegate_shadow_loaded";
    let says = "the candidate policy does not load and is not evaluated; `pinegate check` says why";
    assert!(city.gate.logged(says).is_some(), "{}", city.gate.log_text());
    assert!(city.gate.log_text().contains("shadow-does-not-load"), "{}", city.gate.log_text());
    let page = city.gate.page("/metrics").await.text;
    assert!(
        page.contains("\npinegate_shadow_loaded 0\n") && !page.contains("pinegate_shadow_info{"),
        "{page}"
    );
    let reply = city.call(aid()).await;
    reply.assert_data();
    assert_eq!(city.record_of(&reply).await.shadow, None);
    // Mended, it is evaluated from the next reload on, by whichever way that comes.
    city.files().copy_policies("next");
    city.files().edit("next/grants.csv", "p, HS-2026-0117", "# p, HS-2026-0117");
    city.gate.signal(Signal::HUP);
    until("the candidate", async || (city.gate.metric(loaded).await > 0.5).then_some(())).await;
    let reply = city.call(aid()).await;
    reply.assert_data();
    let refused = city.record_of(&reply).await;
    assert_eq!(refused.shadow.as_deref(), Some("refused"));
    // Changed again.
    city.files().copy_policies("next");
    city.files().edit("next/grants.csv", "|id_card:clear|", "|id_card|");
    let page = city.gate.reload().await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert_eq!(page.json()["shadow"], digest(&city).await);
    let reply = city.call(aid()).await;
    let extent = city.record_of(&reply).await;
    assert_eq!(extent.shadow.as_deref(), Some("extent"));
    assert_ne!(extent.shadow_policy, refused.shadow_policy);
    assert_eq!(extent.policy, refused.policy, "what is live has not changed");
    let of = |record: &ParsedRecord| record.event.as_deref() == Some("reload");
    let reload = city.records().into_iter().rfind(of).unwrap();
    assert_eq!(reload.detail.get("shadow"), extent.shadow_policy.as_ref());
    // Broken again: what is live reloads all the same, and the answer says what is wrong with the other.
    city.files().write("next/grants.csv", "nonsense\n");
    city.files().edit_policy("grants.csv", "p, HS-2026-0117", "# p, HS-2026-0117");
    let page = city.gate.reload().await;
    assert_eq!((page.status.as_u16(), &page.json()["shadow"]), (200, &serde_json::Value::Null));
    let report = page.json()["report"].as_str().unwrap().to_owned();
    assert!(report.contains("warning[shadow-does-not-load]") && !report.contains("error["), "{report}");
    check(&city.call(aid()).await, 403, "grant-none");
    assert!(city.gate.metric(loaded).await < 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_is_watched_where_the_live_policy_is() {
    let plan = Plan::new().config("reload = \"signal\"", "reload = \"watch\"\nshadow = \"next\"").unlimited();
    plan.files.copy_policies("next");
    let city = plan.start().await;
    let before = digest(&city).await;
    city.files().edit("next/grants.csv", "p, HS-2026-0117", "# p, HS-2026-0117");
    until("the edit to be seen", async || (digest(&city).await != before).then_some(())).await;
    let reply = city.call(aid()).await;
    reply.assert_data();
    assert_eq!(city.record_of(&reply).await.shadow.as_deref(), Some("refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_is_not_there_is_a_warning() {
    for reload in ["signal", "watch"] {
        let with = format!("reload = \"{reload}\"\nshadow = \"nowhere\"");
        let city = Plan::new().config("reload = \"signal\"", &with).start().await;
        city.call(aid()).await.assert_data();
        assert!(city.gate.log_text().contains("shadow-does-not-load"), "{}", city.gate.log_text());
        let own = Call::new(Method::GET, "minzheng-aid", "social-aid.review", "/.well-known/pinegate/grants");
        city.call(own).await.assert_data();
    }
}
