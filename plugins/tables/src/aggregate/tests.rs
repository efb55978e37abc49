use super::*;
use crate::testing::Granted;

fn finished(op: Op, cells: &[Cell]) -> Cell {
    let mut accumulator = Accumulator::new(op);
    cells.iter().for_each(|cell| {
        accumulator.add(cell);
    });
    accumulator.finish(op)
}

#[test]
fn whole_numbers_add_up_exactly_and_null_and_words_are_passed_over() {
    let cells =
        [Cell::Integer(i64::MAX), Cell::Null, Cell::Text("n/a".into()), Cell::Integer(-i64::MAX), Cell::Integer(3)];
    assert_eq!(finished(Op::Sum, &cells), Cell::Integer(3));
    assert_eq!(finished(Op::Avg, &[Cell::Integer(1), Cell::Number(1.5), Cell::Null]), Cell::Number(1.25));
    assert_eq!(finished(Op::Count, &cells), Cell::Integer(4));
    assert_eq!(
        finished(Op::Sum, &[Cell::Integer(i64::MAX), Cell::Integer(1)]),
        Cell::Number(9_223_372_036_854_775_808.0)
    );
    assert_eq!(finished(Op::Avg, &vec![Cell::Number(8.4); 11]), Cell::Number(8.4));
    assert_eq!(finished(Op::Sum, &vec![Cell::Number(0.1); 1000]), Cell::Integer(100));
    assert_eq!(finished(Op::Sum, &[Cell::Null]), Cell::Null);
    assert_eq!(finished(Op::Avg, &[]), Cell::Null);
    assert_eq!(finished(Op::Max, &[Cell::Integer(2), Cell::Null, Cell::Number(2.5)]), Cell::Number(2.5));
    assert_eq!(finished(Op::Min, &[]), Cell::Null);
}

fn grouped(content: &str, aggregates: &[Aggregate]) -> Result<usize, Error> {
    let granted = Granted::new(&[("t.csv", content.as_bytes())]);
    let table = granted.table("t.csv");
    let schema = Schema::infer(&table)?;
    let plan = Plan::new(&schema, &["key".into()], aggregates)?;
    Ok(plan.run(&mut Source::open(&table)?, &schema, &[])?.len())
}

#[test]
fn so_many_groups_and_no_more() {
    let rows = |count| format!("key\n{}", (0..count).map(|number| format!("{number}\n")).collect::<String>());
    assert_eq!(grouped(&rows(GROUPS_MAX), &[]).unwrap(), GROUPS_MAX);
    assert!(
        matches!(grouped(&rows(GROUPS_MAX + 1), &[]), Err(Error::InvalidInput(why)) if why.contains("10000 groups"))
    );
}

#[test]
fn long_texts_held_as_least_are_counted() {
    let long = "x".repeat(HELD_BYTES_MAX / 60);
    let content = format!("key,text\n{}", (0..61).map(|number| format!("{number},{long}\n")).collect::<String>());
    let least = Aggregate { op: Op::Min, column: Some("text".into()), name: None };
    assert!(matches!(grouped(&content, &[least]), Err(Error::InvalidInput(_))));
}
