//! How fast bodies of the other formats are masked. The records are those of `mask`: ten fields, of
//! which eight leave, two of them masked. Throughput counts bytes in.
#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

#[path = "support/bodies.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod bodies;

use std::hint::black_box;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use pinegate::catalog::BodyFormat;
use pinegate::mask::{Bounds, Plan, Transform};

use bodies::{Text, plan};

fn main() {
    Divan::from_args().main();
}

const KIB: usize = 1 << 10;
const SIZES: [usize; 3] = [KIB, 16 * KIB, KIB * KIB];
/// The pieces that a body arrives in.
const PIECE: usize = 64 * KIB;

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
    use super::bodies::csv as body;
    use super::{
        Arc, Bencher, BodyFormat, BytesCount, Plan, SIZES, Text, black_box, copy, measure, measure_by,
    };

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
    use super::bodies::form as body;
    use super::{Bencher, BodyFormat, SIZES, Text, copy, measure};

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
    use super::bodies::events as body;
    use super::{Bencher, BodyFormat, SIZES, Text, copy, measure};

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
