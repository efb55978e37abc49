//! The names of agents and fields, by number.

use std::collections::HashMap;

/// What a name takes beside its bytes, twice a pointer with a length and its places in the tables.
const NAME_BYTES: usize = 80;

#[derive(Debug, Default)]
pub struct Names {
    pub agents: Table,
    pub fields: Table,
}

/// Names in the order they came. Their number is their place.
#[derive(Debug, Default)]
pub struct Table {
    by_name: HashMap<std::sync::Arc<str>, u32>,
    names: Vec<std::sync::Arc<str>>,
    bytes: usize,
}

impl Names {
    /// Adds names that are not there, in the order of the numbers that [`New`] gave them.
    pub fn add(&mut self, agents: Vec<Box<str>>, fields: Vec<Box<str>>) {
        self.agents.extend(agents);
        self.fields.extend(fields);
    }

    pub fn bytes(&self) -> usize {
        self.agents.bytes + self.fields.bytes
    }
}

impl Table {
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn get(&self, number: u32) -> Option<&str> {
        self.names.get(number as usize).map(|name| &**name)
    }

    fn extend(&mut self, names: Vec<Box<str>>) {
        for name in names {
            let name: std::sync::Arc<str> = name.into();
            self.bytes += name.len() + NAME_BYTES;
            self.by_name.insert(name.clone(), self.names.len() as u32);
            self.names.push(name);
        }
    }
}

/// Names that an update brings, numbered behind those that are there.
#[derive(Debug)]
pub struct New<'a> {
    known: &'a Table,
    by_name: HashMap<&'a str, u32>,
    names: Vec<&'a str>,
}

impl<'a> New<'a> {
    pub fn behind(known: &'a Table) -> Self {
        Self { known, by_name: HashMap::new(), names: Vec::new() }
    }

    pub fn number(&mut self, name: &'a str) -> u32 {
        if let Some(number) = self.known.by_name.get(name) {
            return *number;
        }
        let next = (self.known.len() + self.names.len()) as u32;
        *self.by_name.entry(name).or_insert_with(|| {
            self.names.push(name);
            next
        })
    }

    pub fn into_names(self) -> Vec<Box<str>> {
        self.names.into_iter().map(Into::into).collect()
    }
}
