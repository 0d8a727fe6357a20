//! The signature layer: JWS in compact serialization (RFC 7515 section 7.1), and nothing else.

use data_encoding::BASE64URL_NOPAD;

use super::json::{Json, Object};
use super::keys::{KeySet, SignatureAlgorithm};
use super::{Form, TokenError};

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest `kid`, in bytes.
const MAX_KID_BYTES: usize = 256;

/// Header members that change how a token is read or where its key comes from. None is honoured, so
/// none may be there (RFC 7515 4.1, RFC 7516 4.1, RFC 7797; RFC 8725 2.4 to 2.8).
const REFUSED_MEMBERS: [&str; 8] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c"];

/// Verifies a compact JWS with the key set that `choose` picks by its payload, and returns the
/// payload. `choose` sees bytes that nobody has vouched for yet.
///
/// # Errors
/// When the token is not exactly three parts of canonical base64url, when its header says anything
/// but the algorithm and name of one key, or when that key's signature does not verify.
pub fn verify_jws<'k>(
    token: &str,
    choose: impl FnOnce(&[u8]) -> Result<&'k KeySet, TokenError>,
) -> Result<Vec<u8>, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed(Form::Parts))?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed(Form::Parts))?;
    if payload.contains('.') {
        return Err(TokenError::Malformed(Form::Parts));
    }
    let header = Header::read(&decode(header)?)?;
    let payload = decode(payload)?;
    if signature.is_empty() {
        return Err(TokenError::Signature);
    }
    // Checked here because what the verifier below accepts must be one spelling of one signature.
    decode(signature)?;
    let keys = choose(&payload)?;
    let key = keys.find(header.kid.as_deref(), header.algorithm)?;
    if key.verifies(signed.as_bytes(), signature) { Ok(payload) } else { Err(TokenError::Signature) }
}

/// Decodes base64url as RFC 7515 section 2 has it: no padding, no blank, no stray bits at the end.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenError::Malformed(Form::Coding))
}

struct Header {
    algorithm: SignatureAlgorithm,
    kid: Option<String>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, TokenError> {
        let object = Object::read(bytes).ok_or(TokenError::Malformed(Form::Header))?;
        if let Some(refused) = REFUSED_MEMBERS.into_iter().find(|name| object.get(name).is_some()) {
            return Err(TokenError::HeaderMember(refused));
        }
        match object.get("typ") {
            None => {}
            Some(Json::Text(kind)) if is_accepted_type(kind) => {}
            Some(_) => return Err(TokenError::Malformed(Form::Type)),
        }
        let algorithm = object
            .text("alg")
            .and_then(SignatureAlgorithm::parse)
            .ok_or(TokenError::Algorithm { accepted: Vec::new() })?;
        let kid = match object.get("kid") {
            None => None,
            Some(Json::Text(kid)) if !kid.is_empty() && kid.len() <= MAX_KID_BYTES => Some(kid.clone()),
            Some(_) => return Err(TokenError::KeyUnknown),
        };
        Ok(Self { algorithm, kid })
    }
}

/// `typ` is a media type, so its case does not matter (RFC 7515 4.1.9, RFC 9068 2.1).
fn is_accepted_type(kind: &str) -> bool {
    ["JWT", "at+jwt", "application/at+jwt"].iter().any(|accepted| accepted.eq_ignore_ascii_case(kind))
}
