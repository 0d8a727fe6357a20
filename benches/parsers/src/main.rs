//! The bodies of `benches/mask.rs` masked by pinegate, by other parsers with what has to be written around
//! them, and only copied.
//!
//! `cargo run --release --locked --manifest-path benches/parsers/Cargo.toml` prints a table: megabytes of
//! body a second on one core, and how often pinegate's that is. What each contestant leaves is held
//! against what pinegate leaves before it is timed; the first that differs ends the run.
//! `benches/README.md` says what the figures mean.

#[path = "../../support/bodies.rs"]
#[expect(dead_code, reason = "the benches at the root use the rest")]
mod bodies;
mod contestant;
mod measure;
mod with_jiter;
mod with_serde_json;
mod with_sonic;
mod with_struson;

use std::process::ExitCode;

use serde_json::Value;

use bodies::Text;
use contestant::{Copied, Mask, Pinegate};
use measure::median;

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 16 * KIB, KIB * KIB];
const TEXTS: [Text; 2] = [Text::Ascii, Text::Chinese];

fn main() -> ExitCode {
    let bodies: Vec<Vec<u8>> =
        TEXTS.iter().flat_map(|text| SIZES.map(|size| bodies::json(size, *text))).collect();
    println!("| JSON, MB/s | ascii 1 KiB | 16 KiB | 1 MiB | chinese 1 KiB | 16 KiB | 1 MiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut pinegate = Pinegate::new();
    let contestants: [&mut dyn Mask; 8] = [
        &mut with_jiter::Splice,
        &mut with_sonic::Splice,
        &mut with_serde_json::Transcode,
        &mut with_sonic::Tree,
        &mut with_serde_json::Tree,
        &mut with_struson::Events,
        &mut Copied,
        &mut Pinegate::in_one_piece(),
    ];
    let ours = row(&mut pinegate, &bodies, None);
    for contestant in contestants {
        if let Err(difference) = compare(contestant, &mut pinegate, &bodies) {
            eprintln!("{difference}");
            return ExitCode::FAILURE;
        }
        row(contestant, &bodies, Some(&ours));
    }
    ExitCode::SUCCESS
}

/// Whether both leave the same, as values.
fn compare(one: &mut dyn Mask, pinegate: &mut Pinegate, bodies: &[Vec<u8>]) -> Result<(), String> {
    if !one.is_compared() {
        return Ok(());
    }
    for body in bodies {
        let left = |mask: &mut dyn Mask| {
            let mut out = Vec::new();
            mask.mask(body, &mut out);
            let value: Value = serde_json::from_slice(&out).map_err(|error| {
                format!("{} leaves no JSON: {error}: {}", mask.name(), String::from_utf8_lossy(&out))
            })?;
            Ok::<_, String>((value, out))
        };
        let (theirs, ours) = (left(one)?, left(pinegate)?);
        if theirs.0 != ours.0 {
            return Err(format!("{} leaves something else than pinegate of {} bytes", one.name(), body.len()));
        }
        if one.keeps_bytes() && theirs.1 != ours.1 {
            return Err(format!("{} does not keep the bytes of {} bytes", one.name(), body.len()));
        }
    }
    Ok(())
}

/// Times, prints a row, and gives the figures.
fn row(mask: &mut dyn Mask, bodies: &[Vec<u8>], ours: Option<&[f64]>) -> Vec<f64> {
    let speed = |body: &Vec<u8>| {
        let mut out = Vec::with_capacity(2 * body.len());
        let seconds = median(|| {
            out.clear();
            mask.mask(std::hint::black_box(body), &mut out);
            std::hint::black_box(&out);
        });
        body.len() as f64 / seconds / 1e6
    };
    let speeds: Vec<f64> = bodies.iter().map(speed).collect();
    let cells = speeds.iter().enumerate().map(|(place, speed)| match ours {
        Some(ours) => format!(" {speed:.0} ({:.2}) |", speed / ours[place]),
        None => format!(" {speed:.0} |"),
    });
    println!("| {} |{}", mask.name(), cells.collect::<String>());
    speeds
}
