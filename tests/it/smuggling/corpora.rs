//! The corpora, and where the gate does otherwise than one of them expects.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::Value;

use super::{Came, Request, Vector, assert_nothing_smuggled, open_city, replaced, send};

/// The vectors of one corpus, or nothing where there are none.
fn corpus(file: &str) -> Option<Vec<Value>> {
    let Some(directory) = std::env::var_os("CONFORMANCE_DIR") else {
        eprintln!("skipped: CONFORMANCE_DIR is not set");
        return None;
    };
    let path = std::path::Path::new(&directory).join("h1").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let corpus: Value = serde_json::from_str(&text).unwrap();
    Some(corpus["cases"].as_array().unwrap().clone())
}

fn decoded(text: &Value) -> Vec<u8> {
    BASE64.decode(text.as_str().unwrap().as_bytes()).unwrap()
}

/// As it is written on the page, where a backtick ends an id.
fn id(case: &Value) -> String {
    case["id"].as_str().unwrap().replace('`', "")
}

/// The ids on the page of differences, by corpus.
fn explained(corpus: &str) -> BTreeSet<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix(&format!("| {corpus} | ")));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split("`").skip(1).step_by(2).map(str::to_owned))
        .collect()
}

/// Fails unless exactly the vectors that are explained in the docs do otherwise than their corpus expects.
fn assert_explained(corpus: &str, others: &[(String, String)]) {
    let found: BTreeSet<String> = others.iter().map(|(id, _)| id.clone()).collect();
    let told: BTreeSet<String> = explained(corpus);
    let unexplained: Vec<_> = others.iter().filter(|(id, _)| !told.contains(id)).collect();
    assert!(unexplained.is_empty(), "{corpus}: not in docs/http.md: {unexplained:#?}");
    assert_eq!(found, told, "{corpus}: left: found; right: told in docs/http.md");
}

/// Whether a reply is one that an expectation such as `400/501 or close` names.
fn meets(expected: &str, came: &Came) -> bool {
    let Some(&status) = came.statuses.iter().find(|status| **status >= 200) else {
        return expected.contains("close") || expected.contains("timeout");
    };
    match expected {
        "!101" => return status != 101,
        "not 414" => return status != 414,
        "IMF-fixdate format" => return came.reply.contains("\ndate: "),
        _ => {}
    }
    if expected.starts_with("Reject") {
        return status == 400;
    }
    let class = format!("{}xx", status / 100);
    expected.contains(&status.to_string()) || expected.contains(&class) || expected.contains("non-101")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http11probe() {
    let Some(cases) = corpus("http11probe.json") else { return };
    let (city, recorder) = open_city().await;
    let vector = |case: &Value| {
        let steps = case["steps"].as_array().unwrap().iter();
        let bytes = steps.flat_map(|step| replaced(&decoded(step), "__HOST__", "localhost")).collect();
        Vector { id: id(case), bytes }
    };
    let all = send(&city, &recorder, cases.iter().map(vector).collect(), false).await;
    let mut others = Vec::new();
    for (came, case) in all.iter().zip(&cases) {
        assert_nothing_smuggled(came);
        assert_well_formed(came);
        let expected = case["expect"].as_str().unwrap();
        if !meets(expected, came) {
            others.push((came.id.clone(), format!("{expected}: {:?}", came.statuses)));
        }
    }
    assert!(
        all.iter().filter(|came| !came.forwarded.is_empty()).count() > 10,
        "hardly anything was forwarded"
    );
    assert_explained("http11probe", &others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn llhttp() {
    let Some(cases) = corpus("llhttp.json") else { return };
    let (city, recorder) = open_city().await;
    let vector = |case: &Value| Vector { id: id(case), bytes: decoded(&case["payload"]) };
    let all = send(&city, &recorder, cases.iter().map(vector).collect(), true).await;
    let mut others = Vec::new();
    for (came, case) in all.iter().zip(&cases) {
        assert_nothing_smuggled(came);
        assert_well_formed(came);
        let is_good = case["error"].is_null();
        let is_refused = came.statuses.iter().any(|status| *status >= 400) || came.forwarded.is_empty();
        if is_good == is_refused && !(came.is_open && came.statuses.is_empty()) {
            others.push((came.id.clone(), format!("{}: {:?}", case["error"], came.statuses)));
        }
    }
    assert!(
        all.iter().filter(|came| !came.forwarded.is_empty()).count() > 10,
        "hardly anything was forwarded"
    );
    assert_explained("llhttp", &others);
}

/// Each head with two bodies: one that hides a request behind the last chunk, for who goes by the length in front
/// of who goes by chunks; one that hides it in a chunk, for the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smuggler() {
    let Some(cases) = corpus("smuggler.json") else { return };
    let (city, recorder) = open_city().await;
    let mut vectors = Vec::new();
    for case in &cases {
        let head = decoded(&case["head"]);
        let head = ["__METHOD__=POST", "__ENDPOINT__=/x", "__HOST__=localhost", "__RANDOM__=1"].iter().fold(
            head,
            |head, pair| {
                let (from, to) = pair.split_once('=').unwrap();
                replaced(&head, from, to)
            },
        );
        let hidden = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let behind = format!("0\r\n\r\n{hidden}");
        let within = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
        for (how, body, length) in
            [("CL.TE", &behind, behind.len()), ("TE.CL", &within, within.find("GET").unwrap())]
        {
            let head = replaced(&head, "__REPLACE_CL__", &length.to_string());
            let bytes = [&head[..], b"\r\n", body.as_bytes()].concat();
            vectors.push(Vector { id: format!("{} {how}", id(case)), bytes });
        }
    }
    let all = send(&city, &recorder, vectors, false).await;
    for came in &all {
        assert_nothing_smuggled(came);
        assert_well_formed(came);
        let is_hidden = |request: &Request| request.target == "/smuggled";
        // Those are plain: the length is that of the first request, and what hides is another in the open.
        let is_plain =
            ["default:xprespace-09 TE.CL", "default:xprespace-20 TE.CL", "exhaustive:contentEnc TE.CL"];
        assert!(is_plain.contains(&came.id.as_str()) || !came.forwarded.iter().any(is_hidden), "{}", came.id);
    }
    assert_eq!(all.len(), 2 * cases.len());
}

/// No refusal is the library's: each has a problem document.
fn assert_well_formed(came: &Came) {
    let refused = came.statuses.iter().filter(|status| **status >= 400).count();
    let problems = came.reply.matches("content-type: application/problem+json").count();
    assert_eq!(refused, problems, "`{}`: {}", came.id, came.reply);
}
