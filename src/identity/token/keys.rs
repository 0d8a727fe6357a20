//! Public keys of an issuer (JWK Set, RFC 7517), each for exactly one algorithm.

use std::ops::Range;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::value::RawValue;

use super::TokenError;
use super::json::{Json, Object};
use crate::identity::certificate::{MIN_RSA_BITS, bit_length};
use crate::kernel::diagnostic::{Diagnostic, Report, Source};

/// The most keys of one set.
pub const MAX_KEYS: usize = 64;

/// The largest RSA modulus, in bits: verification time grows with its square.
const MAX_RSA_BITS: usize = 8192;

/// A signature algorithm (RFC 7518 section 3, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Ps256, Self::Rs256];

    /// Reads an `alg`, spelt exactly.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }

    /// Its `alg`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    pub(super) fn for_crate(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Ps256 => Algorithm::PS256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// One public key and the one algorithm it is for.
#[derive(Debug, Clone)]
pub(super) struct VerificationKey {
    kid: Option<String>,
    algorithm: SignatureAlgorithm,
    key: DecodingKey,
}

impl VerificationKey {
    /// Whether `signature` (base64url) is this key's over `signed`.
    pub(super) fn verifies(&self, signed: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, signed, &self.key, self.algorithm.for_crate())
            .unwrap_or(false)
    }
}

/// The keys of one issuer.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
}

impl KeySet {
    /// Reads a JWK Set. Keys for other purposes (encryption, other algorithms or curves) are left
    /// out with a warning; a key that is not what it claims to be, a secret or private key, a name
    /// that comes twice and a set without one usable key are errors.
    ///
    /// `allowed` are the algorithms that may be used at all. An RSA key without `alg` is for PS256
    /// or RS256, whichever alone is allowed.
    ///
    /// # Errors
    /// The report, when it has errors.
    pub fn from_jwks(source: &Source, allowed: &[SignatureAlgorithm]) -> Result<(Self, Report), Report> {
        let mut reading = Reading { source, report: Report::new(), allowed, keys: Vec::new() };
        reading.report.add_source(source);
        reading.read_set();
        let Reading { report, keys, .. } = reading;
        if report.has_errors() { Err(report) } else { Ok((Self { keys }, report)) }
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none: never so for a set that was read without errors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that a token with this `kid` and `alg` must be signed with. Without a `kid` there
    /// must be exactly one key for the algorithm.
    pub(super) fn find(
        &self,
        kid: Option<&str>,
        algorithm: SignatureAlgorithm,
    ) -> Result<&VerificationKey, TokenError> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                (Some(_), Some(_)) => Err(TokenError::KeyUnknown),
                (None, _) => Err(TokenError::Algorithm { accepted: Vec::new() }),
            };
        };
        let key = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid));
        let key = key.ok_or(TokenError::KeyUnknown)?;
        if key.algorithm == algorithm { Ok(key) } else { Err(TokenError::Algorithm { accepted: Vec::new() }) }
    }
}

/// What became of one JWK.
enum Verdict {
    Usable(SignatureAlgorithm, DecodingKey),
    /// Fine, but nothing to verify tokens with.
    ForOthers(&'static str),
    Wrong(&'static str, &'static str),
}

struct Reading<'r> {
    source: &'r Source,
    report: Report,
    allowed: &'r [SignatureAlgorithm],
    keys: Vec<VerificationKey>,
}

impl Reading<'_> {
    fn error(&mut self, span: Range<usize>, message: &str, help: &str) {
        self.report.push(Diagnostic::error("jwks", self.source, span, message).help(help));
    }

    fn read_set(&mut self) {
        #[derive(serde::Deserialize)]
        struct Set<'s> {
            #[serde(borrow)]
            keys: Vec<&'s RawValue>,
        }
        let text: &str = &self.source.text;
        let whole = Object::read(text.as_bytes());
        let set: Set<'_> = match (whole, serde_json::from_str(text)) {
            (Some(_), Ok(set)) => set,
            (_, Err(error)) => {
                let at = offset(text, error.line(), error.column());
                let help = "a JWK Set is `{\"keys\": […]}` (RFC 7517, 5)";
                return self.error(at..at, &format!("not a JWK Set: {error}"), help);
            }
            (None, Ok(_)) => {
                return self.error(0..0, "a member name comes twice", "write each name once");
            }
        };
        if set.keys.len() > MAX_KEYS {
            return self.error(0..0, "the set has too many keys", "64 keys are the most");
        }
        for raw in set.keys {
            let start = raw.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
            self.read_key(raw.get(), start..start + raw.get().len());
        }
        if self.keys.is_empty() && !self.report.has_errors() {
            let names: Vec<_> = self.allowed.iter().map(|algorithm| algorithm.as_str()).collect();
            let help = format!(
                "add a key with `\"use\": \"sig\"` for an algorithm that the configuration allows: {}",
                names.join(", ")
            );
            self.error(0..0, "the set has no key that tokens can be verified with", &help);
        }
    }

    fn read_key(&mut self, text: &str, span: Range<usize>) {
        let Some(jwk) = Object::read(text.as_bytes()) else {
            return self.error(span, "a key is not an object whose names come once", "write a JWK");
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(Json::Text(kid)) if !kid.is_empty() => Some(kid.clone()),
            Some(_) => return self.error(span, "`kid` is not a text", "write `\"kid\": \"…\"`"),
        };
        match judge(&jwk, self.allowed) {
            Verdict::Wrong(message, help) => self.error(span, message, help),
            Verdict::ForOthers(why) => {
                let message = format!("a key is left out: {why}");
                self.report.push(Diagnostic::warning("jwks-unused", self.source, span, message));
            }
            Verdict::Usable(algorithm, key) => {
                if self.keys.iter().any(|known| known.kid == kid && kid.is_some()) {
                    let help = "give every key its own `kid`";
                    return self.error(span, "two keys have the same `kid`", help);
                }
                self.keys.push(VerificationKey { kid, algorithm, key });
            }
        }
    }
}

/// The byte offset of a line and column, both counted from one, the column in bytes. An offset
/// within a character becomes that of its first byte.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = (start + column.saturating_sub(1)).min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn judge(jwk: &Object, allowed: &[SignatureAlgorithm]) -> Verdict {
    if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|name| jwk.get(name).is_some()) {
        return Verdict::Wrong(
            "a secret or private key",
            "publish the public half only, and replace this key",
        );
    }
    // RFC 7517, 4.2 and 4.3.
    match jwk.get("use") {
        None => {}
        Some(Json::Text(word)) if word == "sig" => {}
        Some(Json::Text(_)) => return Verdict::ForOthers("its `use` is not `sig`"),
        Some(_) => return Verdict::Wrong("`use` is not a text", "write `\"use\": \"sig\"`"),
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Json::List(operations)) if operations.contains(&Json::Text("verify".to_owned())) => {}
        Some(Json::List(_)) => return Verdict::ForOthers("its `key_ops` lack `verify`"),
        Some(_) => return Verdict::Wrong("`key_ops` is not a list", "write `\"key_ops\": [\"verify\"]`"),
    }
    let stated = match jwk.get("alg") {
        None => None,
        Some(Json::Text(alg)) => match SignatureAlgorithm::parse(alg) {
            Some(algorithm) => Some(algorithm),
            None => return Verdict::ForOthers("its `alg` is none of ES256, EdDSA, PS256, RS256"),
        },
        Some(_) => return Verdict::Wrong("`alg` is not a text", "write `\"alg\": \"ES256\"`"),
    };
    let verdict = match jwk.text("kty") {
        Some("EC") => judge_ec(jwk, stated),
        Some("OKP") => judge_okp(jwk, stated),
        Some("RSA") => judge_rsa(jwk, stated, allowed),
        Some(_) => Verdict::ForOthers("its `kty` is none of EC, OKP, RSA"),
        None => Verdict::Wrong("`kty` is missing", "write `\"kty\": \"EC\"`, `\"OKP\"` or `\"RSA\"`"),
    };
    match &verdict {
        Verdict::Usable(algorithm, _) if !allowed.contains(algorithm) => {
            Verdict::ForOthers("its algorithm is not one that the configuration allows")
        }
        Verdict::Usable(..) | Verdict::ForOthers(_) | Verdict::Wrong(..) => verdict,
    }
}

const WRONG_ALG: Verdict =
    Verdict::Wrong("`alg` does not fit `kty`", "EC: ES256; OKP: EdDSA; RSA: PS256 or RS256");

/// A member that is base64url of exactly `length` bytes (RFC 7518, 6.2.1.2: leading zeros stay).
fn octets(jwk: &Object, name: &str, length: usize) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(jwk.text(name)?.as_bytes()).ok()?;
    (bytes.len() == length).then_some(bytes)
}

fn judge_ec(jwk: &Object, stated: Option<SignatureAlgorithm>) -> Verdict {
    const HELP: &str = "`x` and `y` are base64url of 32 bytes each and a point of the curve";
    if jwk.text("crv") != Some("P-256") {
        return Verdict::ForOthers("its curve is not P-256");
    }
    if stated.is_some_and(|algorithm| algorithm != SignatureAlgorithm::Es256) {
        return WRONG_ALG;
    }
    let (Some(x), Some(y)) = (octets(jwk, "x", 32), octets(jwk, "y", 32)) else {
        return Verdict::Wrong("not a point of P-256", HELP);
    };
    let point = [&[4], &*x, &*y].concat();
    if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_err() {
        return Verdict::Wrong("not a point of P-256", HELP);
    }
    Verdict::Usable(SignatureAlgorithm::Es256, DecodingKey::from_ec_der(&point))
}

fn judge_okp(jwk: &Object, stated: Option<SignatureAlgorithm>) -> Verdict {
    const HELP: &str = "`x` is base64url of 32 bytes";
    if jwk.text("crv") != Some("Ed25519") {
        return Verdict::ForOthers("its curve is not Ed25519");
    }
    if stated.is_some_and(|algorithm| algorithm != SignatureAlgorithm::EdDsa) {
        return WRONG_ALG;
    }
    match octets(jwk, "x", 32) {
        Some(point) if ParsedPublicKey::new(&ED25519, &point).is_ok() => {
            Verdict::Usable(SignatureAlgorithm::EdDsa, DecodingKey::from_ed_der(&point))
        }
        Some(_) | None => Verdict::Wrong("not an Ed25519 key", HELP),
    }
}

fn judge_rsa(jwk: &Object, stated: Option<SignatureAlgorithm>, allowed: &[SignatureAlgorithm]) -> Verdict {
    let number = |name| BASE64URL_NOPAD.decode(jwk.text(name)?.as_bytes()).ok();
    let (Some(n), Some(e)) = (number("n"), number("e")) else {
        return Verdict::Wrong("`n` or `e` is not base64url", "write both without padding (RFC 7518, 6.3.1)");
    };
    let bits = bit_length(&n);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Verdict::Wrong("an RSA modulus of the wrong size", "2048 to 8192 bits are accepted");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !odd(&n) || !odd(&e) || !(2..=33).contains(&bit_length(&e)) {
        return Verdict::Wrong(
            "not an RSA key",
            "`n` is odd; `e` is odd and from 3 to 33 bits; 65537 is usual",
        );
    }
    let fitting = [SignatureAlgorithm::Ps256, SignatureAlgorithm::Rs256];
    let algorithm = match stated {
        Some(algorithm) if fitting.contains(&algorithm) => algorithm,
        Some(_) => return WRONG_ALG,
        None => {
            let mut possible = fitting.into_iter().filter(|algorithm| allowed.contains(algorithm));
            match (possible.next(), possible.next()) {
                (Some(algorithm), None) => algorithm,
                (Some(_), Some(_)) => {
                    return Verdict::Wrong(
                        "an RSA key without `alg`",
                        "write `\"alg\": \"PS256\"` or `\"RS256\"`",
                    );
                }
                (None, _) => return Verdict::ForOthers("the configuration allows no RSA algorithm"),
            }
        }
    };
    Verdict::Usable(algorithm, DecodingKey::from_rsa_raw_components(&n, &e))
}
