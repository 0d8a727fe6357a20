//! Keyed digests: what a record says of people, and of bytes that nobody may read back from it.
//!
//! HMAC-SHA-256 (RFC 2104) of people; of bodies, which may be long, the keyed mode of BLAKE3, in a third of the time. A
//! digest without a key would say a resident identity number to anybody with an afternoon to try them all. From the secret of the configuration one key is derived for each use, so that no
//! digest of one kind is ever one of the other; each is set up once, and a request pays for its own bytes
//! only. Who destroys the secret has taken people out of every record, without touching one.

use std::fmt;

use aws_lc_rs::hmac;

use crate::catalog::Subject;
use crate::kernel::id::{Digest, SubjectKind};
use crate::kernel::secret::Secret;

/// How many bytes a record shows of the digest of a subject: 128 bits.
const SUBJECT_BYTES: usize = 16;
/// How many bytes tell one key from another.
const ID_BYTES: usize = 4;

/// What each derived key is for. A word of this list means for ever what it means now.
const FOR_ID: &[u8] = b"pinegate audit 1 key id";
const FOR_SUBJECTS: &[u8] = b"pinegate audit 1 subject";
const FOR_RECEIVED: &[u8] = b"pinegate audit 2 received";

/// The key of the digests in records.
#[derive(Clone)]
pub struct DigestKey {
    id: KeyId,
    subjects: hmac::Key,
    received: [u8; blake3::KEY_LEN],
}

/// Which key made a digest: it tells keys apart and says nothing else of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(super) [u8; ID_BYTES]);

/// The digest of one person or company.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubjectDigest {
    pub(super) kind: SubjectKind,
    pub(super) code: [u8; SUBJECT_BYTES],
}

impl DigestKey {
    /// Derives what is needed from the secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let derived = |purpose| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref());
        let id = first(&hmac::sign(&root, FOR_ID));
        let received = first(&hmac::sign(&root, FOR_RECEIVED));
        Self { id: KeyId(id), subjects: derived(FOR_SUBJECTS), received }
    }

    /// Which key it is.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The digest of a subject.
    #[must_use]
    pub fn subject(&self, subject: &Subject<'_>) -> SubjectDigest {
        let kind = subject.kind();
        let mut context = hmac::Context::with_key(&self.subjects);
        context.update(kind.as_str().as_bytes());
        // No kind has a zero byte in it: where it ends is certain.
        context.update(&[0]);
        context.update(subject.expose().as_bytes());
        SubjectDigest { kind: kind.clone(), code: first(&context.sign()) }
    }

    /// Begins the digest of what the platform sends.
    #[must_use]
    pub fn received(&self) -> ReceivedDigest {
        ReceivedDigest(Box::new(blake3::Hasher::new_keyed(&self.received)))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestKey({})", self.id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Display for SubjectDigest {
    /// As it stands in a record: kind and digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, data_encoding::HEXLOWER.encode(&self.code))
    }
}

/// The digest of a body that is still coming.
pub struct ReceivedDigest(Box<blake3::Hasher>);

impl ReceivedDigest {
    /// Goes on with `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all of them.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl fmt::Debug for ReceivedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedDigest")
    }
}

/// The first bytes of a tag, which has 32.
fn first<const BYTES: usize>(tag: &hmac::Tag) -> [u8; BYTES] {
    tag.as_ref().first_chunk().copied().unwrap_or([0; BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> DigestKey {
        DigestKey::new(&Secret::new([byte; 32]))
    }

    fn subject(key: &DigestKey, kind: &str, text: &str) -> String {
        let kind = SubjectKind::parse(kind).unwrap();
        key.subject(&Subject::new(&kind, text).unwrap()).to_string()
    }

    /// Worked out with another program, as `docs/audit-record.md` tells how.
    #[test]
    fn digests_are_those_of_another_program() {
        let key = DigestKey::new(&Secret::new(*b"0123456789abcdef0123456789abcdef"));
        assert_eq!(key.id().to_string(), "fcb42684");
        assert_eq!(
            subject(&key, "resident-id", "11010519491231002x"),
            "resident-id:9a831f111d672cb282c411f0fcb9faf0"
        );
        let mut received = key.received();
        received.update(b"{\"data\":");
        received.update(b"[]}");
        assert_eq!(
            received.finish().to_hex(),
            "5cd4881b87fd9dd8413b57cc32f5e30003c539063d78b9755be5719c030e8b2d"
        );
        let mut nothing = key.received();
        nothing.update(b"");
        assert_eq!(nothing.finish(), key.received().finish());
    }

    #[test]
    fn kinds_keys_and_uses_are_apart() {
        let number = "13800138000";
        let (one, other) = (key(1), key(2));
        let mut received = one.received();
        received.update(format!("mobile\0{number}").as_bytes());
        let received = received.finish().to_hex();
        let digests = [
            subject(&one, "mobile", number),
            subject(&one, "resident-id", number),
            subject(&one, "other", number),
            subject(&other, "mobile", number),
            received.split_at(32).0.to_owned(),
        ];
        let codes: std::collections::BTreeSet<&str> =
            digests.iter().map(|digest| digest.rsplit(':').next().unwrap()).collect();
        assert_eq!(codes.len(), digests.len(), "{digests:?}");
        assert_ne!(one.id(), other.id());
        assert_eq!(subject(&one, "mobile", number), subject(&one, "mobile", "+86 138 0013 8000"));
    }

    #[test]
    fn a_key_does_not_print() {
        let shown = format!("{:?} {:?}", key(7), key(7).received());
        assert_eq!(shown, format!("DigestKey({}) ReceivedDigest", key(7).id()));
    }
}
