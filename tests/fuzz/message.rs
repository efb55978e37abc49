//! libFuzzer's entry to everything a message meets before an agent is asked. `make fuzz` builds and runs it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade::mcp::fuzz::message(data));
