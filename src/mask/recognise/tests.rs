use proptest::prelude::*;

use super::date::Date;
use super::*;

#[test]
fn resident_ids() {
    // The example of GB 11643-1999, and one whose check character is X.
    assert_eq!(resident_id_check("11010519491231002"), Some('X'));
    assert_eq!(resident_id_check("44052418800101001"), Some('4'));
    for right in ["11010519491231002X", "11010519491231002x", "440524188001010014"] {
        assert!(resident_id(right), "{right}");
    }
    let with_check = |body: &str| format!("{body}{}", resident_id_check(body).unwrap());
    // By region: Taiwan, Hong Kong, Macao; permits of people from there; a foreigner's; none of these.
    for (region, is_known) in [
        ("71", true),
        ("81", true),
        ("82", true),
        ("83", true),
        ("93", true),
        ("90", false),
        ("97", false),
        ("66", false),
    ] {
        let id = with_check(&format!("{region}000019900307123"));
        assert_eq!(resident_id(&id), is_known, "{id}");
    }
    // By date: the day must exist, in a year from 1850 to 2099.
    for (date, is_known) in [
        ("18491231", false),
        ("18500101", true),
        ("20991231", true),
        ("21000101", false),
        ("20000229", true),
        ("19000229", false),
        ("20230431", false),
        ("20231301", false),
        ("20230100", false),
    ] {
        let id = with_check(&format!("341002{date}123"));
        assert_eq!(resident_id(&id), is_known, "{id}");
    }
    for wrong in [
        "",
        "110105194912310021",
        "11010519490231002X",
        "1101051949123100",
        "１１010519491231002X",
        "11010519491231002X ",
        "010105194912310029",
        "110105491231002",
        "11010519491231002X1",
        "身份证身份证",
    ] {
        assert!(!resident_id(wrong), "{wrong}");
    }
}

#[test]
fn credit_codes() {
    // The example of GB 32100-2015, and codes that companies print on their web sites.
    for right in ["91350100M000100Y43", "91110000600037341L", "9144030071526726XG", "91110000802100433B"] {
        assert!(credit_code(right), "{right}");
    }
    for wrong in ["", "91350100M000100Y44", "91350100m000100y43", "91350100I000100Y43", "91350100M000100Y4"] {
        assert!(!credit_code(wrong), "{wrong}");
    }
}

#[test]
fn credit_codes_have_an_authority_a_region_and_a_body() {
    // The example of GB 11714.
    assert_eq!(organisation_code_check("D2143569"), Some('X'));
    assert_eq!(organisation_code_check("d2143569"), None);
    assert_eq!(organisation_code_check("D214356"), None);
    for (body, is_right) in [
        ("91100000600037341", true),
        ("12341000600037341", true),
        ("Y1341000D2143569X", true),
        ("N2341000D2143569X", true),
        ("A9110000D2143569X", true),
        // No such authority, no such category of it, no such region.
        ("B1341000D2143569X", false),
        ("94341000D2143569X", false),
        ("Y2341000D2143569X", false),
        ("9X341000D2143569X", false),
        ("91991000D2143569X", false),
        ("91101000D2143569X", false),
        ("9134100AD2143569X", false),
        // A wrong check character of the organisation code.
        ("91341000D21435690", false),
        ("91341000D2143569A", false),
    ] {
        let code = format!("{body}{}", credit_code_check(body).unwrap());
        assert_eq!(credit_code(&code), is_right, "{code}");
    }
}

#[test]
fn cards() {
    assert_eq!(luhn_check("7992739871"), Some('3'));
    assert_eq!(luhn_check(""), None);
    for right in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "6200000000000005",
        "6205500000000000004",
    ] {
        assert!(bank_card(right), "{right}");
    }
    // By issuer: milliseconds since 1970 and the numbers of SIM cards have right check digits too.
    for (body, is_known) in [
        ("411111111111111", true),
        ("955882020000132377", true),
        ("37828224631000", true),
        ("170000000000", false),
        ("898601234567890123", false),
        ("000000000000000", false),
        ("711111111111111", false),
    ] {
        let card = format!("{body}{}", luhn_check(body).unwrap());
        assert_eq!(bank_card(&card), is_known, "{card}");
    }
    for wrong in [
        "",
        "4111111111111112",
        "4111  111111111111",
        "411111111111",
        "41111111111111111111",
        "4111 1111 1111 111x",
        " 4111111111111111",
    ] {
        assert!(!bank_card(wrong), "{wrong}");
    }
}

#[test]
fn mobiles() {
    for right in [
        "13800138000",
        "+8613800138000",
        "+86 13800138000",
        "008613800138000",
        "86-138-0013-8000",
        "138 0013 8000",
    ] {
        assert!(mobile(right), "{right}");
    }
    for wrong in [
        "",
        "12800138000",
        "1380013800",
        "138001380001",
        "138  00138000",
        "１3800138000",
        "0551-63605678",
        "+8713800138000",
        "13800138000 ",
    ] {
        assert!(!mobile(wrong), "{wrong}");
    }
}

#[test]
fn landlines() {
    for (right, front, local, extension) in [
        ("0559-2512345", "0559-", "2512345", ""),
        ("05592512345", "0559", "2512345", ""),
        ("0551 63605678", "0551 ", "63605678", ""),
        ("(0551)63605678", "(0551)", "63605678", ""),
        ("(0551) 6360-5678", "(0551) ", "6360-5678", ""),
        ("010-88886666", "010-", "88886666", ""),
        ("01088886666", "010", "88886666", ""),
        ("021 5888 6666", "021 ", "5888 6666", ""),
        ("0559-251 2345", "0559-", "251 2345", ""),
        ("0551-63605678-801", "0551-", "63605678", "-801"),
        ("0551-63605678转8012", "0551-", "63605678", "转8012"),
        ("+86-551-63605678", "+86-551-", "63605678", ""),
        ("+86 0551-63605678", "+86 0551-", "63605678", ""),
        ("+86 (0551) 63605678", "+86 (0551) ", "63605678", ""),
        ("0086 10 88886666", "0086 10 ", "88886666", ""),
        ("400-123-4567", "400-", "123-4567", ""),
        ("4001234567", "400", "1234567", ""),
        ("800 810 8888", "800 ", "810 8888", ""),
    ] {
        assert_eq!(landline_parts(right), Some([front, local, extension]), "{right}");
        assert!(phone(right) && !mobile(right), "{right}");
    }
    for wrong in [
        "",
        "2512345",
        "551-63605678",
        "0559-1512345",
        "0559-9512345",
        "0559-251234",
        "0559-251234567",
        "0559--2512345",
        "(0559 2512345",
        "0559) 2512345",
        "((0559)2512345",
        "010-8888666",
        "0159-2512345",
        "0059-2512345",
        "0551-63605678-",
        "0551-63605678-8012345",
        "0551-63605678 801",
        "0551－63605678",
        "+87-551-63605678",
        "400-123-456",
        "400-123-45678",
        "110",
        "12345",
        "95588",
        "13800138000",
    ] {
        assert_eq!(landline_parts(wrong), None, "{wrong}");
    }
}

#[test]
fn passports() {
    for right in ["E12345678", "EA1234567", "G12345678", "141234567", "H12345678", "C12345678", "PE1234567"] {
        assert!(passport(right), "{right}");
    }
    for wrong in
        ["", "E1234567", "E123456789", "e12345678", "1E2345678", "131234567", "Ｅ12345678", "EAA123456"]
    {
        assert!(!passport(wrong), "{wrong}");
    }
}

#[test]
fn coordinates() {
    for (text, decimals, expected) in [
        ("118.337481", 2, Some("118.33")),
        ("-0.999", 1, Some("-0.9")),
        ("29.7", 4, Some("29.7")),
        ("29", 2, Some("29")),
        ("118.337481", 0, Some("118")),
        ("180.5", 0, Some("180")),
        ("181.0", 2, None),
        ("1e2", 2, None),
        (".5", 2, None),
        ("5.", 2, None),
        ("+5.0", 2, None),
        ("--5.0", 2, None),
        ("1.2.3", 2, None),
        ("0118.3", 2, None),
        ("118.123456789012345678901", 2, None),
        ("", 2, None),
    ] {
        assert_eq!(coordinate(text, decimals), expected, "{text}");
    }
}

#[test]
fn emails() {
    for right in ["a@b.cn", "li.lei+x@163.com", "张三@例子.中国"] {
        assert!(email(right), "{right}");
    }
    for wrong in
        ["", "a@b", "@b.cn", "a b@c.cn", "\"a b\"@c.cn", "a@b..cn", "a@13800138000.cn", "a@b.cn ", "a@b@c.cn"]
    {
        assert!(!email(wrong), "{wrong}");
    }
}

#[test]
fn plates() {
    for right in ["皖A12345", "皖A·12345", "皖AD12345", "京A1234警", "粤Z1234港"] {
        assert!(plate(right), "{right}");
    }
    for wrong in ["", "皖A1234", "皖a12345", "皖A1234567", "XA12345", "皖A警1234", "皖A12I45", "皖A··12345"]
    {
        assert!(!plate(wrong), "{wrong}");
    }
}

#[test]
fn dates() {
    for right in [
        "1990-03-07",
        "1990/3/7",
        "1990.03.07",
        "19900307",
        "1990年3月7日",
        "1990-03-07T10:00:00Z",
        "1990-03-07 10:00:00.000",
    ] {
        assert_eq!(date(right), Some(Date { year: 1990, month: 3 }), "{right}");
    }
    for wrong in [
        "",
        "1990",
        "1990-02-29",
        "1990-13-01",
        "90-03-07",
        "1990-03/07",
        "19900230",
        "1990-03-07 secret",
        "1990年3月7",
        "+990-03-07",
        "1990-3",
    ] {
        assert_eq!(date(wrong), None, "{wrong}");
    }
}

/// The check character by the other way that ISO 7064 describes: digit by digit, the sum doubled each time.
fn resident_id_check_by_iso(first17: &str) -> char {
    let sum = first17.bytes().fold(0, |sum, byte| (sum + u32::from(byte - b'0')) * 2 % 11);
    match (12 - sum) % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap(),
    }
}

/// By Horner's scheme from the last character on: the weights are powers of three.
fn credit_code_check_by_horner(first17: &str) -> char {
    let alphabet: Vec<char> = ('0'..='9').chain('A'..='Z').filter(|c| !"IOSVZ".contains(*c)).collect();
    let value = |c: char| alphabet.iter().position(|known| *known == c).unwrap();
    let sum = first17.chars().rev().fold(0, |sum, c| (sum * 3 + value(c)) % 31);
    alphabet[(31 - sum) % 31]
}

/// By the table of doubled digits.
fn luhn_by_table(digits: &str) -> bool {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let digits: Vec<usize> = digits.bytes().rev().map(|byte| usize::from(byte - b'0')).collect();
    let odd: usize = digits.iter().step_by(2).sum();
    let even: u32 = digits.iter().skip(1).step_by(2).map(|digit| DOUBLED[*digit]).sum();
    (odd + usize::try_from(even).unwrap()).is_multiple_of(10)
}

fn resident_ids_of_anybody() -> impl Strategy<Value = String> {
    let regions = prop::sample::select(vec!["11", "34", "50", "65", "71", "81", "82", "83", "91", "96"]);
    (regions, "[0-9]{4}", 1850_u16..2100, 1_u8..=12, 1_u8..=28, "[0-9]{3}").prop_map(
        |(province, place, year, month, day, sequence)| {
            let body = format!("{province}{place}{year:04}{month:02}{day:02}{sequence}");
            let check = resident_id_check_by_iso(&body);
            format!("{body}{check}")
        },
    )
}

fn credit_codes_of_anybody() -> impl Strategy<Value = String> {
    let organisation_check = |body: &str| {
        let weights = [3, 7, 9, 10, 5, 8, 4, 2];
        let sum: u32 = body.chars().zip(weights).map(|(c, weight)| c.to_digit(36).unwrap() * weight).sum();
        ["0", "X", "9", "8", "7", "6", "5", "4", "3", "2", "1"][usize::try_from(sum % 11).unwrap()]
    };
    ("(91|92|11|12|31|51|52|N2|Y1)(100000|34[0-9]{4}|11[0-9]{4})", "[0-9A-HJ-NPQRTUWXY]{8}").prop_map(
        move |(front, body)| {
            let code = format!("{front}{body}{}", organisation_check(&body));
            let check = credit_code_check_by_horner(&code);
            format!("{code}{check}")
        },
    )
}

/// `text` with the character at `place` replaced by another one of `alphabet`.
fn with_one_changed(text: &str, place: usize, turn: usize, alphabet: &str) -> String {
    let place = place % text.len();
    let (front, rest) = text.split_at(place);
    let wrong = rest.chars().next().unwrap();
    let known = alphabet.find(wrong).unwrap();
    let other = (known + 1 + turn % (alphabet.len() - 1)) % alphabet.len();
    format!("{front}{}{}", alphabet.chars().nth(other).unwrap(), rest.strip_prefix(wrong).unwrap())
}

proptest! {
    #[test]
    fn no_digit_of_a_resident_id_can_be_wrong(id in resident_ids_of_anybody(), place in 0_usize..17, turn: usize) {
        prop_assert!(resident_id(&id), "{id}");
        let wrong = with_one_changed(&id, place, turn, "0123456789");
        prop_assert!(!resident_id(&wrong), "{wrong} for {id}");
        let (body, check) = id.split_at(17);
        let wrong = format!("{body}{}", with_one_changed(check, 0, turn, "0123456789X"));
        prop_assert!(!resident_id(&wrong), "{wrong} for {id}");
    }

    #[test]
    fn no_character_of_a_credit_code_can_be_wrong(code in credit_codes_of_anybody(), place: usize, turn: usize) {
        prop_assert!(credit_code(&code), "{code}");
        let wrong = with_one_changed(&code, place, turn, "0123456789ABCDEFGHJKLMNPQRTUWXY");
        prop_assert!(!credit_code(&wrong), "{wrong} for {code}");
    }

    #[test]
    fn no_digit_of_a_card_can_be_wrong(body in "[2-69][0-9]{11,17}", place: usize, turn: usize) {
        let right: Vec<String> =
            (0..10).map(|check| format!("{body}{check}")).filter(|card| bank_card(card)).collect();
        prop_assert_eq!(right.len(), 1);
        prop_assert!(luhn_by_table(&right[0]));
        let wrong = with_one_changed(&right[0], place, turn, "0123456789");
        prop_assert!(!bank_card(&wrong), "{} for {}", wrong, right[0]);
    }

    /// Full-width forms look the same to people and are none of these.
    #[test]
    fn full_width_is_not_recognised(text in "[0-9]{8,19}|1[3-9][0-9]{9}|0559-[2-8][0-9]{6}", place: usize) {
        let place = place % text.len();
        let wide: String = text.char_indices().map(|(at, c)| match c {
            '0'..='9' if at == place => char::from_u32(u32::from(c) - 0x30 + 0xFF10).unwrap(),
            other => other,
        }).collect();
        prop_assume!(wide != text);
        let recognisers =
            [resident_id, credit_code, bank_card, mobile, landline, phone, passport, email, plate];
        prop_assert!(recognisers.iter().all(|recognises| !recognises(&wide)), "{wide}");
        prop_assert!(date(&wide).is_none());
    }

    /// No text makes a recogniser panic, and what two of them know is what it says.
    #[test]
    fn anything_may_come(text in "\\PC{0,40}|[0-9A-Z+() -]{0,24}|[0-9]{0,20}") {
        let recognisers = [credit_code, mobile, landline, passport, email, plate];
        let known = recognisers.iter().filter(|recognises| recognises(&text)).count();
        prop_assert!(known <= 1, "{text}");
        prop_assert_eq!(phone(&text), mobile(&text) || landline(&text));
        if bank_card(&text) {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            prop_assert!(luhn_by_table(&digits) && (13..=19).contains(&digits.len()));
        }
        if let Some(parts) = landline_parts(&text) {
            prop_assert_eq!(parts.concat(), text.as_str());
            prop_assert!((7..=8).contains(&parts[1].bytes().filter(u8::is_ascii_digit).count()));
        }
        prop_assert!(!resident_id(&text) || text.len() == 18);
        let _: (Option<Date>, Option<&str>) = (date(&text), coordinate(&text, 2));
    }
}
