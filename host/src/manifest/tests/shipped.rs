//! The manifest we ship: right as it stands, and complete.

use super::*;

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
    assert_eq!(plain.published.reserve.replace(2 * M), None);
    assert_eq!(format!("{plain:?}"), format!("{uncommented:?}"));
}

#[test]
fn every_key_there_is_stands_in_the_shipped_manifest() {
    let text = shipped_uncommented();
    let unknown = "
        none: 1
        pressure: { none: 1 }
        http: { none: 1 }
        document: { none: 1 }
        signatures: { none: 1 }
        uploads: { none: 1 }
        compile: { none: 1 }
        defaults: { none: 1 }
        agents: { a: { component: hello.wasm, none: 1, dirs: { /d: { path: docs, none: 1 } } } }";
    let errors = Folder::new().parse(unknown).expect_err("ten unknown keys");
    let tree = raw::parse(&text).expect("YAML");
    // Where the shipped manifest shows the keys of each table; an agent's caps are shown in `defaults`.
    let shown = |table: &str| match table {
        "pressure" | "http" | "transports" | "document" | "signatures" | "uploads" | "compile" | "defaults" => {
            keys(&tree, &[table])
        }
        "agents.a" => [keys(&tree, &["agents", "files"]), keys(&tree, &["defaults"])].concat(),
        "agents.a.dirs./d" => keys(&tree, &["agents", "files", "dirs", "/docs"]),
        _ => keys(&tree, &[]),
    };
    assert_eq!(errors.problems().len(), 10, "{errors}");
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
