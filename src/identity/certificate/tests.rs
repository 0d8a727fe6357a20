use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::*;

fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn facts(change: impl FnOnce(&mut CertificateParams)) -> CertificateFacts {
    CertificateFacts::read(&made(change)).unwrap()
}

#[test]
fn what_a_certificate_says() {
    let der = made(|params| {
        params.subject_alt_names = vec![
            SanType::URI("spiffe://city.example/dept/a/system/b".try_into().unwrap()),
            SanType::DnsName("B.City.Example".try_into().unwrap()),
        ];
        params.distinguished_name.push(DnType::CommonName, "社会救助系统");
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), "91340100MA2MRXYQ0X");
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 97]), "NTRCN-91340100MA2MRXYQ0X");
        params.serial_number = Some(rcgen::SerialNumber::from(vec![0, 0x0a, 0xbc]));
    });
    let facts = CertificateFacts::read(&der).unwrap();
    assert_eq!(facts.fingerprint, Digest::of(&der));
    assert_eq!(facts.x5t_s256.len(), 43);
    assert_eq!(&*facts.serial, "0abc");
    assert_eq!(facts.not_before.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(facts.not_after.to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(facts.san_uris.only(), Some("spiffe://city.example/dept/a/system/b"));
    assert_eq!(facts.san_dns.only(), Some("b.city.example"));
    assert_eq!(facts.common_names.only(), Some("社会救助系统"));
    assert_eq!(facts.credit_codes.only(), Some("91340100MA2MRXYQ0X"), "the same code twice is one");
    assert_eq!(facts.key_kind, KeyKind::NistCurve);
    assert!(!facts.is_authority);
    for (instant, valid) in [
        ("2025-12-31T23:59:59.999Z", false),
        ("2026-01-01T00:00:00Z", true),
        ("2027-01-01T00:00:00.999Z", true),
        ("2027-01-01T00:00:01Z", false),
    ] {
        assert_eq!(facts.is_valid_at(instant.parse().unwrap()), valid, "{instant}");
    }
}

#[test]
fn odd_names_count_and_never_match() {
    for uri in ["", "spiffe://a/\0", "spiffe://a/b ", "spiffe://a/\u{7f}", &format!("x:{}", "a".repeat(600))]
    {
        let facts = facts(|params| {
            params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        });
        assert_eq!((facts.san_uris.only(), facts.san_uris.count()), (None, 1), "{uri:?}");
        assert_eq!(facts.san_uris.iter().count(), 0, "{uri:?}");
    }
    let two = facts(|params| {
        params.subject_alt_names =
            ["spiffe://a/b", "spiffe://a/\0"].map(|uri| SanType::URI(uri.try_into().unwrap())).to_vec();
    });
    assert_eq!((two.san_uris.only(), two.san_uris.count()), (None, 2));
    let cn = facts(|params| params.distinguished_name.push(DnType::CommonName, "a\0b"));
    assert_eq!(cn.common_names.only(), None);
    let bmp = facts(|params| {
        let value = DnValue::BmpString("a".try_into().unwrap());
        params.distinguished_name.push(DnType::CommonName, value);
    });
    assert_eq!((bmp.common_names.only(), bmp.common_names.count()), (None, 1));
}

#[test]
fn anything_but_one_certificate_is_refused() {
    let der = made(|_| {});
    let mut longer = der.clone();
    longer.push(0);
    assert_eq!(CertificateFacts::read(&longer), Err(CertificateError::NotACertificate));
    assert_eq!(CertificateFacts::read(&der[..der.len() - 1]), Err(CertificateError::NotACertificate));
    assert_eq!(CertificateFacts::read(b""), Err(CertificateError::NotACertificate));
    assert_eq!(CertificateFacts::read(&vec![0x30; 20_000]), Err(CertificateError::TooLong));
    let doubled = made(|params| {
        let san = [0x30, 0x04, 0x86, 0x02, b'a', b':'];
        for _ in 0..2 {
            let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], san.to_vec());
            params.custom_extensions.push(extension);
        }
    });
    assert_eq!(CertificateFacts::read(&doubled), Err(CertificateError::BadExtension));
}

#[test]
fn key_strength() {
    for (kind, strong) in [
        (KeyKind::Rsa { bits: 1024 }, false),
        (KeyKind::Rsa { bits: 2047 }, false),
        (KeyKind::Rsa { bits: 2048 }, true),
        (KeyKind::Rsa { bits: 2049 }, false),
        (KeyKind::NistCurve, true),
        (KeyKind::Ed25519, true),
        (KeyKind::Other, false),
    ] {
        assert_eq!(kind.is_strong_enough(), strong, "{kind:?}");
    }
    assert_eq!([bit_length(&[]), bit_length(&[0, 1]), bit_length(&[0x80, 0])], [0, 1, 16]);
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let der = CertificateParams::default().self_signed(&rsa).unwrap();
    assert_eq!(CertificateFacts::read(der.der()).unwrap().key_kind, KeyKind::Rsa { bits: 2048 });
}

proptest! {
    #[test]
    fn broken_bytes_never_panic(at in 0_usize..600, byte: u8, cut in 0_usize..600) {
        let mut der = made(|params| {
            params.subject_alt_names = vec![SanType::URI("spiffe://a/b".try_into().unwrap())];
        });
        if let Some(there) = der.get_mut(at) {
            *there = byte;
        }
        der.truncate(der.len().saturating_sub(cut % 7));
        if let Ok(facts) = CertificateFacts::read(&der) {
            prop_assert_eq!(facts.fingerprint, Digest::of(&der));
        }
    }
}
