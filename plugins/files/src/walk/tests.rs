use super::*;
use crate::grants::path_order;
use std::path::Path;

fn tree(files: &[&str]) -> (tempfile::TempDir, Grants) {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let grants = Grants::new([directory.path().to_str().unwrap().to_string()]);
    (directory, grants)
}

fn walked(grants: &Grants, root: &Path, after: Option<&str>) -> Vec<String> {
    let after = after.map(|after| root.join(after).to_str().unwrap().to_string());
    let walk = Walk::new(grants, grants.paths(), after.as_deref());
    walk.map(|path| path.strip_prefix(root.to_str().unwrap()).unwrap()[1..].to_string()).collect()
}

#[test]
fn a_walk_finds_every_file_in_path_order_hidden_ones_too() {
    let (root, grants) = tree(&["b.md", "a/z", "a-b/c", ".hidden/x", "a/b/c/d", "ä"]);
    let found = walked(&grants, root.path(), None);
    assert_eq!(found, [".hidden/x", "a/b/c/d", "a/z", "a-b/c", "b.md", "ä"]);
    assert!(found.is_sorted_by(|a, b| path_order(a, b).is_lt()));
}

#[test]
fn a_walk_goes_on_behind_any_path_even_one_that_is_gone() {
    let (root, grants) = tree(&["a/b/c", "a/b/d", "a/e", "f/g"]);
    let all = walked(&grants, root.path(), None);
    for (index, path) in all.iter().enumerate() {
        assert_eq!(walked(&grants, root.path(), Some(path)), all[index + 1..], "behind {path}");
    }
    assert_eq!(walked(&grants, root.path(), Some("a/b/cc/x")), all[1..]);
    assert_eq!(walked(&grants, root.path(), Some("a/b")), all);
    assert_eq!(walked(&grants, root.path(), Some("zzz")), [""; 0]);
}

#[test]
fn links_to_files_are_found_links_to_directories_and_dead_ones_are_not() {
    let (root, grants) = tree(&["a/file"]);
    std::os::unix::fs::symlink("a/file", root.path().join("link")).unwrap();
    std::os::unix::fs::symlink(".", root.path().join("circle")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("dead")).unwrap();
    assert_eq!(walked(&grants, root.path(), None), ["a/file", "link"]);
    assert_eq!(walked(&grants, root.path(), Some("circle")), ["link"]);
}

#[test]
fn what_is_held_of_a_directory_is_bounded_and_misses_nothing() {
    // Long and short names mixed: a short one must not slip in behind a long one that was left out.
    let names: Vec<_> = (0..600).map(|n| format!("{n:03}{}", "x".repeat(if n % 2 == 0 { 240 } else { 0 }))).collect();
    let (_root, grants) = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut found, mut last) = (vec![], String::new());
    loop {
        let smallest = smallest_names(&grants.paths()[0], &last, "", LEVEL_BYTES_MIN);
        let bytes: usize = smallest.entries.iter().map(|entry| entry.name.len() + NAME_BYTES).sum();
        assert_eq!(bytes, smallest.bytes);
        assert!(bytes <= LEVEL_BYTES_MIN);
        found.extend(smallest.entries.into_iter().map(|entry| entry.name));
        last.clone_from(&found[found.len() - 1]);
        if !smallest.more {
            break;
        }
    }
    assert_eq!(found, names);
}

#[test]
fn a_tree_larger_than_what_is_held_is_walked_whole() {
    let names: Vec<_> = (0..3_000).map(|number| format!("{:02}/{number:06}", number / 1_000)).collect();
    let (root, grants) = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let start = root.path().to_str().unwrap();
    let mut walk = Walk::new(&grants, grants.paths(), None);
    // As if the directories above held nearly everything there is.
    walk.held = HELD_BYTES_MAX - 1;
    let found: Vec<_> = walk.by_ref().map(|path| path[start.len() + 1..].to_string()).collect();
    assert_eq!(found, names);
    assert_eq!(walk.held, HELD_BYTES_MAX - 1, "what a directory held is given back");
}

#[test]
fn a_walk_stops_when_it_has_looked_at_enough_and_the_next_gets_further() {
    let (root, grants) = tree(&["a/x", "b/x", "c/x"]);
    let start = root.path().to_str().unwrap();
    let mut seen = vec![];
    let mut after: Option<String> = None;
    loop {
        let mut walk = Walk::new(&grants, grants.paths(), after.as_deref());
        walk.looks = LOOKS_MAX;
        seen.extend(walk.by_ref());
        match walk.stopped_at() {
            Some(path) => after = Some(path.to_string()),
            None => break,
        }
    }
    assert_eq!(seen, ["a/x", "b/x", "c/x"].map(|file| format!("{start}/{file}")));
}

#[test]
fn directories_too_deep_are_not_entered() {
    let deep = format!("{}file", "d/".repeat(DEPTH_MAX));
    let shallow = format!("{}file", "d/".repeat(DEPTH_MAX - 1));
    let (root, grants) = tree(&[&deep, &shallow]);
    assert_eq!(walked(&grants, root.path(), None), [shallow]);
}

#[test]
fn a_grant_inside_another_is_walked_once() {
    let (root, _) = tree(&["a", "inner/b", "z"]);
    let outer = root.path().to_str().unwrap().to_string();
    let grants = Grants::new([format!("{outer}/inner"), outer]);
    assert_eq!(walked(&grants, root.path(), None), ["a", "z", "inner/b"]);
    assert_eq!(walked(&grants, root.path(), Some("a")), ["z", "inner/b"]);
}
