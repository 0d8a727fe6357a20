//! Maskers (脱敏规则): what is left of one value.
//!
//! Each says which technique of GB/T 37964-2019 (个人信息去标识化指南) it implements. A value that
//! a masker does not recognise is masked fully: text becomes `***`, everything else `null`. Text is
//! cut by character, never by byte.

mod address;
mod cipher;
mod name;
mod parameters;
mod write;

use std::collections::BTreeMap;

use crate::kernel::id::{FieldPath, MaskerName};

use super::notation::{Json, Notation};
use super::pseudonym::{FittedPseudonym, PseudonymKey};
use super::recognise;
use cipher::{FittedCipher, Form};
pub use parameters::MaskerError;
use parameters::Parameters;
use write::{
    Ends, HIDDEN, Months, write_coordinates, write_cut, write_date, write_email, write_ends,
    write_ends_of_any, write_mobile, write_network, write_phone, write_plain_ends, write_text,
};

/// A scalar value of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'v> {
    /// A string, its escapes decoded.
    Text(&'v str),
    /// A number as it is written.
    Number(&'v str),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`, which every masker leaves as it is.
    Null,
}

/// A technique of GB/T 37964-2019, annex A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Technique {
    /// A valid value of the same form stands for the value; who has the key can turn it back
    /// (保留格式加密, A.2).
    FormatPreservingEncryption,
    /// Parts of the value are hidden (屏蔽, A.3).
    Masking,
    /// The value is removed (局部抑制, A.3).
    Suppression,
    /// A pseudonym derived by cryptography stands for the value (基于密码技术的标识符派生假名, A.4).
    Pseudonym,
    /// The value is made coarser (泛化, A.5).
    Generalisation,
    /// Numbers are put into bands, open at both ends (取整, 顶层与底层编码, A.5).
    Banding,
    /// Numbers are cut after a few decimals (取整, A.5).
    Rounding,
}

impl Technique {
    /// The technique's name in the standard.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::FormatPreservingEncryption => "保留格式加密",
            Self::Masking => "屏蔽",
            Self::Suppression => "局部抑制",
            Self::Pseudonym => "基于密码技术的标识符派生假名",
            Self::Generalisation => "泛化",
            Self::Banding => "取整、顶层与底层编码",
            Self::Rounding => "取整",
        }
    }
}

/// A method with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masker(Method);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Method {
    ResidentId(Ends),
    Mobile(Ends),
    Phone { last: usize },
    Name,
    Address(address::Cut),
    BankCard { last: usize },
    CreditCode(Ends),
    Email { first: usize },
    Plate(Ends),
    LicenceNo(Ends),
    Passport(Ends),
    Ip { bits: u32 },
    Coordinate { decimals: usize },
    Date { months: Months },
    Bucket(Bands),
    KeepFirst(usize),
    KeepLast(usize),
    Full,
    Null,
    Drop,
    Pseudonym { join: Option<String> },
    Fpe { form: Form, join: Option<String> },
}

/// What a keyed masker works with: made for one field of one department.
#[derive(Debug)]
pub struct FittedKey(Fitted);

#[derive(Debug)]
enum Fitted {
    Pseudonym(Box<FittedPseudonym>),
    Cipher(Box<FittedCipher>),
}

/// Edges in ascending order, and the name of each band: one more than there are edges.
#[derive(Debug, Clone, PartialEq)]
struct Bands {
    edges: Vec<f64>,
    labels: Vec<String>,
}

impl Eq for Bands {}

impl Masker {
    /// Every method, as `masks.toml` names it.
    pub const METHODS: [&str; 22] = [
        "resident-id",
        "mobile",
        "phone",
        "name",
        "address",
        "bank-card",
        "credit-code",
        "email",
        "plate",
        "licence-no",
        "passport",
        "ip",
        "coordinate",
        "date-year",
        "bucket",
        "keep-first",
        "keep-last",
        "full",
        "null",
        "drop",
        "pseudonym",
        "fpe",
    ];

    /// A masker from its method and parameters.
    ///
    /// | method | recognises | leaves | parameters |
    /// |---|---|---|---|
    /// | `resident-id` | [`recognise::resident_id`] | first 1, last 1 | `first` 0–6, `last` 0–4 |
    /// | `mobile` | [`recognise::mobile`] | country code, first 3, last 4 | `first` 0–3, `last` 0–4 |
    /// | `phone` | [`recognise::phone`] | country code, first 3 or area code, last 2 | `last` 0–4 |
    /// | `name` | 2 to 20 Chinese characters | surname and `**` | |
    /// | `address` | an address from province or city on | up to the district, and `***` | `keep` = `province`, `city`, `district` |
    /// | `bank-card` | [`recognise::bank_card`] | last 4 | `last` 0–4 |
    /// | `credit-code` | [`recognise::credit_code`] | first 2, last 4 | `first` 0–8, `last` 0–4 |
    /// | `email` | [`recognise::email`] | first 1 of the local part, domain | `first` 0–3 |
    /// | `plate` | [`recognise::plate`] | first 2, last 1 | `first` 0–2, `last` 0–2 |
    /// | `licence-no` | 8 to 64 letters, digits, brackets, `-`, `.`, `/` | first 2, last 2 | `first` 0–4, `last` 0–4 |
    /// | `passport` | [`recognise::passport`] | first 1, last 2 | `first` 0–2, `last` 0–4 |
    /// | `ip` | addresses of IPv4 and IPv6 | the network: `10.1.0.0/16`, `2001:db8::/32` | `keep` = `16`, `24` |
    /// | `coordinate` | one or two decimal numbers up to 180 | two decimals | `decimals` 0–4 |
    /// | `date-year` | dates, also as numbers of 8 digits | the year | `keep` = `year`, `month` |
    /// | `bucket` | numbers, also as text | a band: `<100`, `100-200`, `>=200` | `edges` = `100,200` (required) |
    /// | `keep-first` | text at least twice as long, whole numbers | that many and `***` | `count` 1–64 (required) |
    /// | `keep-last` | text at least twice as long, whole numbers | `***` and that many | `count` 1–64 (required) |
    /// | `full` | nothing | `***` | |
    /// | `null` | | `null` | |
    /// | `drop` | | nothing, not even its name | |
    /// | `pseudonym` | text, numbers | a keyed pseudonym, `h1:…` | `join`: a name; fields with the same name get the same pseudonyms |
    /// | `fpe` | what `of` says | a valid value of the same form | `of` = `resident-id`, `mobile`, `bank-card`, `credit-code`, `digits` (required); `keep` = `region`, `province` of a `resident-id`; `join` |
    ///
    /// # Errors
    /// When there is no such method, or a parameter is unknown, doubled, missing or out of range.
    pub fn parse(method: &str, parameters: &[(&str, &str)]) -> Result<Self, MaskerError> {
        let mut given = Parameters::new(method, parameters);
        let method = match method {
            "resident-id" => Method::ResidentId(given.ends((1, 6), (1, 4))?),
            "mobile" => Method::Mobile(given.ends((3, 3), (4, 4))?),
            "phone" => Method::Phone { last: given.count("last", Some(2), 0, 4)? },
            "name" => Method::Name,
            "address" => {
                Method::Address(match given.word("keep", "district", &["province", "city", "district"])? {
                    "province" => address::Cut::Province,
                    "city" => address::Cut::City,
                    _ => address::Cut::District,
                })
            }
            "bank-card" => Method::BankCard { last: given.count("last", Some(4), 0, 4)? },
            "credit-code" => Method::CreditCode(given.ends((2, 8), (4, 4))?),
            "email" => Method::Email { first: given.count("first", Some(1), 0, 3)? },
            "plate" => Method::Plate(given.ends((2, 2), (1, 2))?),
            "licence-no" => Method::LicenceNo(given.ends((2, 4), (2, 4))?),
            "passport" => Method::Passport(given.ends((1, 2), (2, 4))?),
            "ip" => Method::Ip {
                bits: match given.word("keep", "16", &["16", "24"])? {
                    "24" => 24,
                    _ => 16,
                },
            },
            "coordinate" => Method::Coordinate { decimals: given.count("decimals", Some(2), 0, 4)? },
            "date-year" => Method::Date {
                months: match given.word("keep", "year", &["year", "month"])? {
                    "month" => Months::Kept,
                    _ => Months::Dropped,
                },
            },
            "bucket" => {
                let (edges, labels) = given.edges()?;
                Method::Bucket(Bands { edges, labels })
            }
            "keep-first" => Method::KeepFirst(given.count("count", None, 1, 64)?),
            "keep-last" => Method::KeepLast(given.count("count", None, 1, 64)?),
            "full" => Method::Full,
            "null" => Method::Null,
            "drop" => Method::Drop,
            "pseudonym" => Method::Pseudonym { join: given.join()? },
            "fpe" => Method::Fpe { form: given.form()?, join: given.join()? },
            unknown => return Err(MaskerError::unknown_method(unknown)),
        };
        given.finish()?;
        Ok(Self(method))
    }

    /// The technique of GB/T 37964-2019 that the masker implements.
    #[must_use]
    pub const fn technique(&self) -> Technique {
        match self.0 {
            Method::ResidentId(_)
            | Method::Mobile(_)
            | Method::Phone { .. }
            | Method::Name
            | Method::BankCard { .. }
            | Method::CreditCode(_)
            | Method::Email { .. }
            | Method::Plate(_)
            | Method::LicenceNo(_)
            | Method::Passport(_)
            | Method::KeepFirst(_)
            | Method::KeepLast(_)
            | Method::Full => Technique::Masking,
            Method::Address(_) | Method::Ip { .. } | Method::Date { .. } => Technique::Generalisation,
            Method::Coordinate { .. } => Technique::Rounding,
            Method::Bucket(_) => Technique::Banding,
            Method::Null | Method::Drop => Technique::Suppression,
            Method::Pseudonym { .. } => Technique::Pseudonym,
            Method::Fpe { .. } => Technique::FormatPreservingEncryption,
        }
    }

    /// Whether the member goes as a whole, with its name and separator.
    #[must_use]
    pub const fn drops(&self) -> bool {
        matches!(self.0, Method::Drop)
    }

    /// Whether it works with a secret.
    #[must_use]
    pub const fn is_keyed(&self) -> bool {
        matches!(self.0, Method::Pseudonym { .. } | Method::Fpe { .. })
    }

    /// What the masker works with at `field`; nothing if it is not keyed.
    #[must_use]
    pub fn fit(&self, key: &PseudonymKey<'_>, field: &FieldPath) -> Option<FittedKey> {
        if let Method::Pseudonym { join } = &self.0 {
            return Some(FittedKey(Fitted::Pseudonym(Box::new(key.fit(field, join.as_deref())))));
        }
        if let Method::Fpe { form, join } = &self.0 {
            let key = key.cipher_key(form.name(), field, join.as_deref());
            return FittedCipher::new(&key, *form).map(|cipher| FittedKey(Fitted::Cipher(Box::new(cipher))));
        }
        None
    }

    /// Writes what is left of `value` as one JSON value.
    ///
    /// `key` is what a keyed masker works with; without it its values are masked fully, as are those of
    /// a masker that drops.
    pub fn apply(&self, value: Value<'_>, key: Option<&FittedKey>, out: &mut Vec<u8>) {
        self.write::<Json>(value, key, out);
    }

    /// [`Masker::apply`] in the notation of any format.
    pub(super) fn write<N: Notation>(&self, value: Value<'_>, key: Option<&FittedKey>, out: &mut Vec<u8>) {
        let start = out.len();
        let left = match value {
            Value::Null => return N::null(out),
            Value::Boolean(_) => None,
            // The ends of a sign, a fraction or an exponent would say nothing true.
            Value::Number(text) if self.keeps_ends() && !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                None
            }
            Value::Text(text) | Value::Number(text) => self.leave::<N>(text, key, out),
        };
        if left.is_none() {
            out.truncate(start);
            self.hide::<N>(value, out);
        }
    }

    /// Whether the masker shows the ends of any text, not only of one with a form of its own.
    const fn keeps_ends(&self) -> bool {
        matches!(self.0, Method::KeepFirst(_) | Method::KeepLast(_) | Method::LicenceNo(_))
    }

    /// Masks `value` fully.
    pub(super) fn hide<N: Notation>(&self, value: Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Text(_) if self.0 != Method::Null => write_text::<N>(HIDDEN, out),
            Value::Text(_) | Value::Number(_) | Value::Boolean(_) | Value::Null => N::null(out),
        }
    }

    /// Writes what is left of `text`; nothing if it is not recognised.
    fn leave<N: Notation>(&self, text: &str, key: Option<&FittedKey>, out: &mut Vec<u8>) -> Option<()> {
        match &self.0 {
            Method::ResidentId(ends) => {
                recognise::resident_id(text).then_some(())?;
                write_plain_ends::<N>(text, *ends, "****************", out)
            }
            Method::Mobile(ends) => write_mobile::<N>(text, *ends, out),
            Method::Phone { last } => write_phone::<N>(text, *last, out),
            Method::Name => write_cut::<N>(name::surname(text)?, "**", out),
            Method::Address(cut) => write_cut::<N>(address::cut(text, *cut)?, HIDDEN, out),
            Method::BankCard { last } => {
                recognise::bank_card(text).then_some(())?;
                write_plain_ends::<N>(text, Ends { first: 0, last: *last }, "************", out)
            }
            Method::CreditCode(ends) => {
                recognise::credit_code(text).then_some(())?;
                write_plain_ends::<N>(text, *ends, "************", out)
            }
            Method::Email { first } => write_email::<N>(text, *first, out),
            Method::Plate(ends) => {
                recognise::plate(text).then_some(())?;
                write_ends::<N>(text, *ends, "****", out)
            }
            Method::LicenceNo(ends) => {
                is_licence_no(text).then_some(())?;
                write_ends_of_any::<N>(text, *ends, HIDDEN, out)
            }
            Method::Passport(ends) => {
                recognise::passport(text).then_some(())?;
                write_plain_ends::<N>(text, *ends, "******", out)
            }
            Method::Ip { bits } => write_network::<N>(text, *bits, out),
            Method::Coordinate { decimals } => write_coordinates::<N>(text, *decimals, out),
            Method::Date { months } => write_date::<N>(text, *months, out),
            Method::Bucket(bands) => bands.write::<N>(text, out),
            Method::KeepFirst(count) => {
                write_ends_of_any::<N>(text, Ends { first: *count, last: 0 }, HIDDEN, out)
            }
            Method::KeepLast(count) => {
                write_ends_of_any::<N>(text, Ends { first: 0, last: *count }, HIDDEN, out)
            }
            Method::Pseudonym { .. } | Method::Fpe { .. } => match &key?.0 {
                Fitted::Pseudonym(pseudonym) => {
                    pseudonym.write::<N>(text.as_bytes(), out);
                    Some(())
                }
                Fitted::Cipher(cipher) => cipher.write::<N>(text, out),
            },
            Method::Full | Method::Null | Method::Drop => None,
        }
    }
}

impl Bands {
    fn write<N: Notation>(&self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        let number = parameters::number(text)?;
        let band = self.edges.iter().take_while(|edge| **edge <= number).count();
        write_text::<N>(self.labels.get(band)?, out);
        Some(())
    }
}

/// Whether `text` can be the number of a licence (证照编号).
fn is_licence_no(text: &str) -> bool {
    (8..=64).contains(&text.chars().count())
        && text.chars().all(|c| c.is_alphanumeric() || "-./()（）[]〔〕【】".contains(c))
}

/// Maskers by name: the built-in ones and those that `masks.toml` defines.
#[derive(Debug, Clone, Default)]
pub struct Maskers {
    by_name: BTreeMap<MaskerName, Masker>,
}

impl Maskers {
    /// Every method that needs no parameter, under its own name.
    #[must_use]
    pub fn builtin() -> Self {
        let built_in = |method: &&str| {
            let masker = Masker::parse(method, &[]).ok()?;
            Some((MaskerName::parse(method).ok()?, masker))
        };
        Self { by_name: Masker::METHODS.iter().filter_map(built_in).collect() }
    }

    /// Adds a masker.
    ///
    /// # Errors
    /// When the name is taken: a built-in masker always means the same.
    pub fn insert(&mut self, name: MaskerName, masker: Masker) -> Result<(), MaskerError> {
        if self.by_name.contains_key(&name) {
            return Err(MaskerError::Taken { name });
        }
        self.by_name.insert(name, masker);
        Ok(())
    }

    /// The masker called `name`.
    #[must_use]
    pub fn get(&self, name: &MaskerName) -> Option<&Masker> {
        self.by_name.get(name)
    }

    /// All maskers, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&MaskerName, &Masker)> {
        self.by_name.iter()
    }
}

#[cfg(test)]
mod tests;
