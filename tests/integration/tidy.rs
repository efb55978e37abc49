//! Taste that can be checked by a machine: where arrows point, who names what, how long things are.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file and of a function.
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Which rooms of the host a room may name. Arrows point from left to right, never back.
const ARROWS: [(&str, &[&str]); 13] = [
    ("main", &["cli"]),
    ("cli", &["lib", "http", "publish", "agent", "access", "manifest", "memory"]),
    ("lib", &["cli", "http", "mcp", "publish", "agent", "access", "registry", "memory", "manifest", "data"]),
    ("http", &["mcp", "publish", "agent", "access", "registry", "memory", "manifest"]),
    ("mcp", &["agent", "access", "registry", "handover", "memory", "manifest"]),
    ("publish", &["agent", "access", "registry", "memory", "manifest", "data"]),
    ("agent", &["registry", "access", "handover", "memory", "manifest", "data"]),
    ("access", &["manifest", "data"]),
    ("handover", &[]),
    ("registry", &["access", "manifest", "data"]),
    ("manifest", &["memory", "data"]),
    ("memory", &[]),
    ("data", &[]),
];

/// Libraries that only these rooms may name.
const SOLE_USERS: [(&str, &[&str]); 6] = [
    ("wasmtime", &["agent"]),
    ("wasmtime_wasi", &["agent"]),
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("yrs", &["registry"]),
    ("redb", &["registry", "publish"]),
];

/// The only files with unsafe code, each use with its reason.
const UNSAFE_FILES: [&str; 1] = ["host/src/agent/cache.rs"];

struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// Every Rust file of the workspace below these folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder of the workspace can be read");
            open.extend(entries.map(|entry| entry.expect("an entry can be read").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            let path = path.strip_prefix(root()).expect("below the root").display().to_string();
            found.push(Source { path, text });
        }
    }
    assert!(found.len() > 20, "the workspace has more files than {}", found.len());
    found
}

/// Code without comments: the part of each line before `//`.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

/// The room of a file in `host/src`: its folder, or its own name.
fn room(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("host/src/")?;
    inner.split('/').next()?.split('.').next()
}

/// Whether `line` names `word` as a path or a crate, not as part of a longer word.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + word.len()..];
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        whole && (after.starts_with("::") || after.starts_with(';'))
    })
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn arrows_point_one_way() {
    let rooms: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut complaints = Vec::new();
    // Tests of a room may put the rooms below it together themselves.
    for Source { path, text } in sources(&["host/src"]).into_iter().filter(|source| !source.path.ends_with("/tests.rs"))
    {
        let room = room(&path).expect("a file of host/src has a room");
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            complaints.push(format!("{path}: `{room}` has no place in the house; give it one in ARROWS"));
            continue;
        };
        for (line, number) in code(&text).zip(1..) {
            let target = rooms.iter().find(|target| {
                let (path, alone) = (format!("crate::{target}::"), format!("crate::{target};"));
                let grouped = line.split_once("use crate::{").is_some_and(|(_, group)| {
                    group.split([',', '}', ' ']).any(|name| name.split("::").next() == Some(**target))
                });
                let named = line.contains(&path) || line.contains(&alone) || grouped;
                named && **target != room && !allowed.contains(target)
            });
            if let Some(target) = target {
                complaints.push(format!("{path}:{number}: `{room}` must not name `{target}`"));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn few_rooms_name_each_library() {
    let mut complaints = Vec::new();
    for Source { path, text } in sources(&["host"]) {
        for (library, users) in SOLE_USERS {
            if room(&path).is_some_and(|room| users.contains(&room)) || path.starts_with("host/benches/") {
                continue;
            }
            for (line, number) in code(&text).zip(1..) {
                if names(line, library) {
                    complaints.push(format!("{path}:{number}: only {users:?} may name {library}"));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_and_functions_are_short() {
    let mut complaints = Vec::new();
    for Source { path, text } in sources(&["host", "plugins", "tests"]) {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            complaints.push(format!("{path}: {} lines; which room is missing?", lines.len()));
        }
        let mut begun: Option<(usize, usize)> = None;
        for (number, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match begun {
                Some((start, outer)) if indent == outer && line.trim_start().starts_with('}') => {
                    let length = number - start + 1;
                    if length > FUNCTION_LINES_MAX {
                        complaints.push(format!("{path}:{}: a function of {length} lines", start + 1));
                    }
                    begun = None;
                }
                None if begins_function(line) && !line.trim_end().ends_with(['}', ';']) => {
                    begun = Some((number, indent));
                }
                _ => {}
            }
        }
    }
    assert_none(&complaints);
}

fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| {
        matches!(*word, "pub" | "pub(super)" | "pub(crate)" | "async" | "const" | "unsafe" | "extern")
    });
    words.next() == Some("fn")
}

#[test]
fn unsafe_code_has_its_places() {
    let mut complaints = Vec::new();
    for Source { path, text } in sources(&["host", "tests"]) {
        let uses = code(&text)
            .filter(|line| line.contains(concat!("unsafe", " {")) || line.contains(concat!("unsafe", " fn")))
            .count();
        if uses > 0 && !UNSAFE_FILES.contains(&&*path) && !path.starts_with("tests/guests/") {
            complaints
                .push(format!("{path}: unsafe code; give it a safe form, or a place in UNSAFE_FILES and a reason"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_module_says_what_it_is_for() {
    // A `tests.rs` is about the module beside it.
    let without = |source: &Source| {
        !source.path.ends_with("/tests.rs") && !source.text.starts_with("//!") && !source.text.starts_with("#!")
    };
    let complaints: Vec<String> = sources(&["host", "plugins", "tests"])
        .into_iter()
        .filter(without)
        .map(|source| format!("{}: begins without `//!` documentation", source.path))
        .collect();
    assert_none(&complaints);
}

#[test]
fn nothing_is_left_open() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut complaints = Vec::new();
    for Source { path, text } in sources(&["host", "plugins", "tests"]) {
        for (line, number) in text.lines().zip(1..) {
            if marks.iter().any(|mark| line.contains(mark)) {
                complaints.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none(&complaints);
}
