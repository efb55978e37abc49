use std::io::Write as _;

use stockade_ledger::{Ledger, RefusalKind, Spec};

use super::{Account, Buffer, FIRST_STEP_BYTES, Overflow, STEP_BYTES};

fn account(bytes: u64) -> Account {
    Ledger::new(bytes).account(Spec { name: "replies".into(), ceiling: bytes, floor: 0 }).unwrap()
}

#[test]
fn what_it_holds_is_what_is_charged() {
    let account = account(1 << 20);
    let mut buffer = Buffer::new(&account, 1 << 20);
    assert_eq!(account.used(), 0);
    buffer.extend(b"x").unwrap();
    assert_eq!(account.used(), FIRST_STEP_BYTES as u64);
    buffer.extend(&[b'x'; 100_000]).unwrap();
    assert_eq!(account.used(), 2 * STEP_BYTES as u64);
    assert_eq!(buffer.bytes.capacity() as u64, account.used());

    let bytes = buffer.into_bytes();
    let clone = bytes.slice(50_000..);
    drop(bytes);
    assert_eq!(account.used(), 2 * STEP_BYTES as u64, "a clone still waits to be sent");
    drop(clone);
    assert_eq!(account.used(), 0);
}

#[test]
fn a_full_account_refuses_before_anything_is_allocated() {
    let account = account(4096);
    let mut buffer = Buffer::new(&account, 1 << 20);
    buffer.extend(&[b'x'; 4000]).unwrap();
    let Err(Overflow::Refused(refusal)) = buffer.extend(&[b'x'; 200]) else { panic!("not refused") };
    assert_eq!((refusal.kind, refusal.limit), (RefusalKind::Never, 4096));
    assert_eq!(buffer.len(), 4000);
}

#[test]
fn the_cap_is_exact_and_says_its_figures() {
    let account = account(1 << 20);
    let mut buffer = Buffer::new(&account, 10);
    buffer.extend(b"0123456789").unwrap();
    assert_eq!(account.used(), 10, "never more than the cap is charged");
    assert_eq!(buffer.extend(b"!"), Err(Overflow::Cap { cap: 10, used: 10, wanted: 1 }));
    assert!(buffer.write_all(b"!!").is_err());
    assert_eq!(buffer.overflow(), Some(Overflow::Cap { cap: 10, used: 10, wanted: 2 }));
    buffer.truncate(5);
    buffer.write_all(b"abcde").unwrap();
    assert_eq!(buffer.as_ref(), b"01234abcde");
}

#[test]
fn what_is_written_stays_on_one_line() {
    let account = account(1 << 20);
    let mut buffer = Buffer::new(&account, 1 << 10);
    buffer.write_all(b"{\r\n\t\"a\": \"\\n\"\n}").unwrap();
    assert_eq!(buffer.as_ref(), b"{  \t\"a\": \"\\n\" }");
}
