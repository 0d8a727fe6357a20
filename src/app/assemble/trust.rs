//! Whom the gate trusts and how it shows itself: TLS towards clients, and purpose tokens.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{MAX_TOKEN_LIFETIME, Section, at_key, at_section, shown};
use crate::config::{self, Config};
use crate::identity::TokenVerifier;
use crate::identity::token::{Issuer, KeySet, SignatureAlgorithm, TokenRules};
use crate::kernel::diagnostic::{Diagnostic, Report, Source, chain};
use crate::kernel::time::Clock;
use crate::tls::{KeyFile, OnGap, PemFile, Revocation, ServerTls, ServerTlsInputs, TlsError};

/// How many verified tokens a snapshot remembers.
const REMEMBERED_TOKENS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// `WWW-Authenticate` up to the error: whose tokens are taken, and where to learn more (RFC 9728,
/// section 5.1).
pub(super) fn challenge(config: &Config) -> String {
    let mut challenge = format!("Bearer realm=\"pinegate\", issuer=\"{}\"", config.purpose.issuer);
    if let Some(url) = &config.purpose.metadata_url {
        challenge.push_str(&format!(", resource_metadata=\"{url}\""));
    }
    challenge
}

pub(super) fn token_verifier(config: &Config, report: &mut Report) -> Option<TokenVerifier> {
    let purpose = &config.purpose;
    let name = shown(&purpose.jwks.path);
    let Ok(text) = std::str::from_utf8(&purpose.jwks.bytes) else {
        let message = format!("{name} is not UTF-8");
        report.push(at_section(config, Section::first("purpose"), "bad-jwks", message));
        return None;
    };
    let allowed: Vec<SignatureAlgorithm> =
        purpose.algorithms.iter().filter_map(|name| SignatureAlgorithm::parse(name)).collect();
    match KeySet::from_jwks(&Source::new(name, text), &allowed) {
        Ok((keys, warnings)) => {
            report.merge(warnings);
            let issuer = Issuer { name: Arc::from(purpose.issuer.as_str()), keys };
            let rules = TokenRules {
                audiences: vec![Arc::from(purpose.audience.as_str())],
                algorithms: allowed,
                leeway: purpose.leeway,
                max_lifetime: MAX_TOKEN_LIFETIME,
                remembered: REMEMBERED_TOKENS,
            };
            Some(TokenVerifier::new(vec![issuer], rules))
        }
        Err(errors) => {
            report.merge(errors);
            None
        }
    }
}

pub(super) fn server_tls(config: &Config, clock: &Arc<dyn Clock>, report: &mut Report) -> Option<ServerTls> {
    let tls = &config.tls;
    let revocation = match &tls.crls {
        None => Revocation::None,
        Some(files) => Revocation::Lists {
            files: files.iter().map(pem).collect(),
            stale: match tls.stale_crl {
                config::StaleCrl::Refuse => OnGap::Refuse,
                config::StaleCrl::Accept => OnGap::Accept,
            },
            unknown: OnGap::Refuse,
        },
    };
    let inputs = ServerTlsInputs {
        certificate_chain: &pem(&tls.certificate),
        key: &KeyFile { name: Arc::from("tls.key"), pem: tls.key.clone() },
        client_authorities: &pem(&tls.client_ca),
        client_intermediates: None,
        revocation: &revocation,
    };
    match ServerTls::new(&inputs, Arc::clone(clock)) {
        Ok(tls) => Some(tls),
        // All but the key is as it should be, and the key is not known here.
        Err(TlsError::Key { .. }) if config.stands_in(&tls.key) => None,
        Err(error) => {
            let lists = tls.crls.iter().flatten().map(|list| (list, "crls"));
            let files = [(&tls.certificate, "certificate"), (&tls.client_ca, "client_ca")];
            let files = files.into_iter().chain(lists);
            report.push(tls_finding(config, Section::first("tls"), files, &error));
            None
        }
    }
}

/// The key that names what is wrong, of a section with these `files` and the keys that name them.
fn key_of<'f>(
    files: impl IntoIterator<Item = (&'f config::FileContent, &'static str)>,
    error: &TlsError,
) -> Option<&'static str> {
    match error {
        TlsError::KeyMismatch { .. } | TlsError::Key { .. } => Some("key"),
        TlsError::ListIssuer { .. }
        | TlsError::ListSignature { .. }
        | TlsError::ListStale { .. }
        | TlsError::ListMissing { .. }
        | TlsError::NoLists
        | TlsError::Lists(_) => Some("crls"),
        TlsError::Pem { file, .. }
        | TlsError::Empty { file, .. }
        | TlsError::TooMany { file, .. }
        | TlsError::Unreadable { file, .. }
        | TlsError::Expired { file, .. }
        | TlsError::NotYetValid { file, .. }
        | TlsError::NotAnAuthority { file, .. }
        | TlsError::CriticalExtension { file, .. }
        | TlsError::WeakKey { file, .. }
        | TlsError::Root { file, .. } => {
            files.into_iter().find(|(known, _)| shown(&known.path) == **file).map(|(_, key)| key)
        }
        TlsError::Setup(_) => None,
    }
}

pub(super) fn pem(file: &config::FileContent) -> PemFile {
    PemFile { name: Arc::from(shown(&file.path)), bytes: Arc::clone(&file.bytes) }
}

/// A finding about the key of `section` that names what is wrong; about the section where none does. Its keys name these
/// `files`.
pub(super) fn tls_finding<'f>(
    config: &Config,
    section: Section<'_>,
    files: impl IntoIterator<Item = (&'f config::FileContent, &'static str)>,
    error: &TlsError,
) -> Diagnostic {
    const CODE: &str = "bad-tls";
    let message = chain(error);
    match key_of(files, error) {
        Some(key) => at_key(config, section, key, CODE, message),
        None => at_section(config, section, CODE, message),
    }
}
