//! What the document says, as plain values: one record for each agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::schema::{FIELDS, place};

/// Bytes that a record takes besides its texts: its values, its name, its place in the table.
const RECORD_BYTES: usize = FIELDS.len() * size_of::<Value>() + 160;

/// All agents that the document has, by name.
pub type Records = BTreeMap<Arc<str>, Arc<Record>>;

/// The fields of one agent. A field that is missing is as the manifest says.
#[derive(Debug, Clone, PartialEq)]
pub struct Record(Box<[Value; FIELDS.len()]>);

impl Default for Record {
    fn default() -> Self {
        Self(Box::new([const { Value::Null }; FIELDS.len()]))
    }
}

impl Record {
    /// The value of a field; null if it has none.
    pub fn get(&self, field: &str) -> &Value {
        place(field).map_or(&Value::Null, |place| &self.0[place])
    }

    pub fn at(&self, place: usize) -> &Value {
        &self.0[place]
    }

    pub fn set(&mut self, place: usize, value: Value) {
        self.0[place] = value;
    }

    /// A field that counts something.
    pub fn whole(&self, field: &str) -> Option<u64> {
        self.get(field).as_u64()
    }

    pub fn text(&self, field: &str) -> Option<&str> {
        self.get(field).as_str()
    }

    /// Whether it is served: unless somebody has said otherwise.
    pub fn is_enabled(&self) -> bool {
        self.withheld().is_none()
    }

    /// `retired` or `disabled`, if somebody has said that it is not to be served.
    pub fn withheld(&self) -> Option<&'static str> {
        match self.whole("retired") {
            Some(_) => Some("retired"),
            None => (!self.get("enabled").as_bool().unwrap_or(true)).then_some("disabled"),
        }
    }

    /// Whether it is retired since this moment or longer: milliseconds since 1970.
    pub fn is_retired(&self, since: u64) -> bool {
        self.whole("retired").is_some_and(|retired| retired <= since)
    }

    /// The fields that have a value.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        FIELDS.iter().zip(self.0.iter()).filter(|(_, value)| !value.is_null()).map(|(field, value)| (field.name, value))
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        RECORD_BYTES + self.0.iter().map(value_bytes).sum::<usize>()
    }
}

/// As it stands in the document.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields())
    }
}

/// Bytes that a value takes beside itself. As deep as the gate lets values be.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + value_bytes(item)).sum(),
        Value::Object(items) => {
            items.iter().map(|(key, item)| key.len() + 2 * size_of::<Value>() + value_bytes(item)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
