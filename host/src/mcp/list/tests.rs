use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{BYTES_MAX, CALLS_MAX, ENTRIES_MAX, ListReply, REASON_BYTES_MAX, TIME_MAX, answer};
use crate::access::Principal;
use crate::agent::Caller;
use crate::agent::contract::{Cache, CacheScope};
use crate::manifest::HttpLimits;
use crate::mcp::Service;
use crate::mcp::call::{Call, Endpoint};
use crate::mcp::name::Cursor;
use crate::mcp::request::List;
use crate::mcp::tests::{Empty, LIMITS};
use crate::mcp::version::Era;

const ID: &str = "7";

fn call<'a>(service: &'a Arc<Service>, era: Era, headers: &'a HeaderMap) -> Call<'a> {
    static ANYONE: LazyLock<Arc<Principal>> = LazyLock::new(|| Arc::new(Principal::anonymous(100)));
    let id: &RawValue = serde_json::from_str(ID).unwrap();
    let (principal, caller) = (&*ANYONE, Caller::new("anonymous".into(), "2026-07-28").into());
    Call { service, endpoint: &Endpoint::Common, era, principal, caller, headers, id, outlet: None }
}

fn json(buffer: &super::Buffer) -> Value {
    serde_json::from_slice(buffer.as_ref()).unwrap()
}

#[test]
fn a_reply_takes_no_page_beyond_any_of_its_bounds() {
    let empty = Empty::new();
    let service = empty.service(HttpLimits { reply: 4 << 20, ..LIMITS });
    let (headers, open) = (HeaderMap::new(), |call| ListReply::open(call, List::Tools).unwrap());
    let call = call(&service, Era::Modern, &headers);
    assert!(!open(&call).is_full());
    let mut reply = open(&call);
    reply.entries = ENTRIES_MAX;
    assert!(reply.is_full());
    let mut reply = open(&call);
    reply.calls = CALLS_MAX;
    assert!(reply.is_full());
    let mut reply = open(&call);
    reply.buffer.extend(&vec![b' '; BYTES_MAX]).unwrap();
    assert!(reply.is_full());
    let mut reply = open(&call);
    reply.started = Instant::now().checked_sub(TIME_MAX + Duration::from_millis(1)).unwrap();
    assert!(reply.is_full());
}

#[test]
fn the_end_says_where_to_go_on_and_what_is_missing() {
    let empty = Empty::new();
    let (service, headers) = (empty.service(LIMITS), HeaderMap::new());
    let call_modern = call(&service, Era::Modern, &headers);
    let mut reply = ListReply::open(&call_modern, List::Resources).unwrap();
    reply.keep_fresh(Some(&Cache { ttl_ms: 500, scope: CacheScope::Public }));
    reply.keep_fresh(Some(&Cache { ttl_ms: 300, scope: CacheScope::Public }));
    let next = Cursor { list: 'r', agent: "files".into(), at: Some("p2".into()) };
    let result = json(&reply.close(Some(next.clone())).unwrap());
    assert_eq!(result["result"]["ttlMs"], 300);
    assert_eq!(result["result"]["cacheScope"], "private", "several agents agree on no more");
    assert_eq!(Cursor::decode(result["result"]["nextCursor"].as_str().unwrap(), 'r'), Some(next));

    let mut reply = ListReply::open(&call_modern, List::Resources).unwrap();
    reply.keep_fresh(Some(&Cache { ttl_ms: 500, scope: CacheScope::Public }));
    reply.leave_out("hog", &"é".repeat(1000));
    let result = json(&reply.close(None).unwrap());
    assert_eq!(result["result"]["ttlMs"], 0, "it may be back at once");
    let missing = &result["result"]["_meta"]["stockade/unavailable"][0];
    assert_eq!(missing["agent"], "hog");
    assert!(missing["reason"].as_str().unwrap().len() <= REASON_BYTES_MAX);
    assert!(result["result"].get("nextCursor").is_none());
}

#[tokio::test]
async fn a_list_of_nobody_is_empty_in_each_eras_way() {
    let empty = Empty::new();
    let (service, headers) = (empty.service(LIMITS), HeaderMap::new());
    let modern = json(&answer(&call(&service, Era::Modern, &headers), List::Prompts, None).await.unwrap());
    assert_eq!(modern["result"]["prompts"], Value::Array(vec![]));
    assert_eq!((&modern["result"]["resultType"], &modern["result"]["ttlMs"]), (&"complete".into(), &0.into()));
    let legacy = answer(&call(&service, Era::Legacy, &headers), List::Prompts, None).await.unwrap();
    assert_eq!(legacy.as_ref(), br#"{"jsonrpc":"2.0","id":7,"result":{"prompts":[]}}"#);
    drop(legacy);
    assert_eq!(empty.accounts.replies.used(), 0);
}

#[tokio::test]
async fn a_cursor_outlives_its_agent_but_not_its_list() {
    let empty = Empty::new();
    let (service, headers) = (empty.service(LIMITS), HeaderMap::new());
    let call = call(&service, Era::Modern, &headers);
    let gone = Cursor { list: 't', agent: "gone".into(), at: Some("p2".into()) }.encode();
    assert!(answer(&call, List::Tools, Some(&gone)).await.is_ok());
    for wrong in [&*gone, "nonsense"] {
        let error = answer(&call, List::Prompts, Some(wrong)).await.unwrap_err();
        assert_eq!(error.body.code, -32602);
    }
}
