//! The fuse blows, in a process of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::*;
use crate::memory::Children;

const MIB: u64 = 1 << 20;

/// Set in the process that is to end.
const MARK: &str = "STOCKADE_TEST_FUSE";

#[test]
fn a_runaway_ends_this_process_by_an_abort() {
    if std::env::var_os(MARK).is_some() {
        return run_away();
    }
    let this = std::env::current_exe().unwrap();
    let name = "memory::fuse::tests::a_runaway_ends_this_process_by_an_abort";
    let ended = Command::new(this).args([name, "--exact", "--nocapture"]).env(MARK, "1").output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.signal(), Some(6), "{}\n{said}\n{complained}", ended.status);
    assert!(said.contains("64 MiB were fine"), "what is allowed is there:\n{said}");
    assert!(complained.contains("memory allocation of 16777216 bytes failed"), "{complained}");
}

/// Takes what it was told it may, and goes on.
fn run_away() {
    let meter = Meter::new(64 * MIB, None, Children::default());
    Fuse::new(&meter, 64 * MIB).unwrap().arm(Mapped { stacks: 8 * MIB, slots: 0 }).unwrap();
    let mut taken = Vec::new();
    // A bound, should there be no fuse: then the test fails, and not the machine.
    for step in 1..=64 {
        taken.push(std::hint::black_box(vec![1_u8; 16 << 20]));
        if step == 4 {
            println!("64 MiB were fine");
        }
    }
}
