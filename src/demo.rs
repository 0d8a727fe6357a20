//! The demonstration (演示环境): an invented exchange platform with invented people.
//!
//! [`people`] makes the records, [`platform`] serves them as an exchange platform would, [`layout`] lays
//! out the files of a gate before it, and [`scenario`] shows what comes of requests. Nothing in here is
//! taken from a real register.

pub mod layout;
pub mod people;
pub mod platform;
pub mod scenario;
