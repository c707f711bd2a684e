//! Runs `bodies::expr`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::expr::run(data));
