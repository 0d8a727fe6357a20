use proptest::prelude::*;

use super::*;
use crate::audit::{Access, Chain, Kind as RecordKind};
use crate::catalog::Catalog;
use crate::grant::Decision;
use crate::kernel::id::*;
use crate::policy::Policy;
use crate::policy::tests::city::{Asking, at, catalog, load_at, policy};
use crate::policy::tests::differential::{asking, policy_text};

const CODES: [&str; 2] = ["scope-parameter", "grant-none"];

/// The catalogue of the tests, in which these parameters may stand in a record.
fn recordable(names: &[&str]) -> Catalog {
    let mut catalog = catalog();
    for resource in catalog.resources.values_mut() {
        let mut changed = (**resource).clone();
        for parameter in &mut changed.parameters {
            parameter.recordable = names.contains(&parameter.name.as_str());
        }
        *resource = changed.into();
    }
    catalog
}

/// The line that the gate would have written about `asking` under `policy`, and what it decided.
fn line(policy: &Policy, catalog: &Catalog, asking: &Asking) -> (Vec<u8>, Decision) {
    let decision = policy.decide(&asking.query(), asking.at);
    let resource = &catalog.resources[&asking.resource];
    let may_be_recorded =
        |name: &ParameterName| resource.parameter(name.as_str()).is_some_and(|known| known.recordable);
    // As a request brings them: all values of one name together.
    let mut given: Vec<(ParameterName, Vec<String>)> = Vec::new();
    for (name, values) in &asking.parameters {
        match given.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(values.iter().cloned()),
            None => given.push((name.clone(), values.clone())),
        }
    }
    let parameters: Vec<_> = given
        .iter()
        .filter(|(name, _)| may_be_recorded(name))
        .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())))
        .collect();
    let withheld: Vec<_> = given
        .iter()
        .filter(|(name, values)| !may_be_recorded(name) && !values.is_empty())
        .map(|(name, values)| (name.clone(), u64::try_from(values.len()).unwrap()))
        .collect();
    let permit = match &decision {
        Decision::Permit(permit) => Some(permit),
        Decision::Denial(_) => None,
    };
    let entry = Access {
        kind: RecordKind::Access,
        at: asking.at,
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        trace_id: None,
        system: Some(&asking.system),
        department: Some(&asking.department),
        certificate: &Digest([7; 32]),
        address: "192.0.2.1".parse().unwrap(),
        method: "GET",
        route: Some("/"),
        resource: Some(&asking.resource),
        provider: Some(&resource.provider),
        action: Some(&asking.action),
        purpose: Some(&asking.purpose),
        purpose_source: Some("token"),
        token_id: None,
        requested: &asking.fields,
        parameters: &parameters,
        withheld: &withheld,
        subjects: None,
        // A token that names none is refused before it comes to this.
        narrowed_to: asking.narrowed_to.as_deref().filter(|named| !named.is_empty()),
        decision: if permit.is_some() { "permit" } else { "deny" },
        reason: permit.is_none().then_some("grant-none"),
        admitted: None,
        grants: permit.map_or(&[], |permit| &permit.grants),
        denied_by: &[],
        released: permit.map_or(&[], |permit| &permit.fields),
        policy: "aa",
        config: "bb",
        shadow: None,
        outcome: None,
    }
    .encode();
    let mut line = Vec::new();
    Chain::new(NodeId::parse("gate-1").unwrap(), 1).seal(&entry, &mut line);
    line.pop();
    (line, decision)
}

fn replay<'p>(candidate: Gate<'p>, against: Option<Gate<'p>>) -> Replay<'p> {
    Replay {
        candidate,
        against,
        policy_codes: &CODES,
        from: None,
        until: None,
        system: None,
        resource: None,
        examples: 3,
    }
}

fn finding(replay: &Replay<'_>, line: &[u8]) -> Finding {
    match replay.line(line).unwrap() {
        Outcome::Decided { finding, .. } => finding,
        other @ (Outcome::NotByPolicy | Outcome::Other) => panic!("{other:?}"),
    }
}

/// What a record that holds everything comes to.
fn true_finding(was: &Decision, then: &Verdict) -> Finding {
    let was = match was {
        Decision::Permit(permit) => Past::Permitted(Released::Whole(permit.fields.to_vec())),
        Decision::Denial(_) => Past::Refused,
    };
    since(&was, then)
}

fn same_but_for_the_reason(a: &Finding, b: &Finding) -> bool {
    a == b || matches!((a, b), (Finding::Refused(None), Finding::Refused(_)))
}

fn load(text: &str, catalog: &Catalog) -> Policy {
    let (policy, report) = load_at(catalog, crate::policy::model::SHIPPED, text, at("2026-06-03T02:00:00Z"));
    policy.unwrap_or_else(|| panic!("{text}\n{report}"))
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["area", "year", "kind"], 0..=3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(2), ..ProptestConfig::default() })]

    /// Nothing changes under the policy that decided, whatever its records leave out.
    #[test]
    fn the_same_policy_changes_nothing(text in policy_text(), names in names(), askings in prop::collection::vec(asking(), 1..16)) {
        let catalog = recordable(&names);
        let policy = load(&text, &catalog);
        let gate = Gate { policy: &policy, catalog: &catalog };
        for mut asking in askings {
            asking.narrowed_to = asking.narrowed_to.filter(|named| !named.is_empty());
            let (line, _) = line(&policy, &catalog, &asking);
            let found = finding(&replay(gate, None), &line);
            let is_right = match &found {
                Finding::Same => true,
                Finding::Undetermined(Why::Parameters(unknown)) => {
                    unknown.iter().all(|name| !names.contains(&name.as_str()) && asking.parameters.iter().any(|(known, _)| known == name))
                }
                Finding::Refused(_) | Finding::Allowed | Finding::Changed { .. } | Finding::Undetermined(_) => false,
            };
            prop_assert!(is_right, "{found:?}: {asking:?}");
            prop_assert_eq!(finding(&replay(gate, Some(gate)), &line), Finding::Same, "of itself");
        }
    }

    /// Under another policy a record says what is true, or that it cannot say.
    #[test]
    fn what_is_said_is_true(old in policy_text(), new in policy_text(), names in names(), askings in prop::collection::vec(asking(), 1..16)) {
        let catalog = recordable(&names);
        let (old, new) = (load(&old, &catalog), load(&new, &catalog));
        let (was, then) = (Gate { policy: &old, catalog: &catalog }, Gate { policy: &new, catalog: &catalog });
        for mut asking in askings {
            asking.narrowed_to = asking.narrowed_to.filter(|named| !named.is_empty());
            let (line, decision) = line(&old, &catalog, &asking);
            let verdict = match new.decide(&asking.query(), asking.at) {
                Decision::Permit(permit) => Verdict::Permit(permit),
                Decision::Denial(denial) => Verdict::Refused(Refusal::Policy(denial.reason)),
            };
            let truth = true_finding(&decision, &verdict);
            let all_recorded = asking.parameters.iter().all(|(name, values)| values.is_empty() || names.contains(&name.as_str()));
            let found = finding(&replay(then, None), &line);
            if matches!(found, Finding::Undetermined(_)) {
                prop_assert!(!all_recorded, "{:?}", asking);
            } else {
                prop_assert!(same_but_for_the_reason(&found, &truth), "{found:?} is not {truth:?}: {asking:?}");
            }
            let compared = finding(&replay(then, Some(was)), &line);
            match (&compared, &truth) {
                (Finding::Undetermined(_), _) => prop_assert!(!all_recorded),
                // Duties are not recorded.
                (Finding::Changed { fields, .. }, Finding::Same) => prop_assert!(fields.is_empty()),
                (Finding::Changed { fields, .. }, Finding::Changed { fields: truth, .. }) => prop_assert_eq!(fields, truth),
                (found, truth) => prop_assert!(same_but_for_the_reason(found, truth), "{found:?} is not {truth:?}"),
            }
        }
    }

    #[test]
    fn parts_of_a_log_add_up(cut in 0..40_u64, most in 0..5_usize) {
        let policy = policy("p, A-1, sys:minzheng-aid, population.resident, query, *, name, always, allow\n");
        let catalog = catalog();
        let replay = replay(Gate { policy: &policy, catalog: &catalog }, None);
        let report = |places: std::ops::Range<u64>| {
            let mut report = Report::default();
            for place in places {
                let asking = Asking::new().fields(if place % 3 == 0 { &["sex"] } else { &["name"] });
                let (mut line, _) = line(&policy, &catalog, &asking);
                if place % 4 == 0 {
                    line = String::from_utf8(line).unwrap().replace("\"permit\"", "\"deny\"").replace("\"deny\",", "\"deny\",\"reason\":\"grant-none\",").into_bytes();
                }
                if let Ok(outcome) = replay.line(&line) {
                    report.take(place, outcome, most);
                }
            }
            report
        };
        let whole = report(0..40);
        let mut parts = report(cut..40);
        parts.merge(report(0..cut), most);
        prop_assert_eq!(parts.groups(), whole.groups());
        prop_assert_eq!((parts.tally(), parts.span, &parts.examples), (whole.tally(), whole.span, &whole.examples));
    }
}

const LINES: &str = "\
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, name|sex;area=3410*, always, allow
p, A-2, sys:minzheng-aid, population.resident, query, social-aid.review, phone;id_card=34*, always, allow
";

/// The record of `asking` under [`LINES`], decided again under `grants`.
fn again(asking: &Asking, names: &[&str], grants: &str) -> Finding {
    let catalog = recordable(names);
    let (old, new) = (load(LINES, &catalog), load(grants, &catalog));
    let (line, _) = line(&old, &catalog, asking);
    finding(&replay(Gate { policy: &new, catalog: &catalog }, None), &line)
}

#[test]
fn a_value_that_is_not_recorded_matters_only_where_the_answer_hangs_on_it() {
    let parameters = |names: &[&str]| {
        Finding::Undetermined(Why::Parameters(
            names.iter().map(|name| ParameterName::parse(name).unwrap()).collect(),
        ))
    };
    let whole = Asking::new().parameter("area", &["341002"]);
    let with_card = whole.clone().parameter("id_card", &["341002"]);
    let without = LINES.replace(";id_card=34*", "");
    let ended = LINES.replace("always", "../2026-01-01");
    let narrower = LINES.replace("3410*", "341003|341004");
    let elsewhere = LINES.replace("area=3410*", "area=35*");
    for (asking, names, grants, expected) in [
        (&whole, &["area"][..], LINES, Finding::Same),
        // That it did not come is in the record too.
        (&whole, &["area"], without.as_str(), changed(&["phone"], &[])),
        (&with_card, &["area"], LINES, parameters(&["id_card"])),
        // All values that it can have had had been let through.
        (&with_card, &["area"], &without, changed(&[], &[])),
        (
            &with_card,
            &["area"],
            &ended,
            Finding::Refused(Some(Refusal::Policy(crate::grant::DenyReason::GrantExpired))),
        ),
        (
            &whole,
            &["area"],
            &narrower,
            Finding::Refused(Some(Refusal::Policy(crate::grant::DenyReason::ParameterNotGranted))),
        ),
        (&whole, &[], &narrower, parameters(&["area"])),
        (&with_card, &["area"], &elsewhere, parameters(&["id_card"])),
        (
            &with_card.clone().parameter("id_card", &["1"]),
            &["area"],
            &elsewhere,
            Finding::Refused(Some(Refusal::Policy(crate::grant::DenyReason::ParameterNotGranted))),
        ),
    ] {
        assert_eq!(again(asking, names, grants), expected, "{grants}");
    }
}

fn changed(gained: &[&str], lost: &[&str]) -> Finding {
    let paths = |names: &[&str]| names.iter().map(|name| FieldPath::parse(name).unwrap()).collect();
    let fields = FieldChanges { gained: paths(gained), lost: paths(lost), ..FieldChanges::default() };
    if fields.is_empty() { Finding::Same } else { Finding::Changed { fields, duties: false } }
}

#[test]
fn what_was_cut_is_not_guessed() {
    let long = "9".repeat(400);
    let asking = Asking::new().parameter("area", &[&format!("3410{long}")]);
    assert_eq!(again(&asking, &["area"], LINES), Finding::Same, "the beginning is enough");
    let exact = LINES.replace("3410*", &format!("3410{long}|3410{long}0"));
    let undetermined = Finding::Undetermined(Why::Parameters(vec![ParameterName::parse("area").unwrap()]));
    assert_eq!(again(&asking, &["area"], &exact), undetermined);
    let shorter = LINES.replace("3410*", "3410|3410999");
    assert!(matches!(again(&asking, &["area"], &shorter), Finding::Refused(_)));
    let many: Vec<String> = (0..300).map(|n| format!("no-field-{n:03}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        again(&Asking::new().fields(&many), &["area"], LINES),
        Finding::Undetermined(Why::Cut("requested"))
    );
    let long = "x".repeat(700);
    let asking = Asking::new().fields(&["name", &long]);
    assert_eq!(again(&asking, &["area"], LINES), Finding::Undetermined(Why::Cut("requested")));
    let names: Vec<String> = (0..100).map(|n| format!("GRANT-WITH-A-LONG-NAME-{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let asking = Asking::new().narrowed_to(&names);
    assert_eq!(again(&asking, &["area"], LINES), Finding::Undetermined(Why::Cut("narrowed_to")));
}

#[test]
fn what_a_token_narrowed_stays_narrowed() {
    let asking = Asking::new().parameter("area", &["341002"]).narrowed_to(&["A-1"]);
    let wider =
        format!("{LINES}p, A-3, sys:minzheng-aid, population.resident, query, *, id_card, always, allow\n");
    assert_eq!(again(&asking, &["area"], &wider), Finding::Same);
}

#[test]
fn only_what_the_policy_decided_is_decided_again() {
    let catalog = catalog();
    let policy = policy(LINES);
    let asking = Asking::new();
    let (line, _) = line(&policy, &catalog, &asking);
    let line = String::from_utf8(line).unwrap();
    let base = replay(Gate { policy: &policy, catalog: &catalog }, None);
    let outcome = |replay: &Replay<'_>, line: &str| match replay.line(line.as_bytes()) {
        Ok(Outcome::Decided { .. }) => "decided",
        Ok(Outcome::NotByPolicy) => "not by policy",
        Ok(Outcome::Other) => "other",
        Err(LineError::Record(_)) => "no record",
        Err(LineError::Member(_)) => "no record's member",
    };
    let changed = |from: &str, to: &str| {
        assert!(line.contains(from), "{from}");
        line.replace(from, to)
    };
    for (line, expected) in [
        (line.clone(), "decided"),
        (changed(r#""kind":"access""#, r#""kind":"intent""#), "decided"),
        (changed(r#""kind":"access""#, r#""kind":"outcome""#), "other"),
        (changed(r#""kind":"access""#, r#""kind":"lifecycle""#), "other"),
        (
            changed(
                r#""decision":"deny","reason":"grant-none""#,
                r#""decision":"deny","reason":"rate-exceeded""#,
            ),
            "not by policy",
        ),
        (
            changed(
                r#""decision":"deny","reason":"grant-none""#,
                r#""decision":"permit","reason":"rate-exceeded""#,
            ),
            "decided",
        ),
        (changed(r#""resource":"population.resident","#, ""), "not by policy"),
        (changed("sys:minzheng-aid", "minzheng-aid"), "no record's member"),
        (changed("2026-06-03T02", "2026-06-03T25"), "no record's member"),
        (changed(r#""v":1"#, r#""v":2"#), "no record"),
        (line.trim_end_matches('}').to_owned(), "no record"),
    ] {
        assert_eq!(outcome(&base, &line), expected, "{line}");
    }
    let narrowed = |change: fn(&mut Replay<'_>)| {
        let mut replay = base.clone();
        change(&mut replay);
        outcome(&replay, &line)
    };
    assert_eq!(narrowed(|replay| replay.system = SystemId::parse("sys:ziran-map").ok()), "other");
    assert_eq!(narrowed(|replay| replay.resource = ResourceId::parse("spatial.parcel").ok()), "other");
    assert_eq!(narrowed(|replay| replay.from = Some(at("2026-06-03T02:00:00.000001Z"))), "other");
    assert_eq!(narrowed(|replay| replay.until = Some(at("2026-06-03T02:00:00Z"))), "other");
    assert_eq!(narrowed(|replay| replay.from = Some(at("2026-06-03T02:00:00Z"))), "decided");
}
