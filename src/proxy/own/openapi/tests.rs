use std::collections::BTreeSet;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::*;
use crate::catalog::{BodyShape, Catalog, XmlNames};
use crate::config::RequestFields;
use crate::kernel::id::{FieldPath, ResourceId, SystemId};
use crate::policy::Policy;
use crate::policy::model::SHIPPED;
use crate::policy::tests::city::{catalog, load_at, now, resource};
use crate::proxy::problem::Code;

const GRANTS: &str = "\
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, name|id_card:clear|address;area=3410*;rows<=10, always, allow
p, A-2, dept:minzheng, population.resident, query, social-aid.review, id_card|sex;area=3415*;year=2025, always, allow
p, A-3, sys:minzheng-aid, population.resident, query, *, *, ../2026-01-01, allow
p, B-1, sys:ziran-map, population.resident, *, planning.survey, *:clear;year=1999, always, allow
p, B-2, sys:ziran-map, licence.electronic, query, licence.review, kind, always, allow
p, C-1, group:all, population.adoption, query, *, *, always, allow
p, D-1, group:all, spatial.parcel, query, planning.survey, *, always, deny
";

/// A route as it is configured: method, path, resource, action, and where parameters are.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const ROUTES: [Line; 6] = [
    ("GET", "/population/residents", "population.resident", "query", &[("area", "query:area")]),
    (
        "GET",
        "/population/residents/{id_card}",
        "population.resident",
        "query",
        &[("id_card", "path:id_card"), ("area", "query:area")],
    ),
    (
        "POST",
        "/population/residents",
        "population.resident",
        "query",
        &[("area", "body:where.area"), ("year", "header:x-year")],
    ),
    ("GET", "/licences/{kind}/{no}", "licence.electronic", "query", &[("kind", "path:kind")]),
    ("GET", "/parcels", "spatial.parcel", "query", &[]),
    ("GET", "/population/adoptions", "population.adoption", "query", &[]),
];

/// The same, read.
type Parsed = (Method, String, ResourceId, Action, Vec<(ParameterName, ParameterSource)>);

/// What routes are made of, so that operations can borrow it.
struct Configured {
    catalog: Catalog,
    routes: Vec<Parsed>,
    intake: Option<Intake>,
    purpose: PurposeSource,
    opens_sessions: bool,
}

impl Configured {
    fn new(catalog: Catalog, routes: &[Line]) -> Self {
        let parameter = |(name, source): &(&str, &str)| {
            (ParameterName::parse(name).unwrap(), ParameterSource::parse(source).unwrap())
        };
        let route = |(method, path, resource, action, parameters): &Line| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let id = ResourceId::parse(resource).unwrap();
            let parameters = parameters.iter().map(parameter).collect();
            (method, (*path).to_owned(), id, Action::parse(action).unwrap(), parameters)
        };
        let routes = routes.iter().map(route).collect();
        Self { catalog, routes, intake: None, purpose: PurposeSource::Token, opens_sessions: false }
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let shared = self.routes.iter().filter(|(_, _, id, ..)| {
            // As `Operation::of` does for a route.
            self.catalog.resources[id].sharing != Sharing::None
        });
        shared
            .map(|(method, template, id, action, parameters)| {
                let resource = &self.catalog.resources[id];
                Operation {
                    method,
                    template,
                    resource,
                    action,
                    provider: &self.catalog.registry.departments[&resource.provider],
                    parameters: parameters.iter().map(|(name, source)| (name, source)).collect(),
                    intake: self.intake.as_ref().filter(|_| *method == Method::POST),
                    purpose: self.purpose,
                    media_type: resource.body.format.media_type().unwrap_or("*/*").into(),
                    max_request_body: ByteLimit::bytes(1 << 20),
                    opens_sessions: self.opens_sessions,
                }
            })
            .collect()
    }

    fn policy(&self, grants: &str) -> Policy {
        let (policy, report) = load_at(&self.catalog, SHIPPED, grants, now());
        policy.unwrap_or_else(|| panic!("{report}"))
    }

    /// The document that `system` gets.
    fn document(&self, grants: &str, system: &str, language: Language) -> Value {
        let policy = self.policy(grants);
        let document = document(&Contents {
            operations: self.operations(),
            holdings: policy.holdings(&SystemId::parse(system).unwrap(), now()),
            policy: "5f3a",
            language,
        });
        assert_sound(&document);
        document
    }

    fn changed(mut self, id: &str, change: impl Fn(&mut Resource)) -> Self {
        let mut changed = (*self.catalog.resources[id]).clone();
        change(&mut changed);
        self.catalog.resources.insert(changed.id.clone(), Arc::new(changed));
        self
    }
}

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

/// What `$ref` names, wherever it stands.
fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(reference) => found.push(reference),
                    None => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn resolved<'v>(document: &'v Value, reference: &str) -> &'v Value {
    let pointer = percent_decode_str(reference.strip_prefix('#').unwrap()).decode_utf8().unwrap();
    document.pointer(&pointer).unwrap_or_else(|| panic!("nothing is at {reference}"))
}

/// What OAS 3.1.1 asks of a document and a schema of it cannot say.
#[track_caller]
fn assert_sound(document: &Value) {
    let mut found = Vec::new();
    references(document, &mut found);
    for reference in found {
        resolved(document, reference);
    }
    let names = |pointer: &str| -> BTreeSet<&str> {
        document.pointer(pointer).unwrap().as_object().unwrap().keys().map(String::as_str).collect()
    };
    for kind in ["schemas", "responses", "parameters", "headers", "securitySchemes"] {
        for name in names(&format!("/components/{kind}")) {
            let is_right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            assert!(name.chars().all(is_right), "{name} in {kind}");
        }
    }
    let schemes = names("/components/securitySchemes");
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (template, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            assert!(["get", "post", "put", "patch", "delete"].contains(&method.as_str()), "{method}");
            for tag in operation["tags"].as_array().unwrap() {
                assert!(tags.contains(&tag.as_str().unwrap()), "{tag}");
            }
            for ways in operation["security"].as_array().unwrap() {
                assert!(ways.as_object().unwrap().keys().all(|way| schemes.contains(way.as_str())));
            }
            let mut places = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let parameter = parameter["$ref"].as_str().map_or(parameter, |it| resolved(document, it));
                let place = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
                assert!(places.insert(place), "{place:?} twice in {id}");
                assert!(place.0 != "path" || parameter["required"] == true, "{place:?} in {id}");
            }
            let variables = template.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
            let declared = places.iter().filter(|(place, _)| *place == "path").map(|(_, name)| *name);
            assert_eq!(variables.collect::<BTreeSet<_>>(), declared.collect(), "{template}");
            assert!(operation["responses"].as_object().unwrap().keys().any(|it| it.starts_with('2')));
        }
    }
}

#[test]
fn a_document() {
    let routes = &ROUTES[1..2];
    let document = Configured::new(catalog(), routes).document(GRANTS, "sys:minzheng-aid", Language::En);
    let record = "population.resident.query.record";
    let shown = json!({
        "openapi": document["openapi"],
        "version": document["info"]["version"],
        "tags": document["tags"],
        "paths": document["paths"],
        record: document["components"]["schemas"][record],
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
}

#[test]
fn every_code_is_under_one_status() {
    let document = Configured::new(catalog(), &ROUTES).document("", "sys:minzheng-aid", Language::En);
    let mut told = Vec::new();
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        for code in response["description"].as_str().unwrap().split(", ") {
            told.push(code.to_owned());
            let code = Code::ALL.iter().find(|known| known.as_str() == code).unwrap();
            let status = name.strip_prefix("problem-").map(|status| status.parse::<u16>().unwrap());
            assert!(status.is_none_or(|status| code.status().as_u16() == status), "{code} in {name}");
        }
    }
    told.sort();
    let mut known: Vec<_> = Code::ALL.iter().map(ToString::to_string).collect();
    known.sort();
    assert_eq!(told, known);
}

#[test]
fn nobody_sees_what_is_another_systems_or_nobodys() {
    let configured = Configured::new(catalog(), &ROUTES);
    for language in [Language::En, Language::Zh] {
        let of_aid = configured.document(GRANTS, "sys:minzheng-aid", language).to_string();
        let of_map = configured.document(GRANTS, "sys:ziran-map", language).to_string();
        // Another system's, what has ended, what forbids, and what nobody may know of.
        for hidden in ["B-1", "B-2", "1999", "A-3", "C-1", "D-1", "adoption"] {
            assert!(!of_aid.contains(hidden), "{hidden} is shown");
        }
        for hidden in ["A-1", "A-2", "3410", "adoption"] {
            assert!(!of_map.contains(hidden), "{hidden} is shown");
        }
        assert!(of_aid.contains("A-2") && of_map.contains("B-1") && of_map.contains("1999"));
    }
    let unknown = configured.document(GRANTS, "sys:nobody", Language::En);
    assert_eq!(unknown["paths"]["/parcels"]["get"]["x-pinegate-grants"], json!([]));
}

#[test]
fn the_same_contents_make_the_same_bytes_in_any_order() {
    let straight = Configured::new(catalog(), &ROUTES);
    let mut turned = ROUTES;
    turned.reverse();
    let turned = Configured::new(catalog(), &turned);
    let of =
        |configured: &Configured| configured.document(GRANTS, "sys:minzheng-aid", Language::Zh).to_string();
    assert_eq!(of(&straight), of(&turned));
}

#[test]
fn a_parameter_is_required_where_each_grant_constrains_it() {
    let document = Configured::new(catalog(), &ROUTES).document(GRANTS, "sys:minzheng-aid", Language::En);
    let post = &document["paths"]["/population/residents"]["post"];
    let area = &post["requestBody"]["x-pinegate-body-parameters"][0];
    assert_eq!(area["x-pinegate-values"], json!(["3410*", "3415*"]));
    assert_eq!((&area["in"], &post["requestBody"]["required"]), (&json!("where.area"), &json!(true)));
    let year = &post["parameters"][0];
    assert_eq!((&year["name"], year.get("required")), (&json!("x-year"), None), "A-1 leaves it open");
    let document = Configured::new(catalog(), &ROUTES).document(GRANTS, "sys:gongan-desk", Language::En);
    let area = &document["paths"]["/population/residents"]["get"]["parameters"][0];
    assert_eq!((area.get("required"), area.get("x-pinegate-values")), (None, None), "it has no grant");
}

#[test]
fn names_of_operations_are_never_the_same() {
    let line = |method, path| (method, path, "spatial.parcel", "query", &[][..]);
    let lines: [Line; 6] = [
        line("GET", "/a/{b}"),
        line("GET", "/a/by/b"),
        line("GET", "/a-b"),
        line("GET", "/a_b"),
        line("GET", "/a.b/c"),
        line("POST", "/a-b"),
    ];
    let configured = Configured::new(catalog(), &lines);
    let ids = operation_ids(&configured.operations());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), lines.len(), "{ids:?}");
    assert_eq!(ids[4..], ["get_a_b_c", "post_a_b"], "what is like no other has no digest");
    assert!(ids[0].starts_with("get_a_by_b_") && ids[2].starts_with("get_a_b_"), "{ids:?}");
    // The name of one does not hang on which others stand beside it, but whether there are any.
    let fewer = Configured::new(catalog(), &lines[2..4]);
    assert_eq!(operation_ids(&fewer.operations())[..], ids[2..4]);
    configured.document("", "sys:minzheng-aid", Language::En);
}

#[test]
fn fields_of_every_form() {
    let odd = ["地址.市/县", "地址.~a%b", "owner=full", "owner.name=name", "list.in.list"];
    let mut catalog = catalog();
    catalog.resources.extend([resource("a.b", Sharing::Conditional, &["query"], &odd, &[], &[])]);
    let routes: [Line; 1] = [("POST", "/b", "a.b", "query", &[])];
    let grants = "p, A-1, sys:minzheng-aid, a.b, query, *, 地址|owner.name:clear, always, allow\n";
    let of = |configured: &Configured| configured.document(grants, "sys:minzheng-aid", Language::En);
    let document = of(&Configured::new(catalog.clone(), &routes));
    let record = &document["components"]["schemas"]["a.b.query.record"]["properties"];
    assert_eq!(record["地址"]["properties"]["市/县"]["x-pinegate-leaves"], json!(["clear"]));
    assert_eq!(record["owner"]["properties"]["name"]["x-pinegate-leaves"], json!(["clear"]));
    assert_eq!(record["list"]["properties"]["in"]["properties"]["list"]["x-pinegate-leaves"], json!([]));
    for format in BodyFormat::ALL {
        let shaped = |resource: &mut Resource| {
            resource.body.format = format;
            resource.fields[2].nested = true;
            resource.body.records = (format == BodyFormat::Json).then(|| path("数据.list"));
            resource.body.envelope = vec![path("code"), path("数据.total")];
        };
        let mut configured = Configured::new(catalog.clone(), &routes).changed("a.b", shaped);
        configured.purpose = PurposeSource::Declared;
        configured.opens_sessions = format == BodyFormat::Opaque;
        configured.intake = Some(Intake {
            fields: RequestFields::Restrict,
            shape: BodyShape {
                records: None,
                xml: XmlNames::default(),
                ..configured.catalog.resources["a.b"].body.clone()
            },
        });
        let document = of(&configured);
        let operation = &document["paths"]["/b"]["post"];
        let content = &operation["responses"]["2XX"]["content"][format.media_type().unwrap_or("*/*")];
        let has_schema = content["schema"]["properties"]["数据"]["properties"]["list"].get("$ref").is_some();
        assert_eq!(has_schema, format == BodyFormat::Json, "{content}");
        assert_eq!(
            content.get("x-pinegate-record").is_some(),
            !matches!(format, BodyFormat::Json | BodyFormat::Opaque)
        );
        assert_eq!(operation["security"].as_array().unwrap().len(), 2);
        assert_eq!(operation["responses"].get("101").is_some(), format == BodyFormat::Opaque);
    }
}

#[test]
fn lists_are_bounded() {
    let grant =
        |n| format!("p, A-{n}, sys:minzheng-aid, spatial.parcel, query, *, *;area={n}, always, allow\n");
    let grants: String = (0..=MAX_LISTED).map(grant).collect();
    let routes: [Line; 1] = [("GET", "/parcels", "spatial.parcel", "query", &[("area", "query:area")])];
    let configured = Configured::new(catalog(), &routes);
    let document = configured.document(&grants, "sys:minzheng-aid", Language::En);
    let operation = &document["paths"]["/parcels"]["get"];
    assert_eq!(operation["x-pinegate-grants"].as_array().unwrap().len(), MAX_LISTED);
    assert_eq!(operation["x-pinegate-grants-left-out"], 1);
    assert_eq!(operation["parameters"][0]["x-pinegate-values-left-out"], 1);

    let mut many = Configured::new(catalog(), &routes);
    let (method, _, id, action, parameters) = many.routes[0].clone();
    let route = |n| (method.clone(), format!("/parcels/{n}"), id.clone(), action.clone(), parameters.clone());
    many.routes = (0..MAX_OPERATIONS + 2).map(route).collect();
    let document = many.document("", "sys:minzheng-aid", Language::En);
    assert_eq!(document["paths"].as_object().unwrap().len(), MAX_OPERATIONS);
    assert_eq!(document["x-pinegate-left-out"], 2);
    assert!(configured.document("", "sys:minzheng-aid", Language::En).get("x-pinegate-left-out").is_none());
}
