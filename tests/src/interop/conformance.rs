//! The official conformance suite: the old one for the `initialize` era and the new one for every revision.
//!
//! Nothing is expected to fail. The suite's exit code heeds failures only; a warning fails the run here as well.

use std::collections::HashSet;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{finished, node};

/// The suite's own limit is 30 s for each of its scenarios; most take milliseconds.
const LIMIT: Duration = Duration::from_secs(300);

/// 0.2.0-alpha.12 and 0.1.16, as `tests/interop/package.json` calls them.
const NEW_SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
const OLD_SUITE: &str = "node_modules/conformance-legacy/dist/index.js";

/// How much is shown of what a check says.
const MESSAGE_CHARS: usize = 400;

/// What the suite puts behind a scenario's name in the name of its folder: `-2026-07-28T12-00-00-000Z`.
const STAMP_CHARS: usize = 25;

/// Runs every scenario that a protocol revision requires of a server, and leaves the details in `out`, a new folder.
///
/// Fails when a check of a scored scenario fails or warns, and shows those. Returns the summary.
pub async fn conformance_requirements(url: &str, revision: &str, out: &Path) -> Result<String> {
    scored(NEW_SUITE, &["--url", url, "--requirements", revision], out).await
}

/// Runs the active scenarios of the old suite; otherwise as [`conformance_requirements`].
pub async fn conformance_active(url: &str, out: &Path) -> Result<String> {
    scored(OLD_SUITE, &["--url", url, "--suite", "active"], out).await
}

/// Runs the pending scenarios of the old suite, which its makers do not hold against a server yet.
///
/// Returns what there is to say about them, and never fails.
pub async fn conformance_pending(url: &str, out: &Path) -> String {
    let told = async {
        let said = run(OLD_SUITE, &["--url", url, "--suite", "pending"], out).await?;
        Ok(format!("{}\n{}", summary(&said.stdout), lines(&troubles(out)?)))
    };
    told.await.unwrap_or_else(|error: anyhow::Error| format!("the pending scenarios did not run: {error:#}"))
}

struct Said {
    success: bool,
    stdout: String,
    stderr: String,
}

async fn run(suite: &str, arguments: &[&str], out: &Path) -> Result<Said> {
    let mut command = node(suite).await?;
    command.arg("server").args(arguments).arg("--output-dir").arg(out);
    let Output { status, stdout, stderr } = finished(&mut command, LIMIT).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { success: status.success(), stdout: text(stdout), stderr: text(stderr) })
}

async fn scored(suite: &str, arguments: &[&str], out: &Path) -> Result<String> {
    let said = run(suite, arguments, out).await?;
    let summary = summary(&said.stdout);
    let unscored = unscored(summary);
    let troubles: Vec<Trouble> =
        troubles(out)?.into_iter().filter(|trouble| !unscored.contains(trouble.scenario.as_str())).collect();
    ensure!(troubles.is_empty(), "{arguments:?}: these checks do not pass:\n{}\n{summary}", lines(&troubles));
    ensure!(said.success, "{arguments:?}: the suite did not succeed:\n{}\n{}", said.stdout, said.stderr);
    Ok(summary.into())
}

/// What stands at the end of the suite's output; all of it when it ended early.
fn summary(stdout: &str) -> &str {
    stdout.find("=== SUMMARY ===").map_or(stdout, |at| &stdout[at..])
}

/// The scenarios that are run and not counted: `  ✗ tasks-lifecycle (extension)`, at the end of the summary.
fn unscored(summary: &str) -> HashSet<&str> {
    let (_, list) = summary.split_once("Not scored for").unwrap_or_default();
    list.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect()
}

/// A check that does not pass.
struct Trouble {
    scenario: String,
    check: Value,
}

/// Every check that failed or warned. One folder holds one scenario.
fn troubles(out: &Path) -> Result<Vec<Trouble>> {
    let mut troubles = Vec::new();
    let mut scenarios = 0;
    for folder in std::fs::read_dir(out).with_context(|| format!("the suite left nothing in {}", out.display()))? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let scenario = name.get(..name.len().saturating_sub(STAMP_CHARS)).unwrap_or_default();
        let scenario = scenario.strip_prefix("server-").unwrap_or(scenario);
        let checks =
            std::fs::read(folder.path().join("checks.json")).with_context(|| format!("{name} has no checks"))?;
        let checks: Vec<Value> = serde_json::from_slice(&checks).with_context(|| format!("the checks of {name}"))?;
        let bad = checks.into_iter().filter(|check| matches!(check["status"].as_str(), Some("FAILURE" | "WARNING")));
        troubles.extend(bad.map(|check| Trouble { scenario: scenario.into(), check }));
        scenarios += 1;
    }
    ensure!(scenarios > 0, "the suite ran no scenario");
    Ok(troubles)
}

fn lines(troubles: &[Trouble]) -> String {
    let line = |Trouble { scenario, check }: &Trouble| {
        // Some messages are a page of a schema's complaints; the whole is in the folder.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let part =
            |name: &str| words(check[name].as_str().unwrap_or("?")).chars().take(MESSAGE_CHARS).collect::<String>();
        format!("{} {scenario}:{}: {}: {}\n", part("status"), part("id"), part("description"), part("errorMessage"))
    };
    troubles.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "running\n=== SUMMARY ===\n✓ ping: 1 passed, 0 failed\n\nNot scored for 2026-07-28: 2 scenario(s) \
        run, 1 failing. These do not affect conformance.\n  ✗ tasks-lifecycle (extension)\n  ✓ polling (pending)\n";

    #[test]
    fn what_is_not_scored_is_told_apart() {
        assert_eq!(unscored(summary(SUMMARY)), HashSet::from(["tasks-lifecycle", "polling"]));
        assert!(unscored("=== SUMMARY ===\n✓ ping: 1 passed, 0 failed").is_empty());
    }

    #[test]
    fn a_check_that_warns_is_shown_with_its_scenario() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = out.path().join("server-tools-list-2026-07-28T12-00-00-000Z");
        std::fs::create_dir(&folder).expect("a folder");
        let checks = r#"[{"id":"good","status":"SUCCESS"},{"id":"odd","status":"WARNING","errorMessage":"so so"}]"#;
        std::fs::write(folder.join("checks.json"), checks).expect("a file");
        let troubles = troubles(out.path()).expect("checks");
        assert_eq!(lines(&troubles), "WARNING tools-list:odd: ?: so so\n");
    }
}
