//! Check characters of the numbers that people, bodies and cards carry.
//!
//! Each function takes the number without its check character and gives that character, or `None`
//! where the number holds a character that it may not hold.

/// The check character of a resident ID (公民身份号码), GB 11643: ISO 7064 MOD 11-2 over 17 digits.
pub(super) fn resident_id(seventeen: &str) -> Option<char> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let sum = weighted(seventeen, &WEIGHTS, |c| c.to_digit(10))?;
    CHECKS.get(usize::try_from(sum % 11).ok()?).copied()
}

/// The check character of an organisation code (组织机构代码), GB 11714, over 8 characters.
pub(super) fn organisation(eight: &str) -> Option<char> {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let value = |c: char| if c.is_ascii_lowercase() { None } else { c.to_digit(36) };
    match 11 - weighted(eight, &WEIGHTS, value)? % 11 {
        10 => Some('X'),
        11 => Some('0'),
        digit => char::from_digit(digit, 10),
    }
}

/// The characters of a unified social credit code: no I, O, S, V, Z (GB 32100).
pub(super) const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The check character of a unified social credit code (统一社会信用代码), GB 32100: MOD 31 over 17
/// characters, weights 3^i mod 31.
pub(super) fn credit_code(seventeen: &str) -> Option<char> {
    const WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let value = |c: char| {
        let place = CREDIT_ALPHABET.iter().position(|&byte| char::from(byte) == c)?;
        u32::try_from(place).ok()
    };
    let check = (31 - weighted(seventeen, &WEIGHTS, value)? % 31) % 31;
    CREDIT_ALPHABET.get(usize::try_from(check).ok()?).map(|&byte| char::from(byte))
}

/// The check digit of a bank card, ISO/IEC 7812-1 annex B (Luhn).
pub(super) fn bank_card(body: &str) -> Option<char> {
    let mut sum = 0;
    // The digit beside the check digit is doubled, then every second one.
    for (place, c) in body.chars().rev().enumerate() {
        let digit = c.to_digit(10)?;
        sum += match (place % 2 == 0, digit * 2) {
            (true, doubled) if doubled > 9 => doubled - 9,
            (true, doubled) => doubled,
            (false, _) => digit,
        };
    }
    char::from_digit((10 - sum % 10) % 10, 10)
}

/// `body` and its check character.
pub(super) fn with_check(body: &str, check: fn(&str) -> Option<char>) -> String {
    let check = check(body);
    body.chars().chain(check).collect()
}

fn weighted(text: &str, weights: &[u32], value: impl Fn(char) -> Option<u32>) -> Option<u32> {
    if text.chars().count() != weights.len() {
        return None;
    }
    text.chars().zip(weights).try_fold(0, |sum, (c, weight)| Some(sum + value(c)? * weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: fn(&str) -> Option<char>, valid: &[&str]) {
        for number in valid {
            let (body, check) = number.split_at(number.len() - 1);
            assert_eq!(function(body), check.chars().next(), "{number}");
        }
    }

    #[test]
    fn known_valid_numbers() {
        // The two examples of GB 11643-1999 itself.
        check(resident_id, &["11010519491231002X", "440524188001010014"]);
        // Example of GB 11714, and the organisation codes inside the credit codes below.
        check(organisation, &["D2143569X", "600037341", "71526726X", "802100433"]);
        // Of companies that print theirs on their web sites.
        check(credit_code, &["91110000600037341L", "9144030071526726XG", "91110000802100433B"]);
        // Card networks' published test cards; the last two are UnionPay's with 16 and 19 digits.
        check(bank_card, &["79927398713", "4111111111111111", "6200000000000005", "6205500000000000004"]);
    }

    #[test]
    fn what_is_no_number_has_no_check() {
        assert_eq!(resident_id("1101051949123100"), None);
        assert_eq!(resident_id("1101051949123100X"), None);
        assert_eq!(organisation("d2143569"), None);
        assert_eq!(credit_code("9111000060003734I"), None);
        assert_eq!(bank_card("62x"), None);
    }

    #[test]
    fn the_credit_weights_are_powers_of_three() {
        // One wrong weight would change some check, so compare a number of ones in every place.
        for place in 0..17 {
            let mut body = [b'0'; 17];
            body[place] = b'1';
            let power = (0..place).fold(1, |power, _| power * 3 % 31);
            let expected = CREDIT_ALPHABET[(31 - power) % 31];
            assert_eq!(credit_code(std::str::from_utf8(&body).unwrap()), Some(char::from(expected)));
        }
    }
}
