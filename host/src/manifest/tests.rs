//! Every decision of the manifest, tripped.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::detect::Surroundings;
use super::raw::{self, Node, Value};
use super::{Access, AgentName, LogFormat, Manifest, ManifestErrors, MemorySource, NameError, Overrides, size, time};

const M: u64 = 1 << 20;

/// A folder with a component and a directory.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().expect("a folder for temporary files"));
        folder.write("hello.wasm", "component").write("docs/note.txt", "note");
        folder.write("machine/proc/meminfo", "MemTotal:  8388608 kB\nMemFree: 1 kB\n");
        folder
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("joined to a folder")).expect("writable");
        fs::write(path, text).expect("writable");
        self
    }

    /// A machine of 8G whose files lie in this folder.
    fn machine(&self) -> Surroundings {
        Surroundings { root: self.at("machine"), memory_limit: None }
    }

    fn parse(&self, yaml: &str) -> Result<Manifest, ManifestErrors> {
        self.parse_with(yaml, &Overrides::default())
    }

    fn parse_with(&self, yaml: &str, overrides: &Overrides) -> Result<Manifest, ManifestErrors> {
        Manifest::check(Path::new("m.yaml"), yaml, self.0.path(), overrides, &self.machine())
    }
}

/// Parses, and expects exactly one error, with these texts in what is printed.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    check_with(yaml, &Overrides::default(), expected);
}

#[track_caller]
fn check_with(yaml: &str, overrides: &Overrides, expected: &[&str]) {
    let errors = Folder::new().parse_with(yaml, overrides).expect_err("the manifest is wrong");
    let printed = errors.to_string();
    assert_eq!(errors.problems().len(), 1, "one error in:\n{printed}");
    for text in expected {
        assert!(printed.contains(text), "{text:?} is not in:\n{printed}");
    }
}

/// Parses, and expects one warning besides that there are no agents.
#[track_caller]
fn check_warning(yaml: &str, expected: &[&str]) {
    let mut warnings = Folder::new().parse(yaml).expect("the manifest is right").warnings;
    warnings.retain(|warning| warning.message != "there are no agents");
    assert_eq!(warnings.len(), 1, "one warning in {warnings:?}");
    for text in expected {
        assert!(warnings[0].to_string().contains(text), "{text:?} is not in:\n{}", warnings[0]);
    }
}

#[test]
fn the_defaults() {
    let folder = Folder::new();
    let manifest = folder.parse("memory: 512M\nagents: { hello: { component: hello.wasm } }").expect("right");
    let seconds = Duration::from_secs;
    assert_eq!((manifest.memory, manifest.memory_source.clone()), (512 * M, MemorySource::Manifest));
    assert_eq!(manifest.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(manifest.admin, SocketAddr::from(([127, 0, 0, 1], 8081)));
    assert_eq!((manifest.hosts.len(), manifest.origins.len()), (0, 0));
    assert_eq!(manifest.data, folder.at("data").canonicalize().expect("created"));
    let pressure = manifest.pressure;
    assert_eq!((pressure.warning, pressure.critical, pressure.maximum), (400 * M, 450 * M, 500 * M));
    let http = manifest.http;
    assert_eq!((http.connections, http.in_flight, http.depth, http.elements), (1024, 256, 64, 100_000));
    assert_eq!((http.body, http.headers, http.reply), (4 * M, 80_000, 4 * M));
    assert_eq!((http.header_wait, http.body_wait, http.reply_stall), (seconds(10), seconds(10), seconds(30)));
    let compile = manifest.compile;
    assert_eq!((compile.memory, compile.cpu, compile.loaded), (2048 * M, seconds(60), 64));
    assert_eq!((compile.output, compile.component), (256 * M, 24 * M));
    assert_eq!((manifest.drain, manifest.log), (seconds(10), LogFormat::Pretty));
    let hello = &manifest.agents["hello"];
    assert_eq!(hello.component, folder.at("hello.wasm").canonicalize().expect("written"));
    assert_eq!((hello.memory, hello.reserve, hello.copies), (64 * M, None, 2 * M));
    assert_eq!((hello.deadline, hello.cpu, hello.queue_wait), (seconds(5), seconds(2), seconds(2)));
    assert_eq!((hello.queue, hello.concurrency, hello.dirs.len()), (64, 8, 0));
    assert_eq!(manifest.warnings, []);
}

#[test]
fn an_agent_overrides_defaults_which_override_ours() {
    let yaml = "
        memory: 512M
        log: json
        defaults: { memory: 32M, reserve: 3M, deadline: 1s, cpu: 500ms, queue: 0, queue_wait: 0s }
        agents:
          hello:
            component: hello.wasm
            memory: 16M
            concurrency: 2
            dirs: { /docs: { path: docs }, /out: { path: docs, access: write } }";
    let folder = Folder::new();
    let manifest = folder.parse(yaml).expect("right");
    let hello = &manifest.agents["hello"];
    assert_eq!((hello.memory, hello.reserve, hello.concurrency), (16 * M, Some(3 * M), 2));
    assert_eq!((hello.deadline, hello.cpu), (Duration::from_secs(1), Duration::from_millis(500)));
    assert_eq!((hello.queue, hello.queue_wait), (0, Duration::ZERO));
    assert_eq!(hello.dirs["/docs"].path, folder.at("docs").canonicalize().expect("written"));
    assert_eq!((hello.dirs["/docs"].access, hello.dirs["/out"].access), (Access::Read, Access::Write));
    assert_eq!(manifest.log, LogFormat::Json);
}

#[test]
fn an_error_is_printed_as_a_compiler_would() {
    let errors = Folder::new().parse("memory: 512M\ndefaults:\n  memmory: 64M\n").expect_err("a key is misspelt");
    let expected = "m.yaml:3:3: error: no key `memmory` in `defaults`
  3 |   memmory: 64M
    |   ^^^^^^^
    = did you mean `memory`? the keys here are: concurrency, copies, cpu, deadline, memory, queue, queue_wait, reserve";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn all_errors_are_reported_together_in_the_order_of_the_file() {
    let yaml = "memory: 4X\nlisten: nowhere\nhttp: { body: [], depth: 1000 }\nlog: loud\n\
        agents: { Bad: { component: no.wasm } }";
    let errors = Folder::new().parse(yaml).expect_err("wrong in seven ways");
    let places: Vec<_> = errors.problems().iter().filter_map(|problem| problem.place).collect();
    let lines: Vec<_> = places.iter().map(|place| place.line).collect();
    assert_eq!(lines, [1, 2, 3, 3, 4, 5, 5], "{errors}");
}

#[test]
fn a_flood_of_errors_is_cut_and_counted() {
    let yaml: String = (0..1_000).map(|number| format!("key{number}: 1\n")).collect();
    let errors = Folder::new().parse(&yaml).expect_err("unknown keys");
    assert_eq!(errors.problems().len(), 50);
    assert!(errors.to_string().ends_with("and 950 more"));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let yaml = format!("memory: 512M\nhosts: [{}, \"a b\"]\n", vec!["example.org"; 1_000].join(", "));
    let errors = Folder::new().parse(&yaml).expect_err("a host with a space");
    let printed = errors.to_string();
    assert!(printed.len() < 600 && printed.contains("\"a b\""), "{printed}");
}

#[test]
fn keys_and_shapes() {
    check(
        "memory: 512M\nlisten_on: 1",
        &["m.yaml:2:1: error: no key `listen_on` at the top level", "keys here are: admin, agents,"],
    );
    check("memory: 512M\nhttp: { boddy: 1M }", &["in `http`", "did you mean `body`?"]);
    check("memory: 512M\nhttp: 5", &["m.yaml:2:7: error: `http` is not a table"]);
    check("memory: 512M\nhosts: a.org", &["`hosts` is not a list", "write `hosts: [first, second]`"]);
    check("memory: 512M\nhosts: [[a]]", &["`hosts` is not a single value"]);
    check("memory: 512M\ndrain:", &["m.yaml:2:6: error: `drain` has no value"]);
    check("memory: 512M\nmemory: 256M", &["m.yaml:2:1: error: `memory` is given twice", "in line 1 already"]);
    check("memory: 512M\n<<: { log: json }", &["no key `<<`"]);
    check("- memory", &["the manifest is not a table"]);
    check("memory: 512M\nlog: jason", &["`log` cannot be `jason`", "did you mean `json`? it is one of: pretty, json"]);
}

#[test]
fn yaml_that_cannot_be_read() {
    check("memory: [", &["m.yaml:", "not YAML", "check indentation"]);
    check("memory: 512M\n---\nmemory: 256M", &["not YAML"]);
    check(&format!("memory: {}{}", "[".repeat(20), "]".repeat(20)), &["not YAML"]);
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n".to_owned() + &"c: [*b, *b, *b, *b, *b, *b, *b, *b]\n".repeat(20);
    check(&bomb, &["not YAML"]);
}

#[test]
fn an_empty_file_is_a_manifest_without_agents() {
    for yaml in ["", "# nothing\n", "agents:\n", "{}"] {
        let manifest = Folder::new().parse(yaml).expect("right");
        assert_eq!((manifest.memory, manifest.memory_source), (8192 * M, MemorySource::Machine));
        assert!(manifest.warnings.iter().any(|warning| warning.message.contains("no agents")));
        assert!(manifest.warnings.iter().any(|warning| warning.message.contains("no `memory` is set")));
    }
}

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
        &["`pressure.maximum` (52M) leaves no room for calls", "at least 53M"],
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
fn agents() {
    check(
        "memory: 512M\nagents: { a: {} }",
        &["m.yaml:2:11: error: `agents.a` has no component", "add `component: a.wasm`"],
    );
    check(
        "memory: 512M\nagents: { a: { component: no.wasm } }",
        &["m.yaml:2:27: error: the component `no.wasm` cannot be found", "paths are relative to the manifest's folder"],
    );
    check(
        "memory: 512M\nagents: { a: { component: target/wasm32-wasip2/release/my_files.wasm } }",
        &["build it: cargo build --release --target wasm32-wasip2 -p my-files"],
    );
    check("memory: 512M\nagents: { a: { component: docs } }", &["the component `docs` is not a file"]);
    check(
        "memory: 512M\nagents:\n  a: { component: hello.wasm }\n  a: { component: hello.wasm }",
        &["m.yaml:4:3: error: `agents.a` is given twice", "in line 3 already"],
    );
    check(
        "memory: 512M\nagents: { My_Agent: { component: hello.wasm } }",
        &["starts with a letter a-z, not with 'M'", "`my-agent` would do"],
    );
    let folder = Folder::new();
    folder.write("big.wasm", &"x".repeat(5_000));
    let errors = folder
        .parse("memory: 512M\ncompile: { component: 4K }\nagents: { a: { component: big.wasm } }")
        .expect_err("a big component");
    assert!(errors.to_string().contains("has 4.9K, more than `compile.component` (4K)"), "{errors}");
}

#[test]
fn directories() {
    let check = |dirs: &str, expected: &[&str]| {
        check(&format!("memory: 512M\nagents: {{ a: {{ component: hello.wasm, dirs: {{ {dirs} }} }} }}"), expected);
    };
    check("/docs: { path: none }", &["the directory `none` cannot be found", "create it"]);
    check("/docs: { path: docs/note.txt }", &["`docs/note.txt` is a file, not a directory"]);
    check("/docs: { path: \"\" }", &["`agents.a.dirs./docs.path` has no value"]);
    check("/docs: {}", &["`agents.a.dirs./docs` has no path"]);
    check("docs: { path: docs }", &["the agent's path `docs` is not absolute", "write `/docs`"]);
    check("/docs/: { path: docs }", &["`/docs/` is not in its shortest form", "write `/docs`"]);
    check(
        "/docs: { path: docs, access: rw }",
        &["`agents.a.dirs./docs.access` cannot be `rw`", "it is one of: read, write"],
    );
    check("/docs: { path: docs, mode: read }", &["no key `mode` in `agents.a.dirs./docs`"]);
    check("/all: { path: . }", &["would show the agent the host's own data"]);
    check("/data: { path: data }", &["would show the agent the host's own data"]);
}

#[test]
fn names() {
    for name in ["a", "files", "price-list-2", &"a".repeat(32)] {
        assert_eq!(AgentName::parse(name).expect("legal").as_str(), name);
    }
    for (name, error) in [
        ("", NameError::Empty),
        ("2a", NameError::Start('2')),
        ("-a", NameError::Start('-')),
        ("a_b", NameError::Character('_')),
        ("aB", NameError::Character('B')),
        ("a-", NameError::Hyphen),
        ("a--b", NameError::Hyphen),
        (&"a".repeat(33), NameError::TooLong(33)),
    ] {
        assert_eq!(AgentName::parse(name), Err(error));
    }
}

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
    check("memory: 512M\nadmin: 10.0.0.1:80", &["`admin` 10.0.0.1:80 can be reached"]);
    check("memory: 512M\nadmin: 127.0.0.1:8080", &["m.yaml:2:8: error:", "are the same address"]);
    for yaml in
        ["listen: 0.0.0.0:80\nhosts: [a.org]", "listen: \"[::1]:80\"", "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0"]
    {
        assert!(Folder::new().parse(yaml).is_ok(), "{yaml}");
    }
}

#[test]
fn flags_and_port_beat_the_file() {
    let public =
        |hosts| format!("memory: 512M\nlisten: 127.0.0.1:1\nadmin: 127.0.0.1:2\nhosts: {hosts}\ndata: file-data");
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
    assert!(manifest.agents["hello"].component.is_absolute());
}

const SHIPPED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../manifest.yaml"));

/// A folder with everything the shipped manifest names.
fn shipped_folder() -> Folder {
    let folder = Folder::new();
    for agent in ["files", "hello", "tables"] {
        folder.write(&format!("target/wasm32-wasip2/release/{agent}.wasm"), "component");
    }
    folder.write("plugins/files/sample/a.md", "a").write("plugins/tables/sample/a.csv", "a");
    folder
}

/// The shipped manifest with every commented key in force.
fn shipped_uncommented() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with("  ") || key.starts_with(|letter: char| letter.is_ascii_lowercase()) => {
            key.to_owned()
        }
        _ => line.to_owned(),
    };
    SHIPPED.lines().map(|line| uncomment(line) + "\n").collect()
}

#[test]
fn the_shipped_manifest_is_right() {
    let manifest = shipped_folder().parse(SHIPPED).expect("right");
    assert_eq!(manifest.agents.keys().map(AgentName::as_str).collect::<Vec<_>>(), ["files", "hello", "tables"]);
    assert_eq!((manifest.memory, manifest.warnings.len()), (512 * M, 0));
    assert_eq!(manifest.agents["files"].memory, 16 * M);
    assert_eq!(manifest.agents["files"].dirs["/docs"].access, Access::Read);
    assert_eq!(manifest.agents["tables"].dirs["/data"].access, Access::Read);
}

#[test]
fn every_commented_key_of_the_shipped_manifest_shows_its_default() {
    let folder = shipped_folder();
    let mut plain = folder.parse(SHIPPED).expect("right");
    let uncommented = folder.parse(&shipped_uncommented()).expect("right");
    for agent in plain.agents.values_mut() {
        // Left out, it is this or what the component declares.
        assert_eq!(agent.reserve.replace(2 * M), None);
    }
    assert_eq!(format!("{plain:?}"), format!("{uncommented:?}"));
}

#[test]
fn every_key_there_is_stands_in_the_shipped_manifest() {
    let text = shipped_uncommented();
    let unknown = "
        none: 1
        pressure: { none: 1 }
        http: { none: 1 }
        compile: { none: 1 }
        defaults: { none: 1 }
        agents: { a: { component: hello.wasm, none: 1, dirs: { /d: { path: docs, none: 1 } } } }";
    let errors = Folder::new().parse(unknown).expect_err("seven unknown keys");
    let tree = raw::parse(&text).expect("YAML");
    // Where the shipped manifest shows the keys of each table; an agent's caps are shown in `defaults`.
    let shown = |table: &str| match table {
        "pressure" | "http" | "compile" | "defaults" => keys(&tree, &[table]),
        "agents.a" => [keys(&tree, &["agents", "files"]), keys(&tree, &["defaults"])].concat(),
        "agents.a.dirs./d" => keys(&tree, &["agents", "files", "dirs", "/docs"]),
        _ => keys(&tree, &[]),
    };
    assert_eq!(errors.problems().len(), 7, "{errors}");
    for problem in errors.problems() {
        let table = problem.message.split('`').nth(3).unwrap_or_default();
        let (_, existing) = problem.suggestion.split_once("are: ").expect("lists the keys");
        for key in existing.split(", ") {
            assert!(
                shown(table).iter().any(|shown| shown == key),
                "`{key}` of `{table}` is not in the shipped manifest"
            );
        }
    }
}

/// The keys of the table at a path.
fn keys(node: &Node, path: &[&str]) -> Vec<String> {
    let Value::Table(entries) = &node.value else { panic!("{path:?} is a table") };
    match path {
        [] => entries.iter().map(|entry| entry.key.clone()).collect(),
        [first, rest @ ..] => {
            let entry = entries.iter().find(|entry| entry.key == *first).expect("a table of the shipped manifest");
            keys(&entry.node, rest)
        }
    }
}
