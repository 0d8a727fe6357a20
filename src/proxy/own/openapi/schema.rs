//! JSON Schemas of records and bodies: what the masking engine lets out, in the words of the catalogue.
//!
//! Each is true of what the gate lets out of an answer that begins as the catalogue says, whatever is in it: a value that
//! is not of its declared type leaves as `null`, a list leaves as a list of such values, and what the catalogue lacks
//! does not leave.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::MAX_LISTED;
use crate::catalog::{BodyFormat, BodyShape, Field, FieldType, NameMatching, Resource};
use crate::config::RequestFields;
use crate::grant::Treatment;
use crate::kernel::id::Action;
use crate::policy::Entitlement;
use crate::proxy::problem::{Language, Words, words};

/// Adds the schemas of a record of `resource` and of records wherever they lie, with what becomes of its fields under `entitlement`.
pub(super) fn add(
    schemas: &mut Map<String, Value>,
    resource: &Resource,
    action: &Action,
    entitlement: &Entitlement,
    language: Language,
) {
    if resource.fields.is_empty() {
        return;
    }
    let mut tree = Tree::default();
    for field in &resource.fields {
        *tree.at(field.path.names()) = Some(own(field, entitlement));
    }
    let is_exact = resource.body.names == NameMatching::Exact;
    let (name, several) = (record_name(resource, action), records_name(resource, action));
    let mut record = tree.object(&pointer(&name), is_exact);
    record.insert("title".to_owned(), resource.name.clone().into());
    let about = words(
        "One record. Types are those of the catalogue; every member may be missing.",
        "一条记录。类型以目录为准，各成员都可能没有。",
    );
    record.insert("description".to_owned(), about.to(language).into());
    let list = json!({ "type": "array", "items": { "$ref": pointer(&several) } });
    let records = json!({ "anyOf": [{ "$ref": pointer(&name) }, list, { "type": "null" }] });
    schemas.insert(name, Value::Object(record));
    schemas.insert(several, records);
}

/// What a media type of a body has: of JSON its schema, of other formats that of its records.
pub(super) fn body(resource: &Resource, action: &Action, shape: &BodyShape) -> Value {
    if resource.fields.is_empty() {
        return json!({});
    }
    if shape.format != BodyFormat::Json {
        let record = json!({ "$ref": pointer(&record_name(resource, action)) });
        return json!({ "schema": { "type": "string" }, "x-pinegate-record": record });
    }
    let records = pointer(&records_name(resource, action));
    let Some(at) = &shape.records else { return json!({ "schema": { "$ref": records } }) };
    let mut tree = Tree::default();
    for member in &shape.envelope {
        *tree.at(member.names()) = Some(Map::new());
    }
    *tree.at(at.names()) = Some(Map::from_iter([("$ref".to_owned(), records.into())]));
    json!({ "schema": tree.plain_object() })
}

/// What a media type of a JSON body has that is known by the paths of a few members alone.
pub(super) fn of_paths<'p>(paths: impl Iterator<Item = &'p str>) -> Value {
    let mut tree = Tree::default();
    for path in paths {
        *tree.at(path.split('.')) = Some(Map::new());
    }
    json!({ "schema": tree.plain_object() })
}

/// What becomes of the fields of a request's body.
pub(super) fn held(fields: RequestFields) -> Words {
    match fields {
        RequestFields::Restrict => words(
            "Only fields that your grants give: any other refuses the request.",
            "只能含授权范围内的字段，多报一项即整个请求拒绝。",
        ),
        RequestFields::Mask => words(
            "What your grants do not give is dropped, and the rest goes on as it would come back.",
            "授权之外的字段删去，其余按外传时的样子转给平台。",
        ),
    }
}

/// The schemas that those of records point to: a value, or a list of such values.
pub(super) fn scalars() -> [(&'static str, Value); 6] {
    let scalar = |name, types: Value| {
        let itself = pointer(name);
        let schema =
            json!({ "anyOf": [{ "type": types }, { "type": "array", "items": { "$ref": itself } }] });
        (name, schema)
    };
    [
        scalar("text", json!(["string", "null"])),
        // As the platform writes it; no format is promised.
        scalar("date", json!(["string", "null"])),
        scalar("number", json!(["number", "null"])),
        scalar("boolean", json!(["boolean", "null"])),
        scalar("object", json!(["object", "null"])),
        // A masker may leave a text of what was none.
        scalar("masked", json!(["string", "number", "boolean", "null"])),
    ]
}

/// An action has no dot, so that no two resources and actions come to one name, nor to one of [`scalars`].
fn record_name(resource: &Resource, action: &Action) -> String {
    format!("{}.{action}.record", resource.id)
}

fn records_name(resource: &Resource, action: &Action) -> String {
    format!("{}.{action}.records", resource.id)
}

fn pointer(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// A name as a token of a JSON pointer (RFC 6901, section 3) in a fragment (section 6).
fn token(name: &str) -> String {
    let escaped = name.replace('~', "~0").replace('/', "~1");
    utf8_percent_encode(&escaped, NON_ALPHANUMERIC).to_string()
}

/// What is said of one field, wherever it stands.
fn own(field: &Field, entitlement: &Entitlement) -> Map<String, Value> {
    let ways: &[Treatment] = entitlement.fields.get(&field.path).map_or(&[], Vec::as_slice);
    let is_masked = ways.iter().any(|way| matches!(way, Treatment::Masked(_)));
    let kind = match field.kind {
        FieldType::String => "text",
        FieldType::Date => "date",
        FieldType::Number | FieldType::Boolean if is_masked => "masked",
        FieldType::Number => "number",
        FieldType::Boolean => "boolean",
        FieldType::Object => "object",
    };
    let leaves: Vec<&str> = ways
        .iter()
        .map(|way| match way {
            Treatment::Clear => "clear",
            Treatment::Masked(masker) => masker.as_str(),
        })
        .take(MAX_LISTED)
        .collect();
    let mut members = Map::new();
    if field.nested {
        members.insert("contentMediaType".to_owned(), "application/json".into());
    }
    members.insert("$ref".to_owned(), pointer(if field.nested { "text" } else { kind }).into());
    members.insert("title".to_owned(), field.label.clone().into());
    members.insert("x-pinegate-level".to_owned(), field.level.get().into());
    members.insert("x-pinegate-leaves".to_owned(), leaves.into());
    members
}

/// Members by name, and below them.
#[derive(Debug, Default)]
struct Tree {
    /// What is said of the member itself.
    own: Option<Map<String, Value>>,
    below: BTreeMap<String, Tree>,
}

impl Tree {
    /// What is said of the member at `path`.
    fn at<'n>(&mut self, path: impl Iterator<Item = &'n str>) -> &mut Option<Map<String, Value>> {
        let mut tree = self;
        for name in path {
            tree = tree.below.entry(name.to_owned()).or_default();
        }
        &mut tree.own
    }

    /// The schema of an object with these members, which stands at `pointer`.
    fn object(self, pointer: &str, is_exact: bool) -> Map<String, Value> {
        let of = |(name, tree): (String, Self)| {
            let schema = tree.member(&format!("{pointer}/properties/{}", token(&name)), is_exact);
            (name, Value::Object(schema))
        };
        let properties: Map<String, Value> = self.below.into_iter().map(of).collect();
        let mut object = Map::new();
        object.insert("type".to_owned(), "object".into());
        object.insert("properties".to_owned(), Value::Object(properties));
        // Names in another case are names of these fields too, where the catalogue says so.
        if is_exact {
            object.insert("additionalProperties".to_owned(), false.into());
        }
        object
    }

    /// The schema of a member that stands at `pointer`: as is said of it, or an object, or a list of objects.
    fn member(self, pointer: &str, is_exact: bool) -> Map<String, Value> {
        let Self { own, below } = self;
        let mut own = own.unwrap_or_default();
        if below.is_empty() {
            return own;
        }
        if own.contains_key("contentMediaType") {
            let pointer = format!("{pointer}/contentSchema");
            let content = Self { own: None, below }.member(&pointer, is_exact);
            own.insert("contentSchema".to_owned(), Value::Object(content));
            return own;
        }
        own.remove("$ref");
        own.remove("x-pinegate-leaves");
        own.extend(Self { own: None, below }.object(pointer, is_exact));
        own.insert("type".to_owned(), json!(["object", "array", "null"]));
        own.insert("items".to_owned(), json!({ "$ref": pointer }));
        own
    }

    /// The schema of an object with these members and perhaps others.
    fn plain_object(self) -> Map<String, Value> {
        let of = |(name, tree): (String, Self)| {
            let schema =
                if tree.below.is_empty() { tree.own.unwrap_or_default() } else { tree.plain_object() };
            (name, Value::Object(schema))
        };
        let properties: Map<String, Value> = self.below.into_iter().map(of).collect();
        let mut object = Map::new();
        object.insert("type".to_owned(), "object".into());
        object.insert("properties".to_owned(), Value::Object(properties));
        object
    }
}
