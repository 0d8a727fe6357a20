//! How programs behind the gate may read a text that the gate reads strictly.
//!
//! Databases and frameworks bring texts to a normal form, take the digits of every script for numbers, and part
//! several values that stand in one. Whoever judges a text must see what they would.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// The zeros of all scripts that have decimal digits (`Nd` of Unicode 16), but for those that are digits of ASCII in the
/// normal form: each is followed by the other nine.
const ZEROS: [u32; 68] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x10d40, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730,
    0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50,
    0x16d70, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950,
];

/// `text` as programs have it that compare loosely: in normal form KC (Unicode, annex 15), with the digits of every
/// script as those of ASCII, whose weight they have when databases compare (UTS 10).
#[must_use]
pub fn normalized(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfkc().map(digit_or_same).collect()) }
}

fn digit_or_same(c: char) -> char {
    let after = ZEROS.partition_point(|zero| *zero <= u32::from(c));
    let zero = after.checked_sub(1).and_then(|place| ZEROS.get(place));
    zero.and_then(|zero| char::from_digit(u32::from(c).checked_sub(*zero).filter(|digit| *digit < 10)?, 10))
        .unwrap_or(c)
}

/// Whether programs part several values in one text by `sign`: in OpenAPI 3 `,`, blank and `|`; `;` and `、` besides; and
/// whatever is one of these in its normal form, as on Chinese keyboards.
#[must_use]
pub fn parts_values(sign: char) -> bool {
    let parts = |sign: char| matches!(sign, ',' | ';' | '|' | '、') || sign.is_whitespace();
    if sign.is_ascii() {
        return parts(sign);
    }
    // One that becomes a blank and a mark upon it parts nothing: what follows begins with the mark.
    let mut normal = std::iter::once(sign).nfkc();
    parts(sign) || (normal.next().is_some_and(parts) && normal.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_all_scripts_are_digits() {
        let digit = regex::Regex::new(r"\A\d\z").unwrap();
        let mut scripts = 0;
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let normal = normalized(&text);
            if digit.is_match(&text) {
                assert!(normal.len() == 1 && normal.as_bytes()[0].is_ascii_digit(), "{c:?} is {normal:?}");
                scripts += usize::from(&*normal == "0");
            } else if text.nfkc().eq(text.chars()) {
                assert_eq!(normal, text, "{c:?}");
            }
        }
        assert!(scripts >= ZEROS.len(), "{scripts}");
    }

    #[test]
    fn loose_spellings_are_one() {
        for text in ["ＡＢＣ－１２", "𝐀𝐁𝐂-𝟏𝟐", "ＡＢＣ-١٢", "ⒶⒷⒸ-①②"] {
            assert_eq!(normalized(text), "ABC-12", "{text}");
        }
        assert_eq!(normalized("é"), normalized("e\u{301}"));
        assert!(matches!(normalized("area"), Cow::Borrowed("area")));
    }

    #[test]
    fn what_parts_values_does_so_in_every_width() {
        for sign in [
            ',', ';', '|', '、', ' ', '\t', '\u{a0}', '\u{3000}', '，', '；', '｜', '\u{37E}', '\u{FE50}',
            '\u{FE10}', '\u{FE54}', '\u{FE14}', '\u{FF64}', '\u{FE51}', '\u{FE11}',
        ] {
            assert!(parts_values(sign), "{sign:?}");
        }
        for sign in ['-', '.', '/', ':', '_', '·', '´', '¨', '年', '\u{200b}'] {
            assert!(!parts_values(sign), "{sign:?}");
        }
    }
}
