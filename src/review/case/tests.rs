use std::sync::Arc;

use super::*;
use crate::grant::DenyReason;

fn paths(text: &str) -> Vec<FieldPath> {
    text.split_whitespace().map(|path| FieldPath::parse(path).unwrap()).collect()
}

fn ids(text: &str) -> Vec<GrantId> {
    text.split_whitespace().map(|id| GrantId::parse(id).unwrap()).collect()
}

fn masks(text: &str) -> Vec<ExpectedMask> {
    let mask = |text: &str| match text.split_once(':') {
        Some((path, masker)) => (path.to_owned(), Some(MaskerName::parse(masker).unwrap())),
        None => (text.to_owned(), None),
    };
    let masks = text.split_whitespace().map(mask);
    masks.map(|(path, masker)| ExpectedMask { path: FieldPath::parse(&path).unwrap(), masker }).collect()
}

fn permit() -> Decision {
    let fields = [("id", None), ("name", Some("name")), ("phone", Some("mobile"))];
    let fields = fields.map(|(path, masker)| ReleasedField {
        path: FieldPath::parse(path).unwrap(),
        treatment: masker
            .map_or(Treatment::Clear, |name| Treatment::Masked(MaskerName::parse(name).unwrap())),
    });
    Decision::Permit(Permit {
        grants: ids("A-1 A-2"),
        fields: Arc::from(fields),
        rows_per_reply: Some(10),
        rows_per_day: None,
        valid_until: None,
    })
}

fn denial() -> Decision {
    Decision::Denial(Denial {
        reason: DenyReason::Denied,
        detail: Vec::new(),
        denied_by: ids("D-1"),
        nearest: None,
    })
}

/// The comparisons that do not hold.
fn wrong(expected: &Expected, decision: &Decision) -> Vec<String> {
    let compared = compare(expected, decision, Some("grant-denied"));
    let wrong = compared.iter().filter(|comparison| !comparison.holds);
    wrong
        .map(|Comparison { key, expected, actual, difference, .. }| {
            format!("{key}: {expected} <> {actual} ({difference})")
        })
        .collect()
}

#[test]
fn a_permit_is_compared_key_by_key() {
    let right = ExpectedPermit {
        grants: Some(ids("A-1 A-2")),
        clear: Some(paths("id")),
        masked: Some(masks("phone:mobile name")),
        dropped: Some(paths("sex")),
        rows: Some(10),
        rows_per_day: None,
    };
    assert_eq!(wrong(&Expected::Allow(right.clone()), &permit()), [""; 0]);
    assert_eq!(wrong(&Expected::Allow(ExpectedPermit::default()), &permit()), [""; 0]);
    let check = |expected: ExpectedPermit, message: &str| {
        assert_eq!(wrong(&Expected::Allow(expected), &permit()), [message]);
    };
    let with = |change: fn(&mut ExpectedPermit)| {
        let mut expected = right.clone();
        change(&mut expected);
        expected
    };
    check(with(|it| it.grants = Some(ids("A-2 A-1"))), "grants: A-2, A-1 <> A-1, A-2 (another order)");
    check(with(|it| it.grants = Some(ids("A-1"))), "grants: A-1 <> A-1, A-2 (unexpected: A-2)");
    check(with(|it| it.clear = Some(vec![])), "clear: – <> id (unexpected: id)");
    check(with(|it| it.clear = Some(paths("id name"))), "clear: id, name <> id (missing: name)");
    check(with(|it| it.masked = Some(masks("name"))), "masked: name <> name, phone (unexpected: phone)");
    check(
        with(|it| it.masked = Some(masks("name phone:full"))),
        "masked: name, phone:full <> name, phone:mobile (missing: phone:full; unexpected: phone:mobile)",
    );
    check(with(|it| it.dropped = Some(paths("sex id"))), "dropped: sex, id <> sex (leaves: id)");
    check(with(|it| it.rows = Some(9)), "rows: 9 <> 10 ()");
    check(with(|it| it.rows_per_day = Some(9)), "rows_per_day: 9 <> no bound ()");
}

#[test]
fn a_refusal_is_compared_key_by_key() {
    let expected = |code, denied_by| Expected::Deny(ExpectedDenial { code, denied_by });
    assert_eq!(wrong(&expected(None, None), &denial()), [""; 0]);
    assert_eq!(wrong(&expected(Some("grant-denied"), Some(ids("D-1"))), &denial()), [""; 0]);
    assert_eq!(
        wrong(&expected(Some("grant-none"), Some(ids("D-2"))), &denial()),
        ["code: grant-none <> grant-denied ()", "denied_by: D-2 <> D-1 (missing: D-2; unexpected: D-1)"]
    );
}

#[test]
fn another_verdict_ends_the_comparison() {
    assert_eq!(
        wrong(&Expected::Allow(ExpectedPermit { rows: Some(1), ..ExpectedPermit::default() }), &denial()),
        ["expect: allow <> deny with grant-denied ()"]
    );
    assert_eq!(
        wrong(&Expected::Deny(ExpectedDenial::default()), &permit()),
        ["expect: deny <> allow by A-1, A-2 ()"]
    );
}
