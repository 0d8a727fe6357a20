mod enforce;
mod evidence;
mod example;
mod formatting;
mod history;
mod log;
mod masking;
mod policy_tests;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::*;
use crate::kernel::time::{ManualClock, Timestamp};

/// What a command did.
#[derive(Debug)]
struct Ran {
    exit: u8,
    out: String,
    err: String,
}

/// A Monday and a workday, in the morning at Huangshan.
fn now() -> Timestamp {
    "2026-06-01T01:30:00Z".parse().unwrap()
}

/// Runs a command line as `main` does, but for the streams.
fn pinegate(line: &[&str]) -> Ran {
    pinegate_os(&line.iter().map(OsStr::new).collect::<Vec<_>>())
}

/// The same, where an argument need not be Unicode.
fn pinegate_os(line: &[&OsStr]) -> Ran {
    let arguments = Arguments::try_parse_from(std::iter::once(&OsStr::new("pinegate")).chain(line)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::plain(&mut out, &mut err);
    let exit = dispatch(&arguments.command, &clock, &mut screen).unwrap_or_else(|error| screen.fail(&error));
    let exit = screen.finish(exit).code();
    drop(screen);
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.out).unwrap()
}

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");

/// A copy of the example policies, to break.
fn policies(directory: &Path) -> PathBuf {
    let to = directory.join("policies");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(POLICIES).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    to
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} in {}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// A whole configuration: certificates, keys, policies, `config/gateway.toml`.
fn city(directory: &Path) -> String {
    policies(directory);
    let certs = directory.join("certs");
    let certs = certs.to_str().unwrap();
    for line in [
        vec!["pki", "init", "--dir", certs],
        vec!["pki", "server", "--dir", certs, "--name", "localhost"],
        vec![
            "pki",
            "client",
            "--dir",
            certs,
            "--system",
            "sys:minzheng-aid",
            "--department",
            "dept:minzheng",
        ],
        vec!["pki", "token-key", "--dir", certs, "--kid", "dev-1"],
    ] {
        let ran = pinegate(&line);
        assert_eq!(ran.exit, 0, "{ran:?}");
    }
    fs::write(directory.join("certs/audit.key"), [7; 32]).unwrap();
    fs::create_dir(directory.join("config")).unwrap();
    let config = directory.join("config/gateway.toml");
    fs::write(&config, GATEWAY).unwrap();
    config.to_str().unwrap().to_owned()
}

const GATEWAY: &str = r#"
[listen]
addresses = ["127.0.0.1:0"]
[tls]
certificate = "../certs/server.pem"
key = "../certs/server.key"
client_ca = "../certs/ca.pem"
crls = ["../certs/crl.pem"]
[identity]
trust_domain = "city.example"
[purpose]
issuer = "https://platform.city.example"
audience = "pinegate"
jwks = "../certs/tokens/jwks.json"
algorithms = ["ES256"]
[policy]
directory = "../policies"
zone = "Asia/Shanghai"
[audit]
directory = "../audit"
node = "gate-1"
pseudonym_key = "../certs/audit.key"
[metrics]
address = "127.0.0.1:0"
[admin]
socket = "../admin.sock"
[[upstream]]
id = "platform"
url = "http://127.0.0.1:1"
[[route]]
method = "GET"
path = "/population/residents"
resource = "population.resident"
action = "query"
upstream = "platform"
parameters = { area = "query:area" }
"#;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_teaches() {
    fn visit(command: &clap::Command, path: &mut Vec<String>) {
        path.push(command.get_name().to_owned());
        assert!(command.get_about().is_some(), "{path:?} says what it does");
        if !command.has_subcommands() || path.len() == 1 {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Examples"), "{path:?} has examples");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{path:?} {} says what it is", argument.get_id());
            }
        }
        for flag in ["-h", "--help"] {
            let line = path.iter().map(String::as_str).chain([flag]);
            let help = Arguments::command().term_width(100).try_get_matches_from(line).unwrap_err();
            assert_eq!(help.exit_code(), 0);
            let name = format!("help {} {flag}", path.join(" ")).replace([' ', '-'], "_");
            insta::assert_snapshot!(name, help.render().to_string());
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            visit(inner, path);
        }
        path.pop();
    }
    visit(&Arguments::command(), &mut Vec::new());
}

#[test]
fn wrong_command_lines_exit_2() {
    for line in [
        "chekc",
        "check --polices x",
        "check --policies a --config b",
        "check --zone Asia/Shanghai",
        "check --deny wide-grants",
        "check --why warnings",
        "check --json --sarif",
        "check --lints --policies x",
        "check --at soon",
        "explain --system minzheng --resource a.b --purpose c.d",
        "explain --system sys:a --resource a.b --purpose c.d --at tomorrow",
        "explain --system sys:a --resource a.b --purpose c.d --param area",
        "explain --system sys:a --resource a.b",
        "explain --request a --system sys:a",
        "explain --request a --record 01890a5d-ac96-774b-bcce-b302099a8057",
        "explain --record 01890a5d-ac96-774b-bcce-b302099a8057 --action query",
        "explain --record no-id",
        "explain --audit a --request b",
        "replay",
        "replay --policies a --fail-on nothing",
        "replay --policies a --limit 100001",
        "replay --policies a --zone UTC",
        "mask --resource a.b",
        "mask --resource a.b --scope name --grant A-1",
        "mask --resource a.b --scope name --pieces 0",
        "mask --resource a.b --scope name --fields a,,b",
        "pki client --system sys:a",
        "pki client --system sys:a --department dept:b --san-dns c.example",
        "audit",
        "audit tail -n many",
        "token mint --key a --kid b --certificate c --system sys:d --purpose e.f --lifetime 25h",
    ] {
        let error =
            Arguments::try_parse_from(std::iter::once("pinegate").chain(line.split(' '))).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

/// A policy directory with mistakes in its grants alone, where words can be resolved.
fn broken_grants(directory: &Path) -> PathBuf {
    let policies = policies(directory);
    let grants = policies.join("grants.csv");
    edit(&grants, "sys:minzheng-aid, population", "sys:minzheng-aidd, population");
    edit(
        &grants,
        "query, utility.account, @basic|address;rows<=100",
        "query, 用途, @basic|地址:clear;rows<=x",
    );
    edit(&grants, "g, dept:minzheng, group:livelihood", "g, dept:minzheng，group:livelihood");
    edit(&grants, "2020-01-01/2020-12-31", "2020-12-31/2020-01-01");
    policies
}

fn without(directory: &Path, text: &str) -> String {
    text.replace(directory.to_str().unwrap(), "DIR")
}

#[test]
fn a_broken_directory_shows_everything_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let policies = broken_grants(directory.path());
    let ran = pinegate(&["check", "--policies", policies.to_str().unwrap()]);
    assert_eq!((ran.exit, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!(without(directory.path(), &ran.out));
}

#[test]
fn errors_in_several_files_come_together() {
    let directory = tempfile::tempdir().unwrap();
    let policies = broken_grants(directory.path());
    edit(&policies.join("catalog.toml"), r#"label = "姓名", level = 2"#, r#"label = "姓名", level = 7"#);
    fs::remove_file(policies.join("model.conf")).unwrap();
    let ran = pinegate(&["check", "--policies", policies.to_str().unwrap()]);
    assert!(ran.out.contains("model.conf"), "{}", ran.out);
    fs::copy(format!("{POLICIES}/model.conf"), policies.join("model.conf")).unwrap();
    edit(&policies.join("model.conf"), "[matchers]", "[matcher]");
    let ran = pinegate(&["check", "--policies", policies.to_str().unwrap()]);
    assert_eq!(ran.exit, 1);
    insta::assert_snapshot!(without(directory.path(), &ran.out));
}

#[test]
fn what_is_wrong_with_certificates_is_shown_at_its_key() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = city(directory.path());
    city(other.path());
    let file = |root: &tempfile::TempDir, name: &str| root.path().join("certs").join(name);
    let line_of = |key: &str| {
        let place = GATEWAY.lines().position(|line| line.starts_with(key)).unwrap();
        u64::try_from(place).unwrap() + 1
    };
    for (name, key) in [("server.key", "key ="), ("crl.pem", "crls ="), ("server.pem", "key =")] {
        let kept = fs::read(file(&directory, name)).unwrap();
        fs::copy(file(&other, name), file(&directory, name)).unwrap();
        let ran = json(&pinegate(&["check", "--config", &config, "--json"]));
        let found = ran["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "bad-tls");
        let found = found.unwrap_or_else(|| panic!("{name}: {ran:#}"));
        assert_eq!(found["line"], line_of(key), "{name}: {found:#}");
        fs::write(file(&directory, name), kept).unwrap();
    }
}

#[test]
fn what_is_wrong_with_the_certificates_of_an_upstream_is_shown_at_its_key() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = city(directory.path());
    city(other.path());
    let certs = directory.path().join("certs");
    for (from, to) in [("ca.pem", "platform-ca.pem"), ("server.pem", "own.pem"), ("server.key", "own.key")] {
        fs::copy(certs.join(from), certs.join(to)).unwrap();
    }
    // The second of two: a finding is not about the first.
    let second = "# as in [[upstream]]\n[[upstream]]\nid = \"other\"\nurl = \"https://127.0.0.1:1\"\n\
                  ca = \"../certs/platform-ca.pem\"\ncertificate = \"../certs/own.pem\"\nkey = \"../certs/own.key\"\n[[route]]";
    edit(Path::new(&config), "[[route]]", second);
    let text = fs::read_to_string(&config).unwrap();
    let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let foreign = fs::read(other.path().join("certs/server.key")).unwrap();
    for (name, content, key) in [
        ("platform-ca.pem", nonsense.clone(), "ca = \"../certs/platform-ca.pem\""),
        ("own.pem", nonsense, "certificate = \"../certs/own.pem\""),
        ("own.key", foreign, "key = \"../certs/own.key\""),
        ("own.key", b"no key".to_vec(), "key = \"../certs/own.key\""),
    ] {
        let kept = fs::read(certs.join(name)).unwrap();
        fs::write(certs.join(name), content).unwrap();
        let ran = json(&pinegate(&["check", "--config", &config, "--json"]));
        let found = ran["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "bad-tls");
        let found = found.unwrap_or_else(|| panic!("{name}: {ran:#}"));
        let line = text.lines().position(|line| line == key).unwrap() + 1;
        assert_eq!(found["line"], line, "{name}: {found:#}");
        fs::write(certs.join(name), kept).unwrap();
    }
}

#[test]
fn findings_for_machines() {
    let directory = tempfile::tempdir().unwrap();
    let policies = broken_grants(directory.path());
    let ran = pinegate(&["check", "--json", "--policies", policies.to_str().unwrap()]);
    assert_eq!(ran.exit, 1);
    let report = json(&ran);
    assert_eq!(report["ok"], false);
    assert!(report.get("policy").is_none(), "a policy that does not load has no digest");
    let findings = report["findings"].as_array().unwrap();
    let counted: u64 = ["errors", "warnings", "notes"].iter().map(|it| report[*it].as_u64().unwrap()).sum();
    assert_eq!(u64::try_from(findings.len()), Ok(counted));
    let first = findings.iter().find(|finding| finding["code"] == "unknown-system").unwrap();
    assert_eq!((&first["line"], &first["column"], &first["end_column"]), (&8.into(), &18.into(), &35.into()));
    assert_eq!(first["help"], "did you mean `sys:minzheng-aid`?");
}

#[test]
fn a_whole_configuration_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let ran = pinegate(&["check", "--config", &config]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let digest = without_digests(&without(directory.path(), &ran.out));
    insta::assert_snapshot!(digest);
}

#[test]
fn a_candidate_is_checked_and_keeps_nothing_from_loading() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    edit(Path::new(&config), "zone =", "shadow = \"../next\"\nzone =");
    let next = directory.path().join("next");
    fs::create_dir(&next).unwrap();
    for file in fs::read_dir(directory.path().join("policies")).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), next.join(file.file_name())).unwrap();
        }
    }
    let report = json(&pinegate(&["check", "--config", &config, "--json"]));
    assert_eq!(report["shadow"], report["policy"]);
    let ran = pinegate(&["check", "--config", &config]);
    assert!(ran.out.contains("decides beside the policy, and enforces nothing"), "{}", ran.out);
    edit(&next.join("grants.csv"), "sys:minzheng-aid,", "sys:minzheng-aidd,");
    let ran = pinegate(&["check", "--config", &config, "--json"]);
    let report = json(&ran);
    assert_eq!((ran.exit, &report["ok"], &report["errors"]), (0, &true.into(), &0.into()), "{report}");
    assert!(report.get("shadow").is_none() && report["policy"].is_object(), "{report}");
    let found = |code: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|it| it["code"] == code).unwrap_or_else(|| panic!("no {code}: {report}")).clone()
    };
    let (why, what) = (found("shadow-does-not-load"), found("unknown-system"));
    assert!(why["file"].as_str().unwrap().ends_with("gateway.toml"));
    assert_eq!((&why["severity"], &what["severity"]), (&"warning".into(), &"warning".into()));
    assert!(what["file"].as_str().unwrap().ends_with("next/grants.csv"), "{what}");
}

#[test]
fn a_pseudonym_without_a_key_is_found_before_the_first_request() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    edit(&directory.path().join("policies/grants.csv"), "|phone|birth_date", "|phone:pseudonym|birth_date");
    let ran = pinegate(&["check", "--config", &config, "--json"]);
    let report = json(&ran);
    let found =
        report["findings"].as_array().unwrap().iter().find(|it| it["code"] == "pseudonym-key-missing");
    assert_eq!((ran.exit, &found.unwrap()["line"]), (1, &8.into()));
    fs::write(directory.path().join("config/pseudonym.key"), [7; 32]).unwrap();
    edit(Path::new(&config), "zone =", "pseudonym_key = \"pseudonym.key\"\nzone =");
    assert_eq!(pinegate(&["check", "--config", &config]).exit, 0);
    // A key whose time has not begun is none yet.
    let late = "pseudonym_key = [{ label = \"h1\", secret = \"pseudonym.key\", from = \"2099-01-01\" }]";
    edit(Path::new(&config), "pseudonym_key = \"pseudonym.key\"", late);
    let ran = pinegate(&["check", "--config", &config]);
    assert_eq!(ran.exit, 1);
    assert!(ran.out.contains("the time of the first key has not begun"), "{}", ran.out);
    let then = pinegate(&["check", "--config", &config, "--at", "2099-01-01"]);
    assert!(!then.out.contains("has not begun"), "{}", then.out);
}

#[test]
fn people_who_cannot_be_digested_are_found_before_the_first_request() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    edit(Path::new(&config), "pseudonym_key = \"../certs/audit.key\"\n", "");
    let ran = pinegate(&["check", "--config", &config, "--json"]);
    let report = json(&ran);
    let found = report["findings"].as_array().unwrap().iter().find(|it| it["code"] == "audit-key-missing");
    let found = found.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(ran.exit, 1);
    assert!(found["file"].as_str().unwrap().ends_with("catalog.toml"), "{found}");
    assert!(found["help"].as_str().unwrap().contains("openssl rand -out audit.key 32"), "{found}");
    // Whoever names nobody needs no key.
    let catalog = directory.path().join("policies/catalog.toml");
    let text = fs::read_to_string(&catalog).unwrap();
    let nobody = text.replace(", subject = \"resident-id\"", "").replace(", subject = \"credit-code\"", "");
    fs::write(&catalog, nobody).unwrap();
    assert_eq!(pinegate(&["check", "--config", &config]).exit, 0);
}

#[test]
fn an_encrypted_field_without_a_key_is_found_before_the_first_request() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let masks = directory.path().join("policies/masks.toml");
    let text = fs::read_to_string(&masks).unwrap();
    let fpe = "[[masker]]\nname = \"other-phone\"\nmethod = \"fpe\"\nof = \"mobile\"\n";
    fs::write(&masks, format!("{text}\n{fpe}")).unwrap();
    edit(&directory.path().join("policies/grants.csv"), "|phone|birth_date", "|phone:other-phone|birth_date");
    let ran = pinegate(&["check", "--config", &config]);
    assert_eq!(ran.exit, 1);
    assert!(ran.out.contains("leave as a pseudonym or encrypted, but there is no key"), "{}", ran.out);
    edit(&directory.path().join("policies/catalog.toml"), "mask = \"mobile\"", "mask = \"other-phone\"");
    let ran = pinegate(&["check", "--config", &config]);
    let found = ran.out.find("which needs a key").map(|at| ran.out.split_at(at).1);
    assert!(found.is_some_and(|found| found.contains("set `pseudonym_key` in `[policy]`")), "{}", ran.out);
}

/// A copy of the example policies with a grant that has ended, and one that ends with 2026.
fn ending_policies(directory: &Path) -> PathBuf {
    let policies = policies(directory);
    let grants = policies.join("grants.csv");
    let mut text = fs::read_to_string(&grants).unwrap();
    for (id, window) in [("END-1", "../2020-12-31"), ("END-2", "../2026-12-31")] {
        let line = format!(
            "p, {id}, sys:minzheng-aid, population.resident, query, social-aid.*, email, {window}, allow\n"
        );
        text.push_str(&line);
    }
    fs::write(grants, text).unwrap();
    policies
}

#[test]
fn lints_are_denied_and_allowed_in_the_order_of_the_flags() {
    let directory = tempfile::tempdir().unwrap();
    let policies = ending_policies(directory.path());
    for (flags, exit, expired) in [
        (&["-D", "warnings"][..], 1, Some("error")),
        (&["-A", "all", "-W", "grant-expired"], 0, Some("warning")),
        (&["-A", "all", "--deny=grant-expired"], 1, Some("error")),
        (&["-D", "warnings", "-A", "all"], 0, None),
        (&["-D", "all", "-A", "grant-expired"], 1, None),
        (&["-A", "all", "-W", "grant-expired", "-D", "warnings"], 1, Some("error")),
        (&["--deny", "warnings", "--warn", "all"], 0, Some("warning")),
    ] {
        let ran = pinegate(&[&["check", "--policies", policies.to_str().unwrap(), "--json"], flags].concat());
        let report = json(&ran);
        let mut findings = report["findings"].as_array().unwrap().iter();
        let found = findings.find(|it| it["code"] == "grant-expired");
        assert_eq!(
            (ran.exit, found.map(|it| it["severity"].as_str().unwrap())),
            (exit, expired),
            "{flags:?}"
        );
        assert!(found.is_none_or(|it| it["default_level"] == "warn"));
    }
}

#[test]
fn the_policy_is_checked_as_of_another_time() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let policies = tempfile::tempdir().unwrap();
    let policies = ending_policies(policies.path());
    let line = ["check", "--policies", policies.to_str().unwrap(), "--json", "--at"];
    let ends_soon = |at: &str| {
        let report = json(&pinegate(&[line.as_slice(), &[at]].concat()));
        let mut findings = report["findings"].as_array().unwrap().iter();
        findings
            .any(|it| it["code"] == "grant-expires-soon" && it["message"].as_str().unwrap().contains("END-2"))
    };
    for (at, soon) in [
        ("2026-12-01T23:59:59.999", false),
        ("2026-12-02", true),
        ("2026-12-31T23:59:59.999+08:00", true),
        ("2027-01-01T00:00:00+08:00", false),
    ] {
        assert_eq!(ends_soon(at), soon, "{at}");
    }
    let ran = pinegate(&["check", "--config", &config, "--at", "2100-01-01", "--json"]);
    let report = json(&ran);
    let expired = report["findings"].as_array().unwrap().iter().any(|it| it["severity"] == "error");
    assert_eq!((ran.exit, expired), (1, true), "the certificate of the gate has ended");
}

#[test]
fn lints_are_listed_and_taught() {
    let ran = pinegate(&["check", "--lints", "-D", "never-matches"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out);
    let ran = pinegate(&["check", "--why", "shadowed-grant"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out);
    let lint = json(&pinegate(&["check", "--why", "wide-grant", "--json", "-A", "all"]));
    assert_eq!((&lint["level"], &lint["default_level"]), (&"allow".into(), &"warn".into()));
    let lints = json(&pinegate(&["check", "--lints", "--json"]));
    assert_eq!(lints["lints"].as_array().unwrap().len(), crate::review::lint::known::ALL.len());
}

#[test]
fn findings_as_sarif() {
    let directory = tempfile::tempdir().unwrap();
    let policies = broken_grants(directory.path());
    for (line, exit) in [
        (vec!["check", "--policies", POLICIES, "--sarif", "-W", "all"], 0),
        (vec!["check", "--policies", policies.to_str().unwrap(), "--sarif"], 1),
    ] {
        let ran = pinegate(&line);
        assert_eq!((ran.exit, &ran.out), (exit, &pinegate(&line).out));
        let log = json(&ran);
        assert_eq!((&log["version"], log["runs"].as_array().unwrap().len()), (&"2.1.0".into(), 1));
        let run = &log["runs"][0];
        let driver = &run["tool"]["driver"];
        assert_eq!(
            (&driver["name"], &driver["version"]),
            (&"pinegate".into(), &env!("CARGO_PKG_VERSION").into())
        );
        let rules = driver["rules"].as_array().unwrap();
        for lint in crate::review::lint::known::ALL {
            let rule = rules.iter().find(|rule| rule["id"] == lint.name).unwrap();
            assert_eq!(rule["shortDescription"]["text"], lint.meaning);
            assert_eq!(rule["helpUri"], format!("urn:pinegate:lint:{}", lint.name));
            assert!(
                ["none", "note", "warning"]
                    .contains(&rule["defaultConfiguration"]["level"].as_str().unwrap())
            );
        }
        let results = run["results"].as_array().unwrap();
        assert!(!results.is_empty());
        for result in results {
            let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[rule]["id"], result["ruleId"]);
            assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            let place = &result["locations"][0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            assert!(
                uri.starts_with("file:///") && (uri.ends_with(".csv") || uri.ends_with(".toml")),
                "{uri}"
            );
            let region = &place["region"];
            let number = |name: &str| region[name].as_u64().unwrap();
            assert!(number("startLine") >= 1 && number("startColumn") >= 1);
            assert!((number("startLine"), number("startColumn")) <= (number("endLine"), number("endColumn")));
        }
        let errors = results.iter().filter(|result| result["level"] == "error").count();
        assert_eq!(errors > 0, exit == 1);
    }
}

/// Digests as `…`, so that they may change with the examples.
fn without_digests(text: &str) -> String {
    let word = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line =
        |line: &str| line.split(' ').map(|it| if word(it) { "…" } else { it }).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn configuration_and_policy_errors_come_together() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    edit(Path::new(&config), "node = \"gate-1\"", "node = \"Gate 1\"\nnodes = 3");
    edit(&directory.path().join("policies/grants.csv"), "sys:minzheng-aid, pop", "sys:minzheng-aidd, pop");
    let ran = pinegate(&["check", "--config", &config, "--json"]);
    assert_eq!(ran.exit, 1);
    let report = json(&ran);
    let files: Vec<&str> =
        report["findings"].as_array().unwrap().iter().filter_map(|it| it["file"].as_str()).collect();
    for file in ["gateway.toml", "grants.csv"] {
        assert!(files.iter().any(|found| found.ends_with(file)), "{file} in {files:?}");
    }
}

#[test]
fn nothing_is_served_with_errors() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let broken = directory.path().join("policies/grants.csv");
    edit(&broken, "sys:minzheng-aid, pop", "sys:minzheng-aidd, pop");
    let ran = pinegate(&["run", "--config", &config]);
    assert_eq!((ran.exit, ran.out.as_str()), (64, ""));
    assert!(ran.err.contains("unknown system `sys:minzheng-aidd`"), "{}", ran.err);
    edit(Path::new(&config), "[admin]", "[admim]");
    let ran = pinegate(&["run", "--config", &config]);
    assert_eq!(ran.exit, 64);
    assert!(ran.err.contains("did you mean `admin`?"), "{}", ran.err);
    let ran =
        pinegate(&["explain", "--config", &config, "--system=sys:a", "--resource=a.b", "--purpose=c.d"]);
    assert_eq!((ran.exit, ran.out.as_str()), (64, ""));
}

fn explain(line: &str) -> Ran {
    let mut words = vec!["explain", "--policies", POLICIES];
    words.extend(line.split(' '));
    pinegate(&words)
}

const AID: &str = "--system sys:minzheng-aid --resource population.resident";

#[test]
fn a_permit_is_explained() {
    let ran = explain(&format!("{AID} --purpose social-aid.review --param area=341002"));
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn a_refusal_is_explained() {
    let ran = explain(&format!("{AID} --purpose licence.review --param area=330100"));
    assert_eq!((ran.exit, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn refusals_have_the_code_that_a_caller_gets() {
    let water = "--system sys:water-billing --resource legal.enterprise --purpose utility.account";
    for (line, code) in [
        (format!("{AID} --purpose licence.review --param area=341002"), "purpose-not-granted"),
        (format!("{AID} --purpose social-aid.revieww --param area=341002"), "purpose-unknown"),
        (format!("{AID} --purpose social-aid.review"), "scope-parameter"),
        (format!("{AID} --purpose social-aid.review --param area=3410 --param area=3410"), "scope-parameter"),
        (
            format!("{AID} --purpose social-aid.review --param area=3410 --fields name|email"),
            "scope-exceeded",
        ),
        (format!("{water} --at 2026-10-01T09:00"), "grant-outside-window"),
        (format!("{water} --at 2026-06-01T08:29:59"), "grant-outside-window"),
        (format!("{water} --at 2027-01-04T09:00"), "grant-expired"),
        (format!("{water} --at 2025-12-31T09:00:00+08:00"), "grant-not-yet-valid"),
        (format!("{water} --grant WT-2026-0003"), "grant-none"),
        (
            "--system sys:minzheng-old --resource spatial.parcel --purpose licence.review".to_owned(),
            "identity-disabled",
        ),
        (
            "--system sys:minzheng-aid --resource population.adoption --purpose licence.review".to_owned(),
            "resource-unknown",
        ),
        (
            "--system sys:minzheng-aid --resource no.such --purpose licence.review".to_owned(),
            "resource-unknown",
        ),
    ] {
        let ran = explain(&format!("{line} --json"));
        assert_eq!((ran.exit, &json(&ran)["code"]), (1, &code.into()), "{line}");
        assert_eq!(explain(&line).exit, 1);
    }
    let ran = explain(&format!("{water} --at 2026-06-01T08:30 --json"));
    assert_eq!((ran.exit, &json(&ran)["grants"][0]), (0, &"WT-2026-0004".into()));
}

#[test]
fn a_misspelt_system_is_named() {
    let ran =
        explain("--system sys:minzheng-aidd --resource population.resident --purpose social-aid.review");
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("did you mean `sys:minzheng-aid`?"), "{}", ran.err);
}

#[test]
fn values_that_may_not_be_recorded_are_not_shown() {
    let ran = explain(
        "--system sys:water-billing --resource population.resident --action verify --purpose utility.account --param id_card=341002199001011234 --all",
    );
    assert!(!ran.out.contains("341002199001011234"), "{}", ran.out);
}

/// A gate that takes one connection to its admin socket, answers as told, and returns what it was sent.
fn gate(socket: &Path, answer: &'static str) -> JoinHandle<String> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        // A socket that is closed with something unread in it breaks off.
        let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        request
    })
}

macro_rules! reply {
    ($status:literal, $body:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
            $body
        )
    };
}

#[test]
fn reload_says_what_the_gate_answers() {
    for (answer, exit, said) in [
        (reply!("200 OK", r#"{"applied":true,"revision":2,"policy":""}"#), 0, "reloaded, revision 2"),
        (
            reply!("200 OK", r#"{"applied":true,"revision":2,"policy":"00"}"#),
            0,
            "serves policy 00, which is not what",
        ),
        (
            reply!("200 OK", r#"{"applied":true,"revision":3,"restart":["[listen]"]}"#),
            0,
            "warning: [listen] is not what the gate was started with, and takes effect at its next start",
        ),
        (
            reply!("409 Conflict", r#"{"applied":false,"report":"grants.csv:1:1: error"}"#),
            1,
            "  grants.csv:1:1: error",
        ),
        (reply!("500 No", "{}"), 70, "status 500"),
        (reply!("200 OK", "applied"), 70, "gave no answer that this program understands"),
        ("", 69, "cannot be reached"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let config = city(directory.path());
        let gate = gate(&directory.path().join("admin.sock"), answer);
        let ran = pinegate(&["reload", "--config", &config]);
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(format!("{}{}", ran.out, ran.err).contains(said), "{said}: {ran:?}");
        assert!(gate.join().unwrap().starts_with("POST /reload HTTP/1.1\r\n"));
    }
}

#[test]
fn log_says_what_the_gate_logs() {
    for (line, answer, exit, said, asked) in [
        (
            &[][..],
            reply!("200 OK", r#"{"log":"info","configured":"info"}"#),
            0,
            "info, as the configuration says",
            "GET",
        ),
        (
            &["warn"],
            reply!("200 OK", r#"{"log":"warn","configured":"info"}"#),
            0,
            "warn until the gate ends; the configuration says info",
            "PUT",
        ),
        (
            &["debug", "--for", "10m"],
            reply!(
                "200 OK",
                r#"{"log":"debug","configured":"info","until":"2026-06-01T01:10:00Z","then":"warn"}"#
            ),
            0,
            "debug until 2026-06-01 09:10:00 +08, then warn",
            "PUT",
        ),
        (
            &["--reset"],
            reply!("400 Bad Request", r#"{"applied":false,"report":"not now"}"#),
            1,
            "not changed: not now",
            "PUT",
        ),
        (&["--json"], reply!("200 OK", r#"{"log":"info","configured":"info"}"#), 0, r#""log":"info""#, "GET"),
        (&[], reply!("404 Not Found", "not found"), 70, "status 404", "GET"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let config = city(directory.path());
        let gate = gate(&directory.path().join("admin.sock"), answer);
        let ran = pinegate(&[&["log", "--config", &config], line].concat());
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(format!("{}{}", ran.out, ran.err).contains(said), "{said}: {ran:?}");
        let heard = gate.join().unwrap();
        assert!(heard.starts_with(&format!("{asked} /log HTTP/1.1\r\n")), "{heard}");
    }
}

#[test]
fn log_asks_no_gate_for_what_cannot_be() {
    for (line, said) in [
        (&["log", "loud"][..], "`loud` is no level"),
        (&["log", "h2=debug"], "`h2` is another crate"),
        (&["log", "debug", "--for", "1ms"], "such as `90s`, `10m` or `2h`, up to `24h`"),
        (&["log", "debug", "--for", "2d"], "such as `90s`, `10m` or `2h`, up to `24h`"),
        (&["log", "--for", "1m"], "FILTER"),
        (&["log", "debug", "--reset"], "cannot be used with"),
    ] {
        let error = Arguments::try_parse_from(std::iter::once(&"pinegate").chain(line)).unwrap_err();
        assert!(error.to_string().contains(said), "{line:?}: {error}");
    }
    let ran = pinegate(&["log", "--config", "/nowhere/gateway.toml"]);
    assert_eq!(ran.exit, 64, "{ran:?}");
    assert!(ran.err.contains("name the configuration that the gate runs with"), "{}", ran.err);
}

#[test]
fn a_witness_is_not_sent_to_check() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("witness.toml");
    fs::write(&config, "listne = \"127.0.0.1:0\"\n").unwrap();
    let ran = pinegate(&["witness", "--config", config.to_str().unwrap()]);
    assert_eq!(ran.exit, 64, "{ran:?}");
    assert!(ran.err.contains("help: mend the findings above, and start the witness again"), "{}", ran.err);
    assert!(!ran.err.contains("pinegate check"), "{}", ran.err);
}

#[test]
fn reload_without_a_gate_exits_69() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let ran = pinegate(&["reload", "--config", &config]);
    assert_eq!(ran.exit, 69, "{ran:?}");
    assert!(ran.err.contains("help: is the gate running"), "{}", ran.err);
}

/// A key of the configuration, and what has it from a variable that is not set here.
const UNSET: [(&str, &str, &str); 5] = [
    (
        "audit.sink[0].token",
        "[metrics]",
        "[[audit.sink]]\nname = \"siem\"\nurl = \"http://localhost:1\"\ntoken = { env = \"PINEGATE_TEST_NOT_SET\" }\n[metrics]",
    ),
    (
        "audit.checkpoint.key",
        "[metrics]",
        "[audit.checkpoint]\nkey = { env = \"PINEGATE_TEST_NOT_SET\" }\n[metrics]",
    ),
    ("tls.key", "key = \"../certs/server.key\"", "key = { env = \"PINEGATE_TEST_NOT_SET\" }"),
    (
        "audit.pseudonym_key",
        "pseudonym_key = \"../certs/audit.key\"",
        "pseudonym_key = { env = \"PINEGATE_TEST_NOT_SET\" }",
    ),
    (
        "upstream[0].key",
        "url = \"http://127.0.0.1:1\"",
        "url = \"https://127.0.0.1:1\"\nca = \"../certs/ca.pem\"\ncertificate = \"../certs/server.pem\"\n\
         key = { env = \"PINEGATE_TEST_NOT_SET\" }",
    ),
];

#[test]
fn what_the_environment_here_has_not_is_a_warning_and_all_else_is_checked() {
    for (key, from, to) in UNSET {
        let directory = tempfile::tempdir().unwrap();
        let config = city(directory.path());
        edit(Path::new(&config), from, to);
        let check = || json(&pinegate(&["check", "--config", &config, "--json"]));
        let found = |report: &serde_json::Value, code: &str| {
            let findings = report["findings"].as_array().unwrap();
            findings.iter().find(|finding| finding["code"] == code).cloned()
        };
        let report = check();
        assert_eq!(report["ok"], true, "{key}: {report:#}");
        assert!(
            report["policy"]["digest"].is_string() && report["config"]["digest"].is_string(),
            "{report:#}"
        );
        let unset = found(&report, "variable-unset").unwrap_or_else(|| panic!("{report:#}"));
        assert_eq!(unset["severity"], "warning", "{unset:#}");
        let message = format!("`{key}` comes from `PINEGATE_TEST_NOT_SET`, which is not set here");
        assert_eq!(unset["message"], message.as_str());
        assert!(unset["help"].as_str().unwrap().contains("refuses to start without it"), "{unset:#}");
        assert_eq!(pinegate(&["check", "--config", &config]).exit, 0, "{key}");
        // What is wrong beside it is still an error: certificates, and the policy.
        fs::write(directory.path().join("certs/ca.pem"), "nothing").unwrap();
        edit(
            &directory.path().join("policies/grants.csv"),
            "sys:minzheng-aid, pop",
            "sys:minzheng-aidd, pop",
        );
        let report = check();
        assert_eq!(report["ok"], false, "{key}: {report:#}");
        assert!(
            found(&report, "bad-tls").is_some() && report["errors"].as_u64() > Some(1),
            "{key}: {report:#}"
        );
        // Who would start the gate is as strict as before.
        let ran = pinegate(&["run", "--config", &config]);
        assert_eq!(ran.exit, 64, "{ran:?}");
        assert!(ran.err.contains("error[variable-unset]"), "{}", ran.err);
    }
}

#[test]
fn reload_asks_the_gate_that_may_have_the_variables() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    edit(
        Path::new(&config),
        "[metrics]",
        "[[audit.sink]]\nname = \"siem\"\nurl = \"http://localhost:1\"\ntoken = { env = \"PINEGATE_TEST_NOT_SET\" }\n[metrics]",
    );
    let gate =
        gate(&directory.path().join("admin.sock"), reply!("200 OK", r#"{"applied":true,"revision":2}"#));
    let ran = pinegate(&["reload", "--config", &config]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("PINEGATE_TEST_NOT_SET") && ran.out.contains("reloaded, revision 2"), "{ran:?}");
    assert!(gate.join().unwrap().starts_with("POST /reload HTTP/1.1\r\n"));
}

#[test]
fn reload_asks_no_gate_with_errors() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let listener = UnixListener::bind(directory.path().join("admin.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    edit(&directory.path().join("policies/grants.csv"), "sys:minzheng-aid, pop", "sys:minzheng-aidd, pop");
    let ran = pinegate(&["reload", "--config", &config, "--json"]);
    assert_eq!((ran.exit, &json(&ran)["applied"]), (1, &false.into()));
    assert!(listener.accept().is_err(), "nobody has come");
}

#[test]
fn a_minted_token_is_alone_and_verifies() {
    use crate::identity::CertificateFacts;
    use crate::identity::token::{Issuer, KeySet, SignatureAlgorithm, TokenRules, TokenVerifier};
    use crate::kernel::diagnostic::Source;
    use crate::kernel::id::SystemId;
    use rustls_pki_types::pem::PemObject as _;
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (file("certs/tokens/dev-1.key"), file("certs/clients/minzheng-aid.pem"));
    let line = [
        "token",
        "mint",
        "--key",
        &key,
        "--kid",
        "dev-1",
        "--certificate",
        &certificate,
        "--system",
        "sys:minzheng-aid",
        "--purpose",
        "social-aid.review",
        "--scope",
        "name|phone",
        "--grant",
        "HS-2026-0117",
        "--config",
        &config,
    ];
    let ran = pinegate(&line);
    assert_eq!((ran.exit, ran.err.as_str(), ran.out.lines().count()), (0, "", 1));
    let jwks = fs::read_to_string(file("certs/tokens/jwks.json")).unwrap();
    let (keys, _) = KeySet::from_jwks(&Source::new("jwks.json", jwks), &SignatureAlgorithm::ALL).unwrap();
    let verifier = TokenVerifier::new(
        vec![Issuer { name: Arc::from("https://platform.city.example"), keys }],
        TokenRules {
            audiences: vec![Arc::from("pinegate")],
            algorithms: SignatureAlgorithm::ALL.to_vec(),
            leeway: std::time::Duration::from_secs(1),
            max_lifetime: crate::app::assemble::MAX_TOKEN_LIFETIME,
            remembered: std::num::NonZeroUsize::MIN,
        },
    );
    let der = rustls_pki_types::CertificateDer::from_pem_file(&certificate).unwrap();
    let facts = CertificateFacts::read(&der).unwrap();
    let system = SystemId::parse("sys:minzheng-aid").unwrap();
    let token = verifier.verify(ran.out.trim_end(), &system, &facts, now()).unwrap();
    assert_eq!(token.purpose.as_str(), "social-aid.review");
    assert_eq!(token.grants.as_ref().map(Vec::len), Some(1));
    // Another system's certificate is warned of, beside the token.
    let mut other = line;
    other[9] = "sys:water-billing";
    let ran = pinegate(&other);
    assert_eq!((ran.exit, ran.out.lines().count()), (0, 1));
    assert!(ran.err.contains("warning: "), "{}", ran.err);
}

#[test]
fn nothing_is_overwritten_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().to_str().unwrap();
    assert_eq!(pinegate(&["pki", "init", "--dir", dir]).exit, 0);
    let ran = pinegate(&["pki", "init", "--dir", dir]);
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("--overwrite"), "{}", ran.err);
    assert_eq!(pinegate(&["pki", "init", "--dir", dir, "--overwrite"]).exit, 0);
    assert_eq!(pinegate(&["pki", "revoke", "nobody", "--dir", dir]).exit, 1);
    let line = ["pki", "client", "--dir", dir, "--system", "sys:a", "--department", "dept:b", "--json"];
    let ran = pinegate(&line);
    let serial = json(&ran)["serial"].as_str().unwrap().to_owned();
    assert!(pinegate(&["pki", "revoke", &serial, "--dir", dir]).out.contains(&serial));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = pinegate(&["completions", shell]);
        assert_eq!(ran.exit, 0);
        assert!(ran.out.contains("trust-domain"), "{shell}");
    }
}

/// A stream that fails in one way.
struct Failing(std::io::ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_changes_no_exit_code() {
    for (kind, policies, exit) in [
        (std::io::ErrorKind::BrokenPipe, POLICIES, 0),
        (std::io::ErrorKind::BrokenPipe, "/nowhere", 1),
        (std::io::ErrorKind::StorageFull, POLICIES, 70),
    ] {
        let arguments = Arguments::try_parse_from(["pinegate", "check", "--policies", policies]).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
        let mut err = Vec::new();
        let mut screen = Screen::new(Box::new(Failing(kind)), Box::new(&mut err));
        let done = dispatch(&arguments.command, &clock, &mut screen);
        let ended = done.unwrap_or_else(|error| screen.fail(&error));
        assert_eq!(screen.finish(ended).code(), exit, "{kind}");
    }
}

#[test]
fn columns_align_and_controls_do_not_pass() {
    use super::table::{Table, plain};
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let screen = Screen::plain(&mut out, &mut err);
    let mut table = Table::default();
    table.row([plain("名称"), plain("b"), plain("c")]);
    table.row([plain("name\x1b[2J"), plain("民政局"), plain("c")]);
    table.row([plain("a"), plain("a last cell takes all the room that it wants")]);
    assert_eq!(
        table.lines(&screen, 1),
        [
            " 名称      b       c",
            " name\u{fffd}[2J  民政局  c",
            " a         a last cell takes all the room that it wants"
        ]
    );
}

#[test]
fn every_span_of_every_text_can_be_shown() {
    use crate::kernel::diagnostic::{Diagnostic, Report, Source};
    for text in [
        "",
        "\n",
        "a",
        "名 = 1\r\n\t人口\r\n",
        "one\ntwo\n\n\u{7f}\u{1b}[2J\n\n\n\n\n\n九",
        "\u{feff}a\u{301}b\n",
    ] {
        let source = Source::new("a.toml", text);
        let mut report = Report::new();
        report.add_source(&source);
        let ends = 0..text.len() + 3;
        for span in ends.clone().flat_map(|start| ends.clone().map(move |end| start..end)) {
            report.push(Diagnostic::error("bad", &source, span, "名\u{1b}[2J").label("此处").help("write 1"));
        }
        let count = report.count(crate::kernel::diagnostic::Severity::Error);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::plain(&mut out, &mut err);
        findings::show(&report, findings::To::Output, &mut screen).unwrap();
        assert_eq!(findings::listed(&report).len(), count);
        drop(screen);
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown.matches("error[bad]: ").count(), count, "{text:?}");
        assert!(!shown.contains('\u{1b}'), "no escape passes to a terminal");
    }
}

/// An open log in `directory`.
fn journal(directory: &Path) -> crate::journal::Journal {
    use crate::journal::{DiskStorage, Journal, JournalConfig, Observer};
    use std::time::Duration;
    #[derive(Debug)]
    struct Quiet;
    impl Observer for Quiet {
        fn committed(&self, _: usize, _: usize, _: Duration) {}
        fn durable(&self, _: Option<&crate::journal::Fault>) {}
        fn queued(&self, _: usize) {}
    }
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    let node = crate::kernel::id::NodeId::parse("gate-1").unwrap();
    let config = JournalConfig::new(directory.to_owned(), node);
    Journal::open(config, Arc::new(DiskStorage), clock, Arc::new(Quiet)).unwrap().0
}

/// A closed log of one permit, one refusal and one event, and the id of the refusal.
fn logged(directory: &Path) -> String {
    use crate::audit::{Access, Event, Kind, Lifecycle, Outcome, Shadow};
    use crate::kernel::id::{Digest, GrantId, PurposeCode, RequestId, ResourceId, SystemId};
    let journal = journal(directory);
    let system = SystemId::parse("sys:minzheng-aid").unwrap();
    let resource = ResourceId::parse("population.resident").unwrap();
    let (purpose, grant) = (PurposeCode::parse("social-aid.review"), GrantId::parse("HS-2026-0117"));
    let (purpose, grants) = (purpose.unwrap(), [grant.unwrap()]);
    let id = RequestId::generate();
    for (permitted, status, id) in [(true, 200, RequestId::generate()), (false, 403, id)] {
        let outcome = Outcome {
            status,
            bytes_in: 0,
            bytes_out: 9,
            records: None,
            masked: &[],
            dropped: &[],
            egress: &[],
            unclassified: 0,
            submitted: None,
            received_mac: None,
            sent_sha256: None,
            total_us: 1,
            decide_us: 1,
            upstream_us: 0,
            attempts: 1,
            aborted: None,
            ended_by: None,
        };
        let entry = Access {
            kind: Kind::Access,
            at: now(),
            request_id: id,
            trace_id: None,
            system: Some(&system),
            department: None,
            certificate: &Digest([7; 32]),
            address: "192.0.2.1".parse().unwrap(),
            method: "GET",
            route: Some("/population/residents"),
            resource: Some(&resource),
            provider: None,
            action: None,
            purpose: Some(&purpose),
            purpose_source: Some("token"),
            token_id: None,
            requested: &[],
            parameters: &[],
            withheld: &[],
            subjects: None,
            narrowed_to: None,
            decision: if permitted { "permit" } else { "deny" },
            reason: (!permitted).then_some("scope-exceeded"),
            admitted: None,
            grants: if permitted { &grants } else { &[] },
            denied_by: &[],
            released: &[],
            policy: "aa",
            config: "bb",
            shadow: (!permitted).then_some(Shadow { change: "allowed", policy: "cc" }),
            outcome: Some(outcome),
        };
        journal.submit(entry.encode()).unwrap();
    }
    let stop =
        Lifecycle { at: now(), event: Event::Stop, actor: "system", detail: &[], policy: None, config: None };
    journal.submit(stop.encode()).unwrap();
    journal.close().unwrap();
    id.to_string()
}

#[test]
fn the_log_is_verified_shown_and_searched() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit");
    let id = logged(&log);
    let shown = log.to_str().unwrap();
    let ran = pinegate(&["audit", "verify", shown]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("as it was written"), "{}", ran.out);
    let ran = pinegate(&["audit", "tail", shown, "-n", "3"]);
    assert_eq!((ran.exit, ran.out.lines().count()), (0, 3), "{ran:?}");
    let columns = [
        ("permit", "200", "HS-2026-0117"),
        ("deny", "403", "scope-exceeded, shadow allowed"),
        ("lifecycle", "stop", "by system"),
    ];
    for (line, (first, second, third)) in ran.out.lines().zip(columns) {
        assert!(line.starts_with("2026-06-01T01:30:00Z  "), "{line}");
        assert!([first, second, third].iter().all(|text| line.contains(text)), "{line}");
    }
    for (condition, found) in [
        (vec!["--request", &id], 1),
        (vec!["--decision", "deny", "--system", "sys:minzheng-aid"], 1),
        (vec!["--grant", "HS-2026-0117"], 1),
        (vec!["--status", "403"], 1),
        (vec!["--status", "404"], 0),
        (vec!["--status", "2xx", "--system", "sys:minzheng-aid"], 1),
        (vec!["--shadow", "any"], 1),
        (vec!["--shadow", "allowed"], 1),
        (vec!["--shadow", "refused"], 0),
        (vec!["--purpose", "social-aid.review"], 2),
        (vec!["--purpose", "social-aid.review", "--limit", "1"], 1),
        (vec!["--purpose", "social-aid.review", "--until", "2026-06-01T09:30"], 0),
        (vec!["--purpose", "social-aid.review", "--from", "2026-06-01T09:30"], 2),
        (vec!["--purpose", "social-aid.review", "--from", "2026-06-01", "--until", "2026-06-02"], 2),
    ] {
        let line = [&["audit", "search", shown, "--json"], condition.as_slice()].concat();
        let ran = pinegate(&line);
        assert_eq!((ran.exit, ran.out.lines().count()), (0, found), "{ran:?}");
        assert!(ran.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        assert!(ran.err.contains(&format!("{found} found in ")), "{}", ran.err);
    }
}

#[test]
fn a_changed_log_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit");
    logged(&log);
    let segment = log.join("gate-1.000001/00000000000000000000.jsonl");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(6).position(|window| window == b"\"deny\"").unwrap();
    bytes[at + 1..at + 5].copy_from_slice(b"perm");
    fs::write(&segment, bytes).unwrap();
    let shown = log.to_str().unwrap();
    let ran = pinegate(&["audit", "verify", shown]);
    assert_eq!(ran.exit, 1);
    assert!(ran.out.contains("damaged") && ran.out.contains("00000000000000000000.jsonl"), "{}", ran.out);
    let report = json(&pinegate(&["audit", "verify", shown, "--json"]));
    assert_eq!((&report["intact"], &report["logs"][0]["intact"]), (&false.into(), &false.into()));
    assert_eq!(report["logs"][0]["damage"].as_array().map(Vec::len), Some(1));
    for verb in ["verify", "tail", "search"] {
        let empty = directory.path().to_str().unwrap();
        assert_eq!(pinegate(&["audit", verb, empty]).exit, 1, "{verb} of no log");
    }
}

mod diff;
