//! Changes that are asked of the host, and that it makes in its own name.

use std::sync::Arc;

use serde_json::Value;
use yrs::Map as _;

use super::{Document, Refused, values};
use crate::access::Principal;
use crate::registry::ceilings::Ceilings;
use crate::registry::schema::{FIELDS, place};

impl Document {
    /// Sets fields of an agent for somebody, all or none; null removes one. An update, or none if nothing changes.
    ///
    /// # Errors
    ///
    /// When there is no such agent or field, or it may not be set so, or not by this principal.
    pub fn edit(
        &mut self,
        agent: &Arc<str>,
        fields: Vec<(String, Value)>,
        by: &Principal,
        ceilings: &Ceilings,
    ) -> Result<Option<Vec<u8>>, Refused> {
        if !self.records.contains_key(agent) {
            return Err(Refused::Unknown(agent.clone()));
        }
        let mut checked = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let field = place(&name).map(|place| &FIELDS[place]).ok_or_else(|| {
                let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
                let names = names.join(", ");
                Refused::Invalid(format!(
                    "there is no field `{name}`; there are {names}; all else stands in the manifest"
                ))
            })?;
            if !field.may_be_written(by, agent) {
                let touched = format!("`{name}` of agent `{agent}`");
                return Err(Refused::Forbidden { touched, principal: by.name.clone() });
            }
            field.check(&value).and_then(|()| ceilings.check(agent, field.name, &value)).map_err(Refused::Invalid)?;
            checked.push((field.name, value));
        }
        self.holds(agent, &checked)?;
        Ok(self.write(agent, &checked))
    }

    /// Writes fields of an agent in the host's name, making its entry if there is none. Null removes a field. An update, or
    /// none if nothing changes.
    pub fn write(&mut self, agent: &str, fields: &[(&'static str, Value)]) -> Option<Vec<u8>> {
        let changes: Vec<_> = match self.records.get(agent) {
            Some(record) => fields.iter().filter(|(field, value)| record.get(field) != value).cloned().collect(),
            None => fields.to_vec(),
        };
        if changes.is_empty() && self.records.contains_key(agent) {
            return None;
        }
        let update = self.own(|txn, agents| values::put(txn, agents, agent, changes));
        self.refresh(agent);
        Some(update)
    }

    /// Removes an agent's entry. An update, or none if there is no such entry.
    pub fn remove(&mut self, agent: &str) -> Option<Vec<u8>> {
        self.records.contains_key(agent).then(|| {
            let update = self.own(|txn, agents| drop(agents.remove(txn, agent)));
            self.refresh(agent);
            update
        })
    }
}
