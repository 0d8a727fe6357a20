use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::identity::CertificateFacts;
use crate::identity::token::{KeySet, SignatureAlgorithm, SigningKey};
use crate::kernel::diagnostic::Source;
use crate::kernel::secret::Secret;
use crate::kernel::time::ManualClock;
use crate::tls::{
    HandshakeFailure, KeyFile, OnGap, PemFile, Revocation, ServerTls, ServerTlsInputs, TlsError,
};

const URI: &str = "spiffe://city.example/dept/minzheng/system/minzheng-aid";

fn now() -> Timestamp {
    "2026-06-01T08:30:00.5Z".parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn der(path: &Path) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    rustls_pki_types::CertificateDer::from_pem_file(path).unwrap().to_vec()
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
        assert_eq!(mode(public) & 0o077, 0o044, "{}", public.display());
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

fn tls(root: &Path, server: &Issued, at: Timestamp) -> Result<ServerTls, TlsError> {
    let file = |path: &Path| PemFile {
        name: path.display().to_string().into(),
        bytes: fs::read(path).unwrap().into(),
    };
    let inputs = ServerTlsInputs {
        certificate_chain: &file(&server.certificate),
        key: &KeyFile { name: "server.key".into(), pem: Secret::new(fs::read(&server.key).unwrap()) },
        client_authorities: &file(&root.join("ca.pem")),
        client_intermediates: None,
        revocation: &Revocation::Lists {
            files: vec![file(&root.join("crl.pem"))],
            stale: OnGap::Refuse,
            unknown: OnGap::Refuse,
        },
    };
    ServerTls::new(&inputs, Arc::new(ManualClock::new(at)))
}

#[test]
fn the_gate_takes_what_the_authority_makes_until_it_is_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let ca = DevelopmentCa::create(root, "ca", 365, now(), Overwrite::Refuse).unwrap();
    let server = ca.issue_server("server", &["localhost"], 90, now(), Overwrite::Refuse).unwrap();
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
    let chain = |issued: &Issued| vec![der(&issued.certificate)];
    let verifier = tls(root, &server, now()).unwrap().verifier;
    for client in &clients {
        assert_eq!(verifier.still_good(&chain(client), now()), Ok(()));
    }
    assert_eq!(verifier.still_good(&chain(&server), now()), Err(HandshakeFailure::WrongUsage));

    let ca = DevelopmentCa::open(root).unwrap();
    assert_eq!(ca.revoke("uri", 30, now()).unwrap(), [clients[0].serial.clone()]);
    assert_eq!(ca.revoke(&clients[1].serial, 30, now()).unwrap(), [clients[1].serial.clone()]);
    assert!(ca.revoke("uri", 30, now()).is_ok(), "revoking again changes nothing");
    let verifier = tls(root, &server, now()).unwrap().verifier;
    let verdicts: Vec<_> = clients.iter().map(|client| verifier.still_good(&chain(client), now())).collect();
    assert_eq!(verdicts, [Err(HandshakeFailure::Revoked), Err(HandshakeFailure::Revoked), Ok(()), Ok(())]);

    let later = "2026-07-02T00:00:00Z".parse().unwrap();
    assert!(matches!(tls(root, &server, later), Err(TlsError::ListStale { .. })));
    ca.write_revocation_list(30, later).unwrap();
    assert!(tls(root, &server, later).is_ok());
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
