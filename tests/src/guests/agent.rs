//! An agent written by hand: a core module in WAT that keeps the whole contract, with places where hostility can be put.

use super::contract::Contract;
use super::image::Image;

/// The tool that most of these agents have.
pub(super) const TOOL: &str = "attack";

const DESCRIBE: &str = "stockade:agent/describe@0.1.0";
const TOOLS: &str = "stockade:agent/tools@0.1.0";

/// What is different about this agent. The default answers every call with a text.
pub(super) struct Agent {
    pub(super) contract: Contract,
    pub(super) describe: Describe,
    /// What it says it is called.
    pub(super) title: String,
    pub(super) tools: Vec<String>,
    /// The schema of each of them.
    pub(super) schema: String,
    /// Initial memory, in pages of 64 KiB.
    pub(super) pages: u32,
    /// Imports of the core module.
    pub(super) imports: String,
    /// Further parts of the core module.
    pub(super) definitions: String,
    /// What `cabi_realloc` does before it gives memory.
    pub(super) realloc: &'static str,
    /// What a tool does before it answers.
    pub(super) call: &'static str,
    /// Core parameters of the tool call.
    pub(super) parameters: &'static str,
    /// Lays out the `result<tool-result, error>` of a tool call; where it stands.
    pub(super) answer: fn(&mut Image) -> u32,
}

/// How the agent says what it is.
pub(super) enum Describe {
    Proper,
    /// By the async ABI, with a callback.
    Async,
    Absent,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            contract: Contract::exporting(&["describe", "tools"]),
            describe: Describe::Proper,
            title: "Hand-made".into(),
            tools: vec![TOOL.into()],
            schema: r#"{"type":"object"}"#.into(),
            pages: 2,
            imports: String::new(),
            definitions: String::new(),
            realloc: "",
            call: "",
            parameters: "i32 i32 i32 i32",
            answer: |image| {
                let text = image.string(b"well");
                let content = image.text(text);
                image.tool_result(content)
            },
        }
    }
}

impl Agent {
    /// The agent as a component.
    pub(super) fn component(&self) -> Vec<u8> {
        self.contract.encode(self.module())
    }

    /// The agent as a core module, without what makes it a component.
    pub(super) fn module(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("the WAT of an agent is wrong: {error}"))
    }

    fn text(&self) -> String {
        let mut image = Image::default();
        let description = image.description(&self.title);
        let page = image.tool_page(&self.tools, &self.schema);
        let result = (self.answer)(&mut image);
        let (segment, heap) = (image.segment(), image.end_aligned());
        let (imports, describe) = self.describe.text(&self.imports, description);
        let Self { pages, definitions, realloc, call, parameters, .. } = self;
        format!(
            r#"(module
                {imports}
                (memory (export "memory") {pages})
                {segment}
                (global $heap (mut i32) (i32.const {heap}))
                {definitions}
                ;; Gives memory and never takes it back: an instance serves one call.
                (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
                    (result i32)
                    (local $given i32)
                    {realloc}
                    (local.set $given (global.get $heap))
                    (global.set $heap
                        (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8)))
                    (local.get $given))
                {describe}
                (func (export "{TOOLS}#list-tools") (param i32 i32 i32) (result i32) (i32.const {page}))
                (func (export "{TOOLS}#call") (param {parameters}) (result i32) {call} (i32.const {result})))"#
        )
    }
}

impl Describe {
    /// The imports with what this needs, and the functions that give the description at this address.
    fn text(&self, imports: &str, description: u32) -> (String, String) {
        match self {
            Self::Proper => (
                imports.into(),
                format!(r#"(func (export "{DESCRIBE}#describe") (result i32) (i32.const {description}))"#),
            ),
            Self::Async => (
                format!(
                    r#"{imports}
                    (import "[export]{DESCRIBE}" "[task-return]describe" (func $return (param i32)))"#
                ),
                format!(
                    r#"(func (export "[async-lift]{DESCRIBE}#describe") (result i32)
                        (call $return (i32.const {description})) (i32.const 0))
                    (func (export "[callback][async-lift]{DESCRIBE}#describe") (param i32 i32 i32) (result i32)
                        (i32.const 0))"#
                ),
            ),
            Self::Absent => (imports.into(), String::new()),
        }
    }
}
