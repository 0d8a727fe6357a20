//! Purpose tokens and the signatures under them.
//!
//! Input: a byte that says how a token is made of the rest. `e`: a good token with bytes changed,
//! two bytes of place and one of value each; `s`: a header, a line feed and a payload, signed with
//! the issuer's own key; anything else: the token as it is. The key is made anew in every process,
//! so a token in a file cannot be a good one.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use pinegate::identity::CertificateFacts;
use pinegate::identity::certificate::{KeyKind, KeyUsage, Names};
use pinegate::identity::token::{
    Issuer, KeySet, MAX_TOKEN_BYTES, PurposeToken, SignatureAlgorithm, TokenError, TokenRules, TokenVerifier,
    bearer_token, verify_jws,
};
use pinegate::kernel::diagnostic::Source;
use pinegate::kernel::id::{Digest, SystemId};
use pinegate::kernel::time::Timestamp;
use serde_json::{Value, json};

const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "pinegate";
const SYSTEM: &str = "sys:a";
const HEADER: &str = r#"{"alg":"EdDSA","kid":"k"}"#;
/// The thumbprint of the certificate, 43 characters.
const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NOW: i64 = 1_780_000_000;
const LEEWAY: u64 = 30;
const LIFETIME: u64 = 3600;

struct World {
    pair: Ed25519KeyPair,
    keys: KeySet,
    rules: TokenRules,
    facts: CertificateFacts,
    system: SystemId,
    good: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = BASE64URL_NOPAD.encode(pair.public_key().as_ref());
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x }] });
    let source = Source::new("jwks.json", jwks.to_string());
    let (keys, _) = KeySet::from_jwks(&source, &SignatureAlgorithm::ALL).unwrap();
    let rules = TokenRules {
        audiences: vec![AUDIENCE.into()],
        algorithms: SignatureAlgorithm::ALL.to_vec(),
        leeway: Duration::from_secs(LEEWAY),
        max_lifetime: Duration::from_secs(LIFETIME),
        remembered: 16.try_into().unwrap(),
    };
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": SYSTEM, "jti": "1", "purpose": "a.b",
        "iat": NOW, "exp": NOW + 60, "cnf": { "x5t#S256": THUMBPRINT },
    });
    let good = sign(&pair, HEADER.as_bytes(), claims.to_string().as_bytes());
    World { pair, keys, rules, facts: facts(), system: SystemId::parse(SYSTEM).unwrap(), good }
});

fn facts() -> CertificateFacts {
    CertificateFacts {
        fingerprint: Digest([0; 32]),
        x5t_s256: THUMBPRINT.into(),
        serial: "1".into(),
        not_before: Timestamp::MIN,
        not_after: Timestamp::MAX,
        san_uris: Names::default(),
        san_dns: Names::default(),
        common_names: Names::default(),
        credit_codes: Names::default(),
        subject: "".into(),
        subject_der: Arc::new([]),
        issuer_der: Arc::new([]),
        public_key: Arc::new([]),
        key_kind: KeyKind::Ed25519,
        is_authority: false,
        key_usage: KeyUsage { signs_data: true, signs_certificates: false, signs_lists: false },
        has_unknown_critical: false,
    }
}

fn sign(pair: &Ed25519KeyPair, header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", BASE64URL_NOPAD.encode(header), BASE64URL_NOPAD.encode(payload));
    let signature = BASE64URL_NOPAD.encode(pair.sign(signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}

/// A new verifier each time: what it remembers must not hide what it does.
fn verify(token: &str) -> Result<Arc<PurposeToken>, TokenError> {
    let issuer = Issuer { name: ISSUER.into(), keys: WORLD.keys.clone() };
    let verifier = TokenVerifier::new(vec![issuer], WORLD.rules.clone());
    let now = Timestamp::from_second(NOW).unwrap();
    let verdict = verifier.verify(token, &WORLD.system, &WORLD.facts, now);
    assert_eq!(verifier.verify(token, &WORLD.system, &WORLD.facts, now), verdict, "the second time differs");
    verdict
}

pub(crate) fn check(data: &[u8]) {
    assert!(verify(&WORLD.good).is_ok(), "the good token is good");
    match data {
        [b'e', changes @ ..] => check_changed(changes),
        [b's', parts @ ..] => check_signed(parts),
        _ => check_forged(data),
    }
}

fn check_forged(data: &[u8]) {
    if let Ok(token) = bearer_token([data]) {
        assert!(data.strip_prefix(b"Bearer ") == Some(token.as_bytes()) && !token.contains(' '));
        refuse(token);
    }
    if let Ok(token) = std::str::from_utf8(data) {
        refuse(token);
    }
}

fn refuse(token: &str) {
    assert!(verify(token).is_err(), "a forged token was taken: {token}");
    assert!(verify_jws(token, |_| Ok(&WORLD.keys)).is_err(), "a forged signature was taken: {token}");
}

fn check_changed(changes: &[u8]) {
    let mut token = WORLD.good.clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
        // One place beyond the end appends.
        match at % (token.len() + 1) {
            at if at == token.len() => token.push(change[2]),
            at if change[2] == 0 => drop(token.remove(at)),
            at => token[at] = change[2],
        }
    }
    if token == WORLD.good.as_bytes() {
        return;
    }
    if let Ok(token) = std::str::from_utf8(&token) {
        refuse(token);
    }
}

fn check_signed(parts: &[u8]) {
    let end = parts.iter().position(|byte| *byte == b'\n').unwrap_or(parts.len());
    let (header, payload) = parts.split_at(end);
    let payload = payload.strip_prefix(b"\n").unwrap_or(payload);
    let token = sign(&WORLD.pair, header, payload);
    let signed = verify_jws(&token, |_| Ok(&WORLD.keys));
    let verdict = verify(&token);
    if let Ok(read) = &signed {
        assert_eq!(read, payload);
        check_header(header);
        assert!(token.len() <= MAX_TOKEN_BYTES);
    }
    if let Ok(token) = verdict {
        assert!(signed.is_ok());
        check_claims(payload, &token);
    }
}

fn check_header(header: &[u8]) {
    let header: Value = serde_json::from_slice(header).expect("the header is JSON");
    assert_eq!(header["alg"], "EdDSA");
    assert!(header.get("kid").is_none_or(|kid| kid == "k"));
    for refused in ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c"] {
        assert!(header.get(refused).is_none(), "`{refused}` was taken");
    }
}

/// The claims read a second time, by serde_json.
fn check_claims(payload: &[u8], token: &PurposeToken) {
    let claims: Value = serde_json::from_slice(payload).expect("the payload is JSON");
    let now = NOW.unsigned_abs();
    assert_eq!(claims["iss"], ISSUER);
    assert!(claims["aud"] == AUDIENCE || claims["aud"] == json!([AUDIENCE]));
    assert_eq!(claims["sub"], SYSTEM);
    assert_eq!(claims["cnf"]["x5t#S256"], THUMBPRINT);
    assert_eq!(claims["jti"], token.id.as_str());
    assert_eq!(claims["purpose"], token.purpose.as_str());
    let (issued, expires) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    let begins = claims.get("nbf").map_or(issued, |begins| begins.as_u64().unwrap().max(issued));
    assert!(now < expires + LEEWAY && begins <= now + LEEWAY && expires - issued <= LIFETIME);
    assert_eq!(claims.get("scope").is_some(), token.scope.is_some(), "a limit was passed over");
    assert_eq!(claims.get("grant").is_some(), token.grants.is_some(), "a limit was passed over");
    assert!(token.scope.as_ref().is_none_or(|scope| !scope.items().is_empty()));
    assert!(token.grants.as_ref().is_none_or(|grants| !grants.is_empty()));
}
