use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{json as answered, pinegate};

const RBAC: &str = "\
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
";

const POLICY: &str = "\
p, alice, data1, read
p, admin, data2, read
g, alice, admin
";

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Answers to a batch, a line each.
fn batch(line: &[&str], requests: &str, directory: &Path) -> Vec<Json> {
    let file = write(directory, "requests.jsonl", requests);
    let ran = pinegate(&[line, &["--batch", &file]].concat());
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{ran:?}");
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_request_is_answered_and_its_code_says_what() {
    let directory = tempfile::tempdir().unwrap();
    let (model, policy) = (write(directory.path(), "m.conf", RBAC), write(directory.path(), "p.csv", POLICY));
    let line = ["casbin", "enforce", "-m", &model, "-p", &policy];
    for engine in ["auto", "index", "native", "casbin"] {
        let with = [&line[..], &["--engine", engine]].concat();
        let ran = pinegate(&[&with[..], &["alice", "data2", "read"]].concat());
        assert_eq!(ran.exit, 0, "{ran:?}");
        assert_eq!(ran.out, "{\"allow\":true,\"explain\":[\"admin\",\"data2\",\"read\"]}\n", "{engine}");
        let ran = pinegate(&[&with[..], &["bob", "data2", "read"]].concat());
        assert_eq!((ran.exit, ran.out.as_str()), (1, "{\"allow\":false,\"explain\":[]}\n"), "{engine}");
    }
    let ran = pinegate(&[&line[..], &["-v", "alice", "data2", "--read"]].concat());
    assert_eq!(ran.exit, 1);
    assert_eq!(
        ran.err,
        "engine: native, over an index by p.sub, p.obj, p.act: 2 lines, at most 1 under one key\n"
    );
    let ran = pinegate(&[&line[..], &["alice"]].concat());
    assert_eq!(ran.exit, 1);
    let error = "the request has 1 values, the model wants 3: sub, obj, act";
    assert_eq!(answered(&ran), json!({"allow": false, "explain": [], "error": error}));
}

#[test]
fn a_batch_answers_each_line_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let model =
        RBAC.replace("g(r.sub, p.sub)", "r.sub.Age >= 18").replace("[role_definition]\ng = _, _\n", "");
    let (model, policy) = (
        write(directory.path(), "m.conf", &model),
        write(directory.path(), "p.csv", "p, anyone, data1, read\n"),
    );
    let long = format!("[\"{}\"]", "x".repeat(1 << 20));
    let requests = format!(
        "{}\n{}\n{}\n\n{long}\n{}\n{}",
        r#"[{"Age": 18}, "data1", "read"]"#,
        r#"["{\"Age\": 17}", "data1", "read"]"#,
        r#"["{\"Age\": ", "data1", "read"]"#,
        r#"[{"Name": "alice"}, "data1", "read"]"#,
        r#"[{"Age": 20.5}, "data1", "read"]"#,
    );
    let answers = batch(&["casbin", "enforce", "-m", &model, "-p", &policy], &requests, directory.path());
    let allowed: Vec<Option<bool>> = answers.iter().map(|answer| answer["allow"].as_bool()).collect();
    assert_eq!(allowed, [Some(true), Some(false), None, None, None, Some(false), Some(true)], "{answers:?}");
    for (index, error) in [
        (2, "argument 1 is not a JSON object"),
        (3, "the line is not a JSON array of arguments"),
        (4, "the line is longer than 1048576 bytes"),
        (5, "the request has no attribute `Age`"),
    ] {
        assert!(answers[index]["error"].as_str().unwrap().starts_with(error), "{}", answers[index]);
    }
}

#[test]
fn what_does_not_load_exits_64_and_shows_where() {
    let directory = tempfile::tempdir().unwrap();
    let broken = RBAC.replace("r.act == p.act", "r.act = p.act");
    let (model, policy) =
        (write(directory.path(), "m.conf", &broken), write(directory.path(), "p.csv", POLICY));
    let ran = pinegate(&["casbin", "enforce", "-m", &model, "-p", &policy, "alice", "data1", "read"]);
    assert_eq!((ran.exit, ran.out.as_str()), (64, ""));
    insta::assert_snapshot!(ran.err.replace(directory.path().to_str().unwrap(), "DIR"));
    let timed = RBAC.replace("g(r.sub, p.sub)", "r.sub.Age > 18");
    let model = write(directory.path(), "m.conf", &timed);
    let ran =
        pinegate(&["casbin", "enforce", "-m", &model, "-p", &policy, "--engine", "casbin", "a", "b", "c"]);
    assert_eq!(ran.exit, 64);
    insta::assert_snapshot!("engine_refused", ran.err);
    let ran = pinegate(&["casbin", "enforce", "-m", "no-such-file", "a"]);
    assert_eq!(ran.exit, 1);
}

#[test]
fn the_options_name_definitions_and_functions() {
    for (wrong, why) in [
        (vec!["--context", "r,p2"], "four names"),
        (vec!["--role-matching", "g=ipMatch"], "keyMatch, keyMatch2"),
        (vec!["--domain-matching", "g"], "g=keyMatch2"),
        (vec!["--link-condition", "g=Other"], "g=TimeMatch"),
        (vec!["--batch", "x"], "cannot be used with"),
    ] {
        let line = ["pinegate", "casbin", "enforce", "-m", "m"].into_iter().chain(wrong.clone()).chain(["a"]);
        let error = <super::Arguments as clap::Parser>::try_parse_from(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(why), "{wrong:?}: {error}");
    }
}

/// The outside suite through the command line, as others run it.
#[test]
fn outside_cases_are_answered_in_batches() {
    let Some(outside) = crate::kernel::skip::conformance() else { return };
    let outside = outside.join("casbin");
    let cases: Json = serde_json::from_str(&fs::read_to_string(outside.join("cases.json")).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (mut held, mut refused) = (0, Vec::new());
    for suite in cases["suites"].as_array().unwrap() {
        let path =
            |key: &str| suite[key].as_str().map(|name| outside.join(name).to_str().unwrap().to_owned());
        let mut line =
            vec!["casbin".to_owned(), "enforce".to_owned(), "-m".to_owned(), path("model").unwrap()];
        if let Some(policy) = path("policy") {
            line.extend(["-p".to_owned(), policy]);
        }
        for setup in suite["setup"].as_array().unwrap() {
            let option = match setup["kind"].as_str().unwrap() {
                "link_condition_all" => "--link-condition",
                "role_matching" => "--role-matching",
                _ => "--domain-matching",
            };
            let of = |key: &str| setup[key].as_str().unwrap();
            line.extend([option.to_owned(), format!("{}={}", of("role_definition"), of("function"))]);
        }
        let suite_cases = suite["cases"].as_array().unwrap();
        let requests: String = suite_cases.iter().map(|case| format!("{}\n", case["request"])).collect();
        let file = write(directory.path(), "requests.jsonl", &requests);
        line.extend(["--batch".to_owned(), file]);
        let ran = pinegate(&line.iter().map(String::as_str).collect::<Vec<_>>());
        if ran.exit == 64 {
            refused.push(suite["id"].as_str().unwrap());
            continue;
        }
        let answers: Vec<Json> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), suite_cases.len());
        for (case, answer) in suite_cases.iter().zip(answers) {
            match case["expected"].as_bool() {
                Some(expected) => assert_eq!(answer["allow"], expected, "{}: {case}", suite["id"]),
                None => assert!(answer["error"].is_string(), "{case}"),
            }
            held += 1;
        }
    }
    assert_eq!(refused, ["rbac_cycle"]);
    assert!(held > 1100, "{held}");
}
