//! The files of the demonstration: certificates, token keys, policies and a gateway configuration that
//! a person can open and edit.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::identity::CertificateFacts;
use crate::identity::token::{NewToken, SignatureAlgorithm, SigningKey};
use crate::kernel::id::{PurposeCode, SystemId, TokenId};
use crate::kernel::secret::Secret;
use crate::kernel::time::Timestamp;
use crate::pki::{ClientName, DevelopmentCa, Overwrite, PkiError, issue_token_key};
use crate::tlog::note::new_private_key;

/// The SPIFFE trust domain of the invented city.
pub(super) const TRUST_DOMAIN: &str = "city.example";
/// The issuer of its purpose tokens.
pub(super) const ISSUER: &str = "https://exchange.city.example";
/// Their audience.
pub(super) const AUDIENCE: &str = "pinegate";
/// The name of the key that signs them.
pub(super) const KEY_ID: &str = "demo";

/// How long what is issued is valid, in days.
const CERTIFICATE_DAYS: u32 = 30;
/// How long a token for the printed commands is valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// The systems that get a client certificate, each with its department.
const SYSTEMS: [(&str, &str); 4] = [
    ("minzheng-aid", "minzheng"),
    ("shichang-credit", "shichang"),
    ("water-billing", "water"),
    ("ziran-map", "ziran"),
];

/// The example policies with their tests and the guide to them, as they stand in the repository.
const POLICIES: [(&str, &str); 14] = [
    ("README.md", include_str!("../../policies/README.md")),
    ("README.zh.md", include_str!("../../policies/README.zh.md")),
    ("calendar.toml", include_str!("../../policies/calendar.toml")),
    ("catalog.toml", include_str!("../../policies/catalog.toml")),
    ("grants.csv", include_str!("../../policies/grants.csv")),
    ("limits.toml", include_str!("../../policies/limits.toml")),
    ("masks.toml", include_str!("../../policies/masks.toml")),
    ("model.conf", include_str!("../../policies/model.conf")),
    ("purposes.toml", include_str!("../../policies/purposes.toml")),
    ("registry.toml", include_str!("../../policies/registry.toml")),
    ("tests/platform.toml", include_str!("../../policies/tests/platform.toml")),
    ("tests/registration.toml", include_str!("../../policies/tests/registration.toml")),
    ("tests/social-aid.toml", include_str!("../../policies/tests/social-aid.toml")),
    ("tests/social-security.toml", include_str!("../../policies/tests/social-security.toml")),
];

/// Why the demonstration could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file or directory could not be written or read.
    #[error("cannot write or read {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds something else than a demonstration.
    #[error("{} is not empty and holds no demonstration; name a new directory", path.display())]
    Foreign {
        /// Which one.
        path: PathBuf,
    },
    /// Another demonstration runs in the directory.
    #[error("another demonstration runs in {}; end it, or name another directory", path.display())]
    Taken {
        /// Which one.
        path: PathBuf,
    },
    /// A certificate or key could not be made.
    #[error("cannot make the development certificates")]
    Pki(#[from] PkiError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes for a key")]
    Randomness,
    /// A token could not be minted.
    #[error("cannot mint a development token: {0}")]
    Token(String),
}

/// Where the listeners are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) gate: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) platform: SocketAddr,
}

/// Says that a directory is a demonstration's, and is locked by the one that runs in it.
const MARK: &str = ".pinegate-demo";

/// The directory of a demonstration.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    /// Held as long as the demonstration runs.
    _mark: fs::File,
}

/// Takes a directory that is new, empty or an earlier demonstration's, and nobody's at present: what lies
/// in any other is not touched.
fn take(root: &Path) -> Result<fs::File, LayoutError> {
    let failed = |source| LayoutError::File { path: root.to_owned(), source };
    fs::create_dir_all(root).map_err(failed)?;
    let path = root.join(MARK);
    let is_empty = fs::read_dir(root).map_err(failed)?.next().is_none();
    if !is_empty && !path.exists() {
        return Err(LayoutError::Foreign { path: root.to_owned() });
    }
    let mark = fs::File::create(&path).map_err(failed)?;
    mark.try_lock().map_err(|_| LayoutError::Taken { path: root.to_owned() })?;
    Ok(mark)
}

impl Layout {
    /// Writes everything that is not there yet. Policies that a person has edited stay as they are;
    /// certificates, keys and the configuration are made anew.
    pub(super) fn create(root: &Path, addresses: Addresses, now: Timestamp) -> Result<Self, LayoutError> {
        let layout = Self { root: root.to_owned(), _mark: take(root)? };
        for directory in ["certs", "policies/tests", "audit", "requests"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).map_err(|source| LayoutError::File { path, source })?;
        }
        for (name, text) in POLICIES {
            let path = root.join("policies").join(name);
            if !path.exists() {
                write(&path, text)?;
            }
        }
        layout.certificates(now)?;
        layout.audit_keys()?;
        write(&layout.config(), &config_text(addresses))?;
        Ok(layout)
    }

    fn certificates(&self, now: Timestamp) -> Result<(), LayoutError> {
        let directory = self.certs();
        let replace = Overwrite::Replace;
        let ca = DevelopmentCa::create(&directory, "Pinegate demo CA", CERTIFICATE_DAYS, now, replace)?;
        ca.issue_server("server", &["localhost", "127.0.0.1", "::1"], CERTIFICATE_DAYS, now, replace)?;
        for (system, department) in SYSTEMS {
            let uri = format!("spiffe://{TRUST_DOMAIN}/dept/{department}/system/{system}");
            ca.issue_client(system, ClientName::SanUri(&uri), CERTIFICATE_DAYS, now, replace)?;
        }
        issue_token_key(&directory, KEY_ID, SignatureAlgorithm::Es256, replace)?;
        Ok(())
    }

    /// Makes the key of the digests in records, and that of the log's signed heads. Those that are there stay:
    /// without the one nobody would find the people in the records of earlier runs, without the other the log
    /// could not go on.
    fn audit_keys(&self) -> Result<(), LayoutError> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| LayoutError::Randomness)?;
        self.secret("audit.key", &key)?;
        let key = new_private_key().map_err(|_| LayoutError::Randomness)?;
        self.secret("checkpoint.key", key.expose())
    }

    /// Writes a secret, unless there is one.
    fn secret(&self, name: &str, secret: &[u8]) -> Result<(), LayoutError> {
        let path = self.root.join(name);
        let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match created.and_then(|mut file| file.write_all(secret)) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(LayoutError::File { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The key of the digests in records.
    pub(super) fn audit_key(&self) -> PathBuf {
        self.root.join("audit.key")
    }

    /// Writes down whom to look for, and says where.
    pub(super) fn number_file(&self, number: &str) -> Result<PathBuf, LayoutError> {
        let path = self.root.join("requests").join("number.txt");
        write(&path, &format!("{number}\n"))?;
        Ok(path)
    }

    /// The gateway configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.root.join("gateway.toml")
    }

    /// Certificates and keys.
    pub(super) fn certs(&self) -> PathBuf {
        self.root.join("certs")
    }

    /// The audit log.
    pub(super) fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// The policy directory.
    pub(super) fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }

    /// A client's certificate and private key.
    pub(super) fn client(&self, system: &str) -> (PathBuf, PathBuf) {
        let clients = self.certs().join("clients");
        (clients.join(format!("{system}.pem")), clients.join(format!("{system}.key")))
    }

    /// The file that holds a token of `system` for `purpose`.
    pub(super) fn token_file(&self, system: &str, purpose: &str) -> PathBuf {
        self.root.join("requests").join(format!("{system}.{purpose}.jwt"))
    }

    /// Mints a token of `system` for `purpose`, bound to the system's certificate, into its file.
    pub(super) fn mint(&self, system: &str, purpose: &str, now: Timestamp) -> Result<String, LayoutError> {
        let failed = |error: &dyn std::fmt::Display| LayoutError::Token(error.to_string());
        let key = read(&self.certs().join("tokens").join(format!("{KEY_ID}.key")))?;
        let key = SigningKey::from_pem(&Secret::new(key), KEY_ID).map_err(|error| failed(&error))?;
        let (certificate, _) = self.client(system);
        let pem = read(&certificate)?;
        let der =
            <rustls_pki_types::CertificateDer<'_> as rustls_pki_types::pem::PemObject>::from_pem_slice(&pem)
                .map_err(|error| failed(&error))?;
        let facts = CertificateFacts::read(&der).map_err(|error| failed(&error))?;
        let system_id = SystemId::parse(&format!("sys:{system}")).map_err(|error| failed(&error))?;
        let purpose_code = PurposeCode::parse(purpose).map_err(|error| failed(&error))?;
        let id = TokenId::parse(&crate::kernel::id::RequestId::generate().to_string())
            .map_err(|error| failed(&error))?;
        let token = key
            .mint(&NewToken {
                issuer: ISSUER,
                audience: AUDIENCE,
                system: &system_id,
                id: &id,
                purpose: &purpose_code,
                scope: None,
                grants: &[],
                x5t_s256: &facts.x5t_s256,
                issued: now,
                lifetime: TOKEN_LIFETIME,
            })
            .map_err(|error| failed(&error))?;
        let text = String::from_utf8_lossy(token.expose()).into_owned();
        write(&self.token_file(system, purpose), &text)?;
        Ok(text)
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LayoutError> {
    fs::read(path).map_err(|source| LayoutError::File { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), LayoutError> {
    fs::write(path, text).map_err(|source| LayoutError::File { path: path.to_owned(), source })
}

/// A gateway configuration to open and edit.
fn config_text(addresses: Addresses) -> String {
    let Addresses { gate, metrics, platform } = addresses;
    let mut text = format!(
        r#"# The gate of the demonstration. Paths are relative to this file.
# After an edit here: pinegate reload --config <this file>. Policy files take effect when saved.

[listen]
addresses = ["{gate}"]                  # where department systems connect

[tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "certs/ca.pem"              # who issues client certificates
crls = ["certs/crl.pem"]                # which of them are revoked

[identity]
trust_domain = "{TRUST_DOMAIN}"          # spiffe://{TRUST_DOMAIN}/dept/<department>/system/<system>

[purpose]                               # whose word on the purpose is taken
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "certs/tokens/jwks.json"
algorithms = ["ES256"]

[policy]
directory = "policies"
zone = "Asia/Shanghai"
reload = "watch"                        # an edited policy file takes effect at once; production: "signal"

[audit]
directory = "audit"
node = "demo"
segment_bytes = "4MiB"
pseudonym_key = "audit.key"             # finds in the records whose data was asked for: `pinegate audit subject`

[audit.checkpoint]
key = "checkpoint.key"                  # signs the heads of the log: `pinegate audit key --log demo checkpoint.key`

[metrics]
address = "{metrics}"

[admin]
socket = "admin.sock"

[[upstream]]
id = "platform"
url = "http://{platform}"               # the invented exchange platform
"#
    );
    for (method, path, resource, action, parameters) in ROUTES {
        text.push_str(&format!(
            "\n[[route]]\nmethod = \"{method}\"\npath = \"{path}\"\nresource = \"{resource}\"\naction = \"{action}\"\n\
             upstream = \"platform\"\n"
        ));
        if !parameters.is_empty() {
            text.push_str(&format!("parameters = {{ {parameters} }}\n"));
        }
        if action == "submit" {
            text.push_str(
                "request = { fields = \"restrict\" }        # a body holds what is granted and nothing else\n",
            );
        }
    }
    text
}

/// Method, path, resource, action, parameters.
const ROUTES: [(&str, &str, &str, &str, &str); 9] = [
    (
        "GET",
        "/population/residents",
        "population.resident",
        "query",
        r#"area = "query:area", year = "query:year""#,
    ),
    (
        "GET",
        "/population/residents/{id_card}",
        "population.resident",
        "query",
        r#"id_card = "path:id_card", area = "query:area""#,
    ),
    ("POST", "/population/verify", "population.resident", "verify", ""),
    ("POST", "/aid/leads", "aid.lead", "submit", r#"area = "body:area", kind = "body:kind""#),
    ("GET", "/population/adoptions", "population.adoption", "query", ""),
    ("GET", "/legal/enterprises", "legal.enterprise", "query", r#"area = "query:area""#),
    (
        "GET",
        "/legal/enterprises/{credit_code}",
        "legal.enterprise",
        "query",
        r#"credit_code = "path:credit_code""#,
    ),
    ("GET", "/licences", "licence.electronic", "query", r#"kind = "query:kind""#),
    ("GET", "/spatial/parcels", "spatial.parcel", "query", r#"area = "query:area""#),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_example_is_written() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        for directory in [example.clone(), example.join("tests")] {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&example).unwrap().to_str().unwrap();
                assert!(path.is_dir() || POLICIES.iter().any(|(written, _)| *written == name), "{name}");
            }
        }
    }

    #[test]
    fn only_a_demonstrations_own_directory_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("new");
        let held = take(&new).unwrap();
        assert!(matches!(take(&new), Err(LayoutError::Taken { .. })), "one at a time");
        drop(held);
        fs::write(new.join("gateway.toml"), "edited").unwrap();
        assert!(take(&new).is_ok(), "an earlier demonstration's directory is taken again");

        let foreign = root.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("server.key"), "precious").unwrap();
        assert!(matches!(take(&foreign), Err(LayoutError::Foreign { .. })));
        assert!(!foreign.join(MARK).exists(), "nothing was written");
    }
}
