//! Stage 9: who calls, and why.
//!
//! The system comes from the verified certificate alone, the purpose from a signed token, or from a
//! header where the route allows that; where both speak they must agree.

use std::sync::Arc;

use http::header::{self, HeaderName};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::exchange::{Caller, Draft, Exchange, NotedParameters, PurposeOrigin, Requested, StatedPurpose};
use super::failure::{Failure, Place, PurposeFailure, RequestFailure};
use super::problem::words;
use super::resolve::Routed;
use super::routes::{Route, RouteParameter};
use super::snapshot::Snapshot;
use super::stage::Check;
use super::subjects;
use crate::catalog::System;
use crate::config::{ParameterSource, PurposeSource};
use crate::grant::Request;
use crate::identity::token::bearer_token;
use crate::identity::{IdentityError, Peer, TokenError};
use crate::kernel::id::{GrantId, ParameterName, PurposeCode};
use crate::kernel::time::Timestamp;
use crate::parameters::folded;

/// Why data is wanted, where a route lets its caller say so.
pub(super) static DATA_PURPOSE: HeaderName = HeaderName::from_static("data-purpose");
/// What is wanted of it.
pub(super) static DATA_SCOPE: HeaderName = HeaderName::from_static("data-scope");

/// The most characters of a client's name for a parameter that its refusal repeats.
const MAX_SHOWN_CHARACTERS: usize = 48;

/// The most items of a requested scope.
const MAX_REQUESTED_FIELDS: usize = 256;

/// Which registered system `peer` is, under `snapshot`, at `now`; and, where that system may not call,
/// whom the record of the refusal names.
pub(crate) fn caller(
    snapshot: &Snapshot,
    peer: &Peer,
    now: Timestamp,
) -> Result<Arc<Caller>, (Failure, Option<Arc<Caller>>)> {
    match snapshot.identities.identify(&peer.certificate, now) {
        Ok(system) => known(snapshot, system).ok_or((Failure::Gate, None)),
        Err(error) => {
            let system = match &error {
                IdentityError::Disabled { system } => snapshot.catalog.registry.systems.get(system),
                // Whom it named while it was valid.
                IdentityError::Expired { not_after, .. } => {
                    snapshot.identities.identify(&peer.certificate, *not_after).ok()
                }
                IdentityError::Unknown { .. } | IdentityError::Ambiguous { .. } => None,
            };
            let named = system.and_then(|system| known(snapshot, system));
            Err((error.into(), named))
        }
    }
}

fn known(snapshot: &Snapshot, system: &System) -> Option<Arc<Caller>> {
    snapshot.callers.get(&system.id).cloned()
}

/// A request of a known system with a known purpose.
#[derive(Debug)]
pub(crate) struct Identified {
    routed: Routed,
    caller: Arc<Caller>,
    purpose: PurposeCode,
    requested: Vec<String>,
    parameters: Vec<(ParameterName, Vec<String>)>,
    narrowed_to: Option<Vec<GrantId>>,
}

impl Identified {
    pub(crate) fn routed(&self) -> &Routed {
        &self.routed
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn purpose(&self) -> &PurposeCode {
        &self.purpose
    }

    /// The fields asked for, as the caller wrote them; empty asks for all.
    pub(crate) fn requested(&self) -> &[String] {
        &self.requested
    }

    pub(crate) fn exchange_mut(&mut self) -> &mut Exchange {
        self.routed.exchange_mut()
    }

    /// Gives the parameters of the body their values, in the order the route declares them.
    pub(crate) fn supply(&mut self, values: Vec<Vec<String>>) {
        let declared = &self.routed.route().parameters;
        let slots = declared.iter().zip(&mut self.parameters);
        let in_body = slots.filter(|(declared, _)| matches!(declared.source, ParameterSource::Body(_)));
        let mut noted = NotedParameters::default();
        for ((declared, (name, slot)), values) in in_body.zip(values) {
            noted.note(name, declared.recordable, &values);
            *slot = values;
        }
        subjects::note_of_body(&self.routed, &self.parameters);
        Draft::note(&self.routed.exchange().draft.in_body, noted);
    }

    /// The parameters that grants may constrain, with every value they came with. Those of the body
    /// have none before [`Self::supply`].
    pub(crate) fn parameters(&self) -> &[(ParameterName, Vec<String>)] {
        &self.parameters
    }

    pub(crate) fn narrowed_to(&self) -> Option<&[GrantId]> {
        self.narrowed_to.as_deref()
    }

    /// The request, its caller, and what was asked.
    pub(crate) fn into_asked(self) -> (Routed, Arc<Caller>, Request) {
        let Self { routed, caller, purpose, requested: fields, parameters, narrowed_to } = self;
        let request = Request {
            system: caller.system.id.clone(),
            resource: routed.route().resource.id.clone(),
            action: routed.route().action.clone(),
            purpose,
            fields,
            parameters,
            narrowed_to,
        };
        (routed, caller, request)
    }
}

/// The stage `identify`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identify;

impl Check for Identify {
    type In = Routed;
    type Out = Identified;

    fn check(&self, mut routed: Routed) -> Result<Identified, Failure> {
        let caller = routed.take_caller()?;
        let exchange = routed.exchange();
        let stated = stated_purpose(&routed, &caller)?;
        if !exchange.snapshot.catalog.purposes.contains_key(&stated.purpose.code) {
            return Err(PurposeFailure::Unknown(stated.purpose.code.to_string()).into());
        }
        let parameters = parameters(&routed);
        check_one_reading(&routed)?;
        Draft::note(
            &exchange.draft.requested,
            Requested {
                fields: stated.requested.clone(),
                parameters: noted(routed.route(), &parameters),
                narrowed_to: stated.narrowed_to.clone(),
            },
        );
        let purpose = stated.purpose.code.clone();
        Draft::note(&exchange.draft.purpose, stated.purpose);
        let (requested, narrowed_to) = (stated.requested, stated.narrowed_to);
        Ok(Identified { routed, caller, purpose, requested, parameters, narrowed_to })
    }
}

struct Stated {
    purpose: StatedPurpose,
    requested: Vec<String>,
    narrowed_to: Option<Vec<GrantId>>,
}

fn stated_purpose(routed: &Routed, caller: &Caller) -> Result<Stated, Failure> {
    let exchange = routed.exchange();
    let headers = &exchange.parts.headers;
    let declared = declared_purpose(headers.get(&DATA_PURPOSE))?;
    let asked = declared_scope(headers.get(&DATA_SCOPE))?;
    let has_token = headers.contains_key(header::AUTHORIZATION);
    if !has_token && routed.route().purpose == PurposeSource::Declared {
        let code = declared.ok_or(PurposeFailure::Missing)?;
        let purpose = StatedPurpose { code, origin: PurposeOrigin::Declared, token: None };
        return Ok(Stated { purpose, requested: asked, narrowed_to: None });
    }
    let values = headers.get_all(header::AUTHORIZATION).iter().map(http::HeaderValue::as_bytes);
    let token = bearer_token(values)?;
    let (system, facts) = (&caller.system.id, &exchange.peer.certificate);
    let token = exchange.snapshot.tokens.verify(token, system, facts, exchange.draft.received)?;
    if declared.is_some_and(|declared| declared != token.purpose) {
        return Err(PurposeFailure::Mismatch.into());
    }
    let allowed: &[String] = token.scope.as_ref().map_or(&[], |scope| scope.items());
    let requested = narrowed(asked, allowed)?;
    let purpose = StatedPurpose {
        code: token.purpose.clone(),
        origin: PurposeOrigin::Token,
        token: Some(token.id.clone()),
    };
    Ok(Stated { purpose, requested, narrowed_to: token.grants.clone() })
}

/// A request may ask for less than its token allows, never for more. Items are compared as written:
/// a group is not taken apart, so that a token for `@basic` and a request for one of its fields is
/// refused here rather than guessed at.
fn narrowed(asked: Vec<String>, allowed: &[String]) -> Result<Vec<String>, Failure> {
    if allowed.is_empty() {
        return Ok(asked);
    }
    if asked.is_empty() {
        return Ok(allowed.to_vec());
    }
    let is_allowed = |item: &String| {
        allowed.iter().any(|allowed| {
            allowed == "*"
                || allowed == item
                || allowed
                    .strip_suffix(".*")
                    .is_some_and(|base| item.strip_prefix(base).is_some_and(|rest| rest.starts_with('.')))
        })
    };
    match asked.iter().find(|item| !is_allowed(item)) {
        None => Ok(asked),
        Some(item) => {
            let why = words("it is not in the token's scope", "超出令牌的范围");
            Err(PurposeFailure::Scope { item: item.clone(), why }.into())
        }
    }
}

fn declared_purpose(value: Option<&http::HeaderValue>) -> Result<Option<PurposeCode>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    PurposeCode::parse(text).map(Some).map_err(|_| PurposeFailure::Unknown(text.to_owned()).into())
}

/// `Data-Scope`: items apart by `|`, as in grants. Names outside ASCII are percent-encoded.
fn declared_scope(value: Option<&http::HeaderValue>) -> Result<Vec<String>, Failure> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let refuse = |why| Failure::from(PurposeFailure::Scope { item: "Data-Scope".to_owned(), why });
    let not_ascii = words("write ASCII, percent-encode the rest", "请使用 ASCII，其余字符用百分号编码");
    let text = value.to_str().map_err(|_| refuse(not_ascii))?;
    let not_utf8 = words("it is not UTF-8", "不是 UTF-8");
    let text = percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| refuse(not_utf8))?;
    let items: Vec<String> = text.split('|').map(|item| item.trim().to_owned()).collect();
    if items.len() > MAX_REQUESTED_FIELDS {
        return Err(refuse(words("it has too many fields", "字段过多")));
    }
    if items.iter().any(|item| item.is_empty() || item.chars().any(char::is_control)) {
        let why = words(
            "write field names apart by `|`, such as `name|address.city`",
            "字段名之间用 `|` 分隔，例如 `name|address.city`",
        );
        return Err(refuse(why));
    }
    Ok(items)
}

/// A parameter that a grant may constrain must not have a second reading beside the gate's: neither under
/// a name that another program folds onto it, nor through a name or a value that is still encoded after it was
/// decoded once.
fn check_one_reading(routed: &Routed) -> Result<(), Failure> {
    let declared = |wanted: &str| {
        routed.route().parameters.iter().any(|parameter| match &parameter.source {
            ParameterSource::Query(name) => name == wanted,
            ParameterSource::Path(_) | ParameterSource::Header(_) | ParameterSource::Body(_) => false,
        })
    };
    let near = |name: &str| {
        routed.route().parameters.iter().find_map(|parameter| match &parameter.source {
            ParameterSource::Query(declared) if folded(declared) == folded(name) => {
                Some((declared.clone(), Place::Query))
            }
            ParameterSource::Path(declared) if folded(declared) == folded(name) => {
                Some((declared.clone(), Place::Path))
            }
            // Some programs take parameters from query and body alike.
            ParameterSource::Body(path) if path.is_like(name) => Some((path.to_string(), Place::Body)),
            ParameterSource::Query(_)
            | ParameterSource::Path(_)
            | ParameterSource::Body(_)
            | ParameterSource::Header(_) => None,
        })
    };
    let refuse = |failure: RequestFailure| Err(Failure::from(failure));
    for (name, value) in &routed.head().query.parameters {
        if !declared(name)
            && let Some((meant, place)) = near(name)
        {
            return refuse(RequestFailure::Alike { name: shown(name), meant, place });
        }
        if !routed.route().parameters.is_empty() && is_still_encoded(name) {
            let why = words("a name is encoded twice", "某一参数名被重复编码");
            return refuse(RequestFailure::Query { why });
        }
        if declared(name) && is_still_encoded(value) {
            let why = words("a value is encoded twice", "某一取值被重复编码");
            return refuse(RequestFailure::Query { why });
        }
    }
    Ok(())
}

/// Whether something that was decoded has an escape left: a program that decodes twice reads another text.
fn is_still_encoded(decoded: &str) -> bool {
    let is_escape =
        |rest: &str| rest.get(..2).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    decoded.split('%').skip(1).any(is_escape)
}

/// A name of the client's own, as it may stand in a text: escaped like in a query but for letters, digits and
/// what else names have, and cut where it is long.
fn shown(name: &str) -> String {
    let mut shown = String::new();
    for (count, c) in name.chars().enumerate() {
        if count == MAX_SHOWN_CHARACTERS {
            shown.push('…');
            break;
        }
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '[' | ']') {
            shown.push(c);
        } else {
            shown.extend(utf8_percent_encode(c.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC));
        }
    }
    shown
}

/// Every value of every parameter the route declares.
fn parameters(routed: &Routed) -> Vec<(ParameterName, Vec<String>)> {
    let values = |parameter: &RouteParameter| (parameter.name.clone(), routed.values_of(&parameter.source));
    routed.route().parameters.iter().map(values).collect()
}

fn noted(route: &Route, parameters: &[(ParameterName, Vec<String>)]) -> NotedParameters {
    let mut noted = NotedParameters::default();
    for (declared, (name, values)) in route.parameters.iter().zip(parameters) {
        noted.note(name, declared.recordable, values);
    }
    noted
}

/// What a caller without a valid token is told about how to get one (RFC 6750, section 3).
pub(crate) fn challenge(error: &TokenError) -> &'static str {
    if *error == TokenError::Missing { "" } else { ", error=\"invalid_token\"" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::problem::Language;

    #[test]
    fn a_name_is_shown_so_that_it_can_do_no_harm() {
        for (name, expected) in [
            ("Area", "Area"),
            ("area[]", "area[]"),
            ("区划", "区划"),
            ("area`\u{200b}\"<b>", "area%60%E2%80%8B%22%3Cb%3E"),
            ("a\u{202e}rea", "a%E2%80%AErea"),
        ] {
            assert_eq!(shown(name), expected);
        }
        let long = shown(&format!("area[{}]", "x".repeat(8_000)));
        assert!(long.starts_with("area[xxx") && long.ends_with("x…"), "{long}");
        assert_eq!(long.chars().count(), MAX_SHOWN_CHARACTERS + 1);
    }

    #[test]
    fn a_name_that_is_nearly_right_is_told_what_is_right() {
        let said = |place| {
            let failure = RequestFailure::Alike { name: shown("Area"), meant: "area".to_owned(), place };
            let failure = Failure::from(failure);
            [failure.detail(Language::En), failure.detail(Language::Zh)]
        };
        assert_eq!(
            said(Place::Query),
            [
                "The query could be read in more than one way: `Area` could be taken for `area`; write `area`, once",
                "查询参数存在歧义（`Area` 可能被当作 `area`；请写作 `area`，且只出现一次）",
            ]
        );
        assert_eq!(
            said(Place::Path),
            [
                "The query could be read in more than one way: `Area` could be taken for `area`, which is in the path; \
                 leave it out of the query",
                "查询参数存在歧义（`Area` 可能被当作路径中的 `area`；请从查询参数中去掉）",
            ]
        );
    }
}
