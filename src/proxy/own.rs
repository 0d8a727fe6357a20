//! The gate's own pages for developers, under `/.well-known/pinegate/`: what there is, what the
//! caller may do, and how it is called. They need an identified system and no purpose, and hold no data of the platform.

mod openapi;

use std::task::{Context, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Response};
use serde_json::{Value, json};
use tower::{Layer, Service};

use super::body::ReplyBody;
use super::exchange::{Caller, Exchange};
use super::failure::{Failure, RequestFailure};
use super::resolve::Normalized;
use super::stage::CheckedFuture;
use crate::catalog::{FieldType, Resource, Sharing};

/// Where the pages are.
const PREFIX: &str = "/.well-known/pinegate/";

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own;

impl<S> Layer<S> for Own {
    type Service = OwnPages<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OwnPages { inner }
    }
}

/// A service that answers the gate's own pages itself.
#[derive(Debug, Clone)]
pub(crate) struct OwnPages<S> {
    inner: S,
}

impl<S> Service<Normalized> for OwnPages<S>
where
    S: Service<Normalized, Response = Response<ReplyBody>, Error = Failure>,
{
    type Response = Response<ReplyBody>;
    type Error = Failure;
    type Future = CheckedFuture<S::Future, Response<ReplyBody>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Normalized) -> Self::Future {
        let page = request.head().path.decoded.strip_prefix(PREFIX).map(str::to_owned);
        match page {
            Some(page) => CheckedFuture::ready(answer(&page, &mut request)),
            None => CheckedFuture::Passed { inner: self.inner.call(request) },
        }
    }
}

fn answer(page: &str, request: &mut Normalized) -> Result<Response<ReplyBody>, Failure> {
    if request.head().session.is_some() {
        return Err(RequestFailure::Upgrade.into());
    }
    let caller = request.take_caller()?;
    let exchange = request.exchange();
    let content: fn(&Exchange, &Caller) -> Value = match page {
        "grants" => grants,
        "catalog" => |exchange, _anybody| catalog(exchange),
        "openapi.json" => openapi,
        _ => return Err(Failure::ResourceUnknown),
    };
    let method = &exchange.parts.method;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(RequestFailure::Method { allowed: vec![Method::GET] }.into());
    }
    let mut body = serde_json::to_vec_pretty(&content(exchange, &caller)).map_err(|_| Failure::Gate)?;
    body.push(b'\n');
    let is_head = *method == Method::HEAD;
    let mut response = Response::new(if is_head { ReplyBody::empty() } else { ReplyBody::whole(body) });
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn grants(exchange: &Exchange, caller: &Caller) -> Value {
    let (snapshot, now) = (&exchange.snapshot, exchange.draft.received);
    let system = &caller.system;
    let grants: Vec<Value> = snapshot
        .policy
        .grants_of(&system.id, now)
        .into_iter()
        .map(|grant| {
            json!({
                "id": grant.id.as_str(),
                "given_to": grant.subject,
                "resources": grant.resources.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
                "actions": grant.actions.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
                "purposes": grant.purposes.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
                "scope": grant.scope,
                "window": grant.window,
                "begins": grant.begins.map(|at| at.to_string()),
                "expires": grant.expires.map(|at| at.to_string()),
                "rows_per_reply": grant.rows_per_reply,
                "rows_per_day": grant.rows_per_day,
                "rows_left_today": snapshot.limiter.rows_left(now, &system.id, std::slice::from_ref(&grant.id)),
            })
        })
        .collect();
    json!({
        "system": { "id": system.id.as_str(), "name": system.name },
        "department": { "id": caller.department.id.as_str(), "name": caller.department.name },
        "policy": snapshot.policy_digest_hex,
        "grants": grants,
    })
}

fn catalog(exchange: &Exchange) -> Value {
    let catalog = &exchange.snapshot.catalog;
    let visible = catalog.resources.values().filter(|resource| resource.sharing != Sharing::None);
    let resources: Vec<Value> = visible
        .map(|resource| {
            let provider = catalog.registry.departments.get(&resource.provider);
            json!({
                "id": resource.id.as_str(),
                "name": resource.name,
                "class": resource.class,
                "sharing": resource.sharing.as_str(),
                "actions": resource.actions.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
                "update_within": resource.update_within,
                "requirements": resource.requirements,
                "provider": provider.map(|provider| json!({
                    "id": provider.id.as_str(), "name": provider.name, "contact": provider.contact,
                })),
                "fields": fields(resource),
                "groups": resource.groups.iter().map(|(name, paths)| {
                    (format!("@{name}"), paths.iter().map(ToString::to_string).collect::<Vec<_>>())
                }).collect::<std::collections::BTreeMap<_, _>>(),
                "parameters": resource.parameters.iter().map(|parameter| json!({
                    "name": parameter.name.as_str(), "label": parameter.label,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let purposes: Vec<Value> = catalog
        .purposes
        .values()
        .map(|purpose| json!({ "code": purpose.code.as_str(), "label": purpose.label }))
        .collect();
    json!({ "policy": exchange.snapshot.policy_digest_hex, "purposes": purposes, "resources": resources })
}

fn openapi(exchange: &Exchange, caller: &Caller) -> Value {
    let (snapshot, draft) = (&exchange.snapshot, &exchange.draft);
    openapi::document(&openapi::Contents {
        operations: snapshot.routes.all().filter_map(openapi::Operation::of).collect(),
        holdings: snapshot.policy.holdings(&caller.system.id, draft.received),
        policy: &snapshot.policy_digest_hex,
        language: draft.language,
    })
}

fn fields(resource: &Resource) -> Vec<Value> {
    let name_of = |kind| match kind {
        FieldType::String => "string",
        FieldType::Number => "number",
        FieldType::Boolean => "boolean",
        FieldType::Date => "date",
        FieldType::Object => "object",
    };
    resource
        .fields
        .iter()
        .map(|field| {
            json!({
                "name": field.path.as_str(),
                "label": field.label,
                "type": name_of(field.kind),
                "level": field.level.get(),
                "mask": field.mask.as_ref().map(AsRef::<str>::as_ref),
            })
        })
        .collect()
}
