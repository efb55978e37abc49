//! Reading the kernel's figures: from a tree of files as it writes them, and from the real one.

use std::path::Path;

use super::{Children, ControlGroup, Measured, Meter};

const MIB: u64 = 1 << 20;

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn status(root: &Path, process: &str, anon_kib: u64, shared_kib: u64) {
    let text = format!("Name:\tstockade\nVmData:\t  900 kB\nRssAnon:\t  {anon_kib} kB\nRssShmem:\t {shared_kib} kB\n");
    write(root, &format!("proc/{process}/status"), &text);
}

/// A meter that reads below `root`.
fn meter(root: &Path, memory: u64, group: Option<(&str, u64)>, children: Children) -> Meter {
    let group = group.map(|(file, limit)| ControlGroup { file: file.into(), limit });
    Meter { root: root.to_owned(), ..Meter::new(memory, group.as_ref(), children) }
}

#[test]
fn without_a_group_it_is_what_the_processes_hold() {
    let dir = tempfile::tempdir().unwrap();
    status(dir.path(), "self", 2048, 1024);
    status(dir.path(), "7", 512, 0);
    let children = Children::default();
    let of_process = meter(dir.path(), 512 * MIB, None, children.clone());
    let read = |bytes| Measured { own: bytes, group: None, used: bytes };
    assert_eq!(of_process.read().unwrap(), read(3 * MIB));
    let [child, gone] = [7, 8].map(|id| children.add(id));
    assert_eq!(of_process.read().unwrap(), read(3 * MIB + MIB / 2), "with one child, and one that has just ended");
    drop((child, gone));
    assert_eq!(of_process.read().unwrap(), read(3 * MIB));
}

#[test]
fn a_group_counts_less_its_file_cache() {
    let dir = tempfile::tempdir().unwrap();
    status(dir.path(), "self", 2048, 0);
    let cases = [
        ("sys/fs/cgroup/a/memory.max", "memory.current", "anon 1\nactive_file 1048576\ninactive_file 2097152\n"),
        (
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "active_file 7\ntotal_active_file 1048576\ntotal_inactive_file 2097152\n",
        ),
    ];
    for (limit, usage, stat) in cases {
        let folder = Path::new(limit).parent().unwrap();
        write(dir.path(), folder.join(usage).to_str().unwrap(), &format!("{}\n", 100 * MIB));
        write(dir.path(), folder.join("memory.stat").to_str().unwrap(), stat);
        let file = format!("/{limit}");
        let bound = meter(dir.path(), 512 * MIB, Some((&file, 512 * MIB)), Children::default());
        let all = Measured { own: 2 * MIB, group: Some(97 * MIB), used: 97 * MIB };
        assert_eq!(bound.read().unwrap(), all, "{limit}");
        // A group with more than we may use: its first 80 MiB are not ours to miss.
        let roomy = meter(dir.path(), 512 * MIB, Some((&file, 592 * MIB)), Children::default());
        assert_eq!(roomy.read().unwrap().used, 17 * MIB, "{limit}");
        let wide = meter(dir.path(), 512 * MIB, Some((&file, 4096 * MIB)), Children::default());
        assert_eq!(wide.read().unwrap().used, 2 * MIB, "{limit}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_for_the_process_and_no_group() {
    let dir = tempfile::tempdir().unwrap();
    let lost = meter(dir.path(), MIB, None, Children::default());
    assert!(lost.read().unwrap_err().to_string().contains("proc/self/status"));
    write(dir.path(), "proc/self/status", "Name: x\n");
    assert!(lost.read().unwrap_err().to_string().contains("no RssAnon"));
    status(dir.path(), "self", 1024, 0);
    let gone = meter(dir.path(), MIB, Some(("/sys/fs/cgroup/gone/memory.max", MIB)), Children::default());
    assert_eq!(gone.read().unwrap(), Measured { own: MIB, group: None, used: MIB });
}

#[test]
fn real_memory_is_seen() {
    let real = Meter::new(1 << 40, None, Children::default());
    let before = real.read().unwrap().own;
    let held = vec![1_u8; 64 << 20];
    let with = real.read().unwrap().own;
    assert!(with - before >= 60 * MIB, "{before} before, {with} with {} more", std::hint::black_box(&held).len());
}
