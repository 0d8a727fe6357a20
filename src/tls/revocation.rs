//! Revocation lists: read, matched to their authorities, their signatures and dates checked at load.

use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use super::anchors::Loaded;
use super::{PemFile, TlsError, provider};
use crate::identity::revocation::RevocationFacts;
use crate::kernel::time::Timestamp;

/// The most revocation lists.
const MAX_LISTS: usize = 64;

/// What to do where the lists leave something open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnGap {
    /// Refuse. The default.
    #[default]
    Refuse,
    /// Accept: somebody has decided so, and written it down.
    Accept,
}

/// How revocation is checked.
#[derive(Debug, Clone)]
pub enum Revocation {
    /// Not at all: only by an explicit `crls = "none"`.
    None,
    /// By lists, for every certificate of a chain but its root.
    Lists {
        /// The files.
        files: Vec<PemFile>,
        /// When a list's next update is overdue.
        stale: OnGap,
        /// When no list covers a certificate.
        unknown: OnGap,
    },
}

/// One list, and what it says of itself.
#[derive(Debug, Clone)]
pub(super) struct LoadedList {
    pub(super) der: CertificateRevocationListDer<'static>,
    pub(super) facts: RevocationFacts,
}

/// Reads the lists. Each must be signed by one of `authorities`; unless gaps are accepted, each must
/// be fresh and each of `authorities` must have one.
pub(super) fn lists(
    revocation: &Revocation,
    authorities: &[&Loaded],
    now: Timestamp,
) -> Result<Vec<LoadedList>, TlsError> {
    let Revocation::Lists { files, stale, unknown } = revocation else { return Ok(Vec::new()) };
    let mut loaded = Vec::new();
    for file in files {
        read_file(file, authorities, *stale, now, &mut loaded)?;
    }
    if loaded.is_empty() {
        return Err(TlsError::NoLists);
    }
    if *unknown == OnGap::Refuse {
        for authority in authorities {
            if !loaded.iter().any(|list| list.facts.issuer_der == authority.facts.subject_der) {
                return Err(TlsError::ListMissing { subject: Arc::clone(&authority.facts.subject) });
            }
        }
    }
    Ok(loaded)
}

fn read_file(
    file: &PemFile,
    authorities: &[&Loaded],
    stale: OnGap,
    now: Timestamp,
    loaded: &mut Vec<LoadedList>,
) -> Result<(), TlsError> {
    const EXPECTED: &str = "PEM revocation lists (`-----BEGIN X509 CRL-----`)";
    let name = || Arc::clone(&file.name);
    let before = loaded.len();
    for der in CertificateRevocationListDer::pem_slice_iter(&file.bytes) {
        let der = der.map_err(|_| TlsError::Pem { file: name(), expected: EXPECTED })?;
        if loaded.len() == MAX_LISTS {
            return Err(TlsError::TooMany { file: name(), expected: EXPECTED, limit: MAX_LISTS });
        }
        let facts =
            RevocationFacts::read(&der).map_err(|source| TlsError::Unreadable { file: name(), source })?;
        check_signature(file, &facts, authorities)?;
        if stale == OnGap::Refuse {
            // RFC 5280, 5.1.2.5: every list says when the next one is due.
            let next_update = facts.next_update.unwrap_or(facts.this_update);
            if next_update < now {
                return Err(TlsError::ListStale { file: name(), issuer: facts.issuer, next_update });
            }
        }
        loaded.push(LoadedList { der, facts });
    }
    if loaded.len() == before {
        return Err(TlsError::Empty { file: name(), expected: EXPECTED });
    }
    Ok(())
}

/// A list that its authority did not sign would fail every handshake: say so at load instead. The
/// verdict that counts is still the verifier's, at each handshake.
fn check_signature(file: &PemFile, facts: &RevocationFacts, authorities: &[&Loaded]) -> Result<(), TlsError> {
    let (name, issuer) = (Arc::clone(&file.name), Arc::clone(&facts.issuer));
    let mut issuers =
        authorities.iter().filter(|authority| authority.facts.subject_der == facts.issuer_der).peekable();
    if issuers.peek().is_none() {
        return Err(TlsError::ListIssuer { file: name, issuer });
    }
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let signed = issuers.filter(|authority| authority.facts.key_usage.signs_lists).any(|authority| {
        algorithms.iter().any(|algorithm| {
            algorithm.verify_signature(&authority.facts.public_key, &facts.signed, &facts.signature).is_ok()
        })
    });
    if signed { Ok(()) } else { Err(TlsError::ListSignature { file: name, issuer }) }
}
