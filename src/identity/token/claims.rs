//! The claims of a purpose token, each of exactly one type.

use std::time::Duration;

use subtle::ConstantTimeEq;

use super::json::{Json, Object};
use super::{Expected, Form, TokenError};
use crate::kernel::id::{GrantId, PurposeCode, SystemId, TokenId};
use crate::kernel::time::Timestamp;

/// The last second that a date may name: the end of the year 9999, as in certificates.
const MAX_SECOND: u64 = 253_402_300_799;

/// The most items of a `scope`, and the most grants.
const MAX_ITEMS: usize = 256;

/// The longest item of a `scope`, in bytes.
const MAX_ITEM_BYTES: usize = 512;

/// The extent that a token is limited to: field names, `a.*` or `@group`, as its issuer wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenScope(Vec<String>);

impl TokenScope {
    /// Its items, at least one.
    #[must_use]
    pub fn items(&self) -> &[String] {
        &self.0
    }

    /// Items apart by one space (RFC 6749, 3.3) or one `|` (as in grants).
    fn parse(text: &str) -> Option<Self> {
        let right = |item: &str| {
            !item.is_empty()
                && item.len() <= MAX_ITEM_BYTES
                && !item.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        let items: Vec<String> = text.split([' ', '|']).map(str::to_owned).collect();
        (items.len() <= MAX_ITEMS && items.iter().all(|item| right(item))).then_some(Self(items))
    }
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeToken {
    /// Its own id (`jti`).
    pub id: TokenId,
    /// Who issued it (`iss`).
    pub issuer: String,
    /// The system that it is about (`sub`).
    pub system: SystemId,
    /// Why data is wanted.
    pub purpose: PurposeCode,
    /// The extent it is limited to, if it is.
    pub scope: Option<TokenScope>,
    /// The grants it is limited to, if it is; at least one then.
    pub grants: Option<Vec<GrantId>>,
    /// When it ends (`exp`).
    pub expires: Timestamp,
    /// When it begins: the later of `nbf` and `iat`.
    pub begins: Timestamp,
    /// The first instant at which it is accepted, leeway included.
    pub valid_from: Timestamp,
    /// The first instant at which it is no longer accepted, leeway included.
    pub valid_until: Timestamp,
}

impl PurposeToken {
    /// Whether it is in force. RFC 7519: `exp` itself is too late (4.1.4), `nbf` itself is not too
    /// early (4.1.5); both moved by the leeway.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), TokenError> {
        let to_the_second = || Timestamp::from_second(now.as_second()).unwrap_or(now);
        if now >= self.valid_until {
            return Err(TokenError::Expired { at: self.expires, now: to_the_second() });
        }
        if now < self.valid_from {
            return Err(TokenError::NotYetValid { at: self.begins, now: to_the_second() });
        }
        Ok(())
    }

    pub(super) fn check_subject(&self, system: &SystemId) -> Result<(), TokenError> {
        if self.system == *system { Ok(()) } else { Err(TokenError::Subject { system: system.clone() }) }
    }
}

/// The claims as they stand in the payload, of the right types, not yet believed.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) audience: String,
    subject: SystemId,
    expires: u64,
    not_before: Option<u64>,
    issued: u64,
    id: TokenId,
    purpose: PurposeCode,
    scope: Option<TokenScope>,
    grants: Option<Vec<GrantId>>,
    confirmation: Option<String>,
}

impl Claims {
    pub(super) fn read(payload: &[u8]) -> Result<Self, TokenError> {
        let object = Object::read(payload).ok_or(TokenError::Malformed(Form::Claims))?;
        Ok(Self {
            issuer: text(&object, "iss")?.to_owned(),
            audience: audience(&object)?.to_owned(),
            subject: parsed(&object, "sub", Expected::System, SystemId::parse)?,
            expires: required_date(&object, "exp")?,
            not_before: date(&object, "nbf")?,
            issued: required_date(&object, "iat")?,
            id: parsed(&object, "jti", Expected::Id, TokenId::parse)?,
            purpose: parsed(&object, "purpose", Expected::Purpose, PurposeCode::parse)?,
            scope: scope(&object)?,
            grants: grants(&object)?,
            confirmation: confirmation(&object)?,
        })
    }

    /// Whether it is bound to the certificate whose thumbprint is `x5t_s256` (RFC 8705, 3.1).
    pub(super) fn check_binding(&self, x5t_s256: &str, system: &SystemId) -> Result<(), TokenError> {
        let bound = self.confirmation.as_deref().ok_or(TokenError::Unbound)?;
        // Texts are compared, so that another spelling of the same digest is another digest.
        if bool::from(bound.as_bytes().ct_eq(x5t_s256.as_bytes())) {
            Ok(())
        } else {
            Err(TokenError::Binding { named: (self.subject != *system).then(|| system.clone()) })
        }
    }

    pub(super) fn into_token(
        self,
        leeway: Duration,
        max_lifetime: Duration,
    ) -> Result<PurposeToken, TokenError> {
        let begins = self.not_before.map_or(self.issued, |not_before| not_before.max(self.issued));
        if self.expires <= begins {
            return Err(TokenError::Claim { claim: "exp", expected: Expected::LaterThanBegin });
        }
        if self.expires.saturating_sub(self.issued) > max_lifetime.as_secs() {
            return Err(TokenError::LivesTooLong { limit: max_lifetime });
        }
        let (expires, begins) = (instant("exp", self.expires)?, instant("nbf", begins)?);
        Ok(PurposeToken {
            id: self.id,
            issuer: self.issuer,
            system: self.subject,
            purpose: self.purpose,
            scope: self.scope,
            grants: self.grants,
            expires,
            begins,
            valid_from: begins.checked_sub(leeway).unwrap_or(Timestamp::MIN),
            valid_until: expires.checked_add(leeway).unwrap_or(Timestamp::MAX),
        })
    }
}

fn instant(claim: &'static str, second: u64) -> Result<Timestamp, TokenError> {
    i64::try_from(second)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .ok_or(TokenError::Claim { claim, expected: Expected::Date })
}

fn date(object: &Object, claim: &'static str) -> Result<Option<u64>, TokenError> {
    match object.get(claim) {
        None => Ok(None),
        Some(Json::Natural(second)) if *second <= MAX_SECOND => Ok(Some(*second)),
        Some(_) => Err(TokenError::Claim { claim, expected: Expected::Date }),
    }
}

fn required_date(object: &Object, claim: &'static str) -> Result<u64, TokenError> {
    date(object, claim)?.ok_or(TokenError::Claim { claim, expected: Expected::Date })
}

fn text<'o>(object: &'o Object, claim: &'static str) -> Result<&'o str, TokenError> {
    object
        .text(claim)
        .filter(|text| !text.is_empty())
        .ok_or(TokenError::Claim { claim, expected: Expected::Text })
}

fn parsed<T, E>(
    object: &Object,
    claim: &'static str,
    expected: Expected,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, TokenError> {
    object.text(claim).and_then(|text| parse(text).ok()).ok_or(TokenError::Claim { claim, expected })
}

/// One audience: a token that is good elsewhere too could be replayed from there.
fn audience(object: &Object) -> Result<&str, TokenError> {
    const ERROR: TokenError = TokenError::Claim { claim: "aud", expected: Expected::Audience };
    match object.get("aud") {
        Some(Json::Text(audience)) => Ok(audience),
        Some(Json::List(list)) => match &**list {
            [Json::Text(audience)] => Ok(audience),
            _ => Err(ERROR),
        },
        _ => Err(ERROR),
    }
}

fn scope(object: &Object) -> Result<Option<TokenScope>, TokenError> {
    const ERROR: TokenError = TokenError::Claim { claim: "scope", expected: Expected::Scope };
    match object.get("scope") {
        None => Ok(None),
        Some(Json::Text(text)) => TokenScope::parse(text).map(Some).ok_or(ERROR),
        Some(_) => Err(ERROR),
    }
}

fn grants(object: &Object) -> Result<Option<Vec<GrantId>>, TokenError> {
    const ERROR: TokenError = TokenError::Claim { claim: "grant", expected: Expected::Grants };
    let parse = |item: &Json| {
        let Json::Text(text) = item else { return Err(ERROR) };
        GrantId::parse(text).map_err(|_| ERROR)
    };
    match object.get("grant") {
        None => Ok(None),
        Some(Json::List(list)) if (1..=MAX_ITEMS).contains(&list.len()) => {
            list.iter().map(parse).collect::<Result<_, _>>().map(Some)
        }
        Some(Json::List(_)) => Err(ERROR),
        Some(one) => Ok(Some(vec![parse(one)?])),
    }
}

fn confirmation(object: &Object) -> Result<Option<String>, TokenError> {
    match object.get("cnf") {
        None => Ok(None),
        Some(Json::Object(cnf)) => Ok(cnf.text("x5t#S256").map(str::to_owned)),
        Some(_) => Err(TokenError::Claim { claim: "cnf", expected: Expected::Confirmation }),
    }
}
