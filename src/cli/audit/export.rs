//! `pinegate audit export`: records for other programs.

mod cef;
mod ocsf;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LogArgs;
use super::conditions::Conditions;
use super::csv::Columns;
use super::sweep::sweep;
use super::whole::Whole;
use crate::cli::{CommandError, Exit, Screen};
use crate::journal::read::Hit;

/// How many bytes are written to standard output at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Write records in a format that other programs read
///
/// `jsonl`: the records as they stand in the log. `csv`: RFC 4180, as `search` prints it. `ocsf`: Open
/// Cybersecurity Schema Framework 1.6.0, API Activity, and Application Lifecycle for what happened to the
/// gate. `cef`: ArcSight Common Event Format, one event a line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit export --format csv --output june.csv --from 2026-06-01 --until 2026-07-01
  pinegate audit export --format ocsf --decision deny | gzip > refusals.ocsf.jsonl.gz
  pinegate audit export --format cef --from 2026-06-01 | logger --server siem.city.example --rfc5424
  pinegate audit export --format jsonl --system sys:minzheng-aid /backup/audit > minzheng.jsonl

Exit codes: 0 written, 1 a line that may match is no record.")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// The format
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// Write to this file, whole or not at all [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    overwrite: bool,
    #[command(flatten)]
    conditions: Conditions,
}

/// Formats that other programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// The records as they stand in the log, one JSON object a line
    Jsonl,
    /// One line each under a line of names
    Csv,
    /// OCSF 1.6.0, one JSON object a line
    Ocsf,
    /// Common Event Format, one event a line
    Cef,
}

/// Turns records into bytes.
struct Encoder {
    format: ExportFormat,
    columns: Columns,
}

impl Encoder {
    fn new(format: ExportFormat) -> Self {
        Self { format, columns: Columns::new() }
    }

    /// What stands before all records.
    fn begin(&self, out: &mut Vec<u8>) {
        if self.format == ExportFormat::Csv {
            self.columns.header(out);
        }
    }

    fn record(&self, hit: &Hit<'_>, out: &mut Vec<u8>) {
        match self.format {
            ExportFormat::Jsonl => {
                out.extend_from_slice(hit.line);
                out.push(b'\n');
            }
            ExportFormat::Csv => self.columns.record(&hit.record, out),
            ExportFormat::Ocsf => ocsf::event(&hit.record, out),
            ExportFormat::Cef => cef::event(&hit.record, out),
        }
    }
}

pub(super) fn run(args: &ExportArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let filter = args.conditions.filter()?;
    let directories = args.logs.directories(screen)?;
    let encoder = Encoder::new(args.format);
    let mut whole = args.output.as_ref().map(|path| Whole::begin(path, args.overwrite)).transpose()?;
    let mut block = Vec::new();
    encoder.begin(&mut block);
    let swept = sweep(&directories, &filter, screen, &mut |hit, progress, screen| {
        encoder.record(hit, &mut block);
        if block.len() >= BLOCK_BYTES {
            progress.beside(|| put(&block, whole.as_mut(), screen))?;
            block.clear();
        }
        Ok(())
    })?;
    put(&block, whole.as_mut(), screen)?;
    if let (Some(whole), Some(path)) = (whole, &args.output) {
        whole.finish()?;
        screen.aside(format!("{}: {} of {} records", path.display(), swept.found, swept.looked_at))?;
    }
    Ok(if swept.unreadable == 0 { Exit::Fine } else { Exit::Refused })
}

fn put(block: &[u8], whole: Option<&mut Whole>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    match whole {
        Some(whole) => whole.write(block),
        None => screen.bytes(block),
    }
}

#[cfg(test)]
mod tests;
