//! Stages 10 to 12: throttle, authorize, quota. Limits that know nothing of grants come before the
//! decision, so that a noisy caller burns no policy time; those of the grants come after it. Between
//! the first two, `collect` reads what the decision needs of the body.

use std::sync::Arc;

use super::collect::Collected;
use super::exchange::{Caller, Draft, Exchange};
use super::failure::{Denied, Failure};
use super::identify::Identified;
use super::normalize::NormalHead;
use super::routes::Route;
use super::stage::Check;
use super::tether::Decided;
use crate::config::Denials;
use crate::grant::{DenyReason, Permit, Query};
use crate::kernel::id::PurposeCode;
use crate::quota::QuotaError;
use crate::quota::limiter::Admission;

/// What a limit that is used up, or does not exist, leads to.
pub(crate) fn limited(error: QuotaError) -> Failure {
    match error {
        QuotaError::Exceeded(exceeded) => Failure::Limited(Box::new(exceeded)),
        QuotaError::Unregistered { .. } | QuotaError::TooManyCounters { .. } | QuotaError::TooManyTallies => {
            Failure::Gate
        }
    }
}

/// A request within the limits of its system, department and resource.
#[derive(Debug)]
pub(crate) struct Throttled {
    identified: Identified,
    admission: Admission,
}

impl Throttled {
    /// Gives up the proof for what it proves.
    pub(super) fn into_parts(self) -> (Identified, Admission) {
        (self.identified, self.admission)
    }
}

/// The stage `throttle`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throttle;

impl Check for Throttle {
    type In = Identified;
    type Out = Throttled;

    fn check(&self, identified: Identified) -> Result<Throttled, Failure> {
        let routed = identified.routed();
        let exchange = routed.exchange();
        let (system, resource) = (&identified.caller().system.id, &routed.route().resource.id);
        let admission =
            exchange.snapshot.limiter.throttle(exchange.draft.received, system, resource).map_err(limited)?;
        Draft::note(&exchange.draft.throttled, ());
        Ok(Throttled { identified, admission })
    }
}

/// A request the policy permits, with the permit.
#[derive(Debug)]
pub(crate) struct Permitted {
    identified: Identified,
    admission: Admission,
    permit: Arc<Permit>,
}

/// The stage `authorize`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorize;

impl Check for Authorize {
    type In = Collected;
    type Out = Permitted;

    fn check(&self, collected: Collected) -> Result<Permitted, Failure> {
        let (identified, admission) = collected.into_parts();
        let (routed, caller) = (identified.routed(), identified.caller());
        let (exchange, route) = (routed.exchange(), routed.route());
        let query = Query {
            system: &caller.system.id,
            department: &caller.department.id,
            resource: &route.resource.id,
            action: &route.action,
            purpose: identified.purpose(),
            fields: identified.requested(),
            parameters: identified.parameters(),
            narrowed_to: identified.narrowed_to(),
        };
        let policy = &exchange.snapshot.policy;
        let decision = policy.permit(&query, exchange.draft.received);
        exchange.draft.note_decided(exchange.draft.started.elapsed());
        if let Some(shadow) = &exchange.snapshot.shadow
            && let Some(change) = shadow.compare(&query, decision.as_ref().ok(), &exchange.draft)
        {
            Draft::note(&exchange.draft.shadow, change);
        }
        match decision {
            Ok(permit) => {
                let permit = Arc::new(permit);
                Draft::note(&exchange.draft.permit, Arc::clone(&permit));
                Ok(Permitted { identified, admission, permit })
            }
            Err(reason) => {
                let denial = policy.denial(&query, reason, exchange.draft.received);
                let is_known = denial.reason != DenyReason::ResourceUnknown;
                let contact = is_known.then(|| contact_of(route));
                let coarse = route.denials == Denials::Coarse;
                Draft::note(&exchange.draft.denied_by, denial.denied_by.clone());
                Err(Failure::Denied(Box::new(Denied { denial, contact, coarse })))
            }
        }
    }
}

fn contact_of(route: &Route) -> String {
    route.provider.contact.clone()
}

/// A request that may be forwarded: permitted, and within the limits of its grants.
#[derive(Debug)]
pub(crate) struct Metered {
    identified: Identified,
    permit: Arc<Permit>,
    admission: Admission,
}

/// What is left of a request when it is forwarded.
pub(crate) struct Cleared {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) head: NormalHead,
    pub(crate) route: Arc<Route>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) purpose: PurposeCode,
    /// What a reply that streams hangs on; taken by whoever makes it.
    pub(crate) decided: Option<Decided>,
    pub(crate) permit: Arc<Permit>,
    pub(crate) admission: Admission,
}

impl Metered {
    /// Gives up the proof for what it proves.
    pub(crate) fn clear(self) -> Cleared {
        let Self { identified, permit, admission } = self;
        let (routed, caller, request) = identified.into_asked();
        let route = Arc::clone(routed.route());
        let (exchange, head) = routed.into_parts();
        let purpose = request.purpose.clone();
        let (revision, draft) = (exchange.snapshot.revision, Arc::clone(&exchange.draft));
        let decided = Some(Decided::new(request, &permit, revision, draft));
        Cleared { exchange, head, route, caller, purpose, decided, permit, admission }
    }
}

/// The stage `quota`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota;

impl Check for Quota {
    type In = Permitted;
    type Out = Metered;

    fn check(&self, permitted: Permitted) -> Result<Metered, Failure> {
        let Permitted { identified, admission, permit } = permitted;
        let routed = identified.routed();
        let exchange = routed.exchange();
        let (system, resource) = (&identified.caller().system.id, &routed.route().resource.id);
        let of_grants = exchange
            .snapshot
            .limiter
            .admit_grants(exchange.draft.received, system, resource, &permit.grants)
            .map_err(limited)?;
        Draft::note(&exchange.draft.admitted, ());
        Ok(Metered { identified, permit, admission: admission.and(of_grants) })
    }
}
