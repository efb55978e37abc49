//! Small files that are large to compile.

use super::agent::Agent;

/// Each costs the compiler over a kilobyte and the file ten bytes.
const FUNCTIONS: usize = 300_000;

/// Statements in one function; the time grows with the square of their number.
const STATEMENTS: u32 = 20_000;

/// About 3 MiB of tiny functions: hundreds of mebibytes within seconds.
pub(super) fn compile_bomb_memory() -> Vec<u8> {
    let tiny = "(func (param i32) (result i32) local.get 0 i32.const 7 i32.add)";
    Agent { definitions: tiny.repeat(FUNCTIONS), ..Agent::default() }.component()
}

/// One function that is one chain of exclusive ors over memory: seconds of CPU for 200 KiB. It loads in the end, since a
/// compiler that does not optimise has no trouble with it.
pub(super) fn compile_bomb_time() -> Vec<u8> {
    let statement = |offset| format!("(local.set 0 (i32.xor (local.get 0) (i32.load offset={offset} (local.get 1))))");
    let chain: String = (0..STATEMENTS).map(statement).collect();
    let definitions = format!("(func (param i32 i32) (result i32) {chain} (local.get 0))");
    Agent { definitions, ..Agent::default() }.component()
}
