use super::{amount, limit};
use crate::agent::{Limit, LimitName, Unit};

fn met(name: LimitName, unit: Unit, [cap, used, wanted]: [u64; 3]) -> Limit {
    let (agent, version) = ("files".into(), "0.1.0".into());
    Limit { agent, version, limit: name, unit, cap, used, wanted, retry_after_ms: None, detail: None }
}

#[test]
fn figures_are_read_by_people() {
    let memory = met(LimitName::Memory, Unit::Bytes, [64 << 20, (64 << 20) - 60_000, 1 << 20]);
    assert_eq!(limit(&memory), "files 0.1.0: memory limit of 64 MiB reached: 63.9 MiB used, 1 MiB more wanted");
    let deadline = met(LimitName::Deadline, Unit::Milliseconds, [5000, 5003, 0]);
    assert_eq!(limit(&deadline), "files 0.1.0: time limit of 5 s reached: 5 s used");
    let panic = Limit { detail: Some("boom\n".into()), ..met(LimitName::Panic, Unit::None, [0; 3]) };
    assert_eq!(limit(&panic), "files 0.1.0: panicked (boom)");
    let resting = Limit { retry_after_ms: Some(1500), ..met(LimitName::Quarantine, Unit::Failures, [5, 5, 0]) };
    assert_eq!(limit(&resting), "files 0.1.0: rests after too many failures in a row; try again in 1.5 s");
    assert_eq!(limit(&met(LimitName::Exit, Unit::Code, [0, 3, 0])), "files 0.1.0: ended its process with code 3");
}

#[test]
fn an_agent_that_never_loaded_has_no_version() {
    let limit = limit(&Limit { version: "".into(), ..met(LimitName::Loading, Unit::None, [0; 3]) });
    assert_eq!(limit, "files: is still being loaded");
}

#[test]
fn amounts_round_down() {
    let bytes = |figure| amount(figure, Unit::Bytes);
    assert_eq!(bytes(1023), "1023 bytes");
    assert_eq!(bytes(1024), "1 KiB");
    assert_eq!(bytes((1 << 20) - 1), "1023.9 KiB");
    assert_eq!(bytes(3 << 29), "1.5 GiB");
    assert_eq!(bytes(u64::MAX), "17179869183.9 GiB");
    assert_eq!(amount(999, Unit::Milliseconds), "999 ms");
}
