//! Unified social credit codes (统一社会信用代码, GB 32100-2015).

use super::is_province;

/// The characters of a code: no I, O, S, V, Z.
const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The registering authority (登记管理部门) and the categories of bodies (机构类别) that it registers.
const REGISTERS: [(char, &str); 12] = [
    ('1', "1239"),
    ('2', "19"),
    ('3', "123459"),
    ('4', "19"),
    ('5', "1239"),
    ('6', "129"),
    ('7', "129"),
    ('8', "19"),
    ('9', "123"),
    ('A', "19"),
    ('N', "1239"),
    ('Y', "1"),
];

/// What stands for a region where the State's own register is meant.
const NATIONAL: &str = "100000";

/// The check character of a unified social credit code (GB 32100-2015, MOD 31) from its first 17
/// characters; nothing unless they are 17 characters of its alphabet.
#[must_use]
pub fn credit_code_check(first17: &str) -> Option<char> {
    if first17.len() != 17 {
        return None;
    }
    let mut sum: usize = 0;
    let mut weight = 1;
    for character in first17.chars() {
        sum += ALPHABET.find(character)? * weight;
        weight = weight * 3 % 31;
    }
    ALPHABET.chars().nth((31 - sum % 31) % 31)
}

/// The check character of an organisation code (组织机构代码, GB 11714-1997, MOD 11) from its first 8
/// characters; nothing unless they are 8 digits or capital letters.
#[must_use]
pub fn organisation_code_check(first8: &str) -> Option<char> {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    if first8.len() != WEIGHTS.len() {
        return None;
    }
    let mut sum = 0;
    for (character, weight) in first8.chars().zip(WEIGHTS) {
        sum += character.to_digit(36).filter(|_| !character.is_ascii_lowercase())? * weight;
    }
    match (11 - sum % 11) % 11 {
        10 => Some('X'),
        digit => char::from_digit(digit, 10),
    }
}

/// Whether `text` is a unified social credit code (统一社会信用代码): an authority and a category of
/// bodies that it registers, six digits for a region of the first level or for the State, an
/// organisation code with the right check character, and the right check character at the end.
#[must_use]
pub fn credit_code(text: &str) -> bool {
    parts(text).is_some_and(|[register, region, body, body_check, check]| {
        let mut register = register.chars();
        let is_register = register.next().is_some_and(|authority| {
            let categories = REGISTERS.iter().find(|(known, _)| *known == authority);
            categories.is_some_and(|(_, known)| register.next().is_some_and(|it| known.contains(it)))
        });
        let is_region = region.bytes().all(|byte| byte.is_ascii_digit())
            && (region == NATIONAL || region.as_bytes().get(..2).is_some_and(is_province));
        is_register
            && is_region
            && organisation_code_check(body).is_some_and(|right| body_check.chars().eq([right]))
            && text.get(..17).and_then(credit_code_check).is_some_and(|right| check.chars().eq([right]))
    })
}

/// Authority and category, region, the organisation code and its check character, the check character.
fn parts(text: &str) -> Option<[&str; 5]> {
    if text.len() != 18 {
        return None;
    }
    Some([text.get(..2)?, text.get(2..8)?, text.get(8..16)?, text.get(16..17)?, text.get(17..)?])
}
