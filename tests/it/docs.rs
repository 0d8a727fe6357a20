//! The documents: a book in two languages, whose links lead somewhere, whose reference is the program's, and whose
//! programs run.

mod examples;
mod links;
mod reference;
mod tour;

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of each book, from the root of the repository.
const BOOKS: [&str; 2] = ["docs", "docs/zh"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files in `directory`, and not below it, by name.
fn pages(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.is_file() && path.extension().is_some_and(|end| end == "md");
    let mut names: Vec<String> =
        entries.filter(is_page).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The pages that a book's table of contents lists, in its order.
fn chapters(book: &str) -> Vec<String> {
    let contents = read(&format!("{book}/SUMMARY.md"));
    let targets = contents.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
    targets.map(str::to_owned).collect()
}

#[test]
fn every_page_is_a_chapter_once() {
    for book in BOOKS {
        let mut listed = chapters(book);
        assert!(listed.len() > 20, "{book}: {listed:?}");
        listed.sort();
        let mut there = pages(book);
        there.retain(|name| name != "SUMMARY.md");
        assert_eq!(listed, there, "{book}: left: its SUMMARY.md; right: its directory");
    }
}

#[test]
fn both_books_have_the_same_chapters_in_the_same_order() {
    assert_eq!(chapters(BOOKS[0]), chapters(BOOKS[1]), "left: docs; right: docs/zh");
}

/// What is not translated says so and leads to the page that has it; what is has its English beside it.
#[test]
fn a_chinese_page_leads_to_the_english_one() {
    for name in chapters(BOOKS[1]) {
        let text = read(&format!("docs/zh/{name}"));
        let english = format!("](../{name}");
        let head: String = text.lines().take(6).collect();
        assert!(head.contains(&english), "docs/zh/{name} does not begin with a link to ../{name}");
        let says_so = head.contains(&format!("> 本章正文尚无中文，见[英文页](../{name})。"));
        let is_short = text.lines().count() < 10;
        assert_eq!(
            is_short, says_so,
            "docs/zh/{name}: short, and not said to be untranslated, or the reverse"
        );
    }
}
