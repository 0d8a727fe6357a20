//! Cosignatures (C2SP `tlog-cosignature`, Ed25519): a witness says that it saw a head at a time, and that
//! the log had only grown until then.

use super::note::{Note, NoteError, NoteSigner, SignatureKind, VerifierKey, signature_line};
use crate::kernel::time::Timestamp;

/// What is signed in place of the bare text, so that no cosignature can pass for a log's own signature.
fn message(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// The signature line by which `signer` says that it saw the checkpoint `text` at the instant `at`;
/// newline included.
///
/// # Errors
/// When `signer` is no witness's, or `at` is not after the beginning of 1970, as no working clock is.
pub fn cosign(text: &str, signer: &NoteSigner, at: Timestamp) -> Result<String, NoteError> {
    if signer.key().kind() != SignatureKind::Cosignature {
        return Err(NoteError::Key("a cosignature is made with a witness's key"));
    }
    let seconds = u64::try_from(at.as_second()).ok().filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or(NoteError::Form("a cosignature has a time after 1970"))?;
    let signature = signer.sign(message(seconds, text).as_bytes());
    Ok(signature_line(signer.key(), &[&seconds.to_be_bytes()[..], &signature].concat()))
}

/// When the witness of `key` saw the checkpoint of `note`; the last time, if it says so more than once.
///
/// # Errors
/// When it has not cosigned, or one of its cosignatures is wrong.
pub fn cosigned_at(note: &Note, key: &VerifierKey) -> Result<Timestamp, NoteError> {
    let wrong = || NoteError::Wrong(key.name().to_owned());
    if key.kind() != SignatureKind::Cosignature {
        return Err(NoteError::Key("a cosignature is checked with a witness's key"));
    }
    let mut latest = None;
    for found in note.signatures_of(key) {
        let (seconds, signature) = found.bytes.split_first_chunk().ok_or_else(wrong)?;
        let seconds = u64::from_be_bytes(*seconds);
        if !key.verifies(message(seconds, note.text()).as_bytes(), signature) {
            return Err(wrong());
        }
        let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        latest = latest.max(Some(at.ok_or_else(wrong)?));
    }
    latest.ok_or_else(|| NoteError::Unsigned(key.name().to_owned()))
}

#[cfg(test)]
mod tests;
