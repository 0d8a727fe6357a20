//! The log of strangers: lines in a few files, the oldest of which make room for the newest.
//!
//! It is no part of the audit log: nothing waits for it, nothing is synced, and what cannot be written is
//! lost. Several processes may append to it, each whole lines at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The name of its directory in that of the audit log.
const DIRECTORY: &str = "strangers";
/// How large a file may grow, in bytes.
const FILE_BYTES: u64 = 16 << 20;
/// How many files there are at most.
const FILES: u64 = 4;
/// Like records: for the gate's own account to write and for its group to read.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Where the lines about strangers go.
#[derive(Debug, Clone)]
pub struct StrangersLog {
    directory: PathBuf,
    file_bytes: u64,
}

impl StrangersLog {
    /// The log beside the audit log in `audit`. Nothing is created before there is something to write.
    #[must_use]
    pub fn new(audit: &Path) -> Self {
        Self { directory: audit.join(DIRECTORY), file_bytes: FILE_BYTES }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Appends whole lines. Blocks.
    ///
    /// # Errors
    /// Anything the disk says. The lines are then there in part, or not at all.
    pub fn append(&self, lines: &[u8]) -> io::Result<()> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let newest = self.numbers()?.into_iter().max();
        let mut number = newest.unwrap_or(1);
        let mut file = self.open(number)?;
        let length = file.metadata()?.len();
        let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if length > 0 && length.saturating_add(more) > self.file_bytes {
            number = number.saturating_add(1);
            file = self.open(number)?;
            self.forget(number)?;
        }
        // One write, so that no other process comes in between.
        if ends_within_a_line(&mut file)? {
            file.write_all(&[b"\n", lines].concat())
        } else {
            file.write_all(lines)
        }
    }

    fn open(&self, number: u64) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(self.path(number))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:06}.jsonl"))
    }

    /// The numbers of the files that are there.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok());
            numbers.extend(number);
        }
        Ok(numbers)
    }

    /// Removes the files that make room for `newest`.
    fn forget(&self, newest: u64) -> io::Result<()> {
        for number in self.numbers()?.into_iter().filter(|number| number.saturating_add(FILES) <= newest) {
            match fs::remove_file(self.path(number)) {
                // Another process was faster.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether a write that failed, or a crash, left the beginning of a line.
fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(audit: &Path) -> StrangersLog {
        StrangersLog { file_bytes: 100, ..StrangersLog::new(audit) }
    }

    fn names(log: &StrangersLog) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(log.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_file_makes_room() {
        let audit = tempfile::tempdir().unwrap();
        let log = small(audit.path());
        let line = |number: u32| format!("{{\"line\":{number:030}}}\n");
        for number in 0..20 {
            log.append(line(number).as_bytes()).unwrap();
        }
        assert_eq!(names(&log), ["000007.jsonl", "000008.jsonl", "000009.jsonl", "000010.jsonl"]);
        let all: String =
            names(&log).iter().map(|name| fs::read_to_string(log.directory().join(name)).unwrap()).collect();
        assert_eq!(all, (12..20).map(line).collect::<String>(), "the newest, in order");
        // Another process goes on where this one is.
        small(audit.path()).append(b"{}\n").unwrap();
        assert_eq!(names(&log).last().unwrap(), "000010.jsonl");
    }

    #[test]
    fn what_is_longer_than_a_file_has_one_of_its_own() {
        let audit = tempfile::tempdir().unwrap();
        let log = small(audit.path());
        let long = [b"x".repeat(300), b"\n".to_vec()].concat();
        for _ in 0..3 {
            log.append(&long).unwrap();
        }
        assert_eq!(names(&log), ["000001.jsonl", "000002.jsonl", "000003.jsonl"]);
    }

    #[test]
    fn a_torn_line_stays_apart() {
        let audit = tempfile::tempdir().unwrap();
        let log = small(audit.path());
        log.append(b"{\"a\":1}\n{\"b\"").unwrap();
        log.append(b"{\"c\":3}\n").unwrap();
        let text = fs::read_to_string(log.directory().join("000001.jsonl")).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\"\n{\"c\":3}\n");
    }

    #[test]
    fn a_disk_that_refuses_is_an_error_and_no_more() {
        let audit = tempfile::tempdir().unwrap();
        fs::write(audit.path().join(DIRECTORY), "a file where the directory should be").unwrap();
        small(audit.path()).append(b"{}\n").unwrap_err();
        fs::remove_file(audit.path().join(DIRECTORY)).unwrap();
        small(audit.path()).append(b"{}\n").unwrap();
    }
}
