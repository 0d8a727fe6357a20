//! Keys that sign purpose tokens in development.

use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

use super::files::{Overwrite, Readers, read, refuse_existing, write};
use super::{PkiError, join};
use crate::identity::token::{SignatureAlgorithm, SigningKey};
use crate::kernel::secret::Secret;

/// A token key that was made, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedTokenKey {
    /// The private key, PKCS#8 PEM, readable by its owner only.
    pub key: PathBuf,
    /// The JWK Set with the public halves of all keys made so far.
    pub jwks: PathBuf,
}

/// Makes a token key `tokens/<kid>.key` under `directory` and adds its public half to
/// `tokens/jwks.json`.
///
/// # Errors
/// When the algorithm is not ES256 or EdDSA, the key exists and may not be replaced, or a file cannot
/// be read or written.
pub fn issue_token_key(
    directory: &Path,
    kid: &str,
    algorithm: SignatureAlgorithm,
    overwrite: Overwrite,
) -> Result<IssuedTokenKey, PkiError> {
    let directory = directory.join("tokens");
    let (key, jwks) = (join(&directory, kid, "key")?, directory.join("jwks.json"));
    refuse_existing(&[&key], overwrite)?;
    let kind = match algorithm {
        SignatureAlgorithm::Es256 => &PKCS_ECDSA_P256_SHA256,
        SignatureAlgorithm::EdDsa => &PKCS_ED25519,
        SignatureAlgorithm::Ps256 | SignatureAlgorithm::Rs256 => {
            return Err(PkiError::Make(rcgen::Error::KeyGenerationUnavailable));
        }
    };
    let pem = KeyPair::generate_for(kind).map_err(PkiError::Make)?.serialize_pem();
    let signing = SigningKey::from_pem(&Secret::new(pem.as_bytes()), kid).map_err(PkiError::TokenKey)?;
    let set = with_key(&jwks, kid, signing.public_jwk())?;
    write(&key, pem.as_bytes(), Readers::Owner, overwrite)?;
    write(&jwks, &set, Readers::Everyone, Overwrite::Replace)?;
    Ok(IssuedTokenKey { key, jwks })
}

/// The set in the file `jwks`, if there is one, with `jwk` in place of any key of the same `kid`.
fn with_key(jwks: &Path, kid: &str, jwk: serde_json::Value) -> Result<Vec<u8>, PkiError> {
    let damaged = || PkiError::Damaged { path: jwks.to_owned(), expected: "a JWK Set" };
    let mut keys = Vec::new();
    if jwks.exists() {
        let set: serde_json::Value = serde_json::from_str(&read(jwks)?).map_err(|_| damaged())?;
        keys = set.get("keys").and_then(serde_json::Value::as_array).ok_or_else(damaged)?.clone();
        keys.retain(|known| known.get("kid").and_then(serde_json::Value::as_str) != Some(kid));
    }
    keys.push(jwk);
    let mut text = serde_json::to_vec_pretty(&serde_json::json!({ "keys": keys })).map_err(|_| damaged())?;
    text.push(b'\n');
    Ok(text)
}
