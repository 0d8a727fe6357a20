#![no_main]

#[allow(dead_code, reason = "the properties of other formats use the rest")]
#[path = "../properties/mask.rs"]
mod mask;
#[path = "../properties/charset.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
