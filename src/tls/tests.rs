#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::io::Cursor;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, RevokedCertParams,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, SupportedProtocolVersion};

use super::*;
use crate::kernel::time::ManualClock;

mod conformance;
mod load;

const NOW: &str = "2026-06-01T00:00:00Z";

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(NOW.parse().unwrap()))
}

fn pem(name: &str, text: impl Into<String>) -> PemFile {
    PemFile { name: name.into(), bytes: text.into().into_bytes().into() }
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn ca_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = ca_params(name);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap();
    Ca { issuer: Issuer::new(params, key), pem: own.pem(), der: own.der().clone() }
}

fn ca(name: &str) -> Ca {
    ca_with(name, |_| {})
}

fn sub_ca(parent: &Ca, name: &str) -> Ca {
    let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
    let own = params.signed_by(&key, &parent.issuer).unwrap();
    Ca { issuer: Issuer::new(params, key), pem: own.pem(), der: own.der().clone() }
}

/// A certificate, its key, and what else is sent with it.
struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pem: String,
    key_pem: String,
}

fn leaf_with_key(ca: &Ca, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(7));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI("spiffe://city.example/x".try_into().unwrap())];
    change(&mut params);
    let issued = params.signed_by(key, &ca.issuer).unwrap();
    Leaf {
        chain: vec![issued.der().clone()],
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        pem: issued.pem(),
        key_pem: key.serialize_pem(),
    }
}

fn leaf(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    leaf_with_key(ca, &KeyPair::generate().unwrap(), change)
}

fn server_leaf(ca: &Ca) -> Leaf {
    leaf(ca, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName("gate.example".try_into().unwrap())];
    })
}

fn crl(ca: &Ca, revoked: &[u64], next_update: (i32, u8, u8)) -> PemFile {
    let params = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(next_update.0, next_update.1, next_update.2),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked
            .iter()
            .map(|&serial| RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: rcgen::date_time_ymd(2026, 1, 2),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    pem("crl.pem", params.signed_by(&ca.issuer).unwrap().pem().unwrap())
}

fn listed(files: &[PemFile]) -> Revocation {
    Revocation::Lists { files: files.to_vec(), stale: OnGap::Refuse, unknown: OnGap::Refuse }
}

fn server(
    own: &Leaf,
    authorities: &str,
    intermediates: Option<&str>,
    revocation: &Revocation,
    clock: Arc<dyn Clock>,
) -> Result<ServerTls, TlsError> {
    let intermediates = intermediates.map(|text| pem("intermediates.pem", text));
    let inputs = ServerTlsInputs {
        certificate_chain: &pem("server.pem", own.pem.as_str()),
        key: &KeyFile { name: "server.key".into(), pem: Secret::new(own.key_pem.as_bytes()) },
        client_authorities: &pem("ca.pem", authorities),
        client_intermediates: intermediates.as_ref(),
        revocation,
    };
    ServerTls::new(&inputs, clock)
}

static VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

fn client(roots: &Ca, own: Option<&Leaf>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut store = RootCertStore::empty();
    store.add(roots.der.clone()).unwrap();
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(RustlsClock(clock())))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        // Unlike `with_client_auth_cert`, this sends whatever certificate it is given.
        Some(own) => {
            let key = provider().key_provider.load_private_key(own.key.clone_key()).unwrap();
            let own = rustls::sign::CertifiedKey::new(own.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

struct Connected {
    client: ClientConnection,
    server: ServerConnection,
}

/// A whole handshake in memory: what it comes to at the server, or at the client if it gives up.
fn handshake(server: &ServerTls, client: ClientConfig) -> Result<Connected, rustls::Error> {
    connect(Arc::clone(&server.config), Arc::new(client))
}

fn connect(server: Arc<rustls::ServerConfig>, client: Arc<ClientConfig>) -> Result<Connected, rustls::Error> {
    let mut client = ClientConnection::new(client, ServerName::try_from("gate.example").unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let mut failed_client = None;
    for _ in 0..20 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut reader = Cursor::new(bytes);
        while server.read_tls(&mut reader).unwrap() > 0 {
            server.process_new_packets()?;
        }
        if let Some(error) = failed_client.take() {
            return Err(error);
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut reader = Cursor::new(bytes);
        while client.read_tls(&mut reader).unwrap() > 0 {
            if let Err(error) = client.process_new_packets() {
                failed_client = Some(error);
            }
        }
        if !server.is_handshaking() && !client.is_handshaking() && !client.wants_write() {
            break;
        }
    }
    assert!(!server.is_handshaking(), "the handshake hangs");
    Ok(Connected { client, server })
}

fn verdict(result: Result<Connected, rustls::Error>) -> &'static str {
    result.map_or_else(|error| HandshakeFailure::of(&error).as_str(), |_| "connected")
}

#[test]
fn hostile_chains_in_both_versions() {
    let (root, other, servers) = (ca("city"), ca("other"), ca("servers"));
    let impostor = ca("city");
    let own = server_leaf(&servers);
    let good = leaf(&root, |_| {});
    let issued_by_leaf = {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a leaf");
        let parent = params.signed_by(&key, &root.issuer).unwrap();
        let parent = Ca { issuer: Issuer::new(params, key), pem: parent.pem(), der: parent.der().clone() };
        let mut child = leaf(&parent, |_| {});
        child.chain.push(parent.der);
        child
    };
    let long_chain = {
        let mut long = leaf(&root, |_| {});
        long.chain.extend(std::iter::repeat_n(other.der.clone(), 100));
        long
    };
    let stolen = {
        let mut stolen = leaf(&root, |_| {});
        stolen.key = leaf(&root, |_| {}).key;
        stolen
    };
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::new(params, key);
        let parent = Ca { issuer, pem: String::new(), der: root.der.clone() };
        leaf(&parent, |_| {})
    };
    let usage =
        |usages: Vec<ExtendedKeyUsagePurpose>| leaf(&root, |params| params.extended_key_usages = usages);
    let dates = |begin: i32, end: i32| {
        leaf(&root, |params| {
            params.not_before = rcgen::date_time_ymd(begin, 1, 1);
            params.not_after = rcgen::date_time_ymd(end, 1, 1);
        })
    };
    let cases = [
        ("good", Some(good), "connected"),
        (
            "Ed25519",
            Some(leaf_with_key(&root, &KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), |_| {})),
            "connected",
        ),
        (
            "RSA 2048",
            Some(leaf_with_key(&root, &KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap(), |_| {})),
            "connected",
        ),
        ("any usage, by saying none", Some(usage(vec![])), "connected"),
        ("no certificate", None, "no-certificate"),
        ("another's certificate", Some(stolen), "bad-signature"),
        ("expired", Some(dates(2024, 2026)), "expired"),
        ("early", Some(dates(2027, 2028)), "not-yet-valid"),
        ("another authority", Some(leaf(&other, |_| {})), "unknown-ca"),
        ("the same issuer name, another key", Some(leaf(&impostor, |_| {})), "bad-signature"),
        ("self-signed", Some(self_signed), "unknown-ca"),
        ("serverAuth only", Some(usage(vec![ExtendedKeyUsagePurpose::ServerAuth])), "wrong-usage"),
        ("e-mail only", Some(usage(vec![ExtendedKeyUsagePurpose::EmailProtection])), "wrong-usage"),
        (
            "revoked",
            Some(leaf(&root, |params| params.serial_number = Some(SerialNumber::from(666)))),
            "revoked",
        ),
        (
            "an authority's own",
            Some(leaf(&root, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
            "bad-certificate",
        ),
        ("issued by a leaf", Some(issued_by_leaf), "bad-certificate"),
        ("a hundred intermediates", Some(long_chain), "bad-certificate"),
        (
            "an unknown critical extension",
            Some(leaf(&root, |params| {
                let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions.push(extension);
            })),
            "bad-certificate",
        ),
    ];
    let tls = server(&own, &root.pem, None, &listed(&[crl(&root, &[666], (2026, 7, 1))]), clock()).unwrap();
    for versions in VERSIONS {
        for (what, leaf, expected) in &cases {
            let result = handshake(&tls, client(&servers, leaf.as_ref(), versions));
            assert_eq!(verdict(result), *expected, "{what}, {versions:?}");
        }
    }
}

#[test]
fn intermediates_known_or_sent() {
    let (root, servers) = (ca("city"), ca("servers"));
    let (sub, own) = (sub_ca(&root, "bureau"), server_leaf(&servers));
    let mut sent = leaf(&sub, |_| {});
    sent.chain.push(sub.der.clone());
    let alone = leaf(&sub, |_| {});
    let lists = [crl(&root, &[], (2026, 7, 1)), crl(&sub, &[666], (2026, 7, 1))];

    let known = server(&own, &root.pem, Some(&sub.pem), &listed(&lists), clock()).unwrap();
    assert_eq!(verdict(handshake(&known, client(&servers, Some(&sent), VERSIONS[1]))), "connected");
    assert_eq!(verdict(handshake(&known, client(&servers, Some(&alone), VERSIONS[1]))), "connected");
    let revoked = leaf(&sub, |params| params.serial_number = Some(SerialNumber::from(666)));
    assert_eq!(verdict(handshake(&known, client(&servers, Some(&revoked), VERSIONS[1]))), "revoked");

    let unknown = server(&own, &root.pem, None, &Revocation::None, clock()).unwrap();
    assert_eq!(verdict(handshake(&unknown, client(&servers, Some(&sent), VERSIONS[1]))), "connected");
    assert_eq!(verdict(handshake(&unknown, client(&servers, Some(&alone), VERSIONS[1]))), "unknown-ca");
    // The bureau's own list is not there: its certificates' status is unknown.
    let root_list_only = server(&own, &root.pem, None, &listed(&lists[..1]), clock()).unwrap();
    assert_eq!(
        verdict(handshake(&root_list_only, client(&servers, Some(&sent), VERSIONS[1]))),
        "crl-unknown"
    );
}

#[test]
fn name_constraints_are_obeyed() {
    let constrained = |permitted: GeneralSubtree| {
        ca_with("constrained", |params| {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: vec![permitted], excluded_subtrees: vec![] });
        })
    };
    let dns = |name: &'static str| {
        move |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        }
    };
    let servers = ca("servers");
    let own = server_leaf(&servers);
    let city = constrained(GeneralSubtree::DnsName("city.example".to_owned()));
    let tls = server(&own, &city.pem, None, &Revocation::None, clock()).unwrap();
    for (name, expected) in [("a.city.example", "connected"), ("a.other.example", "bad-certificate")] {
        let result = handshake(&tls, client(&servers, Some(&leaf(&city, dns(name))), VERSIONS[1]));
        assert_eq!(verdict(result), expected, "{name}");
    }
    // A constraint on mailboxes cannot be checked: whoever has one under it is refused.
    let mail = constrained(GeneralSubtree::Rfc822Name("city.example".to_owned()));
    let tls = server(&own, &mail.pem, None, &Revocation::None, clock()).unwrap();
    let with_mail = leaf(&mail, |params| {
        params.subject_alt_names = vec![SanType::Rfc822Name("a@city.example".try_into().unwrap())];
    });
    assert_eq!(verdict(handshake(&tls, client(&servers, Some(&with_mail), VERSIONS[1]))), "bad-certificate");
}

#[test]
fn nothing_is_resumed() {
    let (root, servers) = (ca("city"), ca("servers"));
    let own = server_leaf(&servers);
    let tls = server(&own, &root.pem, None, &Revocation::None, clock()).unwrap();
    let good = leaf(&root, |_| {});
    for versions in VERSIONS {
        let config = Arc::new(client(&servers, Some(&good), versions));
        for _ in 0..3 {
            let Connected { client, server } = connect(Arc::clone(&tls.config), Arc::clone(&config)).unwrap();
            assert_eq!(server.handshake_kind(), Some(rustls::HandshakeKind::Full));
            assert_eq!(client.handshake_kind(), Some(rustls::HandshakeKind::Full));
            assert_eq!(server.peer_certificates().unwrap(), &good.chain[..]);
            assert_eq!(server.alpn_protocol(), Some(b"h2".as_slice()));
        }
    }
    let Connected { server, .. } = handshake(&tls, client(&servers, Some(&good), VERSIONS[1])).unwrap();
    let group = server.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn no_protocol_in_common() {
    let (root, servers) = (ca("city"), ca("servers"));
    let tls = server(&server_leaf(&servers), &root.pem, None, &Revocation::None, clock()).unwrap();
    let mut config = client(&servers, Some(&leaf(&root, |_| {})), VERSIONS[1]);
    config.alpn_protocols = vec![b"spdy/3".to_vec()];
    assert_eq!(verdict(handshake(&tls, config)), "incompatible");
}

#[test]
fn garbage_is_the_peers_fault() {
    let (root, servers) = (ca("city"), ca("servers"));
    let tls = server(&server_leaf(&servers), &root.pem, None, &Revocation::None, clock()).unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1, 2], &[0x15, 3, 3, 0, 2, 2, 40]]
    {
        let mut connection = ServerConnection::new(Arc::clone(&tls.config)).unwrap();
        connection.read_tls(&mut Cursor::new(bytes)).unwrap();
        let failure = connection
            .process_new_packets()
            .map_or_else(|error| HandshakeFailure::of(&error), |_| HandshakeFailure::Timeout);
        assert!(
            matches!(failure, HandshakeFailure::Protocol | HandshakeFailure::PeerAlert),
            "{bytes:?}: {failure:?}"
        );
    }
    let io = |kind| HandshakeFailure::of_io(&std::io::Error::from(kind));
    assert_eq!(io(std::io::ErrorKind::TimedOut), HandshakeFailure::Timeout);
    assert_eq!(io(std::io::ErrorKind::UnexpectedEof), HandshakeFailure::Closed);
    let wrapped = std::io::Error::other(rustls::Error::NoCertificatesPresented);
    assert_eq!(HandshakeFailure::of_io(&wrapped), HandshakeFailure::NoCertificate);
}

#[test]
fn a_living_connection_is_judged_again() {
    let (root, servers) = (ca("city"), ca("servers"));
    let own = server_leaf(&servers);
    let good = leaf(&root, |_| {});
    let chain: Vec<Vec<u8>> = good.chain.iter().map(|der| der.to_vec()).collect();
    let now: Timestamp = NOW.parse().unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();

    let open = server(&own, &root.pem, None, &Revocation::None, clock()).unwrap().verifier;
    assert_eq!(open.still_good(&chain, now), Ok(()));
    assert_eq!(open.still_good(&chain, at("2027-01-02T00:00:00Z")), Err(HandshakeFailure::Expired));
    assert_eq!(open.still_good(&chain, at("1960-01-01T00:00:00Z")), Err(HandshakeFailure::NotYetValid));
    assert_eq!(open.still_good(&[], now), Err(HandshakeFailure::NoCertificate));
    assert_eq!(open.still_good(&[vec![1, 2, 3]], now), Err(HandshakeFailure::BadCertificate));

    let listed_then = listed(&[crl(&root, &[7], (2026, 7, 1))]);
    let revoked = server(&own, &root.pem, None, &listed_then, clock()).unwrap().verifier;
    assert_eq!(revoked.still_good(&chain, now), Err(HandshakeFailure::Revoked));
    let fresh = listed(&[crl(&root, &[], (2026, 7, 1))]);
    let fresh = server(&own, &root.pem, None, &fresh, clock()).unwrap().verifier;
    assert_eq!(fresh.still_good(&chain, now), Ok(()));
    assert_eq!(fresh.still_good(&chain, at("2026-07-02T00:00:00Z")), Err(HandshakeFailure::RevocationStale));
    let other = server(&own, &ca("other").pem, None, &Revocation::None, clock()).unwrap().verifier;
    assert_eq!(other.still_good(&chain, now), Err(HandshakeFailure::UnknownAuthority));
}

#[test]
fn a_root_that_expires_vouches_for_nobody_any_more() {
    let short = ca_with("short", |params| params.not_after = rcgen::date_time_ymd(2026, 8, 1));
    let (long, servers) = (ca("long"), ca("servers"));
    let both = format!("{}{}", short.pem, long.pem);
    let verifier = server(&server_leaf(&servers), &both, None, &Revocation::None, clock()).unwrap().verifier;
    let chain = |ca: &Ca| vec![leaf(ca, |_| {}).chain[0].to_vec()];
    for (now, of_short) in [
        (NOW, Ok(())),
        ("2026-08-01T00:00:00Z", Ok(())),
        ("2026-08-01T00:00:01Z", Err(HandshakeFailure::UnknownAuthority)),
    ] {
        let now: Timestamp = now.parse().unwrap();
        assert_eq!(verifier.still_good(&chain(&short), now), of_short, "{now}");
        assert_eq!(verifier.still_good(&chain(&long), now), Ok(()), "{now}");
    }
}

#[test]
fn no_handshake_has_a_verifier_built_because_a_root_has_ended() {
    let ends = |name, year| ca_with(name, |params| params.not_after = rcgen::date_time_ymd(year, 8, 1));
    let (roots, servers) = ([ends("first", 2026), ends("second", 2027), ends("third", 2028)], ca("servers"));
    let all: String = roots.iter().map(|root| root.pem.as_str()).collect();
    let lists = [crl(&roots[1], &[], (2029, 1, 1)), crl(&roots[2], &[], (2029, 1, 1))];
    let revocation =
        Revocation::Lists { files: lists.to_vec(), stale: OnGap::Refuse, unknown: OnGap::Accept };
    let verifier = server(&server_leaf(&servers), &all, None, &revocation, clock()).unwrap().verifier;
    let at = |now: &str| verifier.by_roots_at(now.parse().unwrap());
    let is_same = |one: &str, other: &str| Arc::ptr_eq(&at(one).unwrap(), &at(other).unwrap());
    assert!(is_same(NOW, "2026-08-01T00:00:00Z"), "all are in force");
    assert!(is_same("2026-08-01T00:00:01Z", "2027-08-01T00:00:00Z"), "until the next one ends");
    assert!(!is_same("2027-08-01T00:00:00Z", "2027-08-01T00:00:01Z"), "it has ended");
    assert!(!is_same("2027-08-01T00:00:01Z", "2027-08-01T00:00:00Z"), "the clock was set back");
    assert!(is_same("2027-08-01T00:00:01Z", "2028-08-01T00:00:00Z"), "one is left");
    assert!(at("2028-08-01T00:00:01Z").is_none(), "none is left");
    let long = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2029, 1, 1);
    let chains = roots.each_ref().map(|root| vec![leaf(root, long).chain[0].to_vec()]);
    for (now, expected) in [
        ("2026-08-01T00:00:01Z", [false, true, true]),
        ("2027-08-01T00:00:01Z", [false, false, true]),
        (NOW, [true; 3]),
        ("2028-08-01T00:00:01Z", [false; 3]),
    ] {
        let now: Timestamp = now.parse().unwrap();
        assert_eq!(chains.each_ref().map(|chain| verifier.still_good(chain, now).is_ok()), expected, "{now}");
    }
}

#[test]
fn the_page_of_errors_says_what_to_do_about_every_result() {
    let page = include_str!("../../docs/errors.md");
    let (_, table) = page.split_once("## Before the first reply").unwrap();
    let named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "))
        .flat_map(|(names, _)| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    let all: Vec<&str> = HandshakeFailure::ALL.into_iter().map(HandshakeFailure::as_str).collect();
    assert_eq!(named, all);
}

#[test]
fn what_clients_hear_is_as_the_page_of_errors_has_it() {
    use rustls::{AlertDescription, CertificateError};
    for (error, result, alert) in [
        (CertificateError::UnknownIssuer, "unknown-ca", AlertDescription::UnknownCA),
        (CertificateError::Expired, "expired", AlertDescription::CertificateExpired),
        (CertificateError::NotValidYet, "not-yet-valid", AlertDescription::CertificateExpired),
        (CertificateError::Revoked, "revoked", AlertDescription::CertificateRevoked),
        (CertificateError::InvalidPurpose, "wrong-usage", AlertDescription::UnsupportedCertificate),
        (CertificateError::BadSignature, "bad-signature", AlertDescription::DecryptError),
        (CertificateError::UnknownRevocationStatus, "crl-unknown", AlertDescription::UnknownCA),
        (CertificateError::ExpiredRevocationList, "crl-stale", AlertDescription::UnknownCA),
    ] {
        let failure = HandshakeFailure::of(&rustls::Error::InvalidCertificate(error.clone()));
        assert_eq!((failure.as_str(), AlertDescription::from(error)), (result, alert));
    }
}
