//! The cost of one decision, by number of grants; of refusals; and of loading.
//!
//! `cargo bench --bench policy`. 500 systems in 50 departments, 2,000 resources of 12 fields; a
//! tenth of the grants are given to departments, a tenth have a constrained parameter, half have
//! days and hours, 2 % deny. Every decision is another query, so that nothing is warm by repetition alone.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench stops at the first surprise")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use divan::{Bencher, black_box};
use pinegate::catalog::{
    BodyFormat, BodyShape, Catalog, Department, DepartmentKind, Field, FieldType, Level, Parameter, Purpose,
    Resource, Sharing, System,
};
use pinegate::grant::{Decision, DenyReason, Query};
use pinegate::kernel::diagnostic::Source;
use pinegate::kernel::id::{
    Action, DepartmentId, FieldPath, GroupName, MaskerName, ParameterName, PurposeCode, ResourceId, SystemId,
};
use pinegate::kernel::time::{TimeZone, Timestamp};
use pinegate::policy::calendar::Calendar;
use pinegate::policy::model::SHIPPED;
use pinegate::policy::{Policy, PolicyInput};

const SYSTEMS: usize = 500;
const DEPARTMENTS: usize = 50;
const RESOURCES: usize = 2_000;
const PURPOSES: usize = 40;
const FIELDS: [&str; 12] = [
    "name",
    "id_card",
    "sex",
    "birth_date",
    "phone",
    "email",
    "address.province",
    "address.city",
    "address.district",
    "address.detail",
    "household.size",
    "household.kind",
];
/// How many different queries are asked in turn.
const QUERIES: usize = 8_192;

fn main() {
    divan::main();
}

fn system(index: usize) -> SystemId {
    SystemId::parse(&format!("sys:s{index}")).unwrap()
}

fn department_of(system: usize) -> DepartmentId {
    DepartmentId::parse(&format!("dept:d{}", system % DEPARTMENTS)).unwrap()
}

fn resource(index: usize) -> ResourceId {
    ResourceId::parse(&format!("class{}.resource{index}", index % 20)).unwrap()
}

fn purpose(index: usize) -> PurposeCode {
    PurposeCode::parse(&format!("area{}.purpose{index}", index % 8)).unwrap()
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for index in 0..DEPARTMENTS {
        let id = department_of(index);
        let department = Department {
            id: id.clone(),
            name: id.to_string(),
            credit_code: None,
            contact: String::new(),
            kind: DepartmentKind::Government,
        };
        catalog.registry.departments.insert(id, Arc::new(department));
    }
    for index in 0..SYSTEMS {
        let id = system(index);
        let system = System {
            id: id.clone(),
            department: department_of(index),
            name: String::new(),
            enabled: true,
            certificates: vec![],
        };
        catalog.registry.systems.insert(id, Arc::new(system));
    }
    for index in 0..PURPOSES {
        let code = purpose(index);
        let purpose = Purpose { code: code.clone(), label: String::new(), legal_basis: String::new() };
        catalog.purposes.insert(code, Arc::new(purpose));
    }
    for index in 0..RESOURCES {
        catalog.resources.insert(resource(index), Arc::new(described(index)));
    }
    catalog
}

fn described(index: usize) -> Resource {
    let fields = FIELDS.iter().map(|path| Field {
        path: FieldPath::parse(path).unwrap(),
        label: String::new(),
        kind: FieldType::String,
        level: Level::new(2).unwrap(),
        mask: (*path != "sex").then(|| MaskerName::parse("full").unwrap()),
        source: None,
    });
    let basic = ["name", "sex"].map(|path| FieldPath::parse(path).unwrap()).to_vec();
    let area = ParameterName::parse("area").unwrap();
    Resource {
        id: resource(index),
        name: String::new(),
        provider: department_of(index),
        class: String::new(),
        sharing: if index.is_multiple_of(10) { Sharing::Unconditional } else { Sharing::Conditional },
        actions: ["query", "verify"].map(|action| Action::parse(action).unwrap()).to_vec(),
        update_within: None,
        requirements: String::new(),
        body: BodyShape { format: BodyFormat::Json, records: None, envelope: vec![] },
        fields: fields.collect(),
        groups: BTreeMap::from([(GroupName::parse("basic").unwrap(), basic)]),
        parameters: vec![Parameter { name: area, label: String::new(), recordable: true }],
    }
}

/// The words of grant `index`, spread evenly over systems and resources.
fn words(index: usize, grants: usize, dense: bool) -> (usize, usize, usize) {
    if dense {
        return (index / 20 % SYSTEMS, index / 20 / SYSTEMS, index % PURPOSES);
    }
    let step = index * 7_919 + grants;
    (step % SYSTEMS, index * 104_729 % RESOURCES, step / SYSTEMS % PURPOSES)
}

fn grants(count: usize, dense: bool) -> String {
    let mut text =
        String::from("p, SHARE-0, group:all, sharing:unconditional, query, *, @basic, always, allow\n");
    for index in 0..count {
        let (system, resource_index, purpose_index) = words(index, count, dense);
        let subject =
            if index % 10 == 3 { department_of(system).to_string() } else { format!("sys:s{system}") };
        let scope = match index % 10 {
            5 => "name|id_card:clear|address.*;area=3410*",
            0..5 => "@basic|phone:full",
            _ => "name|sex|birth_date|email|household.*;rows<=1000",
        };
        let window = match index % 4 {
            0 => "2026-01-01/2026-12-31 workday 08:30-18:00",
            1 => "2026-01-01/2027-06-30",
            2 => "always",
            _ => "2026-01-01/2026-12-31 mon-fri 07:00-22:00",
        };
        let (scope, effect) = match index % 50 {
            49 => ("*;area=99*", "deny"),
            _ => (scope, "allow"),
        };
        writeln!(
            text,
            "p, G-{index}, {subject}, {}, query, {}, {scope}, {window}, {effect}",
            resource(resource_index),
            purpose(purpose_index)
        )
        .unwrap();
    }
    text
}

struct City {
    catalog: Catalog,
    calendar: Calendar,
    maskers: BTreeSet<MaskerName>,
    model: Source,
    grants: Source,
}

impl City {
    fn new(count: usize, dense: bool) -> Self {
        Self {
            catalog: catalog(),
            calendar: Calendar::new([2026, 2027], [], []).unwrap(),
            maskers: BTreeSet::from([MaskerName::parse("full").unwrap()]),
            model: Source::new("model.conf", SHIPPED),
            grants: Source::new("grants.csv", grants(count, dense)),
        }
    }

    fn load(&self) -> Policy {
        let (policy, report) = Policy::load(PolicyInput {
            model: &self.model,
            grants: &self.grants,
            catalog: &self.catalog,
            calendar: &self.calendar,
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
            maskers: &self.maskers,
            now: now(),
        });
        policy.unwrap_or_else(|| unreachable_report(&report.to_string()))
    }
}

#[expect(clippy::panic, reason = "a bench stops at the first surprise")]
fn unreachable_report(report: &str) -> Policy {
    panic!("{report}")
}

/// A Wednesday, 10:00 in Shanghai.
fn now() -> Timestamp {
    "2026-06-03T02:00:00Z".parse().unwrap()
}

struct Asking {
    system: SystemId,
    department: DepartmentId,
    resource: ResourceId,
    purpose: PurposeCode,
    parameters: Vec<(ParameterName, Vec<String>)>,
    fields: Vec<String>,
}

struct Asker {
    askings: Vec<Asking>,
    action: Action,
    next: Cell<usize>,
    now: Timestamp,
}

impl Asker {
    fn new(askings: Vec<Asking>) -> Self {
        assert!(askings.len() >= 256, "{} queries", askings.len());
        Self { askings, action: Action::parse("query").unwrap(), next: Cell::new(0), now: now() }
    }

    fn decide(&self, policy: &Policy) -> Decision {
        let index = self.next.get();
        self.next.set(if index + 1 == self.askings.len() { 0 } else { index + 1 });
        policy.decide(&self.query(index), self.now)
    }

    fn query(&self, index: usize) -> Query<'_> {
        let asking = &self.askings[index];
        Query {
            system: &asking.system,
            department: &asking.department,
            resource: &asking.resource,
            action: &self.action,
            purpose: &asking.purpose,
            fields: &asking.fields,
            parameters: &asking.parameters,
            narrowed_to: None,
        }
    }

    /// Keeps the queries that `policy` answers as wanted.
    fn only(mut self, policy: &Policy, wanted: impl Fn(&Decision) -> bool) -> Self {
        let keep: Vec<bool> = (0..self.askings.len())
            .map(|index| wanted(&policy.decide(&self.query(index), self.now)))
            .collect();
        let mut keep = keep.into_iter();
        self.askings.retain(|_| keep.next().unwrap());
        Self::new(self.askings)
    }
}

/// The queries, with the ids of the catalogue itself, as the gate has them.
fn askings(
    catalog: &Catalog,
    count: usize,
    dense: bool,
    purpose_shift: usize,
    resource_shift: usize,
    fields: &[&str],
) -> Asker {
    let area = ParameterName::parse("area").unwrap();
    let askings = (0..QUERIES).map(|number| {
        let index = number * 12_289 % count;
        let (system_index, resource_index, purpose_index) = words(index, count, dense);
        Asking {
            system: catalog.registry.systems[system(system_index).as_str()].id.clone(),
            department: catalog.registry.departments[department_of(system_index).as_str()].id.clone(),
            resource: catalog.resources[resource((resource_index + resource_shift) % RESOURCES).as_str()]
                .id
                .clone(),
            purpose: catalog.purposes[purpose((purpose_index + purpose_shift) % PURPOSES).as_str()]
                .code
                .clone(),
            parameters: vec![(area.clone(), vec!["341003".to_owned()])],
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
        }
    });
    Asker::new(askings.collect())
}

fn is_permit(decision: &Decision) -> bool {
    matches!(decision, Decision::Permit(_))
}

fn refused_for(reason: DenyReason) -> impl Fn(&Decision) -> bool {
    move |decision| matches!(decision, Decision::Denial(denial) if denial.reason == reason)
}

fn run(bencher: Bencher<'_, '_>, policy: &Policy, asker: &Asker) {
    bencher.bench_local(|| black_box(asker.decide(black_box(policy))));
}

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

#[divan::bench(args = SIZES, sample_size = 4096)]
fn allowed(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    run(bencher, &policy, &askings(&city.catalog, count, false, 0, 0, &[]).only(&policy, is_permit));
}

#[divan::bench(args = SIZES, sample_size = 4096)]
fn allowed_one_field(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    run(bencher, &policy, &askings(&city.catalog, count, false, 0, 0, &["name"]).only(&policy, is_permit));
}

#[divan::bench(args = SIZES, sample_size = 4096)]
fn refused_no_grant(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    let asker =
        askings(&city.catalog, count, false, 0, 1, &[]).only(&policy, refused_for(DenyReason::NoGrant));
    run(bencher, &policy, &asker);
}

#[divan::bench(args = SIZES, sample_size = 4096)]
fn refused_purpose(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    let asker = askings(&city.catalog, count, false, 1, 0, &[])
        .only(&policy, refused_for(DenyReason::PurposeNotGranted));
    run(bencher, &policy, &asker);
}

/// 20 grants on one system and resource.
#[divan::bench(args = [10_000, 100_000], sample_size = 4096)]
fn dense(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, true);
    let policy = city.load();
    run(bencher, &policy, &askings(&city.catalog, count, true, 0, 0, &[]).only(&policy, is_permit));
}

/// Files to policy, self-test included.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    bencher.bench_local(|| black_box(city.load()));
}
