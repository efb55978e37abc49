use super::{About, Agent, Data, Error, of_tool};
use crate::agent::contract::{Error as Answer, InputRequired};
use crate::agent::{Failure, Limit, LimitName, Unit};
use crate::mcp::version::Era;

fn agent() -> Agent {
    Agent { name: "files".into(), version: "0.1.0".into() }
}

fn limit(limit: LimitName, retry_after_ms: Option<u64>) -> Limit {
    let (cap, used, wanted) = (64 << 20, 67_000_000, 1 << 20);
    Limit {
        agent: "files".into(),
        version: "0.1.0".into(),
        limit,
        unit: Unit::Bytes,
        cap,
        used,
        wanted,
        retry_after_ms,
        detail: None,
    }
}

fn said(failure: Failure, era: Era, about: About) -> (u16, i32, String, Option<u64>) {
    let Error { status, retry_after, body } = Error::of(failure, era, about, &agent());
    (status.as_u16(), body.code, serde_json::to_string(&body.data).unwrap(), retry_after.map(|after| after.as_secs()))
}

#[test]
fn answers_of_an_agent_by_era() {
    let about = About::Resource("files+file:///a");
    let text = || "no".to_owned();
    let not_found = || Failure::Answered(Answer::NotFound(text()));
    let uri = r#"{"uri":"files+file:///a"}"#.to_owned();
    assert_eq!(said(not_found(), Era::Modern, about), (200, -32602, uri.clone(), None));
    assert_eq!(said(not_found(), Era::Legacy, about), (200, -32002, uri, None));
    assert_eq!(said(not_found(), Era::Legacy, About::Other).1, -32602);
    assert_eq!(said(Failure::Answered(Answer::InvalidInput(text())), Era::Modern, about).1, -32602);
    assert_eq!(said(Failure::Answered(Answer::Denied(text())), Era::Modern, about).1, -32603);
    assert_eq!(said(Failure::Answered(Answer::Failed(text())), Era::Modern, about).1, -32603);
    let input = InputRequired { requests: vec![], state: None };
    let error = Error::of(Failure::Answered(Answer::InputRequired(input)), Era::Modern, about, &agent());
    let broke = "files 0.1.0 broke the contract: input required where nothing can be asked";
    assert_eq!((error.body.code, &*error.body.message), (-32603, broke));
}

#[test]
fn busy_is_a_refusal_with_the_agents_own_hint() {
    let (status, code, data, after) = said(Failure::Answered(Answer::Busy(2500)), Era::Modern, About::Other);
    assert_eq!((status, code, after), (503, -32050, Some(2)));
    assert!(data.contains(r#""limit":"busy""#) && data.contains(r#""retryAfterMs":2500"#), "{data}");
}

#[test]
fn missing_capabilities_are_named_as_the_client_would_declare_them() {
    let names = ["sampling", "elicitation.url", "elicitation.form"].map(String::from).to_vec();
    let (status, code, data, _) = said(Failure::Answered(Answer::MissingCapability(names)), Era::Modern, About::Other);
    let wanted = r#"{"requiredCapabilities":{"elicitation":{"form":{},"url":{}},"sampling":{}}}"#;
    assert_eq!((status, code, &*data), (400, -32021, wanted));
}

#[test]
fn limits_come_in_one_shape() {
    let (status, code, data, after) = said(Failure::Stopped(limit(LimitName::Memory, None)), Era::Modern, About::Other);
    assert_eq!((status, code, after), (200, -32051, None));
    let shape = concat!(
        r#"{"agent":"files","version":"0.1.0","limit":"memory","unit":"bytes","#,
        r#""cap":67108864,"used":67000000,"wanted":1048576}"#
    );
    assert_eq!(data, shape);
    let full = Failure::Refused(limit(LimitName::HostFull, Some(1500)));
    assert_eq!((said(full, Era::Legacy, About::Other).0, -32050), (503, -32050));
    let gone = Failure::Refused(limit(LimitName::NotLoaded, None));
    assert_eq!(said(gone, Era::Modern, About::Other).3, None);
}

#[test]
fn a_model_sees_what_it_can_mend() {
    let seen = |failure| of_tool(failure, Era::Modern, &agent()).map(|seen| (seen.text, seen.limit.is_some()));
    let text = || "bad date".to_owned();
    assert_eq!(seen(Failure::Answered(Answer::InvalidInput(text()))).unwrap(), (text(), false));
    assert_eq!(seen(Failure::Answered(Answer::Failed(text()))).unwrap(), (text(), false));
    assert_eq!(seen(Failure::Answered(Answer::Denied(text()))).unwrap(), ("denied: bad date".into(), false));
    let (words, has_limit) = seen(Failure::Stopped(limit(LimitName::Memory, None))).unwrap();
    assert_eq!(words, "files 0.1.0: memory limit of 64 MiB reached: 63.8 MiB used, 1 MiB more wanted");
    assert!(has_limit);

    let code = |failure| seen(failure).unwrap_err().body.code;
    assert_eq!(code(Failure::Answered(Answer::NotFound(text()))), -32602);
    assert_eq!(code(Failure::Refused(limit(LimitName::Busy, Some(1)))), -32050);
    let broken = Failure::Broken { agent: "files".into(), version: "0.1.0".into(), reason: "empty chunk".into() };
    let error = seen(broken).unwrap_err();
    assert_eq!((error.body.code, &*error.body.message), (-32603, "files 0.1.0 broke the contract: empty chunk"));
    assert!(matches!(error.body.data.as_deref(), Some(Data::Agent { .. })));
}

#[test]
fn the_older_wire_reads_replies_only_when_they_are_2xx() {
    let status = |error: Error| error.on_legacy_wire().status.as_u16();
    assert_eq!(status(Error::method_not_found("x")), 200);
    assert_eq!(status(Error::invalid_params("x")), 200);
    assert_eq!(
        status(Error::of(Failure::Refused(limit(LimitName::Busy, None)), Era::Legacy, About::Other, &agent())),
        503
    );
}

#[test]
fn a_clients_own_words_are_cut() {
    let error = Error::method_not_found(&"é".repeat(1000));
    assert!(error.body.message.len() < 300, "{}", error.body.message.len());
}
