//! Signed notes.
//!
//! Input: the note. Those among the seeds are signed by the log of `signers.rs`.

use pinegate::tlog::NoteError;
use pinegate::tlog::note::{MAX_NOTE_BYTES, Note};
use signed_note::{StandardVerifier, VerifierList};

use super::signers;

/// What the log has signed; nothing else can verify.
const SIGNED: [&str; 2] = ["gate-1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "two\n\nparts\n"];
/// Within what the other library reads more than ours does.
const FEW_SIGNATURES: usize = 64;

pub(crate) fn check(data: &[u8]) {
    let theirs = signed_note::Note::from_bytes(data);
    let Ok(note) = Note::parse(data) else {
        // A key's name is bounded, and holds no control character at all.
        let lines = || data.split(|byte| *byte == b'\n').filter(|line| line.starts_with("— ".as_bytes()));
        let is_small = data.len() <= MAX_NOTE_BYTES && lines().count() <= FEW_SIGNATURES;
        let text = String::from_utf8_lossy(data);
        let is_bounded =
            lines().all(|line| line.len() < 255) && !text.contains(|c: char| c.is_control() && c != '\n');
        assert!(theirs.is_err() || !is_small || !is_bounded, "another library reads it");
        return;
    };
    assert_eq!(note.to_string().as_bytes(), data, "it shows as what was read");
    let theirs = theirs.expect("another library reads it, too");
    assert_eq!(theirs.text(), note.text().as_bytes());
    let signer = signers::log();
    let verifier = StandardVerifier::new(&signer.key().to_string()).expect("it reads our key");
    let by_them = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).is_ok();
    match note.verify(signer.key()) {
        Ok(text) => {
            assert!(by_them && SIGNED.contains(&text), "nothing verifies that was not signed: {text:?}");
        }
        Err(NoteError::Unsigned(_)) => assert!(!by_them),
        // The other library looks at the first signature of each key alone.
        Err(_) => assert!(!by_them || note.signatures_of(signer.key()).count() > 1),
    }
}
