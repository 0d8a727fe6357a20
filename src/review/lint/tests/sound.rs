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

/// What may be made of a line, so that it is likely to lie within another: in which column, what.
const NARROWER: [(usize, &str, &str); 17] = [
    (0, "dept:minzheng", "sys:minzheng-aid"),
    (0, "group:all", "group:both"),
    (0, "group:all", "dept:gongan"),
    (1, "theme:people", "population.resident"),
    (2, "*", "query"),
    (3, "*", "social-aid.*"),
    (3, "social-aid.*", "social-aid.review"),
    (4, "@basic;", "@basic:full;"),
    (4, ";area=34*", ";area=3410*"),
    (4, ";rows<=10", ";rows<=20"),
    (4, "name:full", "name:name"),
    (4, "name|", "name:full|"),
    (4, "*:full", "*:name"),
    (4, "@basic:clear", "@basic:full"),
    (5, "always", "2026-01-01/2026-12-31 workday 08:30-18:00"),
    (5, "always", "2026-10-01/2026-10-05 workday"),
    (5, "always", "2026-06-01/2026-06-05 sat-sun"),
];

fn narrowed(line: &str, changes: &[(usize, &str, &str)]) -> String {
    let mut columns: Vec<String> = line.split(", ").map(str::to_owned).collect();
    for &(column, from, to) in changes {
        // A scope is changed at its beginning or in its clauses, every other column is one word.
        let is_there = match column {
            4 => from.starts_with(';') || columns[4].starts_with(from),
            _ => columns[column] == from,
        };
        if is_there {
            columns[column] = columns[column].replacen(from, to, 1);
        }
    }
    columns.join(", ")
}

/// A line among few others like it, so that they lie within each other.
fn dense() -> impl Strategy<Value = String> {
    let subjects = ["sys:minzheng-aid", "dept:minzheng"];
    let purposes = ["*", "social-aid.*", "social-aid.review"];
    let scopes = [
        "name",
        "name:full",
        "name:name",
        "name:clear",
        "name|sex:full",
        "*",
        "*:full",
        "name;rows<=5",
        "name;rows<=9",
        "name;area=34*",
        "name;area=3410*",
    ];
    let windows = ["always", "2026-01-01/2026-12-31", "workday", "2026-01-01/2026-12-31 workday 08:30-18:00"];
    let select = |words: &[&'static str]| prop::sample::select(words.to_vec());
    (select(&subjects), select(&purposes), select(&scopes), select(&windows), 0..10_u8).prop_map(
        |(subject, purpose, scope, window, effect)| {
            let (scope, effect) = match (effect, scope.split_once(';')) {
                (0, Some((_, constraint))) if !constraint.starts_with("rows") => {
                    (format!("*;{constraint}"), "deny")
                }
                (0, _) => ("*".to_owned(), "deny"),
                _ => (scope.to_owned(), "allow"),
            };
            format!("{subject}, population.resident, query, {purpose}, {scope}, {window}, {effect}")
        },
    )
}

/// The question that dense lines are about.
fn focused(asking: Asking) -> Asking {
    asking
        .system("sys:minzheng-aid", "dept:minzheng")
        .resource("population.resident")
        .action("query")
        .purpose("social-aid.review")
}

fn text() -> impl Strategy<Value = String> {
    let copies = prop::collection::vec(
        (any::<prop::sample::Index>(), prop::collection::vec(prop::sample::select(NARROWER.to_vec()), 0..6)),
        0..14,
    );
    (
        prop_oneof![prop::collection::vec(line(), 1..20), prop::collection::vec(dense(), 1..10)],
        copies,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut lines, copies, at)| {
            let first = lines.len();
            for (index, changes) in copies {
                let copy = narrowed(&lines[index.index(first)], &changes);
                let place = at.index(lines.len() + 1);
                lines.insert(place, copy);
            }
            lines.iter().enumerate().map(|(number, line)| format!("p, L-{number}, {line}\n")).collect()
        })
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
    let permit = |policy: &Policy| policy.permit(&asking.query(), asking.at).ok();
    change(permit(before).as_ref(), permit(after).as_ref())
}

#[test]
fn idle_lines_can_be_taken_out() {
    let counted: RefCell<BTreeMap<&str, usize>> = RefCell::default();
    // Every case loads many policies; `PROPTEST_CASES` asks for more of them.
    let cases = ProptestConfig::default().cases.div_ceil(4);
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let strategy = (text(), prop::collection::vec(asking(), 30..60));
    let result = runner.run(&strategy, |(text, askings)| {
        let policy = load(&text);
        prop_assert!(policy.is_some(), "{text}");
        let policy = policy.unwrap();
        let idle = idle(&policy, &text);
        let mut sets: Vec<BTreeSet<usize>> = idle.keys().map(|&line| BTreeSet::from([line])).collect();
        sets.push(idle.keys().copied().collect());
        for lines in sets {
            let left = without(&text, &lines);
            let after = load(&left);
            prop_assert!(after.is_some(), "{left}");
            let after = after.unwrap();
            for asking in askings.iter().cloned().flat_map(|asking| [asking.clone(), focused(asking)]) {
                let asking = as_routed(asking);
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
