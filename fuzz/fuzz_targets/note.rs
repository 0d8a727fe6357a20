#![no_main]

#[path = "../properties/note.rs"]
mod property;
#[path = "../properties/signers.rs"]
mod signers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
