//! Routes: what the configuration says of them, held against the catalogue.

use std::sync::Arc;

use http::HeaderValue;

use super::upstreams::Upstreams;
use super::{Section, at_section, place_of};
use crate::catalog::{BodyFormat, BodyShape, Catalog, Resource, XmlNames};
use crate::config::{self, Config, ParameterSource};
use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};
use crate::mask::{Maskers, Plan, PlanSpec};
use crate::parameters::{BodyParameters, BodyPath};
use crate::proxy::{Declared, Intake, Route, RouteParameter, Routes};
use crate::telemetry::Metrics;

pub(super) fn routes(
    config: &Config,
    catalog: &Catalog,
    upstreams: &Upstreams,
    metrics: &Metrics,
    report: &mut Report,
) -> Option<Routes> {
    let mut routes = Vec::new();
    for configured in &config.routes {
        if let Some(route) = route(configured, config, catalog, upstreams, metrics, report) {
            routes.push(route);
        }
    }
    match Routes::new(routes) {
        Ok(routes) => Some(routes),
        Err(conflict) => {
            report.push(at_section(
                config,
                Section::first("[route]"),
                "route-conflict",
                crate::kernel::diagnostic::chain(&conflict),
            ));
            None
        }
    }
}

fn route(
    configured: &config::Route,
    config: &Config,
    catalog: &Catalog,
    upstreams: &Upstreams,
    metrics: &Metrics,
    report: &mut Report,
) -> Option<Route> {
    let source = &config.source;
    let mut unknown = |what: &str, name: &str, help: String| {
        let span = place_of(source, &configured.span, name);
        report.push(
            Diagnostic::error("unknown-id", source, span, format!("`{name}` is not {what}")).help(help),
        );
    };
    let Some(resource) = catalog.resources.get(&configured.resource) else {
        let name = configured.resource.as_str();
        let known = catalog.resources.keys().map(AsRef::<str>::as_ref);
        let help = did_you_mean(name, known).map_or_else(
            || "name a resource of `catalog.toml`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        unknown("a resource of the catalogue", name, help);
        return None;
    };
    if !resource.actions.contains(&configured.action) {
        let actions: Vec<&str> = resource.actions.iter().map(AsRef::as_ref).collect();
        let help = format!("the catalogue has for `{}`: {}", resource.id, actions.join(", "));
        unknown("an action of this resource", configured.action.as_str(), help);
    }
    let mut parameters = Vec::new();
    for (name, from) in &configured.parameters {
        match resource.parameter(name.as_str()) {
            Some(parameter) => parameters.push(RouteParameter {
                name: name.clone(),
                source: from.clone(),
                recordable: parameter.recordable,
                subject: parameter.subject.clone(),
            }),
            None => {
                let known: Vec<&str> = resource.parameters.iter().map(|it| it.name.as_str()).collect();
                let help = format!("the catalogue has for `{}`: {}", resource.id, known.join(", "));
                unknown("a parameter of this resource", name.as_str(), help);
            }
        }
    }
    let intake =
        configured.request.as_ref().and_then(|rule| intake(rule, resource, &parameters, source, report));
    let provider = catalog.registry.departments.get(&resource.provider)?;
    let upstream = upstreams.get(configured.upstream.as_str())?;
    check_media_type(configured, source, resource, report);
    check_upgrade(configured, source, resource, report);
    Some(Route {
        method: configured.method.as_method().clone(),
        template: configured.path.to_string(),
        resource: Arc::clone(resource),
        action: configured.action.clone(),
        provider: Arc::clone(provider),
        upstream: Arc::clone(upstream),
        partition: upstream.partition(&resource.provider),
        accept_encoding: accept_encoding(configured, config),
        declared: Declared::new(resource.body.format, configured.media_type.clone()),
        compress: configured.compress,
        body: body_parameters(&parameters),
        intake,
        parameters,
        purpose: configured.purpose,
        denials: configured.denials,
        forward_token: configured.forward_token,
        pass_headers: configured.pass_headers.clone(),
        max_request_body: configured.max_request_body,
        timeout: configured.timeout,
        upgrade: configured.upgrade,
        metrics: metrics.resource(Some(&resource.id)),
        egress: resource.egress.map(|action| metrics.egress(&resource.id, action)),
        updated: resource.update_period().map(|period| metrics.updated(&resource.id, period)),
    })
}

/// In a session nobody masks, drops, counts or searches: only what is granted whole or not at all can come in one.
fn check_upgrade(configured: &config::Route, source: &Source, resource: &Resource, report: &mut Report) {
    if configured.upgrade.is_none() || resource.body.format == BodyFormat::Opaque {
        return;
    }
    let (id, format) = (&resource.id, resource.body.format.as_str());
    let message = format!(
        "`{id}` has format `{format}`, whose fields are masked, and in a WebSocket session nothing can be"
    );
    let help = "a session gives a resource whole or not at all: name one whose format is `opaque`, or remove `upgrade`";
    let span = place_of(source, &configured.span, "upgrade");
    report.push(Diagnostic::error("route-upgrade", source, span, message).help(help));
}

/// A resource cannot come as what it is not.
fn check_media_type(configured: &config::Route, source: &Source, resource: &Resource, report: &mut Report) {
    let Some(media_type) = &configured.media_type else { return };
    let format = resource.body.format;
    let name = format.as_str();
    let message = if !format.may_be_sent_as(media_type) {
        format!("the route says `{media_type}`, and no resource of format `{name}` comes as that")
    } else if !format.may_be_in(media_type.charset().ok().flatten().unwrap_or_default()) {
        format!("the route says `{media_type}`, and a resource of format `{name}` is always UTF-8")
    } else {
        return;
    };
    let span = place_of(source, &configured.span, "media_type");
    let help = match format.media_type() {
        Some(usual) => format!("leave `media_type` out where the platform sends `{usual}`"),
        None => "name the one media type that the file has".to_owned(),
    };
    report.push(Diagnostic::error("bad-media-type", source, span, message).help(help));
}

/// What the upstream of a route is asked for (RFC 9110, section 12.5.3).
fn accept_encoding(configured: &config::Route, config: &Config) -> HeaderValue {
    let upstream = config.upstreams.iter().find(|upstream| upstream.id == configured.upstream);
    let codings = upstream.map_or(&[][..], |upstream| &upstream.accept_encoding);
    let names: Vec<&str> = codings.iter().map(|coding| coding.as_str()).collect();
    HeaderValue::from_str(&names.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("identity"))
}

/// How the bodies of a route's requests are held against permits, or what keeps them from it.
fn intake(
    rule: &config::RequestRule,
    resource: &Resource,
    parameters: &[RouteParameter],
    source: &Source,
    report: &mut Report,
) -> Option<Arc<Intake>> {
    let mut refuse = |message: String, help: &str| {
        let finding = Diagnostic::error("request-shape", source, rule.span.clone(), message);
        report.push(finding.help(help));
        None
    };
    if resource.fields.is_empty() {
        let message = format!("`{}` has no fields that a body could be held against", resource.id);
        return refuse(message, "declare them in `catalog.toml`, or remove `request`");
    }
    let format = rule.format.unwrap_or(resource.body.format);
    let in_body = |parameter: &RouteParameter| matches!(parameter.source, ParameterSource::Body(_));
    if format != BodyFormat::Json && parameters.iter().any(in_body) {
        let message = format!("parameters are in a JSON body, and this one is `{}`", format.as_str());
        return refuse(message, "write `format = \"json\"`, or take the parameters from elsewhere");
    }
    if !matches!(format, BodyFormat::Json | BodyFormat::Xml) && rule.records.is_some() {
        let message = format!("`records` means nothing where the body is `{}`", format.as_str());
        return refuse(message, "remove `records` and `envelope`, or write `format = \"json\"`");
    }
    let shape = BodyShape {
        format,
        records: rule.records.clone(),
        envelope: rule.envelope.clone(),
        xml: XmlNames { records: Vec::new(), ..resource.body.xml.clone() },
        ..resource.body.clone()
    };
    let (maskers, catalogue) = (Maskers::default(), resource.fields.as_slice());
    let spec = PlanSpec { shape: &shape, fields: &[], catalogue, maskers: &maskers, key: None, egress: None };
    if let Err(error) = Plan::refusing(&spec) {
        return refuse(format!("a body cannot be read like this: {error}"), "name each member once");
    }
    Some(Arc::new(Intake { fields: rule.fields, shape }))
}

/// What a route reads of request bodies before the decision, if anything.
fn body_parameters<'p>(parameters: &'p [RouteParameter]) -> Option<BodyParameters> {
    let path = |parameter: &'p RouteParameter| match &parameter.source {
        ParameterSource::Body(path) => Some(path),
        ParameterSource::Path(_) | ParameterSource::Query(_) | ParameterSource::Header(_) => None,
    };
    let paths: Vec<&BodyPath> = parameters.iter().filter_map(path).collect();
    let elsewhere = parameters.iter().filter_map(|parameter| match &parameter.source {
        ParameterSource::Path(name) | ParameterSource::Query(name) => Some(name.as_str()),
        ParameterSource::Header(_) | ParameterSource::Body(_) => None,
    });
    let subjects = parameters.iter().filter(|parameter| parameter.subject.is_some()).filter_map(path);
    (!paths.is_empty())
        .then(|| subjects.fold(BodyParameters::new(&paths, elsewhere), BodyParameters::insisting))
}
