//! Counts as a table, as JSON and as CSV.

use serde_json::{Map, Value, json};

use super::tally::{By, Counts, Ranked};
use crate::cli::audit::csv;
use crate::cli::audit::output::Format;
use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, toned};
use crate::cli::{CommandError, Screen};

/// The names of the numbers, in order.
const NUMBERS: [&str; 12] = [
    "accesses",
    "permitted",
    "denied",
    "failed",
    "records",
    "bytes_in",
    "bytes_out",
    "masked",
    "dropped",
    "p50_us",
    "p99_us",
    "longest_us",
];

/// Stands where groups are counted together.
const OTHER: &str = "(other)";

fn numbers(counts: &Counts) -> [Option<u64>; 12] {
    let Counts { accesses, permitted, denied, failed, records, bytes_in, bytes_out, masked, dropped, times } =
        counts;
    let plain = [accesses, permitted, denied, failed, records, bytes_in, bytes_out, masked, dropped];
    let mut all = [None; 12];
    let values =
        plain.into_iter().map(|number| Some(*number)).chain([times.at(50), times.at(99), times.most()]);
    all.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    all
}

pub(super) fn ranked(
    by: &[By],
    ranked: Ranked,
    format: Format,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    match format {
        Format::Table => table(by, &ranked, screen),
        Format::Json => as_json(by, ranked, screen),
        Format::Csv => as_csv(by, &ranked, screen),
    }
}

/// The numbers that people are shown, by their places, and what is above them.
const SHOWN: [(usize, &str); 11] = [
    (0, "accesses"),
    (1, "permitted"),
    (2, "denied"),
    (3, "failed"),
    (4, "records"),
    (7, "masked"),
    (8, "dropped"),
    (6, "bytes_out"),
    (9, "p50_ms"),
    (10, "p99_ms"),
    (11, "longest_ms"),
];

fn shown(counts: &Counts) -> [String; 11] {
    let numbers = numbers(counts);
    SHOWN.map(|(place, head)| match numbers.get(place).copied().flatten() {
        None => "-".to_owned(),
        Some(micros) if head.ends_with("_ms") => format!("{}.{}", micros / 1_000, micros % 1_000 / 100),
        Some(number) => number.to_string(),
    })
}

fn table(by: &[By], ranked: &Ranked, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let other = ranked.other.iter().map(|counts| (keys_of(by, OTHER), shown(counts)));
    let dashed = |key: &String| if key.is_empty() { "-".to_owned() } else { key.clone() };
    let rows: Vec<_> = ranked
        .groups
        .iter()
        .map(|(keys, counts)| (keys.iter().map(dashed).collect(), shown(counts)))
        .chain(other)
        .chain([(keys_of(by, "total"), shown(&ranked.total))])
        .collect();
    // Numbers stand under each other at their right.
    let mut widths = SHOWN.map(|(_, head)| head.len());
    for (_, numbers) in &rows {
        widths.iter_mut().zip(numbers).for_each(|(width, number)| *width = number.len().max(*width));
    }
    let mut table = Table::default();
    let heads = SHOWN.iter().zip(widths).map(|((_, head), width)| format!("{head:>width$}"));
    table.row(by.iter().map(|by| by.as_str().to_owned()).chain(heads).map(|text| toned(Tone::Faint, text)));
    for (keys, numbers) in rows {
        let numbers = numbers.into_iter().zip(widths).map(|(number, width)| format!("{number:>width$}"));
        table.row(keys.into_iter().chain(numbers).map(plain));
    }
    table.lines(screen, 0).into_iter().try_for_each(|line| screen.line(line))
}

/// One word in place of the texts of a group.
fn keys_of(by: &[By], word: &str) -> Vec<String> {
    (0..by.len()).map(|place| if place == 0 { word.to_owned() } else { String::new() }).collect()
}

fn object(counts: &Counts) -> Map<String, Value> {
    NUMBERS.iter().zip(numbers(counts)).map(|(name, number)| ((*name).to_owned(), json!(number))).collect()
}

/// A text of a group; nothing where records do not say.
fn known(key: String) -> Value {
    if key.is_empty() { Value::Null } else { Value::String(key) }
}

fn as_json(by: &[By], ranked: Ranked, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let groups: Vec<_> = ranked
        .groups
        .into_iter()
        .map(|(keys, counts)| {
            let keys = by.iter().map(|by| by.as_str().to_owned()).zip(keys.into_iter().map(known));
            keys.chain(object(&counts)).collect::<Map<_, _>>()
        })
        .collect();
    let by: Vec<_> = by.iter().map(|by| by.as_str()).collect();
    let other = ranked.other.as_ref().map(|counts| {
        let mut other = object(counts);
        other.insert("groups".to_owned(), json!(ranked.left_out));
        other
    });
    screen.json(&json!({ "by": by, "groups": groups, "other": other, "total": object(&ranked.total) }))
}

fn as_csv(by: &[By], ranked: &Ranked, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let mut out = Vec::new();
    csv::row(&mut out, by.iter().map(|by| by.as_str()).chain(NUMBERS));
    let other = ranked.other.iter().map(|counts| (keys_of(by, OTHER), counts));
    let groups = ranked.groups.iter().map(|(keys, counts)| (keys.clone(), counts));
    for (keys, counts) in groups.chain(other) {
        let numbers =
            numbers(counts).map(|number| number.map_or_else(String::new, |number| number.to_string()));
        csv::row(&mut out, keys.iter().map(String::as_str).chain(numbers.iter().map(String::as_str)));
    }
    screen.bytes(&out)
}
