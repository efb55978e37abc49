//! Who a token belongs to, what shares come to, and the operator's file.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::sync::Arc;

use tempfile::TempDir;

use super::{Access, Full, Places, Principal, Token, operator};
use crate::manifest::{Manifest, Overrides, TokenHash};

/// A host's access, and its folder.
fn access(yaml: &str, operator: Option<TokenHash>) -> Access {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("m.yaml");
    fs::write(&file, format!("memory: 512M\n{yaml}")).unwrap();
    Access::new(&Manifest::load(&file, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}")), operator)
}

fn line(name: &str, token: &Token, more: &str) -> String {
    let sha256: String = token.sha256().iter().map(|byte| format!("{byte:02X}")).collect();
    format!("  {name}: {{ sha256: {sha256}, {more} }}\n")
}

fn take(places: &Places, principal: &Arc<Principal>, count: u32) -> Vec<super::Place> {
    (0..count).map(|_| places.take(principal).unwrap()).collect()
}

#[test]
fn a_token_is_somebody() {
    let [ci, team, boss, own] = [(); 4].map(|()| Token::fresh().unwrap());
    let lines = [
        line("ci", &ci, "role: reader"),
        line("team", &team, "role: publisher, names: [demo, team-*]"),
        line("boss", &boss, "role: operator"),
    ];
    let access = access(&format!("tokens:\n{}", lines.concat()), Some(own.sha256()));
    let by = |token: &Token| access.by_token(token.reveal()).unwrap();
    assert_eq!([&ci, &team, &boss, &own].map(|token| by(token).name.to_string()), ["ci", "team", "boss", "operator"]);
    for stranger in ["", "stk_", "anonymous", Token::fresh().unwrap().reveal(), &ci.reveal()[..40]] {
        assert_eq!(access.by_token(stranger), None);
    }
    assert_eq!(access.principals(), 4, "three tokens, and whoever has none");

    let publishes = |token: &Token| ["demo", "demo-2", "team-a", "team"].map(|agent| by(token).may_publish(agent));
    assert_eq!((publishes(&ci), publishes(&boss), publishes(&own)), ([false; 4], [true; 4], [true; 4]));
    assert_eq!(publishes(&team), [true, false, true, false]);
    assert!(!access.anonymous().may_publish("demo"));
    assert_eq!([by(&ci), by(&boss), by(&own), access.anonymous()].map(|it| it.share_of(10)), [5, 10, 10, 3]);
}

#[test]
fn whoever_is_alone_may_take_everything() {
    let alone = access("", Some(Token::fresh().unwrap().sha256()));
    assert_eq!((alone.principals(), alone.anonymous().share_of(256)), (1, 256));
    let token = Token::fresh().unwrap();
    let open =
        access(&format!("listen: 0.0.0.0:80\nhosts: [a.org]\ntokens:\n{}", line("ci", &token, "share: 1")), None);
    assert_eq!(open.principals(), 1, "nobody is anonymous where others can call");
    let ci = open.by_token(token.reveal()).unwrap();
    assert_eq!([1, 10, 100, 101, u32::MAX].map(|cap| ci.share_of(cap)), [1, 1, 1, 2, 42_949_673]);
}

#[test]
fn a_token_is_long_random_and_never_shown() {
    let [one, other] = [(); 2].map(|()| Token::fresh().unwrap());
    assert!(one.reveal().starts_with("stk_") && one.reveal().len() == 47 && one != other);
    assert_eq!((format!("{one:?}"), Token::parse(one.reveal())), ("Token".into(), Some(one.clone())));
    for wrong in ["", "stk_", "stk_AAAA", &one.reveal()[4..], &format!("{}A", one.reveal())] {
        assert_eq!(Token::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn places_are_shared_and_come_back() {
    let token = Token::fresh().unwrap();
    let access = access(&format!("tokens:\n{}", line("ci", &token, "share: 50")), None);
    let (ci, anonymous) = (access.by_token(token.reveal()).unwrap(), access.anonymous());
    let places = Places::new("things", "pieces", 5);
    let of_ci = take(&places, &ci, 3);
    let refused = places.take(&ci).unwrap_err();
    assert_eq!(refused, Full { limit: "things", unit: "pieces", cap: 3, used: 3 });
    assert_eq!(refused.to_string(), "limit `things` of 3 pieces: 3 used, 1 wanted");
    let of_anonymous = take(&places, &anonymous, 2);
    assert_eq!(places.take(&anonymous).unwrap_err(), Full { limit: "things", unit: "pieces", cap: 5, used: 5 });
    drop(of_ci);
    assert_eq!((places.held(), places.take(&anonymous).unwrap_err().cap), (2, 2), "the others' places are not its own");
    drop((of_anonymous, take(&places.clone(), &ci, 3)));
    assert_eq!(places.held(), 0);
}

#[test]
fn the_operators_token_is_made_once_and_for_the_owner_alone() {
    let data = TempDir::new().unwrap();
    let path = data.path().join(operator::FILE);
    assert!(operator::read(data.path()).unwrap_err().to_string().contains("`stockade serve` writes it"));
    let made = operator::open(data.path()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((operator::open(data.path()).unwrap(), operator::read(data.path()).unwrap().sha256()), (made, made));

    for wrong in ["", "\n", "secret", "stk_short", &"x".repeat(10_000), "stk_\u{0}"] {
        fs::write(&path, wrong).unwrap();
        let error = operator::open(data.path()).unwrap_err().to_string();
        assert!(error.contains("holds no token: delete it"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = operator::open(data.path()).unwrap_err().to_string();
    assert!(error.contains("can be used by others (its mode is 640): delete it"), "{error}");

    fs::remove_file(&path).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let outside = elsewhere.path().join("token");
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    assert!(
        operator::open(data.path()).unwrap_err().to_string().contains("cannot open"),
        "no link leads out of the data"
    );
}
