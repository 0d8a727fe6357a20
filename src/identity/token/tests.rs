#![expect(
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "tables of cases, cut from texts known to be ASCII"
)]

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::*;
use crate::kernel::diagnostic::Source;
use crate::kernel::id::{GrantId, PurposeCode, TokenId};
use crate::kernel::secret::Secret;

mod conformance;

const ISSUER: &str = "https://platform.city.example";
const AUDIENCE: &str = "pinegate";
/// 2026-06-01T00:00:00Z.
const NOW: i64 = 1_780_272_000;
const LEEWAY: i64 = 30;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

struct Key {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    signing: SigningKey,
}

fn key(kid: &str, algorithm: SignatureAlgorithm) -> Key {
    let kind = match algorithm {
        SignatureAlgorithm::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        _ => &rcgen::PKCS_ED25519,
    };
    let pair = KeyPair::generate_for(kind).unwrap();
    let signing = SigningKey::from_pem(&Secret::new(pair.serialize_pem().into_bytes()), kid).unwrap();
    Key { der: pair.serialize_der(), algorithm, signing }
}

/// One platform, one stranger, one certificate; made once.
struct World {
    es: Key,
    ed: Key,
    stranger: Key,
    facts: CertificateFacts,
    system: SystemId,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let der = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        World {
            es: key("es", SignatureAlgorithm::Es256),
            ed: key("ed", SignatureAlgorithm::EdDsa),
            stranger: key("es", SignatureAlgorithm::Es256),
            facts: CertificateFacts::read(der.der()).unwrap(),
            system: SystemId::parse("sys:minzheng-aid").unwrap(),
        }
    })
}

fn jwks(keys: &[Value]) -> Source {
    Source::new("jwks.json", json!({ "keys": keys }).to_string())
}

fn key_set(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(&jwks(keys), &SignatureAlgorithm::ALL).unwrap().0
}

fn verifier() -> TokenVerifier {
    let world = world();
    let issuer = Issuer {
        name: ISSUER.into(),
        keys: key_set(&[world.es.signing.public_jwk(), world.ed.signing.public_jwk()]),
    };
    let other = Issuer {
        name: "https://other.example".into(),
        keys: key_set(&[world.stranger.signing.public_jwk()]),
    };
    let rules = TokenRules {
        audiences: vec![AUDIENCE.into(), "pinegate-2".into()],
        algorithms: SignatureAlgorithm::ALL.to_vec(),
        leeway: Duration::from_secs(LEEWAY.unsigned_abs()),
        max_lifetime: Duration::from_secs(3600),
        remembered: NonZeroUsize::new(16).unwrap(),
    };
    TokenVerifier::new(vec![issuer, other], rules)
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "sys:minzheng-aid", "jti": "t-1",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 600,
        "purpose": "social-aid.eligibility",
        "cnf": { "x5t#S256": &*world().facts.x5t_s256 },
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// Signs any header and payload at all, as texts.
fn forge(key: &Key, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let encoding = match key.algorithm {
        SignatureAlgorithm::Es256 => EncodingKey::from_ec_der(&key.der),
        _ => EncodingKey::from_ed_der(&key.der),
    };
    let algorithm = key.algorithm.for_crate();
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &encoding, algorithm).unwrap();
    format!("{signed}.{signature}")
}

const HEADER: &str = r#"{"alg":"ES256","kid":"es","typ":"JWT"}"#;

fn good() -> String {
    forge(&world().es, HEADER, &claims().to_string())
}

#[test]
fn a_token_of_another_system_for_another_certificate_is_told_as_such() {
    let world = world();
    let mut claims = claims();
    claims["cnf"] = json!({ "x5t#S256": b64([7; 32]) });
    let refused = |claims: &Value| verify(&forge(&world.es, HEADER, &claims.to_string())).unwrap_err();
    assert_eq!(refused(&claims), TokenError::Binding { named: None });
    claims["sub"] = json!("sys:water-billing");
    assert_eq!(refused(&claims), TokenError::Binding { named: Some(world.system.clone()) });
}

fn verify(token: &str) -> Result<Arc<PurposeToken>, TokenError> {
    verifier().verify(token, &world().system, &world().facts, at(NOW))
}

fn code(token: &str) -> &'static str {
    verify(token).map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn what_a_token_says() {
    let mut claims = with("scope", json!("name id_card|address.*"));
    claims["grant"] = json!(["HS-2026-0117"]);
    claims["aud"] = json!([AUDIENCE]);
    let token = verify(&forge(&world().es, HEADER, &claims.to_string())).unwrap();
    assert_eq!(token.id.as_str(), "t-1");
    assert_eq!(token.issuer, ISSUER);
    assert_eq!(token.purpose.as_str(), "social-aid.eligibility");
    assert_eq!(token.scope.as_ref().unwrap().items(), ["name", "id_card", "address.*"]);
    assert_eq!(token.grants, Some(vec![GrantId::parse("HS-2026-0117").unwrap()]));
    assert_eq!(token.expires, at(NOW + 600));
    assert_eq!((token.valid_from, token.valid_until), (at(NOW - 10 - LEEWAY), at(NOW + 600 + LEEWAY)));
    let plain = verify(&good()).unwrap();
    assert_eq!((&plain.scope, &plain.grants), (&None, &None));
}

#[test]
fn headers() {
    let world = world();
    let claims = claims().to_string();
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"es"}"#, "accepted"),
        (r#"{"alg":"ES256"}"#, "accepted"),
        (r#"{"alg":"ES256","kid":"es","typ":"at+jwt"}"#, "accepted"),
        (r#"{"alg":"ES256","kid":"es","typ":"jwt","unknown":1}"#, "accepted"),
        (r#"{"alg":"ES256","kid":"es","typ":"dpop+jwt"}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","typ":1}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","crit":["exp"]}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","b64":false}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","b64":true}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","zip":"DEF"}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","jwk":{}}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","jku":"https://evil.example/jwks"}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","x5u":"https://evil.example"}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","x5c":[]}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","enc":"A128GCM"}"#, "token-malformed"),
        (r#"{"alg":"ES256","alg":"ES256","kid":"es"}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","kid":"es"}"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es","\u0061lg":"none"}"#, "token-malformed"),
        (r#"["ES256"]"#, "token-malformed"),
        (r#"{"alg":"ES256","kid":"es"} x"#, "token-malformed"),
        ("", "token-malformed"),
        (r#"{"alg":"none","kid":"es"}"#, "token-algorithm"),
        (r#"{"alg":"None"}"#, "token-algorithm"),
        (r#"{"alg":"HS256","kid":"es"}"#, "token-algorithm"),
        (r#"{"alg":"es256","kid":"es"}"#, "token-algorithm"),
        (r#"{"alg":"ES384","kid":"es"}"#, "token-algorithm"),
        (r#"{"alg":"EdDSA","kid":"es"}"#, "token-algorithm"),
        (r#"{"alg":"ES256","kid":"ed"}"#, "token-algorithm"),
        (r#"{"alg":"RS256"}"#, "token-algorithm"),
        (r#"{"alg":["ES256"],"kid":"es"}"#, "token-algorithm"),
        (r#"{"kid":"es"}"#, "token-algorithm"),
        (r#"{"alg":"ES256","kid":"ES"}"#, "token-key-unknown"),
        (r#"{"alg":"ES256","kid":"../../etc/passwd"}"#, "token-key-unknown"),
        (r#"{"alg":"ES256","kid":"' OR 1=1 --"}"#, "token-key-unknown"),
        (r#"{"alg":"ES256","kid":""}"#, "token-key-unknown"),
        (r#"{"alg":"ES256","kid":null}"#, "token-key-unknown"),
        (r#"{"alg":"ES256","kid":7}"#, "token-key-unknown"),
    ] {
        assert_eq!(code(&forge(&world.es, header, &claims)), expected, "{header}");
    }
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(300));
    assert_eq!(code(&forge(&world.es, &long, &claims)), "token-key-unknown");
    assert_eq!(code(&forge(&world.ed, r#"{"alg":"EdDSA","kid":"ed"}"#, &claims)), "accepted");
}

#[test]
fn forms() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let twin = |last: char| format!("{}{last}", &signature[..signature.len() - 1]);
    let other_signature = if signature.starts_with('A') { "B" } else { "A" };
    for (what, token, expected) in [
        ("itself", token.clone(), "accepted"),
        ("empty", String::new(), "token-malformed"),
        ("one part", header.to_owned(), "token-malformed"),
        ("two parts", format!("{header}.{payload}"), "token-malformed"),
        ("four parts", format!("{token}.{signature}"), "token-malformed"),
        ("five parts", format!("{token}.a.a"), "token-malformed"),
        ("an empty fourth part", format!("{token}."), "token-malformed"),
        ("no signature", format!("{header}.{payload}."), "token-signature"),
        ("no payload", format!("{header}..{signature}"), "token-malformed"),
        ("no header", format!(".{payload}.{signature}"), "token-malformed"),
        ("padding", format!("{token}="), "token-malformed"),
        ("padding of the header", format!("{header}=.{payload}.{signature}"), "token-malformed"),
        ("a blank within", format!("{header}.{payload} .{signature}"), "token-malformed"),
        ("a line break", format!("{header}.{payload}\n.{signature}"), "token-malformed"),
        ("a leading blank", format!(" {token}"), "token-malformed"),
        ("another alphabet", format!("{header}.{payload}.+/{}", &signature[2..]), "token-malformed"),
        ("not ASCII", format!("{header}.{payload}.{}é", &signature[2..]), "token-malformed"),
        (
            "a changed signature",
            format!("{header}.{payload}.{other_signature}{}", &signature[1..]),
            "token-signature",
        ),
        ("a short signature", format!("{header}.{payload}.{}", &signature[..40]), "token-signature"),
        (
            "JSON serialization",
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
            "token-malformed",
        ),
    ] {
        assert_eq!(code(&token), expected, "{what}");
    }
    // 64 bytes leave four unused bits in the last character: any that is set is another spelling.
    let last = signature.chars().last().unwrap();
    assert!(['A', 'Q', 'g', 'w'].contains(&last), "{last}");
    for other in ('B'..='P').chain('R'..='Z').chain('a'..='f') {
        assert_eq!(code(&format!("{header}.{payload}.{}", twin(other))), "token-malformed", "{other}");
    }
    assert_eq!(verify(&"a".repeat(MAX_TOKEN_BYTES + 1)), Err(TokenError::TooLong));
    let changed = claims().to_string().replace("sys:minzheng-aid", "sys:water-billing");
    assert_eq!(code(&format!("{header}.{}.{signature}", b64(changed))), "token-signature");
    let stranger = forge(&world().stranger, HEADER, &claims().to_string());
    assert_eq!(code(&stranger), "token-signature", "another issuer's key of the same name");
}

#[test]
fn every_claim() {
    let lifetime = 3600;
    for (what, claims, expected) in [
        ("no iss", without("iss"), "token-claims"),
        ("iss null", with("iss", Value::Null), "token-claims"),
        ("iss with a slash more", with("iss", json!(format!("{ISSUER}/"))), "token-issuer"),
        ("iss in other case", with("iss", json!("HTTPS://platform.city.example")), "token-issuer"),
        ("iss of another, trusted one", with("iss", json!("https://other.example")), "token-signature"),
        ("no aud", without("aud"), "token-claims"),
        ("the second aud", with("aud", json!("pinegate-2")), "accepted"),
        ("aud in a list", with("aud", json!([AUDIENCE])), "accepted"),
        ("two auds", with("aud", json!([AUDIENCE, "pinegate-2"])), "token-claims"),
        ("no aud in a list", with("aud", json!([])), "token-claims"),
        ("aud in a list of lists", with("aud", json!([[AUDIENCE]])), "token-claims"),
        ("aud in other case", with("aud", json!("Pinegate")), "token-audience"),
        ("aud of another", with("aud", json!("pinegate.example")), "token-audience"),
        ("no sub", without("sub"), "token-claims"),
        ("sub of another", with("sub", json!("sys:water-billing")), "token-subject"),
        ("sub that is no system", with("sub", json!("minzheng-aid")), "token-claims"),
        ("no jti", without("jti"), "token-claims"),
        ("jti empty", with("jti", json!("")), "token-claims"),
        ("jti a number", with("jti", json!(7)), "token-claims"),
        ("no purpose", without("purpose"), "token-claims"),
        ("purpose that is no code", with("purpose", json!("Social Aid")), "token-claims"),
        ("two purposes", with("purpose", json!(["a.b", "c.d"])), "token-claims"),
        ("no exp", without("exp"), "token-claims"),
        ("exp a text", with("exp", json!((NOW + 600).to_string())), "token-claims"),
        ("exp null", with("exp", Value::Null), "token-claims"),
        ("exp a fraction", with("exp", json!(1_780_272_600.5)), "token-claims"),
        ("exp negative", with("exp", json!(-1)), "token-claims"),
        ("exp huge", with("exp", json!(1e308)), "token-claims"),
        ("exp beyond 9999", with("exp", json!(253_402_300_800_u64)), "token-claims"),
        ("exp at the limit of u64", with("exp", json!(u64::MAX)), "token-claims"),
        ("exp before iat", with("exp", json!(NOW - 11)), "token-claims"),
        (
            "exp long past",
            {
                let mut c = with("exp", json!(NOW - 100));
                c["iat"] = json!(NOW - 200);
                c["nbf"] = json!(NOW - 200);
                c
            },
            "token-expired",
        ),
        ("the longest life", with("exp", json!(NOW - 10 + lifetime)), "accepted"),
        ("too long a life", with("exp", json!(NOW - 9 + lifetime)), "token-claims"),
        ("no iat", without("iat"), "token-claims"),
        ("iat a text", with("iat", json!("now")), "token-claims"),
        ("iat ahead within the leeway", with("iat", json!(NOW + LEEWAY)), "accepted"),
        ("iat ahead beyond it", with("iat", json!(NOW + LEEWAY + 1)), "token-not-yet-valid"),
        ("no nbf", without("nbf"), "accepted"),
        ("nbf ahead within the leeway", with("nbf", json!(NOW + LEEWAY)), "accepted"),
        ("nbf ahead beyond it", with("nbf", json!(NOW + LEEWAY + 1)), "token-not-yet-valid"),
        ("nbf null", with("nbf", Value::Null), "token-claims"),
        ("nbf a fraction", with("nbf", json!(1.5)), "token-claims"),
        ("scope empty", with("scope", json!("")), "token-claims"),
        ("scope of blanks", with("scope", json!("name  phone")), "token-claims"),
        ("scope a list", with("scope", json!(["name"])), "token-claims"),
        ("scope null", with("scope", Value::Null), "token-claims"),
        ("scope too long", with("scope", json!(vec!["a"; 257].join(" "))), "token-claims"),
        ("grant alone", with("grant", json!("HS-1")), "accepted"),
        ("no grant in a list", with("grant", json!([])), "token-claims"),
        ("grant that is none", with("grant", json!(["HS 1"])), "token-claims"),
        ("grant null", with("grant", Value::Null), "token-claims"),
        ("no cnf", without("cnf"), "token-binding"),
        ("cnf without thumbprint", with("cnf", json!({"jkt": "x"})), "token-binding"),
        ("cnf with a number", with("cnf", json!({"x5t#S256": 1})), "token-binding"),
        ("cnf a text", with("cnf", json!("x")), "token-claims"),
        ("bound to another certificate", with("cnf", json!({"x5t#S256": b64([7; 32])})), "token-binding"),
        (
            "bound with padding",
            with("cnf", json!({"x5t#S256": format!("{}=", world().facts.x5t_s256)})),
            "token-binding",
        ),
        (
            "bound in hexadecimal",
            with("cnf", json!({"x5t#S256": world().facts.fingerprint.to_hex()})),
            "token-binding",
        ),
        ("bound to nothing", with("cnf", json!({"x5t#S256": ""})), "token-binding"),
        ("a claim nobody knows", with("x", json!({"y": [1, null, true]})), "accepted"),
    ] {
        assert_eq!(code(&forge(&world().es, HEADER, &claims.to_string())), expected, "{what}");
    }
}

#[test]
fn payloads_that_are_not_one_object() {
    let claims = claims().to_string();
    for (what, payload) in [
        ("a name twice", claims.replacen('{', r#"{"sub":"sys:water-billing","#, 1)),
        ("a name twice, escaped", claims.replacen('{', r#"{"\u0073ub":"sys:water-billing","#, 1)),
        ("a name twice within", claims.replacen(r#""cnf":{"#, r#""cnf":{"x5t#S256":"a","#, 1)),
        ("a list", "[]".to_owned()),
        ("a text after it", format!("{claims}1")),
        ("a BOM before it", format!("\u{feff}{claims}")),
        ("a comment", format!("/**/{claims}")),
        ("deep nesting", format!("{}{}", "[".repeat(1000), "]".repeat(1000))),
        ("nothing", String::new()),
    ] {
        assert_eq!(code(&forge(&world().es, HEADER, &payload)), "token-malformed", "{what}");
    }
    let latin = [b"{\"iss\":\"".as_slice(), &[0xff], b"\"}"].concat();
    let signed = format!("{}.{}", b64(HEADER), b64(latin));
    assert_eq!(code(&format!("{signed}.{}", b64([1; 64]))), "token-malformed", "not UTF-8");
}

#[test]
fn the_edges_of_time_also_for_a_remembered_token() {
    let (verifier, token) = (verifier(), good());
    let at_second = |second| {
        verifier.verify(&token, &world().system, &world().facts, at(second)).map_err(|error| error.code())
    };
    for _ in 0..2 {
        assert!(at_second(NOW).is_ok());
        assert!(at_second(NOW + 600 + LEEWAY - 1).is_ok());
        assert_eq!(at_second(NOW + 600 + LEEWAY).unwrap_err(), "token-expired");
        assert!(at_second(NOW - 10 - LEEWAY).is_ok());
        assert_eq!(at_second(NOW - 10 - LEEWAY - 1).unwrap_err(), "token-not-yet-valid");
    }
}

#[test]
fn a_remembered_token_is_remembered_for_one_system_and_certificate_only() {
    let (verifier, token, world) = (verifier(), good(), world());
    let first = verifier.verify(&token, &world.system, &world.facts, at(NOW)).unwrap();
    let again = verifier.verify(&token, &world.system, &world.facts, at(NOW)).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the second time nothing is verified anew");
    let other = SystemId::parse("sys:water-billing").unwrap();
    let error = verifier.verify(&token, &other, &world.facts, at(NOW)).unwrap_err();
    assert_eq!(error.code(), "token-subject");
    let der = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let stolen = CertificateFacts::read(der.der()).unwrap();
    let error = verifier.verify(&token, &world.system, &stolen, at(NOW)).unwrap_err();
    assert_eq!(error.code(), "token-binding");
}

#[test]
fn authorization_headers() {
    type Case<'c> = (&'c [&'c [u8]], Result<&'c str, TokenError>);
    let cases: [Case<'_>; 12] = [
        (&[], Err(TokenError::Missing)),
        (&[b"Bearer a.b.c"], Ok("a.b.c")),
        (&[b"Bearer a", b"Bearer a"], Err(TokenError::Repeated)),
        (&[b"bearer a"], Err(TokenError::Scheme)),
        (&[b"Bearer\ta"], Err(TokenError::Scheme)),
        (&[b"Bearer  a"], Err(TokenError::Scheme)),
        (&[b"Bearer a "], Err(TokenError::Scheme)),
        (&[b"Bearer a b"], Err(TokenError::Scheme)),
        (&[b"Bearer "], Err(TokenError::Scheme)),
        (&[b"Bearer"], Err(TokenError::Scheme)),
        (&[b"Basic YTpi"], Err(TokenError::Scheme)),
        (&[b"Bearer \xff"], Err(TokenError::Scheme)),
    ];
    for (values, expected) in cases {
        assert_eq!(bearer_token(values.iter().copied()), expected, "{values:?}");
    }
}

#[test]
fn minted_tokens_hold() {
    let world = world();
    let purpose = PurposeCode::parse("licence.review").unwrap();
    let id = TokenId::parse("dev-1").unwrap();
    let grants = [GrantId::parse("HS-1").unwrap()];
    let new = NewToken {
        issuer: ISSUER,
        audience: AUDIENCE,
        system: &world.system,
        id: &id,
        purpose: &purpose,
        scope: Some("kind issuer"),
        grants: &grants,
        x5t_s256: &world.facts.x5t_s256,
        issued: at(NOW),
        lifetime: Duration::from_secs(300),
    };
    for key in [&world.es, &world.ed] {
        let token = key.signing.mint(&new).unwrap();
        let token = verify(std::str::from_utf8(token.expose()).unwrap()).unwrap();
        assert_eq!((&token.purpose, token.grants.as_deref()), (&purpose, Some(&grants[..])));
        assert_eq!(token.expires, at(NOW + 300));
    }
    assert!(matches!(SigningKey::from_pem(&Secret::new(*b"x"), "k"), Err(MintError::Key)));
}

#[test]
fn key_sets() {
    let ec = world().es.signing.public_jwk();
    let change = |name: &str, value: Value| {
        let mut jwk = ec.clone();
        jwk[name] = value;
        jwk
    };
    let rsa = |bits: usize, more: Value| {
        let mut n = vec![0xff; bits / 8];
        *n.last_mut().unwrap() = 1;
        let mut jwk = json!({"kty": "RSA", "kid": "r", "n": b64(n), "e": "AQAB"});
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    };
    let other_y = world().stranger.signing.public_jwk()["y"].clone();
    // (what, keys, how many can be used, a word of the report)
    let cases: Vec<(&str, Vec<Value>, Option<usize>, &str)> = vec![
        ("one", vec![ec.clone()], Some(1), ""),
        (
            "without alg",
            vec![{
                let mut k = ec.clone();
                k.as_object_mut().unwrap().remove("alg");
                k
            }],
            Some(1),
            "",
        ),
        ("none", vec![], None, "no key"),
        ("for encryption beside another", vec![change("use", json!("enc")), ec.clone()], Some(1), "left out"),
        ("for encryption alone", vec![change("use", json!("enc"))], None, "no key"),
        ("only to sign", vec![change("key_ops", json!(["sign"]))], None, "no key"),
        ("to verify", vec![change("key_ops", json!(["sign", "verify"]))], Some(1), ""),
        ("key_ops a text", vec![change("key_ops", json!("verify"))], None, "not a list"),
        ("P-192", vec![change("crv", json!("P-192"))], None, "not P-256"),
        ("alg of another kind", vec![change("alg", json!("RS256"))], None, "does not fit"),
        ("alg unknown", vec![change("alg", json!("ES512"))], None, "left out"),
        ("private", vec![change("d", json!("AAAA"))], None, "private"),
        ("symmetric", vec![json!({"kty": "oct", "k": "AAAA", "alg": "HS256"})], None, "secret"),
        ("not on the curve", vec![change("y", other_y)], None, "not a point"),
        ("short", vec![change("x", json!("AAAA"))], None, "not a point"),
        ("padded", vec![change("x", json!(format!("{}=", ec["x"].as_str().unwrap())))], None, "not a point"),
        ("the same kid twice", vec![ec.clone(), ec.clone()], None, "same `kid`"),
        ("kid a number", vec![change("kid", json!(1))], None, "not a text"),
        ("not an object", vec![json!(7)], None, "not an object"),
        ("RSA 1024", vec![rsa(1024, json!({"alg": "RS256"}))], None, "wrong size"),
        ("RSA 2048", vec![rsa(2048, json!({"alg": "PS256"}))], Some(1), ""),
        ("RSA 16384", vec![rsa(16384, json!({"alg": "PS256"}))], None, "wrong size"),
        ("RSA without alg", vec![rsa(2048, json!({}))], None, "without `alg`"),
        ("RSA for EC", vec![rsa(2048, json!({"alg": "ES256"}))], None, "does not fit"),
        ("RSA with e = 1", vec![rsa(2048, json!({"alg": "PS256", "e": "AQ"}))], None, "`e` is odd"),
        ("RSA with e even", vec![rsa(2048, json!({"alg": "PS256", "e": "BA"}))], None, "`e` is odd"),
    ];
    for (what, keys, usable, word) in cases {
        let (found, report) = match KeySet::from_jwks(&jwks(&keys), &SignatureAlgorithm::ALL) {
            Ok((set, report)) => (Some(set.len()), report.to_string()),
            Err(report) => (None, report.to_string()),
        };
        assert_eq!(found, usable, "{what}: {report}");
        assert!(report.contains(word), "{what}: {report}");
    }
    let rs_only = KeySet::from_jwks(&jwks(&[rsa(2048, json!({}))]), &[SignatureAlgorithm::Rs256]);
    assert_eq!(rs_only.unwrap().0.len(), 1, "the one RSA algorithm that is allowed");
    assert!(KeySet::from_jwks(&jwks(&[ec]), &[SignatureAlgorithm::EdDsa]).is_err(), "not allowed");
}

#[test]
fn all_errors_of_a_key_set_come_at_once_with_their_places() {
    let text = "{\"keys\": [\n  {\"kty\": \"oct\", \"k\": \"AA\"},\n  {\"kty\": \"RSA\", \"n\": \"AQ\", \"e\": \"AQAB\"}\n]}";
    let report = KeySet::from_jwks(&Source::new("jwks.json", text), &SignatureAlgorithm::ALL).unwrap_err();
    insta::assert_snapshot!(report.to_string(), @r"
    jwks.json:2:3: error[jwks]: a secret or private key; publish the public half only, and replace this key
    jwks.json:3:3: error[jwks]: an RSA modulus of the wrong size; 2048 to 8192 bits are accepted
    ");
    for text in ["", "[]", "{}", "<html>", "{\"keys\": {}}", "{\"keys\": [], \"keys\": []}", "{\"keys\": [1}"]
    {
        assert!(KeySet::from_jwks(&Source::new("j", text), &SignatureAlgorithm::ALL).is_err(), "{text}");
    }
}

#[test]
fn without_a_kid_one_key_must_fit() {
    let world = world();
    let mut second = world.stranger.signing.public_jwk();
    second["kid"] = json!("second");
    let set = key_set(&[world.es.signing.public_jwk(), second]);
    let token = forge(&world.es, r#"{"alg":"ES256"}"#, "{}");
    assert_eq!(verify_jws(&token, |_| Ok(&set)), Err(TokenError::KeyUnknown));
}

proptest! {
    /// Any change of any byte makes a token invalid.
    #[test]
    fn no_byte_can_be_changed(at in 0_usize..600, byte in 0x20_u8..0x7f) {
        static GOOD: OnceLock<String> = OnceLock::new();
        let good = GOOD.get_or_init(good);
        let at = at % good.len();
        let mut changed = good.clone().into_bytes();
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(verify(&changed).is_ok(), changed == *good, "{}", changed);
    }

    #[test]
    fn any_key_set_is_judged(at in 0_usize..400, byte in 0x20_u8..0x7f) {
        let mut text = jwks(&[world().es.signing.public_jwk(), world().ed.signing.public_jwk()])
            .text
            .as_bytes()
            .to_vec();
        let at = at % text.len();
        text[at] = byte;
        let source = Source::new("jwks.json", String::from_utf8(text).unwrap());
        match KeySet::from_jwks(&source, &SignatureAlgorithm::ALL) {
            Ok((set, _)) => prop_assert!(!set.is_empty()),
            Err(report) => prop_assert!(!report.to_string().is_empty()),
        }
    }

    #[test]
    fn any_text_is_judged(token in "[ -~]{0,80}(\\.[A-Za-z0-9_-]{0,80}){0,4}") {
        prop_assert!(verify(&token).is_err());
    }
}
