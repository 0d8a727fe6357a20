//! Who may even speak: certificates of clients, and of the platform.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinegate::pki::{ClientName, DevelopmentCa, Overwrite};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use crate::city::{Call, City, Client, DAYS, Files, Http, Plan, now, soon, spiffe, until};
use crate::refusals::check;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// What a client hears from the gate: the error that ends the connection, or the reply's first bytes.
async fn heard(client: &Client) -> io::Result<Vec<u8>> {
    let mut stream = client.open(b"http/1.1").await?;
    // In TLS 1.3 a client is done before its certificate is judged.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut first = vec![0; 12];
    soon("an alert", stream.read_exact(&mut first)).await?;
    Ok(first)
}

fn alert(heard: io::Result<Vec<u8>>) -> String {
    match heard {
        Err(error) => error.to_string(),
        Ok(bytes) => panic!("the gate answered: {}", String::from_utf8_lossy(&bytes)),
    }
}

/// Another authority.
fn authority(name: &str) -> (TempDir, DevelopmentCa) {
    let directory = TempDir::new().unwrap();
    let ca = DevelopmentCa::create(directory.path(), name, DAYS, now(), Overwrite::Refuse).unwrap();
    (directory, ca)
}

fn client_in(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("clients/{name}.pem")), directory.join(format!("clients/{name}.key")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_certificates_end_in_an_alert() {
    let plan = Plan::new();
    let files = plan.files.clone();
    let uri = spiffe("minzheng", "minzheng-aid");
    let long_ago = now().checked_sub(std::time::Duration::from_secs(86_400 * 60)).unwrap();
    let soon_valid = now().checked_add(std::time::Duration::from_secs(86_400)).unwrap();
    let ca = files.authority();
    for (name, when) in [("expired", long_ago), ("early", soon_valid)] {
        ca.issue_client(name, ClientName::SanUri(&uri), DAYS, when, Overwrite::Refuse).unwrap();
    }
    let server = ca.issue_server("only-server", &["localhost"], DAYS, now(), Overwrite::Refuse).unwrap();
    let revoked = files.issue_client("revoked", &uri);
    ca.revoke(&revoked.serial, DAYS, now()).unwrap();
    let ((elsewhere, other), (pretended, impostor)) = (authority("Other CA"), authority("City CA"));
    for ca in [other, impostor] {
        ca.issue_client("other", ClientName::SanUri(&uri), DAYS, now(), Overwrite::Refuse).unwrap();
    }
    let city = plan.start().await;

    let certificates = [
        ("no-certificate", None),
        ("unknown-ca", Some(client_in(elsewhere.path(), "other"))),
        ("bad-signature", Some(client_in(pretended.path(), "other"))),
        ("expired", Some(files.client("expired"))),
        ("not-yet-valid", Some(files.client("early"))),
        ("revoked", Some(files.client("revoked"))),
        ("wrong-usage", Some((server.certificate, server.key))),
    ];
    for version in VERSIONS {
        for (result, certificate) in &certificates {
            let series = format!("pinegate_tls_handshakes_total{{result=\"{result}\"}}");
            let before = city.gate.metric(&series).await;
            let certificate = certificate.as_ref().map(|(pem, key)| (pem.as_path(), key.as_path()));
            let client = Client::with_versions(&city.gate, &files.ca(), certificate, &[version]);
            let alert = alert(heard(&client).await);
            assert!(alert.contains("alert"), "{version:?} {result}: {alert}");
            let what = format!("{version:?} {result} to be counted once");
            until(&what, async || {
                ((city.gate.metric(&series).await - before - 1.0).abs() < 0.1).then_some(())
            })
            .await;
        }
    }
    assert_eq!(city.received().total(), 0);
    city.call(Call::aid("/population/residents?area=3410&size=1")).await.assert_data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_a_request_after_the_alert_is_not_reset() {
    const TIMES: usize = 20;
    let city = Plan::new().start().await;
    let client = Client::with_versions(&city.gate, &city.files().ca(), None, &[&rustls::version::TLS13]);
    let mut in_peace = 0;
    for _ in 0..TIMES {
        let mut stream = client.open(b"http/1.1").await.unwrap();
        // The alert is there, and the client, who is done as far as it knows, writes before it reads.
        soon("an alert", stream.get_ref().0.readable()).await.unwrap();
        let written = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        // After a reset there is no other end any more, which is what such clients report.
        in_peace += usize::from(written.is_ok() && stream.get_ref().0.peer_addr().is_ok());
        let mut first = [0; 1];
        let heard = soon("an alert", stream.read_exact(&mut first)).await.map(|_| first.to_vec());
        let heard = alert(heard);
        assert!(heard.contains("CertificateRequired"), "{heard}");
    }
    // A machine that is busy may let the time pass that a client is given.
    assert!(in_peace > TIMES / 2, "{in_peace} of {TIMES}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_resumed() {
    let city = Plan::new().start().await;
    for version in VERSIONS {
        let (certificate, key) = city.files().client("minzheng-aid");
        let client =
            Client::with_versions(&city.gate, &city.files().ca(), Some((&certificate, &key)), &[version]);
        // One client keeps what it is given to resume with, which is nothing.
        for _ in 0..3 {
            let mut stream = client.open(b"http/1.1").await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            let mut first = [0; 12];
            soon("a reply", stream.read_exact(&mut first)).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 404");
            let kind = stream.get_ref().1.handshake_kind();
            let full = [rustls::HandshakeKind::Full, rustls::HandshakeKind::FullWithHelloRetryRequest];
            assert!(kind.is_some_and(|kind| full.contains(&kind)), "{version:?}: {kind:?}");
            assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_on_the_tls_port() {
    let city = Plan::new().start().await;
    let mut stream = tokio::net::TcpStream::connect(city.gate.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut reply = Vec::new();
    let _end = soon("the end", stream.read_to_end(&mut reply)).await;
    assert!(!reply.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&reply));
    let series = "pinegate_tls_handshakes_total{result=\"protocol\"}";
    until("the handshake to be counted", async || (city.gate.metric(series).await > 0.5).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_reaches_living_connections() {
    let city = Plan::new().start().await;
    let call = |http| Call::aid("/population/residents?area=3410&size=1").over(http);
    let connections = [
        (Http::One, city.client("minzheng-aid").connect(Http::One).await.unwrap()),
        (Http::Two, city.client("minzheng-aid").connect(Http::Two).await.unwrap()),
    ];
    for (http, connection) in &connections {
        city.call_on(connection, call(*http)).await.assert_data();
    }
    city.files().authority().revoke("minzheng-aid", DAYS, now()).unwrap();
    for (http, connection) in &connections {
        // Until it is told, the gate does not know.
        city.call_on(connection, call(*http)).await.assert_data();
    }
    city.gate.reloaded().await;
    let before = city.received().total();
    for (http, connection) in &connections {
        let reply = city.call_on(connection, call(*http)).await;
        check(&reply, 403, "identity-revoked");
        let record = city.record_of(&reply).await;
        assert_eq!(record.system.as_deref(), Some("sys:minzheng-aid"));
        assert_eq!(record.reason.as_deref(), Some("identity-revoked"));
    }
    assert_eq!(city.received().total(), before);
    let (certificate, key) = city.files().client("minzheng-aid");
    for version in VERSIONS {
        let client =
            Client::with_versions(&city.gate, &city.files().ca(), Some((&certificate, &key)), &[version]);
        assert!(alert(heard(&client).await).contains("alert"));
    }
    city.call(Call::survey("/_test/1k")).await.assert_data();
}

/// TLS on the platform, by the city's authority; it asks for the gate's certificate if `mutual`.
fn platform_tls(files: &Files, name: &str, mutual: bool) -> TlsAcceptor {
    let mut config = service_tls(files, "platform", name, mutual);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// TLS on a service that the gate calls, with a certificate `file` by the city's authority; it asks for the
/// gate's certificate if `mutual`.
pub(crate) fn service_tls(files: &Files, file: &str, name: &str, mutual: bool) -> ServerConfig {
    let issued = files.authority().issue_server(file, &[name], DAYS, now(), Overwrite::Replace).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(files.ca()).unwrap()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(&issued.certificate).unwrap()];
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&issued.key).unwrap()).unwrap()
}

async fn with_platform(name: &str, mutual: bool, upstream: &str) -> City {
    let plan = Plan::new();
    let tls = platform_tls(&plan.files, name, mutual);
    let timeout = "response_timeout = \"10s\"";
    plan.platform_tls(tls).config(timeout, &format!("{timeout}\n{upstream}")).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_towards_the_platform() {
    let city = with_platform("localhost", false, "ca = \"certs/ca.pem\"").await;
    let reply = city.call(Call::survey("/_test/1k")).await;
    reply.assert_data();
    assert_eq!(city.last_received().version, http::Version::HTTP_2, "negotiated by ALPN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutual_tls_towards_the_platform() {
    let own = "ca = \"certs/ca.pem\"\ncertificate = \"certs/clients/ziran-map.pem\"\nkey = \"certs/clients/ziran-map.key\"";
    let city = with_platform("localhost", true, own).await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    city.call(Call::survey(&format!("/_test/bytes?n={}", 1 << 20))).await.assert_data();

    let without = with_platform("localhost", true, "ca = \"certs/ca.pem\"").await;
    let reply = without.call(Call::survey("/_test/1k")).await;
    assert_eq!(reply.status, 502, "{reply:?}");
    assert_eq!(without.received().total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_is_another() {
    let (elsewhere, _other) = authority("City CA");
    let ca = format!("ca = \"{}\"", elsewhere.path().join("ca.pem").display());
    for (name, upstream) in [("localhost", ca.as_str()), ("elsewhere.example", "ca = \"certs/ca.pem\"")] {
        let city = with_platform(name, false, upstream).await;
        let reply = city.call(Call::survey("/_test/1k")).await;
        check(&reply, 502, "upstream-unreachable");
        assert_eq!(city.received().total(), 0, "{name}: it was spoken to");
        assert_eq!(city.record_of(&reply).await.reason.as_deref(), Some("upstream-unreachable"));
    }
}
