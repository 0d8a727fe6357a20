use std::fs;

use super::*;
use crate::tlog::NoteSigner;
use crate::tlog::note::{SignatureKind, new_private_key};

/// Loads `text` beside a key file; what is wrong, without the directory's name.
fn load(text: &str) -> (Option<WitnessConfig>, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("witness.key"), new_private_key().unwrap().expose()).unwrap();
    fs::write(directory.path().join("other.pem"), "nothing").unwrap();
    let path = directory.path().join("witness.toml");
    fs::write(&path, text).unwrap();
    let (config, report) = WitnessConfig::load(&path);
    (config, report.to_string().replace(&directory.path().display().to_string(), "DIR"))
}

fn key(name: &str, kind: SignatureKind) -> String {
    NoteSigner::from_pkcs8(name, kind, &new_private_key().unwrap()).unwrap().key().to_string()
}

fn right() -> String {
    let log = key("gate-1", SignatureKind::Ed25519);
    format!(
        "listen = \"127.0.0.1:0\"\ndirectory = \"state\"\nname = \"witness.example/w1\"\nkey = \"witness.key\"\n\
         [[log]]\nkey = \"{log}\"\n"
    )
}

#[test]
fn a_witness_is_told_its_key_and_its_logs() {
    let (config, report) = load(&right());
    let config = config.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(config.witness.key().name(), "witness.example/w1");
    assert_eq!(config.witness.origins().collect::<Vec<_>>(), ["gate-1"]);
    assert!(config.tls.is_none() && config.directory.ends_with("state"));
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let check = |text: String, expected: &str| {
        let (config, report) = load(&text);
        assert!(config.is_none(), "{text}");
        assert!(report.contains(expected), "{report}");
    };
    check(String::new(), "`listen`");
    for key in ["directory", "name", "key", "log"] {
        check(String::new(), &format!("`{key}`"));
    }
    check(right().replace("127.0.0.1:0", "localhost"), "an address and port");
    check(right().replace("witness.key", "none.key"), "none.key");
    check(right().replace("witness.key", "other.pem"), "no Ed25519 private key");
    check(right().replace("witness.example/w1", "a name"), "no spaces");
    check(right() + "sign = true\n", "`log[0].sign`");
    let witness = key("w", SignatureKind::Cosignature);
    check(right() + format!("[[log]]\nkey = \"{witness}\"\n").as_str(), "it is a witness's, not a log's");
    let log = key("gate-2", SignatureKind::Ed25519);
    let twice = format!("[[log]]\nkey = \"{log}\"\n").repeat(2);
    check(right() + twice.as_str(), "a second log has the same public key");
    check(right() + "[tls]\ncertificate = \"other.pem\"\n", "`tls.key`");
}
