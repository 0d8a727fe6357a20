//! The routes of one snapshot: method and path to a catalogue resource and an action.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::body::Upload;
use super::failure::{Failure, RequestFailure};
use super::media::Declared;
use crate::catalog::{BodyShape, Department, Resource, Sharing};
use crate::config::{Compress, Denials, ParameterSource, PurposeSource, RequestFields, Upgrade};
use crate::kernel::bound::ByteLimit;
use crate::kernel::id::{Action, ParameterName, SubjectKind};
use crate::parameters::BodyParameters;
use crate::telemetry::{EgressMetrics, Gauge, ResourceMetrics};
use crate::upstream::Upstream;
use crate::upstream::bulkhead::Bulkhead;

/// One route with everything a request on it needs, looked up beforehand.
#[derive(Debug)]
pub(crate) struct Route {
    /// The method it answers.
    pub(crate) method: Method,
    /// Its path template, which stands for the path in records.
    pub(crate) template: String,
    /// What it gives.
    pub(crate) resource: Arc<Resource>,
    /// What it does with it.
    pub(crate) action: Action,
    /// Who answers for the resource.
    pub(crate) provider: Arc<Department>,
    /// Where it is forwarded to.
    pub(crate) upstream: Arc<Upstream<Upload>>,
    /// The places there for the resources of its provider, if they have a bound of their own.
    pub(crate) partition: Option<Arc<Bulkhead>>,
    /// The content codings that the platform is asked for.
    pub(crate) accept_encoding: HeaderValue,
    /// What the platform must send.
    pub(crate) declared: Declared,
    /// When its replies leave in a content coding.
    pub(crate) compress: Compress,
    /// Where the parameters that grants may constrain are found.
    pub(crate) parameters: Vec<RouteParameter>,
    /// What is read of a request's body before the decision; most routes need nothing of it.
    pub(crate) body: Option<BodyParameters>,
    /// What a request's body is held against the permit by; most routes let it pass as it is.
    pub(crate) intake: Option<Arc<Intake>>,
    /// How it learns the purpose.
    pub(crate) purpose: PurposeSource,
    /// How much its refusals tell.
    pub(crate) denials: Denials,
    /// Whether the client's token is passed on.
    pub(crate) forward_token: bool,
    /// Header fields that are passed on beside the usual ones.
    pub(crate) pass_headers: Vec<HeaderName>,
    /// The largest request body.
    pub(crate) max_request_body: ByteLimit,
    /// The bound on the whole request up to the head of the reply.
    pub(crate) timeout: Duration,
    /// Which protocol a request may ask for in place of a reply, if any.
    pub(crate) upgrade: Option<Upgrade>,
    /// The counters of its resource.
    pub(crate) metrics: ResourceMetrics,
    /// The counters of what is found in its replies, if they are searched.
    pub(crate) egress: Option<EgressMetrics>,
    /// When its data were last refreshed, if the catalogue says how old they may be.
    pub(crate) updated: Option<Gauge>,
}

/// How the fields in a request's body are held against the permit.
#[derive(Debug)]
pub(crate) struct Intake {
    /// What becomes of those that are not released.
    pub(crate) fields: RequestFields,
    /// Where in the body they are.
    pub(crate) shape: BodyShape,
}

/// One parameter of a route that grants may constrain.
#[derive(Debug)]
pub(crate) struct RouteParameter {
    /// Its name in scopes.
    pub(crate) name: ParameterName,
    /// Where it is found.
    pub(crate) source: ParameterSource,
    /// Whether its value may stand in a record.
    pub(crate) recordable: bool,
    /// What it names, if that is a person or a company.
    pub(crate) subject: Option<SubjectKind>,
}

/// Why routes cannot be used together.
#[derive(Debug, thiserror::Error)]
#[error("the path `{path}` cannot stand beside another route")]
pub(crate) struct RouteConflict {
    /// The later of the two.
    pub(crate) path: String,
    /// Why.
    pub(crate) source: matchit::InsertError,
}

/// All routes, by path and then by method.
#[derive(Debug)]
pub(crate) struct Routes {
    paths: matchit::Router<Vec<Arc<Route>>>,
    /// All of them, by template and then by method.
    all: Vec<Arc<Route>>,
    /// The templates of those on which sessions may be opened.
    sessions: HashSet<String>,
}

/// A path's variable segments, by name.
pub(crate) type PathVariables = Vec<(String, String)>;

impl Routes {
    /// Indexes `routes`.
    ///
    /// # Errors
    /// When two path templates overlap without one being more specific.
    pub(crate) fn new(routes: Vec<Route>) -> Result<Self, RouteConflict> {
        let of_sessions = routes.iter().filter(|route| route.upgrade.is_some());
        let sessions = of_sessions.map(|route| route.template.clone()).collect();
        let mut by_path: BTreeMap<String, Vec<Arc<Route>>> = BTreeMap::new();
        for route in routes {
            by_path.entry(route.template.clone()).or_default().push(Arc::new(route));
        }
        let mut paths = matchit::Router::new();
        let mut all = Vec::new();
        for (path, mut routes) in by_path {
            routes.sort_by(|one, other| one.method.as_str().cmp(other.method.as_str()));
            all.extend(routes.iter().cloned());
            paths.insert(path.clone(), routes).map_err(|source| RouteConflict { path, source })?;
        }
        Ok(Self { paths, all, sessions })
    }

    /// All routes, by template and then by method.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Route> {
        self.all.iter().map(Arc::as_ref)
    }

    /// Whether sessions may be opened on the route of this template.
    pub(crate) fn opens_sessions(&self, template: &str) -> bool {
        self.sessions.contains(template)
    }

    /// The route for `method` and the decoded `path`.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<(Arc<Route>, PathVariables), Failure> {
        let matched = self.paths.at(path).map_err(|_| Failure::ResourceUnknown)?;
        // HEAD is GET without a body (RFC 9110, section 9.3.2).
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        let Some(route) = matched.value.iter().find(|route| route.method == *wanted) else {
            // What may not be known to exist has no methods either.
            if matched.value.iter().all(|route| route.resource.sharing == Sharing::None) {
                return Err(Failure::ResourceUnknown);
            }
            let allowed = matched.value.iter().map(|route| route.method.clone()).collect();
            return Err(RequestFailure::Method { allowed }.into());
        };
        let variables =
            matched.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok((Arc::clone(route), variables))
    }
}
