//! Runs `bodies::yaml_item`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::yaml_item::run(data));
