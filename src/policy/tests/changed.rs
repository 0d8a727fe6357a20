//! Models with another matcher or effect than the shipped one.

use super::city::{Asking, catalog, load_at, now, resource};
use crate::catalog::Sharing;
use crate::kernel::diagnostic::{Severity, Source};
use crate::kernel::id::{ParameterName, ResourceId};
use crate::policy::Policy;
use crate::policy::csv::MAX_FINDINGS;
use crate::policy::model::{Model, SHIPPED};
use crate::policy::oracle::self_test;

const SHIPPED_MATCHER: &str = "m = (p.act == \"*\" || r.act == p.act) && g2(r.res, p.res) && g(r.sub, p.sub) && purpose_match(r.purpose, p.purpose) && scope_match(r.scope, p.scope) && in_window(r.now, p.window)";
const SHIPPED_EFFECT: &str = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";

fn with(from: &str, to: &str) -> String {
    let text = SHIPPED.replace(from, to);
    assert_ne!(text, SHIPPED, "{from}");
    text
}

fn policy(model: &str, grants: &str) -> Policy {
    let (policy, report) = load_at(&catalog(), model, grants, now());
    let policy = policy.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(policy.engine(), "matcher");
    policy
}

const RESIDENT: &str = "sys:minzheng-aid, population.resident, query, social-aid.*";

#[test]
fn the_matcher_that_stands_there_decides() {
    let expired = format!("p, A-1, {RESIDENT}, sex, 2020-01-01/2020-12-31, allow\n");
    let timeless = policy(&with(" && in_window(r.now, p.window)", ""), &expired);
    assert_eq!(Asking::new().decide(&timeless), "A-1: sex");
    let answer = timeless.permit(&Asking::new().query(), now()).unwrap();
    assert_eq!(answer.valid_until, Some(now()), "nothing is known of later instants");
    let by_key = policy(
        &with("purpose_match(r.purpose, p.purpose)", "keyMatch(r.purpose, p.purpose)"),
        &expired.replace("2020", "2026"),
    );
    assert_eq!(Asking::new().decide(&by_key), "A-1: sex");
    let literal = policy(
        &with("(p.act == \"*\" || r.act == p.act)", "r.act == 'verify' && r.act == p.act"),
        &expired.replace("2020", "2026"),
    );
    assert!(Asking::new().decide(&literal).starts_with("NoGrant"));
}

#[test]
fn the_effect_that_stands_there_decides() {
    let grants = format!(
        "p, A-1, {RESIDENT}, sex, always, allow\np, D-1, {RESIDENT}, *, always, deny\np, A-2, {RESIDENT}, name, always, allow\n"
    );
    let allows = policy(&with(SHIPPED_EFFECT, "some(where (p.eft == allow))"), &grants);
    assert_eq!(Asking::new().decide(&allows), "A-1,A-2: name:name sex");
    let first = policy(&with(SHIPPED_EFFECT, "priority(p.eft) || deny"), &grants);
    assert_eq!(Asking::new().decide(&first), "A-1: sex");
    let turned = grants.lines().rev().collect::<Vec<_>>().join("\n");
    let denied = policy(
        &with(SHIPPED_EFFECT, "priority(p.eft) || deny"),
        &format!("p, D-0, {RESIDENT}, *, always, deny\n{turned}\n"),
    );
    assert_eq!(Asking::new().decide(&denied), "Denied by D-0");
    let explained = first.explain(&Asking::new().query(), now());
    let held: Vec<(&str, bool)> =
        explained.held.iter().map(|held| (held.grant.as_str(), held.matches)).collect();
    assert_eq!(held, [("A-1", true), ("D-1", true), ("A-2", true)]);
}

#[test]
fn what_cannot_be_worked_out_is_refused() {
    let grants = "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, sex, always, allow\n";
    let failing =
        policy(&with("purpose_match(r.purpose, p.purpose)", "ipMatch(r.purpose, '10.0.0.0/8')"), grants);
    assert_eq!(Asking::new().decide(&failing), "EvaluationFailed");
}

#[test]
fn a_grant_that_gives_nothing_of_a_resource_lets_nothing_leave() {
    // A file has no fields and leaves as a whole: a grant of one field of a theme must not let it out,
    // though no condition of the matcher looks at scopes.
    let mut catalog = catalog();
    let none = [];
    catalog.resources.extend([resource(
        "spatial.map",
        Sharing::Conditional,
        &["query"],
        &none,
        &none,
        &none,
    )]);
    let model = with(" && scope_match(r.scope, p.scope)", "");
    let grants = |fields: &str| {
        format!(
            "p, A-1, sys:minzheng-aid, theme:all, query, *, {fields}, always, allow\n\
             g2, spatial.map, theme:all\ng2, population.resident, theme:all\n"
        )
    };
    let mut asking = Asking::new();
    let decide = |asking: &Asking, fields: &str| {
        let (policy, report) = load_at(&catalog, &model, &grants(fields), now());
        asking.decide(&policy.unwrap_or_else(|| panic!("{report}")))
    };
    assert_eq!(decide(&asking, "sex"), "A-1: sex");
    asking.resource = ResourceId::parse("spatial.map").unwrap();
    assert!(decide(&asking, "sex").starts_with("ScopeExceeded"), "{}", decide(&asking, "sex"));
    assert_eq!(decide(&asking, "*"), "A-1: ");
}

#[test]
fn models_that_cannot_gate() {
    for (from, to, code) in [
        ("g2(r.res, p.res) && ", "", "model-not-served"),
        ("g(r.sub, p.sub) && ", "(g(r.sub, p.sub) || r.act == 'query') && ", "model-not-served"),
        (SHIPPED_EFFECT, "!some(where (p.eft == deny))", "model-not-served"),
        ("in_window(r.now, p.window)", "p.window == 'always'", "canonical-column"),
        ("in_window(r.now, p.window)", "regexMatch(r.scope, 'a')", "canonical-column"),
        ("in_window(r.now, p.window)", "eval(p.purpose)", "model-not-served"),
        ("in_window(r.now, p.window)", "r.sub.Age > 1", "model-not-served"),
        ("in_window(r.now, p.window)", "regexMatch(r.purpose, p.purpose)", "not-a-pattern"),
        ("in_window(r.now, p.window)", "in_windows(r.now, p.window)", "unknown-function"),
        ("in_window(r.now, p.window)", "in_window(r.now)", "wrong-arguments"),
        (SHIPPED_EFFECT, "some(where (p.eft == deny))", "unknown-effect"),
    ] {
        let grants = "p, A-1, sys:minzheng-aid, population.resident, query, *, sex, always, allow\n";
        let (policy, report) = load_at(&catalog(), &with(from, to), grants, now());
        assert!(policy.is_none(), "{to}");
        assert_eq!(report.sorted()[0].code, code, "{to}: {report}");
    }
    assert!(SHIPPED.contains(SHIPPED_MATCHER));
}

#[test]
fn constraints_count_wherever_the_matcher_may_look_at_them() {
    // No condition looks at purposes, so that a line for another purpose may match by its area.
    let model = with(" && purpose_match(r.purpose, p.purpose)", "");
    let grants = "p, A-1, sys:minzheng-aid, population.resident, query, planning.survey, sex;area=34*, always, allow\n";
    let policy = policy(&model, grants);
    let mut asking = Asking::new();
    asking.parameters = vec![(ParameterName::parse("area").unwrap(), vec!["341002".to_owned()])];
    assert_eq!(asking.decide(&policy), "A-1: sex");
    let near = policy.constraints_near(&asking.query());
    assert_eq!(near.iter().map(ToString::to_string).collect::<Vec<_>>(), ["area=34*"]);
}

#[test]
fn a_pattern_of_many_lines_is_compiled_once_and_reported_so_often_at_most() {
    let line = |number: usize, purpose: &str| {
        format!(
            "p, A-{number}, sys:minzheng-aid, population.resident, query, {purpose}, sex, always, allow\n"
        )
    };
    let grants = |purpose: &str| (0..1200).map(|number| line(number, purpose)).collect::<String>();
    let model = with("in_window(r.now, p.window)", "regexMatch(r.purpose, p.purpose)");
    let gate = policy(&model, &grants("licence.review")).changed.unwrap();
    assert_eq!(gate.patterns(), 1);
    let (refused, report) = load_at(&catalog(), &model, &grants("*"), now());
    assert!(refused.is_none());
    assert_eq!(report.count(Severity::Error), MAX_FINDINGS);
}

#[test]
fn casbin_is_asked_about_other_matchers_where_it_reads_them_alike() {
    let grants = format!("p, A-1, {RESIDENT}, sex, always, allow\n");
    let is_plain = |from: &str, to: &str| policy(&with(from, to), &grants).changed.unwrap().is_plain();
    assert!(is_plain(" && in_window(r.now, p.window)", ""));
    assert!(is_plain("r.act == p.act)", "r.act == p.act || !(p.act != \"verify\"))"));
    assert!(!is_plain("purpose_match(r.purpose, p.purpose)", "keyMatch(r.purpose, p.purpose)"));
    assert!(!is_plain("p.act == \"*\"", "p.act == '*'"));
    // A policy that decides by another matcher than the model says does not pass.
    let model = with(" && in_window(r.now, p.window)", "");
    let expired = format!("p, A-1, {RESIDENT}, sex, 2020-01-01/2020-12-31, allow\n");
    let timeless = policy(&model, &expired);
    let read = |text: &str| Model::read(&Source::new("model.conf", text)).unwrap();
    assert!(self_test(&timeless, &read(&model), now()).is_ok());
    assert!(self_test(&timeless, &read(SHIPPED), now()).is_err());
}
