//! A given number of decisions, to be counted from outside.
//!
//! `cargo bench --bench decisions -- CASE GRANTS DECISIONS` decides and prints how many were allowed. Two runs
//! of different length under `valgrind --tool=callgrind` differ by the instructions of the decisions
//! alone; `benches/README.md` has the command and the figures.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it did")]

#[path = "support/city.rs"]
mod city;

use std::hint::black_box;
use std::process::ExitCode;

use pinegate::grant::DenyReason;

use city::{Asker, City, askings, is_permit, refused_for};

const USAGE: &str = "usage: decisions allowed|one-field|no-grant|purpose|dense GRANTS DECISIONS";

fn main() -> ExitCode {
    // `cargo bench` puts a `--bench` of its own behind.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (case, grants, decisions) = match words.as_slice() {
        [] => ("allowed", "1000", "1000"),
        [case, grants, decisions] => (*case, *grants, *decisions),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (Ok(grants), Ok(decisions)) = (grants.parse(), decisions.parse::<usize>()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let city = City::new(grants, case == "dense");
    let policy = city.load();
    let catalog = &city.catalog;
    let asker: Asker = match case {
        "allowed" => askings(catalog, grants, false, 0, 0, &[]).only(&policy, is_permit),
        "one-field" => askings(catalog, grants, false, 0, 0, &["name"]).only(&policy, is_permit),
        "no-grant" => {
            askings(catalog, grants, false, 0, 1, &[]).only(&policy, refused_for(DenyReason::NoGrant))
        }
        "purpose" => askings(catalog, grants, false, 1, 0, &[])
            .only(&policy, refused_for(DenyReason::PurposeNotGranted)),
        "dense" => askings(catalog, grants, true, 0, 0, &[]).only(&policy, is_permit),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let allowed = (0..decisions).filter(|_| black_box(asker.decide(&policy)).is_ok()).count();
    println!("{case}, {grants} grants: {decisions} decisions, {allowed} allowed");
    ExitCode::SUCCESS
}
