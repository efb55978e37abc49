use axum::http::HeaderMap;

use super::{Accept, of_post, takes_events};

fn accept(values: &[&str]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for value in values {
        map.append("accept", value.parse().unwrap());
    }
    map
}

#[test]
fn a_reply_is_what_the_client_takes() {
    let cases: [(&[&str], Option<Accept>); 10] = [
        (&[], Some(Accept::Json)),
        (&["application/json"], Some(Accept::Json)),
        (&["APPLICATION/JSON"], Some(Accept::Json)),
        (&["application/json, text/event-stream"], Some(Accept::Either)),
        (&["text/event-stream, application/json"], Some(Accept::Either)),
        (&["*/*"], Some(Accept::Either)),
        (&["text/event-stream"], Some(Accept::Events)),
        (&["text/event-stream", "application/*;q=0.5"], Some(Accept::Events)),
        (&["*/*, text/event-stream;q=0"], Some(Accept::Json)),
        (&["text/html, image/png"], None),
    ];
    for (values, expected) in cases {
        assert_eq!(of_post(&accept(values)), expected, "{values:?}");
    }
}

#[test]
fn a_stream_must_be_asked_for() {
    assert!(takes_events(&accept(&["text/event-stream"])) && takes_events(&accept(&["text/*"])));
    assert!(!takes_events(&accept(&[])) && !takes_events(&accept(&["application/json"])));
}
