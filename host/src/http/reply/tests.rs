use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{keep, seconds};
use crate::access::{Access, Places};
use crate::manifest::Manifest;

#[test]
fn a_hint_is_in_whole_seconds_and_never_zero() {
    let hints = [0, 1, 1000, 1001, 2500].map(|ms| seconds(Duration::from_millis(ms)));
    assert_eq!(hints, [1, 1, 1, 2, 3]);
}

#[test]
fn a_place_is_given_back_with_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest::parse("agents: {}", folder.path()).unwrap();
    let (anyone, places) = (Access::new(&manifest, None).anonymous(), Places::new("in-flight", "requests", 1));
    let body = keep(Bytes::from_static(b"reply"), Some(Arc::new(places.take(&anyone).unwrap())));
    let waits_to_be_sent = body.slice(3..);
    drop(body);
    assert_eq!((&*waits_to_be_sent, places.held()), (&b"ly"[..], 1));
    drop(waits_to_be_sent);
    assert_eq!(places.held(), 0);
}
