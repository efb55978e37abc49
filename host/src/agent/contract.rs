//! The contract `stockade:agent@0.1.0` as Rust types, generated from `wit/`.
//!
//! The types are plain data; other rooms use them as they are, so that a guest's result is lifted once and never copied
//! into a second shape.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "stockade:agent/agent",
    imports: { default: trappable },
    exports: { default: async },
});

pub use exports::stockade::agent::completion::{Reference, Suggestions};
pub use exports::stockade::agent::describe::{Changes, Description};
pub use exports::stockade::agent::prompts::{Argument, Message, Prompt, PromptPage, PromptResult};
pub use exports::stockade::agent::resources::{Chunk, Form, Head, Position, ResourcePage, Template, TemplatePage};
pub use exports::stockade::agent::tools::{Hints, Tool, ToolPage, ToolResult};
pub use stockade::agent::host::{Change, Level, RequestContext};
pub use stockade::agent::types::{
    Annotations, Body, Cache, CacheScope, Content, EmbeddedResource, Error, Icon, InputRequest, InputRequired,
    MediaContent, Resource, Role, TextContent, Theme,
};
