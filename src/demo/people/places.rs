//! Districts and addresses.

use super::random::Random;

/// A district that stands in no register: the province and city exist, the district and its six
/// digits do not, so no number made from them is a living person's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct District {
    /// Six digits in the form of GB/T 2260.
    pub(super) code: &'static str,
    pub(super) province: &'static str,
    pub(super) city: &'static str,
    pub(super) name: &'static str,
}

const fn district(
    code: &'static str,
    province: &'static str,
    city: &'static str,
    name: &'static str,
) -> District {
    District { code, province, city, name }
}

const HOME: [District; 4] = [
    district("341091", "安徽省", "黄山市", "迎客区"),
    district("341092", "安徽省", "黄山市", "云海区"),
    district("341093", "安徽省", "黄山市", "听松县"),
    district("341094", "安徽省", "黄山市", "梅溪县"),
];
const ELSEWHERE: [District; 3] = [
    district("340191", "安徽省", "合肥市", "望湖区"),
    district("340192", "安徽省", "合肥市", "紫蓬县"),
    district("310291", "上海市", "上海市", "江湾县"),
];

/// A district: four in five of the home city, the rest of other cities.
pub(super) fn any_district(random: &mut Random) -> District {
    if random.one_in(5) { random.pick(&ELSEWHERE) } else { random.pick(&HOME) }
}

/// A district of the home city.
pub(super) fn home_district(random: &mut Random) -> District {
    random.pick(&HOME)
}

/// Street, building and room, or village, group and number.
pub(super) fn detail(random: &mut Random) -> String {
    const ROADS: [&str; 8] =
        ["云松路", "新安北路", "黎阳老街", "率水大道", "徽州中路", "松谷巷", "梅林街", "屯光道"];
    const VILLAGES: [&str; 5] = ["石门村", "九龙村", "汪家坞村", "竹岭村", "上溪口村"];
    let number = random.below(398) + 1;
    if random.one_in(5) {
        return format!("{}{}组{number}号", random.pick(&VILLAGES), random.below(20) + 1);
    }
    let road = random.pick(&ROADS);
    let (building, entrance) = (random.below(30) + 1, random.below(4) + 1);
    let (floor, door) = (random.below(18) + 1, random.below(4) + 1);
    format!("{road}{number}号{building}幢{entrance}单元{floor}0{door}室")
}
