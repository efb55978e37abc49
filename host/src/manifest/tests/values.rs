//! Sizes, times, counts, and the sums they make.

use super::*;
use crate::manifest::{Address, Component, Remote, SignatureMode};

#[test]
fn sizes() {
    for (text, bytes) in [("0", 0), ("80000", 80_000), ("1K", 1024), ("64M", 64 * M), ("3G", 3072 * M)] {
        assert_eq!(size::parse(text), Ok(bytes));
        assert_eq!(size::show(bytes), text);
    }
    for (text, suggestion) in [
        ("64MB", "write 64M:"),
        ("64 MiB", "write 64M:"),
        ("64m", "write 64M:"),
        ("1.5G", "write 1536M:"),
        ("M", "a size is a number"),
        ("-1M", "a size is a number"),
        ("4X", "a size is a number"),
        ("", "a size is a number"),
        ("99999999999G", "more than any machine"),
    ] {
        let said = size::parse(text).expect_err("not a size");
        assert!(said.starts_with(suggestion) || said.contains(suggestion), "{text}: {said}");
    }
    assert_eq!((size::round(512 * M), size::round(375_809_638)), ("512M".to_owned(), "358.4M".to_owned()));
    check("memory: 512M\nhttp: { body: 0x10 }", &["`http.body` cannot be `0x10`"]);
    check("memory: 512M\nhttp: { body: 64MB }", &["write 64M:"]);
    check("memory: 512M\nhttp: { body: 2G }", &["it is at least 1K and at most 1G"]);
}

#[test]
fn times() {
    for (text, milliseconds) in [("250ms", 250), ("5s", 5_000), ("3m", 180_000), ("24h", 86_400_000), ("0s", 0)] {
        assert_eq!(time::parse(text), Ok(Duration::from_millis(milliseconds)));
        assert_eq!(time::show(Duration::from_millis(milliseconds)), text);
    }
    for (text, suggestion) in [
        ("5", "write 5s or 5ms:"),
        ("5 s", "a time is"),
        ("1m30s", "a time is"),
        ("-5s", "a time is"),
        ("5d", "a time is"),
    ] {
        let said = time::parse(text).expect_err("not a time");
        assert!(said.starts_with(suggestion), "{text}: {said}");
    }
    assert!(time::parse("99999999999999999h").expect_err("too long").contains("longer than any machine"));
    check("memory: 512M\ndrain: 10", &["`drain` cannot be `10`", "write 10s or 10ms"]);
    check("memory: 512M\ndrain: 2h", &["it is at least 0s and at most 1h"]);
}

#[test]
fn counts() {
    check("memory: 512M\nhttp: { connections: 0 }", &["it is at least 1 and at most 1000000"]);
    check("memory: 512M\nhttp: { connections: many }", &["a whole number"]);
    check("memory: 512M\nhttp: { connections: 1.5 }", &["`http.connections` cannot be `1.5`"]);
    check("memory: 512M\nhttp: { depth: 129 }", &["at most 128"]);
}

#[test]
fn memory_and_its_levels() {
    check("memory: 63M", &["`memory` is 63M (from the manifest), too little", "at least 64M"]);
    check("memory: 16G", &["`memory` is 16G, but the machine's physical memory is 8G", "delete the key"]);
    check(
        "memory: 512M\npressure: { warning: 460M }",
        &["`pressure.warning` (460M) is not below `pressure.critical` (450M)"],
    );
    check(
        "memory: 512M\npressure: { maximum: 450M }",
        &["`pressure.critical` (450M) is not below `pressure.maximum` (450M)"],
    );
    check("memory: 512M\npressure: { maximum: 513M }", &["`pressure.maximum` (513M) is above `memory` (512M)"]);
    check(
        "memory: 512M\npressure: { warning: 20M, critical: 30M, maximum: 52M }",
        &["`pressure.maximum` (52M) leaves no room for calls", "at least 54M"],
    );
    check("memory: 64M\nhttp: { body: 5M }", &["`http.body` (5M) is more than all requests together may hold (4M)"]);
    check("memory: 64M\nhttp: { reply: 7M }", &["`http.reply` (7M) is more than all replies together may hold (6.4M)"]);
    assert!(Folder::new().parse("memory: 64M").is_ok());
}

#[test]
fn caps() {
    let agent = "agents: { hello: { component: hello.wasm";
    check(
        &format!("memory: 512M\n{agent}, memory: 360M, reserve: 300M }} }}"),
        &[
            "m.yaml:2:",
            "`agents.hello.memory` (360M) is more than all calls together may hold: 70 % of 512M are 358.4M",
        ],
    );
    check(
        &format!("memory: 64M\n{agent} }} }}"),
        &["m.yaml:1:9: error: `defaults.memory` (64M) is more than all calls together"],
    );
    check(
        &format!("memory: 512M\n{agent}, memory: 1M }} }}"),
        &["the reserve of a call, 2M by default, is more than `agents.hello.memory` (1M)"],
    );
    check(
        "memory: 512M\ndefaults: { reserve: 65M }\n\
         agents: { a: { component: hello.wasm }, b: { component: hello.wasm } }",
        &["m.yaml:2:22: error: `defaults.reserve` (65M) is more than `defaults.memory` (64M)"],
    );
    check("memory: 512M\ndefaults: { memory: 32K }", &["it is at least 64K"]);
    check("memory: 512M\ndefaults: { copies: 256K }", &["`defaults.copies` cannot be `256K`", "it is at least 512K"]);
    check("memory: 512M\ndefaults: { concurrency: 1001 }", &["at most 1000"]);
    check("memory: 512M\ndefaults: { deadline: 0s }", &["it is at least 1ms"]);
}

#[test]
fn what_is_probably_not_meant() {
    check_warning("memory: 512M\ndefaults: { cpu: 6s }", &["m.yaml:2:18: warning: `defaults.cpu` (6s) is longer than"]);
    check_warning("memory: 512M\ndefaults: { copies: 5M }", &["`defaults.copies` (5M) is more than `http.reply` (4M)"]);
    check_warning(
        "memory: 512M\ndefaults: { memory: 200M }",
        &["more than a call can reach by growing", "at most 179.2M"],
    );
    assert_eq!(
        Folder::new().parse("memory: 512M\ndefaults: { memory: 200M, reserve: 30M }").expect("right").warnings.len(),
        1
    );
}

#[test]
fn signatures() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let text = format!("memory: 512M\nsignatures: {{ mode: enforce, keys: {{ team: [{key}] }} }}");
    let signatures = Folder::new().parse(&text).expect("right").signatures;
    assert_eq!((signatures.mode, &*signatures.keys["team"][0].text), (SignatureMode::Enforce, key));
    check("memory: 512M\nsignatures: { mode: enforce }", &["without any key would refuse everything"]);
    check("memory: 512M\nsignatures: { keys: { team: RW } }", &["`signatures.keys.team` is not a list of public keys"]);
    check("memory: 512M\nsignatures: { keys: { team: [RW] } }", &["has `RW`, which is no public key"]);
    let many = format!("memory: 512M\nsignatures: {{ keys: {{ team: [{}] }} }}", [key; 17].join(", "));
    check(&many, &["`signatures.keys.team` has 17 keys; at most 16 are allowed"]);
}

#[test]
fn components_from_elsewhere() {
    let pin = "a".repeat(64);
    let component = |text: &str| {
        let text = format!("memory: 512M\nagents: {{ a: {{ component: \"{text}\" }} }}");
        Folder::new().parse(&text).expect("right").agents["a"].component.clone()
    };
    let Component::Remote(remote, file) = component(&format!("oci://ghcr.io:443/me/demo:1.2.0@sha256:{pin}")) else {
        panic!("it lies elsewhere")
    };
    assert_eq!(remote.path(), "me/demo");
    let registry = Address::Registry { host: "ghcr.io:443".into(), repository: "me/demo".into() };
    assert_eq!(remote, Remote { address: registry, sha256: pin.clone() });
    assert!(file.ends_with(format!("data/pulled/{pin}.wasm")), "{}", file.display());
    let Component::Remote(remote, _) = component(&format!("https://example.org/a.wasm@sha256:{pin}")) else {
        panic!("it lies elsewhere")
    };
    assert_eq!(remote.address, Address::Web("https://example.org/a.wasm".into()));
    assert_eq!(remote.to_string(), format!("https://example.org/a.wasm@sha256:{pin}"));
    for wrong in [
        "https://example.org/a.wasm".to_owned(),
        format!("http://example.org/a.wasm@sha256:{pin}"),
        format!("oci://ghcr.io@sha256:{pin}"),
        format!("oci:///demo@sha256:{pin}"),
        format!("https://example.org/a.wasm@sha256:{}", "A".repeat(64)),
        format!("oci://ghcr.io/demo:1@sha256:{}", "a".repeat(63)),
    ] {
        let text = format!("memory: 512M\nagents: {{ a: {{ component: \"{wrong}\" }} }}");
        check(&text, &["cannot be pulled", "write oci://registry/repository:tag@sha256:"]);
    }
    let text =
        format!("memory: 512M\nagents: {{ a: {{ component: \"https://me:secret@example.org/a@sha256:{pin}\" }} }}");
    check(&text, &["leave the name and password before `@` out"]);
    let Component::Remote(remote, _) = component(&format!("https://example.org/a?key=secret@sha256:{pin}")) else {
        panic!("it lies elsewhere")
    };
    assert_eq!(remote.address, Address::Web("https://example.org/a?key=secret".into()));
    assert_eq!(remote.to_string(), format!("https://example.org/a?…@sha256:{pin}"));
}

#[test]
fn uploads() {
    let uploads = Folder::new().parse("memory: 512M").expect("right").uploads;
    let sizes = [uploads.blob_bytes_max, uploads.component_bytes_max, uploads.manifest_bytes_max];
    assert_eq!(sizes, [64 * M, 24 * M, 4 * M]);
    assert_eq!((uploads.disk, uploads.namespace_disk), (8192 * M, 2048 * M));
    assert_eq!((uploads.open, uploads.repositories, uploads.tags, uploads.manifests), (64, 20_000, 10_000, 20_000));
    assert_eq!((uploads.idle, uploads.grace), (Duration::from_secs(600), Duration::from_secs(3_600)));
    check("memory: 512M\nuploads: { manifest_bytes_max: 5M }", &["it is at least 1K and at most 4M"]);
    check("memory: 512M\nuploads: { versions: 10001 }", &["it is at least 1 and at most 10000"]);
    check("memory: 512M\nuploads: { open: 0 }", &["`uploads.open` cannot be `0`"]);
    check("memory: 512M\nuploads: { idle: 1ms }", &["it is at least 100ms"]);
}
