//! What the audit log says of the past: `replay`, and `explain --record`.

use super::*;
use crate::app::load::{LoadedPolicy, PolicyPlace, load_policy};
use crate::audit::{Access, Event, Kind, Lifecycle};
use crate::cli::source::keys_for_checks;
use crate::grant::{Decision, Request};
use crate::kernel::id::{
    Action, Digest, GrantId, ParameterName, PurposeCode, RequestId, ResourceId, SystemId,
};
use crate::kernel::time::TimeZone;
use crate::proxy::denial_code;

const GRANTS: &str = "\
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, name|phone;area=3410*, always, allow
p, A-2, sys:water-billing, population.resident, query, utility.account, name;area=3410*, always, allow
p, A-3, sys:water-billing, population.resident, verify, utility.account, match;id_card=34*, always, allow
";

/// A policy directory with these grants, and no limits that would name others.
fn directory(at: &Path, name: &str, grants: &str) -> PathBuf {
    let inner = at.join(name);
    fs::create_dir(&inner).unwrap();
    let policies = policies(&inner);
    fs::write(policies.join("grants.csv"), grants).unwrap();
    fs::write(policies.join("limits.toml"), "").unwrap();
    policies
}

fn loaded(directory: &Path) -> LoadedPolicy {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let place = PolicyPlace {
        directory,
        trust_domain: "city.example",
        zone: &zone,
        pseudonym_keys: &keys_for_checks(),
    };
    let (policy, report) = load_policy(place, &ManualClock::new(now()));
    policy.unwrap_or_else(|| panic!("{report}"))
}

fn id(number: u8) -> RequestId {
    format!("01890a5d-ac96-774b-bcce-b302099a80{number:02}").parse().unwrap()
}

/// A request: system, action, purpose, parameters, the grants that its token names.
type Asked<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

const ASKED: [Asked<'_>; 5] = [
    ("sys:minzheng-aid", "query", "social-aid.review", &[("area", "341002")], &[]),
    ("sys:water-billing", "query", "utility.account", &[("area", "341002")], &[]),
    ("sys:water-billing", "verify", "utility.account", &[("id_card", "341002199001011234")], &[]),
    ("sys:minzheng-aid", "query", "licence.review", &[("area", "341002")], &[]),
    ("sys:minzheng-aid", "query", "social-aid.review", &[("area", "341002")], &["A-1"]),
];

fn request((system, action, purpose, parameters, named): Asked<'_>) -> Request {
    let parameter =
        |(name, value): &(&str, &str)| (ParameterName::parse(name).unwrap(), vec![(*value).to_owned()]);
    Request {
        system: SystemId::parse(system).unwrap(),
        resource: ResourceId::parse("population.resident").unwrap(),
        action: Action::parse(action).unwrap(),
        purpose: PurposeCode::parse(purpose).unwrap(),
        fields: vec![],
        parameters: parameters.iter().map(parameter).collect(),
        narrowed_to: (!named.is_empty())
            .then(|| named.iter().map(|id| GrantId::parse(id).unwrap()).collect()),
    }
}

/// A log of [`ASKED`] as the gate would have written it, of one request that no policy decided, of one
/// page of the gate's own, and of the gate's start. Request `n` has [`id`] `n`.
fn written(log: &Path, policies: &Path) {
    let loaded = loaded(policies);
    let journal = journal(log);
    let (at, event) = (now(), Event::Start);
    let start = Lifecycle { at, event, actor: "system", detail: &[], policy: None, config: None };
    journal.submit(start.encode()).unwrap();
    let digest = loaded.files.digest().to_hex();
    for (number, &asked) in (0..).zip(&ASKED) {
        let request = request(asked);
        let system = &loaded.vocabulary.catalog.registry.systems[&request.system];
        let decision = loaded.policy.decide(&request.query(&system.department), now());
        let (permit, reason) = match &decision {
            Decision::Permit(permit) => (Some(permit), None),
            Decision::Denial(denial) => (None, Some(denial_code(denial.reason).as_str())),
        };
        let (withheld, recorded): (Vec<_>, Vec<_>) =
            request.parameters.iter().partition(|(name, _)| name.as_str() == "id_card");
        let recorded: Vec<_> =
            recorded.iter().map(|(name, values)| (name.clone(), values[0].clone())).collect();
        let withheld: Vec<_> = withheld.iter().map(|(name, _)| (name.clone(), 1)).collect();
        let entry = Access {
            kind: if number == 1 { Kind::Intent } else { Kind::Access },
            at: now(),
            request_id: id(number),
            trace_id: None,
            system: Some(&request.system),
            department: Some(&system.department),
            certificate: &Digest([7; 32]),
            address: "192.0.2.1".parse().unwrap(),
            method: "GET",
            route: Some("/population/residents"),
            resource: Some(&request.resource),
            provider: None,
            action: Some(&request.action),
            purpose: Some(&request.purpose),
            purpose_source: Some("token"),
            token_id: None,
            requested: &request.fields,
            parameters: &recorded,
            withheld: &withheld,
            subjects: None,
            narrowed_to: request.narrowed_to.as_deref(),
            decision: if permit.is_some() { "permit" } else { "deny" },
            reason,
            admitted: None,
            grants: permit.map_or(&[], |permit| &permit.grants),
            denied_by: &[],
            released: permit.map_or(&[], |permit| &permit.fields),
            policy: &digest,
            config: "bb",
            shadow: None,
            outcome: None,
        };
        journal.submit(entry.encode()).unwrap();
        if number == 0 {
            let rate = Access {
                request_id: id(80),
                decision: "deny",
                reason: Some("rate-exceeded"),
                ..entry.clone()
            };
            journal.submit(rate.encode()).unwrap();
            let own = Access { request_id: id(81), resource: None, purpose: None, ..entry };
            journal.submit(own.encode()).unwrap();
        } else if number == 1 {
            journal.submit(Access { kind: Kind::Outcome, ..entry }.encode()).unwrap();
        }
    }
    journal.close().unwrap();
}

struct Past {
    directory: tempfile::TempDir,
    log: String,
    old: String,
    new: String,
}

/// A log that was written under [`GRANTS`], and a candidate in which one of each kind changes.
fn past() -> Past {
    let at = tempfile::tempdir().unwrap();
    let old = directory(at.path(), "old", GRANTS);
    let candidate = "\
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.*, name:clear|sex;area=3410*, always, allow
p, A-3, sys:water-billing, population.resident, verify, utility.account, match;id_card=341*, always, allow
p, A-4, sys:minzheng-aid, population.resident, query, licence.review, sex, always, allow
";
    let new = directory(at.path(), "new", candidate);
    let log = at.path().join("audit");
    written(&log, &old);
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    Past { log: text(log), old: text(old), new: text(new), directory: at }
}

impl Past {
    fn replay(&self, policies: &str, more: &[&str]) -> Ran {
        pinegate(&[&["replay", "--policies", policies, "--audit", &self.log], more].concat())
    }

    fn explain(&self, policies: &str, number: u8, more: &[&str]) -> Ran {
        let id = id(number).to_string();
        pinegate(
            &[&["explain", "--policies", policies, "--audit", &self.log, "--record", &id], more].concat(),
        )
    }

    /// Without what differs from run to run.
    fn fixed(&self, text: &str) -> String {
        let text = without(self.directory.path(), text);
        let is_digest = |word: &str| {
            let hex = word.trim_matches(['(', ')']);
            hex.len() == 12 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let line = |line: &str| {
            line.split(' ')
                .map(|word| if is_digest(word) { "(…)" } else { word })
                .collect::<Vec<_>>()
                .join(" ")
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn a_candidate_is_replayed() {
    let past = past();
    let ran = past.replay(&past.new, &[]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(past.fixed(&ran.out));
    let report = json(&past.replay(&past.new, &["--json"]));
    for (member, count) in [
        ("records", 9),
        ("same", 0),
        ("refused", 1),
        ("allowed", 1),
        ("changed", 2),
        ("undetermined", 1),
        ("not_by_policy", 2),
        ("unreadable", 0),
    ] {
        assert_eq!(report[member], count, "{member}: {report}");
    }
    let aid = &report["groups"][0];
    assert_eq!(aid["fields"].as_array().unwrap().len(), 3, "{aid}");
    assert_eq!(aid["fields"][1], serde_json::json!({"path": "phone", "change": "lost", "count": 2}));
    let water = &report["groups"][1];
    assert_eq!(water["refusals"][0]["count"], 1);
    assert_eq!(
        water["unknown"][0],
        serde_json::json!({"why": "parameters", "parameters": ["id_card"], "count": 1})
    );
    let kinds: Vec<&str> =
        report["examples"].as_array().unwrap().iter().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, ["refused", "allowed", "changed", "changed", "undetermined"]);
    assert_eq!(report["examples"][0]["request"], id(1).to_string());
}

#[test]
fn the_policy_that_decided_changes_nothing() {
    let past = past();
    let report = json(&past.replay(&past.old, &["--json", "--fail-on", "refused,allowed,fields"]));
    assert_eq!((&report["same"], &report["undetermined"]), (&4.into(), &1.into()), "{report}");
    let ran = past.replay(&past.old, &["--against", &past.old, "--json", "--fail-on", "any"]);
    assert_eq!((ran.exit, &json(&ran)["same"]), (0, &5.into()), "a policy never differs from itself");
    let against = json(&past.replay(&past.new, &["--against", &past.old, "--json"]));
    assert_eq!((&against["refused"], &against["undetermined"]), (&1.into(), &1.into()));
    assert_ne!(against["against"], against["policy"]);
}

#[test]
fn a_replay_can_be_narrowed_and_can_fail() {
    let past = past();
    for (more, exit) in [
        (&["--fail-on", "refused"][..], 1),
        (&["--fail-on", "allowed"], 1),
        (&["--fail-on", "fields"], 1),
        (&["--fail-on", "undetermined"], 1),
        (&["--fail-on", "refused", "--system", "sys:minzheng-aid"], 0),
        (&["--fail-on", "allowed", "--system", "sys:water-billing"], 0),
        (&["--fail-on", "any", "--resource", "legal.enterprise"], 0),
        (&["--fail-on", "any", "--from", "2026-06-02"], 0),
        (&["--fail-on", "any", "--until", "2026-06-01T09:30"], 0),
        (&["--fail-on", "any", "--from", "2026-06-01T09:30", "--until", "2026-06-01T09:31"], 1),
        (&[], 0),
    ] {
        assert_eq!(past.replay(&past.new, more).exit, exit, "{more:?}");
    }
    let ran = past.replay(&past.new, &["--limit", "0"]);
    assert!(!ran.out.contains("for example"), "{}", ran.out);
}

#[test]
fn a_line_that_is_no_record_is_named_and_fails() {
    let past = past();
    let segment = Path::new(&past.log).join("gate-1.000001/00000000000000000000.jsonl");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(14).position(|window| window == b"\"rate-exceeded").unwrap();
    bytes[at] = b'x';
    fs::write(&segment, bytes).unwrap();
    let ran = past.replay(&past.old, &["--json"]);
    let report = json(&ran);
    assert_eq!((ran.exit, &report["unreadable"], &report["same"]), (1, &1.into(), &4.into()), "{ran:?}");
    assert!(ran.err.contains("00000000000000000000.jsonl at byte "), "{}", ran.err);
    assert!(report["unreadable_lines"][0]["offset"].as_u64().unwrap() > 0);
    let empty = past.directory.path().to_str().unwrap();
    let ran = pinegate(&["replay", "--policies", &past.old, "--audit", empty]);
    assert_eq!(ran.exit, 1, "{ran:?}");
}

#[test]
fn what_is_gone_from_the_registry_is_refused() {
    let past = past();
    let grants = "p, A-1, sys:minzheng-aid, population.resident, query, *, name, always, allow\n";
    let candidate = directory(past.directory.path(), "smaller", grants);
    edit(&candidate.join("registry.toml"), "id = \"sys:water-billing\"", "id = \"sys:water-else\"");
    edit(&candidate.join("purposes.toml"), "code = \"social-aid.review\"", "code = \"social-aid.else\"");
    let report = json(&past.replay(candidate.to_str().unwrap(), &["--json"]));
    let refusals: Vec<_> = report["groups"].as_array().unwrap().iter().map(|it| &it["refusals"]).collect();
    assert_eq!(refusals[0][0]["code"], "purpose-unknown", "{report}");
    assert_eq!(refusals[1][0]["code"], "identity-unknown");
    assert_eq!(report["undetermined"], 0, "whatever the value was, the system is gone");
}

#[test]
fn a_record_is_explained() {
    let past = past();
    let ran = past.explain(&past.old, 0, &[]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("record  permit by A-1, under this policy"), "{}", ran.out);
    assert!(ran.out.contains("now     the same answer"), "{}", ran.out);
    let ran = past.explain(&past.new, 0, &[]);
    assert!(ran.out.contains("under another policy"), "{}", ran.out);
    assert!(ran.out.contains("gained sex; lost phone; unmasked name"), "{}", ran.out);
    let ran = past.explain(&past.new, 1, &["--json"]);
    assert_eq!((ran.exit, &json(&ran)["record"]["answer"]), (1, &"refused".into()));
    assert_eq!(json(&past.explain(&past.new, 3, &["--json"]))["record"]["answer"], "allowed");
    let narrowed = json(&past.explain(&past.old, 4, &["--json"]));
    assert_eq!(narrowed["lines"][0]["clauses"].as_array().unwrap().last().unwrap()["clause"], "token");
}

#[test]
fn what_a_record_leaves_out_is_asked_for() {
    let past = past();
    let ran = past.explain(&past.old, 2, &[]);
    assert_eq!(ran.exit, 1);
    insta::assert_snapshot!(ran.out);
    let answer = json(&past.explain(&past.old, 2, &["--json"]));
    assert_eq!(
        (&answer["allowed"], &answer["record"]["unknown"][0]),
        (&serde_json::Value::Null, &"id_card".into())
    );
    assert_eq!(answer["lines"][0]["matches"], serde_json::Value::Null);
    let ran = past.explain(&past.old, 2, &["--param", "id_card=341002199001011234", "--json"]);
    assert_eq!((ran.exit, &json(&ran)["record"]["answer"]), (0, &"same".into()));
    assert!(!ran.out.contains("341002199001011234"), "{}", ran.out);
    let ran = past.explain(&past.old, 2, &["--param", "id_card=11", "--json"]);
    assert_eq!((ran.exit, &json(&ran)["code"]), (1, &"scope-parameter".into()));
    let ran = past.explain(&past.old, 0, &["--param", "area=3"]);
    assert_eq!(ran.exit, 2, "the record says what it was");
    for number in [80, 81, 99] {
        let ran = past.explain(&past.old, number, &[]);
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{ran:?}");
    }
}

#[test]
fn a_refusal_says_what_would_help() {
    let past = past();
    let file = past.directory.path().join("request.json");
    let request = r#"{"system": "sys:water-billing", "resource": "population.resident",
        "purpose": "licence.review", "fields": ["name", "phone"], "parameters": {"area": "330100"}}"#;
    fs::write(&file, request).unwrap();
    let file = file.to_str().unwrap();
    let ran = pinegate(&["explain", "--policies", &past.old, "--request", file]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    insta::assert_snapshot!(ran.out);
    let advice =
        json(&pinegate(&["explain", "--policies", &past.old, "--request", file, "--json"]))["advice"].clone();
    assert_eq!(advice["provider"][0]["edits"][0]["kind"], "new-line", "{advice}");
    fs::write(file, request.replace("fields", "field")).unwrap();
    let ran = pinegate(&["explain", "--policies", &past.old, "--request", file]);
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("unknown field `field`") && ran.err.contains("line 2 column"), "{}", ran.err);
}
