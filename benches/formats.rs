//! How fast bodies of the other formats are masked. The records are those of `mask`: ten fields, of
//! which eight leave, two of them masked. Throughput counts bytes in.
#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use pinegate::catalog::{BodyFormat, BodyShape, Delimiter, Field, FieldType, Level, NameMatching, XmlNames};
use pinegate::grant::{ReleasedField, Treatment};
use pinegate::kernel::id::{FieldPath, MaskerName};
use pinegate::mask::{Bounds, Maskers, Plan, PlanSpec, Transform};

fn main() {
    Divan::from_args().main();
}

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 16 * KIB, KIB * KIB];
/// The pieces that a body arrives in.
const PIECE: usize = 64 * KIB;

const FIELDS: [(&str, FieldType, Option<&str>); 10] = [
    ("id", FieldType::Number, Some("clear")),
    ("name", FieldType::String, Some("clear")),
    ("id_card", FieldType::String, Some("resident-id")),
    ("phone", FieldType::String, Some("mobile")),
    ("email", FieldType::String, None),
    ("address", FieldType::String, Some("clear")),
    ("birth", FieldType::Date, Some("clear")),
    ("balance", FieldType::Number, Some("clear")),
    ("active", FieldType::Boolean, Some("clear")),
    ("remark", FieldType::String, None),
];

#[derive(Clone, Copy)]
enum Text {
    Ascii,
    Chinese,
}

/// The fields of a record, as text.
fn record(index: u64, text: Text) -> [String; 10] {
    let (name, address, remark) = match text {
        Text::Chinese => ("欧阳建国", "安徽省黄山市屯溪区前园北路12号3单元502室", "已核验，材料齐全"),
        Text::Ascii => {
            ("Ouyang Jianguo", "No. 12 Qianyuan North Road, Tunxi, Huangshan", "verified, complete")
        }
    };
    [
        index.to_string(),
        name.to_owned(),
        "11010519491231002X".to_owned(),
        format!("138{:08}", index % 100_000_000),
        format!("user{index}@example.cn"),
        address.to_owned(),
        "1949-12-31".to_owned(),
        format!("{}.50", index % 1_000),
        index.is_multiple_of(2).to_string(),
        remark.to_owned(),
    ]
}

fn plan(format: BodyFormat) -> Arc<Plan> {
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let shape = BodyShape {
        format,
        delimiter: Delimiter::Comma,
        xml: XmlNames::default(),
        names: NameMatching::Exact,
        records: None,
        envelope: Vec::new(),
    };
    let catalogue = FIELDS.map(|(name, kind, _)| Field {
        path: path(name),
        label: name.to_owned(),
        kind,
        level: Level::new(1).unwrap(),
        mask: None,
        source: None,
        nested: false,
    });
    let released: Vec<ReleasedField> = FIELDS
        .iter()
        .filter_map(|(name, _, how)| {
            let treatment = match (*how)? {
                "clear" => Treatment::Clear,
                masker => Treatment::Masked(MaskerName::parse(masker).unwrap()),
            };
            Some(ReleasedField { path: path(name), treatment })
        })
        .collect();
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
fn transform(plan: &Arc<Plan>, body: &[u8], out: &mut Vec<u8>) {
    let mut transform = Transform::new(Arc::clone(plan), Bounds::default());
    for piece in body.chunks(PIECE) {
        transform.push(piece, out).unwrap();
        black_box(&*out);
        out.clear();
    }
    transform.finish(out).unwrap();
    out.clear();
}

fn measure(bencher: Bencher<'_, '_>, format: BodyFormat, body: &[u8]) {
    measure_by(bencher, &plan(format), body);
}

fn measure_by(bencher: Bencher<'_, '_>, plan: &Arc<Plan>, body: &[u8]) {
    let mut out = Vec::with_capacity(2 * PIECE);
    bencher.counter(BytesCount::of_slice(body)).bench_local(|| transform(plan, black_box(body), &mut out));
}

/// For scale: the body copied, in the same pieces.
fn copy(bencher: Bencher<'_, '_>, body: &[u8]) {
    let mut out = Vec::with_capacity(PIECE);
    bencher.counter(BytesCount::of_slice(body)).bench_local(|| {
        for piece in black_box(body).chunks(PIECE) {
            out.extend_from_slice(piece);
            black_box(&*out);
            out.clear();
        }
    });
}

// === CSV ===

mod csv_body {
    use super::{
        Arc, Bencher, BodyFormat, BytesCount, FIELDS, Plan, SIZES, Text, black_box, copy, measure,
        measure_by, record,
    };

    fn body(size: usize, text: Text) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(FIELDS.map(|(name, ..)| name)).unwrap();
        let mut written = 80;
        let mut index = 0;
        while written + 160 < size || index == 0 {
            let fields = record(index, text);
            written += fields
                .iter()
                .map(|field| field.len() + 1 + 2 * usize::from(field.contains(',')))
                .sum::<usize>();
            writer.write_record(&fields).unwrap();
            index += 1;
        }
        writer.into_inner().unwrap()
    }

    #[divan::bench(args = SIZES)]
    fn ascii(bencher: Bencher<'_, '_>, size: usize) {
        measure(bencher, BodyFormat::Csv, &body(size, Text::Ascii));
    }

    #[divan::bench(args = SIZES)]
    fn chinese(bencher: Bencher<'_, '_>, size: usize) {
        measure(bencher, BodyFormat::Csv, &body(size, Text::Chinese));
    }

    /// Grammar alone: everything leaves.
    #[divan::bench(args = SIZES)]
    fn identity(bencher: Bencher<'_, '_>, size: usize) {
        let plan = Arc::new(Plan::identity_of(BodyFormat::Csv));
        measure_by(bencher, &plan, &body(size, Text::Ascii));
    }

    /// For scale: the `csv` crate, from its reader to its writer, nothing masked.
    #[divan::bench(args = SIZES)]
    fn csv_crate(bencher: Bencher<'_, '_>, size: usize) {
        let body = body(size, Text::Ascii);
        let mut out = Vec::with_capacity(2 * body.len());
        bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
            out.clear();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(black_box(&*body));
            let mut writer = csv::Writer::from_writer(&mut out);
            let mut record = csv::ByteRecord::new();
            while reader.read_byte_record(&mut record).unwrap() {
                writer.write_byte_record(&record).unwrap();
            }
            writer.flush().unwrap();
        });
    }

    #[divan::bench(args = SIZES)]
    fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
        copy(bencher, &body(size, Text::Ascii));
    }
}

// === forms ===

mod form_body {
    use super::{Bencher, BodyFormat, FIELDS, SIZES, Text, copy, measure, record};

    /// Many pairs, with the fields of many records: a form has one, but may be long.
    fn body(size: usize, text: Text) -> Vec<u8> {
        let mut body = String::new();
        let mut index = 0;
        while body.len() + 320 < size || index == 0 {
            for ((name, ..), value) in FIELDS.iter().zip(record(index, text)) {
                if !body.is_empty() {
                    body.push('&');
                }
                let value = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
                body.push_str(&format!("{name}={value}"));
            }
            index += 1;
        }
        body.into_bytes()
    }

    #[divan::bench(args = SIZES)]
    fn ascii(bencher: Bencher<'_, '_>, size: usize) {
        measure(bencher, BodyFormat::Form, &body(size, Text::Ascii));
    }

    #[divan::bench(args = SIZES)]
    fn chinese(bencher: Bencher<'_, '_>, size: usize) {
        measure(bencher, BodyFormat::Form, &body(size, Text::Chinese));
    }

    #[divan::bench(args = SIZES)]
    fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
        copy(bencher, &body(size, Text::Ascii));
    }
}

// === event streams ===

mod events_body {
    use super::{Bencher, BodyFormat, FIELDS, FieldType, SIZES, Text, copy, measure, record};

    /// One record an event.
    fn body(size: usize, text: Text) -> Vec<u8> {
        let mut body = String::new();
        let mut index = 0;
        while body.len() + 320 < size || index == 0 {
            let members = FIELDS.iter().zip(record(index, text)).map(|((name, kind, _), value)| match kind {
                FieldType::Number | FieldType::Boolean => format!("\"{name}\":{value}"),
                FieldType::String | FieldType::Date | FieldType::Object => format!("\"{name}\":\"{value}\""),
            });
            let members: Vec<String> = members.collect();
            body.push_str(&format!("data: {{{}}}\n\n", members.join(",")));
            index += 1;
        }
        body.into_bytes()
    }

    #[divan::bench(args = SIZES)]
    fn ascii(bencher: Bencher<'_, '_>, size: usize) {
        measure(bencher, BodyFormat::EventStream, &body(size, Text::Ascii));
    }

    #[divan::bench(args = SIZES)]
    fn chinese(bencher: Bencher<'_, '_>, size: usize) {
        measure(bencher, BodyFormat::EventStream, &body(size, Text::Chinese));
    }

    #[divan::bench(args = SIZES)]
    fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
        copy(bencher, &body(size, Text::Ascii));
    }
}
