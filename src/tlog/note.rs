//! Signed notes (C2SP `signed-note`): a text, and lines that say who signed it.
//!
//! ```text
//! gate-1
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — gate-1 Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use pem::{EncodeConfig, LineEnding, Pem};

use super::text;
use crate::kernel::id::Digest;
use crate::kernel::secret::Secret;

/// The longest note that is read, in bytes: sixteen signatures of the longest kind fit (the
/// specification asks for at least 16).
pub const MAX_NOTE_BYTES: usize = 128 * 1024;
/// The most signature lines that are read.
const MAX_SIGNATURES: usize = 64;
/// The longest name of a key.
const MAX_NAME_BYTES: usize = 255;
/// What begins a signature line.
const DASH: &str = "— ";

/// What is wrong with a note, a key or a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form of a signed note.
    #[error("this is no signed note: {0}")]
    Form(&'static str),
    /// Not of the form of a key.
    #[error("this is no verifier key: {0}")]
    Key(&'static str),
    /// A private key that cannot be used.
    #[error("this is no Ed25519 private key in PKCS #8")]
    PrivateKey,
    /// The name and id of a known key, with a signature it did not make.
    #[error("the signature by `{0}` is wrong")]
    Wrong(String),
    /// Nobody that is trusted has signed.
    #[error("it is not signed by `{0}`")]
    Unsigned(String),
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureKind {
    /// Ed25519 over the text (`0x01`): a log signs so.
    Ed25519,
    /// A timestamped Ed25519 cosignature (`0x04`, C2SP `tlog-cosignature`): a witness signs so.
    Cosignature,
}

impl SignatureKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }
}

/// Whether a text may name a key: not empty, no spaces, no `+`, no control characters.
fn is_key_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(bad)
}

/// A public key and whose it is; its text is a *vkey*, `<name>+<key id>+<base64>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    kind: SignatureKind,
    key: [u8; 32],
}

impl VerifierKey {
    /// A key by its parts.
    ///
    /// # Errors
    /// When `name` cannot name a key.
    pub fn new(name: &str, kind: SignatureKind, key: [u8; 32]) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Key("a name has 1 to 255 bytes, no spaces and no `+`"));
        }
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// Reads a vkey.
    ///
    /// # Errors
    /// When the text is none, its id is not that of the key, or its algorithm is not known.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("expected `<name>+<id>+<key>`"));
        };
        let bytes = text::base64(key).ok_or(NoteError::Key("the key is not base64"))?;
        let (kind, key) = match bytes.split_first() {
            Some((1, key)) => (SignatureKind::Ed25519, key),
            Some((4, key)) => (SignatureKind::Cosignature, key),
            _ => return Err(NoteError::Key("its algorithm is not known")),
        };
        let key = key.try_into().map_err(|_| NoteError::Key("the key has not 32 bytes"))?;
        let parsed = Self::new(name, kind, key)?;
        if HEXLOWER.encode(&parsed.id()) != id {
            return Err(NoteError::Key("its id is not that of its name and key"));
        }
        Ok(parsed)
    }

    /// Whose key it is; for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key itself.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.key
    }

    /// How it signs.
    #[must_use]
    pub const fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The key's id: the first four bytes of the SHA-256 of name, kind and key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let named = [self.name.as_bytes(), b"\n", &[self.kind.byte()], &self.key].concat();
        let [a, b, c, d, ..] = Digest::of(&named).0;
        [a, b, c, d]
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()][..], &self.key].concat();
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.id()), BASE64.encode(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// Who signs notes.
pub struct NoteSigner {
    pair: Ed25519KeyPair,
    key: VerifierKey,
}

/// Makes an Ed25519 private key: PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` does.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_private_key() -> Result<Secret, NoteError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| NoteError::PrivateKey)?;
    let der = pair.to_pkcs8v1().map_err(|_| NoteError::PrivateKey)?;
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    Ok(Secret::new(pem::encode_config(&Pem::new("PRIVATE KEY", der.as_ref()), lines).into_bytes()))
}

impl NoteSigner {
    /// Reads an Ed25519 private key: PKCS #8, as PEM or DER (`openssl genpkey -algorithm ed25519`).
    ///
    /// # Errors
    /// When it is none, or `name` cannot name a key.
    pub fn from_pkcs8(name: &str, kind: SignatureKind, secret: &Secret) -> Result<Self, NoteError> {
        use rustls_pki_types::PrivatePkcs8KeyDer;
        use rustls_pki_types::pem::PemObject as _;
        let bytes = secret.expose();
        let pair = match PrivatePkcs8KeyDer::from_pem_slice(bytes) {
            Ok(der) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()),
            Err(_) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes),
        };
        let pair = pair.map_err(|_| NoteError::PrivateKey)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NoteError::PrivateKey)?;
        Ok(Self { pair, key: VerifierKey::new(name, kind, key)? })
    }

    /// The public key.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The bare signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }

    /// The signature line for a text, newline included. `text` ends in a newline.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        signature_line(&self.key, &self.sign(text.as_bytes()))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The line that says that `key` made `signature`, newline included.
#[must_use]
pub fn signature_line(key: &VerifierKey, signature: &[u8]) -> String {
    Signature { name: key.name.clone(), id: key.id(), bytes: signature.to_vec() }.to_string()
}

/// One signature line, read. It shows as that line, newline included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose it says it is.
    pub name: String,
    /// The id of the key it says made it.
    pub id: [u8; 4],
    /// The signature.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        writeln!(f, "{DASH}{} {}", self.name, BASE64.encode(&bytes))
    }
}

/// A note, read but not believed: its text means nothing before [`Note::verify`]. It shows as the bytes
/// that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// When it has not the form of one.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Form("it is too long"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Form("it is not UTF-8"))?;
        if whole.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Form("it has control characters"));
        }
        let (text, lines) =
            whole.rsplit_once("\n\n").ok_or(NoteError::Form("no blank line ends its text"))?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form("it does not end in a newline"))?;
        let signatures = lines.split('\n').map(signature).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Form("it has too many signatures"));
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Its text, with its final newline. Not to be believed before [`Note::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its signatures, in order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signatures that name `key`.
    pub fn signatures_of<'n>(&'n self, key: &'n VerifierKey) -> impl Iterator<Item = &'n Signature> {
        let id = key.id();
        self.signatures.iter().filter(move |found| found.name == key.name && found.id == id)
    }

    /// The text, if `key` signed it over the text alone.
    ///
    /// # Errors
    /// When it did not, or a signature that names it is wrong.
    pub fn verify(&self, key: &VerifierKey) -> Result<&str, NoteError> {
        let mut is_signed = false;
        for found in self.signatures_of(key) {
            if !key.verifies(self.text.as_bytes(), &found.bytes) {
                return Err(NoteError::Wrong(key.name.clone()));
            }
            is_signed = true;
        }
        if is_signed { Ok(&self.text) } else { Err(NoteError::Unsigned(key.name.clone())) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}

fn signature(line: &str) -> Result<Signature, NoteError> {
    const BAD: NoteError = NoteError::Form("a line after its text is no signature");
    let (name, encoded) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(BAD)?;
    let bytes = text::base64(encoded).ok_or(BAD)?;
    let (id, bytes) = bytes.split_first_chunk().ok_or(BAD)?;
    if !is_key_name(name) || bytes.is_empty() {
        return Err(BAD);
    }
    Ok(Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
}
