//! Whole cities made by chance: departments, systems, roles, catalogues and up to thousands of grants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::city::{Asking, at, load_at};
use super::differential::{Judge, judge};
use crate::catalog::{
    BodyFormat, BodyShape, Catalog, Delimiter, Department, DepartmentKind, Field, FieldType, Level,
    NameMatching, Parameter, Purpose, Resource, Sharing, System, XmlNames,
};
use crate::grant::DenyReason;
use crate::kernel::diagnostic::Source;
use crate::kernel::id::{
    Action, DepartmentId, FieldPath, GroupName, MaskerName, ParameterName, PurposeCode, ResourceId, SystemId,
};
use crate::kernel::time::Timestamp;
use crate::policy::Policy;
use crate::policy::model::{Model, Path, SHIPPED};
use crate::policy::oracle::Dice;

const ACTIONS: [&str; 3] = ["query", "verify", "submit"];
const NAMES: [&str; 6] = ["name", "sex", "a", "b", "地址", "no-1"];
const MASKERS: [&str; 6] = ["name", "resident-id", "mobile", "address", "full", "plate"];
const PURPOSES: [&str; 8] = ["a", "a.b", "a.b.c", "a.bc", "ab", "ab.x", "z.b", "z.b.c"];
const PARAMETERS: [&str; 3] = ["area", "year", "id"];
const VALUES: [&str; 8] = ["3", "34", "341", "3410", "341003", "35", "x|y", ""];

/// A city and what is asked of it.
struct City {
    catalog: Catalog,
    grants: String,
    askings: Vec<Asking>,
}

impl City {
    fn new(seed: u64, lines: usize, askings: usize) -> Self {
        let mut dice = Dice(seed);
        let mut catalog = registry(&mut dice);
        for code in PURPOSES.iter().filter(|_| !dice.chance(5)) {
            let code = PurposeCode::parse(code).unwrap();
            let purpose = Purpose { code: code.clone(), label: String::new(), legal_basis: String::new() };
            catalog.purposes.insert(code, Arc::new(purpose));
        }
        // There must be something to ask for.
        if catalog.purposes.is_empty() {
            let code = PurposeCode::parse("a").unwrap();
            let purpose = Purpose { code: code.clone(), label: String::new(), legal_basis: String::new() };
            catalog.purposes.insert(code, Arc::new(purpose));
        }
        for number in 0..=dice.below(6) {
            let resource = resource(&mut dice, number);
            catalog.resources.insert(resource.id.clone(), Arc::new(resource));
        }
        let (roles, subjects, themes) = roles(&mut dice, &catalog);
        let mut grants = roles;
        for number in 0..lines {
            let line = line(&mut dice, &catalog, &subjects, &themes);
            grants.push_str(&format!("p, L-{number}, {line}\n"));
        }
        let askings = (0..askings).map(|_| asking(&mut dice, &catalog, lines)).collect();
        Self { catalog, grants, askings }
    }
}

fn one_of<'t>(dice: &mut Dice, texts: &[&'t str]) -> &'t str {
    dice.one_of(texts).copied().unwrap_or_default()
}

fn several<T: Clone>(dice: &mut Dice, items: &[T]) -> Vec<T> {
    items.iter().filter(|_| dice.chance(2)).cloned().collect()
}

fn registry(dice: &mut Dice) -> Catalog {
    let mut catalog = Catalog::default();
    let departments = 1 + dice.below(4);
    for number in 0..departments {
        let id = DepartmentId::parse(&format!("dept:d{number}")).unwrap();
        let department = Department {
            id: id.clone(),
            name: String::new(),
            credit_code: None,
            contact: String::new(),
            kind: DepartmentKind::Government,
        };
        catalog.registry.departments.insert(id, Arc::new(department));
    }
    for number in 0..=dice.below(8) {
        let id = SystemId::parse(&format!("sys:s{number}")).unwrap();
        let department = DepartmentId::parse(&format!("dept:d{}", dice.below(departments))).unwrap();
        // One is always there to ask.
        let enabled = number == 0 || !dice.chance(6);
        let system =
            System { id: id.clone(), department, name: String::new(), enabled, certificates: vec![] };
        catalog.registry.systems.insert(id, Arc::new(system));
    }
    catalog
}

fn resource(dice: &mut Dice, number: u64) -> Resource {
    let sharing = match dice.below(7) {
        0 => Sharing::None,
        1 | 2 => Sharing::Unconditional,
        _ => Sharing::Conditional,
    };
    let mut actions: Vec<Action> =
        several(dice, &ACTIONS).into_iter().map(|action| Action::parse(action).unwrap()).collect();
    if actions.is_empty() {
        actions.push(Action::parse("query").unwrap());
    }
    let mut paths: BTreeSet<String> = BTreeSet::new();
    // Sometimes more fields than one word of a set has.
    let most = if dice.chance(12) { 70 } else { 10 };
    for index in 0..dice.below(most) {
        let mut path = one_of(dice, &NAMES).to_owned();
        for _ in 0..dice.below(3) {
            path = format!("{path}.{}", one_of(dice, &NAMES));
        }
        paths.insert(if most == 70 { format!("{path}.f{index}") } else { path });
    }
    let fields: Vec<Field> = paths
        .iter()
        .map(|path| Field {
            path: FieldPath::parse(path).unwrap(),
            label: String::new(),
            kind: FieldType::String,
            level: Level::new(1).unwrap(),
            mask: dice.chance(2).then(|| MaskerName::parse(one_of(dice, &MASKERS)).unwrap()),
            source: None,
            nested: false,
        })
        .collect();
    let all: Vec<FieldPath> = fields.iter().map(|field| field.path.clone()).collect();
    let mut groups = BTreeMap::new();
    for name in ["basic", "more"] {
        let members = several(dice, &all);
        if !members.is_empty() {
            groups.insert(GroupName::parse(name).unwrap(), members);
        }
    }
    let parameters = several(dice, &PARAMETERS).into_iter().map(|name| Parameter {
        name: ParameterName::parse(name).unwrap(),
        label: String::new(),
        recordable: name != "id",
        subject: None,
    });
    Resource {
        id: ResourceId::parse(&format!("r.n{number}")).unwrap(),
        name: String::new(),
        provider: DepartmentId::parse("dept:d0").unwrap(),
        class: String::new(),
        sharing,
        actions,
        update_within: None,
        requirements: String::new(),
        body: BodyShape {
            format: BodyFormat::Json,
            delimiter: Delimiter::Comma,
            names: NameMatching::Exact,
            records: None,
            envelope: vec![],
            xml: XmlNames::default(),
        },
        egress: None,
        parameters: parameters.collect(),
        fields,
        groups,
    }
}

/// Role lines without circles: a group is only ever in groups of higher numbers. With them every
/// subject and resource that lines may name.
fn roles(dice: &mut Dice, catalog: &Catalog) -> (String, Vec<String>, Vec<String>) {
    let mut text = String::new();
    let mut graph = |kind: &str, prefix: &str, mut members: Vec<String>| {
        for number in 0..dice.below(5) {
            let group = format!("{prefix}:n{number}");
            let mut any = false;
            for member in &members {
                if dice.chance(3) {
                    text.push_str(&format!("{kind}, {member}, {group}\n"));
                    any = true;
                }
            }
            if any {
                members.push(group);
            }
        }
        members
    };
    let registry = &catalog.registry;
    let subjects = registry.systems.keys().map(ToString::to_string);
    let subjects = subjects.chain(registry.departments.keys().map(ToString::to_string)).collect();
    let mut subjects = graph("g", "group", subjects);
    subjects.push("group:all".to_owned());
    let mut themes = graph("g2", "theme", catalog.resources.keys().map(ToString::to_string).collect());
    themes.extend(["sharing:conditional", "sharing:unconditional", "sharing:none"].map(str::to_owned));
    (text, subjects, themes)
}

fn line(dice: &mut Dice, catalog: &Catalog, subjects: &[String], themes: &[String]) -> String {
    let subject = dice.one_of(subjects).unwrap();
    let resource = dice.one_of(themes).unwrap();
    let known = catalog.resources.get(resource.as_str());
    let action = match known {
        Some(known) if !dice.chance(3) => dice.one_of(&known.actions).unwrap().to_string(),
        _ => "*".to_owned(),
    };
    let codes: Vec<&str> = catalog.purposes.keys().map(PurposeCode::as_str).collect();
    let purpose = match dice.below(4) {
        0 => "*".to_owned(),
        1 => {
            let prefixes: Vec<&str> =
                codes.iter().filter_map(|code| code.rsplit_once('.')).map(|(prefix, _)| prefix).collect();
            dice.one_of(&prefixes).map_or_else(|| "*".to_owned(), |prefix| format!("{prefix}.*"))
        }
        _ => one_of(dice, &codes).to_owned(),
    };
    let is_deny = dice.chance(8);
    let mut scope = match known {
        Some(known) if !is_deny => fields_part(dice, known),
        _ => "*".to_owned(),
    };
    for parameter in known.map_or(&[][..], |known| &known.parameters) {
        if dice.chance(4) {
            let patterns: Vec<String> = (0..=dice.below(2))
                .map(|_| match (one_of(dice, &VALUES[..6]), dice.chance(2)) {
                    (value, true) => format!("{value}*"),
                    (value, false) => value.to_owned(),
                })
                .collect();
            scope.push_str(&format!(";{}={}", parameter.name, patterns.join("|")));
        }
    }
    if !is_deny && dice.chance(6) {
        scope.push_str(&format!(";rows<={}", 1 + dice.below(50)));
    }
    if !is_deny && dice.chance(6) {
        scope.push_str(&format!(";rows/day<={}", 1 + dice.below(50)));
    }
    let effect = if is_deny { "deny" } else { "allow" };
    format!("{subject}, {resource}, {action}, {purpose}, {scope}, {}, {effect}", window(dice))
}

fn fields_part(dice: &mut Dice, resource: &Resource) -> String {
    let mut names: Vec<String> = vec!["*".to_owned()];
    names.extend(resource.groups.keys().map(|group| format!("@{group}")));
    for field in &resource.fields {
        let mut above = String::new();
        for name in field.path.names() {
            if !above.is_empty() {
                names.push(format!("{above}.*"));
                above.push('.');
            }
            above.push_str(name);
            names.push(above.clone());
        }
    }
    let items: Vec<String> = (0..=dice.below(4))
        .map(|_| {
            let name = dice.one_of(&names).unwrap();
            match dice.below(5) {
                0 => format!("{name}:clear"),
                1 => format!("{name}:{}", one_of(dice, &MASKERS)),
                _ => name.clone(),
            }
        })
        .collect();
    items.join("|")
}

fn window(dice: &mut Dice) -> String {
    let date = |dice: &mut Dice| format!("2026-{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(28));
    let span = match dice.below(5) {
        0 | 1 => String::new(),
        2 => format!("{}/..", date(dice)),
        3 => format!("../{}T{:02}:30:00.{:03}+08:00", date(dice), dice.below(24), dice.below(3)),
        _ => {
            let (a, b) = (date(dice), date(dice));
            if a <= b { format!("{a}/{b}") } else { format!("{b}/{a}") }
        }
    };
    let days = ["", "", "", "workday", "holiday", "mon-fri", "sat|sun", "fri-mon|workday"];
    let hours = ["", "", "", "08:30-18:00", "22:00-06:00", "00:00-24:00", "10:00-10:01"];
    let words = [span.as_str(), one_of(dice, &days), one_of(dice, &hours)];
    let text = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "always".to_owned() } else { text }
}

fn asking(dice: &mut Dice, catalog: &Catalog, lines: usize) -> Asking {
    let systems: Vec<&Arc<System>> =
        catalog.registry.systems.values().filter(|system| system.enabled).collect();
    let system = *dice.one_of(&systems).unwrap();
    let resources: Vec<&Arc<Resource>> = catalog.resources.values().collect();
    let resource = *dice.one_of(&resources).unwrap();
    let codes: Vec<&str> = catalog.purposes.keys().map(PurposeCode::as_str).collect();
    let purpose = one_of(dice, &codes);
    let action = dice.one_of(&resource.actions).unwrap();
    let mut asking = Asking::new()
        .system(system.id.as_str(), system.department.as_str())
        .resource(resource.id.as_str())
        .action(action.as_str())
        .purpose(purpose)
        .at(&instant(dice).to_string());
    if dice.chance(2) {
        let fields = fields_part(dice, resource);
        let fields: Vec<&str> = fields.split('|').map(|item| item.split(':').next().unwrap()).collect();
        asking = asking.fields(&fields);
        if dice.chance(8) {
            asking.fields.push("nothing".to_owned());
        }
    }
    for parameter in &resource.parameters {
        let values: Vec<&str> = match dice.below(6) {
            0 => vec![],
            1 => vec![one_of(dice, &VALUES), one_of(dice, &VALUES)],
            _ => vec![one_of(dice, &VALUES)],
        };
        asking = asking.parameter(parameter.name.as_str(), &values);
    }
    if dice.chance(6) {
        let ids: Vec<String> =
            (0..8).map(|_| format!("L-{}", dice.below(u64::try_from(lines).unwrap()))).collect();
        asking = asking.narrowed_to(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    }
    asking
}

/// Some instant of the years around 2026, often at an edge of the hours that windows have.
fn instant(dice: &mut Dice) -> Timestamp {
    let first = at("2025-12-01T00:00:00Z");
    let days = i64::try_from(dice.below(420)).unwrap();
    let minutes = match dice.below(3) {
        0 => i64::try_from(dice.below(24 * 60)).unwrap(),
        // Midnight, 08:30, 10:00, 18:00, 22:00 and 06:00 in Shanghai.
        _ => *dice.one_of(&[16 * 60, 30, 2 * 60, 10 * 60, 14 * 60, 22 * 60]).unwrap(),
    };
    let millis = i64::try_from(dice.below(3)).unwrap() - 1;
    Timestamp::from_millisecond(first.as_millisecond() + ((days * 24 * 60) + minutes) * 60_000 + millis)
        .unwrap()
}

fn loads(city: &City) -> Policy {
    let (policy, report) = load_at(&city.catalog, SHIPPED, &city.grants, at("2026-06-03T02:00:00Z"));
    policy.unwrap_or_else(|| panic!("{}\n{report}", city.grants))
}

/// Holds every decision, and what leaves by it, against casbin and the rule.
fn is_decided_as_casbin_decides_it(city: &City) -> Result<(), TestCaseError> {
    let policy = loads(city);
    let mut judged = Judge::new(&policy, &city.grants);
    city.askings.iter().try_for_each(|asking| judge(&policy, &mut judged, asking))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(4),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    /// Any city: the engine decides, and lets out, what casbin and the rule say.
    #[test]
    fn any_city_is_decided_as_casbin_decides_it(seed in any::<u64>(), lines in 1..80_usize) {
        is_decided_as_casbin_decides_it(&City::new(seed, lines, 12))?;
    }
}

/// The shipped model in other words: decided by its matcher, line by line.
fn reworded() -> String {
    let reworded = SHIPPED
        .replace("p.act == \"*\" ||", "'*' == p.act ||")
        .replace("g2(r.res, p.res) && g(r.sub, p.sub) &&", "g(r.sub, p.sub) && g2(r.res, p.res) &&");
    assert_eq!(Model::read(&Source::new("model.conf", reworded.as_str())).unwrap().path(), Path::Changed);
    reworded
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(4),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    /// Any city: the shipped model in other words lets out the same.
    #[test]
    fn any_city_is_decided_alike_by_the_shipped_model_in_other_words(seed in any::<u64>(), lines in 1..80_usize) {
        let city = City::new(seed, lines, 12);
        let policy = loads(&city);
        let (other, report) = load_at(&city.catalog, &reworded(), &city.grants, at("2026-06-03T02:00:00Z"));
        let other = other.unwrap_or_else(|| panic!("{report}"));
        for asking in &city.askings {
            let ours = policy.permit(&asking.query(), asking.at);
            let theirs = other.permit(&asking.query(), asking.at);
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!(&ours.grants, &theirs.grants);
                    prop_assert_eq!(&ours.fields, &theirs.fields);
                    prop_assert_eq!(ours.rows_per_reply, theirs.rows_per_reply);
                    prop_assert_eq!(ours.rows_per_day, theirs.rows_per_day);
                }
                (Err(ours), Err(theirs)) => {
                    let is_same = |reason: DenyReason| (ours == reason) == (theirs == reason);
                    prop_assert!(is_same(DenyReason::Denied) && is_same(DenyReason::ResourceUnknown));
                }
                (ours, theirs) => prop_assert!(false, "{:?} {:?} {:?}", ours, theirs, asking),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(128),
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    })]

    /// Thousands of grants that overlap as they can.
    #[test]
    fn thousands_of_grants_are_decided_as_casbin_decides_them(seed in any::<u64>(), lines in 1_000..2_500_usize) {
        is_decided_as_casbin_decides_it(&City::new(seed, lines, 3))?;
    }
}
