//! What a signed head of a log says (C2SP `tlog-checkpoint`): whose tree, how large, which root.

use std::fmt;

use data_encoding::BASE64;

use super::note::{Note, NoteError, NoteSigner, VerifierKey};
use super::text;
use crate::kernel::id::Digest;

/// A head of a log. It shows as the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves its tree has.
    pub size: u64,
    /// The root of its tree.
    pub root: Digest,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(&self.root.0))
    }
}

impl Checkpoint {
    /// Reads the text of a note. Lines beyond the third are extensions: they are passed over.
    ///
    /// # Errors
    /// When it is no checkpoint.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        const BAD: NoteError = NoteError::Form("its text is no checkpoint");
        let mut lines = note.strip_suffix('\n').ok_or(BAD)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(BAD);
        };
        let (size, root) = (text::number(size).ok_or(BAD)?, text::hash(root).ok_or(BAD)?);
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(BAD);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The whole note, signed.
    #[must_use]
    pub fn sign(&self, signer: &NoteSigner) -> String {
        let text = self.to_string();
        let line = signer.line(&text);
        format!("{text}\n{line}")
    }

    /// Reads a note that the log of `key` signed; its origin must be the name of the key.
    ///
    /// # Errors
    /// When the note is none, not signed by `key`, or another log's.
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<(Self, Note), NoteError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse(note.verify(key)?)?;
        if checkpoint.origin != key.name() {
            return Err(NoteError::Form("its origin is another log's"));
        }
        Ok((checkpoint, note))
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::SignatureKind;
    use super::*;
    use crate::kernel::secret::Secret;

    #[test]
    fn what_was_signed_is_read_back_and_nothing_else_is() {
        let pair =
            aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new());
        let secret = Secret::new(pair.unwrap().as_ref().to_vec());
        let signer = NoteSigner::from_pkcs8("gate-1", SignatureKind::Ed25519, &secret).unwrap();
        let checkpoint =
            Checkpoint { origin: "gate-1".to_owned(), size: 3, root: super::super::tree::empty_root() };
        let note = checkpoint.sign(&signer);
        let key = VerifierKey::parse(&signer.key().to_string()).unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), &key).unwrap().0, checkpoint);
        for at in 0..note.len() {
            let mut bad = note.clone().into_bytes();
            bad[at] ^= 1;
            assert!(Checkpoint::open(&bad, &key).is_err(), "byte {at}");
        }
    }
}
