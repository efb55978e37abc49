//! Memories and tables: more of them, bigger ones, and ones that grow.

use wasm_encoder::{ComponentSection, ComponentSectionId, InstanceSection, ModuleArg, RawSection};
use wasmparser::{Parser, Payload};

use super::agent::Agent;

/// Pages of 64 KiB.
const PAGES_40_MIB: u32 = 640;
const PAGES_1_GIB: u32 = 16_384;
const PAGES_10_MIB: u32 = 160;

const MEMORIES: usize = 32;

/// Memory of each of many: together more than one call may have, each for itself little.
const PAGES_OF_EACH: u32 = 64;

/// Two core modules with a memory of 40 MiB each, both instantiated: each fits the default cap, their sum does not.
pub(super) fn two_memories() -> Vec<u8> {
    let mut component = Agent { pages: PAGES_40_MIB, ..Agent::default() }.component();
    append_instance(&mut component, PAGES_40_MIB);
    component
}

/// One core module with 32 memories.
pub(super) fn many_memories_in_one_module() -> Vec<u8> {
    let definitions = format!("(memory {PAGES_OF_EACH})").repeat(MEMORIES - 1);
    Agent { definitions, ..Agent::default() }.component()
}

/// 32 core modules with a memory each.
pub(super) fn many_memories_in_many_modules() -> Vec<u8> {
    let mut component = Agent::default().component();
    for _ in 1..MEMORIES {
        append_instance(&mut component, PAGES_OF_EACH);
    }
    component
}

/// Starts with 10 MiB, and means no harm: an agent may need that much.
pub(super) fn large_initial_memory() -> Vec<u8> {
    Agent { pages: PAGES_10_MIB, ..Agent::default() }.component()
}

/// Starts with 1 GiB.
pub(super) fn big_initial_memory() -> Vec<u8> {
    Agent { pages: PAGES_1_GIB, ..Agent::default() }.component()
}

/// Its tool makes a table grow for ever, and goes on when growth fails.
pub(super) fn table_growth() -> Vec<u8> {
    Agent {
        definitions: "(table $table 1 funcref)".into(),
        call: "(loop (drop (table.grow $table (ref.null func) (i32.const 1000))) (br 0))",
        ..Agent::default()
    }
    .component()
}

/// Starts with ten million elements in a table.
pub(super) fn big_table() -> Vec<u8> {
    Agent { definitions: "(table 10000000 funcref)".into(), ..Agent::default() }.component()
}

/// Adds a core module with a memory, and an instance of it, to the end of a component. A component is a row of sections
/// in any order, so that nothing before has to change.
fn append_instance(component: &mut Vec<u8>, pages: u32) {
    let module = wat::parse_str(format!("(module (memory {pages}))")).expect("the module is well formed");
    let index = core_modules(component);
    RawSection { id: ComponentSectionId::CoreModule.into(), data: &module }.append_to_component(component);
    let mut instances = InstanceSection::new();
    instances.instantiate::<_, &str>(index, Vec::<(&str, ModuleArg)>::new());
    instances.append_to_component(component);
}

/// How many core modules the component has, which is the index of the next.
fn core_modules(component: &[u8]) -> u32 {
    let mut depth = 0u32;
    let mut count = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("the component is well formed") {
            Payload::ModuleSection { .. } => {
                count += u32::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            // The last one ends the component itself.
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    count
}
