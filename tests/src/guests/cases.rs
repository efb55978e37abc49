//! The list of all hostile guests.

use super::agent::TOOL;
use super::{Act, Case, End, Source, bombs, lies, memory, misfits, time};

/// Every hostile guest, on default settings.
pub const ALL: &[Case] = &[
    // Well-behaved, so that a host that refuses everything does not pass.
    call("ok", End::Served),
    read("hostile:///ok", End::Served),
    // Memory and handles.
    call("grow-loop", End::Stopped("memory")),
    call("grow-at-once", End::Stopped("memory")),
    call("leak-small", End::Stopped("memory")),
    call("giant-vec", End::Stopped("memory")),
    call("hold-24m", End::Stopped("deadline")),
    call("hold-50m", End::Stopped("deadline")),
    call("hold-60m", End::Stopped("deadline")),
    call("handles", End::Stopped("handles")),
    call("random-flood", End::Stopped("copies")),
    made("two-memories", memory::two_memories, End::NotLoaded("memory")),
    made("many-memories-in-one-module", memory::many_memories_in_one_module, End::NotLoaded("memories")),
    made("many-memories-in-many-modules", memory::many_memories_in_many_modules, End::NotLoaded("instances")),
    made("large-initial-memory", memory::large_initial_memory, End::Served),
    made("big-initial-memory", memory::big_initial_memory, End::NotLoaded("memory")),
    made("big-table", memory::big_table, End::NotLoaded("table")),
    made("table-growth", memory::table_growth, End::Stopped("table")),
    // Stack.
    call("recurse-stack", End::Stopped("stack")),
    call("recurse-arrays", End::Stopped("stack")),
    // Time.
    call("spin", End::OutOfTime),
    call("spin-copy", End::OutOfTime),
    call("spin-host", End::OutOfTime),
    call("sleep", End::Stopped("deadline")),
    call("sleep-short", End::Stopped("deadline")),
    made("spin-in-start", time::spin_in_start, End::NotLoaded("milliseconds")),
    made("spin-in-realloc", time::spin_in_realloc, End::OutOfTime),
    made("spin-in-post-return", time::spin_in_post_return, End::OutOfTime),
    // What goes to the host beside results.
    call("stdout-flood", End::Stopped("output")),
    call("stderr-flood", End::Stopped("output")),
    call("empty-writes", End::OutOfTime),
    call("log-flood", End::OutOfTime),
    call("progress-flood", End::OutOfTime),
    call("changed-flood", End::OutOfTime),
    call("changed-often", End::Served),
    call("big-argument", End::Stopped("copies")),
    // Results.
    call("giant-list", End::Stopped("copies")),
    call("many-strings", End::Stopped("copies")),
    call("giant-string", End::Stopped("copies")),
    call("giant-error", End::Stopped("copies")),
    call("bad-structured", End::Broken),
    call("deep-structured", End::Broken),
    made("shared-text", lies::shared_text, End::Stopped("copies")),
    made("giant-declared", lies::giant_declared, End::Broken),
    made("invalid-string", lies::invalid_string, End::Broken),
    made("unaligned-result", lies::unaligned_result, End::Broken),
    made("unknown-case", lies::unknown_case, End::Broken),
    // Ends that are no result.
    call("panic", End::Stopped("panic")),
    call("abort", End::Stopped("panic")),
    call("exit", End::Stopped("exit")),
    call("exit-zero", End::Stopped("exit")),
    // Reading by cursor.
    read("hostile:///endless", End::BrokenOff),
    read("hostile:///empty-next", End::Broken),
    read("hostile:///same-cursor", End::Broken),
    read("hostile:///cursor-cycle", End::Broken),
    read("hostile:///giant-cursor", End::Broken),
    read("hostile:///bad-utf8", End::Broken),
    read("hostile:///cut-utf8", End::Broken),
    read("hostile:///too-long-chunk", End::Broken),
    read("hostile:///no-head", End::Broken),
    read("hostile:///second-head", End::Broken),
    read("hostile:///giant-size", End::TooLarge),
    read("hostile:///grow", End::Stopped("memory")),
    read("hostile:///spin", End::OutOfTime),
    read("hostile:///spin-second", End::OutOfTime),
    read("hostile:///late-failure", End::BrokenOff),
    read("hostile:///late-panic", End::BrokenOff),
    read("hostile:///late-bad-utf8", End::BrokenOff),
    // Lists.
    list("huge-page", End::Served),
    list("huge-names", End::Stopped("copies")),
    list("endless-pages", End::Served),
    list("same-page", End::Broken),
    list("circle", End::Served),
    list("no-such-page", End::Answered),
    // Names.
    made("long-name", lies::long_name, End::NotLoaded("64")),
    made("doubled-name", lies::doubled_name, End::NotLoaded("twice")),
    made("wordy", lies::wordy, End::Served),
    made("long-description", lies::long_description, End::NotLoaded("65536")),
    made("long-schemas", lies::long_schemas, End::Served),
    // Not agents.
    made("core-module", misfits::core_module, End::NotLoaded("component")),
    made("noise", misfits::noise, End::NotLoaded("component")),
    made("empty-file", misfits::empty_file, End::NotLoaded("component")),
    made("truncated", misfits::truncated, End::NotLoaded("component")),
    made("async-component", misfits::async_component, End::NotLoaded("async")),
    made("async-intrinsic", misfits::async_intrinsic, End::NotLoaded("async")),
    made("other-contract", misfits::other_contract, End::NotLoaded("other:thing/api@1.0.0")),
    made("wrong-signature", misfits::wrong_signature, End::NotLoaded("tools")),
    made("missing-describe", misfits::missing_describe, End::NotLoaded("stockade:agent/describe@0.1.0")),
    made("unknown-import", misfits::unknown_import, End::NotLoaded("stockade:agent/teleport@0.1.0")),
    made("toolchains-own-export", misfits::toolchains_own_export, End::Served),
    // The compiler.
    made("compile-bomb-memory", bombs::compile_bomb_memory, End::NotLoaded("memory")),
    made("compile-bomb-time", bombs::compile_bomb_time, End::Served),
];

const fn call(tool: &'static str, end: End) -> Case {
    Case { name: tool, source: Source::Built, act: Act::Call(tool), end }
}

const fn read(uri: &'static str, end: End) -> Case {
    Case { name: uri, source: Source::Built, act: Act::Read(uri), end }
}

const fn list(cursor: &'static str, end: End) -> Case {
    Case { name: cursor, source: Source::Built, act: Act::List(cursor), end }
}

/// A component of its own. What loads has one tool to call.
const fn made(name: &'static str, component: fn() -> Vec<u8>, end: End) -> Case {
    let act = if matches!(end, End::NotLoaded(_)) { Act::Load } else { Act::Call(TOOL) };
    Case { name, source: Source::Made(component), act, end }
}
