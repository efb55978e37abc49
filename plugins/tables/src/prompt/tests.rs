use super::*;
use crate::testing::Granted;

fn arguments(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn the_prompt_carries_the_schema_the_first_rows_and_the_focus() {
    let granted = Granted::new(&[("t.csv", b"a,b\n1,x\n")]);
    let given = arguments(&[("table", "t"), ("focus", "is b ever y?")]);
    let result = get_summarise_table(&granted.catalog, &given).unwrap();
    let [Message { content: Content::Embedded(schema), .. }, Message { content: Content::Text(text), .. }] =
        &result.messages[..]
    else {
        panic!("{:?}", result.messages)
    };
    assert_eq!(schema.uri, address::of_schema(&granted.name("t.csv")));
    assert!(text.text.contains("| 1 | x |") && text.text.contains("In particular: is b ever y?"), "{}", text.text);
}

#[test]
fn a_prompt_without_its_table_is_refused() {
    let granted = Granted::new(&[]);
    let missing = get_summarise_table(&granted.catalog, &arguments(&[("focus", "x")]));
    assert!(matches!(missing, Err(Error::InvalidInput(_))));
    let unknown = get_summarise_table(&granted.catalog, &arguments(&[("table", "t")]));
    assert!(matches!(unknown, Err(Error::NotFound(_))));
}
