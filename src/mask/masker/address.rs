//! Addresses: what names a place smaller than a district goes.
//!
//! Only names of `divisions.txt` are kept. An ending tells nothing: 三病区, 东区 and 张三超市 end like
//! districts. A division that is newer than the table, or older, is not known, and goes with the rest.

use std::sync::LazyLock;

/// Down to what an address is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    Province,
    City,
    District,
}

/// A division of the first level.
#[derive(Debug)]
struct Province {
    /// 安徽, and what makes it 安徽省.
    name: &'static str,
    ending: &'static str,
    /// Divisions of the third level that belong to no city, such as those of Beijing.
    districts: Vec<&'static str>,
    cities: Vec<City>,
}

/// A division of the second level.
#[derive(Debug)]
struct City {
    name: &'static str,
    districts: Vec<&'static str>,
}

static PROVINCES: LazyLock<Vec<Province>> = LazyLock::new(|| {
    let mut provinces: Vec<Province> = Vec::new();
    for line in include_str!("address/divisions.txt").lines() {
        let mut names = line.split_ascii_whitespace();
        let Some(first) = names.next().filter(|first| *first != "#") else { continue };
        if let Some((name, ending)) = first.split_once('|') {
            provinces.push(Province { name, ending, districts: names.collect(), cities: Vec::new() });
        } else if let Some(province) = provinces.last_mut() {
            province.cities.push(City { name: first, districts: names.collect() });
        }
    }
    provinces
});

/// How long the names are that an address begins with, in bytes; zero where there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Names {
    province: usize,
    city: usize,
    district: usize,
}

/// The front of `text` down to `cut`, or down to what is there; nothing if `text` does not begin with a
/// province as it is written in full, or with two divisions, one in the other.
pub(super) fn cut(text: &str, cut: Cut) -> Option<&str> {
    let names = names(text)?;
    let end = match cut {
        Cut::Province => names.province,
        Cut::City => names.province + names.city,
        Cut::District => names.province + names.city + names.district,
    };
    (0 < end && end < text.len()).then(|| text.get(..end)).flatten()
}

fn names(text: &str) -> Option<Names> {
    let are_two = |names: &Names| {
        [names.province, names.city, names.district].iter().filter(|length| **length > 0).count() >= 2
    };
    if let Some((province, rest)) =
        PROVINCES.iter().find_map(|province| Some((province, text.strip_prefix(province.name)?)))
    {
        let (rest, is_in_full) =
            rest.strip_prefix(province.ending).map_or((rest, false), |rest| (rest, true));
        let names = Names { province: text.len() - rest.len(), ..province.names(rest) };
        if is_in_full || are_two(&names) {
            return Some(names);
        }
    }
    // 吉林市 and 海南藏族自治州 begin like provinces.
    PROVINCES.iter().map(|province| province.names_of_city(text)).find(are_two)
}

impl Province {
    /// The names that what follows the province begins with.
    fn names(&self, text: &str) -> Names {
        let names = self.names_of_city(text);
        if names.city > 0 {
            return names;
        }
        // Counties and their like are called by the province too. A name that ends in 区 needs its city:
        // many have a 郊区.
        let counties =
            self.cities.iter().flat_map(|city| &city.districts).filter(|name| !name.ends_with('区'));
        Names { district: length(self.districts.iter().chain(counties), text), ..names }
    }

    /// The names that `text` begins with, if the first is that of a city.
    fn names_of_city(&self, text: &str) -> Names {
        let city = self.cities.iter().find_map(|city| Some((city, text.strip_prefix(city.name)?)));
        city.map_or(Names::default(), |(city, rest)| Names {
            city: city.name.len(),
            district: length(&city.districts, rest),
            ..Names::default()
        })
    }
}

/// The length of the name that `text` begins with.
fn length<'n>(names: impl IntoIterator<Item = &'n &'static str>, text: &str) -> usize {
    names.into_iter().find(|name| text.starts_with(**name)).map_or(0, |name| name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let cities = || PROVINCES.iter().flat_map(|province| &province.cities);
        let districts = || {
            let direct = PROVINCES.iter().flat_map(|province| &province.districts);
            direct.chain(cities().flat_map(|city| &city.districts))
        };
        assert_eq!((PROVINCES.len(), cities().count(), districts().count()), (34, 333, 2_849));
        for name in cities().map(|city| city.name) {
            assert!(["市", "自治州", "地区", "盟"].iter().any(|ending| name.ends_with(ending)), "{name}");
        }
        for name in districts() {
            assert!(name.ends_with(['区', '县', '市', '旗']), "{name}");
        }
        for province in PROVINCES.iter() {
            assert!(["省", "市", "自治区", "特别行政区"].iter().any(|it| province.ending.ends_with(it)));
        }
    }

    /// The first that fits is the one that is meant.
    #[test]
    fn no_name_begins_another_beside_it() {
        #[track_caller]
        fn check(names: &[&str]) {
            for name in names {
                let alike = names.iter().filter(|other| other.starts_with(name)).count();
                assert_eq!(alike, 1, "{name}");
            }
        }
        check(&PROVINCES.iter().map(|province| province.name).collect::<Vec<_>>());
        check(
            &PROVINCES.iter().flat_map(|province| &province.cities).map(|city| city.name).collect::<Vec<_>>(),
        );
        for province in PROVINCES.iter() {
            check(&province.districts);
            province.cities.iter().for_each(|city| check(&city.districts));
        }
    }
}
