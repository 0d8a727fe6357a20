//! What is proved to others: `receipt` and `pack`.

use std::process::Command;
use std::time::Duration;

use super::log::{Asked, day, entry};
use super::*;
use crate::journal::{
    DiskStorage, Fault, Journal, JournalConfig, JournalError, Observer, PublishObserver, PublishSettings,
    Publisher, Refusal, SignedHead,
};
use crate::kernel::id::NodeId;
use crate::kernel::secret::Secret;
use crate::tlog::NoteSigner;
use crate::tlog::cosignature::cosign;
use crate::tlog::note::{Note, SignatureKind};

#[derive(Debug)]
struct Quiet;

impl Observer for Quiet {
    fn committed(&self, _: usize, _: usize, _: Duration) {}
    fn durable(&self, _: Option<&Fault>) {}
    fn queued(&self, _: usize) {}
}

impl PublishObserver for Quiet {
    fn signed(&self, _: &SignedHead) {}
    fn refused(&self, why: &Refusal) {
        panic!("{why}");
    }
    fn failed(&self, error: &JournalError) {
        panic!("{error}");
    }
}

fn signer(name: &str, kind: SignatureKind, seed: u8) -> NoteSigner {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let secret = Secret::new(pair.to_pkcs8().unwrap().as_ref().to_vec());
    NoteSigner::from_pkcs8(name, kind, &secret).unwrap()
}

/// Writes one generation and publishes it.
fn generation(log: &Path, accesses: &[Asked], first: u8) {
    let config = JournalConfig::new(log.to_owned(), NodeId::parse("gate-1").unwrap());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    let storage = Arc::new(DiskStorage);
    let (journal, _) = Journal::open(config, storage, Arc::clone(&clock), Arc::new(Quiet)).unwrap();
    for (number, asked) in (first..).zip(accesses) {
        journal.submit(entry(number, asked)).unwrap();
    }
    let progress = journal.progress();
    journal.close().unwrap();
    let settings = PublishSettings {
        directory: log.to_owned(),
        signer: Arc::new(signer("gate-1", SignatureKind::Ed25519, 1)),
        every: Duration::from_secs(10),
        records: 100,
    };
    Publisher::new(settings, Arc::new(DiskStorage), clock, progress, Arc::new(Quiet)).finish();
}

/// A log of two generations, of which a witness has seen the first.
struct Published {
    directory: tempfile::TempDir,
    log: String,
    key: String,
    /// Believes the log if the witness has cosigned.
    policy: String,
}

impl Published {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit");
        generation(&log, &day(), 0);
        let note = fs::read_to_string(log.join("gate-1.tlog/checkpoint")).unwrap();
        let witness = signer("witness.example/w1", SignatureKind::Cosignature, 2);
        let parsed = Note::parse(note.as_bytes()).unwrap();
        let cosigned = format!("{note}{}", cosign(parsed.text(), &witness, now()).unwrap());
        generation(&log, &day()[..1], 100);
        fs::write(log.join("gate-1.tlog/witnessed"), cosigned).unwrap();
        let key = signer("gate-1", SignatureKind::Ed25519, 1).key().to_string();
        let policy = directory.path().join("policy.txt");
        fs::write(&policy, format!("log {key}\nwitness w {}\nquorum w\n", witness.key())).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        Self { log: text(&log), policy: text(&policy), key, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A text without its digests: a record says which commit it was part of, and how many there are goes by how fast the
/// writer comes to its turn.
fn without_digests(text: &str) -> String {
    let is_digest =
        |word: &str| word.len() == 64 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let shown = parts.map(|part| {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_digest(word) { part.replace(word, "DIGEST") } else { part.to_owned() }
    });
    shown.collect()
}

/// Who reads the log is not who has the gate's secrets.
#[test]
fn the_log_is_read_without_the_secrets_of_the_gate() {
    let published = Published::new();
    let config = published.path("gateway.toml");
    fs::write(
        &config,
        "[audit]\ndirectory = \"audit\"\nnode = \"gate-1\"\npseudonym_key = \"none.key\"\n\
         [audit.checkpoint]\nkey = \"none.key\"\n\
         [[audit.sink]]\nname = \"siem\"\nurl = \"https://siem.example\"\ntoken = { env = \"PINEGATE_TEST_NOT_SET\" }\n",
    )
    .unwrap();
    for line in [&["tail"][..], &["search"], &["stats"], &["export", "--format", "csv"]] {
        let ran = pinegate(&[&["audit"], line, &["--config", &config]].concat());
        // How many were found is said aside.
        let is_quiet = !ran.err.contains("error") && !ran.err.contains("none.key");
        assert_eq!((ran.exit, is_quiet), (0, true), "{line:?}: {ran:?}");
    }
    let ran = pinegate(&["audit", "verify", "--config", &config]);
    assert_eq!(ran.exit, 2, "heads that are signed are not left unchecked: {ran:?}");
    for said in ["`audit.checkpoint.key`", "none.key", "with `--key`"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    let ran = pinegate(&["audit", "verify", "--config", &config, "--key", &published.key]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("signature good"), "{}", ran.out);
    // What needs one says so.
    let ran = pinegate(&["audit", "subject", "--config", &config, "--value", "110101199003071233"]);
    assert_eq!(ran.exit, 64, "{ran:?}");
    assert!(ran.err.contains("none.key"), "{}", ran.err);
    // And whose directory cannot be told, too.
    fs::write(&config, "[audit]\nnode = \"gate-1\"\n").unwrap();
    let ran = pinegate(&["audit", "tail", "--config", &config]);
    assert_eq!(ran.exit, 64, "{ran:?}");
    assert!(ran.err.contains("`audit.directory` is missing"), "{}", ran.err);
}

#[test]
fn a_receipt_proves_its_record_and_no_other() {
    let published = Published::new();
    let file = published.path("access.tlog-proof");
    let ran = pinegate(&["audit", "receipt", &published.log, "--record", "gate-1/1/2", "--output", &file]);
    assert_eq!((ran.exit, ran.out.trim_end()), (0, file.as_str()), "{ran:?}");
    let check = |trust: &[&str]| pinegate(&[&["audit", "receipt", "--check", &file], trust].concat());
    let ran = check(&["--key", &published.key]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    insta::assert_snapshot!("receipt_key", ran.out);
    let ran = check(&["--policy", &published.policy]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("cosigned by witness.example/w1 at 2026-06-01T01:30:00Z"), "{}", ran.out);
    let report = json(&check(&["--policy", &published.policy, "--json"]));
    assert_eq!((&report["proved"], &report["index"], &report["size"]), (&true.into(), &2.into(), &7.into()));
    assert_eq!(report["record"]["reason"], "scope-exceeded");
    assert_eq!(check(&[]).exit, 2, "nobody is believed unasked");
    let other = signer("gate-1", SignatureKind::Ed25519, 9).key().to_string();
    let ran = check(&["--key", &other]);
    assert!(ran.exit == 1 && ran.err.contains("proves nothing"), "{ran:?}");
    let right = fs::read(&file).unwrap();
    for at in (0..right.len()).step_by(7) {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        fs::write(&file, wrong).unwrap();
        assert_ne!(check(&["--policy", &published.policy]).exit, 0, "byte {at}");
    }
}

#[test]
fn a_record_may_stand_beside_its_receipt() {
    let published = Published::new();
    let ran = pinegate(&["audit", "receipt", &published.log, "--record", "gate-1/1/0"]);
    let (file, entry) = (published.path("bare.tlog-proof"), published.path("entry.json"));
    let mut lines = ran.out.lines();
    let (head, extra) = (lines.next().unwrap(), lines.next().unwrap());
    let rest: Vec<_> = lines.collect();
    fs::write(&file, format!("{head}\n{}\n", rest.join("\n"))).unwrap();
    let line = data_encoding::BASE64.decode(extra.strip_prefix("extra ").unwrap().as_bytes()).unwrap();
    let check = ["audit", "receipt", "--check", &file, "--key", &published.key];
    let ran = pinegate(&check);
    assert!(ran.exit == 1 && ran.err.contains("has no record in it"), "{ran:?}");
    for (bytes, exit) in [(line.clone(), 0), ([line.as_slice(), b"\n"].concat(), 0), (line[1..].to_vec(), 1)]
    {
        fs::write(&entry, bytes).unwrap();
        assert_eq!(pinegate(&[&check[..], &["--entry", &entry]].concat()).exit, exit);
    }
}

#[test]
fn what_the_witness_has_not_seen_is_signed_by_the_log_alone() {
    let published = Published::new();
    let file = published.path("new.tlog-proof");
    let find = pinegate(&[
        "audit",
        "search",
        &published.log,
        "--request",
        "01890a5d-ac96-774b-bcce-b302099a8064",
        "--json",
    ]);
    let seq = json(&find)["seq"].to_string();
    let record = format!("gate-1/2/{seq}");
    let ran = pinegate(&["audit", "receipt", &published.log, "--record", &record, "--output", &file]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let check = |trust: [&str; 2]| pinegate(&[&["audit", "receipt", "--check", &file], &trust[..]].concat());
    assert_eq!(check(["--key", &published.key]).exit, 0);
    let ran = check(["--policy", &published.policy]);
    assert!(ran.exit == 1 && ran.err.contains("no quorum"), "{ran:?}");
    let out = published.path("pack");
    let ran = pinegate(&[
        "audit",
        "pack",
        &out,
        &published.log,
        "--policy",
        &published.policy,
        "--decision",
        "permit",
    ]);
    assert!(ran.exit == 1 && ran.err.contains("to be believed has record"), "{ran:?}");
    assert!(!Path::new(&out).exists());
    // A record that nobody has signed for.
    fs::remove_dir_all(published.path("audit/gate-1.tlog")).unwrap();
    let ran = pinegate(&["audit", "receipt", &published.log, "--record", &record]);
    assert!(ran.exit == 1 && ran.err.contains("in no signed head"), "{ran:?}");
}

#[test]
fn a_request_of_several_records_has_several_receipts() {
    let published = Published::new();
    let again = [
        Asked { kind: crate::audit::Kind::Intent, ..day().remove(0) },
        Asked { kind: crate::audit::Kind::Outcome, ..day().remove(0) },
    ];
    let log = published.path("audit");
    for (number, one) in again.iter().enumerate() {
        // The same request, in generations 3 and 4.
        generation(Path::new(&log), std::slice::from_ref(one), 200);
        assert!(Path::new(&log).join(format!("gate-1.{:06}", number + 3)).is_dir());
    }
    let id = "01890a5d-ac96-774b-bcce-b302099a80c8";
    let ran = pinegate(&["audit", "receipt", &log, "--request", id]);
    assert!(ran.exit == 2 && ran.err.contains("is not a request of one record"), "{ran:?}");
    let directory = published.path("receipts");
    fs::create_dir(&directory).unwrap();
    let ran = pinegate(&["audit", "receipt", &log, "--request", id, "--output", &directory]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.lines().count() >= 2, "{}", ran.out);
    for file in ran.out.lines() {
        assert_eq!(
            pinegate(&["audit", "receipt", "--check", file, "--key", &published.key]).exit,
            0,
            "{file}"
        );
    }
    for missing in [
        ["--request", "01890a5d-ac96-774b-bcce-b302099a80ff"],
        ["--record", "gate-1/1/77"],
        ["--record", "gate-9/1/0"],
    ] {
        assert_eq!(pinegate(&[&["audit", "receipt", &log], &missing[..]].concat()).exit, 2, "{missing:?}");
    }
}

/// What the program of a release says to a pack.
fn python(pack: &str, policy: Option<&str>) -> Option<(bool, String)> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/audit/pack/check.py");
    let mut command = Command::new("python3");
    command.args(["-B", program, pack]).args(policy);
    let Ok(output) = command.output() else {
        crate::kernel::skip::skip("python3", "there is no such program");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Some((output.status.success(), text))
}

#[test]
fn a_pack_is_checked_with_pinegate_and_without() {
    let published = Published::new();
    let out = published.path("case-17");
    let make = [
        "audit",
        "pack",
        &out,
        &published.log,
        "--policy",
        &published.policy,
        "--until",
        "2026-06-01T01:33:00Z",
        "--node",
        "gate-1",
        "--kind",
        "access",
        "--decision",
        "deny",
    ];
    let ran = pinegate(&make);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let seal = ran.out.split_whitespace().last().unwrap();
    assert!(ran.out.contains("1 records, sealed "), "{}", ran.out);
    assert_eq!(pinegate(&make).exit, 2, "it is there already");
    let ran = pinegate(&["audit", "pack", "--check", &out, "--policy", &published.policy]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("pack_checked", ran.out.replace(seal, "SEAL"));
    assert!(ran.out.contains(seal));
    let ran = pinegate(&["audit", "pack", "--check", &out]);
    assert!(ran.exit == 0 && ran.err.contains("these keys are the pack's own"), "{ran:?}");
    let report = json(&pinegate(&["audit", "pack", "--check", &out, "--json", "--key", &published.key]));
    assert_eq!(
        (&report["proved"], &report["records"], &report["own_keys"]),
        (&true.into(), &1.into(), &false.into())
    );
    let readme = fs::read_to_string(format!("{out}/README.md")).unwrap();
    assert!(readme.contains("| gate-1 | 1 | `gate-1` | 7 |\n"), "{readme}");
    if let Some((proved, text)) = python(&out, Some(&published.policy)) {
        assert!(proved && text.contains("PROVED: all 1 records are in the log"), "{text}");
        assert!(text.contains("7 records, cosigned by witness.example/w1"), "{text}");
    }
}

#[test]
fn no_byte_of_a_pack_can_be_changed() {
    let published = Published::new();
    let out = published.path("case-17");
    let ran = pinegate(&["audit", "pack", &out, &published.log, "--key", &published.key]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let files: Vec<String> = fs::read_to_string(format!("{out}/SHA256SUMS"))
        .unwrap()
        .lines()
        .map(|line| line.split_once("  ").unwrap().1.to_owned())
        .collect();
    assert!(files.iter().filter(|name| name.starts_with("proofs/")).count() >= 8, "{files:?}");
    let checks = |what: &str, is_right: bool| {
        let ran = pinegate(&["audit", "pack", "--check", &out, "--key", &published.key]);
        assert_eq!(ran.exit, u8::from(!is_right), "{what}: {ran:?}");
        if let Some((proved, text)) = python(&out, None) {
            assert_eq!(proved, is_right, "{what}: {text}");
        }
    };
    checks("as it was made", true);
    for name in files.iter().chain([&"SHA256SUMS".to_owned()]) {
        let path = format!("{out}/{name}");
        let right = fs::read(&path).unwrap();
        let mut wrong = right.clone();
        let at = wrong.len() / 2;
        wrong[at] ^= 1;
        fs::write(&path, wrong).unwrap();
        checks(name, false);
        fs::write(&path, right).unwrap();
    }
    fs::write(format!("{out}/more"), "x").unwrap();
    checks("a file more", false);
    fs::remove_file(format!("{out}/more")).unwrap();
    let proof = format!("{out}/{}", files.iter().find(|name| name.starts_with("proofs/")).unwrap());
    fs::rename(&proof, published.path("aside")).unwrap();
    checks("a file less", false);
}

#[test]
fn new_digests_do_not_make_a_changed_record_true() {
    let published = Published::new();
    let out = published.path("case-17");
    assert_eq!(
        pinegate(&["audit", "pack", &out, &published.log, "--key", &published.key, "--kind", "access"]).exit,
        0
    );
    // As somebody would who knows how the pack is made, but has not the gate's key.
    let path = format!("{out}/records.jsonl");
    let records = fs::read_to_string(&path).unwrap();
    let first = records.lines().next().unwrap();
    let forged = first.replace("\"system\":\"sys:minzheng-aid\"", "\"system\":\"sys:minzheng-map\"");
    assert_ne!(first, forged);
    fs::write(&path, records.replacen(first, &forged, 1)).unwrap();
    let name = fs::read_dir(format!("{out}/proofs")).unwrap().map(|file| file.unwrap().path()).min().unwrap();
    let encode = |line: &str| data_encoding::BASE64.encode(line.as_bytes());
    let proof = fs::read_to_string(&name).unwrap();
    assert!(proof.contains(&encode(first)));
    fs::write(&name, proof.replace(&encode(first), &encode(&forged))).unwrap();
    let sums: String = fs::read_to_string(format!("{out}/SHA256SUMS"))
        .unwrap()
        .lines()
        .map(|line| {
            let file = line.split_once("  ").unwrap().1;
            let digest = crate::kernel::id::Digest::of(&fs::read(format!("{out}/{file}")).unwrap());
            format!("{digest}  {file}\n")
        })
        .collect();
    fs::write(format!("{out}/SHA256SUMS"), sums).unwrap();
    let ran = pinegate(&["audit", "pack", "--check", &out, "--key", &published.key]);
    assert!(ran.exit == 1 && ran.err.contains("proves nothing"), "{ran:?}");
    if let Some((proved, text)) = python(&out, None) {
        assert!(!proved && text.contains("leads to another root"), "{text}");
    }
}

#[test]
fn what_names_nothing_that_can_be_used_is_a_wrong_command_line() {
    let published = Published::new();
    let (out, there, bad) = (published.path("out"), published.path("there"), published.path("bad"));
    fs::create_dir(&there).unwrap();
    fs::write(&bad, "quorum of none\n").unwrap();
    let (log, out, there, bad) = (&*published.log, &*out, &*there, &*bad);
    let (trusting, unknown) = (["--key", &*published.key], "019a2b3c-0000-7000-8000-000000000000");
    for line in [
        ["receipt", log, "--record", "gate-1/9/9"].as_slice(),
        &["receipt", log, "--request", unknown],
        &["receipt", "--check", bad],
        &["receipt", "--check", bad, "--key", "gate-1"],
        &["receipt", "--check", bad, "--policy", bad],
        &["pack", out, log],
        &["pack", out, log, "--key", "gate-1"],
        &["pack", out, log, "--policy", bad],
        &["pack", out, log, "--request", unknown, trusting[0], trusting[1]],
        &["pack", there, log, trusting[0], trusting[1]],
    ] {
        let ran = pinegate(&[&["audit"], line].concat());
        assert_eq!(ran.exit, 2, "{line:?}: {}", ran.err);
        assert!(!ran.err.contains("--overwrite"), "{}", ran.err);
    }
}

#[test]
fn a_pack_that_cannot_be_made_leaves_nothing() {
    let published = Published::new();
    let out = published.path("case-17");
    for (more, exit, why) in [
        (vec!["--key", &published.key, "--limit", "3"], 2, "narrow it down"),
        (vec!["--key", &published.key, "--system", "sys:nobody"], 2, "not a record to pack"),
        (vec![], 2, "nothing says whose signatures to believe"),
        (vec!["--key", "gate-1+00000000+AQ"], 2, "is no key of a log"),
    ] {
        let ran = pinegate(&[&["audit", "pack", &out, &published.log], more.as_slice()].concat());
        assert!(ran.exit == exit && ran.err.contains(why), "{more:?}: {ran:?}");
        let left: Vec<_> =
            fs::read_dir(published.directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[test]
fn a_published_log_is_verified_with_keys_and_from_where_it_was() {
    let published = Published::new();
    let verify = |more: &[&str]| pinegate(&[&["audit", "verify", published.log.as_str()], more].concat());
    let ran = verify(&[]);
    assert!(ran.exit == 0 && ran.err.contains("no signature was checked"), "{ran:?}");
    let ran = verify(&["--policy", &published.policy]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""), "{ran:?}");
    insta::assert_snapshot!("verify_policy", without_digests(&ran.out.replace(&published.log, "LOG")));
    let other = signer("gate-1", SignatureKind::Ed25519, 9).key().to_string();
    let ran = verify(&["--key", &other]);
    assert!(ran.exit == 1 && ran.out.contains("foreign-head"), "{ran:?}");

    // What was verified is not read again, and a state is kept of what is good alone.
    let state = published.path("verified.json");
    assert_eq!(verify(&["--key", &published.key, "--state", &state]).exit, 0);
    let kept = fs::read(&state).unwrap();
    let report = json(&verify(&["--key", &published.key, "--state", &state, "--json"]));
    let log = &report["logs"][0];
    assert_eq!((&report["intact"], &log["generations"][0]["read"]), (&true.into(), &false.into()));
    assert_eq!(log["trees"][0]["signature_checked"], true);
    let head = Path::new(&published.log).join("gate-1.tlog/checkpoint");
    let newest = fs::read(&head).unwrap();
    fs::copy(Path::new(&published.log).join("gate-1.tlog/witnessed"), &head).unwrap();
    let report = json(&verify(&["--key", &published.key, "--state", &state, "--json"]));
    assert_eq!(report["logs"][0]["damage"][0]["act"], "old-head");
    assert_eq!(fs::read(&state).unwrap(), kept, "a damaged log moves nothing");
    fs::write(&head, newest).unwrap();

    let ran = pinegate(&["audit", "verify", &published.log, &published.log, "--state", &state]);
    assert!(ran.exit == 2 && ran.err.contains("one by one"), "{ran:?}");
    fs::write(&state, "{}").unwrap();
    let ran = verify(&["--state", &state]);
    assert!(ran.exit == 2 && ran.err.contains("no state of a verification"), "{ran:?}");
    let ran = verify(&["--state", &published.log]);
    assert_eq!(ran.exit, 2, "a directory is no state: {ran:?}");
}
