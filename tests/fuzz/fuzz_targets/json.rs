#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| allod_fuzz::files::json(bytes));
