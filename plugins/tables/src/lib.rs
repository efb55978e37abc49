//! `tables`: serves the CSV files of every directory it is granted.
//!
//! A file granted under `/data` as `sales/orders.csv` is the table `data/sales/orders.csv`. Its schema is the resource
//! `table:///data/sales/orders.csv`, its rows are `table:///data/sales/orders.csv/rows{?offset,limit}`, and the tool
//! `query` filters, sorts and aggregates them. Files end in `.csv` or `.tsv`; the first row names the columns; the
//! delimiter (comma, semicolon, tab or bar) is the one the first row uses most.
//!
//! Real files are not clean. Missing cells of a short row are empty, surplus cells of a long one are dropped, bytes
//! that are not UTF-8 become U+FFFD; each of these is counted and reported as a warning. Spaces around a cell are
//! dropped, and an empty cell is null. Only a row that is longer than 128 KiB, such as one with a quote nobody closes,
//! makes a file unreadable from there on.
//!
//! Files are streamed: memory depends on what is asked for, never on the size of the file.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package stockade:tables;
        world tables {
            export stockade:agent/describe@0.1.0;
            export stockade:agent/resources@0.1.0;
            export stockade:agent/tools@0.1.0;
            export stockade:agent/prompts@0.1.0;
            export stockade:agent/completion@0.1.0;
        }
    ",
    generate_all,
});

mod address;
mod aggregate;
mod catalog;
mod cell;
mod directory;
mod document;
mod filter;
mod prompt;
mod query;
mod schema;
mod select;
mod source;
#[cfg(test)]
mod testing;
mod tool;

use catalog::Catalog;
use exports::stockade::agent::completion::{Guest as Completion, Reference, Suggestions};
use exports::stockade::agent::describe::{Changes, Description, Guest as Describe};
use exports::stockade::agent::prompts::{Guest as Prompts, PromptPage, PromptResult};
use exports::stockade::agent::resources::{Chunk, Guest as Resources, Position, ResourcePage, TemplatePage};
use exports::stockade::agent::tools::{Guest as Tools, ToolPage, ToolResult};
use stockade::agent::types::Error;

struct Tables;
export!(Tables);

impl Describe for Tables {
    fn describe() -> Description {
        Description {
            title: "Tables".into(),
            description: "Answers questions about the CSV files in the directories the operator granted.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: Some(
                "Call `tables` to see which tables there are and what their columns are called, then `query` to \
                 filter, sort, group and aggregate. Let `query` do the arithmetic; do not read all rows to add them up."
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

impl Resources for Tables {
    fn list_resources(cursor: Option<String>) -> Result<ResourcePage, Error> {
        document::list(&Catalog::of_this_agent(), cursor.as_deref())
    }

    fn list_templates(_cursor: Option<String>) -> Result<TemplatePage, Error> {
        Ok(TemplatePage { templates: document::templates(), next: None, cache: None })
    }

    fn read(uri: String, at: Position, max: u32) -> Result<Chunk, Error> {
        document::read(&Catalog::of_this_agent(), &uri, &at, max)
    }
}

impl Tools for Tables {
    fn list_tools(_cursor: Option<String>) -> Result<ToolPage, Error> {
        Ok(ToolPage { tools: tool::all(), next: None, cache: None })
    }

    fn call(name: String, arguments: String) -> Result<ToolResult, Error> {
        match name.as_str() {
            "query" => tool::call_query(&Catalog::of_this_agent(), &arguments),
            "tables" => tool::call_tables(&Catalog::of_this_agent(), &arguments),
            _ => Err(Error::NotFound(format!("no tool {name}; there are query and tables"))),
        }
    }
}

impl Prompts for Tables {
    fn list_prompts(_cursor: Option<String>) -> Result<PromptPage, Error> {
        Ok(PromptPage { prompts: vec![prompt::summarise_table()], next: None, cache: None })
    }

    fn get(name: String, arguments: Vec<(String, String)>) -> Result<PromptResult, Error> {
        match name.as_str() {
            prompt::SUMMARISE => prompt::get_summarise_table(&Catalog::of_this_agent(), &arguments),
            _ => Err(Error::NotFound(format!("no prompt {name}; there is {}", prompt::SUMMARISE))),
        }
    }
}

impl Completion for Tables {
    fn complete(
        of: Reference,
        argument: String,
        value: String,
        _known: Vec<(String, String)>,
    ) -> Result<Suggestions, Error> {
        let names = || Catalog::of_this_agent().suggestions(&value);
        let none = Suggestions { values: vec![], total: Some(0) };
        match (of, argument.as_str()) {
            (Reference::Prompt(name), "table") if name == prompt::SUMMARISE => names(),
            (Reference::Prompt(name), _) if name == prompt::SUMMARISE => Ok(none),
            (Reference::Template(template), argument) if document::is_template(&template) => {
                // Offsets and limits need no help.
                if argument == "name" { names() } else { Ok(none) }
            }
            (Reference::Prompt(name), _) => Err(Error::NotFound(format!("no prompt {name}"))),
            (Reference::Template(template), _) => Err(Error::NotFound(format!("no template {template}"))),
        }
    }
}
