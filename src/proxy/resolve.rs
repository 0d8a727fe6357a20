//! Stages 7 and 8: normalise the head, then route it to a catalogue resource and an action.

use std::sync::Arc;

use http::Method;

use super::exchange::{Caller, Draft, Exchange};
use super::failure::{Failure, RequestFailure};
use super::normalize::{NormalHead, normalize};
use super::routes::{PathVariables, Route};
use super::stage::Check;
use super::subjects;
use crate::catalog::Sharing;
use crate::config::ParameterSource;

/// A request whose head has one reading only.
#[derive(Debug)]
pub(crate) struct Normalized {
    exchange: Box<Exchange>,
    head: NormalHead,
}

impl Normalized {
    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    pub(crate) fn head(&self) -> &NormalHead {
        &self.head
    }

    /// Whom the certificate names. Taken once, by whoever insists on it.
    pub(crate) fn take_caller(&mut self) -> Result<Arc<Caller>, Failure> {
        std::mem::replace(&mut self.exchange.caller, Err(Failure::Gate))
    }
}

/// The stage `normalize`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Normalize;

impl Check for Normalize {
    type In = Box<Exchange>;
    type Out = Normalized;

    fn check(&self, mut exchange: Box<Exchange>) -> Result<Normalized, Failure> {
        if let Some(fault) = exchange.fault {
            return Err(RequestFailure::Wire(fault).into());
        }
        let head = normalize(&mut exchange.parts)?;
        // To many servers it has no meaning there (RFC 9110, section 9.3.1), and one that passes over it would
        // take it for the next request.
        if matches!(exchange.parts.method, Method::GET | Method::HEAD) && !exchange.body.is_nothing() {
            return Err(RequestFailure::Content.into());
        }
        Ok(Normalized { exchange, head })
    }
}

/// A request for a resource of the catalogue.
#[derive(Debug)]
pub(crate) struct Routed {
    normalized: Normalized,
    route: Arc<Route>,
    /// The path's variable segments, decoded.
    variables: PathVariables,
}

impl Routed {
    pub(crate) fn exchange(&self) -> &Exchange {
        self.normalized.exchange()
    }

    pub(crate) fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.normalized.exchange
    }

    pub(crate) fn head(&self) -> &NormalHead {
        self.normalized.head()
    }

    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Every value of the parameter that is found in `source`; of the body none, which has not been read.
    pub(crate) fn values_of(&self, source: &ParameterSource) -> Vec<String> {
        match source {
            ParameterSource::Path(name) => {
                self.variables.iter().filter(|(known, _)| known == name).map(|(_, v)| v.clone()).collect()
            }
            ParameterSource::Query(name) => {
                let pairs = self.head().query.parameters.iter();
                pairs.filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
            }
            ParameterSource::Header(name) => {
                let values = self.exchange().parts.headers.get_all(name).iter();
                values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
            }
            ParameterSource::Body(_) => Vec::new(),
        }
    }

    /// Whom the certificate names. Taken once, by the stage that insists on it.
    pub(crate) fn take_caller(&mut self) -> Result<Arc<Caller>, Failure> {
        self.normalized.take_caller()
    }

    /// Gives up the types for the parts that are forwarded.
    pub(crate) fn into_parts(self) -> (Box<Exchange>, NormalHead) {
        (self.normalized.exchange, self.normalized.head)
    }
}

/// The stage `resolve`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolve;

impl Check for Resolve {
    type In = Normalized;
    type Out = Routed;

    fn check(&self, normalized: Normalized) -> Result<Routed, Failure> {
        let exchange = normalized.exchange();
        let (route, variables) =
            exchange.snapshot.routes.find(&exchange.parts.method, &normalized.head.path.decoded)?;
        Draft::note(&exchange.draft.route, Arc::clone(&route));
        match normalized.head.session.as_deref() {
            None => {}
            Some(_) if route.upgrade.is_none() => return Err(RequestFailure::Upgrade.into()),
            Some(Ok(_)) => {}
            Some(Err(why)) => return Err(RequestFailure::Handshake { why: *why }.into()),
        }
        let routed = Routed { normalized, route, variables };
        // Whoever is refused from here on was asked for all the same.
        subjects::note_of_head(&routed);
        if routed.route.resource.sharing == Sharing::None {
            // Before anything else could tell it from a path that is not there.
            return Err(Failure::ResourceUnknown);
        }
        Ok(routed)
    }
}
