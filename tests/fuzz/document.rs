//! libFuzzer's entry to the gate before the registry's document, and to the library behind it. `make fuzz` builds and runs it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stockade::registry::fuzz::bytes(data);
    stockade::registry::fuzz::updates(data);
});
