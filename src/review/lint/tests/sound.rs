//! Lines that a lint calls idle are taken out, and nothing may change.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::kernel::diagnostic::Source;
use crate::policy::Policy;
use crate::policy::model::SHIPPED;
use crate::policy::tests::city::{Asking, catalog, load_at, now};
use crate::policy::tests::differential::{ROLES, asking, line};
use crate::review::change::{Change, change};
use crate::review::lint::{LintInput, PolicySources, lint};

const IDLE: [&str; 5] =
    ["duplicate-grant", "shadowed-grant", "overruled-grant", "never-matches", "idle-deny"];

/// What may be made of a line, so that it is likely to lie within another.
const NARROWER: [(&str, &str); 13] = [
    ("dept:minzheng", "sys:minzheng-aid"),
    ("group:all", "group:both"),
    ("group:all", "dept:gongan"),
    (", *, ", ", query, "),
    (", *, ", ", social-aid.*, "),
    ("social-aid.*", "social-aid.review"),
    ("always", "2026-01-01/2026-12-31 workday 08:30-18:00"),
    ("always", "2026-10-01/2026-10-05 workday"),
    ("always", "2026-06-01/2026-06-05 sat-sun"),
    ("@basic", "name"),
    (";area=34*", ";area=3410*"),
    (";rows<=10", ";rows<=20"),
    ("theme:people", "population.resident"),
];

fn text() -> impl Strategy<Value = String> {
    let copies = prop::collection::vec(
        (any::<prop::sample::Index>(), prop::collection::vec(prop::sample::select(NARROWER.to_vec()), 0..4)),
        0..10,
    );
    (prop::collection::vec(line(), 1..20), copies, any::<prop::sample::Index>()).prop_map(
        |(mut lines, copies, at)| {
            let first = lines.len();
            for (index, changes) in copies {
                let mut copy = lines[index.index(first)].clone();
                for (from, to) in changes {
                    copy = copy.replacen(from, to, 1);
                }
                let place = at.index(lines.len() + 1);
                lines.insert(place, copy);
            }
            lines.iter().enumerate().map(|(number, line)| format!("p, L-{number}, {line}\n")).collect()
        },
    )
}

fn roles() -> String {
    ROLES.iter().map(|role| format!("{role}\n")).collect()
}

fn load(text: &str) -> Option<Policy> {
    load_at(&catalog(), SHIPPED, &format!("{text}{}", roles()), now()).0
}

/// The idle lines of `text`, by the lint that names each.
fn idle(policy: &Policy, text: &str) -> BTreeMap<usize, &'static str> {
    let grants = Source::new("grants.csv", text);
    let empty = Source::new("other", "");
    let report = lint(&LintInput {
        policy,
        catalog: &catalog(),
        sources: PolicySources {
            grants: &grants,
            catalog: &empty,
            registry: &empty,
            purposes: &empty,
            masks: &empty,
        },
        limited: &BTreeSet::new(),
        now: now(),
    });
    let findings = report.sorted().into_iter().filter(|finding| IDLE.contains(&finding.code));
    findings.map(|finding| (report.position(finding).line, finding.code)).collect()
}

fn without(text: &str, lines: &BTreeSet<usize>) -> String {
    let kept = text.lines().zip(1..).filter(|(_, number)| !lines.contains(number));
    kept.map(|(line, _)| format!("{line}\n")).collect()
}

/// The parameters that a route could have sent: those that the resource declares.
fn as_routed(mut asking: Asking) -> Asking {
    let catalog = catalog();
    let resource = &catalog.resources[&asking.resource];
    asking.parameters.retain(|(name, _)| resource.parameter(name.as_str()).is_some());
    asking.narrowed_to = None;
    asking
}

fn difference(before: &Policy, after: &Policy, asking: &Asking) -> Option<Change> {
    change(&before.decide(&asking.query(), asking.at), &after.decide(&asking.query(), asking.at))
}

#[test]
fn idle_lines_can_be_taken_out() {
    let counted: RefCell<BTreeMap<&str, usize>> = RefCell::default();
    // Every case loads many policies; `PROPTEST_CASES` asks for more of them.
    let cases = ProptestConfig::default().cases.div_ceil(4);
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let strategy = (text(), prop::collection::vec(asking(), 40..80));
    let result = runner.run(&strategy, |(text, askings)| {
        // A change may have made a line that does not load.
        let Some(policy) = load(&text) else { return Err(TestCaseError::reject("does not load")) };
        let idle = idle(&policy, &text);
        let mut sets: Vec<BTreeSet<usize>> = idle.keys().map(|&line| BTreeSet::from([line])).collect();
        sets.push(idle.keys().copied().collect());
        for lines in sets {
            let left = without(&text, &lines);
            let after = load(&left);
            prop_assert!(after.is_some(), "{left}");
            let after = after.unwrap();
            for asking in askings.iter().cloned().map(as_routed) {
                let difference = difference(&policy, &after, &asking);
                prop_assert!(difference.is_none(), "{idle:?} {lines:?}\n{text}\n{asking:?}\n{difference:?}");
            }
        }
        for lint in idle.into_values() {
            *counted.borrow_mut().entry(lint).or_default() += 1;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let counted = counted.into_inner();
    assert!(IDLE.iter().all(|lint| counted.contains_key(lint)), "{counted:?}");
}

#[test]
fn the_comparison_sees_lines_that_matter() {
    for (lines, matters) in [
        (["name:full", "name", "sex"], 0),
        (["name", "name;rows<=5", "name"], 1),
        (["name", "name", "name|sex"], 2),
        (["name:clear", "name:full", "name:full"], 0),
    ] {
        let line = |(number, scope): (usize, &&str)| {
            format!("p, L-{number}, dept:minzheng, population.resident, query, *, {scope}, always, allow\n")
        };
        let text: String = lines.iter().enumerate().map(line).collect();
        let (before, after) =
            (load(&text).unwrap(), load(&without(&text, &BTreeSet::from([matters + 1]))).unwrap());
        assert!(difference(&before, &after, &Asking::new()).is_some(), "{text}");
        assert!(!idle(&before, &text).contains_key(&(matters + 1)), "{text}");
    }
}
