use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::identity::CertificateFacts;
use crate::identity::revocation::RevocationFacts;
use crate::identity::token::{KeySet, SignatureAlgorithm, SigningKey};
use crate::kernel::diagnostic::Source;
use crate::kernel::secret::Secret;

const URI: &str = "spiffe://city.example/dept/minzheng/system/minzheng-aid";

fn now() -> Timestamp {
    "2026-06-01T08:30:00.5Z".parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn der(path: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(path).unwrap().to_vec()
}

#[test]
fn files_and_their_modes() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("certs");
    let ca = DevelopmentCa::create(&root, "Pinegate development", 365, now(), Overwrite::Refuse).unwrap();
    let server =
        ca.issue_server("server", &["localhost", "127.0.0.1"], 90, now(), Overwrite::Refuse).unwrap();
    let client =
        ca.issue_client("minzheng-aid", ClientName::SanUri(URI), 30, now(), Overwrite::Refuse).unwrap();
    assert_eq!(client.certificate, root.join("clients/minzheng-aid.pem"));
    for private in [&root.join("ca.key"), &server.key, &client.key] {
        assert_eq!(mode(private), 0o600, "{}", private.display());
    }
    for public in [&ca.certificate(), &ca.revocation_list(), &server.certificate, &client.certificate] {
        assert_eq!(mode(public) & 0o133, 0, "{}", public.display());
    }
    let facts = CertificateFacts::read(&der(&client.certificate)).unwrap();
    assert_eq!(facts.san_uris.only(), Some(URI));
    assert_eq!(*facts.serial, *client.serial);
    assert_eq!((facts.fingerprint, facts.not_after), (client.fingerprint, client.not_after));
    assert_eq!(client.not_after.to_string(), "2026-07-01T08:30:00Z");
    assert!(facts.is_valid_at(now()));
    let left_over = fs::read_dir(&root)
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".new-"));
    assert!(!left_over, "no half-written file stays");
}

#[test]
fn nothing_is_overwritten_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let ca = DevelopmentCa::create(root, "ca", 365, now(), Overwrite::Refuse).unwrap();
    let before = fs::read(root.join("ca.key")).unwrap();
    let again = DevelopmentCa::create(root, "ca", 365, now(), Overwrite::Refuse);
    assert!(matches!(again, Err(PkiError::Exists { .. })));
    assert_eq!(fs::read(root.join("ca.key")).unwrap(), before);
    let issue = |overwrite| ca.issue_client("a", ClientName::SanUri(URI), 30, now(), overwrite);
    let first = issue(Overwrite::Refuse).unwrap();
    assert!(matches!(issue(Overwrite::Refuse), Err(PkiError::Exists { .. })));
    let second = issue(Overwrite::Replace).unwrap();
    assert_ne!(first.serial, second.serial);
    issue_token_key(root, "k1", SignatureAlgorithm::Es256, Overwrite::Refuse).unwrap();
    let again = issue_token_key(root, "k1", SignatureAlgorithm::Es256, Overwrite::Refuse);
    assert!(matches!(again, Err(PkiError::Exists { .. })));
}

#[test]
fn what_cannot_be_issued() {
    let directory = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::create(directory.path(), "ca", 365, now(), Overwrite::Refuse).unwrap();
    for file in ["", "../x", "a/b", ".hidden", "a b", "名", &"a".repeat(65)] {
        let issued = ca.issue_client(file, ClientName::SanUri(URI), 30, now(), Overwrite::Refuse);
        assert!(matches!(issued, Err(PkiError::Name { .. })), "{file}");
    }
    for uri in ["", "spiffe://城市/x", "a b"] {
        let issued = ca.issue_client("a", ClientName::SanUri(uri), 30, now(), Overwrite::Refuse);
        assert!(matches!(issued, Err(PkiError::Subject { .. })), "{uri}");
    }
    assert!(ca.issue_server("s", &[], 30, now(), Overwrite::Refuse).is_err());
    for days in [0, u32::MAX] {
        let issued = ca.issue_client("a", ClientName::SanUri(URI), days, now(), Overwrite::Refuse);
        assert!(matches!(issued, Err(PkiError::Validity { .. })), "{days}");
    }
    assert!(matches!(ca.revoke("nobody", 30, now()), Err(PkiError::NotIssued { .. })));
    assert!(matches!(DevelopmentCa::open(Path::new("/nowhere")), Err(PkiError::File { .. })));
}

/// The list in force: what it says, and whether it names a serial number.
fn list(ca: &DevelopmentCa) -> (RevocationFacts, impl Fn(&Issued) -> bool + use<>) {
    let der = CertificateRevocationListDer::from_pem_file(ca.revocation_list()).unwrap().to_vec();
    let facts = RevocationFacts::read(&der).unwrap();
    let own = CertificateFacts::read(&self::der(&ca.certificate())).unwrap();
    assert_eq!(facts.issuer_der, own.subject_der);
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &own.public_key);
    assert!(key.verify(&facts.signed, &facts.signature).is_ok(), "signed by the authority");
    let names = move |issued: &Issued| {
        let serial = data_encoding::HEXLOWER.decode(issued.serial.as_bytes()).unwrap();
        der.windows(serial.len()).any(|window| *window == *serial)
    };
    (facts, names)
}

#[test]
fn revocation() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let ca = DevelopmentCa::create(root, "ca", 365, now(), Overwrite::Refuse).unwrap();
    let names = [
        ("uri", ClientName::SanUri(URI)),
        ("dns", ClientName::SanDns("a.city.example")),
        ("cn", ClientName::CommonName("用水报装系统")),
        ("code", ClientName::CreditCode("91340100MA2MRXYQ0X")),
    ];
    let clients: Vec<Issued> = names
        .into_iter()
        .map(|(file, name)| ca.issue_client(file, name, 30, now(), Overwrite::Refuse).unwrap())
        .collect();
    let facts = |issued: &Issued| CertificateFacts::read(&der(&issued.certificate)).unwrap();
    assert_eq!(facts(&clients[1]).san_dns.only(), Some("a.city.example"));
    assert_eq!(facts(&clients[2]).common_names.only(), Some("用水报装系统"));
    assert_eq!(facts(&clients[3]).credit_codes.only(), Some("91340100MA2MRXYQ0X"));
    assert_eq!(list(&ca).0.revoked, 0);

    let ca = DevelopmentCa::open(root).unwrap();
    assert_eq!(ca.revoke("uri", 30, now()).unwrap(), [clients[0].serial.clone()]);
    assert_eq!(ca.revoke(&clients[1].serial, 30, now()).unwrap(), [clients[1].serial.clone()]);
    assert!(ca.revoke("uri", 30, now()).is_ok(), "revoking again changes nothing");
    let (facts, names) = list(&ca);
    assert_eq!(facts.revoked, 2);
    assert_eq!(clients.iter().map(names).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(facts.next_update.unwrap().to_string(), "2026-07-01T08:30:00Z");

    let later = "2026-07-02T00:00:00Z".parse().unwrap();
    ca.write_revocation_list(30, later).unwrap();
    let (facts, _) = list(&ca);
    assert_eq!((facts.revoked, facts.next_update > Some(later)), (2, true));
}

#[test]
fn token_keys_and_their_set() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (kid, algorithm) in [("k1", SignatureAlgorithm::Es256), ("k2", SignatureAlgorithm::EdDsa)] {
        let issued = issue_token_key(root, kid, algorithm, Overwrite::Refuse).unwrap();
        assert_eq!(mode(&issued.key), 0o600);
        let pem = Secret::new(fs::read(&issued.key).unwrap());
        assert!(SigningKey::from_pem(&pem, kid).is_ok());
    }
    issue_token_key(root, "k1", SignatureAlgorithm::Es256, Overwrite::Replace).unwrap();
    let text = fs::read_to_string(root.join("tokens/jwks.json")).unwrap();
    let (set, report) = KeySet::from_jwks(&Source::new("jwks.json", text), &SignatureAlgorithm::ALL).unwrap();
    assert_eq!((set.len(), report.to_string()), (2, String::new()));
    let rsa = issue_token_key(root, "k3", SignatureAlgorithm::Rs256, Overwrite::Refuse);
    assert!(matches!(rsa, Err(PkiError::Make(_))));
}
