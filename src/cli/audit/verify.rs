//! `pinegate audit verify`: is the log as it was written?

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::LogArgs;
use super::show;
use super::trust::{Cosigned, Trust, TrustArgs};
use super::whole::Whole;
use crate::cli::progress::Progress;
use crate::cli::{CommandError, Exit, Screen};
use crate::journal::read::{Against, Known, MAX_KNOWN_BYTES, VerifyReport, size, verify_against};

/// Check that no record was changed, added or taken away
///
/// Holds every record against its checksum, its place, the record before it and what later generations say of
/// earlier ones, and its hash against the published tree under the signed heads. Signatures and cosignatures
/// are checked by the keys given, or by those of the configuration where no directory is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit verify
  pinegate audit verify /backup/audit --key gate-1+0f6b5d5c+AQ…
  pinegate audit verify /backup/audit --policy policy.txt
  pinegate audit verify --state verified.json      only what has come since the last time
  pinegate audit verify --json | jq '.logs[].damage[] | {act, file, seq}'

Exit codes: 0 as it was written, 1 damaged.")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    logs: LogArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// How far the log was good the last time; read if it is there, and written anew where nothing is damaged
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let trust = match args.trust.trust()? {
        Some(trust) => Some(trust),
        None => args
            .logs
            .own_keys(screen)?
            .map(|(log, witnesses)| Trust::of(&[log], &witnesses, Cosigned::ByAny))
            .transpose()?,
    };
    let directories = args.logs.directories(screen)?;
    if let (Some(state), [_, _, ..]) = (&args.state, directories.as_slice()) {
        return Err(CommandError::Unknown {
            given: state.display().to_string(),
            what: "the state of several logs",
            help: "verify them one by one, each with a `--state` of its own".to_owned(),
        });
    }
    let known = args.state.as_deref().map(read_state).transpose()?.flatten();
    let mut bytes: u64 = 0;
    for directory in &directories {
        bytes = bytes.saturating_add(size(directory)?);
    }
    let progress = Progress::over(bytes);
    let against = Against { trust: trust.as_ref().map(|trust| &trust.policy), known: known.as_ref() };
    let mut reports = Vec::new();
    for directory in directories {
        let report = verify_against(&directory, against, &mut |bytes| progress.add(bytes))?;
        reports.push((directory, report));
    }
    progress.end();
    show::verified(&reports, trust.is_some(), args.json, screen)?;
    if !reports.iter().all(|(_, report)| report.is_intact()) {
        return Ok(Exit::Refused);
    }
    if let Some((state, (_, report))) = args.state.as_deref().zip(reports.first()) {
        write_state(state, report)?;
    }
    Ok(Exit::Fine)
}

/// What was known the last time; nothing at the first.
fn read_state(path: &Path) -> Result<Option<Known>, CommandError> {
    let unreadable = |source| CommandError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_KNOWN_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    let known = Known::decode(&bytes);
    known.map(Some).map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn write_state(path: &Path, report: &VerifyReport) -> Result<(), CommandError> {
    let failed = |error| CommandError::Unwritable { path: path.to_owned(), source: io::Error::other(error) };
    let bytes = report.known.encode().map_err(failed)?;
    let mut file = Whole::begin(path, true)?;
    file.write(&bytes)?;
    file.finish(true)
}
