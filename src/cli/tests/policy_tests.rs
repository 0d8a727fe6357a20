//! `pinegate test`.

use super::*;

const REGISTRY: &str = r#"
[[department]]
id = "dept:gongan"
name = "公安局"
kind = "government"
contact = "公安局信息中心"
[[department]]
id = "dept:minzheng"
name = "民政局"
kind = "government"
contact = "民政局信息中心"
[[system]]
id = "sys:aid"
name = "社会救助系统"
department = "dept:minzheng"
[[system]]
id = "sys:old"
name = "旧系统"
department = "dept:minzheng"
enabled = false
"#;

const PURPOSES: &str = r#"
[[purpose]]
code = "aid.review"
label = "复核"
legal_basis = "《社会救助暂行办法》"
[[purpose]]
code = "advertising"
label = "广告"
legal_basis = "无"
"#;

const CATALOG: &str = r#"
[[resource]]
id = "person"
name = "人口"
provider = "dept:gongan"
class = "人口"
sharing = "conditional"
mode = ["query", "verify"]
fields = [
    { name = "name", label = "姓名", level = 2, mask = "name" },
    { name = "id", label = "身份号码", level = 3, mask = "name" },
    { name = "sex", label = "性别", level = 1 },
    { name = "address", label = "住址", type = "object", level = 2 },
    { name = "address.city", label = "市", level = 1 },
]
groups = { basic = ["name", "sex"] }
parameters = [{ name = "area", label = "区划", recordable = true }]
[[resource]]
id = "person.adopted"
name = "收养"
provider = "dept:gongan"
class = "人口"
sharing = "none"
mode = ["query"]
fields = [{ name = "name", label = "姓名", level = 4, mask = "name" }]
"#;

const GRANTS: &str = "\
# 授权
p, A-1, sys:aid, person, query, aid.*, name|id:clear;area=34*;rows<=10, 2026-01-01/2026-12-31 workday, allow
p, A-2, dept:minzheng, person, query, aid.review, sex|address, always, allow
p, D-1, group:all, person, *, advertising, *, always, deny
p, N-1, group:all, sharing:none, *, *, *, always, deny
g, dept:minzheng, group:livelihood
";

const GOOD: &str = r#"
[defaults]
at = "2026-06-01T10:00"
system = "sys:aid"
resource = "person"
action = "query"
purpose = "aid.review"

[[case]]
name = "复核时可查本市居民"
parameters = { area = "341002" }
expect = "allow"
grants = ["A-1", "A-2"]
clear = ["id", "sex", "address.*"]
masked = ["name:name"]
rows = 10
vary = [
    { at = "2026-10-01T10:00", grants = ["A-2"], clear = ["sex", "address"], masked = [], rows = 10, name = "节假日" },
    { parameters = { area = ["341002", "341002"] }, fields = ["id"], expect = "deny", code = "scope-exceeded" },
]

[[case]]
name = "广告用途一律拒绝"
purpose = "advertising"
expect = "deny"
code = "grant-denied"
denied_by = ["D-1"]
"#;

/// A policy directory of a few lines, with `tests` as its test file.
fn town(directory: &Path, tests: &str) -> String {
    let to = directory.join("policies");
    fs::create_dir_all(to.join("tests")).unwrap();
    for (name, text) in [
        ("registry.toml", REGISTRY),
        ("purposes.toml", PURPOSES),
        ("catalog.toml", CATALOG),
        ("grants.csv", GRANTS),
        ("masks.toml", "[[masker]]\nname = \"name\"\nmethod = \"name\"\n"),
        ("limits.toml", ""),
        ("model.conf", crate::policy::model::SHIPPED),
        ("tests/person.toml", tests),
    ] {
        fs::write(to.join(name), text).unwrap();
    }
    fs::copy(format!("{POLICIES}/calendar.toml"), to.join("calendar.toml")).unwrap();
    to.to_str().unwrap().to_owned()
}

/// Runs `pinegate test` on a town with `tests`.
fn ran(tests: &str, flags: &[&str]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let policies = town(directory.path(), tests);
    let line = ["test", "--policies", &policies].into_iter().chain(flags.iter().copied());
    let Ran { exit, out, err } = pinegate(&line.collect::<Vec<_>>());
    Ran { exit, out: without(directory.path(), &out), err: without(directory.path(), &err) }
}

/// The good tests, but for the row of a holiday, which expects what holds on workdays.
fn failing() -> String {
    let failing = GOOD.replace("grants = [\"A-2\"], clear = [\"sex\", \"address\"], masked = [], ", "");
    assert_ne!(failing, GOOD);
    failing
}

/// The good tests, all of them right.
fn passing() -> String {
    let passing = GOOD.replace("masked = [], rows = 10, ", "masked = [], ").replace("rows = 10\n", "");
    assert_ne!(passing, GOOD);
    passing
}

#[test]
fn tests_that_pass_say_what_they_do_not_exercise() {
    let ran = ran(&passing(), &["--coverage"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{}", ran.out);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn a_failure_is_shown_in_full() {
    let ran = ran(&failing(), &["--min-coverage", "75"]);
    assert_eq!((ran.exit, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn too_little_coverage_fails() {
    let hidden = "\n[[case]]\nname = \"不予共享\"\nresource = \"person.adopted\"\nexpect = \"deny\"\ncode = \"resource-unknown\"\n";
    for (tests, percent, exit) in [
        (passing(), "75", 0),
        (passing(), "76", 1),
        // A refusal that no caller may see is exercised all the same.
        (passing() + hidden, "100", 0),
    ] {
        let ran = ran(&tests, &["--min-coverage", percent]);
        assert_eq!(ran.exit, exit, "{}", ran.out);
        assert_eq!(ran.out.contains("no test exercises"), exit == 1, "{}", ran.out);
    }
}

#[test]
fn a_test_that_fails_exercises_nothing() {
    let tests = passing().replace("code = \"grant-denied\"", "code = \"grant-none\"");
    let report = json(&ran(&tests, &["--json"]));
    let missed = report["coverage"]["missed"].as_array().unwrap();
    let missed: Vec<&str> = missed.iter().map(|line| line["grant"].as_str().unwrap()).collect();
    assert_eq!(missed, ["D-1", "N-1"]);
}

#[test]
fn tests_for_machines() {
    let ran = ran(&failing(), &["--json"]);
    assert_eq!(ran.exit, 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&ran)).unwrap());
}

#[test]
fn tests_for_jenkins() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.xml");
    let tests = failing().replace("节假日", "<节假日> & \\u0007");
    let first = ran(&tests, &["--junit", report.to_str().unwrap()]);
    assert_eq!(first.exit, 1, "{}", first.err);
    let report = fs::read_to_string(report).unwrap();
    // The tests stand in another directory, of this run alone.
    let (_, rest) = report.split_once("testsuite name=\"").unwrap();
    let (elsewhere, _) = rest.split_once("/policies").unwrap();
    insta::assert_snapshot!(report.replace(elsewhere, "DIR"));
    let nowhere = directory.path().join("no/report.xml");
    let second = ran(&passing(), &["--junit", nowhere.to_str().unwrap()]);
    assert_eq!(second.exit, 70);
    assert!(second.err.contains("cannot be written"), "{}", second.err);
}

#[test]
fn tests_are_listed_and_chosen() {
    let listed = ran(&failing(), &["--list"]);
    assert_eq!((listed.exit, listed.err.as_str()), (0, "4 tests\n"));
    insta::assert_snapshot!(listed.out, @r"
    DIR/policies/tests/person.toml:9: 复核时可查本市居民
    DIR/policies/tests/person.toml:18: 节假日
    DIR/policies/tests/person.toml:19: 复核时可查本市居民 [2]
    DIR/policies/tests/person.toml:22: 广告用途一律拒绝
    ");
    assert_eq!(json(&ran(&failing(), &["--list", "--json"]))["tests"].as_array().map(Vec::len), Some(4));
    let chosen = ran(&failing(), &["--filter", "广告"]);
    assert_eq!(chosen.exit, 0);
    assert!(chosen.out.contains("1 test: 1 passed"), "{}", chosen.out);
    let none = ran(&failing(), &["--filter", "公告"]);
    assert_eq!(none.exit, 2, "no test that runs is no test that passes");
    assert!(none.err.contains("--list"), "{}", none.err);
}

#[test]
fn what_is_wrong_with_tests_is_shown_in_place() {
    let tests = r#"
[defaults]
at = "yesterday"
colour = "red"
[[case]]
name = "a"
system = "sys:aids"
resource = "persons"
action = "query"
purpose = "aid.reviews"
expect = "maybe"
[[case]]
name = "a"
at = "2026-06-01"
system = "sys:aid"
resource = "person"
action = "delete"
purpose = "aid.review"
parameters = { areas = "1", area = 1 }
fields = ["sexes"]
token_grants = ["A-3"]
expect = "allow"
grants = ["A-11", "D-1"]
clear = ["idd"]
masked = ["name:nama", "@basics"]
dropped = []
code = "grant-none"
[[case]]
name = "b"
at = "2026-06-01"
system = "sys:aid"
resource = "person"
action = "query"
purpose = "aid.review"
expect = "deny"
rows = 5
code = "grant-non"
denied_by = ["A-1"]
vary = [{ expect = "allow", rows = 0, sytem = "sys:aid" }]
[[case]]
expect = "deny"
"#;
    let ran = ran(tests, &[]);
    assert_eq!((ran.exit, ran.out.as_str()), (64, ""));
    insta::assert_snapshot!(ran.err);
}

#[test]
fn what_is_unknown_can_be_tested_by_its_code() {
    let cases = [
        ("sys:aid", "weather", "query", "aid.review", "", "resource-unknown"),
        ("sys:aid", "person.adopted", "query", "aid.review", "", "resource-unknown"),
        ("sys:aid", "person", "query", "nonsense", "", "purpose-unknown"),
        ("sys:aid", "person", "delete", "aid.review", "", "grant-none"),
        ("sys:old", "person", "query", "aid.review", "", "identity-disabled"),
        ("sys:aid", "person", "query", "aid.review", "fields = [\"shoe\"]", "scope-exceeded"),
        ("sys:aid", "person", "query", "aid.review", "token_grants = [\"X-9\"]", "grant-none"),
    ];
    let mut tests = "[defaults]\nat = \"2026-06-01\"\nexpect = \"deny\"\n".to_owned();
    for (number, (system, resource, action, purpose, more, code)) in cases.into_iter().enumerate() {
        tests.push_str(&format!(
            "[[case]]\nname = \"{number}\"\nsystem = \"{system}\"\nresource = \"{resource}\"\n\
             action = \"{action}\"\npurpose = \"{purpose}\"\n{more}\ncode = \"{code}\"\n"
        ));
    }
    let ran = ran(&tests, &[]);
    assert_eq!(ran.exit, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("7 tests: 7 passed"), "{}", ran.out);
}

#[test]
fn further_files_may_be_named_and_none_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let policies = town(directory.path(), &passing());
    let more = directory.path().join("more.toml");
    fs::write(&more, failing()).unwrap();
    let ran = pinegate(&["test", "--policies", &policies, more.to_str().unwrap()]);
    assert_eq!(ran.exit, 1);
    assert!(ran.out.contains("8 tests: 7 passed, 1 failed"), "{}", ran.out);
    fs::remove_dir_all(format!("{policies}/tests")).unwrap();
    let ran = pinegate(&["test", "--policies", &policies]);
    assert_eq!(ran.exit, 64);
    assert!(ran.err.contains("there are no policy tests"), "{}", ran.err);
    let ran = pinegate(&["test", "--policies", &policies, "gone.toml"]);
    assert_eq!(ran.exit, 64);
    assert!(ran.err.contains("gone.toml"), "{}", ran.err);
}

#[test]
fn the_way_to_look_further_leads_to_the_same_refusal() {
    let tests = r#"
[[case]]
name = "it's"
at = "2026-06-01T10:00"
system = "sys:aid"
resource = "person"
action = "query"
purpose = "aid.review"
fields = ["id", "name"]
parameters = { area = "it's" }
token_grants = ["A-1"]
expect = "allow"
"#;
    let directory = tempfile::tempdir().unwrap();
    let policies = town(directory.path(), tests);
    let ran = pinegate(&["test", "--policies", &policies, "--zone", "Asia/Shanghai"]);
    assert_eq!(ran.exit, 1);
    let (_, line) = ran.out.split_once("look further: pinegate ").unwrap();
    let line = line.lines().next().unwrap();
    let quoted = r"--fields 'id|name' --param 'area=it'\''s' --grant A-1 --at 2026-06-01T10:00";
    assert!(line.ends_with(quoted), "{line}");
    let line = line.replace("'id|name'", "id|name").replace(r"'area=it'\''s'", "area=it's");
    let explained = pinegate(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(explained.exit, 1, "{}", explained.err);
    assert!(explained.out.contains("scope-parameter"), "{}", explained.out);
}
