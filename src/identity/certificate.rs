//! What a certificate says, read once from its DER.
//!
//! Nothing here decides whether the certificate may be trusted.

use std::sync::Arc;

use x509_parser::asn1_rs;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ED25519, OID_X509_COMMON_NAME,
    OID_X509_SERIALNUMBER,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;

/// The longest certificate that is read, in bytes. Real ones have one to four thousand.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// The longest name in a certificate that can name a system, in bytes.
pub const MAX_NAME_BYTES: usize = 512;

/// The smallest RSA modulus that is accepted, in bits (NIST SP 800-131A, CA/Browser Forum BR 6.1.5).
pub const MIN_RSA_BITS: usize = 2048;

/// `organizationIdentifier` (X.520), which holds the number of a registered body.
const OID_ORGANIZATION_IDENTIFIER: asn1_rs::Oid<'static> = asn1_rs::oid!(2.5.4.97);

/// The curve P-521 (SEC 2).
const OID_EC_P521: asn1_rs::Oid<'static> = asn1_rs::oid!(1.3.132.0.35);

/// The prefix for a number of the national register of China (ETSI EN 319 412-1, 5.1.4).
const NATIONAL_REGISTER_PREFIX: &str = "NTRCN-";

/// Why bytes are not a certificate that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Too many bytes.
    #[error("the certificate is longer than {MAX_CERTIFICATE_BYTES} bytes")]
    TooLong,
    /// Not an X.509 certificate in DER, or bytes follow it.
    #[error("the bytes are not one X.509 certificate in DER")]
    NotACertificate,
    /// Not an X.509 revocation list in DER, or bytes follow it.
    #[error("the bytes are not one X.509 certificate revocation list in DER")]
    NotARevocationList,
    /// An extension is there twice or cannot be read (RFC 5280, 4.2).
    #[error("an extension of the certificate is doubled or malformed")]
    BadExtension,
    /// A date cannot be represented.
    #[error("a date of the certificate cannot be represented")]
    BadDate,
}

/// The values of one kind of name in a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    readable: Vec<Arc<str>>,
    unreadable: usize,
}

impl Names {
    /// The values that can be compared: visible, non-empty, of bounded length.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.readable.iter().map(|name| &**name)
    }

    /// How many values there are, those included that cannot be compared.
    #[must_use]
    pub fn count(&self) -> usize {
        self.readable.len() + self.unreadable
    }

    /// The value, if there is exactly one and it can be compared.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match &*self.readable {
            [only] if self.unreadable == 0 => Some(only),
            _ => None,
        }
    }

    fn push(&mut self, text: Option<&str>) {
        // A NUL, an escape or a blank in a name serves to make two readers read two names.
        let plain = |text: &&str| {
            !text.is_empty()
                && text.len() <= MAX_NAME_BYTES
                && text.trim() == *text
                && !text.chars().any(char::is_control)
        };
        match text.filter(plain) {
            Some(text) => self.readable.push(Arc::from(text)),
            None => self.unreadable += 1,
        }
    }

    fn push_ascii(&mut self, text: &str) {
        self.push(Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic())));
    }

    fn push_once(&mut self, text: Option<&str>) {
        if !text.is_some_and(|text| self.iter().any(|known| known == text)) {
            self.push(text);
        }
    }
}

/// The kind and size of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa {
        /// The length of the modulus in bits.
        bits: usize,
    },
    /// ECDSA on the curve P-256, P-384 or P-521, named (RFC 5480, 2.1.1.1).
    NistCurve,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// Anything else.
    Other,
}

impl KeyKind {
    /// Whether a peer may prove itself with such a key.
    #[must_use]
    pub fn is_strong_enough(self) -> bool {
        match self {
            // A modulus of whole bytes only: others come from broken generators.
            Self::Rsa { bits } => bits >= MIN_RSA_BITS && bits.is_multiple_of(8),
            Self::NistCurve | Self::Ed25519 => true,
            Self::Other => false,
        }
    }
}

/// What a certificate says about its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 over the DER.
    pub fingerprint: Digest,
    /// The fingerprint as tokens spell it: base64url without padding (`x5t#S256`, RFC 8705, 3.1).
    pub x5t_s256: Arc<str>,
    /// The serial number in lower-case hexadecimal, without leading zero bytes.
    pub serial: Arc<str>,
    /// The first instant of validity.
    pub not_before: Timestamp,
    /// The last instant of validity (RFC 5280, 4.1.2.5: inclusive).
    pub not_after: Timestamp,
    /// SANs of type URI.
    pub san_uris: Names,
    /// SANs of type dNSName, in lower case.
    pub san_dns: Names,
    /// The subject's common names.
    pub common_names: Names,
    /// The subject's serialNumber and organizationIdentifier, equal ones once, without `NTRCN-`.
    pub credit_codes: Names,
    /// The subject for people (RFC 4514 style), control characters replaced, cut at 256 characters.
    pub subject: Arc<str>,
    /// The subject name as it stands in the DER.
    pub subject_der: Arc<[u8]>,
    /// The issuer's name as it stands in the DER.
    pub issuer_der: Arc<[u8]>,
    /// The public key's bits, without their algorithm.
    pub public_key: Arc<[u8]>,
    /// The kind and size of the public key.
    pub key_kind: KeyKind,
    /// Whether it says of itself that it is a certification authority (RFC 5280, 4.2.1.9).
    pub is_authority: bool,
    /// What its key may be used for (RFC 5280, 4.2.1.3).
    pub key_usage: KeyUsage,
    /// Whether it has a critical extension that is not understood (RFC 5280, 4.2).
    pub has_unknown_critical: bool,
}

/// What a key may be used for. A certificate that does not say allows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// Signing as itself, in handshakes (digitalSignature).
    pub signs_data: bool,
    /// Signing certificates (keyCertSign).
    pub signs_certificates: bool,
    /// Signing revocation lists (cRLSign).
    pub signs_lists: bool,
}

impl CertificateFacts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When `der` is too long, is not exactly one certificate, or says something twice.
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong);
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::NotACertificate)?;
        if !rest.is_empty() {
            return Err(CertificateError::NotACertificate);
        }
        let fingerprint = Digest::of(der);
        let (san_uris, san_dns) = alternative_names(&certificate)?;
        let is_authority = certificate
            .basic_constraints()
            .map_err(|_| CertificateError::BadExtension)?
            .is_some_and(|constraints| constraints.value.ca);
        Ok(Self {
            fingerprint,
            x5t_s256: Arc::from(data_encoding::BASE64URL_NOPAD.encode(&fingerprint.0)),
            serial: Arc::from(serial_text(certificate.raw_serial())),
            not_before: timestamp(certificate.validity().not_before.timestamp())?,
            not_after: timestamp(certificate.validity().not_after.timestamp())?,
            san_uris,
            san_dns,
            common_names: attributes(certificate.subject(), &OID_X509_COMMON_NAME),
            credit_codes: credit_codes(certificate.subject()),
            subject: Arc::from(shown(certificate.subject())),
            subject_der: Arc::from(certificate.subject().as_raw()),
            issuer_der: Arc::from(certificate.issuer().as_raw()),
            public_key: Arc::from(&*certificate.public_key().subject_public_key.data),
            key_kind: key_kind(certificate.public_key()),
            is_authority,
            key_usage: key_usage(&certificate)?,
            has_unknown_critical: certificate
                .iter_extensions()
                .any(|extension| extension.critical && extension.parsed_extension().unsupported()),
        })
    }

    /// Whether `now` lies within its validity, both ends included.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        // RFC 5280 knows whole seconds: the last one lasts until the next begins.
        self.not_before <= now && now.as_second() <= self.not_after.as_second()
    }
}

/// A serial number in lower-case hexadecimal, without leading zero bytes.
pub(crate) fn serial_text(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    data_encoding::HEXLOWER.encode(bytes.get(zeros..).unwrap_or_default())
}

pub(crate) fn timestamp(seconds: i64) -> Result<Timestamp, CertificateError> {
    Timestamp::from_second(seconds).map_err(|_| CertificateError::BadDate)
}

/// SANs of types URI and dNSName. Other types name nobody here (an e-mail, an address, otherName).
fn alternative_names(certificate: &X509Certificate<'_>) -> Result<(Names, Names), CertificateError> {
    const TAG_DNS: u32 = 2;
    const TAG_URI: u32 = 6;
    let (mut uris, mut dns) = (Names::default(), Names::default());
    let extension = certificate.subject_alternative_name().map_err(|_| CertificateError::BadExtension)?;
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push_ascii(uri),
            GeneralName::DNSName(name) => dns.push_ascii(&name.to_ascii_lowercase()),
            GeneralName::Invalid(tag, _) if tag.0 == TAG_URI => uris.push(None),
            GeneralName::Invalid(tag, _) if tag.0 == TAG_DNS => dns.push(None),
            GeneralName::Invalid(..)
            | GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    Ok((uris, dns))
}

fn attributes(subject: &X509Name<'_>, kind: &asn1_rs::Oid<'_>) -> Names {
    let mut names = Names::default();
    for attribute in subject.iter_attributes().filter(|attribute| attribute.attr_type() == kind) {
        names.push(attribute.as_str().ok());
    }
    names
}

fn credit_codes(subject: &X509Name<'_>) -> Names {
    let mut names = Names::default();
    for attribute in subject.iter_attributes() {
        let kind = attribute.attr_type();
        if *kind == OID_X509_SERIALNUMBER || *kind == OID_ORGANIZATION_IDENTIFIER {
            let text = attribute.as_str().ok();
            names.push_once(text.map(|text| text.strip_prefix(NATIONAL_REGISTER_PREFIX).unwrap_or(text)));
        }
    }
    names
}

/// A name for people (RFC 4514 style), control characters replaced, cut at 256 characters.
pub(super) fn shown(name: &X509Name<'_>) -> String {
    const MAX_SHOWN_CHARS: usize = 256;
    let shown = name.to_string();
    shown.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn key_usage(certificate: &X509Certificate<'_>) -> Result<KeyUsage, CertificateError> {
    let usage = certificate.key_usage().map_err(|_| CertificateError::BadExtension)?;
    Ok(KeyUsage {
        signs_data: usage.as_ref().is_none_or(|usage| usage.value.digital_signature()),
        signs_certificates: usage.as_ref().is_none_or(|usage| usage.value.key_cert_sign()),
        signs_lists: usage.as_ref().is_none_or(|usage| usage.value.crl_sign()),
    })
}

fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    if key.algorithm.algorithm == OID_SIG_ED25519 {
        return KeyKind::Ed25519;
    }
    if key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        return match curve {
            Some(curve) if [OID_EC_P256, OID_NIST_EC_P384, OID_EC_P521].contains(&curve) => {
                KeyKind::NistCurve
            }
            Some(_) | None => KeyKind::Other,
        };
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa { bits: bit_length(rsa.modulus) },
        Ok(_) | Err(_) => KeyKind::Other,
    }
}

/// The length in bits of a number in big-endian bytes.
pub(crate) fn bit_length(number: &[u8]) -> usize {
    let mut significant = number.iter().skip_while(|&&byte| byte == 0);
    let Some(first) = significant.next() else { return 0 };
    let top = 8_usize.saturating_sub(usize::try_from(first.leading_zeros()).unwrap_or(8));
    top + 8 * significant.count()
}

#[cfg(test)]
mod tests;
