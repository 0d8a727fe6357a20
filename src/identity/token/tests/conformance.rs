//! Wycheproof's JSON Web Signature vectors, through the function that real tokens go through.

use super::*;

fn vectors() -> Option<Value> {
    let folder = crate::kernel::skip::conformance()?;
    let path = folder.join("wycheproof/json_web_signature_test.json");
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// Said to be invalid for padding that the file itself has lost: what is left is valid.
const LOST_THEIR_PADDING: [u64; 2] = [367, 370];

/// Called valid, signed with PS384 by a key whose `alg` is PS256: refused, the key decides.
const OTHER_ALGORITHM_THAN_THE_KEY: [u64; 2] = [346, 350];

/// Valid, and refused here on purpose: the algorithm is not one of ours.
fn is_foreign(id: u64, algorithm: Option<&str>) -> bool {
    OTHER_ALGORITHM_THAN_THE_KEY.contains(&id) || algorithm.and_then(SignatureAlgorithm::parse).is_none()
}

#[test]
fn wycheproof_signatures() {
    let Some(vectors) = vectors() else { return };
    let (mut refused, mut verified, mut foreign) = (0, 0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let jwk = group.get("public").unwrap_or(&group["private"]);
        let source = jwks(std::slice::from_ref(jwk));
        // An RSA key without `alg`: both readings are tried, neither may accept a bad token.
        let sets: Vec<KeySet> =
            [&SignatureAlgorithm::ALL[..], &[SignatureAlgorithm::Rs256], &[SignatureAlgorithm::Ps256]]
                .into_iter()
                .filter_map(|allowed| KeySet::from_jwks(&source, allowed).ok())
                .map(|(set, _)| set)
                .collect();
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let jws = match &test["jws"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let accepted = sets.iter().any(|set| verify_jws(&jws, |_| Ok(set)).is_ok());
            if test["result"] == "valid" {
                if is_foreign(id, jwk["alg"].as_str()) {
                    assert!(!accepted, "{id}: an algorithm that is not ours");
                    foreign += 1;
                } else {
                    assert!(accepted, "{id}: {}", test["comment"]);
                    verified += 1;
                }
            } else if !LOST_THEIR_PADDING.contains(&id) {
                assert!(!accepted, "{id}: {}", test["comment"]);
                refused += 1;
            }
        }
    }
    println!("refused {refused}, verified {verified}, of other algorithms {foreign}");
    assert!(refused > 300 && verified > 10, "refused {refused}, verified {verified}");
}
