use super::super::tests::signer;
use super::*;

const TEXT: &str = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A note of `TEXT` with these signature lines.
fn note(lines: &str) -> Note {
    Note::parse(format!("{TEXT}\n{lines}").as_bytes()).unwrap()
}

#[test]
fn what_a_witness_signed_says_when_and_the_last_time_counts() {
    let witness = signer("witness.example/w1", SignatureKind::Cosignature);
    let early = cosign(TEXT, &witness, at(1_679_315_147)).unwrap();
    let late = cosign(TEXT, &witness, at(1_700_000_000)).unwrap();
    assert_eq!(cosigned_at(&note(&early), witness.key()), Ok(at(1_679_315_147)));
    for lines in [format!("{early}{late}"), format!("{late}{early}")] {
        assert_eq!(cosigned_at(&note(&lines), witness.key()), Ok(at(1_700_000_000)));
    }
}

#[test]
fn every_flipped_bit_of_text_time_and_signature_is_refused() {
    let witness = signer("w", SignatureKind::Cosignature);
    let line = cosign(TEXT, &witness, at(1_679_315_147)).unwrap();
    let whole = note(&line).to_string().into_bytes();
    for bit in 0..whole.len() * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let verified = Note::parse(&bad).and_then(|note| cosigned_at(&note, witness.key()));
        assert!(verified.is_err(), "bit {bit}");
    }
}

#[test]
fn keys_of_another_kind_neither_cosign_nor_check() {
    let (log, witness) = (signer("w", SignatureKind::Ed25519), signer("w", SignatureKind::Cosignature));
    assert!(matches!(cosign(TEXT, &log, at(1)), Err(NoteError::Key(_))));
    assert!(matches!(cosign(TEXT, &witness, at(0)), Err(NoteError::Form(_))));
    let signed = note(&log.line(TEXT));
    assert!(matches!(cosigned_at(&signed, log.key()), Err(NoteError::Key(_))));
    assert_eq!(cosigned_at(&signed, witness.key()), Err(NoteError::Unsigned("w".to_owned())));
    // A log's signature under the name and id of a witness.
    let forged = note(&signature_line(witness.key(), &witness.sign(TEXT.as_bytes())));
    assert_eq!(cosigned_at(&forged, witness.key()), Err(NoteError::Wrong("w".to_owned())));
    // Too short to hold a time.
    let short = note(&signature_line(witness.key(), &[0; 7]));
    assert_eq!(cosigned_at(&short, witness.key()), Err(NoteError::Wrong("w".to_owned())));
}

#[test]
fn the_example_of_the_specification_has_the_form_that_is_made() {
    // Its key is not published; its parts are.
    let line = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2\
                oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let read = note(line);
    let [signature] = read.signatures() else { panic!("one signature") };
    assert_eq!(signature.bytes.len(), 8 + 64);
    assert_eq!(u64::from_be_bytes(signature.bytes[..8].try_into().unwrap()), 1_679_315_147);
}
