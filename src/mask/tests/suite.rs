//! JSONTestSuite (nst/JSONTestSuite): what is JSON, by agreement, and what we do where there is none.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

/// The files, by name; `None` where they are not at hand.
fn files() -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = crate::kernel::skip::conformance()?;
    let entries = std::fs::read_dir(folder.join("jsontestsuite")).unwrap();
    let files = entries.map(|entry| {
        let file = entry.unwrap().path();
        (file.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&file).unwrap())
    });
    Some(files.collect())
}

/// What a body becomes under `plan`, the same however it is cut.
fn result(plan: &Arc<Plan>, body: &[u8], name: &str) -> Result<Vec<u8>, MaskError> {
    const LONG: usize = 2_000;
    let within = Bounds::default();
    if body.len() <= LONG {
        return run_all(plan, within, body).map(|(out, _)| out.into_bytes());
    }
    // The longest are refused within their first bytes: a cut further behind leaves all that is read
    // of them in one piece.
    let whole = run_pieces(plan, within, [body]).map(|(out, _)| out);
    let read = run_pieces(plan, within, [&body[..LONG]]).map(|(out, _)| out);
    assert_eq!((&read, whole.is_err()), (&whole, true), "{name}");
    for at in 0..=LONG {
        let (front, back) = body.split_at(at);
        assert_eq!(run_pieces(plan, within, [front, back]).map(|(out, _)| out), whole, "{name}, cut at {at}");
    }
    assert_eq!(run_pieces(plan, within, body.chunks(1)).map(|(out, _)| out), whole, "{name}, byte by byte");
    whole
}

#[test]
fn json_test_suite() {
    let Some(files) = files() else { return };
    let plan = Arc::new(Plan::identity());
    let strict = compile(&shape(None, ""), &[], &[]).unwrap();
    let mut seen = [0; 3];
    for (name, body) in files {
        let result = result(&plan, &body, &name);
        // What is JSON does not depend on what leaves of it.
        let verdict = run_pieces(&strict, Bounds::default(), [&*body]).map(|_| ());
        assert_eq!(verdict, result.as_ref().map(|_| ()).map_err(|error| *error), "{name}");
        match name.split_at(2).0 {
            "y_" => {
                assert_eq!(result.unwrap(), body, "{name}");
                seen[0] += 1;
            }
            "n_" => {
                assert!(result.is_err(), "{name}");
                seen[1] += 1;
            }
            "i_" => {
                assert!(result.is_err() || result.as_ref() == Ok(&body), "{name}");
                seen[2] += 1;
            }
            _ => assert!(result.is_err() || result.as_ref() == Ok(&body), "{name}"),
        }
    }
    assert_eq!(seen, [95, 188, 35]);
}

/// What leaves whole as a part of a body is held to the same.
#[test]
fn what_is_json_is_so_inside_a_body() {
    let Some(files) = files() else { return };
    let plan = compile(&shape(Some("rows"), "all"), &[], &catalogue("a:string")).unwrap();
    let strict = Arc::new(Plan::identity());
    for (name, body) in files.into_iter().filter(|(_, body)| body.len() <= 1_000) {
        // A mark at the very beginning is a case of its own, and white space alone is no value.
        let alone = run_pieces(&strict, Bounds::default(), [&*body]).map(|(out, _)| out);
        let wrapped = [&b"{\"all\":"[..], &*body, b" ,\"x\":1}"].concat();
        let inside = run_all(&plan, Bounds::default(), &wrapped).map(|(out, _)| out.into_bytes());
        assert_eq!(inside.is_ok(), alone.is_ok(), "{name}");
        if let Ok(out) = inside {
            assert_eq!(out, [&b"{\"all\":"[..], &*body, b" }"].concat(), "{name}");
        }
    }
}

#[test]
fn where_implementations_differ_the_page_says_what_we_do() {
    let Some(files) = files() else { return };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `i_")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].trim_matches('`').to_owned(), cells[2].to_owned())
    });
    let told: BTreeMap<String, String> = rows.collect();
    let plan = Arc::new(Plan::identity());
    let done = files.iter().filter(|(name, _)| name.starts_with("i_")).map(|(name, body)| {
        let verdict = match run_pieces(&plan, Bounds::default(), [&**body]) {
            Ok((out, _)) if out == *body => "passes it unchanged".to_owned(),
            Ok(_) => "changes it".to_owned(),
            Err(error) => format!("refuses it: `{}`", error.reason()),
        };
        (name.clone(), verdict)
    });
    let done: BTreeMap<String, String> = done.collect();
    assert_eq!(told, done, "left: docs/json.md; right: the engine");
}
