//! The cost of one decision, by number of grants; of refusals; and of loading.
//!
//! `cargo bench --bench policy`; `support/city.rs` says what is decided about. `benches/README.md` has figures.

#[path = "support/city.rs"]
mod city;

use divan::{Bencher, black_box};
use pinegate::grant::DenyReason;
use pinegate::policy::Policy;

use city::{Asker, City, askings, is_permit, refused_for};

fn main() {
    divan::main();
}

fn run(bencher: Bencher<'_, '_>, policy: &Policy, asker: &Asker) {
    bencher.bench_local(|| black_box(asker.decide(black_box(policy))));
}

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

#[divan::bench(args = SIZES, sample_size = 4096)]
fn allowed(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    run(bencher, &policy, &askings(&city.catalog, count, false, 0, 0, &[]).only(&policy, is_permit));
}

#[divan::bench(args = SIZES, sample_size = 4096)]
fn allowed_one_field(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    run(bencher, &policy, &askings(&city.catalog, count, false, 0, 0, &["name"]).only(&policy, is_permit));
}

#[divan::bench(args = SIZES, sample_size = 4096)]
fn refused_no_grant(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    let asker =
        askings(&city.catalog, count, false, 0, 1, &[]).only(&policy, refused_for(DenyReason::NoGrant));
    run(bencher, &policy, &asker);
}

#[divan::bench(args = SIZES, sample_size = 4096)]
fn refused_purpose(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    let policy = city.load();
    let asker = askings(&city.catalog, count, false, 1, 0, &[])
        .only(&policy, refused_for(DenyReason::PurposeNotGranted));
    run(bencher, &policy, &asker);
}

/// 20 grants on one system and resource.
#[divan::bench(args = [10_000, 100_000], sample_size = 4096)]
fn dense(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, true);
    let policy = city.load();
    run(bencher, &policy, &askings(&city.catalog, count, true, 0, 0, &[]).only(&policy, is_permit));
}

/// Files to policy, self-test included.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>, count: usize) {
    let city = City::new(count, false);
    bencher.bench_local(|| black_box(city.load()));
}
