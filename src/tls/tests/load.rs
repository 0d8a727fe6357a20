//! What loads, and what is refused at load with which words.

use super::*;

fn message(result: Result<ServerTls, TlsError>) -> String {
    result.err().map_or_else(|| "loads".to_owned(), |error| error.to_string())
}

#[test]
fn lists_are_checked_when_they_load() {
    let (root, other, impostor, servers) = (ca("city"), ca("other"), ca("city"), ca("servers"));
    let own = server_leaf(&servers);
    let fresh = crl(&root, &[], (2026, 7, 1));
    let stale = crl(&root, &[], (2026, 5, 1));
    let both = format!("{}{}", root.pem, other.pem);
    let lists =
        |files: &[PemFile], stale, unknown| Revocation::Lists { files: files.to_vec(), stale, unknown };
    let (refuse, accept) = (OnGap::Refuse, OnGap::Accept);
    for (what, authorities, revocation, expected) in [
        ("fresh", &root.pem, listed(std::slice::from_ref(&fresh)), "loads"),
        ("explicitly none", &root.pem, Revocation::None, "loads"),
        ("no file", &root.pem, listed(&[]), "no revocation list is configured"),
        ("stale", &root.pem, listed(std::slice::from_ref(&stale)), "stale since 2026-05-01T00:00:00Z"),
        ("stale, accepted", &root.pem, lists(&[stale], accept, refuse), "loads"),
        (
            "another issuer's",
            &root.pem,
            listed(&[fresh.clone(), crl(&other, &[], (2026, 7, 1))]),
            "of no configured",
        ),
        ("a forged one", &root.pem, listed(&[crl(&impostor, &[], (2026, 7, 1))]), "is not signed by"),
        ("an authority without one", &both, listed(std::slice::from_ref(&fresh)), "no revocation list of"),
        ("the same, accepted", &both, lists(std::slice::from_ref(&fresh), refuse, accept), "loads"),
        ("not PEM", &root.pem, listed(&[pem("crl.pem", "hello")]), "`crl.pem` holds none"),
        (
            "damaged PEM",
            &root.pem,
            listed(&[pem("crl.pem", "-----BEGIN X509 CRL-----\n!!\n-----END X509 CRL-----\n")]),
            "not readable PEM",
        ),
        (
            "not a list",
            &root.pem,
            listed(&[pem("crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")]),
            "cannot be read",
        ),
        ("a certificate", &root.pem, listed(&[pem("crl.pem", root.pem.clone())]), "holds none"),
    ] {
        let message = message(server(&own, authorities, None, &revocation, clock()));
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn certificates_and_keys_are_checked_when_they_load() {
    let (root, servers) = (ca("city"), ca("servers"));
    let own = server_leaf(&servers);
    let changed = |change: &dyn Fn(&mut Leaf)| {
        let mut leaf = server_leaf(&servers);
        change(&mut leaf);
        leaf
    };
    let expired = leaf(&servers, |params| params.not_after = rcgen::date_time_ymd(2026, 5, 1));
    let early = leaf(&servers, |params| params.not_before = rcgen::date_time_ymd(2026, 7, 1));
    let old_root = ca_with("old", |params| params.not_after = rcgen::date_time_ymd(2026, 5, 1));
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    for (what, own, authorities, expected) in [
        ("good", &own, root.pem.clone(), "loads"),
        ("an expired certificate", &expired, root.pem.clone(), "`server.pem` expired at 2026-05-01"),
        ("an early certificate", &early, root.pem.clone(), "not valid before 2026-07-01"),
        (
            "another's key",
            &changed(&|leaf| leaf.key_pem.clone_from(&other_key)),
            root.pem.clone(),
            "`server.key` is not the one",
        ),
        (
            "two keys",
            &changed(&|leaf| leaf.key_pem.push_str(&other_key)),
            root.pem.clone(),
            "not one unencrypted",
        ),
        ("no key", &changed(&|leaf| leaf.key_pem.clear()), root.pem.clone(), "not one unencrypted"),
        (
            "a broken key",
            &changed(&|leaf| {
                leaf.key_pem = format!("-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n", "PRIVATE KEY")
            }),
            root.pem.clone(),
            "not one unencrypted",
        ),
        ("no certificate", &changed(&|leaf| leaf.pem.clear()), root.pem.clone(), "`server.pem` holds none"),
        ("no authority", &own, String::new(), "`ca.pem` holds none"),
        ("damaged authorities", &own, root.pem.replace("MII", "!!!"), "`ca.pem` is not readable PEM"),
        ("an expired authority", &own, old_root.pem, "`ca.pem` expired"),
        ("a leaf as authority", &own, own.pem.clone(), "not a certification authority"),
        ("too many authorities", &own, root.pem.repeat(65), "more than 64"),
    ] {
        let message = message(server(own, &authorities, None, &Revocation::None, clock()));
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn dates_for_metrics() {
    let (root, servers) = (ca("city"), ca("servers"));
    let revocation = listed(&[crl(&root, &[], (2026, 7, 1))]);
    let dates = server(&server_leaf(&servers), &root.pem, None, &revocation, clock()).unwrap().dates;
    assert_eq!(dates.certificate.unwrap().1.to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(dates.authorities.len(), 1);
    assert_eq!(dates.authorities[0].1.to_string(), "2030-01-01T00:00:00Z");
    assert_eq!(dates.lists[0].1.unwrap().to_string(), "2026-07-01T00:00:00Z");
}

/// The platform's side of a handshake: it asks for no certificate, or for the gate's.
fn platform(own: &Leaf, clients: Option<&Ca>) -> Arc<rustls::ServerConfig> {
    let builder = rustls::ServerConfig::builder_with_details(provider(), Arc::new(RustlsClock(clock())))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der.clone()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    Arc::new(builder.with_single_cert(own.chain.clone(), own.key.clone_key()).unwrap())
}

#[test]
fn only_the_right_platform_is_believed() {
    let (root, other, gates) = (ca("platform"), ca("other"), ca("gates"));
    let authorities = pem("platform-ca.pem", root.pem.as_str());
    let upstream = |lists: &[PemFile], client| {
        let inputs = UpstreamTlsInputs { authorities: &authorities, lists, client };
        UpstreamTls::new(&inputs, clock()).unwrap().config
    };
    let names = |name: &'static str| {
        move |params: &mut CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        }
    };
    let expired = leaf(&root, |params| {
        names("gate.example")(params);
        params.not_after = rcgen::date_time_ymd(2026, 5, 1);
    });
    let only_client = leaf(&root, |params| {
        params.subject_alt_names = vec![SanType::DnsName("gate.example".try_into().unwrap())];
    });
    for (what, own, expected) in [
        ("the right one", server_leaf(&root), "connected"),
        ("another name", leaf(&root, names("other.example")), "bad-certificate"),
        ("another authority", server_leaf(&other), "unknown-ca"),
        ("expired", expired, "expired"),
        ("not for servers", only_client, "wrong-usage"),
    ] {
        let mut client =
            ClientConnection::new(upstream(&[], None), ServerName::try_from("gate.example").unwrap())
                .unwrap();
        let mut server = ServerConnection::new(platform(&own, None)).unwrap();
        let mut found = "connected";
        for _ in 0..4 {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut Cursor::new(bytes)).unwrap();
            if server.process_new_packets().is_err() {
                break;
            }
            let mut bytes = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            client.read_tls(&mut Cursor::new(bytes)).unwrap();
            if let Err(error) = client.process_new_packets() {
                found = HandshakeFailure::of(&error).as_str();
                break;
            }
        }
        assert_eq!(found, expected, "{what}");
    }
    let gate = leaf(&gates, |_| {});
    let chain = pem("gate.pem", gate.pem.as_str());
    let key = KeyFile { name: "gate.key".into(), pem: Secret::new(gate.key_pem.as_bytes()) };
    let config = upstream(&[], Some((&chain, &key)));
    let connected = connect(platform(&server_leaf(&root), Some(&gates)), config).unwrap();
    assert_eq!(connected.server.peer_certificates().unwrap(), &gate.chain[..]);

    let (platform_config, config) = (platform(&server_leaf(&root), None), upstream(&[], None));
    for _ in 0..3 {
        let connected = connect(Arc::clone(&platform_config), Arc::clone(&config)).unwrap();
        assert_eq!(connected.client.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }

    let fresh = [crl(&root, &[7], (2026, 7, 1))];
    let error = connect(platform(&server_leaf(&root), None), upstream(&fresh, None)).err().unwrap();
    assert!(matches!(HandshakeFailure::of(&error), HandshakeFailure::PeerAlert | HandshakeFailure::Revoked));

    let moving = ManualClock::new(NOW.parse().unwrap());
    let lists = [crl(&root, &[], (2026, 7, 1))];
    let inputs = UpstreamTlsInputs { authorities: &authorities, lists: &lists, client: None };
    let config = UpstreamTls::new(&inputs, Arc::new(moving.clone())).unwrap().config;
    assert!(connect(platform(&server_leaf(&root), None), Arc::clone(&config)).is_ok());
    moving.set("2026-07-02T00:00:00Z".parse().unwrap());
    assert!(connect(platform(&server_leaf(&root), None), config).is_err(), "the list is stale by now");
}
