//! What is read out of the audit log: `search`, `tail`, `stats`, `export`.

use super::*;
use crate::audit::{Access, Chain, DigestKey, Event, Kind, Lifecycle, Outcome};
use crate::catalog::Subject;
use crate::kernel::id::{
    Action, DepartmentId, Digest, FieldPath, GrantId, NodeId, PurposeCode, RequestId, ResourceId,
    SubjectKind, SystemId,
};
use crate::kernel::secret::Secret;

/// One access: who, for what, the code it was refused with, and how many milliseconds it took.
pub(super) struct Asked {
    pub(super) system: &'static str,
    pub(super) resource: &'static str,
    pub(super) refused: Option<&'static str>,
    pub(super) millis: u64,
    pub(super) kind: Kind,
    pub(super) at: &'static str,
}

const fn asked(system: &'static str, resource: &'static str, at: &'static str) -> Asked {
    Asked { system, resource, refused: None, millis: 3, kind: Kind::Access, at }
}

pub(super) fn day() -> Vec<Asked> {
    let (aid, map) = ("sys:minzheng-aid", "sys:ziran-map");
    let (resident, land) = ("population.resident", "land.parcel");
    vec![
        asked(aid, resident, "2026-06-01T01:30:00Z"),
        Asked { millis: 900, ..asked(aid, resident, "2026-06-01T01:31:00Z") },
        Asked { refused: Some("scope-exceeded"), ..asked(aid, resident, "2026-06-01T01:32:00Z") },
        Asked { refused: Some("grant-missing"), ..asked(aid, land, "2026-06-01T01:33:00Z") },
        Asked { kind: Kind::Intent, ..asked(map, land, "2026-06-01T16:30:00Z") },
        Asked { kind: Kind::Outcome, ..asked(map, land, "2026-06-01T16:30:00Z") },
        asked(map, land, "2026-06-01T18:00:00Z"),
    ]
}

/// A log of these accesses and the gate's end. Its directory.
fn written(directory: &Path, accesses: &[Asked]) -> String {
    let place = directory.join("audit/gate-1.000001");
    fs::create_dir_all(&place).unwrap();
    let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), 1);
    let mut lines = Vec::new();
    for (number, asked) in (0_u8..).zip(accesses) {
        chain.seal(&entry(number, asked), &mut lines);
    }
    let stop = Lifecycle {
        at: "2026-06-02T00:00:00Z".parse().unwrap(),
        event: Event::Stop,
        actor: "system",
        detail: &[("because", "told")],
        policy: None,
        config: None,
    };
    chain.seal(&stop.encode(), &mut lines);
    fs::write(place.join("00000000000000000000.jsonl"), lines).unwrap();
    directory.join("audit").to_str().unwrap().to_owned()
}

pub(super) fn entry(number: u8, asked: &Asked) -> crate::audit::Entry {
    let (system, resource) =
        (SystemId::parse(asked.system).unwrap(), ResourceId::parse(asked.resource).unwrap());
    let department = DepartmentId::parse("dept:minzheng").unwrap();
    let (purpose, action) =
        (PurposeCode::parse("social-aid.review").unwrap(), Action::parse("query").unwrap());
    let (grants, path) = ([GrantId::parse("HS-2026-0117").unwrap()], FieldPath::parse("phone").unwrap());
    let (permitted, masked) = (asked.refused.is_none(), [(&path, 10)]);
    let request: RequestId = format!("01890a5d-ac96-774b-bcce-b302099a80{number:02x}").parse().unwrap();
    Access {
        kind: asked.kind,
        at: asked.at.parse().unwrap(),
        request_id: request,
        trace_id: None,
        system: Some(&system),
        department: Some(&department),
        certificate: &Digest([7; 32]),
        address: "192.0.2.1".parse().unwrap(),
        method: "GET",
        route: Some("/population/residents"),
        resource: Some(&resource),
        provider: None,
        action: Some(&action),
        purpose: Some(&purpose),
        purpose_source: Some("token"),
        token_id: None,
        requested: &[],
        parameters: &[],
        subjects: None,
        withheld: &[],
        narrowed_to: None,
        decision: if permitted { "permit" } else { "deny" },
        reason: asked.refused,
        admitted: None,
        grants: if permitted { &grants } else { &[] },
        denied_by: &[],
        released: &[],
        policy: "aa",
        config: "bb",
        shadow: None,
        outcome: (asked.kind != Kind::Intent).then(|| Outcome {
            status: if permitted { 200 } else { 403 },
            bytes_in: 0,
            bytes_out: 1_000,
            records: permitted.then_some(10),
            masked: if permitted { &masked } else { &[] },
            dropped: &[],
            egress: &[],
            unclassified: 0,
            submitted: None,
            received_mac: None,
            sent_sha256: None,
            total_us: asked.millis * 1_000,
            decide_us: 1,
            upstream_us: 0,
            attempts: 1,
            aborted: None,
            ended_by: None,
        }),
    }
    .encode()
}

#[test]
fn records_are_shown_in_columns_and_as_csv() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let ran = pinegate(&["audit", "search", &log]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    insta::assert_snapshot!("log_table", ran.out);
    assert_eq!(without(directory.path(), &ran.err), "DIR/audit: 8 found in 8 records\n");
    let newest = pinegate(&["audit", "search", &log, "--newest-first", "--limit", "3"]);
    let reversed: Vec<_> =
        ran.out.lines().rev().take(3).map(str::split_whitespace).map(Iterator::collect::<Vec<_>>).collect();
    let shown: Vec<_> =
        newest.out.lines().map(str::split_whitespace).map(Iterator::collect::<Vec<_>>).collect();
    assert_eq!(shown, reversed);
    assert!(newest.err.contains("3 found in 8 records; there are more"), "{}", newest.err);
    let ran = pinegate(&["audit", "search", &log, "--decision", "deny", "--format", "csv"]);
    insta::assert_snapshot!("log_csv", ran.out.replace('\r', ""));
    let none = pinegate(&["audit", "search", &log, "--system", "sys:nobody", "--format", "csv"]);
    assert_eq!((none.exit, none.out.lines().count()), (0, 1), "the names of the columns alone");
}

#[test]
fn every_condition_is_heeded() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let certificate = vec!["07"; 32].join(":");
    for (condition, found) in [
        (vec!["--kind", "lifecycle"], 1),
        (vec!["--kind", "outcome", "--node", "gate-1"], 1),
        (vec!["--node", "gate-2"], 0),
        (vec!["--address", "192.0.2.0/24", "--resource", "land.parcel"], 4),
        (vec!["--address", "192.0.2.2"], 0),
        (vec!["--certificate", &certificate], 7),
        (vec!["--action", "query", "--reason", "grant-missing"], 1),
        (vec!["--department", "dept:minzheng", "--system", "sys:ziran-map"], 3),
        (vec!["--provider", "dept:minzheng"], 0),
        (vec!["--from", "2026-06-02T00:00", "--until", "2026-06-02T02:00"], 2),
        (vec!["--from", "2026-06-02T00:00", "--zone", "UTC"], 1),
        (vec!["--request", "01890a5d-ac96-774b-bcce-b302099a8002"], 1),
        (vec!["--trace", "4bf92f3577b34da6a3ce929d0e0e4736"], 0),
    ] {
        for (verb, more) in
            [("search", &["--json"][..]), ("tail", &["--json"]), ("export", &["--format", "jsonl"])]
        {
            let ran = pinegate(&[&["audit", verb, &log], more, condition.as_slice()].concat());
            assert_eq!((ran.exit, ran.out.lines().count()), (0, found), "{verb} {condition:?} {}", ran.err);
        }
    }
}

#[test]
fn accesses_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let ran = pinegate(&["audit", "stats", &log]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("stats_table", ran.out);
    let by = |by: &str, more: &[&str]| {
        let ran = pinegate(&[&["audit", "stats", &log, "--by", by, "--format", "csv"], more].concat());
        assert_eq!(ran.exit, 0, "{ran:?}");
        let rows: Vec<String> = ran
            .out
            .lines()
            .skip(1)
            .map(|row| row.split(',').take(by.split(',').count() + 1).collect::<Vec<_>>().join(","))
            .collect();
        rows.join(" ")
    };
    assert_eq!(by("reason", &[]), ",4 grant-missing,1 scope-exceeded,1");
    assert_eq!(by("reason", &["--decision", "deny", "--system", "sys:ziran-map"]), "");
    assert_eq!(by("grant", &[]), "HS-2026-0117,4 ,2");
    assert_eq!(by("day", &[]), "2026-06-01,4 2026-06-02,2");
    assert_eq!(by("hour", &["--zone", "UTC"]), "2026-06-01 01:00,4 2026-06-01 16:00,1 2026-06-01 18:00,1");
    assert_eq!(by("hour-of-day,decision", &[]), "00,permit,1 02,permit,1 09,deny,2 09,permit,2");
    assert_eq!(by("weekday,month", &[]), "1,2026-06,4 2,2026-06,2");
    assert_eq!(by("status,node,address", &["--limit", "1"]), "200,gate-1,192.0.2.1,4 (other),,,2");
    assert_eq!(by("action", &["--kind", "intent"]), "query,1");
    let report = json(&pinegate(&["audit", "stats", &log, "--by", "resource", "--limit", "1", "--json"]));
    insta::assert_snapshot!("stats_json", serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn groups_beyond_the_bound_are_counted_together() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("gate-1.000001");
    fs::create_dir_all(&place).unwrap();
    let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), 1);
    let (mut lines, most) = (Vec::new(), 10_000);
    for n in 0..most + 5 {
        let actor = format!("a{n}");
        let at = Timestamp::from_second(n * 3_600).unwrap();
        let event =
            Lifecycle { at, event: Event::Reload, actor: &actor, detail: &[], policy: None, config: None };
        chain.seal(&event.encode(), &mut lines);
    }
    fs::write(place.join("00000000000000000000.jsonl"), lines).unwrap();
    let log = directory.path().to_str().unwrap();
    let report = json(&pinegate(&[
        "audit",
        "stats",
        log,
        "--kind",
        "lifecycle",
        "--by",
        "hour",
        "--json",
        "--limit",
        "20000",
    ]));
    assert_eq!(report["groups"].as_array().unwrap().len(), 10_000);
    assert_eq!((&report["other"]["accesses"], &report["total"]["accesses"]), (&5.into(), &(most + 5).into()));
    assert_eq!(report["other"]["groups"], serde_json::Value::Null, "nobody knows how many");
}

#[test]
fn an_export_is_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let file = directory.path().join("out.cef");
    let line = [
        "audit",
        "export",
        &log,
        "--format",
        "cef",
        "--output",
        file.to_str().unwrap(),
        "--decision",
        "permit",
    ];
    let ran = pinegate(&line);
    assert_eq!((ran.exit, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.ends_with("out.cef: 5 of 8 records\n"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 5);
    let ran = pinegate(&line);
    assert_eq!(ran.exit, 2);
    assert!(
        ran.err.contains("is not the name of a new file") && ran.err.contains("--overwrite"),
        "{}",
        ran.err
    );
    let again = pinegate(&[&line[..], &["--overwrite", "--system", "sys:ziran-map"]].concat());
    assert_eq!(again.exit, 0, "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3);
}

#[test]
fn a_line_that_is_no_record_is_told_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let segment = directory.path().join("audit/gate-1.000001/00000000000000000000.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"status\":403", "\"status\":4x3", 1)).unwrap();
    for (line, found) in [
        (vec!["search", "--json"], 7),
        (vec!["export", "--format", "jsonl"], 7),
        (vec!["tail", "--json"], 7),
        (vec!["stats", "--by", "node", "--format", "csv"], 2),
    ] {
        let ran = pinegate(&[&["audit"], line.as_slice(), &[&log]].concat());
        assert_eq!((ran.exit, ran.out.lines().count()), (1, found), "{line:?}");
        assert!(ran.err.contains("1 lines are no records: run `pinegate audit verify"), "{}", ran.err);
    }
}

#[test]
fn a_person_is_looked_for_past_lines_that_are_no_records() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let file = directory.path().join("audit.key");
    let (secret, kind) = ([7; 32], SubjectKind::parse("resident-id").unwrap());
    fs::write(&file, secret).unwrap();
    let key = DigestKey::new(&Secret::new(secret.to_vec()));
    let named = |number: &str| {
        let digest = key.subject(&Subject::new(&kind, number).unwrap()).to_string();
        format!(",\"subjects\":[\"{digest}\"],\"subjects_key\":\"{}\",\"decision\"", key.id())
    };
    let segment = directory.path().join("audit/gate-1.000001/00000000000000000000.jsonl");
    let lines = fs::read_to_string(&segment).unwrap();
    let lines: Vec<_> = lines
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let whom = if number == 1 { "11010519491231003X" } else { "11010519491231002X" };
            let line = line.replacen(",\"decision\"", &named(whom), 1);
            if number == 3 { line.replacen("\"status\":", "\"status\":-", 1) } else { line }
        })
        .collect();
    fs::write(&segment, lines.join("\n") + "\n").unwrap();
    let find = |more: &[&str]| {
        let key = file.to_str().unwrap();
        let line = ["audit", "subject", "--json", "--value", "11010519491231002X", "--key", key, &log];
        pinegate(&[&line, more].concat())
    };
    let ran = find(&[]);
    assert_eq!((ran.exit, ran.out.lines().count()), (1, 5), "{}", ran.err);
    assert!(ran.err.contains("5 requests by 2 systems, found in 8 records"), "{}", ran.err);
    assert!(ran.err.contains("1 lines are no records: run `pinegate audit verify"), "{}", ran.err);
    let ran = find(&["--from", "2026-06-02"]);
    assert_eq!((ran.exit, ran.out.lines().count()), (0, 3), "{}", ran.err);
    assert!(ran.err.contains("3 requests by 1 systems"), "{}", ran.err);
}

/// The standard output of somebody who, at the first they read, does something, and who goes once they have
/// read `until`.
struct Leaving<F> {
    read: Vec<u8>,
    at_first: Option<F>,
    until: &'static str,
}

impl<F: FnOnce()> Write for Leaving<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.read.extend_from_slice(bytes);
        if let Some(act) = self.at_first.take() {
            act();
        }
        let is_all = memchr::memmem::find(&self.read, self.until.as_bytes()).is_some();
        if is_all { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_is_followed_past_a_line_that_is_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let log = written(directory.path(), &day());
    let segment = directory.path().join("audit/gate-1.000001/00000000000000000000.jsonl");
    let grow = move || {
        let late = Lifecycle {
            at: now(),
            event: Event::Reload,
            actor: "latecomer",
            detail: &[],
            policy: None,
            config: None,
        };
        let mut lines = b"{\"v\":1,\"seq\":8\n".to_vec();
        Chain::new(NodeId::parse("gate-1").unwrap(), 1).seal(&late.encode(), &mut lines);
        fs::OpenOptions::new().append(true).open(&segment).unwrap().write_all(&lines).unwrap();
    };
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let out = Leaving { read: Vec::new(), at_first: Some(grow), until: "latecomer" };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
        let mut err = Vec::new();
        let mut screen = Screen::new(Box::new(out), Box::new(&mut err));
        let line = ["pinegate", "audit", "tail", "--follow", "--json", &log];
        let command = Arguments::try_parse_from(line).unwrap().command;
        let exit = dispatch(&command, &clock, &mut screen).unwrap_or_else(|error| screen.fail(&error));
        drop(screen);
        told.send((exit.code(), String::from_utf8(err).unwrap())).unwrap();
    });
    let (exit, err) = ended.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!((exit, err.matches("1 lines are no records").count()), (1, 1), "{err}");
}
