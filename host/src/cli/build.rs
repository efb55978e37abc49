//! `stockade build`: an agent in Rust, made into a component by cargo and checked against the contract.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use serde_json::json;

use super::inspect::{Examined, examine};
use super::{Stop, plain, say};
use crate::manifest::{CALL_MEMORY_BYTES_DEFAULT, size};

/// What agents are compiled for.
const TARGET: &str = "wasm32-wasip2";

const EXAMPLES: &str = "\
Examples:
  stockade build                     the package in this directory
  stockade build my-agent --json     for a script: {\"component\":…,\"bytes\":…,\"digest\":…}

Needs cargo and its target: rustup target add wasm32-wasip2";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Directory of the agent's Cargo.toml
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Print the component's path, size and digest as JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What cargo says of a thing it has made; there is more in it.
#[derive(Debug, Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

pub(super) fn build(options: &Options) -> Result<(), Stop> {
    let component = component(&options.directory)?;
    let examined = examine(&component, CALL_MEMORY_BYTES_DEFAULT)?;
    let stock = examined.verdict()?;
    let Examined { bytes, digest, .. } = &examined;
    if options.json {
        let made = json!({ "component": component, "bytes": bytes, "digest": format!("sha256:{digest}") });
        say(&format!("{made}\n"));
    } else {
        let said = &stock.offer.description;
        let (title, version, offered) = (plain(&said.title), plain(&said.version), stock.summary());
        say(&format!(
            "{} ({})\nfits the contract: {title} {version}, {offered}\n",
            shown(&component),
            size::round(*bytes)
        ));
    }
    Ok(())
}

/// Builds the package in this directory, and says where its component is. Cargo's progress is for the person to see.
pub(super) fn component(directory: &Path) -> Result<PathBuf, Stop> {
    let manifest = directory.join("Cargo.toml");
    let manifest = manifest.canonicalize().map_err(|error| {
        anyhow!("no agent in {}: {}: {error}; `stockade new NAME` makes one", directory.display(), manifest.display())
    })?;
    look_for_target(directory)?;
    let mut cargo = program("CARGO", "cargo");
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    let mut child = cargo
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| missing(&error))?;
    let said = child.stdout.take().context("it is piped")?;
    let mut component = None;
    for line in BufReader::new(said).lines() {
        let line = line.context("cannot read what cargo says")?;
        component = component_in(&line, &manifest).or(component);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        return Err(anyhow!("cargo could not build it; see its messages above").into());
    }
    component.ok_or_else(|| {
        anyhow!("{} makes no component: add `crate-type = [\"cdylib\"]` to its [lib]", manifest.display()).into()
    })
}

/// The component that a line of cargo's is about, if it is one of this package.
pub(super) fn component_in(line: &str, manifest: &Path) -> Option<PathBuf> {
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    let own = artifact.reason == "compiler-artifact" && artifact.manifest_path == manifest;
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
    artifact.filenames.into_iter().find(is_wasm).filter(|_| own)
}

/// Cargo's own message about a missing target is long, and about `core`.
fn look_for_target(directory: &Path) -> Result<(), Stop> {
    let mut rustc = program("RUSTC", "rustc");
    // In the directory, since that may have a toolchain of its own.
    let asked = rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(directory).output();
    let output = asked.map_err(|error| missing(&error))?;
    let libraries = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && Path::new(&libraries).is_dir() {
        return Ok(());
    }
    Err(anyhow!("the Rust target {TARGET} is missing: rustup target add {TARGET}").into())
}

/// A program of Rust's, as this variable names it or as it is called.
pub(super) fn program(variable: &str, name: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| name.into()))
}

pub(super) fn missing(error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound => anyhow!("cargo is missing: install Rust from https://rustup.rs"),
        _ => anyhow!("cannot start cargo: {error}"),
    }
}

/// A path as people would write it here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    short.unwrap_or_else(|| path.to_owned()).display().to_string()
}
