//! JSON texts that a guest wrote, and single members of JSON texts that a client wrote.
//!
//! Guests' JSON is passed on as it is, never rebuilt; so it is checked here first: well formed, bounded, of the right
//! kind. What a check lets through can stand inside a reply without breaking it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::parse::{self, Bounds, Text};

/// Structure of a JSON text from a guest: a schema, or a structured result.
pub const GUEST_BOUNDS: Bounds = Bounds { depth: 64, elements: 100_000 };

/// A guest's JSON text, if it can be passed on; else why not.
pub fn check(text: &str) -> Result<&RawValue, String> {
    parse::scan(text.as_bytes(), GUEST_BOUNDS).map_err(|_| {
        let Bounds { depth, elements } = GUEST_BOUNDS;
        format!("JSON with more than {depth} levels or {elements} values")
    })?;
    serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))
}

/// A JSON Schema whose root says `"type": "object"`.
pub fn object_schema(text: &str) -> Result<&RawValue, String> {
    let schema = schema(text)?;
    if is_of_object(schema) { Ok(schema) } else { Err(r#"a schema without "type": "object""#.into()) }
}

/// Whether the root of a schema says `"type": "object"`.
pub fn is_of_object(schema: &RawValue) -> bool {
    member(schema, "type").is_ok_and(|kind| kind.is_some_and(|kind| kind.get() == r#""object""#))
}

/// Any JSON Schema that is an object.
pub fn schema(text: &str) -> Result<&RawValue, String> {
    let schema = check(text)?;
    if is_object(schema) { Ok(schema) } else { Err("a schema that is not a JSON object".into()) }
}

pub fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// The member `key` of an object. An error when the text is no object, or says the key twice: two readers could then
/// take different values.
pub fn member<'a>(object: &'a RawValue, key: &str) -> serde_json::Result<Option<&'a RawValue>> {
    // Asked first, since serde's own error would quote a string that stands here, however long it is.
    if !is_object(object) {
        return Err(serde_json::Error::custom("not an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    Member { key }.deserialize(&mut deserializer)
}

/// Calls `each` for every member of an object; false when the text is no object.
pub fn for_each_member<'a>(object: &'a RawValue, each: impl FnMut(Cow<'a, str>, &'a RawValue)) -> bool {
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    is_object(object) && deserializer.deserialize_map(Members(each)).is_ok()
}

struct Member<'k> {
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Text(key)) = map.next_key()? {
            if key != self.key {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom(format_args!("`{key}` stands twice")));
            }
        }
        Ok(found)
    }
}

struct Members<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(key), value)) = map.next_entry()? {
            (self.0)(key, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
