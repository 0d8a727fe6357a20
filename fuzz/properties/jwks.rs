//! JWK Sets.
//!
//! Input: the text.

use pinegate::identity::token::{KeySet, MAX_KEYS, SignatureAlgorithm};
use pinegate::kernel::diagnostic::{Report, Source};
use serde_json::Value;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source::new("jwks.json", text);
    let by_one = SignatureAlgorithm::ALL.map(|algorithm| usable(&source, &[algorithm]));
    assert_eq!(usable(&source, &[]), None, "a set of no use is refused");
    let Some(keys) = usable(&source, &SignatureAlgorithm::ALL) else { return };
    assert!((1..=MAX_KEYS).contains(&keys));
    // RSA keys that need not say what they are for come on top.
    assert!(by_one.into_iter().flatten().sum::<usize>() >= keys);
    let value: Value = serde_json::from_str(text).expect("what is read is JSON");
    let set = value["keys"].as_array().expect("a set is a list of keys");
    assert!(keys <= set.len());
    for jwk in set {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(jwk.get(private).is_none(), "a private or secret key was taken");
        }
    }
}

/// How many keys can be used; `None` if the set is refused.
fn usable(source: &Source, allowed: &[SignatureAlgorithm]) -> Option<usize> {
    match KeySet::from_jwks(source, allowed) {
        Ok((keys, report)) => {
            check_report(&report, source);
            assert!(!report.has_errors() && !keys.is_empty());
            Some(keys.len())
        }
        Err(report) => {
            check_report(&report, source);
            assert!(report.has_errors());
            None
        }
    }
}

fn check_report(report: &Report, source: &Source) {
    for finding in report.sorted() {
        assert_eq!(finding.file, source.name);
        assert!(source.text.get(finding.span.clone()).is_some(), "{finding:?} is not in the text");
    }
    assert_eq!(report.to_string().is_empty(), report.sorted().is_empty());
}
