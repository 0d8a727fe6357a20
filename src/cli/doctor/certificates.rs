//! When certificates and revocation lists end, and whether the gate's own chain is in order.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::observation::Observation;
use crate::cli::findings::several;
use crate::config::{Config, FileContent};
use crate::identity::CertificateFacts;
use crate::identity::revocation::RevocationFacts;
use crate::kernel::time::Timestamp;

/// A certificate that ends within so many hours is to be renewed.
const RENEW_HOURS: i64 = 30 * 24;
/// A revocation list whose next one is due within so many hours.
const REFRESH_HOURS: i64 = 24;

pub(super) fn examine(config: &Config, now: Timestamp) -> Vec<Observation> {
    let tls = &config.tls;
    let mut files =
        vec![("the gate's certificate", &tls.certificate), ("who issues systems", &tls.client_ca)];
    for upstream in &config.upstreams {
        files.extend(upstream.ca.iter().map(|ca| ("who issues the platform's", ca)));
        files.extend(upstream.client.iter().map(|(own, _)| ("shown to the platform", own)));
    }
    for sink in &config.audit.sinks {
        files.extend(sink.ca.iter().map(|ca| ("who issues a sink's", ca)));
        files.extend(sink.client.iter().map(|(own, _)| ("shown to a sink", own)));
    }
    files.extend(
        config.audit.witnesses.iter().filter_map(|it| Some(("who issues a witness's", it.ca.as_ref()?))),
    );
    if let Some(traces) = &config.traces {
        files.extend(traces.ca.iter().map(|ca| ("who issues the collector's", ca)));
        files.extend(traces.client.iter().map(|(own, _)| ("shown to the collector", own)));
    }
    let mut known: Vec<(&str, &FileContent)> = Vec::new();
    for (role, file) in files {
        if !known.iter().any(|(_, seen)| seen.path == file.path) {
            known.push((role, file));
        }
    }
    let mut seen: Vec<_> = known.into_iter().map(|(role, file)| certificates(role, file, now)).collect();
    seen.extend(chain(&tls.certificate));
    match &tls.crls {
        None => seen.push(
            Observation::new("revocation-list", "none", "`crls = \"none\"`: nobody can be revoked").doubtful(
                "name the authorities' lists in `[tls] crls`; until then, `enabled = false` in registry.toml",
            ),
        ),
        Some(files) => seen.extend(files.iter().map(|file| lists(file, now))),
    }
    seen
}

/// The certificate of a file that ends first.
fn certificates(role: &str, file: &FileContent, now: Timestamp) -> Observation {
    let name = file.path.display().to_string();
    let facts = facts(file);
    let first = facts.iter().min_by_key(|facts| facts.not_after);
    let begins = facts.iter().map(|facts| facts.not_before).max();
    let seen = |found: String| Observation::new("certificate", &name, format!("{role}: {found}"));
    let Some(first) = first else {
        return seen("no certificate can be read in it".to_owned()).bad("put a PEM certificate there");
    };
    if let Some(begins) = begins.filter(|begins| now < *begins) {
        return seen(format!("not valid before {begins}"))
            .bad("see to the clock of this machine, or have it issued anew");
    }
    let until = first.not_after;
    match hours(now, until) {
        left if left < 0 => seen(format!("ended {until}"))
            .bad("have it renewed, put the file in its place, and `pinegate reload`"),
        left if left < RENEW_HOURS => seen(format!("until {until}, {}", span(left)))
            .doubtful("have it renewed, put the file in its place, and `pinegate reload`"),
        left => seen(format!("until {until}, {}", span(left))),
    }
}

/// Each certificate of the gate's chain is issued by the next.
fn chain(file: &FileContent) -> Option<Observation> {
    let facts = facts(file);
    let broken =
        facts.iter().zip(facts.iter().skip(1)).find(|(one, next)| one.issuer_der != next.subject_der);
    let name = file.path.display().to_string();
    let leaf = facts.first()?;
    let seen = |found: String| Observation::new("certificate-chain", &name, found);
    if let Some((one, next)) = broken {
        return Some(
            seen(format!("`{}` is followed by `{}`, which did not issue it", one.subject, next.subject))
                .bad("put the gate's own certificate first, then whoever issued it, and so on"),
        );
    }
    if leaf.is_authority {
        let found = format!("its first certificate, `{}`, is an authority's", leaf.subject);
        return Some(seen(found).bad("put the gate's own certificate first"));
    }
    if facts.len() == 1 {
        return Some(seen(format!("`{}` alone", leaf.subject)));
    }
    Some(seen(format!("{}, each issued by the next", several(facts.len(), "certificate"))))
}

fn lists(file: &FileContent, now: Timestamp) -> Observation {
    const FETCH: &str =
        "fetch the authority's newest list into its place, and `pinegate reload`; do so by a timer";
    let name = file.path.display().to_string();
    let lists = CertificateRevocationListDer::pem_slice_iter(&file.bytes);
    let lists = lists.filter_map(|der| RevocationFacts::read(&der.ok()?).ok());
    let due = lists.map(|list| list.next_update.unwrap_or(list.this_update)).min();
    let seen = |found: String| Observation::new("revocation-list", &name, found);
    let Some(due) = due else {
        return seen("no list can be read in it".to_owned()).bad(FETCH);
    };
    match hours(now, due) {
        left if left < 0 => seen(format!("stale since {due}: whom it covers is refused")).bad(FETCH),
        left if left < REFRESH_HOURS => seen(format!("stale from {due} on, {}", span(left))).doubtful(FETCH),
        left => seen(format!("fresh until {due}, {}", span(left))),
    }
}

fn facts(file: &FileContent) -> Vec<CertificateFacts> {
    let ders = CertificateDer::pem_slice_iter(&file.bytes);
    ders.filter_map(|der| CertificateFacts::read(&der.ok()?).ok()).collect()
}

/// Whole hours from `now` to `until`; negative if that is past.
fn hours(now: Timestamp, until: Timestamp) -> i64 {
    until.as_second().saturating_sub(now.as_second()).div_euclid(3600)
}

fn span(hours: i64) -> String {
    match hours {
        0..48 => format!("in {hours} h"),
        hours => format!("in {} days", hours / 24),
    }
}
