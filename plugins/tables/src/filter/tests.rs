use super::*;
use crate::testing::Granted;
use serde_json::json;

const PEOPLE: &[u8] =
    b"name,age,member,since\nAda,36,true,2020-05-01\nBob,,false,2021-01-31\n\xc3\x84nne,9,,\nCy,old,true,2019-12-31\n";

fn names(filter: Value) -> Result<Vec<String>, Error> {
    let granted = Granted::new(&[("people.csv", PEOPLE)]);
    let table = granted.table("people.csv");
    let schema = Schema::infer(&table)?;
    // A word among numbers makes the column text, so the kind is set as a longer file would have it.
    let mut schema = schema;
    schema.columns[1].kind = Kind::Integer;
    let filter: Filter = serde_json::from_value(filter).map_err(|error| Error::InvalidInput(error.to_string()))?;
    let condition = Condition::new(&filter, &schema)?;
    let mut source = crate::source::Source::open(&table)?;
    let mut names = vec![];
    while let Some(row) = source.next()? {
        if condition.accepts(&row, &schema) {
            names.push(row.text(0).into_owned());
        }
    }
    Ok(names)
}

#[test]
fn conditions_compare_by_kind_and_null_meets_none() {
    for (filter, expected) in [
        (json!({"column": "age", "op": "gt", "value": 9}), vec!["Ada"]),
        (json!({"column": "age", "op": "ge", "value": "9.0"}), vec!["Ada", "Änne"]),
        (json!({"column": "age", "op": "lt", "value": 36.5}), vec!["Ada", "Änne"]),
        (json!({"column": "age", "op": "le", "value": 9}), vec!["Änne"]),
        (json!({"column": "age", "op": "ne", "value": 9}), vec!["Ada", "Cy"]),
        (json!({"column": "age", "op": "is-null"}), vec!["Bob"]),
        (json!({"column": "age", "op": "is-null", "value": false}), vec!["Ada", "Änne", "Cy"]),
        (json!({"column": "age", "op": "contains", "value": 3}), vec!["Ada"]),
        (json!({"column": "name", "op": "eq", "value": "Ada"}), vec!["Ada"]),
        (json!({"column": "name", "op": "eq", "value": "ada"}), vec![]),
        (json!({"column": "name", "op": "starts-with", "value": "ä"}), vec!["Änne"]),
        (json!({"column": "member", "op": "eq", "value": true}), vec!["Ada", "Cy"]),
        (json!({"column": "since", "op": "lt", "value": "2020-12-31"}), vec!["Ada", "Cy"]),
    ] {
        assert_eq!(names(filter.clone()).unwrap(), expected, "{filter}");
    }
}

#[test]
fn filters_that_make_no_sense_are_refused_with_what_would() {
    for (filter, why) in [
        (json!({"column": "age", "op": "gt", "value": "old"}), "must be a number"),
        (json!({"column": "age", "op": "gt"}), "use the op is-null"),
        (json!({"column": "age", "op": "eq", "value": null}), "use the op is-null"),
        (json!({"column": "age", "op": "is-null", "value": 1}), "true or false"),
        (json!({"column": "member", "op": "eq", "value": "maybe"}), "true or false"),
        (json!({"column": "name", "op": "contains", "value": ["x"]}), "must be text"),
        (json!({"column": "name", "op": "like", "value": "x"}), "unknown variant"),
        (json!({"column": "colour", "op": "eq", "value": "x"}), "no column colour"),
    ] {
        let Err(Error::InvalidInput(message)) = names(filter.clone()) else { panic!("{filter} was accepted") };
        assert!(message.contains(why), "{filter}: {message}");
    }
}
