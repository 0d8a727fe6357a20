//! A purpose must be signed by the platform, for this system, for this gate, for now.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use super::{Came, refuse};
use crate::city::{Call, Files, Plan, now};

const TARGET: &str = "/population/residents?area=3410&size=1";
const SYSTEM: &str = "minzheng-aid";
const PURPOSE: &str = "social-aid.eligibility";

/// Tokens that are wrong in one way each, with their codes.
fn wrong(files: &Files) -> Vec<(&'static str, String, &'static str)> {
    let claims = || files.claims(SYSTEM, PURPOSE);
    let sign = |claims| files.sign(&claims).text();
    let good = || files.sign(&claims());
    let header = |header: serde_json::Value| files.sign_with(&header, &claims());
    let at = now().as_second();
    let public = files.read("certs/tokens/jwks.json");
    vec![
        ("no token at all", String::new(), "token-malformed"),
        ("two parts", good().text().rsplit_once('.').unwrap().0.to_owned(), "token-malformed"),
        ("four parts", good().text() + ".e30", "token-malformed"),
        ("padding", good().text() + "=", "token-malformed"),
        (
            "crit",
            header(json!({ "alg": "ES256", "kid": "platform-1", "crit": ["x"] })).text(),
            "token-malformed",
        ),
        ("jwk", header(json!({ "alg": "ES256", "kid": "platform-1", "jwk": {} })).text(), "token-malformed"),
        ("too long", format!("{}{}", good().text(), "A".repeat(9_000)), "token-malformed"),
        ("alg none", header(json!({ "alg": "none" })).unsigned(), "token-algorithm"),
        ("alg None", header(json!({ "alg": "None", "kid": "platform-1" })).unsigned(), "token-algorithm"),
        ("alg RS256", header(json!({ "alg": "RS256", "kid": "platform-1" })).text(), "token-algorithm"),
        ("HMAC with the public key", with_hmac(files, &public), "token-algorithm"),
        ("another key", header(json!({ "alg": "ES256", "kid": "platform-2" })).text(), "token-key-unknown"),
        ("kid path", header(json!({ "alg": "ES256", "kid": "../platform-1" })).text(), "token-key-unknown"),
        ("forged", good().forged(), "token-signature"),
        ("unsigned", good().unsigned(), "token-signature"),
        (
            "expired",
            sign(claims().with("iat", at - 90).with("nbf", at - 90).with("exp", at - 31)),
            "token-expired",
        ),
        ("early", sign(claims().with("nbf", at + 120)), "token-not-yet-valid"),
        ("issuer", sign(claims().with("iss", "https://exchange.city.example/")), "token-issuer"),
        ("audience", sign(claims().with("aud", "Pinegate")), "token-audience"),
        ("subject", sign(claims().with("sub", "sys:ziran-map")), "token-subject"),
        (
            "binding",
            sign(claims().with("cnf", json!({ "x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }))),
            "token-binding",
        ),
        ("unbound", sign(claims().without("cnf")), "token-binding"),
        ("no purpose", sign(claims().without("purpose")), "token-claims"),
        ("no jti", sign(claims().without("jti")), "token-claims"),
        ("exp as text", sign(claims().with("exp", "9999999999")), "token-claims"),
        ("exp as 1e308", sign(claims().with("exp", 1e308)), "token-claims"),
        ("lives too long", sign(claims().with("exp", at + 10 * 86_400)), "token-claims"),
    ]
}

fn with_hmac(files: &Files, public: &str) -> String {
    let unsigned = files
        .sign_with(&json!({ "alg": "HS256", "kid": "platform-1" }), &files.claims(SYSTEM, PURPOSE))
        .unsigned();
    let signed = unsigned.trim_end_matches('.');
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_token() {
    let city = Plan::new().start().await;
    for (what, token, code) in wrong(city.files()) {
        eprintln!("{what}");
        let call = Call::get(SYSTEM, PURPOSE, TARGET).token(token.clone());
        let (reply, record) = refuse(&city, call, (401, code), Came::ToTheGate).await;
        let challenge = reply.header("www-authenticate").expect("no challenge");
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert!(challenge.contains("https://exchange.city.example"), "the issuer is not named: {challenge}");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert_eq!(record.system.as_deref(), Some("sys:minzheng-aid"));
        assert_eq!(record.decision.as_deref(), Some("deny"));
        assert_eq!(record.purpose, None, "{what}: a purpose that nobody vouches for is on record");
        if token.len() > 20 {
            let records = serde_free_text(&city.files().audit());
            assert!(!records.contains(&token), "{what}: the token is in the audit log");
            assert!(!city.gate.log_text().contains(&token), "{what}: the token is in the log");
        }
    }
}

/// All bytes of the audit log, as text.
fn serde_free_text(audit: &std::path::Path) -> String {
    let mut text = String::new();
    for generation in std::fs::read_dir(audit).unwrap() {
        let generation = generation.unwrap().path();
        if generation.is_dir() {
            for segment in std::fs::read_dir(generation).unwrap() {
                text.push_str(&String::from_utf8_lossy(&std::fs::read(segment.unwrap().path()).unwrap()));
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_or_two_of_them() {
    let city = Plan::new().start().await;
    let (reply, _) =
        refuse(&city, Call::aid(TARGET).no_token(), (401, "token-missing"), Came::ToTheGate).await;
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(
        !challenge.contains("error="),
        "RFC 6750, section 3.1: no error without credentials: {challenge}"
    );
    let basic = Call::aid(TARGET).no_token().header("authorization", "Basic dXNlcjpwYXNz");
    let reply = city.call(basic).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let token = city.files().token(SYSTEM, PURPOSE);
    let twice = Call::aid(TARGET).header("authorization", &format!("Bearer {token}"));
    refuse(&city, twice, (400, "request-header"), Came::ToTheGate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_systems_token() {
    let city = Plan::new().start().await;
    let token = city.files().token("water-billing", PURPOSE);
    let call = Call::aid(TARGET).token(token);
    let before = city.received().total();
    let reply = city.call(call).await;
    // It is bound to another certificate and about another system; either may be said.
    assert!(["token-binding", "token-subject"].contains(&reply.code().as_str()), "{reply:?}");
    assert_eq!(city.received().total(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purpose_that_does_not_fit() {
    let city = Plan::new().start().await;
    let declared = |code: &str| Call::aid(TARGET).header("data-purpose", code);
    let target = "/_test/echo/declared";
    for (call, expected) in [
        (declared("social-aid.review"), (400, "purpose-mismatch")),
        (declared("Not A Code"), (403, "purpose-unknown")),
        (Call::survey(target).no_token(), (400, "purpose-missing")),
        (
            Call::survey(target).no_token().header("data-purpose", "never.registered"),
            (403, "purpose-unknown"),
        ),
        (Call::get(SYSTEM, "never.registered", TARGET), (403, "purpose-unknown")),
        (Call::get(SYSTEM, "planning.survey", TARGET), (403, "purpose-not-granted")),
    ] {
        refuse(&city, call, expected, Came::ToTheGate).await;
    }
    let scoped = city.files().sign(&city.files().claims(SYSTEM, PURPOSE).with("scope", "name phone")).text();
    let call = Call::aid(TARGET).token(scoped).header("data-scope", "name|id_card");
    refuse(&city, call, (400, "scope-malformed"), Came::ToTheGate).await;
}
