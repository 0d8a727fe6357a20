//! Tests that cannot run everywhere: they say so, and fail where they have to run.

use std::io::Write as _;
use std::path::PathBuf;

/// Says that the test at hand does not run here, since `need` is not there.
///
/// `PINEGATE_MUST_RUN` lists what is there for sure, apart by commas: then this fails. To the file that
/// `PINEGATE_SKIPPED` names a line is added, so that who runs all tests sees what did not run.
pub(crate) fn skip(need: &str, why: &str) {
    let must_run = std::env::var_os("PINEGATE_MUST_RUN").unwrap_or_default();
    let is_there = must_run.to_str().unwrap().split(',').any(|word| word.trim() == need);
    assert!(!is_there, "`{need}` is in PINEGATE_MUST_RUN: {why}");
    let test = std::thread::current();
    let line = format!("skipped for want of {need}: {}: {}\n", test.name().unwrap_or("?"), why.trim());
    if let Some(path) = std::env::var_os("PINEGATE_SKIPPED") {
        let list = std::fs::OpenOptions::new().create(true).append(true).open(path);
        list.unwrap().write_all(line.as_bytes()).unwrap();
    }
    eprint!("{line}");
}

/// Where vectors from outside are: `CONFORMANCE_DIR`.
pub(crate) fn conformance() -> Option<PathBuf> {
    let directory = std::env::var_os("CONFORMANCE_DIR");
    if directory.is_none() {
        skip("conformance", "CONFORMANCE_DIR is not set");
    }
    directory.map(PathBuf::from)
}
