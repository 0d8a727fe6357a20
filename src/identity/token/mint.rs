//! Making purpose tokens, for development and tests. The exchange platform makes the real ones.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;

use super::keys::SignatureAlgorithm;
use crate::kernel::id::{GrantId, PurposeCode, SystemId, TokenId};
use crate::kernel::secret::Secret;
use crate::kernel::time::Timestamp;

/// Why a token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The key is not one to sign with.
    #[error("the key is not an unencrypted PKCS#8 PEM private key for ES256 (P-256) or EdDSA (Ed25519)")]
    Key,
    /// The token's end cannot be represented.
    #[error("the token would end beyond the year 9999")]
    Lifetime,
    /// Signing failed.
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// A private key and its name.
pub struct SigningKey {
    kid: String,
    algorithm: SignatureAlgorithm,
    key: EncodingKey,
    public: Vec<u8>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What a new token shall say.
#[derive(Debug, Clone)]
pub struct NewToken<'t> {
    /// `iss`.
    pub issuer: &'t str,
    /// `aud`.
    pub audience: &'t str,
    /// `sub`.
    pub system: &'t SystemId,
    /// `jti`.
    pub id: &'t TokenId,
    /// `purpose`.
    pub purpose: &'t PurposeCode,
    /// `scope`, left out if `None`.
    pub scope: Option<&'t str>,
    /// `grant`, left out if empty.
    pub grants: &'t [GrantId],
    /// The thumbprint of the certificate that it is bound to (`cnf.x5t#S256`).
    pub x5t_s256: &'t str,
    /// `iat` and `nbf`.
    pub issued: Timestamp,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
}

#[derive(Serialize)]
struct Payload<'t> {
    iss: &'t str,
    aud: &'t str,
    sub: &'t str,
    jti: &'t str,
    iat: i64,
    nbf: i64,
    exp: i64,
    purpose: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'t str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grant: Vec<&'t str>,
    cnf: Confirmation<'t>,
}

#[derive(Serialize)]
struct Confirmation<'t> {
    #[serde(rename = "x5t#S256")]
    x5t_s256: &'t str,
}

impl SigningKey {
    /// Reads a private key from PKCS#8 PEM and names it.
    ///
    /// # Errors
    /// When it is not a private key for ES256 or EdDSA.
    pub fn from_pem(pem: &Secret, kid: &str) -> Result<Self, MintError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).map_err(|_| MintError::Key)?;
        let der = der.secret_pkcs8_der();
        let (algorithm, key, public) =
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
                let public = pair.public_key().as_ref().to_vec();
                (SignatureAlgorithm::Es256, EncodingKey::from_ec_der(der), public)
            } else {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| MintError::Key)?;
                let public = pair.public_key().as_ref().to_vec();
                (SignatureAlgorithm::EdDsa, EncodingKey::from_ed_der(der), public)
            };
        Ok(Self { kid: kid.to_owned(), algorithm, key, public })
    }

    /// The public half as a JWK.
    #[must_use]
    pub fn public_jwk(&self) -> serde_json::Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let (kid, alg) = (&self.kid, self.algorithm.as_str());
        // An uncompressed point is 4, x, y (SEC 1, 2.3.3); an Ed25519 key is its 32 bytes.
        match self.public.strip_prefix(&[4]).map(|point| point.split_at_checked(32)) {
            Some(Some((x, y))) if self.algorithm == SignatureAlgorithm::Es256 => serde_json::json!({
                "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y), "kid": kid, "alg": alg, "use": "sig",
            }),
            _ => serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": text(&self.public), "kid": kid, "alg": alg, "use": "sig",
            }),
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// When its end cannot be represented or signing fails.
    pub fn mint(&self, token: &NewToken<'_>) -> Result<Secret, MintError> {
        let expires = token.issued.checked_add(token.lifetime).map_err(|_| MintError::Lifetime)?;
        let payload = Payload {
            iss: token.issuer,
            aud: token.audience,
            sub: token.system.as_str(),
            jti: token.id.as_str(),
            iat: token.issued.as_second(),
            nbf: token.issued.as_second(),
            exp: expires.as_second(),
            purpose: token.purpose.as_str(),
            scope: token.scope,
            grant: token.grants.iter().map(GrantId::as_str).collect(),
            cnf: Confirmation { x5t_s256: token.x5t_s256 },
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm.for_crate()) };
        let text = jsonwebtoken::encode(&header, &payload, &self.key).map_err(MintError::Sign)?;
        Ok(Secret::new(text.into_bytes()))
    }
}
