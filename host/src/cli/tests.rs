//! What operators type and read.

use std::path::Path;

use clap::{CommandFactory, Parser};

use super::{Arguments, Command, Stop, check, overrides};
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
        ("stockade serv", "a similar subcommand exists: 'serve'"),
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
    for expected in ["serve", "check", "Examples:", "Exit codes:", "SIGTERM"] {
        assert!(help.contains(expected), "{expected:?} is not in:\n{help}");
    }
    assert!(!help.contains("compile-child"));
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
    for optimise in ["speed", "none"] {
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
        "time       deadline 5s, cpu 0.25s",
        "calls      8 at once, 64 may wait for 2s",
        "reads and writes",
        "worst case  8 calls at once, each at its cap: 128M of guests' 89.6M; beyond that, calls are refused",
    ] {
        assert!(summary.contains(expected), "{expected:?} is not in:\n{summary}");
    }
}
