//! `stockade versions`, `alias`, `yank`, `rollback`: what was published under a name, and which of it is served.

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use ureq::SendBody;

use super::remote::{Client, Question, Remote};
use super::status::aligned;
use super::{Stop, plain, publish, say};
use crate::manifest::{AgentName, size};

/// Media type of an image manifest.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stockade versions demo     what there is, and which is live\n  stockade rollback demo     what was served before is served again"
)]
pub(super) struct All {
    /// The agent's name
    #[arg(value_parser = AgentName::parse)]
    name: AgentName,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stockade alias demo stable 1.2.0     /mcp/demo@stable is 1.2.0 from now on\n  stockade alias demo latest 1.1.0     /mcp/demo is 1.1.0 from now on"
)]
pub(super) struct Alias {
    /// The agent's name
    #[arg(value_parser = AgentName::parse)]
    name: AgentName,
    /// The alias, such as stable or canary; `latest` is what is served under the bare name
    alias: String,
    /// The version it names from now on
    #[arg(value_parser = publish::version, required_unless_present = "delete")]
    version: Option<semver::Version>,
    /// Take the alias away
    #[arg(long, conflicts_with = "version")]
    delete: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stockade yank demo 1.2.1            only /mcp/demo@1.2.1 still serves it\n  stockade yank demo 1.2.1 --undo     it is listed again"
)]
pub(super) struct Yank {
    /// The agent's name
    #[arg(value_parser = AgentName::parse)]
    name: AgentName,
    /// The version; it stays callable as /mcp/NAME@VERSION
    #[arg(value_parser = publish::version)]
    version: semver::Version,
    /// Take it back
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn versions(options: &All) -> Result<(), Stop> {
    let client = options.remote.client()?;
    let said = client.ask(&Question::new(Method::GET, &path(&options.name)), SendBody::none())?;
    say(&if options.remote.json { said } else { table(&said)? });
    Ok(())
}

pub(super) fn alias(options: &Alias) -> Result<(), Stop> {
    let Alias { name, alias, version, .. } = options;
    let client = options.remote.client()?;
    let repository = repository(&client, name)?;
    let at = |reference: &str| format!("/v2/{repository}/manifests/{reference}");
    let Some(version) = version else {
        client.ask(&Question::new(Method::DELETE, &at(alias)), SendBody::none())?;
        say(&format!("`{alias}` of {name} is gone\n"));
        return Ok(());
    };
    let manifest = client.ask(&Question::new(Method::GET, &at(&version.to_string())), SendBody::none())?;
    let path = at(alias);
    let moved = Question::new(Method::PUT, &path).of(MANIFEST_TYPE);
    client.ask(&moved, SendBody::from_owned_reader(std::io::Cursor::new(manifest)))?;
    say(&format!("{name}@{alias} is {version} now\n"));
    Ok(())
}

pub(super) fn yank(options: &Yank) -> Result<(), Stop> {
    let Yank { name, version, undo, remote } = options;
    let client = remote.client()?;
    let body = json!({ "yanked": !undo }).to_string();
    let path = format!("{}/{version}", path(name));
    let change = Question::new(Method::PATCH, &path).of("application/json");
    let said = client.ask(&change, SendBody::from_owned_reader(std::io::Cursor::new(body)))?;
    list(&client, name, said, remote.json)
}

pub(super) fn rollback(options: &All) -> Result<(), Stop> {
    let client = options.remote.client()?;
    let path = format!("/agents/{}/rollback", options.name);
    let said = client.ask(&Question::new(Method::POST, &path), SendBody::none())?;
    list(&client, &options.name, said, options.remote.json)
}

/// Shows the list that a change was answered with. A host that had no room for one is asked again.
fn list(client: &Client, name: &AgentName, mut said: String, is_json: bool) -> Result<(), Stop> {
    if said.is_empty() {
        said = client.ask(&Question::new(Method::GET, &path(name)), SendBody::none()).context("it is done")?;
    }
    say(&if is_json { said } else { table(&said)? });
    Ok(())
}

fn path(name: &AgentName) -> String {
    format!("/agents/{name}/versions")
}

/// The repository that an agent's versions are in.
fn repository(client: &Client, name: &AgentName) -> anyhow::Result<String> {
    let said = client.ask(&Question::new(Method::GET, &path(name)), SendBody::none())?;
    let said: Value = serde_json::from_str(&said)?;
    Ok(said["repository"].as_str().context("this is no answer of a stockade host")?.to_owned())
}

/// All versions, for people.
fn table(said: &str) -> anyhow::Result<String> {
    let said: Value = serde_json::from_str(said).context("this is no answer of a stockade host")?;
    let header = ["version", "state", "aliases", "signed", "size", "cold start", "memory", "by"].map(str::to_owned);
    let row = |version: &Value| {
        let text = |field: &str| plain(version[field].as_str().unwrap_or_default());
        let bytes = |field: &str| version[field].as_u64().map_or_else(|| "-".to_owned(), size::round);
        let state = if version["live"] == true { "live".to_owned() } else { text("state") };
        let aliases: Vec<String> =
            version["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str).map(plain).collect();
        let signed = if version["signed"] == true { "yes" } else { "no" };
        let cold_start = format!("{:.1} ms", version["coldStartMs"].as_f64().unwrap_or_default());
        let (bytes, memory) = (bytes("bytes"), bytes("memoryPeak"));
        [text("version"), state, aliases.join(" "), signed.to_owned(), bytes, cold_start, memory, text("by")]
    };
    let rows: Vec<_> =
        std::iter::once(header).chain(said["versions"].as_array().into_iter().flatten().map(row)).collect();
    Ok(aligned(&rows))
}
