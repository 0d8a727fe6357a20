//! Purpose tokens: JWTs (RFC 7519) in which the exchange platform says why a system wants data.
//!
//! A token is accepted only whole: signed by a key of its own issuer with that key's algorithm, in
//! force, for this audience, about this system, and bound to its certificate (RFC 8705 section 3).
//! Every algorithm and key is chosen here; the token's own words only have to agree (RFC 8725).
//! Keys come as bytes; nothing here fetches anything.

mod claims;
mod json;
mod jws;
mod keys;
mod mint;

use std::sync::Arc;
use std::time::Duration;

pub use claims::{PurposeToken, TokenScope};
pub use jws::{MAX_TOKEN_BYTES, verify_jws};
pub use keys::{KeySet, MAX_KEYS, SignatureAlgorithm};
pub use mint::{MintError, NewToken, SigningKey};

use super::certificate::CertificateFacts;
use crate::kernel::id::{Digest, SystemId};
use crate::kernel::time::Timestamp;

/// The longest clock difference that may be allowed for.
pub const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// Why a request has no valid purpose token. Every message may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization` header.
    #[error("the request has no purpose token; send `Authorization: Bearer <token>`")]
    Missing,
    /// More than one `Authorization` header.
    #[error("the request has more than one `Authorization` header; send one")]
    Repeated,
    /// The header is not `Bearer`, one space and a token.
    #[error("the `Authorization` header is not `Bearer`, one space and a token (RFC 6750)")]
    Scheme,
    /// The token is too long.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The token is not a JWS in compact form.
    #[error("the token is not well formed: {0}")]
    Malformed(Form),
    /// A header member that asks for something this gate never does.
    #[error("the token's header has `{0}`, which is not accepted")]
    HeaderMember(&'static str),
    /// The algorithm is not accepted, or not the key's.
    #[error("the token's algorithm is not the one its key is for{}", among("; accepted here: ", .accepted))]
    Algorithm {
        /// Those that are accepted, as far as is known.
        accepted: Vec<SignatureAlgorithm>,
    },
    /// No key, or no single key, fits.
    #[error("no key of the issuer fits the token's `kid` and `alg`")]
    KeyUnknown,
    /// The signature is wrong.
    #[error("the token's signature does not verify")]
    Signature,
    /// The issuer is not a trusted one.
    #[error("the token's `iss` is not an accepted issuer")]
    Issuer,
    /// The audience is another.
    #[error("the token's `aud` is not this gate, which is {}", quoted(.accepted))]
    Audience {
        /// Those that mean this gate.
        accepted: Vec<Arc<str>>,
    },
    /// The subject is another system.
    #[error("the token's `sub` is not the system that the client certificate names, `{system}`")]
    Subject {
        /// Whom the certificate names.
        system: SystemId,
    },
    /// It is over.
    #[error("the token expired at {at}, and by the gate's clock it is {now}")]
    Expired {
        /// Its `exp`.
        at: Timestamp,
        /// When it was looked at, to the second.
        now: Timestamp,
    },
    /// It has not begun.
    #[error("the token is not valid before {at}, and by the gate's clock it is {now}")]
    NotYetValid {
        /// Its `nbf` or `iat`.
        at: Timestamp,
        /// When it was looked at, to the second.
        now: Timestamp,
    },
    /// It lives longer than a token may.
    #[error("the token lives longer than the {} s between `iat` and `exp` that are accepted", .limit.as_secs())]
    LivesTooLong {
        /// How long it may.
        limit: Duration,
    },
    /// It is not bound to a certificate.
    #[error("the token has no `cnf` with `x5t#S256`: it must be bound to the client certificate (RFC 8705)")]
    Unbound,
    /// It is bound to another certificate.
    #[error("the token is bound to another certificate than this connection's{}", of_another(.named.as_ref()))]
    Binding {
        /// Whom this connection's certificate names, if the token is about another system.
        named: Option<SystemId>,
    },
    /// A claim is absent or not what it must be.
    #[error("the token's `{claim}` is not {expected}")]
    Claim {
        /// Which one.
        claim: &'static str,
        /// What would be right.
        expected: Expected,
    },
}

fn among(before: &str, accepted: &[SignatureAlgorithm]) -> String {
    if accepted.is_empty() {
        return String::new();
    }
    format!("{before}{}", accepted.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", "))
}

fn of_another(named: Option<&SystemId>) -> String {
    named.map_or_else(String::new, |named| {
        format!(", and its `sub` is another system than the one that the certificate names, `{named}`")
    })
}

fn quoted(audiences: &[Arc<str>]) -> String {
    audiences.iter().map(|audience| format!("`{audience}`")).collect::<Vec<_>>().join(", ")
}

/// What of a token's form is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Form {
    /// More parts than three, or fewer.
    #[error("it has not three parts")]
    Parts,
    /// A part in another coding.
    #[error("a part is not base64url without padding")]
    Coding,
    /// A header that is something else.
    #[error("its header is not a JSON object whose names come once")]
    Header,
    /// Another type of token.
    #[error("its `typ` is neither `JWT` nor `at+jwt`")]
    Type,
    /// Claims that are something else.
    #[error("its claims are not a JSON object whose names come once")]
    Claims,
    /// No claims at all.
    #[error("it has no claims")]
    NoClaims,
}

/// What a claim must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Expected {
    /// Some text.
    #[error("a text that is not empty")]
    Text,
    /// A date.
    #[error("a whole number of seconds since 1970 (RFC 7519 NumericDate)")]
    Date,
    /// A date after the others.
    #[error("later than `iat` and `nbf`")]
    LaterThanBegin,
    /// One audience.
    #[error("one audience: a text, or a list of one text")]
    Audience,
    /// A system.
    #[error("a system id such as `sys:minzheng-aid`")]
    System,
    /// The id of a token.
    #[error("up to 128 visible ASCII characters without quotes or backslashes")]
    Id,
    /// A purpose.
    #[error("a purpose code such as `social-aid.eligibility`")]
    Purpose,
    /// Fields.
    #[error("a text of field names with one space or `|` between them; leave it out for all")]
    Scope,
    /// Grants.
    #[error("a grant id or a list of them; leave it out for all")]
    Grants,
    /// What the token is bound to.
    #[error("an object with `x5t#S256`")]
    Confirmation,
}

impl TokenError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token-missing",
            Self::Repeated | Self::Scheme | Self::TooLong | Self::Malformed(_) | Self::HeaderMember(_) => {
                "token-malformed"
            }
            Self::Algorithm { .. } => "token-algorithm",
            Self::KeyUnknown => "token-key-unknown",
            Self::Signature => "token-signature",
            Self::Issuer => "token-issuer",
            Self::Audience { .. } => "token-audience",
            Self::Subject { .. } => "token-subject",
            Self::Expired { .. } => "token-expired",
            Self::NotYetValid { .. } => "token-not-yet-valid",
            Self::Unbound | Self::Binding { .. } => "token-binding",
            Self::LivesTooLong { .. } | Self::Claim { .. } => "token-claims",
        }
    }
}

/// The token of a request, from the values of its `Authorization` headers.
///
/// Strict: one header, `Bearer` spelt so, one space, nothing after the token.
///
/// # Errors
/// When there is none, or more than one, or it is something else.
pub fn bearer_token<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Result<&'v str, TokenError> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        return Err(TokenError::Repeated);
    }
    let token = value.strip_prefix(b"Bearer ").ok_or(TokenError::Scheme)?;
    // To the end without a branch, so that many bytes are looked at together.
    if token.is_empty() || !token.iter().fold(true, |all, byte| all & byte.is_ascii_graphic()) {
        return Err(TokenError::Scheme);
    }
    std::str::from_utf8(token).map_err(|_| TokenError::Scheme)
}

/// Someone whose tokens are believed, and the keys that they sign with.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its `iss`, compared whole.
    pub name: Arc<str>,
    /// Its keys. A key of one issuer never vouches for another.
    pub keys: KeySet,
}

/// What a token must be like.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The `aud` values that mean this gate, compared whole.
    pub audiences: Vec<Arc<str>>,
    /// The algorithms that keys may be for, to name them to whoever sends another.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// How far clocks may differ; more than [`MAX_LEEWAY`] counts as that.
    pub leeway: Duration,
    /// The longest time from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// How many verified tokens are remembered.
    pub remembered: std::num::NonZeroUsize,
}

/// Verifies tokens and remembers those it has verified.
///
/// It belongs to one snapshot: issuers and rules never change, and what is remembered goes with it.
#[derive(Debug)]
pub struct TokenVerifier {
    issuers: Vec<Issuer>,
    rules: TokenRules,
    verified: quick_cache::sync::Cache<VerifiedKey, Arc<PurposeToken>>,
}

/// All that a verdict rests on apart from the time: the token, byte for byte, and the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct VerifiedKey {
    token: Digest,
    certificate: Digest,
}

impl TokenVerifier {
    /// A verifier that believes `issuers`.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>, rules: TokenRules) -> Self {
        let rules = TokenRules { leeway: rules.leeway.min(MAX_LEEWAY), ..rules };
        let verified = quick_cache::sync::Cache::new(rules.remembered.get());
        Self { issuers, rules, verified }
    }

    /// Those whose tokens are believed: what a 401 names.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// What `token` says, if it holds for `system`, seen with the certificate of `facts`, at `now`.
    ///
    /// # Errors
    /// When anything at all is not as it must be.
    pub fn verify(
        &self,
        token: &str,
        system: &SystemId,
        facts: &CertificateFacts,
        now: Timestamp,
    ) -> Result<Arc<PurposeToken>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let key = VerifiedKey { token: Digest::of(token.as_bytes()), certificate: facts.fingerprint };
        let (token, fresh) = match self.verified.get(&key) {
            Some(known) => (known, false),
            None => (Arc::new(self.verify_lasting(token, system, facts)?), true),
        };
        // What depends on the time or on the registry is judged anew each time.
        token.check_subject(system)?;
        token.check_time(now)?;
        if fresh {
            self.verified.insert(key, Arc::clone(&token));
        }
        Ok(token)
    }

    /// All that can be judged without the time: signature, issuer, audience, binding, claims. Whose token it
    /// is, which `system` is for, only words the refusal.
    fn verify_lasting(
        &self,
        token: &str,
        system: &SystemId,
        facts: &CertificateFacts,
    ) -> Result<PurposeToken, TokenError> {
        let mut claims = None;
        verify_jws(token, |payload| {
            let read = claims::Claims::read(payload)?;
            let issuer = self.issuers.iter().find(|issuer| *issuer.name == *read.issuer);
            claims = Some(read);
            issuer.map(|issuer| &issuer.keys).ok_or(TokenError::Issuer)
        })
        .map_err(|error| {
            if matches!(error, TokenError::Algorithm { .. }) {
                return TokenError::Algorithm { accepted: self.rules.algorithms.clone() };
            }
            error
        })?;
        let claims = claims.ok_or(TokenError::Malformed(Form::NoClaims))?;
        if !self.rules.audiences.iter().any(|audience| **audience == *claims.audience) {
            return Err(TokenError::Audience { accepted: self.rules.audiences.clone() });
        }
        claims.check_binding(&facts.x5t_s256, system)?;
        claims.into_token(self.rules.leeway, self.rules.max_lifetime)
    }
}

#[cfg(test)]
mod tests;
