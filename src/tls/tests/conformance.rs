//! x509-limbo's chains: clients' through the verifier of clients, servers' through that of the
//! platform. Each verdict is the expected one, or the case stands in the table of differences.

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::super::anchors::Anchors;
use super::super::revocation;
use super::super::server_verifier::ServerVerifier;
use super::*;

fn cases() -> Option<Vec<Value>> {
    let folder = crate::kernel::skip::conformance()?;
    let text = std::fs::read(folder.join("limbo.json")).unwrap();
    let mut limbo: Value = serde_json::from_slice(&text).unwrap();
    Some(std::mem::take(limbo["testcases"].as_array_mut().unwrap()))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn der(text: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(text.as_bytes()).unwrap()
}

/// The instant a case is judged at; those without one mean any time near their making.
fn instant(case: &Value) -> Timestamp {
    case["validation_time"].as_str().unwrap_or("2026-01-01T00:00:00Z").parse().unwrap()
}

fn anchors(case: &Value) -> Result<(Anchors, Vec<revocation::LoadedList>), String> {
    let roots = pem("roots", texts(&case["trusted_certs"]).concat());
    let anchors = Anchors::read(&roots, instant(case)).map_err(|error| error.to_string())?;
    let files: Vec<PemFile> = texts(&case["crls"]).into_iter().map(|text| pem("crl", text)).collect();
    let revocation = if files.is_empty() { Revocation::None } else { listed(&files) };
    let authorities: Vec<_> = anchors.roots().iter().collect();
    let lists = revocation::lists(&revocation, &authorities, instant(case)).map_err(|e| e.to_string())?;
    Ok((anchors, lists))
}

fn judge(case: &Value) -> Result<(), String> {
    let (anchors, lists) = anchors(case)?;
    let leaf = der(case["peer_certificate"].as_str().unwrap());
    let intermediates: Vec<_> =
        texts(&case["untrusted_intermediates"]).iter().map(|text| der(text)).collect();
    let now = unix_time(instant(case)).unwrap();
    if case["validation_kind"] == "CLIENT" {
        let revocation = if lists.is_empty() { Revocation::None } else { listed(&[]) };
        let verifier = ClientVerifier::new(anchors, &[], lists, &revocation, provider()).unwrap();
        let chain: Vec<Vec<u8>> =
            std::iter::once(&leaf).chain(&intermediates).map(|der| der.to_vec()).collect();
        return verifier.still_good(&chain, instant(case)).map_err(|failure| failure.as_str().to_owned());
    }
    let verifier = ServerVerifier::new(anchors, lists, provider()).map_err(|error| error.to_string())?;
    let name = case["expected_peer_name"]["value"].as_str().unwrap_or("example.com");
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    verifier
        .verify_server_cert(&leaf, &intermediates, &name, &[], now)
        .map(drop)
        .map_err(|error| format!("{error:?}"))
}

/// Cases judged otherwise: why, whether we accept what limbo refuses, and which.
const DIFFERENCES: &[(&str, bool, &[&str])] = &[
    (
        "stricter: an authority's certificate is nobody's own",
        false,
        &["pathlen::validation-ignores-pathlen-in-leaf", "rfc5280::ca-as-leaf"],
    ),
    ("stricter: at most eight certificates are taken from a peer", false, &["cve::cve-2024-0567"]),
    (
        "stricter: intermediates that bear their issuer's own name are not followed",
        false,
        &["pathlen::self-issued-certs-pathlen", "rfc5280::nc::permitted-self-issued"],
    ),
    (
        "stricter: a name of a kind that is constrained and cannot be compared is refused",
        false,
        &[
            "rfc5280::nc::permitted-dn-match",
            "rfc5280::nc::nc-permits-email-exact",
            "rfc5280::nc::nc-permits-email-domain",
            "rfc5280::nc::nc-permits-email-literal-asterisk-exact-match",
            "rfc5280::nc::nc-permits-email-literal-double-asterisk",
            "rfc5280::nc::nc-permits-email-literal-mid-asterisk",
        ],
    ),
    (
        "stricter: every configured root is checked, used or not",
        false,
        &["rfc5280::unknown-critical-extension-unrelated-root"],
    ),
    (
        "the key identifiers and authority information that help to find issuers decide nothing",
        true,
        &[
            "rfc5280::aki::critical-aki",
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::aki::cross-signed-root-missing-aki",
            "rfc5280::ski::critical-ski",
            "rfc5280::ski::root-missing-ski",
            "rfc5280::ski::intermediate-missing-ski",
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-ski-mismatch",
            "webpki::malformed-aia",
        ],
    ),
    (
        "duties of the issuer, whose breach gives nobody another name or more rights",
        true,
        &[
            "crl::crlnumber-missing",
            "crl::crlnumber-critical",
            "rfc5280::nc::permitted-dns-match-noncritical",
            "rfc5280::nc::invalid-dnsname-leading-period",
            "rfc5280::nc::not-allowed-in-ee-noncritical",
            "rfc5280::nc::not-allowed-in-ee-critical",
            "rfc5280::pc::ica-noncritical-pc",
            "rfc5280::san::noncritical-with-empty-subject",
            "rfc5280::san::underscore-dns",
            "rfc5280::serial::too-long",
            "rfc5280::serial::zero",
            "rfc5280::ca-empty-subject",
            "rfc5280::root-non-critical-basic-constraints",
            "rfc5280::leaf-ku-keycertsign",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
        ],
    ),
    (
        "rules for public web authorities; here the authorities are the city's own",
        true,
        &[
            "webpki::eku::ee-anyeku",
            "webpki::eku::ee-critical-eku",
            "webpki::eku::ee-without-eku",
            "webpki::eku::root-has-eku",
            "webpki::san::public-suffix-multi-label-wildcard-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
            "webpki::san::san-critical-with-nonempty-subject",
        ],
    ),
    (
        "a server's common name is never read, so it cannot disagree with its SANs",
        true,
        &[
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
            "webpki::cn::not-in-san",
            "webpki::cn::case-mismatch",
        ],
    ),
    (
        "the depth of a chain is not configurable",
        true,
        &["pathlen::max-chain-depth-0-exhausted", "pathlen::max-chain-depth-1-exhausted"],
    ),
];

#[test]
fn limbo_chains() {
    let Some(cases) = cases() else { return };
    let (mut clients, mut equal, mut different, mut wrong) = (0, 0, 0, Vec::new());
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let verdict = judge(case);
        clients += usize::from(case["validation_kind"] == "CLIENT");
        let as_expected = verdict.is_ok() == (case["expected_result"] == "SUCCESS");
        let known = DIFFERENCES.iter().find(|(_, _, ids)| ids.contains(&id));
        match known {
            None if as_expected => equal += 1,
            Some((_, accepted, _)) if !as_expected && *accepted == verdict.is_ok() => different += 1,
            _ => wrong.push((id, verdict)),
        }
    }
    println!(
        "{equal} of {} as expected ({clients} of them clients), {different} known to differ",
        cases.len()
    );
    assert_eq!(wrong, [], "neither as expected nor in the table of differences");
    assert_eq!((clients, cases.len()), (10, 208));
}

/// Limbo's leaf with an RSA key of 1024 bits, as a client's.
#[test]
fn a_short_rsa_key_is_refused_as_such() {
    let Some(cases) = cases() else { return };
    let case = cases.iter().find(|case| case["id"] == "webpki::forbidden-weak-rsa-in-leaf").unwrap();
    let (anchors, lists) = anchors(case).unwrap();
    let verifier = ClientVerifier::new(anchors, &[], lists, &Revocation::None, provider()).unwrap();
    let chain = [der(case["peer_certificate"].as_str().unwrap()).to_vec()];
    assert_eq!(verifier.still_good(&chain, instant(case)), Err(HandshakeFailure::WeakKey));
}
