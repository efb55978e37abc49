//! Tokens in the manifest and in a file of their own; no mistake shows a secret.

use super::*;
use crate::manifest::{NamePattern, Role};

const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const SECRET: &str = "stk_NotAHashButTheTokenItself";

#[test]
fn roles_names_and_shares() {
    let yaml = format!(
        "memory: 512M
tokens:
  ann: {{ sha256: {HASH} }}
  ci-2: {{ sha256: {OTHER}, role: publisher, names: [demo, team-*], share: 20 }}
  ops: {{ sha256: {}, role: operator }}",
        "a".repeat(64)
    );
    let manifest = Folder::new().parse(&yaml).expect("right");
    let spec = |name: &str| manifest.tokens[name].clone();
    assert_eq!((spec("ann").role, spec("ann").share_percent, spec("ann").sha256[1]), (Role::Reader, 50, 0x11));
    assert_eq!((spec("ann").sha256[31], spec("ops").role, spec("ops").share_percent), (0xff, Role::Operator, 100));
    let names = ["demo", "team-*"].map(|name| NamePattern::parse(name).expect("legal"));
    assert_eq!((spec("ci-2").role, spec("ci-2").share_percent), (Role::Publisher(names.to_vec()), 20));
    for nothing in ["", "tokens:", "tokens: {}"] {
        assert!(Folder::new().parse(nothing).expect("right").tokens.is_empty());
    }
}

#[test]
fn patterns() {
    for (pattern, fits, misses) in
        [("demo", "demo", "demo-2"), ("team-*", "team-a", "team"), ("t*", "team", "ateam"), ("*", "any", "")]
    {
        let pattern = NamePattern::parse(pattern).expect("legal");
        assert!(pattern.fits(fits) && (misses.is_empty() || !pattern.fits(misses)), "{pattern}");
    }
    for wrong in ["", "Demo", "a*b", "**", "-*", "a--*", "team-"] {
        NamePattern::parse(wrong).expect_err(wrong);
    }
}

#[test]
fn what_is_wrong_with_a_token() {
    let check = |tokens: &str, expected: &[&str]| check(&format!("memory: 512M\ntokens: {{ {tokens} }}"), expected);
    let hash = format!("sha256: {HASH}");
    check("a: {}", &["m.yaml:2:11: error: `tokens.a.sha256` is missing", "`stockade token NAME` makes one"]);
    check(&format!("Ann: {{ {hash} }}"), &["tokens are named as agents are: an agent's name starts with"]);
    for reserved in ["anonymous", "host", "operator"] {
        check(&format!("{reserved}: {{ {hash} }}"), &["the names anonymous, host, operator are the host's own"]);
    }
    check(&format!("a: {{ {hash}, role: admin }}"), &["it is one of: reader, publisher, operator"]);
    check(&format!("a: {{ {hash}, role: publisher }}"), &["`tokens.a` is a publisher without names", "[team-*]"]);
    check(&format!("a: {{ {hash}, role: publisher, names: [] }}"), &["`tokens.a` is a publisher without names"]);
    check(&format!("a: {{ {hash}, names: [x] }}"), &["`tokens.a.names` is there, which only a publisher needs"]);
    check(&format!("a: {{ {hash}, role: publisher, names: [A] }}"), &["`tokens.a.names` cannot be `A`", "team-*"]);
    check(&format!("a: {{ {hash}, share: 0 }}"), &["at least 1 and at most 100"]);
    check(&format!("a: {{ {hash}, rank: x }}"), &["no key `rank` in `tokens.a`", "names, role, sha256, share"]);
    check(&format!("a: {{ {hash} }}, b: {{ {hash} }}"), &["`b` has the same token as `a`", "`stockade token b`"]);
    check(&format!("a: {{ {hash} }}, a: {{ {hash} }}"), &["`tokens.a` is given twice"]);
    let many: Vec<String> = (0..257).map(|number| format!("t{number}: {{ sha256: {number:064x} }}")).collect();
    check(&many.join(", "), &["there are 257 tokens, at most 256 are served"]);
    assert!(Folder::new().parse(&format!("tokens: {{ {} }}", many[1..].join(", "))).is_ok());
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let hash = format!("sha256: {HASH}");
    for tokens in [
        format!("{{ a: {{ sha256: {SECRET}, role: reader }} }}"),
        format!("{{ a: {{ sha256: \"{SECRET}\", role: rader }} }}"),
        format!("{{ a: {{ {hash}, token: {SECRET} }} }}"),
        format!("{{ a: {SECRET} }}"),
        format!("{{ {SECRET}: {{ {hash} }} }}"),
        format!("{{ b: {{ sha256: {SECRET} }}, c: {{ {hash}, role: boss }} }}"),
        SECRET.to_owned(),
        format!("[{SECRET}]"),
    ] {
        let errors = Folder::new().parse(&format!("memory: 512M\ntokens: {tokens}")).expect_err("wrong").to_string();
        assert!(!errors.contains("NotAHash"), "{tokens}:\n{errors}");
        assert!(errors.contains("tokens"), "{errors}");
    }
    check(
        &format!("memory: 512M\ntokens: {{ a: {{ sha256: {SECRET} }} }}"),
        &[
            "perhaps it is the token itself (not shown)",
            "{ a: { sha256: *****************************",
            "with its hash",
        ],
    );
}

#[test]
fn a_file_of_tokens() {
    let folder = Folder::new();
    folder.write("who.yaml", &format!("# who may call\nann: {{ sha256: {HASH} }}\n"));
    let manifest = folder.parse("memory: 512M\ntokens: who.yaml").expect("right");
    assert_eq!(manifest.tokens.keys().map(|name| &**name).collect::<Vec<_>>(), ["ann"]);

    folder.write("who.yaml", &format!("ann: {{ sha256: {HASH} }}\nbob:\n  sha256: {SECRET}\n"));
    let errors =
        folder.parse("memory: 512M\nlisten: 10.0.0.1:80\ntokens: who.yaml\n").expect_err("two files, two mistakes");
    let printed = errors.to_string();
    assert_eq!(errors.problems().len(), 2, "{printed}");
    assert!(printed.contains("m.yaml:2:9: error: `listen` 10.0.0.1:80") && printed.contains("`hosts` is empty"));
    assert!(printed.contains("who.yaml:3:11: error: `bob.sha256` is not the 64 hex digits"), "{printed}");
    assert!(!printed.contains("NotAHash"), "{printed}");

    folder.write("who.yaml", &format!("tokens: {{ ann: {{ sha256: {SECRET} }}, stk_NotAHash: {{}} }}\n"));
    let printed = folder.parse("memory: 512M\ntokens: who.yaml").expect_err("once too often").to_string();
    assert!(printed.contains("who.yaml:1:1: error: `tokens` stands in the manifest already"), "{printed}");
    assert!(printed.contains("delete this line") && !printed.contains("NotAHash"), "{printed}");
    folder.write("who.yaml", &format!("tokens: {{ sha256: {HASH} }}\n"));
    assert!(folder.parse("memory: 512M\ntokens: who.yaml").is_ok(), "somebody may be called so");

    folder.write("who.yaml", "ann: [");
    assert!(folder.parse("tokens: who.yaml").expect_err("wrong").to_string().contains("who.yaml:1"));
    check("memory: 512M\ntokens: none.yaml", &["m.yaml:2:9: error: the file of tokens `none.yaml` cannot be opened"]);
}
