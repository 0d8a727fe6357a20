//! The engine against casbin-rs, and its fields against a plain reading of the rule, over
//! generated policies and requests.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::city::{Asking, at, catalog, load_at};
use crate::catalog::{Resource, Sharing};
use crate::grant::{Decision, DenyReason, Effect, ReleasedField, Treatment};
use crate::kernel::diagnostic::Source;
use crate::kernel::id::MaskerName;
use crate::kernel::time::Timestamp;
use crate::policy::model::{Model, SHIPPED};
use crate::policy::oracle::Oracle;
use crate::policy::{Held, Policy};

const SYSTEMS: [(&str, &str); 3] = [
    ("sys:minzheng-aid", "dept:minzheng"),
    ("sys:ziran-map", "dept:ziran"),
    ("sys:gongan-desk", "dept:gongan"),
];
const RESOURCES: [&str; 4] =
    ["population.resident", "spatial.parcel", "licence.electronic", "population.adoption"];
const PURPOSES: [&str; 4] =
    ["social-aid.eligibility", "social-aid.review", "planning.survey", "licence.review"];
const WINDOWS: [&str; 12] = [
    "always",
    "always",
    "always",
    "2026-01-01/2026-12-31",
    "../2026-06-03",
    "2026-06-03T10:00:00+08:00/..",
    "2026-01-01/2026-12-31 workday 08:30-18:00",
    "holiday",
    "22:00-06:00",
    "wed 23:00-10:00",
    "../2026-06-03T10:00:00.001+08:00 mon-fri",
    "workday|sun 00:00-24:00",
];
/// Scopes that fit where they are put: by resource, `*` for sharing types and themes.
const SCOPES: [(&str, &[&str]); 5] = [
    (
        "population.resident",
        &[
            "*",
            "@basic",
            "*:clear",
            "name|id_card:clear|address",
            "name:full|sex;area=3410*",
            "phone:mobile|phone:full|address.*:address;rows<=10",
            "@basic:clear|name:full;area=34*|35*;year=2024",
            "address.city|id_card:full;rows/day<=7;rows<=100",
        ],
    ),
    (
        "spatial.parcel",
        &["*", "@basic", "owner", "owner.*:clear|owner.name:full", "land_use;area=34*", "parcel_id:plate"],
    ),
    ("licence.electronic", &["*", "plate:clear|kind", "holder.name", "holder;kind=a|b*"]),
    ("population.adoption", &["*", "name:clear"]),
    ("*", &["*", "*:clear", "*:full;rows<=5"]),
];
const DENY_SCOPES: [(&str, &[&str]); 3] = [
    ("population.resident", &["*", "*;area=34*", "*;area=3410*;year=2024|2025"]),
    ("spatial.parcel", &["*", "*;area=35*"]),
    ("*", &["*"]),
];

fn scopes(table: &'static [(&str, &[&str])], resource: &str) -> &'static [&'static str] {
    let found = table.iter().find(|(name, _)| *name == resource).or(table.last());
    found.map_or(&["*"], |(_, scopes)| scopes)
}

/// A line without its id: `subject, resource, action, purpose, scope, window, effect`.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let subjects = [
        "sys:minzheng-aid",
        "sys:ziran-map",
        "dept:minzheng",
        "dept:gongan",
        "group:all",
        "group:aid",
        "group:both",
    ];
    let resources = [
        "population.resident",
        "population.resident",
        "population.resident",
        "spatial.parcel",
        "licence.electronic",
        "population.adoption",
        "sharing:conditional",
        "sharing:unconditional",
        "theme:people",
        "theme:all",
    ];
    let purposes = ["*", "*", "social-aid.*", "social-aid.review", "planning.survey", "licence.*"];
    (
        prop::sample::select(subjects.to_vec()),
        prop::sample::select(resources.to_vec()),
        0..3_usize,
        prop::sample::select(purposes.to_vec()),
        any::<prop::sample::Index>(),
        prop::sample::select(WINDOWS.to_vec()),
        0..6_u8,
    )
        .prop_map(|(subject, resource, action, purpose, scope, window, effect)| {
            let action = match action {
                0 => "*",
                1 if resource == "population.resident" => "verify",
                _ => "query",
            };
            let (effect, scopes) = if effect == 0 {
                ("deny", scopes(&DENY_SCOPES, resource))
            } else {
                ("allow", scopes(&SCOPES, resource))
            };
            let scope = scope.get(scopes);
            format!("{subject}, {resource}, {action}, {purpose}, {scope}, {window}, {effect}")
        })
}

pub(crate) const ROLES: [&str; 6] = [
    "g, dept:minzheng, group:aid",
    "g, sys:ziran-map, group:aid",
    "g, group:aid, group:both",
    "g, dept:gongan, group:both",
    "g2, population.resident, theme:people",
    "g2, theme:people, theme:all",
];

/// The lines with roles that make every group and theme exist, in any order.
pub(crate) fn policy_text() -> impl Strategy<Value = String> {
    (prop::collection::vec(line(), 1..24), prop::collection::vec(0..3_usize, 6)).prop_map(|(lines, twice)| {
        let mut text = String::new();
        // The last link of each chain is what varies: it joins a theme or leaves it alone.
        for (role, choice) in ROLES.iter().zip(twice) {
            text.push_str(match choice {
                0 if *role == "g, sys:ziran-map, group:aid" => "g, sys:gongan-desk, group:aid",
                0 if *role == "g2, theme:people, theme:all" => "g2, spatial.parcel, theme:all",
                _ => role,
            });
            text.push('\n');
        }
        for (number, line) in lines.iter().enumerate() {
            text.push_str(&format!("p, L-{number}, {line}\n"));
        }
        text
    })
}

fn parameter(
    name: &'static str,
    values: &'static [&'static str],
) -> impl Strategy<Value = (&'static str, Vec<&'static str>)> {
    prop::collection::vec(prop::sample::select(values.to_vec()), 0..3).prop_map(move |values| (name, values))
}

pub(crate) fn asking() -> impl Strategy<Value = Asking> {
    let instants = [
        "2026-06-03T02:00:00Z",
        "2026-06-03T01:59:59.999Z",
        "2026-06-03T02:00:00.001Z",
        "2026-06-03T16:00:00Z",
        "2026-06-03T15:59:59.999Z",
        "2026-06-06T22:30:00Z",
        "2026-10-10T00:30:00Z",
        "2026-10-03T00:29:59.999Z",
        "2027-01-05T01:00:00Z",
        "2025-12-31T15:59:59.999Z",
    ];
    let fields = [
        "name",
        "sex",
        "id_card",
        "@basic",
        "address",
        "address.*",
        "owner.name",
        "kind",
        "*",
        "nothing",
        "phone",
    ];
    (
        prop::sample::select(SYSTEMS.to_vec()),
        prop::sample::select(RESOURCES.to_vec()),
        any::<bool>(),
        prop::sample::select(PURPOSES.to_vec()),
        prop_oneof![2 => Just(vec![]), 3 => prop::collection::vec(prop::sample::select(fields.to_vec()), 1..3)],
        prop::collection::vec(
            prop_oneof![
                parameter("area", &["341003", "340000", "350000", "3410", "341003,110105", "110105, 3410", "x;area=3410", "%3B", ""]),
                parameter("year", &["2024", "2025", "2026"]),
                parameter("kind", &["a", "b", "bc"]),
            ],
            0..4,
        ),
        prop::sample::select(instants.to_vec()),
        prop::option::weighted(0.2, prop::collection::vec(0..24_usize, 0..8)),
    )
        .prop_map(|((system, department), resource, verify, purpose, fields, parameters, instant, narrowed)| {
            let verify = verify && resource == "population.resident";
            let mut asking = Asking::new()
                .system(system, department)
                .resource(resource)
                .action(if verify { "verify" } else { "query" })
                .purpose(purpose)
                .fields(&fields)
                .at(instant);
            for (name, values) in parameters {
                asking = asking.parameter(name, &values);
            }
            if let Some(ids) = narrowed {
                let ids: Vec<String> = ids.iter().map(|id| format!("L-{id}")).collect();
                asking = asking.narrowed_to(&ids.iter().map(String::as_str).collect::<Vec<_>>());
            }
            asking
        })
}

/// What a scope item or a requested field stands for, read straight off the catalogue: the
/// fields that have none below them.
fn stands_for(resource: &Resource, item: &str) -> BTreeSet<String> {
    let paths: Vec<&str> = resource.fields.iter().map(|field| field.path.as_str()).collect();
    let below = |path: &str, name: &str| path == name || path.starts_with(&format!("{name}."));
    let leaves = paths.iter().filter(|path| !paths.iter().any(|other| other != *path && below(other, path)));
    let meant: Vec<String> = match item.strip_prefix('@') {
        Some(group) => resource.groups.get(group).into_iter().flatten().map(ToString::to_string).collect(),
        None => vec![item.strip_suffix(".*").unwrap_or(item).to_owned()],
    };
    leaves
        .filter(|leaf| item == "*" || meant.iter().any(|name| below(leaf, name)))
        .map(|leaf| (*leaf).to_owned())
        .collect()
}

/// The default treatment of a leaf, read straight off the catalogue.
fn default_treatment(resource: &Resource, leaf: &str) -> Treatment {
    let mut name = leaf;
    loop {
        if let Some(mask) = resource.field(name).and_then(|field| field.mask.clone()) {
            return Treatment::Masked(mask);
        }
        match name.rsplit_once('.') {
            Some((above, _)) => name = above,
            None => return Treatment::Clear,
        }
    }
}

/// The decision rule for fields, on the texts of the matching lines: what leaves, or `None` if
/// more was asked for than is granted.
fn fields_by_the_rule(resource: &Resource, scopes: &[&str], wanted: &[String]) -> Option<Vec<ReleasedField>> {
    let items: Vec<(&str, Option<&str>)> = scopes
        .iter()
        .filter_map(|scope| scope.split(';').next())
        .flat_map(|fields| fields.split('|'))
        .map(|item| item.split_once(':').map_or((item, None), |(item, word)| (item, Some(word))))
        .collect();
    let granted: BTreeSet<String> = items.iter().flat_map(|(item, _)| stands_for(resource, item)).collect();
    let mut asked = granted.clone();
    if !wanted.is_empty() {
        asked = BTreeSet::new();
        for item in wanted {
            let fields = stands_for(resource, item);
            // Of a resource without fields `*` asks for whatever there is.
            if (fields.is_empty() && item != "*") || !fields.is_subset(&granted) {
                return None;
            }
            asked.extend(fields);
        }
    }
    let released = resource.fields.iter().filter(|field| asked.contains(field.path.as_str())).map(|field| {
        let leaf = field.path.as_str();
        let words: Vec<&str> = items
            .iter()
            .filter(|(item, _)| stands_for(resource, item).contains(leaf))
            .filter_map(|(_, word)| *word)
            .collect();
        let treatment = match words.first() {
            _ if words.contains(&"clear") => Treatment::Clear,
            Some(masker) => Treatment::Masked(MaskerName::parse(masker).unwrap()),
            None => default_treatment(resource, leaf),
        };
        ReleasedField { path: field.path.clone(), treatment }
    });
    Some(released.collect())
}

/// The smallest of each row duty, on the texts of the matching lines.
fn rows_by_the_rule(scopes: &[&str]) -> [Option<u64>; 2] {
    ["rows<=", "rows/day<="].map(|duty| {
        let clauses = scopes.iter().flat_map(|scope| scope.split(';').skip(1));
        clauses.filter_map(|clause| clause.strip_prefix(duty)).map(|rows| rows.parse().unwrap()).min()
    })
}

/// The clause to mend first, read off the explanation of each line.
fn reason_by_the_clauses(policy: &Policy, asking: &Asking) -> DenyReason {
    let explanation = policy.explain(&asking.query(), asking.at);
    assert_eq!(explanation.more, 0);
    let order = ["token", "action", "purpose", "window", "parameter", "fields"];
    let failing = |held: &Held| {
        let fails = |name: &str| held.clauses.iter().any(|clause| clause.name == name && !clause.holds);
        order.iter().position(|name| fails(name)).unwrap_or(order.len())
    };
    let allow = explanation.held.iter().filter(|held| held.effect == Effect::Allow);
    let furthest = allow.clone().map(|held| failing(held).max(1)).max().unwrap_or(1);
    match order.get(furthest) {
        Some(&"purpose") => DenyReason::PurposeNotGranted,
        Some(&"window") => {
            let spans = allow.filter(|held| failing(held) == furthest).map(|held| {
                let window = policy.grant(&held.grant).unwrap().window();
                if window.ends().is_some_and(|ends| ends <= asking.at) {
                    (0, DenyReason::GrantExpired)
                } else if window.begins().is_some_and(|begins| asking.at < begins) {
                    (1, DenyReason::GrantNotYetValid)
                } else {
                    (2, DenyReason::OutsideSchedule)
                }
            });
            spans.max().unwrap().1
        }
        Some(&"parameter") => DenyReason::ParameterNotGranted,
        Some(&"fields") | None => DenyReason::ScopeExceeded,
        Some(_) => DenyReason::NoGrant,
    }
}

/// What judges the decisions of one policy: casbin, and the texts of its lines.
pub(super) struct Judge<'t> {
    oracle: Oracle,
    /// The scope column of each line, by id.
    scopes: HashMap<&'t str, &'t str>,
}

impl<'t> Judge<'t> {
    pub(super) fn new(policy: &Policy, text: &'t str) -> Self {
        let model = Model::read(&Source::new("model.conf", SHIPPED)).unwrap();
        let scopes = text.lines().filter(|line| line.starts_with("p, ")).map(|line| {
            let columns: Vec<&str> = line.split(", ").collect();
            (columns[1], columns[6])
        });
        Self { oracle: Oracle::new(policy, &model).unwrap(), scopes: scopes.collect() }
    }
}

/// Decides `asking` by casbin, line by line and whole, and by the rule, and compares.
pub(super) fn judge(policy: &Policy, judge: &mut Judge<'_>, asking: &Asking) -> Result<(), TestCaseError> {
    let place =
        &policy.vocabulary.places[usize::try_from(policy.vocabulary.place_ids[&asking.resource]).unwrap()];
    let query = asking.query();
    let decision = policy.decide(&query, asking.at);
    let request = policy.canonical_request(&query, place, asking.at);
    let mut matching = Vec::new();
    let (mut lines, mut denying) = (Vec::new(), Vec::new());
    for grant in policy.grants() {
        let line = policy.canonical_line(grant, place);
        let is_narrowed_away = grant.effect() == Effect::Allow
            && asking.narrowed_to.as_ref().is_some_and(|named| !named.contains(grant.id()));
        if is_narrowed_away {
            continue;
        }
        if judge.oracle.matches(line.clone(), &request).unwrap() {
            let list = if grant.effect() == Effect::Allow { &mut matching } else { &mut denying };
            list.push(grant.id().clone());
        }
        lines.push(line);
    }
    let casbin = judge.oracle.decides(lines, &request).unwrap();
    prop_assert_eq!(casbin, denying.is_empty() && !matching.is_empty(), "casbin's whole and its parts");
    match (&decision, policy.permit(&query, asking.at)) {
        (Decision::Permit(whole), Ok(permit)) => {
            prop_assert_eq!((&whole.grants, &whole.fields), (&permit.grants, &permit.fields));
        }
        (Decision::Denial(denial), Err(reason)) => prop_assert_eq!(denial.reason, reason),
        (decision, permit) => prop_assert!(false, "{decision:?}\n{permit:?}"),
    }
    if place.resource.sharing == Sharing::None {
        let unknown =
            matches!(&decision, Decision::Denial(denial) if denial.reason == DenyReason::ResourceUnknown);
        prop_assert!(unknown, "{:?}", decision);
        return Ok(());
    }
    let scopes: Vec<&str> = matching.iter().map(|id| judge.scopes[id.as_str()]).collect();
    let fields = fields_by_the_rule(&place.resource, &scopes, &asking.fields);
    match (decision, casbin, fields) {
        (Decision::Permit(permit), true, Some(fields)) => {
            prop_assert_eq!(&permit.grants, &matching);
            prop_assert_eq!(permit.fields.as_ref(), fields.as_slice());
            prop_assert_eq!([permit.rows_per_reply, permit.rows_per_day], rows_by_the_rule(&scopes));
            stays_so(policy, asking, &permit.grants, permit.valid_until)?;
        }
        (Decision::Denial(denial), true, None) => prop_assert_eq!(denial.reason, DenyReason::ScopeExceeded),
        (Decision::Denial(denial), false, _) => {
            prop_assert_eq!(&denial.denied_by, &denying);
            prop_assert_eq!(denial.reason == DenyReason::Denied, !denying.is_empty());
            if denying.is_empty() && policy.explain(&query, asking.at).more == 0 {
                prop_assert_eq!(denial.reason, reason_by_the_clauses(policy, asking));
            }
            let near = denial.nearest.map(|near| near.grant);
            prop_assert!(near.is_none_or(|id| policy.grant(&id).unwrap().effect() == Effect::Allow));
        }
        (decision, casbin, fields) => {
            prop_assert!(false, "{decision:?}\ncasbin: {casbin}\nby the rule: {fields:?}")
        }
    }
    Ok(())
}

/// Until the permit runs out the same grants hold.
fn stays_so(
    policy: &Policy,
    asking: &Asking,
    grants: &[crate::kernel::id::GrantId],
    until: Option<Timestamp>,
) -> Result<(), TestCaseError> {
    let Some(until) = until else { return Ok(()) };
    prop_assert!(asking.at < until);
    for part in [0.3, 0.9, 1.0] {
        let then = asking.at + asking.at.duration_until(until).mul_f64(part);
        let then = then.min(until - jiff::SignedDuration::from_nanos(1));
        match policy.decide(&asking.query(), then) {
            Decision::Permit(permit) => prop_assert_eq!(&permit.grants, grants, "at {}", then),
            Decision::Denial(denial) => prop_assert!(false, "at {then}: {denial:?}"),
        }
    }
    Ok(())
}

proptest! {
    // A case holds many requests; `PROPTEST_CASES` asks for more.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(3), ..ProptestConfig::default() })]

    #[test]
    fn the_engine_decides_as_casbin_does(text in policy_text(), askings in prop::collection::vec(asking(), 1..24)) {
        let (policy, report) = load_at(&catalog(), SHIPPED, &text, at("2026-06-03T02:00:00Z"));
        prop_assert!(policy.is_some(), "{text}\n{report}");
        let policy = policy.unwrap();
        let mut judged = Judge::new(&policy, &text);
        for asking in &askings {
            judge(&policy, &mut judged, asking)?;
        }
    }

    /// What a system is told of its grants, all together, is no less than any request of it gets.
    #[test]
    fn no_permit_goes_beyond_the_holdings(text in policy_text(), askings in prop::collection::vec(asking(), 1..24)) {
        let (policy, report) = load_at(&catalog(), SHIPPED, &text, at("2026-06-03T02:00:00Z"));
        let policy = policy.unwrap_or_else(|| panic!("{report}"));
        for asking in &askings {
            let held = policy.holdings(&asking.system, asking.at).of(&asking.resource, &asking.action);
            let Decision::Permit(permit) = policy.decide(&asking.query(), asking.at) else { continue };
            prop_assert!(permit.grants.iter().all(|grant| held.grants.contains(grant)), "{held:?}");
            prop_assert!(held.purposes.contains(&asking.purpose), "{held:?}");
            for field in &*permit.fields {
                let ways = held.fields.get(&field.path);
                prop_assert!(ways.is_some_and(|ways| ways.contains(&field.treatment)), "{field:?} of {held:?}");
            }
            for name in held.constrained.keys() {
                let is_given = asking.parameters.iter().any(|(given, values)| given == name && !values.is_empty());
                prop_assert!(is_given, "a permit without `{name}`: {held:?}");
            }
        }
    }

    /// More denials never let more out.
    #[test]
    fn a_deny_line_never_permits(text in policy_text(), deny in line(), askings in prop::collection::vec(asking(), 1..12)) {
        let fields: Vec<&str> = deny.split(", ").collect();
        let deny = format!("p, D-1, {}, {}, {}, {}, *, {}, deny\n", fields[0], fields[1], fields[2], fields[3], fields[5]);
        let now = at("2026-06-03T02:00:00Z");
        let (before, _) = load_at(&catalog(), SHIPPED, &text, now);
        let (after, report) = load_at(&catalog(), SHIPPED, &format!("{text}{deny}"), now);
        let (before, after) = (before.unwrap(), after.unwrap_or_else(|| panic!("{report}")));
        for asking in &askings {
            let permits = |policy: &Policy| matches!(policy.decide(&asking.query(), asking.at), Decision::Permit(_));
            prop_assert!(permits(&before) || !permits(&after), "{:?}", asking);
        }
    }
}

#[test]
fn the_judge_sees_a_difference() {
    // The same policy with its deny line judged as if it were not there: the oracle must object.
    let text = "p, A-1, sys:minzheng-aid, population.resident, query, *, sex, always, allow\n\
                p, D-1, group:all, sharing:conditional, query, *, *, always, deny\n";
    let (policy, _) = load_at(&catalog(), SHIPPED, text, at("2026-06-03T02:00:00Z"));
    let mut policy = policy.unwrap();
    let model = Model::read(&Source::new("model.conf", SHIPPED)).unwrap();
    let now = at("2026-06-03T02:00:00Z");
    assert!(crate::policy::oracle::self_test(&policy, &model, now).is_ok());
    policy.table = crate::policy::table::Table::build(&policy.vocabulary, &policy.grants[..1]).unwrap();
    assert!(crate::policy::oracle::self_test(&policy, &model, now).is_err());
}
