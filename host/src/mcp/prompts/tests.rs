use super::SuggestionsView;
use crate::agent::contract::Suggestions;

fn shown(count: usize, total: Option<u32>) -> String {
    let suggestions = Suggestions { values: vec!["x".into(); count], total };
    serde_json::to_string(&SuggestionsView::new(Some(&suggestions))).unwrap()
}

#[test]
fn at_most_a_hundred_suggestions_go_out() {
    let many = shown(101, None);
    assert_eq!(many.matches("\"x\"").count(), 100);
    assert!(many.ends_with(r#""hasMore":true}"#), "{many}");
    assert!(shown(100, None).ends_with(r#""hasMore":false}"#));
    assert_eq!(shown(1, Some(7)), r#"{"values":["x"],"total":7,"hasMore":true}"#);
    assert_eq!(shown(0, Some(0)), r#"{"values":[],"total":0,"hasMore":false}"#);
}
