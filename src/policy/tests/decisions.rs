//! The decision rule as a table.

use std::sync::Arc;

use super::city::{Asking, at, catalog, load_at, now, policy, resource};
use crate::catalog::Sharing;
use crate::grant::Decision;
use crate::policy::model::SHIPPED;

#[track_caller]
fn check(grants: &str, table: &[(Asking, &str)]) {
    let policy = policy(grants);
    for (asking, expected) in table {
        assert_eq!(asking.decide(&policy), *expected, "{asking:?}");
    }
}

#[test]
fn fields_are_masked_unless_a_grant_says_otherwise() {
    check(
        "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, name|id_card:clear|phone:full|sex, always, allow\n",
        &[
            (Asking::new(), "A-1: name:name id_card sex phone:full"),
            (Asking::new().fields(&["phone", "sex"]), "A-1: sex phone:full"),
            (Asking::new().fields(&["@basic"]), "A-1: name:name sex"),
            (Asking::new().fields(&["sex", "address.city"]), "ScopeExceeded address.city near A-1"),
            (
                Asking::new().fields(&["sex", "nothing", "sex:clear"]),
                "ScopeExceeded nothing sex:clear near A-1",
            ),
            (Asking::new().fields(&["*"]), "ScopeExceeded * near A-1"),
            (Asking::new().fields(&["address.*"]), "ScopeExceeded address.* near A-1"),
            (Asking::new().fields(&["nothing"]), "ScopeExceeded nothing near A-1"),
            (Asking::new().fields(&[""]), "ScopeExceeded  near A-1"),
        ],
    );
}

#[test]
fn grants_add_up_and_clear_wins() {
    let grants = "\
p, A-1, sys:minzheng-aid, population.resident, query, *, name|phone:full;rows<=100, always, allow
p, A-2, dept:minzheng, population.resident, *, social-aid.review, phone:plate|id_card;rows<=50;rows/day<=900, always, allow
p, A-3, group:all, sharing:conditional, query, licence.review, *:clear, always, allow
p, A-4, group:aid, population.resident, query, *, address.*;rows/day<=1000, always, allow
g, dept:minzheng, group:aid
";
    check(
        grants,
        &[
            (
                Asking::new(),
                "A-1,A-2,A-4: name:name id_card:resident-id phone:full address.city address.detail:address; rows<=50; rows/day<=900",
            ),
            (
                Asking::new().purpose("licence.review"),
                "A-1,A-3,A-4: name id_card sex phone address.city address.detail; rows<=100; rows/day<=1000",
            ),
            (Asking::new().fields(&["id_card"]), "A-2: id_card:resident-id; rows<=50; rows/day<=900"),
            (
                Asking::new().fields(&["name", "id_card"]),
                "A-1,A-2: name:name id_card:resident-id; rows<=50; rows/day<=900",
            ),
            (Asking::new().action("verify"), "A-2: id_card:resident-id phone:plate; rows<=50; rows/day<=900"),
            (
                Asking::new().narrowed_to(&["A-4", "A-9"]),
                "A-4: address.city address.detail:address; rows/day<=1000",
            ),
            (Asking::new().narrowed_to(&[]), "NoGrant query near A-1"),
            (
                Asking::new().resource("licence.electronic").purpose("licence.review"),
                "A-3: kind plate holder.name",
            ),
            (
                Asking::new().system("sys:ziran-map", "dept:ziran"),
                "PurposeNotGranted social-aid.review near A-3",
            ),
            (Asking::new().purpose("not.registered"), "PurposeNotGranted not.registered near A-1"),
        ],
    );
}

#[test]
fn a_deny_outweighs_every_grant_and_no_token_narrows_it() {
    let grants = "\
p, A-1, sys:minzheng-aid, population.resident, *, *, *, always, allow
p, D-1, group:all, sharing:conditional, query, *, *;area=34*, always, deny
p, D-2, dept:minzheng, population.resident, verify, social-aid.*, *, ../2026-06-03T10:00:00+08:00, deny
";
    check(
        grants,
        &[
            (Asking::new().parameter("area", &["34"]), "Denied by D-1"),
            (Asking::new(), "Denied by D-1"),
            (Asking::new().parameter("area", &["35", "35"]), "Denied by D-1"),
            (Asking::new().parameter("area", &["35, 341003"]), "Denied by D-1"),
            (Asking::new().parameter("area", &["35, 36"]).fields(&["sex"]), "A-1: sex"),
            (Asking::new().parameter("area", &["35"]).parameter("area", &["36"]), "Denied by D-1"),
            (Asking::new().parameter("area", &[]).narrowed_to(&["A-1"]), "Denied by D-1"),
            (Asking::new().fields(&["nothing"]), "Denied by D-1"),
            (Asking::new().parameter("area", &["35"]).fields(&["sex"]), "A-1: sex"),
            (Asking::new().action("verify").at("2026-06-03T01:59:59.999Z"), "Denied by D-2"),
            (Asking::new().action("verify").fields(&["sex"]), "A-1: sex"),
        ],
    );
}

#[test]
fn parameters() {
    let grants = "p, A-1, sys:minzheng-aid, population.resident, query, *, sex;area=3410*|3502;year=2024|2025, always, allow\n";
    let asking = |area: &[&str], year: &[&str]| Asking::new().parameter("area", area).parameter("year", year);
    check(
        grants,
        &[
            (asking(&["341003"], &["2024"]), "A-1: sex"),
            (asking(&["3502"], &["2025"]).parameter("id_card", &["anything;%=|"]), "A-1: sex"),
            (asking(&["35020"], &["2025"]), "ParameterNotGranted area near A-1"),
            (asking(&["341"], &["2026"]), "ParameterNotGranted area year near A-1"),
            (asking(&[], &["2024"]), "ParameterNotGranted area near A-1"),
            (asking(&["341003", "341004"], &["2024"]), "ParameterNotGranted area near A-1"),
            (asking(&["341003,110105"], &["2024"]), "ParameterNotGranted area near A-1"),
            (asking(&["341003 110105"], &["2024"]), "ParameterNotGranted area near A-1"),
            (asking(&["341003"], &[""]), "ParameterNotGranted year near A-1"),
            (Asking::new(), "ParameterNotGranted area year near A-1"),
        ],
    );
}

#[test]
fn windows() {
    let grants = "\
p, A-1, sys:minzheng-aid, population.resident, query, *, sex, 2026-06-01/2026-06-30 workday 08:30-18:00, allow
p, A-2, sys:minzheng-aid, licence.electronic, query, *, kind, 2026-07-01/.., allow
p, A-3, sys:minzheng-aid, spatial.parcel, query, *, parcel_id, ../2026-05-31, allow
";
    check(
        grants,
        &[
            (Asking::new(), "A-1: sex"),
            (Asking::new().at("2026-06-03T00:29:59.999Z"), "OutsideSchedule near A-1"),
            (Asking::new().at("2026-06-03T00:30:00Z"), "A-1: sex"),
            (Asking::new().at("2026-06-03T10:00:00Z"), "OutsideSchedule near A-1"),
            (Asking::new().at("2026-06-06T02:00:00Z"), "OutsideSchedule near A-1"),
            (Asking::new().at("2026-05-20T02:00:00Z"), "GrantNotYetValid near A-1"),
            (Asking::new().at("2026-06-30T15:59:59.999Z"), "OutsideSchedule near A-1"),
            (Asking::new().at("2026-06-30T16:00:00Z"), "GrantExpired near A-1"),
            (Asking::new().resource("licence.electronic"), "GrantNotYetValid near A-2"),
            (Asking::new().resource("spatial.parcel"), "GrantExpired near A-3"),
        ],
    );
}

#[test]
fn the_clause_to_mend_first() {
    let grants = "\
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, sex, ../2026-01-01, allow
p, A-2, sys:minzheng-aid, population.resident, query, planning.survey, sex, always, allow
p, A-3, sys:minzheng-aid, population.resident, verify, social-aid.*, sex, always, allow
";
    check(
        grants,
        &[
            (Asking::new(), "GrantExpired near A-1"),
            (Asking::new().purpose("licence.review"), "PurposeNotGranted licence.review near A-2"),
            (Asking::new().purpose("planning.survey"), "A-2: sex"),
            (
                Asking::new().action("verify").purpose("planning.survey"),
                "PurposeNotGranted planning.survey near A-3",
            ),
            (Asking::new().action("delete"), "NoGrant delete"),
            (Asking::new().resource("licence.electronic"), "NoGrant query"),
            (Asking::new().system("sys:nobody", "dept:minzheng"), "NoGrant query"),
            (Asking::new().system("sys:minzheng-old", "dept:minzheng"), "NoGrant query"),
            (Asking::new().system("sys:minzheng-aid", "dept:ziran"), "EvaluationFailed"),
            (Asking::new().resource("population.adoption"), "ResourceUnknown"),
            (Asking::new().resource("population.nothing"), "ResourceUnknown"),
        ],
    );
}

#[test]
fn what_is_not_shared_is_unknown_whatever_is_granted() {
    let grants = "p, A-1, sys:minzheng-aid, population.adoption, *, *, *:clear, always, allow\n";
    check(grants, &[(Asking::new().resource("population.adoption"), "ResourceUnknown")]);
}

#[test]
fn sharing_types_and_themes() {
    let grants = "\
p, SHARE-0, group:all, sharing:unconditional, query, *, @basic, always, allow
p, T-1, group:map, theme:ground, *, planning.survey, *, always, allow
g, sys:ziran-map, group:map
g2, spatial.parcel, theme:land
g2, theme:land, theme:ground
";
    check(
        grants,
        &[
            (Asking::new().resource("spatial.parcel"), "SHARE-0: parcel_id land_use"),
            (
                Asking::new()
                    .system("sys:ziran-map", "dept:ziran")
                    .resource("spatial.parcel")
                    .purpose("planning.survey"),
                "SHARE-0,T-1: parcel_id land_use owner.name:name owner.kind:full",
            ),
            (Asking::new().system("sys:ziran-map", "dept:ziran").purpose("planning.survey"), "NoGrant query"),
        ],
    );
}

#[test]
fn a_field_with_fields_of_its_own_stands_for_them() {
    let grants = "\
p, A-1, sys:minzheng-aid, spatial.parcel, query, *, owner, always, allow
p, A-2, sys:ziran-map, spatial.parcel, query, *, owner.*:clear, always, allow
p, A-3, sys:minzheng-aid, population.resident, query, *, address, always, allow
";
    check(
        grants,
        &[
            // `owner.kind` has no masker of its own and takes that of `owner`.
            (Asking::new().resource("spatial.parcel"), "A-1: owner.name:name owner.kind:full"),
            (Asking::new(), "A-3: address.city address.detail:address"),
            (Asking::new().resource("spatial.parcel").fields(&["owner.name"]), "A-1: owner.name:name"),
            (
                Asking::new()
                    .system("sys:ziran-map", "dept:ziran")
                    .resource("spatial.parcel")
                    .fields(&["owner"]),
                "A-2: owner.name owner.kind",
            ),
        ],
    );
}

#[test]
fn equal_permits_share_one_list() {
    let policy = policy(
        "\
p, A-1, sys:minzheng-aid, population.resident, query, *, name|sex, always, allow
p, A-2, sys:ziran-map, population.resident, query, *, sex|name, always, allow
p, A-3, sys:gongan-desk, population.resident, query, *, name, always, allow
p, A-4, dept:gongan, population.resident, query, *, *, always, allow
",
    );
    let list = |asking: &Asking| match policy.decide(&asking.query(), asking.at) {
        Decision::Permit(permit) => permit.fields,
        Decision::Denial(denial) => panic!("{denial:?}"),
    };
    let first = list(&Asking::new());
    for asking in [
        Asking::new(),
        Asking::new().fields(&["name", "sex"]),
        Asking::new().fields(&["@basic"]),
        Asking::new().system("sys:ziran-map", "dept:ziran"),
        Asking::new().system("sys:gongan-desk", "dept:gongan").fields(&["sex", "name"]),
    ] {
        assert!(Arc::ptr_eq(&first, &list(&asking)), "{asking:?}");
    }
    assert!(!Arc::ptr_eq(&first, &list(&Asking::new().fields(&["name"]))));
}

#[test]
fn a_permit_says_up_to_when_it_stays_so() {
    let valid_until = |grants: &str, asking: &Asking| match policy(grants).decide(&asking.query(), asking.at)
    {
        Decision::Permit(permit) => permit.valid_until,
        Decision::Denial(denial) => panic!("{denial:?}"),
    };
    let base = "p, A-1, sys:minzheng-aid, population.resident, query, *, sex, always, allow\n";
    for (line, expected) in [
        ("", None),
        (
            "p, A-2, sys:minzheng-aid, population.resident, query, *, name, 2026-06-10/.., allow\n",
            Some("2026-06-09T16:00:00Z"),
        ),
        (
            "p, A-2, sys:minzheng-aid, population.resident, query, *, name, ../2026-06-10, allow\n",
            Some("2026-06-10T16:00:00Z"),
        ),
        ("p, A-2, sys:minzheng-aid, population.resident, query, *, name, ../2026-06-01, allow\n", None),
        (
            "p, A-2, group:all, sharing:conditional, query, *, *, 18:00-24:00, deny\n",
            Some("2026-06-03T10:00:00Z"),
        ),
        ("p, A-2, group:all, sharing:conditional, verify, *, *, 18:00-24:00, deny\n", None),
        (
            "p, A-2, sys:minzheng-aid, population.resident, query, *, name, 08:30-18:00, allow\n",
            Some("2026-06-03T10:00:00Z"),
        ),
    ] {
        assert_eq!(valid_until(&format!("{base}{line}"), &Asking::new()), expected.map(at), "{line}");
    }
}

#[test]
fn a_refusal_shows_the_nearest_own_grant_clause_by_clause() {
    let policy = policy(
        "\
p, X-9, sys:ziran-map, population.resident, query, *, *, always, allow
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, sex;area=3410*;id_card=34*, ../2026-12-31 workday 08:30-18:00, allow
",
    );
    let asking = Asking::new()
        .purpose("licence.review")
        .parameter("area", &["350200"])
        .parameter("id_card", &["340102199001011234"])
        .fields(&["sex", "name"]);
    let Decision::Denial(denial) = policy.decide(&asking.query(), asking.at) else { panic!("permitted") };
    let near = denial.nearest.unwrap();
    let table: Vec<String> = near
        .clauses
        .iter()
        .map(|clause| {
            let mark = if clause.holds { '✓' } else { '✗' };
            format!("{mark} {}: {} / {}", clause.name, clause.granted, clause.requested)
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    ✓ system: sys:minzheng-aid / sys:minzheng-aid
    ✓ resource: population.resident / population.resident
    ✓ action: query / query
    ✗ purpose: social-aid.* / licence.review
    ✓ window: ../2026-12-31 workday 08:30-18:00 / 2026-06-03T10:00:00 workday
    ✗ parameter: area=3410* / area=350200
    ✓ parameter: id_card=34* / id_card has another value
    ✓ fields: sex / sex|name
    "#);
}

#[test]
fn an_explanation_shows_all_own_lines_nearest_first() {
    let policy = policy(
        "\
p, A-1, sys:minzheng-aid, population.resident, verify, planning.survey, sex, always, allow
p, A-2, dept:minzheng, population.resident, query, planning.survey, sex, always, allow
p, D-1, group:all, population.resident, query, *, *, ../2026-01-01, deny
p, X-1, sys:ziran-map, population.resident, query, *, *, always, allow
p, A-3, sys:minzheng-aid, population.resident, query, *, sex, always, allow
",
    );
    let explanation = policy.explain(&Asking::new().query(), now());
    let held: Vec<(&str, bool, usize)> =
        explanation.held.iter().map(|held| (held.grant.as_str(), held.matches, held.line)).collect();
    assert_eq!(held, [("A-3", true, 5), ("A-2", false, 2), ("D-1", false, 3), ("A-1", false, 1)]);
    assert!(matches!(explanation.decision, Decision::Permit(_)));
    assert_eq!(explanation.moment, "2026-06-03T02:00:00Z 2026-06-03T10:00:00 workday workday");
}

#[test]
fn a_system_sees_its_own_grants() {
    let policy = policy(
        "\
p, A-1, sys:minzheng-aid, population.resident, *, social-aid.*, @basic;area=3410*;rows<=10, 2026-01-01/2026-12-31, allow
p, A-2, group:all, sharing:unconditional, query, *, *, always, allow
p, A-3, dept:minzheng, population.resident, query, *, *, ../2026-01-01, allow
p, A-4, sys:ziran-map, population.resident, query, *, *, always, allow
p, A-5, group:all, population.adoption, query, *, *, always, allow
p, D-1, group:all, sharing:conditional, query, planning.survey, *, always, deny
",
    );
    let grants = policy.grants_of(&Asking::new().system, now());
    let ids: Vec<&str> = grants.iter().map(|grant| grant.id.as_str()).collect();
    assert_eq!(ids, ["A-1", "A-2"]);
    let words =
        |items: &[crate::kernel::id::PurposeCode]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(words(&grants[0].purposes), ["social-aid.eligibility", "social-aid.review"]);
    assert_eq!(grants[0].actions.len(), 2);
    assert_eq!(grants[0].resources, [Asking::new().resource]);
    assert_eq!(
        (grants[0].scope.as_str(), grants[0].window.as_str()),
        ("@basic;area=3410*;rows<=10", "2026-01-01/2026-12-31")
    );
    assert_eq!(grants[0].expires, Some(at("2026-12-31T16:00:00Z")));
    assert_eq!(grants[0].rows_per_reply, Some(10));
    assert_eq!(policy.grant(&grants[0].id).unwrap().line(), 1);
    assert_eq!(policy.grants().len(), 6);
}

#[test]
fn a_policy_serves_all_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&policy(""));
}

#[test]
fn everything_of_a_resource_without_fields_can_be_asked_for() {
    let mut catalog = catalog();
    catalog.resources.extend([resource("file.scan", Sharing::Conditional, &["query"], &[], &[], &[])]);
    let grant = "p, F-1, sys:minzheng-aid, file.scan, query, *, *, always, allow\n";
    // Loading holds the engine against casbin, which such a request once told apart.
    let (policy, report) = load_at(&catalog, SHIPPED, grant, now());
    let policy = policy.unwrap_or_else(|| panic!("{report}"));
    let asking = Asking::new().resource("file.scan");
    for (fields, expected) in
        [(&[][..], "F-1: "), (&["*"], "F-1: "), (&["name"], "ScopeExceeded name near F-1")]
    {
        assert_eq!(asking.clone().fields(fields).decide(&policy), expected, "{fields:?}");
    }
}
