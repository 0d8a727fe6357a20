//! What the grants do not give.

use super::{Came, refuse};
use crate::city::{Call, Plan};

/// Grants with windows that no clock can be in.
const WINDOWS: &str = "
p, W-1, sys:shichang-credit, population.resident, query, enterprise.credit, name, ../2020-12-31, allow
p, W-2, sys:minzheng-aid, legal.enterprise, query, social-aid.review, name, 2199-01-01/.., allow
p, D-1, sys:shichang-credit, spatial.parcel, query, licence.review, *, always, deny
";

/// Twice the same hour that is not now, whenever now is.
fn other_hours() -> String {
    let zone = pinegate::kernel::time::TimeZone::get("Asia/Shanghai").unwrap();
    let local = zone.to_datetime(crate::city::now());
    let hour = (i32::from(local.hour()) + 12) % 24;
    format!(
        "p, W-3, sys:water-billing, licence.electronic, query, utility.account, @basic, \
         2020-01-01/.. mon|tue|wed|thu|fri|sat|sun {hour:02}:00-{:02}:00, allow\n",
        (hour + 1) % 24
    )
}

/// A call, how it is refused, which clause is named, and which grant came nearest.
type Case = (Call, (u16, &'static str), Option<&'static str>, Option<&'static str>);

fn cases() -> Vec<Case> {
    let residents = "/population/residents";
    let area = "/population/residents?area=3410";
    vec![
        (
            Call::get("water-billing", "utility.account", "/_test/echo/declared"),
            (403, "grant-none"),
            None,
            None,
        ),
        (
            Call::get("minzheng-aid", "planning.survey", area),
            (403, "purpose-not-granted"),
            Some("purpose"),
            Some("HS-2026-0117"),
        ),
        (
            Call::get("minzheng-aid", "licence.review", "/licences"),
            (403, "grant-expired"),
            Some("window"),
            Some("HS-2020-0031"),
        ),
        (
            Call::get("shichang-credit", "enterprise.credit", residents),
            (403, "grant-expired"),
            Some("window"),
            Some("W-1"),
        ),
        (
            Call::get("minzheng-aid", "social-aid.review", "/legal/enterprises"),
            (403, "grant-not-yet-valid"),
            Some("window"),
            Some("W-2"),
        ),
        (
            Call::get("water-billing", "utility.account", "/licences"),
            (403, "grant-outside-window"),
            Some("window"),
            Some("W-3"),
        ),
        (
            Call::get("shichang-credit", "licence.review", "/spatial/parcels"),
            (403, "grant-denied"),
            None,
            None,
        ),
        (
            Call::aid(area).header("data-scope", "name|email"),
            (403, "scope-exceeded"),
            Some("fields"),
            Some("HS-2026-0117"),
        ),
        (
            Call::aid("/population/residents?area=3101"),
            (403, "scope-parameter"),
            Some("parameter"),
            Some("HS-2026-0117"),
        ),
        (Call::aid(residents), (403, "scope-parameter"), Some("parameter"), Some("HS-2026-0117")),
        (
            // Which of two values the platform would read is anyone's guess.
            Call::aid("/population/residents?area=3410&area=3101"),
            (403, "scope-parameter"),
            Some("parameter"),
            Some("HS-2026-0117"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_clause_by_its_code() {
    let hours = other_hours();
    let city = Plan::new().more_policy("grants.csv", WINDOWS).more_policy("grants.csv", &hours).start().await;
    for (call, expected, clause, nearest) in cases() {
        eprintln!("{expected:?}");
        let (reply, record) = refuse(&city, call.english(), expected, Came::ToTheGate).await;
        let problem = reply.json();
        if let Some(clause) = clause {
            assert_eq!(problem["clause"], clause, "{problem}");
        }
        if let Some(nearest) = nearest {
            assert_eq!(problem["nearest_grant"], nearest, "{problem}");
            assert!(problem["contact"].as_str().is_some(), "whom to ask is not said: {problem}");
        }
        assert_eq!(record.decision.as_deref(), Some("deny"));
        assert!(record.grants.is_empty() && record.released.is_empty(), "{record:#?}");
        if expected.1 == "grant-denied" {
            assert_eq!(record.denied_by, ["D-1"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_may_see_does_not_exist() {
    let city = Plan::new().start().await;
    let hidden = Call::aid("/population/adoptions").english();
    let (hidden, record) = refuse(&city, hidden, (404, "resource-unknown"), Came::ToTheGate).await;
    // The record knows better than the caller.
    assert_eq!(record.resource.as_deref(), Some("population.adoption"));
    let nowhere = Call::aid("/population/nothing").english();
    let (nowhere, _) = refuse(&city, nowhere, (404, "resource-unknown"), Came::ToTheGate).await;
    let told = |reply: &crate::city::Reply| {
        let mut problem = reply.json();
        for own in ["request_id", "instance"] {
            problem.as_object_mut().unwrap().remove(own);
        }
        problem
    };
    assert_eq!(told(&hidden), told(&nowhere), "the two can be told apart");
    // A field that it has says nothing either.
    let call = Call::aid("/population/adoptions").header("data-scope", "adopter.name");
    refuse(&city, call, (404, "resource-unknown"), Came::ToTheGate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coarse_routes_tell_the_code_alone() {
    let city = Plan::new().start().await;
    let call = Call::get("minzheng-aid", "licence.review", "/_test/echo/coarse").english();
    let (reply, _) = refuse(&city, call, (403, "grant-expired"), Came::ToTheGate).await;
    let problem = reply.json();
    for member in ["clause", "failing", "nearest_grant", "contact"] {
        assert!(problem.get(member).is_none(), "{problem}");
    }
    assert!(!reply.text().contains("HS-2020-0031"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_that_cannot_be_read() {
    let city = Plan::new().start().await;
    for scope in ["name||phone", "|", "name|%ZZ%FF", &"a|".repeat(300)] {
        let call = Call::aid("/population/residents?area=3410").header("data-scope", scope);
        refuse(&city, call, (400, "scope-malformed"), Came::ToTheGate).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_speak_two_languages() {
    let city = Plan::new().start().await;
    for (accept, tag, word) in [
        ("zh-CN", "zh-CN", "授权不包含该使用用途"),
        ("en-GB,en;q=0.9", "en", "No grant allows this purpose"),
        ("fr", "zh-CN", "授权不包含该使用用途"),
        ("en;q=0.1, zh;q=0.2", "zh-CN", "授权不包含该使用用途"),
    ] {
        let call = Call::get("minzheng-aid", "planning.survey", "/population/residents?area=3410");
        let call = call.header("accept-language", accept);
        let (reply, _) = refuse(&city, call, (403, "purpose-not-granted"), Came::ToTheGate).await;
        assert_eq!(reply.header("content-language"), Some(tag), "{accept}");
        assert!(reply.text().contains(word), "{accept}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_narrows_the_grants() {
    let city = Plan::new().start().await;
    let (system, purpose) = ("minzheng-aid", "social-aid.eligibility");
    let claims = city.files().claims(system, purpose).with("grant", vec!["HS-2026-0118"]);
    let token = city.files().sign(&claims).text();
    let call = Call::aid("/population/residents?area=3410").token(token);
    let (_, record) = refuse(&city, call, (403, "grant-none"), Came::ToTheGate).await;
    assert_eq!(record.narrowed_to, ["HS-2026-0118"]);
}
