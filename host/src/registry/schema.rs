//! What stands in the document: the fields of an agent, what each may hold, and who may write it.
//!
//! | Field | Holds | Written by |
//! |---|---|---|
//! | `name`, `version`, `digest`, `owner` | text | the host |
//! | `coldStart` | microseconds | the host |
//! | `peak` | bytes | the host |
//! | `created`, `updated` | milliseconds since 1970 | the host |
//! | `aliases` | an object: alias to version | the host |
//! | `title`, `description` | text | publishers of the agent |
//! | `enabled` | true or false | operators |
//! | `memory`, `reserve` | bytes | operators, within the manifest's |
//! | `deadline` | milliseconds | operators, within the manifest's |
//! | `concurrency` | calls at once | operators, within the manifest's |
//! | `grants` | paths of granted directories | operators, of the manifest's |
//! | `retired` | milliseconds since 1970 | operators |
//!
//! A field that is missing, or null, is as the manifest says. Numbers are whole, and 1.0 is 1: some clients know no other.

use serde_json::{Value, json};

use crate::access::Principal;
use crate::manifest::Role;

/// Agents that have an entry. The manifest may not have more either.
pub const AGENTS_MAX: usize = crate::manifest::AGENTS_MAX;

/// A field of an agent.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub by: Writer,
    pub holds: Holds,
    /// For people who read the published schema.
    pub meaning: &'static str,
}

/// Who may write a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Nobody but the host.
    Host,
    Operator,
    /// Who may publish the agent.
    Publisher,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// So many bytes of text at most.
    Text(usize),
    Truth,
    /// A whole number up to this one, of this unit.
    Whole {
        max: u64,
        unit: &'static str,
    },
    /// A list of texts.
    Texts,
    /// An object of texts.
    Named,
}

/// Bytes of a text in a list or an object, and how many there may be.
const ITEM_BYTES_MAX: usize = 256;
const ITEMS_MAX: usize = 64;

/// The largest number that JavaScript holds exactly.
const SAFE_MAX: u64 = (1 << 53) - 1;

const BYTES: Holds = Holds::Whole { max: 1 << 40, unit: "bytes" };
const TIME: Holds = Holds::Whole { max: SAFE_MAX, unit: "milliseconds since 1970" };

const fn field(name: &'static str, by: Writer, holds: Holds, meaning: &'static str) -> Field {
    Field { name, by, holds, meaning }
}

/// All fields. A record holds their values in this order.
pub const FIELDS: [Field; 18] = [
    field("name", Writer::Host, Holds::Text(32), "The agent's name, as in the document's key."),
    field("title", Writer::Publisher, Holds::Text(256), "What people call it."),
    field("description", Writer::Publisher, Holds::Text(4096), "What it is for."),
    field("version", Writer::Host, Holds::Text(128), "The version that is served."),
    field("digest", Writer::Host, Holds::Text(128), "sha256 of the component that is served."),
    field("owner", Writer::Host, Holds::Text(64), "Who published the version that is served."),
    field(
        "coldStart",
        Writer::Host,
        Holds::Whole { max: SAFE_MAX, unit: "microseconds" },
        "What a fresh instance and its first answer took on trial.",
    ),
    field("peak", Writer::Host, BYTES, "Most guest memory that its trial took."),
    field("created", Writer::Host, TIME, "When it was first registered."),
    field("updated", Writer::Host, TIME, "When the host last changed its entry."),
    field("aliases", Writer::Host, Holds::Named, "Names of versions: alias to version."),
    field("enabled", Writer::Operator, Holds::Truth, "Whether it is served."),
    field("memory", Writer::Operator, BYTES, "Cap of one call: all its memories and tables."),
    field("reserve", Writer::Operator, BYTES, "What a call is granted before it starts."),
    field(
        "deadline",
        Writer::Operator,
        Holds::Whole { max: 3_600_000, unit: "milliseconds" },
        "Wall clock of one call.",
    ),
    field("concurrency", Writer::Operator, Holds::Whole { max: 1_000, unit: "calls" }, "Calls that run at once."),
    field("grants", Writer::Operator, Holds::Texts, "Granted directories, by the path that the agent sees."),
    field("retired", Writer::Operator, TIME, "Since when it is retired; its entry is cleaned up later."),
];

/// The place of a field in [`FIELDS`].
pub fn place(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| field.name == name)
}

impl Field {
    /// Whether somebody may write this field of an agent.
    pub fn may_be_written(&self, by: &Principal, agent: &str) -> bool {
        match self.by {
            Writer::Host => false,
            Writer::Operator => by.role == Role::Operator,
            Writer::Publisher => by.may_publish(agent),
        }
    }

    /// Whether it may hold this value.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence for whoever wrote it.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self.holds, value) {
            (_, Value::Null) => true,
            (Holds::Text(max), Value::String(text)) => text.len() <= max,
            (Holds::Truth, Value::Bool(_)) => true,
            (Holds::Whole { max, .. }, Value::Number(number)) => number.as_u64().is_some_and(|number| number <= max),
            (Holds::Texts, Value::Array(items)) => items.len() <= ITEMS_MAX && items.iter().all(is_short_text),
            (Holds::Named, Value::Object(items)) => {
                items.len() <= ITEMS_MAX
                    && items.iter().all(|(key, item)| key.len() <= ITEM_BYTES_MAX && is_short_text(item))
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("`{}` takes {}", self.name, self.holds.words())) }
    }
}

fn is_short_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= ITEM_BYTES_MAX)
}

impl Holds {
    /// Whether it takes more or less room, as it has more or less to say.
    pub fn has_length(self) -> bool {
        matches!(self, Self::Text(_) | Self::Texts | Self::Named)
    }

    fn words(self) -> String {
        match self {
            Self::Text(max) => format!("text of at most {max} bytes"),
            Self::Truth => "true or false".to_owned(),
            Self::Whole { max, unit } => format!("a whole number of {unit}, at most {max}"),
            Self::Texts => format!("a list of at most {ITEMS_MAX} texts of at most {ITEM_BYTES_MAX} bytes"),
            Self::Named => format!("an object of at most {ITEMS_MAX} texts of at most {ITEM_BYTES_MAX} bytes"),
        }
    }

    fn json_schema(self) -> Value {
        match self {
            Self::Text(max) => json!({ "type": "string", "maxLength": max }),
            Self::Truth => json!({ "type": "boolean" }),
            Self::Whole { max, .. } => json!({ "type": "integer", "minimum": 0, "maximum": max }),
            Self::Texts => {
                let items = json!({ "type": "string", "maxLength": ITEM_BYTES_MAX });
                json!({ "type": "array", "maxItems": ITEMS_MAX, "items": items })
            }
            Self::Named => {
                let values = json!({ "type": "string", "maxLength": ITEM_BYTES_MAX });
                json!({ "type": "object", "maxProperties": ITEMS_MAX, "additionalProperties": values })
            }
        }
    }
}

/// The schema of an agent's entry (JSON Schema, 2020-12).
pub fn json_schema() -> Value {
    let property = |field: &Field| {
        let mut schema = field.holds.json_schema();
        // Nothing is as good as no field.
        schema["type"] = json!([schema["type"], "null"]);
        schema["description"] = format!("{} Takes {}.", field.meaning, field.holds.words()).into();
        schema["readOnly"] = (field.by == Writer::Host).into();
        (field.name.to_owned(), schema)
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An agent's entry in the registry's document",
        "type": "object",
        "additionalProperties": false,
        "properties": FIELDS.iter().map(property).collect::<serde_json::Map<_, _>>(),
    })
}
