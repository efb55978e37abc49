//! `stockade publish`: a component, pushed to a host as an OCI artifact; what the host finds out about it comes back.

mod artifact;
mod progress;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use ureq::SendBody;

use super::remote::{Client, Question, Remote as Host, read_small};
use super::{Stop, build, plain, say};
use crate::manifest::{AgentName, Remote, size};
use crate::publish::pull::pull;
use artifact::Artifact;
use progress::Progress;

const EXAMPLES: &str = "\
Examples:
  stockade publish                             the package in this directory, built first
  stockade publish demo.wasm --version 1.2.0   a component that is there
  stockade publish --from https://example.org/demo.wasm@sha256:… --version 1.2.0   one that lies elsewhere
  stockade publish --sign minisign.key         vouch for it; the manifest's `signatures` say whose word counts

A version is there for good: the same one again is no error, another component under it is one.";

/// What is asked where nothing says it.
const WHICH_VERSION: &str = "say which version it is: --version 1.0.0";

/// Bytes of a component that is pulled; the host has a limit of its own.
const PULLED_BYTES_MAX: u64 = 256 << 20;

/// Media type of an image manifest.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// A component, or the directory of an agent's Cargo.toml
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    what: PathBuf,
    /// The agent's name [default: the package's, or the file's, or the repository's last part]
    #[arg(long, value_parser = AgentName::parse)]
    name: Option<AgentName>,
    /// The version, such as 1.2.0 [default: the package's]
    #[arg(long = "version", value_name = "VERSION", value_parser = version)]
    version: Option<semver::Version>,
    /// Publish to NAMESPACE/NAME; a name belongs to whoever published it first
    #[arg(long)]
    namespace: Option<String>,
    /// A component that lies elsewhere: oci://registry/repository:tag@sha256:… or https://…@sha256:…
    #[arg(long, value_name = "ADDRESS", value_parser = Remote::parse, conflicts_with = "what")]
    from: Option<Remote>,
    /// Publish even what breaks callers of the version that is served now
    #[arg(long)]
    force: bool,
    /// Sign with this minisign secret key; its password is asked for if it has one
    #[arg(long, value_name = "KEY", conflicts_with = "signature")]
    sign: Option<PathBuf>,
    /// A signature that was made elsewhere, of what --statement prints
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Only print what a signature has to be of, for `minisign -S`
    #[arg(long)]
    statement: bool,
    #[command(flatten)]
    host: Host,
}

/// A package, as `cargo metadata` says; there is more in it.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
}

pub(super) fn publish(options: &Options) -> Result<(), Stop> {
    let Found { file, name, version, _pulled } = found(options)?;
    let repository = match &options.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_string(),
    };
    let artifact = Artifact::of(&file, &repository, &version.to_string())?;
    if options.statement {
        say(&artifact.statement()?);
        return Ok(());
    }
    let signature = match (&options.sign, &options.signature) {
        (Some(key), _) => Some(artifact.sign(key)?),
        (None, Some(file)) => Some(read_small(file)?),
        (None, None) => None,
    };
    let client = options.host.client()?;
    let report = push(&client, &artifact, signature.as_deref(), options)?;
    if options.host.json {
        say(&format!("{}\n", report.trim_end()));
    } else {
        say(&told(&client, &artifact, &report));
    }
    Ok(())
}

/// The component, and what it is to be called.
struct Found {
    file: PathBuf,
    name: AgentName,
    version: semver::Version,
    /// A file that is gone when this is dropped.
    _pulled: Option<tempfile::NamedTempFile>,
}

fn found(options: &Options) -> Result<Found, Stop> {
    let Options { what, name, version, .. } = options;
    if let Some(from) = &options.from {
        let version = version.clone().ok_or_else(|| Stop::Usage(WHICH_VERSION.to_owned()))?;
        // A name is taken for good: it is not guessed.
        let last = Path::new(from.path()).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name = name.clone().map_or_else(|| AgentName::parse(last), Ok);
        let name =
            name.map_err(|error| Stop::Usage(format!("`{last}` is no name of an agent: {error}; say --name")))?;
        let mut pulled = tempfile::NamedTempFile::new().context("no room for what is pulled")?;
        pull(from, PULLED_BYTES_MAX, pulled.as_file_mut())?;
        return Ok(Found { file: pulled.path().to_owned(), name, version, _pulled: Some(pulled) });
    }
    if what.is_dir() {
        let package = package(what)?;
        let component = build::component(what)?;
        let name = match name {
            Some(name) => name.clone(),
            None => AgentName::parse(&package.name).map_err(|error| {
                Stop::Usage(format!("the package `{}` cannot be an agent: {error}; say --name", package.name))
            })?,
        };
        let version = match version {
            Some(version) => version.clone(),
            None => self::version(&package.version).map_err(Stop::Usage)?,
        };
        return Ok(Found { file: component, name, version, _pulled: None });
    }
    let version = version.clone().ok_or_else(|| Stop::Usage(WHICH_VERSION.to_owned()))?;
    let name = name.clone().unwrap_or_else(|| super::single::name_of(what));
    Ok(Found { file: what.clone(), name, version, _pulled: None })
}

/// Reads a version.
pub(super) fn version(text: &str) -> Result<semver::Version, String> {
    let parsed = semver::Version::parse(text).map_err(|error| format!("{error}: a version is such as 1.2.0"))?;
    if parsed.build.is_empty() { Ok(parsed) } else { Err("a version has no `+build` here: a tag cannot".to_owned()) }
}

/// The package in a directory.
fn package(directory: &Path) -> Result<Package, Stop> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let manifest = directory.join("Cargo.toml").canonicalize();
    let manifest = manifest.with_context(|| {
        format!("no agent in {}: name a component, or a directory with a Cargo.toml", directory.display())
    })?;
    let mut cargo = build::program("CARGO", "cargo");
    let said = cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(directory).output();
    let said = said.map_err(|error| build::missing(&error))?;
    if !said.status.success() {
        return Err(anyhow!("{}", String::from_utf8_lossy(&said.stderr).trim()).into());
    }
    let metadata: Metadata = serde_json::from_slice(&said.stdout).context("cannot read what cargo says")?;
    let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
    Ok(package.with_context(|| format!("{} has no package", manifest.display()))?)
}

/// Pushes blobs, signature and manifest; what the host says of the version.
fn push(client: &Client, artifact: &Artifact, signature: Option<&str>, options: &Options) -> anyhow::Result<String> {
    let progress = Progress::new(options.host.json);
    let repository = &artifact.repository;
    artifact.push_component(client, &progress)?;
    artifact.push_blob(client, &artifact.config)?;
    if let Some(signature) = signature {
        artifact.push_signature(client, signature)?;
    }
    progress.waits("compiling and trying it");
    let force = if options.force { "?force=true" } else { "" };
    let path = format!("/v2/{repository}/manifests/{}{force}", artifact.version);
    let put = Question::new(Method::PUT, &path).of(MANIFEST_TYPE);
    let report = client.ask(&put, SendBody::from_reader(&mut &artifact.manifest[..]));
    progress.done();
    report
}

/// What a person wants to know of it.
fn told(client: &Client, artifact: &Artifact, report: &str) -> String {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    let Artifact { repository, version, .. } = artifact;
    if report["path"].is_null() {
        return format!("{repository} {version} was there already, as this very component\n");
    }
    let bytes = |field: &str| report[field].as_u64().map_or_else(|| "-".to_owned(), size::round);
    let served = if report["live"] == true { "is live" } else { "is there" };
    let path = plain(report["path"].as_str().unwrap_or_default());
    let mut out = format!(
        "{repository} {version} {served} at {} after {:.2} s\n",
        client.at(&path),
        report["seconds"].as_f64().unwrap_or_default()
    );
    out += &format!(
        "its trial: cold start {:.1} ms, memory {} of a cap of {}; `memory: {}` should do\n",
        report["coldStartMs"].as_f64().unwrap_or_default(),
        bytes("memoryPeak"),
        bytes("memoryCap"),
        bytes("memorySuggested"),
    );
    for warning in report["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        out += &format!("warning: {}\n", plain(warning));
    }
    out
}
