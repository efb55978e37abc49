//! An agent that exercises the whole contract, so that the host's tests have a real guest for every part of it.
//!
//! It holds every fixture of the MCP conformance suite (`test_*` tools and prompts, `test://…` resources) and, beyond
//! the suite, what only our own tests ask for: each error case, cache hints of both scopes, pages, generated resources
//! of any size, completions past the host's limit. One file per interface of the contract; this one is `describe`.
//!
//! Invariant: nothing depends on an earlier call, for every call runs in a fresh instance. What must be remembered
//! travels in cursors and in the state of an `input-required`.

wit_bindgen::generate!({
    path: "../../wit",
    world: "agent",
    generate_all,
});

mod completion;
mod failure;
mod prompts;
mod question;
mod resources;
mod tools;

use exports::stockade::agent::describe::{Changes, Description, Guest as Describe};
use stockade::agent::types::{Cache, CacheScope, Content, Icon, TextContent, Theme};

struct Everything;
export!(Everything);

/// A 1x1 red pixel, `image/png`.
const PIXEL_PNG: &[u8] = include_bytes!("media/pixel.png");

/// Eight silent samples, `audio/wav`.
const SILENCE_WAV: &[u8] = include_bytes!("media/silence.wav");

/// How long what never changes may be cached.
const STABLE_TTL_MS: u32 = 60_000;

/// How often the host should look at the version of a subscribed resource; `test://clock` changes every second.
const POLL_MS: u32 = 1_000;

impl Describe for Everything {
    fn describe() -> Description {
        Description {
            title: "Everything".into(),
            description: "Exercises the whole contract; holds the fixtures of the MCP conformance suite.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: Some("For tests. `echo` and `whoami` show what the host passed on.".into()),
            website_url: Some("https://github.com/modelcontextprotocol/conformance".into()),
            icons: vec![icon(Theme::Light), icon(Theme::Dark)],
            changes: Changes::all(),
            poll_ms: Some(POLL_MS),
        }
    }
}

/// A square that stands out from the background it is drawn for.
fn icon(theme: Theme) -> Icon {
    let fill = match theme {
        Theme::Light => "black",
        Theme::Dark => "white",
    };
    let svg =
        format!("%3Csvg xmlns='http://www.w3.org/2000/svg'%3E%3Crect width='9' height='9' fill='{fill}'/%3E%3C/svg%3E");
    Icon {
        src: format!("data:image/svg+xml,{}", svg.replace(' ', "%20")),
        mime_type: Some("image/svg+xml".into()),
        sizes: vec!["any".into()],
        theme: Some(theme),
    }
}

/// The cache hint of what is the same for every caller and never changes.
fn stable() -> Option<Cache> {
    Some(Cache { ttl_ms: STABLE_TTL_MS, scope: CacheScope::Public })
}

fn text(text: impl Into<String>) -> Content {
    Content::Text(TextContent { text: text.into(), annotations: None })
}
