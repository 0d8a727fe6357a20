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
    let lines = policy["grants"].as_u64().unwrap() + policy["refusals"].as_u64().unwrap();
    assert_eq!(lines, 60, "lines of grants.csv");
    assert_eq!(policy["engine"], "native");
    assert_eq!(policy["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn it_provokes_no_finding_but_the_intended() {
    let report = report(&["check", "--policies", POLICIES, "--json"]);
    let found: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|it| (&it["code"], &it["message"])).collect();
    assert_eq!(found, [(&"grant-expired".into(), &"`HS-2020-0031` has ended".into())]);
}

#[test]
fn its_tests_pass_and_exercise_every_line() {
    let report = report(&["test", "--policies", POLICIES, "--min-coverage", "100", "--json"]);
    assert_eq!(report["ok"], true);
    assert_eq!((&report["coverage"]["lines"], &report["coverage"]["exercised"]), (&60.into(), &60.into()));
}
