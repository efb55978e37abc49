//! Between the library's values and JSON.

use std::collections::HashMap;

use serde_json::Value;
use yrs::any::Number;
use yrs::types::ToJson as _;
use yrs::{Any, Map as _, MapPrelim, MapRef, Out, ReadTxn, TransactionMut};

use crate::registry::record::Record;
use crate::registry::schema::FIELDS;

/// The largest whole number that a double has, with all below it.
const SAFE_MAX: f64 = 9_007_199_254_740_991.0;

/// Sets fields of an agent, making its map if there is none. Null removes one.
pub fn put(
    txn: &mut TransactionMut<'_>,
    agents: &MapRef,
    agent: &str,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) {
    let map = match agents.get(txn, agent) {
        Some(Out::YMap(map)) => map,
        _ => agents.insert(txn, agent, MapPrelim::default()),
    };
    for (field, value) in fields {
        match value {
            Value::Null => drop(map.remove(txn, field)),
            value => drop(map.insert(txn, field, any(value))),
        }
    }
}

/// The value of one field; null if there is none.
pub fn value<T: ReadTxn>(txn: &T, agents: &MapRef, agent: &str, field: &str) -> Value {
    match agents.get(txn, agent) {
        Some(Out::YMap(map)) => map.get(txn, field).map_or(Value::Null, |out| json(out.to_json(txn))),
        _ => Value::Null,
    }
}

/// An agent's record; none if there is no such agent.
pub fn record<T: ReadTxn>(txn: &T, agents: &MapRef, agent: &str) -> Option<Record> {
    let Some(Out::YMap(map)) = agents.get(txn, agent) else { return None };
    let mut record = Record::default();
    for (place, field) in FIELDS.iter().enumerate() {
        if let Some(out) = map.get(txn, field.name) {
            record.set(place, json(out.to_json(txn)));
        }
    }
    Some(record)
}

/// Never deeper than the gate lets values be. What JSON has not is null.
pub fn json(any: Any) -> Value {
    match any {
        Any::Null | Any::Undefined | Any::Buffer(_) => Value::Null,
        Any::Bool(truth) => truth.into(),
        Any::Number(Number::Int(number)) => number.into(),
        // Some clients know no other numbers.
        Any::Number(Number::Float(number)) if number.fract() == 0.0 && number.abs() <= SAFE_MAX => {
            (number as i64).into()
        }
        Any::Number(Number::Float(number)) => number.into(),
        Any::String(text) => (*text).into(),
        Any::Array(items) => items.iter().cloned().map(json).collect(),
        Any::Map(items) => items.iter().map(|(key, item)| (key.clone(), json(item.clone()))).collect(),
    }
}

fn any(value: Value) -> Any {
    match value {
        Value::Null => Any::Null,
        Value::Bool(truth) => Any::Bool(truth),
        Value::Number(number) => Any::Number(match number.as_i64() {
            Some(whole) => Number::Int(whole),
            None => Number::Float(number.as_f64().unwrap_or_default()),
        }),
        Value::String(text) => Any::String(text.into()),
        Value::Array(items) => Any::Array(items.into_iter().map(any).collect()),
        Value::Object(items) => {
            let items: HashMap<String, Any> = items.into_iter().map(|(key, item)| (key, any(item))).collect();
            Any::Map(items.into())
        }
    }
}
