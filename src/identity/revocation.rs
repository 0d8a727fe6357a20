//! What a certificate revocation list (CRL, RFC 5280 section 5) says of itself.

use std::sync::Arc;

use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{CertificateError, shown, timestamp};
use crate::kernel::time::Timestamp;

/// Who issued a revocation list, for when, and what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationFacts {
    /// The issuer's name as it stands in the DER.
    pub issuer_der: Arc<[u8]>,
    /// The issuer for people (RFC 4514 style), control characters replaced, cut at 256 characters.
    pub issuer: Arc<str>,
    /// When it was issued.
    pub this_update: Timestamp,
    /// When the next one is due; `None` if it does not say.
    pub next_update: Option<Timestamp>,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// The bytes that the signature covers.
    pub signed: Arc<[u8]>,
    /// The signature.
    pub signature: Arc<[u8]>,
}

impl RevocationFacts {
    /// Reads a revocation list.
    ///
    /// # Errors
    /// When `der` is not exactly one revocation list or its dates cannot be represented.
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, list) =
            CertificateRevocationList::from_der(der).map_err(|_| CertificateError::NotARevocationList)?;
        if !rest.is_empty() {
            return Err(CertificateError::NotARevocationList);
        }
        let next_update = list.next_update().map(|next| timestamp(next.timestamp())).transpose()?;
        Ok(Self {
            issuer_der: Arc::from(list.issuer().as_raw()),
            issuer: Arc::from(shown(list.issuer())),
            this_update: timestamp(list.last_update().timestamp())?,
            next_update,
            revoked: list.iter_revoked_certificates().count(),
            signed: Arc::from(list.tbs_cert_list.as_ref()),
            signature: Arc::from(&*list.signature_value.data),
        })
    }
}
