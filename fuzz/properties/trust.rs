//! Policies of trust.
//!
//! Input: the file. Those among the seeds name the log and witnesses of `signers.rs`.

use std::collections::HashMap;

use pinegate::kernel::time::Timestamp;
use pinegate::tlog::cosignature::cosign;
use pinegate::tlog::note::Note;
use pinegate::tlog::policy::{MAX_POLICY_BYTES, Policy, Refused};

use super::signers;

pub(crate) fn check(data: &[u8]) {
    let policy = match Policy::parse(data) {
        Ok(policy) => policy,
        Err(error) => {
            let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "{error}");
            return;
        }
    };
    assert!(data.len() <= MAX_POLICY_BYTES && data.ends_with(b"\n"));
    let (log, witnesses) = (signers::log(), signers::witnesses());
    let text = signers::head(&signers::leaves(false), 5).to_string();
    let at = Timestamp::from_second(1_700_000_000).expect("a time");
    for set in 0..8_usize {
        let has = |at: usize| set >> at & 1 == 1;
        let cosigned = witnesses.iter().enumerate().filter(|(at, _)| has(*at));
        let cosigned = cosigned.map(|(_, witness)| cosign(&text, witness, at).expect("it is a witness"));
        let lines: String = std::iter::once(log.line(&text)).chain(cosigned).collect();
        let note = Note::parse(format!("{text}\n{lines}").as_bytes()).expect("a note");
        let names: Vec<String> =
            (0..3).filter(|at| has(*at)).map(|at| witnesses[at].key().to_string()).collect();
        match policy.check(&note) {
            Ok(trusted) => {
                assert!(policy.logs().contains(&trusted.log) && is_quorum(data, &names));
                let known = trusted.cosigned.iter().map(|(key, _)| key.to_string());
                assert!(known.into_iter().all(|key| names.contains(&key)));
            }
            Err(Refused::NoQuorum { .. }) => assert!(!is_quorum(data, &names)),
            Err(Refused::UnknownLog(_)) => {
                assert!(policy.logs().iter().all(|key| key.name() != signers::ORIGIN));
            }
            // The name is known and the key is another.
            Err(Refused::Note(_)) => assert!(!policy.logs().contains(log.key())),
        }
    }
}

/// Whether the quorum of a policy that reads well has cosigned, worked out from the end back.
fn is_quorum(policy: &[u8], cosigned: &[String]) -> bool {
    let lines = policy.split(|byte| *byte == b'\n');
    let words =
        lines.map(|line| line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty()).collect());
    let words: Vec<Vec<&[u8]>> = words.collect();
    let of = |keyword: &'static [u8]| words.iter().filter(move |words| words.first() == Some(&keyword));
    let defined = of(b"witness").chain(of(b"group")).map(|words| (words[1], words)).collect();
    let quorum = of(b"quorum").next().expect("there is one")[1];
    quorum == b"none" || has_cosigned(quorum, &defined, cosigned)
}

fn has_cosigned(name: &[u8], defined: &HashMap<&[u8], &Vec<&[u8]>>, cosigned: &[String]) -> bool {
    let words = defined[name];
    if words[0] == b"witness" {
        return cosigned.iter().any(|key| key.as_bytes() == words[2]);
    }
    let members = &words[3..];
    let count = members.iter().filter(|member| has_cosigned(member, defined, cosigned)).count();
    match words[2] {
        b"any" => count >= 1,
        b"all" => count == members.len(),
        number => count >= std::str::from_utf8(number).expect("digits").parse().expect("a number"),
    }
}
