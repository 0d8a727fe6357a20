//! Personal names: the surname stays.

/// Compound surnames (复姓), of two characters each.
const COMPOUND: &str = "欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 \
    宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘 子车 亓官 司寇 巫马 公西 颛孙 \
    壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐 段干 百里 呼延 东郭 南门 羊舌 微生 公户 公玉 公仪 梁丘 \
    公仲 公上 公门 公山 公坚 左丘 公伯 西门 公祖 第五 公乘 贯丘 公皙 南荣 东里 东宫 仲长 子书 子桑 即墨 达奚 \
    褚师 纳兰 完颜 叶赫 那拉 富察";

/// The longest name, in characters: names of minorities with their dots are shorter.
const MAX_CHARACTERS: usize = 20;

/// The surname of a name in Chinese characters (姓名), or the first character where it has none;
/// nothing if `text` is not such a name, or if nothing of it would be hidden.
pub(super) fn surname(text: &str) -> Option<&str> {
    let count = text.chars().count();
    let dots = text.chars().filter(|c| is_dot(*c)).count();
    if !text.chars().all(|c| is_han(c) || is_dot(c)) || !(2..=MAX_CHARACTERS).contains(&count) {
        return None;
    }
    let mut ends = text.char_indices().map(|(at, _)| at).skip(1);
    let (one, two) = (ends.next()?, ends.next());
    let compound = two
        .and_then(|two| text.get(..two))
        .filter(|first_two| dots == 0 && COMPOUND.split(' ').any(|surname| surname == *first_two));
    let kept = compound.or_else(|| text.get(..one))?;
    kept.chars().all(is_han).then_some(kept)
}

/// A Chinese character: the unified ideographs and their extensions (Unicode 15).
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}' | '\u{3007}')
}

/// The dot between the parts of a minority name.
fn is_dot(c: char) -> bool {
    matches!(c, '\u{B7}' | '\u{2022}' | '\u{2027}' | '\u{30FB}' | '\u{FF0E}')
}
