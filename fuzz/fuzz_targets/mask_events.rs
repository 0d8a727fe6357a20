#![no_main]

#[allow(dead_code, reason = "the properties of other formats use the rest")]
#[path = "../properties/mask.rs"]
mod mask;
#[path = "../properties/mask_events.rs"]
mod property;
#[allow(dead_code, reason = "the properties of other formats use the rest")]
#[path = "../properties/siblings.rs"]
mod siblings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
