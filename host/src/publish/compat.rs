//! Tools of a version: are their schemas any good, and does a new version break whoever calls the one before?
//!
//! A schema of arguments may take more than before and never less; one of answers may promise more and never less. Only what
//! can be told from the schemas for sure is called a break: what says nothing of `$ref` or `oneOf` is not compared.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::agent::Shape;

/// Nesting of schemas that is looked at; a deeper one is refused.
const DEPTH_MAX: usize = 32;

/// Bytes of one schema: read, it takes up to twenty times as much.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Breaks that are named.
const NAMED_MAX: usize = 8;

/// Bytes of a name that are shown.
const NAME_BYTES_MAX: usize = 64;

/// Types of JSON Schema (2020-12, validation 6.1.1).
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// Bounds below, which only get lower in what takes more; and those above.
const LOWEST: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const HIGHEST: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

/// Checks the schemas of a version's tools.
///
/// # Errors
///
/// What is wrong with the first that is wrong.
pub fn check(tools: &[Shape]) -> Result<(), String> {
    for Shape { name, input, output } in tools {
        check_schema(input).map_err(|wrong| format!("the tool `{name}`: its input schema {wrong}"))?;
        if let Some(output) = output {
            check_schema(output).map_err(|wrong| format!("the tool `{name}`: its output schema {wrong}"))?;
        }
    }
    Ok(())
}

fn check_schema(text: &str) -> Result<(), String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!("has {} bytes; at most {SCHEMA_BYTES_MAX} are allowed", text.len()));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("is not of an object: MCP wants `\"type\": \"object\"` at its top".to_owned());
    }
    check_part(&schema, 0)
}

fn check_part(schema: &Value, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("is nested more than {DEPTH_MAX} deep"));
    }
    let schema = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(schema) => schema,
        other => return Err(format!("has {other} where a schema belongs")),
    };
    check_types(schema)?;
    if let Some(required) = schema.get("required") {
        let names = required.as_array().filter(|names| names.iter().all(Value::is_string));
        names.ok_or("has a `required` that is no list of names")?;
    }
    match schema.get("properties") {
        None => {}
        Some(Value::Object(properties)) => {
            properties.values().try_for_each(|property| check_part(property, depth + 1))?;
        }
        Some(_) => return Err("has `properties` that are no object".to_owned()),
    }
    schema.get("items").map_or(Ok(()), |items| check_part(items, depth + 1))
}

fn check_types(schema: &Map<String, Value>) -> Result<(), String> {
    let Some(said) = schema.get("type") else { return Ok(()) };
    let named = match said {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => Vec::new(),
    };
    if !named.is_empty() && named.iter().all(|one| TYPES.contains(one)) {
        return Ok(());
    }
    Err(format!("says `\"type\": {said}`; there are {}", TYPES.join(", ")))
}

/// What of a new version breaks whoever calls the one before, in words; nothing if nobody has to notice. Both were checked.
pub fn breaks(before: &[Shape], after: &[Shape]) -> Vec<String> {
    let mut found = Found::default();
    for old in before {
        let Some(new) = after.iter().find(|new| new.name == old.name) else {
            found.add(|| format!("the tool `{}` is gone", old.name));
            continue;
        };
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let place = format!("the tool `{}`", old.name);
        let takes = format!("{place} takes less than before: arguments");
        narrowed(&parsed(&old.input), &parsed(&new.input), &takes, &mut found, 0);
        match (&old.output, &new.output) {
            (Some(old), Some(new)) => {
                // What answers may be is compared the other way round: callers must be able to take all of it.
                let promised = format!("{place} promised more before: answers");
                narrowed(&parsed(new), &parsed(old), &promised, &mut found, 0);
            }
            (Some(_), None) => found.add(|| format!("{place} no longer says what it answers")),
            (None, _) => {}
        }
    }
    found.named.extend((found.more > 0).then(|| format!("{} more", found.more)));
    found.named
}

/// What was found: the first ones in words, the others as a number. Names in schemas may be long, and there may be many.
#[derive(Default)]
struct Found {
    named: Vec<String>,
    more: usize,
}

impl Found {
    fn add(&mut self, words: impl FnOnce() -> String) {
        if self.named.len() < NAMED_MAX {
            self.named.push(words());
        } else {
            self.more += 1;
        }
    }
}

/// A name of a schema, as far as it is shown.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

/// Finds what `wide` allows and `narrow` does not.
fn narrowed(wide: &Value, narrow: &Value, place: &str, found: &mut Found, depth: usize) {
    let (Value::Object(wide), Value::Object(narrow)) = (wide, narrow) else {
        if matches!(narrow, Value::Bool(false)) && !matches!(wide, Value::Bool(false)) {
            found.add(|| format!("{place}: nothing is allowed"));
        }
        return;
    };
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(lost) = lost_types(wide, narrow) {
        found.add(|| format!("{place}: no {lost}"));
        return;
    }
    lost_values(wide, narrow, place, found);
    tighter(wide, narrow, place, found);
    properties(wide, narrow, place, found, depth);
    if let Some(items) = narrow.get("items") {
        narrowed(wide.get("items").unwrap_or(&Value::Bool(true)), items, &format!("{place}[]"), found, depth + 1);
    }
}

/// Types that are not allowed any more.
fn lost_types(wide: &Map<String, Value>, narrow: &Map<String, Value>) -> Option<String> {
    let (wide, narrow) = (types(wide), types(narrow));
    let covers = |kind: &str| narrow.contains(kind) || (kind == "integer" && narrow.contains("number"));
    let lost: Vec<&str> = wide.into_iter().filter(|kind| !covers(kind)).collect();
    (!lost.is_empty()).then(|| lost.join(" or "))
}

/// Without a `type` a schema allows all of them; integers are numbers.
fn types(schema: &Map<String, Value>) -> BTreeSet<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.as_str()]),
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.into_iter().filter(|kind| *kind != "integer").collect(),
    }
}

fn lost_values(wide: &Map<String, Value>, narrow: &Map<String, Value>, place: &str, found: &mut Found) {
    let values = |schema: &Map<String, Value>| match (schema.get("const"), schema.get("enum")) {
        (Some(one), _) => Some(vec![one.clone()]),
        (None, Some(Value::Array(several))) => Some(several.clone()),
        _ => None,
    };
    let Some(allowed) = values(narrow) else { return };
    match values(wide) {
        None => found.add(|| format!("{place}: only some values")),
        Some(before) => {
            // As texts in an order, since there may be thousands of either.
            let allowed: BTreeSet<String> = allowed.iter().map(Value::to_string).collect();
            let lost = before.iter().map(Value::to_string).find(|value| !allowed.contains(value));
            if let Some(lost) = lost {
                let lost = shown(&lost);
                found.add(|| format!("{place}: not {lost}"));
            }
        }
    }
}

fn tighter(wide: &Map<String, Value>, narrow: &Map<String, Value>, place: &str, found: &mut Found) {
    let number = |schema: &Map<String, Value>, key: &str| schema.get(key).and_then(Value::as_f64);
    for key in LOWEST {
        if let Some(now) = number(narrow, key)
            && number(wide, key).is_none_or(|before| now > before)
        {
            found.add(|| format!("{place}: `{key}` is {now}"));
        }
    }
    for key in HIGHEST {
        if let Some(now) = number(narrow, key)
            && number(wide, key).is_none_or(|before| now < before)
        {
            found.add(|| format!("{place}: `{key}` is {now}"));
        }
    }
    if narrow.get("pattern").is_some_and(|pattern| wide.get("pattern") != Some(pattern)) {
        found.add(|| format!("{place}: another `pattern`"));
    }
}

fn properties(wide: &Map<String, Value>, narrow: &Map<String, Value>, place: &str, found: &mut Found, depth: usize) {
    let [before, after] = [wide, narrow].map(|schema| schema.get("properties").and_then(Value::as_object));
    let [needed_before, needed] = [wide, narrow].map(|schema| -> BTreeSet<&str> {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).collect()
    });
    for name in needed.difference(&needed_before) {
        let name = shown(name);
        found.add(|| format!("{place}: `{name}` is required"));
    }
    let closed = |schema: &Map<String, Value>| schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, schema) in before.into_iter().flatten() {
        let (now, name) = (after.and_then(|after| after.get(name)), shown(name));
        match now {
            Some(now) => narrowed(schema, now, &format!("{place}.{name}"), found, depth + 1),
            None if closed(narrow) => found.add(|| format!("{place}: no `{name}`")),
            None => {}
        }
    }
    if closed(narrow) && !closed(wide) {
        found.add(|| format!("{place}: no other properties"));
    }
}

#[cfg(test)]
mod tests;
