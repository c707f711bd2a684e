//! Runs `bodies::bucket_ops`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::bucket_ops::run(data));
