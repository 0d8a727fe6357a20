//! The `pinegate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    pinegate::cli::main()
}
