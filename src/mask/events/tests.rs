//! Event streams in, event streams out; a reader written for these tests alone says what they mean.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::tests::{
    catalogue, compile, compile_searching, path, released, run_all, run_pieces, shape,
};
use super::super::{Bounds, MaskError, Plan, Summary, Transform};
use crate::catalog::{BodyFormat, BodyShape, Egress};

const SECRET: &str = "13800138000";
const CATALOGUE: &str = "name:string phone:string:mobile note:string size:number";

fn plan_with(envelope: &[&str]) -> Arc<Plan> {
    let shape = BodyShape {
        format: BodyFormat::EventStream,
        envelope: envelope.iter().copied().map(path).collect(),
        ..shape(None, "")
    };
    compile(&shape, &released("name phone:mobile size"), &catalogue(CATALOGUE)).unwrap()
}

fn plan() -> Arc<Plan> {
    plan_with(&["event", "id"])
}

fn identity() -> Arc<Plan> {
    Arc::new(Plan::identity_of(BodyFormat::EventStream))
}

fn run_by(plan: &Arc<Plan>, body: &str) -> Result<(String, Summary), MaskError> {
    run_all(plan, Bounds::default(), body.as_bytes())
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(run_by(&plan(), body).map(|(out, _)| out).as_deref(), Ok(expected), "{body:?}");
}

#[test]
fn data_is_masked() {
    check("", "");
    check("data: {\"phone\":\"13800138000\"}\n\n", "data: {\"phone\":\"138****8000\"}\n\n");
    check("data:{\"note\":\"x\",\"size\":1}\r\n\r\n", "data:{\"size\":1}\r\n\r\n");
    check("data:  {} \r\r", "data:  {} \r\r");
    check(
        "event: row\nid: 7\ndata: {\"phone\":\"13800138000\"}\n\nid: 8\ndata: {}\n\n",
        "event: row\nid: 7\ndata: {\"phone\":\"138****8000\"}\n\nid: 8\ndata: {}\n\n",
    );
    check("\n\n\r\r\r\ndata: {}\n\n\n", "\n\n\r\r\r\ndata: {}\n\n\n");
    check(
        "data: 13800138000\n\ndata: [{\"phone\":\"13800138000\"},5]\n\n",
        "data: null\n\ndata: [{\"phone\":\"138****8000\"},null]\n\n",
    );
}

#[test]
fn data_of_several_lines_is_one_document() {
    check(
        "data: {\ndata:   \"phone\": \"13800138000\",\ndata:   \"size\": 1\ndata: }\n\n",
        "data: {\ndata:   \"phone\": \"138****8000\",\ndata:   \"size\": 1\ndata: }\n\n",
    );
    // What is dropped takes the line end before it along.
    check(
        "data: {\"note\":\ndata: 1,\ndata: \"size\":\ndata:2}\n\n",
        "data: {\ndata: \"size\":\ndata:2}\n\n",
    );
    check(
        "data: {\"size\":1,\ndata: \"note\":\"13800138000\"\ndata: }\n\n",
        "data: {\"size\":1\ndata: }\n\n",
    );
    check("data\ndata:{}\r\ndata\n\n", "data\ndata:{}\r\ndata:\n\n");
    check("data: {\rdata:}\r\n\r\n", "data: {\rdata:}\r\n\r\n");
    // A line end inside a string is none that JSON allows.
    let body = "data: {\"name\":\"a\ndata: b\"}\n\n";
    assert_eq!(run_by(&plan(), body).map(|_| ()), Err(MaskError::Control { at: 16 }));
    // Fields between the lines of data follow behind them.
    check(
        "data: {\nid: 1\nevent: x\r\n: c\nretry: 5\rdata: }\n\n",
        "data: {\ndata: }\nid: 1\nevent: x\r\nretry: 5\r\n\n",
    );
}

#[test]
fn fields_beside_data_are_short_tokens_or_nothing() {
    let (out, summary) = run_by(
        &plan(),
        "id: a b\nevent: 张三\nretry: 13800138000\nretry: x\nretry:\nfoo: 13800138000\n data: x\nData: {}\ndata: {}\nid:\u{0}\n\n",
    )
    .unwrap();
    assert_eq!(out, "data: {}\n\n");
    assert_eq!(summary.unclassified(), 9);
    check("id\nevent:\nretry:3000\ndata:{}\n\n", "id\nevent:\nretry:3000\ndata:{}\n\n");
    let long = "x".repeat(64);
    check(&format!("id: {long}\ndata: {{}}\n\n"), &format!("id: {long}\ndata: {{}}\n\n"));
    check(&format!("id: {long}x\ndata: {{}}\n\n"), "data: {}\n\n");
    // Only what the envelope names leaves.
    let body = "event: row\nid: 7\nretry: 10\ndata: {}\nid: 9\n\n";
    assert_eq!(run_by(&plan_with(&[]), body).unwrap().0, "retry: 10\ndata: {}\n\n");
    assert_eq!(run_by(&plan_with(&["id"]), body).unwrap().0, "id: 7\nretry: 10\ndata: {}\nid: 9\n\n");
    let many = format!("data: {{}}\n{}\n", "id: 1234567890\n".repeat(200));
    let (out, summary) = run_by(&plan(), &many).unwrap();
    assert!(out.len() < 1_100);
    assert!(summary.unclassified() > 120);
}

/// A CR that leaves and an LF that was not behind it must not become one line end.
#[test]
fn line_ends_stay_apart_where_a_line_between_them_goes() {
    check("data: {}\rfoo: x\n\n", "data: {}\r\n\n");
    check("id: 1\rfoo: x\n\ndata: {}\n\n", "id: 1\r\n\ndata: {}\n\n");
    check(":\rfoo: x\n\n", ":\r\n\n");
    check("data: {}\r\rfoo\n\n", "data: {}\r\r\n\n");
    check("data: {}\rfoo: x\r\n\r\n", "data: {}\r\r\n");
}

#[test]
fn what_comments_say_does_not_leave() {
    let (out, summary) =
        run_by(&plan(), ": 13800138000\n\n:\r\n:keep\rdata: {}\n: 13800138000\n\n: x\n").unwrap();
    assert_eq!(out, ":\n\n:\r\n:\rdata: {}\n\n:\n");
    assert_eq!((summary.unclassified(), summary.records()), (0, 1));
    assert_eq!(run_by(&identity(), ": 13800138000\n").unwrap().0, ":\n");
}

#[test]
fn data_is_searched_where_the_resource_asks_for_it() {
    let shape = BodyShape { format: BodyFormat::EventStream, ..shape(None, "") };
    let plan = |egress| compile_searching(&shape, "note size", &catalogue(CATALOGUE), egress);
    let body = "data: {\"note\":\"tel 13800138000\",\ndata: \"size\":1}\n\n";
    let (out, summary) = run_by(&plan(Egress::Report), body).unwrap();
    assert_eq!(out, body);
    let found: Vec<_> = summary.findings().map(|found| (found.path.as_str(), found.count)).collect();
    assert_eq!(found, [("note", 1)]);
    assert_eq!(run_by(&plan(Egress::Block), body).map(|_| ()).map_err(|error| error.reason()), Err("egress"));
    // What stands beside it too.
    let shape = BodyShape { envelope: vec![path("id"), path("event")], ..shape.clone() };
    let plan = |egress| compile_searching(&shape, "note size", &catalogue(CATALOGUE), egress);
    let body = "id: 13800138000\nevent: e-13800138001\ndata: {}\n\ndata: {}\nid: 13800138002\n\n";
    let (out, summary) = run_by(&plan(Egress::Report), body).unwrap();
    assert_eq!(out, body);
    let found: Vec<_> = summary.findings().map(|found| (found.path.as_str(), found.count)).collect();
    assert_eq!(found, [("event", 1), ("id", 2)]);
    for body in ["id: 13800138000\ndata: {}\n\n", "event: e.13800138001\ndata: {}\n\n"] {
        let blocked = run_by(&plan(Egress::Block), body).map(|_| ()).map_err(|error| error.reason());
        assert_eq!(blocked, Err("egress"), "{body}");
    }
    let body = "id: 1\nevent: row\ndata: {}\n\n";
    assert_eq!(run_by(&plan(Egress::Block), body).unwrap().0, body);
}

#[test]
fn lines_that_are_no_event_pass() {
    check("retry: 3000\n\n: hello\n\nid: 5\n\n", "retry: 3000\n\n:\n\nid: 5\n\n");
}

#[test]
fn hostile_bodies_are_refused() {
    for (body, reason, at) in [
        ("data: [DONE]\n\n", "syntax", 7),
        ("data: hello\n\n", "syntax", 6),
        ("data: {\"phone\":\"13800138000\"\n\n", "syntax", 29),
        ("data:\n\n", "syntax", 6),
        ("data\n\n", "syntax", 5),
        ("event: x\n\n", "syntax", 9),
        ("event\n\n", "syntax", 6),
        ("data: {}{\"phone\":\"13800138000\"}\n\n", "trailing", 8),
        ("data: {}\ndata: {\"phone\":\"13800138000\"}\n\n", "trailing", 15),
        ("data: {\"name\":\"\u{1}\"}\n\n", "control-character", 15),
        ("data: \u{feff}{}\n\n", "syntax", 6),
        // An event that nothing ends may have been cut.
        ("data: {}\n", "truncated", 9),
        ("data: {}", "truncated", 8),
        ("data: {}\n\ndata: {\"size\"", "truncated", 23),
        ("event: x\n", "truncated", 9),
        (": comment", "truncated", 9),
        ("id", "truncated", 2),
    ] {
        for plan in [plan(), plan_with(&[]), identity()] {
            let error = run_by(&plan, body).map(|(out, _)| out).unwrap_err();
            let place = if let MaskError::Syntax { at, .. }
            | MaskError::Trailing { at }
            | MaskError::Control { at }
            | MaskError::Truncated { at } = error
            {
                Some(at)
            } else {
                None
            };
            assert_eq!((error.reason(), place), (reason, Some(at)), "{body:?}: {error}");
        }
    }
    for body in ["\u{feff}data: {}\n\n", "\u{feff}"] {
        assert_eq!(run_by(&plan(), body).map(|_| ()), Err(MaskError::ByteOrderMark));
    }
}

#[test]
fn records_are_counted_over_all_events() {
    let bounds = Bounds { records: Some(3), ..Bounds::default() };
    let run = |body: &str| run_all(&plan(), bounds, body.as_bytes()).map(|(_, summary)| summary.records());
    assert_eq!(run("data: {}\n\ndata: [{},{}]\n\n"), Ok(3));
    assert_eq!(run("data: {}\n\ndata: [{},{},{}]\n\n"), Err(MaskError::TooManyRecords { max: 3 }));
}

/// A live stream must show an event as soon as it has ended.
#[test]
fn nothing_of_a_finished_event_waits() {
    for (event, left) in [
        ("data: {\"size\":1}\n\n", "data: {\"size\":1}\n\n"),
        ("data: {\"note\":1,\ndata: \"phone\":1}\n\n", "data: {\ndata: \"phone\":null}\n\n"),
        ("data: 5\r\n\r\n", "data: null\r\n\r\n"),
        ("data: {}\r\r", "data: {}\r\r"),
        (": alive\n", ":\n"),
    ] {
        let mut transform = Transform::new(plan(), Bounds::default());
        for _ in 0..3 {
            let mut out = Vec::new();
            transform.push(event.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), left);
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let mut transform = Transform::new(plan(), Bounds::default());
    let mut out = Vec::new();
    for line in [": ", "foo: ", "id: ", "f", "data: {\"name\":\"", "\",\"note\":\"", "\",\"phone\":\""] {
        if !matches!(line, "data: {\"name\":\"" | "\",\"note\":\"" | "\",\"phone\":\"") {
            transform.push(b"\n", &mut out).unwrap();
        } else if line.starts_with("data") {
            transform.push(b"\n\n", &mut out).unwrap();
        }
        transform.push(line.as_bytes(), &mut out).unwrap();
        for _ in 0..32 {
            transform.push(&[b'7'; 64 << 10], &mut out).unwrap();
            out.clear();
            assert!(transform.footprint() < 256 << 10);
        }
    }
    for _ in 0..10_000 {
        transform.push(b"\"}\n\ndata: {\"name\":\"", &mut out).unwrap();
        out.clear();
        assert!(transform.footprint() < 256 << 10);
    }
    transform.push(b"\"}\n\n", &mut out).unwrap();
    transform.finish(&mut out).unwrap();
}

// === against an oracle ===

#[derive(Debug, PartialEq, Default, Clone)]
struct Event {
    kind: String,
    data: String,
    id: String,
    retry: Option<String>,
}

/// Section 9.2.6, over the whole text.
fn interpret(body: &str) -> Vec<Event> {
    let text = body.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut id, mut retry, mut kind, mut data) =
        (Vec::new(), String::new(), None, String::new(), Vec::new());
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else { break };
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            _ if line.is_empty() => {
                if !data.is_empty() {
                    events.push(Event {
                        kind: kind.clone(),
                        data: data.join("\n"),
                        id: id.clone(),
                        retry: retry.clone(),
                    });
                }
                kind.clear();
                data.clear();
            }
            "event" => kind = value.to_owned(),
            "data" => data.push(value.to_owned()),
            "id" => id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => retry = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

fn line_end() -> impl Strategy<Value = &'static str> {
    select(vec!["\n", "\n", "\r\n", "\r"])
}

fn document() -> impl Strategy<Value = Vec<String>> {
    let member = select(vec![
        "\"name\":\"CLEAR\"",
        "\"phone\":\"13800138000\"",
        "\"note\":\"CANARY\"",
        "\"x\":{\"phone\":\"CANARY\"}",
        "\"size\":1.50",
        "\"size\":\"CANARY\"",
        "\"phone\" : [\"CANARY\"]",
    ]);
    let joint = select(vec![",", ", ", " ,", ",\n", "\n,\n ", ",\n\n"]);
    proptest::collection::vec((member, joint), 0..5).prop_map(|members| {
        let mut text = String::from("{");
        for (at, (member, joint)) in members.iter().enumerate() {
            if at > 0 {
                text.push_str(joint);
            }
            text.push_str(member);
        }
        text.push('}');
        text.split('\n').map(str::to_owned).collect()
    })
}

fn beside() -> impl Strategy<Value = &'static str> {
    select(vec![
        "event: row",
        "event:CANARY row",
        "id: 42",
        "id",
        "id:1 2 CANARY",
        "retry: 100",
        "retry: 13800138000",
        ": CANARY",
        ":",
        "CANARY: 1",
        "foo",
    ])
}

/// An event stream; fields beside data stand before or behind it.
fn body() -> impl Strategy<Value = String> {
    let lines = (
        proptest::collection::vec(beside(), 0..3),
        document(),
        select(vec!["data: ", "data:"]),
        proptest::collection::vec(beside(), 0..3),
        proptest::collection::vec(line_end(), 20),
    );
    let event = lines.prop_map(|(before, data, name, behind, mut ends)| {
        let mut text = String::new();
        let data = data.iter().map(|line| format!("{name}{line}"));
        for line in
            before.into_iter().map(str::to_owned).chain(data).chain(behind.into_iter().map(str::to_owned))
        {
            text.push_str(&line);
            text.push_str(ends.pop().unwrap_or("\n"));
        }
        // A CR would be one line end with an LF that is meant to be the blank line.
        text.push_str(if text.ends_with('\r') { "\r" } else { "\n" });
        text
    });
    proptest::collection::vec(event, 0..4).prop_map(|events| events.concat())
}

/// What may leave, by the words of the docs.
fn expected(body: &str) -> Vec<Event> {
    let json = compile(&shape(None, ""), &released("name phone:mobile size"), &catalogue(CATALOGUE)).unwrap();
    let mut events = interpret(&sift(body));
    for event in &mut events {
        let (out, _) = run_pieces(&json, Bounds::default(), [event.data.as_bytes()]).unwrap();
        event.data = String::from_utf8(out).unwrap();
    }
    events
}

/// The lines whose field may leave.
fn sift(body: &str) -> String {
    let text = body.replace("\r\n", "\n").replace('\r', "\n");
    let may_leave = |line: &&str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match name {
            "event" | "id" => !value.contains(' '),
            "retry" => value.len() < 7,
            _ => true,
        }
    };
    text.split('\n').filter(may_leave).collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(500), ..ProptestConfig::default() })]

    #[test]
    fn streams_mean_the_same_but_for_the_masks(body in body()) {
        let (out, summary) = run_pieces(&plan(), Bounds::default(), [body.as_bytes()]).unwrap();
        let out = String::from_utf8(out).unwrap();
        let events = interpret(&out);
        prop_assert_eq!(&events, &expected(&body), "{:?} became {:?}", body, out);
        prop_assert_eq!(summary.records(), u64::try_from(events.len()).unwrap());
        prop_assert!(!out.contains("CANARY") && !out.contains(SECRET), "{:?} became {:?}", body, out);
    }

    #[test]
    fn streams_do_not_depend_on_any_cut(body in body(), mutations in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..3)) {
        const LIKELY: &[u8] = b"\n\r: {}\",a\x00\xe5";
        let mut body = body.into_bytes();
        for (at, byte) in mutations {
            body.insert(at % (body.len() + 1), LIKELY[usize::from(byte) % LIKELY.len()]);
        }
        body.truncate(300);
        let tight = Bounds { depth: 2, key: 4, value: 8, space: 1, records: Some(2) };
        for bounds in [Bounds::default(), tight] {
            // A refusal is as good as any other result: all cuts must come to the same.
            if let Ok((_, summary)) = run_all(&plan(), bounds, &body) {
                prop_assert_eq!(summary.bytes_in, u64::try_from(body.len()).unwrap());
            }
        }
    }

    /// Bytes stay as they are where nothing is dropped.
    #[test]
    fn the_identity_changes_no_data(
        events in proptest::collection::vec((document(), line_end(), select(vec!["data: ", "data:"]), any::<bool>()), 0..4),
    ) {
        let mut body = String::new();
        for (lines, end, name, is_named) in events {
            if is_named {
                body.push_str(&format!("event: row{end}id:1{end}retry: 3{end}:{end}"));
            }
            for line in lines {
                body.push_str(&format!("{name}{line}{end}"));
            }
            body.push_str(&format!("id: 2{end}{end}"));
        }
        let (out, _) = run_pieces(&identity(), Bounds::default(), body.as_bytes().chunks(7)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), body);
    }
}
