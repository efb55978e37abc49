//! Loops in places where a host does not expect code to run.

use super::agent::Agent;

/// Loops while the instance is made.
pub(super) fn spin_in_start() -> Vec<u8> {
    Agent { definitions: "(func $spin (loop (br 0))) (start $spin)".into(), ..Agent::default() }.component()
}

/// Loops when the host asks for room for the arguments.
pub(super) fn spin_in_realloc() -> Vec<u8> {
    Agent { realloc: "(loop (br 0))", ..Agent::default() }.component()
}

/// Loops after the result was read.
pub(super) fn spin_in_post_return() -> Vec<u8> {
    let definitions = r#"(func (export "cabi_post_stockade:agent/tools@0.1.0#call") (param i32) (loop (br 0)))"#;
    Agent { definitions: definitions.into(), ..Agent::default() }.component()
}
