//! The example city in `policies/`: what its README and the documentation say of it stays true.

use super::*;

fn report(line: &[&str]) -> serde_json::Value {
    let ran = pinegate(line);
    assert_eq!(ran.exit, 0, "{ran:?}");
    json(&ran)
}

#[test]
fn it_is_the_city_that_is_promised() {
    let report = report(&["check", "--policies", POLICIES, "--json"]);
    assert_eq!((&report["ok"], &report["errors"]), (&true.into(), &0.into()));
    let policy = &report["policy"];
    assert_eq!((&policy["departments"], &policy["resources"]), (&12.into(), &30.into()));
    assert_eq!((&policy["systems"], &policy["purposes"]), (&21.into(), &26.into()));
    assert_eq!((&policy["grants"], &policy["refusals"]), (&55.into(), &5.into()), "60 lines");
    assert_eq!(policy["engine"], "native");
    assert_eq!(policy["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn it_provokes_no_finding_but_the_intended() {
    // One that is kept for reference, and those that compare whole registers by ID number.
    let intended = [
        ("grant-expired", "HS-2020-0031"),
        ("clear-of-sensitive", "HS-2026-0117"),
        ("clear-of-sensitive", "HS-2026-0123"),
        ("clear-of-sensitive", "RS-2026-0401"),
        ("clear-of-sensitive", "YB-2026-0503"),
        ("clear-of-sensitive", "SW-2026-0801"),
    ];
    let report = report(&["check", "--policies", POLICIES, "--json"]);
    let findings = report["findings"].as_array().unwrap();
    let is = |finding: &serde_json::Value, (code, id): &(&str, &str)| {
        finding["code"] == *code && finding["message"].as_str().unwrap().contains(id)
    };
    for finding in findings.iter().filter(|finding| finding["severity"] != "note") {
        assert!(intended.iter().any(|known| is(finding, known)), "{finding}");
    }
    assert!(findings.iter().any(|finding| is(finding, &intended[0])), "{findings:?}");
}

#[test]
fn it_is_formatted() {
    let ran = pinegate(&["fmt", "--policies", POLICIES, "--check"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
}

#[test]
fn its_tests_pass_and_exercise_every_line() {
    let report = report(&["test", "--policies", POLICIES, "--min-coverage", "100", "--json"]);
    assert_eq!(report["ok"], true);
    assert_eq!((&report["coverage"]["lines"], &report["coverage"]["exercised"]), (&60.into(), &60.into()));
}

/// The guides to the example, in both languages.
fn guides() -> [String; 2] {
    ["README.md", "README.zh.md"].map(|name| fs::read_to_string(format!("{POLICIES}/{name}")).unwrap())
}

/// The example with its tests, to edit.
fn with_tests(directory: &Path) -> PathBuf {
    let to = policies(directory);
    fs::create_dir(to.join("tests")).unwrap();
    for entry in fs::read_dir(format!("{POLICIES}/tests")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join("tests").join(entry.file_name())).unwrap();
    }
    to
}

fn append(file: &Path, text: &str) {
    let before = fs::read_to_string(file).unwrap();
    fs::write(file, format!("{before}\n{text}\n")).unwrap();
}

#[test]
fn the_exercise_of_its_guides_can_be_done() {
    for guide in guides() {
        let directory = tempfile::tempdir().unwrap();
        let to = with_tests(directory.path());
        let line = guide.lines().find(|line| line.starts_with("p, SW-2026-0803")).unwrap();
        let grants = fs::read_to_string(to.join("grants.csv")).unwrap();
        let above = grants.lines().position(|line| line.starts_with("p, SW-2026-0802")).unwrap();
        let mut lines: Vec<&str> = grants.lines().collect();
        lines.insert(above + 1, line);
        fs::write(to.join("grants.csv"), lines.join("\n")).unwrap();
        let place = to.to_str().unwrap();
        let untested = pinegate(&["test", "--policies", place, "--coverage"]);
        let shown = guide.lines().find(|line| line.contains("  p, SW-2026-0803")).unwrap();
        assert!(untested.out.contains(shown.trim_end_matches('…')), "{shown}: {}", untested.out);
        assert!(untested.out.contains("60 of 61 lines"), "{}", untested.out);

        let case = guide.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        append(&to.join("tests/social-security.toml"), case);
        report(&["test", "--policies", place, "--min-coverage", "100", "--json"]);

        let refusals: Vec<_> = guide.lines().filter(|line| line.starts_with("p, JJ-")).collect();
        assert_eq!(refusals.len(), 2);
        append(&to.join("grants.csv"), &refusals.join("\n"));
        report(&["check", "--policies", place, "--json"]);
    }
}

#[test]
fn its_guides_name_grants_that_there_are() {
    let grants = fs::read_to_string(format!("{POLICIES}/grants.csv")).unwrap();
    let exercises = ["SW-2026-0803", "JJ-2026-1125", "JJ-2026-1126"];
    for guide in guides() {
        let words = guide.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let is_id = |word: &&str| {
            matches!(word.split('-').collect::<Vec<_>>().as_slice(), [letters, year, number]
                if letters.len() == 2 && letters.bytes().all(|byte| byte.is_ascii_uppercase())
                    && [year, number].iter().all(|it| it.len() == 4 && it.parse::<u32>().is_ok()))
        };
        let ids: Vec<&str> = words.filter(is_id).filter(|id| !exercises.contains(id)).collect();
        assert!(ids.len() > 15, "{ids:?}");
        for id in ids {
            assert!(grants.contains(&format!("p, {id}, ")), "`{id}` is no grant of the example");
        }
    }
}
