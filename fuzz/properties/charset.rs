//! Bodies in GBK and GB 18030 through masking plans, in pieces. `mask.rs` says how an input is laid out.
//!
//! encoding_rs says in one go which text the bytes are. What becomes of them is what becomes of that text.

use std::sync::{Arc, LazyLock};

use encoding_rs::{DecoderResult, Encoding, GB18030, GBK};
use pinegate::catalog::{BodyFormat, BodyShape, Charset, FieldType};
use pinegate::mask::{Bounds, MaskError, Plan, Transform};

use super::mask::{self, Fields, Input, in_all_ways, path};

const BOUNDS: Bounds = Bounds { depth: 16, key: 64, value: 48, space: 32, records: Some(8) };

const FIELDS: Fields = &[
    ("name", FieldType::String, Some("clear")),
    ("phone", FieldType::String, Some("mobile")),
    ("size", FieldType::Number, Some("clear")),
    ("note", FieldType::String, Some("full")),
    ("字段", FieldType::String, Some("clear")),
];

static PLANS: LazyLock<[Arc<Plan>; 5]> = LazyLock::new(|| {
    let plan = |format| mask::plan(&mask::shape(format), FIELDS);
    let xml = BodyShape { records: Some(path("row")), ..mask::shape(BodyFormat::Xml) };
    [
        Arc::new(Plan::identity()),
        plan(BodyFormat::Json),
        plan(BodyFormat::NdJson),
        plan(BodyFormat::Csv),
        mask::plan(&xml, FIELDS),
    ]
});

pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::read(data) else { return };
    let (charset, encoding) = [(Charset::Gbk, GBK), (Charset::Gb18030, GB18030)][input.choice % 2];
    let plan = &PLANS[input.choice / 2 % PLANS.len()];
    // The body as it is, or the text that it is in UTF-8.
    let is_text = input.choice / 2 / PLANS.len() % 2 == 1;
    if !is_text {
        return check_bytes(plan, charset, encoding, &input);
    }
    let Ok(text) = std::str::from_utf8(&input.body) else { return };
    let (bytes, _, is_lossy) = encoding.encode(text);
    if !is_lossy {
        let cuts = [data[1], data[2], data[3]];
        check_bytes(plan, charset, encoding, &Input::cut(cuts, input.choice, bytes.into_owned()));
    }
}

fn check_bytes(plan: &Arc<Plan>, charset: Charset, encoding: &'static Encoding, input: &Input) {
    let run = in_all_ways(plan, BOUNDS, charset, input);
    let (text, bad) = decode(encoding, &input.body);
    // A declaration says the charset, and says UTF-8 when it has left.
    if text.starts_with("<?xml") {
        return;
    }
    let Some(at) = bad else {
        let plain = in_all_ways(plan, BOUNDS, Charset::Utf8, &Input::whole(text.into_bytes()));
        assert_eq!(run.verdict, plain.verdict, "the same text became something else");
        return;
    };
    let is_text = |part: &[u8]| encoding.decode_without_bom_handling_and_without_replacement(part).is_some();
    assert!(is_text(&input.body[..at]) && !is_text(&input.body), "no text ends at {at}");
    // What stands before is judged first.
    let before = Transform::new(Arc::clone(plan), BOUNDS).push(text.as_bytes(), &mut Vec::new());
    let error = before.err().unwrap_or(MaskError::Charset { at: u64::try_from(at).unwrap() });
    assert_eq!(run.verdict, Err(error));
}

/// The text of bytes, and where they are none any more.
fn decode(encoding: &'static Encoding, bytes: &[u8]) -> (String, Option<usize>) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap();
    let mut text = String::with_capacity(room);
    let (result, taken) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    match result {
        DecoderResult::InputEmpty => (text, None),
        DecoderResult::Malformed(length, after) => (text, Some(taken - usize::from(length + after))),
        DecoderResult::OutputFull => panic!("there was room for all of it"),
    }
}
