//! One record from a seed and an index.

use jiff::ToSpan;
use jiff::civil::Date;

use super::digits::{self, with_check};
use super::parcel;
use super::places::{self, District};
use super::random::Random;
use super::records::{
    Address, Adoption, Enterprise, Ext, Holder, Licence, Owner, Parcel, Representative, Resident,
};
use super::words::{self, Sex};

/// The first day on which an invented person is born.
const EARLIEST_BIRTH: Date = Date::constant(1936, 1, 1);
/// Days from then to the end of 2023.
const BIRTH_DAYS: u32 = 32_142;
/// Days from then to the end of 2002: born in them, a person is of age whenever this is run.
const ADULT_BIRTH_DAYS: u32 = 24_472;

/// Who somebody is.
struct Person {
    name: String,
    sex: Sex,
    birth: Date,
    id_card: String,
}

impl Person {
    fn new(random: &mut Random, district: District, birth_days: u32) -> Self {
        let sex = if random.one_in(2) { Sex::Male } else { Sex::Female };
        let birth = later(EARLIEST_BIRTH, random.below(birth_days));
        // Digit 17 is odd for men and even for women (GB 11643).
        let order = random.below(499) * 2 + if sex == Sex::Male { 1 } else { 2 };
        let body =
            format!("{}{:04}{:02}{:02}{order:03}", district.code, birth.year(), birth.month(), birth.day());
        Self { name: words::name(random, sex), sex, birth, id_card: with_check(&body, digits::resident_id) }
    }

    fn holder(self) -> Holder {
        Holder { name: self.name, id_card: self.id_card }
    }
}

pub(super) fn resident(seed: u64, index: u64) -> Resident {
    let mut random = Random::of_record(seed, 1, index);
    let random = &mut random;
    let district = places::any_district(random);
    let person = Person::new(random, district, BIRTH_DAYS);
    let relative = Person::new(random, district, ADULT_BIRTH_DAYS);
    Resident {
        phone: words::mobile(random),
        email: (!random.one_in(9)).then(|| words::email(random)),
        address: Address {
            province: district.province.to_owned(),
            city: district.city.to_owned(),
            district: district.name.to_owned(),
            detail: places::detail(random),
        },
        household_size: random.below(6) + 1,
        internal_note: format!("户主{}，身份证{}", relative.name, relative.id_card),
        ext: ext(random, district, &person.id_card),
        name: person.name,
        id_card: person.id_card,
        sex: person.sex,
        birth_date: person.birth.to_string(),
    }
}

pub(super) fn enterprise(seed: u64, index: u64) -> Enterprise {
    const STATUS: [&str; 6] = ["存续", "存续", "存续", "注销", "吊销", "迁出"];
    const CAPITALS: [u64; 8] =
        [30_000, 500_000, 1_000_000, 3_000_000, 10_000_000, 52_880_000, 200_000_000, 1_250_000_000];
    let mut random = Random::of_record(seed, 2, index);
    let random = &mut random;
    let district = places::any_district(random);
    let person = Person::new(random, district, ADULT_BIRTH_DAYS);
    let organisation: String =
        std::iter::repeat_with(|| char::from(random.pick(digits::CREDIT_ALPHABET))).take(8).collect();
    let organisation = with_check(&organisation, digits::organisation);
    let card = format!("62{}", random.digits(16));
    Enterprise {
        name: words::firm(random, district.city),
        // 91: registered with the market regulator, as an enterprise.
        credit_code: with_check(&format!("91{}{organisation}", district.code), digits::credit_code),
        registered_capital: random.pick(&CAPITALS),
        bank_account: with_check(&card, digits::bank_card),
        email: (!random.one_in(6)).then(|| words::email(random)),
        established: later(Date::constant(1993, 1, 1), random.below(11_300)).to_string(),
        status: random.pick(&STATUS).to_owned(),
        address: format!("{}{}{}{}", district.province, district.city, district.name, places::detail(random)),
        internal_note: format!("实际控制人手机{}", words::mobile(random)),
        ext: ext(random, district, &person.id_card),
        legal_representative: Representative {
            name: person.name,
            id_card: person.id_card,
            phone: words::mobile(random),
        },
    }
}

/// A kind of licence: its code, its name, who issues it, how long it lasts in days (zero: for ever).
type Kind = (&'static str, &'static str, &'static str, u32);

const KINDS: [Kind; 5] = [
    ("driving-licence", "机动车驾驶证", "黄山市公安局交通警察支队", 2_190),
    ("vehicle-licence", "机动车行驶证", "黄山市公安局交通警察支队", 5_478),
    ("estate-certificate", "不动产权证书", "黄山市自然资源和规划局", 0),
    ("marriage-certificate", "结婚证", "黄山市民政局", 0),
    ("practice-certificate", "医师执业证书", "黄山市卫生健康委员会", 1_826),
];

pub(super) fn licence(seed: u64, index: u64) -> Licence {
    let mut random = Random::of_record(seed, 3, index);
    let random = &mut random;
    let district = places::home_district(random);
    let person = Person::new(random, district, ADULT_BIRTH_DAYS);
    let (kind, kind_name, issuer, days) = random.pick(&KINDS);
    let issued = later(Date::constant(2015, 1, 1), random.below(3_650));
    Licence {
        licence_no: with_check(&format!("{}{}{index:07}", district.code, issued.year()), digits::bank_card),
        kind: kind.to_owned(),
        kind_name: kind_name.to_owned(),
        plate: (kind == "vehicle-licence").then(|| words::plate(random)),
        issuer: issuer.to_owned(),
        issued: issued.to_string(),
        expires: (days > 0).then(|| later(issued, days).to_string()),
        internal_note: format!("代办人手机{}", words::mobile(random)),
        ext: ext(random, district, &person.id_card),
        holder: person.holder(),
    }
}

pub(super) fn parcel(seed: u64, index: u64) -> Parcel {
    const USES: [&str; 6] = ["城镇住宅用地", "商业用地", "工业用地", "农村宅基地", "公园与绿地", "水田"];
    let mut random = Random::of_record(seed, 4, index);
    let random = &mut random;
    let district = places::home_district(random);
    let person = Person::new(random, district, ADULT_BIRTH_DAYS);
    let shape = parcel::shape(random);
    Parcel {
        parcel_id: format!(
            "{}{}{}{index:05}",
            district.code,
            random.digits(6),
            random.pick(&["GB", "JC", "JB"])
        ),
        land_use: random.pick(&USES).to_owned(),
        area_sqm: shape.area_sqm,
        centroid: shape.centroid,
        boundary: shape.boundary,
        internal_note: format!(
            "抵押权人账号{}",
            with_check(&format!("62{}", random.digits(16)), digits::bank_card)
        ),
        ext: ext(random, district, &person.id_card),
        owner: Owner { name: person.name },
    }
}

pub(super) fn adoption(seed: u64, index: u64) -> Adoption {
    let mut random = Random::of_record(seed, 5, index);
    let random = &mut random;
    let district = places::home_district(random);
    let adopter = Person::new(random, district, ADULT_BIRTH_DAYS);
    let child = Person::new(random, district, BIRTH_DAYS);
    Adoption {
        adoption_no: format!("SY{}{index:06}", district.code),
        registered: later(child.birth, random.below(2_000)).to_string(),
        ext: ext(random, district, &adopter.id_card),
        adopter: adopter.holder(),
        child: child.holder(),
    }
}

fn ext(random: &mut Random, district: District, id_card: &str) -> Ext {
    let remark =
        if random.one_in(3) { format!("与{id_card}重复登记，待核") } else { "无".to_owned() };
    Ext { area_code: district.code.to_owned(), year: random.pick(&[2023, 2024, 2025, 2026]), remark }
}

fn later(from: Date, days: u32) -> Date {
    from.checked_add(i64::from(days).days()).unwrap_or(from)
}
