//! What is shipped to install and watch a gate, held to what the gate is.

mod containers;
mod dashboards;
mod units;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of the repository.
fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a directory of the repository that end in `end`, by name.
fn files(directory: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.file_name().unwrap().to_str().unwrap().ends_with(end)).collect();
    files.sort();
    files
}

/// How long a gate may take to stop: the default of `[bounds] drain`, as the example says it, and what
/// docs/operations.md adds to it.
fn stopping() -> Duration {
    let example = text("config/gateway.toml");
    let drain = example.lines().find_map(|line| line.strip_prefix("# drain = \"")).unwrap();
    let drain: u64 = drain.split('s').next().unwrap().parse().unwrap();
    assert!(text("docs/operations.md").contains("must exceed `[bounds] drain` by twenty-five seconds"));
    Duration::from_secs(drain + 25)
}
