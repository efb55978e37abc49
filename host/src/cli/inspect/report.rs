//! What was found out about a component, for people and for programs.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use super::Examined;
use crate::agent::{Anatomy, Stock};
use crate::cli::plain;
use crate::manifest::size;

/// Characters of a description in a line of a list.
const SUMMARY_CHARS_MAX: usize = 80;

/// For people: a few lines, none of which an agent's own words can break.
pub(super) fn text(examined: &Examined) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(&mut out, examined);
    out
}

fn write_text(out: &mut String, examined: &Examined) -> fmt::Result {
    let Examined { component, bytes, digest, anatomy, stock } = examined;
    writeln!(out, "component  {}", component.display())?;
    writeln!(out, "size       {}", size::round(*bytes))?;
    writeln!(out, "digest     sha256:{digest}")?;
    if let Some(Anatomy { exports, imports, initial_memory, .. }) = anatomy {
        writeln!(out, "memory     {} to begin with", size::round(*initial_memory))?;
        write_names(out, "exports", exports)?;
        write_names(out, "imports", imports)?;
    }
    let Ok(stock) = stock else { return writeln!(out, "contract   does not fit") };
    writeln!(out, "contract   fits")?;
    write_stock(out, stock)
}

fn write_names(out: &mut String, what: &str, names: &[String]) -> fmt::Result {
    let mut label = what;
    for name in names {
        writeln!(out, "{label:<9}  {}", plain(name))?;
        label = "";
    }
    Ok(())
}

fn write_stock(out: &mut String, stock: &Stock) -> fmt::Result {
    let said = &stock.offer.description;
    writeln!(out, "\n{} {}: {}", plain(&said.title), plain(&said.version), plain(&said.description))?;
    let tools = stock.tools.iter().map(|it| (&*it.name, it.description.as_deref()));
    write_list(out, "tools", tools)?;
    write_list(out, "resources", stock.resources.iter().map(|it| (&*it.uri, it.description.as_deref())))?;
    write_list(out, "templates", stock.templates.iter().map(|it| (&*it.uri_template, it.description.as_deref())))?;
    write_list(out, "prompts", stock.prompts.iter().map(|it| (&*it.name, it.description.as_deref())))?;
    for failed in &stock.failed {
        writeln!(out, "\nwarning: the list failed of its {}", plain(failed))?;
    }
    Ok(())
}

fn write_list<'a>(
    out: &mut String,
    what: &str,
    entries: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> fmt::Result {
    let mut label = what;
    for (name, description) in entries {
        let description = plain(description.unwrap_or_default());
        let summary: String = description.chars().take(SUMMARY_CHARS_MAX).collect();
        writeln!(out, "{}", format!("{label:<9}  {}  {summary}", plain(name)).trim_end())?;
        label = "";
    }
    Ok(())
}

/// For programs.
pub(super) fn json(examined: &Examined) -> String {
    let Examined { component, bytes, digest, anatomy, stock } = examined;
    let mut whole = json!({
        "component": component.display().to_string(),
        "bytes": bytes,
        "digest": format!("sha256:{digest}"),
        "fits": stock.is_ok(),
    });
    if let Some(Anatomy { exports, imports, initial_memory, .. }) = anatomy {
        whole["exports"] = json!(exports);
        whole["imports"] = json!(imports);
        whole["initialMemory"] = json!(initial_memory);
    }
    match stock {
        Ok(stock) => whole["agent"] = stock_json(stock),
        Err(reason) => whole["reason"] = json!(reason),
    }
    format!("{whole}\n")
}

fn stock_json(stock: &Stock) -> Value {
    let said = &stock.offer.description;
    let tools = stock.tools.iter().map(|it| {
        // The schema as what it is; what is no JSON stays a text.
        let schema = serde_json::from_str(&it.input_schema).unwrap_or_else(|_| json!(it.input_schema));
        json!({ "name": it.name, "title": it.title, "description": it.description, "inputSchema": schema })
    });
    let resources = stock.resources.iter().map(|it| {
        json!({ "uri": it.uri, "name": it.name, "title": it.title, "description": it.description, "mimeType": it.mime_type })
    });
    let templates = stock.templates.iter().map(
        |it| json!({ "uriTemplate": it.uri_template, "name": it.name, "title": it.title, "description": it.description }),
    );
    let prompts =
        stock.prompts.iter().map(|it| json!({ "name": it.name, "title": it.title, "description": it.description }));
    json!({
        "title": said.title,
        "description": said.description,
        "version": said.version,
        "instructions": said.instructions,
        "tools": tools.collect::<Value>(),
        "resources": resources.collect::<Value>(),
        "templates": templates.collect::<Value>(),
        "prompts": prompts.collect::<Value>(),
        "completion": stock.offer.completion,
        "failed": stock.failed,
    })
}
