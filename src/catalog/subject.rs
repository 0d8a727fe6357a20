//! Whom a request is about: the people and companies that its parameters name.

use std::fmt;

use crate::kernel::id::SubjectKind;
use crate::kernel::reading::{normalized, parts_values};

/// The kinds of subject whose numbers have a form that is known here.
pub const SUBJECT_KINDS: [&str; 3] = [RESIDENT_ID, MOBILE, CREDIT_CODE];

const RESIDENT_ID: &str = "resident-id";
const MOBILE: &str = "mobile";
const CREDIT_CODE: &str = "credit-code";

/// A person or company that a request names, in the one form that all spellings of it have.
///
/// It is data that must not be kept: it does not print, and is made to be digested.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subject<'k> {
    kind: &'k SubjectKind,
    value: String,
}

impl<'k> Subject<'k> {
    /// The subject of this kind that `text` names; `None` if there is nothing in it.
    ///
    /// What is not of the form that its kind has is a subject all the same: a slip of the pen does not
    /// make a request invisible.
    #[must_use]
    pub fn new(kind: &'k SubjectKind, text: &str) -> Option<Self> {
        let value = match kind.as_str() {
            RESIDENT_ID => resident_id(letters_and_digits(text)),
            MOBILE => mobile(letters_and_digits(text)),
            CREDIT_CODE => letters_and_digits(text),
            _ => text.trim().to_owned(),
        };
        (!value.is_empty()).then_some(Self { kind, value })
    }

    /// Everyone whom `text` names: as a whole, and as a list, for a program behind the gate may part
    /// it (`A,B`). At blanks, which are within numbers too, it is parted only where a part has the form of its kind.
    /// Those that have it come first, so that nothing else takes their place where there is not enough for all.
    pub fn all(kind: &'k SubjectKind, text: &str) -> impl Iterator<Item = Self> {
        let list = Some(text).filter(|text| text.contains(parts_values));
        let parts = |by: fn(char) -> bool| {
            list.into_iter()
                .flat_map(move |list| list.split(by))
                .filter_map(move |part| Self::new(kind, part))
        };
        let others = parts(|sign| parts_values(sign) && !sign.is_whitespace());
        let formed = parts(parts_values).filter(Self::has_form);
        formed.chain(Self::new(kind, text)).chain(others)
    }

    /// Whether the value is as long as those of its kind are; of a kind without a form, each is.
    fn has_form(&self) -> bool {
        match self.kind.as_str() {
            RESIDENT_ID | CREDIT_CODE => self.value.len() == 18,
            MOBILE => self.value.len() == 11,
            _ => true,
        }
    }

    /// What kind of number or name it is.
    #[must_use]
    pub const fn kind(&self) -> &'k SubjectKind {
        self.kind
    }

    /// The number or name itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({}, ***)", self.kind)
    }
}

/// The letters and digits of a number, of whatever width and script, in upper case. People and programs put blanks,
/// hyphens and what nobody sees between them, and write a Roman ten at the end of a resident identity number.
fn letters_and_digits(text: &str) -> String {
    normalized(text).chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_uppercase()).collect()
}

/// Brings a number of the older form, 15 digits (GB 11643-1989), to the present one: the century before the
/// year of birth, and a check character at the end.
fn resident_id(number: String) -> String {
    let is_older = number.len() == 15 && number.bytes().all(|byte| byte.is_ascii_digit());
    let Some((region, rest)) = number.split_at_checked(6).filter(|_| is_older) else { return number };
    // These serial numbers were for people who were born before 1900.
    let century = if matches!(rest.get(6..), Some("996" | "997" | "998" | "999")) { "18" } else { "19" };
    let first17 = format!("{region}{century}{rest}");
    match resident_id_check(&first17) {
        Some(check) => format!("{first17}{check}"),
        None => number,
    }
}

/// Takes off what is dialled before a mobile number.
fn mobile(number: String) -> String {
    let is_mobile = |rest: &&str| rest.len() == 11 && rest.starts_with('1');
    let bare = ["0086", "86", "0"].iter().find_map(|code| number.strip_prefix(code).filter(is_mobile));
    bare.map(str::to_owned).unwrap_or(number)
}

/// The check character of a resident identity number (GB 11643-1999, ISO 7064 MOD 11-2) from its
/// first 17 digits; nothing unless they are 17 digits.
#[inline]
#[must_use]
pub fn resident_id_check(first17: &str) -> Option<char> {
    const WEIGHTS: [u16; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let first17 = first17.as_bytes().first_chunk::<17>().filter(|_| first17.len() == 17)?;
    // No early way out: all digits are looked at side by side. Whatever the bytes are, the sum is below 2^16.
    let (mut sum, mut highest) = (0_u16, 0);
    for (byte, weight) in first17.iter().zip(WEIGHTS) {
        let digit = byte.wrapping_sub(b'0');
        highest = digit.max(highest);
        sum = sum.wrapping_add(u16::from(digit).wrapping_mul(weight));
    }
    if highest > 9 {
        return None;
    }
    CHECKS.get(usize::from(sum % 11)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_are_one_subject() {
        for (kind, normal, spellings) in [
            (
                "resident-id",
                "11010519491231002X",
                &[
                    "11010519491231002X",
                    "11010519491231002x",
                    " 110105 19491231 002X\n",
                    "110105-19491231-002X",
                    "１１０１０５１９４９１２３１００２Ｘ",
                    "11010519491231002ｘ",
                    "11010519491231002Ⅹ",
                    "110105\u{3000}1949\u{200b}1231\u{a0}002X",
                    "\u{feff}11010519491231002X",
                    "110105491231002",
                    "110105 491231 002",
                    "１１０１０５４９１２３１００２",
                ][..],
            ),
            ("resident-id", "110105189912319968", &["110105991231996"]),
            ("resident-id", "110105", &["110105"]),
            ("resident-id", "1101054912310O2", &["1101054912310O2"]),
            (
                "mobile",
                "13800138000",
                &[
                    "13800138000",
                    "138 0013 8000",
                    "138-0013-8000",
                    "+86 138 0013 8000",
                    "+8613800138000",
                    "0086-13800138000",
                    "8613800138000",
                    "(+86) 138.0013.8000",
                    "013800138000",
                    "＋８６１３８００１３８０００",
                ],
            ),
            ("mobile", "86123", &["86123"]),
            (
                "credit-code",
                "91330100MA27XL0Q5B",
                &["91330100MA27XL0Q5B", "91330100ma27xl0q5b", "9133 0100 MA27XL0Q5B"],
            ),
            ("account", "A-1 b", &["A-1 b", "  A-1 b\t"]),
        ] {
            let kind = SubjectKind::parse(kind).unwrap();
            for text in spellings {
                assert_eq!(Subject::new(&kind, text).unwrap().expose(), normal, "{text:?}");
            }
        }
    }

    /// What databases compare as equal (the digits of all scripts have the weights of those of ASCII, UTS 10) and what
    /// programs read as numbers (`Character.digit` of Java, `int` of Python) is one subject, too.
    #[test]
    fn digits_of_any_script_are_the_digits_they_are() {
        let kind = SubjectKind::parse("resident-id").unwrap();
        let in_script = |zero: u32, last: char| {
            let digits = "11010519491231002".bytes().map(|byte| zero + u32::from(byte - b'0'));
            digits.filter_map(char::from_u32).chain([last]).collect::<String>()
        };
        for text in [
            in_script(0x660, 'X'),
            in_script(0x6F0, 'x'),
            in_script(0x966, 'X'),
            in_script(0x1D7CE, 'X'),
            in_script(0x1D7F6, '\u{1D6A1}'),
            in_script(0x30, '\u{24CD}'),
        ] {
            assert_eq!(Subject::new(&kind, &text).unwrap().expose(), "11010519491231002X", "{text}");
        }
    }

    #[test]
    fn nothing_is_nobody() {
        for kind in ["resident-id", "mobile", "credit-code", "account"] {
            let kind = SubjectKind::parse(kind).unwrap();
            assert_eq!(Subject::new(&kind, " \u{3000}\n"), None);
        }
    }

    #[test]
    fn a_subject_does_not_print() {
        let kind = SubjectKind::parse("mobile").unwrap();
        let shown = format!("{:?}", Subject::new(&kind, "13800138000").unwrap());
        assert_eq!(shown, "Subject(mobile, ***)");
    }
}
