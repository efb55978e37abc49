//! Addresses, names of hosts, data, and what the surroundings say.

use super::*;

/// Somebody who may call.
const TOKENS: &str = "tokens: { ann: { sha256: 0000000000000000000000000000000000000000000000000000000000000000 } }";

#[test]
fn addresses() {
    for (text, suggestion) in [
        ("localhost:8080", "write 127.0.0.1:8080"),
        (":8080", "write 127.0.0.1:8080"),
        ("8080", "write 127.0.0.1:8080"),
        ("\"*:8080\"", "write 0.0.0.0:8080"),
        ("127.0.0.1", "the port is missing"),
        ("example.org:80", "an address is IP:PORT"),
    ] {
        check(&format!("memory: 512M\nlisten: {text}"), &["m.yaml:2:9: error: `listen` cannot be", suggestion]);
    }
    check(
        "memory: 512M\nlisten: 0.0.0.0:80",
        &["m.yaml:2:9: error: `listen` 0.0.0.0:80 can be reached", "127.0.0.1:80"],
    );
    check(
        "memory: 512M\nadmin: 10.0.0.1:80",
        &["`admin` 10.0.0.1:80 can be reached", "`hosts` and `tokens` are empty"],
    );
    for (given, missing) in [("hosts: [a.org]", "`tokens` is empty"), (TOKENS, "`hosts` is empty")] {
        check(&format!("memory: 512M\n{given}\nlisten: \"[::]:80\""), &[missing, "or listen on 127.0.0.1:80"]);
    }
    check("memory: 512M\nadmin: 127.0.0.1:8080", &["m.yaml:2:8: error:", "are the same address"]);
    let open = &*format!("listen: 0.0.0.0:80\nhosts: [a.org]\n{TOKENS}");
    for yaml in [open, "listen: \"[::1]:80\"", "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0"] {
        assert!(Folder::new().parse(yaml).is_ok(), "{yaml}");
    }
}

#[test]
fn flags_and_port_beat_the_file() {
    let public = |hosts| {
        format!("memory: 512M\nlisten: 127.0.0.1:1\nadmin: 127.0.0.1:2\nhosts: {hosts}\ndata: file-data\n{TOKENS}")
    };
    let port = Overrides { port: Some(7000), ..Overrides::default() };
    check_with(
        &public("[]"),
        &port,
        &["m.yaml: error: PORT=7000, which means 0.0.0.0:7000, can be reached from other machines"],
    );
    check_with(&public("[a.org]"), &Overrides { port: Some(2), ..port.clone() }, &["are the same address"]);
    let folder = Folder::new();
    let manifest = folder.parse_with(&public("[a.org]"), &port).expect("right");
    assert_eq!(manifest.listen, SocketAddr::from(([0, 0, 0, 0], 7000)));
    assert!(manifest.data.ends_with("file-data"));
    let flags = Overrides {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 3))),
        admin: Some(SocketAddr::from(([127, 0, 0, 1], 4))),
        data: Some(folder.at("flag-data")),
        ..port
    };
    let manifest = folder.parse_with(&public("[]"), &flags).expect("right");
    assert_eq!((manifest.listen.port(), manifest.admin.port()), (3, 4));
    assert!(manifest.data.ends_with("flag-data"));
}

#[test]
fn hosts_and_origins() {
    let manifest = Folder::new()
        .parse("memory: 512M\nhosts: [a.org, 10.0.0.1, \"[::1]\", B.org]\norigins: [https://a.org, http://b.org:8080]")
        .expect("right");
    assert_eq!(manifest.hosts, ["a.org", "10.0.0.1", "[::1]", "b.org"]);
    assert_eq!(manifest.origins, ["https://a.org", "http://b.org:8080"]);
    for (key, text, suggestion) in [
        ("hosts", "https://a.org/x", "write a.org:"),
        ("hosts", "a.org:80", "write a.org:"),
        ("hosts", "\"*.a.org\"", "list every name"),
        ("hosts", "\"::1\"", "write \"[::1]\""),
        ("hosts", "a b", "a host is a name"),
        ("origins", "a.org", "an origin is"),
        ("origins", "https://A.org/", "write https://a.org,"),
        ("origins", "https://a.org:443", "write https://a.org,"),
        ("origins", "file://a", "browsers send http or https"),
        ("origins", "\"https://*\"", "list every origin"),
        ("origins", "https://a.org:x", "an origin is"),
    ] {
        check(&format!("memory: 512M\n{key}: [{text}]"), &[&format!("`{key}` cannot be"), suggestion]);
    }
}

#[test]
fn the_data_directory() {
    check("memory: 512M\ndata: hello.wasm/data", &["m.yaml:2:7: error: `data` cannot be created at", "--data DIR"]);
    check("memory: 512M\ndata: hello.wasm", &["`data` cannot be created"]);
}

#[test]
fn the_smallest_limit_in_force_is_taken() {
    let folder = Folder::new();
    let detect = |memory_limit: Option<&str>| {
        Surroundings { memory_limit: memory_limit.map(str::to_owned), ..folder.machine() }.limit().expect("a machine")
    };
    assert_eq!(detect(None), (8192 * M, MemorySource::Machine));
    assert_eq!(detect(Some("512m")), (512 * M, MemorySource::Environment));
    assert_eq!(detect(Some("1GB")), (1024 * M, MemorySource::Environment));
    assert_eq!(detect(Some("a lot")), (8192 * M, MemorySource::Machine));

    // Version 1, seen from inside a container: the group's own folder is not there, the mount is.
    folder.write("machine/proc/self/cgroup", "5:cpu:/\n4:memory,pids:/docker/abc\n0::/\n");
    folder.write("machine/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_eq!(detect(None), (8192 * M, MemorySource::Machine));
    folder.write("machine/sys/fs/cgroup/memory/memory.limit_in_bytes", "314572800\n");
    let file = PathBuf::from("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    assert_eq!(detect(Some("512M")), (300 * M, MemorySource::ControlGroup(file)));

    // Version 2: a parent's limit binds as well.
    folder.write("machine/proc/self/cgroup", "0::/pod/container\n");
    folder.write("machine/sys/fs/cgroup/pod/container/memory.max", "max\n");
    folder.write("machine/sys/fs/cgroup/pod/memory.max", "268435456\n");
    let file = PathBuf::from("/sys/fs/cgroup/pod/memory.max");
    assert_eq!(detect(None), (256 * M, MemorySource::ControlGroup(file)));
    folder.write("machine/sys/fs/cgroup/pod/container/memory.max", "134217728\n");
    assert_eq!(detect(None).0, 128 * M);

    let errors = folder.parse("memory: 256M").expect_err("more than the container has");
    assert!(errors.to_string().contains("/sys/fs/cgroup/pod/container/memory.max is 128M"), "{errors}");
    let nothing = Surroundings { root: folder.at("none"), memory_limit: None };
    let errors = Manifest::check(Path::new("m.yaml"), "", folder.0.path(), &Overrides::default(), &nothing);
    assert!(errors.expect_err("no limit").to_string().contains("add `memory: 512M`"));
}

#[test]
fn files_that_are_no_manifest() {
    let folder = Folder::new();
    let check = |file: &str, expected: &str| {
        let errors = Manifest::load(&folder.at(file), &Overrides::default()).expect_err("not a manifest");
        assert!(errors.to_string().contains(expected), "{expected:?} is not in:\n{errors}");
    };
    check("none.yaml", "name the file with --manifest FILE");
    check("docs", "cannot be read");
    folder.write("big.yaml", &"#".repeat(1 + (1 << 20)));
    check("big.yaml", "is larger than 1M");
    fs::write(folder.at("latin.yaml"), b"# ok\n# gr\xfc\xdfe\n").expect("writable");
    check("latin.yaml", "is not UTF-8 text, in line 2");
    folder.write("good.yaml", "memory: 128M\nagents: { hello: { component: hello.wasm } }");
    let manifest = Manifest::load(&folder.at("good.yaml"), &Overrides::default()).expect("right");
    assert!(matches!(&manifest.agents["hello"].component, Component::File(path) if path.is_absolute()));
}
