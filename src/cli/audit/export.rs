//! `pinegate audit export`: records for other programs.

mod cef;
mod ocsf;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tempfile::NamedTempFile;

use super::LogArgs;
use super::conditions::Conditions;
use super::csv::Columns;
use super::sweep::sweep;
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

/// A file under another name until it is whole.
pub(super) struct Whole {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Whole {
    /// Begins a file that only its owner may read. One that is there already is an error, unless it may be
    /// replaced.
    pub(super) fn begin(path: &Path, overwrite: bool) -> Result<Self, CommandError> {
        let failed = |source| CommandError::Unwritable { path: path.to_owned(), source };
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(already_there(path));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let failed = |source| CommandError::Unwritable { path: self.path.clone(), source };
        self.file.write_all(bytes).map_err(failed)
    }

    /// Gives the file its name, once it is on disk.
    pub(super) fn finish(self, overwrite: bool) -> Result<(), CommandError> {
        let path = &self.path;
        let failed = |source| CommandError::Unwritable { path: path.clone(), source };
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        let named: Result<File, _> =
            if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
        named.map(drop).map_err(|error| {
            let came_meanwhile = error.error.kind() == io::ErrorKind::AlreadyExists;
            if came_meanwhile { already_there(path) } else { failed(error.error) }
        })
    }
}

fn already_there(path: &Path) -> CommandError {
    CommandError::Unknown {
        given: path.display().to_string(),
        what: "the name of a new file",
        help: "it is there already: name another, or add `--overwrite`".to_owned(),
    }
}

pub(super) fn run(args: &ExportArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let filter = args.conditions.filter()?;
    let directories = args.logs.directories(screen)?;
    let encoder = Encoder::new(args.format);
    let mut whole = args.output.as_ref().map(|path| Whole::begin(path, args.overwrite)).transpose()?;
    let mut block = Vec::new();
    encoder.begin(&mut block);
    let swept = sweep(&directories, &filter, screen, &mut |hit, screen| {
        encoder.record(hit, &mut block);
        if block.len() >= BLOCK_BYTES {
            put(&block, whole.as_mut(), screen)?;
            block.clear();
        }
        Ok(())
    })?;
    put(&block, whole.as_mut(), screen)?;
    if let (Some(whole), Some(path)) = (whole, &args.output) {
        whole.finish(args.overwrite)?;
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
