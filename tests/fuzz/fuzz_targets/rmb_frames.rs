#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::rmb_frames(data);
});
