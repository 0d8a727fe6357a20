//! Certificates and revocation lists in DER.
//!
//! Input: the bytes themselves.

use pinegate::identity::certificate::{CertificateFacts, MAX_CERTIFICATE_BYTES, MAX_NAME_BYTES};
use pinegate::identity::revocation::RevocationFacts;
use pinegate::kernel::id::Digest;

pub(crate) fn check(data: &[u8]) {
    check_certificate(data);
    check_revocation_list(data);
}

fn check_certificate(data: &[u8]) {
    let Ok(facts) = CertificateFacts::read(data) else { return };
    assert!(data.len() <= MAX_CERTIFICATE_BYTES);
    assert_eq!(facts.fingerprint, Digest::of(data));
    assert_eq!(facts, CertificateFacts::read(data).unwrap());
    for names in [&facts.san_uris, &facts.san_dns, &facts.common_names, &facts.credit_codes] {
        assert!(names.iter().count() <= names.count() && names.count() <= data.len());
        assert!(names.only().is_none() || names.count() == 1);
        for name in names.iter() {
            assert!((1..=MAX_NAME_BYTES).contains(&name.len()));
            assert!(!name.chars().any(char::is_control));
        }
    }
    assert!(can_be_shown(&facts.subject));
    assert!(!facts.serial.starts_with("00"));
    assert!(is_within(&facts.subject_der, data) && is_within(&facts.public_key, data));
    assert!(!facts.is_valid_at(facts.not_before) || facts.not_before <= facts.not_after);
    let longer = [data, &[0]].concat();
    assert!(CertificateFacts::read(&longer).is_err(), "bytes after a certificate are refused");
}

fn check_revocation_list(data: &[u8]) {
    let Ok(facts) = RevocationFacts::read(data) else { return };
    assert!(facts.revoked <= data.len());
    assert!(is_within(&facts.issuer_der, data) && is_within(&facts.signed, data));
    assert!(is_within(&facts.signature, data));
    assert!(can_be_shown(&facts.issuer));
    let longer = [data, &[0]].concat();
    assert!(RevocationFacts::read(&longer).is_err(), "bytes after a list are refused");
}

/// Names stand in messages and at terminals.
fn can_be_shown(name: &str) -> bool {
    name.chars().count() <= 256 && !name.chars().any(char::is_control)
}

fn is_within(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}
