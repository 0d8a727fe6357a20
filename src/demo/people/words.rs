//! Names of people and firms, put together from common parts.

use super::random::Random;

/// Sex as the register writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Sex {
    /// 男
    #[serde(rename = "男")]
    Male,
    /// 女
    #[serde(rename = "女")]
    Female,
}

const SURNAMES: [&str; 40] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭", "何",
    "林", "高", "罗", "郑", "梁", "谢", "宋", "唐", "许", "邓", "冯", "韩", "曹", "曾", "彭", "萧", "蔡",
    "潘", "田", "董", "袁", "汪", "程",
];
const COMPOUND_SURNAMES: [&str; 12] =
    ["欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯"];
const MALE: [&str; 24] = [
    "松", "柏", "岩", "峰", "海", "涛", "志", "明", "建", "国", "文", "武", "刚", "毅", "晨", "浩", "宇",
    "辰", "一", "鸣", "远", "航", "𬍛", "安",
];
const FEMALE: [&str; 24] = [
    "云", "霞", "秀", "兰", "梅", "竹", "雪", "月", "婷", "娟", "芳", "敏", "静", "丽", "琳", "欣", "怡",
    "雨", "桐", "若", "溪", "晓", "彤", "宁",
];
/// Names with an interpunct, which are neither short nor split after the first character.
const DOTTED: [&str; 4] = ["阿依古丽·买合木提", "扎西·多吉", "巴特尔·乌恩其", "古丽娜·艾尔肯"];

/// A person's name.
pub(super) fn name(random: &mut Random, sex: Sex) -> String {
    if random.one_in(60) {
        return random.pick(&DOTTED).to_owned();
    }
    let surname = if random.one_in(12) { random.pick(&COMPOUND_SURNAMES) } else { random.pick(&SURNAMES) };
    let given: &[&str] = match sex {
        Sex::Male => &MALE,
        Sex::Female => &FEMALE,
    };
    let first = random.pick(given);
    let second = if random.one_in(4) { "" } else { random.pick(given) };
    format!("{surname}{first}{second}")
}

/// A mobile number: 11 digits, the first three within 13x to 19x.
pub(super) fn mobile(random: &mut Random) -> String {
    format!("1{}{}", random.pick(&['3', '4', '5', '6', '7', '8', '9']), random.digits(9))
}

/// An address at a domain that RFC 2606 and RFC 6761 keep for examples.
pub(super) fn email(random: &mut Random) -> String {
    const WORDS: [&str; 8] = ["yunsong", "meixi", "lin.hai", "tingfeng", "xue_er", "qing-shan", "zhu", "a"];
    const DOMAINS: [&str; 4] = ["example.com", "example.org", "example.net", "mail.city.example"];
    let count = if random.one_in(2) { 2 } else { 4 };
    format!("{}{}@{}", random.pick(&WORDS), random.digits(count), random.pick(&DOMAINS))
}

/// A plate (号牌, GA 36): five places, or six for a new-energy vehicle (新能源汽车).
pub(super) fn plate(random: &mut Random) -> String {
    // GA 36 uses neither I nor O.
    const LETTERS: &[u8; 24] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    if random.one_in(3) {
        format!("皖J{}{}", random.pick(&['D', 'F']), random.digits(5))
    } else {
        format!("皖J{}{}", char::from(random.pick(LETTERS)), random.digits(4))
    }
}

/// A firm's name.
pub(super) fn firm(random: &mut Random, city: &str) -> String {
    const BRANDS: [&str; 10] =
        ["云松", "迎客", "听泉", "徽墨", "梅溪", "竹海", "新安", "石门", "晴岚", "百丈"];
    const TRADES: [&str; 8] =
        ["茶业", "文化旅游", "建筑工程", "智能科技", "食品", "物流", "生物医药", "餐饮管理"];
    const FORMS: [&str; 4] = ["有限公司", "股份有限公司", "（集团）有限公司", "合伙企业（有限合伙）"];
    let city = city.trim_end_matches('市');
    format!("{city}{}{}{}", random.pick(&BRANDS), random.pick(&TRADES), random.pick(&FORMS))
}
