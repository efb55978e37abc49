//! The prompt `summarise_table`: a table's schema, its first rows, and what to do with them.

#[cfg(test)]
mod tests;

use crate::address;
use crate::catalog::Catalog;
use crate::document;
use crate::exports::stockade::agent::prompts::{Argument, Message, Prompt, PromptResult};
use crate::query::{self, Query};
use crate::stockade::agent::types::{Body, Content, EmbeddedResource, Error, Role, TextContent};
use crate::tool::markdown;

/// The prompt's name.
pub const SUMMARISE: &str = "summarise_table";
/// Rows the prompt shows.
const ROWS_SHOWN: usize = 10;

/// The prompt's description.
pub fn summarise_table() -> Prompt {
    let argument = |name: &str, description: &str, required| Argument {
        name: name.into(),
        title: None,
        description: Some(description.into()),
        required,
    };
    Prompt {
        name: SUMMARISE.into(),
        title: Some("Summarise a table".into()),
        description: Some("What a table holds, how complete it is, and what stands out.".into()),
        arguments: vec![
            argument("table", "Name of the table, such as data/orders.csv.", true),
            argument("focus", "What you want to know in particular.", false),
        ],
        icons: vec![],
    }
}

/// The prompt, filled in.
pub fn get_summarise_table(catalog: &Catalog, arguments: &[(String, String)]) -> Result<PromptResult, Error> {
    let argument = |name: &str| arguments.iter().find(|(given, _)| given == name).map(|(_, value)| value);
    let Some(name) = argument("table") else {
        return Err(Error::InvalidInput(format!("{SUMMARISE} needs the argument table")));
    };
    let table = catalog.table_like(name)?;
    let schema = EmbeddedResource {
        uri: address::of_schema(&table.name),
        mime_type: Some("application/json".into()),
        body: Body::Text(document::schema(&table)?),
        annotations: None,
    };
    let beginning = query::run(catalog, &Query::first_rows(&table.name, ROWS_SHOWN))?;
    let focus = argument("focus").map(|focus| format!(" In particular: {focus}")).unwrap_or_default();
    let text = format!(
        "Summarise the table `{name}`: what one row stands for, the range of each column that matters, gaps, and \
         anything that stands out. Use the tool `query` on it for figures; do not guess them.{focus}\n\nIts schema is \
         attached. Its first rows:\n\n{rows}",
        name = table.name,
        rows = markdown(&beginning),
    );
    let message = |content| Message { role: Role::User, content };
    Ok(PromptResult {
        description: Some(format!("Summary of {}", table.name)),
        messages: vec![
            message(Content::Embedded(schema)),
            message(Content::Text(TextContent { text, annotations: None })),
        ],
    })
}
