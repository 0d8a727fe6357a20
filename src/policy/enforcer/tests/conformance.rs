//! The answers of official Go Casbin, held against ours.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::super::*;

/// Where the cases are, if they are there.
fn directory() -> Option<PathBuf> {
    Some(crate::kernel::skip::conformance()?.join("casbin"))
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nothing,
        Json::Bool(truth) => Value::Truth(*truth),
        Json::Number(number) => Value::Number(number.as_f64().unwrap()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(list) => Value::List(list.iter().map(value).collect()),
        Json::Object(object) => {
            Value::Object(object.iter().map(|(name, json)| (name.clone(), value(json))).collect())
        }
    }
}

/// A value as the suite's kind of requests has it.
fn argument(json: &Json, kind: &str) -> Value {
    match json.as_str() {
        Some(text) if kind == "json" && text.starts_with('{') => value(&serde_json::from_str(text).unwrap()),
        _ => value(json),
    }
}

fn options(suite: &Json) -> Options {
    let mut options = Options::default();
    for setup in suite["setup"].as_array().unwrap() {
        let role = setup["role_definition"].as_str().unwrap().to_owned();
        let function = setup["function"].as_str().unwrap();
        match setup["kind"].as_str().unwrap() {
            "role_matching" => options.role_matching.push((role, Function::named(function).unwrap())),
            "domain_matching" => options.domain_matching.push((role, Function::named(function).unwrap())),
            "link_condition_all" => {
                assert_eq!(function, "TimeMatch");
                options.timed_roles.push(role);
            }
            other => panic!("{other}"),
        }
    }
    options
}

/// Suites that do not load, and why: no other may join them unseen.
const REFUSED: &[(&str, &str)] = &[
    // Go refuses as well.
    ("rbac_cycle", "role-cycle"),
];

#[test]
fn every_answer_is_go_s() {
    let Some(directory) = directory() else { return };
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let cases: Json = serde_json::from_str(&read("cases.json")).unwrap();
    let now = "2026-06-01T01:30:00Z".parse().unwrap();
    let (mut refused, mut answered, mut wrong, mut by_others) = (Vec::new(), 0, Vec::new(), 0);
    for suite in cases["suites"].as_array().unwrap() {
        let (id, kind) = (suite["id"].as_str().unwrap(), suite["request_kind"].as_str().unwrap());
        let model = Source::new("model.conf", read(suite["model"].as_str().unwrap()));
        let policy = Source::new("policy.csv", suite["policy"].as_str().map_or(String::new(), read));
        let mut enforcer = match Enforcer::load(&model, &policy, &options(suite)) {
            Ok(enforcer) => enforcer,
            Err(report) => {
                refused.push((id.to_owned(), report.sorted()[0].code, report.to_string()));
                continue;
            }
        };
        // casbin-rs, where it is let, answers the same.
        let other = |engine| {
            let again = Enforcer::load(&model, &policy, &options(suite)).unwrap();
            again.with(engine).ok()
        };
        let mut others: Vec<Enforcer> =
            [Engine::Index, Engine::Casbin].into_iter().filter_map(other).collect();
        by_others += others.len();
        for case in suite["cases"].as_array().unwrap() {
            let request: Vec<Value> =
                case["request"].as_array().unwrap().iter().map(|json| argument(json, kind)).collect();
            let answer = enforcer.decide(&request, now);
            let is_right = match case["expected"].as_bool() {
                Some(expected) => answer.as_ref().is_ok_and(|answer| answer.allow == expected),
                None => answer.is_err(),
            };
            answered += 1;
            for other in &mut others {
                assert_eq!(other.decide(&request, now).ok(), answer.clone().ok(), "{id}: {case}");
            }
            if !is_right {
                wrong.push(format!("{id}: {case} → {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    let refused_codes: Vec<(&str, &str)> = refused.iter().map(|(id, code, _)| (id.as_str(), *code)).collect();
    assert_eq!(refused_codes, REFUSED, "{refused:?}");
    assert!(answered > 1100, "{answered}");
    assert!(by_others >= 40, "{by_others}");
}
