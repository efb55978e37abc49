//! Answers with a row for each agent, in the order of their names, in pages: a full registry does not fit one answer.

use std::io::Write as _;

use axum::http::Uri;
use serde::Serialize;

use crate::mcp::buffer::Buffer;

/// Rows of one page.
pub const ROWS_MAX: usize = 1_000;

/// Bytes of rows after which an answer has no more, and those that there are at most, its last row with them.
const PAGE_BYTES: usize = 1 << 20;
pub const ANSWER_BYTES_MAX: u64 = 2 << 20;

/// Which rows are asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Those behind this name; from the first on, without.
    pub after: Option<String>,
    /// At most.
    pub limit: usize,
}

/// How rows stand in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    List,
    ByName,
}

impl Page {
    /// By `after` and `limit` of a query.
    ///
    /// # Errors
    ///
    /// With what is wrong about it.
    pub fn of(uri: &Uri) -> Result<Self, &'static str> {
        let mut page = Self { after: None, limit: ROWS_MAX };
        for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match (&*key, value.parse()) {
                ("after", _) => page.after = Some(value.into_owned()),
                ("limit", Ok(limit @ 1..)) => page.limit = ROWS_MAX.min(limit),
                ("limit", _) => return Err("`limit` is a whole number from 1 on: how many agents to answer with"),
                _ => {}
            }
        }
        Ok(page)
    }
}

/// Writes an object: the fields of `head`, then rows as `agents`; and `next` if there are more, to be asked for as `after`.
///
/// # Errors
///
/// When the buffer takes no more; it says why.
pub fn write<N: AsRef<str>, R: Serialize>(
    buffer: &mut Buffer,
    head: &impl Serialize,
    shape: Shape,
    limit: usize,
    rows: impl Iterator<Item = (N, R)>,
) -> serde_json::Result<()> {
    let put = |buffer: &mut Buffer, text: &str| buffer.write_all(text.as_bytes()).map_err(serde_json::Error::io);
    let [open, close] = if shape == Shape::List { ["[", "]"] } else { ["{", "}"] };
    serde_json::to_writer(&mut *buffer, head)?;
    // Its last brace, to go on inside.
    buffer.truncate(buffer.len() - 1);
    put(buffer, r#","agents":"#)?;
    put(buffer, open)?;
    let (mut last, mut more, begins): (Option<N>, _, _) = (None, false, buffer.len());
    for ((name, row), place) in rows.zip(0..) {
        if place == limit || (place > 0 && buffer.len() - begins >= PAGE_BYTES) {
            more = true;
            break;
        }
        if place > 0 {
            put(buffer, ",")?;
        }
        if shape == Shape::ByName {
            serde_json::to_writer(&mut *buffer, name.as_ref())?;
            put(buffer, ":")?;
        }
        serde_json::to_writer(&mut *buffer, &row)?;
        last = Some(name);
    }
    put(buffer, close)?;
    if let Some(last) = last.filter(|_| more) {
        put(buffer, r#","next":"#)?;
        serde_json::to_writer(&mut *buffer, last.as_ref())?;
    }
    put(buffer, "}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use stockade_ledger::{Ledger, Spec};

    use super::*;

    fn page(shape: Shape, limit: usize, rows: &[(&str, &str)]) -> Value {
        let account = Ledger::new(8 << 20).account(Spec { name: "it".into(), ceiling: 8 << 20, floor: 0 }).unwrap();
        let mut buffer = Buffer::new(&account, ANSWER_BYTES_MAX);
        write(&mut buffer, &json!({ "epoch": 1 }), shape, limit, rows.iter().copied()).unwrap();
        serde_json::from_slice(&buffer.into_bytes()).unwrap()
    }

    #[test]
    fn a_page_says_where_the_next_one_begins() {
        let rows = [("a", "first"), ("b", "second"), ("c", "third")];
        assert_eq!(page(Shape::List, 3, &rows), json!({ "epoch": 1, "agents": ["first", "second", "third"] }));
        let some = json!({ "epoch": 1, "agents": { "a": "first", "b": "second" }, "next": "b" });
        assert_eq!(page(Shape::ByName, 2, &rows), some);
        assert_eq!(page(Shape::ByName, 1, &[]), json!({ "epoch": 1, "agents": {} }));

        // One row is always told, and no more once there are so many bytes.
        let long = "x".repeat(PAGE_BYTES);
        let said = page(Shape::List, 3, &[("a", &long), ("b", "second")]);
        assert_eq!((said["agents"].as_array().map(Vec::len), &said["next"]), (Some(1), &"a".into()));
    }

    #[test]
    fn a_query_says_which() {
        let of = |query: &'static str| Page::of(&Uri::from_static(query));
        assert_eq!(of("/status"), Ok(Page { after: None, limit: ROWS_MAX }));
        assert_eq!(of("/status?limit=7&after=a%2fb"), Ok(Page { after: Some("a/b".into()), limit: 7 }));
        assert_eq!(of("/status?limit=1000000"), Ok(Page { after: None, limit: ROWS_MAX }));
        for wrong in ["/status?limit=0", "/status?limit=-1", "/status?limit=many"] {
            assert!(of(wrong).unwrap_err().contains("from 1 on"), "{wrong}");
        }
    }
}
