//! Format-preserving encryption (保留格式加密, GB/T 37964-2019 annex A.2): a valid value becomes another
//! valid value of the same form.
//!
//! FF1 (NIST SP 800-38G) over AES-256. What identifies no one stays as it is and is the tweak; the check
//! characters are worked out again; the rest is a number that FF1 turns into another one:
//!
//! | form | stays, and is the tweak | is encrypted | radix, numerals |
//! |---|---|---|---|
//! | resident ID | 6 or 2 digits; and which [era](ERAS) | region, day of birth, sequence as one mixed number | [`RADIX_OF_DAYS`], 2; [`RADIX_OF_PLACES`], 4 |
//! | mobile | nothing; the leading `1` stays | ten digits, walked until the first is 3 to 9 | 10, 10 |
//! | bank card | 6 digits of the issuer | the digits between them and the check digit | 10, 6 to 12 |
//! | credit code | authority, category, region | the 8 characters of the organisation code | 31, 8 |
//! | digits | nothing | all of them | 10, 6 to 36 |
//!
//! Each form is a bijection on its valid values. Each has a million of them or more, as revision 1 of
//! the standard asks. Who has the secret can turn values back; the gate has no code that does.

mod ff1;

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use jiff::civil::{Date, date};

use super::super::notation::Notation;
use super::super::recognise;
use super::write::{write_over, write_run};
use ff1::{Cipher, Number};

/// The forms, as `of` names them.
pub(super) const FORMS: [&str; 5] = ["resident-id", "mobile", "bank-card", "credit-code", "digits"];

/// How many digits a value of the form `digits` may have.
const DIGITS: RangeInclusive<usize> = 6..=36;

/// The days of birth that stand for each other. Nobody's becomes one that was still to come when this
/// was written, unless it was so itself.
const ERAS: [RangeInclusive<Date>; 2] =
    [date(1900, 1, 1)..=date(2025, 12, 31), date(2026, 1, 1)..=date(2099, 12, 31)];

/// How many sequence numbers a day has in a region.
const SEQUENCES: u128 = 1_000;

/// How many codes the regions of one province may have.
const PLACES: u128 = 10_000;

/// The least radix whose square counts the days of the longer era with their sequences.
const RADIX_OF_DAYS: u32 = 6_784;

/// The least radix whose fourth power counts these and the regions of a province.
const RADIX_OF_PLACES: u32 = 824;

/// The characters of a credit code, as numerals.
const CREDIT_RADIX: u32 = 31;

/// What a value must be to be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A resident ID that keeps the 6 digits of its region, or the 2 of its province.
    ResidentId {
        is_region_kept: bool,
    },
    Mobile,
    BankCard,
    CreditCode,
    Digits,
}

impl Form {
    /// The form's name in the derivation of its key, with all that decides what a value becomes.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ResidentId { is_region_kept: true } => "resident-id",
            Self::ResidentId { is_region_kept: false } => "resident-id in its province",
            Self::Mobile => "mobile",
            Self::BankCard => "bank-card",
            Self::CreditCode => "credit-code",
            Self::Digits => "digits",
        }
    }

    const fn radix(self) -> u32 {
        match self {
            Self::ResidentId { is_region_kept: true } => RADIX_OF_DAYS,
            Self::ResidentId { is_region_kept: false } => RADIX_OF_PLACES,
            Self::CreditCode => CREDIT_RADIX,
            Self::Mobile | Self::BankCard | Self::Digits => 10,
        }
    }
}

/// Encrypts, or in tests decrypts.
type Turn = fn(&Cipher, &[u8], Number, &Range<u128>) -> Option<u128>;

/// Encrypts the values of one field for one department.
#[derive(Debug)]
pub(super) struct FittedCipher {
    cipher: Cipher,
    form: Form,
}

impl FittedCipher {
    /// Nothing if FF1 cannot be made for the form, which does not happen.
    pub(super) fn new(key: &[u8; 32], form: Form) -> Option<Self> {
        Some(Self { cipher: Cipher::new(key, form.radix())?, form })
    }

    /// Writes what `text` is encrypted to; nothing if it is not of the form.
    pub(super) fn write<N: Notation>(&self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        self.turn::<N>(text, Cipher::encrypt, out)
    }

    fn turn<N: Notation>(&self, text: &str, turn: Turn, out: &mut Vec<u8>) -> Option<()> {
        let turn = |tweak: &[u8], number: Number, set: &Range<u128>| turn(&self.cipher, tweak, number, set);
        match self.form {
            Form::ResidentId { is_region_kept } => {
                let id = resident_id(text, is_region_kept, turn)?;
                write_run::<N>(&id, out)
            }
            Form::Mobile => {
                let number = recognise::mobile_number(text)?;
                let digits = mobile(number, turn)?;
                N::open(out);
                N::text(text.strip_suffix(number)?, out);
                write_over::<N>(number, &digits, out)?;
                N::close(out);
                Some(())
            }
            Form::BankCard => {
                let (digits, count) = bank_card(text, turn)?;
                N::open(out);
                write_over::<N>(text, digits.get(..count)?, out)?;
                N::close(out);
                Some(())
            }
            Form::CreditCode => write_run::<N>(&credit_code(text, turn)?, out),
            Form::Digits => {
                let (digits, count) = all_digits(text, turn)?;
                write_run::<N>(digits.get(..count)?, out)
            }
        }
    }
}

fn resident_id(
    text: &str,
    is_region_kept: bool,
    turn: impl Fn(&[u8], Number, &Range<u128>) -> Option<u128>,
) -> Option<[u8; 18]> {
    if !recognise::resident_id(text) {
        return None;
    }
    let part = |range: Range<usize>| text.as_bytes().get(range).and_then(decimal);
    let birth = Date::new(
        i16::try_from(part(6..10)?).ok()?,
        i8::try_from(part(10..12)?).ok()?,
        i8::try_from(part(12..14)?).ok()?,
    );
    let birth = birth.ok()?;
    let (which, era) = ERAS.iter().enumerate().find(|(_, era)| era.contains(&birth))?;
    let days = days_between(*era.start(), *era.end())? + 1;
    let (kept, numerals, places) = if is_region_kept { (6, 2, 1) } else { (2, 4, PLACES) };
    let place = if is_region_kept { 0 } else { part(2..6)? };
    let number = (place * days + days_between(*era.start(), birth)?) * SEQUENCES + part(14..17)?;
    let kept_digits = text.as_bytes().get(..kept)?;
    let mut tweak = [0; 7];
    tweak.get_mut(..kept)?.copy_from_slice(kept_digits);
    *tweak.get_mut(kept)? = u8::try_from(which).ok()?;
    let set = 0..places * days * SEQUENCES;
    let number = turn(tweak.get(..=kept)?, Number { value: number, numerals }, &set)?;
    let (day, sequence) = (number / SEQUENCES, number % SEQUENCES);
    let (place, day) = (day / days, day % days);
    let birth = era.start().checked_add(Duration::from_secs(u64::try_from(day).ok()? * 86_400)).ok()?;
    let mut id = [0; 18];
    id.get_mut(..kept)?.copy_from_slice(kept_digits);
    put_decimal(place, id.get_mut(kept..6)?);
    put_decimal(u128::try_from(birth.year()).ok()?, id.get_mut(6..10)?);
    put_decimal(u128::try_from(birth.month()).ok()?, id.get_mut(10..12)?);
    put_decimal(u128::try_from(birth.day()).ok()?, id.get_mut(12..14)?);
    put_decimal(sequence, id.get_mut(14..17)?);
    let check = recognise::resident_id_check(std::str::from_utf8(id.get(..17)?).ok()?)?;
    *id.last_mut()? = u8::try_from(check).ok()?;
    Some(id)
}

fn days_between(first: Date, last: Date) -> Option<u128> {
    u128::try_from((last - first).get_days()).ok()
}

fn mobile(
    number: &str,
    turn: impl Fn(&[u8], Number, &Range<u128>) -> Option<u128>,
) -> Option<[u8; recognise::MOBILE_DIGITS]> {
    /// The ten digits after the `1`, of which the first is 3 to 9.
    const SET: Range<u128> = 3_000_000_000..10_000_000_000;
    let mut digits = [b'1'; recognise::MOBILE_DIGITS];
    let given = number.bytes().filter(u8::is_ascii_digit);
    digits.iter_mut().zip(given).for_each(|(place, digit)| *place = digit);
    let (_, body) = digits.split_first_mut()?;
    let number = Number { value: decimal(body)?, numerals: 10 };
    put_decimal(turn(b"", number, &SET)?, body);
    Some(digits)
}

fn bank_card(
    text: &str,
    turn: impl Fn(&[u8], Number, &Range<u128>) -> Option<u128>,
) -> Option<([u8; recognise::MAX_CARD_DIGITS], usize)> {
    const ISSUER: usize = 6;
    let (mut digits, count) = recognise::card_digits(text)?;
    let (issuer, rest) = digits.split_at_mut_checked(ISSUER)?;
    let body = rest.get_mut(..count.checked_sub(ISSUER + 1)?)?;
    put_decimal(turn(issuer, decimal_number(body)?, &decimal_set(body.len())?)?, body);
    let payload = std::str::from_utf8(digits.get(..count.checked_sub(1)?)?).ok()?;
    let check = recognise::luhn_check(payload)?;
    *digits.get_mut(count.checked_sub(1)?)? = u8::try_from(check).ok()?;
    Some((digits, count))
}

fn credit_code(text: &str, turn: impl Fn(&[u8], Number, &Range<u128>) -> Option<u128>) -> Option<[u8; 18]> {
    /// The eight characters of an organisation code, as many as eight numerals of the radix write.
    const SET: Range<u128> = 0..852_891_037_441;
    if !recognise::credit_code(text) {
        return None;
    }
    let mut code = [0; 18];
    code.copy_from_slice(text.as_bytes().get(..18)?);
    let (kept, rest) = code.split_at_mut_checked(8)?;
    let body = rest.get_mut(..8)?;
    let radix = u128::from(CREDIT_RADIX);
    let mut value = 0;
    for byte in body.iter() {
        value = value * radix + u128::from(recognise::credit_numeral(*byte)?);
    }
    let mut value = turn(kept, Number { value, numerals: 8 }, &SET)?;
    for place in body.iter_mut().rev() {
        *place = recognise::credit_character(usize::try_from(value % radix).ok()?)?;
        value /= radix;
    }
    let check = recognise::organisation_code_check(std::str::from_utf8(body).ok()?)?;
    *code.get_mut(16)? = u8::try_from(check).ok()?;
    let check = recognise::credit_code_check(std::str::from_utf8(code.get(..17)?).ok()?)?;
    *code.get_mut(17)? = u8::try_from(check).ok()?;
    Some(code)
}

fn all_digits(
    text: &str,
    turn: impl Fn(&[u8], Number, &Range<u128>) -> Option<u128>,
) -> Option<([u8; *DIGITS.end()], usize)> {
    let given = text.as_bytes();
    if !DIGITS.contains(&given.len()) {
        return None;
    }
    let mut digits = [0; *DIGITS.end()];
    let body = digits.get_mut(..given.len())?;
    put_decimal(turn(b"", decimal_number(given)?, &decimal_set(given.len())?)?, body);
    Some((digits, given.len()))
}

/// The number that ASCII digits write.
fn decimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(u128::from(digit))
    })
}

/// The same with how many digits it has.
fn decimal_number(digits: &[u8]) -> Option<Number> {
    Some(Number { value: decimal(digits)?, numerals: u32::try_from(digits.len()).ok()? })
}

/// All numbers that this many digits write.
fn decimal_set(digits: usize) -> Option<Range<u128>> {
    Some(0..10_u128.checked_pow(u32::try_from(digits).ok()?)?)
}

/// Writes `value` into all of `digits`, which are enough for it.
fn put_decimal(mut value: u128, digits: &mut [u8]) {
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
}

#[cfg(test)]
mod tests;
