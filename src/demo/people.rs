//! Invented people, firms, licences and parcels: the same for the same seed, on every machine.
//!
//! Every number has a right check digit and every person, firm, district and address is made up
//! from parts. The six digits of the districts are assigned to no real place, so a resident ID or a
//! credit code from here is nobody's; mobile numbers, plates and cards are random digits, and any
//! likeness is chance.

mod digits;
mod make;
mod parcel;
mod places;
mod random;
mod records;
mod words;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use records::{
    Address, Adoption, Enterprise, Ext, Holder, Licence, Owner, Parcel, Point, Record, Representative,
    Resident,
};
pub use words::Sex;

/// The seed that the demonstration uses.
pub const DEMO_SEED: u64 = 341_000;

/// A valid resident ID that belongs to none of the records: planted where no gate may let a number
/// pass, in error texts and broken bodies.
pub const PLANTED_ID: &str = "34109920000229002X";

/// How many records of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// 常住人口
    pub residents: usize,
    /// 法人
    pub enterprises: usize,
    /// 电子证照
    pub licences: usize,
    /// 地块
    pub parcels: usize,
    /// 收养登记
    pub adoptions: usize,
}

impl Default for Counts {
    fn default() -> Self {
        Self { residents: 1_000, enterprises: 300, licences: 400, parcels: 200, adoptions: 20 }
    }
}

/// All records of one kind, in a fixed order, found by key.
#[derive(Debug)]
pub struct Shelf<R> {
    records: Vec<R>,
    by_key: HashMap<String, usize>,
}

impl<R: Record> Shelf<R> {
    /// The first `count` records of `make` with different keys.
    fn fill(count: usize, make: impl Fn(u64) -> R) -> Self {
        let mut shelf = Self { records: Vec::with_capacity(count), by_key: HashMap::with_capacity(count) };
        for record in (0..).map(make) {
            if shelf.records.len() == count {
                break;
            }
            if !shelf.by_key.contains_key(record.key()) {
                shelf.by_key.insert(record.key().to_owned(), shelf.records.len());
                shelf.records.push(record);
            }
        }
        shelf
    }

    /// The records, in order.
    #[must_use]
    pub fn records(&self) -> &[R] {
        &self.records
    }

    /// The record with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&R> {
        self.by_key.get(key).and_then(|&index| self.records.get(index))
    }
}

/// All that the invented platform holds.
#[derive(Debug)]
pub struct Data {
    seed: u64,
    counts: Counts,
    /// 常住人口基本信息, by ID number.
    pub residents: Shelf<Resident>,
    /// 法人基本信息, by credit code.
    pub enterprises: Shelf<Enterprise>,
    /// 电子证照, by licence number.
    pub licences: Shelf<Licence>,
    /// 地块, by parcel id.
    pub parcels: Shelf<Parcel>,
    /// 收养登记, by number.
    pub adoptions: Shelf<Adoption>,
}

impl Data {
    /// Makes `counts` records of each kind from `seed`.
    #[must_use]
    pub fn generate(seed: u64, counts: Counts) -> Self {
        Self {
            seed,
            counts,
            residents: Shelf::fill(counts.residents, |index| make::resident(seed, index)),
            enterprises: Shelf::fill(counts.enterprises, |index| make::enterprise(seed, index)),
            licences: Shelf::fill(counts.licences, |index| make::licence(seed, index)),
            parcels: Shelf::fill(counts.parcels, |index| make::parcel(seed, index)),
            adoptions: Shelf::fill(counts.adoptions, |index| make::adoption(seed, index)),
        }
    }

    /// The seed that it was made from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many records of each kind there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
