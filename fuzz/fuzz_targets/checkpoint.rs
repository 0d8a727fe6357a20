#![no_main]

#[path = "../properties/checkpoint.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
