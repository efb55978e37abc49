use super::*;
use crate::testing::Granted;
use serde_json::{Value, json};

const SALES: &[u8] =
    b"city,day,amount\nUlm,2024-01-02,5\nBonn,2024-01-01,7.5\nUlm,2024-01-03,\nKiel,2024-01-01,1\nBonn,2024-01-04,2\n";

fn asked_of(granted: &Granted, question: Value) -> Result<Value, Error> {
    let query: Query = serde_json::from_value(question).map_err(|error| Error::InvalidInput(error.to_string()))?;
    Ok(serde_json::to_value(run(&granted.catalog, &query)?).unwrap())
}

fn asked(question: Value) -> Result<Value, Error> {
    asked_of(&Granted::new(&[("sales.csv", SALES)]), question)
}

#[test]
fn rows_are_filtered_projected_and_cut() {
    let answer = asked(json!({"table": "sales", "columns": ["amount", "city"], "limit": 2, "offset": 1})).unwrap();
    assert_eq!(answer["rows"], json!([[7.5, "Bonn"], [null, "Ulm"]]));
    assert_eq!(answer["next_offset"], 3);
    assert_eq!(answer["columns"][0], json!({"name": "amount", "type": "number"}));
    let filter = json!([{"column": "city", "op": "eq", "value": "Ulm"}, {"column": "amount", "op": "is-null"}]);
    let answer = asked(json!({"table": "sales", "filter": filter})).unwrap();
    assert_eq!(answer["rows"], json!([["Ulm", "2024-01-03", null]]));
    assert_eq!(answer.get("next_offset"), None);
}

#[test]
fn rows_are_sorted_by_several_keys_with_null_last_and_ties_in_file_order() {
    let sort = json!([{"column": "city", "descending": true}, {"column": "day"}]);
    let answer = asked(json!({"table": "sales", "columns": ["city", "day"], "sort": sort})).unwrap();
    let expected = json!([
        ["Ulm", "2024-01-02"],
        ["Ulm", "2024-01-03"],
        ["Kiel", "2024-01-01"],
        ["Bonn", "2024-01-01"],
        ["Bonn", "2024-01-04"]
    ]);
    assert_eq!(answer["rows"], expected);
    for descending in [false, true] {
        let sort = json!([{"column": "amount", "descending": descending}]);
        let answer = asked(json!({"table": "sales", "columns": ["amount"], "sort": sort})).unwrap();
        let mut expected = vec![json!([1]), json!([2]), json!([5]), json!([7.5])];
        if descending {
            expected.reverse();
        }
        expected.push(json!([null]));
        assert_eq!(answer["rows"], json!(expected));
    }
    let sort = json!([{"column": "day"}]);
    let answer = asked(json!({"table": "sales", "columns": ["city"], "sort": sort, "limit": 2})).unwrap();
    assert_eq!((&answer["rows"], &answer["next_offset"]), (&json!([["Bonn"], ["Kiel"]]), &json!(2)));
    let answer = asked(json!({"table": "sales", "columns": ["city"], "sort": sort, "limit": 3, "offset": 2})).unwrap();
    assert_eq!(answer["rows"], json!([["Ulm"], ["Ulm"], ["Bonn"]]));
    assert_eq!(answer.get("next_offset"), None);
}

#[test]
fn groups_add_up_and_can_be_sorted() {
    let aggregates = json!([
        {"op": "count"}, {"op": "count", "column": "amount", "as": "known"}, {"op": "sum", "column": "amount"},
        {"op": "avg", "column": "amount"}, {"op": "min", "column": "day"}, {"op": "max", "column": "amount"}
    ]);
    let question = json!({"table": "sales", "group_by": ["city"], "aggregates": aggregates,
        "sort": [{"column": "sum_amount", "descending": true}]});
    let answer = asked(question).unwrap();
    let names: Vec<_> = answer["columns"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(json!(names), json!(["city", "count", "known", "sum_amount", "avg_amount", "min_day", "max_amount"]));
    let expected = json!([
        ["Bonn", 2, 2, 9.5, 4.75, "2024-01-01", 7.5],
        ["Ulm", 2, 1, 5, 5, "2024-01-02", 5],
        ["Kiel", 1, 1, 1, 1, "2024-01-01", 1]
    ]);
    assert_eq!(answer["rows"], expected);
}

#[test]
fn figures_of_all_rows_need_no_group_and_exist_for_no_row_too() {
    let nothing = json!([{"column": "city", "op": "eq", "value": "Rome"}]);
    let aggregates = json!([{"op": "count"}, {"op": "sum", "column": "amount"}]);
    let answer = asked(json!({"table": "sales", "aggregates": aggregates, "filter": nothing})).unwrap();
    assert_eq!(answer["rows"], json!([[0, null]]));
    let answer = asked(json!({"table": "sales", "group_by": ["day"], "limit": 1})).unwrap();
    assert_eq!((&answer["rows"], &answer["next_offset"]), (&json!([["2024-01-01"]]), &json!(1)));
}

#[test]
fn questions_out_of_bounds_are_refused_with_the_bound() {
    for (question, why) in [
        (json!({"table": "sales", "limit": 0}), "limit must be 1 to 1000"),
        (json!({"table": "sales", "limit": 1001}), "limit must be 1 to 1000"),
        (json!({"table": "sales", "sort": [{"column": "day"}], "offset": 9_990, "limit": 11}), "must not exceed 10000"),
        (json!({"table": "sales", "sort": [{"column": "day"}], "offset": u64::MAX}), "must not exceed 10000"),
        (json!({"table": "sales", "columns": []}), "leave it out"),
        (json!({"table": "sales", "columns": vec!["day"; 65]}), "at most 64"),
        (json!({"table": "sales", "columns": ["day"], "group_by": ["city"]}), "does not go with"),
        (json!({"table": "sales", "columns": ["price"]}), "no column price"),
        (json!({"table": "sales", "aggregates": [{"op": "sum"}]}), "sum needs a column"),
        (json!({"table": "sales", "aggregates": [{"op": "avg", "column": "city"}]}), "needs a column of numbers"),
        (json!({"table": "sales", "aggregates": [{"op": "count"}, {"op": "count"}]}), "called count"),
        (json!({"table": "sales", "group_by": ["city"], "sort": [{"column": "day"}]}), "no column day"),
        (json!({"table": "sales", "where": "x"}), "unknown field"),
    ] {
        let Err(Error::InvalidInput(message)) = asked(question.clone()) else { panic!("{question} was answered") };
        assert!(message.contains(why), "{question}: {message}");
    }
    assert!(matches!(asked(json!({"table": "costs"})), Err(Error::NotFound(_))));
}

#[test]
fn an_answer_ends_early_when_its_rows_are_long() {
    let long = "x".repeat(10_000);
    let content = format!("a,b\n{}", (0..100).map(|n| format!("{n},{long}\n")).collect::<String>());
    let granted = Granted::new(&[("long.csv", content.as_bytes())]);
    for sort in [json!([]), json!([{"column": "a"}])] {
        let (mut rows, mut offset) = (0, json!(0));
        while !offset.is_null() {
            let answer = asked_of(&granted, json!({"table": "long", "limit": 1000, "offset": offset, "sort": sort}));
            let answer = answer.unwrap_or_else(|error| panic!("{error:?}"));
            assert!(answer.to_string().len() < ANSWER_BYTES_MAX + 11_000);
            assert_eq!(answer["rows"][0][0], rows);
            rows += answer["rows"].as_array().unwrap().len();
            offset = answer["next_offset"].clone();
        }
        assert_eq!(rows, 100);
    }
}
