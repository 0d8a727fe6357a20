//! How fast bodies are masked: records of ten fields, of which eight leave, two of them masked.
//!
//! The bodies and the two masks are those of every figure in the docs. Throughput counts bytes in. JSON
//! is measured on all vectors that the processor has, and on 64-bit words, which are for all processors.
#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

#[path = "support/bodies.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod bodies;

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use pinegate::catalog::BodyFormat;
use pinegate::kernel::id::{DepartmentId, FieldPath, KeyLabel, ResourceId};
use pinegate::kernel::secret::Secret;
use pinegate::mask::{Bounds, Lanes, Masker, Plan, PseudonymKey, Transform, Value};

use bodies::{Text, json};

fn main() {
    Divan::from_args().main();
}

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 16 * KIB, KIB * KIB];
/// What a body is walked with, and about how long it is in bytes.
struct Case(Lanes, usize);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.name(), self.1)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    Lanes::available().flat_map(|lanes| SIZES.map(|size| Case(lanes, size)))
}

/// The pieces that a body arrives in.
const PIECE: usize = 64 * KIB;

/// One body through `plan`, in pieces, into a buffer that is emptied after each.
fn transform(plan: &Arc<Plan>, lanes: Lanes, body: &[u8], out: &mut Vec<u8>) {
    let mut transform = Transform::new(Arc::clone(plan), Bounds::default()).on(lanes);
    for piece in body.chunks(PIECE) {
        transform.push(piece, out).unwrap();
        black_box(&*out);
        out.clear();
    }
    transform.finish(out).unwrap();
    out.clear();
}

fn plan() -> Arc<Plan> {
    bodies::plan(BodyFormat::Json)
}

fn measure(bencher: Bencher<'_, '_>, plan: &Arc<Plan>, lanes: Lanes, body: &[u8]) {
    let mut out = Vec::with_capacity(2 * PIECE);
    bencher
        .counter(BytesCount::of_slice(body))
        .bench_local(|| transform(plan, lanes, black_box(body), &mut out));
}

#[divan::bench(args = cases())]
fn ascii(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case.0, &json(case.1, Text::Ascii));
}

#[divan::bench(args = cases())]
fn chinese(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case.0, &json(case.1, Text::Chinese));
}

#[divan::bench(args = cases())]
fn pretty(bencher: Bencher<'_, '_>, case: &Case) {
    let value: serde_json::Value = serde_json::from_slice(&json(case.1, Text::Ascii)).unwrap();
    measure(bencher, &plan(), case.0, &serde_json::to_vec_pretty(&value).unwrap());
}

#[divan::bench(args = cases())]
fn escaped(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case.0, &json(case.1, Text::Escaped));
}

/// Grammar alone: everything leaves.
#[divan::bench(args = cases())]
fn identity(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &Arc::new(Plan::identity()), case.0, &json(case.1, Text::Ascii));
}

/// For scale: reading and writing the body with serde_json, nothing masked.
#[divan::bench(args = SIZES)]
fn serde_json_value(bencher: Bencher<'_, '_>, size: usize) {
    let body = json(size, Text::Ascii);
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
        let value: serde_json::Value = serde_json::from_slice(black_box(&body)).unwrap();
        serde_json::to_vec(&value).unwrap()
    });
}

/// For scale: copying the body.
#[divan::bench(args = SIZES)]
fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
    let body = json(size, Text::Ascii);
    let mut out = vec![0; body.len()];
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
        black_box(&mut out).copy_from_slice(black_box(&body));
    });
}

/// For scale: the check of UTF-8 alone.
#[divan::bench(args = SIZES)]
fn utf8(bencher: Bencher<'_, '_>, size: usize) {
    let body = json(size, Text::Chinese);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench_local(|| simdutf8::compat::from_utf8(black_box(&body)).is_ok());
}

/// One masker on one value.
#[divan::bench(args = ["resident-id", "mobile", "name", "pseudonym", "full"])]
fn masker(bencher: Bencher<'_, '_>, method: &str) {
    let masker = Masker::parse(method, &[]).unwrap();
    let text = match method {
        "mobile" => "13800138000",
        "name" => "欧阳建国",
        _ => "11010519491231002X",
    };
    let secret = Secret::new([7; 32]);
    let department = DepartmentId::parse("dept:minzheng").unwrap();
    let resource = ResourceId::parse("population.resident").unwrap();
    let label = KeyLabel::default();
    let key = PseudonymKey { secret: &secret, label: &label, department: &department, resource: &resource };
    let fitted = masker.fit(&key, &FieldPath::parse("id_card").unwrap());
    let mut out = Vec::with_capacity(100);
    bencher.bench_local(|| {
        out.clear();
        masker.apply(Value::Text(black_box(text)), fitted.as_ref(), &mut out);
        black_box(&out);
    });
}
