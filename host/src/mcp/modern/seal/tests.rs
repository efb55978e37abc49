use std::time::Duration;

use super::{Bond, Broken, Seal, URL_SAFE_NO_PAD};
use base64::Engine as _;

const BOND: Bond<'static> = Bond { principal: "ann", digest: &[7; 32] };

fn seal() -> Seal {
    Seal::new(Duration::from_secs(60)).unwrap()
}

#[test]
fn what_is_sealed_can_be_opened() {
    let seal = seal();
    for state in ["", "asked", &"größer ".repeat(1_000)] {
        let sealed = seal.close(state, BOND).unwrap();
        assert_eq!(seal.open(&sealed, BOND).as_deref(), Ok(state));
        assert!(state.is_empty() || !sealed.contains(&URL_SAFE_NO_PAD.encode(state)));
    }
    assert_ne!(seal.close("x", BOND).unwrap(), seal.close("x", BOND).unwrap());
}

#[test]
fn what_was_altered_cannot() {
    let seal = seal();
    let sealed = seal.close("asked", BOND).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert_eq!(seal.open(&URL_SAFE_NO_PAD.encode(altered), BOND), Err(Broken::Foreign), "byte {at}");
    }
    for length in 0..bytes.len() {
        assert_eq!(seal.open(&URL_SAFE_NO_PAD.encode(&bytes[..length]), BOND), Err(Broken::Foreign));
    }
    assert_eq!(seal.open("not base64!", BOND), Err(Broken::Foreign));
}

#[test]
fn nobody_else_can_use_it() {
    let seal = seal();
    let sealed = seal.close("asked", BOND).unwrap();
    assert_eq!(seal.open(&sealed, Bond { principal: "bob", ..BOND }), Err(Broken::Foreign));
    assert_eq!(seal.open(&sealed, Bond { digest: &[8; 32], ..BOND }), Err(Broken::Foreign));
    assert_eq!(self::seal().open(&sealed, BOND), Err(Broken::Foreign), "another key");
}

#[test]
fn it_is_good_for_a_while_only() {
    let seal = Seal::new(Duration::ZERO).unwrap();
    let sealed = seal.close("asked", BOND).unwrap();
    let expired = || seal.open(&sealed, BOND) == Err(Broken::Expired);
    let began = std::time::Instant::now();
    while !expired() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
}
