//! What the grants do not give.

use http::Method;

use super::{Came, refuse};
use crate::city::{Call, City, Plan};

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

/// What a refusal says besides its code.
struct Told {
    clause: Option<&'static str>,
    /// What of the request failed, in the caller's own words.
    failing: &'static [&'static str],
    nearest: Option<&'static str>,
    /// Words of the detail: what the grant has, what the request has.
    detail: &'static [&'static str],
    /// Whom to ask: who provides the resource.
    contact: Option<&'static str>,
}

const PEOPLE: &str = "公安局人口管理支队 0559-0000002";
const COMPANIES: &str = "市场监督管理局登记注册科 0559-0000003";
const LICENCES: &str = "数据资源管理局共享科 0559-0000004";
const MAPS: &str = "自然资源和规划局信息中心 0559-0000005";

/// A call, how it is refused, and what that tells.
type Case = (Call, (u16, &'static str), Told);

#[expect(clippy::too_many_lines, reason = "one table of all refusals, to be read as a table")]
fn cases(city: &City) -> Vec<Case> {
    let residents = "/population/residents";
    let area = "/population/residents?area=3410";
    let near = |clause, failing, nearest, detail, contact| Told {
        clause: Some(clause),
        failing,
        nearest: Some(nearest),
        detail,
        contact: Some(contact),
    };
    let aid = "HS-2026-0117";
    let claims =
        city.files().claims("minzheng-aid", "social-aid.eligibility").with("grant", vec!["HS-2026-0118"]);
    let narrowed = city.files().sign(&claims).text();
    vec![
        (
            Call::get("water-billing", "utility.account", "/_test/echo/declared"),
            (403, "grant-none"),
            Told {
                clause: Some("resource"),
                failing: &["query"],
                nearest: None,
                detail: &[],
                contact: Some(LICENCES),
            },
        ),
        (
            // A grant for the resource, to do something else with it.
            Call::new(Method::POST, "shichang-credit", "enterprise.credit", "/population/verify"),
            (403, "grant-none"),
            near("action", &["verify"], "W-1", &["action `query`", "`verify`"], PEOPLE),
        ),
        (
            Call::aid(area).token(narrowed),
            (403, "grant-none"),
            // What a token names is for its issuer to change, not for the provider.
            Told {
                contact: None,
                ..near("token", &["HS-2026-0118"], aid, &["only `HS-2026-0118`", "issuer"], PEOPLE)
            },
        ),
        (
            Call::get("minzheng-aid", "planning.survey", area),
            (403, "purpose-not-granted"),
            near("purpose", &["planning.survey"], aid, &["`social-aid.*`", "`planning.survey`"], PEOPLE),
        ),
        (
            Call::get("minzheng-aid", "licence.review", "/licences"),
            (403, "grant-expired"),
            near("window", &[], "HS-2020-0031", &["`2020-01-01/2020-12-31`"], LICENCES),
        ),
        (
            Call::get("shichang-credit", "enterprise.credit", residents),
            (403, "grant-expired"),
            near("window", &[], "W-1", &["`../2020-12-31`"], PEOPLE),
        ),
        (
            Call::get("minzheng-aid", "social-aid.review", "/legal/enterprises"),
            (403, "grant-not-yet-valid"),
            near("window", &[], "W-2", &["`2199-01-01/..`"], COMPANIES),
        ),
        (
            Call::get("water-billing", "utility.account", "/licences"),
            (403, "grant-outside-window"),
            near("window", &[], "W-3", &["2020-01-01/.. mon-sun "], LICENCES),
        ),
        (
            // A rule that forbids is nobody's grant: it is not named.
            Call::get("shichang-credit", "licence.review", "/spatial/parcels"),
            (403, "grant-denied"),
            Told { clause: None, failing: &[], nearest: None, detail: &[], contact: Some(MAPS) },
        ),
        (
            Call::aid(area).header("data-scope", "name|email"),
            (403, "scope-exceeded"),
            near("fields", &["email"], aid, &["`name|id_card:clear|", "`name|email`"], PEOPLE),
        ),
        (
            Call::aid(area).header("data-scope", "email|nothing"),
            (403, "scope-exceeded"),
            near("fields", &["email", "nothing"], aid, &["`name|id_card:clear|", "`email|nothing`"], PEOPLE),
        ),
        (
            Call::aid("/population/residents?area=3101"),
            (403, "scope-parameter"),
            near("parameter", &["area"], aid, &["`area=3410*`", "`area=3101`"], PEOPLE),
        ),
        (
            Call::aid(residents),
            (403, "scope-parameter"),
            near("parameter", &["area"], aid, &["`area=3410*`", "has no `area`"], PEOPLE),
        ),
        (
            // Which of two values the platform would read is anyone's guess.
            Call::aid("/population/residents?area=3410&area=3101"),
            (403, "scope-parameter"),
            near("parameter", &["area"], aid, &["`area=3410*`", "2 values of `area`"], PEOPLE),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_clause_by_its_code() {
    let hours = other_hours();
    let city = Plan::new().more_policy("grants.csv", WINDOWS).more_policy("grants.csv", &hours).start().await;
    for (call, expected, told) in cases(&city) {
        eprintln!("{expected:?}");
        let (reply, record) = refuse(&city, call.english(), expected, Came::ToTheGate).await;
        let problem = reply.json();
        let text = |member: &str| problem.get(member).map(|value| value.as_str().unwrap());
        assert_eq!(text("clause"), told.clause, "{problem}");
        assert_eq!(text("nearest_grant"), told.nearest, "{problem}");
        assert_eq!(text("contact"), told.contact, "{problem}");
        let failing = problem.get("failing").map_or(&[][..], |list| list.as_array().unwrap());
        assert_eq!(failing, told.failing, "{problem}");
        let detail = text("detail").unwrap();
        for words in told.detail.iter().chain(&told.nearest).chain(&told.contact) {
            assert!(detail.contains(words), "`{words}` is not in {detail}");
        }
        // Nobody is told of what was given to somebody else, or forbidden.
        let own = told.nearest.unwrap_or("");
        for other in ["SHARE-0", "HS-", "SC-", "WT-", "ZR-", "NONE-0", "W-", "D-1", "TEST-"] {
            assert!(own.starts_with(other) || !detail.contains(&format!("grant {other}")), "{detail}");
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
