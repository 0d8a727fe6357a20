//! The `pinegate` program.

fn main() {}
