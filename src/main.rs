//! The `pinegate` program.

use std::process::ExitCode;

// Requests are allocated on one thread and freed on another, where the C library's allocator waits for locks: a sixth
// of all the time of a small request. See bench/README.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pinegate::cli::main()
}
