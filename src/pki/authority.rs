//! The authority: its own certificate, those it issues, and its revocation list.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    RevokedCertParams, SanType, SerialNumber,
};

use super::files::{Overwrite, Readers, read, refuse_existing, write};
use super::index::{Entry, Index, IssuedKind};
use super::{Issued, PkiError, join};
use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;

/// Certificates begin this long before they are made, so that clocks may differ a little.
const BACKDATED: Duration = Duration::from_secs(5 * 60);

const SECONDS_PER_DAY: u32 = 86_400;

/// What in a client certificate names its system: one for each kind of registry rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientName<'n> {
    /// A SAN of type URI.
    SanUri(&'n str),
    /// A SAN of type dNSName.
    SanDns(&'n str),
    /// The subject's common name alone.
    CommonName(&'n str),
    /// The subject's serialNumber, holding a unified social credit code.
    CreditCode(&'n str),
}

/// A certification authority for development (ECDSA P-256), in a directory.
#[derive(Debug)]
pub struct DevelopmentCa {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl DevelopmentCa {
    /// Makes an authority called `name` in `directory`, valid for `days` from `now`, with an empty
    /// revocation list that is fresh just as long.
    ///
    /// # Errors
    /// When one of its files exists and may not be replaced, or cannot be written.
    pub fn create(
        directory: &Path,
        name: &str,
        days: u32,
        now: Timestamp,
        overwrite: Overwrite,
    ) -> Result<Self, PkiError> {
        let [certificate, key, index] = ["ca.pem", "ca.key", "index.jsonl"].map(|file| directory.join(file));
        let crl = directory.join("crl.pem");
        refuse_existing(&[&certificate, &key, &index, &crl], overwrite)?;
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Make)?;
        let mut params = params(name, now, days)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let own = params.self_signed(&pair).map_err(PkiError::Make)?;
        write(&key, pair.serialize_pem().as_bytes(), Readers::Owner, overwrite)?;
        write(&certificate, own.pem().as_bytes(), Readers::Everyone, overwrite)?;
        Index::create(&index, overwrite)?;
        let ca = Self::open(directory)?;
        ca.write_revocation_list(days, now)?;
        Ok(ca)
    }

    /// Opens the authority in `directory`.
    ///
    /// # Errors
    /// When its certificate or key cannot be read.
    pub fn open(directory: &Path) -> Result<Self, PkiError> {
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca.key"));
        let pair = KeyPair::from_pem(&read(&key)?)
            .map_err(|_| PkiError::Damaged { path: key, expected: "a PKCS#8 PEM private key" })?;
        let issuer = Issuer::from_ca_cert_pem(&read(&certificate)?, pair)
            .map_err(|_| PkiError::Damaged { path: certificate, expected: "one PEM certificate" })?;
        Ok(Self { directory: directory.to_owned(), issuer })
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Its revocation list.
    #[must_use]
    pub fn revocation_list(&self) -> PathBuf {
        self.directory.join("crl.pem")
    }

    /// Issues a server certificate `<file>.pem` and `<file>.key` for host names and IP addresses.
    ///
    /// # Errors
    /// When `names` is empty or one of them is not a host name or address, or a file cannot be
    /// written.
    pub fn issue_server(
        &self,
        file: &str,
        names: &[&str],
        days: u32,
        now: Timestamp,
        overwrite: Overwrite,
    ) -> Result<Issued, PkiError> {
        let Some(first) = names.first() else {
            return Err(PkiError::Subject { name: String::new(), expected: "at least one host name" });
        };
        let mut params = params(first, now, days)?;
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(ia5(name, "a host name or an IP address")?),
            });
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&self.directory.clone(), file, IssuedKind::Server, params, days, now, overwrite)
    }

    /// Issues a client certificate `clients/<file>.pem` and `clients/<file>.key`.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate or a file cannot be written.
    pub fn issue_client(
        &self,
        file: &str,
        name: ClientName<'_>,
        days: u32,
        now: Timestamp,
        overwrite: Overwrite,
    ) -> Result<Issued, PkiError> {
        let common_name = if let ClientName::CommonName(name) = name { name } else { file };
        let mut params = params(common_name, now, days)?;
        match name {
            ClientName::SanUri(uri) => {
                params.subject_alt_names.push(SanType::URI(ia5(uri, "an absolute URI in ASCII")?));
            }
            ClientName::SanDns(dns) => {
                params.subject_alt_names.push(SanType::DnsName(ia5(dns, "a host name in ASCII")?));
            }
            ClientName::CommonName(_) => {}
            ClientName::CreditCode(code) => {
                const OID_SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];
                params.distinguished_name.push(DnType::from_oid(&OID_SERIAL_NUMBER), code);
            }
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let directory = self.directory.join("clients");
        self.issue(&directory, file, IssuedKind::Client, params, days, now, overwrite)
    }

    /// Revokes a certificate by its serial number, or all that were issued under a name, and writes
    /// the revocation list anew, fresh for `days`. Returns the serial numbers.
    ///
    /// # Errors
    /// When none was issued so, or a file cannot be read or written.
    pub fn revoke(&self, serial_or_name: &str, days: u32, now: Timestamp) -> Result<Vec<String>, PkiError> {
        let mut index = Index::read(&self.index_path())?;
        let serials = index.revoke(serial_or_name, now)?;
        index.write()?;
        self.write_revocation_list(days, now)?;
        Ok(serials)
    }

    /// Writes the revocation list anew, fresh for `days` from `now`.
    ///
    /// # Errors
    /// When the index cannot be read or the list cannot be written.
    pub fn write_revocation_list(&self, days: u32, now: Timestamp) -> Result<PathBuf, PkiError> {
        let index = Index::read(&self.index_path())?;
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let (begin, end) = validity(now, days)?;
        let revoked_certs = index
            .entries
            .iter()
            .filter_map(|entry| entry.revoked.map(|at| (entry, at)))
            .map(|(entry, at)| self.revoked(entry, at))
            .collect::<Result<Vec<_>, _>>()?;
        let number = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let list = CertificateRevocationListParams {
            this_update: epoch + begin,
            next_update: epoch + end,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(PkiError::Make)?;
        let path = self.revocation_list();
        write(&path, pem.as_bytes(), Readers::Everyone, Overwrite::Replace)?;
        Ok(path)
    }

    fn revoked(&self, entry: &Entry, at: i64) -> Result<RevokedCertParams, PkiError> {
        let damaged = || PkiError::Damaged { path: self.index_path(), expected: "serial numbers and dates" };
        let serial = data_encoding::HEXLOWER.decode(entry.serial.as_bytes()).map_err(|_| damaged())?;
        let at = Timestamp::from_second(at).map_err(|_| damaged())?;
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: rcgen::date_time_ymd(1970, 1, 1) + since_1970(at).ok_or_else(damaged)?,
            reason_code: None,
            invalidity_date: None,
        })
    }

    fn index_path(&self) -> PathBuf {
        self.directory.join("index.jsonl")
    }

    #[expect(clippy::too_many_arguments, reason = "one private road for two kinds of certificate")]
    fn issue(
        &self,
        directory: &Path,
        file: &str,
        kind: IssuedKind,
        mut params: CertificateParams,
        days: u32,
        now: Timestamp,
        overwrite: Overwrite,
    ) -> Result<Issued, PkiError> {
        let (certificate, key) = (join(directory, file, "pem")?, join(directory, file, "key")?);
        refuse_existing(&[&certificate, &key], overwrite)?;
        let serial = random_serial()?;
        params.serial_number = Some(SerialNumber::from(serial.to_vec()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Make)?;
        let issued = params.signed_by(&pair, &self.issuer).map_err(PkiError::Make)?;
        let serial = data_encoding::HEXLOWER.encode(&serial);
        let not_after = end(now, days)?;

        // Recorded first: a certificate that the index does not know could not be revoked.
        let mut index = Index::read(&self.index_path())?;
        let (name, not_after_second) = (file.to_owned(), not_after.as_second());
        index.entries.push(Entry {
            serial: serial.clone(),
            kind,
            name,
            not_after: not_after_second,
            revoked: None,
        });
        index.write()?;
        write(&key, pair.serialize_pem().as_bytes(), Readers::Owner, overwrite)?;
        write(&certificate, issued.pem().as_bytes(), Readers::Everyone, overwrite)?;
        Ok(Issued { certificate, key, serial, fingerprint: Digest::of(issued.der()), not_after })
    }
}

fn ia5(name: &str, expected: &'static str) -> Result<Ia5String, PkiError> {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    plain
        .then(|| Ia5String::try_from(name).ok())
        .flatten()
        .ok_or_else(|| PkiError::Subject { name: name.to_owned(), expected })
}

/// Sixteen random bytes, positive and of full length (RFC 5280, 4.1.2.2).
fn random_serial() -> Result<[u8; 16], PkiError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| PkiError::Random)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

fn params(common_name: &str, now: Timestamp, days: u32) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let (begin, end) = validity(now, days)?;
    params.not_before = epoch + begin;
    params.not_after = epoch + end;
    Ok(params)
}

fn end(now: Timestamp, days: u32) -> Result<Timestamp, PkiError> {
    let length = Duration::from_secs(u64::from(days) * u64::from(SECONDS_PER_DAY));
    let end = now.checked_add(length).map_err(|_| PkiError::Validity { from: now, days })?;
    // Certificates know whole seconds.
    Timestamp::from_second(end.as_second()).map_err(|_| PkiError::Validity { from: now, days })
}

/// From a little before `now` to `days` after it, each as the time since 1970.
fn validity(now: Timestamp, days: u32) -> Result<(Duration, Duration), PkiError> {
    let error = || PkiError::Validity { from: now, days };
    let begin = now.checked_sub(BACKDATED).map_err(|_| error())?;
    let (begin, end) = (since_1970(begin).ok_or_else(error)?, since_1970(end(now, days)?).ok_or_else(error)?);
    if days == 0 { Err(error()) } else { Ok((begin, end)) }
}

/// `None` before 1970 and beyond the year 9999, which is what certificates can say.
fn since_1970(instant: Timestamp) -> Option<Duration> {
    const MAX_SECOND: u64 = 253_402_300_799;
    let seconds = u64::try_from(instant.as_second()).ok()?;
    (seconds <= MAX_SECOND).then_some(Duration::from_secs(seconds))
}
