//! Maskers (脱敏规则): what is left of one value.
//!
//! Each says which technique of GB/T 37964-2019 (个人信息去标识化指南) it implements. A value that
//! a masker does not recognise is masked fully: text becomes `***`, everything else `null`. Text is
//! cut by character, never by byte.

mod address;
mod name;
mod parameters;
mod write;

use std::collections::BTreeMap;

use crate::kernel::id::MaskerName;

use super::notation::{Json, Notation};
use super::pseudonym::FittedPseudonym;
use super::recognise;
pub use parameters::MaskerError;
use parameters::Parameters;
use write::{
    Ends, HIDDEN, Months, write_cut, write_date, write_email, write_ends, write_mobile, write_plain_ends,
    write_text,
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
    /// Parts of the value are hidden (屏蔽, A.3).
    Masking,
    /// The value is removed (局部抑制, A.3).
    Suppression,
    /// A pseudonym derived by cryptography stands for the value (基于密码技术的标识符派生假名, A.4).
    Pseudonym,
    /// The value is made coarser (泛化, A.5).
    Generalisation,
    /// Numbers are rounded to bands, open at both ends (取整, 顶层与底层编码, A.5).
    Banding,
}

impl Technique {
    /// The technique's name in the standard.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Masking => "屏蔽",
            Self::Suppression => "局部抑制",
            Self::Pseudonym => "基于密码技术的标识符派生假名",
            Self::Generalisation => "泛化",
            Self::Banding => "取整、顶层与底层编码",
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
    Name,
    Address(address::Cut),
    BankCard { last: usize },
    CreditCode(Ends),
    Email { first: usize },
    Plate(Ends),
    LicenceNo(Ends),
    Date { months: Months },
    Bucket(Bands),
    KeepFirst(usize),
    KeepLast(usize),
    Full,
    Null,
    Drop,
    Pseudonym { join: Option<String> },
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
    pub const METHODS: [&str; 17] = [
        "resident-id",
        "mobile",
        "name",
        "address",
        "bank-card",
        "credit-code",
        "email",
        "plate",
        "licence-no",
        "date-year",
        "bucket",
        "keep-first",
        "keep-last",
        "full",
        "null",
        "drop",
        "pseudonym",
    ];

    /// A masker from its method and parameters.
    ///
    /// | method | recognises | leaves | parameters |
    /// |---|---|---|---|
    /// | `resident-id` | [`recognise::resident_id`] | first 1, last 1 | `first` 0–6, `last` 0–4 |
    /// | `mobile` | [`recognise::mobile`] | country code, first 3, last 4 | `first` 0–3, `last` 0–4 |
    /// | `name` | 2 to 20 Chinese characters | surname and `**` | |
    /// | `address` | an address from province or city on | up to the district, and `***` | `keep` = `province`, `city`, `district` |
    /// | `bank-card` | [`recognise::bank_card`] | last 4 | `last` 0–4 |
    /// | `credit-code` | [`recognise::credit_code`] | first 2, last 4 | `first` 0–8, `last` 0–4 |
    /// | `email` | [`recognise::email`] | first 1 of a longer local part, domain | `first` 0–3 |
    /// | `plate` | [`recognise::plate`] | first 2, last 1 | `first` 0–2, `last` 0–2 |
    /// | `licence-no` | 8 to 64 letters, digits, brackets, `-`, `.`, `/` | first 2, last 2 | `first` 0–4, `last` 0–4 |
    /// | `date-year` | dates, also as numbers of 8 digits | the year | `keep` = `year`, `month` |
    /// | `bucket` | numbers, also as text | a band: `<100`, `100-200`, `>=200` | `edges` = `100,200` (required) |
    /// | `keep-first` | longer text, whole numbers | that many and `***` | `count` 1–64 (required) |
    /// | `keep-last` | longer text, whole numbers | `***` and that many | `count` 1–64 (required) |
    /// | `full` | nothing | `***` | |
    /// | `null` | | `null` | |
    /// | `drop` | | nothing, not even its name | |
    /// | `pseudonym` | text, numbers | a keyed pseudonym, `h1:…` | `join`: a name; fields with the same name get the same pseudonyms |
    ///
    /// # Errors
    /// When there is no such method, or a parameter is unknown, doubled, missing or out of range.
    pub fn parse(method: &str, parameters: &[(&str, &str)]) -> Result<Self, MaskerError> {
        let mut given = Parameters::new(method, parameters);
        let method = match method {
            "resident-id" => Method::ResidentId(given.ends((1, 6), (1, 4))?),
            "mobile" => Method::Mobile(given.ends((3, 3), (4, 4))?),
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
            | Method::Name
            | Method::BankCard { .. }
            | Method::CreditCode(_)
            | Method::Email { .. }
            | Method::Plate(_)
            | Method::LicenceNo(_)
            | Method::KeepFirst(_)
            | Method::KeepLast(_)
            | Method::Full => Technique::Masking,
            Method::Address(_) | Method::Date { .. } => Technique::Generalisation,
            Method::Bucket(_) => Technique::Banding,
            Method::Null | Method::Drop => Technique::Suppression,
            Method::Pseudonym { .. } => Technique::Pseudonym,
        }
    }

    /// Whether the member goes as a whole, with its name and separator.
    #[must_use]
    pub const fn drops(&self) -> bool {
        matches!(self.0, Method::Drop)
    }

    /// For a masker that makes pseudonyms, the name that fields are joined by, if they are.
    pub(super) fn pseudonym_join(&self) -> Option<Option<&str>> {
        if let Method::Pseudonym { join } = &self.0 { Some(join.as_deref()) } else { None }
    }

    /// Writes what is left of `value` as one JSON value.
    ///
    /// `pseudonym` makes the pseudonyms of this field; without it they are masked fully, as is a
    /// value of a masker that drops.
    pub fn apply(&self, value: Value<'_>, pseudonym: Option<&FittedPseudonym>, out: &mut Vec<u8>) {
        self.write::<Json>(value, pseudonym, out);
    }

    /// [`Masker::apply`] in the notation of any format.
    pub(super) fn write<N: Notation>(
        &self,
        value: Value<'_>,
        pseudonym: Option<&FittedPseudonym>,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let left = match value {
            Value::Null => return N::null(out),
            Value::Boolean(_) => None,
            // The ends of a sign, a fraction or an exponent would say nothing true.
            Value::Number(text) if self.keeps_ends() && !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                None
            }
            Value::Text(text) | Value::Number(text) => self.leave::<N>(text, pseudonym, out),
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
    fn leave<N: Notation>(
        &self,
        text: &str,
        pseudonym: Option<&FittedPseudonym>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        match &self.0 {
            Method::ResidentId(ends) => {
                recognise::resident_id(text).then_some(())?;
                write_plain_ends::<N>(text, *ends, "****************", out)
            }
            Method::Mobile(ends) => write_mobile::<N>(text, *ends, out),
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
                write_ends::<N>(text, *ends, HIDDEN, out)
            }
            Method::Date { months } => write_date::<N>(text, *months, out),
            Method::Bucket(bands) => bands.write::<N>(text, out),
            Method::KeepFirst(count) => write_ends::<N>(text, Ends { first: *count, last: 0 }, HIDDEN, out),
            Method::KeepLast(count) => write_ends::<N>(text, Ends { first: 0, last: *count }, HIDDEN, out),
            Method::Pseudonym { .. } => {
                pseudonym?.write::<N>(text.as_bytes(), out);
                Some(())
            }
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
