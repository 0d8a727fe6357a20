use std::sync::Arc;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::catalog::Sharing;
use crate::grant::{Decision, Permit};
use crate::kernel::diagnostic::Source;
use crate::kernel::id::{FieldPath, ParameterName};
use crate::kernel::time::TimeZone;
use crate::policy::PolicyInput;
use crate::policy::calendar::Calendar;
use crate::policy::model::SHIPPED;
use crate::policy::tests::city::{Asking, MASKERS, at, calendar, catalog, now, resource};
use crate::policy::tests::differential::{asking, line, policy_text};

/// A policy and all that a [`Side`] borrows.
#[derive(Debug)]
struct Made {
    policy: Policy,
    catalog: Catalog,
    limits: Vec<Limit>,
}

impl Made {
    fn new(grants: &str) -> Self {
        Self::in_city(grants, catalog(), &calendar(), "Asia/Shanghai")
    }

    fn in_city(grants: &str, catalog: Catalog, calendar: &Calendar, zone: &str) -> Self {
        let maskers = MASKERS.iter().map(|name| MaskerName::parse(name).unwrap()).collect();
        let (policy, report) = Policy::load(PolicyInput {
            model: &Source::new("model.conf", SHIPPED),
            grants: &Source::new("grants.csv", grants),
            catalog: &catalog,
            calendar,
            zone: TimeZone::get(zone).unwrap(),
            maskers: &maskers,
            now: now(),
        });
        let policy = policy.unwrap_or_else(|| panic!("{grants}\n{report}"));
        Self { policy, catalog, limits: Vec::new() }
    }

    fn side(&self) -> Side<'_> {
        let text = |name: &&str| {
            let text = MaskerText { method: (*name).to_owned(), parameters: Vec::new() };
            (MaskerName::parse(name).unwrap(), text)
        };
        let maskers = MASKERS.iter().map(text).collect();
        Side { policy: &self.policy, catalog: &self.catalog, maskers, limits: &self.limits }
    }
}

fn difference(old: &Made, new: &Made) -> Difference {
    compare(&old.side(), &new.side(), now())
}

fn released(fields: &[ReleasedField]) -> String {
    let shown = |field: &ReleasedField| match &field.treatment {
        Treatment::Clear => field.path.to_string(),
        Treatment::Masked(masker) => format!("{}:{masker}", field.path),
    };
    fields.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn capped(it: &Capped) -> String {
    let cap = |cap: Option<u64>| cap.map_or("none".to_owned(), |rows| rows.to_string());
    let fields: Vec<String> = it.fields.iter().map(ToString::to_string).collect();
    format!("{} {}→{} of {}", it.duty.as_str(), cap(it.old), cap(it.new), fields.join(" "))
}

/// A consequence in a line, for tables.
fn shown(it: &Consequence) -> String {
    let what = match &it.outcome {
        Outcome::Allowed(fields) | Outcome::Gained(fields) | Outcome::Unmasked(fields) => released(fields),
        Outcome::Refused(fields) | Outcome::Lost(fields) | Outcome::Masked(fields) => released(fields),
        Outcome::Remasked(fields) => fields
            .iter()
            .map(|(field, was)| format!("{was}→{}", released(std::slice::from_ref(field))))
            .collect::<Vec<_>>()
            .join(" "),
        Outcome::Loosened(it) | Outcome::Tightened(it) => capped(it),
    };
    let joined = |ids: Vec<String>| ids.join(",");
    let mut text = format!(
        "{}: {} {} {} | {what}",
        it.outcome.as_str(),
        it.whom.clone().unwrap_or_else(|| joined(it.systems.iter().map(ToString::to_string).collect())),
        joined(it.actions.iter().map(ToString::to_string).collect()),
        joined(it.resources.iter().map(ToString::to_string).collect()),
    );
    if !it.every_purpose {
        text.push_str(&format!(" | for {}", joined(it.purposes.iter().map(ToString::to_string).collect())));
    }
    for range in &it.parameters {
        text.push_str(&format!(" | with {range}"));
    }
    for stretch in &it.when {
        let end = |at: Option<Timestamp>| at.map_or("..".to_owned(), |at| at.to_string());
        text.push_str(&format!(
            " | {}/{} {}",
            end(stretch.from),
            end(stretch.until),
            stretch.within.join(", ")
        ));
    }
    let causes: Vec<String> = it.causes.iter().map(ToString::to_string).collect();
    text.push_str(&format!(" | by {}", causes.join(",")));
    text
}

#[track_caller]
fn check(old: &str, new: &str, expected: &[&str]) {
    check_made(&Made::new(old), &Made::new(new), expected);
}

#[track_caller]
fn check_made(old: &Made, new: &Made, expected: &[&str]) {
    let found = difference(old, new);
    assert_eq!(found.undetermined, []);
    let lines: Vec<String> = found.consequences.iter().map(shown).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
    holds_at_its_examples(&found, old, new);
}

const GRANT: &str =
    "p, A-1, sys:ziran-map, population.resident, query, planning.survey, name|sex, always, allow\n";

fn grant(from: &str, to: &str) -> String {
    assert!(GRANT.contains(from));
    GRANT.replace(from, to)
}

#[test]
fn one_line_at_a_time() {
    let empty = "p, Z-1, sys:gongan-desk, spatial.parcel, query, *, *, always, allow\n";
    let with = |line: &str| format!("{empty}{line}");
    check(
        empty,
        &with(GRANT),
        &["allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | by A-1"],
    );
    check(
        &with(GRANT),
        empty,
        &["refused: sys:ziran-map query population.resident | name:name sex | for planning.survey | by A-1"],
    );
    check(
        GRANT,
        &grant("name|sex", "name:clear|phone"),
        &[
            "fields-gained: sys:ziran-map query population.resident | phone:mobile | for planning.survey | by A-1",
            "fields-clear: sys:ziran-map query population.resident | name:name | for planning.survey | by A-1",
            "fields-lost: sys:ziran-map query population.resident | sex | for planning.survey | by A-1",
        ],
    );
    check(
        &grant("name|sex", "name:clear|sex"),
        &grant("name|sex", "name:full|sex:full"),
        &[
            "fields-masked: sys:ziran-map query population.resident | name:full sex:full | for planning.survey | by A-1",
        ],
    );
    check(
        GRANT,
        &grant("name|sex", "name:full|sex"),
        &[
            "fields-remasked: sys:ziran-map query population.resident | name→name:full | for planning.survey | by A-1",
        ],
    );
    check(
        &grant("name|sex", "name|sex;rows<=10"),
        &grant("name|sex", "name|sex;rows<=20;rows/day<=5"),
        &[
            "duty-loosened: sys:ziran-map query population.resident | rows 10→20 of name sex | for planning.survey | by A-1",
            "duty-tightened: sys:ziran-map query population.resident | rows/day none→5 of name sex | for planning.survey | by A-1",
        ],
    );
    check(
        GRANT,
        &grant("planning.survey", "*"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for licence.review,social-aid.eligibility,social-aid.review | by A-1",
        ],
    );
}

#[test]
fn whoever_it_is_for_is_said_together() {
    let share = "p, S-1, group:all, sharing:unconditional, query, *, @basic, always, allow\n";
    check(
        "p, Z-1, sys:gongan-desk, population.resident, query, *, name, always, allow\n",
        &format!("p, Z-1, sys:gongan-desk, population.resident, query, *, name, always, allow\n{share}"),
        &["allowed: group:all query spatial.parcel | parcel_id land_use | by S-1"],
    );
    // Those who have it already gain nothing.
    check(
        "p, Z-1, sys:gongan-desk, spatial.parcel, query, *, *, always, allow\n",
        &format!("p, Z-1, sys:gongan-desk, spatial.parcel, query, *, *, always, allow\n{share}"),
        &["allowed: sys:minzheng-aid,sys:ziran-map query spatial.parcel | parcel_id land_use | by S-1"],
    );
}

#[test]
fn windows_move_to_the_millisecond() {
    check(
        &grant("always", "2026-01-01/2026-06-30"),
        &grant("always", "2026-01-01/2026-12-31"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | 2026-06-30T16:00:00Z/2026-12-31T16:00:00Z  | by A-1",
        ],
    );
    check(
        &grant("always", "../2026-06-03T10:00:00.001+08:00"),
        &grant("always", "../2026-06-03T10:00:00.002+08:00"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | 2026-06-03T02:00:00.001Z/2026-06-03T02:00:00.002Z  | by A-1",
        ],
    );
    check(
        &grant("always", "2026-01-01/2026-12-31 workday 08:30-18:00"),
        &grant("always", "2026-01-01/2026-12-31 workday 08:00-17:30"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | 2025-12-31T16:00:00Z/2026-12-31T16:00:00Z workday 08:00-08:30 | by A-1",
            "refused: sys:ziran-map query population.resident | name:name sex | for planning.survey | 2025-12-31T16:00:00Z/2026-12-31T16:00:00Z workday 17:30-18:00 | by A-1",
        ],
    );
    check(
        &grant("always", "mon-fri"),
        &grant("always", "mon-sat"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | ../.. sat | by A-1",
        ],
    );
    check(
        &grant("always", "22:00-06:00"),
        &grant("always", "22:00-07:00"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | ../.. every day 06:00-07:00 | by A-1",
        ],
    );
}

#[test]
fn a_split_window_a_rename_and_a_shadowed_line_change_nothing() {
    let split = format!(
        "{}{}",
        grant("always", "../2026-06-30"),
        GRANT.replace("A-1", "A-2").replace("always", "2026-07-01/..")
    );
    check(GRANT, &split, &[]);
    let found = difference(&Made::new(GRANT), &Made::new(&split));
    let lines: Vec<_> =
        found.lines.iter().map(|line| (line.id.as_str(), line.done, line.has_effect)).collect();
    assert_eq!(lines, [("A-1", Done::Changed, false), ("A-2", Done::Added, false)]);

    check(GRANT, &GRANT.replace("A-1", "B-1"), &[]);
    let found = difference(&Made::new(GRANT), &Made::new(&GRANT.replace("A-1", "B-1")));
    assert_eq!(found.lines[0].renamed, Some(GrantId::parse("A-1").unwrap()));
    assert_eq!(found.lines[1].renamed, Some(GrantId::parse("B-1").unwrap()));

    check(GRANT, &format!("{GRANT}{}", GRANT.replace("A-1", "A-2").replace("name|sex", "sex")), &[]);
    check(GRANT, &grant("name|sex", "sex|name"), &[]);
}

#[test]
fn the_order_of_lines_matters_where_they_name_maskers() {
    let second = GRANT.replace("A-1", "A-2").replace("name|sex", "name:full");
    let first = grant("name|sex", "name:plate");
    check(
        &format!("{first}{second}"),
        &format!("{second}{first}"),
        &[
            "fields-remasked: sys:ziran-map query population.resident | plate→name:full | for planning.survey | by A-1,A-2",
        ],
    );
    check(&format!("{GRANT}{second}"), &format!("{second}{GRANT}"), &[]);
}

#[test]
fn parameters_widen_and_narrow_by_prefix() {
    check(
        &grant("name|sex", "name|sex;area=3410*|3411"),
        &grant("name|sex", "name|sex;area=34*"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | with area=34* but not 3410*|3411 | by A-1",
        ],
    );
    check(
        &grant("name|sex", "name|sex;area=34*"),
        GRANT,
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | with area=* but not 34*, or absent or doubled | by A-1",
        ],
    );
    check(
        &grant("name|sex", "name|sex;area=34*;year=2024|2025"),
        &grant("name|sex", "name|sex;area=34*;year=2025|2026"),
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | with area=34* | with year=2026 | by A-1",
            "refused: sys:ziran-map query population.resident | name:name sex | for planning.survey | with area=34* | with year=2024 | by A-1",
        ],
    );
}

#[test]
fn denials_come_and_go() {
    let deny = "p, D-1, dept:ziran, population.resident, *, *, *;area=3410*, always, deny\n";
    check(
        GRANT,
        &format!("{GRANT}{deny}"),
        &[
            "refused: sys:ziran-map query population.resident | name:name sex | for planning.survey | with area=3410*, or absent or doubled | by D-1",
        ],
    );
    check(
        &format!("{GRANT}{deny}"),
        GRANT,
        &[
            "allowed: sys:ziran-map query population.resident | name:name sex | for planning.survey | with area=3410*, or absent or doubled | by D-1",
        ],
    );
}

#[test]
fn groups_and_the_registry_and_the_catalogue_change_decisions() {
    let aid = "p, A-1, group:aid, population.resident, query, *, name, always, allow\ng, dept:minzheng, group:aid\n";
    check(
        aid,
        &format!("{aid}g, sys:ziran-map, group:aid\n"),
        &["allowed: sys:ziran-map query population.resident | name:name | by A-1"],
    );
    let share = "p, S-1, group:all, sharing:conditional, query, *, *, always, allow\n";
    let old = Made::new(share);
    let mut city = catalog();
    let (id, hidden) = resource("licence.electronic", Sharing::None, &["query"], &["kind"], &[], &["kind"]);
    city.resources.insert(id, hidden);
    let new = Made::in_city(share, city, &calendar(), "Asia/Shanghai");
    check_made(
        &old,
        &new,
        &["refused: group:all query licence.electronic | kind plate:plate holder.name:name | by S-1"],
    );

    let mut city = catalog();
    let (id, cleared) = resource(
        "licence.electronic",
        Sharing::Conditional,
        &["query"],
        &["kind", "plate", "holder.name=name"],
        &[],
        &["kind"],
    );
    city.resources.insert(id, cleared);
    let new = Made::in_city(share, city, &calendar(), "Asia/Shanghai");
    check_made(&old, &new, &["fields-clear: group:all query licence.electronic | plate:plate | by "]);

    let mut city = catalog();
    let id = SystemId::parse("sys:ziran-map").unwrap();
    let mut system = (*city.registry.systems[&id]).clone();
    system.enabled = false;
    city.registry.systems.insert(id, Arc::new(system));
    let new = Made::in_city(GRANT, city, &calendar(), "Asia/Shanghai");
    check_made(
        &Made::new(GRANT),
        &new,
        &["refused: sys:ziran-map query population.resident | name:name sex | for planning.survey | by A-1"],
    );
}

#[test]
fn a_calendar_moves_windows() {
    let text = grant("always", "workday");
    let other = Calendar::new([2026], (1..=6).map(|day| date(2026, 10, day)), [date(2026, 10, 10)]).unwrap();
    let new = Made::in_city(&text, catalog(), &other, "Asia/Shanghai");
    let found = difference(&Made::new(&text), &new);
    let first = &found.consequences[0];
    assert_eq!((found.consequences.len(), first.outcome.as_str()), (1, "allowed"));
    assert_eq!(first.at, at("2026-10-06T16:00:00Z"), "{first:?}");
    let days: Vec<&str> = found.words.iter().map(|word| word.what.as_str()).collect();
    assert_eq!(days, ["2026-10-07"]);
}

#[test]
fn two_zones_read_two_clocks() {
    let text = grant("always", "2026-01-01T00:00:00Z/2027-01-01T00:00:00Z 08:00-09:00");
    let (old, new) = (Made::new(&text), Made::in_city(&text, catalog(), &calendar(), "Asia/Tokyo"));
    let found = difference(&old, &new);
    let kinds: Vec<&str> = found.consequences.iter().map(|it| it.outcome.as_str()).collect();
    assert_eq!(kinds, ["allowed", "refused"]);
    assert_eq!(found.words[0].kind, "zone");
    holds_at_its_examples(&found, &old, &new);
    // Where the clock jumps, hours that it skips or repeats are looked at too.
    let hours = |to: &str| {
        let text = grant("always", &format!("2026-03-28/2026-03-30 02:00-{to}"));
        Made::in_city(&text, catalog(), &calendar(), "Europe/Berlin")
    };
    let found = difference(&hours("03:00"), &hours("04:00"));
    assert_eq!(found.consequences.len(), 1, "{found:?}");
    assert_eq!(found.consequences[0].when[0].within, ["every day 03:00-04:00"]);
}

#[test]
fn what_stands_beside_the_grants_is_listed_with_its_weight() {
    let (mut old, mut new) = (Made::new(GRANT), Made::new(GRANT));
    let limit = |name: &str, per_day: u64| Limit {
        name: crate::kernel::id::LimitName::parse(name).unwrap(),
        by: vec![crate::quota::limit::Dimension::System],
        only: crate::quota::limit::Selection::default(),
        rate: None,
        concurrency: None,
        per_day: std::num::NonZeroU64::new(per_day),
    };
    old.limits = vec![limit("same", 5), limit("gone", 5), limit("more", 5), limit("less", 5)];
    new.limits = vec![limit("same", 5), limit("more", 6), limit("less", 4), limit("here", 5)];
    let person = ResourceId::parse("population.resident").unwrap();
    let mut resource = (*new.catalog.resources[&person]).clone();
    resource.body.envelope.push(FieldPath::parse("operator").unwrap());
    resource.egress = Some(crate::catalog::Egress::Block);
    resource.fields[2].level = crate::catalog::Level::new(3).unwrap();
    new.catalog.resources.insert(person, Arc::new(resource));
    let mut side = new.side();
    let plate = MaskerName::parse("plate").unwrap();
    side.maskers.insert(plate, MaskerText { method: "full".to_owned(), parameters: Vec::new() });
    let found = compare(&old.side(), &side, now());
    assert_eq!(found.consequences, []);
    let words: Vec<_> =
        found.words.iter().map(|it| (it.kind, it.what.as_str(), it.weight.gain, it.weight.loss)).collect();
    assert_eq!(
        words,
        [
            ("body", "population.resident", true, true),
            ("egress", "population.resident", false, true),
            ("field-level", "population.resident sex", false, false),
            ("masker-redefined", "plate", false, true),
            ("limit-removed", "gone", true, false),
            ("limit-loosened", "more", true, false),
            ("limit-tightened", "less", false, true),
            ("limit-added", "here", false, true),
        ]
    );
}

#[test]
fn too_many_points_are_said_to_be_too_many() {
    let values = |from: usize| (from..from + 200).map(|n| n.to_string()).collect::<Vec<_>>().join("|");
    let scope = |from| format!("name;area={};year={};id_card={}", values(from), values(from), values(from));
    let found =
        difference(&Made::new(&grant("name|sex", &scope(0))), &Made::new(&grant("name|sex", &scope(1))));
    assert_eq!((found.consequences.len(), found.undetermined.len()), (0, 1));
    assert!(found.is_any());
}

fn permit(made: &Made, request: &Request, at: Timestamp) -> Option<Permit> {
    let system = made.catalog.registry.systems.get(&request.system);
    let department = system.map(|system| &system.department)?;
    // What the catalogue does not declare no route passes on.
    let mut request = request.clone();
    let resource = made.catalog.resources.get(&request.resource)?;
    request.parameters.retain(|(name, _)| resource.parameter(name.as_str()).is_some());
    match made.policy.decide(&request.query(department), at) {
        Decision::Permit(permit) => Some(permit),
        Decision::Denial(_) => None,
    }
}

/// Holds every consequence against what both policies decide at its example.
fn holds_at_its_examples(found: &Difference, old: &Made, new: &Made) {
    for it in &found.consequences {
        let (before, after) = (permit(old, &it.example, it.at), permit(new, &it.example, it.at));
        let text = shown(it);
        let treatment = |permit: &Option<Permit>, path: &FieldPath| {
            permit
                .as_ref()?
                .fields
                .iter()
                .find(|field| field.path == *path)
                .map(|field| field.treatment.clone())
        };
        match &it.outcome {
            Outcome::Allowed(fields) => {
                assert!(before.is_none(), "{text}");
                assert_eq!(after.expect(&text).fields.to_vec(), *fields);
            }
            Outcome::Refused(fields) => {
                assert!(after.is_none(), "{text}");
                assert_eq!(before.expect(&text).fields.to_vec(), *fields);
            }
            Outcome::Gained(fields)
            | Outcome::Lost(fields)
            | Outcome::Masked(fields)
            | Outcome::Unmasked(fields) => {
                for field in fields {
                    let (was, is) = (treatment(&before, &field.path), treatment(&after, &field.path));
                    let here = Some(field.treatment.clone());
                    let expected = if matches!(it.outcome, Outcome::Gained(_)) {
                        (None, here)
                    } else if matches!(it.outcome, Outcome::Lost(_)) {
                        (here, None)
                    } else if matches!(it.outcome, Outcome::Masked(_)) {
                        (Some(Treatment::Clear), here)
                    } else {
                        (here, Some(Treatment::Clear))
                    };
                    assert_eq!((was, is), expected, "{text}");
                }
            }
            Outcome::Remasked(fields) => {
                for (field, was) in fields {
                    assert_eq!(
                        treatment(&before, &field.path),
                        Some(Treatment::Masked(was.clone())),
                        "{text}"
                    );
                    assert_eq!(treatment(&after, &field.path), Some(field.treatment.clone()), "{text}");
                }
            }
            Outcome::Loosened(capped) | Outcome::Tightened(capped) => {
                let cap = |permit: Option<Permit>| match capped.duty {
                    Duty::PerReply => permit.expect(&text).rows_per_reply,
                    Duty::PerDay => permit.expect(&text).rows_per_day,
                };
                for field in &capped.fields {
                    let request = Request { fields: vec![field.to_string()], ..it.example.clone() };
                    assert_eq!(cap(permit(old, &request, it.at)), capped.old, "{text}");
                    assert_eq!(cap(permit(new, &request, it.at)), capped.new, "{text}");
                }
            }
        }
    }
}

/// Whether a value is in a pattern as a range writes it.
fn is_like(pattern: &str, value: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == value, |prefix| value.starts_with(prefix))
}

/// Whether a request with these values of a parameter is in a range of it.
fn is_in(range: &ParameterRange, parameters: &[(ParameterName, Vec<String>)]) -> bool {
    let values: Vec<&String> = parameters
        .iter()
        .filter(|(name, _)| *name == range.parameter)
        .flat_map(|(_, values)| values)
        .collect();
    match values.as_slice() {
        [value] => range
            .values
            .iter()
            .any(|it| is_like(&it.pattern, value) && !it.except.iter().any(|except| is_like(except, value))),
        _ => range.absent,
    }
}

/// Whether a consequence is about this request then.
fn is_told(found: &Difference, asking: &Asking) -> bool {
    found.consequences.iter().any(|it| {
        it.systems.contains(&asking.system)
            && it.resources.contains(&asking.resource)
            && it.actions.contains(&asking.action)
            && it.purposes.contains(&asking.purpose)
            && it.parameters.iter().all(|range| is_in(range, &asking.parameters))
            && (it.when.is_empty()
                || it.when.iter().any(|stretch| {
                    stretch.from.is_none_or(|from| from <= asking.at)
                        && stretch.until.is_none_or(|until| asking.at < until)
                }))
    })
}

fn request(asking: &Asking) -> Request {
    let mut parameters: Vec<(ParameterName, Vec<String>)> = Vec::new();
    for (name, values) in &asking.parameters {
        match parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(values.clone()),
            None => parameters.push((name.clone(), values.clone())),
        }
    }
    Request {
        system: asking.system.clone(),
        resource: asking.resource.clone(),
        action: asking.action.clone(),
        purpose: asking.purpose.clone(),
        fields: asking.fields.clone(),
        parameters,
        narrowed_to: None,
    }
}

/// What a caller sees of a decision.
fn seen(permit: Option<Permit>) -> Option<(Vec<ReleasedField>, Option<u64>, Option<u64>)> {
    permit.map(|permit| (permit.fields.to_vec(), permit.rows_per_reply, permit.rows_per_day))
}

/// A policy like `text` but for some lines, in a city that may differ a little too.
fn edited() -> impl Strategy<Value = (String, String, u8)> {
    (policy_text(), prop::collection::vec((any::<prop::sample::Index>(), line(), 0..4_u8), 0..4), 0..16_u8)
        .prop_map(|(text, edits, city)| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            for (number, (at, line, how)) in edits.into_iter().enumerate() {
                let grants: Vec<usize> =
                    (0..lines.len()).filter(|&index| lines[index].starts_with("p,")).collect();
                let Some(&index) = grants.get(at.index(grants.len().max(1))) else { continue };
                match how {
                    0 => drop(lines.remove(index)),
                    1 => lines.push(format!("p, N-{number}, {line}")),
                    2 => {
                        let id = lines[index].split(", ").nth(1).unwrap().to_owned();
                        lines[index] = format!("p, {id}, {line}");
                    }
                    _ => {
                        let moved = lines.remove(index);
                        lines.push(moved);
                    }
                }
            }
            (text, lines.join("\n") + "\n", city)
        })
}

/// The city, or one that differs in one thing.
fn changed_city(text: &str, city: u8) -> Made {
    let mut catalog = catalog();
    let mut days = calendar();
    match city {
        1 => {
            let id = SystemId::parse("sys:ziran-map").unwrap();
            let mut system = (*catalog.registry.systems[&id]).clone();
            system.enabled = false;
            catalog.registry.systems.insert(id, Arc::new(system));
        }
        2 => {
            let parcel = ResourceId::parse("spatial.parcel").unwrap();
            let mut parcel = (*catalog.resources[&parcel]).clone();
            parcel.sharing = Sharing::None;
            catalog.resources.insert(parcel.id.clone(), Arc::new(parcel));
        }
        3 => {
            let person = ResourceId::parse("population.resident").unwrap();
            let mut person = (*catalog.resources[&person]).clone();
            person.fields[0].mask = None;
            person.fields[2].mask = Some(MaskerName::parse("full").unwrap());
            catalog.resources.insert(person.id.clone(), Arc::new(person));
        }
        4 => {
            let id = SystemId::parse("sys:ziran-map").unwrap();
            let mut system = (*catalog.registry.systems[&id]).clone();
            system.department = crate::kernel::id::DepartmentId::parse("dept:gongan").unwrap();
            catalog.registry.systems.insert(id, Arc::new(system));
        }
        5 => days = Calendar::new([2026, 2027], [date(2026, 6, 3)], [date(2026, 6, 7)]).unwrap(),
        _ => {}
    }
    Made::in_city(text, catalog, &days, "Asia/Shanghai")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(2), ..ProptestConfig::default() })]

    /// Whatever is decided otherwise is told, and what is told is decided otherwise.
    #[test]
    fn a_difference_is_all_and_only_what_is_decided_otherwise(
        (old, new, city) in edited(),
        askings in prop::collection::vec(asking(), 1..48),
    ) {
        let (old, new) = (Made::new(&old), changed_city(&new, city));
        let found = difference(&old, &new);
        prop_assert_eq!(&found.undetermined, &[]);
        holds_at_its_examples(&found, &old, &new);
        for asking in &askings {
            let request = request(asking);
            let (before, after) = (permit(&old, &request, asking.at), permit(&new, &request, asking.at));
            if seen(before.clone()) != seen(after.clone()) {
                prop_assert!(is_told(&found, asking), "{asking:?}\n{before:?}\n{after:?}");
            }
        }
    }

    #[test]
    fn nothing_differs_from_itself(text in policy_text()) {
        let made = Made::new(&text);
        prop_assert_eq!(difference(&made, &Made::new(&text)), Difference::default());
    }

    /// Looked at from the other side, gains are losses.
    #[test]
    fn the_other_way_round_gains_are_losses((old, new, city) in edited()) {
        let (old, new) = (Made::new(&old), changed_city(&new, city));
        let sorted = |found: &Difference, turned: bool| {
            let mut told: Vec<String> = found.consequences.iter().map(|it| {
                let outcome = if turned { turn(it.outcome.clone()) } else { it.outcome.clone() };
                shown(&Consequence { outcome, whom: None, ..it.clone() })
            }).collect();
            told.sort();
            told
        };
        prop_assert_eq!(sorted(&difference(&old, &new), false), sorted(&difference(&new, &old), true));
    }
}

/// The same, from the other side.
fn turn(outcome: Outcome) -> Outcome {
    let swapped = |it: Capped| Capped { old: it.new, new: it.old, ..it };
    match outcome {
        Outcome::Allowed(fields) => Outcome::Refused(fields),
        Outcome::Refused(fields) => Outcome::Allowed(fields),
        Outcome::Gained(fields) => Outcome::Lost(fields),
        Outcome::Lost(fields) => Outcome::Gained(fields),
        Outcome::Unmasked(fields) => Outcome::Masked(fields),
        Outcome::Masked(fields) => Outcome::Unmasked(fields),
        Outcome::Loosened(it) => Outcome::Tightened(swapped(it)),
        Outcome::Tightened(it) => Outcome::Loosened(swapped(it)),
        Outcome::Remasked(fields) => {
            let turned = fields.into_iter().map(|(field, was)| match field.treatment {
                Treatment::Masked(is) => {
                    (ReleasedField { path: field.path, treatment: Treatment::Masked(was) }, is)
                }
                Treatment::Clear => (field, was),
            });
            Outcome::Remasked(turned.collect())
        }
    }
}
