//! The policy files of a git revision, read by the program `git` without checking anything out.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::CommandError;
use crate::kernel::diagnostic::Report;
use crate::snapshot::files::PolicyFiles;

/// Where in a repository the policy is unless told otherwise.
const DEFAULT_PATH: &str = "policies";
/// The largest policy file, as `grants.csv` may be.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most entries of a policy directory.
const MAX_ENTRIES: usize = 1_000;

/// One file of a directory in a revision.
struct Entry {
    mode: String,
    object: String,
    bytes: u64,
    name: String,
}

/// The policy files of `given`, `REV` or `REV:path`; inside, what is wrong with them as files.
pub(super) fn files(
    repository: Option<&Path>,
    given: &str,
) -> Result<Result<PolicyFiles, Report>, CommandError> {
    let (revision, path) = given.split_once(':').unwrap_or((given, DEFAULT_PATH));
    let refuse = |why: String, help: &str| CommandError::Revision {
        given: given.to_owned(),
        why,
        help: help.to_owned(),
    };
    // A revision never looks like an option: git forbids such names too.
    if revision.is_empty() || revision.starts_with('-') {
        let why = "it is neither a directory nor a revision".to_owned();
        return Err(refuse(why, "give a policy directory, `REV`, or `REV:path`"));
    }
    let commit = format!("{revision}^{{commit}}");
    let commit = match git(repository, &["rev-parse", "--verify", "--end-of-options", &commit])? {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(said) => {
            // Where there is no repository git says so well; of an unknown name it says little.
            let here = if said.contains("not a git repository") {
                "and there is no git repository here".to_owned()
            } else {
                "nor a revision of the git repository here".to_owned()
            };
            return Err(refuse(
                format!("it is not a directory, {here}"),
                "give a policy directory, `REV` or `REV:path`; `--repository` names another repository",
            ));
        }
    };
    // `REV:` and `REV:.` are the root, as a repository of nothing but policies has them there.
    let path = match path.trim_end_matches('/') {
        "." => "",
        path => path.strip_prefix("./").unwrap_or(path),
    };
    let tree = format!("{commit}:{path}");
    let listing = git(repository, &["ls-tree", "--full-tree", "-z", "-l", &tree])?.map_err(|_| {
        refuse(
            format!("`{revision}` has no directory `{path}`"),
            "name the policy directory as in `REV:path`",
        )
    })?;
    let mut texts: Vec<(String, String)> = Vec::new();
    for entry in entries(&listing)
        .ok_or_else(|| refuse("git lists it in an unknown form".to_owned(), "give a directory"))?
    {
        let is_file = entry.mode.starts_with("100");
        if !PolicyFiles::is_policy_file(&entry.name) {
            // Anything that may stand beside policy files is passed over, as in a directory.
            if !PolicyFiles::may_stand_beside(&entry.name, entry.mode == "040000") {
                texts.push((entry.name, String::new()));
            }
            continue;
        }
        if !is_file {
            let why = format!("`{path}/{}` is no regular file there", entry.name);
            return Err(refuse(why, "commit the file itself instead of a link"));
        }
        if entry.bytes > MAX_FILE_BYTES {
            let why = format!("`{path}/{}` has {} bytes", entry.name, entry.bytes);
            return Err(refuse(why, "a policy file has 64 MiB at most"));
        }
        let bytes = git(repository, &["cat-file", "blob", &entry.object])?
            .map_err(|said| refuse(format!("`{path}/{}`: {said}", entry.name), "is the clone complete?"))?;
        let text = String::from_utf8(bytes).map_err(|_| {
            refuse(format!("`{path}/{}` is not UTF-8", entry.name), "save it as UTF-8, not GBK or UTF-16")
        })?;
        texts.push((entry.name, text));
    }
    if !texts.iter().any(|(name, _)| PolicyFiles::is_policy_file(name)) {
        let place = if path.is_empty() { "the root".to_owned() } else { format!("`{path}`") };
        let why = format!("{place} holds no policy in `{revision}`");
        return Err(refuse(why, "name the policy directory as in `REV:path`"));
    }
    Ok(PolicyFiles::from_texts(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
}

/// Reads `mode type object size TAB name NUL`, over and over.
fn entries(listing: &[u8]) -> Option<Vec<Entry>> {
    let text = String::from_utf8_lossy(listing);
    let entries = text.split_terminator('\0').map(|line| {
        let (facts, name) = line.split_once('\t')?;
        let mut facts = facts.split_ascii_whitespace();
        let (mode, _, object, size) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
        // A directory has `-` for its size.
        let bytes = if size == "-" { 0 } else { size.parse().ok()? };
        Some(Entry { mode: mode.to_owned(), object: object.to_owned(), bytes, name: name.to_owned() })
    });
    let entries: Option<Vec<Entry>> = entries.collect();
    entries.filter(|entries| entries.len() <= MAX_ENTRIES)
}

/// What git prints; inside, the first line of what it says instead.
fn git(repository: Option<&Path>, arguments: &[&str]) -> Result<Result<Vec<u8>, String>, CommandError> {
    let mut command = Command::new("git");
    if let Some(repository) = repository {
        command.arg("-C").arg(repository);
        // Hooks run with these. They would name another repository than the one that is asked for.
        for variable in ["GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"] {
            command.env_remove(variable);
        }
    }
    // Only what is there is read: nothing is locked, fetched or asked for.
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0");
    // Nor is what was committed replaced by what somebody put in its stead.
    command.env("GIT_NO_REPLACE_OBJECTS", "1");
    let output = command.args(arguments).stdin(Stdio::null()).output().map_err(CommandError::Git)?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(Err(said.lines().next().unwrap_or("git says nothing").to_owned()))
}
