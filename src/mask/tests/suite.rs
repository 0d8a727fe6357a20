//! JSONTestSuite (nst/JSONTestSuite): what is JSON, by agreement.

use std::path::PathBuf;

use super::*;

#[test]
fn json_test_suite() {
    let Some(folder) = std::env::var_os("CONFORMANCE_DIR") else {
        println!("skipped: CONFORMANCE_DIR is not set");
        return;
    };
    let plan = Arc::new(Plan::identity());
    let strict = compile(&shape(None, ""), &[], &[]).unwrap();
    let mut seen = [0; 3];
    for entry in std::fs::read_dir(PathBuf::from(folder).join("jsontestsuite")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let body = std::fs::read(&file).unwrap();
        // The largest files are cut in a few sizes only.
        let result = if body.len() > 2_000 {
            for size in [1, 4_096] {
                let pieces = run_pieces(&plan, Bounds::default(), body.chunks(size)).map(|(out, _)| out);
                assert_eq!(pieces, run_pieces(&plan, Bounds::default(), [&*body]).map(|(out, _)| out));
            }
            run_pieces(&plan, Bounds::default(), [&*body]).map(|(out, _)| out)
        } else {
            run_all(&plan, Bounds::default(), &body).map(|(out, _)| out.into_bytes())
        };
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
