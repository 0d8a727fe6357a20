//! A small city to decide about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::date;

use crate::catalog::{
    BodyFormat, BodyShape, Catalog, Delimiter, Department, DepartmentKind, Field, FieldType, Level,
    NameMatching, Parameter, Purpose, Resource, Sharing, System, XmlNames,
};
use crate::grant::{Decision, Query};
use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::id::{
    Action, DepartmentId, FieldPath, GrantId, GroupName, MaskerName, ParameterName, PurposeCode, ResourceId,
    SystemId,
};
use crate::kernel::time::{TimeZone, Timestamp};
use crate::policy::calendar::Calendar;
use crate::policy::model::SHIPPED;
use crate::policy::{Policy, PolicyInput};

pub(crate) const MASKERS: [&str; 6] = ["name", "resident-id", "mobile", "address", "full", "plate"];

fn department(id: &str) -> (DepartmentId, Arc<Department>) {
    let id = DepartmentId::parse(id).unwrap();
    let department = Department {
        id: id.clone(),
        name: id.to_string(),
        credit_code: None,
        contact: "0551-0000".to_owned(),
        kind: DepartmentKind::Government,
    };
    (id, Arc::new(department))
}

fn system(id: &str, department: &str, enabled: bool) -> (SystemId, Arc<System>) {
    let id = SystemId::parse(id).unwrap();
    let department = DepartmentId::parse(department).unwrap();
    let system = System { id: id.clone(), department, name: id.to_string(), enabled, certificates: vec![] };
    (id, Arc::new(system))
}

/// `path`, or `path=masker`.
fn field(text: &str) -> Field {
    let (path, mask) = text.split_once('=').map_or((text, None), |(path, mask)| (path, Some(mask)));
    Field {
        path: FieldPath::parse(path).unwrap(),
        label: path.to_owned(),
        kind: FieldType::String,
        level: Level::new(1).unwrap(),
        mask: mask.map(|mask| MaskerName::parse(mask).unwrap()),
        source: None,
        nested: false,
    }
}

pub(crate) fn resource(
    id: &str,
    sharing: Sharing,
    actions: &[&str],
    fields: &[&str],
    basic: &[&str],
    parameters: &[&str],
) -> (ResourceId, Arc<Resource>) {
    let id = ResourceId::parse(id).unwrap();
    let group = basic.iter().map(|path| FieldPath::parse(path).unwrap()).collect();
    let resource = Resource {
        id: id.clone(),
        name: id.to_string(),
        provider: DepartmentId::parse("dept:gongan").unwrap(),
        class: String::new(),
        sharing,
        actions: actions.iter().map(|action| Action::parse(action).unwrap()).collect(),
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
        fields: fields.iter().map(|text| field(text)).collect(),
        groups: if basic.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(GroupName::parse("basic").unwrap(), group)])
        },
        parameters: parameters
            .iter()
            .map(|name| Parameter {
                name: ParameterName::parse(name).unwrap(),
                label: String::new(),
                recordable: *name != "id_card",
                subject: None,
            })
            .collect(),
    };
    (id, Arc::new(resource))
}

pub(crate) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.registry.departments.extend(["dept:minzheng", "dept:gongan", "dept:ziran"].map(department));
    catalog.registry.systems.extend([
        system("sys:minzheng-aid", "dept:minzheng", true),
        system("sys:minzheng-old", "dept:minzheng", false),
        system("sys:ziran-map", "dept:ziran", true),
        system("sys:gongan-desk", "dept:gongan", true),
    ]);
    for code in ["social-aid.eligibility", "social-aid.review", "planning.survey", "licence.review"] {
        let code = PurposeCode::parse(code).unwrap();
        let purpose = Purpose { code: code.clone(), label: String::new(), legal_basis: String::new() };
        catalog.purposes.insert(code, Arc::new(purpose));
    }
    let person =
        ["name=name", "id_card=resident-id", "sex", "phone=mobile", "address.city", "address.detail=address"];
    catalog.resources.extend([
        resource(
            "population.resident",
            Sharing::Conditional,
            &["query", "verify"],
            &person,
            &["name", "sex"],
            &["area", "year", "id_card"],
        ),
        resource(
            "spatial.parcel",
            Sharing::Unconditional,
            &["query"],
            &["parcel_id", "land_use", "owner=full", "owner.name=name", "owner.kind"],
            &["parcel_id", "land_use"],
            &["area"],
        ),
        resource(
            "licence.electronic",
            Sharing::Conditional,
            &["query"],
            &["kind", "plate=plate", "holder.name=name"],
            &[],
            &["kind"],
        ),
        resource("population.adoption", Sharing::None, &["query"], &["name=name"], &["name"], &[]),
    ]);
    catalog
}

pub(crate) fn calendar() -> Calendar {
    Calendar::new([2026], (1..=7).map(|day| date(2026, 10, day)), [date(2026, 10, 10)]).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A Wednesday, 10:00 in Shanghai.
pub(crate) fn now() -> Timestamp {
    at("2026-06-03T02:00:00Z")
}

pub(crate) fn load_at(
    catalog: &Catalog,
    model: &str,
    grants: &str,
    now: Timestamp,
) -> (Option<Policy>, Report) {
    let maskers: BTreeSet<MaskerName> = MASKERS.iter().map(|name| MaskerName::parse(name).unwrap()).collect();
    Policy::load(PolicyInput {
        model: &Source::new("model.conf", model),
        grants: &Source::new("grants.csv", grants),
        catalog,
        calendar: &calendar(),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
        maskers: &maskers,
        now,
    })
}

pub(crate) fn load(grants: &str) -> (Option<Policy>, Report) {
    load_at(&catalog(), SHIPPED, grants, now())
}

/// A policy that must load.
pub(crate) fn policy(grants: &str) -> Policy {
    let (policy, report) = load(grants);
    policy.unwrap_or_else(|| panic!("{report}"))
}

/// A query in owned words.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) system: SystemId,
    pub(crate) department: DepartmentId,
    pub(crate) resource: ResourceId,
    pub(crate) action: Action,
    pub(crate) purpose: PurposeCode,
    pub(crate) fields: Vec<String>,
    pub(crate) parameters: Vec<(ParameterName, Vec<String>)>,
    pub(crate) narrowed_to: Option<Vec<GrantId>>,
    pub(crate) at: Timestamp,
}

impl Asking {
    /// `sys:minzheng-aid` queries residents for `social-aid.review`, now.
    pub(crate) fn new() -> Self {
        Self {
            system: SystemId::parse("sys:minzheng-aid").unwrap(),
            department: DepartmentId::parse("dept:minzheng").unwrap(),
            resource: ResourceId::parse("population.resident").unwrap(),
            action: Action::parse("query").unwrap(),
            purpose: PurposeCode::parse("social-aid.review").unwrap(),
            fields: vec![],
            parameters: vec![],
            narrowed_to: None,
            at: now(),
        }
    }

    pub(crate) fn system(mut self, system: &str, department: &str) -> Self {
        self.system = SystemId::parse(system).unwrap();
        self.department = DepartmentId::parse(department).unwrap();
        self
    }

    pub(crate) fn resource(mut self, resource: &str) -> Self {
        self.resource = ResourceId::parse(resource).unwrap();
        self
    }

    pub(crate) fn action(mut self, action: &str) -> Self {
        self.action = Action::parse(action).unwrap();
        self
    }

    pub(crate) fn purpose(mut self, purpose: &str) -> Self {
        self.purpose = PurposeCode::parse(purpose).unwrap();
        self
    }

    pub(crate) fn fields(mut self, fields: &[&str]) -> Self {
        self.fields = fields.iter().map(|&field| field.to_owned()).collect();
        self
    }

    pub(crate) fn parameter(mut self, name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.parameters.push((ParameterName::parse(name).unwrap(), values));
        self
    }

    pub(crate) fn narrowed_to(mut self, grants: &[&str]) -> Self {
        self.narrowed_to = Some(grants.iter().map(|id| GrantId::parse(id).unwrap()).collect());
        self
    }

    pub(crate) fn at(mut self, text: &str) -> Self {
        self.at = at(text);
        self
    }

    pub(crate) fn query(&self) -> Query<'_> {
        Query {
            system: &self.system,
            department: &self.department,
            resource: &self.resource,
            action: &self.action,
            purpose: &self.purpose,
            fields: &self.fields,
            parameters: &self.parameters,
            narrowed_to: self.narrowed_to.as_deref(),
        }
    }

    /// The decision in one line: `G: field field:treatment …; duties`, or `reason: detail`.
    pub(crate) fn decide(&self, policy: &Policy) -> String {
        shown(&policy.decide(&self.query(), self.at))
    }
}

pub(crate) fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Permit(permit) => {
            let grants: Vec<&str> = permit.grants.iter().map(GrantId::as_str).collect();
            let fields: Vec<String> = permit
                .fields
                .iter()
                .map(|field| match &field.treatment {
                    crate::grant::Treatment::Clear => field.path.to_string(),
                    crate::grant::Treatment::Masked(masker) => format!("{}:{masker}", field.path),
                })
                .collect();
            let mut text = format!("{}: {}", grants.join(","), fields.join(" "));
            if let Some(rows) = permit.rows_per_reply {
                text.push_str(&format!("; rows<={rows}"));
            }
            if let Some(rows) = permit.rows_per_day {
                text.push_str(&format!("; rows/day<={rows}"));
            }
            text
        }
        Decision::Denial(denial) => {
            let mut words = vec![format!("{:?}", denial.reason)];
            words.extend(denial.detail.iter().cloned());
            words.extend(denial.denied_by.iter().map(|id| format!("by {id}")));
            words.extend(denial.nearest.iter().map(|near| format!("near {}", near.grant)));
            words.join(" ")
        }
    }
}
