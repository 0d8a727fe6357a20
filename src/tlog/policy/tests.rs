use super::super::cosignature::cosign;
use super::super::note::NoteSigner;
use super::super::tests::signer;
use super::*;

fn log(name: &str) -> NoteSigner {
    signer(name, SignatureKind::Ed25519)
}

fn witnesses<const N: usize>() -> [NoteSigner; N] {
    std::array::from_fn(|at| signer(&format!("witness.example/{at}"), SignatureKind::Cosignature))
}

/// A head signed and cosigned by these.
fn note(origin: &str, logs: &[&NoteSigner], witnesses: &[&NoteSigner]) -> Note {
    let text =
        Checkpoint { origin: origin.to_owned(), size: 3, root: super::super::empty_root() }.to_string();
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    let signed = logs.iter().map(|log| log.line(&text));
    let cosigned = witnesses.iter().map(|witness| cosign(&text, witness, at).unwrap());
    let lines: String = signed.chain(cosigned).collect();
    Note::parse(format!("{text}\n{lines}").as_bytes()).unwrap()
}

#[test]
fn the_example_of_the_specification_means_what_it_says() {
    let log = log("example.com/log");
    let keys: [NoteSigner; 6] = witnesses();
    let [x1, x2, x3, y1, y2, y3] = keys.each_ref().map(NoteSigner::key);
    let text = format!(
        "# two organisations\nlog {}\t https://log.example/\n\n\twitness X1 {x1}\nwitness X2 {x2} https://x2.example/\n\
         witness X3 {x3}\ngroup X-witnesses 2 X1 X2 X3\nwitness Y1 {y1}\nwitness Y2 {y2}\nwitness Y3 {y3}\n\
         group Y-witnesses any Y1 Y2 Y3\n  # both\ngroup X-and-Y all X-witnesses Y-witnesses \nquorum X-and-Y\n",
        log.key()
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    for set in 0..64_usize {
        let by: Vec<&NoteSigner> = (0..6).filter(|at| set >> at & 1 == 1).map(|at| &keys[at]).collect();
        let is_enough = (set & 0b111).count_ones() >= 2 && set >> 3 != 0;
        match policy.check(&note("example.com/log", &[&log], &by)) {
            Ok(trusted) => {
                assert!(is_enough, "{set:b}");
                let names: Vec<&str> = trusted.cosigned.iter().map(|(key, _)| key.name()).collect();
                assert_eq!(names, by.iter().map(|signer| signer.key().name()).collect::<Vec<_>>());
            }
            Err(error) => {
                let by = by.iter().map(|signer| signer.key().name()).collect::<Vec<_>>().join(", ");
                assert!(!is_enough, "{set:b}");
                assert_eq!(error, Refused::NoQuorum { by });
            }
        }
    }
}

#[test]
fn a_head_is_believed_for_its_own_logs_key_alone() {
    let (a, old, b, stranger) = (log("a"), log("a"), log("b"), log("a"));
    let both = Policy::new(vec![a.key().clone(), old.key().clone(), b.key().clone()], vec![], 0).unwrap();
    assert_eq!(&both.check(&note("a", &[&a], &[])).unwrap().log, a.key());
    // A key that has been replaced still counts while the policy names it.
    assert_eq!(&both.check(&note("a", &[&stranger, &old], &[])).unwrap().log, old.key());
    assert_eq!(both.check(&note("a", &[&b], &[])), Err(Refused::Note(NoteError::Unsigned("a".to_owned()))));
    assert_eq!(
        both.check(&note("a", &[&stranger], &[])),
        Err(Refused::Note(NoteError::Unsigned("a".to_owned())))
    );
    assert_eq!(both.check(&note("c", &[&a], &[])), Err(Refused::UnknownLog("c".to_owned())));
}

#[test]
fn a_wrong_signature_by_a_known_key_spoils_the_note() {
    let (log, [good, bad]) = (log("a"), witnesses());
    let keys = vec![good.key().clone(), bad.key().clone()];
    let policy = Policy::new(vec![log.key().clone()], keys, 1).unwrap();
    let fine = note("a", &[&log], &[&good]);
    assert!(policy.check(&fine).is_ok());
    let wrong = super::super::note::signature_line(bad.key(), &[7; 72]);
    let spoiled = format!("{fine}{wrong}");
    let error = policy.open(spoiled.as_bytes()).unwrap_err();
    assert_eq!(error, Refused::Note(NoteError::Wrong(bad.key().name().to_owned())));
}

/// Expects that `text` is refused so.
fn refused(text: &str, expected: &str) {
    assert_eq!(Policy::parse(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
}

#[test]
fn lines_that_say_nothing_are_told_by_number() {
    const NO_QUORUM: &str = "there is no `quorum`; where no witness is asked for, say `quorum none`";
    const CHARACTERS: &str = "it has a control character, or no newline at its end";
    refused("", &format!("line 1 of the policy: {NO_QUORUM}"));
    refused(&format!("\nlog {}\n", log("a").key()), &format!("line 2 of the policy: {NO_QUORUM}"));
    refused("quorum none", &format!("line 1 of the policy: {CHARACTERS}"));
    refused("\nquorum none\r\n", &format!("line 2 of the policy: {CHARACTERS}"));
    refused("quorum none\nquorum none\n", "line 2 of the policy: there is a `quorum` before");
    refused("quorum\n", "line 1 of the policy: expected `quorum <name>|none`");
    refused("quorum one\n", "line 1 of the policy: no line before names a witness or group `one`");
    refused(
        "logs x\n",
        "line 1 of the policy: it begins with none of `log`, `witness`, `group`, `quorum` and `#`",
    );
    let long = [b"quorum none\n".as_slice(), &vec![b'\n'; MAX_POLICY_BYTES]].concat();
    assert_eq!(Policy::parse(&long).unwrap_err().fault, Fault::TooLong);
}

#[test]
fn keys_stand_for_one_party_of_their_kind() {
    const DOUBLE: &str = "line 2 of the policy: its public key is that of another line";
    let (log, [one, two]) = (log("a"), witnesses());
    let (log, one, two) = (log.key(), one.key(), two.key());
    let renamed = VerifierKey::new("other", SignatureKind::Cosignature, *one.bytes()).unwrap();
    refused(&format!("log {log} u v\n"), "line 1 of the policy: expected `log <vkey> [<url>]`");
    refused(&format!("log {log}\nlog {log}\n"), DOUBLE);
    refused(&format!("witness v {one}\nwitness w {renamed}\n"), DOUBLE);
    refused(
        &format!("log {one}\n"),
        "line 1 of the policy: this is no verifier key: it is a witness's, a log signs with type 1 (Ed25519)",
    );
    refused(
        &format!("witness w {log}\n"),
        "line 1 of the policy: this is no verifier key: it is a log's, a witness signs with type 4 (Ed25519 \
         cosignature)",
    );
    refused(
        "witness w w+00000000+AAAA\n",
        "line 1 of the policy: this is no verifier key: its algorithm is not known",
    );
    refused(&format!("witness w {one}\nwitness w {two}\n"), "line 2 of the policy: the name `w` is taken");
    refused(&format!("witness none {one}\n"), "line 1 of the policy: the name `none` is taken");
    let twice = Policy::new(vec![log.clone()], vec![one.clone(), renamed], 2);
    assert_eq!(twice, Err(Fault::DoubleKey));
    let too_few = Policy::new(vec![log.clone()], vec![one.clone()], 2);
    assert_eq!(too_few, Err(Fault::Threshold("2".to_owned())));
}

#[test]
fn groups_are_of_what_stands_before_and_count_nothing_twice() {
    let [one] = witnesses();
    let check = |line: &str, fault: &str| {
        let text = format!("witness w {}\n{line}\n", one.key());
        let number = text.lines().count();
        refused(&text, &format!("line {number} of the policy: {fault}"));
    };
    check("group g all w\ngroup h any w", "`w` is a member already: it would count twice");
    check("group g 2 w w", "`w` is a member already: it would count twice");
    check("group g any g", "no line before names a witness or group `g`");
    check("group g any none", "no line before names a witness or group `none`");
    check("group g any", "expected `group <name> any|all|<number> <name>…`");
    check("group w any w", "the name `w` is taken");
    for number in ["0", "2", "01", "+1", "1.0", "ALL", "18446744073709551617"] {
        let fault = format!("`{number}` is not `any`, `all` or a number from 1 to that of its members");
        check(&format!("group g {number} w"), &fault);
    }
}

#[test]
fn names_are_bytes_and_32_of_each_kind_are_read() {
    let keys: [NoteSigner; 32] = witnesses();
    let mut text = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        text.extend_from_slice(format!("log {}\n", log(&format!("log-{at}")).key()).as_bytes());
        text.extend_from_slice(&[b"witness \xff\xe9", format!("{at} {}\n", key.key()).as_bytes()].concat());
        text.extend_from_slice(
            &[format!("group g{at} any ").as_bytes(), b"\xff\xe9", format!("{at}\n").as_bytes()].concat(),
        );
    }
    text.extend_from_slice(b"group last all g0 g31 # is no comment here\n");
    let error = Policy::parse(&text).unwrap_err();
    assert_eq!((error.line, error.fault), (97, Fault::UnknownName("#".to_owned())));
    let end = text.len() - b" # is no comment here\n".len();
    text.truncate(end);
    text.extend_from_slice(b"\nquorum last\n");
    let policy = Policy::parse(&text).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (32, 32));
}
