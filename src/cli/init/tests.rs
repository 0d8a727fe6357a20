use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use clap::Parser as _;

use super::*;
use crate::cli::{Arguments, dispatch};
use crate::kernel::time::ManualClock;

/// Runs a command line in June 2026: its exit code, and what it printed, with `DIR` for `root`.
fn pinegate(root: &Path, line: &[&str]) -> (u8, String) {
    let arguments = Arguments::try_parse_from(std::iter::once(&"pinegate").chain(line)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new("2026-06-01T01:30:00Z".parse().unwrap()));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::plain(&mut out, &mut err);
    let exit = dispatch(&arguments.command, &clock, &mut screen).unwrap_or_else(|error| screen.fail(&error));
    let exit = screen.finish(exit).code();
    drop(screen);
    let said = String::from_utf8([out, err].concat()).unwrap();
    (exit, said.replace(root.to_str().unwrap(), "DIR"))
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("gate");
    (parent, root)
}

/// All files below `root`, with their modes, in order.
fn tree(root: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            found.push((path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), mode));
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn it_says_what_it_wrote_and_what_to_do_next() {
    let (_parent, root) = place();
    let (exit, said) = pinegate(&root, &["init", root.to_str().unwrap()]);
    assert_eq!(exit, 0, "{said}");
    insta::assert_snapshot!("plain", said);
    let (_parent, root) = place();
    let (exit, said) = pinegate(&root, &["init", root.to_str().unwrap(), "--dev-pki"]);
    assert_eq!(exit, 0, "{said}");
    insta::assert_snapshot!("dev_pki", said);
}

#[test]
fn what_is_secret_is_its_owners() {
    let (_parent, root) = place();
    let (exit, said) = pinegate(&root, &["init", root.to_str().unwrap(), "--dev-pki"]);
    assert_eq!(exit, 0, "{said}");
    let tree = tree(&root);
    let keys = tree.iter().filter(|(name, _)| Path::new(name).extension().is_some_and(|it| it == "key"));
    let keys: Vec<_> = keys.collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
    assert!(keys.iter().all(|(_, mode)| *mode == 0o600), "{keys:?}");
    for directory in ["keys", "audit"] {
        assert!(tree.contains(&(directory.to_owned(), 0o700)), "{tree:?}");
    }
}

#[test]
fn with_certificates_it_passes_check_and_its_tests_exercise_all_of_it() {
    let (_parent, root) = place();
    pinegate(&root, &["init", root.to_str().unwrap(), "--dev-pki"]);
    let config = root.join("gateway.toml");
    let config = config.to_str().unwrap();
    let (exit, said) = pinegate(&root, &["check", "--config", config, "-D", "all"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("no errors"), "{said}");
    let (exit, said) = pinegate(&root, &["test", "--config", config, "--min-coverage", "100"]);
    assert_eq!(exit, 0, "{said}");
    let (exit, said) = pinegate(&root, &["fmt", "--config", config, "--check"]);
    assert_eq!(exit, 0, "{said}");
}

#[test]
fn without_certificates_it_is_they_alone_that_are_missing() {
    let (_parent, root) = place();
    pinegate(&root, &["init", root.to_str().unwrap()]);
    let config = root.join("gateway.toml");
    let (exit, said) = pinegate(&root, &["check", "--config", config.to_str().unwrap()]);
    assert_eq!(exit, 1, "{said}");
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(errors.len(), 8, "{said}");
    assert!(errors.iter().all(|line| line.starts_with("error[file-unreadable]")), "{said}");
    // The commands that the directory itself names mend it.
    let guide = std::fs::read_to_string(root.join("certs/README.md")).unwrap();
    let certs = root.join("certs");
    for line in guide.lines().filter_map(|line| line.strip_prefix("pinegate ")) {
        let mut line: Vec<&str> = line.split(' ').collect();
        line.extend(["--dir", certs.to_str().unwrap()]);
        let (exit, said) = pinegate(&root, &line);
        assert_eq!(exit, 0, "{line:?}: {said}");
    }
    std::fs::copy(certs.join("ca.pem"), certs.join("platform-ca.pem")).unwrap();
    let (exit, said) = pinegate(&root, &["check", "--config", config.to_str().unwrap()]);
    assert_eq!(exit, 0, "{said}");
}

#[test]
fn what_is_there_is_not_touched() {
    for name in ["gateway.toml", "policies/grants.csv", "keys/audit.key", "certs/ca.key"] {
        let (_parent, root) = place();
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "precious").unwrap();
        let before = tree(&root);
        let (exit, said) = pinegate(&root, &["init", root.to_str().unwrap(), "--dev-pki"]);
        assert_eq!(exit, 1, "{said}");
        assert!(said.contains(&format!("`DIR/{name}` is there already, and nothing was written")), "{said}");
        assert_eq!(tree(&root), before);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
    // A directory that has something else in it, such as a repository, is no hindrance.
    let (_parent, root) = place();
    std::fs::create_dir_all(root.join(".git")).unwrap();
    let (exit, said) = pinegate(&root, &["init", root.to_str().unwrap()]);
    assert_eq!(exit, 0, "{said}");
}

#[test]
fn as_json_it_says_the_same() {
    let (_parent, root) = place();
    let (exit, said) = pinegate(&root, &["init", root.to_str().unwrap(), "--json"]);
    assert_eq!(exit, 0, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["written"][0]["path"], "DIR/README.md");
    assert_eq!(said["next"][0]["commands"][0], "cd DIR");
}
