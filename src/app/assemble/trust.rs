//! Whom the gate trusts and how it shows itself: TLS towards clients, and purpose tokens.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{MAX_TOKEN_LIFETIME, at_key, at_section, shown};
use crate::config::{self, Config};
use crate::identity::TokenVerifier;
use crate::identity::token::{Issuer, KeySet, SignatureAlgorithm, TokenRules};
use crate::kernel::diagnostic::{Diagnostic, Report, Source};
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
        report.push(at_section(config, "purpose", "bad-jwks", format!("{name} is not UTF-8")));
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
        Err(error) => {
            report.push(match key_of(tls, &error) {
                Some(key) => at_key(config, "tls", key, "bad-tls", crate::kernel::diagnostic::chain(&error)),
                None => tls_finding(config, "tls", &error),
            });
            None
        }
    }
}

/// The key of `[tls]` that names what is wrong.
fn key_of(tls: &config::Tls, error: &TlsError) -> Option<&'static str> {
    let lists = tls.crls.iter().flatten();
    let files = [(&tls.certificate, "certificate"), (&tls.client_ca, "client_ca")];
    let files = files.into_iter().chain(lists.map(|list| (list, "crls")));
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

pub(super) fn tls_finding(config: &Config, section: &str, error: &TlsError) -> Diagnostic {
    at_section(config, section, "bad-tls", crate::kernel::diagnostic::chain(error))
}
