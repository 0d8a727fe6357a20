//! Which registered system a certificate names.

use std::sync::Arc;

use foldhash::HashMap;

use super::certificate::{CertificateFacts, Names};
use crate::catalog::{CertificateRule, Registry, System};
use crate::kernel::id::SystemId;
use crate::kernel::time::Timestamp;

/// Why a verified certificate is nobody who may call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No registered system is recognised by anything in it.
    #[error("no registered system is recognised by this certificate (serial {serial})")]
    Unknown {
        /// The certificate's serial number.
        serial: Arc<str>,
    },
    /// It names more than one thing where exactly one is needed.
    #[error("the certificate names {what}; it must name exactly one registered system, once")]
    Ambiguous {
        /// What there is too much of.
        what: &'static str,
    },
    /// The system is registered and switched off.
    #[error("the system `{system}` is disabled in the registry")]
    Disabled {
        /// Which one.
        system: SystemId,
    },
    /// The certificate is not valid now, though it was when the connection began.
    #[error("the client certificate is valid from {not_before} to {not_after}, which is not now")]
    Expired {
        /// The first instant of its validity.
        not_before: Timestamp,
        /// The last instant of its validity.
        not_after: Timestamp,
    },
}

impl IdentityError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "identity-unknown",
            Self::Ambiguous { .. } => "identity-ambiguous",
            Self::Disabled { .. } => "identity-disabled",
            Self::Expired { .. } => "identity-expired",
        }
    }
}

/// Who claims a name: more than one claimant is nobody.
#[derive(Debug, Clone)]
enum Claim {
    One(Arc<System>),
    Several,
}

type Claims = HashMap<Box<str>, Claim>;

/// The registry's certificate rules, indexed. Built once per snapshot.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    uris: Claims,
    dns: Claims,
    common_names: Claims,
    credit_codes: Claims,
}

impl Identities {
    /// Indexes the rules of `registry`. A rule that two systems share recognises neither.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let mut identities = Self::default();
        for system in registry.systems.values() {
            for rule in &system.certificates {
                let (claims, name): (_, Box<str>) = match rule {
                    CertificateRule::SanUri(uri) => (&mut identities.uris, uri.as_str().into()),
                    CertificateRule::SanDns(dns) => (&mut identities.dns, dns.to_ascii_lowercase().into()),
                    CertificateRule::SubjectCn(cn) => (&mut identities.common_names, cn.as_str().into()),
                    CertificateRule::SubjectCreditCode(code) => {
                        (&mut identities.credit_codes, code.as_str().into())
                    }
                };
                claims
                    .entry(name)
                    .and_modify(|claim| {
                        let same = matches!(claim, Claim::One(other) if other.id == system.id);
                        if !same {
                            *claim = Claim::Several;
                        }
                    })
                    .or_insert_with(|| Claim::One(Arc::clone(system)));
            }
        }
        identities
    }

    /// The system that a verified certificate names, if it is valid at `now` and names exactly one
    /// that is enabled.
    ///
    /// Of URIs, common names and credit codes there must be exactly one; of dNSNames there may be
    /// several, as long as all that are known belong to one system.
    ///
    /// # Errors
    /// When it names none, several, a disabled one, or is not valid at `now`.
    pub fn identify(&self, facts: &CertificateFacts, now: Timestamp) -> Result<&Arc<System>, IdentityError> {
        if !facts.is_valid_at(now) {
            return Err(IdentityError::Expired { not_before: facts.not_before, not_after: facts.not_after });
        }
        let mut found: Option<&Arc<System>> = None;
        let by_uri = only(&self.uris, &facts.san_uris, "more than one URI")?;
        let by_dns = any(&self.dns, &facts.san_dns)?;
        let by_cn = only(&self.common_names, &facts.common_names, "more than one common name")?;
        let by_code =
            only(&self.credit_codes, &facts.credit_codes, "more than one unified social credit code")?;
        for system in [by_uri, by_dns, by_cn, by_code].into_iter().flatten() {
            match found {
                Some(first) if first.id != system.id => {
                    return Err(IdentityError::Ambiguous { what: "two registered systems" });
                }
                Some(_) | None => found = Some(system),
            }
        }
        let system = found.ok_or_else(|| IdentityError::Unknown { serial: Arc::clone(&facts.serial) })?;
        if system.enabled { Ok(system) } else { Err(IdentityError::Disabled { system: system.id.clone() }) }
    }
}

fn claimed<'c>(claims: &'c Claims, name: &str) -> Result<Option<&'c Arc<System>>, IdentityError> {
    match claims.get(name) {
        Some(Claim::One(system)) => Ok(Some(system)),
        Some(Claim::Several) => Err(IdentityError::Ambiguous { what: "a name that two systems claim" }),
        None => Ok(None),
    }
}

/// The claimant of the only name; a known name beside any other is ambiguous.
fn only<'c>(
    claims: &'c Claims,
    names: &Names,
    what: &'static str,
) -> Result<Option<&'c Arc<System>>, IdentityError> {
    match names.only() {
        Some(name) => claimed(claims, name),
        None if names.iter().any(|name| claims.contains_key(name)) => Err(IdentityError::Ambiguous { what }),
        None => Ok(None),
    }
}

/// The one claimant among several names.
fn any<'c>(claims: &'c Claims, names: &Names) -> Result<Option<&'c Arc<System>>, IdentityError> {
    let mut found: Option<&Arc<System>> = None;
    // A wildcard stands for many hosts and so names no system.
    for name in names.iter().filter(|name| !name.contains('*')) {
        if let Some(system) = claimed(claims, name)? {
            if found.is_some_and(|first| first.id != system.id) {
                return Err(IdentityError::Ambiguous { what: "two registered systems" });
            }
            found = Some(system);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
