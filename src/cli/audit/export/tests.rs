use proptest::prelude::*;

use super::*;
use crate::audit::{
    Access, Admitted, Chain, Entry, Event, Kind, Lifecycle, Members, Name, Outcome, is_dangerous,
};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::*;
use crate::kernel::time::Timestamp;

/// What a caller and the log's surroundings can put into a record.
#[derive(Debug, Clone)]
struct Texts {
    method: String,
    requested: Vec<String>,
    parameter: String,
    actor: String,
    detail: String,
}

fn usual() -> Texts {
    Texts {
        method: "GET".to_owned(),
        requested: vec!["name".to_owned(), "phone".to_owned()],
        parameter: "330100".to_owned(),
        actor: "uid 1000".to_owned(),
        detail: "policies".to_owned(),
    }
}

fn at() -> Timestamp {
    "2026-06-01T01:30:00.123456Z".parse().unwrap()
}

fn access(texts: &Texts, kind: Kind, reason: Option<&'static str>) -> Entry {
    let id = |text| SystemId::parse(text).unwrap();
    let (system, resource) = (id("sys:minzheng-aid"), ResourceId::parse("population.resident").unwrap());
    let department = DepartmentId::parse("dept:minzheng").unwrap();
    let provider = DepartmentId::parse("dept:gongan").unwrap();
    let (action, purpose) =
        (Action::parse("query").unwrap(), PurposeCode::parse("social-aid.review").unwrap());
    let (token, grants) = (TokenId::parse("t|1=").unwrap(), [GrantId::parse("HS-2026-0117").unwrap()]);
    let paths = ["name", "phone"].map(|path| FieldPath::parse(path).unwrap());
    let released = paths.clone().map(|path| ReleasedField { path, treatment: Treatment::Clear });
    let masked: Vec<_> = paths.iter().zip([10, 12]).collect();
    let outcome = Outcome {
        status: if reason.is_some() { 403 } else { 200 },
        bytes_in: 0,
        bytes_out: 4096,
        records: reason.is_none().then_some(10),
        masked: &masked,
        dropped: &masked[..1],
        egress: &[],
        unclassified: 2,
        submitted: None,
        received_mac: None,
        sent_sha256: Some(Digest([5; 32])),
        total_us: 1_500,
        decide_us: 40,
        upstream_us: 1_100,
        attempts: 1,
        aborted: None,
        ended_by: None,
    };
    Access {
        kind,
        at: at(),
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        system: Some(&system),
        department: Some(&department),
        certificate: &Digest([7; 32]),
        address: if reason.is_some() {
            "2001:db8::1".parse().unwrap()
        } else {
            "192.0.2.17".parse().unwrap()
        },
        method: &texts.method,
        route: Some("/population/residents/{id}"),
        resource: Some(&resource),
        provider: Some(&provider),
        action: Some(&action),
        purpose: Some(&purpose),
        purpose_source: Some("token"),
        token_id: Some(&token),
        requested: &texts.requested,
        parameters: &[(ParameterName::parse("area").unwrap(), texts.parameter.clone())],
        subjects: None,
        withheld: &[(ParameterName::parse("id").unwrap(), 1)],
        narrowed_to: None,
        decision: if reason.is_some() { "deny" } else { "permit" },
        reason,
        admitted: reason.is_none().then_some(Admitted::Grants),
        grants: if reason.is_none() { &grants } else { &[] },
        denied_by: if reason.is_some() { &grants } else { &[] },
        released: if reason.is_none() { &released } else { &[] },
        policy: "aa",
        config: "bb",
        shadow: None,
        outcome: (kind != Kind::Intent).then_some(outcome),
    }
    .encode()
}

/// Lines of every kind, without newlines.
fn lines(texts: &Texts) -> Vec<Vec<u8>> {
    let event = Lifecycle {
        at: at(),
        event: Event::Reload,
        actor: &texts.actor,
        detail: &[("directory", &texts.detail)],
        policy: Some("aa"),
        config: None,
    };
    let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), 3);
    [
        access(texts, Kind::Access, None),
        access(texts, Kind::Access, Some("scope-exceeded")),
        access(texts, Kind::Intent, None),
        event.encode(),
    ]
    .iter()
    .map(|entry| {
        let mut line = Vec::new();
        chain.seal(entry, &mut line);
        line.pop();
        line
    })
    .collect()
}

/// What a format makes of all these records, its first line included.
fn exported(format: ExportFormat, lines: &[Vec<u8>]) -> String {
    let (encoder, mut out) = (Encoder::new(format), Vec::new());
    encoder.begin(&mut out);
    for line in lines {
        encoder.record(&Hit { line, record: Members::read(line).unwrap() }, &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_formats_are_these() {
    let lines = lines(&usual());
    insta::assert_snapshot!("csv", exported(ExportFormat::Csv, &lines));
    insta::assert_snapshot!("cef", exported(ExportFormat::Cef, &lines));
    // Indented to be read; on one line each in truth.
    let events: Vec<String> = exported(ExportFormat::Ocsf, &lines)
        .lines()
        .map(|line| {
            serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line).unwrap()).unwrap()
        })
        .collect();
    insta::assert_snapshot!("ocsf", events.join("\n"));
    let plain: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    assert_eq!(exported(ExportFormat::Jsonl, &lines), format!("{}\n", plain.join("\n")));
}

/// Reads one event as a collector does: seven header fields, then keys and values.
fn read_cef(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut header = vec![String::new()];
    let mut chars = line.chars();
    while header.len() < 8 {
        match chars.next().unwrap() {
            '\\' => header.last_mut().unwrap().push(chars.next().unwrap()),
            '|' => header.push(String::new()),
            c => header.last_mut().unwrap().push(c),
        }
    }
    header.pop();
    let (mut pairs, mut text) = (Vec::<(String, String)>::new(), String::new());
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(match chars.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                c => c,
            }),
            '=' => {
                let (before, key) =
                    text.rsplit_once(' ').map_or((None, text.as_str()), |(before, key)| (Some(before), key));
                if let (Some(before), Some((_, value))) = (before, pairs.last_mut()) {
                    *value = before.to_owned();
                }
                pairs.push((key.to_owned(), String::new()));
                text.clear();
            }
            c => text.push(c),
        }
    }
    pairs.last_mut().unwrap().1 = text;
    (header, pairs)
}

/// A text of which a line-based reader sees what a terminal obeys by its number.
fn spelt(text: &str) -> String {
    let mut spelt = String::new();
    for c in text.chars() {
        if is_dangerous(c) && !['\n', '\r', '"', '\\'].contains(&c) {
            spelt.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            spelt.push(c);
        }
    }
    spelt
}

fn texts() -> impl Strategy<Value = Texts> {
    let hostile = || {
        prop_oneof![
            ".{0,20}",
            "[=|\\\\\"',;\r\n\u{85}\u{2028}\u{202e} a+@-]{0,20}",
            Just("x|CEF:0|a|b|c|d|e|9|act=permit\n".to_owned()),
            Just("=cmd|' /C calc'!A0".to_owned()),
        ]
    };
    (hostile(), prop::collection::vec(hostile(), 0..4), hostile(), hostile(), hostile()).prop_map(
        |(method, requested, parameter, actor, detail)| Texts { method, requested, parameter, actor, detail },
    )
}

proptest! {
    #[test]
    fn hostile_texts_break_no_line(texts in texts()) {
        let lines = lines(&texts);
        for format in [ExportFormat::Jsonl, ExportFormat::Csv, ExportFormat::Ocsf, ExportFormat::Cef] {
            let out = exported(format, &lines);
            let expected = lines.len() + usize::from(format == ExportFormat::Csv);
            prop_assert_eq!(out.split_inclusive('\n').count(), expected, "{:?}", format);
            let plain = out.replace("\r\n", "").replace('\n', "");
            prop_assert!(!plain.chars().any(|c| is_dangerous(c) && !['"', '\\'].contains(&c)), "{:?}", format);
        }
        for (event, line) in exported(ExportFormat::Ocsf, &lines).lines().zip(&lines) {
            let event: serde_json::Value = serde_json::from_str(event).unwrap();
            let record = Members::read(line).unwrap();
            prop_assert_eq!(&event["metadata"]["version"], "1.6.0");
            if event["class_uid"] == 6003 {
                // Cut to what a record has room for.
                let method = record.word(Name::METHOD);
                prop_assert_eq!(&event["http_request"]["http_method"], &*method);
                prop_assert_eq!(&event["unmapped"]["parameters"]["area"], texts.parameter.as_str());
            }
        }
    }

    #[test]
    fn a_collector_reads_what_was_recorded(texts in texts()) {
        let lines = lines(&texts);
        for (text, line) in exported(ExportFormat::Cef, &lines).lines().zip(&lines) {
            let record = Members::read(line).unwrap();
            let (header, pairs) = read_cef(text);
            prop_assert_eq!(&header[..3], ["CEF:0", "Pinegate", "pinegate"]);
            prop_assert_eq!(header.len(), 7);
            let value = |key: &str| pairs.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str());
            prop_assert_eq!(value("dvchost"), Some("gate-1"));
            let method = record.text(Name::METHOD).map(|method| spelt(&method));
            // A reader cannot tell a value of nothing from one that ends in spaces: it sees no value.
            prop_assert_eq!(value("requestMethod"), method.as_deref());
            let keys: std::collections::BTreeSet<_> = pairs.iter().map(|(key, _)| key).collect();
            prop_assert_eq!(keys.len(), pairs.len(), "no text made a key");
            if record.raw(Name::EVENT).is_some() {
                let actor = spelt(&texts.actor);
                prop_assert_eq!(value("suser"), Some(actor.as_str()));
            }
        }
    }

    #[test]
    fn a_spreadsheet_has_every_column(texts in texts()) {
        let out = exported(ExportFormat::Csv, &lines(&texts));
        let mut reader = csv::Reader::from_reader(out.as_bytes());
        let columns = reader.headers().unwrap().len();
        for row in reader.records() {
            let row = row.unwrap();
            prop_assert_eq!(row.len(), columns);
            prop_assert!(!row.iter().any(|cell| cell.starts_with(['=', '+', '-', '@'])));
        }
    }
}
