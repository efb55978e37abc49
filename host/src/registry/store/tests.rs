//! What is stored is found again, in its order, and by one process at a time.

use super::*;

fn epoch(number: u64) -> Epoch {
    Epoch { number, host: (1..=number).rev().collect() }
}

fn update(number: u64) -> Vec<u8> {
    format!("update {number}").into_bytes()
}

#[test]
fn updates_are_found_again_behind_their_snapshot() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path()).unwrap();
    assert!(store.load().unwrap().is_none());
    store.snapshot(&epoch(1), b"state 0", &BTreeMap::new()).unwrap();
    store.append(&[update(1), update(2)], &[]).unwrap();
    store.append(&[update(3)], &[]).unwrap();
    assert_eq!(store.last(), 3);
    drop(store);

    let mut store = Store::open(data.path()).unwrap();
    let found = store.load().unwrap().unwrap();
    assert_eq!((found.epoch, store.last()), (epoch(1), 3));
    assert_eq!(found.updates, [b"state 0".to_vec(), update(1), update(2), update(3)]);
    store.snapshot(&epoch(2), b"state 3", &BTreeMap::new()).unwrap();
    store.append(&[update(4)], &[]).unwrap();
    let found = store.load().unwrap().unwrap();
    assert_eq!((found.epoch, found.updates), (epoch(2), vec![b"state 3".to_vec(), update(4)]));
    assert_eq!(store.last(), 4, "numbers go on");
}

#[test]
fn authors_are_stored_with_what_they_write() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path()).unwrap();
    let authors = |clients: &[u64]| clients.iter().map(|client| (*client, "ann".into())).collect::<BTreeMap<_, _>>();
    store.snapshot(&epoch(1), b"state 0", &authors(&[7])).unwrap();
    store.append(&[update(1)], &[(8, "ann".into())]).unwrap();
    drop(store);
    let mut store = Store::open(data.path()).unwrap();
    assert_eq!(store.load().unwrap().unwrap().authors, authors(&[7, 8]));
    // A snapshot has all there are.
    store.snapshot(&epoch(1), b"state 1", &authors(&[8, 9])).unwrap();
    assert_eq!(store.load().unwrap().unwrap().authors, authors(&[8, 9]));
}

#[test]
fn a_long_log_wants_a_snapshot() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path()).unwrap();
    store.snapshot(&epoch(1), b"", &BTreeMap::new()).unwrap();
    store.append(&vec![Vec::new(); LOG_UPDATES_MAX as usize - 1], &[]).unwrap();
    assert!(!store.wants_snapshot());
    store.append(&[Vec::new()], &[]).unwrap();
    assert!(store.wants_snapshot());
    store.snapshot(&epoch(1), b"", &BTreeMap::new()).unwrap();
    assert!(!store.wants_snapshot());
    store.append(&[vec![0; LOG_BYTES_MAX as usize]], &[]).unwrap();
    assert!(store.wants_snapshot());
}

#[test]
fn a_file_that_was_large_is_made_smaller() {
    let data = tempfile::tempdir().unwrap();
    let file = || data.path().join("registry/document.redb").metadata().unwrap().len();
    let mut store = Store::open(data.path()).unwrap();
    store.snapshot(&epoch(1), &vec![1; 16 << 20], &BTreeMap::new()).unwrap();
    store.snapshot(&epoch(2), b"small", &BTreeMap::new()).unwrap();
    drop(store);
    let large = file();
    assert!(large > SHRINK_BYTES_MIN, "{large}");
    let mut store = Store::open(data.path()).unwrap();
    let found = store.load().unwrap().unwrap();
    store.shrink(&found);
    store.append(&[update(1)], &[]).unwrap();
    drop(store);
    assert!(file() * 2 < large, "{} of {large}", file());
    let found = Store::open(data.path()).unwrap().load().unwrap().unwrap();
    assert_eq!((found.epoch, found.updates), (epoch(2), vec![b"small".to_vec(), update(1)]));
}

#[test]
fn a_data_directory_has_one_host() {
    let data = tempfile::tempdir().unwrap();
    let _first = Store::open(data.path()).unwrap();
    let second = Store::open(data.path()).unwrap_err().to_string();
    assert!(second.contains("another stockade uses the data directory"), "{second}");
}

#[test]
fn a_damaged_file_is_named() {
    let data = tempfile::tempdir().unwrap();
    drop(Store::open(data.path()).unwrap());
    let path = data.path().join(DIRECTORY).join(FILE);
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = format!("{:#}", Store::open(data.path()).unwrap_err());
    assert!(error.contains("document.redb cannot be read; move it away to begin anew"), "{error}");
}
