//! Links between the documents, with the headings that they lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{BOOKS, pages, read, root};

/// Directories whose Markdown files are looked at, beside the books.
const BESIDE: [&str; 5] = [".", "policies", "certs", "bench", "benches"];

/// The lines of `text` that are not code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code && !line.starts_with("    ")
    })
}

/// `line` without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What a heading is called in an address: as mdBook and the usual hosts of repositories name it.
fn slug(heading: &str) -> String {
    let shown = heading.replace("`", "");
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    shown
        .trim()
        .chars()
        .filter(is_kept)
        .flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The headings of a page, as addresses.
fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut all = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let name = slug(line.trim_start_matches('#'));
        let count = seen.entry(name.clone()).or_default();
        all.insert(if *count == 0 { name } else { format!("{name}-{count}") });
        *count += 1;
    }
    all
}

/// Where the links of a page lead, those to other sites apart.
fn targets(text: &str) -> Vec<String> {
    let of_line = |line: &str| {
        let plain = without_code(line);
        let ends = plain.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        ends.collect::<Vec<_>>()
    };
    let is_ours = |target: &String| !target.contains("://") && !target.starts_with("mailto:");
    prose(text).flat_map(of_line).filter(is_ours).collect()
}

/// `target` as it is meant from the file `from`.
fn resolved(from: &str, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(from).parent().unwrap().join(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{from}: {target} leads out of the repository"),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    let mut looked_at = 0;
    for directory in BOOKS.iter().chain(&BESIDE) {
        for page in pages(directory) {
            let from = format!("{directory}/{page}");
            let text = read(&from);
            for target in targets(&text) {
                looked_at += 1;
                let (file, anchor) =
                    target.split_once('#').map_or((target.as_str(), None), |(a, b)| (a, Some(b)));
                let place = if file.is_empty() { PathBuf::from(&from) } else { resolved(&from, file) };
                if !root().join(&place).exists() {
                    faults.push(format!("{from}: {target}: there is no {}", place.display()));
                } else if let Some(anchor) =
                    anchor.filter(|_| place.extension().is_some_and(|end| end == "md"))
                {
                    let there = headings(&read(place.to_str().unwrap()));
                    if !there.contains(anchor) {
                        faults.push(format!("{from}: {target}: {} has no such heading", place.display()));
                    }
                }
            }
        }
    }
    assert!(looked_at > 500, "the links are not where they should be: {looked_at}");
    assert!(faults.is_empty(), "links that lead nowhere:\n  {}", faults.join("\n  "));
}

#[test]
fn a_heading_has_the_address_that_it_is_linked_by() {
    for (heading, expected) in [
        (" The first day", "the-first-day"),
        (" [[audit.sink]]", "auditsink"),
        (" tests/*.toml", "teststoml"),
        (" Encryption · 保留格式加密", "encryption--保留格式加密"),
        (" 7. Stop something now", "7-stop-something-now"),
        (" 七、马上停", "七马上停"),
        (" `replay`", "replay"),
    ] {
        assert_eq!(slug(heading), expected);
    }
    let page = "# A\n```\n# no heading\n```\n    # nor this\n## B\n## B\n";
    assert_eq!(headings(page), ["a", "b", "b-1"].map(str::to_owned).into());
    let links = "[a](x.md#y) `[no](z.md)` [b](https://example.org/)\n\n    [no](w.md)\n";
    assert_eq!(targets(links), ["x.md#y"]);
}
