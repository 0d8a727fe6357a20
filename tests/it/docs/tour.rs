//! The tour shows what the program says: what was typed is typed again, as far as no gate has to run for it.
//!
//! Digests are left out, since every byte of the example's policy changes them.

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use super::reference::commands;
use super::{read, root};
use crate::city::program;

/// A command of the page with what it said; nothing typed where only an output is shown.
#[derive(Debug, Default)]
struct Shown {
    typed: String,
    said: Vec<String>,
}

/// What the page shows, in its order.
fn shown() -> Vec<Shown> {
    let mut all = vec![Shown::default()];
    let mut is_open = false;
    for line in read("docs/tour.md").lines() {
        let last = all.last_mut().unwrap();
        let Some(code) = line.strip_prefix("    ") else {
            if !line.is_empty() {
                is_open = false;
            } else if is_open {
                last.said.push(String::new());
            }
            continue;
        };
        if let Some(typed) = code.strip_prefix("$ ") {
            all.push(Shown { typed: typed.to_owned(), said: Vec::new() });
        } else if last.typed.ends_with('\\') {
            last.typed.truncate(last.typed.len() - 1);
            last.typed.push_str(code.trim_start());
        } else if is_open {
            last.said.push(code.to_owned());
        } else {
            all.push(Shown { typed: String::new(), said: vec![code.to_owned()] });
        }
        is_open = true;
    }
    all
}

/// The words of a command line, without a comment.
fn words(typed: &str) -> Vec<String> {
    let typed = typed.split(" #").next().unwrap();
    typed.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[test]
fn every_command_of_the_tour_is_one_with_its_flags() {
    let all = commands();
    let mut seen = 0;
    for Shown { typed, .. } in shown() {
        for line in
            typed.split(" && ").map(words).filter(|line| line.first().is_some_and(|it| it == "pinegate"))
        {
            let two = line.iter().skip(1).take(2).cloned().collect::<Vec<_>>().join(" ");
            let name = if all.contains(&two) { two } else { line[1].clone() };
            assert!(all.contains(&name), "no command: {typed}");
            let output = program().args(name.split(' ')).arg("--help").output().unwrap();
            let help = String::from_utf8(output.stdout).unwrap();
            let known: BTreeSet<&str> = help.split([' ', '\n', ',', '=']).collect();
            for flag in line.iter().filter(|word| word.starts_with("--")) {
                assert!(known.contains(flag.as_str()), "{name} has no {flag}: {typed}");
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn every_command_that_the_chinese_page_names_is_one() {
    let page = read("docs/zh/tour.md");
    let all = commands();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    assert!(!named.is_empty());
    for name in named {
        assert!(all.contains(name), "docs/zh/tour.md names `{name}`, which is no command");
    }
}

/// The directory of the demonstration, as far as the commands look at it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        for name in ["policies", "next"] {
            copy(&root().join("policies"), &desk.0.path().join(name));
        }
        desk
    }

    /// Replaces what must be there once.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.0.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from} in {name}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// What a command says, and its exit code.
    fn types(&self, line: &[String]) -> (String, Option<i32>) {
        let output = program().args(line).current_dir(self.0.path()).output().unwrap();
        (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code())
    }

    /// Types a command of the page, and holds what it says against what is shown: all of it, but where `…` stands.
    #[track_caller]
    fn retypes(&self, shown: &Shown, adapt: impl Fn(&str) -> String, exit: i32) {
        let line: Vec<_> = words(&shown.typed).iter().skip(1).map(|word| adapt(word)).collect();
        let (said, code) = self.types(&line);
        assert_eq!(code, Some(exit), "{line:?}: {said}");
        agree(&shown.said, &said, &adapt);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Each line that is shown comes in what was said, in this order, and at once after the one before it, but after `…`.
#[track_caller]
fn agree(shown: &[String], said: &str, adapt: &dyn Fn(&str) -> String) {
    let is_kept = |line: &String| !line.is_empty() && !line.contains("sha256 ");
    let tidy = |line: &str| line.trim_end().to_owned();
    let said_lines: Vec<String> = said.lines().map(tidy).filter(is_kept).collect();
    let mut rest = said_lines.as_slice();
    let mut may_skip = false;
    let mut seen = 0;
    for line in shown.iter().map(|line| adapt(line.trim_end())).filter(is_kept) {
        if line.trim() == "…" {
            may_skip = true;
            continue;
        }
        let place = rest.iter().position(|other| *other == line);
        let place = place.filter(|place| *place == 0 || may_skip);
        let place =
            place.unwrap_or_else(|| panic!("docs/tour.md shows\n{line}\nwhich is not said there:\n{said}"));
        rest = &rest[place + 1..];
        may_skip = false;
        seen += 1;
    }
    assert!(seen > 0 && (may_skip || rest.is_empty()), "docs/tour.md does not show\n{rest:#?}");
}

#[test]
fn what_the_tour_shows_is_what_is_said() {
    let page = shown();
    let find =
        |typed: &str| -> Vec<&Shown> { page.iter().filter(|shown| shown.typed.starts_with(typed)).collect() };
    let as_it_is = |text: &str| text.to_owned();
    let desk = Desk::new();
    let typed = page.iter().flat_map(|shown| &shown.said).find(|line| line.starts_with("p，")).unwrap();
    let grants = std::fs::read_to_string(desk.0.path().join("next/grants.csv")).unwrap();
    let right = grants.lines().find(|line| line.starts_with("p, HS-2026-0117,")).unwrap();
    desk.edit("next/grants.csv", right, typed);

    desk.retypes(find("pinegate fmt next")[0], as_it_is, 0);
    // As of the day of the page: what is about to end depends on it.
    let [check] = find("pinegate check --policies next")[..] else { panic!("one check") };
    let (said, code) = desk.types(&words("check --policies next --at 2026-11-27T08:00"));
    assert_eq!(code, Some(0), "{said}");
    agree(&check.said, &said, &as_it_is);
    let [failed, passed] = find("pinegate test --policies next")[..] else { panic!("two tests") };
    desk.retypes(failed, as_it_is, 1);

    // No repository is needed to compare with what is committed.
    let directories = |text: &str| text.replace("HEAD", "policies");
    let mistaken =
        page.iter().find(|shown| shown.said.iter().any(|line| line.contains("2 gains, no losses"))).unwrap();
    let (said, code) = desk.types(&words("diff --fail-on gain policies next"));
    assert_eq!(code, Some(1), "{said}");
    agree(&mistaken.said, &said, &directories);

    desk.edit(
        "next/grants.csv",
        "|phone:clear|birth_date|address.district;area=3410*",
        "|phone|birth_date|address.district;area=3410*",
    );
    let (before, after) = (
        r#"clear = ["id_card", "address.district"]
masked = ["name:name", "phone:mobile", "birth_date:date-year"]
dropped = ["sex", "#,
        r#"clear = ["id_card", "sex", "address.district"]
masked = ["name:name", "phone:mobile", "birth_date:date-year"]
dropped = ["#,
    );
    desk.edit("next/tests/social-aid.toml", before, after);
    desk.retypes(passed, as_it_is, 0);
    desk.retypes(find("pinegate diff --fail-on clear HEAD next")[0], directories, 0);
    desk.retypes(find("pinegate explain --policies policies")[0], as_it_is, 1);
}
