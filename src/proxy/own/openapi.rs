//! What may be called through this gate, as an OpenAPI 3.1 document (OAS 3.1.1) for the programs of one system.
//!
//! It says what the catalogue and the routes say, and of grants those of the caller alone. A resource of sharing type
//! `none` is not in it, nor is a path that gives nothing else. The templates of routes need no rewriting: a variable is
//! one whole `{segment}`, as in OpenAPI, and there are no wildcards (`PathTemplate`).
//!
//! Knows nothing of requests. INVARIANT: the same contents make the same bytes, and no list grows faster than the
//! configuration does.

mod schema;
mod shared;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use data_encoding::HEXLOWER;
use http::Method;
use serde_json::{Map, Value, json};

use crate::catalog::{BodyFormat, Department, Resource, Sharing};
use crate::config::{ParameterSource, PurposeSource};
use crate::kernel::bound::ByteLimit;
use crate::kernel::id::{Action, Digest, ParameterName};
use crate::policy::{Entitlement, Holdings};
use crate::proxy::problem::{Language, Words, words};
use crate::proxy::routes::{Intake, Route};

/// The most operations in one document; `x-pinegate-left-out` says how many more there are.
const MAX_OPERATIONS: usize = 4_096;

/// The most grants, purposes or values that one list shows. The page `grants` has them all.
const MAX_LISTED: usize = 64;

/// How much of a digest tells apart two operations whose names would be the same, in bytes.
const DISTINCTION_BYTES: usize = 4;

/// What a document is made of.
#[derive(Debug)]
pub(super) struct Contents<'s> {
    /// What may be called, by path and then by method.
    pub(super) operations: Vec<Operation<'s>>,
    /// The grants of whoever reads it.
    pub(super) holdings: Holdings<'s>,
    /// The digest of the policy, as the other pages show it.
    pub(super) policy: &'s str,
    /// What its sentences are in.
    pub(super) language: Language,
}

/// What a caller can know of a route.
#[derive(Debug)]
pub(super) struct Operation<'s> {
    method: &'s Method,
    template: &'s str,
    resource: &'s Resource,
    action: &'s Action,
    provider: &'s Department,
    parameters: Vec<(&'s ParameterName, &'s ParameterSource)>,
    intake: Option<&'s Intake>,
    purpose: PurposeSource,
    media_type: Cow<'s, str>,
    max_request_body: ByteLimit,
    opens_sessions: bool,
}

impl<'s> Operation<'s> {
    /// What a caller can know of `route`; `None` if that is nothing.
    pub(super) fn of(route: &'s Route) -> Option<Self> {
        (route.resource.sharing != Sharing::None).then(|| Self {
            method: &route.method,
            template: &route.template,
            resource: &route.resource,
            action: &route.action,
            provider: &route.provider,
            parameters: route.parameters.iter().map(|it| (&it.name, &it.source)).collect(),
            intake: route.intake.as_deref(),
            purpose: route.purpose,
            media_type: route.declared.announced(),
            max_request_body: route.max_request_body,
            opens_sessions: route.upgrade.is_some(),
        })
    }

    /// `get_population_residents_by_id_card`: the method and the segments, variable ones after `by`.
    fn plain_name(&self) -> String {
        let mut name = self.method.as_str().to_ascii_lowercase();
        for segment in self.template.split('/').filter(|segment| !segment.is_empty()) {
            name.push_str(if segment.starts_with('{') { "_by_" } else { "_" });
            let kept = segment.chars().filter(|c| !matches!(c, '{' | '}'));
            name.extend(kept.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        }
        name
    }
}

/// The names of `operations`, each another. Those that would be the same have a digest of method and path behind, so
/// that no name hangs on the order of the others.
fn operation_ids(operations: &[Operation<'_>]) -> Vec<String> {
    let plain: Vec<String> = operations.iter().map(Operation::plain_name).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for name in &plain {
        *uses.entry(name).or_default() += 1;
    }
    let distinct = |(name, operation): (&String, &Operation<'_>)| {
        if uses.get(name.as_str()).is_none_or(|&uses| uses == 1) {
            return name.clone();
        }
        let digest = Digest::of(format!("{} {}", operation.method, operation.template).as_bytes());
        let distinction = digest.0.get(..DISTINCTION_BYTES).unwrap_or(&digest.0);
        format!("{name}_{}", HEXLOWER.encode(distinction))
    };
    plain.iter().zip(operations).map(distinct).collect()
}

/// The document.
pub(super) fn document(contents: &Contents<'_>) -> Value {
    let language = contents.language;
    let shown = contents.operations.get(..MAX_OPERATIONS).unwrap_or(&contents.operations);
    let ids = operation_ids(&contents.operations);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut tags = BTreeMap::new();
    let mut entitlements = HashMap::new();
    let mut schemas = Map::new();
    for (operation, id) in shown.iter().zip(ids) {
        let Operation { resource, action, provider, .. } = operation;
        let entitlement = entitlements.entry((&resource.id, *action)).or_insert_with(|| {
            let entitlement = contents.holdings.of(&resource.id, action);
            schema::add(&mut schemas, resource, action, &entitlement, language);
            entitlement
        });
        tags.entry(provider.id.as_str()).or_insert_with(|| {
            json!({
                "name": provider.id.as_str(),
                "description": format!("{} ({})", provider.name, provider.contact),
            })
        });
        let described = described(operation, &id, entitlement, language);
        paths
            .entry(operation.template)
            .or_default()
            .insert(operation.method.as_str().to_ascii_lowercase(), described);
    }
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Pinegate",
            "version": contents.policy,
            "description": ABOUT.to(language),
        },
        "servers": [{ "url": "/" }],
        "tags": tags.into_values().collect::<Vec<_>>(),
        "paths": paths,
        "components": shared::components(schemas, language),
    });
    let left_out = contents.operations.len() - shown.len();
    if left_out > 0
        && let Some(members) = document.as_object_mut()
    {
        members.insert("x-pinegate-left-out".to_owned(), left_out.into());
    }
    document
}

/// What the document says of itself.
const ABOUT: Words = words(
    "What may be called through this gate, with the grants of the system that asks. Made anew for each request. \
     `x-pinegate-grants` and `x-pinegate-purposes` are those of your grants that cover an operation; \
     `/.well-known/pinegate/grants` has their terms. A field leaves in one of the ways of its `x-pinegate-leaves`: \
     `clear`, or as that masker leaves it; where the list is empty none of your grants gives it. A parameter is \
     required where each of your grants constrains it, and `x-pinegate-values` are what they allow. Other parameters \
     than these are passed on. Where there is `get` there is `head`.",
    "可以经本网关调用的接口，以及来询问的业务系统自己的授权；每次请求时生成。`x-pinegate-grants`、`x-pinegate-purposes` \
     是适用于该操作的本系统授权及其用途，条款见 `/.well-known/pinegate/grants`。字段按 `x-pinegate-leaves` 之一外传：`clear` 为原值，\
     其余为脱敏规则名；空列表表示本系统没有任何授权含该字段。本系统的授权个个都限定的参数为必填，`x-pinegate-values` 是允许的取值。\
     未列出的参数照样传给平台。有 `get` 的路径也有 `head`。",
);

fn described(operation: &Operation<'_>, id: &str, entitlement: &Entitlement, language: Language) -> Value {
    let Operation { resource, action, .. } = operation;
    let mut described = json!({
        "operationId": id,
        "summary": resource.name,
        "tags": [operation.provider.id.as_str()],
        "security": shared::security(operation.purpose),
        "responses": responses(operation, language),
        "x-pinegate-resource": resource.id.as_str(),
        "x-pinegate-action": action.as_str(),
    });
    let Some(members) = described.as_object_mut() else { return described };
    if !resource.requirements.is_empty() {
        members.insert("description".to_owned(), resource.requirements.clone().into());
    }
    let parameters = parameters(operation, entitlement, language);
    if !parameters.is_empty() {
        members.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = request_body(operation, entitlement, language) {
        members.insert("requestBody".to_owned(), body);
    }
    list(members, "x-pinegate-grants", entitlement.grants.iter().map(AsRef::as_ref));
    list(members, "x-pinegate-purposes", entitlement.purposes.iter().map(AsRef::as_ref));
    described
}

/// Adds the first [`MAX_LISTED`] of `items`, and how many there are beyond.
fn list<'i>(members: &mut Map<String, Value>, name: &str, mut items: impl Iterator<Item = &'i str>) {
    let shown: Vec<&str> = items.by_ref().take(MAX_LISTED).collect();
    members.insert(name.to_owned(), shown.into());
    let left_out = items.count();
    if left_out > 0 {
        members.insert(format!("{name}-left-out"), left_out.into());
    }
}

/// What is known of the parameter `name`: what people call it, and what the caller's grants say of it.
fn constrained(resource: &Resource, name: &ParameterName, entitlement: &Entitlement) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("x-pinegate-parameter".to_owned(), name.as_str().into());
    if let Some(parameter) = resource.parameter(name.as_str()).filter(|known| !known.label.is_empty()) {
        members.insert("description".to_owned(), parameter.label.clone().into());
    }
    if let Some(values) = entitlement.constrained.get(name) {
        members.insert("required".to_owned(), true.into());
        list(&mut members, "x-pinegate-values", values.iter().map(String::as_str));
    }
    members
}

/// The path's variables, and where grants look for parameters; then the fields that are wanted.
fn parameters(operation: &Operation<'_>, entitlement: &Entitlement, language: Language) -> Vec<Value> {
    let resource = operation.resource;
    // By place and name, each pair once: two parameters of a grant may be found in one place.
    let mut parameters: BTreeMap<(&str, &str), Map<String, Value>> = BTreeMap::new();
    let segments = operation.template.split('/');
    for variable in segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
        parameters.insert(("path", variable), Map::new());
    }
    for (name, source) in &operation.parameters {
        let place = match source {
            ParameterSource::Path(variable) => ("path", variable.as_str()),
            ParameterSource::Query(query) => ("query", query.as_str()),
            ParameterSource::Header(header) => ("header", header.as_str()),
            ParameterSource::Body(_) => continue,
        };
        let members = constrained(resource, name, entitlement);
        parameters.entry(place).or_default().extend(members);
    }
    let takes_scope = !resource.fields.is_empty() && !parameters.contains_key(&("header", "data-scope"));
    let of = |((place, name), mut members): ((&str, &str), Map<String, Value>)| {
        members.insert("in".to_owned(), place.into());
        members.insert("name".to_owned(), name.into());
        members.insert("schema".to_owned(), json!({ "type": "string" }));
        if place == "path" {
            members.insert("required".to_owned(), true.into());
            let unnamed = || words("A segment of the path.", "路径中的一段。").to(language).into();
            members.entry("description").or_insert_with(unnamed);
        }
        Value::Object(members)
    };
    let mut parameters: Vec<Value> = parameters.into_iter().map(of).collect();
    if takes_scope {
        parameters.push(json!({ "$ref": "#/components/parameters/data-scope" }));
    }
    parameters
}

/// What is sent, on routes whose method may bring something.
fn request_body(operation: &Operation<'_>, entitlement: &Entitlement, language: Language) -> Option<Value> {
    let Operation { resource, action, .. } = operation;
    let in_body: Vec<(&ParameterName, String)> = operation
        .parameters
        .iter()
        .filter_map(|(name, source)| match source {
            ParameterSource::Body(path) => Some((*name, path.to_string())),
            ParameterSource::Path(_) | ParameterSource::Query(_) | ParameterSource::Header(_) => None,
        })
        .collect();
    let takes_body = !matches!(*operation.method, Method::GET | Method::DELETE);
    if !takes_body && operation.intake.is_none() && in_body.is_empty() {
        return None;
    }
    let (media_type, schema) = match operation.intake {
        Some(intake) => {
            let media_type = intake.shape.format.media_type().unwrap_or("*/*");
            (media_type, schema::body(resource, action, &intake.shape))
        }
        None if in_body.is_empty() => ("*/*", json!({})),
        None => ("application/json", schema::of_paths(in_body.iter().map(|(_, path)| path.as_str()))),
    };
    let mut body = json!({
        "content": { media_type: schema },
        "x-pinegate-max-bytes": operation.max_request_body.get(),
    });
    let members = body.as_object_mut()?;
    let is_required = in_body.iter().any(|(name, _)| entitlement.constrained.contains_key(*name));
    if is_required {
        members.insert("required".to_owned(), true.into());
    }
    if let Some(intake) = operation.intake {
        members.insert("description".to_owned(), schema::held(intake.fields).to(language).into());
    }
    if !in_body.is_empty() {
        let shown = in_body.into_iter().map(|(name, path)| {
            let mut members = constrained(resource, name, entitlement);
            members.insert("in".to_owned(), path.into());
            Value::Object(members)
        });
        members.insert("x-pinegate-body-parameters".to_owned(), shown.collect());
    }
    Some(body)
}

fn responses(operation: &Operation<'_>, language: Language) -> Value {
    let Operation { resource, action, .. } = operation;
    let content = match resource.body.format {
        BodyFormat::Opaque => json!({}),
        BodyFormat::Json
        | BodyFormat::NdJson
        | BodyFormat::EventStream
        | BodyFormat::Csv
        | BodyFormat::Xml
        | BodyFormat::Form => schema::body(resource, action, &resource.body),
    };
    let mut responses = shared::refusals();
    // A platform that took something may say so in more than one way.
    let status = if *operation.method == Method::GET { "200" } else { "2XX" };
    let reply = json!({
        "description": words("What your grants let out of the platform's answer.", "平台的应答中，授权允许外传的部分。").to(language),
        "headers": shared::reply_headers(),
        "content": { operation.media_type.as_ref(): content },
    });
    responses.insert(status.to_owned(), reply);
    if operation.opens_sessions {
        let description =
            words("A WebSocket session, where one was asked for.", "请求打开时，为 WebSocket 会话。");
        responses.insert("101".to_owned(), json!({ "description": description.to(language) }));
    }
    Value::Object(responses)
}

#[cfg(test)]
mod tests;
