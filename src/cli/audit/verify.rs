//! `pinegate audit verify`: is the log as it was written?

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::LogArgs;
use super::bounded::read_at_most;
use super::show;
use super::trust::{Cosigned, Trust, TrustArgs};
use super::whole::Whole;
use crate::cli::progress::Progress;
use crate::cli::screen::Tone;
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

Exit codes: 0 as it was written, 1 damaged or no log, 2 a state that cannot be used.")]
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
    let missed = missed(args, &reports);
    for name in &missed {
        let word = screen.paint_aside(Tone::Bad, "error");
        screen.aside(format!("{word}: no log here is signed as `{name}`"))?;
    }
    if !missed.is_empty() || !reports.iter().all(|(_, report)| report.is_intact()) {
        return Ok(Exit::Refused);
    }
    if let Some((state, (_, report))) = args.state.as_deref().zip(reports.first()) {
        write_state(state, report)?;
    }
    Ok(Exit::Fine)
}

/// The logs whose keys were given by themselves and that are not here. A policy may name more than are meant.
fn missed(args: &VerifyArgs, reports: &[(PathBuf, VerifyReport)]) -> Vec<String> {
    let trees = || reports.iter().flat_map(|(_, report)| &report.trees);
    let names = args.trust.names();
    names.into_iter().filter(|name| trees().all(|tree| tree.origin != *name)).collect()
}

/// What was known the last time; nothing at the first.
fn read_state(path: &Path) -> Result<Option<Known>, CommandError> {
    let bytes = match read_at_most(path, usize::try_from(MAX_KNOWN_BYTES).unwrap_or(usize::MAX)) {
        Err(CommandError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        // A log that was not looked at is not damaged.
        Err(CommandError::Unreadable { path, source }) => return Err(CommandError::State { path, source }),
        read => read?,
    };
    let unfit = |error| CommandError::State { path: path.to_owned(), source: io::Error::other(error) };
    Known::decode(&bytes).map(Some).map_err(unfit)
}

fn write_state(path: &Path, report: &VerifyReport) -> Result<(), CommandError> {
    let failed = |error| CommandError::Unwritable { path: path.to_owned(), source: io::Error::other(error) };
    let bytes = report.known.encode().map_err(failed)?;
    let mut file = Whole::begin(path, true)?;
    file.write(&bytes)?;
    file.finish()
}
