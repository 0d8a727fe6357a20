//! `pinegate diff`, with directories and with a real repository.

use std::process::Command;

use super::*;

/// The example policies and a copy with these edits, `(file, from, to)`.
fn edited(directory: &Path, edits: &[(&str, &str, &str)]) -> PathBuf {
    let new = policies(directory);
    for (file, from, to) in edits {
        edit(&new.join(file), from, to);
    }
    new
}

/// What `diff` says of a copy of a small policy with these edits.
fn diff(edits: &[(&str, &str, &str)], flags: &[&str]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    for to in [&old, &new] {
        fs::create_dir(to).unwrap();
        let to = policies(to);
        fs::write(to.join("grants.csv"), GRANTS).unwrap();
        fs::write(to.join("limits.toml"), LIMITS).unwrap();
    }
    for (file, from, to) in edits {
        edit(&new.join("policies").join(file), from, to);
    }
    let (old, new) = (old.join("policies"), new.join("policies"));
    let mut line = vec!["diff", old.to_str().unwrap(), new.to_str().unwrap()];
    line.extend(flags);
    let ran = pinegate(&line);
    Ran { exit: ran.exit, out: without(directory.path(), &ran.out), err: without(directory.path(), &ran.err) }
}

const GRANTS: &str = "\
p, SHARE-0, group:all, sharing:unconditional, query, *, @basic, always, allow
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name|id_card:clear|phone;area=3410*, 2026-01-01/2026-06-30, allow
p, HS-2, group:livelihood, population.resident, verify, social-aid.*, match;rows<=10, always, allow
p, WT-4, sys:water-billing, legal.enterprise, query, utility.account, @basic|address, 2026-01-01/2026-12-31 workday 08:30-18:00, allow
g, dept:minzheng, group:livelihood
";
const LIMITS: &str = "[[limit]]\nname = \"each-system\"\nby = [\"system\"]\nrate = \"10/s\"\nburst = 20\n";

#[test]
fn a_change_of_policy_is_shown_by_what_it_means() {
    let ran = diff(
        &[
            (
                "grants.csv",
                "phone;area=3410*, 2026-01-01/2026-06-30",
                "phone:clear;area=34*, 2026-01-01/2026-12-31",
            ),
            ("grants.csv", "match;rows<=10", "match;rows<=5"),
            ("grants.csv", "WT-4, sys:water-billing", "WT-5, sys:water-billing"),
            ("grants.csv", "workday 08:30-18:00", "workday 08:00-17:30"),
            ("grants.csv", "g, dept:minzheng", "g, dept:ziran, group:livelihood\ng, dept:minzheng"),
            ("masks.toml", "method = \"plate\"", "method = \"full\""),
            ("limits.toml", "10/s", "20/s"),
        ],
        &[],
    );
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn the_same_for_machines() {
    let ran = diff(&[("grants.csv", "2026-06-30", "2026-12-31")], &["--json"]);
    let found = json(&ran);
    assert_eq!(
        (&found["same"], &found["gain"], &found["loss"]),
        (&false.into(), &true.into(), &false.into())
    );
    let change = &found["changes"][0];
    assert_eq!((&change["kind"], &change["grants"][0]), (&"allowed".into(), &"HS-1".into()));
    assert_eq!(change["when"][0]["from"], "2026-06-30T16:00:00Z");
    assert_eq!(change["parameters"][0]["values"][0]["pattern"], "3410*");
    assert_eq!(change["fields"][1]["new"]["mask"], serde_json::Value::Null);
    // The example is a request that `explain` decides otherwise.
    assert_eq!(change["example"]["parameters"]["area"][0], "34100");
    assert_eq!(found["lines"][0]["cells"][0]["column"], "window");
}

#[test]
fn reviews_stop_at_what_they_name() {
    let gain = ("grants.csv", "2026-06-30", "2026-12-31");
    let loss = ("grants.csv", "2026-06-30", "2026-05-31");
    let clear = ("grants.csv", "phone;", "phone:clear;");
    let idle = ("grants.csv", "name|id_card:clear|phone", "phone|name|id_card:clear");
    let limit = ("limits.toml", "burst = 20", "burst = 10");
    let label = ("purposes.toml", "label = ", "label = \"\"\n# ");
    for (change, expected) in [
        (gain, [true, false, true, true]),
        (loss, [false, true, false, true]),
        (clear, [true, false, true, true]),
        (idle, [false, false, false, false]),
        (limit, [false, true, false, true]),
    ] {
        for (kind, fails) in ["gain", "loss", "clear", "any"].into_iter().zip(expected) {
            let ran = diff(&[change], &["--fail-on", kind]);
            assert_eq!(ran.exit == 1, fails, "{change:?} {kind}\n{}", ran.out);
            assert_eq!(ran.err.contains(kind), fails);
        }
    }
    assert_eq!(diff(&[gain], &["--fail-on=loss", "--fail-on=gain"]).exit, 1);
    let ran = diff(&[label], &["--fail-on", "any"]);
    assert_eq!(ran.exit, 64, "a purpose without a name does not load");
}

#[test]
fn what_changes_nothing_is_counted() {
    let split = (
        "grants.csv",
        "p, HS-2,",
        "p, HS-3, group:livelihood, population.resident, verify, social-aid.review, match;rows<=5, always, allow\np, HS-2,",
    );
    let idle = (
        "grants.csv",
        "2026-06-30, allow",
        "2026-06-30, allow\np, HS-9, sys:minzheng-aid, population.resident, query, social-aid.review, phone;area=341002, 2026-03-01/2026-03-31, allow",
    );
    let ran = diff(&[idle], &[]);
    assert!(
        ran.out.contains("1 line edited without changing any decision: `--all` shows them"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("every request is decided alike"), "{}", ran.out);
    assert!(diff(&[idle], &["--all"]).out.contains("HS-9"));
    // A second, stricter line takes rows from those who had more.
    assert!(diff(&[split], &[]).out.contains("rows 10 → 5 with match"));
}

/// A repository with the example policies in two commits; the second widens a grant.
fn repository(directory: &Path) -> String {
    let repository = directory.to_str().unwrap().to_owned();
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-C", &repository, "-c", "user.name=Test", "-c", "user.email=test@city.example"])
            .args([
                "-c",
                "commit.gpgsign=false",
                "-c",
                "init.defaultBranch=main",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet"]);
    let new = edited(directory, &[]);
    fs::create_dir(new.join("tests")).unwrap();
    fs::write(new.join("tests/aid.toml"), "").unwrap();
    fs::write(new.join("README.md"), "").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["tag", "-a", "-m", "first", "first"]);
    edit(&new.join("grants.csv"), "match;rows<=1,", "match;rows<=2,");
    git(&["commit", "--quiet", "-am", "two"]);
    fs::rename(new, directory.join("elsewhere")).unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "three"]);
    repository
}

#[test]
fn revisions_are_read_without_a_checkout() {
    let directory = tempfile::tempdir().unwrap();
    let repository = repository(directory.path());
    let run = |old: &str, new: &str| pinegate(&["diff", "--repository", &repository, old, new]);
    let ran = run("first", "HEAD~1");
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("rows 1 → 2 with match"), "{}", ran.out);
    assert!(ran.out.ends_with("first → HEAD~1: 1 gain, no losses\n"), "{}", ran.out);
    for (old, new) in [("HEAD~1", "HEAD:elsewhere"), ("HEAD~1:policies/", "HEAD:elsewhere")] {
        assert!(run(old, new).out.contains("every request is decided alike"));
    }
    let elsewhere = directory.path().join("elsewhere");
    assert!(run("HEAD~1", elsewhere.to_str().unwrap()).out.contains("every request is decided alike"));

    for (revision, said) in [
        ("nosuch", "not a directory, nor a revision of the git repository here"),
        ("HEAD", "`HEAD` has no directory `policies`"),
        ("HEAD:elsewhere/grants.csv", "`HEAD` has no directory `elsewhere/grants.csv`"),
        ("HEAD:elsewhere/tests", "`elsewhere/tests` holds no policy in `HEAD`"),
        (":elsewhere", "neither a directory nor a revision"),
    ] {
        let ran = run("HEAD:elsewhere", revision);
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{revision}");
        assert!(ran.err.contains(said), "{}", ran.err);
        assert!(ran.err.contains("help: "), "{}", ran.err);
    }
    let ran = pinegate(&["diff", "--repository", &repository, "--", "--output=x", "HEAD"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("neither a directory nor a revision"), "{}", ran.err);
}

#[test]
fn a_revision_is_what_was_committed_wherever_one_stands() {
    let directory = tempfile::tempdir().unwrap();
    let repository = repository(directory.path());
    let below = directory.path().join("elsewhere");
    let below = below.to_str().unwrap();
    // The path is one from the root, also below it.
    let ran = pinegate(&["diff", "--repository", below, "first", "HEAD:./elsewhere"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    assert!(ran.out.ends_with("first → HEAD:./elsewhere: 1 gain, no losses\n"), "{}", ran.out);
    // A replacement shows other people another history than the one that was reviewed.
    let replaced =
        Command::new("git").args(["-C", &repository, "replace", "first^{}", "HEAD"]).output().unwrap();
    assert!(replaced.status.success(), "{replaced:?}");
    let ran = pinegate(&["diff", "--repository", &repository, "first", "HEAD:elsewhere"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    for root in ["HEAD:", "HEAD:."] {
        let ran = pinegate(&["diff", "--repository", &repository, root, "first"]);
        assert!(ran.err.contains("the root holds no policy in `HEAD`"), "{}", ran.err);
    }
}

#[test]
fn a_directory_comes_before_a_revision_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let repository = repository(directory.path());
    // The name is a directory of the working directory of the tests.
    let ran = pinegate(&["diff", "--repository", &repository, "policies", POLICIES]);
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let ran = pinegate(&["diff", "--repository", &repository, "--git", "policies", "first"]);
    assert_eq!(ran.exit, 2);
}

#[test]
fn both_policies_must_load() {
    let ran = diff(&[("grants.csv", "sys:minzheng-aid", "sys:minzheng-aidd")], &[]);
    assert_eq!((ran.exit, ran.out.as_str()), (64, ""));
    assert!(ran.err.contains("did you mean `sys:minzheng-aid`?"), "{}", ran.err);
    assert!(ran.err.contains("the policy in `DIR/new/policies` does not load"), "{}", ran.err);
}

#[test]
fn another_model_is_not_compared_as_if_it_were_the_shipped_one() {
    for (from, to) in [(" && !some(where (p.eft == deny))", ""), (" && in_window(r.now, p.window)", "")] {
        let ran = diff(&[("model.conf", from, to)], &["--fail-on", "gain"]);
        assert_eq!((ran.exit, ran.out.as_str()), (64, ""));
        assert!(ran.err.contains("new/policies` is decided by another matcher"), "{}", ran.err);
    }
}
