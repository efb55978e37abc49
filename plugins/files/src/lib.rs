//! `files`: serves every directory it is granted, read-only.
//!
//! A file granted under `/docs` as `notes/a.md` is the resource `file:///docs/notes/a.md`. The list holds every regular
//! file below the grants, hidden ones too, in the order of [`walk`]; a symbolic link to a file is listed, a linked
//! directory is not entered (it may lead in a circle), and what cannot be looked at is left out. Directories are not
//! resources. WASI refuses every way out of a grant; nothing here has to, and nothing here writes.
//!
//! Every call runs in a fresh instance under a small memory cap: a page, a chunk and a search each hold a bounded part
//! of the tree or of a file, and say by cursor where they stopped.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package stockade:files;
        world files {
            export stockade:agent/describe@0.1.0;
            export stockade:agent/resources@0.1.0;
            export stockade:agent/tools@0.1.0;
            export stockade:agent/completion@0.1.0;
        }
    ",
    generate_all,
});

mod completing;
mod directory;
mod failure;
mod grants;
mod listing;
mod media;
mod read;
mod search;
mod stamp;
mod tool;
mod uri;
mod walk;

use exports::stockade::agent::completion::{Guest as Completion, Reference, Suggestions};
use exports::stockade::agent::describe::{Changes, Description, Guest as Describe};
use exports::stockade::agent::resources::{Chunk, Guest as Resources, Position, ResourcePage, Template, TemplatePage};
use exports::stockade::agent::tools::{Guest as Tools, ToolPage, ToolResult};
use grants::Grants;
use stockade::agent::types::Error;

/// The one template: every file below the grants.
const TEMPLATE: &str = "file:///{+path}";

struct Files;
export!(Files);

impl Describe for Files {
    fn describe() -> Description {
        Description {
            title: "Files".into(),
            description: "Reads and searches the directories the operator granted. It never writes.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: Some(
                "Every file is a resource `file:///...`. To find one, call `search` with a file name pattern (`name`) \
                 or with text that files contain (`query`), then read the resource it links to. Large files are \
                 served whole: read them only if you need all of them, otherwise search."
                    .into(),
            ),
            website_url: None,
            icons: vec![],
            changes: Changes::empty(),
            // An instance lives for one call, so it cannot watch a directory.
            poll_ms: Some(5_000),
        }
    }
}

impl Resources for Files {
    fn list_resources(cursor: Option<String>) -> Result<ResourcePage, Error> {
        listing::page(&Grants::of_this_agent(), cursor.as_deref())
    }

    fn list_templates(_cursor: Option<String>) -> Result<TemplatePage, Error> {
        let template = Template {
            uri_template: TEMPLATE.into(),
            name: "file".into(),
            title: Some("A file".into()),
            description: Some(format!("Any file below {}.", Grants::of_this_agent())),
            mime_type: None,
            annotations: None,
            icons: vec![],
        };
        Ok(TemplatePage { templates: vec![template], next: None, cache: None })
    }

    fn read(uri: String, at: Position, max: u32) -> Result<Chunk, Error> {
        read::read(&Grants::of_this_agent(), &uri, at, max)
    }
}

impl Tools for Files {
    fn list_tools(_cursor: Option<String>) -> Result<ToolPage, Error> {
        Ok(ToolPage { tools: vec![tool::search()], next: None, cache: None })
    }

    fn call(name: String, arguments: String) -> Result<ToolResult, Error> {
        match name.as_str() {
            "search" => tool::call_search(&Grants::of_this_agent(), &arguments),
            _ => Err(Error::NotFound(format!("no tool {name}; there is search"))),
        }
    }
}

impl Completion for Files {
    fn complete(
        of: Reference,
        argument: String,
        value: String,
        _known: Vec<(String, String)>,
    ) -> Result<Suggestions, Error> {
        match of {
            Reference::Template(template) if template == TEMPLATE && argument == "path" => {
                Ok(completing::paths(&Grants::of_this_agent(), &value))
            }
            Reference::Template(template) if template == TEMPLATE => {
                Err(Error::InvalidInput(format!("{TEMPLATE} has no argument {argument}; there is path")))
            }
            Reference::Template(template) => {
                Err(Error::NotFound(format!("no template {template}; there is {TEMPLATE}")))
            }
            Reference::Prompt(name) => Err(Error::NotFound(format!("no prompt {name}; this agent has none"))),
        }
    }
}
