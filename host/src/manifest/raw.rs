//! YAML text -> a tree in which every key and value knows its place. Knows nothing of what the keys mean.
//!
//! A tree instead of serde structs, because serde stops at the first mistake and forgets where the others are.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, MessageFormatter, Spanned, UserMessageFormatter};

use super::problem::{Fault, Place};

/// Nesting of the YAML; the deepest key, a directory's `path`, stands at 6.
const DEPTH_MAX: usize = 16;

/// Keys and values of the YAML.
const NODES_MAX: usize = 100_000;

/// Uses of YAML anchors; each copies what it names.
const ALIASES_MAX: usize = 100;

/// One value of the file.
#[derive(Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, or `null`.
    Empty,
    /// Any scalar, as it is written: `5`, `yes` and `"yes"` are texts until somebody asks for a number.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; the same key may come twice.
    Table(Vec<Entry>),
}

/// One key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

/// Reads YAML. An empty file is an empty table.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_documents: 1,
        },
        // Duplicates and `<<` are reported with everything else, by the table that meets them.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Option<Spanned<Shape>>>(text, options) {
        Ok(Some(shape)) => Ok(node(shape, text)),
        Ok(None) => Ok(Node { place: START, value: Value::Empty }),
        Err(error) => Err(Fault {
            place: error.location().and_then(place),
            message: format!("not YAML as a manifest needs it: {}", UserMessageFormatter.format_message(&error)),
            suggestion: "check indentation, colons and quotes around this place".to_owned(),
        }),
    }
}

/// A value as the YAML reader hands it over, before its place is known.
enum Shape {
    Empty,
    Text(String),
    /// A plain scalar that the reader took for a number or a truth value; its text stands in the file.
    Inferred,
    List(Vec<Spanned<Shape>>),
    Table(Vec<(Spanned<String>, Spanned<Shape>)>),
}

fn node(shape: Spanned<Shape>, text: &str) -> Node {
    let Spanned { value, defined, .. } = shape;
    let value = match value {
        Shape::Empty => Value::Empty,
        Shape::Text(text) => Value::Text(text),
        Shape::Inferred => Value::Text(written(defined, text)),
        Shape::List(items) => Value::List(items.into_iter().map(|item| node(item, text)).collect()),
        Shape::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    place: place(key.defined).unwrap_or(START),
                    key: key.value,
                    node: node(value, text),
                })
                .collect(),
        ),
    };
    Node { place: place(defined).unwrap_or(START), value }
}

const START: Place = Place { line: 1, column: 1, width: 1 };

/// The reader's position; none where it has none.
fn place(location: Location) -> Option<Place> {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    (location.line() > 0).then(|| Place {
        line: number(location.line()),
        column: number(location.column().max(1)),
        width: number(location.span().len().max(1)),
    })
}

/// The file's own text of a plain scalar.
fn written(location: Location, text: &str) -> String {
    let span = location.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(offset, length)| {
        let offset = usize::try_from(offset).ok()?;
        Some(offset..offset.checked_add(usize::try_from(length).ok()?)?)
    });
    range.and_then(|range| text.get(range)).unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a list or a table")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Empty)
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Inferred)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Inferred)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Inferred)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Inferred)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Shape::Table(table))
    }
}
