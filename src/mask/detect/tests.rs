use proptest::prelude::*;

use super::*;
use crate::catalog::Identifier::{BankCard, CreditCode, Mobile, ResidentId};
use crate::mask::recognise;

fn kinds(found: Found) -> Vec<Identifier> {
    found.iter().flat_map(|(kind, count)| (0..count).map(move |_| kind)).collect()
}

/// The same is found however the text is cut.
#[track_caller]
fn check(text: &str, expected: &[Identifier]) {
    assert_eq!(kinds(Detector::find(text)), expected, "{text}");
    for size in [1, 2, 3, 7] {
        let mut detector = Detector::default();
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(size) {
            detector.text(&piece.iter().collect::<String>());
        }
        assert_eq!(kinds(detector.end()), expected, "{text} by {size}");
    }
    for (at, _) in text.char_indices() {
        let (front, back) = text.split_at(at);
        let mut detector = Detector::default();
        detector.text(front);
        detector.text(back);
        assert_eq!(kinds(detector.end()), expected, "{text} cut at {at}");
    }
}

#[test]
fn identifiers_are_found_in_what_people_write() {
    for text in [
        "11010519491231002X",
        "110105 19491231 002x",
        "身份证号11010519491231002X，已核验",
        "身份证:440524188001010014。",
        "ID 1101051949 11010519491231002x",
        "sfz11010519491231002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105-1949-1231-002X",
        "440524-18800101-0014 张三",
        "440524188001010014zhangsan",
        "身份证440524188001010014kahao6222",
        "11010519491231002Xzhangsan",
        "11010519491231002xxu",
        "sfz11010519491231002X1",
    ] {
        check(text, &[ResidentId]);
    }
    for text in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "卡号4111-1111-1111-1111转",
        "6222020000000000000",
        "6222 0200 0000 0000 000",
        "622202 0000000000000",
        "378282246310005",
        "3782 822463 10005",
        "no.4111111111111111a",
    ] {
        check(text, &[BankCard]);
    }
    for text in [
        "91350100M000100Y43",
        "统一代码91350100m000100y43有效",
        "91110000600037341L",
        "９１３５０１００Ｍ０００１００Ｙ４３",
    ] {
        check(text, &[CreditCode]);
    }
    check("身份证440524188001010014tel13800138000", &[ResidentId, Mobile]);
    check(
        "张三 11010519491231002X 13800138000,13800138001;4111111111111111",
        &[ResidentId, Mobile, Mobile, BankCard],
    );
}

#[test]
fn mobiles_are_found_in_what_people_write() {
    for text in [
        "13800138000",
        "电话13800138000张三",
        "+8613800138000",
        "+86 138-0013-8000",
        "0086 138 0013 8000",
        "008613800138000",
        "86-13800138000",
        "+86138 0013 8000",
        "１３８００１３８０００",
        "１３８－００１３－８０００",
        "138\u{a0}0013\u{a0}8000",
        "138\t0013\u{2009}8000",
        "138\u{202f}0013\u{205f}8000",
        "138\u{2212}0013\u{2015}8000",
        "138.0013.8000",
        "+86．138．0013．8000",
        "\u{202d}13800138000\u{202c}",
        "138\u{200b}0013\u{200b}8000",
        "1\u{ad}3\u{2060}8\u{feff}0\u{200d}0138000",
        "138 \u{200b}0013\u{200b} 8000",
        "a\u{200b}13800138000\u{200b}b",
        "1380 013 8000",
        "138 001 38000",
        "138-00138000",
        "TEL13800138000x",
        "13800138000x",
        "13800138000Xu",
        "2026-05-01 13800138000",
        "2026-05-01 138 0013 8000",
        "3 138 0013 8000",
        "1.13800138000",
        "(13800138000)",
        "abc1de13800138000",
    ] {
        check(text, &[Mobile]);
    }
}

#[test]
fn other_numbers_are_not() {
    for text in [
        "",
        "备注",
        "2026-05-01 10:30:00",
        "20260501103000123456",
        "110105194912310021",
        "11010519491331002X",
        "1110105194912310021X",
        "440524188001010014a3b0c44298fc1c",
        "113800138000",
        "138001380001",
        "1380013800",
        "12800138000",
        "138  0013 8000",
        "138\u{200b}\u{200b}00138000",
        "138\u{200b}\u{200b}\u{200b}00138000",
        "138\r\n0013\r\n8000",
        "138..0013.8000",
        "138.00138000",
        "137.58123456",
        "622202.0000000000000",
        "3.138.00138000",
        "138 00138 000",
        "1990-03-07-123",
        "135 20240501",
        "0559-2512345",
        "1764316800000",
        "4111111111111112",
        "41111111111111111111",
        "9111111111111111",
        "91350100M000100Y44",
        "91350100M000100Y431",
        "913501OOM000100Y43",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "13800138000a3b0c44298fc1c149afbf",
        "01890a5d-ac96-774b-bcce-b302099a8057",
    ] {
        check(text, &[]);
    }
}

/// What Unicode calls ignorable (`Default_Ignorable_Code_Point`), up to U+FFFF: nobody sees any of it.
#[test]
fn whatever_nobody_sees_is_passed_over() {
    let ignorable = [
        0xAD..=0xAD_u32,
        0x34F..=0x34F,
        0x61C..=0x61C,
        0x115F..=0x1160,
        0x17B4..=0x17B5,
        0x180B..=0x180F,
        0x200B..=0x200F,
        0x202A..=0x202E,
        0x2060..=0x206F,
        0x3164..=0x3164,
        0xFE00..=0xFE0F,
        0xFEFF..=0xFEFF,
        0xFFA0..=0xFFA0,
        0xFFF0..=0xFFF8,
    ];
    let is_missed = |c: &char| kinds(Detector::find(&format!("138{c}00138000"))) != [Mobile];
    let missed: Vec<_> =
        ignorable.into_iter().flatten().filter_map(char::from_u32).filter(is_missed).collect();
    assert!(missed.is_empty(), "a number leaves with one of these in it: {missed:?}");
}

/// A list whose marks nobody sees is a list.
#[test]
fn what_nobody_sees_parts_whole_numbers() {
    check("13800138000\u{200b}13900139000", &[Mobile, Mobile]);
    check("tel13800138000\u{ad}11010519491231002X\u{feff}13900139000", &[ResidentId, Mobile, Mobile]);
    check("13800138000\u{200b}5", &[Mobile]);
    check("13800138000ffffffffff\u{feff}fffffffffff", &[Mobile]);
    check("138-0013-8000\u{200b}139-0013-9000", &[Mobile, Mobile]);
    check("138 0013 8000\u{ad}13900139000", &[Mobile, Mobile]);
    check("110105-19491231-002X\u{200b}a", &[ResidentId]);
    check("91350100M000100Y43\u{200b}abc", &[CreditCode]);
    check("9135\u{200b}0100M000100Y43", &[CreditCode]);
    check("tel\u{202d}138-0013-8000\u{202c}tel", &[Mobile]);
    check("138\u{1680}0013\u{1680}8000 1380013\u{61c}9000", &[Mobile, Mobile]);
    check("5\u{200b}13800138000", &[]);
}

#[test]
fn numbers_are_looked_at_as_whole_numbers() {
    for (number, expected) in [
        ("13800138000", Some(Mobile)),
        ("-13800138000", Some(Mobile)),
        ("+8613800138000", Some(Mobile)),
        ("+13800138000.0", Some(Mobile)),
        ("1.3800138E10", Some(Mobile)),
        ("1.3800138e+10", Some(Mobile)),
        ("13800138000.00", Some(Mobile)),
        ("138001380000000e-4", Some(Mobile)),
        ("440524188001010014", Some(ResidentId)),
        ("4111111111111111", Some(BankCard)),
        ("13800138000.5", None),
        ("0.13800138000", None),
        ("1.3800138E11", None),
        ("1.3800138E999999999999999999999", None),
        ("1e9223372036854775807", None),
        ("1E18", None),
        ("0", None),
        ("-", None),
        ("0.0", None),
        ("1e-5", None),
    ] {
        assert_eq!(kinds(Detector::find_in_number(number)), Vec::from_iter(expected), "{number}");
    }
}

/// Digits with the check character that makes them what `kind` is.
fn planted(kind: Identifier, seed: u64) -> String {
    let digits = |count: usize, salt: u64| -> String {
        let mut state = seed ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + u8::try_from(state >> 60).unwrap() % 10)
        };
        (0..count).map(|_| next()).collect()
    };
    match kind {
        Mobile => format!("1{}{}", 3 + seed % 7, digits(9, 1)),
        ResidentId => {
            let first17 = format!(
                "3410{:02}{}{:02}{:02}{}",
                seed % 30,
                1950 + seed % 70,
                1 + seed % 12,
                1 + seed % 28,
                digits(3, 2)
            );
            let check = recognise::resident_id_check(&first17).unwrap();
            format!("{first17}{check}")
        }
        BankCard => {
            let payload = format!("62{}", digits(13 + usize::try_from(seed % 4).unwrap(), 3));
            let check = recognise::luhn_check(&payload).unwrap();
            format!("{payload}{check}")
        }
        CreditCode => {
            let organisation = format!("MA{}", digits(6, 5));
            let own_check = recognise::organisation_code_check(&organisation).unwrap();
            let first17 = format!("9134{}{organisation}{own_check}", digits(4, 4));
            let check = recognise::credit_code_check(&first17).unwrap();
            format!("{first17}{check}")
        }
    }
}

fn wide(text: &str) -> String {
    text.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect()
}

/// A character that is of no word and between no groups.
const NEUTRAL: &str = "[^0-9A-Za-z０-９Ａ-Ｚａ-ｚ\\t .．\\-－\u{a0}\u{2000}-\u{200a}\u{2010}-\u{2015}\u{202f}\u{205f}\u{2212}\u{1680}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}-\u{180f}\u{3164}\u{ffa0}\u{fff0}-\u{fff8}\
                       \u{3000}\u{ad}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{fe00}-\u{fe0f}\u{feff}]";

/// Texts that an expression describes, with [`NEUTRAL`] for `~`.
fn texts(expression: &str) -> impl Strategy<Value = String> + use<> {
    prop::string::string_regex(&expression.replace('~', NEUTRAL)).unwrap()
}

fn in_pieces(text: &str, cuts: &[prop::sample::Index]) -> Found {
    let mut characters: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    for cut in cuts {
        pieces.push(characters.split_off(cut.index(characters.len() + 1)));
    }
    pieces.push(characters);
    let mut detector = Detector::default();
    for piece in pieces.iter().rev() {
        detector.text(&piece.iter().collect::<String>());
    }
    detector.end()
}

proptest! {
    #[test]
    fn what_is_planted_is_found_at_any_place_and_any_split(
        before in texts("(\\PC{0,40}~)?"),
        after in texts("(~\\PC{0,40}|[A-Za-zａ-ｚ]{1,12}[0-9]{0,4})?"),
        kind in prop::sample::select(&Identifier::ALL[..]),
        is_wide in any::<bool>(),
        seed in any::<u64>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        // A credit code has letters of its own: what follows it at once may be of it.
        prop_assume!(kind != CreditCode || !after.starts_with(|c| matches!(Symbol::of(c), Symbol::Letter(_))));
        let number = planted(kind, seed);
        // One card in many is another number too, by chance.
        let kind = match kind {
            BankCard if recognise::resident_id(&number) => ResidentId,
            BankCard if recognise::credit_code(&number) => CreditCode,
            Mobile | ResidentId | BankCard | CreditCode => kind,
        };
        let text = format!("{before}{}{after}", if is_wide { wide(&number) } else { number });
        let found = Detector::find(&text);
        prop_assert!(found.iter().any(|(other, _)| other == kind), "{kind:?} in {text}");
        prop_assert_eq!(in_pieces(&text, &cuts), found);
    }

    #[test]
    fn what_is_found_does_not_depend_on_the_pieces(
        text in "([1-8]{1,5}|138|0013|8000|13800138000|11010519491231002|[aXx１]|\u{200b}|[ .\t\u{2009}-]|中){0,24}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assert_eq!(in_pieces(&text, &cuts), Detector::find(&text));
    }

    #[test]
    fn fewer_digits_than_the_shortest_are_never_found(text in texts("([0-9０-９]{1,10}~){0,8}")) {
        prop_assert_eq!(Detector::find(&text), Found::default());
    }

    #[test]
    fn the_first_digit_is_where_it_is(text in "[a-z，。１0-9x]{0,80}|\\PC{0,80}") {
        let plain = text.char_indices().find(|(_, c)| matches!(Symbol::of(*c), Symbol::Digit(_)));
        prop_assert_eq!(next_digit(text.as_bytes()), plain.map_or(text.len(), |(at, _)| at));
    }
}

/// How many of a hundred thousand order numbers of `length` digits look like an identifier: what the
/// documentation says of them.
#[test]
fn order_numbers_are_rarely_taken_for_identifiers() {
    let mut state: u64 = 20_260_601;
    let mut digits = |length: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (u128::from(state) * 10_u128.pow(length)) >> 64;
        format!("{number:0width$}", width = usize::try_from(length).unwrap())
    };
    let mut rate = |length: u32| {
        let mut counts = Found::default();
        for _ in 0..100_000 {
            counts.add(&Detector::find(&digits(length)));
        }
        Identifier::ALL
            .map(|kind| counts.iter().find(|(other, _)| *other == kind).map_or(0, |(_, count)| count))
    };
    let eighteen = rate(18);
    let sixteen = rate(16);
    println!("18 digits: {eighteen:?}, 16 digits: {sixteen:?} of 100000");
    assert!(eighteen[0] < 20 && eighteen[1] == 0 && eighteen[2] < 200 && eighteen[3] < 100, "{eighteen:?}");
    assert!(eighteen.iter().sum::<u64>() < 250, "{eighteen:?}");
    assert!(sixteen[0] == 0 && sixteen[1] == 0 && sixteen[2] < 2_600 && sixteen[3] == 0, "{sixteen:?}");
}
