//! Every input of `tests/corpus` through the property of its fuzz target: what was once found, or is
//! worth trying again, is tried by every `cargo test`. `docs/fuzzing.md` says how to look for more.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a property that breaks says so by panicking, after the name of its input"
)]

use std::fs;
use std::path::Path;

#[path = "../../fuzz/properties/certificate.rs"]
mod certificate;
#[path = "../../fuzz/properties/documents.rs"]
mod documents;
#[path = "../../fuzz/properties/format.rs"]
mod format;
#[path = "../../fuzz/properties/grants.rs"]
mod grants;
#[path = "../../fuzz/properties/jwks.rs"]
mod jwks;
#[path = "../../fuzz/properties/mask_json.rs"]
mod mask_json;
#[path = "../../fuzz/properties/record.rs"]
mod record;
#[path = "../../fuzz/properties/token.rs"]
mod token;

/// The most that all inputs may take together, in bytes: they are seeds, not a collection.
const MAX_BYTES: usize = 200 << 10;

/// One test for each target: its name and that of its property's module.
macro_rules! targets {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                replay(stringify!($target), $target::check);
            }
        )*
    };
}

targets! { certificate documents format grants jwks mask_json record token }

fn replay(target: &str, check: fn(&[u8])) {
    let inputs = inputs(target);
    assert!(inputs.len() >= 3, "`{target}` has no seeds");
    for (name, input) in inputs {
        // Shown only if the property fails, which then says what and where.
        println!("{name}");
        check(&input);
    }
}

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The inputs of one target, by file name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(corpus().join(target)).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<(String, Vec<u8>)> =
        files.map(|file| (file.to_str().unwrap().to_owned(), fs::read(&file).unwrap())).collect();
    inputs.sort();
    inputs
}

#[test]
fn every_corpus_has_a_target_and_is_small() {
    let entries = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, TARGETS);
    let bytes: usize = names.iter().flat_map(|name| inputs(name)).map(|(_, input)| input.len()).sum();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
}
