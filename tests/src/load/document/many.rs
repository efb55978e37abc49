//! A host of many agents: how long a start takes whose agents are known, what lists of them take, and memory.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Client;
use crate::load::figures::{Figures, Target, mib};
use crate::load::host::Host;

/// Targets for ten thousand agents.
const START_MAX: Duration = Duration::from_secs(2);
const PAGE_MAX: Duration = Duration::from_millis(5);
const RESIDENT_MIB_MAX: f64 = 200.0;

/// What has no target: it looks at all agents.
const SEARCH: &str = "a search through all";

/// How often a page is asked for.
const PAGES: usize = 200;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[derive(Debug, Clone, Copy)]
pub struct Many {
    pub agents: usize,
}

impl Many {
    pub async fn run(self) -> Result<Figures> {
        let mut manifest = "memory: 512M\nagents:\n".to_owned();
        for number in 0..self.agents {
            writeln!(manifest, "  agent-{number:05}: {{ component: '{{hello}}' }}")?;
        }
        let mut figures = Figures::default();
        figures.add("agents", self.agents as f64, "");
        let began = Instant::now();
        let first = Host::start(tempfile::tempdir()?, &manifest).await?;
        figures.add("first start", milliseconds(began.elapsed()), "ms");
        figures.add("resident after it", mib(first.resident()?.bytes as f64), "MiB");
        let Host { process, dir, .. } = first;
        process.end().await?;

        let began = Instant::now();
        let host = Host::start(dir, &manifest).await?;
        figures.judge("next start", milliseconds(began.elapsed()), "ms", Target::AtMost(milliseconds(START_MAX)));
        let status = host.status().await?.context("an operator may see the status")?;
        let calls = status["agents"].as_array().context("agents")?.iter().filter_map(|agent| agent["calls"].as_u64());
        ensure!(calls.sum::<u64>() == 0, "agents that are known are not run at a start");
        let client = Client::new(host.address, "/mcp");
        let last = format!("agent-{:05}", self.agents - 1);
        let greeted = Client::new(host.address, &format!("/mcp/{last}")).call("greet", json!({ "name": "Ann" })).await;
        ensure!(greeted.body.to_string().contains("Hello, Ann!"), "a known agent answers: {}", greeted.body);
        let half = format!("agent-{:05}", self.agents / 2);
        let middle = format!("urn:mcp:agent/{half}");
        let tool = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
        let pages: [([&'static str; 2], &str, Value); 5] = [
            (
                ["a hundred agents by the tool list", "p99"],
                "tools/call",
                tool("list", json!({ "cursor": half, "limit": 100 })),
            ),
            (["a page of a thousand resources", "p99 "], "resources/list", json!({})),
            (["a page of tools", "p99  "], "tools/list", json!({})),
            (["an entry", "p99   "], "resources/read", json!({ "uri": middle })),
            ([SEARCH, "p99    "], "tools/call", tool("search", json!({ "query": "hello" }))),
        ];
        for ([name, p99], method, params) in pages {
            let mut times = Vec::with_capacity(PAGES);
            for _ in 0..PAGES {
                let began = Instant::now();
                let answer = client.request(method, params.clone()).await;
                times.push(began.elapsed());
                ensure!(answer.body["result"].is_object(), "{}", answer.body);
            }
            times.sort_unstable();
            let median = milliseconds(times[PAGES / 2]);
            match name {
                SEARCH => figures.add(name, median, "ms"),
                _ => figures.judge(name, median, "ms", Target::AtMost(milliseconds(PAGE_MAX))),
            }
            figures.add(p99, milliseconds(times[PAGES * 99 / 100]), "ms");
        }
        figures.judge("resident", mib(host.resident()?.bytes as f64), "MiB", Target::AtMost(RESIDENT_MIB_MAX));
        Ok(figures)
    }
}
