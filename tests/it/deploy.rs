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

#[test]
fn a_release_has_the_program_that_checks_packs_and_its_digest() {
    let release = text("deploy/release");
    let program = "install -m 0644 src/cli/audit/pack/check.py \"$out/pinegate-check.py\"\n";
    assert!(release.contains(program));
    let (_, sums) = release.split_once("cd \"$out\"\n").unwrap();
    assert!(sums.starts_with("sha256sum -- pinegate[-_]* >SHA256SUMS\n"), "{sums}");
    // Nobody is told to run what came with a pack.
    for page in
        ["src/cli/audit/pack/README.md", "src/cli/audit/pack.rs", "docs/transparency.md", "docs/commands.md"]
    {
        let page = text(page);
        let told: Vec<&str> = page.lines().filter(|line| line.contains("python3 ")).collect();
        assert!(
            !told.is_empty() && told.iter().all(|line| line.contains("python3 pinegate-check.py case")),
            "{told:?}"
        );
    }
}
