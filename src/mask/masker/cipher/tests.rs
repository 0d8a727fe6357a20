use proptest::prelude::*;

use super::super::super::notation::Json;
use super::*;

const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const REGION: Form = Form::ResidentId { is_region_kept: true };
const PROVINCE: Form = Form::ResidentId { is_region_kept: false };
const ALL: [Form; 6] = [REGION, PROVINCE, Form::Mobile, Form::BankCard, Form::CreditCode, Form::Digits];

fn turned(form: Form, key: &[u8; 32], text: &str, turn: Turn) -> Option<String> {
    let mut out = Vec::new();
    FittedCipher::new(key, form).unwrap().turn::<Json>(text, turn, &mut out)?;
    Some(serde_json::from_slice(&out).unwrap())
}

fn encrypted(form: Form, text: &str) -> Option<String> {
    turned(form, &KEY, text, Cipher::encrypt)
}

fn decrypted(form: Form, text: &str) -> Option<String> {
    turned(form, &KEY, text, Cipher::decrypt)
}

fn is_of(form: Form, text: &str) -> bool {
    match form {
        Form::ResidentId { .. } => recognise::resident_id(text),
        Form::Mobile => recognise::mobile(text),
        Form::BankCard => recognise::bank_card(text),
        Form::CreditCode => recognise::credit_code(text),
        Form::Digits => (6..=36).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// What encryption must not change: everything but letters and digits, and the kept front.
fn shape(form: Form, text: &str) -> (String, String) {
    let kept = match form {
        REGION | Form::BankCard => 6,
        Form::ResidentId { .. } => 2,
        Form::CreditCode => 8,
        Form::Mobile | Form::Digits => 0,
    };
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let between = text.chars().map(|c| if c.is_ascii_alphanumeric() { '0' } else { c }).collect();
    (plain.chars().take(kept).collect(), between)
}

fn with_check(body: &str, check: impl Fn(&str) -> Option<char>) -> String {
    format!("{body}{}", check(body).unwrap())
}

fn resident_ids() -> impl Strategy<Value = String> {
    let regions = prop::sample::select(vec!["11", "34", "65", "81", "82", "83", "71", "92"]);
    let eras = (1900_u16..2100, 1_u8..=12, 1_u8..=28);
    (regions, 0..10_000, eras, 0..1_000).prop_map(|(province, place, (year, month, day), sequence)| {
        let body = format!("{province}{place:04}{year:04}{month:02}{day:02}{sequence:03}");
        with_check(&body, recognise::resident_id_check)
    })
}

fn credit_codes() -> impl Strategy<Value = String> {
    ("(91|11|52|N2|Y1)(100000|34[0-9]{4})", "[0-9A-HJ-NPQRTUWXY]{8}").prop_map(|(front, body)| {
        let body = with_check(&body, recognise::organisation_code_check);
        with_check(&format!("{front}{body}"), recognise::credit_code_check)
    })
}

fn cards() -> impl Strategy<Value = String> {
    ("[2-69][0-9]{11,17}", any::<bool>()).prop_map(|(body, grouped)| {
        let card = with_check(&body, recognise::luhn_check);
        let ((first, rest), (_, third)) = (card.split_at(4), card.split_at(8));
        if grouped { format!("{first} {}-{third}", rest.strip_suffix(third).unwrap()) } else { card }
    })
}

fn values() -> impl Strategy<Value = (Form, String)> {
    prop_oneof![
        resident_ids().prop_map(|text| (REGION, text)),
        resident_ids().prop_map(|text| (PROVINCE, text)),
        "(\\+86|0086 |86-)?1[3-9][0-9](-)?[0-9]{4}( )?[0-9]{4}".prop_map(|text| (Form::Mobile, text)),
        cards().prop_map(|text| (Form::BankCard, text)),
        credit_codes().prop_map(|text| (Form::CreditCode, text)),
        "[0-9]{6,36}".prop_map(|text| (Form::Digits, text)),
    ]
}

#[test]
fn a_valid_value_becomes_another() {
    for (form, text, expected) in [
        (REGION, "11010519491231002X", "110105"),
        (PROVINCE, "11010519491231002x", "11"),
        (Form::Mobile, "+86 138-0013-8000", "+86 1"),
        (Form::BankCard, "4111 1111 1111 1111", "4111 11"),
        (Form::CreditCode, "91350100M000100Y43", "91350100"),
        (Form::Digits, "000000", ""),
    ] {
        let left = encrypted(form, text).unwrap();
        assert!(left.starts_with(expected) && left != text, "{text} becomes {left}");
        assert!(is_of(form, &left), "{text} becomes {left}");
        assert_eq!(decrypted(form, &left).unwrap(), text.replace('x', "X"));
        assert_eq!(encrypted(form, text).unwrap(), left);
    }
}

/// What is written today must be written tomorrow: whoever joins by these values keeps them.
#[test]
fn values_do_not_change_with_the_code() {
    let left: Vec<String> = [
        (REGION, "11010519491231002X"),
        (PROVINCE, "11010519491231002X"),
        (Form::Mobile, "13800138000"),
        (Form::BankCard, "4111111111111111"),
        (Form::CreditCode, "91350100M000100Y43"),
        (Form::Digits, "123456789012345678901234567890123456"),
    ]
    .iter()
    .map(|(form, text)| encrypted(*form, text).unwrap())
    .collect();
    let expected = [
        "110105193803213410",
        "117452198609010329",
        "19790675846",
        "4111116496575756",
        "91350100D83NE2TH6K",
        "865744958161451348670587289749382630",
    ];
    assert_eq!(left, expected);
}

#[test]
fn what_is_not_of_the_form_is_not_encrypted() {
    for (form, text) in [
        (REGION, "110105194912310021"),
        (REGION, "440524188001010014"),
        (Form::Mobile, "12800138000"),
        (Form::Mobile, "0551-63605678"),
        (Form::BankCard, "4111111111111112"),
        (Form::CreditCode, "91350100M000100Y44"),
        (Form::Digits, "12345"),
        (Form::Digits, "1234567890123456789012345678901234567"),
        (Form::Digits, "123 456"),
        (Form::Digits, "１２３４５６"),
        (Form::Digits, "-123456"),
    ] {
        assert_eq!(encrypted(form, text), None, "{text}");
    }
}

#[test]
fn a_birth_date_does_not_move_into_the_future() {
    for sequence in 0..300 {
        let before = with_check(&format!("34100220251231{sequence:03}"), recognise::resident_id_check);
        let after = with_check(&format!("34100220260101{sequence:03}"), recognise::resident_id_check);
        let year = |form, id: &str| encrypted(form, id).unwrap().get(6..10).unwrap().to_owned();
        assert!(year(REGION, &before).as_str() <= "2025");
        assert!(year(PROVINCE, &after).as_str() >= "2026");
    }
}

#[test]
fn the_radices_are_the_least_that_hold_their_sets() {
    let longest = ERAS.iter().map(|era| days_between(*era.start(), *era.end()).unwrap() + 1).max().unwrap();
    let (days, places) = (longest * SEQUENCES, longest * SEQUENCES * PLACES);
    let power = |radix: u32, numerals| u128::from(radix).pow(numerals);
    assert!(power(RADIX_OF_DAYS, 2) >= days && power(RADIX_OF_DAYS - 1, 2) < days);
    assert!(power(RADIX_OF_PLACES, 4) >= places && power(RADIX_OF_PLACES - 1, 4) < places);
    assert_eq!(power(CREDIT_RADIX, 8), 852_891_037_441);
}

proptest! {
    /// Encryption is a bijection on the values of a form: whatever it makes is one of them, and made
    /// from one only.
    #[test]
    fn every_value_has_a_stand_in_and_comes_back((form, text) in values()) {
        prop_assert!(is_of(form, &text), "{text}");
        let left = encrypted(form, &text).unwrap();
        prop_assert!(is_of(form, &left), "{} becomes {}", text, left);
        prop_assert_eq!(shape(form, &left), shape(form, &text));
        prop_assert_eq!(decrypted(form, &left), Some(text));
    }

    #[test]
    fn other_keys_and_forms_give_other_values((form, text) in values()) {
        let other = turned(form, &[7; 32], &text, Cipher::encrypt);
        // One in a million may be equal by chance.
        prop_assume!(text.len() > 9);
        prop_assert_ne!(other, encrypted(form, &text));
    }

    /// No text at all makes it panic, or write what is not of the form.
    #[test]
    fn anything_may_come(text in "\\PC{0,40}|[0-9X +-]{0,40}") {
        for form in ALL {
            if let Some(left) = encrypted(form, &text) {
                prop_assert!(is_of(form, &left) && is_of(form, &text));
            }
        }
    }
}
