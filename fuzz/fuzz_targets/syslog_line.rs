//! Runs `bodies::syslog_line`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::syslog_line::run(data));
