//! Whether a pack is as it was made, and what it proves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::{POLICY, PROOFS, RECORDS, SUMS};
use crate::audit::{MAX_LINE_BYTES, Members};
use crate::cli::audit::bounded::read_at_most;
use crate::cli::audit::evidence::{EvidenceError, Place};
use crate::cli::audit::receipt::{self, Proved};
use crate::cli::audit::trust::Trust;
use crate::cli::screen::Tone;
use crate::cli::{CommandError, Exit, Screen};
use crate::kernel::id::Digest;
use crate::tlog::Policy;

/// The longest list of digests.
const MAX_SUMS_BYTES: usize = 256 << 20;

/// What is proved of one log.
#[derive(Debug, Serialize)]
struct LogJson {
    log: String,
    size: u64,
    records: u64,
    cosigned: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CheckJson {
    proved: bool,
    records: usize,
    seal: String,
    /// Whether the keys are those of the pack itself.
    own_keys: bool,
    logs: Vec<LogJson>,
}

/// Checks the pack in `directory`, believing whom `trust` names, or else whom the pack names itself.
pub(super) fn run(
    directory: &Path,
    trust: Option<Trust>,
    json: bool,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let (seal, sums) = sums(directory)?;
    as_listed(directory, &sums)?;
    let own_keys = trust.is_none();
    let policy = match trust {
        Some(trust) => trust.policy,
        None => Trust::read(&directory.join(POLICY))?.policy,
    };
    let proofs = sums.keys().filter(|name| name.starts_with(Path::new(PROOFS))).count();
    let (records, logs) = proved(directory, &policy)?;
    if records != proofs {
        return Err(changed(format!("it has {records} records and {proofs} proofs")));
    }
    let logs: Vec<_> = logs.into_values().collect();
    if json {
        let report = CheckJson { proved: true, records, seal: seal.to_hex(), own_keys, logs };
        return screen.json(&report).map(|()| Exit::Fine);
    }
    let word = screen.paint(Tone::Good, "proved");
    screen.line(format!("{word}: {records} records, sealed {seal}"))?;
    for LogJson { log, size, records, cosigned } in logs {
        let by = if cosigned.is_empty() { "nobody".to_owned() } else { cosigned.join(", ") };
        screen.line(format!("  {records} are in the log `{log}` of {size} records, cosigned by {by}"))?;
    }
    if own_keys {
        let word = screen.paint_aside(Tone::Doubtful, "warning");
        screen.aside(format!(
            "{word}: these keys are the pack's own: compare `{}` with what you were told elsewhere, or give \
             `--key` or `--policy`",
            directory.join(POLICY).display()
        ))?;
    }
    Ok(Exit::Fine)
}

fn changed(how: String) -> CommandError {
    EvidenceError::Pack(how).into()
}

/// The digests of files by their names, and the digest of the list.
fn sums(directory: &Path) -> Result<(Digest, BTreeMap<PathBuf, Digest>), CommandError> {
    let bytes = read_at_most(&directory.join(SUMS), MAX_SUMS_BYTES)?;
    let bad = |line: &str| changed(format!("`{SUMS}` has a line that is no digest and name: `{line}`"));
    let text = std::str::from_utf8(&bytes).map_err(|_| changed(format!("`{SUMS}` is no text")))?;
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let (digest, name) = line.split_once("  ").ok_or_else(|| bad(line))?;
        let (digest, name) = (Digest::parse_hex(digest).map_err(|_| bad(line))?, PathBuf::from(name));
        // A name that leads out of the pack is none of its.
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(bad(line));
        }
        sums.insert(name, digest);
    }
    Ok((Digest::of(&bytes), sums))
}

/// Fails unless the directory has exactly the files that are listed, with these digests.
fn as_listed(directory: &Path, sums: &BTreeMap<PathBuf, Digest>) -> Result<(), CommandError> {
    let mut open = vec![PathBuf::new()];
    let mut files = 0;
    while let Some(below) = open.pop() {
        let path = directory.join(&below);
        let failed = |source| CommandError::Unreadable { path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = below.join(entry.file_name());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                open.push(name);
            } else if name.as_os_str() != SUMS {
                let listed = sums.get(&name).filter(|_| kind.is_file());
                let listed =
                    listed.ok_or_else(|| changed(format!("`{}` is not in `{SUMS}`", name.display())))?;
                if digest(&directory.join(&name))? != *listed {
                    return Err(changed(format!("`{}` is another file than `{SUMS}` says", name.display())));
                }
                files += 1;
            }
        }
    }
    if files == sums.len() { Ok(()) } else { Err(changed(format!("files of `{SUMS}` are missing"))) }
}

fn digest(path: &Path) -> Result<Digest, CommandError> {
    let failed = |source| CommandError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        context.update(bytes);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(Digest(digest))
}

/// Checks the receipt of every record. How many there are, and what is proved of which log.
fn proved(directory: &Path, policy: &Policy) -> Result<(usize, BTreeMap<String, LogJson>), CommandError> {
    let path = directory.join(RECORDS);
    let failed = |source| CommandError::Unreadable { path: path.clone(), source };
    let mut reader = BufReader::new(File::open(&path).map_err(failed)?);
    let most = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let (mut line, mut before, mut records) = (Vec::new(), None, 0);
    let mut logs: BTreeMap<String, LogJson> = BTreeMap::new();
    loop {
        line.clear();
        if reader.by_ref().take(most).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok((records, logs));
        }
        records += 1;
        let no_record = || changed(format!("line {records} of `{RECORDS}` is no record"));
        let line = line.strip_suffix(b"\n").ok_or_else(no_record)?;
        let place = Members::read(line).and_then(|record| Place::of(&record)).ok_or_else(no_record)?;
        if before.as_ref().is_some_and(|before| *before >= place) {
            return Err(changed(format!("record {place} is there twice, or not in its place")));
        }
        let proof = directory.join(PROOFS).join(place.file_name());
        let Proved { receipt, trusted, .. } = receipt::proved(&proof, Some(line.to_vec()), policy)?;
        if receipt.extra.as_deref() != Some(line) {
            return Err(changed(format!("`{}` has another record in it", proof.display())));
        }
        let head = trusted.checkpoint;
        let log = logs.entry(head.origin.clone()).or_insert_with(|| LogJson {
            log: head.origin,
            size: head.size,
            records: 0,
            cosigned: trusted.cosigned.iter().map(|(key, _)| key.name().to_owned()).collect(),
        });
        log.records += 1;
        before = Some(place);
    }
}
