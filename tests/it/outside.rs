//! A log that a gate wrote, checked by a program of which nothing but the reading of files was written here:
//! `outside/verify.go`, on Go's own packages for transparency logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::city::{Call, City, Plan, program};
use crate::skip::skip;

/// Where Debian puts the sources of Go packages.
const GO_PACKAGES: &str = "/usr/share/gocode";

/// The outside program, built in `directory`; `None` where there is no Go or not that package.
fn verifier(directory: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/verify.go");
    let built = directory.join("verify");
    // Packages as Debian lays them; nothing is fetched.
    let mut go = Command::new("go");
    go.env("GO111MODULE", "off").env("GOPATH", GO_PACKAGES);
    match go.arg("build").arg("-o").arg(&built).arg(source).output() {
        Ok(output) if output.status.success() => Some(built),
        Ok(output) if Path::new(GO_PACKAGES).join("src/golang.org/x/mod/sumdb").is_dir() => {
            panic!("{}", String::from_utf8_lossy(&output.stderr))
        }
        Ok(_) | Err(_) => {
            skip("go", "there is no Go with golang.org/x/mod");
            None
        }
    }
}

/// What the outside program says: whether all is well, and its words.
fn verify(verifier: &Path, key: &str, old: Option<&Path>, tree: &Path) -> (bool, String) {
    let mut command = Command::new(verifier);
    command.args(["-key", key, "-every", "3"]);
    if let Some(old) = old {
        command.arg("-old").arg(old);
    }
    let output = command.arg(tree).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Lets a gate write some records, and ends it.
async fn write(mut city: City) -> City {
    for _ in 0..7 {
        city.call(Call::survey("/_test/1k")).await.assert_data();
    }
    city.gate.signal(Signal::TERM);
    assert_eq!(city.gate.ended().await.code(), Some(0), "{}", city.gate.log_text());
    city
}

/// Runs `check` while a bit in the middle of `file` is another.
fn spoiled(file: &Path, check: impl FnOnce()) {
    let good = fs::read(file).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 4;
    fs::write(file, bad).unwrap();
    check();
    fs::write(file, good).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn software_that_nobody_here_wrote_finds_the_log_in_order() {
    let ground = tempfile::tempdir().unwrap();
    let Some(verifier) = verifier(ground.path()) else { return };
    let plan = Plan::new().more_config("[audit.checkpoint]\nkey = \"checkpoint.key\"\n");
    let key_file = plan.files.at("checkpoint.key");
    let key = program().args(["audit", "key", "--new", "--log", "test"]).arg(key_file).output().unwrap();
    let key = String::from_utf8(key.stdout).unwrap();
    let city = write(plan.start().await).await;
    let audit = city.files().audit();
    let tree = audit.join("test.tlog");
    let old = ground.path().join("older.checkpoint");
    fs::copy(tree.join("checkpoint"), &old).unwrap();
    let (is_good, said) = verify(&verifier, &key, None, &tree);
    assert!(is_good, "{said}");

    // The next process goes on with the same tree.
    let files = city.files().clone();
    write(city.beside(&files).await).await;
    let (is_good, said) = verify(&verifier, &key, Some(&old), &tree);
    assert!(is_good && said.contains("it begins with the"), "{said}");

    // And it finds what is not in order.
    let finds = |old: &Path, expected: &str| {
        let (is_good, said) = verify(&verifier, &key, Some(old), &tree);
        assert!(!is_good && said.contains(expected), "{expected}: {said}");
    };
    let open = audit.join(format!("test.000002/{:020}.jsonl", 0));
    let lines = fs::read_to_string(&open).unwrap();
    // In all of its records, since every third is looked at.
    fs::write(&open, lines.replace("\"planning.survey\"", "\"planning.Survey\"")).unwrap();
    finds(&old, "is not the one that was signed");
    fs::write(&open, lines).unwrap();
    // What the first process wrote has been compressed since.
    spoiled(&audit.join(format!("test.000001/{:020}.jsonl.zst", 0)), || finds(&old, "test.000001"));
    let head = fs::read_to_string(tree.join("checkpoint")).unwrap();
    let size = head.lines().nth(1).unwrap();
    spoiled(&tree.join(format!("tile/0/000.p/{size}")), || finds(&old, "inconsistent tile"));
    spoiled(&tree.join("checkpoint"), || finds(&old, "the checkpoint:"));
    spoiled(&old, || finds(&old, "the older checkpoint:"));
    // The older head in place of the newer: the log went back.
    let newer = ground.path().join("newer.checkpoint");
    fs::rename(tree.join("checkpoint"), &newer).unwrap();
    fs::copy(&old, tree.join("checkpoint")).unwrap();
    finds(&newer, "error:");
    fs::rename(&newer, tree.join("checkpoint")).unwrap();
    let (is_good, said) = verify(&verifier, &key, Some(&old), &tree);
    assert!(is_good, "{said}");
}
