#![no_main]

#[path = "../properties/websocket.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
