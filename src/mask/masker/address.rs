//! Addresses: what names a place smaller than a district goes.
//!
//! Names of provinces are known; cities and districts are recognised by their endings. The lists of
//! GB/T 2260 are not consulted, so where endings deceive, less is kept rather than more.

use super::name::is_han;

/// Down to what an address is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    Province,
    City,
    District,
}

/// Provinces that are cities themselves (直辖市).
const MUNICIPALITIES: [&str; 4] = ["北京市", "天津市", "上海市", "重庆市"];

/// All other divisions of the first level.
const PROVINCES: [&str; 30] = [
    "河北省",
    "山西省",
    "辽宁省",
    "吉林省",
    "黑龙江省",
    "江苏省",
    "浙江省",
    "安徽省",
    "福建省",
    "江西省",
    "山东省",
    "河南省",
    "湖北省",
    "湖南省",
    "广东省",
    "海南省",
    "四川省",
    "贵州省",
    "云南省",
    "陕西省",
    "甘肃省",
    "青海省",
    "台湾省",
    "内蒙古自治区",
    "广西壮族自治区",
    "西藏自治区",
    "宁夏回族自治区",
    "新疆维吾尔自治区",
    "香港特别行政区",
    "澳门特别行政区",
];

/// Endings of divisions of the second level with the longest name each may have, in characters. No
/// longer ending comes after a shorter one that it ends with.
const CITIES: [(&str, usize); 4] = [("自治州", 12), ("地区", 6), ("盟", 6), ("市", 6)];

/// The same for the third level. A name that long is an autonomous county of several peoples.
const DISTRICTS: [(&str, usize); 6] =
    [("自治县", 16), ("自治旗", 12), ("区", 8), ("县", 6), ("市", 6), ("旗", 8)];

/// The longest name of [`CITIES`] and [`DISTRICTS`].
const MAX_NAME: usize = 16;

/// What ends like a district but is smaller than one.
const NOT_DISTRICTS: [&str; 9] = ["小区", "社区", "园区", "校区", "片区", "厂区", "库区", "景区", "街区"];

/// The front of `text` down to `cut`, or down to what is there; nothing if `text` does not begin
/// with a province, or with a city and its district.
pub(super) fn cut(text: &str, cut: Cut) -> Option<&str> {
    let begins = |names: &[&str]| names.iter().find(|name| text.starts_with(**name)).map(|name| name.len());
    let municipality = begins(&MUNICIPALITIES);
    let province = municipality.or_else(|| begins(&PROVINCES));
    let rest = |from: usize| text.get(from..).unwrap_or_default();
    let province_end = province.unwrap_or(0);
    let city = match municipality {
        Some(_) => None,
        None => division(rest(province_end), &CITIES, 2),
    };
    let city_end = province_end + city.unwrap_or(0);
    let district = division(rest(city_end), &DISTRICTS, 1);
    let end = match (cut, province, city, district) {
        // Without a province the city may be a word that happens to end like one.
        (_, None, None, _) | (_, None, _, None) | (Cut::Province, None, ..) => return None,
        (Cut::Province, ..) => province_end,
        (Cut::City, ..) => city_end,
        (Cut::District, ..) => city_end + district.unwrap_or(0),
    };
    (end < text.len()).then(|| text.get(..end)).flatten()
}

/// The length in bytes of the division that `text` begins with.
fn division(text: &str, endings: &[(&str, usize)], min_name: usize) -> Option<usize> {
    let mut end = 0;
    for (place, character) in text.chars().take(MAX_NAME).enumerate() {
        if !is_han(character) || "路号室栋弄巷组街".contains(character) {
            return None;
        }
        end += character.len_utf8();
        let front = text.get(..end)?;
        if NOT_DISTRICTS.iter().any(|other| front.ends_with(other)) {
            return None;
        }
        let found = endings.iter().any(|(ending, longest)| {
            let ending_characters = ending.chars().count();
            front.ends_with(ending)
                && (min_name + ending_characters..=*longest).contains(&(place + 1))
                && !is_inside_word(text.get(end..), ending)
        });
        if found {
            return Some(end);
        }
    }
    None
}

/// Whether the ending belongs to a longer word: `市场` is no city, `红旗路` and `红旗区` no banner.
fn is_inside_word(after: Option<&str>, ending: &str) -> bool {
    let next = after.and_then(|after| after.chars().next());
    match ending {
        "市" => next.is_some_and(|c| "场民政区".contains(c)),
        "旗" | "区" | "县" => next.is_some_and(|c| "路街府区".contains(c)),
        _ => false,
    }
}
