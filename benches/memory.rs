//! What one document costs in memory, however long it is: by the account of the kernel, for a whole process.
//!
//! `cargo bench --bench memory -- BYTES` pushes a single JSON document of that many bytes through the masks
//! and prints how long it took and by how much the process grew over its size at 1 MiB of body. It ends
//! with an error if that is 1 MiB or more.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it did")]
#![expect(clippy::expect_used, reason = "a bench that cannot set itself up has nothing to measure")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

#[path = "support/bodies.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod bodies;

use std::process::ExitCode;
use std::time::Instant;

use pinegate::catalog::BodyFormat;
use pinegate::mask::{Bounds, Transform};

use bodies::{Text, json, plan};

const MIB: u64 = 1 << 20;
/// The pieces that a body arrives in.
const PIECE: usize = 64 << 10;

fn main() -> ExitCode {
    let asked = std::env::args().skip(1).find(|word| word != "--bench");
    let Ok(bytes) = asked.as_deref().unwrap_or("67108864").parse::<u64>() else {
        eprintln!("usage: memory BYTES");
        return ExitCode::from(2);
    };
    // Records between `[` and `]`, again and again.
    let body = json(usize::try_from(MIB).expect("a small number"), Text::Chinese);
    let text = std::str::from_utf8(&body).expect("UTF-8");
    let (head, rest) = text.split_once('[').expect("a list");
    let (records, tail) = rest.split_once(']').expect("a list");
    let (head, part, tail) = (format!("{head}[{records}"), format!(",{records}"), format!("]{tail}"));

    let mut transform = Transform::new(plan(BodyFormat::Json), Bounds::default());
    let mut out = Vec::new();
    let mut push = |transform: &mut Transform, text: &str| {
        for piece in text.as_bytes().chunks(PIECE) {
            transform.push(piece, &mut out).expect("JSON");
            out.clear();
        }
    };
    push(&mut transform, &head);
    forget_peak();
    let (before, began) = (peak(), Instant::now());
    while transform.summary().bytes_in < bytes {
        push(&mut transform, &part);
    }
    push(&mut transform, &tail);
    let seconds = began.elapsed().as_secs_f64();
    let summary = transform.finish(&mut out).expect("JSON");
    let growth = peak() - before;
    let speed = summary.bytes_in / 1_000_000;
    println!(
        "{} bytes in, {} out, {} records, {} values masked, {} dropped: {seconds:.1} s, {:.0} MB/s",
        summary.bytes_in,
        summary.bytes_out,
        summary.records(),
        summary.masked(),
        summary.dropped(),
        f64::from(u32::try_from(speed).expect("less than 4 PB")) / seconds,
    );
    println!("the process had {} KiB at 1 MiB of body and grew by {} KiB", before >> 10, growth >> 10);
    if growth < MIB { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes the memory that this process has now its peak (proc_pid_clear_refs(5)): what it took to set the
/// bodies up would hide as much growth.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a kernel that forgets peaks");
}

/// The most memory that this process has had since, in bytes (Linux).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("what the kernel says");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}
