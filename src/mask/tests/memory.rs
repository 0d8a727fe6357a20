//! What a body costs in memory, whatever its size.
//!
//! `PINEGATE_LARGE_BYTES` asks for longer bodies than every run can afford; `benches/memory.rs` measures a
//! whole process, and `benches/README.md` has its figures.

use super::*;

/// The most that a body may cost beside the piece at hand, in bytes.
const MOST: usize = 1 << 20;
/// The pieces that a body comes in, as a connection would bring them.
const PIECE: usize = 16 << 10;

/// How long the generated bodies are, in bytes.
fn length() -> u64 {
    let asked = std::env::var_os("PINEGATE_LARGE_BYTES");
    asked.map_or(16 << 20, |asked| asked.to_str().unwrap().parse().unwrap())
}

/// Pushes `head`, then `part` again and again until the body is as long as asked, then `tail`, and
/// looks at the memory after each piece.
#[track_caller]
fn check(plan: &Arc<Plan>, head: &str, part: &str, tail: &str) -> (Summary, u64) {
    let mut transform = Transform::new(Arc::clone(plan), Bounds::default());
    let mut out = Vec::new();
    let mut most = 0;
    let mut push = |transform: &mut Transform, piece: &[u8]| {
        out.clear();
        transform.push(piece, &mut out).unwrap();
        most = most.max(transform.footprint() + out.capacity());
    };
    push(&mut transform, head.as_bytes());
    // Whole parts, cut at every place in turn.
    let run = part.as_bytes().repeat(PIECE.div_ceil(part.len()) + 1);
    let (mut at, mut parts) = (0, 0);
    while transform.summary().bytes_in < length() || at != 0 {
        let end = if transform.summary().bytes_in < length() { at + PIECE } else { part.len() };
        push(&mut transform, &run[at..end]);
        parts += u64::try_from(end / part.len()).unwrap();
        at = end % part.len();
    }
    push(&mut transform, tail.as_bytes());
    assert!(most < MOST, "{most} bytes were held");
    out.clear();
    (transform.finish(&mut out).unwrap(), parts)
}

fn plan(records: Option<&str>) -> Arc<Plan> {
    let fields =
        catalogue("name:string phone:string:mobile note:string size:number more:object more.x:string");
    compile(&shape(records, "code"), &released("name phone:mobile size more.x"), &fields).unwrap()
}

const RECORD: &str = "{\"name\" : \"张三\", \"phone\":\"1\\u0033800138000\",\"note\":[{\"x\":[1,2]}],\"size\":1.10, \"later\":null}";

#[test]
fn a_document_of_many_records() {
    let (summary, records) =
        check(&plan(Some("data")), "{\"data\":[", &format!("{RECORD},\n"), "{}],\"code\":0}");
    assert_eq!(summary.records(), records + 1);
    assert_eq!(summary.masked(), records);
    assert_eq!((summary.dropped(), summary.unclassified()), (records, records));
}

#[test]
fn lines() {
    let mut shape = shape(None, "");
    shape.format = BodyFormat::NdJson;
    let fields = catalogue("name:string phone:string:mobile note:string size:number");
    let plan = compile(&shape, &released("name phone:mobile size"), &fields).unwrap();
    let (summary, records) = check(&plan, "", &format!("{RECORD}\n"), "");
    assert_eq!((summary.records(), summary.masked()), (records, records));
}

/// One record of one document, with a member for each part.
#[test]
fn one_record_of_many_members() {
    let part = "\"phone\":\"13800138000\",\"unknown\":{\"phone\":\"13800138000\"} , ";
    let (summary, members) = check(&plan(None), "{", part, "\"size\":1}");
    assert_eq!((summary.records(), summary.masked(), summary.unclassified()), (1, members, members));
}

#[test]
fn one_text_that_leaves() {
    let (summary, _) = check(&plan(None), "{\"name\":\"", "张三\\u5f20 and so on, \\\\ \\n", "\"}");
    assert_eq!(summary.bytes_in, summary.bytes_out);
}

#[test]
fn one_text_that_is_masked() {
    let (summary, _) = check(&plan(None), "{\"phone\":\"", "13800138000", "\"}");
    assert_eq!((summary.masked(), summary.bytes_out), (1, 15));
}

#[test]
fn one_text_that_does_not_leave() {
    let (summary, _) = check(&plan(None), "{\"note\":\"", "\\ud83d\\ude00x", "\"}");
    assert_eq!((summary.dropped(), summary.bytes_out), (1, 2));
}

#[test]
fn one_number() {
    let (summary, _) = check(&plan(None), "{\"size\":1", "0123456789", "e5}");
    assert_eq!(summary.bytes_in, summary.bytes_out);
}

#[test]
fn one_array_of_masked_values() {
    let part = "[\"13800138000\" , null,[[13800138000]]], ";
    let (summary, parts) = check(&plan(None), "{\"phone\":[", part, "[]]}");
    assert_eq!(summary.masked(), 2 * parts);
}

/// White space where nothing has to be held back may be as long as it likes.
#[test]
fn white_space() {
    let (summary, _) = check(&plan(None), "", " \n\t\r", "{}");
    assert_eq!(summary.bytes_in, summary.bytes_out);
    let (summary, _) = check(&plan(None), "{\"size\":", " \n\t\r", "1}");
    assert_eq!(summary.bytes_in, summary.bytes_out);
}
