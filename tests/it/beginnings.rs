//! A newcomer's first hour: from nothing to data, by the steps that are printed.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use http::Request;
use pinegate::demo::platform::{Options, Platform};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::city::{
    ANY_PORT, Client, Gate, Http, Reply, assert_intact, data, nothing, program, records, soon,
};

/// Runs `line` in `directory` to its end, which must be a good one: what it printed.
async fn good(directory: &Path, line: &[&str]) -> String {
    let mut command = program();
    command.args(line).current_dir(directory).stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let ended = soon("a command", ended).await.unwrap();
    let said = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{line:?}: {}{}", said(&ended.stdout), said(&ended.stderr));
    said(&ended.stdout)
}

/// TLS of a platform that wants to see the gate's certificate, both from the authority of the skeleton.
fn platform_tls(certs: &Path) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certs.join("ca.pem")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = vec![CertificateDer::from_pem_file(certs.join("platform.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certs.join("platform.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn call(client: &Client, target: &str, token: Option<&str>) -> Reply {
    let mut request = Request::get(target);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.trim()));
    }
    let connection = client.connect(Http::One).await.unwrap();
    let reply = soon("a reply", connection.send(request.body(nothing()).unwrap())).await.unwrap();
    soon("a whole reply", Reply::read(reply)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_steps_lead_from_nothing_to_data() {
    let place = tempfile::tempdir().unwrap();
    let made = good(place.path(), &["init", "gate", "--dev-pki", "--json"]).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let steps = made["next"].as_array().unwrap().iter();
    let commands = steps.flat_map(|step| step["commands"].as_array().cloned().unwrap_or_default());
    let commands: Vec<String> = commands.map(|command| command.as_str().unwrap().to_owned()).collect();
    assert_eq!(commands[0], "cd gate");
    let root = place.path().join("gate");

    // A platform of one's own, and ports that are free here.
    let options = Options { tls: Some(platform_tls(&root.join("certs"))), ..Options::default() };
    let platform = Platform::bind(ANY_PORT, data(), options).await.unwrap();
    let (config, port) = (root.join("gateway.toml"), platform.local_addr().port());
    let stop = CancellationToken::new();
    tokio::spawn(platform.serve(stop.clone()));
    let text = fs::read_to_string(&config).unwrap();
    let text = text
        .replace("https://platform.city.example\"", &format!("https://localhost:{port}\""))
        .replace("[audit.checkpoint]", "[audit.checkpoint]\nevery = \"100ms\"")
        .replace("0.0.0.0:8443", "127.0.0.1:0")
        .replace("127.0.0.1:9464", "127.0.0.1:0");
    fs::write(&config, text).unwrap();

    for word in ["check", "test", "doctor"] {
        let wanted = format!("pinegate {word} ");
        let line = commands.iter().find_map(|command| command.strip_prefix(&wanted)).unwrap();
        good(&root, &[&[word], &*line.split(' ').collect::<Vec<_>>()].concat()).await;
    }
    assert!(commands.contains(&"pinegate run --config gateway.toml".to_owned()));
    let mut program = program();
    let mut gate = Gate::launch(&config, program.stdin(Stdio::null()).stdout(Stdio::null())).await;

    let clients = root.join("certs/clients");
    let own = (clients.join("minzheng-aid.pem"), clients.join("minzheng-aid.key"));
    let client = Client::new(&gate, &root.join("certs/ca.pem"), Some((&own.0, &own.1)));
    let grants = call(&client, "/.well-known/pinegate/grants", None).await;
    assert!(grants.text().contains("APPROVAL-1"), "{grants:?}");

    let mint = commands.iter().find_map(|command| command.strip_prefix("TOKEN=$(pinegate ")).unwrap();
    let line: Vec<&str> = mint.trim_end_matches(')').split_whitespace().collect();
    let token = good(&root, &line).await;
    let reply = call(&client, "/population/residents?area=3410", Some(&token)).await;
    reply.assert_data();
    let first = &reply.json()["data"][0];
    assert!(first["name"].as_str().unwrap().contains('*'), "{first}");
    assert!(first["id_card"].as_str().unwrap().contains('*'), "{first}");
    assert_eq!((reply.header("pinegate-grant"), first.get("sex")), (Some("APPROVAL-1"), None));

    // What looks after it finds it well, and what happened is on record.
    good(&root, &["doctor", "--ready", "--config", "gateway.toml"]).await;
    let seen: Value =
        serde_json::from_str(&good(&root, &["doctor", "--json", "--config", "gateway.toml"]).await).unwrap();
    for check in ["gate", "ready", "live", "platform"] {
        let found = seen["checks"].as_array().unwrap().iter().find(|seen| seen["check"] == check).unwrap();
        assert_eq!(found["standing"], "ok", "{found}");
    }
    let audit = root.join("audit");
    // The first head is signed with the first record: a newcomer waits for nothing.
    good(&root, &["audit", "verify", "--config", "gateway.toml"]).await;
    assert!(records(&audit).iter().any(|record| record.status == Some(200)));
    gate.kill();
    stop.cancel();
    assert_intact(&audit);
}
