use super::{Bounds, Excess, Malformed, Message, Parcel, parcel, scan};

const BOUNDS: Bounds = Bounds { depth: 4, elements: 20 };

fn elements(json: &str) -> u32 {
    (0..100).find(|&elements| scan(json.as_bytes(), Bounds { depth: 9, elements }).is_ok()).unwrap()
}

#[test]
fn values_are_counted_and_keys_are_not() {
    assert_eq!(elements("[]"), 1);
    assert_eq!(elements("[1,2]"), 3);
    assert_eq!(elements(r#"{"a":1,"b":{"c":"d"}}"#), 4);
    assert_eq!(elements(r#"["a:b","c\"]","{[",true,null,-1e5]"#), 7);
    assert_eq!(elements(" [ 1 , { } ] "), 3);
}

#[test]
fn depth_is_the_deepest_nesting() {
    let scan = |json: &str| scan(json.as_bytes(), BOUNDS);
    assert_eq!(scan("[[[[1]]]]"), Ok(()));
    assert_eq!(scan("[[[[[1]]]]]"), Err(Excess::Depth(4)));
    assert_eq!(scan(r#"[{"a":[{"b":[]}]}]"#), Err(Excess::Depth(4)));
    assert_eq!(scan("[[],[],[],[],[[[]]]]"), Ok(()));
    assert_eq!(scan(&"[".repeat(1_000_000)), Err(Excess::Depth(4)));
    assert_eq!(scan(&format!("[{}1]", "1,".repeat(19))), Err(Excess::Elements(20)));
}

/// Whatever bytes come, the scan ends, and never lets more values through than serde then finds.
#[test]
fn any_bytes_can_be_scanned() {
    let alphabet = br#"{}[]":,\ 1tn"#;
    let mut state = 1u32;
    for length in 0..2_000 {
        let bytes: Vec<u8> = (0..length % 40)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                alphabet[(state >> 16) as usize % alphabet.len()]
            })
            .collect();
        let bounds = Bounds { depth: 3, elements: 5 };
        if let (Ok(()), Ok(value)) = (scan(&bytes, bounds), serde_json::from_slice::<serde_json::Value>(&bytes)) {
            assert!(count(&value) <= 5, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}

fn count(value: &serde_json::Value) -> u32 {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(count).sum::<u32>(),
        serde_json::Value::Object(members) => 1 + members.values().map(count).sum::<u32>(),
        _ => 1,
    }
}

const BATCH: u32 = 3;

fn message(body: &[u8], bounds: Bounds) -> Result<Message<'_>, Malformed<'_>> {
    parcel(body, bounds, BATCH).map(|parcel| match parcel {
        Parcel::One(message) => message,
        Parcel::Batch(messages) => panic!("a batch of {}", messages.len()),
    })
}

fn error(body: &str) -> (Option<&str>, i32, String) {
    let Malformed { id, error } = message(body.as_bytes(), BOUNDS).unwrap_err();
    (id.map(|id| id.get()), error.body.code, error.body.message)
}

#[test]
fn a_request_keeps_its_id_byte_for_byte() {
    for id in ["0", "-7", "1.50", "1793000000000", r#""a\u00e9""#, r#""""#] {
        let body = format!(r#"{{"params":{{"x":1}},"jsonrpc":"2.0","method":"ping","id":{id}}}"#);
        let Ok(Message::Request { id: read, method, params }) = message(body.as_bytes(), BOUNDS) else {
            panic!("{id}")
        };
        assert_eq!((read.get(), &*method, params.unwrap().get()), (id, "ping", r#"{"x":1}"#));
    }
}

#[test]
fn what_is_no_message_is_said_so() {
    assert_eq!(error("{").1, -32700);
    assert_eq!(error(r#"{"id":1,"method":"ping"}"#).0, Some("1"));
    assert_eq!(error(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#).1, -32600);
    assert_eq!(error(r#"{"jsonrpc":"2.0","id":1}"#).2, "`method` is missing");
    assert_eq!(error(r#"{"jsonrpc":"2.0","id":1,"method":7}"#).0, Some("1"));
    for id in ["null", "[]", "{}", "true", &format!("\"{}\"", "x".repeat(1100))] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!((error(&body).0, error(&body).1), (None, -32600), "{id}");
    }
    assert_eq!(error(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#).1, -32600);
    assert_eq!((error("7").1, error(" \"{}\" ").1, error("nul").1, error("").1), (-32600, -32600, -32700, -32700));
    let long = format!("\"{}\"", "\u{7f}".repeat(9_000));
    assert_eq!(error(&long), (None, -32600, "not a JSON-RPC message: it must be an object".into()), "not quoted");
    assert_eq!(message(b"{\"jsonrpc\":\"\xff\"}", BOUNDS).unwrap_err().error.body.code, -32700);
    assert!(error(r#"{"jsonrpc":"2.0","a":[[[[[]]]]]}"#).2.contains("http.depth"));
    assert!(error(&format!(r#"{{"a":[{}1]}}"#, "1,".repeat(30))).2.contains("http.elements"));
}

#[test]
fn notifications_and_answers_have_no_request() {
    let read = |body: &'static str| message(body.as_bytes(), BOUNDS).unwrap();
    let initialized = read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert!(
        matches!(initialized, Message::Notification { method, params: None } if method == "notifications/initialized")
    );
    let answer = read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert!(matches!(answer, Message::Response { id: Some(id), result: Some(_) } if id.get() == "1"));
    let refusal = read(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#);
    assert!(matches!(refusal, Message::Response { id: None, result: None }));
}

#[test]
fn a_batch_is_taken_apart_within_its_bounds() {
    let read = |body: &str| match parcel(body.as_bytes(), BOUNDS, BATCH) {
        Ok(Parcel::Batch(messages)) => Ok(messages.iter().map(|message| message.get().to_owned()).collect::<Vec<_>>()),
        Ok(Parcel::One(_)) => panic!("not a batch: {body}"),
        Err(Malformed { error, .. }) => Err((error.body.code, error.body.message)),
    };
    assert_eq!(read(r#" [ {"a":1} , 2,"x"] "#).unwrap(), [r#"{"a":1}"#, "2", r#""x""#]);
    assert_eq!(read("[]").unwrap_err().0, -32600);
    assert_eq!(read("[1,2").unwrap_err().0, -32700);
    assert_eq!(read("[1] 2").unwrap_err().0, -32700);
    assert!(read("[1,2,3,4]").unwrap_err().1.contains("`transports.batch`"));
}
