use std::collections::HashSet;
use std::sync::LazyLock;

use super::*;
use proptest::prelude::*;

fn masker(definition: &str) -> Masker {
    let mut words = definition.split(' ');
    let method = words.next().unwrap();
    let parameters: Vec<(&str, &str)> = words.map(|word| word.split_once('=').unwrap()).collect();
    Masker::parse(method, &parameters).unwrap()
}

fn apply(masker: &Masker, value: Value<'_>) -> String {
    let mut out = Vec::new();
    masker.apply(value, None, &mut out);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(definition: &str, cases: &[(&str, &str)]) {
    let masker = masker(definition);
    for (text, expected) in cases {
        let left = apply(&masker, Value::Text(text));
        assert_eq!(serde_json::from_str::<String>(&left).unwrap(), *expected, "{definition} of {text}");
    }
}

#[test]
fn identifiers() {
    check(
        "resident-id",
        &[("11010519491231002X", "1****************X"), ("110105194912310021", "***"), ("", "***")],
    );
    check("resident-id first=6 last=0", &[("11010519491231002x", "110105****************")]);
    check("credit-code", &[("91350100M000100Y43", "91************0Y43"), ("91350100M000100Y44", "***")]);
    check("bank-card", &[("4111 1111 1111 1111", "************1111"), ("4111111111111112", "***")]);
    check("bank-card last=0", &[("4111111111111111", "************")]);
    check(
        "plate",
        &[("皖A12345", "皖A****5"), ("皖AD12345", "皖A****5"), ("京A1234警", "京A****警"), ("12345", "***")],
    );
    check("plate first=1 last=0", &[("皖A·12345", "皖****")]);
    check(
        "licence-no",
        &[
            ("皖(2020)屯溪区不动产权第0001234号", "皖(***4号"),
            ("AB12345", "***"),
            ("12 45678901", "***"),
            ("AB-2020-001", "AB***01"),
        ],
    );
}

#[test]
fn mobiles_keep_their_separators() {
    check(
        "mobile",
        &[
            ("13800138000", "138****8000"),
            ("+8613800138000", "+86138****8000"),
            ("+86 138-0013-8000", "+86 138-****-8000"),
            ("008613800138000", "0086138****8000"),
            ("0559-2512345", "***"),
            ("13800138000,13800138001", "***"),
        ],
    );
    check("mobile first=0 last=2", &[("138 0013 8000", "*** **** **00")]);
}

#[test]
fn phones_keep_their_area() {
    check(
        "phone",
        &[
            ("13800138000", "138******00"),
            ("+86 138-0013-8000", "+86 138-****-**00"),
            ("0559-2512345", "0559-*****45"),
            ("(0551) 6360-5678", "(0551) ****-**78"),
            ("010-88886666", "010-******66"),
            ("+86-551-63605678", "+86-551-******78"),
            ("0551-63605678-8012", "0551-******78-****"),
            ("0551-63605678转801", "0551-******78转***"),
            ("400-123-4567", "400-***-**67"),
            ("12345", "***"),
            ("2512345", "***"),
            ("０559-2512345", "***"),
        ],
    );
    check("phone last=0", &[("0559-2512345", "0559-*******"), ("13800138000", "138********")]);
}

/// Of a column of fixed width what is hidden may be nothing but the blanks that fill it up.
#[test]
fn what_nobody_sees_hides_nothing() {
    for (definition, text, secret) in [
        ("keep-first count=4", "5678    ", "5678"),
        ("keep-first count=4", "5678\u{3000}\u{3000}\u{3000}\u{3000}", "5678"),
        ("keep-first count=2", "王云\u{200b}\u{200b}", "王云"),
        ("keep-first count=2", "王云\0\0", "王云"),
        ("keep-last count=4", "    5678", "5678"),
        ("keep-last count=4", "\t\t\t\t5678", "5678"),
    ] {
        let left = apply(&masker(definition), Value::Text(text));
        assert!(!left.contains(secret), "{definition} of {text:?} leaves all of it: {left}");
    }
}

/// An address of 6to4 (RFC 3056) is made of one of IPv4: of that no more may be left than of the same one
/// written by itself.
#[test]
fn an_address_within_another_is_no_way_around_its_network() {
    check("ip", &[("2002:cb00:714d::1", "2002:cb00::/32")]);
    let masker = masker("ip keep=24");
    for text in ["2002:cb00:714d::1", "2002:cb00:714d:1:2:3:4:5"] {
        let mut out = Vec::new();
        masker.apply(Value::Text(text), None, &mut out);
        let left = String::from_utf8(out).unwrap();
        assert!(!left.contains("714d"), "all of 203.0.113.77 is in {left}");
    }
}

#[test]
fn networks_and_places() {
    check(
        "ip",
        &[
            ("203.0.113.77", "203.0.0.0/16"),
            ("2001:db8:1234:5678::1", "2001:db8::/32"),
            ("::ffff:203.0.113.77", "203.0.0.0/16"),
            ("203.0.113.77:443", "***"),
            ("203.0.113.077", "***"),
            ("203.0.113", "***"),
            ("", "***"),
        ],
    );
    check("ip keep=24", &[("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2::1", "2001:db8:1::/48")]);
    check(
        "coordinate",
        &[
            ("118.337481", "118.33"),
            ("118.337481,29.714656", "118.33,29.71"),
            ("118.337481, 29.714656", "118.33,29.71"),
            ("-0.129", "-0.12"),
            ("29.7", "29.7"),
            ("29.71;118.33", "***"),
            ("1,2,3", "***"),
            ("181.00001", "***"),
        ],
    );
    check("coordinate decimals=0", &[("118.337481", "118")]);
    check("passport", &[("E12345678", "E******78"), ("EA1234567", "E******67"), ("e12345678", "***")]);
}

#[test]
fn names_keep_their_surname() {
    check(
        "name",
        &[
            ("张三", "张**"),
            ("欧阳修", "欧阳**"),
            ("诸葛孔明", "诸葛**"),
            ("欧阳", "欧**"),
            ("张", "***"),
            ("", "***"),
            ("阿卜杜拉·买买提", "阿**"),
            ("迪丽热巴•迪力木拉提", "迪**"),
            ("欧阳·娜娜", "欧**"),
            ("·张三", "***"),
            ("𠮷田太", "𠮷**"),
            ("John Smith", "***"),
            ("张三13800138000", "***"),
            ("张 三", "***"),
            ("一二三四五六七八九十一二三四五六七八九十一", "***"),
        ],
    );
}

#[test]
fn addresses_are_cut_after_the_district() {
    check(
        "address",
        &[
            ("安徽省黄山市屯溪区前园北路12号", "安徽省黄山市屯溪区***"),
            ("安徽省黄山市歙县徽城镇紫阳路1号", "安徽省黄山市歙县***"),
            ("安徽省宣城市宁国市河沥溪街道", "安徽省宣城市宁国市***"),
            ("黄山市屯溪区市场路1号", "黄山市屯溪区***"),
            ("北京市朝阳区建国路1号", "北京市朝阳区***"),
            ("江西省景德镇市珠山区x", "江西省景德镇市珠山区***"),
            ("河南省新乡市红旗区平原路1号", "河南省新乡市红旗区***"),
            ("内蒙古自治区呼伦贝尔市鄂温克族自治旗巴彦托海镇", "内蒙古自治区呼伦贝尔市鄂温克族自治旗***"),
            ("新疆维吾尔自治区伊犁哈萨克自治州伊宁市解放路", "新疆维吾尔自治区伊犁哈萨克自治州伊宁市***"),
            (
                "云南省临沧市双江拉祜族佤族布朗族傣族自治县勐勐镇",
                "云南省临沧市双江拉祜族佤族布朗族傣族自治县***",
            ),
            ("贵州省黔西南布依族苗族自治州兴义市桔山街道", "贵州省黔西南布依族苗族自治州兴义市***"),
            ("湖北省荆州市沙市区北京路1号", "湖北省荆州市沙市区***"),
            // No district: less is kept.
            ("安徽省黄山市阳光小区3栋502", "安徽省黄山市***"),
            ("安徽省黄山市前园北路12号", "安徽省黄山市***"),
            ("安徽省前园北路12号市区", "安徽省***"),
            ("安徽省合肥市经济技术开发区管委会大楼", "安徽省合肥市***"),
            // Whatever ends like a district, and wherever it stands.
            ("安徽省宁国市南山花园东区3栋502", "安徽省宁国市***"),
            ("安徽省宁国市红旗村12号", "安徽省宁国市***"),
            ("安徽省桐城市文昌区x", "安徽省桐城市***"),
            ("安徽省合肥市省立医院三病区12床", "安徽省合肥市***"),
            ("安徽省黄山市张三超市3楼", "安徽省黄山市***"),
            ("安徽省张三加盟店", "安徽省***"),
            ("上海市曹杨新村一区12号", "上海市***"),
            ("广东省东莞市南城街道东区12号", "广东省东莞市***"),
            ("安徽省郊区12号", "安徽省***"),
            ("台湾省台北市大安区x", "台湾省***"),
            ("红星超市家属区5幢", "***"),
            ("宁国市南山花园东区3栋", "***"),
            // Names that deceive, but are those of divisions.
            ("安徽省铜陵市郊区x", "安徽省铜陵市郊区***"),
            ("四川省攀枝花市东区x", "四川省攀枝花市东区***"),
            ("河北省唐山市路南区x", "河北省唐山市路南区***"),
            ("安徽省合肥市蜀山区x", "安徽省合肥市蜀山区***"),
            ("上海市浦东新区x", "上海市浦东新区***"),
            ("北京市海淀区x", "北京市海淀区***"),
            ("重庆市秀山土家族苗族自治县x", "重庆市秀山土家族苗族自治县***"),
            ("内蒙古自治区呼伦贝尔市鄂伦春自治旗x", "内蒙古自治区呼伦贝尔市鄂伦春自治旗***"),
            ("湖北省神农架林区x", "湖北省神农架林区***"),
            // Without the city, counties and cities of the third level.
            ("浙江省义乌市稠城街道", "浙江省义乌市***"),
            ("安徽省歙县徽城镇", "安徽省歙县***"),
            ("湖北省仙桃市x", "湖北省仙桃市***"),
            // Without the ending of the province, or without the province: two divisions, or nothing.
            ("安徽合肥市蜀山区x", "安徽合肥市蜀山区***"),
            ("北京朝阳区建国路1号", "北京朝阳区***"),
            ("吉林市船营区x", "吉林市船营区***"),
            ("海南藏族自治州共和县x", "海南藏族自治州共和县***"),
            ("北京路12号", "***"),
            ("湖南大厦2楼", "***"),
            ("黄山市前园北路12号", "***"),
            ("幸福路市场3号", "***"),
            ("菜市场东边小区", "***"),
            ("前园北路12号", "***"),
            ("安徽省黄山市屯溪区", "***"),
            ("No. 12 North Road", "***"),
            ("", "***"),
        ],
    );
    check(
        "address keep=city",
        &[
            ("安徽省黄山市屯溪区x路", "安徽省黄山市***"),
            ("北京市朝阳区x路", "北京市***"),
            ("安徽省宁国市x路", "安徽省***"),
        ],
    );
    check("address keep=province", &[("安徽省黄山市屯溪区x路", "安徽省***"), ("黄山市屯溪区x路", "***")]);
}

#[test]
fn other_text() {
    check(
        "email",
        &[
            ("zhangsan@163.com", "z***@163.com"),
            ("a@b.cn", "***@b.cn"),
            ("张三@例子.中国", "张***@例子.中国"),
            ("not an address", "***"),
            ("a@11010519491231002x.cn", "***"),
        ],
    );
    check(
        "date-year",
        &[("1990-03-07", "1990"), ("1990年3月7日", "1990"), ("1990-02-30", "***"), ("643000000", "***")],
    );
    check("date-year keep=month", &[("1990/3/7", "1990-03"), ("19900307", "1990-03")]);
    check(
        "keep-first count=2",
        &[("黄山市屯溪区", "黄山***"), ("ab", "***"), ("abc", "***"), ("a\"bc", "a\"***"), ("", "***")],
    );
    check(
        "keep-last count=2",
        &[("黄山市屯溪区", "***溪区"), ("ab", "***"), ("黄山市", "***"), ("ab\\\n", "***\\\n")],
    );
    // At least half is hidden, or all.
    check("keep-last count=4", &[("12345", "***"), ("1234567", "***"), ("12345678", "***5678")]);
    check("keep-first count=64", &[("12345678", "***")]);
    check("email first=3", &[("abcde@b.cn", "***@b.cn"), ("abcdef@b.cn", "abc***@b.cn")]);
    check("licence-no first=4 last=4", &[("AB-2020-001", "***"), ("AB-2020-00000001", "AB-2***0001")]);
    check("full", &[("anything", "***"), ("", "***")]);
    check("pseudonym", &[("without a key", "***")]);
    check("fpe of=mobile", &[("13800138000", "***")]);
    check("drop", &[("anything", "***")]);
    assert_eq!(apply(&masker("null"), Value::Text("anything")), "null");
}

#[test]
fn bands() {
    check(
        "bucket edges=0,100,200.5",
        &[
            ("-1", "<0"),
            ("0", "0-100"),
            ("99.99", "0-100"),
            ("100", "100-200.5"),
            ("2e2", "100-200.5"),
            ("200.5", ">=200.5"),
            ("1e308", ">=200.5"),
            ("inf", "***"),
            ("NaN", "***"),
            ("+1", "***"),
            (".5", "***"),
            ("01", "***"),
            ("1.", "***"),
            ("500万", "***"),
            ("1e999", "***"),
        ],
    );
    assert_eq!(apply(&masker("bucket edges=100"), Value::Number("12")), "\"<100\"");
    assert_eq!(apply(&masker("bucket edges=100"), Value::Number("1E2")), "\">=100\"");
    assert_eq!(apply(&masker("bucket edges=100"), Value::Number("1e999")), "null");
}

#[test]
fn values_other_than_text() {
    for (definition, number, expected) in [
        ("mobile", "13800138000", "\"138****8000\""),
        ("bank-card", "4111111111111111", "\"************1111\""),
        ("resident-id", "440524188001010014", "\"4****************4\""),
        ("date-year", "19900307", "\"1990\""),
        ("date-year", "643000000", "null"),
        ("keep-first count=2", "12345", "\"12***\""),
        ("keep-first count=2", "-1.5", "null"),
        ("licence-no", "-12345678.5", "null"),
        ("full", "1", "null"),
        ("name", "1", "null"),
        ("null", "1", "null"),
    ] {
        assert_eq!(apply(&masker(definition), Value::Number(number)), expected, "{definition} of {number}");
    }
    for method in Maskers::builtin().iter().map(|(_, masker)| masker) {
        assert_eq!(apply(method, Value::Null), "null");
        assert_eq!(apply(method, Value::Boolean(true)), "null");
    }
}

#[test]
fn definitions_are_checked() {
    let error = |method: &str, parameters: &[(&str, &str)]| {
        Masker::parse(method, parameters).unwrap_err().to_string()
    };
    assert_eq!(error("mobil", &[]), "`mobil` is not a masking method; `mobile` is");
    assert_eq!(error("something-else", &[]), "`something-else` is not a masking method");
    assert_eq!(error("full", &[("keep", "1")]), "`keep` is not a parameter of `full`, or it stands twice");
    assert_eq!(
        error("mobile", &[("first", "1"), ("first", "1")]),
        "`first` is not a parameter of `mobile`, or it stands twice"
    );
    assert_eq!(
        error("mobile", &[("first", "4")]),
        "`first` of `mobile` is `4`; expected a whole number from 0 to 3"
    );
    assert_eq!(
        error("mobile", &[("last", "+1")]),
        "`last` of `mobile` is `+1`; expected a whole number from 0 to 4"
    );
    assert_eq!(
        error("keep-first", &[]),
        "`keep-first` needs the parameter `count`: a whole number from 1 to 64"
    );
    assert_eq!(
        error("address", &[("keep", "street")]),
        "`keep` of `address` is `street`; expected one of `province`, `city`, `district`"
    );
    assert!(error("bucket", &[]).starts_with("`bucket` needs the parameter `edges`: 1 to 64 numbers"));
    for edges in ["", "a", "2,1", "1,1", "1,,2", "nan", "1;2"] {
        assert!(error("bucket", &[("edges", edges)]).starts_with("`edges` of `bucket` is"), "{edges}");
    }
    assert!(error("pseudonym", &[("join", "Not A Name")]).starts_with("`join` of `pseudonym` is"));
    assert_eq!(
        error("fpe", &[]),
        "`fpe` needs the parameter `of`: one of `resident-id`, `mobile`, `bank-card`, `credit-code`, `digits`"
    );
    assert!(error("fpe", &[("of", "name")]).starts_with("`of` of `fpe` is `name`; expected one of"));
    assert!(error("fpe", &[("of", "mobile"), ("keep", "region")]).starts_with("`keep` is not a parameter"));
    assert!(Masker::parse("fpe", &[("of", "resident-id"), ("keep", "province"), ("join", "id")]).is_ok());
    let mut maskers = Maskers::builtin();
    let name = MaskerName::parse("mobile").unwrap();
    assert_eq!(
        maskers.insert(name.clone(), masker("keep-first count=9")).unwrap_err().to_string(),
        "a masker named `mobile` exists already; a built-in masker cannot be redefined"
    );
    assert_eq!(maskers.get(&name), Some(&masker("mobile")));
    assert_eq!(maskers.iter().count(), Masker::METHODS.len() - 4, "all but those that need a parameter");
}

proptest! {
    /// Whatever comes in, one JSON value comes out, and never the whole of a longer text.
    #[test]
    fn every_masker_writes_one_value_and_hides_something(text in "\\PC{0,40}|[0-9]{8,19}|[a-z0-9]{1,9}@[a-z]{1,5}\\.cn") {
        // A star that stays cannot be told from one that hides.
        let text = text.replace('*', "x");
        let all = ["keep-first count=3", "keep-last count=3", "bucket edges=1,5"];
        let builtin: Vec<String> = Maskers::builtin().iter().map(|(name, _)| name.to_string()).collect();
        for definition in all.into_iter().chain(builtin.iter().map(String::as_str)) {
            let left = apply(&masker(definition), Value::Text(&text));
            let left: serde_json::Value = serde_json::from_str(&left).unwrap();
            let shown = left.as_str().unwrap_or_default();
            prop_assert!(text.chars().count() < 4 || !shown.contains(&text), "{definition} of {text} shows {shown}");
        }
    }
}

/// What a masker may leave of a text that it recognises: `***` is right for all of them.
type Allowed = fn(&str, &str) -> bool;

fn digits(text: &str) -> usize {
    text.chars().filter(char::is_ascii_digit).count()
}

/// How many characters are not hidden.
fn shown(left: &str) -> usize {
    left.chars().filter(|c| *c != '*').count()
}

fn half_is_hidden(text: &str, left: &str) -> bool {
    2 * shown(left) <= text.chars().count()
}

const LIMITS: [(&str, Allowed); 23] = [
    ("resident-id", |_, left| shown(left) <= 2),
    // The country code is four digits at most.
    ("mobile", |_, left| digits(left) <= 7 + 4),
    ("phone", |_, left| digits(left) <= 4 + 2 + 4),
    ("name", |text, left| shown(left) <= 2 && text.starts_with(left.trim_end_matches('*'))),
    ("address", |text, left| {
        left.strip_suffix("***")
            .is_some_and(|front| front.len() < text.len() && text.starts_with(front) && PATHS.contains(front))
    }),
    ("bank-card", |_, left| shown(left) <= 4),
    ("credit-code", |_, left| shown(left) <= 6),
    ("email", |_, left| left.split('@').next().is_some_and(|local| shown(local) <= 1)),
    ("email first=3", |text, left| {
        left.split_once("***@").is_some_and(|(local, domain)| {
            text.strip_suffix(domain).is_some_and(|front| half_is_hidden(front.trim_end_matches('@'), local))
        })
    }),
    ("plate", |_, left| shown(left) <= 3),
    ("licence-no", |_, left| shown(left) <= 4),
    ("licence-no first=4 last=4", half_is_hidden),
    ("passport", |_, left| shown(left) <= 3),
    ("ip", |_, left| left.ends_with(".0.0/16") || left.ends_with("/32")),
    ("coordinate", |_, left| {
        left.split(',').all(|it| it.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 2))
    }),
    ("date-year", |_, left| left.len() == 4 && digits(left) == 4),
    ("keep-first count=3", |text, left| {
        left.strip_suffix("***").is_some_and(|front| front.chars().count() == 3 && text.starts_with(front))
            && half_is_hidden(text, left)
    }),
    ("keep-last count=3", |text, left| {
        left.strip_prefix("***").is_some_and(|back| back.chars().count() == 3 && text.ends_with(back))
            && half_is_hidden(text, left)
    }),
    ("keep-last count=12", half_is_hidden),
    ("bucket edges=1,5", |_, left| ["<1", "1-5", ">=5"].contains(&left)),
    ("full", |_, _| false),
    ("drop", |_, _| false),
    ("pseudonym", |_, _| false),
];

/// Every way to write divisions one after another, each in the one before.
static PATHS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut paths = HashSet::new();
    let mut above = [String::new(), String::new()];
    for line in include_str!("address/divisions.txt").lines().filter(|line| !line.starts_with('#')) {
        let names: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_city = line.starts_with(' ');
        if !is_city {
            above = [names[0].split('|').next().unwrap().to_owned(), names[0].replace('|', "")];
            paths.insert(above[1].clone());
        }
        let fronts = [String::new()].into_iter().chain(above.iter().cloned());
        for front in fronts {
            let city = if is_city { names[0] } else { "" };
            if is_city && !front.is_empty() {
                paths.insert(format!("{front}{city}"));
            }
            for district in names.iter().skip(1).filter(|_| is_city || !front.is_empty()) {
                paths.insert(format!("{front}{city}{district}"));
                if !front.is_empty() {
                    paths.insert(format!("{front}{district}"));
                }
            }
        }
    }
    paths
});

/// Texts of every kind, as they come and with something about them changed.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[0-9]{8,19}",
        "(\\+86|0086|86)?[ -]?1[3-9][0-9]-?[0-9]{4} ?[0-9]{4}",
        "(\\+86-)?(\\(0551\\)|0559|010)[ -]?[2-8][0-9]{6,7}(-[0-9]{1,4}|转[0-9]{1,4})?",
        "[a-z0-9.]{1,9}@[a-z]{1,5}\\.cn",
        "[EGHC][0-9A-Z][0-9]{7}",
        "[皖京粤]A·?[0-9A-Z]{5,6}",
        "(安徽省|北京市)?黄山市(屯溪区|歙县)?[一-龟]{0,8}[0-9]{0,3}号?",
        "(安徽省|上海市|广东)?(宁国市|东莞市|合肥市|)[一-龟]{0,4}(东区|三病区|超市|红旗村|加盟店|[区县市旗盟])[0-9]{0,3}",
        "[一-龟]{1,5}(·[一-龟]{1,5})?",
        "[12][0-9]{3}[-/.][01]?[0-9][-/.][0-3]?[0-9]",
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "[0-9a-f]{1,4}:[0-9a-f]{1,4}::[0-9a-f]{1,4}",
        "-?[0-9]{1,3}\\.[0-9]{0,8}(, ?[0-9]{1,3}\\.[0-9]{1,8})?",
        Just("11010519491231002X".to_owned()),
        Just("91350100M000100Y43".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
    ]
}

#[test]
fn every_method_has_a_limit() {
    let limited =
        |method: &&str| LIMITS.iter().any(|(definition, _)| definition.split(' ').next() == Some(*method));
    let others: Vec<&str> = Masker::METHODS.into_iter().filter(|method| !limited(method)).collect();
    // What `fpe` leaves is proved where it is made; `null` leaves nothing to look at.
    assert_eq!(others, ["null", "fpe"]);
}

proptest! {
    /// What a masker leaves shows no more of a text than its method says, or nothing of it.
    #[test]
    fn no_masker_shows_more_than_it_says(text in texts()) {
        // A star that stays cannot be told from one that hides.
        let text = text.replace('*', "x");
        for (definition, allowed) in LIMITS {
            for value in [Value::Text(&text), Value::Number(&text)] {
                let left = apply(&masker(definition), value);
                let Ok(left) = serde_json::from_str::<String>(&left) else {
                    prop_assert_eq!(&left, "null");
                    continue;
                };
                prop_assert!(left == "***" || allowed(&text, &left), "{} of {} leaves {}", definition, text, left);
            }
        }
    }
}

/// The rows of the table of methods in `docs/masking.md`, by column.
fn documented() -> Vec<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/masking.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split_once("## Methods").unwrap().1.split_once("\n###").unwrap().0;
    let row = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    table.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

#[test]
fn the_documentation_lists_every_method_its_keys_and_technique() {
    let rows = documented();
    let methods: Vec<&str> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    assert_eq!(methods, Masker::METHODS);
    for row in &rows {
        let [_, method, .., keys, technique, _] = &row[..] else { panic!("{row:?}") };
        let method = method.trim_matches('`');
        let needed = match method {
            "bucket" => vec![("edges", "1")],
            "keep-first" | "keep-last" => vec![("count", "1")],
            "fpe" => vec![("of", "resident-id")],
            _ => Vec::new(),
        };
        assert_eq!(*technique, Masker::parse(method, &needed).unwrap().technique().label(), "{method}");
        // Of each key only a good value is taken; of all others, none.
        let keys: Vec<&str> = keys.split(';').filter_map(|key| key.split('`').nth(1)).collect();
        for key in ["first", "last", "count", "keep", "decimals", "edges", "of", "join", "other"] {
            let others = needed.iter().copied().filter(|(needed, _)| *needed != key);
            let given: Vec<_> = others.chain([(key, "?")]).collect();
            let error = Masker::parse(method, &given).unwrap_err();
            let is_known = matches!(error, MaskerError::BadParameter { parameter, .. } if parameter == key);
            assert_eq!(is_known, keys.contains(&key), "`{key}` of `{method}`: {error}");
        }
        for (key, _) in needed {
            assert!(row[4].contains(&format!("`{key}`")) && row[4].contains("required"), "{method}");
        }
    }
}
