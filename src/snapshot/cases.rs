//! The policy unit tests (`tests/*.toml`) as files: which there are, and their texts.
//!
//! What they say is read by `review`, which knows the policy they are about. They are no part of a
//! snapshot: its digest does not count them, and the gate never reads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Problem, read_text};
use crate::kernel::bound::ByteLimit;
use crate::kernel::diagnostic::{Diagnostic, Report, Source};

/// The directory of a policy directory that has them.
pub const DIRECTORY: &str = "tests";

/// The most files of one run.
pub const MAX_FILES: usize = 1_000;
/// The most bytes that one of them may have.
const MAX_BYTES: ByteLimit = ByteLimit::bytes(4 << 20);

/// Reads every test file of the policy directory `policies`, sorted by name, and those that `more`
/// names: files, or directories of them. Names in findings begin as the paths given here.
///
/// # Errors
/// Everything that is wrong with them as files. A policy directory without tests has none.
pub fn read(policies: Option<&Path>, more: &[PathBuf]) -> Result<Vec<Source>, Report> {
    let mut report = Report::new();
    let mut paths = Vec::new();
    let own = policies.map(|policies| policies.join(DIRECTORY)).filter(|own| own.exists());
    for path in own.iter().chain(more) {
        if path.is_dir() {
            listed(path, &mut paths, &mut report);
        } else {
            paths.push(path.clone());
        }
    }
    if paths.len() > MAX_FILES {
        let message = format!("{} test files are too many", paths.len());
        let name = own.as_deref().or(more.first().map(PathBuf::as_path)).unwrap_or(Path::new(DIRECTORY));
        report.push(finding("too-many", name, message).help(format!("at most {MAX_FILES}")));
        return Err(report);
    }
    let mut sources: Vec<Source> = Vec::new();
    for path in paths {
        let shown: Arc<str> = Arc::from(path.to_string_lossy());
        if sources.iter().any(|source| source.name == shown) {
            continue;
        }
        match read_text(&path, MAX_BYTES) {
            Ok(text) => sources.push(Source::new(shown, text)),
            Err(Problem::Missing) => {
                let help = "give a file, or a directory of `*.toml` files";
                report.push(finding("file-missing", &path, "the file is missing").help(help));
            }
            Err(problem) => report.push(problem.about(shown)),
        }
    }
    if report.has_errors() { Err(report) } else { Ok(sources) }
}

fn finding(code: &'static str, path: &Path, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, &Source::new(&*path.to_string_lossy(), ""), 0..0, message)
}

/// Adds the test files in `directory`. What looks like neither a test file nor a note is reported, so
/// that a test with a slip in its name is not passed over.
fn listed(directory: &Path, paths: &mut Vec<PathBuf>, report: &mut Report) {
    let unreadable = |error: &std::io::Error| {
        finding("directory-unreadable", directory, format!("the directory cannot be read: {error}"))
            .help("check its owner and mode")
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return report.push(unreadable(&error)),
    };
    let before = paths.len();
    for entry in entries.take(2 * MAX_FILES) {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => return report.push(unreadable(&error)),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
        if name.starts_with('.') || name.starts_with("README") || ends("md") {
            continue;
        }
        if ends("toml") && !path.is_dir() {
            paths.push(path);
        } else {
            let message = format!("`{name}` is no test file");
            let help = "remove it, or end its name with `.toml`: only such files, README*, *.md and dot files may be here";
            report.push(finding("file-unknown", &path, message).help(help));
        }
    }
    if let Some(own) = paths.get_mut(before..) {
        own.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_by_name_and_each_once() {
        let directory = tempfile::tempdir().unwrap();
        let tests = directory.path().join(DIRECTORY);
        assert_eq!(read(Some(directory.path()), &[]).unwrap(), []);
        std::fs::create_dir(&tests).unwrap();
        for name in ["b.toml", "a.toml", "README.md", ".b.toml.swp"] {
            std::fs::write(tests.join(name), name).unwrap();
        }
        let other = directory.path().join("other.toml");
        std::fs::write(&other, "other").unwrap();
        let sources = read(Some(directory.path()), &[other.clone(), other, tests.join("a.toml")]).unwrap();
        let texts: Vec<&str> = sources.iter().map(|source| &*source.text).collect();
        assert_eq!(texts, ["a.toml", "b.toml", "other"]);
    }

    #[test]
    fn what_is_no_test_file_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let tests = directory.path().join(DIRECTORY);
        std::fs::create_dir(&tests).unwrap();
        std::fs::write(tests.join("a.tml"), "").unwrap();
        std::fs::write(tests.join("b.toml"), b"\xff").unwrap();
        std::fs::create_dir(tests.join("c.toml")).unwrap();
        let report = read(Some(directory.path()), &[directory.path().join("gone.toml")]).unwrap_err();
        let codes: Vec<&str> = report.sorted().iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["file-missing", "file-unknown", "file-encoding", "file-unknown"]);
    }
}
