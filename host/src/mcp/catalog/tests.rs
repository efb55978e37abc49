//! The registry as a client sees it, with entries of agents that nobody runs.

use std::sync::{Arc, LazyLock};

use http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::agent_of;
use crate::access::Principal;
use crate::agent::Caller;
use crate::manifest::HttpLimits;
use crate::mcp::Service;
use crate::mcp::buffer::Buffer;
use crate::mcp::call::{Answer, Call, Endpoint};
use crate::mcp::request::{Completion, List, Reference, Request};
use crate::mcp::tests::{Empty, LIMITS};
use crate::mcp::version::Era;

struct Registry {
    empty: Empty,
    service: Arc<Service>,
}

impl Registry {
    async fn of(agents: &[(&str, &str, &str)]) -> Self {
        Self::limited(agents, HttpLimits { reply: 4 << 20, ..LIMITS }).await
    }

    async fn limited(agents: &[(&str, &str, &str)], limits: HttpLimits) -> Self {
        let empty = Empty::new();
        let service = empty.service(limits);
        let entry = |(name, title, description): &(&str, &str, &str)| {
            let fields =
                vec![("name", (*name).into()), ("title", (*title).into()), ("description", (*description).into())];
            (Arc::from(*name), fields)
        };
        empty.document.write(agents.iter().map(entry).collect()).await.unwrap();
        Self { empty, service }
    }

    async fn ask(&self, request: Request<'_>) -> Value {
        static ANYONE: LazyLock<Arc<Principal>> = LazyLock::new(|| Arc::new(Principal::anonymous(100)));
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        let id: &RawValue = serde_json::from_str("1").unwrap();
        let call = Call {
            service: &self.service,
            endpoint: &Endpoint::Common,
            era: Era::Modern,
            principal: &ANYONE,
            caller: Caller::new("anonymous".into(), "2026-07-28").into(),
            headers: &NONE,
            id,
            outlet: None,
        };
        let whole = |buffer: &Buffer| serde_json::from_slice::<Value>(buffer.as_ref()).unwrap();
        match call.dispatch("a method", &request).await {
            Ok(Answer::Whole(buffer)) => whole(&buffer)["result"].clone(),
            Ok(_) => panic!("answers of the registry are whole"),
            Err(error) => serde_json::to_value(&error.body).unwrap(),
        }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let arguments = arguments.to_string();
        self.ask(Request::CallTool { name: tool.into(), arguments: &arguments }).await
    }

    /// The names that a tool answers with.
    async fn names(&self, tool: &str, arguments: Value) -> Vec<String> {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, result["structuredContent"], "twice the same");
        let agents = result["structuredContent"]["agents"].as_array().unwrap();
        agents.iter().map(|agent| agent["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Why a call gives no result, in words for a model.
    async fn wrong(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(result.get("structuredContent").is_none());
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        assert_eq!(self.empty.accounts.replies.used(), 0, "every reply is paid back");
    }
}

const AGENTS: [(&str, &str, &str); 5] = [
    ("files", "Files", "Reads granted folders."),
    ("file-search", "Search", "Finds words in folders."),
    ("mail", "Mail of files", "Sends."),
    ("prices", "Prices", "What things cost; from files."),
    ("zebra", "Zebra", "Stripes."),
];

#[tokio::test]
async fn agents_are_listed_page_by_page() {
    let registry = Registry::of(&AGENTS).await;
    assert_eq!(registry.names("list", json!({})).await, ["file-search", "files", "mail", "prices", "zebra"]);
    let first = registry.call("list", json!({ "limit": 2 })).await;
    assert_eq!(
        (&first["structuredContent"]["total"], &first["structuredContent"]["nextCursor"]),
        (&5.into(), &"files".into())
    );
    assert_eq!(registry.names("list", json!({ "limit": 2, "cursor": "files" })).await, ["mail", "prices"]);
    let last = registry.call("list", json!({ "limit": 2, "cursor": "prices" })).await;
    assert!(last["structuredContent"].get("nextCursor").is_none());
    assert_eq!(
        registry.names("list", json!({ "cursor": "a name that was removed meanwhile" })).await[0],
        "file-search"
    );
}

#[tokio::test]
async fn the_best_match_comes_first() {
    let registry = Registry::of(&AGENTS).await;
    assert_eq!(registry.names("search", json!({ "query": "FILES" })).await, ["files", "mail", "prices"]);
    assert_eq!(registry.names("search", json!({ "query": "file" })).await, ["file-search", "files", "mail", "prices"]);
    assert_eq!(registry.names("search", json!({ "query": "folders words" })).await, ["file-search"]);
    assert_eq!(registry.names("search", json!({ "query": "nothing" })).await, Vec::<String>::new());
    let few = registry.call("search", json!({ "query": "file", "limit": 2 })).await;
    assert_eq!(few["structuredContent"]["matches"], 4);
    assert_eq!(registry.names("search", json!({ "query": "file", "limit": 2 })).await, ["file-search", "files"]);
}

#[tokio::test]
async fn an_entry_is_told_in_three_lengths() {
    let long = "x".repeat(1_000);
    let registry = Registry::of(&[("files", "Files", &long)]).await;
    let brief = &registry.call("list", json!({})).await["structuredContent"]["agents"][0];
    assert_eq!(brief["description"].as_str().unwrap().len(), super::EXCERPT_BYTES_MAX);
    assert_eq!((&brief["endpoint"], &brief["uri"]), (&"/mcp/files".into(), &"urn:mcp:agent/files".into()));
    let info = &registry.call("info", json!({ "agent": "files" })).await["structuredContent"];
    assert_eq!((&info["description"], &info["state"]), (&long.as_str().into(), &"absent".into()));
    assert!(info.get("entry").is_none());
    let details = &registry.call("details", json!({ "agent": "files" })).await["structuredContent"];
    assert_eq!(details["entry"]["title"], "Files");
    let read = registry.ask(Request::Read { uri: "urn:mcp:agent/files".into() }).await;
    let content = &read["contents"][0];
    assert_eq!((&content["uri"], &content["mimeType"]), (&"urn:mcp:agent/files".into(), &"application/json".into()));
    assert_eq!(serde_json::from_str::<Value>(content["text"].as_str().unwrap()).unwrap(), *details);
    assert_eq!((&read["cacheScope"], &read["ttlMs"]), (&"public".into(), &1_000.into()));
}

#[tokio::test]
async fn what_a_model_can_mend_is_said_to_it() {
    let registry = Registry::of(&AGENTS).await;
    assert!(registry.wrong("info", json!({ "agent": "nobody" })).await.contains("no agent `nobody`; `search` finds"));
    assert!(registry.wrong("info", json!({})).await.contains("missing field `agent`"));
    assert!(registry.wrong("list", json!({ "limits": 3 })).await.contains("unknown field `limits`"));
    for limit in [0, 101] {
        assert!(registry.wrong("list", json!({ "limit": limit })).await.contains("`limit` is 1 to 100"));
    }
    assert!(registry.wrong("search", json!({ "query": "x".repeat(257) })).await.contains("at most 256"));
    assert!(registry.wrong("search", json!({ "query": "a ".repeat(17) })).await.contains("1 to 16 words"));
    assert!(registry.wrong("search", json!({ "query": " " })).await.contains("1 to 16 words"));
    let unknown = registry.ask(Request::Read { uri: "urn:mcp:agent/nobody".into() }).await;
    assert_eq!(unknown["code"], -32602);
    assert!(unknown["message"].as_str().unwrap().contains("`search` finds agents"), "{unknown}");
    let unknown = registry.ask(Request::CallTool { name: "delete".into(), arguments: "{}" }).await;
    assert_eq!(unknown["code"], -32602, "{unknown}");
}

#[tokio::test]
async fn its_own_things_come_first_in_the_lists() {
    let registry = Registry::of(&AGENTS).await;
    let tools = registry.ask(Request::List(List::Tools, None)).await;
    let names: Vec<&str> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list", "info", "details", "search"]);
    for tool in tools["tools"].as_array().unwrap() {
        assert_eq!(tool["annotations"]["readOnlyHint"], true);
        assert_eq!((&tool["inputSchema"]["type"], &tool["outputSchema"]["type"]), (&"object".into(), &"object".into()));
    }
    let templates = registry.ask(Request::List(List::Templates, None)).await;
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "urn:mcp:agent/{name}");
    let completion = |value: &'static str| {
        let of = Reference::Template("urn:mcp:agent/{name}".into());
        Request::Complete(Completion { of, argument: "name".into(), value: value.into(), known: None })
    };
    let suggested = registry.ask(completion("file")).await;
    assert_eq!(suggested["completion"]["values"], json!(["file-search", "files"]));
    assert_eq!(registry.ask(completion("g")).await["completion"]["values"], json!([]));
    assert_eq!(agent_of(&Endpoint::Common, "urn:mcp:agent/files"), Some("files"));
    assert_eq!(agent_of(&Endpoint::Common, "files+urn:mcp:agent/files"), None, "an agent's own");
}

/// All resources by their cursors, and how many pages that took.
async fn all(registry: &Registry) -> (Vec<String>, usize) {
    let (mut uris, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let page = registry.ask(Request::List(List::Resources, cursor.clone().map(Into::into))).await;
        pages += 1;
        let resources = page["resources"].as_array().unwrap_or_else(|| panic!("{page}"));
        uris.extend(resources.iter().map(|resource| resource["uri"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return (uris, pages),
        }
    }
}

#[tokio::test]
async fn thousands_are_listed_in_pages_that_fit() {
    let names: Vec<String> = (0..2_500).map(|number| format!("agent-{number:04}")).collect();
    let agents: Vec<_> = names.iter().map(|name| (&**name, "An agent", "For somebody")).collect();
    let expected: Vec<String> = names.iter().map(|name| format!("urn:mcp:agent/{name}")).collect();
    let registry = Registry::of(&agents).await;
    assert_eq!(all(&registry).await, (expected.clone(), 3));
    let narrow = Registry::limited(&agents, HttpLimits { reply: 20_000, ..LIMITS }).await;
    let (uris, pages) = all(&narrow).await;
    assert_eq!(uris, expected);
    assert!((10..100).contains(&pages), "{pages}");
    let completion = Completion {
        of: Reference::Template("urn:mcp:agent/{name}".into()),
        argument: "name".into(),
        value: "agent".into(),
        known: None,
    };
    let suggested = registry.ask(Request::Complete(completion)).await;
    assert_eq!(suggested["completion"]["values"].as_array().unwrap().len(), 100);
    assert_eq!(suggested["completion"]["hasMore"], true);
}

#[tokio::test]
async fn an_entry_longer_than_a_reply_says_so() {
    let long = "x".repeat(3_000);
    let registry = Registry::limited(&[("files", &long[..200], &long)], HttpLimits { reply: 1_500, ..LIMITS }).await;
    let told = registry.ask(Request::Read { uri: "urn:mcp:agent/files".into() }).await;
    assert_eq!((&told["code"], &told["data"]["limit"]), (&(-32051).into(), &"reply".into()));
}
