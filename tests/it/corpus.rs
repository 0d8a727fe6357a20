//! Every input of `tests/corpus` through the property of its fuzz target: what was once found, or is
//! worth trying again, is tried by every `cargo test`. `docs/fuzzing.md` says how to look for more.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a property that breaks says so by panicking, after the name of its input"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

#[path = "../../fuzz/properties/announced.rs"]
mod announced;
#[path = "../../fuzz/properties/certificate.rs"]
mod certificate;
#[path = "../../fuzz/properties/charset.rs"]
mod charset;
#[path = "../../fuzz/properties/checkpoint.rs"]
mod checkpoint;
#[path = "../../fuzz/properties/coding.rs"]
mod coding;
#[path = "../../fuzz/properties/documents.rs"]
mod documents;
#[path = "../../fuzz/properties/format.rs"]
mod format;
#[path = "../../fuzz/properties/frames.rs"]
mod frames;
#[path = "../../fuzz/properties/grants.rs"]
mod grants;
#[path = "../../fuzz/properties/jwks.rs"]
mod jwks;
#[path = "../../fuzz/properties/mask.rs"]
mod mask;
#[path = "../../fuzz/properties/mask_csv.rs"]
mod mask_csv;
#[path = "../../fuzz/properties/mask_events.rs"]
mod mask_events;
#[path = "../../fuzz/properties/mask_form.rs"]
mod mask_form;
#[path = "../../fuzz/properties/mask_json.rs"]
mod mask_json;
#[path = "../../fuzz/properties/mask_xml.rs"]
mod mask_xml;
#[path = "../../fuzz/properties/media.rs"]
mod media;
#[path = "../../fuzz/properties/normalize.rs"]
mod normalize;
#[path = "../../fuzz/properties/note.rs"]
mod note;
#[path = "../../fuzz/properties/receipt.rs"]
mod receipt;
#[path = "../../fuzz/properties/record.rs"]
mod record;
#[path = "../../fuzz/properties/siblings.rs"]
mod siblings;
#[path = "../../fuzz/properties/signers.rs"]
mod signers;
#[path = "../../fuzz/properties/token.rs"]
mod token;
#[path = "../../fuzz/properties/trust.rs"]
mod trust;
#[path = "../../fuzz/properties/untyped.rs"]
mod untyped;
#[path = "../../fuzz/properties/websocket.rs"]
mod websocket;
#[path = "../../fuzz/properties/wire.rs"]
mod wire;
#[path = "../../fuzz/properties/witness.rs"]
mod witness;

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

targets! {
    announced certificate charset checkpoint coding documents format frames grants jwks mask_csv mask_events mask_form mask_json mask_xml
    media normalize note receipt record token trust websocket wire witness
}

/// A property of an input.
type Check = fn(&[u8]);

fn replay(target: &str, check: Check) {
    let inputs = inputs(target);
    assert!(inputs.len() >= 3, "`{target}` has no seeds");
    for (name, input) in inputs {
        // Shown only if the property fails, which then says what and where.
        println!("{name}");
        check(&input);
    }
}

/// Bytes that mean something to some format.
const LIKELY: &[u8] = b"^`\"\\{}[]:,.<>/=&;%+!?-#' \t\r\n0e1~ntu\x00\xe5\xed\x80\xff";

/// A seed with some of its bytes changed, and its end perhaps that of another.
fn mutated(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = inputs(target).into_iter().map(|(_, input)| input).collect();
    let seed = proptest::sample::select(seeds);
    let change = (any::<usize>(), any::<u8>(), 0..4_u8);
    let changes = proptest::collection::vec(change, 0..4);
    (seed.clone(), seed, any::<(usize, usize)>(), changes).prop_map(|(seed, other, (cut, from), changes)| {
        let mut input = seed;
        if from % 2 == 0 {
            input.truncate(cut % (input.len() + 1));
            input.extend_from_slice(&other[(from / 2) % (other.len() + 1)..]);
        }
        for (at, byte, how) in changes {
            let at = at % (input.len() + 1);
            let byte = if byte < 224 { LIKELY[usize::from(byte) % LIKELY.len()] } else { byte };
            match how {
                0 => input.insert(at, byte),
                1 if at < input.len() => input[at] = byte,
                2 if at < input.len() => drop(input.remove(at)),
                _ => input.truncate(input.len().max(at + 1) - usize::from(how == 3)),
            }
        }
        input
    })
}

/// Looks for more, a little, on every run; `PROPTEST_CASES` can ask for as much as one likes.
fn explore(target: &'static str, check: Check) {
    let config = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { 400 };
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..config });
    let result = runner.run(&mutated(target), |input| {
        check(&input);
        Ok(())
    });
    if let Err(TestError::Fail(reason, input)) = result {
        panic!("`{target}`: {reason}: {:?}", String::from_utf8_lossy(&input));
    }
}

#[test]
fn what_is_like_a_seed_holds_too() {
    let targets: &[(&str, Check)] = &[
        ("announced", announced::check),
        ("charset", charset::check),
        ("checkpoint", checkpoint::check),
        ("coding", coding::check),
        ("frames", frames::check),
        ("mask_csv", mask_csv::check),
        ("mask_events", mask_events::check),
        ("mask_form", mask_form::check),
        ("mask_json", mask_json::check),
        ("mask_xml", mask_xml::check),
        ("media", media::check),
        ("normalize", normalize::check),
        ("note", note::check),
        ("receipt", receipt::check),
        ("trust", trust::check),
        ("websocket", websocket::check),
        ("wire", wire::check),
        ("witness", witness::check),
    ];
    targets.iter().for_each(|(target, check)| explore(target, *check));
}

#[test]
fn a_window_of_other_days_is_not_the_same() {
    for (before, after, is_same) in [
        ("2026-01-01/2026-12-31", "2026-01-01/2026-12-31", true),
        ("2026-01-01/2026-12-31", "2099-01-01/2099-12-31", false),
        ("2026-01-01/2026-12-31", "2026-01-01/2026-12-30", false),
        ("always", "2026-01-01/..", false),
        ("2026-01-01/..  fri|mon", "2026-01-01/.. mon|fri", true),
        ("2026-01-01/.. mon", "2026-01-01/.. tue", false),
        ("2026/1/1-2026/12/31 workday", "2026-01-01/2026-12-31 workday", true),
        ("2026/1/1-2026/12/31", "2026-01-01/2026-11-30", false),
        ("2026/1/1-2026/12/31", "2026/1/1-2026/12/30", false),
    ] {
        assert_eq!(format::is_window_of(after, before), is_same, "{before:?} became {after:?}");
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
