//! A city of any size: 500 systems in 50 departments, 2,000 resources of 12 fields, and as many grants as
//! wanted. A tenth of the grants are given to departments, a tenth have a constrained parameter, half
//! have days and hours, 2 % deny.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench stops at the first surprise")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use pinegate::catalog::{
    BodyFormat, BodyShape, Catalog, Delimiter, Department, DepartmentKind, Field, FieldType, Level,
    NameMatching, Parameter, Purpose, Resource, Sharing, System, XmlNames,
};
use pinegate::grant::{DenyReason, Permit, Query};
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
        nested: false,
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
        body: BodyShape {
            format: BodyFormat::Json,
            delimiter: Delimiter::Comma,
            names: NameMatching::Exact,
            records: None,
            envelope: vec![],
            xml: XmlNames::default(),
        },
        egress: None,
        fields: fields.collect(),
        groups: BTreeMap::from([(GroupName::parse("basic").unwrap(), basic)]),
        parameters: vec![Parameter { name: area, label: String::new(), recordable: true, subject: None }],
    }
}

/// System, resource and purpose of grant `index`: scattered over all of them, or 20 grants in a row on
/// one system and resource.
fn words(index: usize, dense: bool) -> (usize, usize, usize) {
    if dense {
        return (index / 20 % SYSTEMS, index / 20 / SYSTEMS, index % PURPOSES);
    }
    let scattered = scatter(index);
    (scattered % SYSTEMS, scattered / SYSTEMS % RESOURCES, scattered / SYSTEMS / RESOURCES % PURPOSES)
}

/// The mixing function of SplitMix64: neighbours come to lie far apart, the same in every run.
fn scatter(index: usize) -> usize {
    let mut mixed = u64::try_from(index).unwrap().wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from(mixed >> 8).unwrap()
}

/// One grant in words that every engine has.
pub(crate) struct Sketch {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) resource: ResourceId,
    pub(crate) purpose: PurposeCode,
    pub(crate) fields: &'static str,
    /// What `area` must begin with.
    pub(crate) area: Option<&'static str>,
    pub(crate) duty: &'static str,
    pub(crate) window: &'static str,
    pub(crate) allows: bool,
}

/// Grant `index`. The calendar has no holidays, so that workdays are Monday to Friday.
pub(crate) fn sketch(index: usize, dense: bool) -> Sketch {
    let (system, resource_index, purpose_index) = words(index, dense);
    let (fields, area, duty) = match index % 10 {
        5 => ("name|id_card:clear|address.*", Some("3410"), ""),
        0..5 => ("@basic|phone:full", None, ""),
        _ => ("name|sex|birth_date|email|household.*", None, ";rows<=1000"),
    };
    let denies = index % 50 == 49;
    Sketch {
        id: format!("G-{index}"),
        subject: if index % 10 == 3 { department_of(system).to_string() } else { format!("sys:s{system}") },
        resource: resource(resource_index),
        purpose: purpose(purpose_index),
        fields: if denies { "*" } else { fields },
        area: if denies { Some("99") } else { area },
        duty: if denies { "" } else { duty },
        window: match index % 4 {
            0 => "2026-01-01/2026-12-31 workday 08:30-18:00",
            1 => "2026-01-01/2027-06-30",
            2 => "always",
            _ => "2026-01-01/2026-12-31 mon-fri 07:00-22:00",
        },
        allows: !denies,
    }
}

/// The line for everybody: of the resources that are shared without conditions, their basic fields.
const SHARED: &str = "p, SHARE-0, group:all, sharing:unconditional, query, *, @basic, always, allow\n";

/// Writes `grant` as a line of `grants.csv`.
pub(crate) fn write_line(text: &mut String, grant: &Sketch) {
    let Sketch { id, subject, resource, purpose, fields, area, duty, window, allows } = grant;
    let area = area.map_or(String::new(), |area| format!(";area={area}*"));
    let effect = if *allows { "allow" } else { "deny" };
    writeln!(
        text,
        "p, {id}, {subject}, {resource}, query, {purpose}, {fields}{area}{duty}, {window}, {effect}"
    )
    .unwrap();
}

/// Everything a policy is loaded from.
pub(crate) struct City {
    pub(crate) catalog: Catalog,
    calendar: Calendar,
    maskers: BTreeSet<MaskerName>,
    model: Source,
    grants: Source,
}

impl City {
    pub(crate) fn new(count: usize, dense: bool) -> Self {
        let mut grants = SHARED.to_owned();
        (0..count).for_each(|index| write_line(&mut grants, &sketch(index, dense)));
        Self::with(grants)
    }

    /// The city whose `grants.csv` is `grants`.
    pub(crate) fn with(grants: String) -> Self {
        Self {
            catalog: catalog(),
            calendar: Calendar::new([2026, 2027], [], []).unwrap(),
            maskers: BTreeSet::from([MaskerName::parse("full").unwrap()]),
            model: Source::new("model.conf", SHIPPED),
            grants: Source::new("grants.csv", grants),
        }
    }

    pub(crate) fn load(&self) -> Policy {
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

/// What a decision comes to: a permit or a reason.
pub(crate) type Decided = Result<Permit, DenyReason>;

/// A query with what it borrows.
pub(crate) struct Asking {
    system: SystemId,
    department: DepartmentId,
    resource: ResourceId,
    purpose: PurposeCode,
    parameters: Vec<(ParameterName, Vec<String>)>,
    fields: Vec<String>,
}

impl Asking {
    /// With the ids of the catalogue itself, as the gate has them.
    pub(crate) fn new(
        catalog: &Catalog,
        system: &SystemId,
        resource: &ResourceId,
        purpose: &PurposeCode,
        (parameter, value): (&ParameterName, &str),
        fields: &[&str],
    ) -> Self {
        let system = &catalog.registry.systems[system.as_str()];
        Self {
            system: system.id.clone(),
            department: catalog.registry.departments[system.department.as_str()].id.clone(),
            resource: catalog.resources[resource.as_str()].id.clone(),
            purpose: catalog.purposes[purpose.as_str()].code.clone(),
            parameters: vec![(parameter.clone(), vec![value.to_owned()])],
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
        }
    }

    pub(crate) fn query<'a>(&'a self, action: &'a Action) -> Query<'a> {
        Query {
            system: &self.system,
            department: &self.department,
            resource: &self.resource,
            action,
            purpose: &self.purpose,
            fields: &self.fields,
            parameters: &self.parameters,
            narrowed_to: None,
        }
    }
}

/// Queries that are asked in turn, each another, so that nothing is warm by repetition alone.
pub(crate) struct Asker {
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

    /// Decides the next query.
    pub(crate) fn decide(&self, policy: &Policy) -> Decided {
        let index = self.next.get();
        self.next.set(if index + 1 == self.askings.len() { 0 } else { index + 1 });
        policy.permit(&self.query(index), self.now)
    }

    fn query(&self, index: usize) -> Query<'_> {
        self.askings[index].query(&self.action)
    }

    /// Keeps the queries that `policy` answers as wanted.
    pub(crate) fn only(mut self, policy: &Policy, wanted: impl Fn(&Decided) -> bool) -> Self {
        let keep: Vec<bool> = (0..self.askings.len())
            .map(|index| wanted(&policy.permit(&self.query(index), self.now)))
            .collect();
        let mut keep = keep.into_iter();
        self.askings.retain(|_| keep.next().unwrap());
        Self::new(self.askings)
    }
}

/// The queries that come near to the grants, or, shifted, to one clause of them.
pub(crate) fn askings(
    catalog: &Catalog,
    count: usize,
    dense: bool,
    purpose_shift: usize,
    resource_shift: usize,
    fields: &[&str],
) -> Asker {
    let area = ParameterName::parse("area").unwrap();
    let askings = (0..QUERIES).map(|number| {
        let (system_index, resource_index, purpose_index) = words(number * 12_289 % count, dense);
        Asking::new(
            catalog,
            &system(system_index),
            &resource((resource_index + resource_shift) % RESOURCES),
            &purpose((purpose_index + purpose_shift) % PURPOSES),
            (&area, "341003"),
            fields,
        )
    });
    Asker::new(askings.collect())
}

/// Whether a query is allowed.
pub(crate) fn is_permit(decision: &Decided) -> bool {
    decision.is_ok()
}

/// Whether a query is refused for `reason`.
pub(crate) fn refused_for(reason: DenyReason) -> impl Fn(&Decided) -> bool {
    move |decision| matches!(decision, Err(why) if *why == reason)
}
