//! Every decision of the manifest, tripped.

mod network;
mod shipped;
mod tokens;
mod values;

use super::AGENTS_MAX;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::detect::Surroundings;
use super::raw::{self, Node, Value};
use super::{
    Access, AgentName, Component, LogFormat, Manifest, ManifestErrors, MemorySource, NameError, Overrides, size, time,
};

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
    assert_eq!((http.header_wait, http.body_wait, http.stream_stall), (seconds(10), seconds(10), seconds(30)));
    let compile = manifest.compile;
    assert_eq!((compile.memory, compile.cpu, compile.loaded), (2048 * M, seconds(60), 64));
    assert_eq!((compile.output, compile.component), (256 * M, 24 * M));
    assert_eq!((manifest.drain, manifest.log), (seconds(10), LogFormat::Pretty));
    let hello = &manifest.agents["hello"];
    assert_eq!(manifest.published.component, Component::Published);
    assert_eq!(hello.component, Component::File(folder.at("hello.wasm").canonicalize().expect("written")));
    assert_eq!((hello.memory, hello.reserve, hello.copies), (64 * M, None, 2 * M));
    assert_eq!((hello.deadline, hello.cpu, hello.queue_wait), (seconds(5), seconds(2), seconds(2)));
    assert_eq!((hello.queue, hello.concurrency, hello.dirs.len()), (64, 8, 0));
    assert_eq!(manifest.warnings, []);
}

#[test]
fn a_host_serves_so_many_agents_and_no_more() {
    let folder = Folder::new();
    let agents: String = (0..=AGENTS_MAX).map(|number| format!("  a{number}: {{ component: hello.wasm }}\n")).collect();
    let errors = folder.parse(&format!("memory: 512M\nagents:\n{agents}")).unwrap_err().to_string();
    assert!(errors.contains("there are 20001 agents; a host serves at most 20000"), "{errors}");
    let one_less = agents.split_once('\n').unwrap().1;
    assert_eq!(folder.parse(&format!("memory: 512M\nagents:\n{one_less}")).unwrap().agents.len(), AGENTS_MAX);
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
    = did you mean `memory`? the keys here are: concurrency, copies, cpu, deadline, memory, queue, queue_wait, reserve, weight";
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
