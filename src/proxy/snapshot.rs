//! All that reloads together.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::body::Upload;
use super::exchange::Caller;
use super::routes::{Intake, Routes};
use super::shadow::Shadow;
use crate::audit::DigestKey;
use crate::catalog::{Catalog, Resource};
use crate::coding;
use crate::config::RequestFields;
use crate::grant::ReleasedField;
use crate::identity::{Identities, TokenVerifier};
use crate::kernel::id::{DepartmentId, Digest, FieldPath, ResourceId, SystemId};
use crate::kernel::time::Timestamp;
use crate::mask::{Maskers, Plan, PlanError, PlanSpec, PseudonymKey, PseudonymKeys};
use crate::policy::Policy;
use crate::quota::limiter::Limiter;
use crate::tls::ClientVerifier;
use crate::upstream::Upstream;

/// How many compiled masking plans a snapshot keeps.
const MAX_PLANS: usize = 4_096;

/// The most bytes of field names that one list of `Pinegate-Masked` shows.
const MAX_ANNOUNCED_BYTES: usize = 2 << 10;

/// Policy, routes, limits and trust at one revision: immutable, swapped whole. Each request is judged by
/// exactly one, and its record names the digests.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Counts up with each swap.
    pub(crate) revision: u64,
    /// The digest of the policy directory.
    pub(crate) policy_digest: Digest,
    /// The same as text, for records.
    pub(crate) policy_digest_hex: String,
    /// The digest of the gateway configuration.
    pub(crate) config_digest: Digest,
    /// The same as text, for records.
    pub(crate) config_digest_hex: String,
    /// The vocabulary.
    pub(crate) catalog: Catalog,
    /// The grants and the model.
    pub(crate) policy: Policy,
    /// A candidate that decides beside it and enforces nothing.
    pub(crate) shadow: Option<Shadow>,
    /// Rates, concurrency and quotas.
    pub(crate) limiter: Arc<Limiter>,
    /// Certificates to systems.
    pub(crate) identities: Identities,
    /// Purpose tokens.
    pub(crate) tokens: TokenVerifier,
    /// `WWW-Authenticate` of a 401.
    pub(crate) challenge: String,
    /// Client certificates, for connections that outlive a reload.
    pub(crate) client_verifier: Arc<ClientVerifier>,
    /// Paths to resources.
    pub(crate) routes: Routes,
    /// The platform's services, by id.
    pub(crate) upstreams: HashMap<String, Arc<Upstream<Upload>>>,
    /// Whoever may call, by system.
    pub(crate) callers: foldhash::HashMap<SystemId, Arc<Caller>>,
    /// Masking plans.
    pub(crate) plans: Plans,
    /// The key of the digests in records, if there is one.
    pub(crate) digests: Option<DigestKey>,
    /// What is bounded per request.
    pub(crate) bounds: RequestBounds,
}

/// The bounds that a request meets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestBounds {
    /// Requests in work at once.
    pub(crate) requests: usize,
    /// A reply up to this size is masked whole before its first byte leaves, in bytes.
    pub(crate) whole_reply: usize,
    /// What a coded answer may decode to.
    pub(crate) decoded: coding::Bounds,
    /// The largest request body that is read before the decision, in bytes.
    pub(crate) decision_body: u64,
    /// A request body up to this size is held against the permit whole before its first byte goes on,
    /// in bytes.
    pub(crate) whole_request: usize,
}

/// What a plan was compiled from. Equal permits share one list of fields, so its address names it;
/// the key keeps the list alive, so no other list can come to have that address.
#[derive(Debug, Clone)]
struct PlanKey {
    resource: ResourceId,
    department: DepartmentId,
    fields: Arc<[ReleasedField]>,
    /// The bodies of which requests it is for, by address; of replies if of none.
    intake: Option<Arc<Intake>>,
    /// The place of the secret: when another one's time begins, plans are compiled anew.
    secret: Option<usize>,
}

impl PartialEq for PlanKey {
    fn eq(&self, other: &Self) -> bool {
        let is_same_way = match (&self.intake, &other.intake) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        is_same_way
            && Arc::ptr_eq(&self.fields, &other.fields)
            && self.department == other.department
            && self.resource == other.resource
            && self.secret == other.secret
    }
}

impl Eq for PlanKey {}

impl Hash for PlanKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fields.as_ptr().hash(state);
        self.department.hash(state);
        self.secret.hash(state);
    }
}

/// A compiled plan, and what it is announced as.
#[derive(Debug)]
pub(crate) struct AnnouncedPlan {
    /// The plan.
    pub(crate) plan: Arc<Plan>,
    /// The value of `Pinegate-Masked`: which fields the plan masks and drops.
    pub(crate) header: HeaderValue,
}

/// Masking plans, compiled when first needed and kept.
#[derive(Debug)]
pub(crate) struct Plans {
    maskers: Maskers,
    keys: PseudonymKeys,
    compiled: quick_cache::sync::Cache<PlanKey, Arc<AnnouncedPlan>>,
}

impl Plans {
    /// No plans yet.
    #[must_use]
    pub(crate) fn new(maskers: Maskers, keys: PseudonymKeys) -> Self {
        Self { maskers, keys, compiled: quick_cache::sync::Cache::new(MAX_PLANS) }
    }

    /// The plan that lets `fields` of `resource` out to `department`, under the secret of `now`.
    ///
    /// # Errors
    /// When the fields cannot be masked as the permit says; then nothing may leave.
    pub(crate) fn plan(
        &self,
        resource: &Resource,
        department: &DepartmentId,
        fields: &Arc<[ReleasedField]>,
        now: Timestamp,
    ) -> Result<Arc<AnnouncedPlan>, PlanError> {
        self.compiled(resource, department, fields, None, now)
    }

    /// The plan that `fields` of `resource` go by on their way from `department` to the platform.
    ///
    /// # Errors
    /// As for [`Plans::plan`]; then nothing may go on.
    pub(crate) fn plan_of_request(
        &self,
        resource: &Resource,
        department: &DepartmentId,
        fields: &Arc<[ReleasedField]>,
        intake: &Arc<Intake>,
        now: Timestamp,
    ) -> Result<Arc<Plan>, PlanError> {
        let announced = self.compiled(resource, department, fields, Some(intake), now)?;
        Ok(Arc::clone(&announced.plan))
    }

    fn compiled(
        &self,
        resource: &Resource,
        department: &DepartmentId,
        fields: &Arc<[ReleasedField]>,
        intake: Option<&Arc<Intake>>,
        now: Timestamp,
    ) -> Result<Arc<AnnouncedPlan>, PlanError> {
        let secret = self.keys.at(now);
        let key = PlanKey {
            resource: resource.id.clone(),
            department: department.clone(),
            fields: Arc::clone(fields),
            intake: intake.cloned(),
            secret: secret.map(|(place, _)| place),
        };
        if let Some(known) = self.compiled.get(&key) {
            return Ok(known);
        }
        let pseudonyms = secret.map(|(_, dated)| PseudonymKey {
            secret: &dated.secret,
            label: &dated.label,
            department,
            resource: &resource.id,
        });
        let spec = PlanSpec {
            shape: intake.map_or(&resource.body, |intake| &intake.shape),
            fields,
            catalogue: &resource.fields,
            maskers: &self.maskers,
            key: pseudonyms,
            // What is submitted does not leave the city's platform; what is answered does.
            egress: resource.egress.filter(|_| intake.is_none()),
        };
        let plan = match intake.map(|intake| intake.fields) {
            None => Plan::compile(&spec)?,
            Some(RequestFields::Mask) => Plan::compile(&spec)?.of_requests(),
            Some(RequestFields::Restrict) => Plan::refusing(&spec)?,
        };
        let compiled = Arc::new(AnnouncedPlan { header: announcement(&plan), plan: Arc::new(plan) });
        self.compiled.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// `masked="a b", dropped="c"`, a dictionary of strings (RFC 9651, section 3.2). Names outside ASCII are
/// percent-encoded; a list beyond its bound becomes a number.
fn announcement(plan: &Plan) -> HeaderValue {
    let list = |names: &[FieldPath]| {
        let names: Vec<String> = names
            .iter()
            .map(|name| utf8_percent_encode(name.as_str(), UNSAFE_IN_STRING).to_string())
            .collect();
        let list = names.join(" ");
        if list.len() > MAX_ANNOUNCED_BYTES { names.len().to_string() } else { format!("\"{list}\"") }
    };
    let text = format!("masked={}, dropped={}", list(plan.masked_names()), list(plan.dropped_names()));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Everything but visible ASCII, and what a string of structured fields escapes.
const UNSAFE_IN_STRING: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\').add(b'%');

#[cfg(test)]
mod tests;
