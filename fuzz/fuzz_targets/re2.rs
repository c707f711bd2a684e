//! Runs `bodies::re2`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::re2::run(data));
