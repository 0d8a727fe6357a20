//! How fast bodies are masked: records of ten fields, of which eight leave, two of them masked.
//!
//! The bodies and the two masks are those of every figure in the docs. Throughput counts bytes in. JSON
//! is measured on all vectors that the processor has, and on 64-bit words, which are for all processors.
#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use pinegate::catalog::{BodyFormat, BodyShape, Delimiter, Field, FieldType, Level, NameMatching, XmlNames};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{DepartmentId, FieldPath, MaskerName, ResourceId};
use pinegate::kernel::secret::Secret;
use pinegate::mask::{Bounds, Lanes, Masker, Maskers, Plan, PlanSpec, PseudonymKey, Transform, Value};

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

#[derive(Clone, Copy)]
enum Text {
    Ascii,
    Chinese,
    Pretty,
    Escaped,
}

fn body(size: usize, text: Text) -> Vec<u8> {
    let mut body = String::from("{\"code\":0,\"message\":\"ok\",\"data\":[");
    let mut index = 0_u64;
    while body.len() + 320 < size || index == 0 {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&record(index, text));
        index += 1;
    }
    body.push_str(&format!("],\"total\":{index}}}"));
    match text {
        Text::Pretty => {
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            serde_json::to_vec_pretty(&value).unwrap()
        }
        Text::Ascii | Text::Chinese | Text::Escaped => body.into_bytes(),
    }
}

fn record(index: u64, text: Text) -> String {
    let (name, address, remark) = match text {
        Text::Chinese => ("欧阳建国", "安徽省黄山市屯溪区前园北路12号3单元502室", "已核验，材料齐全"),
        Text::Escaped => (
            r"\u6b27\u9633\u5efa\u56fd",
            r"\u5b89\u5fbd\u7701\u9ec4\u5c71\u5e02\u5c6f\u6eaa\u533a",
            r"\u5df2\u6838\u9a8c\uff0c\u6750\u6599\u9f50\u5168",
        ),
        Text::Ascii | Text::Pretty => {
            ("Ouyang Jianguo", "No. 12 Qianyuan North Road, Tunxi, Huangshan", "verified, complete")
        }
    };
    format!(
        "{{\"id\":{index},\"name\":\"{name}\",\"id_card\":\"11010519491231002X\",\"phone\":\"138{:08}\",\
         \"email\":\"user{index}@example.cn\",\"address\":\"{address}\",\"birth\":\"1949-12-31\",\
         \"balance\":{}.50,\"active\":{},\"remark\":\"{remark}\"}}",
        index % 100_000_000,
        index % 1_000,
        index.is_multiple_of(2),
    )
}

fn plan() -> Arc<Plan> {
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let shape = BodyShape {
        format: BodyFormat::Json,
        delimiter: Delimiter::Comma,
        names: NameMatching::Exact,
        records: Some(path("data")),
        envelope: ["code", "message", "total"].map(path).into(),
        xml: XmlNames::default(),
    };
    let field = |(name, kind): (&str, FieldType)| Field {
        path: path(name),
        label: name.to_owned(),
        kind,
        level: Level::new(1).unwrap(),
        mask: None,
        source: None,
        nested: false,
    };
    let catalogue: Vec<Field> = [
        ("id", FieldType::Number),
        ("name", FieldType::String),
        ("id_card", FieldType::String),
        ("phone", FieldType::String),
        ("email", FieldType::String),
        ("address", FieldType::String),
        ("birth", FieldType::Date),
        ("balance", FieldType::Number),
        ("active", FieldType::Boolean),
        ("remark", FieldType::String),
    ]
    .map(field)
    .into();
    let masked = |name: &str| Treatment::Masked(MaskerName::parse(name).unwrap());
    let released: Vec<ReleasedField> = [
        ("id", Treatment::Clear),
        ("name", Treatment::Clear),
        ("id_card", masked("resident-id")),
        ("phone", masked("mobile")),
        ("address", Treatment::Clear),
        ("birth", Treatment::Clear),
        ("balance", Treatment::Clear),
        ("active", Treatment::Clear),
    ]
    .map(|(name, treatment)| ReleasedField { path: path(name), treatment })
    .into();
    let maskers = Maskers::builtin();
    let spec = PlanSpec {
        shape: &shape,
        fields: &released,
        catalogue: &catalogue,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    Arc::new(Plan::compile(&spec).unwrap())
}

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

fn measure(bencher: Bencher<'_, '_>, plan: &Arc<Plan>, case: &Case, text: Text) {
    let Case(lanes, size) = *case;
    let body = body(size, text);
    let mut out = Vec::with_capacity(2 * PIECE);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench_local(|| transform(plan, lanes, black_box(&body), &mut out));
}

#[divan::bench(args = cases())]
fn ascii(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case, Text::Ascii);
}

#[divan::bench(args = cases())]
fn chinese(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case, Text::Chinese);
}

#[divan::bench(args = cases())]
fn pretty(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case, Text::Pretty);
}

#[divan::bench(args = cases())]
fn escaped(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &plan(), case, Text::Escaped);
}

/// Grammar alone: everything leaves.
#[divan::bench(args = cases())]
fn identity(bencher: Bencher<'_, '_>, case: &Case) {
    measure(bencher, &Arc::new(Plan::identity()), case, Text::Ascii);
}

/// For scale: reading and writing the body with serde_json, nothing masked.
#[divan::bench(args = SIZES)]
fn serde_json_value(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size, Text::Ascii);
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
        let value: serde_json::Value = serde_json::from_slice(black_box(&body)).unwrap();
        serde_json::to_vec(&value).unwrap()
    });
}

/// For scale: copying the body.
#[divan::bench(args = SIZES)]
fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size, Text::Ascii);
    let mut out = vec![0; body.len()];
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
        black_box(&mut out).copy_from_slice(black_box(&body));
    });
}

/// For scale: the check of UTF-8 alone.
#[divan::bench(args = SIZES)]
fn utf8(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size, Text::Chinese);
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
    let key = PseudonymKey { secret: &secret, label: "h1", department: &department, resource: &resource };
    let fitted = masker.fit(&key, &FieldPath::parse("id_card").unwrap());
    let mut out = Vec::with_capacity(100);
    bencher.bench_local(|| {
        out.clear();
        masker.apply(Value::Text(black_box(text)), fitted.as_ref(), &mut out);
        black_box(&out);
    });
}
