//! `pinegate audit receipt`: one file that proves to others that an access is in the log.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde::Serialize;
use serde_json::value::RawValue;

use super::LogArgs;
use super::bounded::read_at_most;
use super::evidence::{EvidenceError, Log, Place};
use super::output::{Format, Printer};
use super::trust::TrustArgs;
use super::whole::Whole;
use crate::audit::{MAX_LINE_BYTES, Members};
use crate::cli::screen::Tone;
use crate::cli::{CommandError, Exit, Screen};
use crate::journal::read::{Filter, Passed, find};
use crate::kernel::id::RequestId;
use crate::tlog::policy::Trusted;
use crate::tlog::receipt::MAX_RECEIPT_BYTES;
use crate::tlog::{Receipt, leaf_hash};

/// How many records of one request get a receipt: an intent, its outcomes, and what should not be.
const MAX_RECORDS: usize = 16;

/// Make a file that proves that a record is in the log, or check one
///
/// A receipt (C2SP tlog-proof) has the record, its place in the tree, the hashes that lead to the signed
/// head, and the head with all its signatures: of the last head that witnesses have cosigned, or of the
/// last one that is signed where no cosigned one has the record. It is checked offline, with the key of the
/// log or with a policy that also names witnesses.
///
/// The record stands in the `extra` line, so that it cannot be parted from its proof; what counts is that
/// its hash is the leaf.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["request", "record", "check"]))]
#[command(after_help = "\
Examples:
  pinegate audit receipt --record gate-1/3/120 --output access.tlog-proof
  pinegate audit receipt --request 019a2b3c-… --output receipts/     a file for each record of the request
  pinegate audit receipt --check access.tlog-proof --key gate-1+0f6b5d5c+AQ…
  pinegate audit receipt --check access.tlog-proof --policy policy.txt --json | jq .record

Exit codes: 0 made, or proved; 1 the record is not signed for yet, or the receipt proves nothing.")]
pub(super) struct ReceiptArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// Of all records of this request
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// Of one record, by node, generation and number
    #[arg(long, value_name = "NODE/GENERATION/SEQ")]
    record: Option<Place>,
    /// Write to this file, or below this directory under the record's name [default: standard output]
    #[arg(long, short, value_name = "FILE|DIR", conflicts_with = "check")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    overwrite: bool,
    /// Check this receipt
    #[arg(long, value_name = "FILE", conflicts_with = "directories")]
    check: Option<PathBuf>,
    /// The record, where the receipt has none in it
    #[arg(long, value_name = "FILE", requires = "check")]
    entry: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// With --check: print one JSON object
    #[arg(long, requires = "check")]
    json: bool,
}

pub(super) fn run(args: &ReceiptArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match &args.check {
        Some(path) => check(path, args, screen),
        None => make(args, screen),
    }
}

fn make(args: &ReceiptArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (mut found, mut exit) = (Vec::new(), Exit::Fine);
    for directory in args.logs.directories(screen)? {
        let (records, passed) = wanted(&directory, args)?;
        if !super::unreadable(&directory, passed.unreadable, screen)? {
            exit = Exit::Refused;
        }
        for (place, line) in records {
            let log = Log::open(&directory, &place.node)?;
            let index = log.index_of(&place);
            let head = index.and_then(|index| log.heads_over(index).next());
            let Some(head) = head else { return Err(EvidenceError::NotSigned(place).into()) };
            let receipt = log.prover(head).receipt(&place, &line)?;
            found.push((place, receipt));
        }
    }
    match (found.as_slice(), &args.output) {
        ([], _) => Err(nothing(args)),
        (all, Some(output)) if output.is_dir() => {
            for (place, receipt) in all {
                write(&output.join(place.file_name()), receipt, args.overwrite, screen)?;
            }
            Ok(exit)
        }
        ([(_, receipt)], Some(output)) => {
            write(output, receipt, args.overwrite, screen)?;
            Ok(exit)
        }
        ([(_, receipt)], None) => {
            screen.bytes(receipt.to_string().as_bytes())?;
            Ok(exit)
        }
        (several, _) => Err(CommandError::Unknown {
            given: args.request.map(|id| id.to_string()).unwrap_or_default(),
            what: "a request of one record",
            help: format!(
                "it has {}: name a directory that is there with `--output`, or one of them with `--record {}`",
                several.len(),
                several.iter().map(|(place, _)| place.to_string()).collect::<Vec<_>>().join("`, `--record ")
            ),
        }),
    }
}

/// A record's place and what stands there.
type Line = (Place, Vec<u8>);

/// The records that are meant, with their lines, and what was looked through for them.
fn wanted(directory: &Path, args: &ReceiptArgs) -> Result<(Vec<Line>, Passed), CommandError> {
    if let Some(place) = &args.record {
        let line = place.read(directory)?;
        return Ok((line.map(|line| (place.clone(), line)).into_iter().collect(), Passed::default()));
    }
    let filter = Filter { request: args.request, ..Filter::default() };
    let (found, passed) = find(directory, &filter, MAX_RECORDS)?;
    let placed = |line: Vec<u8>| Some((Place::of(&Members::read(&line)?)?, line));
    Ok((found.into_iter().filter_map(|found| placed(found.line)).collect(), passed))
}

fn nothing(args: &ReceiptArgs) -> CommandError {
    match (&args.record, args.request) {
        (Some(place), _) => EvidenceError::NoRecord(place.clone()).into(),
        (None, id) => CommandError::Unknown {
            given: id.map(|id| id.to_string()).unwrap_or_default(),
            what: "the id of a request in the log",
            help: "`pinegate audit search` shows what is in it".to_owned(),
        },
    }
}

fn write(
    path: &Path,
    receipt: &Receipt,
    overwrite: bool,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let mut whole = Whole::begin(path, overwrite)?;
    whole.write(receipt.to_string().as_bytes())?;
    whole.finish()?;
    screen.line(path.display())
}

/// What was proved of a record.
pub(super) struct Proved {
    pub(super) receipt: Receipt,
    pub(super) line: Vec<u8>,
    pub(super) trusted: Trusted,
}

/// Checks a receipt that stands in a file, and the record in it or beside it.
pub(super) fn proved(
    path: &Path,
    entry: Option<Vec<u8>>,
    policy: &crate::tlog::Policy,
) -> Result<Proved, CommandError> {
    let receipt = Receipt::parse(&read_at_most(path, MAX_RECEIPT_BYTES)?)
        .map_err(|source| EvidenceError::Receipt { path: path.to_owned(), source })?;
    let line =
        entry.or_else(|| receipt.extra.clone()).ok_or_else(|| EvidenceError::NoEntry(path.to_owned()))?;
    let trusted = receipt
        .verify(&leaf_hash(&line), policy)
        .map_err(|source| EvidenceError::Unproved { path: path.to_owned(), source })?;
    Ok(Proved { receipt, line, trusted })
}

#[derive(Debug, Serialize)]
struct CheckJson<'c> {
    proved: bool,
    log: &'c str,
    index: u64,
    size: u64,
    root: String,
    cosigned: Vec<CosignedJson<'c>>,
    record: &'c RawValue,
}

#[derive(Debug, Serialize)]
struct CosignedJson<'c> {
    witness: &'c str,
    at: String,
}

fn check(path: &Path, args: &ReceiptArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let trust = args.trust.trust()?.ok_or(EvidenceError::NoTrust)?;
    let entry = args.entry.as_ref().map(|path| read_at_most(path, MAX_LINE_BYTES + 1)).transpose()?;
    // Written by an editor, it ends in a newline that the leaf has not.
    let entry = entry.map(|entry| entry.strip_suffix(b"\n").map_or(entry.clone(), <[u8]>::to_vec));
    let Proved { receipt, line, trusted } = proved(path, entry, &trust.policy)?;
    let no_record = || EvidenceError::NotARecord(path.to_owned());
    let record = Members::read(&line).ok_or_else(no_record)?;
    let place = Place::of(&record).ok_or_else(no_record)?;
    let head = &trusted.checkpoint;
    if args.json {
        let cosigned = trusted.cosigned.iter();
        return screen
            .json(&CheckJson {
                proved: true,
                log: &head.origin,
                index: receipt.index,
                size: head.size,
                root: data_encoding::BASE64.encode(&head.root.0),
                cosigned: cosigned
                    .map(|(key, at)| CosignedJson { witness: key.name(), at: at.to_string() })
                    .collect(),
                record: serde_json::from_slice(&line).map_err(|_| no_record())?,
            })
            .map(|()| Exit::Fine);
    }
    let word = screen.paint(Tone::Good, "proved");
    screen.line(format!("{word}: record {place} is entry {} of the log `{}`", receipt.index, head.origin))?;
    screen.line(format!("  signed by {}, with {} records", trusted.log, head.size))?;
    for (key, at) in &trusted.cosigned {
        screen.line(format!("  cosigned by {} at {at}", key.name()))?;
    }
    if trusted.cosigned.is_empty() {
        screen.line("  cosigned by nobody that is believed")?;
    }
    let mut printer = Printer::new(Format::Table);
    printer.take(&line, &record);
    printer.show(screen)?;
    Ok(Exit::Fine)
}
