//! What operators type and read.

use std::path::Path;

use clap::{CommandFactory, Parser, ValueEnum};
use serde_json::json;

use super::descriptors::{Bound, Descriptors};
use super::{
    Arguments, Command, Stop, agents, build, check, completions, descriptors, overrides, plain, single, status, token,
};
use crate::manifest::Manifest;

#[test]
fn arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn wrong_arguments_are_refused_with_a_suggestion() {
    for (line, expected) in [
        ("stockade serve --listen localhost:80", "write 127.0.0.1:80"),
        ("stockade serve --admin 80", "write 127.0.0.1:80"),
        ("stockade token Ann", "tokens are named as agents are"),
        ("stockade token operator", "are the host's own"),
        ("stockade token a --role boss", "possible values: reader, publisher, operator"),
        ("stockade token a --names A", "team-*"),
        ("stockade token a --share 0", "1..=100"),
        ("stockade status --admin 80", "write 127.0.0.1:80"),
        ("stockade new Price_List", "`price-list` would do"),
        ("stockade new 7", "choose a name such as"),
        ("stockade run --memory 64MB", "write 64M"),
        ("stockade run --dir docs", "such as /docs=./docs"),
        ("stockade run --listen 8080", "write 127.0.0.1:8080"),
        ("stockade inspect", "<FILE>"),
        ("stockade completions tcsh", "possible values: bash"),
        ("stockade tokn ann", "a similar subcommand exists: 'token'"),
        ("stockade check --manifst x", "a similar argument exists: '--manifest'"),
    ] {
        let error = Arguments::try_parse_from(line.split(' ')).expect_err("wrong");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{expected:?} is not in:\n{error}");
    }
}

#[test]
fn help_shows_commands_examples_and_exit_codes_but_not_the_child() {
    let help = Arguments::command().render_long_help().to_string();
    for expected in ["serve", "check", "token", "status", "`hosts` and `tokens`", "Examples:", "Exit codes:", "SIGTERM"]
    {
        assert!(help.contains(expected), "{expected:?} is not in:\n{help}");
    }
    assert!(!help.contains("compile-child"));
}

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in Arguments::command().get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        let (name, help) = (command.get_name().to_owned(), command.render_long_help().to_string());
        assert!(help.contains("Examples:\n  stockade "), "{name} has none:\n{help}");
    }
}

#[test]
fn every_shell_completes_commands_and_options() {
    for shell in clap_complete::Shell::value_variants() {
        let script = completions::script(*shell);
        for expected in ["inspect", "precompile", "--memory"] {
            // Some shells write the dashes themselves.
            let bare = expected.trim_start_matches('-');
            assert!(script.contains(bare), "{bare} is not in the script for {shell}");
        }
        assert!(!script.contains("optimise"), "{shell} completes what only the host runs");
    }
}

#[test]
fn a_component_is_found_in_what_cargo_says() {
    let line = |package: &str, file: &str| {
        let manifest = format!("/agents/{package}/Cargo.toml");
        json!({ "reason": "compiler-artifact", "manifest_path": manifest, "filenames": [file], "fresh": true })
            .to_string()
    };
    let own = Path::new("/agents/mine/Cargo.toml");
    let found = |line: &str| build::component_in(line, own);
    assert_eq!(found(&line("mine", "/t/mine.wasm")), Some("/t/mine.wasm".into()));
    for other in [
        line("other", "/t/other.wasm"),
        line("mine", "/t/libmine.rlib"),
        r#"{"reason":"build-finished","success":true}"#.into(),
        "a program's own words".into(),
    ] {
        assert_eq!(found(&other), None, "{other}");
    }
}

#[test]
fn one_agent_is_named_after_its_file() {
    for (file, name) in [
        ("target/price_list.wasm", "price-list"),
        ("Hello.wasm", "hello"),
        ("my.agent.v2.wasm", "my-agent-v2"),
        ("7.wasm", "agent"),
        ("/", "agent"),
    ] {
        assert_eq!(single::name_of(Path::new(file)).as_str(), name, "{file}");
    }
}

#[test]
fn foreign_words_steer_no_terminal() {
    assert_eq!(plain("a\u{1b}[2Jb\nc\u{9b}d"), "a [2Jb c d");
}

#[test]
fn the_port_variable() {
    assert_eq!(overrides(None).expect("unset").port, None);
    assert_eq!(overrides(Some("")).expect("empty is unset").port, None);
    assert_eq!(overrides(Some("8080")).expect("a port").port, Some(8080));
    for text in ["eighty", "65536", "-1"] {
        assert!(matches!(overrides(Some(text)), Err(Stop::Usage(message)) if message.contains("which is no port")));
    }
}

#[test]
fn the_compiling_child_understands_the_host() {
    let line = "stockade compile-child --digest ab --memory-bytes 1 --cpu-seconds 2 --output-bytes 3 --optimise";
    for optimise in ["speed", "none", "quick"] {
        let arguments = line.split(' ').chain([optimise]);
        let parsed = Arguments::try_parse_from(arguments).expect("what the host passes");
        assert!(matches!(parsed.command, Command::CompileChild(_)));
    }
}

#[test]
fn a_summary_says_what_the_manifest_comes_to() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    std::fs::write(folder.path().join("hello.wasm"), "component").expect("writable");
    std::fs::create_dir(folder.path().join("docs")).expect("writable");
    let yaml = "
        memory: 128M
        tokens:
          ci:
            sha256: 1111111111111111111111111111111111111111111111111111111111111111
            role: publisher
            names: [demo, team-*]
            share: 20
        agents:
          hello: { component: hello.wasm, memory: 16M, cpu: 250ms, dirs: { /docs: { path: docs, access: write } } }";
    let manifest = Manifest::parse(yaml, folder.path()).expect("right");
    let summary = check::summary(Path::new("m.yaml"), &manifest);
    for expected in [
        "m.yaml is right",
        "memory    128M, from the manifest",
        "pressure  warning 100M, critical 112.5M, maximum 125M",
        "ceilings  guests 89.6M, code 32M, compile 96M, copies 25.6M, replies 12.8M, requests 6.4M, queues 6.4M",
        "one call   memory 16M, reserve 2M or what it declares, copies 2M",
        "callers   without a token: a reader, on this machine only, share 25 %",
        "publish   components up to 24M, 1000 versions of an agent, blobs up to 64M",
        "8G on disk, 2G of each namespace, 64 uploads at once",
        "signatures not looked for",
        "          ci: publisher demo team-*, share 20 %",
        "time       deadline 5s, cpu 0.25s",
        "calls      8 at once, 64 may wait for 2s",
        "reads and writes",
        "guaranteed  4.5M to one call of each agent",
        "whatever others do, one call of each agent finds a place",
        "worst case  8 calls at once, each at its cap",
        "guest memory           128M of    89.6M, beyond that it is refused",
        "first refused: replies; the host never is",
        "suggestion  memory 512M: all 8 calls fit with `memory: 44M` each, or 22 of the largest as they are",
    ] {
        assert!(summary.contains(expected), "{expected:?} is not in:\n{summary}");
    }
}

#[test]
fn agents_without_a_place_of_their_own_are_named() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    std::fs::write(folder.path().join("hello.wasm"), b"\0asm").expect("can be written");
    let agents: String = (1..=9).map(|n| format!("  a{n}: {{ component: hello.wasm, memory: 16M }}\n")).collect();
    let manifest = Manifest::parse(&format!("memory: 128M\nagents:\n{agents}"), folder.path()).expect("right");
    let summary = check::summary(Path::new("m.yaml"), &manifest);
    // Half of the copies, a tenth of 128M, is enough for six of them.
    assert!(summary.contains("too many agents for that: a7, a8, a9 share with all others"), "{summary}");
}

#[test]
fn the_lines_of_a_token_are_a_manifest() {
    let line = "stockade token ci --role publisher --names demo,team-*,* --share 20";
    let Command::Token(options) = Arguments::try_parse_from(line.split(' ')).expect("right").command else {
        panic!("it is `token`");
    };
    let explanation = token::explanation(&options, &[0xab; 32]);
    let (_, lines) = explanation.split_once("\n\ntokens:").expect("the lines");
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let manifest = Manifest::parse(&format!("memory: 512M\ntokens:{lines}"), folder.path()).expect("right");
    let spec = &manifest.tokens["ci"];
    assert_eq!((spec.sha256, spec.share_percent, spec.role.as_str()), ([0xab; 32], 20, "publisher"));
    for line in ["stockade token ci --role publisher", "stockade token ci --names demo"] {
        let Command::Token(options) = Arguments::try_parse_from(line.split(' ')).expect("words").command else {
            panic!("it is `token`");
        };
        assert!(matches!(token::token(&options), Err(Stop::Usage(message)) if message.contains("--names")), "{line}");
    }
}

#[test]
fn too_few_open_files_are_reported() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let manifest = Manifest::parse("memory: 512M\nhttp: { connections: 2000 }", folder.path()).expect("right");
    assert_eq!(descriptors::needed(&manifest), 2576);
    let limits = |hard| Descriptors { soft: Bound(Some(1024)), hard: Bound(hard) };
    assert_eq!((limits(None).shortage(&manifest), limits(Some(2576)).shortage(&manifest)), (None, None));
    let shortage = limits(Some(1024)).shortage(&manifest).expect("too few");
    assert!(shortage.contains("need 2576 open files") && shortage.contains("`http.connections` to 448"), "{shortage}");
}

#[test]
fn fields_are_set_as_people_write_them() {
    let set = |text: &str| agents::assignment(text).unwrap_or_else(|_| panic!("{text}"));
    for (text, field, value) in [
        ("memory=32M", "memory", json!(33_554_432)),
        ("reserve=65536", "reserve", json!(65_536)),
        ("deadline=2s", "deadline", json!(2_000)),
        ("concurrency=4", "concurrency", json!(4)),
        ("enabled=false", "enabled", json!(false)),
        ("title=4", "title", json!("4")),
        ("description=a=b", "description", json!("a=b")),
        ("grants=/docs,/data", "grants", json!(["/docs", "/data"])),
        ("memory=", "memory", json!(null)),
    ] {
        assert_eq!(set(text), (field.to_owned(), value), "{text}");
    }
    for (text, expected) in [
        ("memory", "`memory` is no FIELD=VALUE"),
        ("memory=lots", "`lots` is no size"),
        ("deadline=2", "`2` is no time"),
        ("enabled=yes", "`yes` is no true or false"),
    ] {
        let Err(Stop::Usage(said)) = agents::assignment(text) else { panic!("{text}") };
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn entries_are_a_table_beside_what_is_served() {
    let entries =
        r#"{"epoch":3,"clients":2,"agents":{"hello":{"version":"0.1.0"},"old":{"retired":1,"memory":65536}}}"#;
    let status = r#"{"version":"0.1.0","sessions":0,"streams":0,"accounts":{},"agents":[{"name":"hello","version":"0.1.0",
        "standing":"ready","calls":7,"stopped":{"memory":2},"refused":{},"broken":1,"memoryBytes":8388608,"memoryPeakBytes":1048576}]}"#;
    let table = agents::table(entries, status).expect("answers");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["hello", "0.1.0", "ready", "8M", "1M", "7", "3"], "{table}");
    assert_eq!(rows[2], ["old", "-", "retired", "64K", "-", "-", "-"], "{table}");
    assert!(table.ends_with("epoch 3 of the document, 2 clients\n"), "{table}");
    agents::table("{}", status).expect_err("something else");
}

#[test]
fn a_status_is_a_table() {
    let answer = r#"{"version":"1.2.3","more":0,"sessions":2,"streams":1,"accounts":{
        "guests":{"used":1048576,"ceiling":2097152,"refusals":3},"replies":{"used":1,"ceiling":2,"refusals":0}},"agents":[
        {"name":"files","version":"0.1.0","standing":"ready","calls":12,"stopped":{"cpu":2,"memory":1},"refused":{},
         "broken":0,"memoryBytes":8388608,"memoryPeakBytes":2097152,"cpuTotalMs":5},
        {"name":"a","version":"","standing":"refused","reason":"no\u001b[2Jgood","calls":0,"stopped":{},"refused":{},
         "broken":0,"memoryBytes":8388608,"memoryPeakBytes":0,"cpuTotalMs":0}]}"#;
    let table = status::table(answer).expect("an answer");
    for line in [
        "stockade 1.2.3, 2 sessions, 1 streams",
        "agent  version  standing  calls  stopped  refused  broken  peak",
        "files  0.1.0    ready     12     3        0        0       2M",
        "a is refused: no[2Jgood",
        "account guests has refused 3 times; it lends 1M of 2M now",
    ] {
        assert!(table.lines().any(|said| said == line), "{line:?} is not in:\n{table}");
    }
    assert!(!table.contains("replies"), "{table}");
    status::table("{}").expect_err("something else");
}
