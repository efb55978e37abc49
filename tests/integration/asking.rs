//! What an agent wants to know before it goes on: asked in the result since 2026-07-28, by requests of the host's before.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade::access::Token;
use stockade_tests::legacy::{REVISION, request};
use stockade_tests::{Answer, Client, Events, Session, TestHost};

use crate::access::tokens;

const EVERYTHING: &str = "agents: { everything: { component: '{agents}/everything.wasm' } }";

const GREETER: &str = "test_input_required_result_elicitation";
const REMEMBERER: &str = "test_input_required_result_request_state";

/// Parameters with the capabilities that the client declares.
fn declaring(capabilities: Value, mut params: Value) -> Value {
    params["_meta"] = json!({});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    params
}

fn form() -> Value {
    json!({ "elicitation": {} })
}

fn accepted(content: Value) -> Value {
    let mut answer = json!({ "action": "accept" });
    answer["content"] = content;
    answer
}

/// A call with what the client brings back from the round before.
async fn again(client: &Client, tool: &str, answers: Value, state: &Value) -> Answer {
    let params = json!({ "name": tool, "arguments": {}, "inputResponses": answers, "requestState": state });
    client.request("tools/call", declaring(form(), params)).await
}

/// The state of a question that was just asked.
async fn state(client: &Client) -> String {
    let asked = client.request("tools/call", declaring(form(), json!({ "name": REMEMBERER, "arguments": {} }))).await;
    assert_eq!(asked.result()["resultType"], "input_required", "{}", asked.body);
    asked.result()["requestState"].as_str().expect("a state").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_a_result_and_the_answer_comes_with_the_request() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    for (method, params, key, field, told) in [
        ("tools/call", json!({ "name": GREETER, "arguments": {} }), "user_name", "name", "Hello, Ann!"),
        ("prompts/get", json!({ "name": "test_input_required_result_prompt" }), "user_context", "context", ": Ann"),
        ("resources/read", json!({ "uri": "test://personal" }), "user_name", "name", "The copy of Ann."),
    ] {
        let asked = client.request(method, declaring(form(), params.clone())).await;
        let result = asked.result();
        assert_eq!((asked.status, &result["resultType"]), (200, &json!("input_required")), "{method}: {result}");
        let question = &result["inputRequests"][key];
        assert_eq!(question["method"], "elicitation/create", "{method}: {result}");
        assert!(question["params"]["requestedSchema"]["properties"][field].is_object(), "{method}: {result}");

        let mut params = declaring(form(), params);
        params["inputResponses"] = json!({ key: accepted(json!({ field: "Ann" })) });
        let answer = client.request(method, params).await;
        assert_eq!(answer.result()["resultType"], "complete", "{method}: {}", answer.body);
        assert!(answer.body.to_string().contains(told), "{method}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_for_one_principal_and_one_request() {
    let [ann, bob] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let known = tokens(&[("ann", &ann, "reader"), ("bob", &bob, "reader")]);
    let host = TestHost::start(&format!("{known}{EVERYTHING}"));
    let [as_ann, as_bob] = [&ann, &bob].map(|token| host.agent("everything").with_token(token.reveal()));
    let sealed = state(&as_ann).await;
    assert_ne!(sealed, state(&as_ann).await, "sealed anew each time");
    let answers = json!({ "confirm": accepted(json!({ "ok": true })) });
    assert_eq!(again(&as_ann, REMEMBERER, answers.clone(), &json!(sealed)).await.text(), "state-ok");

    let altered = |at: usize| {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("letters and digits")
    };
    // Another tool with the same arguments, which would take the state for its own.
    let twin = "test_input_required_result_tampered_state";
    for (what, client, tool, state) in [
        ("its first byte altered", &as_ann, REMEMBERER, altered(0)),
        ("a byte in the middle altered", &as_ann, REMEMBERER, altered(sealed.len() / 2)),
        ("cut short", &as_ann, REMEMBERER, sealed[..sealed.len() - 4].to_owned()),
        ("the agent's own text", &as_ann, REMEMBERER, "asked".to_owned()),
        ("empty", &as_ann, REMEMBERER, String::new()),
        ("of another principal", &as_bob, REMEMBERER, sealed.clone()),
        ("of nobody", &host.agent("everything"), REMEMBERER, sealed.clone()),
        ("of another request", &as_ann, twin, sealed.clone()),
    ] {
        let refused = again(client, tool, answers.clone(), &json!(state)).await;
        assert_eq!((refused.status, refused.code()), (400, -32602), "{what}: {}", refused.body);
        assert!(refused.message().contains("not one that this host gave out"), "{what}: {}", refused.message());
    }
    let mut other = json!({ "name": REMEMBERER, "arguments": { "x": 1 }, "requestState": sealed });
    other["inputResponses"] = answers;
    let refused = as_ann.request("tools/call", declaring(form(), other)).await;
    assert_eq!(refused.code(), -32602, "of other arguments: {}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_expires() {
    let host = TestHost::start(&format!("transports: {{ input_wait: 1s }}\n{EVERYTHING}"));
    let client = host.agent("everything");
    let began = Instant::now();
    let sealed = state(&client).await;
    let answers = json!({ "confirm": accepted(json!({ "ok": true })) });
    let mut good = 0;
    let refused = loop {
        let answer = again(&client, REMEMBERER, answers.clone(), &json!(sealed)).await;
        if answer.status != 200 {
            break answer;
        }
        assert_eq!(answer.text(), "state-ok");
        good += 1;
        assert!(began.elapsed() < Duration::from_secs(20), "it is still good");
    };
    assert!(good > 0 && began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((refused.status, refused.code()), (400, -32602), "{}", refused.body);
    assert!(refused.message().contains("too old"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_client_declares_is_asked() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    for (capabilities, missing) in [
        // The agent finds the first, the host itself the second.
        (json!({}), json!({ "elicitation": {} })),
        (json!({ "elicitation": { "url": {} } }), json!({ "elicitation": { "form": {} } })),
    ] {
        let params = json!({ "name": GREETER, "arguments": {} });
        let refused = client.request("tools/call", declaring(capabilities.clone(), params)).await;
        assert_eq!((refused.status, refused.code()), (400, -32021), "{capabilities}: {}", refused.body);
        assert_eq!(refused.body["error"]["data"]["requiredCapabilities"], missing);

        let session = Session::of(&client, REVISION, capabilities).await;
        let refused = session.call(1, GREETER, json!({})).await;
        assert_eq!((refused.status, refused.code()), (200, -32021), "{}", refused.body);
        assert_eq!(session.end().await, 204);
    }
    let all = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
    let params = json!({ "name": "test_input_required_result_multiple_inputs", "arguments": {} });
    let asked = client.request("tools/call", declaring(all, params)).await;
    let methods = ["user_name", "greeting", "client_roots"].map(|key| &asked.result()["inputRequests"][key]["method"]);
    assert_eq!(methods, ["elicitation/create", "sampling/createMessage", "roots/list"]);
}

/// A session whose client can be asked everything.
async fn asked_all(client: &Client) -> Session {
    Session::of(client, REVISION, json!({ "elicitation": {}, "sampling": {}, "roots": {} })).await
}

/// Calls a tool that asks, and takes its first question.
async fn question(session: &Session, id: u32, tool: &str) -> (Events, Value) {
    let mut events = session.events(id, "tools/call", json!({ "name": tool, "arguments": {} })).await;
    let question = events.message().await.expect("a question");
    assert!(question["id"].as_str().is_some_and(|id| id.len() == 32), "{question}");
    (events, question)
}

/// What an answer to a question is answered with.
async fn answer(session: &Session, question: &Value, result: Value) -> u16 {
    session.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result })).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn before_2026_a_question_is_a_request_on_the_stream_of_the_call() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let session = asked_all(&client).await;
    let (mut events, asked) = question(&session, 1, "test_input_required_result_multi_round").await;
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(asked["params"]["message"], "Step 1: What is your name?");
    assert_eq!(answer(&session, &asked, accepted(json!({ "name": "Ann" }))).await, 202);
    let second = events.message().await.expect("the next question");
    assert_eq!(second["params"]["message"], "Step 2: What is your favorite color?");
    assert_ne!(asked["id"], second["id"]);
    assert_eq!(answer(&session, &asked, accepted(json!({ "color": "old" }))).await, 202, "too late is no mistake");
    assert_eq!(answer(&session, &second, accepted(json!({ "color": "blue" }))).await, 202);
    let rest = events.rest().await;
    assert_eq!((rest.len(), &rest[0]["id"]), (1, &json!(1)), "{rest:?}");
    assert_eq!(rest[0]["result"]["content"][0]["text"], "Ann likes blue");

    // Three at once, answered in another order than they were asked.
    let tool = json!({ "name": "test_input_required_result_multiple_inputs", "arguments": {} });
    let mut events = session.events(2, "tools/call", tool).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(events.message().await.expect("a question"));
    }
    for asked in asked.iter().rev() {
        let result = match asked["method"].as_str() {
            Some("elicitation/create") => accepted(json!({ "name": "Ann" })),
            Some("roots/list") => json!({ "roots": [{ "uri": "file:///home" }] }),
            _ => json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Welcome" } }),
        };
        assert_eq!(answer(&session, asked, result).await, 202);
    }
    let rest = events.rest().await;
    assert_eq!(rest[0]["result"]["content"][0]["text"], "Welcome Ann works in file:///home", "{rest:?}");

    let deaf = session.presented_by(&client.clone().accepting("application/json"));
    let refused = deaf.call(3, GREETER, json!({})).await;
    assert_eq!((refused.status, refused.code()), (200, -32603), "{}", refused.body);
    assert!(refused.message().contains("accepts events"), "{}", refused.message());
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_session_that_was_asked_can_answer() {
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let (session, other) = (asked_all(&client).await, asked_all(&client).await);
    let (mut events, asked) = question(&session, 1, GREETER).await;
    assert_eq!(answer(&other, &asked, accepted(json!({ "name": "Mallory" }))).await, 202);
    let sessionless = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let forged = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": accepted(json!({ "name": "Nobody" })) });
    assert_eq!(client.raw(&sessionless, forged.to_string()).await.expect("an answer").status, 202);
    assert_eq!(answer(&session, &json!({ "id": "f00" }), accepted(json!({ "name": "Wrong" }))).await, 202);
    assert_eq!(answer(&session, &asked, accepted(json!({ "name": "Ann" }))).await, 202);
    let rest = events.rest().await;
    assert_eq!(rest[0]["result"]["content"][0]["text"], "Hello, Ann!", "{rest:?}");

    let (mut events, asked) = question(&session, 2, GREETER).await;
    let error = json!({ "code": -1, "message": "the person has left" });
    let refused = session.say(&json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error })).await;
    assert_eq!(refused.status, 202);
    let rest = events.rest().await;
    assert_eq!((rest.len(), &rest[0]["error"]["code"]), (1, &json!(-32603)), "{rest:?}");
    let said = rest[0]["error"]["message"].as_str().expect("words");
    assert!(said.contains("refused to answer the question `user_name`"), "{said}");
    assert_eq!((session.end().await, other.end().await), (204, 204));
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_bounded_in_number_and_time() {
    let host = TestHost::start(&format!("transports: {{ inputs: 1, input_wait: 1s }}\n{EVERYTHING}"));
    let session = asked_all(&host.agent("everything")).await;
    let (mut events, asked) = question(&session, 1, GREETER).await;
    let began = Instant::now();
    let refused = session.call(2, GREETER, json!({})).await;
    assert_eq!((refused.status, refused.code()), (503, -32050), "{}", refused.body);
    let limit = refused.limit();
    assert_eq!((&limit["limit"], &limit["cap"], &limit["used"]), (&json!("inputs"), &json!(1), &json!(1)));

    let rest = events.rest().await;
    assert!(began.elapsed() < Duration::from_secs(20), "given up after {:?}", began.elapsed());
    assert_eq!(
        (&rest[0]["method"], &rest[0]["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
    let said = rest[1]["error"]["message"].as_str().expect("an error");
    assert!(said.contains("the 1 s of `transports.input_wait`"), "{said}");
    assert_eq!(answer(&session, &asked, accepted(json!({ "name": "Ann" }))).await, 202, "too late is no mistake");

    let (mut events, asked) = question(&session, 3, GREETER).await;
    assert_eq!(answer(&session, &asked, accepted(json!({ "name": "Bob" }))).await, 202, "its place was given back");
    assert_eq!(events.rest().await[0]["result"]["content"][0]["text"], "Hello, Bob!");
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_and_answers_are_bounded() {
    const ROUNDS_MAX: usize = 16;
    const ANSWERS_MAX: u64 = 64;
    let host = TestHost::start(EVERYTHING);
    let client = host.agent("everything");
    let session = asked_all(&client).await;
    // An answer without the name counts as none, so the agent asks again.
    let (mut events, mut asked) = question(&session, 1, GREETER).await;
    for round in 1..=ROUNDS_MAX {
        assert_eq!(asked["method"], "elicitation/create", "round {round}: {asked}");
        assert_eq!(answer(&session, &asked, accepted(json!({}))).await, 202);
        asked = events.message().await.expect("one more message");
    }
    let said = asked["error"]["message"].as_str().expect("an error");
    assert!(said.contains("more than 16 times"), "{said}");
    assert_eq!(events.message().await, None);

    for (count, status) in [(ANSWERS_MAX, 200), (ANSWERS_MAX + 1, 400)] {
        let answers: Value =
            (0..count).map(|it| (it.to_string(), accepted(json!({})))).collect::<serde_json::Map<_, _>>().into();
        let params = json!({ "name": GREETER, "arguments": {}, "inputResponses": answers });
        let said = client.request("tools/call", declaring(form(), params)).await;
        assert_eq!(said.status, status, "{count} answers: {}", said.body);
        if status == 400 {
            let limit = said.limit();
            assert_eq!(
                (&limit["limit"], &limit["cap"], &limit["wanted"]),
                (&json!("inputResponses"), &json!(64), &json!(65))
            );
        }
    }
    assert_eq!(session.end().await, 204);
    host.assert_nothing_remains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_person_thinks_the_agent_serves_others() {
    let host = TestHost::start(
        "agents: { everything: { component: '{agents}/everything.wasm', concurrency: 1, queue: 1, queue_wait: 500ms } }",
    );
    let client = host.agent("everything");
    let session = asked_all(&client).await;
    let (mut events, asked) = question(&session, 1, GREETER).await;
    assert_eq!(host.used("guests"), 0, "a question holds no instance");
    assert_eq!(host.used("copies"), host.used("copies/shared"), "nor does it take its agent's own place");
    assert!(host.used("copies") < 16 << 10, "and little more than its own text: {}", host.used("copies"));
    for answer in [client.call("echo", json!({})).await, session.call(2, "echo", json!({})).await] {
        assert_eq!((answer.status, answer.text()), (200, "{}"), "{}", answer.body);
    }
    assert_eq!(answer(&session, &asked, accepted(json!({ "name": "Ann" }))).await, 202);
    assert_eq!(events.rest().await[0]["result"]["content"][0]["text"], "Hello, Ann!");

    // Cancelled, or ended with its session, while the person thinks.
    let (mut events, _) = question(&session, 3, GREETER).await;
    assert_eq!(session.notify("notifications/cancelled", json!({ "requestId": 3 })).await.status, 202);
    assert_eq!(events.message().await, None);
    let (mut events, asked) = question(&session, 4, GREETER).await;
    assert_eq!(session.end().await, 204);
    assert_eq!(events.message().await, None);
    let late = request(5, "ping", json!({}));
    assert_eq!((session.say(&late).await.status, answer(&session, &asked, json!({})).await), (404, 404));
    host.assert_nothing_remains().await;
}
