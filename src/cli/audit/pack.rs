//! `pinegate audit pack`: records with their proofs, for somebody who trusts neither the gate nor its
//! operator.

mod check;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::LogArgs;
use super::conditions::Conditions;
use super::evidence::{EvidenceError, Head, Log, Place};
use super::sweep::sweep;
use super::trust::{Cosigned, Trust, TrustArgs};
use crate::cli::{CommandError, Exit, Screen};
use crate::kernel::id::{Digest, NodeId};
use crate::tlog::{Policy, VerifierKey};

/// The records, one a line, in the order of node, generation and number.
const RECORDS: &str = "records.jsonl";
/// The receipts of the records, by their names.
const PROOFS: &str = "proofs";
/// Whose signatures are believed.
const POLICY: &str = "policy";
/// The digests of all other files, as `sha256sum` writes and checks them.
const SUMS: &str = "SHA256SUMS";
/// Checks the pack without this program.
const PROGRAM: (&str, &str) = ("check.py", include_str!("pack/check.py"));
/// What it is and how it is checked.
const README: (&str, &str) = ("README.md", include_str!("pack/README.md"));

/// Pack records with their proofs for a third party, or check such a pack
///
/// Makes a directory with the records that the conditions hold of, a receipt for each, the signed head of
/// the log with its cosignatures and the tiles that the receipts come from, the public keys, the digests of
/// all files, and a README with a copy of the short program that checks it all without pinegate. Who doubts
/// the pack takes that program from a release, not from the pack. No other record can be read from it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit pack case-17 --system sys:minzheng-aid --from 2026-06-01 --until 2026-07-01
  pinegate audit pack case-17 /backup/audit --policy policy.txt --request 019a2b3c-…
  pinegate audit pack --check case-17 --policy policy.txt
  python3 pinegate-check.py case-17 policy.txt

Exit codes: 0 made, or as it was made and proved; 1 a record is not signed for yet, the pack was changed, or
a proof proves nothing.")]
pub(super) struct PackArgs {
    /// The directory to make
    #[arg(value_name = "OUT", required_unless_present = "check")]
    out: Option<PathBuf>,
    #[command(flatten)]
    logs: LogArgs,
    /// Check this pack
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "directories"])]
    check: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// The most records; where there are more, nothing is made
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    limit: usize,
    /// With --check: print one JSON object
    #[arg(long, requires = "check")]
    json: bool,
    #[command(flatten)]
    conditions: Conditions,
}

pub(super) fn run(args: &PackArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match (&args.check, &args.out) {
        (Some(directory), _) => check::run(directory, args.trust.trust()?, args.json, screen),
        (None, Some(out)) => make(out, args, screen),
        // Not by the rules of the command line.
        (None, None) => Ok(Exit::Usage),
    }
}

/// What goes into a pack.
#[derive(Default)]
struct Chosen {
    /// In the order of their places.
    records: BTreeMap<Place, Vec<u8>>,
    /// Where the log of each node is.
    directories: BTreeMap<NodeId, PathBuf>,
}

fn make(out: &Path, args: &PackArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    if out.symlink_metadata().is_ok() {
        return Err(CommandError::Unknown {
            given: out.display().to_string(),
            what: "the name of a new directory",
            help: "it is there already: name another".to_owned(),
        });
    }
    let given = match args.trust.trust()? {
        Some(trust) => Given::Trust(trust),
        None => Given::Keys(args.logs.own_keys(screen)?.ok_or(EvidenceError::NoTrust)?),
    };
    let (chosen, unreadable) = choose(args, screen)?;
    let mut logs = BTreeMap::new();
    for (node, directory) in &chosen.directories {
        logs.insert(node, Log::open(directory, node)?);
    }
    let (trust, heads) = given.heads(&chosen, &logs)?;
    let mut pack = Pack::begin(out)?;
    let mut lines = Vec::new();
    let mut provers: BTreeMap<_, _> = BTreeMap::new();
    for (node, head) in &heads {
        if let Some(log) = logs.get(node) {
            provers.insert(*node, log.prover(head));
        }
    }
    for (place, line) in &chosen.records {
        let Some(prover) = provers.get_mut(&place.node) else { continue };
        let receipt = prover.receipt(place, line)?;
        pack.put(&format!("{PROOFS}/{}", place.file_name()), receipt.to_string().as_bytes())?;
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    for (node, prover) in provers {
        for (path, bytes) in prover.tiles {
            pack.put(&format!("{node}.tlog/{path}"), &bytes)?;
        }
    }
    for (node, head) in &heads {
        pack.put(&format!("{node}.tlog/checkpoint"), head.note.to_string().as_bytes())?;
    }
    pack.put(RECORDS, &lines)?;
    pack.put(POLICY, &trust.text)?;
    pack.put(PROGRAM.0, PROGRAM.1.as_bytes())?;
    pack.put(README.0, readme(&chosen, &heads).as_bytes())?;
    let seal = pack.finish(out)?;
    screen.line(format!("{}: {} records, sealed {seal}", out.display(), chosen.records.len()))?;
    Ok(if unreadable == 0 { Exit::Fine } else { Exit::Refused })
}

/// The records that the conditions hold of, and how many lines that may be such are no records.
fn choose(args: &PackArgs, screen: &mut Screen<'_>) -> Result<(Chosen, u64), CommandError> {
    let filter = args.conditions.filter()?;
    let mut chosen = Chosen::default();
    let mut unreadable = 0;
    for directory in args.logs.directories(screen)? {
        let swept = sweep(std::slice::from_ref(&directory), &filter, screen, &mut |hit, _, _| {
            let Some(place) = Place::of(&hit.record) else { return Ok(()) };
            if !chosen.directories.contains_key(&place.node) {
                chosen.directories.insert(place.node.clone(), directory.clone());
            }
            chosen.records.entry(place).or_insert_with(|| hit.line.to_vec());
            if chosen.records.len() > args.limit {
                return Err(CommandError::Unknown {
                    given: format!("more than {}", args.limit),
                    what: "a number of records for one pack",
                    help: "narrow it down, or raise `--limit`".to_owned(),
                });
            }
            Ok(())
        })?;
        unreadable += swept.unreadable;
    }
    if chosen.records.is_empty() {
        return Err(CommandError::Unknown {
            given: "nothing".to_owned(),
            what: "a record to pack",
            help: "the same conditions find nothing with `pinegate audit search`".to_owned(),
        });
    }
    Ok((chosen, unreadable))
}

/// Whom to believe, as far as it is known before a head is chosen.
enum Given {
    Trust(Trust),
    Keys((VerifierKey, Vec<VerifierKey>)),
}

type Logs<'l> = BTreeMap<&'l NodeId, Log>;
type Heads<'l> = BTreeMap<&'l NodeId, &'l Head>;

impl Given {
    /// For each node the head that is believed and has all chosen records of it. Where nobody said which
    /// cosignatures are asked for, it is one if there is one.
    fn heads<'l>(self, chosen: &'l Chosen, logs: &'l Logs<'l>) -> Result<(Trust, Heads<'l>), EvidenceError> {
        let (log, witnesses) = match self {
            Self::Trust(trust) => {
                let heads = believed(&trust.policy, chosen, logs)?;
                return Ok((trust, heads));
            }
            Self::Keys(keys) => keys,
        };
        let logs_believed = std::slice::from_ref(&log);
        if !witnesses.is_empty() {
            let cosigned = Trust::of(logs_believed, &witnesses, Cosigned::ByAny)?;
            if let Ok(heads) = believed(&cosigned.policy, chosen, logs) {
                return Ok((cosigned, heads));
            }
        }
        let signed = Trust::of(logs_believed, &witnesses, Cosigned::ByNobody)?;
        let heads = believed(&signed.policy, chosen, logs)?;
        Ok((signed, heads))
    }
}

fn believed<'l>(policy: &Policy, chosen: &'l Chosen, logs: &'l Logs<'l>) -> Result<Heads<'l>, EvidenceError> {
    let mut heads = Heads::new();
    // The last record of a node is the one that asks for the largest tree.
    let last: BTreeMap<_, _> = chosen.records.keys().map(|place| (&place.node, place)).collect();
    for (node, place) in last {
        let not_signed = || EvidenceError::NotSigned(place.clone());
        let log = logs.get(node).ok_or_else(not_signed)?;
        let index = log.index_of(place).ok_or_else(not_signed)?;
        let mut why = not_signed();
        let head = log.heads_over(index).find(|head| match policy.check(&head.note) {
            Ok(_) => true,
            Err(source) => {
                why = EvidenceError::NotBelieved { place: place.clone(), source };
                false
            }
        });
        heads.insert(node, head.ok_or(why)?);
    }
    Ok(heads)
}

fn readme(chosen: &Chosen, heads: &Heads<'_>) -> String {
    let of = |node: &NodeId| chosen.records.keys().filter(|place| place.node == *node).count();
    let rows: Vec<_> = heads
        .iter()
        .map(|(node, head)| {
            let checkpoint = &head.checkpoint;
            format!("| {node} | {} | `{}` | {} |\n", of(node), checkpoint.origin, checkpoint.size)
        })
        .collect();
    README.1.replace("@ROWS@\n", &rows.concat())
}

/// A directory that is being made under another name.
struct Pack {
    directory: tempfile::TempDir,
    sums: BTreeMap<String, Digest>,
}

impl Pack {
    fn begin(out: &Path) -> Result<Self, CommandError> {
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |source| CommandError::Unwritable { path: out.to_owned(), source };
        let directory = tempfile::Builder::new().prefix(".pack-").tempdir_in(parent).map_err(failed)?;
        Ok(Self { directory, sums: BTreeMap::new() })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), CommandError> {
        let path = self.directory.path().join(name);
        let failed = |source| CommandError::Unwritable { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, bytes).map_err(failed)?;
        self.sums.insert(name.to_owned(), Digest::of(bytes));
        Ok(())
    }

    /// Writes the digests, and gives the directory its name. The digest of the digests.
    fn finish(self, out: &Path) -> Result<Digest, CommandError> {
        let sums: String = self.sums.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        let failed = |source| CommandError::Unwritable { path: out.to_owned(), source };
        fs::write(self.directory.path().join(SUMS), &sums).map_err(failed)?;
        // A name that came meanwhile is replaced only if it is an empty directory.
        fs::rename(self.directory.path(), out).map_err(failed)?;
        // What it was called is gone: there is nothing left to remove.
        drop(self.directory.keep());
        Ok(Digest::of(sums.as_bytes()))
    }
}
