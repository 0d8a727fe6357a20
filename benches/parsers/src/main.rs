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
mod with_csv;
mod with_jiter;
mod with_quick_xml;
mod with_serde_json;
mod with_sonic;
mod with_struson;

use std::process::ExitCode;

use pinegate::catalog::BodyFormat;
use serde_json::Value;

use bodies::Text;
use contestant::{Copied, Mask, Pinegate};
use measure::median;

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 16 * KIB, KIB * KIB];
const TEXTS: [Text; 2] = [Text::Ascii, Text::Chinese];

fn main() -> ExitCode {
    let result = table(
        "JSON",
        bodies::json,
        BodyFormat::Json,
        &mut [
            &mut Pinegate::new(BodyFormat::Json).in_one_piece(),
            &mut Pinegate::new(BodyFormat::Json).on_words(),
            &mut with_jiter::Splice,
            &mut with_sonic::Splice,
            &mut with_serde_json::Transcode,
            &mut with_sonic::Tree,
            &mut with_serde_json::Tree,
            &mut with_struson::Events,
            &mut Copied,
        ],
        json_values,
    )
    .and_then(|()| {
        let others: &mut [&mut dyn Mask] = &mut [&mut with_csv::Records, &mut Copied];
        table("CSV", bodies::csv, BodyFormat::Csv, others, |out| Ok(out.to_vec()))
    })
    .and_then(|()| {
        let others: &mut [&mut dyn Mask] = &mut [&mut with_quick_xml::Events, &mut Copied];
        table("XML", bodies::xml, BodyFormat::Xml, others, |out| Ok(out.to_vec()))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(difference) => {
            eprintln!("{difference}");
            ExitCode::FAILURE
        }
    }
}

/// Compares and times everybody on bodies of one format, and prints the table.
fn table<T: PartialEq>(
    title: &str,
    body: fn(usize, Text) -> Vec<u8>,
    format: BodyFormat,
    others: &mut [&mut dyn Mask],
    read: fn(&[u8]) -> Result<T, String>,
) -> Result<(), String> {
    let bodies: Vec<Vec<u8>> = TEXTS.iter().flat_map(|text| SIZES.map(|size| body(size, *text))).collect();
    println!("| {title}, MB/s | ascii 1 KiB | 16 KiB | 1 MiB | chinese 1 KiB | 16 KiB | 1 MiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut pinegate = Pinegate::new(format);
    let ours = row(&mut pinegate, &bodies, None);
    for other in others {
        compare(*other, &mut pinegate, &bodies, read)?;
        row(*other, &bodies, Some(&ours));
    }
    println!();
    Ok(())
}

/// Texts as they are written differ where values do not.
fn json_values(out: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(out).map_err(|error| format!("no JSON: {error}: {}", String::from_utf8_lossy(out)))
}

/// Whether both leave the same.
fn compare<T: PartialEq>(
    one: &mut dyn Mask,
    pinegate: &mut Pinegate,
    bodies: &[Vec<u8>],
    read: fn(&[u8]) -> Result<T, String>,
) -> Result<(), String> {
    if !one.is_compared() {
        return Ok(());
    }
    for body in bodies {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        one.mask(body, &mut theirs);
        pinegate.mask(body, &mut ours);
        let is_same = if one.keeps_bytes() { theirs == ours } else { read(&theirs)? == read(&ours)? };
        if !is_same {
            return Err(format!(
                "{} leaves something else than pinegate of {} bytes:\n{}",
                one.name(),
                body.len(),
                String::from_utf8_lossy(&theirs[..theirs.len().min(600)]),
            ));
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
