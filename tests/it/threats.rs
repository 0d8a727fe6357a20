//! The page of threats names a test or a drill for each of them, and those are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the drills are, each a function that is listed at the end.
const DRILLS: [&str; 2] = ["bench/drills/attacks.py", "bench/drills/far.py"];

/// How a row of the table says what shows its threat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Test,
    Fuzz,
    Drill,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows: number, and what shows it.
fn rows() -> Vec<(String, Vec<(Kind, String)>)> {
    let page = fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let (_, table) = page.split_once("## Where each is shown").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let cells = |line: &str| -> Vec<String> { line.split(" | ").map(str::to_owned).collect() };
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |").map(cells));
    let numbered = rows.filter(|cells| cells[0].parse::<u32>().is_ok());
    numbered.map(|cells| (cells[0].clone(), shown(cells.last().unwrap()))).collect()
}

/// What the last cell names: `tests`, fuzz `targets` and drills `of`, `these`.
fn shown(cell: &str) -> Vec<(Kind, String)> {
    let mut kind = Kind::Test;
    let mut all = Vec::new();
    for (place, part) in cell.split('`').enumerate() {
        if place % 2 == 1 {
            // A path is a test's, whatever stands before it.
            all.push((if part.contains("::") { Kind::Test } else { kind }, part.to_owned()));
        } else if part.contains("fuzz") {
            kind = Kind::Fuzz;
        } else if part.contains("drill") {
            kind = Kind::Drill;
        }
    }
    all
}

/// Where the module `path` may be: among the tests of the whole gate, beside them, or in the library.
fn files(path: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for base in ["tests/it", "tests", "src"] {
        // A module may stand in its parent's file.
        for length in (1..=path.len()).rev().take(2) {
            files.push(root().join(base).join(path[..length].join("/")).with_extension("rs"));
        }
    }
    files
}

/// Whether `text` has a test, or the body of several, of this name.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
        rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    lines.iter().enumerate().any(|(at, line)| {
        // Attributes stand right before it; properties have theirs as well.
        let before = lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/', ')']));
        is_it(line) && before.into_iter().any(|line| line.starts_with("#[test]") || line.contains("::test"))
    })
}

fn is_there((kind, name): &(Kind, String)) -> bool {
    let text = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    match kind {
        Kind::Fuzz => root().join(format!("fuzz/fuzz_targets/{name}.rs")).is_file(),
        Kind::Drill => {
            DRILLS.iter().any(|file| text(root().join(file)).contains(&format!("\ndef {name}(it):")))
        }
        Kind::Test => {
            let parts: Vec<&str> = name.split("::").collect();
            let (function, module) = parts.split_last().unwrap();
            !module.is_empty() && files(module).into_iter().any(|file| has_test(&text(file), function))
        }
    }
}

#[test]
fn each_is_shown_by_something_that_is_there() {
    let rows = rows();
    let numbers: Vec<String> = (1..=rows.len()).map(|number| number.to_string()).collect();
    assert!(rows.len() > 90, "{} rows", rows.len());
    assert_eq!(rows.iter().map(|(number, _)| number.clone()).collect::<Vec<_>>(), numbers);
    let missing: Vec<_> = rows
        .iter()
        .flat_map(|(number, shown)| shown.iter().map(move |one| (number, one)))
        .filter(|(_, one)| !is_there(one))
        .collect();
    assert!(missing.is_empty(), "named in docs/threats.md, and nowhere else: {missing:#?}");
    let without: Vec<_> = rows.iter().filter(|(_, shown)| shown.is_empty()).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn a_name_that_is_nowhere_is_found_out() {
    for (kind, name, there) in [
        (Kind::Test, "threats::a_name_that_is_nowhere_is_found_out", true),
        (Kind::Test, "threats::has_test", false),
        (Kind::Test, "threats::a_name", false),
        (Kind::Test, "a_name_that_is_nowhere_is_found_out", false),
        (Kind::Fuzz, "wire", true),
        (Kind::Fuzz, "wires", false),
        (Kind::Drill, "rapid_reset", true),
        (Kind::Drill, "rapid", false),
        (Kind::Drill, "partition", true),
    ] {
        assert_eq!(is_there(&(kind, name.to_owned())), there, "{name}");
    }
}

/// A drill that shows nothing of the page, or a page that forgets one, is a mistake.
#[test]
fn every_drill_is_on_the_page() {
    let listed: BTreeSet<String> = DRILLS
        .into_iter()
        .flat_map(|file| {
            let text = fs::read_to_string(root().join(file)).unwrap();
            let (_, list) = text.split_once("\nALL = [").unwrap();
            let list = list.split(']').next().unwrap();
            list.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let named: BTreeSet<String> = rows()
        .into_iter()
        .flat_map(|(_, shown)| shown)
        .filter(|(kind, _)| *kind == Kind::Drill)
        .map(|(_, name)| name)
        .collect();
    assert_eq!(named, listed, "left: the page; right: {DRILLS:?}");
}
