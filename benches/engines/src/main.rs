//! The same grants and requests decided by pinegate, by plain casbin-rs, by Cedar with all policies in
//! one set and sliced by resource, and by regorus over indexed data.
//!
//! `cargo run --release --locked --manifest-path benches/engines/Cargo.toml [-- GRANTS…]` prints a table.
//! The answers of every engine are held against pinegate's before it is timed; the first that differs
//! ends the run. Requests are made ready outside of the timed loop, in each engine's own types.
//! `benches/README.md` says what the figures mean.

mod casbin_rs;
mod cedar;
#[path = "../../support/city.rs"]
#[expect(dead_code, reason = "the benches at the root use the rest")]
mod city;
mod engine;
mod gate;
mod grants;
mod measure;
mod rego;

use std::process::ExitCode;
use std::time::Duration;

use pinegate::grant::DenyReason;

use engine::Engine;
use gate::Pinegate;
use grants::{Ask, Grants, asks};
use measure::{cpu, median, timed};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// How many answers are compared at least, and how long comparing may go on after that.
const COMPARED: usize = 64;
const COMPARING: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let words = std::env::args().skip(1);
    let Ok(mut sizes) = words.map(|word| word.parse()).collect::<Result<Vec<usize>, _>>() else {
        eprintln!("usage: pinegate-engines [GRANTS…]");
        return ExitCode::from(2);
    };
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    println!("| grants | engine | load s | allowed ns | refused ns | answers compared |");
    println!("|---:|---|---:|---:|---:|---:|");
    for count in sizes {
        // Deny lines come in fifties.
        if let Err(difference) = compare(count.next_multiple_of(50)) {
            eprintln!("{difference}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn compare(count: usize) -> Result<(), String> {
    let grants = Grants::new(count);
    let asked = answered(&grants)?;
    row::<Pinegate>(&grants, &asked)?;
    row::<casbin_rs::Casbin>(&grants, &asked)?;
    row::<cedar::Naive>(&grants, &asked)?;
    row::<cedar::Sliced>(&grants, &asked)?;
    row::<rego::Interpreted>(&grants, &asked)?;
    row::<rego::Compiled>(&grants, &asked)
}

/// The requests with pinegate's answers. The first of them, which even the slowest engine is asked, are
/// refused for every reason that the grants know.
fn answered(grants: &Grants) -> Result<Vec<(Ask, bool)>, String> {
    let judge = Pinegate::load(&Pinegate::source(grants));
    let asks = asks(grants);
    let reasons: Vec<_> = asks.iter().map(|ask| judge.refuses_for(&judge.request(ask))).collect();
    for reason in [
        None,
        Some(DenyReason::PurposeNotGranted),
        Some(DenyReason::ParameterNotGranted),
        Some(DenyReason::OutsideSchedule),
        Some(DenyReason::GrantExpired),
        Some(DenyReason::Denied),
    ] {
        if !reasons[..COMPARED].contains(&reason) {
            return Err(format!("no request among the first {COMPARED} is answered {reason:?}"));
        }
    }
    Ok(asks.into_iter().zip(reasons.iter().map(Option::is_none)).collect())
}

/// Loads, compares, times, and prints a row.
fn row<E: Engine>(grants: &Grants, asked: &[(Ask, bool)]) -> Result<(), String> {
    let source = E::source(grants);
    let (mut engine, load) = timed(|| E::load(&source));
    let compared = differ(&mut engine, asked)?;
    let of = |engine: &E, wanted: bool| -> Vec<E::Request> {
        let mut asks: Vec<&Ask> =
            asked.iter().filter(|(_, allowed)| *allowed == wanted).map(|(ask, _)| ask).collect();
        // A clock does not jump, and pinegate makes use of that: where a window stands is remembered until
        // its next edge.
        asks.sort_by_key(|ask| ask.instant);
        asks.into_iter().map(|ask| engine.request(ask)).collect()
    };
    let (allowed, refused) = (of(&engine, true), of(&engine, false));
    let allowed = median(&allowed, |request| engine.allows(request));
    let refused = median(&refused, |request| engine.allows(request));
    let (count, name, load) = (grants.terms.len(), E::NAME, load.as_secs_f64());
    println!("| {count} | {name} | {load:.3} | {allowed:.0} | {refused:.0} | {compared} |");
    Ok(())
}

/// How many answers were compared.
fn differ<E: Engine>(engine: &mut E, asked: &[(Ask, bool)]) -> Result<usize, String> {
    let start = cpu();
    let mut compared = 0;
    for (ask, expected) in asked {
        if compared >= COMPARED && cpu() - start > COMPARING {
            break;
        }
        let request = engine.request(ask);
        if engine.allows(&request) != *expected {
            return Err(format!("{} differs: pinegate answers {expected} to {ask:#?}", E::NAME));
        }
        compared += 1;
    }
    Ok(compared)
}
