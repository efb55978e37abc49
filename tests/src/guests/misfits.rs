//! Files that are no agents: no components, or components of another contract.

use super::agent::{Agent, Describe};
use super::contract::{self, Contract};

/// Bytes of the file that is only noise.
const NOISE_BYTES: usize = 4096;

/// A core module, with all the right exports.
pub(super) fn core_module() -> Vec<u8> {
    Agent::default().module()
}

/// Noise, the same each time.
pub(super) fn noise() -> Vec<u8> {
    let mut state = 0x2545_f491u32;
    let step = |state: &mut u32| {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        state.to_le_bytes()[0]
    };
    (0..NOISE_BYTES).map(|_| step(&mut state)).collect()
}

/// Nothing.
pub(super) fn empty_file() -> Vec<u8> {
    vec![]
}

/// A component whose second half is missing.
pub(super) fn truncated() -> Vec<u8> {
    let mut component = Agent::default().component();
    component.truncate(component.len() / 2);
    component
}

/// Describes itself by the component model's async ABI.
pub(super) fn async_component() -> Vec<u8> {
    let contract = Contract::exporting(&["describe", "tools"])
        .with("describe: func() -> description;", "describe: async func() -> description;");
    Agent { contract, describe: Describe::Async, ..Agent::default() }.component()
}

/// Exports what it should, and uses an intrinsic of the async ABI inside.
pub(super) fn async_intrinsic() -> Vec<u8> {
    let imports = r#"(import "$root" "[waitable-set-new]" (func $set (result i32)))"#;
    Agent { imports: imports.into(), call: "(drop (call $set))", ..Agent::default() }.component()
}

/// A component of some other host.
pub(super) fn other_contract() -> Vec<u8> {
    let module = wat::parse_str(r#"(module (func (export "other:thing/api@1.0.0#run")))"#);
    let package = "package other:thing@1.0.0; interface api { run: func(); } world thing { export api; }";
    contract::encode(module.expect("the module is well formed"), &[package])
}

/// The right names, and one function with another type.
pub(super) fn wrong_signature() -> Vec<u8> {
    let contract = Contract::exporting(&["describe", "tools"])
        .with("call: func(name: string, arguments: string)", "call: func(name: string, arguments: u32)");
    Agent { contract, parameters: "i32 i32 i32", ..Agent::default() }.component()
}

/// Has tools, and does not say what it is.
pub(super) fn missing_describe() -> Vec<u8> {
    Agent { contract: Contract::exporting(&["tools"]), describe: Describe::Absent, ..Agent::default() }.component()
}

/// Wants something that no host of this contract has.
pub(super) fn unknown_import() -> Vec<u8> {
    let contract = Contract::exporting(&["describe", "tools"]).importing("teleport", "away: func();");
    let imports = r#"(import "stockade:agent/teleport@0.1.0" "away" (func $away))"#;
    Agent { contract, imports: imports.into(), call: "(call $away)", ..Agent::default() }.component()
}

/// No misfit: what a compiler exports for itself, and nobody calls, is no part of any contract.
pub(super) fn toolchains_own_export() -> Vec<u8> {
    let contract = Contract::exporting(&["describe", "tools"]).leaving("exports", "init: func();");
    Agent { contract, definitions: r#"(func (export "exports#init") unreachable)"#.into(), ..Agent::default() }
        .component()
}
