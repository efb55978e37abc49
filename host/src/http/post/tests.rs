use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{accepts_json, is_json, keep, seconds};

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for value in values {
        map.append(name, value.parse().unwrap());
    }
    map
}

#[test]
fn the_body_must_be_json() {
    for right in ["application/json", "Application/JSON; charset=utf-8"] {
        assert!(is_json(&headers("content-type", &[right])), "{right}");
    }
    for wrong in [&[][..], &["text/plain"], &["application/jsonx"], &["multipart/form-data; x=application/json"]] {
        assert!(!is_json(&headers("content-type", wrong)), "{wrong:?}");
    }
}

#[test]
fn a_client_that_takes_streams_only_is_told() {
    let lenient: [&[&str]; 5] = [
        &[],
        &["*/*"],
        &["application/json, text/event-stream"],
        &["text/event-stream", "application/*;q=0.5"],
        &["APPLICATION/JSON"],
    ];
    for accept in lenient {
        assert!(accepts_json(&headers("accept", accept)), "{accept:?}");
    }
    assert!(!accepts_json(&headers("accept", &["text/event-stream"])));
}

#[test]
fn a_hint_is_in_whole_seconds_and_never_zero() {
    let hints = [0, 1, 1000, 1001, 2500].map(|ms| seconds(Duration::from_millis(ms)));
    assert_eq!(hints, [1, 1, 1, 2, 3]);
}

#[test]
fn a_place_is_given_back_with_the_last_byte() {
    let places = Arc::new(Semaphore::new(1));
    let body = keep(Bytes::from_static(b"reply"), places.clone().try_acquire_owned().unwrap());
    let waits_to_be_sent = body.slice(3..);
    drop(body);
    assert_eq!((&*waits_to_be_sent, places.available_permits()), (&b"ly"[..], 0));
    drop(waits_to_be_sent);
    assert_eq!(places.available_permits(), 1);
}
