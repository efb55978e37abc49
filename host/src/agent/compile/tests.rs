//! What the compiler gets of the memory that calls leave, and what it leaves them.

use super::*;

const MIB: u64 = 1 << 20;

fn compiler(accounts: &Accounts) -> Compiler {
    let limits =
        CompileLimits { memory: 256 * MIB, cpu: Duration::from_secs(1), output: MIB, component: 8 * MIB, loaded: 4 };
    Compiler::new("stockade".into(), limits, accounts)
}

#[test]
fn compiling_leaves_calls_a_quarter_and_is_refused_while_they_hold_too_much() {
    let accounts = Accounts::open(256 * MIB, 250 * MIB, 16 * MIB, Children::default()).unwrap();
    let compiler = compiler(&accounts);
    let free = accounts.compile.free();
    let alone = compiler.reserve(MIB).unwrap();
    assert_eq!(alone.bytes(), free - free / 4);
    let called = accounts.guests.charge(free / 4 - MIB).expect("calls go on meanwhile");
    drop(alone);

    // They hold all but what a component of one MiB could do with.
    let needed = NEEDED_BASE_BYTES + MIB * NEEDED_PER_BYTE;
    let guests = accounts.guests.charge(accounts.guests.free()).unwrap();
    let copies = accounts.copies.charge(compiler.account.free() - needed + 1).unwrap();
    match compiler.reserve(MIB).unwrap_err() {
        CompileError::NoMemory { needed: said, free, kind: RefusalKind::FullNow } => {
            assert_eq!((said, free), (needed, needed - 1));
        }
        other => panic!("{other}"),
    }
    drop(called);
    let free = compiler.account.free();
    assert_eq!(compiler.reserve(MIB).unwrap().bytes(), needed.max(free - free / 4));
    drop((guests, copies));
    assert_eq!((accounts.guests.used(), accounts.compile.used()), (0, 0));
}

#[test]
fn what_no_memory_could_compile_is_refused_for_ever() {
    let accounts = Accounts::open(512 * MIB, 500 * MIB, 16 * MIB, Children::default()).unwrap();
    let refused = compiler(&accounts).reserve(24 * MIB).unwrap_err();
    assert!(matches!(refused, CompileError::NoMemory { kind: RefusalKind::Never, .. }), "{refused}");
}
