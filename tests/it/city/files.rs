//! The files of a city, and the tokens of its exchange platform.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use pinegate::identity::CertificateFacts;
use pinegate::identity::token::SignatureAlgorithm;
use pinegate::pki::{ClientName, DevelopmentCa, Issued, Overwrite, issue_token_key};
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::{Ground, now};

/// How long certificates are valid, in days.
pub(crate) const DAYS: u32 = 30;

/// The name of the key that signs purpose tokens.
const KEY_ID: &str = "platform-1";

/// Systems with a certificate, each with its department. The last two are disabled and unknown.
const SYSTEMS: [(&str, &str); 6] = [
    ("minzheng-aid", "minzheng"),
    ("shichang-credit", "shichang"),
    ("water-billing", "water"),
    ("ziran-map", "ziran"),
    ("minzheng-old", "minzheng"),
    ("nobody-knows", "minzheng"),
];

const CONFIG: &str = r#"
[listen]
addresses = ["127.0.0.1:0"]

[tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "certs/ca.pem"
crls = ["certs/crl.pem"]

[identity]
trust_domain = "city.example"

[purpose]
issuer = "https://exchange.city.example"
audience = "pinegate"
jwks = "certs/tokens/jwks.json"
algorithms = ["ES256"]

[policy]
directory = "policies"
zone = "Asia/Shanghai"
reload = "signal"

[audit]
directory = "audit"
node = "test"
segment_bytes = "4MiB"
pseudonym_key = "audit.key"

[metrics]
address = "127.0.0.1:0"

[admin]
socket = "admin.sock"

[telemetry]
log = "info"
format = "json"

[[upstream]]
id = "platform"
url = "http://PLATFORM"
response_timeout = "10s"
"#;

/// The key of the digests in records.
pub(crate) const AUDIT_KEY: &str = "a key for the digests of this city";

/// Method, path, resource, action, and what else the route says.
const ROUTES: [(&str, &str, &str, &str, &str); 26] = [
    (
        "GET",
        "/population/residents",
        "population.resident",
        "query",
        r#"parameters = { area = "query:area", year = "query:year" }"#,
    ),
    (
        "GET",
        "/population/residents/{id_card}",
        "population.resident",
        "query",
        r#"parameters = { id_card = "path:id_card", area = "query:area" }"#,
    ),
    ("POST", "/population/verify", "population.resident", "verify", ""),
    ("GET", "/population/adoptions", "population.adoption", "query", ""),
    ("GET", "/legal/enterprises", "legal.enterprise", "query", r#"parameters = { area = "query:area" }"#),
    ("GET", "/licences", "licence.electronic", "query", r#"parameters = { kind = "query:kind" }"#),
    ("GET", "/spatial/parcels", "spatial.parcel", "query", r#"parameters = { area = "query:area" }"#),
    ("GET", "/_test/1k", "population.resident", "query", ""),
    ("GET", "/_test/bytes", "population.resident", "query", ""),
    ("GET", "/_test/stall", "population.resident", "query", ""),
    ("GET", "/_test/die", "population.resident", "query", ""),
    ("GET", "/_test/short", "population.resident", "query", ""),
    ("GET", "/_test/drop", "population.resident", "query", ""),
    ("GET", "/_test/slow", "population.resident", "query", r#"timeout = "1s""#),
    ("GET", "/_test/status/{code}", "population.resident", "query", ""),
    ("GET", "/_test/html", "population.resident", "query", ""),
    ("GET", "/_test/gzip", "population.resident", "query", ""),
    ("GET", "/_test/badjson", "population.resident", "query", ""),
    ("GET", "/_test/trailers", "population.resident", "query", ""),
    ("GET", "/_test/echo", "test.file", "query", r#"pass_headers = ["x-department-note"]"#),
    ("GET", "/_test/echo/declared", "test.file", "query", r#"purpose = "declared""#),
    ("GET", "/_test/echo/token", "test.file", "query", "forward_token = true"),
    ("GET", "/_test/echo/coarse", "licence.electronic", "query", r#"denials = "coarse""#),
    ("POST", "/_test/upload", "test.file", "submit", r#"max_request_body = "32MiB""#),
    ("POST", "/_test/upload/small", "test.file", "submit", r#"max_request_body = "1KiB""#),
    ("GET", "/_test/upload/none", "test.file", "query", ""),
];

const CATALOG: &str = r#"
[[resource]]
id = "test.file"
name = "原样文件"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["query", "submit"]
format = "opaque"
"#;

const GRANTS: &str = "
p, TEST-1, sys:ziran-map, population.resident, query, planning.survey, name|id_card:clear|phone|birth_date|address.district, always, allow
p, TEST-2, sys:ziran-map, test.file, *, planning.survey, *, always, allow
";

/// Where everything of one city lies.
#[derive(Clone)]
pub(crate) struct Files {
    ground: Ground,
    config: String,
}

impl Files {
    pub(super) fn create() -> Self {
        let ground = Ground::new();
        for directory in ["certs", "policies", "audit"] {
            fs::create_dir(ground.at(directory)).unwrap();
        }
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        for file in fs::read_dir(examples).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), ground.at("policies").join(file.file_name())).unwrap();
            }
        }
        let mut config = CONFIG.to_owned();
        for (method, path, resource, action, rest) in ROUTES {
            config.push_str(&format!(
                "\n[[route]]\nmethod = \"{method}\"\npath = \"{path}\"\nresource = \"{resource}\"\n\
                 action = \"{action}\"\nupstream = \"platform\"\n{rest}\n"
            ));
        }
        let files = Self { ground, config };
        files.write("gateway.toml", &files.config);
        files.write("audit.key", AUDIT_KEY);
        files.add_policy("catalog.toml", CATALOG);
        files.add_policy("grants.csv", GRANTS);
        files.issue();
        files
    }

    fn issue(&self) {
        let directory = self.at("certs");
        let refuse = Overwrite::Refuse;
        let ca = DevelopmentCa::create(&directory, "City CA", DAYS, now(), refuse).unwrap();
        ca.issue_server("server", &["localhost", "127.0.0.1"], DAYS, now(), refuse).unwrap();
        for (system, department) in SYSTEMS {
            self.issue_client(system, &spiffe(department, system));
        }
        issue_token_key(&directory, KEY_ID, SignatureAlgorithm::Es256, refuse).unwrap();
    }

    /// Issues a client certificate with `uri` as its name.
    pub(crate) fn issue_client(&self, file: &str, uri: &str) -> Issued {
        self.authority().issue_client(file, ClientName::SanUri(uri), DAYS, now(), Overwrite::Replace).unwrap()
    }

    /// Issues a client certificate with several names, as the authority itself never would.
    pub(crate) fn issue_client_with_uris(&self, file: &str, uris: &[&str]) {
        let ca = KeyPair::from_pem(&self.read("certs/ca.key")).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.read("certs/ca.pem"), ca).unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names =
            uris.iter().map(|&uri| SanType::URI(Ia5String::try_from(uri).unwrap())).collect();
        let pair = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&pair, &issuer).unwrap();
        self.write(&format!("certs/clients/{file}.pem"), &certificate.pem());
        self.write(&format!("certs/clients/{file}.key"), &pair.serialize_pem());
    }

    pub(crate) fn authority(&self) -> DevelopmentCa {
        DevelopmentCa::open(&self.at("certs")).unwrap()
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.ground.at(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.at(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.at("audit")
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.at("certs/ca.pem")
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.at("gateway.toml")
    }

    /// A client's certificate and private key.
    pub(crate) fn client(&self, system: &str) -> (PathBuf, PathBuf) {
        (self.at(&format!("certs/clients/{system}.pem")), self.at(&format!("certs/clients/{system}.key")))
    }

    pub(crate) fn edit_policy(&self, file: &str, from: &str, to: &str) {
        self.edit(&format!("policies/{file}"), from, to);
    }

    pub(crate) fn add_policy(&self, file: &str, lines: &str) {
        self.add(&format!("policies/{file}"), lines);
    }

    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        self.write(path, &replaced(&self.read(path), from, to));
    }

    pub(crate) fn add(&self, path: &str, lines: &str) {
        self.write(path, &(self.read(path) + lines));
    }

    /// Copies the policy files into a directory of their own.
    pub(crate) fn copy_policies(&self, directory: &str) {
        fs::create_dir_all(self.at(directory)).unwrap();
        for file in fs::read_dir(self.at("policies")).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), self.at(directory).join(file.file_name())).unwrap();
            }
        }
    }

    pub(crate) fn edit_config(&mut self, from: &str, to: &str) {
        self.config = replaced(&self.config, from, to);
        self.write("gateway.toml", &self.config);
    }

    pub(crate) fn add_config(&mut self, text: &str) {
        self.config.push_str(text);
        self.write("gateway.toml", &self.config);
    }

    /// The claims of a good token of `system` for `purpose`.
    pub(crate) fn claims(&self, system: &str, purpose: &str) -> Claims {
        let pem = fs::read(self.client(system).0).unwrap();
        let der = CertificateDer::from_pem_slice(&pem).unwrap();
        let facts = CertificateFacts::read(&der).unwrap();
        let at = now().as_second();
        Claims(json!({
            "iss": "https://exchange.city.example",
            "aud": "pinegate",
            "sub": format!("sys:{system}"),
            "jti": format!("{system}-{at}"),
            "iat": at - 1,
            "nbf": at - 1,
            "exp": at + 3_600,
            "purpose": purpose,
            "cnf": { "x5t#S256": facts.x5t_s256 },
        }))
    }

    /// A good token.
    pub(crate) fn token(&self, system: &str, purpose: &str) -> String {
        self.sign(&self.claims(system, purpose)).text()
    }

    /// Signs `claims` as the platform does.
    pub(crate) fn sign(&self, claims: &Claims) -> Signed {
        self.sign_with(&json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID }), claims)
    }

    /// Signs `claims` under any header.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Claims) -> Signed {
        let pem = fs::read(self.at(&format!("certs/tokens/{KEY_ID}.key"))).unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der()).unwrap();
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(&claims.0));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        Signed { signed, signature: signature.as_ref().to_vec() }
    }
}

/// The name of a system in its certificate.
pub(crate) fn spiffe(department: &str, system: &str) -> String {
    format!("spiffe://city.example/dept/{department}/system/{system}")
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not there to be edited");
    text.replacen(from, to, 1)
}

/// The claims of a token.
pub(crate) struct Claims(Value);

impl Claims {
    /// With one claim said differently.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    /// Without one.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(name);
        self
    }
}

/// A signed token in its parts.
pub(crate) struct Signed {
    signed: String,
    signature: Vec<u8>,
}

impl Signed {
    pub(crate) fn text(&self) -> String {
        format!("{}.{}", self.signed, BASE64URL_NOPAD.encode(&self.signature))
    }

    /// With one bit of the signature turned.
    pub(crate) fn forged(mut self) -> String {
        self.signature[7] ^= 1;
        self.text()
    }

    /// Without a signature.
    pub(crate) fn unsigned(&self) -> String {
        format!("{}.", self.signed)
    }
}
