//! Certificates and keys from PEM files, and the roots among them.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{KeyFile, PemFile, TlsError};
use crate::identity::CertificateFacts;
use crate::kernel::time::Timestamp;

/// The most certificates in one file.
const MAX_CERTIFICATES: usize = 64;

/// A certificate, what it says, and the file it came from.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) file: Arc<str>,
    pub(super) der: CertificateDer<'static>,
    pub(super) facts: CertificateFacts,
}

/// Reads the certificates of a file, at least one, all valid at `now` and with acceptable keys.
pub(super) fn certificates(
    file: &PemFile,
    expected: &'static str,
    now: Timestamp,
) -> Result<Vec<Loaded>, TlsError> {
    let mut loaded = Vec::new();
    for der in CertificateDer::pem_slice_iter(&file.bytes) {
        let der = der.map_err(|_| TlsError::Pem { file: Arc::clone(&file.name), expected })?;
        if loaded.len() == MAX_CERTIFICATES {
            let file = Arc::clone(&file.name);
            return Err(TlsError::TooMany { file, expected, limit: MAX_CERTIFICATES });
        }
        let facts = CertificateFacts::read(&der)
            .map_err(|source| TlsError::Unreadable { file: Arc::clone(&file.name), source })?;
        check(&file.name, &facts, now)?;
        loaded.push(Loaded { file: Arc::clone(&file.name), der, facts });
    }
    if loaded.is_empty() {
        return Err(TlsError::Empty { file: Arc::clone(&file.name), expected });
    }
    Ok(loaded)
}

fn check(file: &Arc<str>, facts: &CertificateFacts, now: Timestamp) -> Result<(), TlsError> {
    let (file, subject) = (Arc::clone(file), Arc::clone(&facts.subject));
    if !facts.key_kind.is_strong_enough() {
        Err(TlsError::WeakKey { file, subject })
    } else if now < facts.not_before {
        Err(TlsError::NotYetValid { file, subject, not_before: facts.not_before })
    } else if !facts.is_valid_at(now) {
        Err(TlsError::Expired { file, subject, not_after: facts.not_after })
    } else {
        Ok(())
    }
}

/// Reads the one private key of a file.
pub(super) fn private_key(file: &KeyFile) -> Result<PrivateKeyDer<'static>, TlsError> {
    let error = || TlsError::Key { file: Arc::clone(&file.name) };
    let mut keys = PrivateKeyDer::pem_slice_iter(file.pem.expose());
    match (keys.next(), keys.next()) {
        (Some(Ok(key)), None) => Ok(key.clone_key()),
        _ => Err(error()),
    }
}

/// Roots, each with its own validity.
///
/// rustls takes a root's name and key only and never looks at its dates; we do.
#[derive(Debug, Clone)]
pub(super) struct Anchors {
    all: Arc<RootCertStore>,
    roots: Vec<Loaded>,
}

impl Anchors {
    /// Reads the roots of a file.
    pub(super) fn read(file: &PemFile, now: Timestamp) -> Result<Self, TlsError> {
        let roots = certificates(file, "PEM certificates of certification authorities", now)?;
        for root in &roots {
            let (file, subject) = (Arc::clone(&root.file), Arc::clone(&root.facts.subject));
            if !root.facts.is_authority || !root.facts.key_usage.signs_certificates {
                return Err(TlsError::NotAnAuthority { file, subject });
            }
            if root.facts.has_unknown_critical {
                return Err(TlsError::CriticalExtension { file, subject });
            }
        }
        let all = Arc::new(store(roots.iter())?);
        Ok(Self { all, roots })
    }

    pub(super) fn all(&self) -> &Arc<RootCertStore> {
        &self.all
    }

    pub(super) fn roots(&self) -> &[Loaded] {
        &self.roots
    }

    /// Which roots are in force.
    pub(super) fn in_force(&self, now: Timestamp) -> InForce {
        let bits = self.roots.iter().map(|root| u64::from(root.facts.is_valid_at(now)));
        InForce(bits.fold(0, |set, bit| set << 1 | bit))
    }

    /// Every root.
    pub(super) fn every(&self) -> InForce {
        InForce(self.roots.iter().fold(0, |set, _root| set << 1 | 1))
    }

    /// Those of the roots.
    pub(super) fn store(&self, these: InForce) -> Result<Arc<RootCertStore>, TlsError> {
        let places = (0..self.roots.len()).rev();
        let these = self.roots.iter().zip(places).filter(|(_, place)| these.0 >> place & 1 == 1);
        store(these.map(|(root, _)| root)).map(Arc::new)
    }
}

/// Some of the roots of [`Anchors`]: a bit for each, that of the last one lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InForce(u64);

const _: () = assert!(MAX_CERTIFICATES <= 64, "each root has a bit");

fn store<'r>(roots: impl Iterator<Item = &'r Loaded>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(root.der.clone())
            .map_err(|source| TlsError::Root { file: Arc::clone(&root.file), source })?;
    }
    Ok(store)
}
