//! The programs of `docs/examples` against a gate, as `docs/calling.md` tells to run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::city::{City, Plan};
use crate::skip::skip;

/// What a program needs, its file, and how it is run.
struct Example {
    need: &'static str,
    file: &'static str,
    run: &'static [&'static str],
}

const EXAMPLES: [Example; 5] = [
    Example { need: "curl", file: "call.sh", run: &["sh"] },
    Example { need: "python3", file: "call.py", run: &["python3"] },
    Example { need: "go", file: "call.go", run: &["go", "run"] },
    Example { need: "node", file: "call.mjs", run: &["node"] },
    Example { need: "java", file: "Call.java", run: &["java"] },
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples")
}

fn is_there(program: &str) -> bool {
    let asks = if program == "go" { "version" } else { "--version" };
    Command::new(program).arg(asks).output().is_ok_and(|output| output.status.success())
}

/// Runs the program once; it asks for residents of `area`.
async fn run(city: &City, example: &Example, area: &str) -> Output {
    let mut command = Command::new(example.run[0]);
    command.args(&example.run[1..]).arg(directory().join(example.file));
    command.env("DIR", city.files().at("")).env("AREA", area);
    command.env("TOKEN", city.files().token("minzheng-aid", "social-aid.eligibility"));
    command.env("GATE", format!("https://localhost:{}", city.gate.address.port()));
    // A proxy of whoever runs the tests would see a name that only this machine has.
    command.env("NO_PROXY", "localhost").env("no_proxy", "localhost");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_programs_get_data_and_tell_a_refusal_from_it() {
    let city = Plan::new().start().await;
    for example in &EXAMPLES {
        if !is_there(example.need) {
            skip(example.need, "there is no such program");
            continue;
        }
        let got = run(&city, example, "341091").await;
        let (said, complained) = (text(&got.stdout), text(&got.stderr));
        assert!(got.status.success(), "{}: {said}{complained}", example.file);
        assert!(said.starts_with("200"), "{}: {said}", example.file);
        assert_eq!(said.matches("\"birth_date\"").count(), 2, "{}: {said}", example.file);

        let refused = run(&city, example, "310100").await;
        let (said, complained) = (text(&refused.stdout), text(&refused.stderr));
        assert!(!refused.status.success(), "{}: {said}", example.file);
        assert!(complained.contains("scope-parameter"), "{}: {complained}", example.file);
        assert!(!said.contains("\"data\""), "{}: {said}", example.file);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_program_is_run_and_told_of() {
    let mut files: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    // That of sessions needs a platform that has them: `sessions` runs it.
    let mut run: Vec<&str> = EXAMPLES.iter().map(|example| example.file).chain(["session.py"]).collect();
    run.sort_unstable();
    assert_eq!(files, run);
    for page in ["docs/calling.md", "docs/zh/calling.md"] {
        let text = super::read(page);
        for file in &run {
            assert!(text.contains(&format!("examples/{file})")), "{page} does not tell of {file}");
        }
    }
}
