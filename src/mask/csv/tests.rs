//! CSV bodies in, CSV bodies out; the `csv` crate says what they mean.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::tests::{
    catalogue, compile, compile_refusing, compile_searching, maskers, released, run_all, run_pieces, shape,
};
use super::super::{Bounds, MaskError, Plan, Summary, Value};
use super::{MAX_COLUMNS, MAX_HEADER_BYTES, MAX_HELD_BYTES};
use crate::catalog::{BodyFormat, BodyShape, Delimiter, Egress, NameMatching};
use crate::grant::Treatment;

const SECRET: &str = "13800138000";
const CATALOGUE: &str = "name:string phone:string:mobile note:string size:number ok:boolean born:date \
    addr.city:string addr.line:string box:object box.in:string";
const RELEASED: &str = "name phone:mobile size ok born addr.city box";

fn csv_shape() -> BodyShape {
    BodyShape { format: BodyFormat::Csv, ..shape(None, "") }
}

fn plan_of(shape: &BodyShape, fields: &str) -> Arc<Plan> {
    compile(shape, &released(fields), &catalogue(CATALOGUE)).unwrap()
}

fn plan() -> Arc<Plan> {
    plan_of(&csv_shape(), RELEASED)
}

fn identity() -> Arc<Plan> {
    Arc::new(Plan::identity_of(BodyFormat::Csv))
}

fn run_by(plan: &Arc<Plan>, body: &str) -> Result<(String, Summary), MaskError> {
    run_all(plan, Bounds::default(), body.as_bytes())
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(run_by(&plan(), body).map(|(out, _)| out).as_deref(), Ok(expected), "{body}");
}

/// Where a body is refused, and why.
#[track_caller]
fn refuse(body: &str, reason: &str, at: u64) {
    for plan in [plan(), identity(), plan_of(&csv_shape(), ""), plan_of(&csv_shape(), "phone:mobile")] {
        let error = run_by(&plan, body).map(|(out, _)| out).unwrap_err();
        assert_eq!((error.reason(), place(error)), (reason, Some(at)), "{body:?}: {error}");
    }
}

fn place(error: MaskError) -> Option<u64> {
    if let MaskError::Syntax { at, .. }
    | MaskError::Utf8 { at }
    | MaskError::Control { at }
    | MaskError::KeyTooLong { at, .. }
    | MaskError::HeaderTooLong { at, .. }
    | MaskError::TooManyColumns { at, .. }
    | MaskError::Truncated { at } = error
    {
        return Some(at);
    }
    None
}

#[test]
fn columns_leave_or_go_with_their_delimiters() {
    check("name,phone\n张三,13800138000\n", "name,phone\n张三,138****8000\n");
    check("phone,name\r\n13800138000,李四\r\n", "phone,name\r\n138****8000,李四\r\n");
    check("note,name,note,phone,x\na,b,c,13800138000,d\n", "name,phone\nb,138****8000\n");
    check("x,y,name\n1,2,3\n4,5,6", "name\n3\n6");
    check("name,x,y\n1,2,3\n4,5,6", "name\n1\n4");
    check("x,name,y,born,z\n1,2,3,4,5", "name,born\n2,4");
    check("name", "name");
    check("name\n", "name\n");
    check("name,x\n", "name\n");
    check("name\r\na\nb\r\nc", "name\r\na\nb\r\nc");
    check("name, phone ,phone\na,13800138000,13800138000", "name,phone\na,138****8000");
    check("addr.city,addr.line,addr,addr.,.addr,addr.city.x\na,b,c,d,e,f", "addr.city,addr\na,");
    check("name,Phone,PHONE,phone\u{200b},ｐhone\na,b,c,d,e\n", "name\na\n");
}

#[test]
fn nothing_leaves_where_no_column_does() {
    for body in ["note,x\na,b\nc,d\n", "note", "x\r\n1\r\n"] {
        let (out, summary) = run_by(&plan(), body).unwrap();
        assert_eq!(out, "");
        assert_eq!(summary.records(), u64::try_from(body.lines().count()).unwrap() - 1);
    }
}

#[test]
fn quotes_stay_as_they_are() {
    check("\"name\",\"phone\"\n\"a\",\"13800138000\"\n", "\"name\",\"phone\"\n\"a\",\"138****8000\"\n");
    check("\"na\"\"me\",name\n\"x\",\"a,\"\"b\"\"\r\nc\rd\"\n", "name\n\"a,\"\"b\"\"\r\nc\rd\"\n");
    check("phone,name\n\"1380013800\"\"0\",\"\"\"\"\n", "phone,name\n\"***\",\"\"\"\"\n");
    check("note,name\n\"1,\n2\",b\n", "name\nb\n");
    check("name,phone\n a b , 13800138000\n", "name,phone\n a b ,***\n");
}

#[test]
fn what_a_masker_leaves_is_quoted_where_it_must_be() {
    let plan = plan_of(&csv_shape(), "name:first note:null phone:full size");
    for (body, expected) in [
        ("name\n\"a,bc\"\n", "name\n\"a,***\"\n"),
        ("name\n\"\"\"bcd\"\n", "name\n\"\"\"b***\"\n"),
        ("name\n\"\n\ncd\"\n", "name\n\"\n\n***\"\n"),
        ("name\n\"\r\nxy\"\n", "name\n\"\r\n***\"\n"),
        ("name\nabcd\n", "name\nab***\n"),
        ("name\n张三丰a\n", "name\n张三***\n"),
        ("name,note\n\"abcd\",\"secret\"\n", "name,note\n\"ab***\",\n"),
        ("note,size\nsecret,\nsecret,5\n", "note,size\n,\n,5\n"),
        ("note,x\nsecret,1\n\"s\",2\n,3\n\"\",4\n", "note\n\"\"\n\"\"\n\"\"\n\"\"\n"),
    ] {
        assert_eq!(run_by(&plan, body).unwrap().0, expected, "{body}");
    }
}

/// With one column left, a bare empty field would be a blank line, which readers pass over.
#[test]
fn no_line_becomes_blank() {
    check("name,x\n,1\na,2\n\"\",3\n,4", "name\n\"\"\na\n\"\"\n\"\"");
    check("x,size\n1,\n1,5\n1,a\n1,\"a\"\n", "size\n\"\"\n5\n\"\"\n\"\"\n");
    check("x,name\r\n1,\r\n", "name\r\n\"\"\r\n");
    check("name,born\n,\n", "name,born\n,\n");
}

#[test]
fn an_empty_field_is_no_value() {
    check(
        "name,phone,size,ok,box\n,,,,\n\"\",\"\",\"\",\"\",\"\"\n",
        "name,phone,size,ok,box\n,,,,\n\"\",\"\",\"\",\"\",\"\"\n",
    );
    assert_eq!(run_by(&plan(), "phone,size\n,\n\"\",\n").unwrap().1.masked(), 0);
}

#[test]
fn what_is_not_of_its_type_does_not_leave() {
    let (out, summary) = run_by(
        &plan(),
        "size,ok,name\n12.50,true,a\n\"1e3\",\"0\",b\n13800138000x,2,c\n 1,,d\n\"1\"\"\",yes!,e\n",
    )
    .unwrap();
    assert_eq!(out, "size,ok,name\n12.50,true,a\n\"1e3\",\"0\",b\n,,c\n,,d\n,,e\n");
    let counts: Vec<_> = summary.fields().map(|count| (count.path.as_str(), count.masked)).collect();
    assert_eq!(counts, [("ok", 2), ("size", 3)]);
    // An object is no text.
    check("box,box.in,name\n13800138000,b,c\n", "box,box.in,name\n,b,c\n");
}

#[test]
fn names_fold_where_the_catalogue_says_so() {
    let shape = BodyShape { names: NameMatching::Fold, ..csv_shape() };
    let plan = plan_of(&shape, RELEASED);
    let (out, _) =
        run_by(&plan, "NAME,Phone,ｐhone,Addr.CITY,phones\na,13800138000,13800138000,c,d\n").unwrap();
    assert_eq!(out, "NAME,Phone,ｐhone,Addr.CITY\na,138****8000,138****8000,c\n");
}

#[test]
fn a_doubled_column_is_treated_alike() {
    check("phone,name,phone\n13800138000,a,13900139000\n", "phone,name,phone\n138****8000,a,139****9000\n");
}

#[test]
fn other_delimiters() {
    for (delimiter, byte) in [(Delimiter::Semicolon, ";"), (Delimiter::Tab, "\t"), (Delimiter::Bar, "|")] {
        let shape = BodyShape { delimiter, ..csv_shape() };
        let body = "name~x~phone\na,b~c~13800138000\n\"a~b\"~~\"13800138000\"\n".replace('~', byte);
        let expected = "name~phone\na,b~138****8000\n\"a~b\"~\"138****8000\"\n".replace('~', byte);
        assert_eq!(run_by(&plan_of(&shape, RELEASED), &body).unwrap().0, expected);
        let first = plan_of(&shape, "name:first");
        let body = "name\n\"a~bc\"\n".replace('~', byte);
        assert_eq!(run_by(&first, &body).unwrap().0, "name\n\"a~***\"\n".replace('~', byte));
    }
    // A tab that is no delimiter is text.
    check("name,phone\na\tb,\"13800138000\t\"\n", "name,phone\na\tb,\"***\"\n");
}

#[test]
fn nested_json_is_masked_inside() {
    let mut fields = catalogue("name:string extra:object extra.phone:string extra.note:string");
    fields[1].nested = true;
    let plan = compile(&csv_shape(), &released("name extra.phone:mobile"), &fields).unwrap();
    let body = "name,extra\na,\"{\"\"phone\"\":\"\"13800138000\"\",\"\"note\"\":\"\"x\"\"}\"\nb,{}\nc,13800138000\nd,x\n";
    let expected = "name,extra\na,\"{\"\"phone\"\":\"\"138****8000\"\"}\"\nb,{}\nc,null\nd,\n";
    assert_eq!(run_by(&plan, body).unwrap().0, expected);
}

/// What is found where, by name.
fn findings(summary: &Summary) -> Vec<(String, u64)> {
    summary.findings().map(|found| (found.path.to_string(), found.count)).collect()
}

#[test]
fn what_leaves_clear_is_searched_where_the_resource_asks_for_it() {
    let fields = catalogue("name:string:name remark:string count:number ok:boolean");
    let plan = |egress| compile_searching(&csv_shape(), "name:name remark count ok", &fields, egress);
    let body = "name,remark,count,ok\n张三,\"见 13800138000, \"\"b\"\"\",13800138001,true\n李四,无,1.50,\n,\"\",,2\n";
    let expected =
        "name,remark,count,ok\n张**,\"见 13800138000, \"\"b\"\"\",13800138001,true\n李**,无,1.50,\n,\"\",,\n";
    let (out, summary) = run_by(&plan(Egress::Report), body).unwrap();
    assert_eq!(out, expected);
    assert_eq!(findings(&summary), [("count".to_owned(), 1), ("remark".to_owned(), 1)]);
    assert_eq!(summary.masked(), 3);
    assert_eq!(run_by(&plan(Egress::Block), body).map(|_| ()).map_err(|error| error.reason()), Err("egress"));
    let harmless = "name,remark,count,ok\n张三,无,1,true\n";
    assert_eq!(run_by(&plan(Egress::Block), harmless).unwrap().0, "name,remark,count,ok\n张**,无,1,true\n");
    // What is too long to be searched does not leave.
    let tight = Bounds { value: 12, ..Bounds::default() };
    let long = "remark,count\n0123456789012,1\n\"0123456789\",1234567890123\n";
    let (out, summary) = run_all(&plan(Egress::Block), tight, long.as_bytes()).unwrap();
    assert_eq!((out.as_str(), summary.masked()), ("remark,count\n,1\n\"0123456789\",\n", 2));
}

#[test]
fn a_body_that_may_hold_no_more_is_refused_for_more() {
    let plan = compile_refusing(&csv_shape(), "name phone:mobile size", &catalogue(CATALOGUE));
    for body in ["name,phone\n a ,\"13800138000\"\r\n,\n", "size\n1\n", "name", "size,size\n1,2"] {
        assert_eq!(run_by(&plan, body).unwrap().0, body);
    }
    for (body, reason, record) in [
        ("name,note\na,b\n", "outside", None),
        ("name,x\n", "outside", None),
        ("name,Name\na,b\n", "outside", None),
        ("name,size\na,1\nb,x\n", "wrong-type", Some(2)),
    ] {
        let error = run_by(&plan, body).map(|(out, _)| out).unwrap_err();
        assert_eq!((error.reason(), error.place().unwrap().record()), (reason, record), "{body}");
    }
}

#[test]
fn what_is_counted() {
    let body = "name,phone,note,x,y\na,13800138000,c,d,e\nb,13900139000,,,\n";
    let (_, summary) = run_by(&plan(), body).unwrap();
    assert_eq!(
        (summary.records(), summary.masked(), summary.dropped(), summary.unclassified()),
        (2, 2, 2, 4)
    );
    let (_, summary) = run_by(&plan(), "name,x\n").unwrap();
    assert_eq!((summary.records(), summary.unclassified()), (0, 0));
}

#[test]
fn hostile_bodies_are_refused() {
    refuse("", "truncated", 0);
    for (body, reason, at) in [
        // A field too many or too few shows values under the names of others.
        ("name,phone\n13800138000\n", "syntax", 22),
        ("name,phone\n13800138000", "syntax", 22),
        ("name,phone\na,b,13800138000\n", "syntax", 14),
        ("name,phone\na,\"b\",13800138000\n", "syntax", 16),
        ("name,phone\r\na,b\r\n13800138000\r\n", "syntax", 28),
        ("name,phone\na,b\n\n", "syntax", 15),
        ("name,phone\n\na,b\n", "syntax", 11),
        ("name\na\n\nb\n", "syntax", 7),
        ("name\na\r\n\r\nb\n", "syntax", 8),
        ("\nname\na\n", "syntax", 0),
        // Quotes.
        ("name,phone\n\"a\"b,c\n", "syntax", 14),
        ("name,phone\n\"a\" ,c\n", "syntax", 14),
        ("name,phone\n\"a\"13800138000,\"c\"\n", "syntax", 14),
        ("name,phone\na\"b\",c\n", "syntax", 12),
        ("name,phone\n \"a\",c\n", "syntax", 12),
        ("name,phone\n\"a,c\n", "truncated", 16),
        ("name,phone\n\"a,c\"\"", "truncated", 17),
        ("na\"me,phone\n", "syntax", 2),
        ("\"name\"x,phone\n", "syntax", 6),
        ("\"name", "truncated", 5),
        // Line ends and control characters.
        ("name,phone\ra,b\n", "syntax", 11),
        ("name,phone\na,b\rc,d\n", "syntax", 15),
        ("name,phone\na,b\r\rc,d\n", "syntax", 15),
        ("name,phone\na,b\r", "truncated", 15),
        ("name,phone\r", "truncated", 11),
        ("name,phone\na\0,b\n", "control-character", 12),
        ("name,phone\n\"a\u{1}\",b\n", "control-character", 13),
        ("name,phone\na,b\u{b}c\n", "control-character", 14),
        ("name,phone\n\"a\"\u{c},b\n", "syntax", 14),
        ("na\u{1f}me,phone\n", "control-character", 2),
        ("name\0,phone\n", "control-character", 4),
        // Names.
        ("name,,phone\n", "syntax", 5),
        (",name\n", "syntax", 0),
        ("name,\n", "syntax", 5),
        ("name,", "syntax", 5),
        ("\"\",name\n", "syntax", 2),
    ] {
        refuse(body, reason, at);
    }
    for body in ["\u{feff}phone,name\n13800138000,a\n", "\u{feff}"] {
        assert_eq!(run_by(&plan(), body).map(|_| ()), Err(MaskError::ByteOrderMark));
    }
    check("x,\u{feff}name,name\n1,2,3\n", "name\n3\n");
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bytes in [&b"name\n\xC0\xAF\n"[..], b"name\n\xD5\xC5\n", b"name\n\xED\xA0\x80\n", b"name\n\xE5\xBC"] {
        assert_eq!(run_all(&plan(), Bounds::default(), bytes).unwrap_err().reason(), "utf8");
    }
}

#[test]
fn headers_have_bounds() {
    let bounds = Bounds { key: 6, ..Bounds::default() };
    let at = |body: &str| run_all(&plan(), bounds, body.as_bytes()).map(|_| ()).unwrap_err();
    assert!(run_all(&plan(), bounds, b"sixsix,\"four\"\n1,2").is_ok());
    assert_eq!(at("sevenxx,a\n"), MaskError::KeyTooLong { at: 6, max: 6 });
    assert_eq!(at("a,sevenxx"), MaskError::KeyTooLong { at: 8, max: 6 });
    assert_eq!(at("a,\"fivex\"\n"), MaskError::KeyTooLong { at: 8, max: 6 });
    assert_eq!(at("a,\"fivex\"x\n"), MaskError::KeyTooLong { at: 8, max: 6 });
    assert_eq!(
        at("a,\"four\"x\n"),
        MaskError::Syntax { at: 8, expected: "a delimiter or a line end after a closing quote" }
    );
    assert_eq!(at("a,sevenxx\0\n"), MaskError::KeyTooLong { at: 8, max: 6 });
    assert_eq!(at("a,sixxxx\0\n"), MaskError::Control { at: 8 });
    assert_eq!(at("a,\"\n\n\n\n\n\n\""), MaskError::KeyTooLong { at: 8, max: 6 });

    let run = |body: &str, size: usize| {
        run_pieces(&plan(), Bounds::default(), body.as_bytes().chunks(size)).map(|_| ())
    };
    let columns = vec!["c"; MAX_COLUMNS];
    let body = format!("{}\n", columns.join(","));
    let wide = format!("{},c\n", columns.join(","));
    for size in [1, 100, 100_000] {
        assert_eq!(run(&body, size), Ok(()));
        let at = u64::try_from(wide.len()).unwrap() - 1;
        assert_eq!(run(&wide, size), Err(MaskError::TooManyColumns { at, max: MAX_COLUMNS }));
    }
    let long = vec!["c".repeat(100); 700].join(",");
    for size in [1, 100, 100_000] {
        let at = u64::try_from(MAX_HEADER_BYTES).unwrap();
        assert_eq!(run(&long, size), Err(MaskError::HeaderTooLong { at, max: MAX_HEADER_BYTES }));
    }
}

#[test]
fn long_values_are_masked_fully_and_clear_ones_stream() {
    let bounds = Bounds { value: 13, ..Bounds::default() };
    let run = |body: &str| run_all(&plan(), bounds, body.as_bytes()).unwrap().0;
    assert_eq!(
        run("phone,name\n13800138000,a\n\"13800138000\",b\n"),
        "phone,name\n138****8000,a\n\"138****8000\",b\n"
    );
    assert_eq!(run("phone,name\n13800138000000,a\n\"138001380000\",b\n"), "phone,name\n***,a\n\"***\",b\n");
    assert_eq!(run("phone,name\n张三张三张三,a\n"), "phone,name\n***,a\n");
    assert_eq!(run("size,name\n12345678901234,a\n1234567890123,\n"), "size,name\n,a\n1234567890123,\n");
    assert_eq!(run("name,size\na name of any length,1\n"), "name,size\na name of any length,1\n");
}

#[test]
fn memory_does_not_grow_with_what_is_copied() {
    use super::super::Transform;
    let mut transform = Transform::new(plan(), Bounds::default());
    let mut out = Vec::new();
    transform.push(b"name,phone,note,size\n", &mut out).unwrap();
    let mut bytes = out.len();
    for _ in 0..4 {
        for field in ["\"name", ",\"phone", ",\"note", ",\"size"] {
            transform.push(field.as_bytes(), &mut out).unwrap();
            for _ in 0..64 {
                transform.push(&[b'7'; 64 << 10], &mut out).unwrap();
                bytes += out.len();
                out.clear();
                assert!(transform.footprint() < 512 << 10, "{}", transform.footprint());
            }
            transform.push(b"\"", &mut out).unwrap();
        }
        transform.push(b"\n", &mut out).unwrap();
    }
    transform.finish(&mut out).unwrap();
    assert!(bytes > 4 * (4 << 20));
}

/// A record that turns out to have a field too few was never shown, whatever pieces it came in.
#[test]
fn records_are_held_until_they_are_whole() {
    use super::super::Transform;
    for size in [1, 2, 5, 100] {
        let mut transform = Transform::new(plan(), Bounds::default());
        let mut out = Vec::new();
        let body = "name,phone,size\na,13800138000,1\n13800138000,2\n";
        let failed = body.as_bytes().chunks(size).any(|piece| transform.push(piece, &mut out).is_err());
        assert!(failed);
        let shown = String::from_utf8(out).unwrap();
        assert!("name,phone,size\na,138****8000,1\n".starts_with(&shown), "{shown}");
        assert!(size == 100 || shown.len() > 28, "{shown}");
    }
    let mut transform = Transform::new(plan(), Bounds::default());
    let mut out = Vec::new();
    transform.push(b"name,size\n", &mut out).unwrap();
    out.clear();
    transform.push(&vec![b'x'; MAX_HELD_BYTES], &mut out).unwrap();
    assert!(out.is_empty());
    transform.push(b"x", &mut out).unwrap();
    assert_eq!(out.len(), MAX_HELD_BYTES + 1);
    transform.push(b"y,1", &mut out).unwrap();
    transform.push(b"\nz,", &mut out).unwrap();
    assert!(out.ends_with(b"xxy,1\n"));
    transform.push(b"2\n", &mut out).unwrap();
    assert!(out.ends_with(b"xxy,1\nz,2\n"));
}

#[test]
fn records_have_a_cap() {
    let bounds = Bounds { records: Some(2), ..Bounds::default() };
    let run = |body: &str| run_all(&plan(), bounds, body.as_bytes()).map(|(out, _)| out);
    assert_eq!(run("name\na\nb\n").as_deref(), Ok("name\na\nb\n"));
    assert_eq!(run("name\na\nb\nc"), Err(MaskError::TooManyRecords { max: 2 }));
    let none = Bounds { records: Some(0), ..Bounds::default() };
    assert_eq!(run_all(&plan(), none, b"name\n").unwrap().0, "name\n");
    assert!(run_all(&plan(), none, b"name\na").is_err());
}

// === against the csv crate ===

const NAMES: [&str; 16] = [
    "name",
    "phone",
    "note",
    "size",
    "ok",
    "born",
    "addr.city",
    "addr.line",
    "box",
    "box.in",
    "x",
    " name",
    "Phone",
    "\"phone\"",
    "\"na,me\"",
    "\"\"\"x\"",
];

const VALUES: [&str; 30] = [
    "",
    "\"\"",
    "a",
    "\"a\"",
    "13800138000",
    "\"13800138000\"",
    "+86 138 0013 8000",
    "\"1380013800\"\"0\"",
    "CANARY",
    "\"CANARY, \"\"CANARY\"\"\nCANARY\"",
    "张三",
    "\"欧阳,修\"",
    "12.50",
    "\"7\"",
    "-1e5",
    "012",
    "true",
    "\"0\"",
    "no",
    "2",
    "1990-03-07",
    "安徽省黄山市屯溪区前园北路1号",
    " ",
    " a ",
    "\t",
    "\"\r\n\"",
    "\"\"\"\"",
    "😀",
    "{}",
    "=1+1",
];

/// A body, and its fields record by record.
fn body() -> impl Strategy<Value = String> {
    let ends = prop_oneof![3 => Just("\n"), 1 => Just("\r\n")];
    proptest::collection::vec(select(NAMES.to_vec()), 1..9).prop_flat_map(move |names| {
        let record = proptest::collection::vec(select(VALUES.to_vec()), names.len());
        let records = proptest::collection::vec((record, ends.clone()), 0..8);
        (Just(names), records, ends.clone(), any::<bool>()).prop_map(|(names, records, end, is_ended)| {
            let mut body = names.join(",");
            body.push_str(end);
            for (fields, end) in records {
                // A blank line is no record.
                let line = if fields == [""] { "\"\"".to_owned() } else { fields.join(",") };
                body.push_str(&line);
                body.push_str(end);
            }
            if !is_ended && !body.ends_with("\"\"\n") {
                body.truncate(body.trim_end_matches(['\r', '\n']).len());
            }
            body
        })
    })
}

fn release() -> impl Strategy<Value = Vec<crate::grant::ReleasedField>> {
    let how = prop_oneof![
        3 => Just(None),
        3 => Just(Some("clear")),
        4 => select(vec!["mobile", "name", "full", "null", "drop", "band", "first", "date-year", "address"]).prop_map(Some),
    ];
    proptest::collection::vec(how, 10).prop_map(|all| {
        let fields = catalogue(CATALOGUE);
        let text: Vec<String> = fields
            .iter()
            .zip(all)
            .filter_map(|(field, how)| match how? {
                "clear" => Some(field.path.to_string()),
                masker => Some(format!("{}:{masker}", field.path)),
            })
            .collect();
        released(&text.join(" "))
    })
}

fn fields_of(body: &[u8]) -> Result<Vec<Vec<String>>, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body);
    reader.records().map(|record| Ok(record?.iter().map(str::to_owned).collect())).collect()
}

/// What each field becomes by the words of the docs, told from the catalogue and not from the plan.
fn expected(body: &str, fields: &[crate::grant::ReleasedField]) -> Vec<Vec<String>> {
    use crate::catalog::FieldType;
    let (catalogue, maskers) = (catalogue(CATALOGUE), maskers());
    let records = fields_of(body.as_bytes()).unwrap();
    let covering = |name: &str| {
        let field = catalogue.iter().find(|field| field.path.as_str() == name)?;
        let mut covers: Vec<_> = fields.iter().filter(|released| released.path.covers(&field.path)).collect();
        covers.sort_by_key(|released| std::cmp::Reverse(released.path.as_str().len()));
        let nearest = covers.first()?;
        let masker = match (&nearest.treatment, nearest.path == field.path) {
            (Treatment::Masked(masker), _) => Some(masker.clone()),
            (Treatment::Clear, true) => None,
            (Treatment::Clear, false) => field.mask.clone(),
        };
        Some((field.kind, masker.map(|name| maskers.get(&name).unwrap().clone())))
    };
    let own = |name: &str| {
        covering(name).filter(|(_, masker)| masker.as_ref().is_none_or(|masker| !masker.drops()))
    };
    // What lies above other fields leaves, without its text, if one of them does.
    let leaving = |name: &str| {
        let mut below =
            catalogue.iter().filter(|field| field.path.as_str().starts_with(&format!("{name}."))).peekable();
        if below.peek().is_none() {
            return own(name);
        }
        below.any(|field| own(field.path.as_str()).is_some()).then_some((FieldType::Object, None))
    };
    let (header, rows) = records.split_first().unwrap();
    let becomes = |name: &str, text: &str| match leaving(name)? {
        _ if text.is_empty() => Some(String::new()),
        (FieldType::Object, _) => Some(String::new()),
        (_, Some(masker)) => {
            let mut out = Vec::new();
            masker.apply(Value::Text(text), None, &mut out);
            Some(serde_json::from_slice::<Option<String>>(&out).unwrap().unwrap_or_default())
        }
        (FieldType::Number, None) => {
            let is_number = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
                && text.trim() == text
                && text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            Some(if is_number { text.to_owned() } else { String::new() })
        }
        (FieldType::Boolean, None) => {
            let words = ["true", "false", "yes", "no", "t", "f", "y", "n", "1", "0", "是", "否"];
            let is_boolean = words.iter().any(|word| word.eq_ignore_ascii_case(text));
            Some(if is_boolean { text.to_owned() } else { String::new() })
        }
        (FieldType::String | FieldType::Date, None) => Some(text.to_owned()),
    };
    let names: Vec<String> = header.iter().filter(|name| leaving(name).is_some()).cloned().collect();
    if names.is_empty() {
        return Vec::new();
    }
    let rows = rows
        .iter()
        .map(|row| header.iter().zip(row).filter_map(|(name, text)| becomes(name, text)).collect());
    std::iter::once(names).chain(rows).collect()
}

fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(cases), ..config }
}

proptest! {
    #![proptest_config(at_least(700))]

    #[test]
    fn bodies_become_what_the_docs_say(body in body(), fields in release()) {
        let plan = compile(&csv_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
        let shown = String::from_utf8_lossy(&out).into_owned();
        prop_assert_eq!(fields_of(&out).unwrap(), expected(&body, &fields), "{} became {}", body, shown);
    }

    #[test]
    fn bodies_do_not_depend_on_any_cut(body in body(), fields in release()) {
        let plan = compile(&csv_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let tight = Bounds { key: 9, value: 8, records: Some(3), ..Bounds::default() };
        for bounds in [Bounds::default(), tight] {
            let mut end = body.len().min(250);
            while !body.is_char_boundary(end) { end -= 1; }
            // A refusal is as good as any other result: all cuts must come to the same.
            if let Ok((_, summary)) = run_all(&plan, bounds, &body.as_bytes()[..end]) {
                prop_assert_eq!(summary.bytes_in, u64::try_from(end).unwrap());
            }
        }
    }

    #[test]
    fn the_identity_changes_nothing(body in body()) {
        let (out, _) = run_pieces(&identity(), Bounds::default(), body.as_bytes().chunks(5)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), body);
    }

    /// Whatever is accepted means the same to another reader, and nothing planted leaves but clear.
    #[test]
    fn mutated_bodies_are_refused_or_read_alike(
        body in body(), fields in release(),
        mutations in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        const LIKELY: &[u8] = b"\",\n\r\t ;a0\x00\xe5\x80";
        let mut body = body.into_bytes();
        for (at, byte, how) in mutations {
            let at = at % (body.len() + 1);
            let byte = if byte < 200 { LIKELY[usize::from(byte) % LIKELY.len()] } else { byte };
            match how {
                0 => body.insert(at, byte),
                1 if at < body.len() => body[at] = byte,
                _ if at < body.len() => { body.remove(at); }
                _ => {}
            }
        }
        let bare = run_pieces(&identity(), Bounds::default(), [&*body]).map(|(out, _)| out);
        let plan = compile(&csv_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        let whole = run_pieces(&plan, Bounds::default(), [&*body]).map(|(out, _)| out);
        prop_assert_eq!(bare.as_ref().map(|_| ()), whole.as_ref().map(|_| ()));
        for size in [1, 3, 64] {
            let cut = run_pieces(&plan, Bounds::default(), body.chunks(size)).map(|(out, _)| out);
            prop_assert_eq!(&cut, &whole);
        }
        if let Ok(out) = whole {
            prop_assert_eq!(bare.unwrap(), body.clone());
            let text = std::str::from_utf8(&body).unwrap();
            prop_assert_eq!(fields_of(&out).unwrap(), expected(text, &fields));
        }
    }

    #[test]
    fn nothing_planted_leaves_but_clear(body in body(), fields in release()) {
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|field| !matches!(field.path.as_str(), "name" | "note" | "born") && !field.path.as_str().starts_with("addr") && !field.path.as_str().starts_with("box"))
            .collect();
        let plan = compile(&csv_shape(), &fields, &catalogue(CATALOGUE)).unwrap();
        if fields.iter().all(|field| !matches!(&field.treatment, Treatment::Clear if field.path.as_str() == "phone")
            && !matches!(&field.treatment, Treatment::Masked(masker) if masker.as_str() == "first")) {
            let (out, _) = run_pieces(&plan, Bounds::default(), [body.as_bytes()]).unwrap();
            let out = String::from_utf8(out).unwrap();
            prop_assert!(!out.contains("CANARY"), "{} became {}", body, out);
            prop_assert!(!out.replace(",", "").contains(SECRET) || fields.iter().any(|field| field.path.as_str() == "size"), "{}", out);
        }
    }
}
