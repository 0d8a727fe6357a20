use proptest::prelude::*;

use super::*;

fn formatted(text: impl AsRef<[u8]>) -> Formatted {
    format(Kind::Grants, "grants.csv", text.as_ref()).unwrap()
}

/// Formats rows, which must then be read strictly.
fn rows(text: impl AsRef<[u8]>) -> String {
    let formatted = formatted(text);
    assert!(!formatted.left.has_errors(), "{}", formatted.left);
    formatted.text
}

fn repairs(formatted: &Formatted) -> Vec<&'static str> {
    formatted.repairs.iter().map(|(repair, _)| repair.as_str()).collect()
}

#[test]
fn a_file_as_it_should_be_is_left_alone() {
    let plain = "\
# 授权
p, HS-1,  sys:aid,   person,  query, aid.*, name|id:clear, always,            allow
p, HS-10, group:all, company, *,     *,     *;area=34*,    2026-01-01/.. mon, deny

g, dept:aid, group:all
g2, person,   theme:subjects
g2, personal, theme:subjects
";
    let kept = formatted(plain);
    assert_eq!((kept.text.as_str(), repairs(&kept)), (plain, vec![]));
    assert_eq!(rows(""), "");
}

#[test]
fn what_excel_saves_is_repaired() {
    let saved = "\u{feff}# 授权，一行一条,,,,,,,,\r\n\
        \"p, HS-1, sys:aid, person, query, aid.*, name|phone, always, allow\",,,,,,,,\r\n\
        p,HS-2,sys:aid,person,query,aid.*,\"name|phone;area=3410*\",2026/1/1-2026/12/31 workday,Allow\r\n\
        \"# 注释, 带逗号\",,,,,,,,\r\n\
        ,,,,,,,,\r\n\
        g,dept:aid,group:all,,,,,,";
    let formatted = formatted(saved);
    insta::assert_snapshot!(formatted.text, @r"
    # 授权，一行一条
    p, HS-1, sys:aid, person, query, aid.*, name|phone,            always,                        allow
    p, HS-2, sys:aid, person, query, aid.*, name|phone;area=3410*, 2026-01-01/2026-12-31 workday, allow
    # 注释, 带逗号

    g, dept:aid, group:all
    ");
    assert_eq!(
        repairs(&formatted),
        [
            "byte-order-mark",
            "line-ends",
            "quoted-lines",
            "empty-columns",
            "quotes",
            "effect",
            "dates",
            "final-newline"
        ]
    );
}

/// `text` as a Chinese Windows writes it.
fn gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

#[test]
fn gbk_is_read_where_it_is_certain() {
    // 授权：社会救助 — in GBK.
    let bytes = b"# \xca\xda\xc8\xa8\xa3\xba\xc9\xe7\xbb\xe1\xbe\xc8\xd6\xfa\ng, dept:a, group:b\n";
    let read = formatted(bytes);
    assert_eq!(read.text, "# 授权：社会救助\ng, dept:a, group:b\n");
    assert_eq!(repairs(&read), ["gbk"]);
    assert_eq!(
        rows(gbk("# 朱镕基：社会救助系统查询人口\ng，dept:a，group:b\r\n")),
        "# 朱镕基：社会救助系统查询人口\ng, dept:a, group:b\n"
    );
    let refused = |bytes: &[u8]| format(Kind::Grants, "grants.csv", bytes).unwrap_err();
    // Big5: 民政局社會救助 decodes as GBK, into other characters.
    let big5 = encoding_rs::BIG5.encode("# 民政局社會救助業務系統\n").0.into_owned();
    assert!(matches!(refused(&big5), EncodingError::Unknown(_)));
    // Latin 1.
    assert!(matches!(refused(b"# caf\xe9 cr\xe8me\n"), EncodingError::Unknown(6)));
    // Cut within a character.
    assert!(matches!(refused(b"# \xca\xda\xc8"), EncodingError::Unknown(3)));
    assert_eq!(refused(b"g, a, b\n\0"), EncodingError::Nul(2));
    assert_eq!(refused(b"\xff\xfeg"), EncodingError::Utf16);
}

#[test]
fn utf_16_with_tabs_is_what_excel_calls_unicode_text() {
    let text =
        "p\tA-1\tsys:aid\tperson\tquery\taid.*\tname;area=1\talways\tALLOW\r\ng\tdept:a\t\"group:b\"\r\n";
    let units = |bytes: fn(u16) -> [u8; 2]| {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect::<Vec<u8>>()
    };
    for bytes in [units(u16::to_le_bytes), units(u16::to_be_bytes)] {
        assert_eq!(
            rows(bytes),
            "p, A-1, sys:aid, person, query, aid.*, name;area=1, always, allow\ng, dept:a, group:b\n"
        );
    }
}

#[test]
fn lines_are_repaired_one_by_one() {
    for (line, expected) in [
        ("g,a,b", "g, a, b"),
        ("  g ,  a  ,b ", "g, a, b"),
        ("g，a，b", "g, a, b"),
        ("g、a", "g、a"),
        ("g,\ta,\u{a0}b\u{200b}", "g, a, b"),
        ("g, “a”, \"b\"", "g, a, b"),
        ("g, \"a,b\", \"say \"\"c\"\"\"", "g, \"a,b\", \"say \"\"c\"\"\""),
        ("g, \" a \", b", "g, \" a \", b"),
        ("g, a, b,,,", "g, a, b"),
        ("g, a,,,", "g, a,,,"),
        ("g, a, ,", "g, a, ,"),
        ("\"g, a, b\"", "g, a, b"),
        ("\"g, \"\"a,b\"\", c\",,", "g, \"a,b\", c"),
        ("\"\"\"g, a, b\"\"\"", "\"\"\"g, a, b\"\"\""),
        ("＃ 注释", "# 注释"),
        ("\u{3000}# 注释  ", "# 注释"),
        ("  # 注释,", "  # 注释,"),
        ("# 注释 , ,,", "# 注释"),
        ("\tg\ta\tb", "\tg\ta\tb"),
        ("g;a;b", "g, a, b"),
        ("g;a", "g;a"),
        ("G, a, b", "G, a, b"),
        ("g, a\u{7}, b", "g, a\u{7}, b"),
        ("g, \"a, b", "g, \"a, b"),
    ] {
        assert_eq!(formatted(line).text, format!("{expected}\n"), "{line:?}");
        assert_eq!(formatted(expected).text, format!("{expected}\n"), "{line:?}");
    }
}

#[test]
fn terms_are_spelled_in_their_normal_form() {
    for (terms, expected) in [
        ("name | id : clear ; area = 1|2, always, allow", "name|id:clear;area=1|2, always, allow"),
        ("*;rows/day<=5;rows<=1, always, DENY", "*;rows<=1;rows/day<=5, always, deny"),
        ("*, 2026/1/1/2026/12/31, allow", "*, 2026-01-01/2026-12-31, allow"),
        ("*, 2026.1.1 - 2026.12.31  workday, allow", "*, 2026-01-01/2026-12-31 workday, allow"),
        ("*, 2026-1-1至2026-12-31, allow", "*, 2026-01-01/2026-12-31, allow"),
        ("*, ２０２６－０１－０１／２０２６－１２－３１, allow", "*, 2026-01-01/2026-12-31, allow"),
        // Which is the day and which the month is not certain, and no date is made up.
        ("*, 1/2/2026-12/31/2026, allow", "*, 1/2/2026-12/31/2026, allow"),
        ("*, 2026/2/30-2026/12/31, allow", "*, 2026/2/30-2026/12/31, allow"),
        ("*, 26/1/1-26/12/31, allow", "*, 26/1/1-26/12/31, allow"),
        ("name:?, whenever, permit", "name:?, whenever, permit"),
    ] {
        let line = |terms: &str| format!("p, A-1, group:all, person, query, *, {terms}\n");
        assert_eq!(formatted(line(terms)).text, line(expected));
    }
}

#[test]
fn columns_are_aligned_by_what_they_look_like() {
    let long = "a".repeat(60);
    let text = format!(
        "p,A-1,group:all,person,query,*,姓名|住址,always,allow\n\
         p,A-10,sys:aid,person,verify,aid.review,{long},always,allow\n\
         p,A-2,sys:aid,person,query,*,name,2026-01-01/2026-12-31,allow\n\
         # 新的一段\n\
         p,A,b,c,d,*,*,always,deny\n\
         g,a,b\ng,long:member,b\n"
    );
    insta::assert_snapshot!(rows(text), @r"
    p, A-1,  group:all, person, query,  *,          姓名|住址, always,                allow
    p, A-10, sys:aid,   person, verify, aid.review, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, always, allow
    p, A-2,  sys:aid,   person, query,  *,          name,      2026-01-01/2026-12-31, allow
    # 新的一段
    p, A, b, c, d, *, *, always, deny
    g, a,           b
    g, long:member, b
    ");
}

#[test]
fn blank_lines_are_few() {
    assert_eq!(rows("\n\n# a\n\n\n\n# b\n\n# c\n\n"), "# a\n\n\n# b\n\n# c\n");
    assert_eq!(rows(" \n,,\n"), "");
}

#[test]
fn what_is_not_certain_is_left_and_reported() {
    let formatted = formatted("G, a, b\ng,a,b\ng, \"a\"b, c\n");
    assert_eq!(formatted.text, "G, a, b\ng, a, b\ng, \"a\"b, c\n");
    insta::assert_snapshot!(formatted.left, @r"
    grants.csv:1:1: error[unknown-section]: unknown section `G`; did you mean `g`?
    grants.csv:3:7: error[stray-quote]: text after the closing quote; end the field right after its closing quote
    ");
}

#[test]
fn a_file_whose_lines_end_with_carriage_returns() {
    assert_eq!(rows("# a\rg, a, b\rg, c, d\r"), "# a\ng, a, b\ng, c, d\n");
    let left = formatted("g, a\r, b");
    assert_eq!(left.text, "g, a\r, b\n", "each half is no line");
}

#[test]
fn toml_keeps_what_it_says() {
    let check = |before: &str, after: &str| {
        let formatted = format(Kind::Toml, "a.toml", before.as_bytes()).unwrap();
        assert_eq!(formatted.text, after, "{before:?}");
        assert_eq!(formatted.repairs.is_empty(), before == after, "{before:?}");
    };
    check("", "");
    check("a = 1  # b\n", "a = 1  # b\n");
    check("\u{feff}a = 1  \r\n\r\n\r\n\r\nb = 2", "a = 1\n\n\n\nb = 2\n");
    check("a = \"\"\"\nb  \n\"\"\"\n", "a = \"\"\"\nb  \n\"\"\"\n");
    check("name ＝ “民政局”　＃ 名称：“甲”\n", "name = \"民政局\" # 名称：“甲”\n");
    check("［a］\nb = ［“c，d”， \"e：f\"］\n", "[a]\nb = [\"c，d\", \"e：f\"]\n");
    check("name = “a\"b”\n", "name = “a\"b”\n");
    check("name = “a\n", "name = “a\n");
    check("a ＝ ?\n", "a ＝ ?\n");
}

#[test]
fn a_model_keeps_what_it_says() {
    let check = |before: &str, after: &str| {
        let formatted = format(Kind::Model, "model.conf", before.as_bytes()).unwrap();
        assert_eq!(formatted.text, after);
    };
    let shipped = crate::policy::model::SHIPPED;
    check(shipped, shipped);
    check(&shipped.replace('\n', "  \r\n"), shipped);
    check(&shipped.replace('[', "［").replace(", ", "，").replace(']', "］"), &shipped.replace(", ", ","));
}

proptest! {
    #[test]
    fn formatting_twice_is_formatting_once(text in "[\\PC\n\r\t\",;，＃“”、p gG2#a*|/:.0-9-]{0,80}") {
        let once = formatted(&text);
        let twice = formatted(&once.text);
        prop_assert_eq!(&twice.text, &once.text);
        prop_assert!(twice.repairs.is_empty(), "{:?}", repairs(&twice));
        prop_assert_eq!(once.repairs.is_empty(), once.text == text);
    }

    #[test]
    fn every_row_says_what_it_said(
        lines in prop::collection::vec(
            "(g, ?[a,，\" ]{1,6}, ?b[ 　]?|p,a,b,c,d,\\*,(\\*|a \\| b|a;rows<=1),(always|2026/1/1-2026/2/1),(Allow|deny),{0,2}|\"?g2,[a:]{1,3},b\"?|[#＃] [a,]{0,5}|)",
            0..6,
        )
    ) {
        let text = lines.join("\n");
        let (before, _) = csv::read(&Source::new("", text.as_str()));
        let (after, _) = csv::read(&Source::new("", formatted(&text).text));
        let mut after = after.into_iter();
        for row in before {
            // Lines that were no rows may have become some.
            let found = after.any(|other| {
                other.section == row.section
                    && row.cells.iter().zip(&other.cells).take(5).all(|(one, other)| one.text == other.text)
            });
            prop_assert!(found, "{:?} is lost", row);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for kind in [Kind::Grants, Kind::Toml, Kind::Model] {
            if let Ok(once) = format(kind, "file", &bytes) {
                let twice = format(kind, "file", once.text.as_bytes()).unwrap();
                prop_assert_eq!(&twice.text, &once.text);
                prop_assert!(twice.repairs.is_empty());
            }
        }
    }
}
